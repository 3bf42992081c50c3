// Many requests at once, over many sessions, answered by many: each ends once, and everybody agrees about how.
import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { Refusal } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { ask, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf } from './lib/watch.mjs';

const SESSIONS = 20;
const EACH = 5;
const CLIENTS = 10;

const server = await startServer({
  agents: { scripted: scripted({ 'permission-timeouts': ['execute=1200'] }) },
});

/** Every page of the audit. */
async function auditOf(sessionIds) {
  const entries = [];
  let after = '';
  do {
    const page = (await server.rest('GET', `/v1/audit?limit=100${after && `&after=${after}`}`)).json;
    entries.push(...page.items);
    after = page.next;
  } while (after);
  assert.deepEqual(entries.map((entry) => entry.number), entries.map((_entry, i) => i + 1), 'without holes');
  return entries.filter((entry) => entry.action === 'decision' && sessionIds.has(entry.sessionId));
}

const END_OF = { permission_resolved: null, permission_timeout: 'timeout', permission_cancelled: 'cancelled' };

test('a hundred requests over twenty sessions, answered by ten clients, while others time out', async () => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect()));
  const feed = await server.connect();
  await feed.command('watch_sessions');
  // Of each session's requests some wait to time out (kind execute: 1.2 s), the others wait for a minute.
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, (_none, i) => clients[i % CLIENTS].create('scripted')));
  const turns = await Promise.all(sessions.map((session, i) => {
    const kind = i % 4 === 0 ? 'execute' : 'other';
    return session.prompt(script(ask({ parallel: EACH, tool: { kind, title: `tool ${i}`, input: { n: i } } })));
  }));
  const requests = (await Promise.all(turns.map((turn) =>
    Promise.all(Array.from({ length: EACH }, (_none, n) => turn.permission(n)))))).flat();
  assert.equal(requests.length, SESSIONS * EACH);
  assert.equal((await server.rest('GET', '/v1/permissions')).json.permissions.filter((one) => one.kind === 'other').length,
    requests.filter((one) => one.kind === 'other').length);

  // All clients answer all that does not time out, at the same time and in different orders.
  const answered = requests.filter((request) => request.kind === 'other');
  const tries = await Promise.all(clients.flatMap((client, i) => answered.map((_request, n) => {
    const { requestId } = answered[(n * 7 + i * 11) % answered.length];
    return client.command('permission_response', { requestId, allow: (n + i) % 2 === 0, message: `client ${i}` })
      .then((ack) => ({ requestId, ack }), (error) => ({ requestId, error }));
  })));
  for (const { error } of tries) {
    assert.ok(!error || (error instanceof Refusal && error.code === 'already_resolved'), String(error));
  }
  await Promise.all(turns.map((turn) => turn.end()));

  const entries = await auditOf(new Set(sessions.map((session) => session.id)));
  assert.equal(entries.length, requests.length, 'each is in the audit, none twice');
  const ends = new Map(sessions.flatMap((session) => session.events)
    .filter((event) => event.type in END_OF).map((event) => [event.requestId, event]));
  assert.equal(sessions.flatMap((s) => s.events).filter((event) => event.type in END_OF).length, requests.length);
  for (const request of requests) {
    const { requestId } = request;
    const mine = entries.filter((entry) => entry.requestId === requestId);
    assert.equal(mine.length, 1, requestId);
    const [entry] = mine;
    const event = ends.get(requestId);
    assert.equal(entry.outcome, END_OF[event.type] ?? event.outcome);
    assert.equal(entry.optionId, event.type === 'permission_timeout' ? 'reject_once' : event.optionId);
    assert.deepEqual(entry.request, request, 'what was shown');
    const won = tries.filter((one) => one.requestId === requestId && one.ack);
    assert.equal(won.length, request.kind === 'other' ? 1 : 0);
    if (request.kind === 'other') {
      assert.equal(won[0].ack.outcome, entry.outcome);
      assert.equal(entry.by, 'user');
      assert.equal(entry.from.transport, 'websocket');
      assert.equal(clients[Number(entry.message.split(' ')[1])].clientId, entry.from.clientId);
      assert.equal(event.cause.clientId, entry.from.clientId);
    } else {
      assert.equal(entry.by, 'timeout');
    }
    await feed.control('permission_waiting', (message) => message.request.requestId === requestId);
    await feed.control('permission_ended', (message) => message.requestId === requestId);
  }
  const fed = feed.inbox.items.filter((message) => message.type === 'permission_ended');
  assert.equal(fed.length, requests.length, 'the feed, too, has each end once');
  // What the agents heard is what was decided.
  for (const [i, turn] of turns.entries()) {
    const heard = textOf(turn.view).match(/\d=[a-z]+_[a-z]+?(?=answer|$)/g);
    const decided = entries.filter((entry) => entry.sessionId === sessions[i].id).map((entry) => entry.optionId).sort();
    assert.deepEqual(heard.map((one) => one.split('=')[1]).sort(), decided);
  }
  const families = parseMetrics((await server.rest('GET', '/metrics')).text);
  const metric = (name, labels = '') => families.get(name).samples.find((one) => one.labels === labels).value;
  assert.equal(metric('signalbox_permissions_pending'), 0);
  const counted = (by, outcome) => entries.filter((entry) => entry.by === by && entry.outcome === outcome).length;
  for (const [by, outcome] of [['timeout', 'timeout'], ['user', 'allowed'], ['user', 'rejected']]) {
    const labels = `outcome="${outcome}",by="${by}"`;
    assert.equal(metric('signalbox_permissions_total', labels), counted(by, outcome), labels);
  }
});

test('what is pending is seen by who comes back, and ends visibly with the server', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  const turn = await session.prompt(script(ask({ parallel: 3, tool: { kind: 'other', title: 'wait' } })));
  const requests = await Promise.all([0, 1, 2].map((n) => turn.permission(n)));
  await client.drop();
  const back = await server.connect({ clientId: client.clientId });
  const again = await back.follow(session.id);
  assert.deepEqual(again.answer.pending, requests, 'with `subscribed`');
  assert.equal(again.answer.phase, 'waiting');
  const listed = (await server.rest('GET', '/v1/permissions')).json.permissions;
  assert.deepEqual(listed.filter((one) => one.sessionId === session.id), requests);
  await again.answerPermission(requests[0], { allow: true });

  await server.kill();
  await server.start();
  const later = await server.connect();
  const third = await later.follow(session.id);
  assert.deepEqual(third.answer.pending, []);
  const ended = third.events.filter((event) => event.type === 'permission_cancelled');
  assert.deepEqual(ended.map((event) => event.reason), ['server_restarted', 'server_restarted']);
  assert.deepEqual(ended.map((event) => event.requestId).sort(), requests.slice(1).map((one) => one.requestId).sort());
  await later.refusal('permission_response', { requestId: requests[1].requestId, allow: true }, 'cancelled');
  const entries = await auditOf(new Set([session.id]));
  assert.deepEqual(entries.map(({ outcome, by, reason }) => ({ outcome, by, reason: reason ?? null })), [
    { outcome: 'allowed', by: 'user', reason: null },
    { outcome: 'cancelled', by: 'cancellation', reason: 'server_restarted' },
    { outcome: 'cancelled', by: 'cancellation', reason: 'server_restarted' },
  ]);
  assert.deepEqual(entries[1].request, requests[1]);
});

test('cancel, close, exit and stop are in the audit, with who did it', async () => {
  const client = await server.connect();
  const ways = {
    turn_cancelled: (session) => session.cancel(),
    session_closed: (session) => client.command('close_session', { sessionId: session.id }),
  };
  for (const [reason, way] of Object.entries(ways)) {
    const session = await client.create('scripted');
    const turn = await session.prompt(script(ask({ tool: { kind: 'other', title: 'wait' } })));
    await turn.permission();
    await way(session);
    await turn.event('permission_cancelled');
    const [entry] = await auditOf(new Set([session.id]));
    assert.equal(entry.reason, reason);
    assert.equal(entry.user, 'local');
    assert.equal(entry.from.clientId, client.clientId);
  }
  const session = await client.create('scripted');
  const turn = await session.prompt(script(ask({ tool: { kind: 'other', title: 'wait' } })));
  await turn.permission();
  await server.restart();
  const [entry] = await auditOf(new Set([session.id]));
  assert.equal(entry.reason, 'server_stopped');
  assert.equal(entry.user, undefined);
});
