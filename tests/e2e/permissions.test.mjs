import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { Refusal } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({
  agents: { scripted: scripted(), hasty: scripted({ 'permission-timeout-ms': 400 }) },
});
const options = [
  { optionId: 'always', name: 'Always', kind: 'allow_always' },
  { optionId: 'once', name: 'Once', kind: 'allow_once' },
  { optionId: 'never', name: 'Never', kind: 'reject_always' },
  { optionId: 'no', name: 'No', kind: 'reject_once' },
];

/** A turn that waits for a permission: {client, session, turn, request}. */
async function waiting({ agent = 'scripted', client, fields = { options } } = {}) {
  client ??= await server.connect();
  const session = await client.create(agent);
  const turn = await session.prompt(script(say('Before. '), ask(fields), say(' After.')));
  const request = await turn.permission();
  return { client, session, turn, request };
}

test('permission timeout', async () => {
  const { session, turn, request } = await waiting({ agent: 'hasty' });
  assert.ok(request.expiresAt > request.createdAt);
  const watcher = await (await server.connect()).follow(session.id);
  for (const each of [session, watcher]) {
    const event = await each.event('permission_timeout');
    assert.equal(event.requestId, request.requestId);
  }
  const end = await turn.end();
  assert.equal(end.stopReason, 'end_turn');
  assert.equal(textOf(end), 'Before. answer:no After.', 'the agent was told no, and the turn went on');
  await session.client.refusal('permission_response', { requestId: request.requestId, allow: true }, 'expired');
});

test('the request shows what a person can judge by, after its tool_start', async () => {
  const { session, request, turn } = await waiting();
  const start = await turn.event('tool_start');
  assert.equal(request.toolUseId, start.toolUseId);
  assert.ok(request.command.length > 0);
  assert.deepEqual(request.acpOptions.map((option) => option.optionId), options.map((option) => option.optionId));
  assert.ok(request.expiresAt - request.createdAt >= 60_000);
  const late = await (await server.connect()).follow(session.id);
  assert.deepEqual(late.answer.pending.map((one) => one.requestId), [request.requestId]);
  assert.equal(late.answer.phase, 'waiting');
  await session.answerPermission(request, { optionId: 'no' });
  await turn.end();
});

const FORMS = [
  ['optionId', { optionId: 'never' }, 'never', 'rejected'],
  ['optionId whatever stands beside it', { optionId: 'once', allow: false }, 'once', 'allowed'],
  ['allowed', { allowed: true }, 'once', 'allowed'],
  ['allow', { allow: true }, 'once', 'allowed'],
  ['decision allow', { decision: 'allow' }, 'once', 'allowed'],
  ['decision deny', { decision: 'deny' }, 'no', 'rejected'],
  ['alwaysAllow', { allow: true, alwaysAllow: true }, 'always', 'allowed'],
  ['decision allow-always', { decision: 'allow-always' }, 'always', 'allowed'],
  ['nothing that says yes', {}, 'no', 'rejected'],
];
for (const [name, answer, optionId, outcome] of FORMS) {
  test(`an answer by ${name} reaches the agent as the option meant`, async () => {
    const { session, turn, request } = await waiting();
    await session.answerPermission(request, answer);
    const resolved = await turn.event('permission_resolved');
    assert.equal(resolved.requestId, request.requestId);
    assert.equal(resolved.outcome, outcome);
    assert.equal(resolved.optionId, optionId);
    assert.equal(resolved.by.user, 'local');
    assert.equal(textOf(await turn.end()), `Before. answer:${optionId} After.`);
  });
}

test('an answer that cannot be is refused, and the request stays open', async () => {
  const { client, session, turn, request } = await waiting();
  const { requestId } = request;
  const answer = (fields, code) => client.refusal('permission_response', { requestId, ...fields }, code);
  await answer({ optionId: 'nonsense' }, 'unknown_option');
  await answer({ allow: true, decision: 'deny' }, 'bad_message');
  await answer({ allow: true, updatedInput: { something: 'else' } }, 'unsupported');
  await client.refusal('permission_response', { requestId: 'nobody-asked', allow: true }, 'not_found');
  assert.equal(session.watch.pending().length, 1);
  await session.answerPermission(request, { allow: true });
  await turn.end();
});

test('without an allow_once a plain yes is never widened', async () => {
  const only = options.filter((option) => option.kind !== 'allow_once');
  const { client, session, turn, request } = await waiting({ fields: { options: only } });
  await client.refusal('permission_response', { requestId: request.requestId, allow: true }, 'unknown_option');
  await session.answerPermission(request, { decision: 'deny' });
  assert.match(textOf(await turn.end()), /answer:no/);
});

test('two people answer at once: one wins, the other is told who', async () => {
  for (let round = 0; round < 5; round++) {
    const { client, session, turn, request } = await waiting();
    const other = await server.connect();
    const say = (who, optionId) =>
      who.command('permission_response', { requestId: request.requestId, optionId }).catch((error) => error);
    const answers = await Promise.all([say(client, 'once'), say(other, 'no')]);
    const refused = answers.filter((answer) => answer instanceof Refusal);
    assert.equal(refused.length, 1, 'one wins');
    const [{ nack }] = refused;
    const winner = answers[0] instanceof Refusal ? 'no' : 'once';
    assert.equal(nack.code, 'already_resolved');
    assert.equal(nack.requestId, request.requestId);
    assert.equal(nack.resolved.optionId, winner);
    assert.equal(nack.resolved.outcome, winner === 'once' ? 'allowed' : 'rejected');
    assert.equal(nack.resolved.by.user, 'local');
    assert.equal(typeof nack.resolved.at, 'number');
    assert.match(textOf(await turn.end()), new RegExp(`answer:${winner}`));
    const ends = session.events.filter((event) => event.type === 'permission_resolved');
    assert.equal(ends.length, 1);
  }
});

test('cancelling the turn cancels what is pending', async () => {
  const { session, turn, request } = await waiting();
  await session.cancel();
  const cancelled = await turn.event('permission_cancelled');
  assert.equal(cancelled.requestId, request.requestId);
  assert.equal(cancelled.reason, 'turn_cancelled');
  await turn.end();
  await session.client.refusal('permission_response', { requestId: request.requestId, allow: true }, 'cancelled');
});

test('closing the session cancels what is pending', async () => {
  const { client, session, turn } = await waiting();
  await client.command('close_session', { sessionId: session.id });
  const cancelled = await turn.event('permission_cancelled');
  assert.equal(cancelled.reason, 'session_closed');
  await session.event('session_closed');
  await client.refusal('prompt', { sessionId: session.id, text: 'too late' }, 'closed');
});

test('subscribers are told how many wait', async () => {
  const { client, session, turn, request } = await waiting();
  const about = (pending) => (message) => message.sessionId === session.id && message.pending === pending;
  const one = await client.control('permission_queue_status', about(1));
  assert.equal(typeof one.oldestCreatedAt, 'number');
  await session.answerPermission(request, { allow: true });
  await client.control('permission_queue_status', about(0));
  await turn.end();
});

test('answers over REST: 200, 404, 409, 410', async () => {
  const { session, turn, request } = await waiting();
  const where = (id) => `/v1/sessions/${session.id}/permissions/${id}`;
  const list = (await server.rest('GET', '/v1/permissions')).json;
  assert.ok(JSON.stringify(list).includes(request.requestId), 'listed over all sessions');
  const post = (id, body) => server.rest('POST', where(id), { body });
  assert.equal((await post('nobody-asked', { allow: true })).status, 404);
  assert.equal((await post(request.requestId, { optionId: 'nonsense' })).status, 400);
  assert.equal((await post(request.requestId, { optionId: 'once' })).status, 200);
  const again = await post(request.requestId, { optionId: 'no' });
  assert.equal(again.status, 409);
  assert.equal(again.json.code, 'already_resolved');
  assert.equal(again.json.resolved.optionId, 'once');
  assert.match(textOf(await turn.end()), /answer:once/);

  const expired = await waiting({ agent: 'hasty' });
  await expired.turn.end();
  const late = await server.rest('POST', `/v1/sessions/${expired.session.id}/permissions/${expired.request.requestId}`, {
    body: { allow: true },
  });
  assert.equal(late.status, 410);
  assert.equal(late.json.code, 'expired');
});
