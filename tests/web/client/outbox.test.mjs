// Commands: in order, once, with an end that says which; with a clock of the test's own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWorld, settle } from './lib/fake.mjs';
import { library } from './lib/library.mjs';

const { CommandError } = library;
const nack = (id, code, fields = {}) => ({ type: 'nack', id, code, message: `no: ${code}`, retryable: false, ...fields });
const stateOf = (command) => command.state.get().name;
const ack = (world, command, fields = {}) => world.socket.say({ type: 'ack', id: command.id, ...fields });
const prompts = (world) => world.socket.of('prompt').map((each) => each.text);

async function failure(command) {
  return command.then(() => assert.fail('it was done'), (error) => {
    assert.ok(error instanceof CommandError, error.stack);
    return `${error.outcome}/${error.code}`;
  });
}

test('queued, sent, done', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  const command = client.prompt('s', 'hello');
  const seen = [stateOf(command)];
  command.state.subscribe(() => seen.push(stateOf(command)));
  assert.deepEqual(client.outbox.get(), [command]);
  world.socket.accept();
  assert.deepEqual(world.socket.last('prompt'), { type: 'prompt', id: command.id, sessionId: 's', text: 'hello' });
  ack(world, command, { messageId: 'm1', status: 'accepted' });
  assert.equal((await command).messageId, 'm1');
  assert.deepEqual(seen, ['queued', 'sent', 'done']);
  assert.deepEqual(client.outbox.get(), []);
});

test('a refusal is told with everything that the server said', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const command = client.answer({ requestId: 'r', sessionId: 's', expiresAt: null }, { optionId: 'o' });
  const resolved = { outcome: 'rejected', by: { user: 'bob' }, at: 1 };
  world.socket.say(nack(command.id, 'already_resolved', { resolved }));
  await assert.rejects(async () => await command, (error) => error.outcome === 'refused' && error.nack.resolved.by.user === 'bob');
  assert.equal(stateOf(command), 'refused');
});

test('what was sent and not answered is sent again, first, with its id', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const first = client.send('create_session', { agent: 'a', workspace: '/w' });
  const sent = world.socket.last('create_session');
  world.socket.hangUp();
  assert.equal(stateOf(first), 'sent');
  assert.equal(first.withdraw(), false, 'the server may have it');
  const second = client.send('create_session', { agent: 'b', workspace: '/w' });
  await world.pass(250);
  world.socket.accept();
  assert.deepEqual(world.socket.of('create_session').map((each) => each.id), [first.id, second.id]);
  assert.deepEqual(world.socket.of('create_session')[0], sent);
  ack(world, first, { sessionId: 's1' });
  ack(world, first, { sessionId: 'again' });
  assert.equal((await first).sessionId, 's1');
});

test('those of a session go one by one and in order; other sessions and urgent ones do not wait', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  const [a, b] = ['a', 'b'].map((text) => client.prompt('s', text));
  client.prompt('other', 'c');
  world.socket.accept();
  assert.deepEqual(prompts(world), ['a', 'c']);
  client.answer({ requestId: 'r', sessionId: 's', expiresAt: null }, { allow: true });
  assert.equal(world.socket.of('permission_response').length, 1);
  world.socket.say(nack(a.id, 'storage_unavailable', { retryable: true }));
  assert.equal(stateOf(a), 'waiting');
  assert.deepEqual(prompts(world), ['a', 'c'], 'b does not overtake a');
  world.socket.say({ type: 'store', ok: true });
  assert.deepEqual(prompts(world), ['a', 'c', 'a']);
  ack(world, a);
  assert.deepEqual(prompts(world), ['a', 'c', 'a', 'b']);
  ack(world, b);
  await b;
});

test('a refusal that passes is tried again, later each time; one that a person must decide about is not', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const command = client.send('create_session', { agent: 'a', workspace: '/w' });
  for (const wait of [500, 1000, 2000]) {
    world.socket.say(nack(command.id, 'busy', { retryable: true }));
    const count = world.socket.of('create_session').length;
    await world.pass(wait - 1);
    assert.equal(world.socket.of('create_session').length, count);
    await world.pass(1);
    assert.equal(world.socket.of('create_session').length, count + 1);
  }
  world.socket.say(nack(command.id, 'queue_full', { retryable: true }));
  assert.equal(await failure(command), 'refused/queue_full');

  const never = client.send('create_session', { agent: 'a', workspace: '/w' }, { retry: 'never' });
  world.socket.say(nack(never.id, 'busy', { retryable: true }));
  assert.equal(await failure(never), 'refused/busy');
});

test('`until` is by the server\'s clock', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  const command = client.send('create_session', { agent: 'a', workspace: '/w' });
  world.socket.accept({ timestamp: world.time + 5_000 });
  world.socket.say(nack(command.id, 'rate_limited', { retryable: true, until: world.time + 5_000 + 20_000 }));
  assert.equal(command.state.get().until, world.time + 20_000);
});

test('what waits too long is given up, and says whether it was ever sent', async () => {
  const world = new FakeWorld();
  const client = world.client();
  const command = client.prompt('s', 'x', undefined, { expiresInMs: 1_000 });
  const forever = client.prompt('s', 'y', undefined, { expiresInMs: null });
  await world.pass(999);
  assert.equal(stateOf(command), 'queued');
  await world.pass(1);
  assert.equal(await failure(command), 'not_sent/expired_unsent');
  await world.pass(7 * 24 * 3_600_000);
  assert.equal(stateOf(forever), 'queued');

  const other = new FakeWorld();
  const second = await other.live();
  const sent = second.prompt('s', 'x', undefined, { expiresInMs: 1_000 });
  other.socket.hangUp(3500);
  await other.pass(22 * 3_600_000);
  assert.equal(stateOf(sent), 'sent', 'it may have been done');
  await other.pass(3_600_000);
  assert.equal(await failure(sent), 'unknown/given_up');

  const refused = new FakeWorld();
  const third = await refused.live();
  const busy = third.prompt('s', 'x', undefined, { expiresInMs: 1_000 });
  refused.socket.say(nack(busy.id, 'busy', { retryable: true, until: refused.time + 50_000 }));
  await refused.pass(1_000);
  assert.equal(await failure(busy), 'refused/busy');
});

test('an answer that is given offline: sent when back, or said to be too late', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const request = (requestId, ms) => ({ requestId, sessionId: 's', expiresAt: world.time + ms });
  const [soon, later, over] = [request('soon', 5_000), request('later', 600_000), request('over', 600_000)];
  world.socket.hangUp();
  const late = client.answer(soon, { optionId: 'yes' });
  const good = client.answer(later, { optionId: 'yes' });
  const gone = client.answer(over, { optionId: 'yes' });
  await world.pass(20_000);
  assert.equal(await failure(late), 'not_sent/too_late');
  client.retryNow();
  world.socket.accept();
  assert.deepEqual(world.socket.of('permission_response').map((each) => each.requestId), ['later', 'over']);
  ack(world, good, { requestId: 'later', outcome: 'allowed' });
  world.socket.say(nack(gone.id, 'cancelled'));
  assert.equal((await good).outcome, 'allowed');
  assert.equal(await failure(gone), 'refused/cancelled');
});

test('the queue has a bound, in number and in bytes', async () => {
  const world = new FakeWorld();
  const client = world.client({ outbox: { maxCommands: 2 } });
  const kept = [client.prompt('s', '1'), client.prompt('s', '2')];
  assert.equal(await failure(client.prompt('s', '3')), 'not_sent/offline_queue_full');
  assert.equal(kept[0].withdraw(), true);
  assert.equal(await failure(kept[0]), 'not_sent/withdrawn');
  assert.equal(stateOf(client.prompt('s', '4')), 'queued');
  const small = world.client({ outbox: { maxBytes: 1000 } });
  small.prompt('s', 'x'.repeat(600));
  assert.equal(await failure(small.prompt('s', 'x'.repeat(600))), 'not_sent/offline_queue_full');
});

test('too large is never sent, and after 1009 the largest is never sent again', async () => {
  const world = new FakeWorld();
  const client = await world.live({ connection: {} });
  assert.equal(await failure(client.prompt('s', 'x'.repeat(2 << 20))), 'not_sent/too_large');
  assert.equal(world.socket.of('prompt').length, 0);
  const large = client.prompt('a', 'x'.repeat(5000));
  const small = client.prompt('b', 'small');
  world.socket.hangUp(1009);
  assert.equal(await failure(large), 'refused/too_large');
  await world.pass(250);
  world.socket.accept();
  assert.deepEqual(prompts(world), ['small']);
  ack(world, small);
  await small;
  world.socket.hangUp(1009);
  await world.pass(1_000);
  world.socket.accept({ limits: { maxMessageBytes: 1024 } });
  assert.equal(await failure(client.prompt('a', 'x'.repeat(2000))), 'not_sent/too_large');
});

test('what was queued under a larger limit is looked at again when it is sent', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  const command = client.prompt('s', 'x'.repeat(5000));
  const next = client.prompt('s', 'next');
  world.socket.accept({ limits: { maxMessageBytes: 1024 } });
  assert.equal(await failure(command), 'not_sent/too_large');
  assert.deepEqual(prompts(world), ['next']);
  assert.equal(stateOf(next), 'sent');
});

test('a cancel takes back what was not sent, and leaves what may have been', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const sent = client.prompt('s', 'sent');
  const waits = client.prompt('s', 'waits');
  const other = client.prompt('t', 'of another session');
  client.cancel('s');
  assert.equal(await failure(waits), 'not_sent/withdrawn');
  assert.deepEqual([stateOf(sent), stateOf(other)], ['sent', 'sent']);
  assert.deepEqual(world.socket.sent.map((each) => each.type), ['prompt', 'prompt', 'cancel']);
});

test('a cancel names the turn that it means', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  client.cancel('s', { turnId: 't1', expiresInMs: null });
  client.cancel('s', { turnId: null, all: true });
  const [named, any] = world.socket.of('cancel');
  assert.deepEqual([named.turnId, named.expiresInMs, 'all' in named], ['t1', undefined, false]);
  assert.deepEqual(['turnId' in any, any.all], [false, true]);
});

test('no more at a time than the server takes', async () => {
  const world = new FakeWorld();
  const client = world.client().start();
  const commands = Array.from({ length: 20 }, (_, i) => client.send('create_session', { agent: `a${i}`, workspace: '/w' }));
  world.socket.accept({ limits: { maxCommandsInFlight: 8 } });
  assert.equal(world.socket.of('create_session').length, 4);
  for (const command of commands) {
    ack(world, command);
  }
  assert.deepEqual(world.socket.of('create_session').map((each) => each.agent), commands.map((_, i) => `a${i}`));
});

test('a server that fails again and again is left alone for a while; a cancel goes through', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const commands = Array.from({ length: 5 }, (_, i) => client.send('create_session', { agent: `a${i}`, workspace: '/w' }));
  for (const command of commands) {
    world.socket.say(nack(command.id, 'internal', { retryable: true }));
  }
  const count = () => world.socket.of('create_session').length;
  assert.equal(count(), 5);
  client.cancel('s');
  assert.equal(world.socket.of('cancel').length, 1);
  await world.pass(6_249);
  assert.equal(count(), 5);
  await world.pass(1);
  assert.equal(count(), 6, 'one try');
  ack(world, commands[0]);
  assert.equal(count(), 10, 'and it works again');
});

test('somebody else is logged in: nothing is said in their name', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const sent = client.prompt('s', 'mine');
  world.socket.hangUp(3500);
  const queued = client.prompt('t', 'also mine');
  client.restart();
  world.socket.accept({ user: 'bob' });
  assert.equal(await failure(sent), 'unknown/other_user');
  assert.equal(await failure(queued), 'not_sent/other_user');
  assert.deepEqual(world.socket.of('prompt'), []);
});

test('with a new identity, what was sent cannot be asked about', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const before = client.clientId;
  const sent = client.prompt('s', 'sent');
  world.socket.hangUp(3504);
  const queued = client.prompt('t', 'queued');
  client.restart({ newIdentity: true });
  assert.notEqual(client.clientId, before);
  assert.equal(await failure(sent), 'unknown/given_up');
  world.socket.accept();
  assert.equal(stateOf(queued), 'sent');
});

test('closing the client tells everybody', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const sent = client.prompt('s', 'sent');
  const queued = client.prompt('s', 'queued');
  client.close();
  assert.equal(await failure(sent), 'unknown/client_closed');
  assert.equal(await failure(queued), 'not_sent/client_closed');
  assert.equal(await failure(client.prompt('s', 'after')), 'not_sent/client_closed');
});

class Storage {
  items = new Map();
  getItem = (key) => this.items.get(key) ?? null;
  setItem = (key, value) => void this.items.set(key, value);
  removeItem = (key) => void this.items.delete(key);
}

test('what waits outlives a reload, with its ids and the client\'s', async () => {
  const storage = new Storage();
  const world = new FakeWorld();
  const before = await world.live({ storage });
  const sent = before.prompt('s', 'sent');
  world.socket.hangUp();
  before.prompt('t', 'queued');

  const next = new FakeWorld();
  next.time = world.time + 1_000;
  const after = next.client({ storage });
  assert.equal(after.clientId, before.clientId);
  const [first, second] = after.outbox.get();
  assert.deepEqual([first.id, stateOf(first), stateOf(second)], [sent.id, 'sent', 'queued']);
  after.start();
  next.socket.accept();
  assert.deepEqual(prompts(next), ['sent', 'queued']);
  ack(next, first);
  ack(next, second);
  await second;
  assert.equal(storage.getItem('signalbox:outbox'), null);
  await settle();
});

test('a storage that does not work is told, and costs nothing else', async () => {
  const said = [];
  const broken = { getItem: () => '{', setItem: () => { throw new Error('full'); }, removeItem: () => {} };
  const world = new FakeWorld();
  const client = await world.live({ storage: broken, warn: (message) => said.push(message) });
  const command = client.prompt('s', 'x');
  ack(world, command, { messageId: 'm' });
  assert.equal((await command).messageId, 'm');
  assert.ok(said.some((message) => /could not be stored/.test(message)));
});

test('a failure that nobody awaits is no uncaught one', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  world.socket.say(nack(client.prompt('s', 'x').id, 'closed'));
  await settle();
});
