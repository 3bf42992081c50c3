// DELETE /v1/sessions/{id}?purge=1: the session is gone, wherever it was, and its decisions are not.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { readAudit } from './lib/audit.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script, stream, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };
const settings = { 'wire-log': true, 'permission-timeout-ms': 0 };
const wireOf = (server, id) => path.join(server.data, 'wire', id);
const erase = (server, id, query = '?purge=1') => server.rest('DELETE', `/v1/sessions/${id}${query}`);
const rows = (server, sql) => execFileSync('sqlite3', ['-readonly', path.join(server.data, 'signalbox.db'), sql], { encoding: 'utf8' }).trim();

/** Rows of sessions that are not there, as the file itself says: none, when what is long has gone piece by piece. */
async function expectNoOrphans(server) {
  await until(() => rows(server, 'SELECT count(*) FROM purges') === '0', 'all that was erased to be gone');
  for (const table of ['events', 'blobs', 'folds']) {
    assert.equal(rows(server, `SELECT count(*) FROM ${table} WHERE session NOT IN (SELECT key FROM sessions)`), '0', table);
  }
  assert.equal(rows(server, 'SELECT count(*) FROM blob_parts WHERE blob NOT IN (SELECT key FROM blobs)'), '0', 'parts of blobs');
}
const isWithin = (server, text) => rows(server, `SELECT count(*) FROM events WHERE instr(body, '${text}')`) !== '0';

test('an erased session is gone for everybody, and its decisions stay', async () => {
  const server = await startServer({ settings, agents });
  const client = await server.connect();
  await client.command('watch_sessions');
  const other = await client.create('scripted');
  await other.run(script(say('I stay.')));
  const session = await client.create('scripted');
  const { id } = session;
  const turn = await session.prompt(script(say('a-secret-word'), tool({ title: 'Long', output: 'x'.repeat(300_000) }), ask()));
  await session.answerPermission(await turn.permission(), { allow: true });
  await turn.end();
  await until(() => existsSync(wireOf(server, id)), 'the wire log');
  assert.equal(isWithin(server, 'a-secret-word'), true);
  const watcher = await server.connect();
  await watcher.follow(id);
  const reader = http.get(`${server.url}/v1/sessions/${id}/events`, { headers: { Accept: 'text/event-stream' } });
  const ended = new Promise((resolve) => reader.on('response', (response) => response.on('end', resolve).resume()));
  await new Promise((resolve) => reader.on('response', (response) => response.once('data', resolve)));

  assert.equal((await erase(server, id, '?purge=2')).status, 400);
  assert.equal((await server.rest('GET', `/v1/sessions/${id}`)).json.phase, 'idle', 'and nothing was done');
  assert.equal((await erase(server, id)).status, 200);

  assert.equal((await watcher.control('unsubscribed')).reason, 'erased');
  assert.equal((await client.control('unsubscribed', (message) => message.sessionId === id)).reason, 'erased');
  assert.equal(client.watches.get(id).events.at(-1).type, 'status', 'it was closed first');
  await client.control('session_removed', (message) => message.sessionId === id);
  await ended;
  for (const [method, where, body] of [['GET', ''], ['GET', '/events'], ['DELETE', ''], ['DELETE', '?purge=1'], ['POST', '/messages', { text: 'hello?' }]]) {
    assert.equal((await server.rest(method, `/v1/sessions/${id}${where}`, { body })).status, 404, `${method} ${where}`);
  }
  await watcher.refusal('subscribe', { sessionId: id }, 'not_found');
  const { items } = (await server.rest('GET', '/v1/sessions')).json;
  assert.deepEqual(items.map((item) => item.sessionId), [other.id]);
  await expectNoOrphans(server);
  assert.equal(isWithin(server, 'a-secret-word'), false);
  await until(() => !existsSync(wireOf(server, id)), 'the wire log to be gone');
  const audit = await readAudit(server, { session: id });
  assert.deepEqual(audit.map(({ action, by }) => [action, by]), [['decision', 'user'], ['session_erased', 'user']]);
  const { sessionId, workspace, agent, user, from, request } = audit.at(-1);
  assert.deepEqual([sessionId, workspace, agent, user, from.transport, request],
    [id, audit[0].workspace, 'scripted', audit[0].user, 'http', undefined]);
  assert.equal(textOf(await other.run(script(say('Still here.')))), 'Still here.');

  await server.restart();
  assert.equal((await server.rest('GET', `/v1/sessions/${id}`)).status, 404);
  assert.equal(existsSync(wireOf(server, other.id)), true);
  await server.terminate();
  // As if it had been killed between the commit and the removal of the files.
  mkdirSync(wireOf(server, id), { recursive: true });
  writeFileSync(path.join(wireOf(server, id), '1-001.jsonl'), '{}\n');
  await server.start();
  await until(() => !existsSync(wireOf(server, id)), 'what was left to be gone');
  assert.equal(existsSync(wireOf(server, other.id)), true);
  await server.terminate();
  const file = readFileSync(path.join(server.data, 'signalbox.db'));
  assert.equal(file.includes('a-secret-word'), false, 'what was erased is overwritten');
});

test('one that runs is closed first, one that is not in memory is read back, and an answer comes to each', async () => {
  const server = await startServer({ agents, settings: { 'session-idle-ms': 100 } });
  const client = await server.connect();
  const running = await client.create('scripted');
  await running.prompt(script(stream(100_000, 10, 50)));
  const answers = await Promise.all([erase(server, running.id), erase(server, running.id)]);
  assert.ok(answers.some(({ status }) => status === 200));
  assert.ok(answers.every(({ status }) => status === 200 || status === 404), JSON.stringify(answers));
  await running.client.control('unsubscribed');

  const resting = await client.create('scripted');
  await resting.run(script(say('hello')));
  await client.command('unsubscribe', { sessionId: resting.id });
  assert.equal((await erase(server, resting.id, '')).status, 200);
  await server.restart(); // nothing of it is in memory
  assert.equal((await erase(server, resting.id)).status, 200);
  assert.equal((await erase(server, resting.id)).status, 404);
  assert.equal((await erase(server, 'never-was')).status, 404);
  await expectNoOrphans(server);
});

test('SIGKILL at any moment: it is there whole, or gone whole, and can be erased', async () => {
  const server = await startServer({ settings, agents });
  for (let round = 0; round < 8; round++) {
    const client = await server.connect();
    const session = await client.create('scripted');
    await session.run(script(stream(50, 20), tool({ title: 'Long', output: 'x'.repeat(300_000) })));
    const { id } = session;
    const answer = erase(server, id).catch(() => null);
    if (round % 2 === 0) {
      await new Promise((resolve) => setTimeout(resolve, round * 2)); // any moment
    } else {
      await client.control(round % 4 === 1 ? 'session_removed' : 'unsubscribed', () => true, { ms: 300 }).catch(() => {});
    }
    await server.kill();
    const told = await answer;
    await server.start();
    const status = (await server.rest('GET', `/v1/sessions/${id}`)).status;
    if (told?.status === 200) {
      assert.equal(status, 404, 'what was answered is done');
    }
    if (status === 200) {
      assert.equal((await erase(server, id)).status, 200);
    } else {
      assert.equal(status, 404);
    }
    assert.equal((await server.rest('GET', `/v1/sessions/${id}/events`)).status, 404);
    await expectNoOrphans(server);
    await until(() => !existsSync(wireOf(server, id)), 'the wire log to be gone');
  }
});
