// A session's log, cut in two: the end of it as it comes first, and the state that it becomes with what is before.
import assert from 'node:assert/strict';
import { distUrl, library } from './library.mjs';
import { seen } from './real.mjs';

const { Earlier } = await import(distUrl('earlier.js'));
const { emptySession, reduceAll, subscribed } = library;
const platform = { now: Date.now, setTimeout, clearTimeout, random: () => 0 };

/** How the server describes the session to who subscribes now. */
async function description(client, sessionId) {
  const found = new Promise((resolve) => {
    const stop = client.onMessage((message) => {
      if (message.type === 'subscribed' && message.sessionId === sessionId) {
        stop();
        resolve(message);
      }
    });
  });
  const session = client.session(sessionId, { history: 'none' });
  const leave = session.open();
  const message = await found;
  leave();
  return message;
}

async function paged(client, state, limit) {
  for (let after = `${state.epoch}:${state.seq}`; after; ) {
    const page = await client.http.events(state.sessionId, { after, limit });
    state = reduceAll(state, page.events);
    assert.equal(state.hole, null);
    after = page.next;
  }
  return state;
}

const plain = (items) => structuredClone(items);

/**
 * `client` watches nothing of a session in which nothing happens any more. `cuts` are numbers; without them, all at which a prompt or a turn begins.
 * -> how many there were.
 */
export async function assertCuts(client, sessionId, { cuts, limit = 1000 } = {}) {
  const message = await description(client, sessionId);
  const beginning = subscribed(emptySession(sessionId), message);
  const begins = [];
  for (let after = `${message.epoch}:0`; after; ) {
    const { events, next } = await client.http.events(sessionId, { after, limit: 1000 });
    begins.push(...events.filter(({ type }) => type === 'turn_started' || type === 'user_message').map(({ seq }) => seq - 1));
    after = next;
  }
  const whole = await paged(client, beginning, 1000);
  for (const cut of cuts ?? begins) {
    const where = `cut behind ${cut} of ${message.head}`;
    const tail = await paged(client, { ...beginning, seq: cut, partial: true }, limit);
    // What is shown first is right as far as it goes, and in its order.
    const places = tail.items.map(({ key }) => whole.items.findIndex((item) => item.key === key));
    assert.deepEqual(places, [...places].sort((a, b) => a - b), where);
    assert.deepEqual(plain(tail.items), plain(places.map((at) => whole.items[at])), where);
    if (!cuts) {
      assert.deepEqual(plain(tail.items), plain(whole.items.slice(whole.items.length - tail.items.length)), where);
    }
    for (const name of ['phase', 'title', 'policy', 'pending', 'turn', 'agent', 'workspace', 'promptCapabilities']) {
      assert.deepEqual(tail[name], whole[name], `${name}, ${where}`);
    }
    let joined = null;
    await new Promise((resolve, reject) => {
      const host = {
        events: (query, signal) => client.http.events(sessionId, { ...query, limit }, signal),
        lost: () => reject(new Error('another history')),
        changed: () => {
          joined = earlier.upTo(tail, true);
          if (joined) {
            resolve();
          } else if (earlier.view.error) {
            reject(earlier.view.error);
          }
        },
      };
      const earlier = new Earlier(sessionId, message, platform, host);
      earlier.start();
    });
    assert.deepEqual(seen(joined), seen(whole), where);
    const kept = new Set(joined.items);
    assert.ok(tail.items.every((item) => kept.has(item)), `what was shown is the same as before, ${where}`);
  }
  return (cuts ?? begins).length;
}
