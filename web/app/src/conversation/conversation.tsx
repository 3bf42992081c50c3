// What was said and done in a session: a list of which only what can be seen is drawn.
import { memo } from "preact/compat";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { SessionView, WatchedSession } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";
import { ErrorBoundary } from "../ui/error-boundary";
import { ArrowDownIcon } from "../ui/icons";
import { Announcer } from "./announcer";
import { Context } from "./context";
import type { ConversationContext } from "./context";
import { ClosedNote, ErrorNote, LateOutput, SendingPrompt, TurnEnd, UpdateNote, UserMessage } from "./notes";
import { Opened } from "./opened";
import { EarlierNote } from "./earlier-note";
import { NO_ROWS, rowOfItem, rowsOf } from "./rows";
import type { Row } from "./rows";
import { useSending } from "./sending";
import { AgentText, Thought } from "./texts";
import { CallStack, PermissionNote } from "./tool-card";
import { useScroll, wantedItem } from "./scroll";
import { VirtualRows } from "./virtual-rows";
import { WorkNote } from "./work-note";
import "./conversation.css";

const contexts = new Map<string, ConversationContext>(); // what a reader has opened outlives a look at another session
const MOST_CONTEXTS = 20;

export function Conversation({ session, view }: { session: WatchedSession; view: SessionView }) {
  return <OneConversation key={session.sessionId} session={session} view={view} />;
}

function OneConversation({ session, view }: { session: WatchedSession; view: SessionView }) {
  const { sessionId } = session;
  const client = useClient();
  const user = useStore(client.server, (server) => server?.user ?? null);
  const context = useMemo(() => contextOf(sessionId, client.clientId, user), [sessionId, client.clientId, user]);
  const { earlier } = view;
  const isWhole = view.sync === "live" && earlier === null;
  const rows = useRows(view, sessionId, isWhole);
  const sending = useSending(sessionId, view.state);
  const scroll = useScroll(context, rows, sending.length, { isCurrent: view.sync === "live", hasBeginning: earlier === null, loadEarlier: () => session.loadEarlier() });
  const isEmpty = rows.rows.length === 0 && sending.length === 0;
  return (
    <Context.Provider value={context}>
      <section class="conversation" data-testid="conversation" data-sync={view.sync} data-earlier={earlier?.state} aria-label="Conversation">
        <div class="conversation__scroll" ref={scroll.scroller} tabIndex={0} role="log" aria-live="off" onKeyDown={scroll.onKeyDown}
          aria-label={earlier === null ? "What was said" : earlier.state === "loading" ? "What was said last; earlier turns are loading" : "What was said last; earlier turns are not here yet"}
          onScroll={scroll.onScroll}>
          <div class="conversation__content" ref={scroll.content}>
            {isEmpty
              ? <Empty view={view} />
              : <VirtualRows rows={rows} draw={drawRow} scroll={scroll} sessionId={sessionId} />}
            {sending.map((command) => <div class="conversation__row" key={command.id}><SendingPrompt command={command} /></div>)}
            <WorkNote state={view.state} />
          </div>
        </div>
        {earlier !== null && !isEmpty && scroll.isNearTop && <EarlierNote earlier={earlier} load={() => session.loadEarlier()} />}
        {scroll.below !== null && (
          <button type="button" class="new-below" data-testid="new-below" onClick={scroll.toEnd}>
            <ArrowDownIcon size={14} />{scroll.below > 0 ? `${scroll.below} new below` : "To the end"}
          </button>
        )}
        <Announcer state={view.state} sync={view.sync} />
      </section>
    </Context.Provider>
  );
}

function contextOf(sessionId: string, clientId: string, user: string | null): ConversationContext {
  const known = contexts.get(sessionId);
  const context = { sessionId, me: { clientId, user }, opened: known?.opened ?? new Opened() };
  contexts.delete(sessionId);
  contexts.set(sessionId, context);
  if (contexts.size > MOST_CONTEXTS) {
    contexts.delete(contexts.keys().next().value!);
  }
  return context;
}

/**
 * While a session comes for the first time nothing is drawn: it opens at its end, and not at each step on the way there; or where the
 * reader is to be brought, which may not be among what comes first.
 */
function useRows(view: SessionView, sessionId: string, isWhole: boolean) {
  const last = useRef(NO_ROWS);
  const isShown = useRef(false);
  const [, redraw] = useState({});
  const wanted = useRef<string | null>();
  wanted.current = wanted.current === undefined ? wantedItem(sessionId) : wanted.current;
  last.current = rowsOf(view.state.items, last.current, view.state.partial); // as it comes: those of a long session would take long at its end
  const isElsewhere = !isShown.current && !isWhole && view.earlier !== null && wanted.current !== null && rowOfItem(last.current, wanted.current) < 0;
  const isComing = !isShown.current && (isElsewhere || (view.sync !== "live" && view.sync !== "closed")) && !view.state.hole;
  useEffect(() => {
    if (!isComing) {
      return undefined;
    }
    const timer = setTimeout(() => {
      isShown.current = true;
      redraw({});
    }, PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isComing]);
  // What is here from an earlier visit is shown at once.
  const isKnown = useRef(view.state.items.length > 0 && view.sync === "closed" || view.state.items.length > 0 && view.sync === "live");
  if (isComing && (isElsewhere || !isKnown.current)) {
    return NO_ROWS;
  }
  isShown.current = true;
  return last.current;
}

const PATIENCE_MS = 2_500;

function Empty({ view: { sync, state, error, earlier } }: { view: SessionView }) {
  if (error) {
    return <p class="conversation__empty" role="alert">This session cannot be shown: {error.message}</p>;
  }
  if (sync !== "live" || earlier !== null) {
    return <div class="conversation__loading" role="status" aria-label="The conversation is being loaded"><i /><i /><i /></div>;
  }
  return (
    <div class="conversation__empty">
      <p class="conversation__hello">Nothing was said yet.</p>
      <p>{state.phase === "closed" ? "This session is closed." : "Write below what the agent should do."}</p>
    </div>
  );
}

/** One that cannot be shown, whatever its agent sent, leaves the others readable. */
export const drawRow = (row: Row) => <ErrorBoundary name="This entry" of={row}><RowView row={row} /></ErrorBoundary>;

const RowView = memo(function RowView({ row }: { row: Row }) {
  switch (row.kind) {
    case "calls":
      return <CallStack rowKey={row.key} calls={row.calls} />;
    case "late":
      return <LateOutput items={row.items} />;
    default:
  }
  const { item } = row;
  switch (item.kind) {
    case "user":
      return <UserMessage item={item} />;
    case "text":
      return <AgentText item={item} />;
    case "thought":
      return <Thought item={item} />;
    case "permission":
      return <PermissionNote item={item} />;
    case "end":
      return <TurnEnd item={item} />;
    case "error":
      return <ErrorNote item={item} />;
    case "update":
      return <UpdateNote item={item} />;
    case "closed":
      return <ClosedNote item={item} />;
    default:
      return <></>; // of a kind that this version does not know
  }
}, (before, after) => before.row === after.row);
