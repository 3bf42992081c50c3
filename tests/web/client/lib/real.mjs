// The library against the built server: what it shows is compared with what the server has recorded.
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { DEFAULT_WAIT_MS, within } from '../../../e2e/lib/wait.mjs';
import { WebSocket, library } from './library.mjs';

export { test } from '../../../e2e/lib/harness.mjs';

/** A client of a server or a proxy, closed when the test is over. Waits of the connection are short, so that tests are. */
export function clientOf({ url }, { connection = {}, ...options } = {}) {
  const client = new library.SignalboxClient({
    url, WebSocket,
    connection: { backoff: { baseMs: 20, maxMs: 400 }, breaker: { failures: 1000, pauseMs: 1, maxPauseMs: 1 }, settledMs: 50, ...connection },
    ...options,
  });
  after(() => client.close());
  return client.start();
}

/** Waits for a store's value. */
export const wait = (store, match, what) =>
  within(library.when(store, match), DEFAULT_WAIT_MS * 2, () => `${what}: ${JSON.stringify(store.get(), (key, value) =>
    (value instanceof Map ? [...value] : key === 'items' && Array.isArray(value) ? value.slice(-3) : value))?.slice(0, 3000)}`);

export const isLive = (client) => wait(client.connection, (state) => state.name === 'live', 'a connection');

/** A new session of the scripted agent, watched and current. */
export async function newSession(client, server, options) {
  const { sessionId } = await client.send('create_session', { agent: 'scripted', workspace: server.newWorkspace() });
  return watch(client, sessionId, options);
}

export async function watch(client, sessionId, options) {
  const session = client.session(sessionId, options);
  session.open();
  await current(session);
  return session;
}

export const current = (session) => wait(session.view, (view) => view.sync === 'live', `${session.sessionId} to be current`);

/** As many turns as that are over, and nothing runs. */
export const ended = (session, turns = 1) =>
  wait(session.view, ({ state, sync }) => sync === 'live' && state.turn === null && state.phase !== 'running' && state.phase !== 'waiting' &&
    state.items.filter((item) => item.kind === 'end').length >= turns, `${turns} turns to end`);

export const textOf = (state, kind = 'text') =>
  state.items.filter((item) => item.kind === kind).map((item) => item.text).join('');

/** What must be the same however it was seen; `head` says where one subscribed. */
export function seen({ head, ...state }) {
  return structuredClone(state);
}

/** What the server has recorded, folded, read over HTTP. */
export async function recorded(client, sessionId, limit = 1000) {
  let state = library.emptySession(sessionId);
  for (let after; ; ) {
    const page = await client.http.events(sessionId, { after, limit });
    state = library.reduceAll({ ...state, epoch: page.epoch }, page.events);
    assert.equal(state.hole, null);
    after = page.next;
    if (!after) {
      return state;
    }
  }
}

/** What the client shows is what the server has recorded, text for text. */
export async function assertSame(session, client) {
  await current(session);
  const shown = seen(session.view.get().state);
  const wanted = seen(await recorded(client, session.sessionId));
  assert.deepEqual(withoutPolicy(shown), withoutPolicy(wanted));
}

// The policy is in the events only when it was changed.
const withoutPolicy = ({ policy, ...state }) => state;
