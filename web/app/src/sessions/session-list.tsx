import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { PermissionRequest, SessionSummary } from "signalbox-client";
import { useClient, usePermissions, useSessions } from "signalbox-client/preact";
import { hrefOf } from "../shell/router";
import { CloseIcon, ChevronRightIcon, PlusIcon, SearchIcon } from "../ui/icons";
import { ago, span, useNow } from "../ui/time";
import { useAgents } from "./agents";
import { groupSessions, isFound, isWaiting } from "./grouping";
import type { SessionGroup } from "./grouping";
import { useNames } from "./names";
import { phaseWord, shownPhase } from "./phases";
import { SessionRow } from "./session-row";
import "./session-list.css";

const NONE: readonly PermissionRequest[] = [];

// Where one was in the list, and what was searched, while it is not there: on a phone it is a page that comes and goes.
let kept = { query: "", scroll: 0, isClosedOpen: false };

/** All sessions, searched and grouped. */
export function SessionList({ current, isPage }: { current: string | null; isPage: boolean }) {
  const { items, isLoaded, next } = useSessions();
  const asks = useAsks();
  const agents = useAgents();
  const names = useNames();
  const now = useNow(15_000);
  const [query, setQuery] = useState(kept.query);
  const [isClosedOpen, setClosedOpen] = useState(kept.isClosedOpen);
  const scroller = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const titleOf = (name: string) => agents.list?.agents.find((agent) => agent.name === name)?.title || name;
  const isSearching = query.trim() !== "";

  useEffect(() => {
    kept = { ...kept, query, isClosedOpen };
  }, [query, isClosedOpen]);
  useEffect(() => {
    const { current: pane } = scroller;
    pane?.scrollTo(0, kept.scroll);
    return () => {
      kept = { ...kept, scroll: pane?.scrollTop ?? 0 };
    };
  }, []);

  const minute = Math.floor(now / 60_000);
  const groups = useMemo(() => {
    const found = [...items.values()].filter((session) => !isSearching || isFound(query, [
      session.title || names.get(session.sessionId) || "", session.workspace, session.agent, titleOf(session.agent), phaseWord(shownPhase(session)),
    ]));
    return groupSessions(found, now);
  }, [items, query, names, agents, minute]);

  const isEmpty = groups.length === 0;
  return (
    <>
      <form class="session-search" role="search" onSubmit={(event) => event.preventDefault()}>
        <SearchIcon />
        <input
          ref={search} class="input session-search__input" type="search" placeholder="Search sessions" aria-label="Search sessions"
          data-testid="session-search" autocomplete="off" spellcheck={false} value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              if (query) {
                setQuery("");
              } else {
                search.current?.blur();
              }
            } else if (event.key === "ArrowDown" || event.key === "Enter") {
              event.preventDefault();
              const first = scroller.current?.querySelector<HTMLElement>("[data-testid=session-row]");
              first?.focus();
              if (event.key === "Enter") {
                first?.click();
              }
            }
          }}
        />
        {query && (
          <button type="button" class="icon-button session-search__clear" aria-label="Clear the search" onClick={() => { setQuery(""); search.current?.focus(); }}>
            <CloseIcon size={14} />
          </button>
        )}
      </form>
      <div class="session-list" ref={scroller} data-testid="session-list">
        {groups.map((group) => (
          <Group
            key={group.id} group={group} current={current} asks={asks} now={now} agentTitle={titleOf}
            isOpen={group.id !== "closed" || isSearching || isClosedOpen} onToggle={group.id === "closed" && !isSearching ? () => setClosedOpen(!isClosedOpen) : undefined}
          />
        ))}
        {isEmpty && isLoaded && (
          <div class="session-list__none">
            <p>{isSearching ? "No session is like that." : "No sessions yet."}</p>
            {isPage && !isSearching && (
              <>
                <p>Start an agent in one of your folders. What it does is recorded here, and it asks before it acts.</p>
                <a class="button button--primary" href={hrefOf({ name: "new" })}><PlusIcon /> New session</a>
              </>
            )}
          </div>
        )}
        {!isLoaded && <p class="session-list__none">Loading…</p>}
        {next !== null && <Older isSearching={isSearching} />}
        <p class="visually-hidden" role="status">{isSearching ? `${groups.reduce((sum, { sessions }) => sum + sessions.length, 0)} found` : ""}</p>
      </div>
    </>
  );
}

/** By session, oldest first. */
function useAsks(): ReadonlyMap<string, PermissionRequest[]> {
  const { items } = usePermissions();
  return useMemo(() => {
    const asks = new Map<string, PermissionRequest[]>();
    for (const request of items.values()) {
      asks.set(request.sessionId, [...(asks.get(request.sessionId) ?? []), request]);
    }
    return asks;
  }, [items]);
}

interface GroupProps {
  group: SessionGroup;
  current: string | null;
  asks: ReadonlyMap<string, PermissionRequest[]>;
  now: number;
  agentTitle(name: string): string;
  isOpen: boolean;
  /** Only where it can be folded. */
  onToggle?: () => void;
}

function Group({ group: { id, title, sessions }, current, asks, now, agentTitle, isOpen, onToggle }: GroupProps) {
  const heading = `sessions-${id}`;
  return (
    <section class={`session-group session-group--${id}`} aria-labelledby={heading}>
      <h2 id={heading} class="session-group__title">
        {onToggle ? (
          <button type="button" aria-expanded={isOpen} onClick={onToggle}>
            <ChevronRightIcon size={12} /> {title} <span class="session-group__count">{sessions.length}</span>
          </button>
        ) : (
          <>{title} <span class="session-group__count">{id === "running" ? sessions.length : ""}</span></>
        )}
      </h2>
      {isOpen && (
        <ul>
          {sessions.map((session) => (
            <SessionRow
              key={session.sessionId} session={session} isCurrent={session.sessionId === current}
              asks={session.pending > 0 ? (asks.get(session.sessionId) ?? NONE) : NONE} when={whenOf(session, now)} agent={agentTitle(session.agent)}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

const whenOf = (session: SessionSummary, now: number): string =>
  isWaiting(session) ? span(now - (session.oldestPendingAt ?? session.updatedAt)) : ago(session.updatedAt, now);

function Older({ isSearching }: { isSearching: boolean }) {
  const client = useClient();
  const [state, setState] = useState<"ready" | "busy" | "failed">("ready");
  const load = () => {
    setState("busy");
    client.loadOlderSessions().then(() => setState("ready"), () => setState("failed"));
  };
  return (
    <div class="session-list__older">
      {state === "failed" && <p role="alert">Older sessions could not be read.</p>}
      <button type="button" class="button button--quiet" data-testid="older-sessions" disabled={state === "busy"} onClick={load}>
        {state === "busy" ? "Loading…" : isSearching ? "Search older sessions" : "Show older sessions"}
      </button>
    </div>
  );
}
