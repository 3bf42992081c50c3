// The end of a session first: against the built server. Recorded agents' sessions are cut wherever a turn begins; long ones are opened while their
// agents go on, over networks that break, and over the server's death.
import assert from 'node:assert/strict';
import path from 'node:path';
import { replaying, scripted } from '../../e2e/lib/agents.mjs';
import { root } from '../../e2e/lib/paths.mjs';
import { ask, say, script, stream, think, tool } from '../../e2e/lib/script.mjs';
import { startServer } from '../../e2e/lib/server.mjs';
import { readTranscript } from '../../e2e/lib/transcript.mjs';
import { assertCuts } from './lib/cuts.mjs';
import { Proxy } from './lib/proxy.mjs';
import { assertSame, clientOf, current, ended, seen, test, textOf, wait, watch } from './lib/real.mjs';

const NAMES = ['sdk-example', 'gemini', 'opencode', 'gemini-extra', 'opencode-extra', 'gemini-life', 'opencode-life'];
const fileOf = (name) => path.join(root, 'tests/transcripts', `${name}.jsonl`);
const server = await startServer({
  agents: { scripted: scripted(), ...Object.fromEntries(NAMES.map((name) => [name, replaying(fileOf(name))])) },
  settings: { 'permission-timeout-ms': 0, 'fold-after-ms': 0, 'delta-window-ms': 2 },
});

const create = async (client, agent) => (await client.send('create_session', { agent, workspace: server.newWorkspace() })).sessionId;

for (const name of NAMES) {
  test(`the recorded session ${name}, cut at each turn's begin`, async () => {
    const client = clientOf(server);
    const session = await watch(client, await create(client, name));
    for (const [at, { answers, cancelAfter }] of readTranscript(fileOf(name)).turns.entries()) {
      await client.prompt(session.sessionId, 'as recorded');
      const isOver = ({ items }) => items.filter(({ kind }) => kind === 'end').length > at;
      for (const optionId of answers.filter((answer) => answer !== null)) {
        const { state } = await wait(session.view, ({ state: now }) => now.pending.length > 0 || isOver(now), 'a request');
        if (state.pending[0]) {
          await client.answer(state.pending[0], { optionId });
          await wait(session.view, ({ state: now }) => now.pending[0]?.requestId !== state.pending[0].requestId, 'its end');
        }
      }
      if (cancelAfter) {
        await wait(session.view, ({ state }) => isOver(state) || (state.turn && textOf(state).length >= cancelAfter.text), 'what came before the cancel');
        await client.cancel(session.sessionId);
      }
      await wait(session.view, ({ state }) => isOver(state) && state.turn === null, `turn ${at} to end`);
    }
    await current(session);
    assert.ok((await assertCuts(clientOf(server), session.sessionId)) >= 1);
    assert.ok((await assertCuts(clientOf(server), session.sessionId, { limit: 7 })) >= 1);
  });
}

const long = async (client, turns) => {
  const session = await watch(client, await create(client, 'scripted'));
  for (let turn = 1; turn <= turns; turn++) {
    client.prompt(session.sessionId, script(
      think(`thought ${turn}`), say(`turn ${turn} begins`), tool({ title: `T${turn}`, output: 'x' }), { plan: [`${turn}`] }, { usage: { used: turn, size: 100 } },
      ...(turn === 2 ? [{ commands: ['go'] }, { title: 'Named' }, tool({ title: 'Asks', output: 'y', permission: true })] : []), stream(20, 10),
    ));
    if (turn === 2) {
      const { state } = await wait(session.view, ({ state: now }) => now.pending.length > 0, 'a request');
      await client.answer(state.pending[0], { optionId: state.pending[0].acpOptions[0].optionId });
    }
    await ended(session, turn);
  }
  return session;
};

const FIRST = { history: 'end', first: 40 };
const isPartial = ({ state, earlier, sync }) => state.partial && earlier !== null && sync === 'live';
const isWhole = (session) => wait(session.view, ({ sync, earlier, state }) => sync === 'live' && earlier === null && !state.partial, 'all of it');

test('a long session of which the end comes first, while its agent goes on, over a network that is cut', async () => {
  const client = clientOf(server);
  const session = await long(client, 12);
  await assertCuts(clientOf(server), session.sessionId);
  await assertCuts(clientOf(server), session.sessionId, { cuts: Array.from({ length: 30 }, (_, at) => Math.floor((session.state.seq * at) / 30)), limit: 11 });
  const proxy = await Proxy.before(server);
  // Queued, and waiting for an answer, over the cut.
  client.prompt(session.sessionId, script(say('asks: '), ask(), stream(60, 10, 200)));
  client.prompt(session.sessionId, script(stream(200, 10, 400), tool({ title: 'Last', output: 'z' })));
  const { state } = await wait(session.view, ({ state: now }) => now.pending.length > 0, 'a request');
  const others = [];
  for (let at = 0; at < 4; at++) {
    const shaky = clientOf(proxy);
    const partials = [];
    const other = shaky.session(session.sessionId, FIRST);
    other.view.subscribe(() => partials.push(other.view.get()));
    other.open();
    await wait(other.view, (view) => isPartial(view) || view.earlier === null && view.sync === 'live', 'its end');
    assert.ok(partials.some(isPartial), 'its end was there first');
    assert.equal(partials.find(isPartial).state.pending[0]?.requestId, at === 0 ? state.pending[0].requestId : undefined);
    proxy.cut();
    others.push(other);
    if (at === 0) {
      await client.answer(state.pending[0], { optionId: state.pending[0].acpOptions[0].optionId });
      await wait(session.view, ({ state: now }) => now.pending.length === 0, 'its end');
    }
  }
  await ended(session, 14);
  for (const other of others) {
    await isWhole(other);
    await ended(other, 14);
    await assertSame(other, client);
    assert.deepEqual(seen(other.state), seen(session.state));
  }
});

test('the server dies while what is before is fetched', async () => {
  const client = clientOf(server);
  const session = await long(client, 6);
  const proxy = await Proxy.before(server);
  const other = clientOf(proxy).session(session.sessionId, FIRST);
  const seenFirst = [];
  other.view.subscribe(() => seenFirst.push(other.view.get()));
  client.prompt(session.sessionId, script(say('never to end'), stream(5000, 10, 100)));
  await wait(session.view, ({ state }) => state.items.at(-1).text?.startsWith('never to end'), 'a turn');
  other.open();
  await wait(other.view, isPartial, 'its end');
  await server.kill();
  await wait(other.view, ({ sync }) => sync === 'waiting', 'the cut');
  await server.start();
  await isWhole(other);
  await current(session);
  await assertSame(other, client);
  assert.ok(other.state.items.some(({ stopReason }) => stopReason === 'server_restarted'));
});

test('it is closed, and erased, while what is before is fetched', async () => {
  const client = clientOf(server);
  const session = await long(client, 6);
  const proxy = await Proxy.before(server);
  const other = clientOf(proxy).session(session.sessionId, FIRST);
  other.open();
  await wait(other.view, isPartial, 'its end');
  await client.send('close_session', { sessionId: session.sessionId });
  await isWhole(other);
  await wait(other.view, ({ state }) => state.phase === 'closed', 'the close');
  await assertSame(other, client);
  const late = clientOf(server).session(session.sessionId, FIRST);
  late.open();
  await wait(late.view, isPartial, 'its end');
  await client.http.fetch('DELETE', `/v1/sessions/${session.sessionId}`, { query: { purge: 1 } });
  await wait(late.view, ({ error }) => error?.code === 'not_found', 'that it is gone');
});
