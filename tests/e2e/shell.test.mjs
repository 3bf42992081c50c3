import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from './lib/harness.mjs';
import { processesOf } from './lib/processes.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { toolsOf } from './lib/watch.mjs';

const server = await startServer();

async function ask(command, session) {
  session ??= await (await server.connect()).create('shell');
  const turn = await session.prompt(command);
  return { session, turn, request: await turn.permission() };
}

const choose = (request, kind) => ({ optionId: request.acpOptions.find((option) => option.kind === kind).optionId });

test('ls -la: approved, run in the workspace, its output is the result', async () => {
  const { session, turn, request } = await ask('ls -la');
  writeFileSync(path.join(session.workspace, 'a file.txt'), 'x');
  assert.equal(request.command, 'ls -la');
  await session.answerPermission(request, choose(request, 'allow_once'));
  const [tool] = toolsOf(await turn.end());
  assert.equal(tool.toolKind, 'execute');
  assert.match(tool.result.result, /a file\.txt/);
  assert.equal(tool.result.isError, false);
});

test('output is streamed as it comes', async () => {
  const { session, turn, request } = await ask('echo one; while [ ! -e go ]; do sleep 0.05; done; echo two');
  await session.answerPermission(request, { allow: true });
  await turn.event('tool_output', (event) => event.delta.includes('one'));
  writeFileSync(path.join(session.workspace, 'go'), '');
  const [tool] = toolsOf(await turn.end());
  assert.equal(tool.result.result.trim(), 'one\ntwo');
});

test('rejected: not run', async () => {
  const { session, turn, request } = await ask('touch made');
  await session.answerPermission(request, choose(request, 'reject_once'));
  const end = await turn.end();
  assert.equal(toolsOf(end)[0].result.isError, true);
  assert.equal(existsSync(path.join(session.workspace, 'made')), false);
});

test('allow always: this command is not asked about again, another is', async () => {
  const { session, turn, request } = await ask('echo again');
  await session.answerPermission(request, choose(request, 'allow_always'));
  await turn.end();
  const second = await session.run('echo again');
  assert.equal(toolsOf(second)[0].result.result.trim(), 'again');
  assert.equal(session.watch.permissions.size, 1);
  const other = await ask('echo other', session);
  await session.answerPermission(other.request, { allow: false });
  await other.turn.end();
});

test('a command that fails says so', async () => {
  const { session, turn, request } = await ask('echo out; echo err >&2; exit 3');
  await session.answerPermission(request, { allow: true });
  const end = await turn.end();
  const [tool] = toolsOf(end);
  assert.equal(tool.result.isError, true);
  assert.match(tool.result.result, /out/);
  assert.match(JSON.stringify(end), /\b3\b/, 'the exit status is reported');
});

test('cancel in the middle of a long command ends it, with all that it started', async () => {
  const { session, turn, request } = await ask('echo begun; sleep 4711 & setsid sleep 4712; wait');
  await session.answerPermission(request, { allow: true });
  await turn.event('tool_output', (event) => event.delta.includes('begun'));
  const sleepers = () => processesOf(server.run).filter(({ command }) => /^sleep 471[12]/.test(command));
  await until(() => sleepers().length === 2, 'both to run');
  await session.cancel();
  assert.equal((await turn.end()).stopReason, 'cancelled');
  await until(() => sleepers().length === 0, () => `no sleeper left: ${JSON.stringify(sleepers())}`);
  const next = await ask('echo alive', session);
  await session.answerPermission(next.request, { allow: true });
  assert.match(toolsOf(await next.turn.end())[0].result.result, /alive/);
});

test('the environment of the configuration reaches the agent', async () => {
  const own = await startServer({
    env: { FROM_SERVER: 'server', BOTH: 'server' },
    agents: { envy: { command: ['signalbox-shell'], environment: { FROM_AGENT: 'a=b "c"', BOTH: 'agent' } } },
  });
  const session = await (await own.connect()).create('envy');
  const { turn, request } = await ask('echo "$FROM_SERVER|$FROM_AGENT|$BOTH"', session);
  await session.answerPermission(request, { allow: true });
  assert.equal(toolsOf(await turn.end())[0].result.result.trim(), 'server|a=b "c"|agent');
});

test('output that is not UTF-8 and output of many lines come through', async () => {
  const { session, turn, request } = await ask("printf 'a\\377b\\n'; seq 1 9000; printf 'ä€😀\\n'");
  await session.answerPermission(request, { allow: true });
  const [tool] = toolsOf(await turn.end());
  const whole = tool.result.result;
  assert.match(whole, /^a.+b\n1\n2\n/);
  assert.match(whole, /8999\n9000\nä€😀\n?$/);
});

test('a title that a person gave stays, another session takes the first command for one', async () => {
  const client = await server.connect();
  const named = await client.create('shell', { title: 'My own' });
  const plain = await client.create('shell');
  for (const session of [named, plain]) {
    const turn = await session.prompt('true');
    await session.answerPermission(await turn.permission(), { allow: true });
    await turn.end();
  }
  assert.equal(named.events.filter((event) => event.type === 'title').length, 0);
  assert.equal(plain.events.find((event) => event.type === 'title').title, 'true');
  assert.equal((await server.rest('GET', `/v1/sessions/${named.id}`)).json.title, 'My own');
});
