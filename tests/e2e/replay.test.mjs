import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { isLong } from './lib/paths.mjs';
import { ask, say, script, stream, streamed, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() }, settings: { 'delta-window-ms': 5 } });
const everything = script(
  think('Let me see. '), stream(60, 20, 600), tool({ title: 'One', output: 'first', outputChunks: 3 }), say('Between. '),
  { plan: ['a', 'b'] }, { usage: { used: 10, size: 100 } }, { commands: ['go', 'stop'] }, tool({ title: 'Two', output: 'second', fail: true }),
  { usage: { used: 20, size: 100 } }, { title: 'A new title' }, say('The end.'),
);

async function settled(session) {
  const last = session.events.findLastIndex?.((event) => event.type === 'complete') ?? 0;
  return session.status('idle', { from: last });
}

test('nothing is missing: live, and no replay', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(everything);
  await settled(session);
  const again = await client.subscribe(session.id, { after: session.watch.position });
  assert.equal(again.answer.mode, 'live');
  assert.equal(again.answer.head, session.watch.position.seq);
});

test('from any position, exactly what is missing comes, and the same state in the end', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(everything);
  await settled(live);
  const wanted = live.watch.state();
  const { epoch, seq: head } = live.watch.position;
  const step = isLong ? 1 : 7;
  for (let seq = 1; seq < head; seq += step) {
    // A client that has seen the live events up to `seq`, and then was away.
    const client = await server.connect();
    const watch = new live.watch.constructor(live.id);
    watch.epoch = epoch;
    live.events.filter((event) => event.seq <= seq).forEach((event) => watch.event(event));
    client.watches.set(live.id, watch);
    const resumed = await client.resume(live.id);
    assert.equal(resumed.answer.mode, 'replay');
    assert.equal(watch.position.seq, head);
    assert.deepEqual(watch.state(), wanted, `from ${seq}`);
    await client.close();
  }
});

test('while the session streams, from any position', async () => {
  const live = await (await server.connect()).create('scripted');
  const turn = await live.prompt(script(stream(10_000_000, 10, 1500))); // for as long as it takes
  for (let round = 0; round < 10; round++) {
    const from = live.events.length;
    await live.event('text_delta', undefined, { from });
    const late = await (await server.connect()).follow(live.id);
    await late.event('text_delta', undefined, { from: late.events.length });
    await late.client.drop(); // two connections must not feed one watch
    const resumed = await (await server.connect({ watches: late.client.watches })).resume(live.id);
    assert.equal(resumed.watch, late.watch);
  }
  await live.cancel();
  const text = textOf(await turn.end());
  assert.ok(text.length > 0 && streamed(Math.ceil(text.length / 10), 10).startsWith(text));
});

test('a position ahead of the log, or of another epoch: reset', async () => {
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('one')));
  await settled(session);
  const { epoch, seq } = session.watch.position;
  for (const after of [{ epoch, seq: seq + 1000 }, { epoch: 'of-another-life', seq: 3 }, { epoch: 'of-another-life', seq: 0 }]) {
    const client = await server.connect();
    const { id, inbox } = { id: session.id, inbox: client.inbox };
    const answer = await client.command('subscribe', { sessionId: id, after }).catch((error) => error);
    assert.equal(answer.mode, 'reset', JSON.stringify(after));
    await client.control('replay_complete', (message) => message.sessionId === id, { from: inbox.items.indexOf(answer) });
    assert.deepEqual(client.watches.get(id).state(), session.watch.state());
  }
});

test('history none and turn', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('old')));
  const turn = await session.prompt(script(say('new'), tool({ title: 'Tool', output: 'x' }), ask(), waitCancel()));
  await turn.permission();

  const none = await (await server.connect()).follow(session.id, { history: 'none' });
  assert.equal(none.answer.mode, 'live');
  assert.equal(none.answer.pending.length, 1);
  const open = await (await server.connect()).follow(session.id, { history: 'turn' });
  assert.equal(open.events[0].type, 'turn_started');
  assert.equal(open.watch.pending().length, 1);
  await session.cancel();
  await turn.end();
  await open.event('complete');
  await none.event('complete');
  assert.equal(none.events[0].seq, none.answer.head + 1);
  const idle = await settled(session).then(async () => (await server.connect()).follow(session.id, { history: 'turn' }));
  assert.equal(idle.answer.mode, 'live');
});

test('subscribing again to the same session replaces the first', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('once')));
  await client.follow(session.id);
  await session.run(script(say('twice')));
  assert.equal(session.watch.turns.size, 2);
});

test('many positions at once, out of memory and out of the store', async () => {
  const small = await startServer({
    agents: { scripted: scripted() },
    settings: { 'delta-window-ms': 0, 'tail-events': 64, 'tail-bytes': 16384 },
  });
  const live = await (await small.connect()).create('scripted');
  for (let i = 0; i < 5; i++) {
    await live.run(script(think('t'), stream(400, 10, 0), tool({ title: `T${i}`, output: `o${i}` }), say('.')));
  }
  await settled(live);
  const wanted = live.watch.state();
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      const late = await (await small.connect()).follow(live.id);
      assert.deepEqual(late.watch.state(), wanted);
    }),
  );
});
