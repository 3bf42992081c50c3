// When the client comes back, and when not; with a clock of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWorld } from './lib/fake.mjs';
import { Backoff, Breaker, library } from './lib/library.mjs';

const name = (client) => client.connection.get().name;

test('full jitter: anything up to twice as much each time, up to the limit', () => {
  for (const [random, wanted] of [[0, [0, 0, 0, 0]], [0.5, [250, 500, 1000, 1500]], [0.999, [499.5, 999, 1998, 2997]]]) {
    const backoff = new Backoff({ baseMs: 500, maxMs: 3000 }, () => random);
    assert.deepEqual(wanted.map(() => backoff.next()), wanted);
    backoff.reset();
    assert.equal(backoff.next(), wanted[0]);
  }
  const long = new Backoff({ baseMs: 500, maxMs: 3000 }, () => 1);
  assert.ok(Array.from({ length: 2000 }, () => long.next()).every((ms) => ms <= 3000));
});

test('a breaker opens after failures in a row, tries once, and waits longer each time', () => {
  let now = 0;
  const breaker = new Breaker({ failures: 3, pauseMs: 100, maxPauseMs: 300 }, () => now, () => 0);
  breaker.failed();
  breaker.failed();
  breaker.succeeded();
  breaker.failed();
  breaker.failed();
  assert.equal(breaker.state, 'closed');
  assert.equal(breaker.waitMs(), 0);
  for (const pause of [100, 200, 300, 300]) {
    breaker.failed();
    assert.equal(breaker.state, 'open');
    assert.equal(breaker.waitMs(), pause);
    now += pause;
    assert.equal(breaker.waitMs(), 0);
    breaker.attempt();
    assert.equal(breaker.state, 'half_open');
    assert.equal(breaker.waitMs(), Infinity);
  }
  breaker.succeeded();
  assert.equal(breaker.state, 'closed');
});

test('it comes back after a cut, later and later, and is never silent about it', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  world.socket.hangUp(1006);
  const begun = world.time;
  for (const wait of [250, 500, 1000, 2000, 4000, 8000, 15_000]) {
    const state = client.connection.get();
    assert.equal(state.name, 'offline');
    assert.equal(state.since, begun);
    assert.equal(state.retryAt - world.time, wait);
    const before = world.sockets.length;
    await world.pass(wait - 1);
    assert.equal(world.sockets.length, before);
    await world.pass(1);
    assert.equal(world.sockets.length, before + 1);
    assert.deepEqual({ ...client.connection.get(), attempt: 0 }, { name: 'connecting', since: begun, attempt: 0 });
    world.socket.hangUp(1006);
  }
});

test('a connection that lived makes the next wait short again; one that did not, does not', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  for (const wait of [250, 500, 1000]) {
    world.socket.hangUp();
    assert.equal(client.connection.get().retryAt - world.time, wait);
    await world.pass(wait);
    world.socket.accept();
  }
  await world.pass(5_000);
  world.socket.hangUp();
  assert.equal(client.connection.get().retryAt - world.time, 250);
});

test('reconnectAfterMs is kept to', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  await world.pass(10_000);
  world.socket.say({ type: 'shutting_down', reconnectAfterMs: 3_456 });
  world.socket.hangUp(3000);
  assert.equal(client.connection.get().retryAt - world.time, 3_456);
  await world.pass(3_456);
  assert.equal(name(client), 'connecting');
  world.socket.hangUp(1006);
  assert.ok(client.connection.get().retryAt - world.time <= 1_000, 'once');
});

for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 1012, 3000, 3001, 3002, 3499, 4000]) {
  test(`after ${code} it comes back`, async () => {
    const world = new FakeWorld();
    const client = await world.live();
    world.socket.hangUp(code);
    assert.equal(name(client), 'offline');
    await world.pass(60_000);
    assert.ok(world.sockets.length > 1);
  });
}

for (const [code, why] of [[3500, 'login'], [3501, 'forbidden'], [3502, 'rate_limited'], [3503, 'protocol'], [3504, 'replaced'], [3999, 'other']]) {
  test(`after ${code} it does not come back (${why}), until it is told to`, async () => {
    const world = new FakeWorld();
    const client = await world.live();
    world.socket.hangUp(code, 'because');
    assert.deepEqual({ ...client.connection.get(), since: 0 }, { name: 'stopped', since: 0, why, code, reason: 'because' });
    world.wake();
    client.retryNow();
    await world.pass(3_600_000);
    assert.equal(world.sockets.length, 1);
    client.restart();
    world.socket.accept();
    assert.equal(name(client), 'live');
    assert.equal(world.sockets[0].url, world.sockets[1].url, 'with the same id');
  });
}

test('a refused upgrade is looked into: not logged in, forbidden, later', async () => {
  for (const [status, wanted] of [[401, 'login'], [403, 'forbidden']]) {
    const world = new FakeWorld();
    world.answer = () => new Response(JSON.stringify({ code: 'x', detail: 'why' }), { status });
    const client = world.client().start();
    world.socket.hangUp(1006);
    await world.pass(0);
    assert.equal(client.connection.get().why, wanted);
    assert.equal(client.connection.get().reason, 'why');
    await world.pass(600_000);
    assert.equal(world.sockets.length, 1);
  }
  const world = new FakeWorld();
  world.answer = () => new Response('{}', { status: 503, headers: { 'Retry-After': '40' } });
  const client = world.client().start();
  world.socket.hangUp(1006);
  await world.pass(0);
  assert.equal(client.connection.get().retryAt - world.time, 40_000);
  world.answer = () => Promise.reject(new TypeError('no network'));
  await world.pass(40_000);
  world.socket.hangUp(1006);
  await world.pass(0);
  assert.equal(name(client), 'offline');
});

test('what is found out late counts, as long as nothing else has happened', async () => {
  const world = new FakeWorld();
  let refuse;
  world.answer = () => new Promise((resolve) => (refuse = () => resolve(new Response('{"code":"unauthenticated"}', { status: 401 }))));
  const client = world.client().start();
  world.socket.hangUp(1006);
  const first = refuse;
  await world.pass(300);
  assert.equal(name(client), 'connecting');
  first();
  await world.pass(0);
  assert.equal(name(client), 'stopped');
  client.restart();
  world.socket.hangUp(1006);
  const second = refuse;
  client.restart(); // as after a login
  second();
  await world.pass(0);
  assert.equal(name(client), 'connecting');
});

test('an error without an end is an end', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  world.socket.onerror({});
  await world.pass(249);
  assert.equal(name(client), 'connecting');
  await world.pass(1);
  assert.equal(name(client), 'offline');
});

test('a server that never says a word is left, and tried again', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  await world.pass(14_999);
  assert.equal(name(client), 'connecting');
  await world.pass(1);
  assert.equal(name(client), 'offline');
  assert.ok(world.sockets[0].isLeft);
});

test('wake: comes back at once, but not in a hurry', async () => {
  const world = new FakeWorld();
  world.random = 0.999;
  const client = await world.live();
  for (let i = 0; i < 6; i++) {
    world.socket.hangUp();
    await world.pass(client.connection.get().retryAt - world.time);
  }
  world.socket.hangUp();
  await world.pass(2_000);
  const before = world.sockets.length;
  world.wake();
  assert.equal(world.sockets.length, before + 1);
  world.socket.hangUp();
  world.wake();
  world.wake();
  assert.equal(world.sockets.length, before + 1);
  await world.pass(1_000);
  assert.equal(world.sockets.length, before + 2);
});

test('a breaker stops a client that is turned away again and again; a person, or waking up, tries anyway', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  for (let i = 0; i < 10; i++) {
    world.socket.hangUp();
    await world.pass(0);
    if (i < 9) {
      assert.equal(client.connection.get().breaker, 'closed', String(i));
      await world.pass(client.connection.get().retryAt - world.time);
    }
  }
  const state = client.connection.get();
  assert.equal(state.breaker, 'open');
  assert.ok(state.retryAt - world.time >= 60_000);
  const before = world.sockets.length;
  await world.pass(59_000);
  assert.equal(world.sockets.length, before);
  client.retryNow();
  assert.equal(world.sockets.length, before + 1);
  world.socket.hangUp();
  assert.ok(client.connection.get().retryAt - world.time >= 120_000, 'longer after the one try');
  await world.pass(5_000);
  world.wake();
  world.socket.accept();
  await world.pass(5_000);
  world.socket.hangUp();
  assert.equal(client.connection.get().breaker, 'closed');
});

test('a silent socket is asked, and left if it does not answer', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const first = world.socket;
  await world.pass(29_000);
  assert.equal(first.of('ping').length, 0);
  await world.pass(2_000);
  assert.equal(first.of('ping').length, 1);
  first.say({ type: 'pong' });
  await world.pass(25_000);
  assert.equal(name(client), 'live');
  await world.pass(60_000);
  assert.ok(first.isLeft);
  assert.ok(world.sockets.length > 1);
});

test('any message is an answer', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  await world.pass(31_000);
  assert.equal(world.socket.of('ping').length, 1);
  world.socket.say({ type: 'something_new' });
  await world.pass(12_000);
  assert.equal(name(client), 'live');
});

test('after sleep the socket is asked at once, with little patience', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  await world.pass(5_000);
  world.sleep(3_600_000);
  await world.pass(1);
  assert.equal(world.socket.of('ping').length, 1, 'its timer came far too late');
  await world.pass(4_000);
  assert.notEqual(name(client), 'live');

  const other = new FakeWorld();
  const page = await other.live();
  other.wake();
  assert.equal(other.socket.of('ping').length, 1);
  other.socket.say({ type: 'pong' });
  await other.pass(10_000);
  assert.equal(name(page), 'live');
});

test('a network that is said to be gone is asked after at once, and believed where nobody answers', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  world.cut();
  assert.equal(world.socket.of('ping').length, 1);
  world.socket.say({ type: 'pong' });
  await world.pass(10_000);
  assert.equal(name(client), 'live', 'a server on the same machine is still there');
  world.cut();
  await world.pass(4_000);
  assert.equal(name(client), 'offline');
  const tries = world.sockets.length;
  world.cut();
  assert.equal(world.sockets.length, tries, 'it is no reason to come back');
});

test('a slow network is not a dead one: what is being written counts, and patience grows', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  world.socket.bufferedAmount = 900_000;
  world.wake();
  await world.pass(3_000);
  world.socket.bufferedAmount = 500_000;
  await world.pass(4_999);
  assert.equal(name(client), 'live');
  await world.pass(1);
  assert.equal(name(client), 'offline');
  await world.pass(250);
  world.socket.accept();
  world.wake();
  await world.pass(7_999);
  assert.equal(name(client), 'live', 'twice as long as the time before');
  await world.pass(1);
  assert.equal(name(client), 'offline');
});

test('close ends it for good', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  client.close();
  assert.equal(world.socket.leftWith, 1000);
  client.restart();
  world.wake();
  await world.pass(600_000);
  assert.equal(name(client), 'closed');
  assert.equal(world.sockets.length, 1);
  assert.deepEqual(world.timers, []);
});

test('without a WebSocket it says so', () => {
  const world = new FakeWorld();
  const client = world.client({ platform: { ...world.platform, WebSocket: undefined } }).start();
  assert.match(client.connection.get().reason, /pass one as the option `WebSocket`/);
  assert.throws(() => world.client({ token: 'x' }), /login\(token\)/);
  assert.throws(() => new library.SignalboxClient({}), /`url` is missing/);
});

test('a token goes where the WebSocket takes it', () => {
  const world = new FakeWorld();
  world.client({ token: 'secret', platform: { ...world.platform, isBrowser: false } }).start();
  assert.deepEqual(world.socket.options, { headers: { Authorization: 'Bearer secret' } });
  assert.doesNotMatch(world.socket.url, /secret/);
});
