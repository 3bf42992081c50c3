// Short notes at the page's edge: what was refused, what was done. The newest is at the bottom.
import { useEffect } from "preact/hooks";
import { CommandError } from "signalbox-client";
import type { Command, Store } from "signalbox-client";
import { useStore } from "signalbox-client/preact";
import { AlertIcon, CheckIcon, CloseIcon, InfoIcon } from "./icons";
import "./toast.css";

export interface Toast {
  id: number;
  /** `note`: of the place where one is; it goes when one goes elsewhere. */
  kind: "bad" | "good" | "note";
  text: string;
  action?: { label: string; run(): void };
}

const MOST = 4;
const SHOWN_MS = { good: 3_500, note: 5_000, bad: 12_000 };

let toasts: readonly Toast[] = [];
let ids = 0;
const listeners = new Set<() => void>();
const store: Store<readonly Toast[]> = {
  get: () => toasts,
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

function set(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

/** Shows a note. The same one that is there already is not shown twice. */
export function toast(text: string, { kind = "bad", action }: Partial<Pick<Toast, "kind" | "action">> = {}): void {
  const others = toasts.filter((each) => each.text !== text);
  set([...others, { id: ++ids, kind, text, action }].slice(-MOST));
}

export function dismiss(id: number): void {
  set(toasts.filter((each) => each.id !== id));
}

/** Says it when a command comes to nothing. `what` was wanted: "The session was not closed". */
export function reportRefusal(what: string, command: Command<any>): void {
  command.catch((error) => {
    if (!(error instanceof CommandError) || error.code === "withdrawn" || error.code === "client_closed") {
      return;
    }
    toast(`${what}: ${error.message}`);
  });
}

export function Toasts() {
  const shown = useStore(store);
  return (
    <div class="toasts" role="status" aria-label="Notes">
      {shown.map((each) => <Note key={each.id} toast={each} />)}
    </div>
  );
}

function Note({ toast: { id, kind, text, action } }: { toast: Toast }) {
  useEffect(() => {
    const go = () => dismiss(id);
    const timer = setTimeout(go, SHOWN_MS[kind]);
    if (kind === "note") {
      addEventListener("hashchange", go);
    }
    return () => {
      clearTimeout(timer);
      removeEventListener("hashchange", go);
    };
  }, [id]);
  return (
    <div class={`toast toast--${kind}`} data-testid="toast">
      {kind === "good" ? <CheckIcon /> : kind === "note" ? <InfoIcon /> : <AlertIcon />}
      <p>{text}</p>
      {action && (
        <button type="button" class="button" onClick={() => { dismiss(id); action.run(); }}>{action.label}</button>
      )}
      <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(id)}><CloseIcon /></button>
    </div>
  );
}
