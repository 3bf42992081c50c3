// Real agents' recorded sessions, played by signalbox-replay-agent: the server must show what they said.
import assert from 'node:assert/strict';
import path from 'node:path';
import { replaying } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { root } from './lib/paths.mjs';
import { startServer } from './lib/server.mjs';
import { readTranscript } from './lib/transcript.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const NAMES = ['sdk-example', 'gemini', 'opencode', 'gemini-extra', 'opencode-extra', 'gemini-life', 'opencode-life'];
const fileOf = (name) => path.join(root, 'tests/transcripts', `${name}.jsonl`);
const server = await startServer({
  settings: { 'permission-timeout-ms': 0 },
  agents: Object.fromEntries(NAMES.map((name) => [name, replaying(fileOf(name))])),
});

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
  return turn.end();
}

for (const name of NAMES) {
  test(`the recorded session ${name}`, async () => {
    const { turns, last } = readTranscript(fileOf(name));
    const session = await (await server.connect()).create(name);
    for (const [index, recorded] of turns.entries()) {
      const shown = await play(session, recorded);
      const where = `turn ${index + 1}`;
      assert.equal(textOf(shown), recorded.text, `the text of ${where}`);
      assert.equal(textOf(shown, 'thought'), recorded.thought, `the thoughts of ${where}`);
      assert.deepEqual(toolsOf(shown).map((tool) => tool.toolKind), [...recorded.tools.values()], `the tools of ${where}`);
      const reasons = [recorded.stopReason, ...(recorded.cancelAfter ? ['cancelled'] : [])];
      assert.ok(reasons.includes(shown.stopReason), `${where} ended with ${shown.stopReason}, not ${reasons}`);
    }
    const late = await (await server.connect()).follow(session.id);
    assert.deepEqual(late.watch.state().turns, session.watch.state().turns, 'the same when it is replayed');
    if (last) {
      const { plan, usage, commands } = late.watch.latest;
      assert.deepEqual(plan?.entries.map(({ content, status }) => [content, status]), last.plan?.map(({ content, status }) => [content, status]));
      assert.deepEqual(usage && { used: usage.used, size: usage.size }, last.usage);
      assert.deepEqual(commands?.commands.map((command) => command.name), last.commands);
    }
  });
}
