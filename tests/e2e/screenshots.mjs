// The pictures in docs/screens: the main views, light and dark, at a desk and on a phone, of a server with sessions as they could be.
// Run by scripts/screenshots.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { isLive, pendingCard, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { root } from './lib/paths.mjs';
import { smallPng } from './lib/png.mjs';
import { javascript } from './lib/agents.mjs';
import { ask, say, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const out = path.join(root, 'docs/screens');
const LARGEST = 200_000; // bytes of one picture

// A path that one can read, in the pictures.
const yard = path.join(os.tmpdir(), 'yard');
assert.ok(!existsSync(yard), `${yard} is in the way`);
mkdirSync(yard);
after(() => rmSync(yard, { recursive: true, force: true }));
const workspace = (name) => {
  mkdirSync(path.join(yard, name), { recursive: true });
  return path.join(yard, name);
};

const BEFORE = `export function compareDepartures(a: Departure, b: Departure): number {
  return a.minutes - b.minutes;
}

export function board(departures: Departure[], now: number): Departure[] {
  return departures.filter(({ minutes }) => minutes >= now).sort(compareDepartures);
}
`;
const AFTER = `const DAY = 24 * 60;

/** Minutes from now on: what leaves after midnight comes behind what leaves before it. */
const ahead = (minutes: number, now: number): number => (minutes - now + DAY) % DAY;

export function board(departures: Departure[], now: number): Departure[] {
  return [...departures].sort((a, b) => ahead(a.minutes, now) - ahead(b.minutes, now));
}
`;
const TESTS = [
  '> timetable@2.3.0 test', '> vitest run', '',
  ' \u001b[32m✓\u001b[0m src/board.test.ts \u001b[2m(12 tests)\u001b[0m \u001b[33m18ms\u001b[0m', ' \u001b[32m✓\u001b[0m src/parse.test.ts \u001b[2m(31 tests)\u001b[0m \u001b[33m42ms\u001b[0m', '',
  ' \u001b[2mTest Files\u001b[0m  \u001b[1m\u001b[32m2 passed\u001b[0m (2)', ' \u001b[2m     Tests\u001b[0m  \u001b[1m\u001b[32m43 passed\u001b[0m (43)',
].join('\n');

const FIX = { steps: [
  think('The board shows 00:12 before 23:50. The minutes of a day wrap around at midnight, so comparing them as they are cannot be right. Look at how departures are compared.'),
  say('I will look at how the departures are sorted.'),
  tool({ id: 'read', title: 'src/board.ts', name: 'Read', kind: 'read', input: { path: 'src/board.ts' }, locations: [{ path: path.join(yard, 'timetable/src/board.ts'), line: 1 }], output: BEFORE }),
  tool({ id: 'find', title: 'compareDepartures in src/', name: 'Search', kind: 'search', input: { pattern: 'compareDepartures' }, output: 'src/board.ts:1\nsrc/board.ts:6' }),
  { plan: [
    { content: 'Find out how departures are compared', status: 'completed', priority: 'high' }, { content: 'Count minutes from now on, over midnight', status: 'completed', priority: 'high' },
    { content: 'Run the tests', status: 'completed', priority: 'medium' }, { content: 'Commit the change', status: 'in_progress', priority: 'low' },
  ] },
  say([
    'A departure is sorted by its **minutes of the day**, so everything after midnight comes first:', '',
    '| departure | minutes | shown | should be |', '|---|---:|---:|---:|', '| 23:50 Northfield | 1430 | 2 | 1 |', '| 00:12 Harbour | 12 | 1 | 2 |', '| 00:40 Airport | 40 | – | 3 |', '',
    'The filter drops what leaves after midnight altogether. Counting from *now* mends both:', '',
    '```ts', 'const ahead = (minutes: number, now: number) => (minutes - now + DAY) % DAY;', '```',
  ].join('\n')),
  tool({ id: 'edit', title: 'src/board.ts', name: 'Edit', kind: 'edit', input: { path: 'src/board.ts' }, locations: [{ path: path.join(yard, 'timetable/src/board.ts') }], output: 'changed', diff: { path: path.join(yard, 'timetable/src/board.ts'), oldText: BEFORE, newText: AFTER }, permission: true }),
  tool({ id: 'test', title: 'npm test', name: 'Shell', kind: 'execute', input: { command: 'npm test' }, output: TESTS }),
  { usage: { used: 38_400, size: 200_000, cost: { amount: 0.42, currency: 'USD' } } },
  say('All 43 tests pass. I would commit this now:'),
  ask({ tool: { id: 'commit', title: 'git commit -am "Sort departures over midnight"', name: 'Shell', kind: 'execute', input: { command: 'git commit -am "Sort departures over midnight"' } }, options: [
    { optionId: 'once', name: 'Allow', kind: 'allow_once' }, { optionId: 'always', name: 'Always allow git commit', kind: 'allow_always' }, { optionId: 'no', name: 'Reject', kind: 'reject_once' },
  ] }),
] };

// What a person wrote, and what the scripted agent is given to play for it.
const SCRIPTS = {
  'What leaves after midnight is missing on the board. Please look into it.': { steps: [...FIX.steps.slice(0, -2), say('All 43 tests pass. The board now goes on over midnight.')] },
  'The board shows 00:12 before 23:50. Find out why, and fix it.': FIX,
  'Which lamps are on the west line?': { steps: [say('Eleven: the four at the junction, and one at each of the seven crossings.')] },
  'Measure how long the points take, ten times each.': { steps: [say('I begin with the points at the yard.'), { exit: 1 }] },
  'Review the parser of stop names.': { steps: [
    tool({ title: 'npm run lint', name: 'Shell', kind: 'execute', input: { command: 'npm run lint' }, output: 'no problems', permission: true }),
    tool({ title: 'src/parse.ts', name: 'Read', kind: 'read', input: { path: 'src/parse.ts' }, locations: [{ path: path.join(yard, 'timetable/src/parse.ts') }], output: '...', permission: true }),
    say('Nothing to object to.'),
  ] },
  'Try every pair of routes, and prove that no two of them meet.': { steps: [say('I try them one by one.'), waitCancel()] },
  'Dim the lamps at night.': { steps: [
    tool({ id: 'lamp', title: 'src/lamp.ts', name: 'Edit', kind: 'edit', locations: [{ path: path.join(yard, 'signals/src/lamp.ts'), line: 4 }], permission: true,
      input: { file_path: path.join(yard, 'signals/src/lamp.ts'), old_string: 'export const BRIGHTNESS = 1;\n', new_string: 'export const BRIGHTNESS = { day: 1, night: 0.35 };\n' } }),
  ] },
};

/** The scripted agent, behind something that finds the script for what was written, and keeps to itself what only tests want to hear. */
const agent = (title) => ({ title, ...javascript(`
  import { spawn } from 'node:child_process';
  import { createInterface } from 'node:readline';
  const scripts = ${JSON.stringify(SCRIPTS)};
  const child = spawn('signalbox-scripted-agent', ['--modes', '--models'], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout }).on('line', (line) => /"text":"answer:/.test(line) || process.stdout.write(line + '\\n'));
  createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line);
    if (message.method === 'session/prompt') {
      message.params.prompt = [{ type: 'text', text: JSON.stringify(scripts[message.params.prompt[0].text.trim()]) }];
    }
    child.stdin.write(JSON.stringify(message) + '\\n');
  }).on('close', () => child.stdin.end());
  child.on('exit', (code) => process.exit(code ?? 1));
`) });

const server = await startServer({
  settings: { 'workspace-roots': [yard], 'permission-timeout-ms': 1_800_000 },
  agents: { builder: agent('Builder'), reviewer: agent('Reviewer'), drafter: { command: ['drafter-acp'], title: 'Drafter', install: 'npm install --global drafter-acp' } },
});

const remember = (request, scope) => {
  const option = request.rememberOptions.find((each) => each.scope === scope);
  return { allow: true, remember: { scope: option.scope, match: option.match } };
};

/** The sessions, those that changed last first in the list. -> those that are shown */
async function furnish() {
  const client = await server.connect();
  const begin = async (name, folder, prompt, title) => {
    const session = await client.create(name, { workspace: workspace(folder), ...(title ? { title } : {}) });
    await session.status('idle');
    return { session, turn: await session.prompt(prompt) };
  };
  const closed = await begin('reviewer', 'lamps', 'Which lamps are on the west line?');
  await closed.turn.end();
  await client.command('close_session', { sessionId: closed.session.id });
  const failed = await begin('builder', 'points', 'Measure how long the points take, ten times each.', 'How long the points take');
  await failed.turn.end();
  const done = await begin('reviewer', 'timetable', 'Review the parser of stop names.');
  for (const [at, scope] of ['workspace', 'session'].entries()) {
    const request = await done.turn.permission(at);
    await done.session.answerPermission(request, remember(request, scope));
  }
  await done.turn.end();
  const told = await begin('builder', 'timetable', 'What leaves after midnight is missing on the board. Please look into it.', 'The board at midnight');
  await told.session.answerPermission(await told.turn.permission(0), { allow: true });
  await told.turn.end();
  const running = await begin('builder', 'interlocking', 'Try every pair of routes, and prove that no two of them meet.', 'Routes that never meet');
  await running.session.event('text_delta');
  const edit = await begin('builder', 'signals', 'Dim the lamps at night.', 'Lamps at night');
  await edit.turn.permission();
  const main = await begin('builder', 'timetable', 'The board shows 00:12 before 23:50. Find out why, and fix it.', 'Departures after midnight');
  await main.session.answerPermission(await main.turn.permission(0), { allow: true });
  await main.turn.permission(1);
  return { asking: main.session, told: told.session };
}

const DESK = { viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

test('pictures of the main views', { timeout: 300_000 }, async () => {
  const { asking, told } = await furnish();
  const asked = (page) => pendingCard(page).first().waitFor();
  const views = [
    ['session', sessionAddress(asking), async (page) => {
      await asked(page);
      await page.getByTestId('prompt-input').blur();
    }],
    ['conversation', sessionAddress(told), async (page) => {
      await turnsEnd(page);
      await page.getByTestId('prompt-input').blur();
      await page.getByTestId('conversation').getByRole('log').evaluate((scroller) => {
        scroller.dispatchEvent(new WheelEvent('wheel')); // as a hand does it
        scroller.scrollTop = 0;
      });
      await page.getByTestId('user-message').waitFor();
    }],
    ['waiting', '/#/waiting', asked],
    ['rules', '/#/rules', (page) => page.getByTestId('rule-row').nth(1).waitFor()],
    ['new', '/#/new', (page) => page.getByTestId('agent-card').first().waitFor()],
    ['diff', sessionAddress(told), async (page) => {
      await turnsEnd(page);
      await page.getByTestId('prompt-input').blur();
      const diff = page.getByTestId('tool-diff');
      await diff.getByTestId('diff-layout').click();
      await diff.evaluate((node) => node.scrollIntoView({ block: 'center' }));
      await diff.getByTestId('diff-layout').blur();
    }],
    ['list', '/#/', (page) => page.getByTestId('session-row').first().waitFor()],
  ];
  const browser = await openBrowser();
  mkdirSync(out, { recursive: true });
  let total = 0;
  for (const [device, options] of [['desk', DESK], ['phone', PHONE]]) {
    for (const colorScheme of ['light', 'dark']) {
      const context = await browser.newContext({ ...options, colorScheme, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' });
      const page = await context.newPage();
      for (const [name, at, isThere] of views.filter(([name]) => !(device === 'phone' ? ['diff'] : ['list']).includes(name))) {
        await page.goto(server.url + at);
        await page.reload();
        await isLive(page);
        await isThere(page);
        await page.evaluate(() => document.fonts.ready);
        await page.waitForTimeout(600); // highlighting is done elsewhere, and comes when it comes
        const picture = smallPng(await page.screenshot({ animations: 'disabled', caret: 'hide' }));
        const file = path.join(out, `${name}-${device}-${colorScheme}.png`);
        writeFileSync(file, picture);
        total += picture.length;
        assert.ok(statSync(file).size < LARGEST, `${file}: ${statSync(file).size} bytes`);
      }
      await context.close();
    }
  }
  console.log(`# ${total} bytes in all`);
});
