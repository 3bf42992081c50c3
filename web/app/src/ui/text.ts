// What agents and people have written, made fit to be read. Pure.
import { plainToSee } from "./visible";

/** What would not be seen made visible, on one line: for titles, paths, commands in lists. */
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
