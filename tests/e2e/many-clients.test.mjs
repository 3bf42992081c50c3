import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { isLong, isSanitized } from './lib/paths.mjs';
import { script, stream, streamed } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { scaled } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const COUNT = isLong ? 2000 : 200;

test(`${COUNT} concurrent clients each get everything`, { timeout: scaled(180_000) }, async () => {
  const sessions = [];
  for (let i = 0; i < 4; i++) {
    sessions.push(await (await server.connect()).create('scripted'));
  }
  const watchers = await Promise.all(
    Array.from({ length: COUNT }, async (_, i) => (await server.connect()).follow(sessions[i % 4].id)),
  );
  const turns = await Promise.all(sessions.map((session) => session.prompt(script(stream(1000, 10, 500)))));
  await Promise.all(turns.map((turn) => turn.end()));
  const wanted = streamed(1000, 10);
  await Promise.all(
    watchers.map(async (watcher, i) => {
      await watcher.event('complete', (event) => event.turnId === turns[i % 4].id, { ms: 60_000 });
      assert.equal(textOf(watcher.watch.turns.get(turns[i % 4].id)), wanted);
    }),
  );
});

test('clients that come and go do not disturb those that stay', async () => {
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(stream(1500, 10, 500)));
  for (let round = 0; round < 20; round++) {
    const guests = await Promise.all(Array.from({ length: 5 }, () => server.connect()));
    await Promise.all(guests.map((guest) => guest.subscribe(session.id)));
    await Promise.all(guests.map((guest, i) => (i % 2 ? guest.drop() : guest.close())));
  }
  assert.equal(textOf(await turn.end()), streamed(1500, 10));
});

test('whoever stops watching, in whatever order, those who stay get everything', async () => {
  const single = await startServer({ agents: { scripted: scripted() }, settings: { 'socket-threads': 1 } }); // so that they stand side by side
  const session = await (await single.connect()).create('scripted');
  const guests = [];
  for (let i = 0; i < 7; i++) {
    guests.push(await (await single.connect()).follow(session.id));
  }
  for (const gone of [0, 6, 3, 5]) {
    await guests[gone].client.command('unsubscribe', { sessionId: session.id });
  }
  const turn = await session.prompt(script(stream(50, 10)));
  await turn.end();
  for (const stays of [1, 2, 4]) {
    await guests[stays].event('complete', (event) => event.turnId === turn.id);
    assert.equal(textOf(guests[stays].watch.turns.get(turn.id)), streamed(50, 10));
  }
});

test('who does not read is not waited for', async () => {
  const session = await (await server.connect()).create('scripted');
  const lazy = await server.connect();
  await lazy.subscribe(session.id);
  lazy.socket.pause();
  const turn = await session.prompt(script(stream(2000, 2000)));
  const end = await turn.end({ ms: 60_000 });
  assert.equal(textOf(end).length, 4_000_000);
  lazy.socket.resume();
  const theirs = await lazy.watches.get(session.id).inbox.find((event) => event.type === 'complete', {
    what: 'all of it, later', explain: () => lazy.explain(),
  });
  assert.equal(theirs.stopReason, 'end_turn');
  assert.equal(textOf(lazy.watches.get(session.id).turns.get(turn.id)), textOf(end));
});

test('a client that watches and says nothing costs the server less than 4 KB', { skip: isSanitized }, async () => {
  const watched = await startServer({ agents: { scripted: scripted() } });
  const session = await (await watched.connect()).create('scripted');
  const status = () => readFileSync(`/proc/${watched.pid}/status`, 'latin1');
  const number = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status())[1]);
  // What the first ones cost is the threads' own: stacks, tables, the handlers that took them.
  const join = async (count) => {
    for (let i = 0; i < count; i += 50) {
      await Promise.all(Array.from({ length: 50 }, async () => (await watched.connect()).follow(session.id)));
    }
  };
  await join(200);
  const [memory, threads] = [number('VmRSS'), number('Threads')];
  await join(1000);
  const each = ((number('VmRSS') - memory) * 1024) / 1000;
  assert.ok(each < 4096, `${each} bytes each`);
  assert.equal(number('Threads'), threads);
});
