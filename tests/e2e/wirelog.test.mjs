// The wire log: what the server and an agent said to each other, as a file that can be played.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openCodeAgent, replaying, scripted, startFakeModel } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { ask, die, exit, fail, noise, raw, say, script, stream, think, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { scaled, until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const on = { 'wire-log': true, 'permission-timeout-ms': 0, 'agent-start-timeout-ms': 120_000 };
const folderOf = (server, session) => path.join(server.data, 'wire', session.id);
const filesOf = (server, session) => (existsSync(folderOf(server, session)) ? readdirSync(folderOf(server, session)).sort() : []);
const pathsOf = (server, session) => filesOf(server, session).map((name) => path.join(folderOf(server, session), name));
const textOfFiles = (server, session) => pathsOf(server, session).map((file) => readFileSync(file, 'utf8')).join('');
// The last line of a file may be in the midst of being written.
const linesOf = (server, session) => pathsOf(server, session).flatMap((file) =>
  readFileSync(file, 'utf8').split('\n').slice(0, -1).filter(Boolean).map((line) => JSON.parse(line)));
const metric = async (server, name) =>
  parseMetrics((await server.rest('GET', '/metrics')).text).get(name).samples[0].value;

/** The log of a session whose turn has ended is there a moment later: it is written by a thread of its own. */
async function logged(server, session, holds) {
  await until(() => linesOf(server, session).some(holds), () => `the wire log of ${session.id}:\n${textOfFiles(server, session).slice(-2000)}`);
  return linesOf(server, session);
}
const isEnd = (line) => line.dir === 'in' && line.msg?.result?.stopReason !== undefined;

test('off, if nobody asks for it', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('hello')));
  await server.terminate();
  assert.equal(existsSync(path.join(server.data, 'wire')), false);
});

test('everything is kept, for its owner only, with secrets taken out', async () => {
  const environment = { MY_TOKEN: 'correct-horse-battery', LANG: 'C.UTF-8' };
  const server = await startServer({ settings: on, agents: { scripted: scripted({ environment }), quiet: scripted({ 'wire-log': false }) } });
  const client = await server.connect();
  const quiet = await client.create('quiet');
  await quiet.run(script(say('hello')));
  const session = await client.create('scripted');
  const words = 'Bearer abcdefgh1234, sk-abcdefgh12345678, correct-horse-battery, {"apiKey": "hunter22"}';
  const turn = await session.run(script(say(words), noise('on stderr: sk-abcdefgh12345678\n'), raw('no JSON, but ghp_0123456789abcdefghij'), say(' end')));
  assert.ok(textOf(turn).includes('sk-abcdefgh12345678'), 'only the wire log leaves it out');
  await logged(server, session, isEnd);
  await logged(server, session, ({ dir }) => dir === 'err');
  const lines = linesOf(server, session);
  const text = textOfFiles(server, session);
  for (const secret of ['abcdefgh1234', 'sk-abc', 'correct-horse', 'hunter22', 'ghp_01']) {
    assert.equal(text.includes(secret), false, secret);
  }
  assert.match(text, /\[redacted\]/);
  const [head, first, second] = lines;
  assert.deepEqual([head.dir, head.agent, head.sessionId, head.part], ['note', 'scripted', session.id, 1]);
  assert.deepEqual([first.dir, first.msg.method, second.dir, second.msg.result.protocolVersion], ['out', 'initialize', 'in', 1]);
  assert.ok(lines.some((line) => line.dir === 'in' && line.text === 'no JSON, but [redacted]'));
  assert.ok(lines.some((line) => line.dir === 'err' && line.text === 'on stderr: [redacted]'));
  const times = lines.map((line) => line.t);
  assert.ok(times.every((t, index) => index === 0 || t >= times[index - 1] || lines[index].dir === 'err'));
  assert.deepEqual(filesOf(server, session), [`${head.run}-001.jsonl`]);
  assert.deepEqual(filesOf(server, quiet), []);
  for (const [where, mode] of [['', 0o700], [session.id, 0o700], [`${session.id}/${head.run}-001.jsonl`, 0o600]]) {
    assert.equal(statSync(path.join(server.data, 'wire', where)).mode & 0o777, mode, where);
  }
});

test('the configuration in force decides, from line to line', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('before')));
  const change = async (settings, count) => {
    server.writeConfig(settings);
    await client.control('config_changed', undefined, { from: count });
  };
  await change({ 'wire-log': true }, client.inbox.items.length);
  await session.run(script(say('between')));
  const lines = await logged(server, session, isEnd);
  assert.equal(lines[1].text, 'The wire log was off before this line');
  assert.equal(lines[2].msg.method, 'session/prompt');
  await change({}, client.inbox.items.length);
  await session.run(script(say('after')));
  await server.terminate();
  assert.match(textOfFiles(server, session), /between/);
  assert.doesNotMatch(textOfFiles(server, session), /before"|after"/);
});

/** What a watcher has, without what differs from one session to the next. */
const shown = (session) => session.events.map(({ type, delta, text, stopReason, phase, request, toolName, isError }) =>
  JSON.stringify({ type, delta, text, stopReason, phase, command: request?.command, toolName, isError })).filter((line) => !/"(text_delta|thought_delta|tool_output|commands|config_options|starting)"/.test(line)); // the windows join text, and who came late does not see it start
/* What an agent says after session/new comes before or after a prompt, as it happens. */
const offered = (session) => session.events.map(({ type }) => type).filter((type) => /^(commands|config_options)$/.test(type)).sort();

/** A session whose agent is there, so that what comes next comes in one order. */
async function begin(server, agent) {
  const session = await (await server.connect()).create(agent);
  await session.status('idle', { ms: 120_000 }); // OpenCode's first start unpacks itself
  return session;
}

/** Until the last turn's end has had its say: the agent is idle again, or stopped where it died. */
function settled(session) {
  const last = (type) => session.events.findLastIndex((event) => event.type === type);
  return until(() => last('status') > last('complete'), () => 'the status behind the last turn');
}

async function playAgain(file, turns, first) {
  const server = await startServer({ settings: { 'permission-timeout-ms': 0 }, agents: { again: replaying(...file) } });
  const session = await begin(server, 'again');
  for (const play of turns) {
    await play(session);
  }
  await settled(session);
  await settled(first);
  const { turns: again } = session.watch.state();
  const plain = (all) => JSON.parse(JSON.stringify(all, (key, value) => (/Id$|^id$|^ts$|^seq$|^began$|At$|Ms$|workspace|locations|^prompt$|^content$/.test(key) ? undefined : value)));
  assert.deepEqual(plain(again), plain(first.watch.state().turns));
  assert.deepEqual(shown(session), shown(first));
  assert.deepEqual(offered(session), offered(first));
}

test('a session that is played again shows the same', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const session = await begin(server, 'scripted');
  const allowing = (text) => async (one) => {
    const turn = await one.prompt(text);
    const request = await turn.permission();
    await one.answerPermission(request, { allowed: true });
    await turn.end();
  };
  const plain = (text) => (one) => one.run(text);
  const turns = [
    plain(script(think('hm'), say('Hello, '), stream(200, 10, 2000), tool({ title: 'list', kind: 'execute', output: 'a\nb' }))),
    allowing(script(ask({ tool: { title: 'rm x', kind: 'execute' } }), say('done'))),
    plain(script(raw('no JSON'), raw('{"jsonrpc":"2.0","method":"_unknown","params":{}}'), say('still here'))),
    plain(script(say('and then'), fail({ code: -32603, message: 'it broke' }))),
  ];
  for (const play of turns) {
    await play(session);
  }
  await until(() => linesOf(server, session).some((line) => line.msg?.error?.message === 'it broke'), () => 'the last answer');
  await playAgain(pathsOf(server, session), turns, session);
});

const lastOf = (server, session) => linesOf(server, session).at(-1);

test('an agent that dies in a turn does so again', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const ends = [[script(say('dying'), exit(3)), { exitStatus: 3 }], [script(say('killed'), die('SIGKILL')), { signal: 9 }]];
  for (const [text, ended] of ends) {
    const session = await begin(server, 'scripted');
    const turns = [(one) => one.run(script(say('before'))), (one) => one.run(text)];
    for (const play of turns) {
      await play(session);
    }
    await until(() => lastOf(server, session)?.ended, () => `the note of its end: ${textOfFiles(server, session)}`);
    assert.deepEqual(lastOf(server, session).ended, ended);
    await playAgain(pathsOf(server, session), turns, session);
  }
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.status('idle');
  await client.command('close_session', { sessionId: session.id });
  await until(() => lastOf(server, session)?.ended, () => `the note of its end: ${textOfFiles(server, session)}`);
  assert.deepEqual(lastOf(server, session).ended, { byServer: true });
});

test('files are rotated, and play as one; the oldest go', async () => {
  const server = await startServer({ settings: { ...on, 'wire-log-file-bytes': 65536 }, agents: { scripted: scripted() } });
  const session = await begin(server, 'scripted');
  const turns = [(one) => one.run(script(stream(40, 5000))), (one) => one.run(script(say('end')))];
  for (const play of turns) {
    await play(session);
  }
  await until(() => linesOf(server, session).filter(isEnd).length === 2, () => 'both turns');
  const files = filesOf(server, session);
  assert.ok(files.length >= 4, String(files));
  for (const [index, file] of pathsOf(server, session).entries()) {
    assert.ok(statSync(file).size <= 65536 + 1024, file);
    assert.equal(JSON.parse(readFileSync(file, 'utf8').split('\n')[0]).part, index + 1);
  }
  await playAgain(pathsOf(server, session), turns, session);
  server.writeConfig({ 'wire-log-total-bytes': 65536 * 2 });
  await until(() => filesOf(server, session).length <= 2, () => `the oldest files to go: ${filesOf(server, session)}`);
  assert.ok(filesOf(server, session).every((name) => name >= files.at(-2)));
});

test('what is too old goes; what is not ours stays', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('hello')));
  await logged(server, session, isEnd);
  await server.terminate();
  const [file] = pathsOf(server, session);
  const foreign = path.join(folderOf(server, session), 'notes.txt');
  const outside = path.join(server.folder, 'outside');
  mkdirSync(outside);
  writeFileSync(foreign, 'mine');
  writeFileSync(path.join(outside, '1-001.jsonl'), 'mine too');
  symlinkSync(outside, path.join(server.data, 'wire', 'link'));
  const old = new Date(Date.now() - 8 * 24 * 3600 * 1000);
  for (const each of [file, foreign, path.join(outside, '1-001.jsonl')]) {
    utimesSync(each, old, old);
  }
  await server.start();
  await until(() => !existsSync(file), () => `${file} to go`);
  assert.equal(readFileSync(foreign, 'utf8'), 'mine');
  assert.equal(readFileSync(path.join(outside, '1-001.jsonl'), 'utf8'), 'mine too');
});

test('a disk that takes no more: said once, counted, and nothing waits for it', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('hello')));
  await logged(server, session, isEnd);
  // No folder can be made for the next session, as on a full disk or a lost one.
  execFileSync('rm', ['-rf', path.join(server.data, 'wire')]);
  writeFileSync(path.join(server.data, 'wire'), 'in the way');
  const other = await (await server.connect()).create('scripted');
  const end = await other.run(script(stream(100, 100)));
  assert.equal(end.stopReason, 'end_turn');
  await until(async () => (await metric(server, 'signalbox_wire_log_lines_lost_total')) > 50, () => 'lines to be counted');
  await server.says('the wire log cannot be kept');
  assert.equal(server.log.match(/the wire log cannot be kept/g).length, 1);
});

test('a file that may not grow: what is cut short is taken back, and a later line says what is missing', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('hello')));
  await logged(server, session, isEnd);
  execFileSync('prlimit', ['--pid', String(server.pid), '--fsize=1000000:unlimited']);
  await session.run(script(noise(2_000_000), say('after'))); // on stderr: no events, so the store stays small
  await server.says('the wire log cannot be kept');
  const before = linesOf(server, session);
  assert.ok(textOfFiles(server, session).endsWith('\n'), 'every line is whole');
  const { size } = statSync(pathsOf(server, session)[0]);
  assert.ok(size > 900_000 && size <= 1_000_000 && before.length > 100, `${size} bytes`);
  execFileSync('prlimit', ['--pid', String(server.pid), '--fsize=unlimited:unlimited']);
  await until(async () => {
    await session.run(script(say('again')));
    return linesOf(server, session).some((line) => line.missing > 0);
  }, () => 'the wire log to go on', 30_000);
  await server.says('the wire log is kept again');
});

test('SIGKILL leaves what can be read', async () => {
  const server = await startServer({ settings: on, agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(stream(1_000_000, 100, 20000)));
  await turn.event('text_delta');
  await until(() => textOfFiles(server, session).length > 100_000, () => 'some of it');
  await server.kill();
  const lines = textOfFiles(server, session).split('\n');
  assert.ok(lines.slice(0, -1).every((line) => JSON.parse(line).dir), 'all but what broke off');
  const again = await startServer({ agents: { again: replaying(...pathsOf(server, session)) } });
  const replayed = await (await again.connect()).create('again');
  const played = await replayed.prompt('as recorded');
  await played.event('text_delta');
});

test('OpenCode, recorded and played again', { timeout: scaled(300_000) }, async () => {
  const model = await startFakeModel();
  const server = await startServer({ settings: on, agents: { opencode: openCodeAgent(model) } });
  const patient = { ms: 120_000 };
  const session = await begin(server, 'opencode');
  const play = async (one) => {
    const turn = await one.prompt(['@@text I will look.', '@@bash echo found', '@@next', '@@text Done.'].join('\n'));
    const request = await turn.permission(0, patient);
    await one.answerPermission(request, { optionId: request.acpOptions.find(({ kind }) => kind === 'allow_once').optionId });
    await turn.end(patient);
  };
  await play(session);
  await logged(server, session, isEnd);
  await playAgain(pathsOf(server, session), [play], session);
  await server.terminate(); // before its home goes
});
