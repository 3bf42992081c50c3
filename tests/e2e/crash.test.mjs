import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { isLong } from './lib/paths.mjs';
import { processesOf } from './lib/processes.mjs';
import { ask, die, exit, raw, say, script, sleep, spawn, stream, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };
const of = (events, type) => events.filter((event) => event.type === type);
const sleepers = (server) => processesOf(server.run).filter(({ command }) => /^sleep 48\d\d/.test(command));

for (const [name, step] of [['is killed', die()], ['exits', exit(7)]]) {
  test(`an agent that ${name} in a turn: error, exactly one complete, and the next prompt works`, async () => {
    const server = await startServer({ agents });
    const client = await server.connect();
    const session = await client.create('scripted');
    const other = await client.create('scripted');
    const neighbour = await other.prompt(script(say('Still here.'), ask()));
    const undisturbed = await neighbour.permission();

    const open = tool({ title: 'Never ends', output: 'some', leaveOpen: true });
    const turn = await session.prompt(script(think('hm'), say('Before.'), open, say('After.'), step));
    const end = await turn.end();
    assert.equal(end.stopReason, 'agent_exited');
    assert.equal(textOf(end), 'Before.After.');
    assert.equal(toolsOf(end)[0].result.isError, true);
    assert.equal(of(turn.events, 'complete').length, 1);
    const [error] = of(session.events, 'error');
    assert.ok(error.error.length > 0 && error.code.length > 0);
    assert.ok(error.seq < of(turn.events, 'complete')[0].seq);

    const next = await session.run(script(say('Back.')));
    assert.equal(textOf(next), 'Back.');
    await other.answerPermission(undisturbed, { allow: true });
    assert.match(textOf(await neighbour.end()), /Still here/);
  });
}

test('an agent killed with a pending permission cancels it, and its tools die with it', async () => {
  const server = await startServer({ agents });
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(spawn('sleep 4801'), ask()));
  const request = await turn.permission();
  await until(() => sleepers(server).length === 1, 'the tool to run');
  const agent = processesOf(server.run).find(({ command }) => /^\S*signalbox-scripted-agent/.test(command));
  process.kill(agent.pid, 'SIGKILL');
  const cancelled = await turn.event('permission_cancelled');
  assert.equal(cancelled.requestId, request.requestId);
  assert.equal(cancelled.reason, 'agent_exited');
  assert.equal((await turn.end()).stopReason, 'agent_exited');
  await until(() => sleepers(server).length === 0, 'the tool to be gone');
});

test('SIGKILL of the server with a pending permission: nothing shown is gone, all is ended in order', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  const open = tool({ title: 'Open', output: 'live output', leaveOpen: true });
  const turn = await session.prompt(
    script(spawn('sleep 4802 & setsid sleep 4803; wait'), think('Hm.'), say('Shown text.'), open, ask(), say('never')),
  );
  const request = await turn.permission();
  await until(() => sleepers(server).length === 2, 'the tools to run');
  const shown = session.events.map((event) => event.raw);
  const { position } = session.watch;
  await server.kill();
  await client.closed;
  await server.nothingLeft();

  await server.restart();
  const back = await server.connect({ watches: client.watches });
  const resumed = await back.resume(session.id);
  assert.notEqual(resumed.answer.mode, 'reset', 'the same history');
  assert.equal(resumed.answer.epoch, position.epoch);
  assert.deepEqual(resumed.events.slice(0, shown.length).map((event) => event.raw), shown);
  const end = session.watch.turns.get(turn.id);
  assert.equal(end.complete.stopReason, 'server_restarted');
  assert.equal(resumed.watch.permissions.get(request.requestId).end.reason, 'server_restarted');

  const added = resumed.events.slice(shown.length).map((event) => event.type);
  const order = ['text_complete', 'thought_complete', 'tool_result', 'permission_cancelled', 'error', 'complete', 'status'];
  const ranks = added.filter((type) => order.includes(type)).map((type) => order.indexOf(type));
  assert.deepEqual(ranks, [...ranks].sort((a, b) => a - b), `recovery in order: ${added}`);
  assert.deepEqual(added.slice(-3), ['error', 'complete', 'status']);

  await back.refusal('permission_response', { requestId: request.requestId, allow: true }, 'cancelled');
  assert.equal(textOf(await resumed.run(script(say('Goes on.')))), 'Goes on.');
});

test('SIGKILL of the server while an agent has said something between turns: that is ended, too', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  const over = JSON.stringify({ jsonrpc: '2.0', id: 2, result: { stopReason: 'end_turn' } }); // initialize, session/new, session/prompt
  const turn = await session.prompt(script(say('In the turn.'), raw(over), say('And one thing more.'),
    tool({ title: 'Open', output: 'live output', leaveOpen: true }), think('Hm.'), sleep(600_000)));
  await turn.end();
  await session.event('thought_delta');
  await server.kill();
  await client.closed;
  await server.restart();
  const whole = await (await server.connect()).follow(session.id);
  const { events } = whole;
  const after = events.slice(events.findIndex((event) => event.type === 'complete') + 1);
  assert.equal(of(after, 'text_complete').at(-1).text, 'And one thing more.');
  assert.equal(of(after, 'thought_complete').at(-1)?.text, 'Hm.');
  assert.equal(of(after, 'tool_result').at(-1)?.isError, true);
  assert.equal(of(after, 'complete').length, 0, 'no turn was open');
  assert.equal(after.at(-1).type, 'status');
});

test('SIGKILL of the server in a stream, again and again: what was shown stays, byte for byte', async () => {
  const server = await startServer({ agents });
  let client = await server.connect();
  let session = await client.create('scripted');
  for (let round = 0; round < (isLong ? 20 : 4); round++) {
    const turn = await session.prompt(script(stream(100_000, 10, 3000)));
    const wanted = 1 + round * 2;
    let seen = 0;
    await turn.event('text_delta', () => ++seen >= wanted);
    await server.kill();
    await client.closed;
    await server.restart();
    client = await server.connect({ watches: client.watches });
    session = await client.resume(session.id); // the watch demands that it joins what was shown
    assert.notEqual(session.answer.mode, 'reset');
    assert.equal(session.watch.turns.get(turn.id).complete.stopReason, 'server_restarted');
    const whole = await (await server.connect()).follow(session.id);
    assert.deepEqual(whole.watch.state().turns, session.watch.state().turns);
  }
});

test('SIGKILL of the server leaves no process, whatever the agent ignores', async () => {
  const stubborn = { command: ['signalbox-scripted-agent', '--ignore-eof', '--ignore-term'] };
  const server = await startServer({ agents: { stubborn } });
  const session = await (await server.connect()).create('stubborn');
  const turn = await session.prompt(script(spawn("trap '' TERM HUP; sleep 4804"), say('up'), waitCancel()));
  await turn.event('text_delta', (event) => event.delta.includes('up'));
  await until(() => sleepers(server).length >= 1, 'the tool to run');
  await server.kill();
  await server.nothingLeft();
  await server.restart();
});

test('a queue is kept over a restart and paused until someone says so', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  const first = await session.prompt(script(say('first'), waitCancel()));
  await first.event('text_delta');
  const second = await session.prompt(script(say('second')));
  assert.equal(second.ack.status, 'queued');
  await server.kill();
  await server.restart();
  const back = await server.connect({ watches: client.watches });
  const resumed = await back.resume(session.id);
  await back.ping();
  assert.equal(resumed.watch.users.get(second.messageId).status, 'queued');
  assert.equal(resumed.watch.openTurn, null);
  await back.command('resume_queue', { sessionId: session.id });
  const started = await resumed.event('turn_started', (event) => event.messageId === second.messageId);
  await resumed.event('complete', (event) => event.turnId === started.turnId);
  assert.equal(textOf(resumed.watch.turns.get(started.turnId)), 'second');
  const given = resumed.events.filter((event) => event.type === 'turn_started');
  assert.equal(given.length, 2, 'what an agent was given is never given again');
});
