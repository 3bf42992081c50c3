// Real agents' recorded sessions, played by signalbox-replay-agent: the server must show what they said, live, to who joins late,
// page by page, and when the store has folded it.
import assert from 'node:assert/strict';
import { readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { replaying, replayingThen } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { root } from './lib/paths.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';
import { expectedTool, readLines, readTranscript, shownTool } from './lib/transcript.mjs';
import { until } from './lib/wait.mjs';
import { Watch, textOf, toolsOf } from './lib/watch.mjs';

const NAMES = ['sdk-example', 'gemini', 'opencode', 'gemini-extra', 'opencode-extra', 'gemini-life', 'opencode-life'];
const fileOf = (name) => path.join(root, 'tests/transcripts', `${name}.jsonl`);
const settings = { 'permission-timeout-ms': 0, 'fold-after-ms': 0 };

/** OpenCode's recording with updates of kinds that nobody knows strewn in, and a picture in the middle of each text. */
function withStrange() {
  const strange = [];
  for (const line of readLines(fileOf('opencode'))) {
    strange.push(line);
    const { update, sessionId } = line.msg.params ?? {};
    const add = (...updates) => strange.push(...updates.map((each) => ({ ...line, msg: { ...line.msg, params: { sessionId, update: each } } })));
    if (line.dir === 'in' && update) {
      add({ sessionUpdate: 'unheard_of', number: strange.length, deep: { list: [1, null, 'ä'] }, _meta: { own: true } });
    }
    if (update?.sessionUpdate === 'agent_message_chunk') {
      add({ sessionUpdate: 'agent_message_chunk', content: { type: 'image', mimeType: 'image/png', data: `A${strange.length}==`, annotations: { priority: 1 } } });
    }
  }
  const file = path.join(temporaryFolder(), 'strange.jsonl');
  writeFileSync(file, strange.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return file;
}

const files = { ...Object.fromEntries(NAMES.map((name) => [name, fileOf(name)])), strange: withStrange() };
const server = await startServer({
  settings,
  agents: {
    ...Object.fromEntries(Object.entries(files).map(([name, file]) => [name, replaying(file)])),
    'gemini-back': replayingThen(fileOf('gemini'), fileOf('gemini-load')),
    'opencode-back': replayingThen(fileOf('opencode'), fileOf('opencode-load')),
  },
});
const played = []; // sessions that were seen live

/** Answers and cancels as the recorded client did, to the turn's end. */
async function play(session, recorded) {
  const turn = await session.prompt('as recorded');
  const { cancelAfter } = recorded;
  const answering = recorded.answers.map(async (optionId, index) => {
    const request = await turn.permission(index);
    if (optionId !== null) {
      await session.answerPermission(request, { optionId });
    }
  });
  if (cancelAfter) {
    await turn.started();
    await Promise.all(answering);
    const has = ({ text, tools, permissions }) =>
      textOf(turn.view).length >= text &&
      toolsOf(turn.view).length >= tools &&
      turn.events.filter((event) => event.type === 'permission_request').length >= permissions;
    if (!has(cancelAfter)) {
      await session.watch.inbox.find(() => has(cancelAfter), {
        from: session.events.length,
        what: `what came before the cancel: ${JSON.stringify(cancelAfter)}`,
        explain: () => session.client.explain(),
      });
    }
    await session.cancel();
  }
  await Promise.all(answering);
  return { ...(await turn.end()), events: turn.events };
}

/** An event as the agent said it: what was cut is fetched. */
async function whole(of, event) {
  const copy = structuredClone(event);
  for (const { path: pointer, blob, bytes } of event.refs ?? []) {
    const answer = await of.rest('GET', `/v1/sessions/${event.sessionId}/blobs/${blob}`);
    assert.equal(answer.body.length, bytes);
    const keys = pointer.slice(1).split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop();
    const place = keys.reduce((object, key) => object[key], copy);
    place[last] = answer.headers['content-type'].startsWith('application/json') ? answer.json : answer.text;
  }
  return copy;
}

/** The tool calls of a turn, merged, in the order of their starts. */
async function callsOf(of, events) {
  const calls = new Map();
  for (const event of events.filter(({ type }) => ['tool_start', 'tool_update', 'tool_result'].includes(type))) {
    const { type, toolUseId, ...fields } = await whole(of, event);
    const before = calls.get(toolUseId) ?? {};
    calls.set(toolUseId, type === 'tool_result' ? { ...before, result: fields } : { ...before, ...fields });
  }
  return [...calls.values()];
}

const othersOf = (events) => events.filter(({ type }) => type === 'agent_update').map(({ update }) => update);
const plain = (value) => JSON.parse(JSON.stringify(value)); // without members that are undefined

async function checkTurn(of, shown, recorded, where) {
  assert.equal(textOf(shown), recorded.text, `the text of ${where}`);
  assert.equal(textOf(shown, 'thought'), recorded.thought, `the thoughts of ${where}`);
  assert.deepEqual(othersOf(shown.events), recorded.others, `what has no name of its own, of ${where}`);
  const calls = await callsOf(of, shown.events);
  const said = [...recorded.tools.values()];
  assert.equal(calls.length, said.length, `the number of calls of ${where}`);
  for (const [index, call] of calls.entries()) {
    assert.ok(call.result, `call ${index} of ${where} is over`);
    const expected = expectedTool(said[index], call.result.result);
    const seen = shownTool(call);
    seen.status = expected.status === undefined ? undefined : seen.status;
    assert.deepEqual(plain(seen), plain(expected), `call ${index} of ${where}`);
  }
  const reasons = [recorded.stopReason, ...(recorded.cancelAfter ? ['cancelled'] : [])];
  assert.ok(reasons.includes(shown.stopReason), `${where} ended with ${shown.stopReason}, not ${reasons}`);
}

function checkLast({ latest }, last) {
  const { plan, usage, commands } = latest;
  assert.deepEqual(plan?.entries, last.plan);
  assert.deepEqual(usage, last.usage);
  assert.deepEqual(commands?.commands, last.commands);
}

async function everyWay(of, live) {
  const wanted = live.watch.state();
  const late = await (await of.connect()).follow(live.id);
  assert.deepEqual(late.watch.state(), wanted, 'to who joins late');
  assert.deepEqual(othersOf(late.events), othersOf(live.events));
  for (const limit of [7, 1000]) {
    const watch = new Watch(live.id);
    for (let after = ''; after !== null; ) {
      const { json } = await of.rest('GET', `/v1/sessions/${live.id}/events?limit=${limit}${after}`);
      json.events.forEach((event) => watch.event(event));
      after = json.next ? `&after=${json.next}` : null;
    }
    assert.deepEqual(watch.state(), wanted, `in pages of ${limit}`);
  }
  await late.client.close();
  return late;
}

const idle = (session) =>
  session.status('idle', { from: session.events.findLastIndex(({ type }) => type === 'complete') });

async function playAll(of, session, { turns, last, others }) {
  for (const [index, recorded] of turns.entries()) {
    await checkTurn(of, await play(session, recorded), recorded, `turn ${index + 1}`);
  }
  await idle(session);
  if (last) {
    checkLast(session.watch, last);
    assert.deepEqual(othersOf(session.events.filter(({ turnId }) => !turnId)), others);
  }
}

for (const [name, file] of Object.entries(files)) {
  test(`the recorded session ${name}`, async () => {
    const session = await (await server.connect()).create(name);
    const recorded = readTranscript(file);
    assert.ok(name !== 'strange' || recorded.turns.some(({ others }) => others.length > 10));
    await playAll(server, session, recorded);
    await everyWay(server, session);
    played.push(session);
  });
}

test('the store folds them, and they are the same', async () => {
  const count = async () => parseMetrics((await server.rest('GET', '/metrics')).text).get('signalbox_store_folded_events_total').samples[0].value;
  const client = await server.connect();
  server.writeConfig({ 'fold-after-ms': 1 });
  await client.control('config_changed');
  await until(async () => (await count()) > 0, 'the store to fold');
  for (let before = -1, now = 0; now !== before; ) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 1200)); // it looks once a second
    now = await count();
  }
  assert.equal(played.length, Object.keys(files).length);
  for (const live of played) {
    const late = await everyWay(server, live);
    const { turns } = readTranscript(files[live.watch.events[0].agent]);
    for (const [index, [turnId, view]] of [...late.watch.turns].entries()) {
      const events = late.events.filter((event) => event.turnId === turnId);
      await checkTurn(server, { ...view, events, stopReason: view.complete.stopReason }, turns[index], `the folded turn ${index + 1}`);
    }
  }
  server.writeConfig();
});

for (const name of ['gemini', 'opencode']) {
  test(`the recorded session ${name}, stopped, and loaded as recorded`, async () => {
    const client = await server.connect();
    const session = await client.create(`${name}-back`);
    await playAll(server, session, readTranscript(fileOf(name)));
    // A crash between turns is all that a recording can be stopped by; the next prompt starts the second one.
    const isAgent = ({ pid, command }) => /^\S*signalbox replay-agent/.test(command) && readlinkSync(`/proc/${pid}/cwd`) === session.workspace;
    process.kill(server.leftovers().find(isAgent).pid, 'SIGKILL');
    await session.status('stopped', { from: session.events.length - 1 });
    const before = session.events.length;
    const { turns, last, others } = readTranscript(fileOf(`${name}-load`), { loads: true });
    assert.equal(turns.length, 1);
    await checkTurn(server, await play(session, turns[0]), turns[0], 'the turn behind the load');
    await idle(session);
    const fresh = session.events.slice(before);
    const said = fresh.filter(({ type, turnId }) => !turnId && /^(text|thought|tool|plan|permission|agent_update|error)/.test(type));
    assert.deepEqual(said, [], 'what was replayed is no event, and nothing was forgotten');
    assert.deepEqual(othersOf(fresh.filter(({ turnId }) => !turnId)), others);
    const earlier = readTranscript(fileOf(name)).last;
    checkLast(session.watch, { ...earlier, ...last });
    await everyWay(server, session);
  });
}
