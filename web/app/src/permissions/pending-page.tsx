import { useEffect, useRef, useState } from "preact/hooks";
import type { PermissionRequest, SessionSummary } from "signalbox-client";
import { useClient, usePermissions, useSessions, useStore } from "signalbox-client/preact";
import { useSessionName } from "../sessions/names";
import { Page } from "../shell/page";
import { hrefOf } from "../shell/router";
import { InboxIcon } from "../ui/icons";
import { clock, useNow } from "../ui/time";
import { Announcer, useAnnouncer } from "./announcer";
import { EndedNote } from "./ended-note";
import { useEndedAnywhere } from "./ended-anywhere";
import { PermissionCard } from "./permission-card";
import type { CardPlace } from "./permission-card";
import { diffsOf } from "./diffs";
import { useCallNear } from "./near";
import { questionOf } from "./words";
import { visibleText } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";
import "./pending-page.css";

/** Everything that waits for an answer, over all sessions; the session that waits longest comes first. */
export function PendingPage() {
  const client = useClient();
  const me = useStore(client.server, (server) => server?.user ?? null);
  const { items, isLoaded } = usePermissions();
  const sessions = useSessions();
  const { text, announce } = useAnnouncer();
  const { ended, dismiss } = useEndedAnywhere(items, me, announce);
  const groups = groupsOf(items.values());
  const page = useRef<HTMLDivElement>(null);
  const seen = useRef(new Set<string>());
  const order = groups.flatMap(({ requests }) => requests.map(({ requestId }) => requestId));
  const current = useCurrentCard(page, order);
  useEffect(() => {
    const known = new Set<string>();
    for (const request of items.values()) {
      known.add(request.requestId);
    }
    const fresh = [...known].filter((id) => !seen.current.has(id));
    if (isLoaded && seen.current.size > 0 && fresh.length > 0) {
      announce(`${questionOf(items.get(fresh[0]!)!)}: one more waits for an answer.`);
    }
    seen.current = known;
  }, [items]);

  const lead = items.size === 0 ? null : `${items.size === 1 ? "One request" : `${items.size} requests`}${groups.length > 1 ? ` in ${groups.length} sessions` : ""}`;
  return (
    <Page title="Waiting for you" lead={lead} testId="pending-page">
      <div ref={page} class="pending-page">
        <Announcer text={text} />
        {ended.length > 0 && (
          <div class="pending-page__ended">
            {ended.map((each) => <EndedNote key={each.request.requestId} ended={each} onClose={() => dismiss(each.request.requestId)} />)}
          </div>
        )}
        {!isLoaded && <p class="pending-page__none" role="status">Looking…</p>}
        {isLoaded && items.size === 0 && (
          <div class="pending-page__none">
            <InboxIcon size={28} />
            <p>Nothing waits for an answer.</p>
            <p class="pending-page__hint">When an agent asks for permission, it is shown here, whatever session it is in.</p>
          </div>
        )}
        {groups.map(({ sessionId, requests }) => (
          <Group key={sessionId} sessionId={sessionId} requests={requests} summary={sessions.items.get(sessionId) ?? null} current={current} announce={announce} />
        ))}
      </div>
    </Page>
  );
}

/** By session; `items` are the oldest first, and so are the groups. */
export function groupsOf(items: Iterable<PermissionRequest>): { sessionId: string; requests: PermissionRequest[] }[] {
  const groups = new Map<string, PermissionRequest[]>();
  for (const request of items) {
    groups.set(request.sessionId, [...(groups.get(request.sessionId) ?? []), request]);
  }
  return [...groups].map(([sessionId, requests]) => ({ sessionId, requests }));
}

interface GroupProps {
  sessionId: string;
  requests: PermissionRequest[];
  summary: SessionSummary | null;
  current: string | null;
  announce(text: string): void;
}

function Group({ sessionId, requests, summary, current, announce }: GroupProps) {
  const now = useNow(30_000);
  const href = hrefOf({ name: "session", sessionId });
  const name = useSessionName(summary ?? { sessionId, title: "", head: 0 }) || "Untitled session";
  const place: CardPlace = { agent: summary?.agent ?? null, workspace: summary?.workspace ?? null, policy: summary?.policy ?? null, session: null };
  const since = requests[0]!.createdAt;
  return (
    <section class="pending-page__group" aria-label={visibleText(name)}>
      <h2><a href={href}><VisibleText text={name} /></a><span>since {clock(since, now)}</span></h2>
      {requests.map((request) => {
        const props = { key: request.requestId, request, place, announce, isCurrent: request.requestId === current };
        // A change to a file can be judged by the change only, and that is in its tool call.
        return request.kind === "edit" ? <CardOfChange {...props} /> : <PermissionCard {...props} tool={null} />;
      })}
    </section>
  );
}

function CardOfChange(props: Omit<Parameters<typeof PermissionCard>[0], "tool" | "note">) {
  const { request } = props;
  const { call, state, again } = useCallNear(request);
  const isThere = diffsOf(request, call).length > 0;
  const href = hrefOf({ name: "session", sessionId: request.sessionId, item: `tool:${request.toolUseId}` });
  const isLate = isThere && state === "failed"; // what is shown may not be all of it any more
  const note = state === "found" || (isThere && !isLate) ? null : (
    <p class="permission-card__cut" data-testid="near-note" data-state={state} role={state === "failed" ? "alert" : "status"}>
      {state === "looking" && "Fetching the change…"}
      {state === "not_near" && <>The change stands further up in its session. <a href={href}>Show it there</a></>}
      {state === "failed" && <>{isLate ? "What has become of this change" : "The change"} could not be fetched. <button type="button" class="permission-card__quiet" onClick={again}>Try again</button></>}
    </p>
  );
  return <PermissionCard {...props} tool={call} note={note} />;
}

/** The card that keys answer: the one with the focus, else the first. When it goes, the next one gets the focus. */
function useCurrentCard(page: { current: HTMLElement | null }, order: readonly string[]): string | null {
  const [focused, setFocused] = useState<string | null>(null);
  const before = useRef<readonly string[]>(order);
  useEffect(() => {
    const node = page.current!;
    const into = (event: FocusEvent) => {
      const card = (event.target as HTMLElement).closest<HTMLElement>(".permission-card");
      setFocused(card?.dataset.requestId ?? null);
    };
    node.addEventListener("focusin", into);
    return () => node.removeEventListener("focusin", into);
  }, []);
  useEffect(() => {
    const was = before.current;
    before.current = order;
    const isLost = focused !== null && !order.includes(focused) && document.activeElement === document.body;
    if (isLost) {
      const next = was.slice(was.indexOf(focused) + 1).find((id) => order.includes(id)) ?? order.at(-1);
      const cards = [...page.current!.querySelectorAll<HTMLElement>(".permission-card")];
      (cards.find((card) => card.dataset.requestId === next) ?? page.current!.querySelector<HTMLElement>("h1 a, h2 a"))?.focus();
    }
  });
  return focused !== null && order.includes(focused) ? focused : (order[0] ?? null);
}
