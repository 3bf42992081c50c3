import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { filesUnder, prose, quoted, read, root, sources, tableWords } from './lib/repository.mjs';

const file = 'docs/architecture.md';
const text = read(file);
const words = quoted(text);
const section = (heading) => text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
const exists = (where) => existsSync(path.join(root, where));

test('every thread has its row, and every source of a role its thread', () => {
  const threads = tableWords('include/signalbox/base/thread.h', 'THREAD_ROLES', /"(\w+)"/g).filter((name) => name !== 'none');
  assert.ok(threads.length > 5);
  const rows = [...section('Threads').matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  assert.deepEqual(rows.sort(), [...threads].sort());
  for (const source of readdirSync(path.join(root, 'src/role'))) {
    assert.ok(threads.includes(source.match(/^[a-z]+/)[0]), `src/role/${source} is named after no thread`);
  }
});

test('every folder and program of src/ stands in the house', () => {
  const house = section('The house');
  for (const entry of readdirSync(path.join(root, 'src'), { withFileTypes: true })) {
    if (entry.isDirectory()) {
      assert.match(house, new RegExp(`^  ${entry.name}/ `, 'm'), entry.name);
    } else if (entry.name.endsWith('.c')) {
      assert.ok(house.includes(entry.name), entry.name);
    }
  }
  for (const [, room] of house.matchAll(/^  (\w+)\/ /gm)) {
    assert.ok(exists(`src/${room}`), `src/${room}`);
  }
});

/** Files are named from the root, or without src/ or include/signalbox/; a * stands for anything. */
const fileExists = (name) => {
  const places = ['', 'src/', 'include/signalbox/'].map((folder) => folder + name);
  if (!name.includes('*')) {
    return places.some((place) => exists(place) || exists(`${place}.c`));
  }
  const pattern = new RegExp(`/${name.split('/').pop().replace('.', '\\.').replace('*', '.*')}$`);
  return [...filesUnder('src'), ...filesUnder('include')].some((each) => pattern.test(each));
};

test('every file that is named is there', () => {
  const named = words.filter((word) => /^[\w*./-]+\/[\w*.-]+$/.test(word) && !word.startsWith('/') && !/^[A-Z]/.test(word));
  const bare = words.filter((word) => /^[a-z_]+\.[ch]$/.test(word));
  assert.ok(named.length > 20);
  for (const name of named.filter((word) => !/^(session|socket|terminal)\//.test(word))) {
    assert.ok(fileExists(name.replace(/\/$/, '')), name);
  }
  const all = filesUnder('src').concat(filesUnder('include')).map((each) => path.basename(each));
  for (const name of bare) {
    assert.ok(all.includes(name), name);
  }
});

test('every function and field that is named is there', () => {
  const code = sources().map(read).join('\n');
  const protocol = existsSync(path.join(root, 'docs/protocol.md')) ? read('docs/protocol.md') : '';
  for (const name of words.filter((word) => /^[a-z]+(_[a-z0-9]+)+$/.test(word))) {
    assert.match(code + protocol, new RegExp(`\\b${name}\\b`), name);
  }
});

test('every arrow: each mail that is sent is named, with its header', () => {
  const arrows = section('The arrows');
  const headers = filesUnder('include/signalbox/mail');
  const code = sources().filter((each) => !headers.includes(each)).map(read).join('\n');
  let kinds = 0;
  for (const header of headers) {
    const short = header.replace('include/signalbox/', '');
    assert.ok(arrows.includes(`\`${short}\``), short);
    for (const [, list] of read(header).matchAll(/enum \w+_mail_kind \{(.*?)\}/gs)) {
      for (const [, kind] of list.matchAll(/^\s+([A-Z_]+)[ ,=]/gm)) {
        const used = new RegExp(`\\b${kind}\\b`).test(code);
        if (used) {
          kinds++;
          assert.ok(arrows.includes(kind), `${kind} of ${short}`);
        }
      }
    }
  }
  assert.ok(kinds > 15);
  for (const [, kind] of prose(arrows).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)) {
    assert.match(code, new RegExp(`\\b${kind}\\b`), kind);
  }
});

test('options are named as they are', () => {
  const keys = new Set([...read('docs/configuration.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, key]) => key));
  for (const document of [file, 'docs/operation.md', 'README.md']) {
    for (const word of quoted(read(document)).map((each) => each.replace(/ = .*/, ''))) {
      const isOption = /^[a-z]+(-[a-z]+)+$/.test(word) && !word.startsWith('signalbox-');
      assert.ok(!isOption || keys.has(word) || /^(check-config|default-src)$/.test(word), `${document}: ${word}`);
    }
  }
});
