// What a browser fetches before it shows anything: index.html, and all that it names and that those import, is under 300 KB compressed.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { root } from './lib.mjs';

const built = path.join(root, 'build/web');
const LIMIT = 300_000;

/** The files that are loaded at once, the page itself first. */
function loadedAtOnce() {
  const found = new Set(['/index.html']);
  for (const name of found) {
    const text = readFileSync(built + name, 'utf8');
    const names = name.endsWith('.html')
      ? [...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, each]) => each)
      : name.endsWith('.js')
        ? [...text.matchAll(/(?:^|[;}])(?:import|export)(?:[^"';()]*?from)?\s*"(\.{1,2}\/[^"]+)"/g)].map(([, each]) => path.posix.join(path.posix.dirname(name), each))
        : [...text.matchAll(/(?:@import\s+|url\()["']?(\/assets\/[^"')]+)/g)].map(([, each]) => each);
    names.forEach((each) => found.add(each));
  }
  return [...found];
}

test('the first load is under 300 KB compressed', () => {
  const files = loadedAtOnce();
  assert.ok(files.some((name) => name.endsWith('.js')), files.join(' '));
  for (const ending of ['.br', '.gz']) {
    const sizes = files.map((name) => [name, statSync(built + (existsSync(built + name + ending) ? name + ending : name)).size]);
    const total = sizes.reduce((sum, [, size]) => sum + size, 0);
    console.log(`# ${ending}: ${total} bytes: ${sizes.map(([name, size]) => `${name} ${size}`).join(', ')}`);
    assert.ok(total < LIMIT, `${total} bytes with ${ending}: ${JSON.stringify(sizes)}`);
  }
});

test('the page names nothing of elsewhere, and has no script or style of its own in it', () => {
  const html = readFileSync(path.join(built, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /(?:src|href)="(?:https?:)?\/\//);
  assert.doesNotMatch(html, /<style|style=|<script(?![^>]*src=)|\son\w+=/i);
});
