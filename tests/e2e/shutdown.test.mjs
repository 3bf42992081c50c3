import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { killQuietly } from './lib/processes.mjs';
import { ask, say, script, spawn, stream, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf } from './lib/watch.mjs';

const agents = {
  scripted: scripted(),
  stubborn: { command: ['signalbox-scripted-agent', '--ignore-eof', '--ignore-term'] },
};

test('SIGTERM ends it in five seconds with status 0; clients are told and closed with 3000', async () => {
  const server = await startServer({ agents });
  const clients = await Promise.all(Array.from({ length: 20 }, () => server.connect()));
  const [client] = clients;
  const streaming = await client.create('scripted');
  await (await streaming.prompt(script(stream(100_000, 20, 500)))).event('text_delta');
  const asking = await client.create('scripted');
  const asked = await asking.prompt(script(say('May I?'), ask()));
  const request = await asked.permission();
  const stubborn = await client.create('stubborn');
  await (await stubborn.prompt(script(spawn("trap '' TERM; sleep 4901"), say('x'), waitCancel()))).event('text_delta');

  const { code, signal, ms } = await server.terminate();
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, server.logTail());
  assert.ok(ms < 6500, `${ms} ms`);
  for (const each of clients) {
    assert.equal((await each.closed).code, 3000);
    const notice = each.inbox.items.find((message) => message.type === 'shutting_down');
    assert.equal(typeof notice.reconnectAfterMs, 'number');
  }
  await server.nothingLeft();

  await server.restart();
  const back = await server.connect({ watches: client.watches });
  const resumed = await back.resume(asking.id);
  assert.equal(resumed.watch.permissions.get(request.requestId).end.reason, 'server_stopped');
  assert.equal(resumed.watch.openTurn, null);
  await back.resume(streaming.id);
  assert.equal(textOf(await resumed.run(script(say('and on')))), 'and on');
});

test('a second signal makes it immediate', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('stubborn');
  await (await session.prompt(script(say('x'), waitCancel()))).event('text_delta');
  killQuietly(server.pid, 'SIGTERM');
  await client.control('shutting_down'); // two signals at the same time would be one
  const { ms } = await server.terminate();
  assert.ok(ms < 3000, `${ms} ms`); // by itself it would wait longer for this agent
  await server.nothingLeft();
});

test('SIGINT (Ctrl-C) is the same as SIGTERM', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  killQuietly(server.pid, 'SIGINT');
  assert.equal((await client.closed).code, 3000);
  assert.deepEqual(await server.ended, { code: 0, signal: null });
});

test('what was there before a restart is there after it', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted', { title: 'Kept' });
  await session.run(script(say('Remember this.')));
  const before = session.watch.state();
  await server.restart();
  const list = (await server.rest('GET', '/v1/sessions')).text;
  assert.ok(list.includes(session.id) && list.includes('Kept'));
  const again = await (await server.connect()).follow(session.id);
  assert.deepEqual(again.watch.state().turns, before.turns);
  assert.equal(textOf(await again.run(script(say('And this.')))), 'And this.');
});
