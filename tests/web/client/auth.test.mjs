// Who is asking: by token, by cookie, nobody; and what ends that.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { scripted } from '../../e2e/lib/agents.mjs';
import { say, script } from '../../e2e/lib/script.mjs';
import { startServer, temporaryFolder } from '../../e2e/lib/server.mjs';
import { library } from './lib/library.mjs';
import { assertSame, clientOf, ended, isLive, newSession, test, textOf, wait } from './lib/real.mjs';

const ADA = 'token-of-ada-0123456789abcdef';
const BOB = 'token-of-bob-0123456789abcdef';
const tokens = path.join(temporaryFolder(), 'tokens');
writeFileSync(tokens, `ada ${ADA}\nbob ${BOB}\n`, { mode: 0o600 });
const server = await startServer({ settings: { 'tokens-file': tokens }, agents: { scripted: scripted() } });
const stopped = (client) => wait(client.connection, (state) => state.name === 'stopped', 'the connection to stop');

test('a program by its token', async () => {
  const client = clientOf(server, { token: ADA });
  await isLive(client);
  assert.equal(client.server.get().user, 'ada');
  const session = await newSession(client, server);
  await client.prompt(session.sessionId, script(say('hello')));
  await ended(session);
  assert.equal(textOf(session.state), 'hello');
  await assertSame(session, client);
});

test('nobody, and a wrong token: it stops and says that one must log in', async () => {
  for (const options of [{}, { token: 'wrong' }]) {
    const { why, code, reason } = await stopped(clientOf(server, options));
    assert.deepEqual([why, code], ['login', 401]);
    assert.ok(reason.length > 0);
  }
});

test('by a login: the cookie opens the WebSocket, and logging out closes it', async () => {
  const client = clientOf(server);
  await stopped(client);
  await assert.rejects(client.login('wrong'), (error) => error instanceof library.HttpError && error.status === 401 && error.code === 'unauthenticated');
  assert.equal((await client.login(ADA)).user, 'ada');
  await isLive(client);
  const session = await newSession(client, server);
  await client.http.upload(session.sessionId, 'content');
  await client.logout();
  const { why, code } = await stopped(client);
  assert.deepEqual([why, code], ['login', 3500]);

  // What was written meanwhile is not said in another one's name.
  const command = client.prompt(session.sessionId, 'of ada');
  await client.login(BOB);
  await assert.rejects(async () => command, (error) => error.outcome === 'not_sent' && error.code === 'other_user');
  await isLive(client);
  assert.equal(client.server.get().user, 'bob');
});

test("with Node's own WebSocket, where it has one", { skip: !globalThis.WebSocket }, async () => {
  const plain = (options) => {
    const client = new library.SignalboxClient({ url: server.url, ...options }).start();
    after(() => client.close());
    return client;
  };
  const byToken = plain({ token: ADA });
  await isLive(byToken);
  assert.equal(byToken.server.get().user, 'ada');
  const byCookie = plain();
  assert.equal((await stopped(byCookie)).why, 'login');
  await byCookie.login(ADA);
  await isLive(byCookie);
});

test('a login that ended while the server was away is noticed when it is back', async () => {
  const client = clientOf(server);
  await client.login(BOB);
  await isLive(client);
  await server.kill();
  await wait(client.connection, (state) => state.name === 'offline', 'the connection to be gone');
  writeFileSync(tokens, `ada ${ADA}\n`, { mode: 0o600 });
  await server.start();
  assert.equal((await stopped(client)).why, 'login');
});
