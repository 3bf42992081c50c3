import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script, waitCancel } from './lib/script.mjs';
import { runSignalbox, startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

async function call(method, where, body, headers) {
  const answer = await server.rest(method, where, { body, headers });
  if (answer.status >= 400) {
    assert.match(answer.headers['content-type'], /^application\/problem\+json/, `${method} ${where}`);
    const problem = answer.json;
    assert.equal(problem.status, answer.status);
    assert.equal(typeof problem.code, 'string');
    assert.equal(typeof problem.title, 'string');
  }
  return answer;
}

async function create(fields = {}) {
  const workspace = fields.workspace ?? server.newWorkspace();
  const answer = await call('POST', '/v1/sessions', { agent: 'scripted', ...fields, workspace });
  assert.equal(answer.status, 201, answer.text);
  return answer.json.sessionId;
}

const events = async (id, query = '') => (await call('GET', `/v1/sessions/${id}/events${query}`)).json;
const eventOf = (id, type) =>
  until(async () => (await events(id)).events.find((event) => event.type === type), `${type} in ${id}`);

test('alive, ready, and what there is', async () => {
  assert.equal((await call('GET', '/healthz')).status, 200);
  assert.equal((await call('GET', '/readyz')).status, 200);
  const { agents, workspaceRoots } = (await call('GET', '/v1/agents')).json;
  assert.deepEqual(agents.map((agent) => [agent.name, agent.available]), [['shell', true], ['scripted', true]]);
  assert.deepEqual(workspaceRoots, [server.workspaces]);
});

test('a session from its creation to its close', async () => {
  const id = await create({ title: 'By REST' });
  const one = (await call('GET', `/v1/sessions/${id}`)).json;
  assert.equal(one.title, 'By REST');
  assert.equal(one.agent, 'scripted');

  const said = await call('POST', `/v1/sessions/${id}/messages`, { text: script(say('Hello.')) });
  assert.equal(said.status, 202);
  assert.equal(said.json.accepted, true);
  const complete = await eventOf(id, 'complete');
  assert.equal(complete.stopReason, 'end_turn');
  const started = await eventOf(id, 'turn_started');
  assert.equal(started.messageId, said.json.messageId);

  const closed = await call('DELETE', `/v1/sessions/${id}`);
  assert.equal(closed.status, 200);
  await eventOf(id, 'session_closed');
  const late = await call('POST', `/v1/sessions/${id}/messages`, { text: 'late' });
  assert.equal(late.status, 409);
  assert.equal(late.json.code, 'closed');
  assert.equal((await call('GET', `/v1/sessions/${id}`)).json.phase, 'closed');
});

test('cancel', async () => {
  const id = await create();
  await call('POST', `/v1/sessions/${id}/messages`, { text: script(say('x'), waitCancel()) });
  await eventOf(id, 'turn_started');
  const answer = await call('POST', `/v1/sessions/${id}/cancel`, {});
  assert.equal(answer.status, 200);
  assert.equal((await eventOf(id, 'complete')).stopReason, 'cancelled');
});

test('the list of sessions is paged and complete', async () => {
  const made = [];
  for (let i = 0; i < 5; i++) {
    made.push(await create({ title: `Page ${i}` }));
  }
  // A session that changes between two pages moves to the front, and is not on a later page.
  for (const id of made) {
    await until(async () => (await call('GET', `/v1/sessions/${id}`)).json.phase === 'idle', 'its agent to be ready');
  }
  const seen = [];
  let next = '';
  for (let pages = 0; pages < 50; pages++) {
    const page = (await call('GET', `/v1/sessions?limit=2${next}`)).json;
    assert.ok(page.items.length <= 2);
    seen.push(...page.items.map((item) => item.sessionId));
    if (!page.next) {
      break;
    }
    next = `&after=${encodeURIComponent(page.next)}`;
  }
  assert.equal(new Set(seen).size, seen.length, 'none twice');
  assert.ok(made.every((id) => seen.includes(id)), 'none missing');
});

test('events are paged by position, folded, and tile', async () => {
  const id = await create();
  for (let i = 0; i < 3; i++) {
    await call('POST', `/v1/sessions/${id}/messages`, { text: script(say(`turn ${i}`)) });
  }
  await until(async () => (await events(id)).events.filter((event) => event.type === 'complete').length === 3, '3 turns');
  const whole = await events(id);
  let expected = 1;
  let position = '';
  for (;;) {
    const page = await events(id, `?limit=4${position}`);
    assert.equal(page.epoch, whole.epoch);
    assert.ok(page.events.length <= 4);
    for (const event of page.events) {
      assert.equal(event.from ?? event.seq, expected);
      expected = event.seq + 1;
    }
    if (!page.next) {
      break;
    }
    assert.equal(page.next, `${page.epoch}:${expected - 1}`);
    position = `&after=${page.next}`;
  }
  assert.equal(expected - 1, whole.head);
  const bad = await call('GET', `/v1/sessions/${id}/events?after=nonsense`);
  assert.equal(bad.status, 400);
});

test('an Idempotency-Key makes a POST happen once', async () => {
  const id = await create();
  const headers = { 'Idempotency-Key': 'one-and-only' };
  const body = { text: script(say('once')) };
  const first = await call('POST', `/v1/sessions/${id}/messages`, body, headers);
  const second = await call('POST', `/v1/sessions/${id}/messages`, body, headers);
  assert.equal(second.status, first.status);
  assert.equal(second.json.messageId, first.json.messageId);
  const other = await call('POST', `/v1/sessions/${id}/messages`, { text: 'other' }, headers);
  assert.equal(other.status, 422);
  assert.equal(other.json.code, 'bad_message');
});

test('permissions: listed, answered', async () => {
  const id = await create();
  await call('POST', `/v1/sessions/${id}/messages`, { text: script(ask()) });
  const { request } = await eventOf(id, 'permission_request');
  const list = (await call('GET', '/v1/permissions')).text;
  assert.ok(list.includes(request.requestId));
  const where = `/v1/sessions/${id}/permissions/${request.requestId}`;
  assert.equal((await call('POST', where, { decision: 'allow' })).status, 200);
  assert.equal((await eventOf(id, 'permission_resolved')).outcome, 'allowed');
  assert.equal((await call('POST', where, { decision: 'deny' })).status, 409);
  assert.ok(!(await call('GET', '/v1/permissions')).text.includes(request.requestId));
});

test('what is not there is 404, and a method that is not there 405', async () => {
  for (const where of ['/v1/sessions/nowhere', '/v1/sessions/nowhere/events', '/v1/nothing', '/v1/sessions/a/b/c/d']) {
    const answer = await call('GET', where);
    assert.equal(answer.status, 404, where);
    assert.equal(answer.json.code, 'not_found');
  }
  assert.equal((await call('POST', '/v1/sessions/nowhere/messages', { text: 'x' })).status, 404);
  const method = await call('PUT', '/v1/sessions', {});
  assert.equal(method.status, 405);
  assert.ok(method.headers.allow);
});

test('no path leads out of the page', async () => {
  for (const where of ['/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '//etc/passwd']) {
    const answer = await server.rest('GET', where);
    assert.ok(answer.status >= 400 || !answer.text.includes('root:'), where);
  }
});

test('a workspace outside the roots is refused, also by a link', async () => {
  const outside = path.join(server.folder, 'outside');
  mkdirSync(outside);
  const link = path.join(server.workspaces, 'link');
  symlinkSync(outside, link);
  const sneaky = [outside, link, '/', `${server.workspaces}/../outside`, 'relative', '', `${server.workspaces}x`];
  for (const workspace of [...sneaky, path.join(server.workspaces, 'missing')]) {
    const answer = await call('POST', '/v1/sessions', { agent: 'scripted', workspace });
    assert.ok([400, 403, 404].includes(answer.status), `${workspace}: ${answer.status}`);
  }
  const inside = path.join(server.workspaces, 'inner', 'folder');
  mkdirSync(inside, { recursive: true });
  symlinkSync(inside, path.join(server.workspaces, 'inner link'));
  await create({ workspace: path.join(server.workspaces, 'inner link') });
  await create({ workspace: server.workspaces });
});

test('openapi.json is valid JSON and names every path', async () => {
  const { json, headers } = await call('GET', '/openapi.json');
  assert.match(headers['content-type'], /application\/json/);
  assert.match(json.openapi, /^3\./);
  const shape = (where) => where.replace(/\{[^}]*\}/g, '{}');
  const paths = new Map(Object.entries(json.paths).map(([where, operations]) => [shape(where), Object.keys(operations)]));
  const wanted = `
    GET /healthz, GET /readyz, GET /metrics, POST /v1/login, POST /v1/logout, GET /v1/agents,
    GET /v1/sessions, POST /v1/sessions, GET /v1/sessions/{}, DELETE /v1/sessions/{}, GET /v1/sessions/{}/events,
    POST /v1/sessions/{}/messages, POST /v1/sessions/{}/cancel, GET /v1/permissions, POST /v1/sessions/{}/permissions/{}, GET /openapi.json`;
  for (const entry of wanted.split(',')) {
    const [method, where] = entry.trim().split(' ');
    assert.ok(paths.get(where)?.includes(method.toLowerCase()), `${method} ${where}`);
  }
});

test('the page and its parts are served, with headers that keep it safe', async () => {
  const page = await server.rest('GET', '/');
  assert.equal(page.status, 200);
  assert.match(page.headers['content-type'], /^text\/html/);
  assert.ok(page.headers['content-security-policy']);
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  for (const [, where] of page.text.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css|svg))"/g)) {
    assert.equal((await server.rest('GET', where)).status, 200, where);
  }
  assert.equal((await server.rest('GET', '/theme.json')).status, 200);
});

test('two servers do not share a port', async () => {
  const args = ['serve', '--config', server.configFile, '--listen', `127.0.0.1:${server.port}`, '--data', path.join(server.folder, 'other')];
  const { code, output } = await runSignalbox(args);
  assert.notEqual(code, 0);
  assert.ok(output.includes(String(server.port)), output);
  assert.equal((await call('GET', '/healthz')).status, 200);
});
