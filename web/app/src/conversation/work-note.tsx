// What the session is doing, at the end of what it has said. It has its height in any case, so that nothing moves when it comes and goes.
import { useEffect, useState } from "preact/hooks";
import type { Item, SessionState } from "signalbox-client/state";
import { useNow } from "../ui/time";
import { oneLine } from "./visible";
import { durationInWords } from "./words";

const QUIET_MS = 3_000; // a text that stands still for so long does not show any more that the agent is at work

export function WorkNote({ state }: { state: SessionState }) {
  const { phase, detail, turn, items } = state;
  const last = items.at(-1);
  const isTalking = (last?.kind === "text" || last?.kind === "thought") && !last.done;
  const isQuiet = useQuiet(items);
  const isSaid = wasSaid(items); // by what stands right above
  const said = phase === "starting" ? "Starting the agent" : phase === "running" && (!isTalking || isQuiet || detail) ? "Working"
    : isSaid ? "" : phase === "failed" ? "The agent failed" : phase === "stopped" ? "The agent is not running" : "";
  const next = phase === "failed" ? "Your next prompt tries to start it again." : phase === "stopped" ? "Your next prompt starts it again." : "";
  const isMoving = phase === "starting" || phase === "running";
  return (
    <div class="work-note" data-testid="work-note" data-phase={phase}>
      {said && (
        <>
          {isMoving && <span class="spinner" data-moving="true" />}
          <span>{said}{phase === "running" && turn ? <Since at={turn.ts} /> : null}{detail ? `: ${oneLine(detail, 400)}` : ""}{next && `${/[.!?]$/.test(detail ?? "") ? "" : "."} ${next}`}</span>
        </>
      )}
    </div>
  );
}

/** Whether an error is the last that there is, which says why the agent is gone, and what helps. */
function wasSaid(items: readonly Item[]): boolean {
  return items.slice(-2).filter(({ kind }) => kind !== "end").at(-1)?.kind === "error";
}

function useQuiet(items: readonly Item[]): boolean {
  const [isQuiet, setQuiet] = useState(false);
  useEffect(() => {
    setQuiet(false);
    const timer = setTimeout(() => setQuiet(true), QUIET_MS);
    return () => clearTimeout(timer);
  }, [items]);
  return isQuiet;
}

function Since({ at }: { at: number }) {
  const past = useNow(1_000) - at;
  return past >= 3_000 ? <> · {durationInWords(Math.floor(past / 1_000) * 1_000)}</> : null;
}
