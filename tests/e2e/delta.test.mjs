import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { isLong } from './lib/paths.mjs';
import { ask, say, script, stream, streamed, think, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const server = await startServer({ settings: { 'delta-window-ms': 50 }, agents: { scripted: scripted() } });
const TEXTS = ['text_delta', 'text_complete'];

/** The largest number of these events in any second of their own `ts`. */
function mostInASecond(events) {
  const times = events.map((event) => event.ts).sort((a, b) => a - b);
  return Math.max(...times.map((start) => times.filter((ts) => ts >= start && ts < start + 1000).length));
}

/** How long it took, by their own `ts`: as long as it should on an idle machine, and longer on others. */
const secondsOf = (events) => (events.at(-1).ts - events[0].ts) / 1000;

test('delta window', async (t) => {
  const client = await server.connect();

  await t.test('text before a tool call is shown before it, always', async () => {
    const session = await client.create('scripted');
    const steps = [];
    for (let i = 0; i < 30; i++) {
      steps.push(say(`text ${i}`), tool({ title: `Tool ${i}`, output: `out ${i}` }));
    }
    const turn = await session.run(script(...steps, say('the end')));
    const shown = turn.blocks.map((block) => block.text ?? block.result.result);
    const sent = Array.from({ length: 30 }, (_, i) => [`text ${i}`, `out ${i}`]).flat();
    assert.deepEqual(shown, [...sent, 'the end']);
    // The watch has checked at every tool_start that no text was open; and that all of it was shown:
    for (const start of session.events.filter((event) => event.type === 'tool_start')) {
      const before = session.events.filter((event) => event.seq < start.seq && event.type === 'text_complete');
      assert.equal(before.at(-1).text, start.toolDisplayName.replace('Tool', 'text'));
    }
  });

  await t.test('text before a permission request and between thoughts keeps its place', async () => {
    const session = await client.create('scripted');
    const turn = await session.prompt(script(think('why'), say('what'), think('how'), say('ask'), ask(), say('end')));
    const request = await turn.permission();
    assert.deepEqual(turn.view.blocks.map((block) => block.text ?? block.kind), ['why', 'what', 'how', 'ask', 'tool']);
    await session.answerPermission(request, { allow: true });
    await turn.end();
  });

  await t.test('a flood of 1,000 chunks a second becomes at most 21 events in any second', async () => {
    const session = await client.create('scripted');
    const seconds = isLong ? 15 : 3;
    const turn = await session.prompt(script(stream(1000 * seconds, 12, 1000)));
    const end = await turn.end({ ms: (seconds + 20) * 1000 });
    assert.equal(textOf(end), streamed(1000 * seconds, 12));
    const texts = turn.events.filter((event) => TEXTS.includes(event.type));
    assert.ok(mostInASecond(texts) <= 21, `${mostInASecond(texts)} text events in a second`);
    // 20 a second where nothing stands still; each pause of the machine makes one of many.
    assert.ok(texts.length >= 2 * seconds, `it is streamed, not kept back: ${texts.length} events`);
    assert.equal(toolsOf(end).length, 0);
  });

  await t.test('the first text goes out at once', async () => {
    const session = await client.create('scripted');
    const turn = await session.prompt(script(say('first'), { waitCancel: true }));
    const delta = await turn.event('text_delta');
    assert.equal(delta.offset, 0);
    assert.ok('first'.startsWith(delta.delta));
    await session.cancel();
    await turn.end();
  });
});

test('with another window the rate is another', async () => {
  const client = await server.connect(); // before the change, so that it is told of it
  server.writeConfig({ 'delta-window-ms': 500 });
  await client.control('config_changed');
  const session = await client.create('scripted');
  const turn = await session.prompt(script(stream(2000, 5, 1000)));
  const end = await turn.end();
  assert.equal(textOf(end), streamed(2000, 5));
  const deltas = turn.events.filter((event) => event.type === 'text_delta');
  const most = 3 + 2 * secondsOf(deltas);
  assert.ok(deltas.length <= most, `${deltas.length} deltas in ${secondsOf(deltas)} seconds`);
});
