import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { openCodeAgent, startFakeModel } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { answer, openApp, recorded, send, sessionAddress, shown, turnsEnd, words } from './lib/app.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { startServer } from './lib/server.mjs';
import { scaled } from './lib/wait.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const model = await startFakeModel();
const server = await startServer({
  settings: { 'permission-timeout-ms': 0, 'agent-start-timeout-ms': 120_000 },
  agents: { opencode: openCodeAgent(model) },
});
const patient = { ms: 120_000 }; // its first start unpacks itself
const lines = (...all) => all.join('\n');
const kindOf = (request, kind) => request.acpOptions.find((option) => option.kind === kind).optionId;

test('OpenCode: streamed text, a tool that is allowed is carried out, the turn ends', { timeout: scaled(300_000) }, async () => {
  const client = await server.connect();
  const session = await client.create('opencode');
  const file = path.join(session.workspace, 'made.txt');
  const turn = await session.prompt(
    lines('@@text I will make a file for you.', '@@slow 100 20', `@@bash printf made > ${file}`, '@@next', '@@text All done.'),
  );
  const request = await turn.permission(0, patient);
  assert.ok(turn.events.filter((event) => event.type === 'text_delta').length > 1, 'streamed');
  assert.match(request.command, /printf made/);
  assert.equal(existsSync(file), false, 'not before the answer');
  await session.answerPermission(request, { optionId: kindOf(request, 'allow_once') });
  const end = await turn.end(patient);
  assert.equal(end.stopReason, 'end_turn');
  assert.equal(readFileSync(file, 'utf8'), 'made', 'the file is really there');
  assert.match(textOf(end), /^I will make a file for you\.\s*word1 .*word100\s*All done\.\s*$/s);
  assert.equal(toolsOf(end).length, 1);
  assert.equal(toolsOf(end)[0].result.isError, false);
});

test('OpenCode: a tool that is rejected is not carried out', { timeout: scaled(300_000) }, async () => {
  const client = await server.connect();
  const session = await client.create('opencode');
  const file = path.join(session.workspace, 'unmade.txt');
  const turn = await session.prompt(lines('@@text I would like to.', `@@bash printf made > ${file}`, '@@next', '@@text Well.'));
  const request = await turn.permission(0, patient);
  await session.answerPermission(request, { optionId: kindOf(request, 'reject_once') });
  const end = await turn.end(patient);
  assert.equal(existsSync(file), false, 'the file is really not there');
  assert.equal(toolsOf(end)[0].result.isError, true);
  const next = await session.prompt(lines('@@text Another turn.'));
  assert.match(textOf(await next.end(patient)), /Another turn/);
});

test('OpenCode from the page, reloaded', { timeout: scaled(300_000) }, async () => {
  const browser = await openBrowser();
  const client = await server.connect();
  const session = await client.create('opencode', { title: 'With a page' });
  await session.status('idle', patient);
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  const file = path.join(session.workspace, 'page.txt');
  await send(page, lines('@@text Writing it.', `@@write ${file} hello`, '@@next', '@@text Written.'));
  await answer(page);
  await turnsEnd(page);
  assert.equal(readFileSync(file, 'utf8').trim(), 'hello');
  await page.reload();
  await turnsEnd(page);
  const said = (await recorded(server, session.id)).items.filter(({ kind }) => kind === 'text').map(({ text }) => words(text));
  const items = await shown(page);
  assert.deepEqual(items.filter(({ kind }) => kind === 'agent-text').map((item) => words(item.said)), said);
  assert.ok(items.some(({ kind, status, text }) => kind === 'tool-card' && status === 'completed' && text.includes('page.txt')));
  await screenshot(page, 'page-opencode');
  assert.deepEqual(page.faults, []);
});
