import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { SessionState, SessionSummary } from "signalbox-client";
import { sessionName } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";
import { UsageMeter } from "../conversation/usage-meter";
import { useAgents } from "../sessions/agents";
import { PhaseMark } from "../sessions/phase-mark";
import { phaseExplanation, phaseWord, shownPhase } from "../sessions/phases";
import { NO_NAME } from "../sessions/session-row";
import { copyText } from "../ui/clipboard";
import { Dialog } from "../ui/dialog";
import { ErrorBoundary } from "../ui/error-boundary";
import { ChevronLeftIcon, EyeIcon, FolderIcon, InfoIcon, LinkIcon, MoreIcon, ShieldCheckIcon } from "../ui/icons";
import { NARROW, useMedia } from "../ui/media";
import { memo } from "../ui/memo";
import { baseName, count, onOneLine } from "../ui/text";
import { reportRefusal } from "../ui/toast";
import { ConnectionIndicator } from "./connection";
import { waitingCount } from "./news";
import { addressOf, hrefOf } from "./router";
import "./session-header.css";

interface Facts {
  sessionId: string;
  name: string;
  /** The same, not shortened. */
  title: string;
  /** The agent's name for people. */
  agent: string;
  workspace: string;
  phase: string;
  policy: string | null;
  createdBy: string;
  createdAt: number | null;
}

/** Which session this is and how it does. Until it has come, what the list knows of it. */
export function SessionHeader({ state }: { state: SessionState }) {
  const client = useClient();
  const summary = useStore(client.sessions, ({ items }) => items.get(state.sessionId) ?? null);
  const facts = useFacts(state, summary);
  const usage = useMemo(() => <ErrorBoundary name="The usage"><UsageMeter state={state} /></ErrorBoundary>, [state.usage]);
  return <Header {...facts} usage={usage} />;
}

interface HeaderProps extends Facts {
  usage: ComponentChildren;
}

// With each word that the agent says there is another state, but seldom another header.
const Header = memo(function Header({ usage, ...facts }: HeaderProps) {
  const isNarrow = useMedia(NARROW);
  const [dialog, setDialog] = useState<"none" | "details" | "close">("none");
  const { sessionId, name, title, agent, workspace, phase, policy } = facts;
  const close = () => setDialog("none");
  return (
    <header class="session-header">
      {isNarrow && <Back sessionId={sessionId} />}
      <div class="session-header__names">
        <h1 class="session-header__title truncate" data-testid="session-title" title={title}><bdi>{name || NO_NAME}</bdi></h1>
        <p class="session-header__facts">
          <span class="session-header__phase" data-testid="session-phase" data-phase={phase} title={phaseExplanation(phase)}>
            <PhaseMark phase={phase} /> {phaseWord(phase)}
          </span>
          <span class="session-header__agent truncate" data-testid="session-agent">{onOneLine(agent)}</span>
          <span class="session-header__workspace truncate" title={onOneLine(workspace)} data-testid="session-workspace">
            <FolderIcon size={13} /> <bdi class="truncate">{onOneLine(isNarrow ? baseName(workspace) : workspace)}</bdi>
          </span>
          <PolicyMark policy={policy} />
        </p>
      </div>
      <div class="session-header__tools">
        {isNarrow ? (
          <>
            <ConnectionIndicator sessionId={sessionId} short />
            <button type="button" class="icon-button" aria-label="More" aria-haspopup="dialog" data-testid="session-details" onClick={() => setDialog("details")}><MoreIcon size={20} /></button>
          </>
        ) : (
          <>
            {usage}
            <button type="button" class="icon-button" aria-label="Copy a link to this session" title="Copy a link" onClick={() => void copyLink(sessionId)}><LinkIcon /></button>
            <button type="button" class="icon-button" aria-label="Details" title="Details" aria-haspopup="dialog" data-testid="session-details" onClick={() => setDialog("details")}><InfoIcon /></button>
            {phase !== "closed" && (
              <button type="button" class="button button--quiet" title="Close this session: its agent is ended" data-testid="close-session" onClick={() => setDialog("close")}>Close</button>
            )}
          </>
        )}
      </div>
      {dialog === "details" && <DetailsDialog facts={facts} usage={isNarrow ? usage : null} isNarrow={isNarrow} onClose={close} onCloseSession={() => setDialog("close")} />}
      {dialog === "close" && <CloseDialog sessionId={sessionId} onClose={close} />}
    </header>
  );
});

function useFacts(state: SessionState, summary: SessionSummary | null): Facts {
  const { list } = useAgents();
  const isKnown = state.epoch !== null;
  const agentName = (isKnown ? state.agent : summary?.agent) ?? "";
  return {
    sessionId: state.sessionId,
    name: onOneLine(sessionName(state) || summary?.title || ""),
    title: onOneLine(state.title || summary?.title || sessionName(state)),
    agent: list?.agents.find(({ name }) => name === agentName)?.title || agentName,
    workspace: (isKnown ? state.workspace : summary?.workspace) ?? "",
    phase: isKnown ? shownPhase({ phase: state.phase, pending: state.pending.length }) : summary ? shownPhase(summary) : "",
    policy: (isKnown ? state.policy : summary?.policy) ?? null,
    createdBy: state.createdBy ?? summary?.createdBy ?? "",
    createdAt: summary?.createdAt ?? null,
  };
}

const copyLink = (sessionId: string) => copyText(addressOf({ name: "session", sessionId }), "The link is copied.");

/** On a phone: to the list, with how many requests wait in others. */
function Back({ sessionId }: { sessionId: string }) {
  const waiting = useStore(useClient().permissions, ({ items }) => waitingCount(items, sessionId));
  return (
    <a class="icon-button session-header__back" href={hrefOf({ name: "home" })} aria-label={waiting > 0 ? `All sessions; ${count(waiting, "request")} in others` : "All sessions"}>
      <ChevronLeftIcon size={20} />
      {waiting > 0 && <span class="badge badge--warn" aria-hidden="true">{waiting}</span>}
    </a>
  );
}

/** What is not asked: shown wherever it is not the usual. */
function PolicyMark({ policy }: { policy: string | null }) {
  if (policy === "trust") {
    return <span class="policy-mark policy-mark--trust" title="Whatever the agent asks is allowed without a person"><ShieldCheckIcon size={13} /> Trusted</span>;
  }
  if (policy === "read-only") {
    return <span class="policy-mark policy-mark--read-only" title="Only reading is allowed; everything else is rejected"><EyeIcon size={13} /> Read only</span>;
  }
  return null;
}

interface DetailsProps {
  facts: Facts;
  usage: ComponentChildren;
  isNarrow: boolean;
  onClose(): void;
  onCloseSession(): void;
}

function DetailsDialog({ facts, usage, isNarrow, onClose, onCloseSession }: DetailsProps) {
  return (
    <Dialog
      title="This session" onClose={onClose} testId="details-dialog"
      actions={isNarrow && (
        <>
          <button type="button" class="button" onClick={() => void copyLink(facts.sessionId)}><LinkIcon /> Copy a link</button>
          {facts.phase !== "closed" && <button type="button" class="button button--danger" data-testid="close-session" onClick={onCloseSession}>Close session</button>}
        </>
      )}
    >
      <dl class="session-details">
        <dt>Title</dt><dd>{facts.title || "none"}</dd>
        <dt>State</dt><dd>{phaseWord(facts.phase)}. {phaseExplanation(facts.phase)}</dd>
        <dt>Agent</dt><dd>{onOneLine(facts.agent)}</dd>
        <dt>Workspace</dt><dd><code>{onOneLine(facts.workspace)}</code></dd>
        {facts.createdBy && <><dt>Made by</dt><dd>{onOneLine(facts.createdBy)}{facts.createdAt !== null && `, ${new Date(facts.createdAt).toLocaleString()}`}</dd></>}
        <dt>Id</dt><dd><code>{facts.sessionId}</code></dd>
      </dl>
      {usage && <div class="session-details__usage">{usage}</div>}
    </Dialog>
  );
}

function CloseDialog({ sessionId, onClose }: { sessionId: string; onClose(): void }) {
  const client = useClient();
  const close = () => {
    reportRefusal("The session was not closed", client.send("close_session", { sessionId }));
    onClose();
  };
  return (
    <Dialog
      title="Close this session?" onClose={onClose} testId="close-dialog" hasFocus
      actions={
        <>
          <button type="button" class="button" onClick={onClose}>Keep it open</button>
          <button type="button" class="button button--danger" data-testid="confirm-close" autofocus onClick={close}>Close session</button>
        </>
      }
    >
      <p>Its agent is ended, what waits for an answer is cancelled, and queued prompts are withdrawn. What was said stays readable.</p>
    </Dialog>
  );
}
