import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { UpgradeRefused } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { ask, script } from './lib/script.mjs';
import { runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';

const ADA = 'token-of-ada-0123456789abcdef';
const BOB = 'token-of-bob-0123456789abcdef';
const folder = temporaryFolder();
const tokens = path.join(folder, 'tokens');
writeFileSync(tokens, `# who may come in\nada ${ADA}\nbob ${BOB}\n`, { mode: 0o600 });
const server = await startServer({
  settings: { 'tokens-file': tokens, 'allowed-origins': ['https://friend.example'], 'login-failures-per-minute': 5 },
  agents: { scripted: scripted() },
});
const open = await startServer({ agents: { scripted: scripted() } });
const own = server.url;

async function refused(status, options, on = server) {
  await assert.rejects(on.connect(options), (error) => {
    assert.ok(error instanceof UpgradeRefused, error.stack);
    assert.equal(error.status, status, error.body);
    assert.equal(typeof JSON.parse(error.body).code, 'string');
    return true;
  });
}

async function login(token = ADA) {
  const answer = await server.rest('POST', '/v1/login', { body: { token }, headers: { Origin: own } });
  assert.ok([200, 204].includes(answer.status), answer.text);
  const [cookie] = answer.headers['set-cookie'];
  assert.match(cookie, /HttpOnly/i);
  assert.match(cookie, /SameSite=Strict/i);
  assert.doesNotMatch(cookie, /Secure/i);
  return cookie.split(';')[0];
}

test('without a token nothing but health is to be had', async () => {
  assert.equal((await server.rest('GET', '/healthz')).status, 200);
  assert.equal((await server.rest('GET', '/readyz')).status, 200);
  for (const where of ['/v1/agents', '/v1/sessions', '/v1/permissions', '/metrics']) {
    const answer = await server.rest('GET', where);
    assert.equal(answer.status, 401, where);
    assert.equal(answer.json.code, 'unauthenticated');
  }
  await refused(401, {});
  await refused(401, { token: 'wrong' });
});

test('a Bearer token names its user', async () => {
  const client = await server.connect({ token: ADA });
  assert.equal(client.connected.user, 'ada');
  const session = await client.create('scripted');
  assert.equal((await session.event('session_created')).createdBy, 'ada');
  const turn = await session.prompt(script(ask()));
  const request = await turn.permission();
  const bob = await server.connect({ token: BOB });
  await bob.command('permission_response', { requestId: request.requestId, allow: true });
  const nack = await client.refusal('permission_response', { requestId: request.requestId, allow: true }, 'already_resolved');
  assert.equal(nack.resolved.by.user, 'bob');
  assert.equal((await turn.event('permission_resolved')).by.user, 'bob');
  assert.equal((await server.rest('GET', '/v1/sessions', { token: BOB })).status, 200);
});

test('a token in a URL is refused', async () => {
  assert.equal((await server.rest('GET', `/v1/sessions?token=${ADA}`)).status, 400);
  await refused(400, { query: `token=${ADA}` });
});

test('login, cookie, logout', async () => {
  const Cookie = await login();
  assert.equal((await server.rest('GET', '/v1/sessions', { headers: { Cookie } })).status, 200);
  const client = await server.connect({ headers: { Cookie, Origin: own } });
  assert.equal(client.connected.user, 'ada');
  const out = await server.rest('POST', '/v1/logout', { body: {}, headers: { Cookie, Origin: own } });
  assert.ok([200, 204].includes(out.status));
  assert.equal((await server.rest('GET', '/v1/sessions', { headers: { Cookie } })).status, 401);
  await refused(401, { headers: { Cookie, Origin: own } });
});

test('a login survives a restart of the server', async () => {
  const Cookie = await login(BOB);
  await server.restart();
  assert.equal((await server.rest('GET', '/v1/sessions', { headers: { Cookie } })).status, 200);
});

test('with a cookie, the Origin must be ours', async () => {
  const Cookie = await login();
  const post = (headers) =>
    server.rest('POST', '/v1/sessions', { body: { agent: 'scripted', workspace: server.newWorkspace() }, headers });
  for (const Origin of ['https://evil.example', `${own}.evil.example`, 'null', own.replace('http:', 'https:')]) {
    assert.equal((await post({ Cookie, Origin })).status, 403, Origin);
    await refused(403, { headers: { Cookie, Origin } });
  }
  assert.equal((await post({ Cookie })).status, 403, 'none');
  await refused(403, { headers: { Cookie } });
  for (const Origin of [own, 'https://friend.example']) {
    assert.equal((await post({ Cookie, Origin })).status, 201, Origin);
    await server.connect({ headers: { Cookie, Origin } });
  }
  await server.connect({ token: ADA, headers: {} });
  await refused(403, { token: ADA, headers: { Origin: 'https://evil.example' } });
});

test('without tokens, a foreign Origin is refused all the same', async () => {
  await open.connect();
  await open.connect({ headers: { Origin: open.url } });
  await refused(403, { headers: { Origin: 'https://evil.example' } }, open);
  const headers = { Origin: 'https://evil.example' };
  const body = { agent: 'scripted', workspace: open.newWorkspace() };
  assert.equal((await open.rest('POST', '/v1/sessions', { body, headers })).status, 403);
});

test('a name that only resolves to us (DNS rebinding) is refused', async () => {
  const headers = { Host: 'evil.example', Origin: 'http://evil.example' };
  const body = { agent: 'scripted', workspace: open.newWorkspace() };
  const answer = await open.rest('POST', '/v1/sessions', { body, headers });
  assert.ok(answer.status >= 400, String(answer.status));
});

test('a token that is taken away ends what was open with it', async () => {
  const eve = 'token-of-eve-0123456789abcdef';
  const before = `ada ${ADA}\nbob ${BOB}\n`;
  const watcher = await server.connect({ token: ADA }); // before the change, so that it is told of it
  writeFileSync(tokens, `${before}eve ${eve}\n`);
  await watcher.control('config_changed');
  const client = await server.connect({ token: eve });
  writeFileSync(tokens, before);
  assert.equal((await client.closed).code, 3500);
  await refused(401, { token: eve });
});

test('guessing is slowed down, and no secret is in the log', async () => {
  const codes = [];
  for (let i = 0; i < 8; i++) {
    const answer = await server.rest('POST', '/v1/login', { body: { token: `guess-${i}-secret` }, headers: { Origin: own } });
    codes.push(answer.status);
  }
  assert.equal(codes[0], 401);
  assert.equal(codes.at(-1), 429);
  for (const secret of [ADA, BOB, 'guess-1-secret']) {
    assert.ok(!server.log.includes(secret));
  }
});

test('it does not listen for everybody without tokens', async () => {
  for (const listen of ['0.0.0.0:0', '[::]:0']) {
    const { code, output } = await runSignalbox(['serve', '--listen', listen, '--data', temporaryFolder()]);
    assert.notEqual(code, 0);
    assert.match(output, /tokens-file/);
  }
});

test('a tokens file that others can read is refused', async () => {
  const loose = path.join(folder, 'loose');
  writeFileSync(loose, `ada ${ADA}\n`);
  chmodSync(loose, 0o644);
  const { code, output } = await runSignalbox(['serve', '--listen', '127.0.0.1:0', '--data', temporaryFolder(), '--set', `tokens-file=${loose}`]);
  assert.notEqual(code, 0);
  assert.ok(output.includes(loose) && !output.includes(ADA), output);
});
