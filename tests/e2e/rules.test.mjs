// Rules of Signalbox's own: made by an answer, asked of by nobody else, revoked over REST.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, script } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() }, settings: { 'max-rules': 40 } });
const runs = (command, more = {}) => ask({ tool: { kind: 'execute', title: 'run', input: { command, ...more } } });
const edits = (file, more = {}) =>
  ask({ tool: { kind: 'edit', title: 'edit', input: { file_path: file, content: 'x', ...more } } });

/** A session that has a turn with these steps: {session, turn}. */
async function turnOf(steps, { workspace, client } = {}) {
  client ??= await server.connect();
  const session = await client.create('scripted', workspace ? { workspace } : {});
  const turn = await session.prompt(script(...steps));
  return { client, session, turn };
}

/** How a request of these steps is answered: {by, outcome} for one that was not asked about, else 'asked'. */
async function judged(step, options) {
  const { session, turn } = await turnOf([step], options);
  const request = await turn.permission();
  const waits = session.event('status', (event) => event.phase === 'waiting').then(() => 'asked');
  const resolved = turn.event('permission_resolved').then(({ by, outcome }) => ({ by, outcome }));
  const first = await Promise.race([waits, resolved]);
  if (first === 'asked') {
    await session.answerPermission(request, { allow: false });
  }
  await turn.end();
  waits.catch(() => {});
  return first;
}

const option = (request, scope, match) =>
  request.rememberOptions.find((one) => one.scope === scope && (!match || one.match === match));

/** Makes a rule by an answer: its id. */
async function made(step, scope, { match, forMs, ...options } = {}) {
  const { session, turn } = await turnOf([step], options);
  const request = await turn.permission();
  const { label, ...wanted } = option(request, scope, match);
  const remember = forMs ? { ...wanted, expiresAt: Date.now() + forMs } : wanted;
  const ack = await session.answerPermission(request, { allow: true, remember });
  await turn.end();
  return { ruleId: ack.ruleId, session, label };
}

const revoke = async (ruleId) => {
  const answer = await server.rest('DELETE', `/v1/rules/${ruleId}`);
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
};
const rules = async () => (await server.rest('GET', '/v1/rules')).json.items;

test('a rule made for `npm test` passes nothing else', async () => {
  const workspace = server.newWorkspace('one');
  const { ruleId, label } = await made(runs('npm test'), 'workspace', { workspace });
  assert.equal(label, 'always allow `npm test` in this workspace');
  assert.deepEqual(await judged(runs('npm test'), { workspace }), { by: { rule: ruleId }, outcome: 'allowed' });
  assert.deepEqual(await judged(runs(['npm', 'test']), { workspace }), { by: { rule: ruleId }, outcome: 'allowed' });
  const others = [
    'npm test; x', 'npm test && x', 'npm test | x', 'npm test & x', '`x`', 'npm test `x`', '$(x)', 'npm test $(x)',
    'npm test\nx', 'npm test\n', 'npm test > f', 'FOO=1 npm test', 'npm  test', 'npm test -- --x', 'npm testx',
    ' npm test', 'npm test ', 'npm', 'npm\ttest', "npm 'test'", ['npm test'],
  ];
  for (const other of others) {
    assert.equal(await judged(runs(other), { workspace }), 'asked', JSON.stringify(other));
  }
  // The same words, but not the same thing.
  assert.equal(await judged(runs('npm test', { env: { PATH: '/tmp' } }), { workspace }), 'asked', 'an environment');
  assert.equal(await judged(runs('npm test', { cwd: '/tmp' }), { workspace }), 'asked', 'another folder');
  assert.equal(await judged(runs('npm test', { background: true }), { workspace }), 'asked', 'what is not known');
  assert.equal(await judged(ask({ tool: { kind: 'other', input: { command: 'npm test' } } }), { workspace }), 'asked');
  assert.equal(await judged(ask({ tool: { kind: 'execute', title: 'npm test' } }), { workspace }), 'asked',
    'a title is no command');
  assert.notEqual(await judged(runs('npm test', { cwd: workspace, description: 'x' }), { workspace }), 'asked');
  await revoke(ruleId);
});

test('a rule of a workspace is not for another one, nor for what a link leads to', async () => {
  const workspace = server.newWorkspace('two');
  const { ruleId } = await made(runs('npm test'), 'workspace', { workspace });
  const inner = path.join(workspace, 'inner');
  mkdirSync(inner);
  for (const other of [server.newWorkspace('two2'), inner, server.workspaces]) {
    assert.equal(await judged(runs('npm test'), { workspace: other }), 'asked', other);
  }
  // A link in this workspace to another one is that other one.
  symlinkSync(server.newWorkspace('three'), path.join(workspace, 'link'));
  assert.equal(await judged(runs('npm test'), { workspace: path.join(workspace, 'link') }), 'asked', 'by a link');
  // A link to this workspace is this one.
  symlinkSync(workspace, path.join(server.workspaces, 'alias'));
  assert.notEqual(await judged(runs('npm test'), { workspace: path.join(server.workspaces, 'alias') }), 'asked');
  // A workspace that has become a link is none any more, also for a session that was made before.
  const { session, turn } = await turnOf([runs('npm run')], { workspace });
  await session.answerPermission(await turn.permission(), { allow: false });
  await turn.end();
  renameSync(workspace, `${workspace}-moved`);
  symlinkSync(server.newWorkspace('four'), workspace);
  const later = await session.prompt(script(runs('npm test')));
  const request = await later.permission();
  assert.equal(request.rememberOptions, undefined, 'and none can be made');
  await session.answerPermission(request, { allow: false });
  await later.end();
  await revoke(ruleId);
});

test('a rule for paths looks at where they lead', async () => {
  const workspace = server.newWorkspace('paths');
  for (const folder of ['src/deep', 'lib']) {
    mkdirSync(path.join(workspace, folder), { recursive: true });
  }
  const at = (name) => path.join(workspace, name);
  symlinkSync('/tmp', at('src/tmp'));
  symlinkSync(at('lib'), at('src/lib'));
  symlinkSync('/tmp/nowhere-yet', at('src/dangling'));
  writeFileSync(at('lib/real.c'), '');
  symlinkSync(at('lib/real.c'), at('src/file.c'));
  const { ruleId, label } = await made(edits(at('src/a.c')), 'workspace', { match: 'edit:src', workspace });
  assert.equal(label, 'always allow to edit what is in `src/`, in this workspace');
  const passes = ['src/b.c', 'src/deep/c.c', 'src/new/folder/d.c', 'src/./deep/../b.c'];
  for (const file of passes) {
    assert.deepEqual(await judged(edits(at(file)), { workspace }), { by: { rule: ruleId }, outcome: 'allowed' }, file);
  }
  assert.notEqual(await judged(edits('src/relative.c'), { workspace }), 'asked');
  const asked = ['a.c', 'lib/a.c', 'srcx/a.c', 'src', 'src/../a.c', 'src/tmp/a.c', 'src/lib/a.c', 'src/dangling',
    'src/file.c', 'src/tmp/../a.c', 'src/missing/../b.c', '../paths2/src/a.c'];
  for (const file of asked) {
    assert.equal(await judged(edits(`${workspace}/${file}`), { workspace }), 'asked', file);
  }
  for (const file of ['/etc/passwd', '~/src/a.c', 'https://example.org/src']) {
    assert.equal(await judged(edits(file), { workspace }), 'asked', file);
  }
  assert.equal(await judged(edits(at('src/a.c'), { other_file: '/etc/x' }), { workspace }), 'asked', 'an odd member');
  const two = ask({ tool: { kind: 'edit', input: { path: at('src/a.c') }, locations: [{ path: '/etc/x' }] } });
  assert.equal(await judged(two, { workspace }), 'asked', 'all paths count');
  const reading = ask({ tool: { kind: 'read', input: { path: at('src/a.c') } } });
  assert.equal(await judged(reading, { workspace }), 'asked', 'another kind');
  await revoke(ruleId);
});

test('scopes: a session, a workspace, a user', async () => {
  const workspace = server.newWorkspace('scopes');
  const { ruleId, session } = await made(runs('make s'), 'session', { workspace });
  assert.equal(await judged(runs('make s'), { workspace }), 'asked', 'another session');
  const again = await session.prompt(script(runs('make s')));
  assert.equal((await again.event('permission_resolved')).by.rule, ruleId);
  await again.end();
  await session.client.command('close_session', { sessionId: session.id });
  assert.ok(!(await rules()).some((rule) => rule.ruleId === ruleId), 'it went with its session');

  const user = await made(runs('make u'), 'user', { workspace });
  assert.equal(user.label, 'always allow `make u` in all sessions of local');
  assert.deepEqual((await judged(runs('make u'))).by, { rule: user.ruleId });
  await revoke(user.ruleId);
  assert.equal(await judged(runs('make u')), 'asked');

  const { session: third, turn } = await turnOf([runs('make t'), runs('make t')]);
  await third.answerPermission(await turn.permission(), { decision: 'allow-session' });
  assert.equal((await turn.end()).stopReason, 'end_turn');
  assert.match(textOf(await turn.end()), /^answer:allow_onceanswer:allow_once$/);
});

test('a new rule answers what waits already, in all sessions that it covers', async () => {
  const workspace = server.newWorkspace('settle');
  const client = await server.connect();
  await client.command('watch_sessions');
  const waiting = [];
  for (let i = 0; i < 3; i++) {
    const one = await turnOf([runs('make all')], { workspace, client });
    waiting.push({ ...one, request: await one.turn.permission() });
  }
  const elsewhere = await turnOf([runs('make all')], { client });
  const left = await elsewhere.turn.permission();
  const remember = { scope: 'workspace', match: 'command:make all' };
  const { ruleId } = await waiting[1].session.answerPermission(waiting[1].request, { allow: true, remember });
  for (const { turn, request } of waiting) {
    const resolved = await turn.event('permission_resolved');
    assert.deepEqual(resolved.by, request === waiting[1].request ? { user: 'local' } : { rule: ruleId });
    await client.control('permission_ended', (message) => message.requestId === request.requestId);
    await turn.end();
  }
  assert.equal(elsewhere.session.watch.pending().length, 1, 'another workspace');
  await elsewhere.session.answerPermission(left, { allow: false });
  const audit = (await server.rest('GET', '/v1/audit?limit=1000')).json.items;
  for (const { request } of waiting) {
    const entries = audit.filter((entry) => entry.requestId === request.requestId);
    assert.equal(entries.length, 1);
    const mine = request === waiting[1].request;
    assert.equal(entries[0].by, mine ? 'user' : 'rule');
    assert.equal(entries[0].user, 'local');
    assert.equal(mine ? entries[0].madeRuleId : entries[0].ruleId, ruleId);
  }
  await revoke(ruleId);
});

test('rules expire, are listed, and survive a restart', async () => {
  const workspace = server.newWorkspace('expire');
  const lasting = await made(runs('make lasting'), 'workspace', { workspace });
  const { ruleId } = await made(runs('make short'), 'workspace', { workspace, forMs: 5000 });
  const listed = (await rules()).find((rule) => rule.ruleId === lasting.ruleId);
  assert.equal(listed.command, 'make lasting');
  assert.equal(listed.workspace, workspace);
  assert.equal(listed.user, 'local');
  assert.equal(listed.expiresAt, null);
  assert.ok(listed.requestId);
  const gone = async () => !(await rules()).some((rule) => rule.ruleId === ruleId);
  await until(gone, () => 'the rule to expire');
  assert.equal(await judged(runs('make short'), { workspace }), 'asked');
  await server.restart();
  assert.deepEqual((await judged(runs('make lasting'), { workspace })).by, { rule: lasting.ruleId });
  await revoke(lasting.ruleId);
  assert.equal((await server.rest('DELETE', `/v1/rules/${lasting.ruleId}`)).status, 404);
  const audit = (await server.rest('GET', '/v1/audit?limit=1000')).json.items;
  const removed = (id) => audit.filter((entry) => entry.action === 'rule_removed' && entry.ruleId === id);
  assert.equal(removed(ruleId)[0].by, 'timeout');
  assert.equal(removed(lasting.ruleId)[0].by, 'user');
  assert.equal(removed(lasting.ruleId)[0].from.transport, 'http');
  assert.match(removed(lasting.ruleId)[0].from.address, /^127\.0\.0\.1:\d+$/);
  assert.equal(removed(lasting.ruleId)[0].rule.command, 'make lasting');
});

test('a rule of somebody who is no longer there answers nothing, until they are back', async () => {
  const folder = temporaryFolder();
  const tokens = path.join(folder, 'tokens');
  const lines = (...users) => writeFileSync(tokens, users.map((user) => `${user} token-of-${user}-1234\n`).join(''), { mode: 0o600 });
  lines('ann', 'bob');
  const own = await startServer({ agents: { scripted: scripted() }, settings: { 'tokens-file': tokens, 'permission-timeout-ms': 0 } });
  const [ann, bob] = await Promise.all(['ann', 'bob'].map((user) => own.connect({ token: `token-of-${user}-1234` })));
  const workspace = own.newWorkspace('people');
  const first = await ann.create('scripted', { workspace });
  const turn = await first.prompt(script(runs('make all')));
  const { requestId, rememberOptions } = await turn.permission();
  const { scope, match } = rememberOptions.find((option) => option.scope === 'workspace');
  const { ruleId } = await first.answerPermission({ requestId }, { allow: true, remember: { scope, match } });
  await turn.end();

  const followed = async () => {
    const session = await bob.create('scripted', { workspace });
    return { session, turn: await session.prompt(script(runs('make all'))) };
  };
  const allowed = await followed();
  assert.equal((await allowed.turn.event('permission_resolved')).by.rule, ruleId);
  lines('bob');
  process.kill(own.pid, 'SIGHUP');
  await bob.control('config_changed');
  const asked = await followed();
  const request = await asked.turn.permission();
  const listed = async () => (await own.rest('GET', '/v1/permissions', { token: 'token-of-bob-1234' })).json.permissions;
  assert.equal((await listed()).length, 1, 'bob is asked');
  lines('ann', 'bob');
  process.kill(own.pid, 'SIGHUP');
  const resolved = await asked.turn.event('permission_resolved'); // what waits is looked at again
  assert.deepEqual([resolved.requestId, resolved.by.rule], [request.requestId, ruleId]);
});

test('what cannot be remembered is refused, and stays open', async () => {
  const { client, session, turn } = await turnOf([runs('make x')]);
  const { requestId } = await turn.permission();
  const remember = { scope: 'session', match: 'command:make x' };
  const answer = (fields, code) => client.refusal('permission_response', { requestId, ...fields }, code);
  await answer({ allow: true, remember: { scope: 'session', match: 'command:make y' } }, 'unknown_option');
  await answer({ allow: true, remember: { scope: 'world', match: 'command:make x' } }, 'unknown_option');
  await answer({ allow: false, remember }, 'bad_message');
  await answer({ allow: true, remember: { ...remember, expiresAt: 1 } }, 'bad_message');
  await answer({ allow: true, remember: { scope: 'session' } }, 'bad_message');
  assert.equal(session.watch.pending().length, 1);
  await session.answerPermission({ requestId }, { allow: true, remember });
  await turn.end();
});

test('there is a limit, and a clear word about it', async () => {
  await server.restart();
  server.writeConfig({ 'max-rules': (await rules()).length });
  const client = await server.connect();
  const { session, turn } = await turnOf([runs('make more')], { client });
  const request = await turn.permission();
  const remember = { scope: 'session', match: 'command:make more' };
  const fields = { requestId: request.requestId, allow: true, remember };
  // The file is seen at some time.
  const refused = async () => {
    const { session: other, turn: its } = await turnOf([runs('make z')], { client });
    const { requestId } = await its.permission();
    const again = { requestId, allow: true, remember: { scope: 'session', match: 'command:make z' } };
    const error = await client.command('permission_response', again).then(() => null, (one) => one);
    if (error) {
      await other.answerPermission({ requestId }, { allow: true });
    }
    await its.end();
    return error?.code === 'limit_reached';
  };
  await until(refused, () => 'the limit');
  await client.refusal('permission_response', fields, 'limit_reached');
  await session.answerPermission(request, { allow: true });
  await turn.end();
});
