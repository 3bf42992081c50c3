// What runs in Node runs in Node 18, which is Debian 12's, and which scripts/test says is enough.
import assert from 'node:assert/strict';
import test from 'node:test';
import { filesUnder, read } from './lib/repository.mjs';

// What came with 20 and later, and is easily written without a thought; names of one's own are not looked for.
const NEWER = [
  /\.(toSorted|toReversed|toSpliced|isWellFormed|toWellFormed|isSubsetOf|isSupersetOf|isDisjointFrom|symmetricDifference)\(/, /\bArray\.fromAsync\b/,
  /\bPromise\.(withResolvers|try)\b/, /\b(Object|Map)\.groupBy\b/, /\bimport\.meta\.(dirname|filename|resolve)\b/, /\bAbortSignal\.any\b/, /\bmock\.timers\b/,
  /\bprocess\.(loadEnvFile|getBuiltinModule)\b/, /\b(styleText|parseEnv|globSync)\b/, /\bIterator\.(from|concat)\b/, /\bRegExp\.escape\b/, /\bawait using\b/,
  /\bURL\.(canParse|parse)\b/,
];
const newer = (text) => text.split('\n').flatMap((line, at) => (NEWER.some((pattern) => pattern.test(line)) ? [`${at + 1}: ${line.trim()}`] : []));

test('programs and tests want nothing of Node that 18 does not have', () => {
  const files = ['tests', 'bench', 'scripts'].flatMap(filesUnder).filter((file) => /\.[cm]?js$/.test(file) && file !== 'tests/docs/node.test.mjs');
  assert.ok(files.length > 100, `${files.length} files`);
  assert.deepEqual(files.flatMap((file) => newer(read(file)).map((line) => `${file}:${line}`)), []);
});

test('what is newer would be seen', () => {
  for (const line of ['  return all.toSorted((a, b) => a - b);', 'const { promise, resolve } = Promise.withResolvers();', 'path.join(import.meta.dirname)']) {
    assert.equal(newer(line).length, 1, line);
  }
  assert.deepEqual(newer('[...all].sort(); const toSorted = 1; all.findLast((one) => one);'), []);
});
