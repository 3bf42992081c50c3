// Agents that come back: with their memory where they can, with what was set, and without saying anything twice.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inline, openCodeAgent, scripted, startFakeModel } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { die, say, script, think, tool } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';
import { scaled } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const remembering = (...more) => ({
  command: ['signalbox-scripted-agent', '--load', '--state', path.join(temporaryFolder(), 'state.json'), ...more],
});
const of = (session, type) => session.events.filter((event) => event.type === type);
const lost = (session) => of(session, 'error').filter((event) => event.code === 'agent_memory_lost');
const rich = script(think('hm'), say('first'), tool({ title: 'Look', output: 'seen' }), say('second'));
const transcript = (session) =>
  session.events.filter(({ type }) => /^(text|thought|tool|plan|user_message|turn_started|agent_update)/.test(type));

for (const [name, agent] of [
  ['answers session/load after its replay', remembering()],
  ['answers session/load before its replay', remembering('--load-response-first')],
]) {
  test(`an agent that ${name} goes on with its memory, and nothing is said twice`, async () => {
    const server = await startServer({ agents: { scripted: agent } });
    const session = await (await server.connect()).create('scripted');
    await session.run(rich);
    const before = transcript(session).length;
    const crash = await session.prompt(script(die()));
    await crash.end();
    const next = await session.prompt(script(say('third')));
    await next.started();
    const replayed = transcript(session).slice(before).filter(({ turnId, type }) => !turnId && type !== 'user_message');
    assert.deepEqual(replayed, []);
    assert.equal(textOf(await next.end()), 'third');
    assert.deepEqual(lost(session), []);

    await server.restart();
    const again = await (await server.connect()).follow(session.id);
    const said = again.events.length;
    assert.equal(textOf(await again.run(script(say('fourth')))), 'fourth');
    assert.deepEqual(lost(again), []);
    const fresh = again.events.slice(said).filter(({ type }) => /^(text_complete|tool_start|thought_complete)/.test(type));
    assert.deepEqual(fresh.map(({ text }) => text), ['fourth']);
  });
}

test('an agent that cannot load says plainly that its memory is gone', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(rich);
  await (await session.prompt(script(die()))).end();
  await session.run(script(say('on')));
  const [error] = lost(session);
  assert.match(error.error, /does not remember .*: It cannot load sessions/);
  assert.equal(error.fatal, false);
});

test('an agent whose memory was lost on its side says so, and goes on', async () => {
  const agent = remembering();
  const server = await startServer({ agents: { scripted: agent } });
  const session = await (await server.connect()).create('scripted');
  await session.run(rich);
  agent.command[3] = path.join(temporaryFolder(), 'another.json');
  server.writeConfig();
  await server.restart();
  const again = await (await server.connect()).follow(session.id);
  assert.equal(textOf(await again.run(script(say('on')))), 'on');
  assert.match(lost(again)[0].error, /The agent refused session\/(load|resume): /);
});

test('modes, models and options are set from here, shown, and kept over restarts', async () => {
  const server = await startServer({
    agents: { scripted: { command: [...remembering().command, '--modes', '--models', '--config-options'] } },
  });
  const client = await server.connect();
  const session = await client.create('scripted');
  const { availableModes, currentModeId } = await session.event('mode');
  const { options } = await session.event('config_options');
  const other = availableModes.find(({ id }) => id !== currentModeId).id;
  const pick = options.find(({ type, id }) => type === 'select' && id !== 'mode');
  const value = pick.options.map((option) => option.value).find((each) => each !== pick.currentValue);
  const sessionId = session.id;

  await client.command('set_mode', { sessionId, modeId: other });
  await session.event('mode', (event) => event.currentModeId === other);
  await client.command('set_config_option', { sessionId, configId: pick.id, value });
  const shows = (event) => event.options.find(({ id }) => id === pick.id).currentValue === value;
  await session.event('config_options', shows);
  assert.equal((await client.refusal('set_mode', { sessionId, modeId: 'never' }, 'bad_message')).field, 'modeId');
  assert.equal((await client.refusal('set_config_option', { sessionId, configId: 'never', value }, 'not_found')).field, 'configId');
  assert.equal((await client.refusal('set_config_option', { sessionId, configId: pick.id, value: 7 }, 'bad_message')).field, 'value');

  await session.run(script(say('one')));
  await server.restart();
  const late = await server.connect();
  const again = await late.follow(sessionId);
  const from = again.events.length;
  await again.run(script(say('two')));
  await again.event('mode', (event) => event.currentModeId === other, { from });
  await again.event('config_options', shows, { from });
  assert.equal(of(again, 'mode').at(-1).currentModeId, other);
  assert.ok(shows(of(again, 'config_options').at(-1)));
});

test('a mode that is chosen while no agent runs starts one, and is acknowledged when it is set', async () => {
  const server = await startServer({ agents: { scripted: { command: [...remembering().command, '--modes'] } } });
  const client = await server.connect();
  const session = await client.create('scripted');
  const { availableModes, currentModeId } = await session.event('mode');
  const modeId = availableModes.find(({ id }) => id !== currentModeId).id;
  await session.run(script(say('x')));
  await (await session.prompt(script(die()))).end();
  await session.status('stopped');
  await client.command('set_mode', { sessionId: session.id, modeId });
  await session.event('mode', (event) => event.currentModeId === modeId); // no order is promised between the two
});

test('what an agent cannot take is refused at once', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.status('idle');
  const content = [{ type: 'text', text: 'what is this?' }, { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' }];
  const nack = await client.refusal('prompt', { sessionId: session.id, content }, 'unsupported');
  assert.equal(nack.field, 'content');
  const post = await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { content } });
  assert.equal(post.status, 400);
});

test('what an agent takes is told once it is known, to everybody, and again when it is another', async () => {
  const mark = path.join(temporaryFolder(), 'started');
  const takes = (image, audio, embeddedContext) => ({ image, audio, embeddedContext });
  const [first, second] = [takes(true, false, true), takes(false, false, true)];
  // It begins when the test says so; from the second start on it takes no images.
  const gate = path.join(temporaryFolder(), 'gate');
  const agent = inline(`until [ -e ${gate} ]; do sleep 0.05; done
    [ -e ${mark} ] || { : >${mark}; exec signalbox-scripted-agent; }
    signalbox-scripted-agent | sed -u 's/"image":true/"image":false/'`);
  const server = await startServer({ agents: { scripted: agent } });
  const client = await server.connect();
  assert.equal(client.connected.limits.maxBlobBytes, 16 << 20);
  const session = await client.create('scripted');
  assert.equal('promptCapabilities' in session.answer, false, 'nobody has said anything yet');
  writeFileSync(gate, '');
  const told = ({ image, audio, embeddedContext, turnId }) => ({ image, audio, embeddedContext, ...(turnId && { turnId }) });
  const all = (watcher) => of(watcher, 'prompt_capabilities').map(told);
  await session.status('idle');
  assert.deepEqual(all(session), [first], 'known when it is ready');
  await session.run(script(say('one')));

  for (const history of ['none', 'full', 'turn']) {
    const { answer, events } = await (await server.connect()).follow(session.id, { history });
    assert.deepEqual(answer.promptCapabilities, first, history);
    assert.equal(events.filter(({ type }) => type === 'prompt_capabilities').length, history === 'full' ? 1 : 0);
  }

  await server.restart();
  const again = await (await server.connect()).follow(session.id);
  assert.deepEqual([again.answer.promptCapabilities, all(again)], [first, [first]], 'no agent runs, and what it took is known');
  const blind = await (await server.connect()).follow(session.id, { history: 'none' });
  await again.run(script(say('two')));
  assert.deepEqual(all(again), [first, second]);
  assert.deepEqual(told(await blind.event('prompt_capabilities')), second);
  await (await again.prompt(script(die()))).end();
  await again.run(script(say('three')));
  assert.deepEqual(all(again), [first, second], 'what is as it was is not said again');
  const late = await (await server.connect()).follow(session.id);
  assert.deepEqual([late.answer.promptCapabilities, all(late)], [second, [first, second]]);
});

test('an agent that wants a login is logged in as configured, or says which ways it has', async () => {
  const command = ['signalbox-scripted-agent', '--auth-required'];
  const server = await startServer({ agents: { known: { command, login: 'token' }, unknown: { command } } });
  const client = await server.connect();
  const session = await client.create('known');
  assert.equal(textOf(await session.run(script(say('in')))), 'in');
  const other = await client.create('unknown');
  const { detail } = await other.status('failed');
  assert.match(detail, /needs a login[^]*- token/);
});

test('OpenCode comes back with its memory', { timeout: scaled(300_000) }, async () => {
  const server = await startServer({ settings: { 'agent-start-timeout-ms': 120_000 }, agents: { opencode: openCodeAgent(await startFakeModel()) } });
  const session = await (await server.connect()).create('opencode');
  await session.status('idle', { ms: 120_000 }); // its first start unpacks itself
  await session.run('@@text I keep this in mind.');
  await server.restart();
  const again = await (await server.connect()).follow(session.id);
  const said = again.events.length;
  const turn = await again.run('@@text And I go on.');
  assert.match(textOf(turn), /And I go on/);
  assert.deepEqual(lost(again), []);
  const texts = again.events.slice(said).filter(({ type }) => type === 'text_complete').map(({ text }) => text);
  assert.ok(!texts.some((text) => text.includes('keep this in mind')), 'what was said before is not said again');
});
