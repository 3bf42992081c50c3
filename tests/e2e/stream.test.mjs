// Server-sent events: the same log as over WebSocket.
import assert from 'node:assert/strict';
import http from 'node:http';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script, stream } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { Inbox, until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

/** A reader of one stream: what comes is in `inbox`, as {id, message}, comments as {comment}. */
async function follow(path, headers = {}, of = server) {
  const inbox = new Inbox();
  const request = http.get(of.url + path, { headers: { Accept: 'text/event-stream', ...headers } });
  const response = await new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
  let text = '';
  response.setEncoding('utf8');
  response.on('data', (part) => {
    text += part;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const fields = text.slice(0, end).split('\n').map((line) => line.match(/^([^:]*): ?(.*)$/).slice(1));
      const of = (name) => fields.find(([field]) => field === name)?.[1];
      if (of('data') !== undefined) {
        inbox.push({ id: of('id'), message: JSON.parse(of('data')) });
      } else {
        inbox.push({ comment: true, retry: of('retry') });
      }
    }
  });
  response.on('close', () => inbox.fail(new Error('the stream ended')));
  const until = (match, what) => inbox.find((item) => item.message && match(item.message), { what, explain: () => JSON.stringify(inbox.items.slice(-3)) });
  return { response, inbox, until, events: () => inbox.items.filter((item) => item.id), close: () => request.destroy() };
}

test('a stream has all events of its session, each with its position', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('before')));
  const reader = await follow(`/v1/sessions/${session.id}/events`);
  assert.equal(reader.response.statusCode, 200);
  assert.match(reader.response.headers['content-type'], /^text\/event-stream/);
  await reader.until((m) => m.type === 'replay_complete', 'the end of the replay');
  const turn = await session.prompt(script(stream(2000, 10, 0), say('the end')));
  const end = await turn.end();
  const { seq } = await session.status('idle', { from: session.events.length - 1 });
  await reader.until((m) => m.seq === seq, 'the last event');
  let next = 1;
  for (const { id, message } of reader.events()) {
    assert.equal(id, `${session.answer.epoch}:${message.seq}`);
    assert.ok((message.from ?? message.seq) <= next && message.seq >= next, `${message.seq} after ${next - 1}`);
    next = message.seq + 1;
  }
  const whole = reader.events().filter(({ message }) => message.type === 'text_complete' && message.turnId === turn.id);
  assert.equal(whole.map(({ message }) => message.text).join(''), textOf(end));
  assert.ok(reader.inbox.items.some((item) => item.retry === '3000'));
  assert.ok(reader.inbox.items.filter((item) => item.message && !item.message.seq).every((item) => !item.id));
  reader.close();
});

test('Last-Event-ID goes on where the stream broke off', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('one')));
  const first = await follow(`/v1/sessions/${session.id}/events`);
  await first.until((m) => m.type === 'replay_complete', 'the end of the replay');
  first.close();
  const last = first.events().at(-1);
  await session.run(script(say('two')));
  const second = await follow(`/v1/sessions/${session.id}/events?after=nonsense:1`, { 'Last-Event-ID': last.id });
  await second.until((m) => m.type === 'replay_complete', 'the end of the replay');
  const [event] = second.events();
  assert.ok((event.message.from ?? event.message.seq) === last.message.seq + 1);
  second.close();
});

test('a silent stream says something now and then; a pending request shows in `subscribed`', async () => {
  // Its WebSocket clients would have to answer pings as often; so there are none.
  const silent = await startServer({ agents: { scripted: scripted() }, settings: { 'ping-interval-ms': 300, 'permission-timeout-ms': 0 } });
  const session = (await silent.rest('POST', '/v1/sessions', { body: { agent: 'scripted', workspace: silent.newWorkspace() } })).json.sessionId;
  await silent.rest('POST', `/v1/sessions/${session}/messages`, { body: { text: script(ask()) } });
  const listed = async () => (await silent.rest('GET', '/v1/permissions')).json.permissions[0];
  const request = await until(listed, 'the request');
  const reader = await follow(`/v1/sessions/${session}/events`, {}, silent);
  const { message } = await reader.until((m) => m.type === 'subscribed', 'subscribed');
  assert.equal(message.pending[0].requestId, request.requestId);
  await reader.inbox.find((item) => item.comment && !item.retry, { what: 'a comment' });
  reader.close();
});

test('what is refused is refused before the stream begins', async () => {
  const missing = await follow('/v1/sessions/no-such-session/events');
  assert.equal(missing.response.statusCode, 404);
  const client = await server.connect();
  const session = await client.create('scripted');
  const bad = await follow(`/v1/sessions/${session.id}/events`, { 'Last-Event-ID': 'nonsense' });
  assert.equal(bad.response.statusCode, 400);
});
