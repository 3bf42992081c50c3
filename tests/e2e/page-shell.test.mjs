// The frame of the application: what it says while nobody looks, who takes over whose connection, agents and folders before there is a
// session, old and unnamed sessions, where the focus is.
import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { isLive, openApp, pendingCard, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, exit, say, script, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({
  settings: { 'permission-timeout-ms': 0 },
  agents: {
    scripted: scripted(),
    gone: { command: ['/missing/agent'], title: 'Gone away', install: 'npm install -g gone' },
    locked: { command: ['signalbox-scripted-agent', '--auth-required'] },
  },
});
const browser = await openBrowser();
const row = (page, session) => page.locator(`[data-testid="session-row"][data-session-id="${session.id}"]`);
const titled = (page, pattern, what) => until(async () => pattern.test(await page.title()), what);

// Stands in for the browser's: what a headless one shows nobody sees.
const NOTIFICATIONS = () => {
  window.told = [];
  window.Notification = class {
    static permission = localStorage.getItem('asked') ? 'granted' : 'default';
    static async requestPermission() {
      localStorage.setItem('asked', 'yes');
      return (this.permission = 'granted');
    }
    constructor(title, options) {
      Object.assign(this, { title, ...options });
      window.told.push(this);
    }
    close() {
      this.isClosed = true;
    }
  };
};
const hide = (page, isHidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}, isHidden);
/** Keys right after each other, as fast as a hand: how long a pair may take is the page's to say, not this machine's. */
const pressed = (page, ...keys) => page.evaluate((all) => all.forEach((key) =>
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))), keys);
const told = (page) => page.evaluate(() => window.told.map(({ title, body, isClosed = false }) => ({ title, body, isClosed })));

test('who looks elsewhere is told: by the title, by the icon, and by notifications where they are wanted', async () => {
  const client = await server.connect();
  const session = await client.create('scripted', { title: 'Clear the line' });
  const page = await openApp(browser, server);
  await page.addInitScript(NOTIFICATIONS);
  await page.goto(`${server.url}/#/settings`);
  await page.reload();
  await isLive(page);
  assert.equal(await page.evaluate(() => Notification.permission), 'default', 'nothing is asked for at load');
  await page.getByTestId('notify-on').click();
  await page.getByTestId('notify-off').waitFor();
  await row(page, session).waitFor();

  const phase = (name) => row(page, session).and(page.locator(`[data-phase="${name}"]`)).waitFor();
  const seen = await session.prompt(script(ask(), say('Seen.')));
  const looked = await seen.permission();
  await phase('waiting'); // so that the page has seen the beginning of it, and then the end
  await session.answerPermission(looked, { allow: true });
  await seen.end();
  await phase('idle');
  await hide(page, true);
  const turn = await session.prompt(script(ask({ tool: { title: 'rm -rf build', kind: 'execute', input: { command: 'rm -rf build' } } }), say('Done.')));
  const request = await turn.permission();
  await titled(page, /^\(1\) /, 'the count in the title');
  await phase('waiting');
  await until(async () => /waiting/.test(await page.locator('link[rel=icon]').getAttribute('href')), 'the icon');
  await until(async () => (await told(page)).length === 1, 'the notification');
  assert.deepEqual(await told(page), [{ title: 'Clear the line asks', body: request.command, isClosed: false }]);
  await session.answerPermission(request, { allow: true });
  await turn.end();
  await until(async () => (await told(page)).length === 2 && (await told(page))[0].isClosed, async () => `the second one, and the end of the first: ${JSON.stringify(await told(page))}`);
  assert.deepEqual(await told(page), [
    { title: 'Clear the line asks', body: request.command, isClosed: true },
    { title: 'Clear the line', body: 'Finished.', isClosed: false },
  ]);
  await titled(page, /^(?!\()/, 'no count in the title');
  await page.evaluate(() => window.told[1].onclick());
  await page.getByTestId('session-title').filter({ hasText: 'Clear the line' }).waitFor();
  await titled(page, /^Clear the line · /, 'the name in the title');
  assert.deepEqual(page.faults, []);
});

test('a copy of the tab takes over, and either goes on', async () => {
  const page = await openApp(browser, server);
  const kept = await page.evaluate(() => JSON.stringify(sessionStorage));
  const copy = await page.context().newPage();
  await copy.addInitScript((all) => Object.entries(JSON.parse(all)).forEach(([name, value]) => sessionStorage.getItem(name) ?? sessionStorage.setItem(name, value)), kept);
  await copy.goto(server.url);
  await isLive(copy);
  await page.locator('[data-testid="connection-stopped"][data-why="replaced"]').waitFor();
  await page.locator('[data-testid="connection-state"][data-state="stopped"]').waitFor();
  await page.getByTestId('connection-restart').click();
  await isLive(page);
  await isLive(copy);
  assert.equal(await page.getByTestId('connection-stopped').count(), 0);
  assert.deepEqual(page.faults, []);
});

test('a new session: agents say what is in their way, a bad folder is said at the field, nothing that was typed is lost', async () => {
  const page = await openApp(browser, server, { at: '/#/new' });
  const gone = page.locator('[data-testid="agent-card"][data-agent="gone"]');
  await gone.filter({ hasText: 'npm install -g gone' }).waitFor();
  assert.ok(await gone.locator('input').isDisabled());
  await page.getByTestId('agent-select').locator('input[value="scripted"]').check();
  await page.getByTestId('workspace-input').fill(`${server.workspaces}/not/there`);
  await page.getByTestId('first-prompt').fill('words that stay');
  await page.getByTestId('create-session').click();
  await page.getByTestId('create-error').filter({ hasText: 'not/there' }).waitFor();
  assert.equal(await page.getByTestId('workspace-input').getAttribute('aria-invalid'), 'true');
  await page.goto(`${server.url}/#/rules`);
  await page.getByTestId('rules-page').waitFor();
  await page.goto(`${server.url}/#/new`);
  assert.equal(await page.getByTestId('first-prompt').inputValue(), 'words that stay');
  await page.getByTestId('workspace-input').fill(server.newWorkspace());
  await page.getByTestId('create-session').click();
  await turnsEnd(page);
  // Who types slowly is offered what lies in `not`: the server says that there is none, and so does the console.
  assert.deepEqual(page.faults.filter((fault) => !/404 .*\/v1\/folders/.test(fault)), []);
});

test('an agent that wants a login says so, in its session and where agents are chosen', async () => {
  const client = await server.connect();
  const session = await client.create('locked', { title: 'Behind a door' });
  const page = await openApp(browser, server, { at: sessionAddress(session) });
  await page.locator('[data-testid="session-phase"][data-phase="failed"]').waitFor();
  await page.getByText(/needs a login/).first().waitFor();
  await page.goto(`${server.url}/#/new`);
  await page.locator('[data-testid="agent-card"][data-agent="locked"]').filter({ hasText: /needs a login/ }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('sessions without a title are called by what was asked first; closed ones are folded away, and found', async () => {
  const client = await server.connect();
  const unnamed = await client.create('scripted');
  await (await unnamed.prompt('Paint the semaphore arm\nred')).end();
  const closed = await client.create('scripted', { title: 'A siding that was torn up' });
  await server.rest('DELETE', `/v1/sessions/${closed.id}`);
  const page = await openApp(browser, server);
  await row(page, unnamed).filter({ hasText: 'Paint the semaphore arm' }).waitFor();
  assert.equal(await row(page, closed).count(), 0);
  await page.getByRole('button', { name: /^Closed/ }).click();
  await row(page, closed).waitFor();
  await page.getByRole('button', { name: /^Closed/ }).click();
  await page.getByTestId('session-search').fill('SIDING torn');
  await row(page, closed).waitFor();
  assert.equal(await page.getByTestId('session-row').count(), 1);
  await page.getByTestId('session-search').fill('semaphore');
  await row(page, unnamed).waitFor();
  await page.getByTestId('session-search').press('Enter');
  await page.getByTestId('session-title').filter({ hasText: 'Paint the semaphore arm' }).waitFor();
  assert.deepEqual(page.faults, []);
});

test('older sessions come when they are asked for', async () => {
  const many = await startServer({ agents: { scripted: scripted() } });
  const workspace = many.newWorkspace();
  const closed = async (title) => {
    const { json } = await many.rest('POST', '/v1/sessions', { body: { agent: 'scripted', workspace, title } });
    assert.equal((await many.rest('DELETE', `/v1/sessions/${json.sessionId}`)).status, 200);
  };
  for (let i = 0; i < 203; i += 7) { // some at a time: each starts an agent
    await Promise.all(Array.from({ length: 7 }, (_, at) => closed(`Number ${i + at}`)));
  }
  const page = await openApp(browser, many);
  await page.getByRole('button', { name: /^Closed 200/ }).waitFor();
  await page.getByTestId('older-sessions').click();
  await page.getByRole('button', { name: /^Closed 203/ }).waitFor();
  await page.getByTestId('older-sessions').waitFor({ state: 'detached' });
});

test('keys: through the list, to pages, the help; none while one types, and none where they are turned off', async () => {
  const client = await server.connect();
  const session = await client.create('scripted', { title: 'By keys' });
  const turn = await session.prompt(script(ask()));
  await turn.permission();
  const page = await openApp(browser, server);
  await row(page, session).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.dataset.sessionId ?? document.activeElement.dataset.testid ?? document.activeElement.tagName);
  await page.keyboard.press('j');
  const first = await focused();
  await page.keyboard.press('j');
  assert.notEqual(await focused(), first);
  await page.keyboard.press('k');
  assert.equal(await focused(), first);
  await page.keyboard.press('Enter');
  await page.getByTestId('session-title').waitFor();
  await pressed(page, 'g', 'w');
  await page.getByTestId('pending-page').waitFor();
  await pendingCard(page).waitFor();
  await pressed(page, 'g', 'r');
  await page.getByTestId('rules-page').waitFor();
  assert.equal((await server.rest('GET', '/v1/permissions')).json.permissions.length, 1, 'the second key of a pair rejects nothing');
  await page.keyboard.press('?');
  await page.getByTestId('help-dialog').waitFor();
  await page.keyboard.press('n');
  await page.keyboard.press('Escape');
  await page.getByTestId('help-dialog').waitFor({ state: 'detached' });
  assert.match(page.url(), /#\/rules$/, 'nothing behind a dialog');
  await page.keyboard.press('/');
  await page.keyboard.type('n?j');
  assert.equal(await page.getByTestId('session-search').inputValue(), 'n?j');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.goto(`${server.url}/#/settings`);
  await page.getByLabel('Single keys are shortcuts').uncheck();
  await page.locator('body').click({ position: { x: 700, y: 5 } });
  await page.keyboard.press('n');
  await page.keyboard.press('?');
  assert.match(page.url(), /#\/settings$/);
  assert.equal(await page.getByTestId('help-dialog').count(), 0);
  assert.deepEqual(page.faults, []);
});

test('a session that is not there, and a page that is not', async () => {
  const page = await openApp(browser, server, { at: '/#/s/nowhere' });
  await page.getByTestId('session-missing').waitFor();
  await page.goto(`${server.url}/#/s/%E0%A4%A`);
  await page.getByText('There is no such page').waitFor();
  assert.deepEqual(page.faults, []);
});

test('a file that is dropped beside a session does not take the place of the page', async () => {
  const page = await openApp(browser, server);
  await isLive(page);
  const taken = await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(['x'], 'x.txt'));
    return ['dragover', 'drop'].map((type) => !document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data })));
  });
  assert.deepEqual(taken, [true, true]);
  assert.deepEqual(page.faults, []);
});

test('agents that are not there stand in nobody\'s way', async () => {
  const bare = await startServer({
    agents: Object.fromEntries(['one', 'two', 'three'].map((name) => [name, { command: [`/missing/${name}`], install: `npm install -g ${name}` }])),
  });
  const page = await openApp(browser, bare, { phone: true });
  await page.getByTestId('session-list').getByRole('link', { name: 'New session' }).tap(); // on a phone an empty list says how to begin
  const cards = page.getByTestId('agent-card');
  await cards.first().waitFor();
  const [shell, ...others] = await cards.evaluateAll((all) => all.map((card) => [card.dataset.agent, card.checkVisibility()]));
  assert.deepEqual([shell, others.map(([, isShown]) => isShown)], [['shell', true], [false, false, false]]);
  await page.getByTestId('agents-missing').locator('summary').tap();
  await cards.filter({ hasText: 'npm install -g three' }).waitFor();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('an agent that is gone says so once; one whose text stands still is seen to be at work', async () => {
  const client = await server.connect();
  const dead = await client.create('scripted', { title: 'Ends' });
  await (await dead.prompt(script(say('I begin.'), exit(3)))).end();
  const page = await openApp(browser, server, { at: sessionAddress(dead) });
  await page.getByTestId('error-item').waitFor();
  await page.locator('[data-testid="work-note"][data-phase="stopped"]').waitFor();
  assert.equal(await page.getByTestId('work-note').innerText(), '');
  const slow = await client.create('scripted', { title: 'Goes on' });
  const turn = await slow.prompt(script(say('Let me see'), waitCancel()));
  await slow.event('text_delta');
  await page.goto(server.url + sessionAddress(slow));
  await page.getByTestId('work-note').filter({ hasText: 'Working' }).waitFor();
  await slow.cancel();
  await turn.end();
  await turnsEnd(page);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('what is asked can be read, and what answers it, however little room there is', async () => {
  const names = ['Yes, and do this for this file only, please', 'Yes, always, for all that this agent does in this and any other workspace', 'No', 'No, never again do such a thing in this session'];
  const kinds = ['allow_once', 'allow_always', 'reject_once', 'reject_always'];
  const client = await server.connect();
  const session = await client.create('scripted', { title: 'Little room' });
  const turn = await session.prompt(script({ permission: {
    tool: { title: 'npm run many', kind: 'execute', input: { command: `npm run many\n${'echo more\n'.repeat(30)}` } }, parallel: 2,
    options: kinds.map((kind, at) => ({ optionId: kind, name: names[at], kind })),
  } }));
  await turn.permission(1);
  const page = await openApp(browser, server, { at: sessionAddress(session), phone: true });
  for (const [width, height] of [[360, 640], [720, 450], [390, 500], [1024, 500]]) {
    await page.setViewportSize({ width, height });
    const card = pendingCard(page).first();
    await card.waitFor();
    const seen = await until(() => card.evaluate((node) => {
      const [body, command, question] = ['.permission-card__body', '.permission-card__command', '.permission-card__question'].map((name) => node.querySelector(name));
      const cut = [question, ...node.querySelectorAll('.permission-option__name')].filter((each) => each.scrollHeight > each.clientHeight + 1 || each.scrollWidth > each.clientWidth + 1);
      const bottom = Math.min(body.getBoundingClientRect().bottom, command.getBoundingClientRect().bottom, innerHeight);
      return { shown: bottom - command.getBoundingClientRect().top, cut: cut.map((each) => each.innerText) };
    }), 'the card');
    assert.ok(seen.shown >= 48, `${width}x${height}: ${seen.shown} of the command`);
    assert.deepEqual(seen.cut, [], `${width}x${height}`);
    const last = card.getByTestId('permission-option').last();
    await last.scrollIntoViewIfNeeded();
    const box = await last.boundingBox();
    assert.ok(box.y + box.height <= height, `${width}x${height}: ${JSON.stringify(box)}`);
  }
  await session.cancel();
  await turn.end();
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
