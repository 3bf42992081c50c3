// What docs/page.md says of keys, addresses and times, compared with the page itself.
import assert from 'node:assert/strict';
import test from 'node:test';
import { read } from './lib/repository.mjs';

const document = read('docs/page.md');
/** The rows of the table under a heading, as lists of cells. */
const table = (heading) => document.split(`\n## ${heading}\n`)[1].split('\n## ')[0].split('\n').filter((line) => line.startsWith('| ')).slice(1)
  .map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
const quoted = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text);

test('the keys are those that the page lists', () => {
  const [, list] = /const SHORTCUTS[^=]*= (\[[^;]*\]);/s.exec(read('web/app/src/shell/help-dialog.tsx'));
  const shortcuts = JSON.parse(list.replace(/,\s*\]$/, ']'));
  assert.deepEqual(table('Keys').map(([what, keys]) => [what, quoted(keys)]), shortcuts);
});

test('the addresses are those that the page knows', () => {
  const router = read('web/app/src/shell/router.ts');
  const plain = JSON.parse(/new Set\((\[[^\]]*\])/.exec(router)[1]).map((name) => `#/${name}`);
  const told = table('Links').map(([address]) => quoted(address)[0]);
  assert.deepEqual(new Set(told), new Set(['#/', '#/s/ID', '#/s/ID?item=KEY', ...plain]));
  assert.match(router, /\^s\\\/\(\[\^\/\]\+\)\$/);
  assert.match(router, /get\("item"\)/);
});

test('the times are as they are said', () => {
  assert.match(document, /within ten minutes/);
  assert.match(read('web/client/src/outbox.ts'), /expiresInMs: 10 \* 60_000,/);
  assert.match(document, /half a second/);
  assert.match(read('web/app/src/permissions/keys.ts'), /ARMED_AFTER_MS = 500;/);
});
