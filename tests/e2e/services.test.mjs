// What Signalbox does for agents that ask for it: files of the workspace and terminals, as watchers see it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { processesOf } from './lib/processes.mjs';
import { script, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const agents = { served: scripted({ offers: ['fs', 'terminal'] }), plain: scripted() };
const request = (method, params) => ({ request: { method, params } });
const terminal = (command) => request('terminal/create', { command });
const shown = (id) => ({
  update: { sessionUpdate: 'tool_call', toolCallId: 'c', title: 'run', content: [{ type: 'terminal', terminalId: id }] },
});
const done = { update: { sessionUpdate: 'tool_call_update', toolCallId: 'c', status: 'completed' } };
const sleepers = (server) => processesOf(server.run).filter(({ command }) => /^sleep 47\d\d/.test(command));

const replies = (end) => textOf(end).split('reply:').slice(1).map((text) => JSON.parse(text));

/** Starts a command in a turn of its own. -> terminalId */
async function run(session, command) {
  const end = await session.run(script(terminal(command)));
  return replies(end)[0].terminalId;
}

test('files are read and written in the workspace, and nowhere else', async () => {
  const server = await startServer({ agents });
  const workspace = server.newWorkspace();
  writeFileSync(path.join(server.folder, 'secret'), 'secret');
  writeFileSync(path.join(workspace, 'text'), 'one\nzw\u00f6lf \u{1f600}\nthree\n');
  mkdirSync(path.join(workspace, 'folder'));
  symlinkSync('../../secret', path.join(workspace, 'relative'));
  symlinkSync(path.join(server.folder, 'secret'), path.join(workspace, 'absolute'));
  const at = (name) => ({ path: `${workspace}/${name}` });
  const session = await (await server.connect()).create('served', { workspace });
  const end = await session.run(
    script(
      request('fs/read_text_file', { ...at('text'), line: 2, limit: 1 }),
      request('fs/write_text_file', { ...at('made/here'), content: 'new' }),
      request('fs/read_text_file', at('nothing')),
      ...['folder', 'relative', 'absolute', '../../secret'].map((name) => request('fs/read_text_file', at(name))),
      ...['folder', 'relative', 'absolute', '../../secret'].map((name) => request('fs/write_text_file', { ...at(name), content: '' })),
    ),
  );
  const [read, written, missing, ...refused] = replies(end);
  assert.equal(read.content, 'zw\u00f6lf \u{1f600}\n');
  assert.deepEqual(written, {});
  assert.equal(missing.error.code, -32002);
  assert.deepEqual(refused.map(({ error }) => error?.code), Array(8).fill(-32602));
  assert.equal(readFileSync(path.join(workspace, 'made/here'), 'utf8'), 'new');
  assert.equal(readFileSync(path.join(server.folder, 'secret'), 'utf8'), 'secret');
});

test('a read-only session has nothing written and nothing run, also after the agent is started anew', async () => {
  const server = await startServer({ agents });
  const workspace = server.newWorkspace();
  writeFileSync(path.join(workspace, 'old'), 'old');
  const client = await server.connect();
  const session = await client.create('served', { workspace });
  const changes = script(
    request('fs/read_text_file', { path: `${workspace}/old` }),
    request('fs/write_text_file', { path: `${workspace}/old`, content: 'new' }),
    terminal(`touch '${workspace}/made'`),
  );
  await session.run(script());
  const set = async (policy) => {
    await client.command('set_policy', { sessionId: session.id, policy });
    await session.event('policy', (one) => one.policy === policy);
  };
  await set('read-only');
  for (let i = 0; i < 2; i++) {
    const turn = await session.prompt(changes);
    const refused = [await turn.event('error'), await turn.event('error', ({ error }) => error.includes('run'))];
    assert.deepEqual(refused.map(({ code, fatal }) => ({ code, fatal })), Array(2).fill({ code: 'forbidden', fatal: false }));
    assert.ok(refused[0].error.includes(`to write ${workspace}/old`), refused[0].error);
    const [read, ...rest] = replies(await turn.end());
    assert.equal(read.content, 'old');
    assert.deepEqual(rest.map(({ error }) => error.code), [-32003, -32003]);
    assert.equal(readFileSync(path.join(workspace, 'old'), 'utf8'), 'old');
    assert.ok(!existsSync(path.join(workspace, 'made')));
    if (i === 0) {
      const agent = processesOf(server.run).find(({ command }) => /^\S*signalbox-scripted-agent/.test(command));
      process.kill(agent.pid, 'SIGKILL');
      await session.event('status', ({ phase }) => phase === 'stopped');
    }
  }
  const { items } = (await server.rest('GET', `/v1/audit?session=${session.id}`)).json;
  const refusals = items.filter(({ action }) => action === 'service_refused');
  assert.equal(refusals.length, 4);
  for (const { outcome, by, policy, reason } of refusals) {
    assert.deepEqual({ outcome, by, policy }, { outcome: 'rejected', by: 'policy', policy: 'read-only' });
    assert.match(reason, /refused to (write|run) /);
  }
  await set('ask');
  await session.run(changes);
  assert.equal(readFileSync(path.join(workspace, 'old'), 'utf8'), 'new');
});

test('what is not offered is not there', async () => {
  const server = await startServer({ agents });
  const session = await (await server.connect()).create('plain');
  const end = await session.run(script(request('fs/read_text_file', { path: '/' }), terminal('true')));
  assert.deepEqual(replies(end).map(({ error }) => error.code), [-32601, -32601]);
});

test("a terminal's output is its tool call's, while it runs, in the result, and after a reload", async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('served');
  const go = path.join(server.home, 'go');
  const id = await run(session, `echo begin; while ! test -e '${go}'; do sleep 0.02; done; echo end >&2`);
  const turn = await session.prompt(
    script(
      shown(id),
      request('terminal/wait_for_exit', { terminalId: id }),
      request('terminal/release', { terminalId: id }),
      done,
    ),
  );
  const first = await turn.event('tool_output');
  assert.equal(first.delta, 'begin\n');
  writeFileSync(go, '');
  const end = await turn.end();
  assert.equal(toolsOf(end)[0].result.result, 'begin\nend\n');
  assert.equal(toolsOf(end)[0].result.isError, false);
  assert.deepEqual(replies(end)[0], { exitCode: 0, signal: null });
  const again = await (await server.connect()).follow(session.id);
  await until(() => again.watch.state().turns.length === 2 && again.watch.openTurn === null, 'the replay');
  assert.deepEqual(again.watch.state().turns, session.watch.state().turns);
});

for (const [name, end] of [
  ['the agent dies', async (server, session, turn) => {
    const agent = processesOf(server.run).find(({ command }) => /^\S*signalbox-scripted-agent/.test(command));
    process.kill(agent.pid, 'SIGKILL');
    assert.equal((await turn.end()).stopReason, 'agent_exited');
  }],
  ['the session is closed', async (server, session) => session.client.command('close_session', { sessionId: session.id })],
  ['the server is killed', async (server) => server.kill()],
  ['the server is stopped', async (server) => {
    const { code, ms } = await server.terminate();
    assert.equal(code, 0);
    assert.ok(ms < 8000, `${ms} ms`);
  }],
]) {
  test(`no process of a terminal is left when ${name}`, async () => {
    const server = await startServer({ agents });
    const session = await (await server.connect()).create('served');
    const turn = await session.prompt(script(terminal('setsid sleep 4701 & trap "" TERM; sleep 4702; sleep 4703'), waitCancel()));
    await until(() => sleepers(server).length === 2, 'the commands to run');
    await end(server, session, turn);
    await until(() => sleepers(server).length === 0, 'the commands to end');
  });
}

test('a cancel leaves terminals to the agent', async () => {
  const server = await startServer({ agents });
  const session = await (await server.connect()).create('served');
  const id = await run(session, 'sleep 4704');
  const turn = await session.prompt(script(waitCancel()));
  await until(() => sleepers(server).length === 1, 'the command to run');
  await session.cancel();
  assert.equal((await turn.end()).stopReason, 'cancelled');
  assert.equal(sleepers(server).length, 1);
  const of = { terminalId: id };
  await session.run(script(request('terminal/kill', of), request('terminal/wait_for_exit', of)));
  // The answer is the shell's end; what the shell had started dies of the same signal, in its own time.
  await until(() => sleepers(server).length === 0, 'the command to end');
});
