// A long session opens at its end; what was said before comes behind it, and moves nothing.
import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { openApp, recorded, send, sessionAddress, shown, words } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { say, script, stream, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const browser = await openBrowser();

const lines = (count, name) => Array.from({ length: count }, (_, at) => `- ${name} ${at}`).join('\n');
const look = (turn, at) => tool({ id: `look-${turn}-${at}`, title: `look ${turn} ${at}`, kind: 'read', input: { path: `f${at}` }, output: `${turn} ${at}` });

const TURNS = 40;
const session = await (await server.connect()).create('scripted', { title: 'Long' });
for (let turn = 0; turn < TURNS; turn++) {
  await session.run(script(say(`Turn ${turn} begins.`), ...Array.from({ length: 20 }, (_, at) => look(turn, at)), think(`Thought ${turn}.`), { commands: [`go-${turn}`] }, say(lines(8 + (turn % 5) * 9, `turn ${turn} line`))));
}
const { items } = await recorded(server, session.id);
const keyOf = (said) => items.find(({ text }) => text === said).key;

const SCROLL = '.conversation__scroll';
const isPartial = (page) => page.locator('[data-testid="conversation"][data-sync="live"][data-earlier]').waitFor();
const isWhole = (page) => page.locator('[data-testid="conversation"][data-sync="live"]:not([data-earlier])').waitFor();
const isAtEnd = (page) => page.waitForFunction((name) => {
  const box = document.querySelector(name);
  return box && box.scrollHeight > box.clientHeight && box.scrollHeight - box.scrollTop - box.clientHeight < 2;
}, SCROLL);
const frames = (page, count = 3) => page.evaluate(async (left) => {
  while (left-- > 0) {
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  }
}, count);

/** The session, of which pages of events wait: `go()` lets them come, `fail(code)` refuses those that are asked for. */
async function heldUp({ at = sessionAddress(session), ...options } = {}) {
  const page = await openApp(browser, server, { at: '/#/rules', ...options });
  let isOpen = false;
  let failing = null;
  const waiting = [];
  await page.route(/\/v1\/sessions\/[^/]+\/events\?.*limit=1000/, async (route) => {
    if (failing) {
      await route.abort(failing);
      return;
    }
    if (!isOpen) {
      await new Promise((go) => waiting.push(go));
    }
    await route.continue().catch(() => {}); // whoever asked may be gone
  });
  page.go = () => {
    isOpen = true;
    waiting.splice(0).forEach((go) => go());
  };
  page.fail = (code) => {
    failing = code;
  };
  await page.evaluate((to) => (location.hash = to.slice(1)), at);
  return page;
}

/** Where everything is that can be seen, by key, at each frame until it was called back. */
const watchPlaces = (page) => page.evaluate((name) => {
  const box = document.querySelector(name);
  const places = () => {
    const { top, bottom } = box.getBoundingClientRect();
    return Object.fromEntries([...box.querySelectorAll('[data-key]')].map((node) => [node.dataset.key, node.getBoundingClientRect()])
      .filter(([, rect]) => rect.bottom > top && rect.top < bottom && rect.height > 0).map(([key, rect]) => [key, Math.round(rect.top * 10) / 10]));
  };
  const begun = places();
  const moved = [];
  let isDone = false;
  const look = () => {
    const now = places();
    for (const [key, top] of Object.entries(begun)) {
      if (now[key] === undefined || Math.abs(now[key] - top) >= 1) {
        moved.push([key, top, now[key] ?? null, box.scrollTop]);
      }
    }
    if (!isDone) {
      requestAnimationFrame(look);
    }
  };
  requestAnimationFrame(look);
  globalThis.endOfWatch = async () => {
    for (let left = 20; left > 0; left--) {
      await new Promise(requestAnimationFrame);
    }
    isDone = true;
    return { count: Object.keys(begun).length, moved: moved.slice(0, 5) };
  };
}, SCROLL);

async function assertStill(page, what) {
  const { count, moved } = await page.evaluate(() => globalThis.endOfWatch());
  assert.deepEqual(moved, [], what);
  assert.ok(count > 0, what);
}

for (const phone of [false, true]) {
  test(`it opens at its end, and what comes before it moves nothing, ${phone ? 'on a phone' : 'at a desk'}`, async () => {
    for (const where of ['end', 'middle', 'top']) {
      const page = await heldUp({ phone });
      await isPartial(page);
      await page.locator(`[data-key="${items.at(-1).key}"]`).waitFor();
      await isAtEnd(page);
      assert.equal(await page.getByTestId('earlier-note').count(), 0, 'nobody looks for it');
      assert.match(await page.locator(SCROLL).getAttribute('aria-label'), /earlier turns are loading/);
      assert.equal(await page.locator('[data-key]').filter({ hasText: 'Turn 0 begins.' }).count(), 0);
      if (where !== 'end') {
        await page.evaluate(async ([name, share]) => {
          const box = document.querySelector(name);
          box.dispatchEvent(new WheelEvent('wheel', { bubbles: true }));
          box.scrollTop = box.scrollHeight * share;
          for (let left = 20; left > 0; left--) {
            await new Promise(requestAnimationFrame); // and what stands there is measured
          }
        }, [SCROLL, where === 'top' ? 0 : 0.5]);
        if (where === 'top') {
          await page.evaluate((name) => (document.querySelector(name).scrollTop = 0), SCROLL);
          await page.getByTestId('earlier-note').getByText('Earlier turns are loading').waitFor();
        }
        await frames(page, 20);
      }
      const height = await page.evaluate((name) => document.querySelector(name).scrollHeight, SCROLL);
      await page.evaluate((name) => document.querySelectorAll(`${name} [data-key]`).forEach((node) => (node.isTheSame = true)), SCROLL);
      await watchPlaces(page);
      page.go();
      await isWhole(page);
      await assertStill(page, where);
      const redrawn = await page.evaluate((name) => {
        const { top, bottom } = document.querySelector(name).getBoundingClientRect();
        return [...document.querySelectorAll(`${name} [data-key]`)].filter((node) => node.getBoundingClientRect().bottom > top && node.getBoundingClientRect().top < bottom && !node.isTheSame)
          .map(({ dataset }) => dataset.key);
      }, SCROLL);
      assert.deepEqual(redrawn, [], 'nor is anything taken away and drawn anew');
      assert.ok((await page.evaluate((name) => document.querySelector(name).scrollHeight, SCROLL)) > 2 * height, 'much is above it');
      assert.equal(await page.locator(SCROLL).getAttribute('aria-label'), 'What was said');
      assert.equal(await page.getByTestId('earlier-note').count(), 0);
      if (where === 'end') {
        await isAtEnd(page);
      }
      assert.equal(await page.getByTestId('new-below').count(), where === 'end' ? 0 : 1);
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
  });
}

test('all of it, text for text', async () => {
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  const seen = await shown(page, { open: false });
  const texts = seen.filter(({ kind }) => kind === 'agent-text').map(({ said }) => words(said));
  assert.deepEqual(texts, items.filter(({ kind }) => kind === 'text').map(({ text }) => words(text.replace(/^- /gm, ''))));
  assert.equal(seen.filter(({ kind }) => kind === 'turn-end').length, TURNS);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('Home goes to the beginning, also when that is not there yet', async () => {
  const page = await heldUp();
  await isPartial(page);
  await isAtEnd(page);
  await page.locator(SCROLL).focus();
  await page.keyboard.press('Home');
  await page.getByTestId('earlier-note').getByText('Earlier turns are loading').waitFor();
  page.go();
  await isWhole(page);
  await page.waitForFunction(([name, key]) => document.querySelector(name).scrollTop < 20 && document.querySelector(`[data-key="${key}"]`), [SCROLL, items[0].key]);
  await frames(page, 20);
  assert.ok(await page.locator(`[data-key="${items[0].key}"]`).isVisible());
  assert.ok((await page.evaluate((name) => document.querySelector(name).scrollTop, SCROLL)) < 20);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('who wanted to the beginning, and scrolls on, is left alone', async () => {
  const page = await heldUp();
  await isPartial(page);
  await isAtEnd(page);
  await page.locator(SCROLL).focus();
  await page.keyboard.press('Home');
  await page.getByTestId('earlier-note').waitFor();
  await page.locator(SCROLL).hover();
  await page.mouse.wheel(0, 400);
  await page.waitForFunction((name) => document.querySelector(name).scrollTop > 300, SCROLL);
  await frames(page, 20);
  await watchPlaces(page);
  page.go();
  await isWhole(page);
  await assertStill(page, 'where he is');
  await page.context().close();
});

test('what a link leads to is fetched, and one is brought there', async () => {
  const key = keyOf('Turn 1 begins.');
  const page = await heldUp({ at: `${sessionAddress(session)}?item=${encodeURIComponent(key)}` });
  await isPartial(page);
  await page.getByLabel('The conversation is being loaded').waitFor(); // not its end first, to be taken away from there
  page.go();
  await page.waitForFunction((wanted) => document.activeElement?.dataset.key === wanted, key);
  // While it is open, and not all of it is there: one in what is there, at once.
  const other = await heldUp();
  await isPartial(other);
  await isAtEnd(other);
  const last = items.filter(({ kind }) => kind === 'text').at(-3).key;
  const follow = (to) => other.evaluate(([id, item]) => (location.hash = `#/s/${id}?item=${encodeURIComponent(item)}`), [session.id, to]);
  await follow(last);
  await other.waitForFunction((wanted) => document.activeElement?.dataset.key === wanted, last);
  await follow(key);
  await frames(other, 20);
  assert.equal(await other.getByTestId('toast').count(), 0, 'it may be in what comes');
  other.go();
  await other.waitForFunction((wanted) => document.activeElement?.dataset.key === wanted, key);
  await follow('text:nothing');
  await other.getByTestId('toast').getByText('What the link points to is not in this session.').waitFor();
  assert.deepEqual([...page.faults, ...other.faults], []);
  await page.context().close();
  await other.context().close();
});

test('after a reload one is where one was, far up', async () => {
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  await isWhole(page);
  await page.locator(SCROLL).focus();
  await page.keyboard.press('Home');
  const first = page.locator(`[data-key="${items[0].key}"]`);
  await first.waitFor();
  await page.waitForFunction(([id]) => JSON.parse(sessionStorage.getItem(`signalbox:place:${id}`))?.key, [session.id]);
  await page.reload();
  await first.waitFor();
  await isWhole(page);
  await page.waitForFunction((name) => document.querySelector(name).scrollTop < 60, SCROLL);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('what cannot be had says so, and offers to load it', async () => {
  const page = await heldUp({ faultyNetwork: true });
  await isPartial(page);
  page.fail('connectionrefused');
  page.go();
  await page.locator('[data-testid="conversation"][data-earlier="waiting"]').waitFor();
  await isAtEnd(page);
  assert.match(await page.locator(SCROLL).getAttribute('aria-label'), /earlier turns are not here yet/);
  await page.locator(SCROLL).focus();
  await page.keyboard.press('Home');
  await page.getByTestId('earlier-note').getByText('Earlier turns are not here yet').waitFor();
  page.fail(null);
  await page.getByTestId('load-earlier').click({ timeout: 5_000 }).catch(() => {}); // it may have been tried by itself
  await isWhole(page);
  await page.locator(`[data-key="${items[0].key}"]`).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('one turn that is thousands of events long opens at its end, and can be stopped there', async () => {
  const one = await (await server.connect()).create('scripted', { title: 'One turn' });
  await one.prompt(script(say('It begins.'), ...Array.from({ length: 900 }, (_, at) => look(0, at)), say('It goes on.'), ...Array.from({ length: 100 }, (_, at) => look(1, at)), say('And waits.'), waitCancel()));
  await one.event('text_delta', ({ delta }) => delta === 'And waits.');
  const page = await heldUp({ at: sessionAddress(one) });
  await isPartial(page);
  await page.getByTestId('agent-text').filter({ hasText: 'And waits.' }).waitFor();
  await page.getByTestId('earlier-note').getByText('Earlier turns are loading').waitFor(); // there is room for it
  await page.getByTestId('cancel-turn').click();
  await page.locator('[data-testid="turn-end"][data-stop-reason="cancelled"]').waitFor();
  await page.getByTestId('cancel-turn').waitFor({ state: 'detached' });
  page.go();
  await isWhole(page);
  await isAtEnd(page);
  await page.locator(SCROLL).focus();
  await page.keyboard.press('Home');
  await page.getByTestId('agent-text').filter({ hasText: 'It begins.' }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('its agent goes on while what is before comes; who reads further up is not moved', async () => {
  const running = await (await server.connect()).create('scripted', { title: 'Running' });
  for (let turn = 0; turn < 30; turn++) {
    await running.run(script(say(`Turn ${turn} begins.`), ...Array.from({ length: 25 }, (_, at) => look(turn, at)), say(lines(20, `turn ${turn} line`))));
  }
  const page = await heldUp({ at: sessionAddress(running) });
  await isPartial(page);
  await isAtEnd(page);
  await send(page, script(say('Now: '), stream(2_000, 12, 400)));
  await page.getByTestId('agent-text').filter({ hasText: 'Now: ' }).waitFor();
  await page.locator(SCROLL).hover();
  await page.mouse.wheel(0, -2_000);
  await page.getByTestId('new-below').waitFor();
  await frames(page, 30);
  await watchPlaces(page);
  page.go();
  await isWhole(page);
  await assertStill(page, 'further up');
  await page.getByTestId('new-below').click();
  await isAtEnd(page);
  await page.getByTestId('cancel-turn').click();
  await page.locator('[data-testid="turn-end"][data-stop-reason="cancelled"]').waitFor();
  const state = await recorded(server, running.id);
  const seen = await shown(page, { open: false });
  assert.deepEqual(seen.filter(({ kind }) => kind === 'user-message').length, 31);
  assert.equal(seen.filter(({ kind }) => kind === 'agent-text').length, state.items.filter(({ kind }) => kind === 'text').length);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
