import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { bin, isSanitized } from './lib/paths.mjs';
import { exit, say, script, stream } from './lib/script.mjs';
import { prepareServer, startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };

const metric = async (server, name) => {
  const { text } = await server.rest('GET', '/metrics');
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)[1]);
};
const inMemory = (server) => metric(server, 'signalbox_sessions_in_memory');

test('a session that is at rest and not watched leaves memory, and comes back whole', async () => {
  const server = await startServer({ agents, settings: { 'session-idle-ms': 100 } });
  const client = await server.connect();
  const [gone, watched, running] = await Promise.all([1, 2, 3].map(() => client.create('scripted')));
  for (const session of [gone, watched]) {
    assert.equal(textOf(await session.run(script(say('one')))), 'one');
    await (await session.prompt(script(exit(0)))).end();
    await session.status('stopped');
  }
  await client.command('unsubscribe', { sessionId: gone.id });
  await client.command('unsubscribe', { sessionId: running.id });
  await until(async () => (await metric(server, 'signalbox_sessions_left_memory_total')) === 1, 'one session to leave');
  assert.equal(await inMemory(server), 2, 'one is watched, one has an agent');

  const other = await server.connect();
  const back = await other.follow(gone.id);
  assert.deepEqual(back.watch.state().turns, gone.watch.state().turns);
  assert.equal(back.watch.epoch, gone.watch.epoch);
  assert.equal(await inMemory(server), 3);
  // From its old position, as if it had never been away; and it goes on.
  const resumed = await client.resume(gone.id);
  assert.equal(resumed.answer.mode, 'live');
  assert.equal(textOf(await resumed.run(script(say('two')))), 'two');
  await back.event('text_complete', (event) => event.text === 'two');
  await other.follow(watched.id);
});

test('a closed session leaves memory, and is still closed when it comes back', async () => {
  const server = await startServer({ agents, settings: { 'session-idle-ms': 100 } });
  const client = await server.connect();
  const session = await client.create('scripted');
  await client.command('close_session', { sessionId: session.id });
  await client.command('unsubscribe', { sessionId: session.id });
  await until(async () => (await inMemory(server)) === 0, 'the session to leave');
  await client.refusal('prompt', { sessionId: session.id, text: 'x' }, 'closed');
  await until(async () => (await inMemory(server)) === 0, 'the session to leave again');
  const got = await server.rest('GET', `/v1/sessions/${session.id}`);
  assert.equal(got.json.phase, 'closed');
});

test('tails have a bound together: who was quiet is read from the store, and nobody misses anything', async () => {
  const server = await startServer({ agents, settings: { 'tails-total-bytes': 65536 } });
  const client = await server.connect();
  const sessions = await Promise.all(Array.from({ length: 12 }, () => client.create('scripted')));
  for (const session of sessions) {
    await session.run(script(stream(200, 100), say('END')));
  }
  // What one has at most (`tail-bytes` is larger here) may be more than all together; the others have gone.
  assert.ok((await metric(server, 'signalbox_tail_bytes')) < 65536 + 200_000);
  const late = await server.connect();
  for (const session of sessions) {
    const whole = await late.follow(session.id);
    assert.deepEqual(whole.watch.state().turns, session.watch.state().turns);
  }
});

/** A server whose store has `count` sessions of long ago. */
async function withSessions(count) {
  const server = await prepareServer({ agents, settings: { 'session-idle-ms': 100 } });
  execFileSync(path.join(bin, 'signalbox-store-speed'), ['sessions', server.data, String(count)]);
  await server.start();
  return server;
}
const bytesOf = (server) =>
  Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'latin1'))[1]) * 1024;

// Sanitizers take memory of their own.
test('a session in the store costs no memory, before it was looked at and after', { skip: isSanitized }, async () => {
  const few = await withSessions(1000);
  const many = await withSessions(20_000);
  assert.ok(bytesOf(many) - bytesOf(few) < 512 * 1024, `${bytesOf(few)} with 1,000, ${bytesOf(many)} with 20,000`);

  const client = await many.connect();
  const ids = [];
  for (let next = ''; ids.length < 3000; ) {
    const { json } = await many.rest('GET', `/v1/sessions?limit=200${next && `&after=${next}`}`);
    ids.push(...json.items.map((item) => item.sessionId));
    next = json.next;
  }
  const look = async (some) => {
    for (let i = 0; i < some.length; i += 50) {
      const part = some.slice(i, i + 50);
      // Without ids: answers to those are kept, for a day.
      part.forEach((sessionId) => client.socket.send(JSON.stringify({ type: 'subscribe', sessionId })));
      await Promise.all(part.map((sessionId) => client.control('subscribed', (m) => m.sessionId === sessionId)));
      part.forEach((sessionId) => client.socket.send(JSON.stringify({ type: 'unsubscribe', sessionId })));
    }
    await until(async () => (await inMemory(many)) === 0, 'all to leave memory');
  };
  for (let i = 0; i < 3; i++) {
    await look(ids); // what is kept of them for a while has a bound: SQLite's pages, pieces of replays, malloc's room
  }
  const before = bytesOf(many);
  await look(ids);
  const each = (bytesOf(many) - before) / ids.length;
  assert.ok(each < 400, `${each} bytes stay of each`);
});
