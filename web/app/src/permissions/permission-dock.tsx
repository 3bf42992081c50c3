import { useEffect, useRef, useState } from "preact/hooks";
import type { PermissionRequest, SessionState, SessionView, ToolItem, WatchedSession } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";
import { EndedNote } from "./ended-note";
import { useEnded } from "./ended";
import { PermissionCard } from "./permission-card";
import { KindIcon } from "./kind-icon";
import { Announcer, useAnnouncer } from "./announcer";
import { questionOf } from "./words";
import { visibleText } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";
import "./permission-dock.css";

/** What the agent of a session asks, above the composer: one at a time, the oldest first. */
export function PermissionDock({ view }: { session: WatchedSession; view: SessionView }) {
  const client = useClient();
  const me = useStore(client.server, (server) => server?.user ?? null);
  const { state } = view;
  const { pending } = state;
  const [chosen, setChosen] = useState<string | null>(null);
  const current = pending.find(({ requestId }) => requestId === chosen) ?? pending[0] ?? null;
  const { ended, dismiss } = useEnded(view, client.clientId, me);
  const { text, announce } = useAnnouncer();
  const dock = useRef<HTMLElement>(null);
  const others = ended.filter((each) => !each.isOwn);
  useAsked(state, announce);
  const told = useRef<unknown>(null);
  useEffect(() => {
    const last = ended.at(-1);
    if (last && told.current !== last) { // others that go leave it standing: it was said
      told.current = last;
      announce(last.isOwn ? (last.outcome === "rejected" ? "Rejected." : "Allowed.") : last.sentence);
    }
  }, [ended]);
  useKeptFocus(dock, current, state.turn !== null);
  useWayIn(dock);

  const at = current ? pending.indexOf(current) : -1;
  return (
    <section ref={dock} tabIndex={-1} class="permission-dock" aria-label="Waiting for your answer" data-testid="permission-dock" data-count={pending.length}>
      <Announcer text={text} />
      {others.map((each) => <EndedNote key={each.request.requestId} ended={each} onClose={() => dismiss(each.request.requestId)} />)}
      {current && (
        <PermissionCard
          key={current.requestId} request={current} tool={toolOf(state, current)} isCurrent announce={announce}
          place={{ agent: state.agent, workspace: state.workspace, policy: state.policy, session: null }}
          aside={pending.length > 1 && (
            <span class="permission-dock__count">
              <button type="button" class="permission-dock__step" aria-label="The one before" disabled={at === 0}
                onClick={() => setChosen(pending[at - 1]!.requestId)}>‹</button>
              {at + 1} of {pending.length}
              <button type="button" class="permission-dock__step" aria-label="The next one" disabled={at === pending.length - 1}
                onClick={() => setChosen(pending[at + 1]!.requestId)}>›</button>
            </span>
          )}
        />
      )}
      {pending.length > 1 && (
        <ul class="permission-dock__more" aria-label="Waiting as well">
          {pending.filter((request) => request !== current).slice(0, 4).map((request) => (
            <li key={request.requestId}>
              <button type="button" class="permission-dock__other" onClick={() => setChosen(request.requestId)}>
                <KindIcon kind={request.kind} />
                <span class="permission-dock__what">{questionOf(request)}</span>
                <code class="permission-dock__command"><VisibleText text={firstLine(request.command)} /></code>
              </button>
            </li>
          ))}
          {pending.length > 5 && <li class="permission-dock__rest">and {pending.length - 5} more</li>}
        </ul>
      )}
    </section>
  );
}

const firstLine = (text: string): string => text.split("\n", 1)[0]!.slice(0, 200);

/** The tool call that a request is about; it comes before it, most often right before it. */
export function toolOf(state: SessionState, request: PermissionRequest): ToolItem | null {
  for (let at = state.items.length - 1; at >= 0; at--) {
    const item = state.items[at]!;
    if (item.kind === "tool" && item.toolUseId === request.toolUseId) {
      return item;
    }
  }
  return null;
}

/** From where one writes to the card, where single keys answer. */
function useWayIn(dock: { current: HTMLElement | null }): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const card = dock.current?.querySelector<HTMLElement>("article.permission-card");
      // By its place: with Alt the key may write another letter.
      if (card && event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.code === "KeyA" && !document.querySelector("dialog:modal")) {
        event.preventDefault();
        card.focus();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

/** Says a new question aloud; nothing takes the keyboard from where it is. */
function useAsked(state: SessionState, announce: (text: string) => void): void {
  const known = useRef(new Set<string>());
  useEffect(() => {
    const fresh = state.pending.filter(({ requestId }) => !known.current.has(requestId));
    known.current = new Set(state.pending.map(({ requestId }) => requestId));
    const [first] = fresh;
    if (first) {
      const more = fresh.length > 1 ? ` ${fresh.length - 1} more wait.` : "";
      announce(`The agent asks for permission. ${questionOf(first)}: ${visibleText(first.command.slice(0, 300))}.${more}`);
    }
  }, [state.pending]);
}

// Where the keyboard goes when the card that had it is gone: to the next card (not to a button of it: nobody shall allow
// what they have not read). While the turn goes on another one may come, so it stays here; then it goes to where one writes.
function useKeptFocus(dock: { current: HTMLElement | null }, current: PermissionRequest | null, isRunning: boolean): void {
  const had = useRef(false);
  useEffect(() => {
    const node = dock.current!;
    const into = () => {
      had.current = true;
    };
    const out = (event: FocusEvent) => {
      had.current = event.relatedTarget === null ? had.current : node.contains(event.relatedTarget as Node);
    };
    node.addEventListener("focusin", into);
    node.addEventListener("focusout", out);
    return () => {
      node.removeEventListener("focusin", into);
      node.removeEventListener("focusout", out);
    };
  }, []);
  useEffect(() => {
    const active = document.activeElement;
    if (had.current && (active === document.body || active === null || active === dock.current)) {
      const card = dock.current!.querySelector<HTMLElement>("article.permission-card");
      const place = card ?? (isRunning ? dock.current : document.querySelector<HTMLElement>("[data-testid=prompt-input]"));
      had.current = card !== null || isRunning;
      place?.focus({ preventScroll: true });
    }
  }, [current?.requestId, isRunning]);
}
