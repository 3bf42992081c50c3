// What the server answers is what its own description says, and so are the events and the control messages of the WebSocket.
import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { OpenApi, faults } from './lib/schema.mjs';
import { ask, fail, say, script, think, tool } from './lib/script.mjs';
import { runSignalbox, startServer } from './lib/server.mjs';

const server = await startServer({ agents: { scripted: scripted(), missing: { command: ['no-such-program'] } } });
const api = new OpenApi((await server.rest('GET', '/openapi.json')).json);
const asked = new Set();

async function call(method, where, status, options) {
  const answer = await server.rest(method, where, options);
  assert.equal(answer.status, status, `${method} ${where}: ${answer.text}`);
  assert.deepEqual(api.faults(method, where, answer), [], `${method} ${where} ${status}: ${answer.text.slice(0, 500)}`);
  asked.add(api.operation(method, where).operationId);
  return answer;
}

test('every path answers as it is described, also where it refuses', async () => {
  const workspace = server.newWorkspace();
  const body = { agent: 'scripted', workspace };
  const { sessionId } = (await call('POST', '/v1/sessions', 201, { body })).json;
  const client = await server.connect();
  const session = await client.follow(sessionId);
  const at = `/v1/sessions/${sessionId}`;
  await session.run(script(think('hm'), say('hello'), { plan: ['look'] }, tool({ title: 'ls', kind: 'execute', name: 'bash', input: { command: 'ls' }, output: 100_000 })));
  await session.run(script(fail({ code: -32000, message: 'it broke' })));
  const question = { tool: { title: 'npm test', kind: 'execute', name: 'bash', input: { command: 'npm test' } } };
  const turn = await session.prompt(script(ask(question), ask(question)));
  const { requestId } = await turn.permission();
  for (const where of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/theme.json', '/v1/agents', '/v1/folders', `/v1/folders?path=${workspace}`,
    '/v1/sessions', at, `${at}/events`, `${at}/events?limit=3`, '/v1/permissions', '/v1/rules', '/v1/audit', '/api/sessions', `/api/sessions/${sessionId}`]) {
    await call('GET', where, 200);
  }
  const answer = `${at}/permissions/${requestId}`;
  await call('POST', answer, 400, { body: { optionId: 'unheard-of' } });
  await call('POST', answer, 200, { body: { allow: true, remember: { scope: 'session', match: 'command:npm test' } } });
  await call('POST', answer, 409, { body: { allow: true } });
  await turn.end();
  const [{ ruleId }] = (await call('GET', '/v1/rules', 200)).json.items;
  await call('GET', '/v1/audit', 200);
  await call('GET', '/v1/audit?format=jsonl', 200);
  await call('DELETE', `/v1/rules/${ruleId}`, 200);
  await call('DELETE', `/v1/rules/${ruleId}`, 404);

  const { blob } = (await call('POST', `${at}/blobs`, 201, { body: Buffer.from('0123456789'), headers: { 'Content-Type': 'image/png' } })).json;
  const { etag } = (await call('GET', `${at}/blobs/${blob}`, 200)).headers;
  await call('GET', `${at}/blobs/${blob}`, 206, { headers: { Range: 'bytes=2-3' } });
  await call('GET', `${at}/blobs/${blob}`, 304, { headers: { 'If-None-Match': etag } });
  await call('GET', `${at}/blobs/${blob}`, 416, { headers: { Range: 'bytes=10-' } });
  await call('POST', `${at}/messages`, 202, { body: { text: script(say('one')) } });
  await call('POST', `${at}/cancel`, 200, { body: { all: true } });

  for (const [method, where, status, sent] of [
    ['GET', '/ws', 400], ['GET', '/chat', 400], ['GET', '/ws/claudecodeui', 400], ['POST', '/v1/login', 400, {}], ['POST', '/v1/logout', 200],
    ['GET', '/v1/folders?path=/', 403], ['GET', '/v1/sessions?limit=0', 400], ['GET', '/v1/sessions/none', 404], ['GET', `${at}/events?after=x`, 400],
    ['GET', '/v1/audit?order=up', 400], ['GET', '/v1/rules?limit=x', 400], ['POST', '/v1/sessions', 503, { agent: 'missing', workspace }],
    ['POST', `${at}/messages`, 400, {}], ['POST', `${at}/blobs`, 201], ['GET', `${at}/blobs/none`, 404], ['POST', '/api/sessions', 404, { agent: 'none' }],
    ['GET', '/api/sessions/none', 404], ['POST', `/api/sessions/${sessionId}/messages`, 202, { message: script(say('two')) }],
    ['POST', `/api/sessions/${sessionId}/abort`, 200], ['DELETE', `/api/sessions/${sessionId}`, 200], ['POST', `/api/sessions/${sessionId}/messages`, 409, { message: 'x' }],
    ['POST', `${at}/messages`, 409, { text: 'x' }], ['DELETE', at, 200], ['DELETE', `${at}?purge=1`, 200], ['DELETE', `${at}?purge=1`, 404]]) {
    await call(method, where, status, { body: sent });
  }
  await call('POST', '/api/sessions', 201, { body: { workingDirectory: workspace, agent: 'scripted' } });
  const all = api.paths.flatMap(({ methods }) => Object.values(methods).map(({ operationId }) => operationId));
  assert.deepEqual(all.filter((operation) => !asked.has(operation)), [], 'no path is forgotten');
});

test('events and control messages are as `signalbox schema` has them', async () => {
  const { output } = await runSignalbox(['schema']);
  const schema = JSON.parse(output);
  const client = await server.connect();
  const session = await client.create('scripted');
  await client.command('watch_sessions');
  await client.refusal('prompt', { sessionId: session.id }, 'bad_message');
  await client.ping();
  const turn = await session.prompt(script(think('hm'), say('hello'), { usage: { used: 1, size: 2 } }, { commands: ['help'] }, { plan: ['look'] },
    tool({ title: 'ls', kind: 'execute', name: 'bash', input: { command: 'ls' }, output: 'one', outputChunks: 2 }), ask(), say('bye')));
  await session.answerPermission(await turn.permission(), { allow: true });
  await turn.end();
  await client.command('unsubscribe', { sessionId: session.id });
  const said = [...session.events, ...client.inbox.items];
  assert.ok(new Set(said.map(({ type }) => type)).size > 20);
  for (const message of said) {
    const group = message.seq !== undefined && message.type !== 'replay_complete' ? 'event' : 'server';
    const { [`${group}.${message.type}`]: of } = schema.$defs;
    assert.ok(of, `${group}.${message.type}`);
    assert.deepEqual(faults(schema, of, message), [], JSON.stringify(message).slice(0, 500));
  }
});
