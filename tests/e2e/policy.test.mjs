// Policies of sessions, what the operator denies, and deadlines by kind of tool.
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({
  settings: {
    'deny-commands': ['rm -rf *', '*sudo *'],
    'deny-kinds': ['switch_mode'],
    'deny-paths': ['/etc', '.git'],
    'permission-timeouts': ['execute=300', 'think=0'],
  },
  agents: {
    scripted: scripted(),
    own: scripted({ 'permission-timeout-ms': 250, 'permission-timeouts': ['edit=0'], 'permission-timeout-action': 'cancel' }),
  },
});
const asks = (kind, input = { command: 'x; y' }, more = {}) => ask({ tool: { kind, title: 'a tool', input }, ...more });
const audit = async (query = '') => (await server.rest('GET', `/v1/audit?limit=1000${query}`)).json.items;

async function sessionWith(policy, agent = 'scripted') {
  const client = await server.connect();
  const session = await client.create(agent);
  if (policy) {
    await client.command('set_policy', { sessionId: session.id, policy });
    const event = await session.event('policy', (one) => one.policy === policy);
    assert.deepEqual(event.by, { user: 'local' });
    assert.equal(event.cause.clientId, client.clientId);
  }
  return session;
}

test('read-only lets pass what looks, and rejects the rest', async () => {
  const session = await sessionWith('read-only');
  const kinds = ['read', 'search', 'think', 'edit', 'delete', 'move', 'execute', 'fetch', 'other'];
  const turn = await session.run(script(...kinds.map((kind) => asks(kind))));
  const said = kinds.map((_kind, i) => `answer:${i < 3 ? 'allow_once' : 'reject_once'}`).join('');
  assert.equal(textOf(turn), said);
  const resolved = session.events.filter((event) => event.type === 'permission_resolved');
  assert.equal(resolved.length, kinds.length);
  for (const event of resolved) {
    assert.deepEqual(event.by, { policy: 'read-only' });
    assert.ok(event.message);
  }
  assert.equal(session.events.filter((event) => event.type === 'permission_request').length, kinds.length);
  assert.ok(!session.events.some((event) => event.phase === 'waiting'));
  const entries = await audit(`&sessionId=${session.id}`);
  assert.deepEqual(entries.filter((entry) => entry.action === 'policy_changed').map((entry) => entry.policyBefore), ['ask']);
  assert.equal(entries.filter((entry) => entry.by === 'policy' && entry.policy === 'read-only').length, kinds.length);
});

test('trust lets all pass, and records it; it is kept over a restart', async () => {
  const session = await sessionWith('trust');
  assert.equal(textOf(await session.run(script(asks('execute'), asks('edit')))), 'answer:allow_onceanswer:allow_once');
  await server.restart();
  const client = await server.connect();
  const again = await client.follow(session.id);
  assert.equal(again.answer.policy, 'trust');
  assert.match(textOf(await again.run(script(asks('execute')))), /answer:allow_once/);
});

test('a change of policy answers what waits', async () => {
  const session = await sessionWith();
  const turn = await session.prompt(script(asks('think')));
  const request = await turn.permission();
  assert.equal(request.expiresAt, null, 'think=0');
  await session.client.command('set_policy', { sessionId: session.id, policy: 'read-only' });
  assert.deepEqual((await turn.event('permission_resolved')).by, { policy: 'read-only' });
  await turn.end();
  await session.client.refusal('set_policy', { sessionId: session.id, policy: 'nonsense' }, 'bad_message');
});

test('nobody overrides the operator', async () => {
  const session = await sessionWith('trust');
  mkdirSync(path.join(session.workspace, 'src'));
  symlinkSync('/etc', path.join(session.workspace, 'src/link'));
  const denied = [
    asks('execute', { command: 'rm -rf /' }), asks('execute', { command: 'a; sudo b' }), asks('switch_mode'),
    asks('edit', { path: '/etc/passwd' }), asks('read', { path: '.git/config' }),
    asks('edit', { path: `${session.workspace}/src/link/passwd` }), asks('edit', { path: '~/x' }),
  ];
  const passes = [asks('execute', { command: 'rm x' }), asks('edit', { path: 'src/a' })];
  const turn = await session.run(script(...denied, ...passes));
  assert.equal(textOf(turn), 'answer:reject_once'.repeat(denied.length) + 'answer:allow_once'.repeat(passes.length));
  const resolved = session.events.filter((event) => event.type === 'permission_resolved');
  for (const event of resolved.slice(0, denied.length)) {
    assert.deepEqual(event.by, { policy: 'operator' });
    assert.match(event.message, /^the operator denies/);
  }
  const { requestId } = resolved[0];
  const refused = await session.client.command('permission_response', { requestId, allow: true }).catch((error) => error);
  assert.equal(refused.code, 'already_resolved');
  assert.deepEqual(refused.nack.resolved.by, { policy: 'operator' });
});

test('deadlines by kind, by agent, and what happens then', async () => {
  const session = await sessionWith(null, 'own');
  // `own` has a deadline for all, which goes before what is said of kinds in general; its own kinds go before that.
  const turn = await session.prompt(script(asks('execute'), asks('think'), asks('edit')));
  const last = await turn.permission(2);
  assert.equal(last.expiresAt, null, 'edit=0');
  const timeouts = session.events.filter((event) => event.type === 'permission_timeout');
  assert.equal(timeouts.length, 2);
  assert.match(textOf(turn.view), /answer:cancelledanswer:cancelled/, 'permission-timeout-action = cancel');
  await session.answerPermission(last, { allow: true });
  await turn.end();
  const general = await sessionWith();
  const other = await general.prompt(script(asks('execute')));
  const request = await other.permission();
  assert.equal(request.expiresAt - request.createdAt, 300);
  await other.event('permission_timeout');
  assert.equal(textOf(await other.end()), 'answer:reject_once');
});

test('the operator forbids a policy, and has a default of their own', async () => {
  const session = await sessionWith('trust');
  const client = await server.connect();
  server.writeConfig({ 'forbidden-policies': ['trust', 'ask'], 'default-policy': 'read-only' });
  const isNew = async () => (await (await client.create('scripted')).answer).policy === 'read-only';
  await until(isNew, () => 'the new configuration');
  await session.client.refusal('set_policy', { sessionId: session.id, policy: 'trust' }, 'forbidden');
  await session.client.refusal('set_policy', { sessionId: session.id, policy: 'ask' }, 'forbidden');
  const turn = await session.run(script(asks('edit'), asks('read')));
  assert.equal(textOf(turn), 'answer:reject_onceanswer:allow_once');
  const change = session.events.find((event) => event.type === 'policy' && event.policy === 'read-only');
  assert.deepEqual(change.by, { policy: 'operator' });
});
