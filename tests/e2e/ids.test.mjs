// Commands exactly once: whatever becomes of the connection, or of the server, between a command and its answer.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { scripted } from './lib/agents.mjs';
import { newClientId } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { isLong } from './lib/paths.mjs';
import { say, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const agents = { scripted: scripted() };
const server = await startServer({ agents });

/** The prompts of the session with this text, each by its messageId, however often its status changed. */
const promptsOf = async (client, sessionId, text) => {
  const session = await client.follow(sessionId);
  const shown = session.events.filter((event) => event.type === 'user_message' && event.text === text);
  return [...new Set(shown.map((event) => event.messageId))];
};

test('a connection that drops between command and answer: sent again, done once', async () => {
  const clientId = newClientId();
  let client = await server.connect({ clientId });
  const session = await client.create('scripted');
  for (let round = 0; round < (isLong ? 60 : 8); round++) {
    const command = { type: 'prompt', sessionId: session.id, text: script(say(`Round ${round}.`)), id: `drop-${round}` };
    await new Promise((sent) => client.socket.send(JSON.stringify(command), sent));
    if (round % 2 === 0) {
      client.socket.terminate(); // the answer may be on its way, or not: nobody will read it
      await client.closed;
    }
    // Else the new connection replaces the old one, which has not ended, and may still hear of the session.
    client = await server.connect({ clientId });
    const ack = await client.command('prompt', command);
    assert.equal(ack.messageId, (await client.command('prompt', command)).messageId);
    assert.deepEqual(await promptsOf(client, session.id, command.text), [ack.messageId]);
  }
});

for (const [name, waits] of [['right after the answer', true], ['before the answer', false]]) {
  test(`SIGKILL of the server ${name}: sent again, done once`, async () => {
    const own = await startServer({ agents });
    const clientId = newClientId();
    let client = await own.connect({ clientId });
    const session = await client.create('scripted');
    for (let round = 0; round < (isLong ? 20 : 3); round++) {
      const command = { sessionId: session.id, text: script(say(`Kill ${round}.`)), id: `kill-${round}` };
      let first = null;
      if (waits) {
        first = await client.command('prompt', command);
      } else {
        await new Promise((sent) => client.socket.send(JSON.stringify({ type: 'prompt', ...command }), sent));
      }
      await own.kill();
      await client.closed;
      await own.restart();
      client = await own.connect({ clientId });
      const second = await client.command('prompt', command);
      if (first) {
        assert.deepEqual(second, first);
      }
      assert.deepEqual(await promptsOf(client, session.id, command.text), [second.messageId]);
    }
  });
}

test('create_session and close_session: once, over a restart, also when the workspace has gone', async () => {
  const own = await startServer({ agents });
  const clientId = newClientId();
  const workspace = own.newWorkspace();
  const create = { agent: 'scripted', workspace, id: 'create' };
  const unknown = { agent: 'nobody', workspace, id: 'unknown' };
  let client = await own.connect({ clientId });
  const made = await client.command('create_session', create);
  const nack = await client.refusal('create_session', unknown, 'not_found');
  assert.deepEqual(await client.command('create_session', create), made);
  rmSync(workspace, { recursive: true });
  assert.deepEqual(await client.command('create_session', create), made);
  assert.deepEqual(await client.refusal('create_session', unknown, 'not_found'), nack);
  await client.refusal('create_session', { ...create, id: 'anew' }, 'bad_message');

  const close = { type: 'close_session', sessionId: made.sessionId, id: 'close' };
  client.send(close);
  assert.equal((await client.command('close_session', close)).type, 'ack');
  const count = client.inbox.items.filter((message) => message.id === 'close').length;
  assert.ok(count >= 1 && count <= 2);
  await own.terminate();
  await own.restart();
  client = await own.connect({ clientId });
  assert.deepEqual(await client.command('create_session', create), made);
  assert.deepEqual(await client.refusal('create_session', unknown, 'not_found'), nack);
  assert.equal((await client.command('close_session', close)).type, 'ack');
  const { items } = await client.command('watch_sessions');
  assert.equal(items.length, 1, 'one session, whatever was sent again');
});

test('ids are of a client: another one, or another user\'s, may use the same', async () => {
  const one = await server.connect();
  const other = await server.connect();
  const session = await one.create('scripted');
  const prompt = (text) => ({ sessionId: session.id, text: script(say(text)), id: 'p' });
  const first = await one.command('prompt', prompt('One.'));
  const second = await other.command('prompt', prompt('Other.'));
  assert.notEqual(first.messageId, second.messageId);
  const nack = await other.refusal('prompt', prompt('Another.'), 'bad_message');
  assert.equal(nack.field, 'id');
  assert.equal(nack.retryable, false);
});

test('over REST: a key is good for one request, also after a restart, and for a GET it means nothing', async () => {
  const own = await startServer({ agents });
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'k' };
  const post = (where, body, more = headers) =>
    own.rest('POST', where, { headers: more, body: JSON.stringify(body) });
  const create = { agent: 'scripted', workspace: own.newWorkspace() };
  const first = await post('/v1/sessions', create);
  assert.equal(first.status, 201);
  await own.restart();
  const second = await post('/v1/sessions', create);
  assert.equal(second.status, 201);
  assert.equal(second.text, first.text);
  assert.equal(second.headers.location, first.headers.location);
  const { sessionId } = JSON.parse(first.text);
  const elsewhere = await post(`/v1/sessions/${sessionId}/messages`, { text: 'x' });
  assert.equal(elsewhere.status, 422);
  for (let i = 0; i < 2; i++) {
    assert.equal((await own.rest('GET', `/v1/sessions/${sessionId}`, { headers })).status, 200);
  }
});
