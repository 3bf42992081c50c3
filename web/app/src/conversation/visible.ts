// What agents put into fields that people read.
import { plainToSee } from "../ui/visible";

export { plainToSee };

/** On one line: for titles, where a line break would hide what is behind it. */
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
