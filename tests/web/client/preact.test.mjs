// The hooks, drawn by Preact itself into a document of a few lines.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FakeWorld, settle } from './lib/fake.mjs';
import { distUrl, requireFromClient } from './lib/library.mjs';

const undom = requireFromClient('undom');
globalThis.document = undom();
// The same modules as the bindings import: by their path, as ES modules.
const resolve = (name) => import(pathToFileURL(requireFromClient.resolve(name).replace(/\.js$/, '.mjs').replace('.min', '')).href);
const { h, render, options } = await resolve('preact');
const { act } = await import(pathToFileURL(requireFromClient.resolve('preact/test-utils').replace(/\.js$/, '.mjs')).href);
const hooks = await import(distUrl('preact.js'));
const { SignalboxProvider, useClient, useCommand, useConnection, useOutbox, usePermissions, useSecondsLeft, useSession, useSessions, useStore } = hooks;
assert.ok(options);

const S = 's1';
const textOf = (node) => (node.nodeType === 3 ? node.data ?? node.nodeValue : node.childNodes.map(textOf).join(''));

/** Draws a component inside a provider; `text()` is what one sees, `draws` how often it was drawn. */
function draw(client, component) {
  const root = document.createElement('div');
  const shown = { draws: 0, text: () => textOf(root), leave: () => act(() => render(null, root)) };
  const Counted = () => {
    shown.draws++;
    return component();
  };
  act(() => render(h(SignalboxProvider, { client }, h(Counted)), root));
  after(() => render(null, root));
  return shown;
}

const say = (world, ...messages) => act(() => messages.forEach((message) => world.socket.say(message)));

test('connection', async () => {
  const world = new FakeWorld();
  const client = world.client();
  const shown = draw(client, () => useConnection().name);
  assert.equal(shown.text(), 'idle');
  act(() => client.start());
  assert.equal(shown.text(), 'connecting');
  act(() => world.socket.accept());
  assert.equal(shown.text(), 'live');
  act(() => world.socket.hangUp());
  assert.equal(shown.text(), 'offline');
});

test('a session, watched while it is drawn', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const shown = draw(client, () => {
    const { state, sync } = useSession(S);
    return `${sync}:${state.items.map((item) => item.text).join()}`;
  });
  assert.equal(shown.text(), 'waiting:');
  const { id } = world.socket.last('subscribe');
  say(world, { type: 'subscribed', id, sessionId: S, epoch: 'e', head: 0, mode: 'live', phase: 'idle', pending: [] });
  say(world, { type: 'text_delta', sessionId: S, seq: 1, ts: 1, messageId: 'm', offset: 0, delta: 'hello' });
  assert.equal(shown.text(), 'live:hello');
  shown.leave();
  assert.equal(world.socket.of('unsubscribe').length, 1);
});

test('a narrowed store draws when what was chosen changes', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const session = client.session(S);
  session.open();
  const shown = draw(client, () => useStore(session.view, (view) => view.state.title ?? 'none'));
  const { draws } = shown;
  const { id } = world.socket.last('subscribe');
  say(world, { type: 'subscribed', id, sessionId: S, epoch: 'e', head: 0, mode: 'live', phase: 'idle', pending: [] });
  say(world, { type: 'status', sessionId: S, seq: 1, ts: 1, phase: 'running' });
  assert.equal(shown.draws, draws);
  say(world, { type: 'title', sessionId: S, seq: 2, ts: 1, title: 'new' });
  assert.deepEqual([shown.text(), shown.draws], ['new', draws + 1]);
});

test('lists, permissions, the time that is left', async () => {
  const world = new FakeWorld();
  world.answer = () => Response.json({ permissions: [{ requestId: 'r', sessionId: S, createdAt: 1, expiresAt: null }] });
  const client = await world.live();
  const list = draw(client, () => [...useSessions().items.keys()].join());
  const waiting = draw(client, () => [...usePermissions().items.keys()].join());
  const left = draw(client, () => `${useSecondsLeft({ expiresAt: world.time + 4_500 })}/${useSecondsLeft({ expiresAt: null })}`);
  assert.equal(left.text(), '5/null');
  assert.equal(world.socket.of('watch_sessions').length, 1);
  say(world, { type: 'sessions', items: [{ sessionId: 'a' }, { sessionId: 'b' }] });
  await settle();
  act(() => {});
  assert.deepEqual([list.text(), waiting.text()], ['a,b', 'r']);
  list.leave();
  assert.equal(world.socket.of('unwatch_sessions').length, 0);
  waiting.leave();
  left.leave();
  assert.equal(world.socket.of('unwatch_sessions').length, 1);
});

test('commands', async () => {
  const world = new FakeWorld();
  const client = await world.live();
  const command = client.prompt(S, 'x');
  const shown = draw(client, () => `${useOutbox().length} ${useCommand(command).name} ${useCommand(null)}`);
  assert.equal(shown.text(), '1 sent null');
  say(world, { type: 'ack', id: command.id, messageId: 'm' });
  assert.equal(shown.text(), '0 done null');
});

test('without a provider it says what is missing', () => {
  assert.throws(() => render(h(() => useClient() && null), document.createElement('div')), /no SignalboxProvider/);
});
