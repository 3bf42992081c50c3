// What has happened that a person who looks elsewhere would want to be told. Pure; notifier.ts shows it.
import type { PermissionRequest, SessionSummary } from "signalbox-client";

export interface Glance {
  sessions: ReadonlyMap<string, SessionSummary>;
  /** Null: not known yet. */
  requests: ReadonlyMap<string, PermissionRequest> | null;
}

export type News =
  | { kind: "asks"; request: PermissionRequest }
  | { kind: "finished"; session: SessionSummary }
  | { kind: "failed"; session: SessionSummary };

const AT_WORK = new Set(["running", "waiting"]);

/** What is new from one glance at everything to the next. */
export function newsOf(before: Glance, after: Glance): News[] {
  const news: News[] = [];
  if (before.requests !== null && after.requests !== null) {
    for (const [requestId, request] of after.requests) {
      if (!before.requests.has(requestId)) {
        news.push({ kind: "asks", request });
      }
    }
  }
  for (const [sessionId, session] of after.sessions) {
    const was = before.sessions.get(sessionId);
    if (was && AT_WORK.has(was.phase) && session.pending === 0) {
      if (session.phase === "failed") {
        news.push({ kind: "failed", session });
      } else if (session.phase === "idle") {
        news.push({ kind: "finished", session });
      }
    }
  }
  return news;
}

/** Requests that wait no longer: what was said of them can go. */
export function overOf(before: Glance, after: Glance): string[] {
  return before.requests === null || after.requests === null ? [] : [...before.requests.keys()].filter((requestId) => !after.requests!.has(requestId));
}

/** Requests that wait, in all sessions or in all others. */
export function waitingCount(requests: ReadonlyMap<string, PermissionRequest>, except?: string): number {
  return except === undefined ? requests.size : [...requests.values()].filter(({ sessionId }) => sessionId !== except).length;
}

/** `(2) Fix the build · Signalbox` */
export function pageTitle(waiting: number, place: string, name: string): string {
  return `${waiting > 0 ? `(${waiting}) ` : ""}${place ? `${place} · ` : ""}${name}`;
}
