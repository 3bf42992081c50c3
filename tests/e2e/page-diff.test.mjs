// Diffs in one column and side by side: where there is room for it, as the reader has chosen, whatever is in them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { scripted } from './lib/agents.mjs';
import { openApp, pendingCard, sessionAddress } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { ask, say, script, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const server = await startServer({ agents: { scripted: scripted() }, settings: { 'permission-timeout-ms': 0 } });
const browser = await openBrowser();
const client = await server.connect();

const HOSTILE = '<img src=x onerror="window.pwned=1">\u202e</td></table><script>window.pwned=2</script>';
const LONG = `const long = "${'x'.repeat(3_000)}";`;
const before = ['one', HOSTILE, 'three', LONG, ...Array.from({ length: 12 }, (_, at) => `same ${at}`), 'last'].join('\n');
const after = ['one', `new ${HOSTILE}`, 'three', LONG.replace('long', 'longer'), 'and more', ...Array.from({ length: 12 }, (_, at) => `same ${at}`), 'at last'].join('\n');
const change = (id) => ({ id, title: 'Change', kind: 'edit', input: { note: 'n' }, output: 'o', outputChunks: 1, diff: { path: `/w/${id}.txt`, oldText: before, newText: after }, leaveOpen: true });

const session = await client.create('scripted', { title: 'Changes' });
await (await session.prompt(script(
  tool({ ...change('done'), leaveOpen: false }), tool({ id: 'new', title: 'New', kind: 'edit', input: {}, diff: { path: '/w/new.txt', oldText: null, newText: 'a\nb\n' } }),
  tool(change('asked')), ask({ tool: 'asked' }),
))).permission();

const openCard = async (page, id) => {
  const card = page.locator(`[data-testid="tool-card"][data-tool-id="${id}"]`);
  const toggle = card.locator('.tool-card__toggle');
  if ((await toggle.getAttribute('aria-expanded')) === 'false') {
    await toggle.click();
  }
  return card.getByTestId('tool-diff');
};
const layout = (diff, wanted) => diff.and(diff.page().locator(`[data-layout="${wanted}"]`)).waitFor();
const ids = async (page) => page.locator('[data-testid="tool-card"]').evaluateAll((cards) => cards.map((card) => card.dataset.toolId));

test('side by side where one wants it: by keyboard, for all of them, also after a reload', async () => {
  const page = await openApp(browser, server, { at: sessionAddress(session), bypassCSP: true, reducedMotion: 'reduce' });
  await page.setViewportSize({ width: 1500, height: 1000 });
  await pendingCard(page).waitFor();
  const [done, fresh] = await ids(page);
  let diff = await openCard(page, done);
  await layout(diff, 'unified');
  const toggle = diff.getByRole('button', { name: 'Side by side' });
  assert.equal(await toggle.getAttribute('aria-pressed'), 'false');
  const narrow = (await diff.boundingBox()).width;
  await toggle.focus();
  await page.keyboard.press('Enter');
  await layout(diff, 'split');
  assert.equal(await toggle.getAttribute('aria-pressed'), 'true');
  assert.ok(await toggle.evaluate((node) => node === document.activeElement), 'the keyboard is where it was');
  await until(async () => (await diff.boundingBox()).width > narrow + 100, 'it to take the room that there is');
  await layout(page.getByTestId('permission-diff'), 'split');
  // A new file has nothing to stand beside it.
  assert.equal(await (await openCard(page, fresh)).getByTestId('diff-layout').count(), 0);

  // Both sides say what is there, in words, and nothing of it has become a part of the page.
  const cells = (side) => diff.locator(`td[data-side="${side}"]`).evaluateAll((all) => all.map((cell) => cell.textContent));
  const plain = (text) => text.replaceAll('\u202e', '\\u{202e}');
  assert.deepEqual((await cells('before')).slice(0, 4), ['one', plain(HOSTILE), 'three', LONG]);
  assert.deepEqual((await cells('after')).slice(0, 4), ['one', plain(`new ${HOSTILE}`), 'three', LONG.replace('long', 'longer')]);
  assert.equal((await cells('before'))[4], '', 'nothing stands beside what is new');
  assert.equal((await cells('after'))[4], 'and more');
  assert.equal(await page.evaluate(() => window.pwned), undefined);

  // A long line is broken, and neither side is pushed away.
  const scroller = diff.locator('.diff__scroll');
  assert.ok(await scroller.evaluate((node) => node.scrollWidth <= node.clientWidth + 1));
  const [left, right] = await diff.locator('tr:nth-child(4) td[data-side]').evaluateAll((all) => all.map((cell) => cell.getBoundingClientRect().width));
  assert.ok(Math.abs(left - right) < 3, `${left} ${right}`);

  // What is selected is of one side.
  await diff.locator('td[data-side="after"]').first().dispatchEvent('pointerdown');
  assert.equal(await diff.locator('td[data-side="before"]').first().evaluate((cell) => getComputedStyle(cell).userSelect), 'none');

  await diff.getByRole('button', { name: /unchanged lines/ }).click();
  assert.ok((await cells('before')).includes('same 6'));
  await screenshot(page, 'page-diff-split');
  await page.evaluate(axe);
  const findings = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes[0].target}`));
  assert.deepEqual(findings, []);

  await page.reload();
  await pendingCard(page).waitFor();
  diff = await openCard(page, done);
  await layout(diff, 'split');
  // Where it is too narrow there is one column, and nothing to choose; with room it is as it was.
  await page.setViewportSize({ width: 700, height: 1000 });
  await layout(diff, 'unified');
  await diff.getByTestId('diff-layout').waitFor({ state: 'detached' });
  await page.setViewportSize({ width: 1500, height: 1000 });
  await layout(diff, 'split');
  await diff.getByTestId('diff-layout').click();
  await layout(diff, 'unified');
  await layout(page.getByTestId('permission-diff'), 'unified');
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a phone has one column, and no choice', async () => {
  const page = await openApp(browser, server, { at: sessionAddress(session), phone: true });
  await page.evaluate(() => localStorage.setItem('signalbox:diff', 'split'));
  await page.reload();
  const diff = page.getByTestId('permission-diff');
  await layout(diff, 'unified');
  assert.equal(await page.getByTestId('diff-layout').count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a change that is too large to come at once says nothing of lines behind the cut', async () => {
  const lines = (count, change) => Array.from({ length: count }, (_, at) => `line ${at} as it was${at % 40 === 0 ? change : ''}`).join('\n');
  const large = await client.create('scripted', { title: 'A large change' });
  await (await large.prompt(script(tool({ id: 'large', title: 'src/large.ts', kind: 'edit', input: {}, output: 'o', diff: { path: '/w/large.ts', oldText: lines(2_000, ''), newText: lines(2_100, ', and is not') } })))).end();
  const page = await openApp(browser, server, { at: sessionAddress(large) });
  await page.getByTestId('tool-card').first().waitFor();
  const [id] = await ids(page);
  const diff = await openCard(page, id);
  await diff.getByText('its beginning').waitFor();
  assert.equal(await diff.locator('.diff-stat').count(), 0);
  const rows = (kind) => diff.locator(`.diff__row--${kind}`).count();
  assert.equal(await rows('removed'), await rows('added'), 'each line that is changed is gone and there again');
  await page.getByTestId('tool-card').getByRole('button', { name: 'Show all' }).click();
  await diff.getByLabel('150 lines added, 50 removed').waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a box of a list of tasks stands beside its words, however much room is between them', async () => {
  const told = await client.create('scripted', { title: 'Tasks' });
  await (await told.prompt(script(say('- [x] done\n\n- [ ] not done\n')))).end();
  const page = await openApp(browser, server, { at: sessionAddress(told) });
  const words = page.getByText('not done', { exact: true });
  await words.waitFor();
  const box = await page.getByRole('checkbox', { name: 'not done' }).boundingBox();
  const { y, height } = await words.boundingBox();
  assert.ok(box.y + box.height / 2 > y && box.y + box.height / 2 < y + height, JSON.stringify([box, y, height]));
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
