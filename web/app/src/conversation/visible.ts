// People decide by what they read: what is not seen, or turns the direction of what is behind it, is shown as an escape.
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e007f}]/gu;

/** Commands, paths, titles, code: with every character that could hide something spelled out, `\u{202e}`. */
export function plainToSee(text: string): string {
  return text.replace(HIDDEN, (found) => `\\u{${found.codePointAt(0)!.toString(16)}}`);
}

/** The same on one line: for titles, where a line break would hide what is behind it. */
export function oneLine(text: string, most = 300): string {
  const line = plainToSee(text.slice(0, most * 2).replace(/\s*[\r\n]+\s*/g, " ⏎ ").trim());
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/** Whatever an agent put where a string belongs. */
export function textOf(value: unknown): string {
  if (typeof value === "string") {
    return value;
  }
  if (value === undefined || value === null) {
    return "";
  }
  return typeof value === "object" ? pretty(value) : String(value);
}

/** JSON for people. Never throws. */
export function pretty(value: unknown): string {
  try {
    return JSON.stringify(value, null, 2) ?? "";
  } catch {
    return String(value);
  }
}
