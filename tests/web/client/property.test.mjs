// Random logs and random cut points: however a session was seen (live, from any position, in pages of any size, over a
// network that is cut again and again, its end first), the state is the same in the end.
import assert from 'node:assert/strict';
import { scripted } from '../../e2e/lib/agents.mjs';
import { isLong } from '../../e2e/lib/paths.mjs';
import { ask, fail, say, script, sleep, stream, think, tool } from '../../e2e/lib/script.mjs';
import { startServer } from '../../e2e/lib/server.mjs';
import { assertCuts } from './lib/cuts.mjs';
import { library } from './lib/library.mjs';
import { Proxy } from './lib/proxy.mjs';
import { assertSame, clientOf, ended, seen, test, wait, watch } from './lib/real.mjs';

const { emptySession, reduceAll } = library;
const server = await startServer({
  agents: { scripted: scripted() },
  settings: { 'delta-window-ms': 2, 'tail-events': 64, 'tail-bytes': 16384, 'permission-timeout-ms': 300 },
});

/** mulberry32: a seed that fails can be tried again. */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function randomScript(random) {
  const pick = (...choices) => choices[Math.floor(random() * choices.length)]();
  const some = (most) => 1 + Math.floor(random() * most);
  const step = () =>
    pick(
      () => ({ ...stream(some(60), [1, 30], 3000), alphabet: 'unicode', seed: some(1e6) }),
      () => ({ ...stream(some(20), [1, 30], 3000), kind: 'thought', seed: some(1e6) }),
      () => say('a\u{1f600}b'.repeat(some(5))),
      () => think('hm '),
      () => tool({ title: `T${some(9)}`, output: some(3000), alphabet: 'unicode', outputChunks: some(6), rate: 500, fail: random() < 0.3 }),
      () => tool({ title: 'Large', output: 100_000 }),
      () => tool({ title: 'Diff', diff: { path: '/x', oldText: 'a', newText: 'b' } }),
      () => tool({ title: 'Raw', output: 'x', rawOutput: { exit: some(9) } }),
      () => tool({ title: 'Asks', output: 'x', permission: true }),
      () => ask(),
      () => ({ plan: ['a', 'b'].slice(0, some(2)) }),
      () => ({ usage: { used: some(100), size: 100 } }),
      () => ({ commands: ['go', 'stop'].slice(0, some(2)) }),
      () => ({ title: `Title ${some(100)}` }),
      () => ({ update: { sessionUpdate: 'of_the_future', value: some(9) } }),
      () => sleep(some(5)),
    );
  const steps = Array.from({ length: 4 + some(12) }, step);
  return random() < 0.15 ? [...steps, fail({ code: -32000, message: 'no more' })] : steps;
}

const ROUNDS = isLong ? 40 : 6;
const first = isLong ? Math.floor(Math.random() * 1e6) : 1;

for (let seed = first; seed < first + ROUNDS; seed++) {
  test(`a random log (seed ${seed})`, async () => {
    const random = chance(seed);
    const live = clientOf(server);
    const proxy = await Proxy.before(server);
    const shaky = clientOf(proxy);
    const { sessionId } = await live.send('create_session', { agent: 'scripted', workspace: server.newWorkspace() });
    const events = [];
    let isCut = false;
    live.session(sessionId).onEvent((event) => {
      events.push(event);
      if (!isCut && event.type === 'user_message') {
        isCut = true; // at least once, and by an event: a turn may be over before a view has shown it
        proxy.cut();
      }
    });
    const session = await watch(live, sessionId);
    const cutOff = await watch(shaky, session.sessionId);
    session.view.subscribe(() => {
      for (const request of session.view.get().state.pending.filter(() => random() < 0.3)) {
        live.answer(request, { optionId: request.acpOptions[Math.floor(random() * request.acpOptions.length)].optionId });
      }
      if (session.view.get().state.turn && random() < 0.2) {
        proxy.cut();
      }
    });
    const turns = 3;
    for (let i = 0; i < turns; i++) {
      if (random() < 0.5) {
        live.send('set_policy', { sessionId, policy: ['ask', 'read-only', 'trust'][Math.floor(random() * 3)] });
      }
      live.prompt(session.sessionId, script(...randomScript(random)));
    }
    await ended(session, turns);
    await ended(cutOff, turns);
    const wanted = seen(session.state);
    assert.equal(wanted.hole, null);
    await wait(shaky.connection, (connection) => connection.name === 'live' && proxy.connections > 1, 'it was cut, and is back');

    await assertSame(session, live);
    await assertSame(cutOff, live);
    const late = await watch(clientOf(server), session.sessionId);
    assert.deepEqual(seen(late.state), wanted, 'seen at once, folded');

    const beginning = { ...emptySession(sessionId), epoch: session.state.epoch };
    for (let i = 0; i < 20; i++) {
      // As one who saw the live events up to a number, and then was away.
      const cut = Math.floor(random() * session.state.seq);
      let state = reduceAll(beginning, events.filter((event) => event.seq <= cut));
      const limit = 1 + Math.floor(random() * 40);
      for (let after = `${state.epoch}:${state.seq}`; after; ) {
        const page = await live.http.events(session.sessionId, { after, limit });
        state = reduceAll(state, page.events);
        assert.equal(state.hole, null);
        after = page.next;
      }
      const { policy, ...all } = wanted; // only a subscription tells it
      assert.deepEqual({ ...seen(state), policy }, { ...all, policy }, `from ${cut} in pages of ${limit}`);
    }
    // As one who is shown the end first, from wherever that begins.
    await assertCuts(clientOf(server), sessionId);
    const cuts = Array.from({ length: 20 }, () => Math.floor(random() * session.state.seq));
    await assertCuts(clientOf(server), sessionId, { cuts, limit: 1 + Math.floor(random() * 40) });
  });
}
