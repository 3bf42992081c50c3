// What agents and people have written, made fit to be read and decided by. Pure.

const HIDDEN =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e007f}]/gu;

/** What is not seen, or turns the direction of what is behind it, as an escape: people decide by this text. */
export function plainToSee(text: string): string {
  return text.replace(HIDDEN, (found) => `\\u{${found.codePointAt(0)!.toString(16)}}`);
}

/** The same on one line: for titles, paths, commands in lists. */
export function onOneLine(text: string): string {
  return plainToSee(text.trim().replace(/\s*[\r\n\t]+\s*/g, " "));
}

/** The last part of a path, or all of it where there is none. */
export function baseName(path: string): string {
  return /([^/\\]+)[/\\]*$/.exec(path)?.[1] ?? path;
}

/** "1 answer", "2 answers". */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
