// What a screen reader is told: messages that are whole, and ends of turns. Not every delta.
import { useEffect, useRef, useState } from "preact/hooks";
import type { SessionView } from "signalbox-client";
import type { Item, SessionState } from "signalbox-client/state";
import { oneLine } from "./visible";
import { errorInWords, stopInWords, titleOf } from "./words";

const MOST_SAID = 600;

export function Announcer({ state, sync }: { state: SessionState; sync: SessionView["sync"] }) {
  const [said, say] = useState("");
  const known = useRef<{ items: readonly Item[]; told: Set<string>; isPartial: boolean } | null>(null);
  useEffect(() => {
    if (sync !== "live") {
      return;
    }
    if (known.current === null) {
      known.current = { items: state.items, told: new Set(state.items.slice(-50).filter(isOver).map((item) => item.key)), isPartial: state.partial };
      return;
    }
    if (known.current.items === state.items) {
      return;
    }
    const { told, items, isPartial } = known.current;
    known.current = { items: state.items, told, isPartial: state.partial };
    // What was said before the end that was there first is no news.
    const older = isPartial && !state.partial ? (items[0] ? state.items.findIndex(({ key }) => key === items[0]!.key) : state.items.length) : 0;
    const fresh = state.items.slice(Math.max(older, state.items.length - 20)).filter((item) => isOver(item) && !told.has(item.key));
    fresh.forEach((item) => told.add(item.key));
    const words = fresh.map(inWords).filter((each) => each !== "");
    if (words.length > 0) {
      say(words.join(". "));
    }
  }, [state.items, sync]);
  return <div class="visually-hidden" role="status" aria-live="polite">{said}</div>;
}

function isOver(item: Item): boolean {
  return item.kind === "text" || item.kind === "tool" ? item.done : item.kind === "end" || item.kind === "error" || item.kind === "closed";
}

function inWords(item: Item): string {
  switch (item.kind) {
    case "text":
      return item.parentToolUseId ? "" : `Agent: ${item.text.slice(0, MOST_SAID)}${item.text.length > MOST_SAID ? " …" : ""}`;
    case "tool":
      return item.isError ? `${titleOf(item).title} failed` : "";
    case "end":
      return stopInWords(item.stopReason);
    case "error":
      return `${errorInWords(item.code).title}: ${oneLine(item.error, MOST_SAID)}`;
    case "closed":
      return "The session was closed";
    default:
      return "";
  }
}
