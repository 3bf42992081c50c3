// node:test with an end to every test, and to every file even if something keeps it alive; and with what servers and pages have to say
// of a test that failed.
import { after, test as nodeTest } from 'node:test';
import { scaled } from './wait.mjs';
import { listen } from './words.mjs';

const LAST_WORDS_MS = 60_000;

after(() => setTimeout(() => process.exit(), LAST_WORDS_MS).unref());

export function test(name, ...rest) {
  const run = rest.pop();
  const { timeout = scaled(120_000), ...options } = rest[0] ?? {};
  const fn = async (context) => {
    const explained = listen();
    try {
      // Ours ends first: node's says nothing of what there was.
      await inTime(run(context), timeout);
    } catch (error) {
      throw await explained(error);
    }
  };
  return nodeTest(name, { ...options, timeout: timeout + LAST_WORDS_MS }, fn);
}

async function inTime(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the test was not over in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
