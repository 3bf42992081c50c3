// `signalbox doctor`: what is configured, tried.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { inline, scripted } from './lib/agents.mjs';
import { configText } from './lib/config.mjs';
import { test } from './lib/harness.mjs';
import { bin } from './lib/paths.mjs';
import { MARK, processesOf } from './lib/processes.mjs';
import { freePort, runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const AGENTS = {
  shell: { command: ['signalbox-shell'] },
  scripted: scripted(),
  missing: { command: ['no-such-program'], install: 'make it yourself' },
  garbage: inline("while read l; do echo 'hello, I am no agent'; done"),
  silent: { command: ['/bin/sleep', '1000'] },
  login: { command: ['signalbox-scripted-agent', '--auth-required'] },
  dies: inline('echo one >&2; echo two >&2; exit 3'),
  stubborn: { command: ['signalbox-scripted-agent', '--ignore-eof', '--ignore-term'] },
};

/** A configuration of these agents, in a folder of its own. */
async function prepare(agents, settings = {}) {
  const folder = temporaryFolder();
  const roots = path.join(folder, 'work');
  const temporary = path.join(folder, 'tmp');
  mkdirSync(roots);
  mkdirSync(temporary);
  const file = path.join(folder, 'signalbox.conf');
  const all = {
    listen: `127.0.0.1:${await freePort()}`, data: path.join(folder, 'data'), 'workspace-roots': [roots],
    'agent-start-timeout-ms': 6000, 'agent-stop-grace-ms': 2500, ...settings, // those that are well have to manage it
  };
  writeFileSync(file, configText(all, agents));
  return { file, folder, temporary, settings: all };
}

const mark = randomUUID();
async function doctor({ file, temporary }, ...args) {
  const env = { TMPDIR: temporary, DOCTOR_TEST: mark };
  const result = await runSignalbox(['doctor', '--config', file, ...args], { env, ms: 80_000 });
  assert.deepEqual(readdirSync(temporary), [], 'no folder is left');
  return result;
}

test('all kinds of agents, as a table of at most 100 columns', async () => {
  const { code, output } = await doctor(await prepare(AGENTS));
  assert.equal(code, 1);
  assert.ok(output.split('\n').every((line) => [...line].length <= 150));
  const [, table] = output.split(/\n\n/);
  const rows = table.split('\n');
  assert.ok(rows.every((line) => [...line].length <= 100), table);
  assert.match(rows[0], /^agent +state +version +answers +session +can$/);
  const states = Object.fromEntries(rows.slice(1).map((row) => row.split(/ {2,}/).slice(0, 2)));
  assert.deepEqual(states, {
    shell: 'ok', scripted: 'ok', missing: 'not installed', garbage: 'failed', silent: 'failed',
    login: 'login needed', dies: 'failed', stubborn: 'ok',
  });
  assert.match(output, /agent missing: not installed\n {2}reason: command not found: no-such-program\n {2}install it with: make it yourself/);
  assert.match(output, /agent garbage: failed\n.*\n.*did not answer `initialize` within 6000 ms.*\n.*1 line to stdout that is no JSON, such as: hello, I am no agent/);
  assert.match(output, /agent silent: failed\n {2}program: \/bin\/sleep\n {2}reason: It did not answer `initialize`/);
  assert.match(output, /The agent needs a login: [^\n]*\n {4}Its ways to log in:\n {4}- token/);
  assert.match(output, /The agent exited with status 3: two\n {2}its stderr ends with: one\n {4}two/);
  assert.match(output, /agent stubborn: ok\n[\s\S]*by a signal, since it did not by itself/);
});

test('as JSON, of some agents', async () => {
  const { code, output } = await doctor(await prepare(AGENTS), '--agent', 'scripted', '--agent', 'missing', '--json');
  assert.equal(code, 0, output);
  const report = JSON.parse(output);
  assert.equal(report.ok, true);
  assert.deepEqual(report.agents.map(({ name, state }) => [name, state]), [['scripted', 'ok'], ['missing', 'not_installed']]);
  const [agent] = report.agents;
  assert.equal(agent.initialize.protocolVersion, 1);
  assert.equal(typeof agent.session.sessionId, 'string');
  assert.ok(agent.initializeMs >= 0 && agent.sessionMs >= 0 && agent.endMs >= 0 && agent.killed === false);
  assert.ok(report.checks.every(({ state }) => ['ok', 'note'].includes(state)), output);
});

test('what a server needs beside agents', async () => {
  const server = await startServer();
  const ready = await prepare({}, { data: server.data, listen: `127.0.0.1:${server.port}` });
  const checks = async (prepared) => {
    const { output, code } = await doctor(prepared, '--agent', 'shell', '--json');
    return { code, ...Object.fromEntries(JSON.parse(output).checks.map(({ name, state, text }) => [name, `${state}: ${text}`])) };
  };
  const running = await checks(ready);
  assert.equal(running.code, 0, JSON.stringify(running));
  assert.match(running.store, /^ok: not looked at: .* in use by another signalbox, process \d+/);
  assert.match(running.address, /^ok: .* is served by Signalbox/);
  await server.terminate();
  const stopped = await checks(ready);
  assert.match(stopped.store, /^ok: 0 sessions, 0 events/);
  assert.match(stopped.address, /^ok: .* is free/);
  const other = net.createServer((socket) => socket.end('hm\n')).listen(server.port, '127.0.0.1');
  try {
    const taken = await checks(ready);
    assert.equal(taken.code, 1);
    assert.match(taken.address, /^failed: .* is served by another program/);
  } finally {
    other.close();
  }
  writeFileSync(path.join(server.data, 'signalbox.db'), 'no database '.repeat(100));
  const damaged = await checks(ready);
  assert.equal(damaged.code, 1);
  assert.match(damaged.store, /^failed: .*is no SQLite database/);
  const file = path.join(ready.folder, 'a-file');
  writeFileSync(file, '');
  assert.match((await checks(await prepare({}, { data: file })))['data folder'], /^failed: .* is no folder/);
});

test('a configuration that is refused, and wrong usage', async () => {
  const prepared = await prepare({});
  writeFileSync(prepared.file, 'no-such-option = 1\n');
  const refused = await doctor(prepared);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /FAILED {2}configuration: .*no such option 'no-such-option'/);
  for (const args of [['--what'], ['surplus'], ['--agent', 'unheard-of']]) {
    assert.equal((await doctor(await prepare({}), ...args)).code, 2, String(args));
  }
  assert.match((await doctor(prepared, '--help')).output, /Usage: signalbox doctor/);
});

for (const signal of ['SIGINT', 'SIGKILL']) {
  test(`${signal} leaves nothing behind`, async () => {
    const run = randomUUID();
    const prepared = await prepare({ silent: inline('setsid sleep 1000 & sleep 1000') }, { 'agent-start-timeout-ms': 600_000 });
    const child = spawn(path.join(bin, 'signalbox'), ['doctor', '--config', prepared.file], {
      env: { PATH: `${bin}:${process.env.PATH}`, HOME: prepared.folder, TMPDIR: prepared.temporary, [MARK]: run },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (part) => (output += part));
    const ended = new Promise((resolve) => child.on('close', (code) => resolve(code)));
    await until(() => processesOf(run).filter(({ command }) => command === 'sleep 1000').length === 2, () => 'the agent to run');
    child.kill(signal);
    const code = await ended;
    await until(() => processesOf(run).length === 0, () => `nothing to be left: ${JSON.stringify(processesOf(run))}`);
    if (signal === 'SIGINT') {
      assert.equal(code, 1);
      assert.match(output, /agent silent: failed\n.*\n {2}reason: It was not tried to the end/);
      assert.deepEqual(readdirSync(prepared.temporary), []);
    }
  });
}
