// What is tried with each real agent, one row of docs/agents.md's matrix each. A row says what was seen, and throws where that
// is not what a host of agents must do.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Refusal } from './client.mjs';
import { killQuietly } from './processes.mjs';
import { until } from './wait.mjs';
import { textOf, toolsOf } from './watch.mjs';

const patient = { ms: 120_000 };
const script = (...lines) => lines.join('\n');
const optionOf = (request, kind) => request.acpOptions.find((option) => option.kind === kind).optionId;
const textsOf = (turn) => turn.events.filter(({ type }) => type === 'text_delta');
let made = 0;

// An image that is one: eight times eight pixels, red.
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR4nGP4z8CAFWEXHbQSACj/P8Fu7N9hAAAAAElFTkSuQmCC';

/** A turn in which a command wants to make a file; resolves when the permission is asked for. */
async function askedToMakeFile({ session, agent }, command = (file) => `touch ${file}`) {
  const file = path.join(session.workspace, `made-${++made}.txt`);
  const turn = await session.prompt(agent.plays ? script('@@text Before.', `@@bash ${command(file)}`, '@@next', '@@text After.') : 'Hello');
  const request = await turn.permission(0, patient);
  assert.equal(existsSync(file), false, 'not before the answer');
  return { turn, request, file };
}

/** How a turn ends in which nothing was done: it is the agent's choice. */
function afterNo(end, agent) {
  assert.equal(toolsOf(end).at(-1).result.isError, true);
  const goesOn = agent.plays ? /After\./.test(textOf(end)) : end.blocks.at(-1).kind === 'text';
  const reason = end.stopReason === 'end_turn' ? '' : ` with \`${end.stopReason}\``;
  return goesOn ? `yes; the turn goes on${reason}` : `yes; the turn ends${reason}`;
}

/** An agent with a script of its own asks in every turn, also where a row is about something else. */
function allowAll({ session, agent }) {
  if (agent.plays) {
    return;
  }
  const asked = new Set();
  const look = ({ type, request }) => {
    if (type === 'permission_request' && !asked.has(request.requestId)) {
      asked.add(request.requestId);
      session.answerPermission(request, { optionId: optionOf(request, 'allow_once') });
    }
    return false;
  };
  // It never matches: it answers for as long as the test goes on.
  session.watch.inbox.find(look, { from: session.events.length, what: 'nothing', ms: 80_000 }).catch(() => {});
}

/** Whether the model was told again what was said before. */
function modelHeard(world, words) {
  const requests = readFileSync(world.modelLog, 'utf8').split('\n').filter(Boolean);
  return requests.filter((line) => line.includes(world.lastPrompt)).some((line) => line.includes(words));
}

/** The next prompt after the agent was gone; says whether it remembers. */
async function goesOn(world, secret, from) {
  const { agent, session } = world;
  allowAll(world);
  if (agent.minutes) {
    const minute = () => Math.floor(Date.now() / 60_000);
    const now = minute();
    await until(() => minute() !== now, 'the next minute', 65_000);
  }
  world.lastPrompt = `I go on, ${++made}.`;
  const turn = await session.prompt(agent.plays ? script(`@@text ${world.lastPrompt}`) : world.lastPrompt);
  const end = await turn.end(patient);
  assert.equal(end.stopReason, 'end_turn');
  const after = session.events.slice(from);
  const said = after.filter(({ type, turnId }) => /^(text|thought|tool)/.test(type) && turnId !== turn.id);
  assert.deepEqual(said, [], 'what was said before is not said again');
  const lost = after.find(({ code }) => code === 'agent_memory_lost');
  if (lost) {
    const [, method, said] = /The agent refused (\S+): (.*)/s.exec(lost.error) ?? [];
    assert.ok(method || /It cannot load sessions\./.test(lost.error), lost.error);
    return { remembers: false, why: method ? `it refuses \`${method}\`: ${said.replace(/\.$/, '')}` : 'it cannot load sessions' };
  }
  assert.ok(agent.plays, 'an agent without a model that says nothing of its memory');
  assert.ok(modelHeard(world, secret), 'the model is told what was said before');
  return { remembers: true };
}

async function setMode({ session, client }, modeId) {
  const from = session.events.length;
  await client.command('set_mode', { sessionId: session.id, modeId }, patient);
  await session.event('mode', (event) => event.currentModeId === modeId, { from });
}

/** The agent's option of a category is changed, and back; null where it has none. */
async function optionChanged({ session, client }, category) {
  const find = (event) => event?.options.find((option) => option.category === category);
  const option = find(session.watch.latest.config_options);
  if (!option) {
    return null;
  }
  const now = option.currentValue;
  const all = option.options.flatMap((each) => each.options ?? [each]).map(({ value }) => value);
  if (all.every((value) => value === now)) {
    return `it offers \`${now}\` only`;
  }
  const set = async (value) => {
    const from = session.events.length;
    await client.command('set_config_option', { sessionId: session.id, configId: option.id, value }, patient);
    await session.event('config_options', (event) => find(event).currentValue === value, { from });
  };
  const seen = await firstTaken(all, now, set);
  await set(now);
  return choice(seen, now);
}

/** A choice of `all` but `now` that the agent takes: the first; and what it says to those that it refuses. */
async function firstTaken(all, now, set) {
  const refused = [];
  for (const each of all.filter((value) => value !== now)) {
    try {
      await set(each);
      return { taken: each, refused };
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      refused.push(each);
    }
  }
  throw new Error(`all refused: ${refused}`);
}

const choice = ({ taken, refused }, now) => {
  const no = refused.length ? `; it refuses ${refused.map((each) => `\`${each}\``).join(', ')}` : '';
  return `yes, \`${now}\` to \`${taken}\`${no}`;
};

export const FEATURES = {
  'streamed text': async (world) => {
    const { session, agent } = world;
    allowAll(world);
    const turn = await session.prompt(agent.plays ? script('@@text I stream.', '@@slow 40 20') : 'Hello');
    const end = await turn.end(patient);
    const messages = new Set(textsOf(turn).map(({ messageId }) => messageId));
    if (agent.plays) {
      assert.match(textOf(end).replaceAll(/\s+/g, ' '), /^I stream\. ?word1 .*word40 ?$/);
    }
    return textsOf(turn).length > messages.size ? 'yes' : 'each message comes whole';
  },

  thoughts: async (world) => {
    const { session, agent } = world;
    allowAll(world);
    const turn = await session.prompt(agent.plays ? script('@@think I wonder.', '@@text So it is.') : 'Hello');
    const end = await turn.end(patient);
    const thought = textOf(end, 'thought');
    if (agent.plays && thought !== '') {
      assert.match(thought, /wonder\./);
    }
    return thought !== '' ? 'yes' : 'it sends none';
  },

  'a tool allowed': async (world) => {
    const { turn, request, file } = await askedToMakeFile(world);
    await world.session.answerPermission(request, { optionId: optionOf(request, 'allow_once') });
    const end = await turn.end(patient);
    assert.equal(end.stopReason, 'end_turn');
    assert.equal(toolsOf(end).at(-1).result.isError, false);
    assert.equal(existsSync(file), world.agent.plays, 'the file is really there');
    return world.agent.plays ? 'yes' : 'yes; nothing real is done';
  },

  'a tool rejected': async (world) => {
    const { turn, request, file } = await askedToMakeFile(world);
    await world.session.answerPermission(request, { optionId: optionOf(request, 'reject_once') });
    const end = await turn.end(patient);
    assert.equal(existsSync(file), false, 'the file is really not there');
    return afterNo(end, world.agent);
  },

  'a permission timed out': async (world) => {
    const { server, session, client } = world;
    const from = client.inbox.items.length;
    server.writeConfig({ 'permission-timeout-ms': 1500 });
    await client.control('config_changed', () => true, { from });
    const { turn, request, file } = await askedToMakeFile(world);
    const end = await turn.end(patient);
    assert.equal(session.watch.permissions.get(request.requestId).end.type, 'permission_timeout');
    assert.equal(existsSync(file), false);
    const next = client.inbox.items.length;
    server.writeConfig();
    await client.control('config_changed', () => true, { from: next });
    return afterNo(end, world.agent);
  },

  'cancel in a stream': async ({ session, agent }) => {
    const turn = await session.prompt(agent.plays ? script('@@slow 2000 20') : 'Hello');
    await turn.event('text_delta', () => true, patient);
    await session.cancel();
    const { stopReason } = await turn.end(patient);
    return stopReason === 'cancelled' ? 'yes' : `yes; it says \`${stopReason}\``;
  },

  'cancel in a permission': async (world) => {
    const { session } = world;
    const { turn, request, file } = await askedToMakeFile(world);
    await session.cancel();
    const { stopReason } = await turn.end(patient);
    const { end } = session.watch.permissions.get(request.requestId);
    assert.deepEqual([end.type, end.reason], ['permission_cancelled', 'turn_cancelled']);
    assert.equal(existsSync(file), false);
    return stopReason === 'cancelled' ? 'yes' : `yes; it says \`${stopReason}\``;
  },

  'cancel in a running tool': async (world) => {
    const { session, agent, server } = world;
    if (!agent.plays) {
      const turn = await session.prompt('Hello');
      await turn.event('tool_start');
      await session.cancel();
      const end = await turn.end(patient);
      assert.equal(end.stopReason, 'cancelled');
      return 'yes; nothing real runs';
    }
    const { turn, request, file } = await askedToMakeFile(world, (made) => `touch ${made} && tail -f /dev/null ${made}`);
    await session.answerPermission(request, { optionId: optionOf(request, 'allow_once') });
    await until(() => existsSync(file), 'the command to run', 120_000);
    await session.cancel();
    const end = await turn.end(patient);
    assert.ok(toolsOf(end).every((tool) => tool.result), 'no call is left open');
    const runs = () => server.leftovers().some(({ command }) => command.startsWith('tail -f') && command.endsWith(file));
    const ends = await until(() => !runs(), 'its process to end', 20_000).catch(() => false);
    const words = end.stopReason === 'cancelled' ? 'yes' : `yes; it says \`${end.stopReason}\``;
    return ends ? words : `${words}; the command runs on until the agent ends`;
  },

  'two prompts queued': async (world) => {
    const { session, agent } = world;
    allowAll(world);
    const first = await session.prompt(agent.plays ? script('@@slow 60 20') : 'one');
    await first.started(patient);
    const others = [];
    for (const words of ['Second.', 'Third.']) {
      others.push(await session.prompt(agent.plays ? script(`@@text ${words}`) : words));
    }
    assert.deepEqual(others.map(({ ack }) => [ack.status, ack.position]), [['queued', 1], ['queued', 2]]);
    const ends = [await first.end(patient), await others[0].end(patient), await others[1].end(patient)];
    assert.deepEqual(ends.map(({ stopReason }) => stopReason), ['end_turn', 'end_turn', 'end_turn']);
    const [second, third] = others.map((turn) => session.events.findIndex(({ type, turnId }) => type === 'turn_started' && turnId === turn.id));
    assert.ok(second < third, 'in order');
    if (agent.plays) {
      assert.match(textOf(ends[1]), /Second/);
      assert.match(textOf(ends[2]), /Third/);
    }
    return 'yes';
  },

  'an image in a prompt': async (world) => {
    const { session, agent } = world;
    await session.status('idle', patient);
    world.lastPrompt = `I see it, ${++made}.`;
    const content = [
      { type: 'text', text: agent.plays ? script(`@@text ${world.lastPrompt}`) : 'Hello' },
      { type: 'image', mimeType: 'image/png', data: PNG },
    ];
    try {
      const { messageId } = await session.client.command('prompt', { sessionId: session.id, content });
      const { turnId } = await session.event('turn_started', (event) => event.messageId === messageId, patient);
      await session.event('complete', (event) => event.turnId === turnId, patient);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      assert.equal(error.code, 'unsupported');
      return `refused: ${error.nack.message}`;
    }
    assert.ok(modelHeard(world, '"image/png"') || modelHeard(world, 'data:image/png'), 'the model gets it');
    return 'yes';
  },

  'the mode changed': async (world) => {
    await world.session.status('idle', patient);
    const { mode } = world.session.watch.latest;
    if (!mode) {
      const seen = await optionChanged(world, 'mode');
      return seen ? `${seen}; it is one of its options` : 'it has no modes';
    }
    const now = mode.currentModeId;
    const seen = await firstTaken(mode.availableModes.map(({ id }) => id), now, (modeId) => setMode(world, modeId));
    await setMode(world, now);
    return choice(seen, now);
  },

  'the model changed': async (world) => {
    await world.session.status('idle', patient);
    const seen = await optionChanged(world, 'model');
    return seen === null ? 'it offers none' : seen.startsWith('yes') ? 'yes' : seen; // their names change every few weeks
  },

  'stopped, and back with its memory': async (world) => {
    const { server, agent } = world;
    allowAll(world);
    const secret = `kept in mind ${++made}`;
    await (await world.session.prompt(agent.plays ? script(`@@text This is ${secret}.`) : 'Hello')).end(patient);
    await server.restart();
    world.client = await server.connect();
    world.session = Object.assign(await world.client.follow(world.session.id), { workspace: world.session.workspace });
    const { remembers, why } = await goesOn(world, secret, world.session.events.length);
    return remembers ? 'yes' : `${why}; who watches is told`;
  },

  'killed in a turn, and back': async (world) => {
    const { server, session, agent } = world;
    const secret = `kept in mind ${++made}`;
    if (agent.plays) {
      await (await session.prompt(script(`@@text This is ${secret}.`))).end(patient);
    }
    const turn = await session.prompt(agent.plays ? script('@@slow 2000 20') : 'Hello');
    await turn.event('text_delta', () => true, patient);
    const isAgent = ({ pid, command }) => pid !== server.pid && !/signalbox-guard/.test(command);
    server.leftovers().filter(isAgent).forEach(({ pid }) => killQuietly(pid));
    const end = await turn.end(patient);
    assert.equal(end.stopReason, 'agent_exited');
    const { remembers, why } = await goesOn(world, secret, session.events.length);
    return remembers ? 'yes, with its memory' : `yes, without its memory: ${why}`;
  },
};
