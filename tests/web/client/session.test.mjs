// Watched sessions and lists against a server that the test plays: holes, replays, what comes late, what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWorld, settle } from './lib/fake.mjs';

const S = 's1';
const delta = (seq, offset, text, fields) => ({ type: 'text_delta', sessionId: S, seq, ts: seq, messageId: 'm', offset, delta: text, ...fields });
const request = (requestId, createdAt = 1) => ({ requestId, sessionId: S, command: 'c', acpOptions: [], createdAt, expiresAt: null });

function subscribed(world, fields = {}) {
  const { id, after } = world.socket.last('subscribe');
  world.socket.say({
    type: 'subscribed', id, sessionId: S, epoch: 'e1', head: after?.seq ?? 0, mode: 'live', phase: 'running', agent: 'a', title: null,
    workspace: '/w', policy: 'ask', pending: [], ...fields,
  });
}

async function watched(options) {
  const world = new FakeWorld();
  const client = await world.live(options);
  const session = client.session(S);
  const leave = session.open();
  subscribed(world);
  return { world, client, session, leave, text: () => session.view.get().state.items.map((item) => item.text).join() };
}

test('positions are kept over connections, and what comes twice changes nothing', async () => {
  const { world, session, text } = await watched();
  world.socket.say(delta(1, 0, 'ab'));
  world.socket.say(delta(2, 2, 'cd'));
  world.socket.hangUp();
  assert.equal(session.view.get().sync, 'waiting');
  assert.equal(session.view.get().state.phase, 'running', 'a socket that dropped says nothing about the agent');
  assert.equal(text(), 'abcd');
  await world.pass(250);
  world.socket.accept();
  assert.deepEqual(world.socket.last('subscribe').after, { epoch: 'e1', seq: 2 });
  subscribed(world, { mode: 'replay', head: 4 });
  assert.equal(session.view.get().sync, 'catching_up');
  world.socket.say(delta(4, 0, 'abcdef', { from: 2 }));
  world.socket.say({ type: 'replay_complete', sessionId: S, seq: 4 });
  assert.equal(session.view.get().sync, 'live');
  world.socket.say(delta(4, 0, 'zzz'));
  assert.equal(text(), 'abcdef');
});

test('a hole leads to a subscribe from the last number that is sure, and never to wrong text', async () => {
  const { world, session, text } = await watched();
  world.socket.say(delta(1, 0, 'ab'));
  world.socket.say(delta(3, 4, 'ef'));
  world.socket.say(delta(4, 6, 'gh'));
  assert.equal(text(), 'ab');
  assert.equal(session.view.get().sync, 'catching_up');
  await world.pass(0);
  assert.equal(world.socket.of('subscribe').length, 2);
  assert.deepEqual(world.socket.last('subscribe').after, { epoch: 'e1', seq: 1 });
  world.socket.say(delta(5, 8, 'of the subscription before'));
  subscribed(world, { mode: 'replay', head: 4 });
  world.socket.say(delta(4, 2, 'cdefgh', { from: 2 }));
  world.socket.say({ type: 'replay_complete', sessionId: S, seq: 4 });
  assert.equal(text(), 'abcdefgh');
  assert.equal(session.view.get().sync, 'live');
});

test('where that does not help, everything is asked for again, and not in a hurry', async () => {
  const { world, text } = await watched();
  world.socket.say(delta(1, 0, 'ab'));
  world.socket.say(delta(3, 4, 'ef'));
  await world.pass(0);
  subscribed(world, { mode: 'replay', head: 3 });
  world.socket.say(delta(3, 4, 'ef'));
  const count = () => world.socket.of('subscribe').length;
  assert.equal(count(), 2);
  await world.pass(249);
  assert.equal(count(), 2);
  await world.pass(1);
  assert.deepEqual([count(), world.socket.last('subscribe').after, world.socket.last('subscribe').history], [3, undefined, 'full']);
  subscribed(world, { mode: 'replay', head: 3 });
  world.socket.say(delta(3, 0, 'abcdef', { from: 1 }));
  assert.equal(text(), 'abcdef');
});

test('asking for everything again: what still comes of the subscription before is left alone', async () => {
  const { world, session, text } = await watched();
  world.socket.say(delta(1, 0, 'ab'));
  session.refresh();
  world.socket.say(delta(2, 2, 'cd'));
  await world.pass(1_000);
  assert.equal(world.socket.of('subscribe').length, 2);
  assert.equal(world.socket.last('subscribe').after, undefined);
  subscribed(world, { mode: 'replay', head: 2 });
  world.socket.say(delta(2, 0, 'abcd', { from: 1 }));
  assert.equal(text(), 'abcd');
});

test('text that does not fit is asked for again from the beginning', async () => {
  const { world, text } = await watched();
  world.socket.say(delta(1, 0, 'ab'));
  world.socket.say(delta(2, 5, 'wrong place'));
  await world.pass(0);
  assert.equal(world.socket.last('subscribe').after, undefined);
  assert.equal(text(), 'ab');
});

test('reset: what was known is of another history', async () => {
  const { world, session, text } = await watched();
  world.socket.say(delta(1, 0, 'old'));
  world.socket.hangUp();
  await world.pass(250);
  world.socket.accept();
  subscribed(world, { mode: 'reset', epoch: 'e2', head: 1 });
  world.socket.say(delta(1, 0, 'new'));
  assert.equal(text(), 'new');
  assert.equal(session.state.epoch, 'e2');
});

test('a flood is shown in steps, what comes alone at once; leaving and losing the line lose nothing', async () => {
  const { world, session, text } = await watched({ batchMs: 16 });
  let changes = 0;
  session.view.subscribe(() => changes++);
  await world.pass(20);
  for (let i = 0; i < 50; i++) {
    world.socket.say(delta(i + 1, i, 'x'));
  }
  assert.equal(text(), 'x');
  assert.equal(changes, 1);
  await world.pass(16);
  assert.equal(text(), 'x'.repeat(50));
  assert.equal(changes, 2);
  world.socket.say(delta(51, 50, 'y'));
  world.socket.say(delta(52, 51, 'z'));
  world.socket.hangUp();
  assert.equal(text(), `${'x'.repeat(50)}yz`);
  assert.deepEqual(session.state.seq, 52);
});

test('a long replay is applied as it comes, shown a few times, and whole when it is complete', async () => {
  const { world, session } = await watched();
  world.socket.hangUp();
  await world.pass(250);
  world.socket.accept();
  const head = 2_000;
  subscribed(world, { mode: 'replay', head });
  const shown = [];
  const stop = session.view.subscribe(() => shown.push(session.view.get().state.seq));
  const say = (from, to) => {
    for (let seq = from; seq <= to; seq++) {
      world.socket.say(delta(seq, seq - 1, 'x'));
    }
  };
  say(1, 900);
  assert.deepEqual(shown, [1], 'what comes first is shown at once, and the others wait');
  assert.ok(session.state.seq >= 500, 'but are applied');
  await world.pass(250);
  assert.deepEqual(shown, [1, 900], 'they are shown also where no more comes');
  say(901, head);
  world.socket.say({ type: 'replay_complete', sessionId: S, seq: head });
  assert.deepEqual(shown, [1, 900, head]);
  assert.equal(session.view.get().sync, 'live');
  world.socket.say(delta(head + 1, head, 'y'));
  await world.pass(16);
  assert.equal(shown.at(-1), head + 1, 'what is live is shown soon again');
  stop();
});

test('a request that a rule answers at once is never shown as open', async () => {
  const { world, session } = await watched({ batchMs: 16 });
  let open = 0;
  session.view.subscribe(() => (open = Math.max(open, session.view.get().state.pending.length)));
  await world.pass(100);
  world.socket.say({ type: 'permission_request', sessionId: S, seq: 1, ts: 1, request: request('r') });
  await world.pass(1);
  world.socket.say({ type: 'permission_resolved', sessionId: S, seq: 2, ts: 1, requestId: 'r', outcome: 'allowed', alwaysAllow: false, by: { rule: 'u' }, ruleId: 'u' });
  await world.pass(100);
  assert.equal(open, 0);
  assert.equal(session.state.items[0].ruleId, 'u');
  world.socket.say({ type: 'permission_request', sessionId: S, seq: 3, ts: 1, request: request('s') });
  world.socket.say({ type: 'permission_queue_status', sessionId: S, pending: 1, oldestCreatedAt: 1 });
  assert.equal(open, 1, 'one that waits is, at once');
});

test('a page whose timers stand still is kept current by the events', async () => {
  const { world, text } = await watched({ batchMs: 16 });
  await world.pass(20);
  for (let i = 0; i < 10; i++) {
    world.socket.say(delta(i + 1, i, 'x'));
    world.sleep(5);
  }
  assert.ok(text().length >= 8);
});

test('watched as long as somebody holds it, and known afterwards', async () => {
  const { world, client, session, leave, text } = await watched();
  const second = client.session(S);
  assert.equal(second, session);
  const leaveToo = second.open();
  world.socket.say(delta(1, 0, 'ab'));
  leave();
  leave();
  assert.equal(world.socket.of('unsubscribe').length, 0);
  leaveToo();
  assert.equal(world.socket.of('unsubscribe').length, 1);
  assert.equal(session.view.get().sync, 'closed');
  world.socket.say(delta(2, 2, 'late'));
  assert.equal(text(), 'ab');
  session.open();
  assert.deepEqual(world.socket.last('subscribe').after, { epoch: 'e1', seq: 1 });
  subscribed(world);
  assert.equal(session.view.get().sync, 'live');
});

test('of those that nobody watches only some are kept', async () => {
  const world = new FakeWorld();
  const client = await world.live({ keptSessions: 1 });
  const sessions = ['a', 'b', 'c'].map((sessionId) => {
    const session = client.session(sessionId);
    const leave = session.open();
    world.socket.say({ ...delta(0, 0, ''), type: 'subscribed', seq: undefined, id: world.socket.last('subscribe').id, sessionId, epoch: 'e', head: 0, mode: 'live', phase: 'idle', pending: [] });
    world.socket.say(delta(1, 0, 'x', { sessionId }));
    leave();
    return session;
  });
  client.session('d');
  assert.deepEqual(sessions.map((each) => each.state.items.length), [0, 0, 1]);
});

test('a refused subscribe says why; one that may succeed later is tried again', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const session = client.session(S);
  session.open();
  const refuse = (fields) => world.socket.say({ type: 'nack', id: world.socket.last('subscribe').id, message: 'no', ...fields });
  refuse({ code: 'storage_unavailable', retryable: true });
  assert.equal(session.view.get().error.code, 'storage_unavailable');
  await world.pass(250);
  assert.equal(world.socket.of('subscribe').length, 2);
  refuse({ code: 'storage_unavailable', retryable: true });
  world.socket.say({ type: 'store', ok: true });
  assert.equal(world.socket.of('subscribe').length, 3);
  subscribed(world);
  assert.equal(session.view.get().error, null);
  assert.equal(session.view.get().sync, 'live');

  const gone = client.session('gone');
  gone.open();
  refuse({ code: 'not_found', retryable: false });
  await world.pass(20_000);
  assert.equal(gone.view.get().error.code, 'not_found');
  assert.equal(world.socket.of('subscribe').length, 4);
});

test('lagging, and an end of the subscription that was not ours', async () => {
  const { world, session } = await watched();
  world.socket.say({ type: 'lagging', sessionId: S, behindEvents: 5, behindBytes: 6 });
  assert.equal(session.view.get().sync, 'catching_up');
  world.socket.say({ type: 'caught_up', sessionId: S, behindEvents: 0, behindBytes: 0 });
  assert.equal(session.view.get().sync, 'live');
  world.socket.say({ type: 'unsubscribed', sessionId: S, reason: 'whatever' });
  assert.equal(session.view.get().sync, 'waiting');
  await world.pass(250);
  assert.equal(world.socket.of('subscribe').length, 2);
});

const summary = (sessionId, fields) => ({ sessionId, title: '', agent: 'a', phase: 'idle', pending: 0, updatedAt: 1, ...fields });

test('the list, and what waits over all sessions', async () => {
  const world = new FakeWorld();
  let answered;
  world.answer = () => new Promise((resolve) => (answered = (permissions) => resolve(Response.json({ permissions }))));
  const client = await world.live();
  const leave = client.watchSessions();
  assert.equal(world.socket.of('watch_sessions').length, 1);
  world.socket.say({ type: 'sessions', items: [summary('a'), summary('b')], next: 'n' });
  world.socket.say({ type: 'session_changed', ...summary('b', { phase: 'running' }) });
  world.socket.say({ type: 'session_removed', sessionId: 'a' });
  assert.deepEqual([...client.sessions.get().items.values()].map((each) => each.phase), ['running']);
  // While it is asked what waited before, one begins and another one ends.
  world.socket.say({ type: 'permission_waiting', sessionId: S, request: request('new', 3) });
  world.socket.say({ type: 'permission_ended', sessionId: S, requestId: 'over' });
  answered([request('old', 2), request('over', 1)]);
  await settle();
  const ids = () => [...client.permissions.get().items.keys()];
  assert.deepEqual(ids(), ['old', 'new']);
  assert.equal(client.permissions.get().isLoaded, true);
  world.socket.say({ type: 'permission_ended', sessionId: S, requestId: 'old' });
  assert.deepEqual(ids(), ['new']);

  world.socket.hangUp();
  assert.equal(client.sessions.get().isLive, false);
  assert.equal(client.sessions.get().items.size, 1, 'what is known stays');
  await world.pass(250);
  world.socket.accept();
  world.socket.say({ type: 'sessions', items: [summary('c')] });
  answered([]);
  await settle();
  assert.deepEqual([[...client.sessions.get().items.keys()], ids()], [['c'], []]);
  leave();
  assert.equal(world.socket.of('unwatch_sessions').length, 1);
});

test('older sessions', async () => {
  const world = new FakeWorld();
  world.answer = (url) => Response.json(url.includes('/v1/sessions') ? { items: [summary('a', { phase: 'old' }), summary('z')] } : { permissions: [] });
  const client = await world.live();
  client.watchSessions();
  world.socket.say({ type: 'sessions', items: [summary('a')], next: 'n' });
  assert.equal(await client.loadOlderSessions(), true);
  assert.match(world.fetched.at(-1).url, /after=n/);
  assert.deepEqual([...client.sessions.get().items.values()].map((each) => [each.sessionId, each.phase]), [['a', 'idle'], ['z', 'idle']]);
  assert.equal(await client.loadOlderSessions(), false);
});

test('a listener that throws costs the others nothing', async () => {
  const { world, client, session, text } = await watched();
  const faults = [];
  const catcher = (error) => faults.push(error.message);
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', catcher);
  session.onEvent(() => { throw new Error('of an event'); });
  session.view.subscribe(() => { throw new Error('of a store'); });
  client.onMessage(() => { throw new Error('of a message'); });
  world.socket.say(delta(1, 0, 'ab'));
  world.socket.say({ type: 'store', ok: false });
  await settle();
  process.removeListener('uncaughtException', catcher);
  before.forEach((listener) => process.on('uncaughtException', listener));
  assert.equal(text(), 'ab');
  assert.equal(client.storeHealth.get().ok, false);
  assert.deepEqual(faults, ['of an event', 'of a store', 'of a message'], 'and nobody hides it');
});

test('every message is to be had, also of a type that is not known', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const seen = [];
  const stop = client.onMessage((message) => seen.push(message.type));
  world.socket.say({ type: 'config_changed', changeType: 'theme' });
  world.socket.say({ type: 'of_the_future' });
  world.socket.say('no object');
  stop();
  world.socket.say({ type: 'store', ok: false, reason: 'disk' });
  assert.deepEqual(seen.filter(Boolean), ['config_changed', 'of_the_future']);
  assert.deepEqual(client.storeHealth.get(), { ok: false, reason: 'disk' });
});
