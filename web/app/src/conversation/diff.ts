// From two texts, or from a patch, to the rows that a person reads. The differences are found by `diff`; here are the bounds: a huge
// or hostile pair costs a fixed amount of work, and then is shown as what was taken out and what was put in.
import { diffLines, diffWordsWithSpace, parsePatch } from "diff";

export interface Mark {
  text: string;
  /** It is what differs in a line that was changed. */
  isMarked: boolean;
}

export interface DiffRow {
  kind: "same" | "added" | "removed" | "gap";
  /** Line numbers, from 1; null: it has none on that side. */
  before: number | null;
  after: number | null;
  marks: Mark[];
  /** Of a gap: how many equal lines are not shown. */
  hidden?: number;
}

export interface DiffResult {
  rows: DiffRow[];
  added: number;
  removed: number;
  /** The differences were not looked for, since that would take too long. */
  isPlain: boolean;
}

const MOST_CHARS = 2_000_000; // of both texts together: above it nothing is compared
const MOST_EDITS = 3_000; // lines
const MOST_MS = 60; // for the lines
const MOST_WORDS_CHARS = 2_000; // of a line whose words are compared
const MOST_WORD_LINES = 400;
const MOST_WORDS_MS = 30;

const linesOf = (text: string): string[] => {
  const lines = text.split("\n");
  if (lines.at(-1) === "") {
    lines.pop();
  }
  return lines;
};

const whole = (text: string): Mark[] => [{ text, isMarked: false }];

/**
 * `context` lines are shown around each difference; Infinity: all. Never throws, and takes at most about a tenth of a second.
 * `isCut`: of both texts only the beginnings are here, each up to where it was cut. What is behind the last line that they have in
 * common says nothing about the change then, and is left out.
 */
export function diffTexts(before: string, after: string, context = 3, isCut = false): DiffResult {
  const rows = compared(before, after);
  if (rows) {
    markWords(rows);
  }
  const every = rows ?? [...numbered(linesOf(before), "removed"), ...numbered(linesOf(after), "added")];
  const common = isCut ? every.map(({ kind }) => kind).lastIndexOf("same") + 1 : 0;
  const all = common > 0 ? every.slice(0, common) : every;
  return { rows: folded(all, context), ...counted(all), isPlain: rows === null };
}

/** A unified patch, as agents and tools write them; null: it is none. */
export function diffOfPatch(patch: string): { path: string; result: DiffResult }[] | null {
  if (patch.length > MOST_CHARS || !/^@@ -\d+/m.test(patch)) {
    return null;
  }
  let files;
  try {
    files = parsePatch(patch);
  } catch {
    return null;
  }
  return files.map((file) => {
    const rows: DiffRow[] = [];
    for (const hunk of file.hunks) {
      let [left, right] = [hunk.oldStart, hunk.newStart];
      if (rows.length > 0 || left > 1) {
        rows.push({ kind: "gap", before: null, after: null, marks: [] });
      }
      for (const line of hunk.lines) {
        const marks = whole(line.slice(1));
        if (line[0] === "-") {
          rows.push({ kind: "removed", before: left++, after: null, marks });
        } else if (line[0] === "+") {
          rows.push({ kind: "added", before: null, after: right++, marks });
        } else if (line[0] === " ") {
          rows.push({ kind: "same", before: left++, after: right++, marks });
        }
      }
    }
    markWords(rows);
    const path = (file.newFileName && file.newFileName !== "/dev/null" ? file.newFileName : file.oldFileName) ?? "";
    return { path: path.replace(/^[ab]\//, ""), result: { rows, ...counted(rows), isPlain: false } };
  });
}

const counted = (rows: DiffRow[]) => ({
  added: rows.filter((row) => row.kind === "added").length,
  removed: rows.filter((row) => row.kind === "removed").length,
});

const numbered = (lines: string[], kind: "added" | "removed"): DiffRow[] =>
  lines.map((text, at) => ({ kind, before: kind === "removed" ? at + 1 : null, after: kind === "added" ? at + 1 : null, marks: whole(text) }));

/** All lines of both, or null where that would be too much work. */
function compared(before: string, after: string): DiffRow[] | null {
  if (before === "" || after === "") {
    return before === "" ? numbered(linesOf(after), "added") : numbered(linesOf(before), "removed");
  }
  if (before.length + after.length > MOST_CHARS) {
    return null;
  }
  const withEnd = (text: string) => (text === "" || text.endsWith("\n") ? text : `${text}\n`);
  const changes = diffLines(withEnd(before), withEnd(after), { maxEditLength: MOST_EDITS, timeout: MOST_MS });
  if (!changes) {
    return null;
  }
  const rows: DiffRow[] = [];
  let [left, right] = [1, 1];
  for (const change of changes) {
    for (const text of linesOf(change.value)) {
      const kind = change.added ? "added" : change.removed ? "removed" : "same";
      rows.push({
        kind, before: kind === "added" ? null : left++, after: kind === "removed" ? null : right++, marks: whole(text),
      });
    }
  }
  return rows;
}

/** In lines that were changed, as many out as in, the words that differ. */
function markWords(rows: DiffRow[]): void {
  const until = Date.now() + MOST_WORDS_MS;
  let left = MOST_WORD_LINES;
  for (let at = 0; at < rows.length;) {
    const out = run(rows, at, "removed");
    const put = run(rows, at + out, "added");
    if (out > 0 && out === put) {
      for (let line = 0; line < out && left-- > 0 && Date.now() < until; line++) {
        markPair(rows[at + line]!, rows[at + out + line]!);
      }
    }
    at += Math.max(1, out + put);
  }
}

/** A line of a diff with two columns: what was on the left, what is on the right; null: nothing on that side. Or a gap over both. */
export type Pair = { gap: DiffRow } | { gap?: undefined; left: DiffRow | null; right: DiffRow | null };

/** The same rows side by side: of lines that were changed, the first out beside the first in. */
export function sideBySide(rows: readonly DiffRow[]): Pair[] {
  const pairs: Pair[] = [];
  for (let at = 0; at < rows.length;) {
    const row = rows[at]!;
    if (row.kind === "gap") {
      pairs.push({ gap: row });
      at++;
      continue;
    }
    if (row.kind === "same") {
      pairs.push({ left: row, right: row });
      at++;
      continue;
    }
    const out = run(rows, at, "removed");
    const put = run(rows, at + out, "added");
    for (let line = 0; line < Math.max(out, put); line++) {
      pairs.push({ left: line < out ? rows[at + line]! : null, right: line < put ? rows[at + out + line]! : null });
    }
    at += out + put;
  }
  return pairs;
}

function run(rows: readonly DiffRow[], from: number, kind: DiffRow["kind"]): number {
  let at = from;
  while (at < rows.length && rows[at]!.kind === kind) {
    at++;
  }
  return at - from;
}

function markPair(removed: DiffRow, added: DiffRow): void {
  const [before, after] = [removed.marks[0]!.text, added.marks[0]!.text];
  if (before.length > MOST_WORDS_CHARS || after.length > MOST_WORDS_CHARS) {
    return;
  }
  const changes = diffWordsWithSpace(before, after, { maxEditLength: 200, timeout: 5 });
  const kept = (changes ?? []).reduce((sum, change) => sum + (change.added || change.removed ? 0 : change.value.trim().length), 0);
  if (!changes || kept * 3 < Math.min(before.trim().length, after.trim().length)) {
    return; // hardly anything is the same: marks would be noise
  }
  const side = (isOut: boolean) => changes
    .filter((change) => !(isOut ? change.added : change.removed))
    .map((change) => ({ text: change.value, isMarked: change.added || change.removed }));
  removed.marks = side(true);
  added.marks = side(false);
}

function folded(rows: DiffRow[], context: number): DiffRow[] {
  if (context === Infinity) {
    return rows;
  }
  const shown: DiffRow[] = [];
  for (let at = 0; at < rows.length;) {
    const same = run(rows, at, "same");
    if (same === 0) {
      shown.push(rows[at++]!);
      continue;
    }
    const head = at === 0 ? 0 : context;
    const tail = at + same === rows.length ? 0 : context;
    const hidden = same - head - tail;
    if (hidden > 1) {
      shown.push(...rows.slice(at, at + head), { kind: "gap", before: null, after: null, marks: [], hidden }, ...rows.slice(at + same - tail, at + same));
    } else {
      shown.push(...rows.slice(at, at + same));
    }
    at += same;
  }
  return shown;
}
