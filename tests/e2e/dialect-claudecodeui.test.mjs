// Clients of claudecodeui (docs/dialects.md).
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { ClaudeUi } from './lib/dialect-claudecodeui.mjs';
import { agrees, dialectServer, newSession, scenarios } from './lib/dialect-scenarios.mjs';
import { test } from './lib/harness.mjs';
import { ask, fail, say, script } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';

const server = await dialectServer();
const shownPrompts = (prompts) => prompts.map((prompt) => prompt.text ?? prompt);
const kind = {
  name: 'claudecodeui',
  join: (of, sessionId, options) => ClaudeUi.join(of, sessionId, options),
  // What it has no words for is not compared.
  compare: ({ commands, options, prompts, ...view }) => ({ ...view, prompts: shownPrompts(prompts) }),
};

scenarios(kind, server);

test('a new session: it is made, watched, and told apart from later turns', async () => {
  const client = await ClaudeUi.join(server, null);
  client.send({ type: 'claude-command', command: script(say('first')), options: { cwd: server.newWorkspace(), agent: 'scripted' } });
  const { sessionId } = await client.message('session-created');
  const first = await client.message('claude-complete');
  assert.deepEqual([first.sessionId, first.exitCode, first.isNewSession], [sessionId, 0, true]);
  client.prompt(script(say('second')));
  const second = await client.message('claude-complete', ({ seq }) => seq > first.seq);
  assert.deepEqual([second.exitCode, second.isNewSession], [0, false]);
  assert.equal(client.shownText, 'firstsecond');
  client.prompt(script(fail({ code: -32000, message: 'it broke' })));
  await client.message('claude-complete', ({ exitCode }) => exitCode === 1);
  await client.message('claude-error', ({ error }) => error.includes('it broke'));
  await agrees(kind, client);
  await client.close();
});

test('requests go to everybody, with how many wait; who comes later is told; who asks for a session gets its own', async () => {
  const [sessionId, otherId] = [await newSession(server, 'scripted'), await newSession(server, 'scripted')];
  const idle = await ClaudeUi.join(server, null); // looks at no session
  const one = await ClaudeUi.join(server, sessionId);
  one.prompt(script(ask({ tool: { title: 'cat x', kind: 'read', name: 'read', input: { path: 'x' } } })));
  const request = await idle.message('permission-request', (message) => message.sessionId === sessionId);
  assert.deepEqual([request.toolName, request.input, request.riskLevel, request.category], ['read', { path: 'x' }, 'low', 'file-read']);
  await idle.message('permission-queue-status', ({ pending }) => pending === 1);
  const other = await ClaudeUi.join(server, otherId);
  other.prompt(script(ask({ tool: { title: 'rm', kind: 'execute', name: 'bash', input: { command: 'rm' } } })));
  await idle.until(() => idle.dialogs.size === 2 && idle.queue === 2, 'both');
  const late = await ClaudeUi.join(server, null);
  await late.until(() => late.dialogs.size === 2 && late.queue === 2, 'both, late');
  late.send({ type: 'permission-sync-request', sessionId: otherId });
  const { pendingRequests } = await late.message('permission-sync-response', (message) => message.sessionId === otherId);
  assert.deepEqual(pendingRequests.map(({ toolName, sessionId: of }) => [toolName, of]), [['bash', otherId]]);
  late.send({ type: 'get-active-sessions' });
  const { sessions } = await late.message('active-sessions');
  assert.deepEqual([...sessions.claude].sort(), [sessionId, otherId].sort());
  // Who looks at no session may answer.
  idle.answer(request.id, 'allow_once');
  const everybody = [idle, one, other, late];
  await Promise.all(everybody.map((client) => client.until(() => !client.dialogs.has(request.id) && client.queue === 1, 'the answer')));
  assert.deepEqual([late.ends.get(request.id).decision, late.ends.get(request.id).by], ['allow', 'local']);
  await one.until(() => one.shownText === 'answer:allow_once', 'the agent got it');
  other.cancel();
  await other.message('session-aborted', ({ success }) => success);
  await Promise.all(everybody.map((client) => client.until(() => client.dialogs.size === 0 && client.queue === 0, 'the cancel')));
  assert.equal([...late.ends.values()].at(-1).reason, 'turn_cancelled');
  await Promise.all(everybody.map((client) => client.close()));
});

test('every form of an answer, and what is wrong with others', async () => {
  const sessionId = await newSession(server, 'scripted');
  const client = await ClaudeUi.join(server, sessionId);
  client.prompt(script(ask({ parallel: 4, tool: { title: 't', kind: 'edit', name: 'edit', input: { path: 'a' } } })));
  await client.until(() => client.requests.length === 4, 'four');
  const [first, second, third, fourth] = client.requests;
  client.send({ type: 'permission-response', requestId: first, decision: 'allow', updatedInput: { path: 'b' } });
  await client.message('permission-error', ({ requestId }) => requestId === first);
  assert.ok(client.dialogs.has(first), 'it stays open');
  client.send({ type: 'permission-response', requestId: first, decision: 'allow', updatedInput: client.dialogs.get(first).input });
  client.send({ type: 'claude-permission-response', requestId: third, allow: false, message: 'no' });
  client.send({ type: 'permission-response', requestId: fourth, decision: 'allow-always' });
  await client.until(() => client.requests.length === 1, 'one is left'); // the rule that follows would answer all
  client.send({ type: 'permission-response', requestId: second, decision: 'allow-session' });
  await client.until(() => client.requests.length === 0, 'all are answered');
  assert.deepEqual([first, second, third, fourth].map((id) => client.ends.get(id).decision), ['allow', 'allow', 'deny', 'allow']);
  const from = client.inbox.items.length;
  client.send({ type: 'permission-response', requestId: first, decision: 'deny' });
  const late = await client.message('permission-error', ({ requestId }) => requestId === first, { from });
  assert.equal(late.code, 'already_resolved');
  await client.close();
});

test('what is no message of it is an error, and the connection stays', async () => {
  const client = await ClaudeUi.join(server, null, { protocol: 'claudecodeui.v1' });
  assert.equal(client.socket.protocol, 'claudecodeui.v1');
  const wrong = [
    ['no json', 'claude-error', 'bad_json'], ['7', 'claude-error', 'bad_message'], [{ type: 'unheard-of' }, 'claude-error', 'unknown_type'],
    [{ type: 'claude-command' }, 'claude-error', 'bad_message'], [{ type: 'claude-command', command: '' }, 'claude-error', 'bad_message'],
    [{ type: 'claude-command', command: 'x', options: { sessionId: 'no-such' } }, 'claude-error', 'not_found'],
    [{ type: 'claude-command', command: 'x', options: { cwd: '/no/such' } }, 'claude-error', 'bad_message'],
    [{ type: 'claude-command', command: 'x', options: { images: [{ data: 'x' }] } }, 'claude-error', 'bad_message'],
    [{ type: 'permission-response', requestId: 'p-x', decision: 'perhaps' }, 'permission-error', 'bad_message'],
    [{ type: 'permission-response', requestId: 'p-x', decision: 'allow' }, 'permission-error', 'not_found'],
    [{ type: 'claude-permission-response', requestId: 'p-x', allow: 'yes' }, 'permission-error', 'bad_message'],
    [{ type: 'check-session-status', sessionId: 'no-such' }, 'claude-error', 'not_found'],
    [{ type: 'permission-sync-request' }, 'claude-error', 'bad_message'],
  ];
  for (const [message, type, code] of wrong) {
    const from = client.inbox.items.length;
    client.send(message);
    await client.message(type, (error) => error.code === code, { from });
  }
  const from = client.inbox.items.length;
  client.send({ type: 'abort-session', sessionId: 'no-such' });
  await client.message('session-aborted', ({ success }) => !success, { from });
  await client.close();
});

test('a timeout closes the dialog of everybody, and says which tool it was', async () => {
  const quick = await startServer({ settings: { 'permission-timeout-ms': 300 }, agents: { scripted: scripted() } });
  const sessionId = await newSession(quick, 'scripted');
  const [one, other] = [await ClaudeUi.join(quick, sessionId), await ClaudeUi.join(quick, null)];
  one.prompt(script(ask({ tool: { title: 't', kind: 'edit', name: 'edit', input: {} } })));
  const { toolName } = await other.message('permission-timeout');
  assert.equal(toolName, 'edit');
  await Promise.all([one, other].map((client) => client.until(() => client.dialogs.size === 0 && client.queue === 0, 'the end')));
  await Promise.all([one.close(), other.close()]);
});

test('authentication is the server\'s, and nothing of it stands in a URL', async () => {
  const token = '0123456789abcdef0123456789abcdef';
  const tokens = path.join(temporaryFolder(), 'tokens');
  writeFileSync(tokens, `ada ${token}\n`, { mode: 0o600 });
  const closed = await startServer({ settings: { 'tokens-file': tokens }, agents: { scripted: scripted() } });
  const nobody = new ClaudeUi();
  await assert.rejects(nobody.open(closed, '/ws/claudecodeui'), (error) => error.status === 401);
  await assert.rejects(nobody.open(closed, `/ws/claudecodeui?token=${token}`), (error) => error.status === 400);
  const ada = await ClaudeUi.join(closed, null, { token });
  await ada.message('permission-queue-status');
  await ada.close();
});
