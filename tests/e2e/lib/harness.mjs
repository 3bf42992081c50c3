// node:test with an end to every test, and to every file even if something keeps it alive.
import { after, test as nodeTest } from 'node:test';
import { scaled } from './wait.mjs';

const LAST_WORDS_MS = 60_000;

after(() => setTimeout(() => process.exit(), LAST_WORDS_MS).unref());

export function test(name, ...rest) {
  const fn = rest.pop();
  return nodeTest(name, { timeout: scaled(90_000), ...rest[0] }, fn);
}
