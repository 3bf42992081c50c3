// From what agents and tools write to what is shown; no page in here either.

// [{code: false, text}, {code: true, text, info}]: Markdown's fences only, the rest is plain text,
// without the empty lines that only set a fence apart.
export function fences(text) {
  const parts = [];
  let open = null;
  let lines = [];
  const flush = (code, info) => {
    if (lines.length > 0 && (code || lines.some((l) => l.trim() !== ""))) {
      parts.push({ code, info, text: lines.join("\n") });
    }
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/.exec(line);
    if (!open && mark) {
      flush(false);
      open = { char: mark[1][0], length: mark[1].length, info: mark[2].trim() };
    } else if (open && mark && mark[1][0] === open.char && mark[1].length >= open.length
        && mark[2] === "") {
      flush(true, open.info);
      open = null;
    } else {
      lines.push(line);
    }
  }
  flush(open !== null, open?.info);
  return parts.length < 2 ? parts : parts.map((part) => (part.code ? part
    : { ...part, text: part.text.replace(/^(?:[ \t]*\n)+|(?:\n[ \t]*)+$/g, "") }));
}

// ECMA-48: control sequences, operating system commands, other strings, two-character escapes.
const ESCAPES = new RegExp([
  "\\x1b\\[[0-?]*[ -/]*[@-~]",
  "\\x1b\\][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)",
  "\\x1b[PX^_][^\\x1b]*\\x1b\\\\",
  "\\x1b[ -/]*[0-Z\\\\^-~]",
].join("|"), "g");

// What a terminal would leave standing, without its colours: escape sequences are dropped (also one
// that is still incomplete), and a line that was written over is the last thing written there.
export function terminalText(text) {
  return text
    .replace(ESCAPES, "")
    .replace(/\x1b[^\n]{0,64}$/, "")
    .replace(/\r+\n/g, "\n")
    .replace(/[^\n]*\r(?=[^\n])/g, "");
}

// What is not seen, or turns the direction of what is behind it, as an escape: people decide by this text.
export function plainToSee(text) {
  const hidden = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e007f}]/gu;
  return text.replace(hidden, (found) => `\\u{${found.codePointAt(0).toString(16)}}`);
}

// [{sign: "-"|"+"|" "|"…", text}]: what two texts have in common at both ends, and between it the
// old lines and the new ones.
export function lineDiff(oldText, newText, context = 3) {
  const lines = (text) => (text ? text.replace(/\n$/, "").split("\n") : []);
  const before = lines(oldText);
  const after = lines(newText);
  const least = Math.min(before.length, after.length);
  let head = 0;
  while (head < least && before[head] === after[head]) {
    head++;
  }
  let tail = 0;
  while (tail < least - head && before.at(-1 - tail) === after.at(-1 - tail)) {
    tail++;
  }
  const rows = (sign, list) => list.map((text) => ({ sign, text }));
  const cut = (all) => (all ? rows("…", [""]) : []);
  const first = Math.max(0, head - context);
  const last = Math.max(0, tail - context);
  return [
    ...cut(first > 0),
    ...rows(" ", before.slice(first, head)),
    ...rows("-", before.slice(head, before.length - tail)),
    ...rows("+", after.slice(head, after.length - tail)),
    ...rows(" ", before.slice(before.length - tail, before.length - last)),
    ...cut(last > 0),
  ];
}

const TELLING = ["command", "cmd", "file_path", "filePath", "path", "pattern", "query", "url"];

// The one line by which a person knows a tool call: its command, its path, what it looks for.
export function commandOf(input) {
  for (const name of TELLING) {
    const value = input?.[name];
    if (typeof value === "string") {
      return value;
    }
    if (Array.isArray(value)) {
      return value.join(" ");
    }
  }
  return "";
}
