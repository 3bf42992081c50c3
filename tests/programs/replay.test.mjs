// signalbox replay-agent: the recorded sessions come out as they were recorded.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Agent, isRequest, transcripts } from './support/acp.mjs';

const read = (name) => readFileSync(path.join(transcripts, name), 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));
const entries = (name) => read(name).map((line) => ({ ...line, ...line.msg }));

// Does as the recorded client did, but one request after the other; returns the agent.
async function follow(name, options = ['--no-wait']) {
  const tape = entries(name);
  const out = tape.filter((m) => m.dir === 'out');
  const agent = new Agent('replay-agent', [path.join(transcripts, name), ...options]);
  const answers = new Map(out.filter((m) => !m.method).map((m) => [m.id, m]));
  agent.onRequest = (m) => {
    const answer = answers.get(m.id);
    // In the recording a cancel comes before the answers that it causes.
    if (answer?.result?.outcome?.outcome === 'cancelled') {
      agent.cancel(m.params.sessionId);
    }
    return answer ? answer.result ?? {} : undefined;
  };
  for (const request of out.filter((m) => m.method && m.id !== undefined)) {
    const end = tape.find((m) => m.dir === 'in' && !m.method && m.id === request.id);
    if (!end) {
      continue; // the recording ends inside this one
    }
    const answered = agent.call(request.method, request.params, `mine-${request.id}`);
    const cancels = tape.some((m) => m.dir === 'out' && m.method === 'session/cancel' && m.t > request.t && m.t <= end.t
      && m.params.sessionId === request.params.sessionId);
    if (cancels) {
      agent.cancel(request.params.sessionId);
    }
    const response = await answered;
    assert.deepEqual([response.result, response.error], [end.result, end.error], `${name} ${request.method}`);
  }
  return agent;
}

// What is recorded between two answers may belong to either side of a request, so the whole is
// compared for each session by itself.
function bySession(messages) {
  const sessions = {};
  for (const m of messages.filter((x) => x.method)) {
    (sessions[m.params?.sessionId] ??= []).push(m);
  }
  return sessions;
}

for (const name of readdirSync(transcripts).filter((n) => n.endsWith('.jsonl'))) {
  test(`${name} is played whole and in order`, async () => {
    const agent = await follow(name);
    const tape = read(name);
    const answered = new Set(tape.filter((l) => l.dir === 'in' && !l.msg.method).map((l) => l.msg.id));
    const open = tape.filter((l) => l.dir === 'out' && l.msg.method && l.msg.id !== undefined && !answered.has(l.msg.id));
    const recorded = tape.filter((l) => l.dir === 'in' && !open.some((o) => o.msg.params.sessionId === l.msg.params?.sessionId && l.t > o.t));
    await agent.end();
    assert.deepEqual(bySession(agent.messages), bySession(recorded.map((l) => l.msg)));
  });
}

test('what the transcript has not is refused, and a surplus prompt too', async () => {
  const agent = await follow('sdk-example.jsonl');
  assert.equal((await agent.call('session/fork', {})).error.code, -32601);
  assert.equal((await agent.call('session/prompt', { sessionId: 'x', prompt: [] })).error.code, -32601);
  await agent.end();
});

test('an answer and a cancel are waited for', async () => {
  const agent = new Agent('replay-agent', [path.join(transcripts, 'gemini.jsonl'), '--no-wait']);
  await agent.initialize();
  const { result } = await agent.call('session/new', { cwd: '/', mcpServers: [] });
  const prompt = () => agent.prompt('anything', result.sessionId);
  let done = prompt();
  const request = await agent.seen(isRequest);
  assert.equal(agent.messages.some((m) => m.params?.update?.sessionUpdate === 'tool_call_update'), false);
  agent.choose(request, 'proceed_once');
  assert.equal((await done).result.stopReason, 'end_turn');
  // The second turn is not cancelled in the recording: it is ended at once.
  agent.forget();
  done = prompt();
  await agent.seen(isRequest);
  agent.cancel(result.sessionId);
  assert.deepEqual((await done).result, { stopReason: 'cancelled' });
  await agent.end();
});

test('the pace is that of the recording, or faster', async () => {
  const agent = new Agent('replay-agent', [path.join(transcripts, 'sdk-example.jsonl'), '--speed', '20']);
  agent.onRequest = () => ({ outcome: { outcome: 'selected', optionId: 'allow' } });
  await agent.initialize();
  const { result } = await agent.call('session/new', { cwd: '/', mcpServers: [] });
  const began = Date.now();
  await agent.prompt('anything', result.sessionId);
  assert.ok(Date.now() - began >= 200); // 5 s of the recording
  await agent.end();
});

test('a file that is no transcript', async () => {
  for (const args of [['/no/such/file'], ['/etc/passwd'], [], ['x', '--speed', '0']]) {
    const agent = new Agent('replay-agent', args);
    assert.notEqual((await agent.ended).code, 0);
  }
});

// A recording of three lines, as a file of its own.
function recording(...lines) {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'signalbox-replay-')), 'tape.jsonl');
  writeFileSync(file, lines.join('\n'));
  return file;
}

const request = (id, method) => JSON.stringify({ dir: 'out', t: 0, msg: { jsonrpc: '2.0', id, method, params: {} } });
const answer = (id, result) => JSON.stringify({ dir: 'in', t: 1, msg: { jsonrpc: '2.0', id, result } });

test('what else a wire log holds: notes, stderr, lines that were no JSON, a last line that breaks off', async () => {
  const first = recording(
    '{"dir":"note","t":0,"text":"a beginning"}', request(0, 'initialize'), '{"dir":"err","t":1,"text":"hm"}',
    '{"dir":"in","t":1,"text":"no JSON { at all"}', '{"dir":"in","t":1,"msg":[1,2]}', answer(0, { protocolVersion: 1 }), '');
  const second = recording(request(1, 'session/new'), answer(1, { sessionId: 's' }), '{"dir":"in","t":9,"ms');
  const agent = new Agent('replay-agent', [first, second, '--no-wait']);
  assert.deepEqual((await agent.call('initialize', {})).result, { protocolVersion: 1 });
  assert.deepEqual((await agent.call('session/new', {})).result, { sessionId: 's' });
  await agent.end();
  assert.deepEqual(agent.noise, ['no JSON { at all']);
  assert.match(agent.stderr, /line 3 breaks off and is left out/);
});

test('a line that breaks off in the middle is refused', async () => {
  const agent = new Agent('replay-agent', [recording(request(0, 'initialize'), '{"dir":"in","t":9,"ms', answer(0, {}))]);
  assert.equal((await agent.ended).code, 1);
  assert.match(agent.stderr, /line 2: not a line of a transcript/);
});

const prompt = (id) => JSON.stringify({ dir: 'out', t: 2, msg: { jsonrpc: '2.0', id, method: 'session/prompt', params: { sessionId: 's', prompt: [] } } });
const says = (text, method = 'session/update', more = {}) => JSON.stringify({ dir: 'in', t: 3, msg: { jsonrpc: '2.0', method, params: { sessionId: 's', update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } } }, ...more } });
const ended = (how) => JSON.stringify({ dir: 'note', t: 4, text: 'The agent ended', ended: how });
const opening = [request(0, 'initialize'), answer(0, { protocolVersion: 1 }), request(1, 'session/new'), answer(1, { sessionId: 's' })];

test('an agent that died in a turn dies there again, as it did', async () => {
  for (const [how, wanted] of [[{ exitStatus: 3 }, { code: 3, signal: null }], [{ exitStatus: 0 }, { code: 0, signal: null }],
    [{ signal: 9 }, { code: null, signal: 'SIGKILL' }], [{ signal: 11 }, { code: null, signal: 'SIGSEGV' }]]) {
    const file = recording(...opening, prompt(2), says('one'), answer(2, { stopReason: 'end_turn' }), prompt(3), says('dying'),
      says('asking', 'session/request_permission', { id: 7 }), ended(how));
    const agent = new Agent('replay-agent', [file, '--no-wait']);
    await agent.open();
    assert.equal((await agent.prompt('x')).result.stopReason, 'end_turn');
    agent.prompt('x').catch(() => {});
    assert.deepEqual(await agent.ended, wanted, JSON.stringify(how));
    assert.equal(agent.text(), 'onedying');
    assert.equal(agent.messages.filter(isRequest).length, 1);
  }
});

test('one that died between turns does so behind the last, and before another', async () => {
  const file = recording(...opening, prompt(2), says('one'), answer(2, { stopReason: 'end_turn' }),
    JSON.stringify({ dir: 'note', t: 3_600_000, ended: { exitStatus: 5 } }));
  const agent = new Agent('replay-agent', [file]);
  await agent.open();
  await agent.prompt('x');
  agent.prompt('another').catch(() => {});
  assert.equal((await agent.ended).code, 5);
});

test('one that the server ended goes on till the end of its input', async () => {
  const file = recording(...opening, prompt(2), says('one'), ended({ byServer: true }));
  const agent = new Agent('replay-agent', [file, '--no-wait']);
  await agent.open();
  agent.prompt('x').catch(() => {});
  await agent.seen((m) => m.method === 'session/update');
  assert.equal(agent.over, undefined);
  await agent.end();
});

test('a process that went on with an earlier session is played to a client that has none', async () => {
  for (const method of ['session/load', 'session/resume']) {
    const load = JSON.stringify({ dir: 'out', t: 0, msg: { jsonrpc: '2.0', id: 1, method, params: { sessionId: 's' } } });
    for (const result of [null, { modes: { currentModeId: 'm', availableModes: [] } }]) {
      const file = recording(request(0, 'initialize'), answer(0, { protocolVersion: 1 }), load, says('said again'), answer(1, result),
        prompt(2), says('new'), answer(2, { stopReason: 'end_turn' }));
      const agent = new Agent('replay-agent', [file, '--no-wait']);
      await agent.initialize();
      assert.deepEqual((await agent.call('session/new', {})).result, { ...result, sessionId: 's' });
      agent.session = 's';
      await agent.prompt('x');
      assert.equal(agent.text(), 'new');
      await agent.end();
    }
  }
});

test('as a subcommand of the server', async () => {
  const agent = new Agent('', ['replay-agent', path.join(transcripts, 'sdk-example.jsonl'), '--no-wait']);
  assert.equal((await agent.initialize()).protocolVersion, 1);
  await agent.end();
  const help = new Agent('', ['replay-agent', '--help']);
  assert.equal((await help.ended).code, 0);
  assert.match(help.noise.join('\n'), /Usage: signalbox replay-agent FILE/);
});
