// Much at once: long messages that grow, and long sessions.
import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { openApp, send, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, say, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const browser = await openBrowser();

async function opened(title) {
  const session = await (await server.connect()).create('scripted', { title });
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  await page.getByTestId('prompt-input').waitFor();
  return page;
}

/** The reader of a long conversation, at its end. */
async function longConversation(title) {
  const page = await opened(title);
  await send(page, script(say(lines(300, (at) => `- item ${at}`))));
  await turnsEnd(page);
  await page.waitForFunction(() => {
    const box = document.querySelector('.conversation__scroll');
    return box.scrollTop > 1000 && box.scrollHeight - box.scrollTop - box.clientHeight < 2;
  });
  return page;
}

test('who is at the end stays there when rows turn out to have other sizes; who scrolls up does not', async () => {
  const page = await longConversation('Sizes');
  const left = () => page.evaluate(() => {
    const box = document.querySelector('.conversation__scroll');
    return box.scrollHeight - box.scrollTop - box.clientHeight;
  });
  const frames = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))));
  for (const [above, below] of [['600px', '0'], ['0', '400px']]) {
    await page.evaluate(async ([top, bottom]) => {
      const [box, rows] = ['.conversation__scroll', '.conversation__rows'].map((name) => document.querySelector(name));
      rows.style.marginTop = top;
      void box.scrollTop; // it is where it can be
      rows.style.marginBottom = bottom;
    }, [above, below]);
    await frames();
    assert.ok((await left()) < 2, `still at the end, not ${await left()} pixels above it`);
    assert.equal(await page.getByTestId('new-below').count(), 0);
  }
  await page.locator('.conversation__scroll').hover();
  await page.mouse.wheel(0, -300);
  await page.getByTestId('new-below').waitFor();
  await until(async () => (await left()) > 100, 'the reader to be above the end'); // a wheel turns for some frames
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('who reloads right after he scrolled comes back to where he was', async () => {
  const page = await longConversation('Reloaded');
  await page.locator('.conversation__scroll').hover();
  await page.mouse.wheel(0, -900);
  await page.getByTestId('new-below').waitFor();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));
  await page.evaluate(() => location.reload()); // at once
  await page.waitForLoadState('load');
  await page.getByTestId('new-below').waitFor();
  await page.getByTestId('new-below').click();
  await page.getByTestId('new-below').waitFor({ state: 'detached' });
  await page.reload();
  await turnsEnd(page);
  assert.equal(await page.getByTestId('new-below').count(), 0, 'and at the end, if that is where he was');
  await page.context().close();
});

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
