import type { PermissionRequest, SessionSummary } from "signalbox-client";
import { hrefOf } from "../shell/router";
import { memo } from "../ui/memo";
import { baseName, count, onOneLine } from "../ui/text";
import { PhaseMark } from "./phase-mark";
import { phaseWord, shownPhase } from "./phases";
import { useSessionName } from "./names";

interface RowProps {
  session: SessionSummary;
  /** What it asks, oldest first; empty where that is not known. */
  asks: readonly PermissionRequest[];
  isCurrent: boolean;
  /** When something happened, or for how long it waits, in words. */
  when: string;
  /** The agent's name for people. */
  agent: string;
}

const MOST_SHOWN = 200; // characters of a command, of which there is room for few

export const NO_NAME = "New session";

/** A session in the list: one link. */
export const SessionRow = memo(function SessionRow({ session, asks, isCurrent, when, agent }: RowProps) {
  const { sessionId, workspace, pending } = session;
  const phase = shownPhase(session);
  const name = onOneLine(useSessionName(session));
  const asked = asks[0];
  return (
    <li class="session-row">
      <a
        class="session-row__link" href={hrefOf({ name: "session", sessionId })} aria-current={isCurrent ? "page" : undefined}
        data-testid="session-row" data-session-id={sessionId} data-phase={phase} data-waiting={pending}
      >
        <span class="session-row__mark"><PhaseMark phase={phase} /></span>
        <span class={`session-row__name truncate${name ? "" : " session-row__name--none"}`} title={name}><bdi>{name || NO_NAME}</bdi></span>
        <span class="session-row__when">{when}</span>
        <span class="session-row__about truncate" title={onOneLine(workspace)}>
          <span class="visually-hidden">{phaseWord(phase)}, </span>
          {onOneLine(agent)} · <bdi>{onOneLine(baseName(workspace))}</bdi>
          {(phase === "failed" || phase === "starting") && ` · ${phaseWord(phase).toLowerCase()}`}
        </span>
        {pending > 0 && (
          <span class="session-row__asks">
            <code class="truncate"><bdi>{asked ? onOneLine((asked.command || asked.toolName).slice(0, MOST_SHOWN)) : "Waits for an answer"}</bdi></code>
            {pending > 1 && <span class="badge badge--warn" title={count(pending, "request")}>{pending}</span>}
          </span>
        )}
      </a>
    </li>
  );
});
