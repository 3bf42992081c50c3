// The library against the built server: its stops and deaths, many sessions, commands that are done once.
import assert from 'node:assert/strict';
import { scripted } from '../../e2e/lib/agents.mjs';
import { ask, say, script, stream, streamed, tool, waitCancel } from '../../e2e/lib/script.mjs';
import { startServer } from '../../e2e/lib/server.mjs';
import { WebSocket, library } from './lib/library.mjs';
import { assertSame, clientOf, current, ended, isLive, newSession, test, textOf, wait, watch } from './lib/real.mjs';

const agents = { scripted: scripted() };
const users = (state) => state.items.filter((item) => item.kind === 'user').map((item) => item.text);
const countOf = (list, wanted) => list.filter((each) => each === wanted).length;
const flowing = (session, least = 200) => wait(session.view, ({ state }) => textOf(state).length >= least, 'text to flow');

for (const [how, stop] of [['stopped in order', (server) => server.terminate()], ['killed', (server) => server.kill()]]) {
  test(`the server is ${how} in the middle of a stream`, async () => {
    const server = await startServer({ agents });
    const client = clientOf(server);
    const session = await newSession(client, server);
    const said = []; // what was shown of the session while there was no connection
    const note = () => client.connection.get().name !== 'live' && said.push(session.view.get().state.phase);
    client.connection.subscribe(note);
    session.view.subscribe(note);
    const lengths = [];
    session.view.subscribe(() => lengths.push(textOf(session.view.get().state).length));

    await client.prompt(session.sessionId, script(stream(100_000, 10, 1000)));
    await flowing(session);
    const before = textOf(session.state);
    await stop(server);
    await wait(client.connection, (state) => state.name !== 'live', 'the connection to be gone');
    const late = client.prompt(session.sessionId, script(say('after')));
    assert.equal(late.state.get().name, 'queued');
    await server.start();
    assert.ok((await late).messageId);
    await ended(session, 2);

    assert.ok(said.length > 0 && said.every((phase) => phase === said[0]), `an agent does not stop because a socket dropped: ${said}`);
    assert.ok(lengths.every((length, i) => i === 0 || length >= lengths[i - 1]), 'text never gets less');
    const [first] = session.state.items.filter((item) => item.kind === 'text');
    assert.ok(first.text.startsWith(before) && streamed(100_000, 10).startsWith(first.text));
    assert.match(textOf(session.state), /after$/);
    const [end] = session.state.items.filter((item) => item.kind === 'end');
    assert.ok(['server_restarted', 'cancelled'].includes(end.stopReason), end.stopReason);
    await assertSame(session, client);
  });
}

test('prompts that were written while the server was down and up and down are done once each, in order', async () => {
  const server = await startServer({ agents });
  const client = clientOf(server);
  const session = await newSession(client, server);
  const texts = Array.from({ length: 12 }, (_, i) => `prompt ${i}`);
  const commands = [];
  for (const [i, text] of texts.entries()) {
    if (i % 4 === 1) {
      await server.kill();
    }
    commands.push(client.prompt(session.sessionId, text));
    if (i % 4 === 3) {
      await server.start();
      // Killed again while it is being answered.
      if (i === 7) {
        await commands[4];
        await server.kill();
        await server.start();
      }
    }
  }
  const answers = await Promise.all(commands);
  await client.send('resume_queue', { sessionId: session.sessionId }).catch(() => {});
  await wait(session.view, ({ state }) => state.queue.length === 0 && users(state).length === texts.length, 'all prompts to be taken up');
  await current(session);
  assert.equal(new Set(answers.map((answer) => answer.messageId)).size, texts.length);
  assert.deepEqual(texts.map((text) => countOf(users(session.state), text)), texts.map(() => 1));
  const order = answers.map((answer) => Number(answer.messageId.replace(/\D/g, '')));
  assert.deepEqual(order, [...order].sort((a, b) => a - b), 'recorded in the order in which they were written');
  await assertSame(session, client);
});

test('a reload of the page in the middle: what waited is sent by the next one, once', async () => {
  const items = new Map();
  const storage = { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value), removeItem: (key) => items.delete(key) };
  const server = await startServer({ agents });
  const before = clientOf(server, { storage });
  const session = await newSession(before, server);
  await server.kill();
  before.prompt(session.sessionId, 'one');
  before.prompt(session.sessionId, 'two');
  const kept = new Map(items); // the page is gone without a word
  before.close();
  kept.forEach((value, key) => items.set(key, value));
  await server.start();
  const after = clientOf(server, { storage });
  const [one, two] = after.outbox.get();
  await Promise.all([one, two]);
  const again = await watch(after, session.sessionId);
  await ended(again, 2);
  assert.deepEqual(users(again.state), ['one', 'two']);
  // And by one more, who has the same list: the server gives the first answers.
  after.close();
  kept.forEach((value, key) => items.set(key, value));
  const third = clientOf(server, { storage });
  const [first] = third.outbox.get();
  assert.equal((await first).messageId, (await one).messageId);
  assert.deepEqual(users((await watch(third, session.sessionId)).state), ['one', 'two']);
});

test('permission answers: at once, after a restart, too late', async () => {
  const server = await startServer({ agents: { ...agents, hasty: scripted({ 'permission-timeout-ms': 1500 }) }, settings: { 'permission-timeout-ms': 0 } });
  const client = clientOf(server);
  const leave = client.watchSessions();
  const session = await newSession(client, server);
  const asked = async (of = session) => (await wait(of.view, ({ state }) => state.pending.length > 0, 'a request')).state.pending[0];

  client.prompt(session.sessionId, script(ask()));
  const request = await asked();
  await wait(client.permissions, ({ items }) => items.has(request.requestId), 'the request over all sessions');
  const [option] = request.acpOptions;
  assert.equal((await client.answer(request, { optionId: option.optionId })).outcome, 'allowed');
  await ended(session);
  await wait(client.permissions, ({ items }) => items.size === 0, 'no request over all sessions');
  assert.match(textOf(session.state), new RegExp(`answer:${option.optionId}`));
  await assert.rejects(async () => client.answer(request, { allow: false }),
    (error) => error.code === 'already_resolved' && error.nack.resolved.outcome === 'allowed');

  client.prompt(session.sessionId, script(ask(), say('on')));
  const second = await asked();
  await server.kill();
  const late = client.answer(second, { optionId: option.optionId });
  await server.start();
  await assert.rejects(async () => late, (error) => ['cancelled', 'too_late'].includes(error.code));
  await current(session);
  assert.deepEqual(session.state.pending, []);

  const { sessionId } = await client.send('create_session', { agent: 'hasty', workspace: server.newWorkspace() });
  const short = await watch(client, sessionId);
  client.prompt(sessionId, script(ask()));
  const third = await asked(short);
  await wait(short.view, ({ state }) => state.pending.length === 0, 'its time to be over');
  await assert.rejects(async () => client.answer(third, { allow: true }), (error) => ['expired', 'too_late'].includes(error.code));
  leave();
});

test('many sessions over one connection, text for text', async () => {
  const server = await startServer({ agents, settings: { 'max-agents': 40 } });
  const client = clientOf(server);
  const sessions = await Promise.all(Array.from({ length: 24 }, () => newSession(client, server)));
  const prompts = sessions.map((session, i) => client.prompt(session.sessionId, script({ ...stream(200, 10, 400), seed: i + 1 })));
  await Promise.all(prompts);
  await Promise.all(sessions.map((session) => ended(session)));
  for (const [i, session] of sessions.entries()) {
    assert.equal(textOf(session.state), streamed(200, 10, i + 1));
    await assertSame(session, client);
  }
});

test('history: the open turn, or nothing of the past', async () => {
  const server = await startServer({ agents });
  const client = clientOf(server);
  const session = await newSession(client, server);
  await client.prompt(session.sessionId, script(say('old')));
  await ended(session);
  await client.prompt(session.sessionId, script(say('new'), tool({ title: 'T', output: 'x' }), ask(), waitCancel()));
  await wait(session.view, ({ state }) => state.pending.length === 1, 'a request');
  const turn = await watch(clientOf(server), session.sessionId, { history: 'turn' });
  await wait(turn.view, ({ state }) => state.items.length > 0 && state.pending.length === 1, 'the open turn');
  assert.equal(textOf(turn.state), 'new');
  const none = await watch(clientOf(server), session.sessionId, { history: 'none' });
  assert.deepEqual([none.state.items.length, none.state.pending.length], [0, 1]);
  await client.cancel(session.sessionId);
  for (const each of [turn, none]) {
    await wait(each.view, ({ state }) => state.phase === 'idle' && state.items.some((item) => item.kind === 'end'), 'the end');
    assert.deepEqual(each.state.pending, []);
  }
});

test('a second connection with the same id: the first one stops, and does not fight', async () => {
  const server = await startServer({ agents });
  const items = new Map();
  const storage = { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value), removeItem: (key) => items.delete(key) };
  const first = clientOf(server, { storage });
  await isLive(first);
  const second = clientOf(server, { storage });
  const stopped = await wait(first.connection, (state) => state.name === 'stopped', 'the first one to stop');
  assert.deepEqual([stopped.why, stopped.code], ['replaced', 3504]);
  await isLive(second);
  first.restart({ newIdentity: true });
  await isLive(first);
  assert.equal(second.connection.get().name, 'live');
  assert.notEqual(first.clientId, second.clientId);
});

// As where a proxy has a smaller limit than the server says.
class Misinformed extends WebSocket {
  set onmessage(listen) {
    super.onmessage = listen && (({ data }) => listen({ data: data.replace(/"maxMessageBytes":\d+/, '"maxMessageBytes":10000000') }));
  }
}

test('closed with 1009: the command is never sent again, the others are done', async () => {
  const server = await startServer({ agents, settings: { 'max-message-bytes': 2048 } });
  const client = clientOf(server, { WebSocket: Misinformed });
  const session = await newSession(client, server);
  const large = client.prompt(session.sessionId, 'x'.repeat(5000));
  const other = client.send('create_session', { agent: 'scripted', workspace: server.newWorkspace() });
  await assert.rejects(async () => large, (error) => error.code === 'too_large' && error.outcome === 'refused');
  assert.ok((await other).sessionId);
  await current(session);
  assert.deepEqual(users(session.state), []);
  const informed = clientOf(server);
  await isLive(informed);
  await assert.rejects(async () => informed.prompt(session.sessionId, 'x'.repeat(5000)), (error) => error.outcome === 'not_sent');
  assert.equal(informed.connection.get().name, 'live');
});

test('the list of sessions follows', async () => {
  const server = await startServer({ agents });
  const client = clientOf(server);
  client.watchSessions();
  const session = await newSession(client, server);
  await wait(client.sessions, ({ items }) => items.has(session.sessionId), 'the session in the list');
  await client.prompt(session.sessionId, script(ask()));
  await wait(client.sessions, ({ items }) => items.get(session.sessionId).pending === 1, 'that it waits');
  await client.cancel(session.sessionId);
  await client.send('close_session', { sessionId: session.sessionId });
  await wait(client.sessions, ({ items }) => items.get(session.sessionId).phase === 'closed', 'that it is closed');
  assert.equal(client.sessions.get().isLive, true);
  await server.terminate();
  await wait(client.sessions, ({ isLive: live }) => !live, 'that the list is old');
  await server.start();
  await wait(client.sessions, ({ isLive: live, items }) => live && items.size === 1, 'the list again');
});

test('folders to choose a workspace from', async () => {
  const server = await startServer({ agents });
  const client = clientOf(server);
  const { folders: roots } = await client.http.folders();
  assert.deepEqual(roots.map(({ path }) => path), [server.workspaces]);
  const workspace = server.newWorkspace('one & two');
  const { folders, path, more } = await client.http.folders(roots[0].path);
  assert.deepEqual([path, folders, more], [server.workspaces, [{ name: 'one & two', path: workspace, hidden: false }], false]);
  await assert.rejects(async () => client.http.folders('/'), (error) => error instanceof library.HttpError && error.status === 403);
});

test('commands that the server answers by what their result is', async () => {
  const server = await startServer({ agents });
  const client = clientOf(server);
  assert.equal((await client.send('ping', {})).type, 'pong');
  assert.deepEqual((await client.send('watch_sessions', {})).items, []);
  await assert.rejects(async () => client.send('subscribe', { sessionId: 'none' }), (error) => error instanceof library.CommandError && error.code === 'not_found');
});
