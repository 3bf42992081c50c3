// From a session's items to the rows that are drawn: calls of tools that follow each other are one row, what a sub-agent does stands
// beneath the call that it is part of, and a permission request beneath the call that it is about. Pure; a row that has not changed
// is the same object as before.
import type { Item, PermissionItem, TextItem, ToolItem, UpdateItem } from "signalbox-client/state";

/** A tool call and what belongs to it. */
export interface Call {
  item: ToolItem;
  permissions: PermissionItem[];
  /** What its sub-agent says and does, in its order. */
  parts: Part[];
}

export type Part = { kind: "call"; key: string; call: Call } | { kind: "text"; key: string; item: TextItem };

export type Row =
  | { kind: "item"; key: string; item: Exclude<Item, ToolItem> }
  | { kind: "calls"; key: string; calls: Call[] }
  | { kind: "late"; key: string; items: UpdateItem[]; toolUseId: string };

export interface Rows {
  items: readonly Item[];
  rows: readonly Row[];
  /** Which items each row is made of, for finding out whether it is still the same. */
  sources: readonly (readonly Item[])[];
  /** For each row: the first item from which on it and what follows can be made anew. */
  starts: readonly number[];
  /** What came before the first item is not there yet. */
  isPartial: boolean;
}

export const NO_ROWS: Rows = { items: [], rows: [], sources: [], starts: [], isPartial: false };

export const PARTS_SHOWN = 60; // of a sub-agent's many, the last ones

const MOST_CALLS = 40; // in one row: rows are what is drawn or not
const MOST_DEPTH = 8;

interface Draft {
  row: Row;
  source: Item[];
  start: number;
}

/**
 * The rows of `items`, where `before` are those of an earlier list of the same session. `isPartial`: what came before the first item is
 * not there yet; then what may stand within a row that began before is no row of its own until that is known.
 */
export function rowsOf(items: readonly Item[], before: Rows = NO_ROWS, isPartial = false): Rows {
  if (items === before.items && isPartial === before.isPartial) {
    return before;
  }
  // A prompt begins something new: what is before the last one that has not changed stays as it is.
  let same = 0;
  const least = isPartial === before.isPartial ? Math.min(items.length, before.items.length) : 0;
  while (same < least && items[same] === before.items[same]) {
    same++;
  }
  let kept = 0;
  for (let at = before.rows.length - 1; at > 0 && kept === 0; at--) {
    const row = before.rows[at]!;
    if (before.starts[at]! < same && row.kind === "item" && row.item.kind === "user") {
      kept = at;
    }
  }
  const from = kept > 0 ? before.starts[kept]! : 0;
  const drafts = draftsOf(items, from, isPartial && kept === 0);
  const known = new Map(before.rows.slice(kept).map((row, at) => [row.key, kept + at]));
  const rows = before.rows.slice(0, kept);
  const sources = before.sources.slice(0, kept);
  const starts = before.starts.slice(0, kept);
  for (const { row, source, start } of drafts) {
    const at = known.get(row.key);
    const isSame = at !== undefined && before.rows[at]!.kind === row.kind && equal(before.sources[at]!, source);
    rows.push(isSame ? before.rows[at]! : row);
    sources.push(source);
    starts.push(start);
  }
  return { items, rows, sources, starts, isPartial };
}

const equal = (a: readonly Item[], b: readonly Item[]): boolean => a.length === b.length && a.every((item, at) => item === b[at]);

/** What stands by itself, whatever came before it. */
const isAlone = (item: Item): boolean =>
  item.kind === "user" || ((item.kind === "text" || item.kind === "thought") && !item.parentToolUseId) || item.kind === "end" || item.kind === "error";

/** `isCut`: before the first prompt there may be parts of calls that are not there. */
function draftsOf(items: readonly Item[], from: number, isCut: boolean): Draft[] {
  const drafts: Draft[] = [];
  if (isCut) {
    from = Math.max(from, items.findIndex(isAlone));
  }
  const calls = new Map<string, { call: Call; draft: Draft; depth: number }>();
  for (let at = from; at < items.length; at++) {
    const item = items[at]!;
    const last = drafts.at(-1);
    if (item.kind === "user") {
      calls.clear(); // what an earlier turn's calls still do stands where it is said
      isCut = false;
    }
    if ((item.kind === "tool" || item.kind === "text" || item.kind === "thought") && item.parentToolUseId) {
      const parent = calls.get(item.parentToolUseId);
      if (parent) {
        parent.draft.source.push(item);
        if (item.kind === "tool") {
          const call: Call = { item, permissions: [], parts: [] };
          const depth = parent.depth + 1;
          // Deeper than that nobody can follow: it stands beside its parent.
          parent.call.parts.push({ kind: "call", key: item.key, call });
          calls.set(item.toolUseId, depth < MOST_DEPTH ? { call, draft: parent.draft, depth } : { ...parent });
        } else {
          parent.call.parts.push({ kind: "text", key: item.key, item });
        }
        continue;
      }
      if (isCut) {
        continue;
      }
    }
    if (item.kind === "tool") {
      const call: Call = { item, permissions: [], parts: [] };
      let draft = last?.row.kind === "calls" && last.row.calls.length < MOST_CALLS ? last : null;
      if (draft) {
        (draft.row as { calls: Call[] }).calls.push(call);
        draft.source.push(item);
      } else {
        draft = { row: { kind: "calls", key: item.key, calls: [call] }, source: [item], start: at };
        drafts.push(draft);
      }
      calls.set(item.toolUseId, { call, draft, depth: 0 });
      continue;
    }
    if (item.kind === "permission") {
      const about = calls.get(item.request.toolUseId);
      if (about) {
        about.call.permissions.push(item);
        about.draft.source.push(item);
        continue;
      }
      if (isCut) {
        continue;
      }
    }
    if (item.kind === "update") {
      const toolUseId = lateOf(item);
      if (toolUseId !== null) {
        if (last?.row.kind === "late" && last.row.toolUseId === toolUseId) {
          last.row.items.push(item);
          last.source.push(item);
        } else {
          drafts.push({ row: { kind: "late", key: item.key, items: [item], toolUseId }, source: [item], start: at });
        }
        continue;
      }
    }
    drafts.push({ row: { kind: "item", key: item.key, item }, source: [item], start: at });
  }
  return drafts;
}

/** What a command says whose call is over. */
function lateOf({ update }: UpdateItem): string | null {
  return update.sessionUpdate === "late_output" && typeof update.toolUseId === "string" && typeof update.data === "string" ? update.toolUseId : null;
}

/** The row that has an item; -1: none. */
export function rowOfItem({ rows, sources }: Rows, key: string): number {
  return rows.findIndex((row, at) => row.key === key || sources[at]!.some((item) => item.key === key));
}

/** What must be open for an item of a row to be seen: names of `useOpen`, the outermost first. */
export function pathTo(row: Row, key: string): string[] {
  if (row.kind !== "calls") {
    return row.kind === "item" && row.item.kind === "thought" ? [row.key] : [];
  }
  const at = row.calls.findIndex((call) => wayIn(call, key) !== null);
  if (at < 0) {
    return [];
  }
  return [...(at < foldedCalls(row.calls) ? [`stack:${row.key}`] : []), ...wayIn(row.calls[at]!, key)!];
}

function wayIn(call: Call, key: string): string[] | null {
  if (call.item.key === key) {
    return [key];
  }
  if (call.permissions.some((each) => each.key === key)) {
    return [];
  }
  for (const [at, part] of call.parts.entries()) {
    const way = part.kind === "call" ? wayIn(part.call, key) : part.key === key ? (part.item.kind === "thought" ? [key] : []) : null;
    if (way) {
      return [`parts:${call.item.key}`, ...(at < call.parts.length - PARTS_SHOWN ? [`all:${call.item.key}`] : []), ...way];
    }
  }
  return null;
}

/** What is in many calls, in words: "5 read, 2 searched". */
export function callsInWords(calls: readonly Call[]): string {
  const counts = new Map<string, number>();
  for (const { item } of calls) {
    const word = Object.hasOwn(DONE, item.toolKind) ? DONE[item.toolKind]! : "other";
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]).map(([word, count]) => `${count} ${word}`).join(", ");
}

const DONE: { [kind: string]: string } = {
  read: "read", edit: "edited", delete: "deleted", move: "moved", search: "searched", execute: "run", fetch: "fetched", think: "thought",
};

const CALLS_SHOWN = 6; // of more, the first ones are folded
const CALLS_LEFT = 3;

/** How many calls at a row's beginning are folded to one line: those that are over and did well. */
export function foldedCalls(calls: readonly Call[]): number {
  if (calls.length <= CALLS_SHOWN) {
    return 0;
  }
  const quiet = ({ item, permissions, parts }: Call) =>
    item.done && !item.isError && parts.length === 0 && permissions.every((each) => each.state === "resolved" && each.outcome === "allowed");
  let count = 0;
  while (count < calls.length - CALLS_LEFT && quiet(calls[count]!)) {
    count++;
  }
  return count > 1 ? count : 0;
}
