// Agents kept alive: circuit breakers, places, idle stops, silence, limits.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inline, scripted } from './lib/agents.mjs';
import { Refusal } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { ask, exit, say, script, sleep, waitCancel } from './lib/script.mjs';
import { runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const metric = async (server, name, token) => {
  const { text } = await server.rest('GET', '/metrics', { token });
  return Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)`, 'm').exec(text)[1]);
};
const agentState = async (server, name, token) =>
  (await server.rest('GET', '/v1/agents', { token })).json.agents.find((agent) => agent.name === name);
const statusWith = (session, pattern, options) =>
  session.event('status', ({ detail }) => pattern.test(detail ?? ''), options);
const workspaceOf = (server, agent = 'scripted') => ({ agent, workspace: server.newWorkspace() });
const busy = script(say('busy'), waitCancel());
const breaking = {
  'agent-breaker-failures': 3,
  'agent-breaker-pause-ms': 300,
  'agent-breaker-pause-max-ms': 1000,
  'agent-proof-ms': 600000,
};

// ---- Circuit breakers ----

test('a session that kills its agent again and again is stopped for a while, and nobody else', async () => {
  const server = await startServer({
    settings: { ...breaking, 'agent-breaker-pause-ms': 5000, 'agent-breaker-pause-max-ms': 5000 },
    agents: { scripted: scripted() },
  });
  const client = await server.connect();
  const [session, other] = await Promise.all([client.create('scripted'), client.create('scripted')]);
  let from = 0;
  for (let i = 0; i < 3; i++) {
    await session.prompt(script(exit(1)));
    await session.event('complete', ({ stopReason }) => stopReason === 'agent_exited', { from });
    await session.event('status', ({ phase }) => ['stopped', 'failed'].includes(phase), { from });
    from = session.events.length;
  }
  const status = session.events.findLast((event) => event.type === 'status');
  assert.equal(status.phase, 'failed');
  assert.match(status.detail, /status 1.* It failed too often, and is not started again before \d{4}-.*Z\.$/);
  const { until: time } = await client.refusal('prompt', { sessionId: session.id, text: 'x' }, 'agent_unavailable');
  assert.ok(time > Date.now() - 1000 && time < Date.now() + 6000, `until ${time}`);
  assert.equal(session.events.length, from, 'a refusal changes nothing');

  // The agent itself is not to blame.
  assert.equal((await agentState(server, 'scripted')).state, 'closed');
  assert.match((await agentState(server, 'scripted')).lastError.message, /status 1/);
  assert.equal(textOf(await other.run(script(say('undisturbed')))), 'undisturbed');
  assert.equal((await agentState(server, 'scripted')).lastError, undefined, 'it was seen to work');
  assert.equal(await metric(server, 'signalbox_agent_breaker_opens_total{of="session"}'), 1);
  assert.equal(await metric(server, 'signalbox_agent_breaker_opens_total{of="agent"}'), 0);

  // When its time is over it may try, and if that works all is well.
  const turn = await until(async () => {
    try {
      return await session.prompt(script(say('back')));
    } catch (error) {
      assert.ok(error instanceof Refusal && error.code === 'agent_unavailable', String(error));
      return null;
    }
  }, 'the session to be tried again');
  assert.equal(textOf(await turn.end()), 'back');
  await session.prompt(script(exit(1)));
  await session.event('complete', ({ stopReason }) => stopReason === 'agent_exited', { from });
  const last = await session.event('status', ({ phase }) => phase === 'stopped', { from });
  assert.doesNotMatch(last.detail, /too often/);
});

test('an agent that fails in several sessions is not started, then tried once, and recovers', async () => {
  const folder = temporaryFolder();
  const [flag, hold] = ['broken', 'hold'].map((name) => path.join(folder, name));
  writeFileSync(flag, '');
  const moody = inline(
    `while test -e ${hold}; do sleep 0.02; done; test -e ${flag} && { echo "not today" >&2; exit 3; }; exec signalbox-scripted-agent`,
  );
  // What is looked at while it is not started takes less than a pause, on any machine; the second one is twice as long.
  const server = await startServer({
    settings: { ...breaking, 'agent-breaker-pause-ms': 3000, 'agent-breaker-pause-max-ms': 8000 }, agents: { moody, scripted: scripted() },
  });
  const client = await server.connect();
  const create = () => client.create('moody');
  const refused = () => client.refusal('create_session', workspaceOf(server, 'moody'), 'agent_unavailable');
  const state = async () => (await agentState(server, 'moody')).state;
  const gauge = (word) => metric(server, `signalbox_agent_breakers{state="${word}"}`);

  // The first one has a prompt that waits; it stays, paused.
  const first = await create();
  await first.status('failed');
  writeFileSync(hold, '');
  await first.prompt(script(say('first')));
  rmSync(hold);
  await first.event('status', ({ phase }) => phase === 'failed', { from: first.events.length });
  const second = await create();
  await second.status('failed');
  assert.equal(await state(), 'closed', 'two sessions are not enough');
  const third = await create();
  await statusWith(third, /not today.* It failed too often, and is not started again before/);

  const known = await agentState(server, 'moody');
  assert.ok(['open', 'half_open'].includes(known.state));
  assert.match(known.lastError.message, /not today/);
  await server.says(/level=warn .*msg="an agent failed too often and is not started for a while" agent=moody/);
  assert.equal(textOf(await (await client.create('scripted')).run(script(say('other agents go on')))), 'other agents go on');

  // One try goes out; whoever comes meanwhile is refused. It fails: the pause is twice as long.
  await until(async () => (await state()) === 'half_open', 'the pause to be over');
  assert.equal(await gauge('half_open'), 1);
  writeFileSync(hold, '');
  const trial = await create();
  assert.match((await refused()).message, /is being tried for another session: .*not today/);
  rmSync(hold);
  await statusWith(trial, /is not started again before/);
  assert.equal(await gauge('open'), 1);
  const nack = await refused();
  assert.match(nack.message, /failed too often and is not started again before .*not today/);
  assert.ok(nack.until > Date.now() - 1000);
  const rest = await server.rest('POST', '/v1/sessions', { body: workspaceOf(server, 'moody') });
  assert.equal(rest.status, 503);
  assert.equal(rest.json.code, 'agent_unavailable');
  assert.ok(rest.json.until > 0);
  assert.ok(Number(rest.headers['retry-after']) >= 1);
  assert.equal(await metric(server, 'signalbox_agent_breaker_opens_total{of="agent"}'), 2);

  // It is mended: the next try works, a turn proves it, and the waiting prompt was not lost.
  rmSync(flag);
  await until(async () => (await state()) === 'half_open', 'the pause to be over');
  await until(
    () => client.command('resume_queue', { sessionId: first.id }).catch((error) => {
      assert.ok(error instanceof Refusal && error.code === 'agent_unavailable', String(error));
      return null;
    }),
    'its own breaker to let it through',
  );
  const { text } = await first.event('text_complete');
  assert.equal(text, 'first');
  await until(async () => (await state()) === 'closed', 'the breaker to close');
  assert.equal((await agentState(server, 'moody')).lastError, undefined);
  assert.equal(await gauge('open') + await gauge('half_open'), 0);
  await (await create()).status('idle');
});

test('an agent that is configured anew may be started at once', async () => {
  const agents = { moody: inline('exit 3') };
  const server = await startServer({
    settings: { ...breaking, 'agent-breaker-failures': 1, 'agent-breaker-pause-ms': 600000, 'agent-breaker-pause-max-ms': 600000 },
    agents,
  });
  const client = await server.connect();
  const session = await client.create('moody');
  await session.status('failed');
  await client.refusal('prompt', { sessionId: session.id, text: 'x' }, 'agent_unavailable');
  assert.equal((await agentState(server, 'moody')).state, 'open');
  agents.moody = scripted();
  server.writeConfig();
  await client.control('config_changed');
  assert.equal((await agentState(server, 'moody')).state, 'closed');
  assert.equal(textOf(await session.run(script(say('mended')))), 'mended');
});

test('what a person has to mend is no failure of the agent', async () => {
  const server = await startServer({
    settings: { ...breaking, 'agent-breaker-failures': 1 },
    agents: {
      missing: { command: ['signalbox-no-such-program'] },
      login: { command: ['signalbox-scripted-agent', '--auth-required'] },
    },
  });
  const client = await server.connect();
  for (const agent of ['missing', 'login']) {
    await client.create(agent).then((session) => session.status('failed'), () => {});
    assert.equal((await agentState(server, agent)).state, 'closed');
  }
  assert.match((await agentState(server, 'login')).lastError.message, /needs a login/, 'who chooses an agent is told');
});

// ---- Idle agents ----

test('an idle agent is stopped, its session leaves memory, and the next prompt brings both back', async () => {
  const server = await startServer({
    settings: { 'session-idle-ms': 100 },
    agents: { scripted: scripted({ 'agent-idle-ms': 1500 }), patient: scripted() },
  });
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('one'))); // at once: else it is idle before that, on a slow machine
  const stays = await client.create('patient');
  const stopped = await session.status('stopped');
  assert.equal(stopped.detail, 'the agent was stopped after 1500 milliseconds without work (agent-idle-ms)');
  assert.ok(session.events.every((event) => event.type !== 'error'), 'nothing went wrong');
  await client.command('unsubscribe', { sessionId: session.id });
  await until(async () => (await metric(server, 'signalbox_sessions_in_memory')) === 1, 'the session to leave');
  assert.equal(await metric(server, 'signalbox_agents_stopped_idle_total'), 1);

  const back = await client.resume(session.id);
  assert.equal(textOf(await back.run(script(say('two')))), 'two');
  assert.ok(back.events.some((event) => event.type === 'error' && event.code === 'agent_memory_lost'));
  // Who works, or is asked, is not idle.
  const turn = await back.prompt(script(ask(), say('three')));
  const request = await turn.permission();
  await stays.run(script(sleep(1800)));
  await back.answerPermission(request, { allow: true });
  assert.match(textOf(await turn.end()), /three/);
  await stays.status('idle', { from: stays.events.findLastIndex(({ type }) => type === 'complete') });
  assert.ok(!stays.events.some(({ phase }) => phase === 'stopped'));
});

test('an idle agent that can load its session comes back with its memory', async () => {
  const file = path.join(temporaryFolder(), 'state');
  const keeping = { command: ['signalbox-scripted-agent', '--load', '--state', file], 'agent-idle-ms': 200 };
  const server = await startServer({ agents: { keeping } });
  const session = await (await server.connect()).create('keeping');
  await session.run(script(say('one')));
  await statusWith(session, /without work/);
  assert.equal(textOf(await session.run(script(say('two')))), 'two');
  assert.ok(session.events.every((event) => event.type !== 'error'), 'nothing was lost');
});

// ---- Places ----

async function twoUsers(settings) {
  const folder = temporaryFolder();
  const tokens = path.join(folder, 'tokens');
  const [ada, bob] = ['token-of-ada-0123456789', 'token-of-bob-0123456789'];
  writeFileSync(tokens, `ada ${ada}\nbob ${bob}\n`, { mode: 0o600 });
  const server = await startServer({
    settings: { 'tokens-file': tokens, ...settings },
    agents: { scripted: scripted() },
  });
  server.isReady = async () => (await server.rest('GET', '/healthz').catch(() => ({}))).status === 200;
  return { server, token: ada, ada: await server.connect({ token: ada }), bob: await server.connect({ token: bob }) };
}

test('three agents may run and six sessions want one: users take turns', async () => {
  const { server, ada, bob, token } = await twoUsers({ 'max-agents': 3, 'agent-room-idle-ms': 0 });
  const running = [];
  for (let i = 0; i < 3; i++) {
    const session = await ada.create('scripted');
    await (await session.prompt(busy)).event('text_delta');
    running.push(session);
  }
  const waits = async (client, before) => {
    const session = await client.create('scripted');
    await statusWith(session, new RegExp(`^waiting for a free place: ${before} before it$`));
    return session;
  };
  const fourth = await waits(ada, 0);
  const fifth = await waits(ada, 1);
  const sixth = await waits(bob, 1); // before ada's second
  const prompts = [];
  for (const session of [fourth, fifth, sixth]) {
    const turn = await session.prompt(script(say('at last'), waitCancel()));
    assert.equal(turn.ack.status, 'queued');
    prompts.push(turn);
  }
  assert.equal(await metric(server, 'signalbox_agents_waiting', token), 3);
  assert.equal((await agentState(server, 'scripted', token)).waiting, 3);
  const order = [fourth, sixth, fifth];
  for (let i = 0; i < 3; i++) {
    await ada.command('close_session', { sessionId: running[i].id });
    await order[i].event('text_delta');
    for (const later of order.slice(i + 1)) {
      assert.ok(!later.events.some((event) => event.type === 'turn_started'), 'not before its turn');
    }
    assert.equal((await agentState(server, 'scripted', token)).running, 3);
  }
  assert.ok(fifth.events.some((event) => event.detail === 'waiting for a free place: 0 before it'), 'it moved up');
  assert.equal(await metric(server, 'signalbox_agents_waiting', token), 0);
  for (const [session, turn] of [[fourth, prompts[0]], [fifth, prompts[1]], [sixth, prompts[2]]]) {
    await session.cancel();
    await turn.end();
  }
});

test('who waits may give up, be closed, or be found by the next start of the server', async () => {
  const server = await startServer({
    settings: { 'max-agents': 1, 'max-waiting-agents': 2, 'agent-room-idle-ms': 0 },
    agents: { scripted: scripted() },
  });
  let client = await server.connect();
  const holder = await client.create('scripted');
  await (await holder.prompt(busy)).event('text_delta');
  const closed = await client.create('scripted');
  await statusWith(closed, /waiting for a free place/);
  const kept = await client.create('scripted');
  await statusWith(kept, /waiting for a free place: 1 before it/);
  const nack = await client.refusal('create_session', workspaceOf(server), 'limit_reached');
  assert.match(nack.message, /max-waiting-agents/);
  assert.equal(nack.retryable, true);
  await client.command('close_session', { sessionId: closed.id });
  await closed.status('closed');
  await statusWith(kept, /waiting for a free place: 0 before it/);
  await kept.prompt(script(say('kept')));
  assert.equal(await metric(server, 'signalbox_agents_waiting'), 1);

  await server.kill();
  await server.start();
  client = await server.connect();
  const back = await client.follow(kept.id);
  assert.equal(back.answer.phase, 'stopped');
  await client.command('resume_queue', { sessionId: kept.id });
  assert.equal((await back.event('text_complete')).text, 'kept');

  // One that had an agent before, and whose prompts are all taken back, needs none.
  const second = await client.create('scripted');
  await statusWith(second, /waiting for a free place/);
  await client.command('close_session', { sessionId: kept.id });
  await second.status('idle');
  await client.refusal('prompt', { sessionId: kept.id, text: 'x' }, 'closed');

  // And the server stops, and says so to who waits.
  const last = await client.create('scripted');
  await statusWith(last, /waiting for a free place/);
  await last.prompt(script(say('later')));
  await server.terminate();
  await last.event('status', ({ phase, detail }) => phase === 'stopped' && detail === 'the server is stopping');
});

test('a new configuration with more places is good for who waits', async () => {
  const server = await startServer({ settings: { 'max-agents': 1, 'agent-room-idle-ms': 0 }, agents: { scripted: scripted() } });
  const client = await server.connect();
  await client.create('scripted');
  const second = await client.create('scripted');
  await statusWith(second, /waiting for a free place/);
  server.writeConfig({ 'max-agents': 2 });
  await second.status('idle');
});

test('idle agents make room for who waits', async () => {
  const server = await startServer({
    settings: { 'max-agents': 2, 'agent-room-idle-ms': 50 },
    agents: { scripted: scripted() },
  });
  const client = await server.connect();
  const longest = await client.create('scripted');
  await longest.status('idle');
  const working = await client.create('scripted');
  const turn = await working.prompt(busy);
  await turn.event('text_delta');
  const third = await client.create('scripted');
  await statusWith(longest, /stopped to make room/);
  assert.equal(textOf(await third.run(script(say('there')))), 'there');
  assert.ok(!working.events.some((event) => event.phase === 'stopped'), 'who works is left alone');
  // And back again, by a prompt that waits for it.
  assert.equal(textOf(await longest.run(script(say('here')))), 'here');
  await statusWith(third, /stopped to make room/);
  await working.cancel();
  await turn.end();
});

// ---- Silence ----

test('an agent that says nothing in a turn is shown so, until it speaks', async () => {
  const server = await startServer({ agents: { scripted: scripted({ 'agent-silence-ms': 200 }) } });
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(say('so far'), waitCancel(), say('!')));
  const silent = await statusWith(session, /^no sign of life from the agent for 200 milliseconds$/);
  assert.equal(silent.phase, 'running');
  const from = session.events.length;
  await session.cancel();
  await turn.end();
  await session.status('idle', { from });
  const after = session.events.slice(from).filter((event) => event.type === 'status');
  assert.equal(after.at(-1).phase, 'idle');
  assert.equal(after.at(-1).detail, undefined);
  // One, unless it was slow to begin, or to end.
  const details = session.events.filter(({ type }) => type === 'status').map(({ detail }) => detail);
  const shown = details.filter((detail, at) => detail?.startsWith('no sign of life') && details[at - 1] !== detail);
  assert.ok(shown.length >= 1);
  assert.equal(await metric(server, 'signalbox_agent_silences_total'), shown.length);
});

test('a turn that hangs is cancelled, and an agent that ignores everything is ended', async () => {
  const server = await startServer({
    settings: { 'cancel-timeout-ms': 3000, 'agent-stop-grace-ms': 200 },
    agents: { // what they do they have to do in these times, however busy the machine is
      scripted: scripted({ 'agent-silence-ms': 100, 'agent-hang-ms': 2000 }),
      stone: { command: ['signalbox-scripted-agent', '--ignore-eof', '--ignore-term'], 'agent-hang-ms': 2000 },
    },
  });
  const client = await server.connect();
  const session = await client.create('scripted');
  const turn = await session.prompt(script(waitCancel()));
  assert.equal((await turn.end()).stopReason, 'cancelled');
  assert.ok(session.events.some((event) => event.type === 'error' && event.code === 'agent_hangs' && !event.fatal));
  assert.equal(textOf(await session.run(script(say('it goes on')))), 'it goes on');
  assert.equal(await metric(server, 'signalbox_agent_hangs_total'), 1);

  const stone = await client.create('stone');
  const stuck = await stone.prompt(script({ ignoreCancel: true }, sleep(3600000)));
  assert.equal((await stuck.end()).stopReason, 'agent_exited');
  const codes = stone.events.filter((event) => event.type === 'error').map((event) => event.code);
  assert.deepEqual(codes, ['agent_hangs', 'cancel_ignored', 'agent_exited']);
  assert.match((await stone.status('stopped')).detail, /did not end its cancelled turn in time and was killed/);
  // It is not its failure to start: the next prompt starts it.
  assert.equal(textOf(await stone.run(script(say('anew')))), 'anew');
});

test('a start that takes too long says what was waited for', async () => {
  const server = await startServer({
    settings: { 'agent-start-timeout-ms': 300 },
    agents: { silent: inline('exec sleep 4900'), half: { command: ['signalbox-scripted-agent', '--hang-initialize'] } },
  });
  const client = await server.connect();
  for (const agent of ['silent', 'half']) {
    const session = await client.create(agent);
    assert.match((await session.status('failed')).detail, /did not answer initialize in time/);
    const error = await session.event('error');
    assert.equal(error.error, 'the agent was started, but had no session within 300 milliseconds (agent-start-timeout-ms)');
  }
});

// ---- Limits ----

test('an agent over its limit ends, and its session says which', async () => {
  const server = await startServer({
    agents: {
      scripted: scripted(),
      limited: scripted({ 'memory-limit': '256M', 'open-files-limit': 64, 'file-size-limit': '1M', 'cpu-limit-seconds': 1 }),
    },
  });
  const client = await server.connect();
  const other = await client.create('scripted');
  const strains = [
    [{ memory: 1_000_000_000 }, /malloc: Cannot allocate memory\. It wanted more memory .*\(memory-limit = 268435456\)\./],
    [{ files: 200 }, /Too many open files\. It opened more files .*\(open-files-limit = 64\)\./],
    [{ file: 10_000_000 }, /It wrote a longer file .*\(file-size-limit = 1048576\)\./],
    [{ cpuMs: 60_000 }, /It used more processor time .*\(cpu-limit-seconds = 1\)\./],
  ];
  for (const [strain, expected] of strains) {
    const session = await client.create('limited');
    assert.equal((await (await session.prompt(script({ strain }))).end()).stopReason, 'agent_exited');
    assert.match((await session.event('error')).error, expected);
    assert.equal(textOf(await other.run(script(say('undisturbed')))), 'undisturbed');
  }
});

test('limits out of bounds are found by check-config, with their line', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'signalbox.conf');
  for (const [line, expected] of [
    ['memory-limit = 1M', /:3: agent a: memory-limit: 1M is out of bounds: 16777216 to/],
    ['nice = 20', /:3: agent a: nice: 20 is out of bounds: 0 to 19/],
    ['open-files-limit = few', /:3: agent a: open-files-limit: "few" is not a whole number/],
    ['cpu-limit-seconds = 0', /:3: agent a: cpu-limit-seconds: 0 is out of bounds/],
  ]) {
    writeFileSync(file, `agent a {\n    command = {"cat"}\n    ${line}\n}\n`);
    const checked = await runSignalbox(['check-config', '--config', file]);
    assert.notEqual(checked.code, 0);
    assert.match(checked.output, expected);
  }
});
