// Requests of any session that ended while they were listed. The list says only that they ended; who ended them is asked for.
import { useEffect, useRef, useState } from "preact/hooks";
import type { AuditEntry, PermissionRequest, SignalboxClient } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
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

async function entryOf(client: SignalboxClient, { sessionId, requestId }: PermissionRequest): Promise<AuditEntry | null> {
  try {
    const { items } = await client.http.audit({ session: sessionId, order: "desc", limit: 50 });
    return items.find((entry) => entry.action === "decision" && entry.requestId === requestId) ?? null;
  } catch {
    return null; // that it is over is said all the same
  }
}

export function useEndedAnywhere(
  items: ReadonlyMap<string, PermissionRequest>, me: string | null, announce: (text: string) => void,
): { ended: readonly Ended[]; dismiss(requestId: string): void } {
  const client = useClient();
  const [ended, setEnded] = useState<readonly Ended[]>([]);
  const before = useRef(items);
  const dismiss = (requestId: string) => setEnded((all) => all.filter((each) => each.request.requestId !== requestId));
  useEffect(() => {
    const gone = [...before.current.values()].filter(({ requestId }) => !items.has(requestId));
    before.current = items;
    for (const request of gone) {
      void entryOf(client, request).then((entry) => {
        const now = endedByAudit(request, entry, client.clientId, me);
        if (!now.isOwn) {
          setEnded((all) => [...all, now].slice(-5));
          setTimeout(() => dismiss(request.requestId), SHOWN_MS);
        }
        announce(now.sentence);
      });
    }
  }, [items]);
  return { ended, dismiss };
}
