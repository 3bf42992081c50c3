import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { documents, prose, read, root } from './lib/repository.mjs';

/** A heading's anchor, as the usual viewers of Markdown make it. */
const anchorOf = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
const anchorsOf = (file) =>
  new Set([...prose(read(file)).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading]) => anchorOf(heading)));

const linksOf = (file) =>
  [...prose(read(file)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target).filter((target) => !/^[a-z]+:/.test(target));

for (const file of documents()) {
  test(`the links of ${file} lead somewhere`, () => {
    for (const target of linksOf(file)) {
      const [where, anchor] = target.split('#');
      const found = where ? path.posix.join(path.posix.dirname(file), where) : file;
      assert.ok(existsSync(path.join(root, found)), `${target}: there is no ${found}`);
      if (anchor) {
        assert.ok(anchorsOf(found).has(anchor), `${target}: ${found} has no such heading`);
      }
    }
  });
}
