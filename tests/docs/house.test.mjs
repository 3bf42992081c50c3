// The direction of includes (docs/architecture.md, "The house"): role -> mail -> {core, share, store} -> base.
import assert from 'node:assert/strict';
import test from 'node:test';
import { PLACES, complaintsOf, includesOf } from './lib/house.mjs';
import { read, sources } from './lib/repository.mjs';

const all = sources().flatMap((file) => includesOf(file, read(file)));

test('every include stands where it may', () => {
  assert.ok(all.filter(({ quoted, room }) => quoted && room).length > 100);
  const wrong = all.flatMap((each) => complaintsOf(each).map((why) => `${each.file} includes ${each.include}: ${why}`));
  assert.deepEqual(wrong, []);
});

test('the roles are known by server.c', () => {
  assert.ok(all.some(({ file, include }) => file === 'src/server.c' && include.startsWith('signalbox/role/')));
});

test('each library is included somewhere', () => {
  for (const [library, place] of Object.entries(PLACES)) {
    assert.ok(all.some(({ file, include }) => place.test(file) && new RegExp(`^${library}[./]`).test(include)), library);
  }
});

// Without these, a rule that never complains would look like a house in order.
const WRONG = [
  ['src/base/clock.c', '#include "signalbox/core/event.h"', /base does not know core/],
  ['include/signalbox/base/json.h', '#include "signalbox/share/topic.h"', /base does not know share/],
  ['src/core/session.c', '#include "signalbox/share/credit.h"', /core does not know share/],
  ['src/core/session.c', '#include "signalbox/store/store.h"', /core does not know store/],
  ['src/core/session.c', '#include "signalbox/mail/dispatch.h"', /core does not know mail/],
  ['src/share/topic.c', '#include "signalbox/core/event.h"', /share does not know core/],
  ['src/share/topic.c', '  #  include  "signalbox/store/store.h"', /share does not know store/],
  ['src/store/memory.c', '#include "signalbox/share/topic.h"', /store does not know share/],
  ['include/signalbox/mail/journal.h', '#include "signalbox/role/journal.h"', /mail does not know role/],
  ['src/mail/journal.c', '#include "signalbox/role/journal.h"', /mail does not know role/],
  ['src/role/journal.c', '#include "signalbox/role/timer.h"', /another role/],
  ['src/role/dispatch.c', '#include "role/socket_internal.h"', /another role/],
  ['src/role/dispatch.c', '#include "http_internal.h"', /another role/],
  ['include/signalbox/role/http.h', '#include "signalbox/role/history.h"', /another role/],
  ['src/role/dispatch.c', '#include "core/session_internal.h"', /stands in include/],
  ['src/role/dispatch.c', '#include "../core/session_internal.h"', /climbs/],
  ['src/guard/guard.c', '#include "signalbox/core/agent.h"', /guard does not know core/],
  ['src/attic/old.c', '#include "signalbox/base/err.h"', /attic is new/],
  ['src/recover.c', '#include "signalbox/role/journal.h"', /only server\.c/],
  ['src/main.c', '#include "role/dispatch_internal.h"', /only server\.c/],
  ['src/doctor_agents.c', '#include "signalbox/role/journal.h"', /only server\.c/],
  ['src/replay/tape.c', '#include "signalbox/core/event.h"', /replay does not know core/],
  ['src/role/http.c', '#include <civetweb.h>', /civetweb is included/],
  ['src/role/socket.c', '#include <wslay/wslay.h>', /wslay is included/],
  ['src/role/journal.c', '#include <sqlite3.h>', /sqlite3 is included/],
  ['src/share/config_load.c', '#include <confuse.h>', /confuse is included/],
  ['src/share/topic.c', '#include <urcu/rculfhash.h>', /urcu is included/],
  ['src/share/topic.c', '#include "urcu.h"', /urcu is included/],
  ['src/core/event.c', '#include <nettle/sha2.h>', /nettle is included/],
];

for (const [file, text, why] of WRONG) {
  test(`refused: ${file}: ${text}`, () => {
    const [each] = includesOf(file, `/* a file */\n${text}\n`);
    assert.match(complaintsOf(each).join('; '), why);
  });
}

test('what the house allows is not refused', () => {
  for (const [file, include] of [
    ['src/role/dispatch_effects.c', '"dispatch_internal.h"'],
    ['src/role/dispatch.c', '"signalbox/role/dispatch.h"'],
    ['src/role/journal.c', '"signalbox/mail/journal.h"'],
    ['src/role/journal.c', '"signalbox/store/store.h"'],
    ['src/mail/dispatch.c', '"signalbox/core/session.h"'],
    ['src/core/acp.c', '"core/acp_rpc.h"'],
    ['src/core/session.c', '"session_internal.h"'],
    ['src/share/topic.c', '"signalbox/base/rcu.h"'],
    ['src/server.c', '"signalbox/role/http.h"'],
    ['src/guard/guard.c', '"signalbox/base/process_tree.h"'],
    ['src/base/rcu.c', '<urcu.h>'],
  ]) {
    assert.deepEqual(complaintsOf(includesOf(file, `#include ${include}`)[0]), [], `${file} ${include}`);
  }
});
