// Content that was too large for its event: fetched when somebody opens it.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Ref } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { useConversation } from "./context";
import { Fetched } from "./fetched";
import { sizeInWords } from "./words";

const MOST_FETCHED = 8_000_000; // bytes that are shown here; what is longer is saved
const fetched = new Fetched(4 * MOST_FETCHED); // of all sessions; what goes can be fetched again

interface Cut {
  key: string;
  refs?: Ref[];
}

/** The item, whole once it was fetched, and what fetches it: to be shown where something is missing. */
export function useWhole<T extends Cut>(item: T): { whole: T; note: preact.ComponentChildren } {
  const { sessionId } = useConversation();
  const client = useClient();
  const [, redraw] = useState({});
  const [state, setState] = useState<"idle" | "loading" | { error: string }>("idle");
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const refs = onceEach(item.refs ?? []);
  if (refs.length === 0) {
    return { whole: item, note: null };
  }
  const id = refs.map((ref) => `${ref.path} ${ref.blob}`).join();
  const place = `${sessionId} ${item.key}`;
  const known = fetched.get(place) as { id: string; whole: T } | undefined;
  const whole = known?.id === id ? { ...item, ...pick(known.whole, refs) } : item;
  const bytes = refs.reduce((sum, ref) => sum + ref.bytes, 0);
  const load = async () => {
    const mine = abort.current = new AbortController();
    setState("loading");
    try {
      const answer = await client.http.complete(sessionId, item, mine.signal);
      fetched.set(place, { id, whole: answer }, bytes);
      setState("idle");
      redraw({});
    } catch (error) {
      if (!mine.signal.aborted) {
        setState({ error: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  const isKnown = known?.id === id;
  const isTooMuch = bytes > MOST_FETCHED;
  const saves = refs.map((ref) => (
    <a key={ref.path} class="large__save" href={client.http.blobUrl(sessionId, ref.blob)} download="">
      Save {fieldOf(ref)}{refs.length > 1 ? ` (${sizeInWords(ref.bytes)})` : ""}
    </a>
  ));
  const note = (
    <div class="large" data-state={isKnown ? "whole" : typeof state === "object" ? "failed" : state}>
      {!isKnown && typeof state === "string" && (
        <span class="large__said" role={state === "loading" ? "status" : undefined}>
          {state === "loading" ? `Fetching ${sizeInWords(bytes)}…` : `Only the beginning is here; all of it is ${sizeInWords(bytes)}.`}
        </span>
      )}
      {typeof state === "object" && <span class="large__error" role="alert">It could not be fetched: {state.error}</span>}
      {!isKnown && state !== "loading" && !isTooMuch && (
        <button type="button" class="large__load" onClick={() => void load()}>{typeof state === "object" ? "Try again" : "Show all"}</button>
      )}
      {saves}
    </div>
  );
  return { whole, note };
}

const onceEach = (refs: Ref[]): Ref[] => [...new Map(refs.map((ref) => [`${ref.path} ${ref.blob}`, ref])).values()];

/** Those fields that were cut: the others may have changed since. */
function pick<T extends Cut>(whole: T, refs: Ref[]): Partial<T> {
  const fields = new Set(refs.map((ref) => ref.path.split("/")[1] ?? ""));
  return Object.fromEntries(Object.entries(whole).filter(([name]) => fields.has(name))) as Partial<T>;
}

const FIELDS: { [name: string]: string } = { result: "the result", delta: "the output", toolInput: "the input", content: "the content", rawOutput: "the raw output", update: "it" };
const fieldOf = (ref: Ref): string => {
  const name = ref.path.split("/")[1] ?? "";
  return Object.hasOwn(FIELDS, name) ? FIELDS[name]! : "it";
};
