// What is folded ends in the same state as what was seen live: over each way that it comes, broken off at each event,
// and while the store folds what is over.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import path from 'node:path';
import { gated, scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { ask, gate, say, script, stream, think, tool } from './lib/script.mjs';
import { runSignalbox, startServer } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';
import { Watch } from './lib/watch.mjs';

const agents = { scripted: scripted() };
const settings = { 'delta-window-ms': 0, 'fold-after-ms': 0 };
const server = await startServer({ agents, settings });

const done = (id) => ({
  update: { sessionUpdate: 'tool_call_update', toolCallId: id, status: 'completed',
    content: [{ type: 'content', content: { type: 'text', text: `all of ${id}` } }] },
});
/** Text with things in its midst, and calls side by side: much is withheld for what comes later. */
const tangled = [
  think('Let me see. '), stream(10, 20), { usage: { used: 1, size: 100 } }, stream(10, 20), { title: 'A title' }, stream(5, 20),
  tool({ id: 'a', title: 'A', output: 'first', outputChunks: 3, leaveOpen: true }),
  tool({ id: 'b', title: 'B', output: 'second', outputChunks: 2, leaveOpen: true }),
  { usage: { used: 2, size: 100 } }, done('a'), { plan: ['x', 'y'] }, done('b'), say('Between. '), { usage: { used: 3, size: 100 } },
  stream(10, 20), { commands: ['go'] }, say('The end.'),
];

const idle = (session) => session.status('idle', { from: session.events.findLastIndex((event) => event.type === 'complete') });

/** A client's watch that got these events, and then was away. */
function watchOf(session, events) {
  const watch = new Watch(session.id);
  watch.epoch = session.answer.epoch;
  events.forEach((event) => watch.event(event));
  return watch;
}

async function resume(of, session, watch) {
  const client = await of.connect({ watches: new Map([[session.id, watch]]) });
  const resumed = await client.resume(session.id);
  await client.close();
  return resumed;
}

async function page(of, id, query) {
  const { status, json } = await of.rest('GET', `/v1/sessions/${id}/events?${query}`);
  assert.equal(status, 200);
  return json;
}

/** The events of an SSE stream up to its replay's end. */
async function streamed(of, session, query = '', headers = {}) {
  const url = `${of.url}/v1/sessions/${session.id}/events${query}`;
  const call = http.get(url, { headers: { Accept: 'text/event-stream', ...headers } });
  const response = await new Promise((resolve, reject) => call.on('response', resolve).on('error', reject));
  const events = [];
  let text = '';
  const whole = new Promise((resolve) => {
    response.setEncoding('utf8').on('data', (part) => {
      text += part;
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const data = /^data: (.*)$/m.exec(text.slice(0, end));
        const message = data ? JSON.parse(data[1]) : {};
        if (message.type === 'replay_complete') {
          resolve();
        } else if (message.seq !== undefined) {
          assert.match(text.slice(0, end), new RegExp(`^id: ${session.answer.epoch}:${message.seq}$`, 'm'));
          events.push(message);
        }
      }
    });
  });
  await within(whole, 20_000, () => 'the end of a replay');
  call.destroy();
  return events;
}

async function everyWay(of, live) {
  const wanted = live.watch.state();
  const fresh = await (await of.connect()).follow(live.id);
  assert.deepEqual(fresh.watch.state(), wanted, 'WebSocket');
  assert.ok(fresh.events.length < live.events.length / 2, `${fresh.events.length} of ${live.events.length}`);
  assert.deepEqual(watchOf(live, await streamed(of, live)).state(), wanted, 'SSE');
  for (const limit of [1, 3, 1000]) {
    const watch = watchOf(live, []);
    let query = `limit=${limit}`;
    for (let next = 'first'; next; ) {
      const got = await page(of, live.id, query);
      assert.ok(got.events.length > 0 && got.events.length <= limit);
      got.events.forEach((event) => watch.event(event));
      next = got.next;
      query = `limit=${limit}&after=${next}`;
      assert.ok(!next || next === `${got.epoch}:${watch.position.seq}`);
    }
    assert.deepEqual(watch.state(), wanted, `REST, ${limit}`);
  }
  await fresh.client.close();
  return fresh;
}

test('over WebSocket, SSE and REST the end is the live state', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(script(...tangled));
  await live.run(script(say('Again.')));
  await idle(live);
  await everyWay(server, live);
});

test('while the turn is open, too', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(script(say('before')));
  const half = tool({ id: 'h', title: 'Half', output: 'half of it', outputChunks: 4, leaveOpen: true });
  const turn = await live.prompt(script(...tangled, half, stream(300, 10), ask()));
  const request = await turn.permission();
  await live.status('waiting');
  await until(() => live.watch.position.seq === live.events.at(-1).seq, 'what is there');
  const fresh = await everyWay(server, live);
  assert.equal(fresh.watch.pending().length, 1);
  const late = await (await server.connect()).follow(live.id);
  await live.answerPermission(request, { allow: true });
  await turn.end();
  await idle(live);
  await late.status('idle', { from: late.events.length - 1 });
  assert.deepEqual(late.watch.state(), live.watch.state(), 'from the fold to the live events');
});

test('history: turn is folded from the beginning of the turn', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(script(say('before')));
  const turn = await live.prompt(script(stream(200, 10), ask()));
  await turn.permission();
  const open = await (await server.connect()).follow(live.id, { history: 'turn' });
  assert.equal(open.events[0].type, 'turn_started');
  assert.ok(open.events.length < 20);
  await live.cancel();
  await turn.end();
});

test('a short gap inside the tail is filled with the events as they were', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(script(stream(500, 10), tool({ title: 'T', output: 'abc', outputChunks: 3 }), stream(20, 10)));
  await idle(live);
  await (await server.connect()).follow(live.id); // and others came meanwhile
  for (const gap of [1, 5, 100, 256]) {
    const watch = watchOf(live, live.events.slice(0, -gap));
    const resumed = await resume(server, live, watch);
    assert.deepEqual(resumed.events.slice(-gap), live.events.slice(-gap), `${gap} of them`);
    assert.ok(resumed.events.slice(-gap).every((event) => event.from === undefined));
    assert.deepEqual(watch.state(), live.watch.state());
  }
});

// The server has sent all of it; what it cannot know is how much arrived.
test('a replay that broke off at any event goes on to the live state', async () => {
  const live = await (await server.connect()).create('scripted');
  await live.run(script(...tangled));
  await idle(live);
  assert.ok(live.events.length < 256, 'all of it is near enough for raw events');
  const whole = await (await server.connect()).follow(live.id);
  let folded = 0;
  for (let count = 1; count < whole.events.length; count++) {
    const watch = watchOf(live, whole.events.slice(0, count));
    const resumed = await resume(server, live, watch);
    assert.deepEqual(resumed.watch.state(), live.watch.state(), `after ${count}`);
    folded += resumed.events.slice(count).some((event) => event.from !== undefined);
  }
  assert.ok(folded > 0);
});

test('so does one that broke off in a stream, and one that was read in pages', async () => {
  for (const way of ['sse', 'rest']) {
    const live = await (await server.connect()).create('scripted');
    await live.run(script(...tangled));
    await idle(live);
    const events = way === 'sse' ? await streamed(server, live) : [];
    for (let query = 'limit=1'; way === 'rest' && query; ) {
      const got = await page(server, live.id, query);
      events.push(...got.events);
      query = got.next && `limit=1&after=${got.next}`;
    }
    for (let count = 1; count < events.length; count++) {
      const watch = watchOf(live, events.slice(0, count));
      const { epoch, seq } = watch.position;
      const rest = watchOf(live, events.slice(0, count));
      await resume(server, live, watch);
      assert.deepEqual(watch.state(), live.watch.state(), `${way}, after ${count}`);
      const more = await streamed(server, live, '', { 'Last-Event-ID': `${epoch}:${seq}` });
      rest.subscribed({ epoch, mode: 'replay' }, { after: rest.position });
      more.forEach((event) => rest.event(event));
      assert.deepEqual(rest.state(), live.watch.state(), `${way} to sse, after ${count}`);
    }
  }
});

test('a live client that falls behind is told, gets what it missed folded, and is told when it is there', async () => {
  const live = await (await server.connect()).create('scripted');
  const lazy = await server.connect();
  const theirs = await lazy.follow(live.id);
  lazy.socket.pause();
  const turn = await live.prompt(script(stream(16_000, 1000), ask()));
  const request = await turn.permission(0, { ms: 60_000 });
  assert.ok(!lazy.inbox.items.some((message) => message.type === 'lagging'));
  lazy.socket.resume();
  const lagging = await lazy.control('lagging', (message) => message.sessionId === live.id);
  assert.ok(lagging.behindEvents > 256 || lagging.behindBytes > 65536, JSON.stringify(lagging));
  await lazy.control('caught_up', (message) => message.sessionId === live.id);
  await live.answerPermission(request, { allow: true });
  await turn.end();
  await idle(live);
  const { seq } = live.watch.position;
  await until(() => theirs.watch.position.seq === seq, 'the head');
  assert.deepEqual(theirs.watch.state(), live.watch.state());
  assert.ok(theirs.events.some(({ from, seq: last }) => from < last), 'not all of it came as it was'); // (who is live may be late as well)
  // While buffers grow it may get through more than once: each is told once, one after the other.
  const told = lazy.inbox.items.filter((message) => ['lagging', 'caught_up'].includes(message.type));
  assert.deepEqual(told.map(({ type }) => type), told.map((_, i) => (i % 2 ? 'caught_up' : 'lagging')));
  assert.equal(told.at(-1).type, 'caught_up');
  assert.ok(told.filter(({ type }) => type === 'caught_up').every((m) => m.behindEvents <= 256 && m.behindBytes <= 65536));

  const late = await server.connect();
  await late.follow(live.id);
  assert.ok(!late.inbox.items.some((message) => message.type === 'lagging'), 'who asked for a replay does not lag');
});

test('who came to the head of a replay goes on with events as they are, whatever is folded for others', async () => {
  const { agent, open } = gated();
  const own = await startServer({ agents: { gated: agent }, settings });
  const live = await (await own.connect()).create('gated');
  for (let turn = 0; turn < 6; turn++) { // more than a socket takes that nobody reads
    await live.run(script(stream(1000, 1000)));
  }
  const turn = await live.prompt(script(say('a'), gate(), { usage: { used: 1, size: 100 } }, say('b'), gate(), say('c')));
  await turn.event('text_delta');
  const slow = await own.connect();
  slow.socket.pause();
  const coming = slow.follow(live.id);
  await until(async () => (await metric(own, 'signalbox_subscriptions')) === 2, 'the subscription');
  open(1);
  await turn.event('text_delta', ({ delta }) => delta === 'b');
  // To this one `usage` comes before the text that it interrupts: no position up to there is whole, for who has it from a fold.
  const other = await (await own.connect()).follow(live.id);
  assert.ok(other.events.some(({ type, from, delta }) => type === 'text_delta' && from === undefined && delta === 'ab'));
  slow.socket.resume();
  const { events, answer } = await coming;
  assert.equal(answer.head, live.events.find(({ delta }) => delta === 'a').seq);
  open(2);
  await turn.end();
  await until(() => events.some(({ type, turnId }) => type === 'complete' && turnId === turn.id), 'the end');
  const later = events.filter(({ seq, type }) => seq > answer.head && type === 'text_delta');
  assert.deepEqual(later.map(({ offset, delta }) => [offset, delta]), [[1, 'b'], [2, 'c']]);
});

// ---- The store folds turns that are over ----

async function metric(of, name) {
  const { text } = await of.rest('GET', '/metrics');
  return parseMetrics(text).get(name).samples[0].value;
}

const folds = (count) => ({ agents, settings: { ...settings, 'fold-after-ms': 1 + count } });

/** Until the store has so few events. Not by a replay or a page, which would tell the server where its reader may be. */
async function foldedTo(of, most) {
  const count = ['-readonly', '-cmd', '.timeout 10000', path.join(of.data, 'signalbox.db'), 'SELECT count(*) FROM events'];
  const rows = () => Number(execFileSync('sqlite3', count, { encoding: 'utf8' }));
  await until(() => rows() < most, () => `the store to fold ${rows()} events to ${most}`, 90_000);
}

async function check(of) {
  const { code, output } = await runSignalbox(['store', 'check', '--data', of.data]);
  assert.equal(code, 0, output);
  return Number(/(\d+) events/.exec(output)[1]);
}

test('the store folds closed turns under those who are behind, and nobody notices', async () => {
  const folding = await startServer(folds(0));
  const live = await (await folding.connect()).create('scripted');
  for (let i = 0; i < 4; i++) {
    await live.run(script(...tangled.filter((step) => !step.tool && !step.update), tool({ title: `T${i}`, output: 'abc', outputChunks: 3 }), stream(400, 5)));
  }
  await live.run(script(...tangled));
  await idle(live);
  await foldedTo(folding, live.events.length / 5);
  const fresh = await everyWay(folding, live);
  const wanted = live.watch.state();
  for (let count = 1; count < fresh.events.length; count++) {
    const resumed = await resume(folding, live, watchOf(live, fresh.events.slice(0, count)));
    assert.deepEqual(resumed.watch.state(), wanted, `a replay that broke off after ${count}`);
  }
  const step = Math.ceil(live.events.length / 60);
  for (let count = 1; count < live.events.length; count += step) {
    const seen = live.events.slice(0, count); // most of these positions are inside of a folded event
    const resumed = await resume(folding, live, watchOf(live, seen));
    assert.deepEqual(resumed.watch.state(), wanted, `WebSocket from ${count}`);
    const watch = watchOf(live, seen);
    const { epoch, seq } = watch.position;
    watch.subscribed({ epoch, mode: 'replay' }, { after: watch.position });
    (await page(folding, live.id, `after=${epoch}:${seq}&limit=1000`)).events.forEach((event) => watch.event(event));
    assert.deepEqual(watch.state(), wanted, `REST from ${count}`);
  }
  const reset = await folding.connect();
  const theirs = await reset.subscribe(live.id, { after: { epoch: 'another', seq: 3 } });
  assert.equal(theirs.answer.mode, 'reset');
  await reset.control('replay_complete');
  assert.deepEqual(theirs.watch.state(), wanted);

  await folding.terminate();
  const rows = await check(folding);
  assert.ok(rows < live.events.length / 5, `${rows} rows of ${live.events.length} events`);
  const compacted = await runSignalbox(['store', 'compact', '--data', folding.data]);
  assert.equal(compacted.code, 0, compacted.output);
  assert.equal(await check(folding), rows);
  await folding.start();
  await everyWay(folding, live);
});

test('clients that are behind while the store folds end in the live state', async () => {
  const folding = await startServer(folds(0));
  const live = await (await folding.connect()).create('scripted');
  const long = script(stream(6000, 4), tool({ title: 'T', output: 'abc', outputChunks: 3 }), stream(6000, 4));
  await live.run(long);
  await idle(live);
  for (let before = 0; ; ) {
    const fresh = await (await folding.connect()).follow(live.id);
    assert.deepEqual(fresh.watch.state(), live.watch.state());
    await fresh.client.close();
    const now = await metric(folding, 'signalbox_store_folded_events_total');
    if (now > 0 && now === before) {
      break;
    }
    before = now;
  }
});

test('SIGKILL while the store folds: it goes on where it was', async () => {
  const folding = await startServer(folds(1));
  const live = await (await folding.connect()).create('scripted');
  await live.run(script(stream(40_000, 4)), undefined);
  await idle(live);
  const wanted = live.watch.state();
  await until(async () => (await metric(folding, 'signalbox_store_folded_events_total')) > 0, 'the store to fold');
  await folding.kill();
  await check(folding);
  await folding.start();
  await foldedTo(folding, 100);
  const fresh = await (await folding.connect()).follow(live.id);
  assert.deepEqual(fresh.watch.state().turns, wanted.turns);
  await folding.terminate();
  assert.ok((await check(folding)) < 100);
});
