import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { newClientId } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { say, script, stream, think, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

test('connect and subscribe', async () => {
  const client = await server.connect();
  const { connected } = client;
  assert.equal(connected.protocol, 'signalbox.v1');
  assert.equal(client.socket.protocol, 'signalbox.v1');
  assert.equal(connected.clientId, client.clientId);
  assert.equal(connected.user, 'local');
  assert.equal(typeof connected.server.version, 'string');
  assert.equal(typeof connected.server.instance, 'string');
  assert.equal(connected.limits.maxMessageBytes, 1024 * 1024);

  const session = await client.create('scripted', { title: 'First' });
  assert.match(session.answer.mode, /^(live|replay)$/);
  assert.equal(session.answer.agent, 'scripted');
  assert.deepEqual(session.answer.pending, []);
  const created = await session.event('session_created');
  assert.equal(created.seq, 1);
  assert.equal(created.agent, 'scripted');
  assert.equal(created.workspace, session.workspace);
  assert.equal(created.title, 'First');
  await session.status('idle');

  const turn = await session.prompt(script(say('Hello, world.')));
  const end = await turn.end();
  assert.equal(end.stopReason, 'end_turn');
  assert.equal(textOf(end), 'Hello, world.');
  const message = await session.event('user_message', (event) => event.status === 'processing');
  assert.equal(message.messageId, turn.messageId);
  assert.equal(message.cause.clientId, client.clientId);
  await client.close();
});

test('a client without an id gets one, and one without a subprotocol is served', async () => {
  const client = await server.connect({ query: '', protocol: null });
  assert.ok(client.connected.clientId.length >= 16);
  const { sessionId } = await client.command('create_session', {
    agent: 'scripted', workspace: server.newWorkspace(),
  });
  const session = await client.subscribe(sessionId, { history: 'none' });
  assert.equal(session.answer.mode, 'live');
});

test('a second connection of the same client replaces the first', async () => {
  const clientId = newClientId();
  const first = await server.connect({ clientId });
  const second = await server.connect({ clientId });
  assert.equal((await first.closed).code, 3504);
  await second.ping();
});

test('everybody who watches gets the same events, byte for byte', async () => {
  const [one, two] = await Promise.all([server.connect(), server.connect()]);
  const mine = await one.create('scripted');
  const theirs = await two.follow(mine.id);
  const turn = await mine.prompt(script(think('Well. '), say('Text. '), stream(40, 7, 400)));
  await turn.end();
  const { seq } = await mine.status('idle', { from: mine.events.length - 1 });
  await theirs.event('status', (event) => event.seq === seq);
  const first = theirs.events.find((event) => event.type === 'turn_started').seq;
  const bytes = (session) => session.events.filter((event) => event.seq >= first).map((event) => event.raw);
  assert.deepEqual(bytes(theirs), bytes(mine));
});

test('who comes late gets all of it, and the same in the end', async () => {
  const [early, late] = await Promise.all([server.connect(), server.connect()]);
  const live = await early.create('scripted');
  await live.run(script(think('Hm.'), stream(200, 10, 1000), tool({ title: 'Look', output: 'seen' }), say('Done.')));
  await live.run(script(say('A second turn.')));
  const { seq } = await live.status('idle', { from: live.events.length - 1 });

  const replayed = await late.follow(live.id);
  assert.equal(replayed.answer.mode, 'replay');
  assert.equal(replayed.watch.position.seq, seq);
  assert.deepEqual(replayed.watch.state(), live.watch.state());
  assert.equal(toolsOf([...replayed.watch.turns.values()][0]).length, 1);
});

test('what comes late is folded', async () => {
  const [early, late] = await Promise.all([server.connect(), server.connect()]);
  const live = await early.create('scripted');
  await live.run(script(stream(200, 10, 1000)));
  const replayed = await late.follow(live.id);
  assert.ok(replayed.events.length < live.events.length);
  assert.ok(!replayed.events.some((event) => event.type === 'text_delta'));
});

test('unsubscribe ends the events, and watching nothing is fine', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.status('idle');
  const answer = await client.command('unsubscribe', { sessionId: session.id });
  assert.equal(answer.type, 'unsubscribed');
  const seen = session.events.length;
  const other = await server.connect();
  const theirs = await other.follow(session.id);
  await theirs.run(script(say('Unseen.')));
  await client.ping();
  assert.equal(session.events.length, seen);
});

test('a command with an id is done once, also when it is sent again', async () => {
  const clientId = newClientId();
  const client = await server.connect({ clientId });
  const session = await client.create('scripted');
  const prompt = { sessionId: session.id, text: script(say('Once.')), id: 'same' };
  const first = await client.command('prompt', prompt);
  await session.event('complete');
  await client.drop();

  const again = await server.connect({ clientId, watches: client.watches });
  const second = await again.command('prompt', prompt);
  assert.equal(second.messageId, first.messageId);
  await again.refusal('prompt', { ...prompt, text: 'something else' }, 'bad_message');
  const resumed = await again.resume(session.id);
  const messages = resumed.events.filter((event) => event.type === 'turn_started');
  assert.equal(messages.length, 1);
});

test('the list of sessions follows what happens in them', async () => {
  const client = await server.connect();
  const first = await client.command('watch_sessions');
  assert.equal(first.type, 'sessions');
  const session = await client.create('scripted', { title: 'Listed' });
  const isIt = (message) => message.sessionId === session.id;
  await client.control('session_changed', (message) => isIt(message) && message.phase === 'idle');
  const turn = await session.prompt(script({ permission: {} }));
  const request = await turn.permission();
  const waiting = await client.control('permission_waiting', isIt);
  assert.equal(waiting.request.requestId, request.requestId);
  await client.control('session_changed', (message) => isIt(message) && message.pending === 1);
  await session.answerPermission(request, { allow: true });
  await client.control('permission_ended', isIt);
  await client.control('session_changed', (message) => isIt(message) && message.pending === 0);
  const again = await client.command('watch_sessions');
  assert.ok(again.items.some((item) => item.sessionId === session.id && item.title === 'Listed'));
  await client.command('unwatch_sessions');
});
