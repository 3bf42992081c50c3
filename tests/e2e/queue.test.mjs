import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script, stream, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const fresh = async () => (await server.connect()).create('scripted');

test('prompts during a turn are queued and processed in order', async () => {
  const session = await fresh();
  const first = await session.prompt(script(say('first'), ask()));
  const request = await first.permission();
  const queued = [];
  for (const name of ['a', 'b', 'c']) {
    queued.push(await session.prompt(script(say(name))));
  }
  assert.deepEqual(queued.map((turn) => [turn.ack.status, turn.ack.position]), [['queued', 1], ['queued', 2], ['queued', 3]]);
  const other = await (await server.connect()).follow(session.id);
  const theirs = await other.prompt(script(say('theirs')));
  assert.equal(theirs.ack.position, 4);
  await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { text: script(say('rest')) } });
  await session.client.command('withdraw', { sessionId: session.id, messageId: queued[1].messageId });
  await session.event('user_message', (event) => event.messageId === queued[1].messageId && event.status === 'withdrawn');

  await session.answerPermission(request, { allow: true });
  await session.event('turn_started', () => session.watch.turns.size === 5);
  await session.event('complete', (event) => event.turnId === [...session.watch.turns.keys()][4]);
  const said = [...session.watch.turns.values()].map((turn) => textOf(turn));
  assert.deepEqual(said, ['firstanswer:allow_once', 'a', 'c', 'theirs', 'rest']);
  assert.equal(session.watch.users.get(queued[1].messageId).status, 'withdrawn');
});

test('cancel withdraws one\'s own queued prompts, with all everybody\'s', async () => {
  const session = await fresh();
  await (await session.prompt(script(say('x'), waitCancel()))).event('text_delta');
  const texts = [script(say('one')), script(say('two'))];
  for (const text of texts) {
    await session.prompt(text);
  }
  const { withdrawn } = await session.cancel();
  assert.deepEqual(withdrawn, texts);
  const next = await session.run(script(say('next')));
  assert.equal(textOf(next), 'next');
  assert.equal(session.watch.turns.size, 2);
});

test('cancel in a stream: the turn ends as cancelled, and what was shown stays', async () => {
  const session = await fresh();
  const turn = await session.prompt(script(tool({ title: 'Open', output: 'o', leaveOpen: true }), stream(100_000, 10, 1000)));
  let deltas = 0;
  await turn.event('text_delta', () => ++deltas === 3);
  await session.cancel();
  const end = await turn.end();
  assert.equal(end.stopReason, 'cancelled');
  assert.equal(toolsOf(end)[0].result.isError, true, 'the open tool is closed');
  assert.ok(textOf(end).length > 0);
  assert.equal(textOf(await session.run(script(say('on')))), 'on');
});

test('a cancel of a turn that is over stops no later one, over the WebSocket and over HTTP', async () => {
  const session = await fresh();
  await session.run(script(say('over')));
  const [turnId] = session.watch.turns.keys();
  const turn = await session.prompt(script(say('x'), ask()));
  const request = await turn.permission();
  await session.prompt(script(say('waits')));
  assert.deepEqual((await session.cancel({ turnId })).withdrawn, []);
  const { json } = await server.rest('POST', `/v1/sessions/${session.id}/cancel`, { body: { turnId, all: true } });
  assert.deepEqual(json.withdrawn, []);
  await session.answerPermission(request, { allow: true });
  assert.equal((await turn.end()).stopReason, 'end_turn');
});

test('cancel without a turn does nothing', async () => {
  const session = await fresh();
  await session.status('idle');
  assert.deepEqual((await session.cancel()).withdrawn, []);
  assert.equal(textOf(await session.run(script(say('fine')))), 'fine');
});

test('what cannot be withdrawn is refused', async () => {
  const session = await fresh();
  const turn = await session.prompt(script(say('done')));
  await turn.end();
  const { client, id } = session;
  await client.refusal('withdraw', { sessionId: id, messageId: 'never-was' }, 'not_found');
  await assert.rejects(client.command('withdraw', { sessionId: id, messageId: turn.messageId }));
  await client.refusal('withdraw', { sessionId: 'nowhere', messageId: 'x' }, 'not_found');
});

test('a session is stopped by its close in the middle of a turn', async () => {
  const session = await fresh();
  const turn = await session.prompt(script(say('x'), waitCancel()));
  await turn.event('text_delta');
  await session.client.command('close_session', { sessionId: session.id });
  await turn.end();
  await session.event('session_closed');
  await session.status('closed');
});

test('two sessions do not wait for each other', async () => {
  const [slow, quick] = [await fresh(), await fresh()];
  const turn = await slow.prompt(script(say('x'), waitCancel()));
  await turn.event('text_delta');
  assert.equal(textOf(await quick.run(script(say('quick')))), 'quick');
  await slow.cancel();
  await turn.end();
});
