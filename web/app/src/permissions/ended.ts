// Requests that ended while they were shown: for a moment the page says how, and by whom.
import { useEffect, useRef, useState } from "preact/hooks";
import type { PermissionItem, PermissionRequest, SessionState, SessionView } from "signalbox-client";
import { cancelledSentence, outcomeSentence } from "./words";

export interface Ended {
  request: PermissionRequest;
  state: "resolved" | "expired" | "cancelled";
  sentence: string;
  outcome: "allowed" | "rejected" | null;
  message: string | null;
  /** It was this page's own answer that ended it. */
  isOwn: boolean;
}

/** How a request ended, from its item in the conversation; without one nothing more is known than that it is over. */
export function endedOf(request: PermissionRequest, item: PermissionItem | null, clientId: string, me: string | null): Ended {
  const ended = { request, outcome: null, message: null, isOwn: false };
  if (item?.state === "timeout") {
    return { ...ended, state: "expired", sentence: "Time ran out without an answer. Nothing was allowed." };
  }
  if (item?.state === "cancelled") {
    return { ...ended, state: "cancelled", sentence: `${cancelledSentence(item.reason)} There is nothing to answer any more.` };
  }
  if (item?.state === "pending") {
    item = null;
  }
  const outcome = (["allowed", "rejected"] as const).find((each) => each === item?.outcome) ?? null;
  return {
    ...ended, state: "resolved", outcome, message: item?.message ?? null, isOwn: item?.cause?.clientId === clientId,
    sentence: item ? outcomeSentence(outcome ?? undefined, item.by, me) : "This is over.",
  };
}

function itemOf(state: SessionState, requestId: string): PermissionItem | null {
  for (let at = state.items.length - 1; at >= 0; at--) {
    const item = state.items[at]!;
    if (item.kind === "permission" && item.request.requestId === requestId) {
      return item;
    }
  }
  return null;
}

export const SHOWN_MS = 7_000;

/**
 * The requests of a session that ended while this was there, newest last; each for a few seconds, or until it is dismissed. After
 * a cut `subscribed` says that one is over before the event comes that says how: until then nothing is said.
 */
export function useEnded({ state, sync }: SessionView, clientId: string, me: string | null): { ended: readonly Ended[]; dismiss(requestId: string): void } {
  const [ended, setEnded] = useState<readonly Ended[]>([]);
  const open = useRef<{ sessionId: string; requests: readonly PermissionRequest[] }>({ sessionId: state.sessionId, requests: [] });
  const dismiss = (requestId: string) => setEnded((all) => all.filter((each) => each.request.requestId !== requestId));
  useEffect(() => {
    const before = open.current.sessionId === state.sessionId ? open.current.requests : [];
    const isPending = ({ requestId }: PermissionRequest) => state.pending.some((each) => each.requestId === requestId);
    const over = before
      .filter((request) => !isPending(request))
      .map((request) => ({ request, item: itemOf(state, request.requestId) }));
    const isTold = ({ item }: { item: PermissionItem | null }) => sync === "live" || (item !== null && item.state !== "pending");
    open.current = { sessionId: state.sessionId, requests: [...over.filter((each) => !isTold(each)).map(({ request }) => request), ...state.pending] };
    const now = over.filter(isTold).map(({ request, item }) => endedOf(request, item, clientId, me));
    if (now.length > 0) {
      setEnded((all) => [...all, ...now]);
    }
  }, [state, sync]);
  useEffect(() => {
    if (ended.length === 0) {
      return undefined;
    }
    const oldest = ended[0]!.request.requestId;
    const timer = setTimeout(() => dismiss(oldest), SHOWN_MS / Math.min(4, ended.length));
    return () => clearTimeout(timer);
  }, [ended]);
  return { ended, dismiss };
}
