// The address of one item, `#/s/ID?item=KEY`: who opens it is brought there, however far up it is, and whatever it is folded into.
import assert from 'node:assert/strict';
import { Proxy } from '../web/client/lib/proxy.mjs';
import { scripted } from './lib/agents.mjs';
import { openApp, recorded, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { say, script, think, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const browser = await openBrowser();

const lines = (count, name) => Array.from({ length: count }, (_, at) => `- ${name} ${at}`).join('\n');
const look = (turn, at) => tool({ id: `look-${turn}-${at}`, title: `look ${turn} ${at}`, kind: 'read', input: { path: `f${at}` }, output: `${turn} ${at}` });

// A session of some thousand events; what is looked for is in its second turn.
const session = await (await server.connect()).create('scripted', { title: 'Long' });
for (let turn = 0; turn < 40; turn++) {
  await session.run(script(say(`Turn ${turn} begins.`), ...Array.from({ length: 20 }, (_, at) => look(turn, at)), think(`Thought ${turn}.`), say(lines(30, `turn ${turn} line`))));
}
const { items } = await recorded(server, session.id);
const keyOf = (kind, test) => items.find((item) => item.kind === kind && test(item)).key;
const text = keyOf('text', ({ text: said }) => said === 'Turn 1 begins.');
const call = keyOf('tool', ({ title, toolName, toolInput }) => [title, toolName].includes('look 1 2') || toolInput.path === 'f2'); // folded into a line, with others
const late = items.filter(({ kind }) => kind === 'tool')[22].key;
const thought = keyOf('thought', ({ text: said }) => said === 'Thought 1.');

const address = (key) => `${sessionAddress(session)}?item=${encodeURIComponent(key)}`;
const item = (page, key) => page.locator(`[data-key="${key}"]`);

/** It is in sight, at the top, and what the keyboard goes on from. */
async function isAt(page, key) {
  await page.waitForFunction((wanted) => document.activeElement?.dataset.key === wanted, key);
  let places;
  await until(async () => {
    const [box, scroller] = places = await Promise.all([item(page, key).boundingBox(), page.locator('.conversation__scroll').boundingBox()]);
    return box && Math.abs(box.y - scroller.y - 12) < 4;
  }, () => `${key} at the top: ${JSON.stringify(places)}`);
  assert.equal(await page.getByTestId('new-below').innerText(), 'To the end');
}

for (const phone of [false, true]) {
  test(`a link to what is far up, ${phone ? 'on a phone' : 'at a desk'}`, async () => {
    const page = await openApp(browser, server, { at: address(text), phone });
    await isAt(page, text);
    assert.equal(await item(page, text).innerText().then((said) => said.includes('Turn 1 begins.')), true);
    // Others in the same session, while it is open: one is folded into a line, one is a thought.
    for (const key of [call, thought, late, text]) {
      await page.evaluate((to) => (location.hash = to.slice(1)), address(key));
      await isAt(page, key);
    }
    assert.equal(await item(page, thought).getByText('Thought 1.').count(), 1, 'it was opened');
    // The last one: the end can be seen.
    const end = items.at(-1).key;
    await page.evaluate((to) => (location.hash = to.slice(1)), address(end));
    await page.waitForFunction((wanted) => document.activeElement?.dataset.key === wanted, end);
    await page.getByTestId('new-below').waitFor({ state: 'detached' });
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
}

test('after a reload one is where one was, and not where the link had led', async () => {
  const page = await openApp(browser, server, { at: address(text) });
  await isAt(page, text);
  await page.getByTestId('new-below').click();
  await page.getByTestId('new-below').waitFor({ state: 'detached' });
  const isKept = () => page.waitForFunction((id) => JSON.parse(sessionStorage.getItem(`signalbox:place:${id}`))?.key === null, session.id);
  await isKept();
  await page.reload();
  await turnsEnd(page);
  await item(page, items.at(-1).key).waitFor();
  assert.equal(await page.getByTestId('new-below').count(), 0);
  // The same link once more, by a person: there again.
  await page.evaluate(() => (location.hash = '#/rules'));
  await page.evaluate((to) => (location.hash = to.slice(1)), address(text));
  await isAt(page, text);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('on a slow network, one is brought there when it has come', async () => {
  const proxy = await Proxy.before(server);
  server.writeConfig({ 'allowed-origins': [proxy.url] });
  const page = await openApp(browser, server, { at: '/#/rules', origin: proxy.url });
  proxy.rate = 25_000;
  const target = items.filter(({ kind }) => kind === 'thought')[30].key; // not among the first that come
  await page.evaluate((to) => (location.hash = to.slice(1)), address(target));
  await page.locator('[data-testid="conversation"][data-sync="catching_up"] [data-key]').first().waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.dataset.key), undefined, 'what is there is shown meanwhile');
  proxy.rate = 0;
  await isAt(page, target);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a link to nothing says so, and shows the session', async () => {
  const page = await openApp(browser, server, { at: address('text:"]<script>') });
  await page.getByTestId('toast').getByText('What the link points to is not in this session.').waitFor();
  await item(page, items.at(-1).key).waitFor();
  await page.evaluate(() => (location.hash = '#/rules'));
  await page.getByTestId('rules-page').waitFor();
  assert.equal(await page.getByTestId('toast').count(), 0, 'it was about where one was');
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a link to an item can be copied from it', async () => {
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const last = page.getByTestId('agent-text').last();
  await last.hover();
  await last.getByTestId('copy-link').click();
  const wanted = server.url + address(await last.getAttribute('data-key'));
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await until(async () => (await copied()) === wanted, async () => `${wanted}, not ${await copied()}`);
  await page.context().close();
});

test('on a phone, the time and the buttons of a text come when it is tapped; the last one has them', async () => {
  const page = await openApp(browser, server, { at: address(text), phone: true });
  await isAt(page, text);
  await page.evaluate(() => document.activeElement.blur());
  const tools = item(page, text).locator('.item-tools');
  const seen = (opacity) => page.waitForFunction(([key, wanted]) => getComputedStyle(document.querySelector(`[data-key="${key}"] .item-tools`)).opacity === wanted, [text, opacity]);
  await seen('0');
  const look = () => tools.evaluate((node) => [getComputedStyle(node).opacity, getComputedStyle(node).pointerEvents, getComputedStyle(node).position]);
  assert.deepEqual(await look(), ['0', 'none', 'absolute'], 'it takes no place');
  await item(page, text).tap();
  await seen('1');
  assert.equal((await look())[1], 'auto');
  await item(page, thought).tap();
  await seen('0');
  // By the keyboard, and for a screen reader, they are there without a tap.
  assert.equal(await item(page, text).getByRole('button', { name: 'Copy this message' }).count(), 1);
  await item(page, text).getByRole('button', { name: 'Copy this message' }).focus();
  await seen('1');
  // What a turn ended with has them always.
  const last = items.filter(({ kind }) => kind === 'text')[3].key;
  await page.evaluate((to) => (location.hash = to.slice(1)), address(last));
  await isAt(page, last);
  await page.evaluate(() => document.activeElement.blur());
  assert.deepEqual(await item(page, last).locator('.item-tools').evaluate((node) => [getComputedStyle(node).opacity, getComputedStyle(node).position]), ['1', 'static']);
  await page.context().close();
});
