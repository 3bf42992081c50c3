// Whoever cannot see the page, or cannot hold a mouse: axe-core's rules for every view, in both schemes, at a desk and on a phone.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { scripted } from './lib/agents.mjs';
import { isLive, openApp, pendingCard, send, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, say, script, think, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const server = await startServer({
  settings: { 'permission-timeout-ms': 600_000 },
  agents: { scripted: { command: ['signalbox-scripted-agent', '--modes', '--config-options'] } , gone: { command: ['/missing/agent'], install: 'npm install -g agent' } },
});
const browser = await openBrowser();

const TURN = script(
  think('First I look around.'), say('# Report\n\nSome *text* with a [link](https://example.org), `code` and a table:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```js\nconst answer = 42; // code\n```\n\n1. one\n2. two\n\n> quoted\n'),
  tool({ title: 'npm test', kind: 'execute', input: { command: 'npm test' }, output: '\u001b[32mok\u001b[0m all passed\n\u001b[31mfail\u001b[0m' }),
  tool({ title: 'Edit file', kind: 'edit', input: { path: 'a.js' }, output: 'done', diff: { path: '/a.js', oldText: 'one\ntwo\nthree\n', newText: 'one\n2\nthree\n' } }),
  tool({ title: 'cat missing', kind: 'read', output: 'no such file', fail: true }),
  { plan: [{ content: 'Look', status: 'completed', priority: 'high' }, { content: 'Fix', status: 'in_progress', priority: 'medium' }, 'Tell'] },
  { usage: { used: 12_000, size: 200_000, cost: { amount: 0.12, currency: 'USD' } } }, { commands: [{ name: 'review', description: 'Look at the changes' }] },
);

const client = await server.connect();
const done = await client.create('scripted', { title: 'All kinds of things' });
await (await done.prompt(TURN)).end();
const waiting = await client.create('scripted', { title: 'Waits for you' });
const turn = await waiting.prompt(script(say('May I?'), ask({ tool: { title: 'rm -rf build', kind: 'execute', input: { command: 'rm -rf build' } } })));
await turn.permission();
await (await client.create('scripted', { title: 'Failed' })).prompt(script({ error: { code: -32000, message: 'It broke' } }));

// Rows are hidden until they are measured: what is looked at is what people see.
const seen = (page) => page.getByTestId('tool-card').last().waitFor();
const VIEWS = [
  ['the list', '/#/', (page) => page.getByTestId('session-row').first().waitFor()],
  ['a session', sessionAddress(done), async (page) => { await turnsEnd(page); await seen(page); }],
  ['a session that waits', sessionAddress(waiting), async (page) => { await pendingCard(page).waitFor(); await seen(page); }],
  ['a new session', '/#/new', (page) => page.getByTestId('agent-card').first().waitFor()],
  ['what waits', '/#/waiting', (page) => pendingCard(page).waitFor()],
  ['the rules', '/#/rules', (page) => page.getByTestId('rules-page').waitFor()],
  ['the settings', '/#/settings', (page) => page.getByTestId('notify-on').or(page.getByText('Notifications')).first().waitFor()],
];

/** Findings that are serious or worse, each as a line. */
async function findings(page) {
  const results = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, impact, help, nodes }) => nodes.slice(0, 5).map(({ target, failureSummary }) => `${impact} ${id}: ${help}: ${target.join(' ')}: ${failureSummary.replace(/\s+/g, ' ')}`));
}

for (const scheme of ['light', 'dark']) {
  for (const phone of [false, true]) {
    test(`${scheme}, ${phone ? 'a phone' : 'a desk'}`, async () => {
      const page = await openApp(browser, server, { scheme, phone, bypassCSP: true, reducedMotion: 'reduce' }); // the policy lets no axe in
      const all = [];
      for (const [name, at, isThere] of VIEWS) {
        await page.goto(server.url + at);
        await page.reload(); // nothing of the view before
        await isLive(page);
        await isThere(page);
        // Until its end has been found a conversation is hidden, and what is hidden has no name.
        await page.waitForFunction(() => [...document.querySelectorAll('[data-settled]')].every((rows) => rows.dataset.settled === 'true'));
        await page.evaluate(async () => {
          document.querySelectorAll('[data-testid="conversation"] [aria-expanded="false"]').forEach((button) => button.click());
          await Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})));
        });
        await page.waitForFunction(() => [...document.querySelectorAll('.tool-card__toggle')].every((button) => getComputedStyle(button).visibility === 'visible'));
        await page.evaluate(axe);
        all.push(...(await findings(page)).map((finding) => `${name}: ${finding}`));
      }
      assert.deepEqual(all, []);
      assert.deepEqual(page.faults, []);
    });
  }
}

test('the sign-in page, in both schemes', async () => {
  const { writeFileSync } = await import('node:fs');
  const tokens = `${server.folder}/tokens`;
  writeFileSync(tokens, 'ada token-of-ada-0123456789abcdef\n', { mode: 0o600 });
  const guarded = await startServer({ settings: { 'tokens-file': tokens } });
  for (const colorScheme of ['light', 'dark']) {
    const page = await (await browser.newContext({ colorScheme, bypassCSP: true })).newPage();
    await page.goto(guarded.url);
    await page.getByTestId('login-token').waitFor();
    await page.evaluate(axe);
    assert.deepEqual(await findings(page), []);
  }
});
