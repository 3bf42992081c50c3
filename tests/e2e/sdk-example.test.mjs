import assert from 'node:assert/strict';
import { sdkExampleAgent } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { startServer } from './lib/server.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const server = await startServer({ agents: { example: sdkExampleAgent() } });

test("the SDK's example agent: allowed, then rejected, then cancelled; its repeated tool ids stay apart", async () => {
  const session = await (await server.connect()).create('example');
  const answers = ['allow_once', 'reject_once'];
  const ids = [];
  for (const kind of answers) {
    const turn = await session.prompt('Hello');
    const request = await turn.permission();
    const { optionId } = request.acpOptions.find((option) => option.kind === kind);
    await session.answerPermission(request, { optionId });
    const end = await turn.end();
    assert.equal(end.stopReason, 'end_turn');
    assert.match(textOf(end), kind === 'allow_once' ? /success|perfect|complete/i : /./);
    assert.equal(toolsOf(end).length, 2);
    ids.push(...toolsOf(end).map((tool) => tool.toolUseId));
  }
  const turn = await session.prompt('Hello once more');
  const request = await turn.permission();
  await session.cancel();
  await turn.end();
  ids.push(...toolsOf(turn.view).map((tool) => tool.toolUseId));
  assert.equal(new Set(ids).size, ids.length, 'toolUseId is unique in the session');
  assert.equal(session.watch.permissions.get(request.requestId).end.type, 'permission_cancelled');

  const late = await (await server.connect()).follow(session.id);
  assert.deepEqual(late.watch.state().turns, session.watch.state().turns);
});
