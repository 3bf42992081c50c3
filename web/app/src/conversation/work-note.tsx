// What the session is doing, at the end of what it has said. It has its height in any case, so that nothing moves when it comes and goes.
import type { SessionState } from "signalbox-client/state";
import { useNow } from "../ui/time";
import { oneLine } from "./visible";
import { durationInWords } from "./words";

export function WorkNote({ state }: { state: SessionState }) {
  const { phase, detail, turn, items } = state;
  const last = items.at(-1);
  const isTalking = (last?.kind === "text" || last?.kind === "thought") && !last.done;
  const said = phase === "starting" ? "Starting the agent" : phase === "running" && !isTalking ? "Working"
    : phase === "failed" ? "The agent failed" : phase === "stopped" ? "The agent is not running" : "";
  const next = phase === "failed" ? "Your next prompt tries to start it again." : phase === "stopped" ? "Your next prompt starts it again." : "";
  const isMoving = phase === "starting" || phase === "running";
  return (
    <div class="work-note" data-phase={phase}>
      {said && (
        <>
          {isMoving && <span class="spinner" data-moving="true" />}
          <span>{said}{phase === "running" && turn ? <Since at={turn.ts} /> : null}{detail ? `: ${oneLine(detail, 400)}` : ""}{next && `${/[.!?]$/.test(detail ?? "") ? "" : "."} ${next}`}</span>
        </>
      )}
    </div>
  );
}

function Since({ at }: { at: number }) {
  const past = useNow(1_000) - at;
  return past >= 3_000 ? <> · {durationInWords(Math.floor(past / 1_000) * 1_000)}</> : null;
}
