// The direction of includes (docs/architecture.md, "The house"): role -> mail -> {core, share, store} -> base.
import assert from 'node:assert/strict';
import path from 'node:path';
import test from 'node:test';
import { read, sources } from './lib/repository.mjs';

const BELOW = {
  base: [],
  core: ['base'],
  share: ['base'],
  store: ['base'],
  mail: ['core', 'share', 'store', 'base'],
  role: ['mail', 'core', 'share', 'store', 'base'],
  guard: ['base'], // of it, base/process_tree only: they link nothing else
  shell: ['base'],
};

/** {file, room, include, quoted} for each #include of the server's sources. */
const includes = sources().flatMap((file) => {
  const [, room = ''] = file.match(/^(?:src|include\/signalbox)\/(?:(\w+)\/)?/);
  return [...read(file).matchAll(/^\s*#\s*include\s+(["<])([^">]+)[">]/gm)].map(([, quote, include]) => ({
    file,
    room,
    include,
    quoted: quote === '"',
  }));
});

/** The room that an #include "..." comes from: its path names it, or it stands beside the file. */
function roomOf({ room, include }) {
  const parts = include.replace(/^signalbox\//, '').split('/');
  return parts.length > 1 && parts[0] !== '..' ? parts[0] : room;
}

test('every include goes down, never up or aside', () => {
  let seen = 0;
  for (const each of includes.filter(({ room, quoted }) => quoted && room)) {
    const other = roomOf(each);
    assert.ok(each.room in BELOW, `${each.file}: the room ${each.room} is new; say here where it stands`);
    assert.ok(other === each.room || BELOW[each.room].includes(other), `${each.file} includes ${each.include}`);
    assert.ok(!each.include.includes('..'), `${each.file} includes ${each.include}`);
    seen++;
  }
  assert.ok(seen > 100);
});

const roleOf = (file) => path.basename(file).match(/^[a-z]+/)[0];

test('no role includes another role', () => {
  for (const each of includes.filter(({ room, quoted }) => quoted && room === 'role')) {
    if (roomOf(each) === 'role') {
      assert.equal(roleOf(each.include), roleOf(each.file), `${each.file} includes ${each.include}`);
    }
  }
});

test('only server.c knows the roles', () => {
  const outside = includes.filter(({ file, include }) => /^signalbox\/role\//.test(include) && !/\/role\//.test(file));
  assert.deepEqual([...new Set(outside.map(({ file }) => file))], ['src/server.c']);
});

test('what crosses rooms stands in include/signalbox', () => {
  for (const each of includes.filter(({ quoted }) => quoted)) {
    const foreign = roomOf(each) !== each.room;
    const generated = each.include === 'version.h';
    assert.ok(!foreign || !each.room || generated || each.include.startsWith('signalbox/'), `${each.file} includes ${each.include}`);
  }
});

test('each library is included where its quirks are known', () => {
  const places = {
    civetweb: /^src\/role\/http_civetweb\.c$/,
    wslay: /^src\/role\/socket_internal\.h$/,
    sqlite3: /^src\/store\/sqlite\.h$/,
    confuse: /^src\/share\/config_parse\.c$/,
    urcu: /^include\/signalbox\/base\/(rcu|mailbox)\.h$|^src\/base\//,
    nettle: /^src\/share\/(tokens|config_load)\.c$|^src\/role\/http_upgrade\.c$/,
  };
  for (const [library, place] of Object.entries(places)) {
    const users = includes.filter(({ include, quoted }) => !quoted && new RegExp(`^${library}[./]`).test(include));
    assert.ok(users.length > 0, library);
    for (const { file } of users) {
      assert.match(file, place, library);
    }
  }
});
