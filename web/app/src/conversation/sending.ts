// Prompts of ours that are on their way: shown at once, until the session's own event has them.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Command } from "signalbox-client";
import { useOutbox } from "signalbox-client/preact";
import type { SessionState } from "signalbox-client/state";

const LATE_MS = 10_000; // an answer whose event has not come by then is not waited for

/** In the order in which they were written. No order is promised between an answer and the event that it is about. */
export function useSending(sessionId: string, state: SessionState): readonly Command<any>[] {
  const outbox = useOutbox();
  const done = useRef(new Map<Command<any>, number>());
  const [, redraw] = useState({});
  const waiting = outbox.filter((command) => command.type === "prompt" && command.sessionId === sessionId);
  useEffect(() => {
    const stops = waiting.map((command) => command.state.subscribe(() => {
      if (command.state.get().name === "done") {
        done.current.set(command, Date.now());
        setTimeout(() => {
          done.current.delete(command);
          redraw({});
        }, LATE_MS);
      }
    }));
    return () => stops.forEach((stop) => stop());
  }, [waiting.map((command) => command.id).join()]);
  const all = [...new Set([...done.current.keys(), ...waiting])];
  if (all.length === 0) {
    return all;
  }
  const recorded = new Set<string>();
  for (const message of [...state.items.slice(-400), ...state.queue]) {
    if ("cause" in message && message.cause?.id && (!("kind" in message) || message.kind === "user")) {
      recorded.add(message.cause.id);
    }
  }
  return all.filter((command) => !recorded.has(command.id));
}
