// Much at once: long messages that grow, and long sessions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scripted } from './lib/agents.mjs';
import { openApp, send, sessionAddress, turnsEnd } from './lib/app.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, say, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const browser = await openBrowser();

async function opened(title) {
  const session = await (await server.connect()).create('scripted', { title });
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  await page.getByTestId('prompt-input').waitFor();
  return page;
}

const lines = (count, line) => Array.from({ length: count }, (_, at) => line(at)).join('\n');

test('a message that grows by more than a page stays where it is: it is not taken away and drawn anew', async () => {
  const page = await opened('Growing');
  await send(page, script(say('begins\n\n'), { sleep: 400 }, say(`${lines(400, (at) => `- item ${at}`)}\n\nalmost`), { sleep: 300 }, say(' there'), { sleep: 300 }));
  await page.getByTestId('agent-text').filter({ hasText: 'begins' }).evaluate((node) => (node.isTheSame = true));
  await page.getByTestId('agent-text').filter({ hasText: 'almost there' }).waitFor();
  await turnsEnd(page);
  assert.ok(await page.getByTestId('agent-text').evaluate((node) => node.isTheSame === true));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
