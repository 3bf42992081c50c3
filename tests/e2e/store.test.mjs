import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gated, scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, gate, say, script, stream, streamed, waitCancel } from './lib/script.mjs';
import { prepareServer, runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';
import { until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };

// A full disk, without one: no file of the server may grow. (Works for every user, also for root.)
const limitFiles = (server, bytes) =>
  execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:unlimited`]);

test('a data folder that cannot be one: the server does not start, and says why', async () => {
  const file = path.join(temporaryFolder(), 'file');
  writeFileSync(file, 'in the way');
  const { code, output } = await runSignalbox(['serve', '--listen', '127.0.0.1:0', '--data', path.join(file, 'data')]);
  assert.notEqual(code, 0);
  assert.ok(output.includes(file), output);
});

test('a journal that is none: the server does not start, and leaves the file alone', async () => {
  const server = await startServer({ agents });
  await (await server.connect()).create('scripted');
  await server.terminate();
  const journal = readdirSync(server.data).find((name) => /\.(db|sqlite3?)$/.test(name));
  writeFileSync(path.join(server.data, journal), 'this is no database. '.repeat(500));
  const args = ['serve', '--config', server.configFile, '--listen', '127.0.0.1:0', '--data', server.data];
  const { code, output } = await runSignalbox(args);
  assert.notEqual(code, 0);
  assert.ok(output.includes(journal), output);
});

test('a folder of data is made if it is missing', async () => {
  const server = await prepareServer({ agents });
  server.data = path.join(server.folder, 'not', 'there', 'yet');
  await server.start();
  await (await server.connect()).create('scripted');
});

test('a store that cannot be written: told, refused, and whole again when it can be', async () => {
  const { agent, open } = gated();
  const server = await startServer({ agents: { scripted: agent } });
  const [client, watcher] = await Promise.all([server.connect(), server.connect()]);
  const session = await client.create('scripted');
  await session.run(script(say('before')));
  const watching = await watcher.follow(session.id);
  const streaming = await session.prompt(script(stream(100, 50, 200), gate(), stream(300, 50, 200), say('THE END')));
  await streaming.event('text_delta');

  limitFiles(server, 1);
  open(1); // there is more to record, if there was not
  for (const each of [client, watcher]) {
    const notice = await each.control('store', (message) => message.ok === false);
    assert.ok(notice.reason.length > 0);
  }
  await client.refusal('prompt', { sessionId: session.id, text: script(say('no')) }, 'storage_unavailable');
  await client.refusal('create_session', { agent: 'scripted', workspace: server.newWorkspace() }, 'storage_unavailable');
  const post = await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { text: 'no' } });
  assert.equal(post.status, 503);
  assert.ok(post.headers['retry-after']);
  assert.equal((await server.rest('GET', '/readyz')).status, 503);
  assert.equal((await server.rest('GET', '/healthz')).status, 200);
  await watcher.ping();

  limitFiles(server, 'unlimited');
  for (const each of [client, watcher]) {
    await each.control('store', (message) => message.ok === true);
  }
  assert.match(textOf(await streaming.end()), /THE END$/);
  assert.equal(textOf(await session.run(script(say('after')))), 'after');
  await server.restart();
  const whole = await (await server.connect()).follow(session.id);
  assert.deepEqual(whole.watch.state().turns, session.watch.state().turns);
  assert.equal(watching.watch.turns.size, 3);
});

test('with a store that cannot be written, SIGTERM still ends the server in time', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  await (await session.prompt(script(stream(100_000, 50, 200), waitCancel()))).event('text_delta');
  limitFiles(server, 1);
  await client.control('store', (message) => message.ok === false);
  const { ms, signal } = await server.terminate();
  assert.equal(signal, null);
  assert.ok(ms < 6500, `${ms} ms`);
});

const commitFailures = async (server) => {
  const { text } = await server.rest('GET', '/metrics');
  return Number(/^signalbox_commit_failures_total (\d+)/m.exec(text)[1]);
};

test('while nothing can be recorded, what is recorded can be read, and no character is lost', async () => {
  const { agent, open } = gated();
  const server = await startServer({ agents: { ...agents, gated: agent } });
  const client = await server.connect();
  const [quiet, busy, asking] = await Promise.all(['scripted', 'gated', 'scripted'].map((name) => client.create(name)));
  const question = await asking.prompt(script(ask()));
  const request = await question.permission();
  assert.equal(textOf(await quiet.run(script(say('before')))), 'before');
  await quiet.status('idle', { from: quiet.events.findIndex((event) => event.type === 'complete') });
  const streaming = await busy.prompt(script(stream(100, 50, 300), gate(), stream(300, 50, 300), say('THE END')));
  await streaming.event('text_delta');

  limitFiles(server, 1);
  open(1); // there is more to record, if there was not
  await client.control('store', (message) => message.ok === false);
  const late = await server.connect();
  const notice = await late.control('store');
  assert.equal(notice.ok, false);
  assert.ok(notice.reason.length > 0);
  assert.equal(late.inbox.items[0].type, 'connected');
  const shown = await late.follow(quiet.id);
  assert.deepEqual(shown.watch.state(), quiet.watch.state());
  const got = await server.rest('GET', `/v1/sessions/${quiet.id}`);
  assert.equal(got.status, 200);
  assert.equal(got.json.head, quiet.watch.position.seq);
  // The busy one has been assigned what nobody may see yet.
  const refused = await late.refusal('subscribe', { sessionId: busy.id }, 'storage_unavailable');
  assert.equal(refused.retryable, true);
  assert.equal((await server.rest('GET', `/v1/sessions/${busy.id}`)).status, 503);
  assert.equal((await server.rest('GET', '/v1/agents')).status, 200);
  assert.deepEqual((await server.rest('GET', '/v1/permissions')).json.permissions, [request]);
  assert.equal((await server.rest('GET', '/v1/sessions')).status, 200);

  limitFiles(server, 'unlimited');
  await late.control('store', (message) => message.ok === true);
  const turn = await streaming.end();
  assert.equal(textOf(turn), `${streamed(100, 50)}${streamed(300, 50)}THE END`); // the generator starts anew with each
  await asking.answerPermission(request, { allow: true });
  await question.end();
  const all = await late.follow(busy.id);
  assert.deepEqual(all.watch.state().turns, busy.watch.state().turns);
  assert.equal(textOf(await quiet.run(script(say('after')))), 'after');
  await shown.event('text_complete', (event) => event.text === 'after');
  const after = await server.connect();
  await after.ping();
  assert.ok(!after.inbox.items.some((message) => message.type === 'store'), 'nothing to tell any more');
});

test('what the feed of all sessions has still to tell keeps nobody from a session in which all is recorded', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const [quiet, busy] = await Promise.all([client.create('scripted'), client.create('scripted')]);
  await (await busy.prompt(script(stream(100_000, 50, 1000), waitCancel()))).event('text_delta');
  // Several changes within the time that the feed takes for one.
  await quiet.run(script(say('x')));
  await quiet.status('idle', { from: quiet.events.findIndex((event) => event.type === 'complete') });
  limitFiles(server, 1);
  await client.control('store', (message) => message.ok === false);
  const failures = await commitFailures(server);
  await until(async () => {
    assert.equal((await server.rest('GET', `/v1/sessions/${quiet.id}`)).status, 200);
    return (await commitFailures(server)) > failures + 1;
  }, 'the feed to be due');
  limitFiles(server, 'unlimited');
  await client.control('store', (message) => message.ok === true);
});

test('a prompt that was acknowledged is there after the disk was full and the server was killed', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const sessions = await Promise.all([1, 2, 3, 4].map(() => client.create('scripted')));
  const acknowledged = new Map(sessions.map((session) => [session.id, []]));
  const keepPrompting = async (session) => {
    for (;;) {
      try {
        const { messageId } = await session.prompt(script(say('x')));
        acknowledged.get(session.id).push(messageId);
      } catch (error) {
        if (error.code !== 'queue_full') { // and so there is always something to be recorded
          throw error;
        }
        await new Promise((done) => setTimeout(done, 20));
      }
    }
  };
  const ends = sessions.map((session) => keepPrompting(session).catch((error) => error));
  await sessions[0].event('complete');
  limitFiles(server, 1);
  await client.control('store', (message) => message.ok === false);
  await server.kill();
  await Promise.all(ends);
  await server.start();
  const again = await server.connect();
  for (const { id } of sessions) {
    const { events } = await again.follow(id);
    const known = new Set(events.map((event) => event.messageId));
    for (const messageId of acknowledged.get(id)) {
      assert.ok(known.has(messageId), `prompt ${messageId} of ${id} was acknowledged`);
    }
  }
  assert.ok([...acknowledged.values()].flat().length > 0);
});

test('the disk is full again and again in the middle of a run: each prompt is done once, or was refused', async () => {
  const server = await startServer({ agents });
  const { pid } = server;
  const watcher = await server.connect();
  const sessions = await Promise.all([1, 2, 3, 4].map(async () => (await server.connect()).create('scripted')));
  const watching = await Promise.all(sessions.map(({ id }) => watcher.follow(id)));
  const acknowledged = [];
  const refused = [];
  let over = false;
  const keepPrompting = async (session, place) => {
    for (let i = 0; !over; i++) {
      const text = `${place}-${i} `;
      try {
        const turn = await session.prompt(script(say(text), stream(40, 60, 2000)));
        acknowledged.push({ id: session.id, messageId: turn.messageId, text });
        await turn.end();
      } catch (error) {
        assert.equal(error.code, 'storage_unavailable', error.stack);
        assert.equal(error.nack.retryable, true);
        refused.push(text);
        await new Promise((done) => setTimeout(done, 20)); // as a person would
      }
    }
  };
  const all = Promise.all(sessions.map(keepPrompting));
  // Room for none, for a part of a group, for some groups: a write may fail in its middle, too.
  for (const room of [0, 5_000, 40_000]) {
    const before = acknowledged.length;
    await until(() => acknowledged.length >= before + 4, 'some prompts');
    const told = watcher.inbox.items.filter(({ type }) => type === 'store').length;
    const next = (n) => until(() => watcher.inbox.items.filter(({ type }) => type === 'store')[told + n], 'word of the store');
    limitFiles(server, statSync(path.join(server.data, 'signalbox.db-wal')).size + room);
    assert.equal((await next(0)).ok, false);
    refused.push(`room-${room} `);
    await watcher.refusal('prompt', { sessionId: sessions[0].id, text: script(say(refused.at(-1))) }, 'storage_unavailable');
    limitFiles(server, 'unlimited');
    assert.equal((await next(1)).ok, true);
  }
  over = true;
  await all;
  assert.equal(server.pid, pid);
  const fresh = await server.connect();
  for (const [i, { id }] of sessions.entries()) {
    const { watch, events } = await fresh.follow(id);
    assert.deepEqual(watching[i].watch.state(), watch.state(), 'who watched saw what is there');
    const mine = acknowledged.filter((prompt) => prompt.id === id);
    assert.equal(watch.turns.size, mine.length, 'one turn for each prompt that was acknowledged, none for others');
    for (const { messageId, text } of mine) {
      const turns = [...watch.turns.values()].filter((turn) => turn.messageId === messageId);
      assert.equal(turns.length, 1);
      assert.ok(textOf(turns[0]) === text + streamed(40, 60), `the text of ${text}of ${id}`);
    }
    for (const text of refused) {
      assert.ok(!events.some((event) => event.type === 'user_message' && event.text.includes(`"${text}"`)), `${text}was refused`);
    }
  }
});

test('a cancel that cannot be recorded yet is acknowledged when it is, and the agent gets its time', async () => {
  const server = await startServer({ agents, settings: { 'cancel-timeout-ms': 4000 } });
  const client = await server.connect();
  const session = await client.create('scripted');
  const turn = await session.prompt(script(stream(100_000, 50, 200), waitCancel()));
  await turn.event('text_delta');
  limitFiles(server, 1);
  await client.control('store', (message) => message.ok === false);
  let recorded = false;
  const cancelled = session.cancel().then(() => assert.ok(recorded, 'acknowledged before it was recorded'));
  // A group is tried again every 500 ms: longer than an agent has for a cancelled turn.
  const failures = await commitFailures(server);
  await until(async () => (await commitFailures(server)) > failures + 9, 'the group to be tried again');
  recorded = true;
  limitFiles(server, 'unlimited');
  await cancelled;
  const { stopReason } = await turn.end();
  assert.equal(stopReason, 'cancelled');
  assert.ok(!session.events.some((event) => event.type === 'error'), 'the agent was not ended');
});

test('a session whose log is damaged is set apart, and all others are served', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const [whole, damaged] = [await client.create('scripted'), await client.create('scripted')];
  const turns = [await whole.prompt(script(say('I am whole.'), ask())), await damaged.prompt(script(say('HERE-IT-IS'), ask()))];
  await Promise.all(turns.map((turn) => turn.permission()));
  await server.kill();
  assert.equal((await runSignalbox(['store', 'compact', '--data', server.data])).code, 0);
  const file = path.join(server.data, 'signalbox.db');
  const bytes = readFileSync(file);
  for (let at; (at = bytes.indexOf('HERE-IT-IS')) >= 0;) {
    bytes.write('HERE"IT"IS', at); // no JSON any more
  }
  writeFileSync(file, bytes);

  await server.start();
  assert.match(server.log, new RegExp(`level=error .*log is damaged.*session=${damaged.id}`));
  const back = await server.connect({ watches: client.watches });
  const again = await back.resume(whole.id);
  assert.equal(textOf(await again.run(script(say('Goes on.')))), 'Goes on.');
  const summary = (await server.rest('GET', `/v1/sessions/${damaged.id}`)).json;
  assert.equal(summary.phase, 'failed');
  assert.equal(summary.pending, 0);
  back.send({ id: 'all', type: 'subscribe', sessionId: damaged.id });
  const ended = await back.control('unsubscribed', ({ sessionId }) => sessionId === damaged.id);
  assert.deepEqual([ended.reason, ended.id], ['damaged', undefined]);
  assert.equal(textOf(await again.run(script(say('And on.')))), 'And on.'); // the connection, and what else it watches
  for (const [type, fields] of [['prompt', { text: 'Go on.' }], ['resume_queue', {}], ['set_mode', { modeId: 'x' }]]) {
    const refusal = await back.refusal(type, { sessionId: damaged.id, ...fields }, 'closed');
    assert.match(refusal.message, /log is damaged/);
  }

  await server.restart(); // it stays so
  const later = await server.connect();
  assert.match((await later.refusal('prompt', { sessionId: damaged.id, text: 'And now?' }, 'closed')).message, /log is damaged/);
  await server.terminate();
  const check = await runSignalbox(['store', 'check', '--data', server.data]);
  assert.equal(check.code, 1);
  assert.match(check.output, new RegExp(`session ${damaged.id}: its log was damaged`));
  assert.match(check.output, new RegExp(`session ${damaged.id}: event \\d+ is no JSON`));
  await server.start();
  assert.equal((await server.rest('DELETE', `/v1/sessions/${damaged.id}?purge=1`)).status, 200);
});

test('another program has written to the store: the server says so and ends, and what was acknowledged is there', async () => {
  const server = await startServer({ agents });
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('Acknowledged.')));
  const { seq } = session.events.at(-1);
  execFileSync('sqlite3', ['-cmd', '.timeout 10000', path.join(server.data, 'signalbox.db'),
    "INSERT INTO events (session, seq, kind, ts, body) SELECT session, seq + 1, kind, ts, json_set(body, '$.seq', seq + 1)"
    + ` FROM events WHERE seq = ${seq}`]);
  await Promise.all([session.prompt(script(say('never'))).catch(() => {}), client.closed]);
  assert.deepEqual(await server.ended, { code: 3, signal: null });
  assert.match(server.log, /level=error thread=journal msg="the store holds something else/);
  await server.nothingLeft();

  await server.start();
  const again = await (await server.connect()).follow(session.id);
  assert.ok(again.events.some((event) => event.type === 'text_complete' && event.text === 'Acknowledged.'));
  assert.equal(textOf(await again.run(script(say('Goes on.')))), 'Goes on.');
});
