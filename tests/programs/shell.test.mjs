// signalbox-shell: a prompt is a command line, which is asked for, run, and reported.
import assert from 'node:assert/strict';
import { mkdtempSync, mkdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Agent, isAlive, isGone, isRequest, isUpdate, outcome } from './support/acp.mjs';

const folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'signalbox-shell-')));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

async function start(choice = 'allow_once') {
  const agent = new Agent('shell');
  await agent.open(folder);
  if (choice) {
    agent.onRequest = () => outcome(choice);
  }
  return agent;
}

const last = (list) => list[list.length - 1];
const texts = (update) => update.content.map((c) => c.content.text);
const stopped = (reason) => ({ stopReason: reason });

test('initialize says who it is, and answers version 1 whatever is offered', async () => {
  const agent = new Agent('shell');
  const { result } = await agent.call('initialize', { protocolVersion: 2 });
  assert.equal(result.protocolVersion, 1);
  assert.equal(result.agentInfo.name, 'signalbox-shell');
  assert.equal(result.agentCapabilities.loadSession, false);
  assert.equal((await agent.call('initialize', {})).error.code, -32602);
  assert.deepEqual(await agent.end(), { code: 0, signal: null });
});

test('session/new wants an absolute folder that exists', async () => {
  const agent = new Agent('shell');
  for (const cwd of ['relative', '/no/such/folder', '/etc/passwd', undefined, 7, '/tmp\0x']) {
    assert.equal((await agent.call('session/new', { cwd, mcpServers: [] })).error.code, -32602, `${cwd}`);
  }
  assert.equal((await agent.call('session/new', { cwd: '/', mcpServers: 1 })).error.code, -32602);
  await agent.end();
});

test('a command: announced, asked for, run, reported', async () => {
  const agent = await start();
  const { result } = await agent.prompt('echo out; echo err >&2');
  assert.deepEqual(result, stopped('end_turn'));

  const kinds = agent.messages.slice(2).map((m) => m.params?.update?.sessionUpdate ?? m.method ?? 'response');
  assert.deepEqual(kinds.slice(0, 5), ['session_info_update', 'agent_message_chunk', 'tool_call',
    'session/request_permission', 'tool_call_update']);
  assert.deepEqual(kinds.slice(-3), ['tool_call_update', 'agent_message_chunk', 'response']);

  const call = agent.updates('tool_call')[0];
  assert.equal(call.title, 'echo out; echo err >&2');
  assert.equal(call.kind, 'execute');
  assert.equal(call.status, 'pending');
  assert.equal(call.name, 'shell');
  assert.deepEqual(call.rawInput, { command: 'echo out; echo err >&2', cwd: folder });

  const request = agent.messages.find(isRequest);
  assert.equal(request.params.toolCall.toolCallId, call.toolCallId);
  assert.deepEqual(request.params.options.map((o) => o.kind), ['allow_once', 'allow_always', 'reject_once']);

  const updates = agent.updates('tool_call_update');
  assert.equal(updates[0].status, 'in_progress');
  assert.equal(last(updates).status, 'completed');
  assert.deepEqual(texts(last(updates)), ['out\n', 'err\n']);
  const { exitCode, stdout, stderr, truncated } = last(updates).rawOutput;
  assert.deepEqual({ exitCode, stdout, stderr, truncated },
    { exitCode: 0, stdout: 'out\n', stderr: 'err\n', truncated: false });
  const message = last(agent.updates('agent_message_chunk'));
  assert.equal(message.content.text, '`echo out; echo err >&2` ended with exit status 0.');
  assert.notEqual(message.messageId, agent.updates('agent_message_chunk')[0].messageId);
  await agent.end();
});

test('another exit status, and a signal, are failures', async () => {
  const agent = await start();
  await agent.prompt('exit 3');
  assert.equal(last(agent.updates('tool_call_update')).status, 'failed');
  assert.equal(last(agent.updates('tool_call_update')).rawOutput.exitCode, 3);
  assert.match(agent.text(), /ended with exit status 3\./);
  await agent.prompt('kill -KILL $$');
  assert.equal(last(agent.updates('tool_call_update')).rawOutput.signal, 'SIGKILL');
  assert.match(agent.text(), /was ended by signal 9 \(SIGKILL\)\./);
  await agent.end();
});

test('a rejected command is not run', async () => {
  const agent = await start(null);
  for (const result of [outcome('reject_once'), { outcome: { outcome: 'cancelled' } }, outcome('no-such'), {}]) {
    agent.onRequest = () => result;
    assert.deepEqual((await agent.prompt('touch never')).result, stopped('end_turn'));
    assert.equal(last(agent.updates('tool_call_update')).status, 'failed');
    assert.equal(last(agent.updates('agent_message_chunk')).content.text, 'Not run.');
  }
  agent.onRequest = () => outcome('allow_once');
  await agent.prompt('ls never');
  assert.equal(last(agent.updates('tool_call_update')).status, 'failed');
  await agent.end();
});

test('a permission answered with an error is a rejection', async () => {
  const agent = await start(null);
  const done = agent.prompt('touch never');
  const request = await agent.seen(isRequest);
  agent.send({ id: request.id, error: { code: -32601, message: 'no' } });
  assert.deepEqual((await done).result, stopped('end_turn'));
  assert.match(agent.text(), /Not run\./);
  await agent.end();
});

test('always allowed means this command line, in every session of the process', async () => {
  const agent = await start('allow_always');
  await agent.prompt('echo 1');
  await agent.prompt('echo 1');
  assert.equal(agent.messages.filter(isRequest).length, 1);
  await agent.open(folder);
  await agent.prompt('echo 1');
  assert.equal(agent.messages.filter(isRequest).length, 1);
  await agent.prompt('echo 1 ');
  assert.equal(agent.messages.filter(isRequest).length, 1);
  await agent.prompt('echo 12');
  assert.equal(agent.messages.filter(isRequest).length, 2);
  await agent.end();
});

test('output is streamed while the command runs', async () => {
  const agent = await start();
  const fifo = path.join(folder, 'fifo');
  const done = agent.prompt(`mkfifo ${fifo}; echo first; read x < ${fifo}; echo second`);
  await agent.seen(isUpdate('tool_call_update', (u) => u.content && texts(u)[0] === 'first\n' && u.status === 'in_progress'));
  const other = await start();
  await other.prompt(`echo go > ${fifo}`);
  assert.deepEqual((await done).result, stopped('end_turn'));
  assert.deepEqual(texts(last(agent.updates('tool_call_update'))), ['first\nsecond\n']);
  await Promise.all([agent.end(), other.end()]);
});

test('characters cut between two writes stay whole, and bad bytes become U+FFFD', async () => {
  const agent = await start();
  const fifo = path.join(folder, 'fifo2');
  const done = agent.prompt(`mkfifo ${fifo}; printf 'a\\342\\202'; read x < ${fifo}; printf '\\254\\377\\360\\237\\230\\200\\355\\240\\200z\\342'`);
  await agent.seen(isUpdate('tool_call_update', (u) => u.content && texts(u)[0] === 'a'));
  const other = await start();
  await other.prompt(`echo go > ${fifo}`);
  await done;
  assert.deepEqual(texts(last(agent.updates('tool_call_update'))), ['a\u20ac\ufffd\u{1f600}\ufffd\ufffd\ufffdz\ufffd']);
  await Promise.all([agent.end(), other.end()]);
});

test('endless output is kept within bounds: its head, its tail, and how much is missing', async () => {
  const agent = await start();
  await agent.prompt('echo first; head -c 3000000 /dev/zero | tr "\\0" "\\n" | sed s/$/x/; echo last');
  const [output] = texts(last(agent.updates('tool_call_update')));
  assert.ok(output.startsWith('first\nx\n'));
  assert.ok(output.endsWith('x\nlast\n'));
  const cut = /\n\[\.\.\. (\d+) bytes of output are not kept \.\.\.\]\n/.exec(output);
  assert.equal(Number(cut[1]) + output.length - cut[0].length, 6000011);
  assert.ok(output.length < 1024 * 1024);
  assert.equal(last(agent.updates('tool_call_update')).rawOutput.truncated, true);
  await agent.end();
});

test('a cancel in a long command ends its process group', async () => {
  const agent = await start();
  const done = agent.prompt('echo $$; sleep 1000 & echo $!; trap "" TERM; wait; sleep 1000');
  const { params: { update } } = await agent.seen(isUpdate('tool_call_update', (u) => u.content && /^\d+\n\d+\n$/.test(texts(u)[0])));
  const pids = texts(update)[0].trim().split('\n').map(Number);
  agent.cancel();
  assert.deepEqual((await done).result, stopped('cancelled'));
  assert.equal(last(agent.updates('tool_call_update')).status, 'failed');
  assert.deepEqual(await Promise.all(pids.map(isGone)), [true, true]);
  await agent.end();
});

test('a cancel while the permission is pending', async () => {
  const agent = await start(null);
  const done = agent.prompt('touch never');
  const request = await agent.seen(isRequest);
  agent.cancel();
  agent.answer(request, { outcome: { outcome: 'cancelled' } });
  assert.deepEqual((await done).result, stopped('cancelled'));
  assert.equal(last(agent.updates('tool_call_update')).status, 'failed');
  agent.onRequest = () => outcome('allow_once');
  assert.deepEqual((await agent.prompt('true')).result, stopped('end_turn'));
  await agent.end();
});

test('$/cancel_request of the prompt is a cancel, and takes the question back', async () => {
  const agent = await start(null);
  const done = agent.prompt('touch never');
  const request = await agent.seen(isRequest);
  agent.notify('$/cancel_request', { requestId: agent.lastId });
  assert.deepEqual((await done).result, stopped('cancelled'));
  assert.deepEqual(agent.messages.find((m) => m.method === '$/cancel_request').params, { requestId: request.id });
  await agent.end();
});

test('what a command leaves in the background does not hold up the turn', async () => {
  const agent = await start();
  assert.deepEqual((await agent.prompt('sleep 1000 & echo $!')).result, stopped('end_turn'));
  const pid = Number(texts(last(agent.updates('tool_call_update')))[0]);
  assert.equal(isAlive(pid), true);
  process.kill(pid);
  await agent.end();
});

test('the end of the input ends the agent and what it runs', async () => {
  const agent = await start();
  agent.prompt('echo $$; trap "" TERM; sleep 1000; sleep 1000').catch(() => {});
  const { params: { update } } = await agent.seen(isUpdate('tool_call_update', (u) => u.content));
  assert.deepEqual(await agent.end(), { code: 0, signal: null });
  assert.equal(await isGone(Number(texts(update)[0])), true);
});

test('cd stays inside the workspace', async () => {
  const agent = await start();
  mkdirSync(path.join(folder, 'below/deep'), { recursive: true });
  symlinkSync('/usr', path.join(folder, 'way-out'));
  const where = async (command) => {
    agent.forget();
    await agent.prompt(command);
    assert.equal(agent.updates('tool_call').length, 0, command);
    const said = agent.text();
    agent.forget();
    await agent.prompt('pwd');
    return [texts(last(agent.updates('tool_call_update')))[0].trim(), said];
  };
  assert.deepEqual(await where('cd below/deep'), [`${folder}/below/deep`, `Commands now run in ${folder}/below/deep.`]);
  assert.equal((await where('cd ..'))[0], `${folder}/below`);
  for (const out of ['cd ../..', 'cd /', 'cd ../way-out', 'cd nothing']) {
    const [cwd, said] = await where(out);
    assert.equal(cwd, `${folder}/below`);
    assert.match(said, /outside the workspace|No such file/);
  }
  assert.equal((await where('cd'))[0], folder);
  agent.forget();
  await agent.prompt('cd below; pwd'); // an ordinary command
  assert.deepEqual(texts(last(agent.updates('tool_call_update'))), [`${folder}/below\n`]);
  await agent.end();
});

test('the title comes once, from the first command, cut to 60 characters', async () => {
  const agent = await start();
  await agent.prompt(`true ${'\u00e9'.repeat(100)}`);
  await agent.prompt('true');
  const titles = agent.updates('session_info_update');
  assert.equal(titles.length, 1);
  assert.equal(titles[0].title, `true ${'\u00e9'.repeat(54)}\u2026`);
  await agent.end();
});

test('an empty prompt is answered with help, and other content is refused', async () => {
  const agent = await start();
  assert.deepEqual((await agent.prompt('  \n ')).result, stopped('end_turn'));
  assert.match(agent.text(), /Type a shell command/);
  const bad = (prompt) => agent.call('session/prompt', { sessionId: agent.session, prompt });
  assert.equal((await bad([{ type: 'image', data: '', mimeType: 'image/png' }])).error.code, -32602);
  assert.equal((await bad([{ type: 'text', text: 'a\0b' }])).error.code, -32602);
  assert.equal((await bad([7])).error.code, -32602);
  assert.equal((await bad('ls')).error.code, -32602);
  assert.equal((await agent.prompt('ls', 'no-such')).error.code, -32602);
  const { result } = await bad([{ type: 'text', text: 'echo a' }, { type: 'resource_link', uri: 'file:///x', name: 'x' },
    { type: 'text', text: 'echo b' }]);
  assert.deepEqual(result, stopped('end_turn'));
  assert.deepEqual(texts(last(agent.updates('tool_call_update'))), ['a\nb\n']);
  await agent.end();
});

test('several sessions run side by side; a second prompt in one is refused', async () => {
  const agent = await start();
  const first = agent.session;
  const second = await agent.open(folder);
  const fifo = path.join(folder, 'fifo3');
  const a = agent.prompt(`mkfifo ${fifo}; echo ready; cat ${fifo}`, first);
  await agent.seen(isUpdate('tool_call_update', (u) => u.content && texts(u)[0] === 'ready\n'));
  assert.equal((await agent.prompt('true', first)).error.code, -32600);
  await agent.prompt(`echo through > ${fifo}`, second);
  assert.deepEqual((await a).result, stopped('end_turn'));
  assert.deepEqual((await agent.call('session/close', { sessionId: first })).result, {});
  assert.equal((await agent.prompt('true', first)).error.code, -32602);
  await agent.end();
});

test('closing a session ends its command', async () => {
  const agent = await start();
  const done = agent.prompt('echo $$; sleep 1000');
  const { params: { update } } = await agent.seen(isUpdate('tool_call_update', (u) => u.content));
  await agent.call('session/close', { sessionId: agent.session });
  assert.deepEqual((await done).result, stopped('cancelled'));
  assert.equal(await isGone(Number(texts(update)[0])), true);
  await agent.end();
});

test('JSON-RPC errors', async () => {
  const agent = await start();
  const answer = (line, id = null) => {
    const seen = agent.coming((m) => m.id === id && m.error);
    agent.write(`${line}\n`);
    return seen.then((m) => m.error.code);
  };
  assert.equal(await answer('garbage'), -32700);
  assert.equal(await answer('{"a":1} x'), -32700);
  assert.equal(await answer('['.repeat(10000)), -32700);
  assert.equal(await answer('[]'), -32600);
  assert.equal(await answer('null'), -32600);
  assert.equal(await answer('{"jsonrpc":"2.0"}'), -32600);
  assert.equal(await answer('{"jsonrpc":"2.0","id":"s","method":"session/load","params":{}}', 's'), -32601);
  agent.write('\r\n\n');
  agent.notify('$/unknown', {});
  agent.notify('session/cancel', { sessionId: 'nobody' });
  agent.notify('session/cancel', 7);
  agent.send({ id: 99, result: {} });
  assert.deepEqual((await agent.prompt('true')).result, stopped('end_turn'));
  const { result } = await agent.call('session/prompt', { sessionId: agent.session,
    prompt: [{ type: 'text', text: 'echo string id' }] }, 'my-id');
  assert.deepEqual(result, stopped('end_turn'));
  await agent.end();
});
