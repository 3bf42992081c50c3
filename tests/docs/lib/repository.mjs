// The repository as the documents speak of it.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

const SKIPPED = new Set(['.git', 'build', 'node_modules']);

export const read = (file) => readFileSync(path.join(root, file), 'utf8');

/** All files under a folder of the repository, as paths from its root. */
export function filesUnder(folder) {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) {
      return SKIPPED.has(entry.name) ? [] : filesUnder(file);
    }
    return [file];
  });
}

export const documents = () => filesUnder('.').filter((file) => file.endsWith('.md'));
export const sources = () => [...filesUnder('src'), ...filesUnder('include')].filter((file) => /\.[ch]$/.test(file));

/** A document without its fenced blocks. */
export const prose = (text) => text.replace(/^```.*?^```/gms, '');

/** What stands in backticks in a document's prose. */
export const quoted = (text) => [...prose(text).matchAll(/`([^`\n]+)`/g)].map(([, words]) => words);

/** The words of an X-macro table: X(SYMBOL, "word") of `#define NAME(X)`. */
export function tableWords(file, name, pattern) {
  const [, table] = read(file).match(new RegExp(`#define ${name}\\(X\\)((?:.*\\\\\\n)*.*)`));
  return [...table.matchAll(pattern)].map(([, word]) => word);
}
