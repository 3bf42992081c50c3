import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { UpgradeRefused } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const withLimits = (settings) => startServer({ settings, agents: { scripted: scripted() } });
const busy = script(say('busy'), waitCancel());

test('the queue of prompts', async () => {
  const server = await withLimits({});
  const session = await (await server.connect()).create('scripted');
  await (await session.prompt(busy)).event('text_delta');
  for (let i = 1; i <= 100; i++) {
    const { ack } = await session.prompt(script(say(`queued ${i}`)));
    assert.equal(ack.status, 'queued');
    assert.equal(ack.position, i);
  }
  await session.client.refusal('prompt', { sessionId: session.id, text: 'one too many' }, 'queue_full');
  const rest = await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { text: 'one too many' } });
  assert.equal(rest.status, 429);
  assert.equal(rest.json.code, 'queue_full');
  const { withdrawn } = await session.cancel({ all: true });
  assert.equal(withdrawn.length, 100);
});

test('sessions', async () => {
  const server = await withLimits({ 'max-sessions': 2 });
  const client = await server.connect();
  const first = await client.create('scripted');
  await client.create('scripted');
  await client.refusal('create_session', { agent: 'scripted', workspace: server.newWorkspace() }, 'limit_reached');
  const rest = await server.rest('POST', '/v1/sessions', { body: { agent: 'scripted', workspace: server.newWorkspace() } });
  assert.equal(rest.status, 429);
  await client.command('close_session', { sessionId: first.id });
  await first.event('session_closed');
  await client.create('scripted');
});

test('clients', async () => {
  const server = await withLimits({ 'max-clients': 3 });
  const clients = await Promise.all([server.connect(), server.connect(), server.connect()]);
  await assert.rejects(server.connect(), (error) => error instanceof UpgradeRefused && [429, 503].includes(error.status));
  await clients[0].close();
  await until(() => server.connect().catch(() => null), 'a place that is free again');
});

test('running agents, where none may wait', async () => {
  const server = await withLimits({ 'max-agents': 1, 'max-waiting-agents': 0 });
  const client = await server.connect();
  const one = await client.create('scripted');
  const turn = await one.prompt(busy);
  await turn.event('text_delta');
  const nack = await client.refusal('create_session', { agent: 'scripted', workspace: server.newWorkspace() }, 'limit_reached');
  assert.match(nack.message, /max-agents/);
  await one.cancel();
  await turn.end();
});

test('open permission requests of a session', async () => {
  const server = await withLimits({ 'max-pending-permissions': 2 });
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(ask({ parallel: 4 }), say('.')));
  // The agent says each answer as it comes: those that found no place are answered already, so an answer makes room for none of them.
  await turn.started();
  const told = () => textOf(turn.view).match(/answer:/g) ?? [];
  await until(() => session.watch.pending().length === 2 && told().length === 2, () => `two requests, and two that are refused: ${told()}`);
  for (const request of session.watch.pending()) {
    await session.answerPermission(request, { allow: true });
  }
  const end = await turn.end();
  assert.equal(session.watch.permissions.size <= 4, true);
  assert.equal(textOf(end).match(/allow_once/g).length, 2);
});

test('the size of a message', async () => {
  const server = await withLimits({ 'max-message-bytes': 4096 });
  const client = await server.connect();
  assert.equal(client.connected.limits.maxMessageBytes, 4096);
  client.send(JSON.stringify({ type: 'ping', padding: 'x'.repeat(5000) }));
  assert.equal((await client.closed).code, 1009);
});

test('subscriptions of a client', async () => {
  const server = await withLimits({ 'max-subscriptions': 2 });
  const client = await server.connect();
  await client.create('scripted');
  await client.create('scripted');
  const { sessionId } = await client.command('create_session', { agent: 'scripted', workspace: server.newWorkspace() });
  await client.refusal('subscribe', { sessionId }, 'limit_reached');
});

test('more commands at once than are admitted are done in order, not refused', async () => {
  const server = await withLimits({ 'max-commands-in-flight': 4 });
  const session = await (await server.connect()).create('scripted');
  const turns = await Promise.all(Array.from({ length: 40 }, (_, i) => session.prompt(script(say(`number ${i}.`)))));
  await turns.at(-1).end();
  const said = [...session.watch.turns.values()].map((turn) => textOf(turn));
  assert.deepEqual(said, Array.from({ length: 40 }, (_, i) => `number ${i}.`));
});
