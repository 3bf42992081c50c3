// Clients of craft (docs/dialects.md).
import assert from 'node:assert/strict';
import { CraftClient } from './lib/dialect-craft.mjs';
import { RICH, agrees, dialectServer, ended, newSession, scenarios } from './lib/dialect-scenarios.mjs';
import { test } from './lib/harness.mjs';
import { ask, script, tool, waitCancel } from './lib/script.mjs';
import { until } from './lib/wait.mjs';

const server = await dialectServer();
const kind = {
  name: 'craft',
  join: (of, sessionId, options) => CraftClient.join(of, sessionId, options),
  compare: ({ texts, tools, errors, pending, sequence }) => ({
    sequence: sequence.filter((id) => !id.startsWith('thought:')), texts, errors, pending, tools: tools.map(({ name, input, result, isError }) => ({ name, input, result, isError })),
  }),
};

scenarios(kind, server);

test('REST: a session is made, listed, prompted, aborted and closed; problems have an `error`', async () => {
  const workingDirectory = server.newWorkspace();
  const rest = (method, where, body) => server.rest(method, `/api/sessions${where}`, { body });
  const made = await rest('POST', '', { workspaceId: 'w', workingDirectory, agent: 'scripted', name: 'A name' });
  assert.equal(made.status, 201);
  const { id, name, messages } = made.json;
  assert.deepEqual([name, made.json.workingDirectory, made.json.permissionMode, messages], ['A name', workingDirectory, 'ask', []]);
  const list = await rest('GET', '');
  assert.ok(Array.isArray(list.json) && list.json.some((session) => session.id === id && session.messages.length === 0));
  const sent = await rest('POST', `/${id}/messages`, { message: RICH });
  assert.deepEqual([sent.status, sent.json.accepted], [202, true]);
  await ended(server, id, 1);
  const whole = (await rest('GET', `/${id}`)).json;
  assert.deepEqual(whole.messages.map(({ role }) => role), ['user', 'assistant', 'plan', 'tool', 'assistant', 'tool', 'tool', 'assistant']);
  assert.deepEqual(whole.messages.map(({ content }) => content).slice(1, 3), ['Hello, **wörld** 🙂.', '- [x] look\n- [ ] do']);
  await rest('POST', `/${id}/messages`, { message: script(tool({ id: 'open', title: 't', kind: 'execute', leaveOpen: true }), waitCancel()) });
  const open = async () => (await rest('GET', `/${id}`)).json;
  await until(async () => (await open()).messages.at(-1).toolStatus === 'executing', 'the open call');
  assert.equal((await open()).isProcessing, true);
  assert.deepEqual((await rest('POST', `/${id}/abort`)).json, { success: true });
  await ended(server, id, 2);
  assert.equal((await rest('DELETE', `/${id}`)).status, 200);
  for (const [method, where, body, status] of [
    ['GET', '/no-such', undefined, 404], ['POST', '/no-such/messages', { message: 'x' }, 404], ['POST', `/${id}/messages`, {}, 400],
    ['POST', `/${id}/messages`, { message: 'x' }, 409], ['POST', '', { agent: 'no-such' }, 404], ['POST', '', { workingDirectory: 7 }, 400],
  ]) {
    const answer = await rest(method, where, body);
    assert.equal(answer.status, status, `${method} ${where}: ${answer.text}`);
    assert.equal(typeof answer.json.error, 'string');
    assert.equal(typeof answer.json.code, 'string');
  }
  const keyed = await server.rest('POST', '/api/sessions', { body: {}, headers: { 'Idempotency-Key': 'k'.repeat(257) } });
  assert.equal(keyed.status, 400, 'a key has the same bounds on every path');
});

test('REST: what is no object, no path, no method or no key is refused in its form, and makes no session', async () => {
  const sessionId = await newSession(server, 'scripted');
  const before = (await server.rest('GET', '/api/sessions')).json.length;
  const message = `/api/sessions/${sessionId}/messages`;
  const key = (value) => ({ 'Idempotency-Key': value });
  for (const [method, where, body, status, headers] of [
    ['POST', '/api/sessions', '[]', 400], ['POST', '/api/sessions', '7', 400], ['POST', '/api/sessions', '"x"', 400],
    ['GET', '/api/nothing', undefined, 404], ['PUT', '/api/sessions', '{}', 405],
    ['POST', '/api/sessions', '{}', 400, key('x'.repeat(257))], ['POST', message, { message: 'x' }, 400, key('')],
    ['POST', message, Buffer.from('{"message":"x"}'), 400, key('\xff')], // one byte, no UTF-8: it would stand in an event
  ]) {
    const answer = await server.rest(method, where, { body, headers });
    assert.deepEqual([answer.status, typeof answer.json.error], [status, 'string'], `${method} ${where} ${body}: ${answer.text}`);
  }
  assert.equal((await server.rest('GET', '/api/sessions')).json.length, before);
});

test('its subprotocol is the native protocol, live only; what waits is said once more', async () => {
  const sessionId = await newSession(server, 'scripted');
  const first = await CraftClient.join(server, sessionId, { protocol: 'craft.v1' });
  assert.equal(first.socket.protocol, 'craft.v1');
  first.prompt(script(ask({ tool: { title: 't', kind: 'edit', name: 'edit', input: {} } })));
  await first.until(() => first.requests.length === 1, 'the request');
  const late = await CraftClient.join(server, sessionId);
  await late.until(() => late.requests.length === 1, 'the request, late');
  assert.ok(late.inbox.items.every(({ seq }) => seq === undefined), 'nothing of the past');
  late.send({ type: 'permission_response', requestId: late.requests[0], allowed: true });
  await Promise.all([first, late].map((client) => client.until(() => client.requests.length === 0, 'answered')));
  await ended(server, sessionId, 1);
  await agrees(kind, first);
  late.send({ type: 'unsubscribe', sessionId });
  await late.message('unsubscribed');
  await Promise.all([first.close(), late.close()]);
});
