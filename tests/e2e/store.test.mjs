import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { say, script, stream, waitCancel } from './lib/script.mjs';
import { prepareServer, runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';
import { textOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };

// A full disk, without one: no file of the server may grow. (Works for every user, also for root.)
const limitFiles = (server, bytes) =>
  execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:unlimited`]);

test('a data folder that cannot be one: the server does not start, and says why', async () => {
  const file = path.join(temporaryFolder(), 'file');
  writeFileSync(file, 'in the way');
  const { code, output } = await runSignalbox(['serve', '--listen', '127.0.0.1:0', '--data', path.join(file, 'data')]);
  assert.notEqual(code, 0);
  assert.ok(output.includes(file), output);
});

test('a journal that is none: the server does not start, and leaves the file alone', async () => {
  const server = await startServer({ agents });
  await (await server.connect()).create('scripted');
  await server.terminate();
  const journal = readdirSync(server.data).find((name) => /\.(db|sqlite3?)$/.test(name));
  writeFileSync(path.join(server.data, journal), 'this is no database. '.repeat(500));
  const args = ['serve', '--config', server.configFile, '--listen', '127.0.0.1:0', '--data', server.data];
  const { code, output } = await runSignalbox(args);
  assert.notEqual(code, 0);
  assert.ok(output.includes(journal), output);
});

test('a folder of data is made if it is missing', async () => {
  const server = await prepareServer({ agents });
  server.data = path.join(server.folder, 'not', 'there', 'yet');
  await server.start();
  await (await server.connect()).create('scripted');
});

test('a store that cannot be written: told, refused, and whole again when it can be', async () => {
  const server = await startServer({ agents });
  const [client, watcher] = await Promise.all([server.connect(), server.connect()]);
  const session = await client.create('scripted');
  await session.run(script(say('before')));
  const watching = await watcher.follow(session.id);
  const streaming = await session.prompt(script(stream(400, 50, 200), say('THE END')));
  await streaming.event('text_delta');

  limitFiles(server, 1);
  for (const each of [client, watcher]) {
    const notice = await each.control('store', (message) => message.ok === false);
    assert.ok(notice.reason.length > 0);
  }
  await client.refusal('prompt', { sessionId: session.id, text: script(say('no')) }, 'storage_unavailable');
  await client.refusal('create_session', { agent: 'scripted', workspace: server.newWorkspace() }, 'storage_unavailable');
  const post = await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { text: 'no' } });
  assert.equal(post.status, 503);
  assert.ok(post.headers['retry-after']);
  assert.equal((await server.rest('GET', '/readyz')).status, 503);
  assert.equal((await server.rest('GET', '/healthz')).status, 200);
  await watcher.ping();

  limitFiles(server, 'unlimited');
  for (const each of [client, watcher]) {
    await each.control('store', (message) => message.ok === true);
  }
  assert.match(textOf(await streaming.end()), /THE END$/);
  assert.equal(textOf(await session.run(script(say('after')))), 'after');
  await server.restart();
  const whole = await (await server.connect()).follow(session.id);
  assert.deepEqual(whole.watch.state().turns, session.watch.state().turns);
  assert.equal(watching.watch.turns.size, 3);
});

test('with a store that cannot be written, SIGTERM still ends the server in time', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  await (await session.prompt(script(stream(100_000, 50, 200), waitCancel()))).event('text_delta');
  limitFiles(server, 1);
  await client.control('store', (message) => message.ok === false);
  const { ms, signal } = await server.terminate();
  assert.equal(signal, null);
  assert.ok(ms < 5500, `${ms} ms`);
});
