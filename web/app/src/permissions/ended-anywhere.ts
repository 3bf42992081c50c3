// Requests of any session that ended while they were listed. The list says only that they ended; who ended them is asked for.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { AuditEntry, AuditPage, PermissionRequest } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { count } from "../ui/text";
import { SHOWN_MS } from "./ended";
import type { Ended } from "./ended";
import { cancelledSentence, outcomeSentence } from "./words";

/** How a request ended, by its entry in the audit. Pure. */
export function endedByAudit(request: PermissionRequest, entry: AuditEntry | null, clientId: string, me: string | null): Ended {
  const ended = { request, outcome: null, message: null, isOwn: entry?.from?.clientId === clientId && entry?.by === "user" };
  switch (entry?.outcome) {
    case "timeout":
      return { ...ended, state: "expired", sentence: "Time ran out without an answer. Nothing was allowed." };
    case "cancelled":
      return { ...ended, state: "cancelled", sentence: cancelledSentence(entry.reason) };
    case "allowed":
    case "rejected": {
      const by = entry.by === "rule" ? { rule: entry.ruleId ?? "" } : entry.by === "policy" ? { policy: entry.policy ?? "" } : { user: entry.user };
      return { ...ended, state: "resolved", outcome: entry.outcome === "allowed" ? "allowed" : "rejected", message: entry.message ?? null, sentence: outcomeSentence(entry.outcome, by, me) };
    }
    default:
      return { ...ended, state: "resolved", sentence: "This was answered, or is over." };
  }
}

const MOST_ENTRIES = 500; // a page of the audit's
const MOST_SHOWN = 5;

type Query = { [name: string]: string | number | undefined };

export interface AuditAsker {
  /** These have ended. They are told of together, in the order in which they were given. */
  add(requests: readonly PermissionRequest[]): void;
}

/**
 * Asks the audit how requests ended: one question at a time for all that ended before it, and one page. What just ended is among the
 * newest entries; of what is not found there only that it is over is told. A rule can end hundreds at once.
 */
export function auditAsker(ask: (query: Query) => Promise<AuditPage>, tell: (ended: [PermissionRequest, AuditEntry | null][]) => void): AuditAsker {
  let waiting: PermissionRequest[] = [];
  let isAsking = false;
  const next = async () => {
    isAsking = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const entries = new Map<string, AuditEntry>();
      const [first] = batch;
      const session = batch.every(({ sessionId }) => sessionId === first!.sessionId) ? first!.sessionId : undefined;
      try {
        const since = Math.min(...batch.map(({ createdAt }) => createdAt));
        const { items } = await ask({ session, since, order: "desc", limit: MOST_ENTRIES });
        for (const entry of items) {
          if (entry.action === "decision" && entry.requestId && !entries.has(entry.requestId)) {
            entries.set(entry.requestId, entry);
          }
        }
      } catch {
        // that they are over is said all the same
      }
      tell(batch.map((request) => [request, entries.get(request.requestId) ?? null]));
    }
    isAsking = false;
  };
  return {
    add(requests) {
      waiting = [...waiting, ...requests].slice(-MOST_ENTRIES);
      if (!isAsking && waiting.length > 0) {
        void next();
      }
    },
  };
}

/** What is said aloud of requests that ended together. */
export function endedInWords(ended: readonly Ended[]): string {
  return ended.length === 1 ? ended[0]!.sentence : `${count(ended.length, "request is", "requests are")} answered, or over.`;
}

export function useEndedAnywhere(
  items: ReadonlyMap<string, PermissionRequest>, me: string | null, announce: (text: string) => void,
): { ended: readonly Ended[]; dismiss(requestId: string): void } {
  const client = useClient();
  const [ended, setEnded] = useState<readonly Ended[]>([]);
  const before = useRef(items);
  const reader = useRef({ me, announce });
  reader.current = { me, announce };
  const timers = useRef(new Set<ReturnType<typeof setTimeout>>());
  const dismiss = (requestId: string) => setEnded((all) => all.filter((each) => each.request.requestId !== requestId));
  const asker = useMemo(() => auditAsker((query) => client.http.audit(query), (told) => {
    const now = told.map(([request, entry]) => endedByAudit(request, entry, client.clientId, reader.current.me));
    const shown = now.filter(({ isOwn }) => !isOwn).slice(-MOST_SHOWN);
    if (shown.length > 0) {
      setEnded((all) => [...all, ...shown].slice(-MOST_SHOWN));
      const timer = setTimeout(() => {
        timers.current.delete(timer);
        shown.forEach(({ request }) => dismiss(request.requestId));
      }, SHOWN_MS);
      timers.current.add(timer);
    }
    reader.current.announce(endedInWords(now));
  }), [client]);
  useEffect(() => () => timers.current.forEach(clearTimeout), []);
  useEffect(() => {
    const gone = [...before.current.values()].filter(({ requestId }) => !items.has(requestId));
    before.current = items;
    asker.add(gone);
  }, [items]);
  return { ended, dismiss };
}
