// signalbox-scripted-agent: it streams exactly what the prompt says.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Agent, isAlive, isRequest, isUpdate, outcome, program } from './support/acp.mjs';
import { Generator } from './support/generator.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'signalbox-scripted-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

async function start(args = [], capabilities = {}) {
  const agent = new Agent('scripted-agent', args);
  await agent.initialize(capabilities);
  const { result } = await agent.call('session/new', { cwd: '/', mcpServers: [] });
  agent.session = result.sessionId;
  agent.opened = result;
  agent.forget();
  return agent;
}

const last = (list) => list[list.length - 1];
const chunks = (agent, kind = 'agent_message_chunk') => agent.updates(kind).map((u) => u.content.text);
const endTurn = { stopReason: 'end_turn' };

// Plays a script in an agent of its own and returns the agent after the turn's end.
async function play(script, args, answer) {
  const agent = await start(args);
  agent.onRequest = answer;
  agent.answered = await agent.prompt(script);
  await agent.end();
  return agent;
}

test('what is not JSON is echoed', async () => {
  for (const text of ['hello', '"text"', '12', '{"a":', 'a "quoted" \\ line\n\u0001\u{1f600}']) {
    const agent = await play(text);
    assert.deepEqual(agent.answered.result, endTurn);
    assert.deepEqual(chunks(agent), [text]);
  }
});

test('texts, kinds and message ids', async () => {
  const agent = await play({ messageId: 'm', steps: [{ text: 'a' }, { text: 'b', kind: 'thought', messageId: 't' },
    { text: 'c', messageId: null }, { chunks: 2, pattern: 'count', from: 9 }] });
  assert.deepEqual(agent.updates().map((u) => [u.sessionUpdate, u.content.text, u.messageId]), [
    ['agent_message_chunk', 'a', 'm'], ['agent_thought_chunk', 'b', 't'], ['agent_message_chunk', 'c', undefined],
    ['agent_message_chunk', '9 ', 'm'], ['agent_message_chunk', '10 ', 'm']]);
});

test('generated chunks can be computed, character by character', async () => {
  for (const alphabet of ['ascii', 'unicode', 'escape']) {
    const agent = await play({ seed: 7, steps: [{ chunks: 500, size: [1, 40], alphabet }, { chunks: 3, alphabet },
      { chunks: 1, size: 5, alphabet, seed: 0, kind: 'thought' }] });
    const generator = new Generator(7);
    const expected = [];
    for (let i = 0; i < 503; i += 1) {
      expected.push(generator.chunk(i < 500 ? [1, 40] : 16, alphabet));
    }
    assert.deepEqual(chunks(agent), expected);
    assert.deepEqual(chunks(agent, 'agent_thought_chunk'), [new Generator(0).chunk(5, alphabet)]);
  }
});

test('a flood arrives whole, and a cancel is seen in the middle of it', async () => {
  const flood = await play({ chunks: 100000, pattern: 'count' });
  assert.deepEqual(chunks(flood), Array.from({ length: 100000 }, (_, i) => `${i} `));

  const agent = await start();
  const done = agent.prompt({ chunks: 1e12, size: 20 });
  await agent.seen(isUpdate('agent_message_chunk'));
  agent.cancel();
  assert.deepEqual((await done).result, { stopReason: 'cancelled' });
  await agent.end();
});

test('a rate is not exceeded, and a cancel ends the wait', async () => {
  const agent = await start();
  const began = process.hrtime.bigint();
  await agent.prompt({ chunks: 11, rate: 100, size: 4, stamp: true });
  assert.ok(process.hrtime.bigint() - began >= 100_000_000n);
  const stamps = chunks(agent).map((c) => Number(/^@(\d{16}) .{4}$/s.exec(c)[1]));
  const from = Number(began / 1000n); // none before its time; each may be late
  assert.ok(stamps.every((at, k) => at >= from + k * 10_000), `${stamps.map((at) => at - from)}`);
  await agent.prompt({ chunks: 11, rate: 100, size: 4, stamp: 'due' });
  const due = chunks(agent).slice(11).map((c) => Number(/^@(\d{16}) .{4}$/s.exec(c)[1]));
  assert.deepEqual(due.map((at) => at - due[0]), due.map((_, k) => k * 10_000));
  const done = agent.prompt([{ text: 'slow' }, { chunks: 1000, rate: 0.01 }]);
  await agent.seen(isUpdate('agent_message_chunk', (u) => u.content.text === 'slow'));
  agent.cancel();
  assert.deepEqual((await done).result, { stopReason: 'cancelled' });
  await agent.end();
});

test('a tool call with growing output', async () => {
  const agent = await play({ tool: { id: 'x', title: 'T', kind: 'edit', name: 'n', input: { a: 1 }, output: 'ab\u20accd',
    outputChunks: 3, diff: { path: '/f', oldText: null, newText: 'new' }, rawOutput: { ok: true } } });
  const [call, ...updates] = agent.updates();
  assert.deepEqual(call, { sessionUpdate: 'tool_call', toolCallId: 'x', title: 'T', kind: 'edit', name: 'n',
    rawInput: { a: 1 }, status: 'pending' });
  assert.deepEqual(updates.map((u) => u.status), ['in_progress', 'in_progress', 'in_progress', 'in_progress', 'completed']);
  assert.deepEqual(updates.slice(1).map((u) => last(u.content).content.text), ['ab', 'ab', 'ab\u20accd', 'ab\u20accd']);
  assert.deepEqual(last(updates).content[0], { type: 'diff', path: '/f', oldText: null, newText: 'new' });
  assert.deepEqual(last(updates).rawOutput, { ok: true });
});

test('failing, open, generated and terminal tools', async () => {
  const agent = await play([{ tool: { title: 'a', fail: true } }, { tool: { title: 'b', leaveOpen: true } },
    { tool: { output: 100 } }, { tool: { output: 'one two', outputChunks: 2, terminalMeta: true } }]);
  const of = (id) => agent.updates().filter((u) => u.toolCallId === id);
  assert.equal(last(of('call_1')).status, 'failed');
  assert.equal(last(of('call_2')).status, 'in_progress');
  assert.equal(last(of('call_3')).content[0].content.text, new Generator(1).chunk(100));
  const terminal = of('call_4');
  assert.equal(terminal.map((u) => u._meta?.terminal_output_delta?.data ?? '').join(''), 'one two');
  assert.deepEqual(terminal[2].content, [{ type: 'terminal', terminalId: 'call_4' }]);
  assert.equal(last(terminal)._meta.terminal_exit.exit_code, 0);
});

test('a tool that only the permission request announces', async () => {
  const agent = await play({ tool: { id: 'g', title: 'T', announce: 'permission', output: 'done' } }, [], () => outcome('allow_once'));
  assert.equal(agent.updates('tool_call').length, 0);
  assert.equal(agent.messages.find(isRequest).params.toolCall.title, 'T');
  assert.deepEqual(agent.updates('tool_call_update').map((u) => u.status), ['in_progress', 'completed']);
  assert.deepEqual(chunks(agent), ['answer:allow_once']);
});

test('rejections go on, or end the turn', async () => {
  const reject = () => outcome('reject_once');
  const on = await play([{ permission: { tool: { title: 'T' } } }, { text: 'after' }], [], reject);
  assert.deepEqual(chunks(on), ['answer:reject_once', 'after']);
  const end = await play([{ permission: { tool: 'id', onReject: 'end' } }, { text: 'after' }], [], reject);
  assert.deepEqual(chunks(end), ['answer:reject_once']);
  assert.deepEqual(end.answered.result, endTurn);
  const tool = await play([{ tool: { permission: { onReject: 'end' }, output: 'secret' } }, { text: 'after' }], [], reject);
  assert.deepEqual(tool.updates('tool_call_update').map((u) => [u.status, u.content]), [['failed', undefined]]);
  assert.deepEqual(chunks(tool), ['answer:reject_once']);
});

test('own options, parallel requests and text ids', async () => {
  const agent = await start();
  const options = [{ optionId: 'cancel', name: 'No', kind: 'reject_once' }, { optionId: 'go', name: 'Go', kind: 'allow_once' }];
  const done = agent.prompt([{ stringIds: true }, { permission: { tool: { id: 'p', title: 'T' }, options, parallel: 3 } }]);
  await agent.seen((m) => m.params?.toolCall?.toolCallId === 'p-3');
  const requests = agent.messages.filter(isRequest);
  assert.deepEqual(requests.map((r) => r.id), ['req-0', 'req-1', 'req-2']);
  assert.deepEqual(requests[0].params.options, options);
  agent.choose(requests[1], 'go');
  agent.send({ id: requests[2].id, error: { code: -1, message: 'no' } });
  agent.choose(requests[0], 'cancel');
  await done;
  assert.deepEqual(chunks(agent), ['answer:2=go', 'answer:3=error', 'answer:1=cancel']);
  await agent.end();
});

test('a cancel waits for the answers to open requests', async () => {
  const agent = await start();
  const done = agent.prompt([{ permission: { tool: 'p' } }, { text: 'not reached' }]);
  const request = await agent.seen(isRequest);
  agent.cancel();
  agent.answer(request, { outcome: { outcome: 'cancelled' } });
  assert.deepEqual((await done).result, { stopReason: 'cancelled' });
  assert.deepEqual(chunks(agent), ['answer:cancelled']);
  await agent.end();
});

test('waitCancel, and going on after a cancel', async () => {
  const agent = await start();
  let done = agent.prompt([{ text: 'a' }, { waitCancel: true }, { text: 'not reached' }]);
  await agent.seen(isUpdate('agent_message_chunk'));
  agent.notify('$/cancel_request', { requestId: agent.lastId });
  assert.deepEqual((await done).result, { stopReason: 'cancelled' });
  agent.forget();
  done = agent.prompt([{ ignoreCancel: true }, { text: 'a' }, { waitCancel: true }, { text: 'late' }, { stop: 'refusal' }]);
  await agent.seen(isUpdate('agent_message_chunk'));
  agent.cancel();
  assert.deepEqual((await done).result, { stopReason: 'refusal' });
  assert.deepEqual(chunks(agent), ['a', 'late']);
  await agent.end();
});

test('the other updates', async () => {
  const agent = await play([{ plan: ['one', { content: 'two', priority: 'high', status: 'completed' }] },
    { usage: { used: 1, size: 2, cost: { amount: 0.1, currency: 'EUR' } } }, { commands: ['c'] }, { mode: 'code' }, { title: 'T' },
    { configOptions: [] }, { update: { sessionUpdate: 'brand_new', x: [1] } }, { update: { sessionUpdate: 'y' }, sessionId: 'other' }]);
  assert.deepEqual(agent.updates(), [
    { sessionUpdate: 'plan', entries: [{ priority: 'medium', status: 'pending', content: 'one' },
      { content: 'two', priority: 'high', status: 'completed' }] },
    { sessionUpdate: 'usage_update', used: 1, size: 2, cost: { amount: 0.1, currency: 'EUR' } },
    { sessionUpdate: 'available_commands_update', availableCommands: [{ description: 'A command', name: 'c' }] },
    { sessionUpdate: 'current_mode_update', currentModeId: 'code' },
    { sessionUpdate: 'session_info_update', title: 'T' },
    { sessionUpdate: 'config_option_update', configOptions: [] },
    { sessionUpdate: 'brand_new', x: [1] }, { sessionUpdate: 'y' }]);
  assert.equal(agent.messages[7].params.sessionId, 'other');
});

test('raw lines, bytes, stderr, big lines and lines in pieces', async () => {
  const agent = await play([{ raw: '{"half', noNewline: true }, { raw: '":"${sessionId}"}' }, { raw: 'garbage' }, { rawHex: 'ff 41 0a' },
    { stderr: 'a word' }, { stderr: 5000 }, { bigLine: 3000000 }, { splitWrites: { bytes: 7, delayUs: 1 } }, { text: 'in pieces' }]);
  assert.deepEqual(agent.messages[0], { half: agent.session });
  assert.deepEqual(agent.noise, ['garbage', '\ufffdA']);
  assert.match(agent.stderr, /^a word\n/);
  assert.ok(agent.stderr.length >= 5000);
  const [big, pieces] = chunks(agent);
  assert.equal(big, new Generator(1).chunk(3000000));
  assert.equal(pieces, 'in pieces');
  assert.deepEqual(agent.answered.result, endTurn);
});

test('requests to the client', async () => {
  const agent = await play([{ request: { method: 'fs/read_text_file', params: { path: '/x' } } }, { request: { method: '_nope', bare: true } }],
    [], (m) => (m.method === '_nope' ? { path: m.params } : undefined) ?? { content: m.params.sessionId.slice(0, 8) });
  assert.deepEqual(chunks(agent), ['reply:{"content":"scripted"}', 'reply:{"path":{}}']);
  const refused = await start();
  const done = refused.prompt({ request: { method: 'x' } });
  refused.send({ id: (await refused.seen(isRequest)).id, error: { code: -32601, message: 'no' } });
  await done;
  assert.deepEqual(chunks(refused), ['reply:{"error":{"code":-32601,"message":"no"}}']);
  await refused.end();
});

test('ends of the process, and what outlives it', async () => {
  const agent = await start();
  agent.prompt([{ spawn: 'exec sleep 1000' }, { text: 'last' }, { exit: 5 }]).catch(() => {});
  assert.deepEqual(await agent.ended, { code: 5, signal: null });
  const [said, text] = chunks(agent);
  const pid = Number(/^pid:(\d+)$/.exec(said)[1]);
  assert.equal(text, 'last');
  assert.equal(isAlive(pid), true);
  process.kill(pid);
  const killed = await start();
  killed.prompt([{ kill: 'SIGKILL' }]).catch(() => {});
  assert.deepEqual(await killed.ended, { code: null, signal: 'SIGKILL' });
});

test('answers of every kind, and bad scripts', async () => {
  assert.deepEqual((await play({ error: { code: 400, message: 'm', data: [1] } })).answered.error, { code: 400, message: 'm', data: [1] });
  assert.deepEqual((await play({ stop: 'max_tokens' })).answered.result, { stopReason: 'max_tokens' });
  assert.deepEqual((await play({ result: { stopReason: 'end_turn', usage: {} } })).answered.result, { stopReason: 'end_turn', usage: {} });
  for (const bad of [[7], [{ nope: 1 }], [{ chunks: -1 }], [{ chunks: 1, size: [2, 1] }], [{ chunks: 1, alphabet: 'x' }],
    [{ tool: 1 }], [{ repeat: {} }], [{ kill: 'SIGNOPE' }], [{ request: {} }], [{ rawHex: 'zz' }], [{ plan: 1 }], [{ usage: 1 }]]) {
    const { error } = (await play(bad)).answered;
    assert.equal(error?.code, -32602, JSON.stringify(bad));
    assert.match(error.message, /^Bad script: /);
  }
});

test('repeat', async () => {
  const agent = await play([{ repeat: { times: 2, steps: [{ text: 'a' }, { repeat: { times: 2, steps: [{ text: 'b' }] } }] } },
    { repeat: { times: 0, steps: [{ text: 'never' }] } }, { repeat: { times: 3, steps: [] } }, { text: 'c' }]);
  assert.equal(agent.text(), 'abbabbc');
});

test('failing starts', async () => {
  const none = new Agent('scripted-agent', ['--no-start']);
  assert.equal((await none.ended).code, 3);
  assert.match(none.stderr, /does not start/);

  const garbage = await start(['--garbage-start']);
  assert.ok(garbage.noise.length >= 2);
  await garbage.end();

  const hangs = new Agent('scripted-agent', ['--hang-initialize']);
  const never = hangs.initialize().catch(() => 'ended');
  assert.equal((await hangs.call('session/new', { cwd: 'x' })).error.code, -32602);
  await hangs.end();
  assert.equal(await never, 'ended');

  const fails = new Agent('scripted-agent', ['--new-fails', '-32603']);
  assert.equal((await fails.call('session/new', { cwd: '/' })).error.code, -32603);
  await fails.end();

  const auth = new Agent('scripted-agent', ['--auth-required']);
  assert.equal((await auth.initialize()).authMethods[0].id, 'token');
  assert.equal((await auth.call('session/new', { cwd: '/' })).error.code, -32000);
  await auth.call('authenticate', { methodId: 'token' });
  assert.ok((await auth.call('session/new', { cwd: '/' })).result.sessionId);
  await auth.end();
});

test('an update may come before the answer that names its session', async () => {
  const agent = new Agent('scripted-agent', ['--update-before-response']);
  const { result } = await agent.call('session/new', { cwd: '/' });
  assert.equal(agent.messages[0].params.sessionId, result.sessionId);
  assert.equal(agent.messages[1].result, result);
  await agent.end();
});

test('modes, models and options', async () => {
  const agent = await start(['--modes', '--models', '--config-options'], { session: { configOptions: { boolean: {} } } });
  assert.equal(agent.opened.modes.currentModeId, 'ask');
  assert.equal(agent.opened.models.currentModelId, 'medium');
  assert.deepEqual(agent.opened.configOptions.map((o) => o.id), ['mode', 'model', 'effort', 'web']);
  const { session } = agent;
  assert.deepEqual((await agent.call('session/set_mode', { sessionId: session, modeId: 'plan' })).result, {});
  await agent.seen(isUpdate('current_mode_update', (u) => u.currentModeId === 'plan'));
  assert.equal((await agent.call('session/set_mode', { sessionId: session, modeId: 'x' })).error.code, -32602);
  assert.deepEqual((await agent.call('session/set_model', { sessionId: session, modelId: 'large' })).result, {});
  const { result } = await agent.call('session/set_config_option', { sessionId: session, configId: 'web', type: 'boolean', value: true });
  assert.deepEqual(result.configOptions.map((o) => o.currentValue), ['plan', 'large', 'normal', true]);
  await agent.seen(isUpdate('config_option_update', (u) => u.configOptions[3].currentValue));
  assert.equal((await agent.call('session/set_config_option', { sessionId: session, configId: 'model', value: 'x' })).error.code, -32602);
  await agent.end();
  const plain = await start(['--config-options']);
  assert.equal(plain.opened.configOptions.length, 3);
  await plain.end();
});

test('a conversation is loaded, resumed and listed by another process', async () => {
  const state = path.join(folder, 'state');
  const args = ['--load', '--state', state];
  const first = await start(args);
  await first.prompt([{ text: 'a' }, { text: 'b' }, { text: 'think', kind: 'thought' }, { tool: { id: 't', output: 'out', outputChunks: 2 } }, { text: 'c' }]);
  await first.prompt('again');
  await first.end();

  for (const [more, order] of [[[], 'after'], [['--load-response-first'], 'before']]) {
    const agent = new Agent('scripted-agent', [...args, ...more]);
    assert.equal((await agent.initialize()).agentCapabilities.loadSession, true);
    agent.forget();
    const { result } = await agent.call('session/load', { sessionId: first.session, cwd: '/', mcpServers: [] });
    assert.deepEqual(result, {});
    await agent.call('session/list', {}); // whose answer comes after all updates
    const replayed = agent.messages.length - 2;
    assert.deepEqual(agent.updates().slice(1).map((u) => u.content?.[0]?.content.text ?? u.content?.text ?? u.toolCallId),
      ['ab', 'think', 't', 'out', 'c', 'again', 'again']);
    assert.equal(agent.messages.findIndex((m) => m.result), order === 'before' ? 0 : replayed);
    agent.forget();
    assert.deepEqual((await agent.call('session/resume', { sessionId: first.session, cwd: '/' })).result, {});
    assert.equal(agent.updates().length, 0);
    assert.equal((await agent.call('session/list', {})).result.sessions[0].sessionId, first.session);
    assert.equal((await agent.call('session/load', { sessionId: 'no', cwd: '/', mcpServers: [] })).error.code, -32002);
    await agent.end();
  }
});

test('an agent that ignores the end of its input and SIGTERM', async () => {
  const agent = await start(['--ignore-eof', '--ignore-term']);
  agent.prompt([{ text: 'here' }, { sleep: 50 }, { text: 'still' }]).catch(() => {});
  agent.child.stdin.end();
  agent.child.kill('SIGTERM');
  await agent.seen(isUpdate('agent_message_chunk', (u) => u.content.text === 'still'));
  agent.child.kill('SIGKILL');
  assert.equal((await agent.ended).signal, 'SIGKILL');
});

test('sessions of one process play side by side', async () => {
  const agent = await start();
  const second = (await agent.call('session/new', { cwd: '/' })).result.sessionId;
  const waits = agent.prompt({ waitCancel: true });
  assert.equal((await agent.prompt('again')).error.code, -32600);
  assert.deepEqual((await agent.prompt('hello', second)).result, endTurn);
  agent.cancel();
  assert.deepEqual((await waits).result, { stopReason: 'cancelled' });
  const closed = agent.prompt({ waitCancel: true }, second);
  await agent.call('session/close', { sessionId: second });
  assert.deepEqual((await closed).result, { stopReason: 'cancelled' });
  await agent.end();
});

// One process that plays many.
let hosts = 0;
async function hosted(t, count) {
  hosts += 1;
  const socket = path.join(folder, `host-${hosts}`);
  const host = spawn(program('scripted-agent'), ['--host', socket]);
  t.after(() => host.kill());
  // It is there when it can be connected to.
  for (let there = false; !there;) {
    const probe = net.connect(socket);
    there = await new Promise((done) => probe.on('connect', () => done(true)).on('error', () => done(false)));
    probe.destroy();
  }
  const agents = [];
  for (let i = 0; i < count; i += 1) {
    agents.push(await start(['--played-by', socket]));
  }
  return { host, socket, agents };
}

test('one process plays many agents, and each ends by itself', async (t) => {
  const { host, agents } = await hosted(t, 5);
  const expected = [];
  for (const [i, agent] of agents.entries()) {
    const generator = new Generator(i + 1);
    expected.push([generator.chunk(20, 'ascii'), generator.chunk(20, 'ascii')]);
    agent.answered = agent.prompt({ seed: i + 1, steps: [{ chunks: 2, size: 20 }] });
  }
  for (const [i, agent] of agents.entries()) {
    assert.deepEqual((await agent.answered).result, endTurn);
    assert.deepEqual(chunks(agent), expected[i]);
  }
  const [first, ...others] = agents;
  assert.deepEqual(await first.end(), { code: 0, signal: null });
  assert.deepEqual((await others[0].prompt([{ text: 'still there' }])).result, endTurn);
  // A client that has to kill the process of an agent ends only that one.
  others[0].child.kill('SIGKILL');
  await others[0].ended;
  assert.deepEqual((await others[1].prompt([{ text: 'and there' }])).result, endTurn);
  host.kill();
  for (const agent of others.slice(1)) {
    assert.equal((await agent.ended).code, 0);
  }
});

test('many agents in one process: none may do what is about the process', async (t) => {
  const { host, agents: [agent] } = await hosted(t, 1);
  for (const step of [{ exit: 3 }, { kill: 'KILL' }, { spawn: 'true' }, { strain: { files: 1 } }, { splitWrites: 3 }]) {
    const { error } = await agent.prompt([step]);
    assert.match(error.message, /a process of its own/, JSON.stringify(step));
  }
  host.kill();
  await agent.ended;
});

test('who connects to the host speaks with an agent of its own', async (t) => {
  const { host, socket, agents } = await hosted(t, 1);
  const connection = net.connect(socket);
  connection.setEncoding('utf8').write(`${JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: 1 } })}\n`);
  const [answer] = await once(connection, 'data');
  assert.equal(JSON.parse(answer).result.protocolVersion, 1);
  connection.destroy();
  assert.deepEqual((await agents[0].prompt([{ text: 'x' }])).result, endTurn);
  host.kill();
  await agents[0].ended;
});

test('chunks and tools have their time, which does not move when they are late', async () => {
  const now = Number(process.hrtime.bigint() / 1000n);
  const agent = await play([{ chunks: 3, size: 1, rate: 1000, at: now - 5_000_000, stamp: 'due' }, { until: now - 1_000_000 }, { text: 'end' }]);
  assert.deepEqual(chunks(agent).slice(0, 3).map((text) => Number(text.slice(1, 17)) - now), [-5_000_000, -4_999_000, -4_998_000]);
  assert.equal(last(chunks(agent)), 'end');
});

test('work: thoughts, text and tools, of which some ask', async () => {
  const at = Number(process.hrtime.bigint() / 1000n) - 60_000_000; // long due, so nothing is waited for
  let asked = 0;
  const agent = await play([{ work: { seconds: 20, at, size: 24, seed: 3, permissions: true } }], [], () => {
    asked += 1;
    return { outcome: { outcome: 'selected', optionId: 'allow_once' } };
  });
  assert.deepEqual(agent.answered.result, endTurn);
  const tools = agent.updates('tool_call_update').filter((update) => update.status === 'completed');
  assert.ok(tools.length > 2 && asked > 0, `${tools.length} tools, ${asked} questions`);
  assert.ok(chunks(agent, 'agent_thought_chunk').length > 10);
  assert.ok(chunks(agent).filter((text) => /^@\d{16} .{24}$/.test(text)).length > 50);
  for (const bad of [{ size: 0 }, { size: 24, rate: 0 }, { size: 24, seconds: -1 }]) {
    assert.match((await play([{ work: bad }])).answered.error.message, /work: a bad size, rate or time/);
  }
});
