// The order of the list: what waits for a person first, then what runs, then the rest by time; closed ones last. Pure.
import type { SessionSummary } from "signalbox-client";
import { daysBetween } from "../ui/time";

export type GroupId = "waiting" | "running" | "today" | "yesterday" | "week" | "older" | "closed";

export interface SessionGroup {
  id: GroupId;
  title: string;
  sessions: SessionSummary[];
}

const TITLES: [GroupId, string][] = [
  ["waiting", "Waiting for you"], ["running", "Running"], ["today", "Today"], ["yesterday", "Yesterday"],
  ["week", "This week"], ["older", "Older"], ["closed", "Closed"],
];

export const isWaiting = (session: SessionSummary): boolean => session.phase !== "closed" && (session.pending > 0 || session.phase === "waiting");
export const isRunning = (session: SessionSummary): boolean => session.phase === "running" || session.phase === "starting";

export function groupOf(session: SessionSummary, now: number): GroupId {
  if (session.phase === "closed") {
    return "closed";
  }
  if (isWaiting(session)) {
    return "waiting";
  }
  if (isRunning(session)) {
    return "running";
  }
  const days = daysBetween(session.updatedAt, now);
  return days <= 0 ? "today" : days === 1 ? "yesterday" : days < 7 ? "week" : "older";
}

// Rows must not change places under a finger: who waits stays by since when, who runs by when it was made, and the rest by the
// minute. The id decides between equals.
const minute = (at: number) => Math.floor(at / 60_000);
const byId = (a: SessionSummary, b: SessionSummary) => (a.sessionId < b.sessionId ? -1 : a.sessionId > b.sessionId ? 1 : 0);
const waitsSince = (session: SessionSummary) => session.oldestPendingAt ?? session.updatedAt;

const ORDERS: { [id in GroupId]?: (a: SessionSummary, b: SessionSummary) => number } = {
  waiting: (a, b) => waitsSince(a) - waitsSince(b) || byId(a, b),
  running: (a, b) => b.createdAt - a.createdAt || byId(a, b),
};
const byTime = (a: SessionSummary, b: SessionSummary) => minute(b.updatedAt) - minute(a.updatedAt) || b.createdAt - a.createdAt || byId(a, b);

/** The groups in which there is something, in their order. */
export function groupSessions(sessions: Iterable<SessionSummary>, now: number): SessionGroup[] {
  const groups = new Map<GroupId, SessionSummary[]>();
  for (const session of sessions) {
    const id = groupOf(session, now);
    const members = groups.get(id);
    if (members) {
      members.push(session);
    } else {
      groups.set(id, [session]);
    }
  }
  return TITLES.flatMap(([id, title]) => {
    const members = groups.get(id);
    return members ? [{ id, title, sessions: members.sort(ORDERS[id] ?? byTime) }] : [];
  });
}

const plain = (text: string) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

/** Whether every word of a search is in one of the texts; case and accents do not count. */
export function isFound(query: string, texts: readonly string[]): boolean {
  const all = plain(texts.join("\n"));
  return plain(query).split(/\s+/).every((word) => all.includes(word));
}

/** Workspaces that were used last, newest first, each once. */
export function recentWorkspaces(sessions: Iterable<SessionSummary>, most = 6): string[] {
  const last = new Map<string, number>();
  for (const { workspace, updatedAt } of sessions) {
    if (workspace) {
      last.set(workspace, Math.max(last.get(workspace) ?? 0, updatedAt));
    }
  }
  return [...last].sort(([, a], [, b]) => b - a).slice(0, most).map(([workspace]) => workspace);
}
