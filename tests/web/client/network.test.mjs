// The library over a network that is slow, cut, or swallows everything.
import assert from 'node:assert/strict';
import { scripted } from '../../e2e/lib/agents.mjs';
import { say, script, stream, streamed } from '../../e2e/lib/script.mjs';
import { startServer } from '../../e2e/lib/server.mjs';
import { until } from '../../e2e/lib/wait.mjs';
import { Proxy } from './lib/proxy.mjs';
import { assertSame, clientOf, current, ended, isLive, newSession, test, textOf, wait, watch } from './lib/real.mjs';

const server = await startServer({ agents: { scripted: scripted() }, settings: { 'max-agents': 40 } });
const users = (state) => state.items.filter((item) => item.kind === 'user').map((item) => item.text);

test('a network that is cut again and again loses nothing and doubles nothing', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy, { connection: { backoff: { baseMs: 10, maxMs: 60 } } });
  const session = await newSession(client, server);
  await client.prompt(session.sessionId, script(stream(1500, 20, 750)));
  const prompts = [];
  for (let i = 0; i < 12; i++) {
    const { length } = textOf(session.state);
    await wait(session.view, ({ state }) => textOf(state).length > length || state.items.some((item) => item.kind === 'end'), 'more text');
    prompts.push(client.prompt(session.sessionId, `prompt ${i}`));
    await until(() => proxy.pairs.size > 0, 'a connection'); // also when the text is over before that
    proxy.cut();
  }
  await Promise.all(prompts);
  await ended(session, 13);
  assert.ok(proxy.connections > 5, String(proxy.connections));
  assert.equal(session.state.items.find((item) => item.kind === 'text').text, streamed(1500, 20));
  assert.deepEqual(users(session.state).slice(1), prompts.map((_, i) => `prompt ${i}`), 'each once, and in order');
  await assertSame(session, clientOf(server));
});

test('a black hole is noticed: by silence after waking up, and text goes on', async () => {
  const proxy = await Proxy.before(server);
  let wake;
  const client = clientOf(proxy, { connection: { wokenAnswerMs: 100 }, platform: { onWake: (call) => { wake = call; return () => {}; } } });
  const session = await newSession(client, server);
  await client.prompt(session.sessionId, script(stream(300, 20, 300)));
  await wait(session.view, ({ state }) => textOf(state).length > 100, 'text');
  proxy.isBlackHole = true;
  const direct = await watch(clientOf(server), session.sessionId);
  await ended(direct);
  assert.equal(client.connection.get().name, 'live', 'nobody has told it');
  wake();
  await wait(client.connection, (state) => state.name === 'offline', 'the hole to be noticed');
  const { since } = client.connection.get();
  assert.equal(session.view.get().state.phase, 'running', 'what is known of the session stays');
  proxy.isBlackHole = false;
  await ended(session);
  assert.ok(since > 0);
  assert.equal(textOf(session.state), streamed(300, 20));
  await assertSame(session, client);
});

test('a slow reader lags, is told so, and ends with every character', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy);
  const session = await newSession(client, server);
  const syncs = new Set();
  session.view.subscribe(() => {
    const { sync } = session.view.get();
    syncs.add(sync);
    proxy.rate = sync === 'catching_up' ? 1_500_000 : proxy.rate; // it lags, which is what was wanted
  });
  proxy.rate = 200_000; // of what is compressed on the way: less than the busiest machine makes of this stream
  await client.prompt(session.sessionId, script(stream(300_000, 30, 0)));
  await ended(session);
  assert.ok(syncs.has('catching_up'), [...syncs].join());
  assert.equal(proxy.connections, 1, 'slow is not dead');
  assert.equal(textOf(session.state), streamed(300_000, 30));
  await assertSame(session, clientOf(server));
});

test('a slow and distant server: commands in order, each once', async () => {
  const proxy = await Proxy.before(server);
  proxy.delay = 40;
  const client = clientOf(proxy);
  const session = await newSession(client, server);
  const texts = Array.from({ length: 8 }, (_, i) => `slow ${i}`);
  await Promise.all(texts.map((text) => client.prompt(session.sessionId, text)));
  await ended(session, texts.length);
  assert.deepEqual(users(session.state), texts);
});

test('a server that cannot be reached for a while: everything stays, and is sent when it can', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy);
  const session = await newSession(client, server);
  await client.prompt(session.sessionId, script(say('before')));
  await ended(session);
  proxy.isRefusing = true;
  proxy.cut();
  await wait(client.connection, (state) => state.name === 'offline' && state.attempt > 3, 'several tries');
  const command = client.prompt(session.sessionId, script(say(' and after')));
  assert.equal(textOf(session.state), 'before');
  assert.equal(session.view.get().sync, 'waiting');
  proxy.isRefusing = false;
  await command;
  await ended(session, 2);
  assert.equal(textOf(session.state), 'before and after');
});

test('many sessions over a network that is cut', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy);
  await isLive(client);
  const sessions = await Promise.all(Array.from({ length: 12 }, () => newSession(client, server)));
  await Promise.all(sessions.map((session, i) => client.prompt(session.sessionId, script({ ...stream(300, 20, 300), seed: i + 1 }))));
  for (let i = 0; i < 6; i++) {
    const { length } = textOf(sessions[i].state);
    await wait(sessions[i].view, ({ state }) => textOf(state).length > length || state.items.some((item) => item.kind === 'end'), 'more text');
    proxy.cut();
  }
  await Promise.all(sessions.map((session) => ended(session)));
  for (const [i, session] of sessions.entries()) {
    assert.equal(textOf(session.state), streamed(300, 20, i + 1));
    await assertSame(session, client);
  }
});

test('commands while the network is cut every moment: each is done exactly once', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy, { connection: { backoff: { baseMs: 10, maxMs: 60 } } });
  const before = (await client.http.sessions({ limit: 500 })).items.length;
  await isLive(client);
  const sent = [];
  for (let i = 0; i < 25; i++) {
    sent.push(client.send('create_session', { agent: 'scripted', workspace: server.newWorkspace() }));
    await until(() => proxy.pairs.size > 0, 'a connection');
    await new Promise((done) => setTimeout(done, Math.random() * 20)); // anywhere between before it and after its answer
    proxy.cut();
  }
  const made = await Promise.all(sent);
  assert.ok(proxy.connections > 5, String(proxy.connections));
  assert.equal(new Set(made.map((answer) => answer.sessionId)).size, 25);
  const after = (await clientOf(server).http.sessions({ limit: 500 })).items;
  assert.equal(after.length - before, 25);
  const one = await watch(client, made[0].sessionId);
  await current(one);
});
