// The application with the shell agent and a scripted one: what people do, and what they see of it.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import {
  answer, chooseAgent, createSession, isLive, markdownWords, openApp, pendingCard, recorded, send, sessionAddress, sessionIdOf, shown, turnsEnd, words,
} from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { ask, say, script, sleep, stream, streamed, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const themeName = 'theme.json';
const server = await startServer({
  settings: { 'permission-timeout-ms': 0 },
  agents: {
    scripted: scripted(),
    choosy: { command: ['signalbox-scripted-agent', '--modes', '--models', '--config-options'] },
  },
});
const browser = await openBrowser();

const scope = (page, name) => pendingCard(page).locator(`[data-testid="permission-scope"][data-scope="${name}"]`).first();
const row = (page, id) => page.locator(`[data-testid="session-row"][data-session-id="${id}"]`);

/** A session with the scripted agent, by the page of a person of its own. */
async function openSession(agent = 'scripted', options = {}) {
  const client = await server.connect();
  const session = await client.create(agent, options);
  await session.status('idle');
  const page = await openApp(browser, server, { at: sessionAddress(session), ...options });
  await page.getByTestId('prompt-input').waitFor();
  return { client, session, page };
}

/** Texts, prompts, thoughts and tools of the page are those of the session's events. */
async function assertSame(page, id) {
  const state = await recorded(server, id);
  const items = await shown(page);
  // A request stands in the card of its tool; all else is in the order in which it happened.
  const keys = (all) => all.map(({ key }) => key).filter((key) => state.items.some((item) => item.key === key));
  const isAsk = (key) => state.items.some((item) => item.key === key && item.kind === 'permission');
  assert.deepEqual(keys(items).filter((key) => !isAsk(key)), keys(state.items).filter((key) => !isAsk(key)), 'the same items in the same order');
  assert.deepEqual(keys(items).filter(isAsk).sort(), keys(state.items).filter(isAsk).sort());
  for (const item of state.items) {
    const { text, said } = items.find(({ key }) => key === item.key);
    const wanted = item.kind === 'tool' ? item.result ?? item.output : item.text;
    if (item.kind === 'text' || item.kind === 'thought') {
      assert.equal(words(said), markdownWords(wanted));
    } else if (wanted !== undefined) {
      assert.ok(words(text).includes(words(wanted)), `${item.kind} ${item.key}:\n${words(text)}\nshould have\n${words(wanted)}`);
    }
  }
  return { state, items };
}

test('a person finds a folder, creates a session, types ls -la, allows it, sees the output, and finds it after a reload', async () => {
  const workspace = server.newWorkspace('signals');
  writeFileSync(path.join(workspace, 'signals.txt'), 'green');
  mkdirSync(path.join(server.workspaces, 'other'));
  const page = await openApp(browser, server);
  await page.getByTestId('new-session').click();
  await chooseAgent(page, 'shell');
  await page.getByTestId('workspace-input').fill(`${server.workspaces}/sig`);
  await page.getByTestId('workspace-choices').getByText('signals').click();
  await page.getByTestId('first-prompt').fill('ls -la');
  await page.getByTestId('title-input').fill('Looking around');
  await page.getByTestId('create-session').click();

  await pendingCard(page).waitFor();
  assert.match(await pendingCard(page).innerText(), /ls -la/);
  await page.getByTestId('session-title').filter({ hasText: 'Looking around' }).waitFor();
  await until(async () => /^\(1\)/.test(await page.title()), 'the count in the title');
  await screenshot(page, 'page-asked');
  await answer(page);
  await turnsEnd(page);
  await page.locator('[data-testid="session-phase"][data-phase="idle"]').waitFor();
  const id = sessionIdOf(page);
  const { items } = await assertSame(page, id);
  assert.ok(items.some(({ text }) => text.includes('signals.txt')));
  await until(async () => !/^\(/.test(await page.title()), 'no count in the title');
  await page.reload();
  await isLive(page);
  await turnsEnd(page);
  await assertSame(page, id);
  await row(page, id).filter({ hasText: 'Looking around' }).waitFor();
  await screenshot(page, 'page-output');
  assert.deepEqual(page.faults, []);
});

test('what streams is shown as it comes, and in the end text for text, however it was seen', async () => {
  const { session, page } = await openSession();
  const late = await openApp(browser, server, { at: sessionAddress(session) });
  const prompt = script(think('Let me think about it.'), stream(120, 12, 100), tool({ title: 'count lines', kind: 'execute', output: '42 lines\nin all', outputChunks: 3, rate: 50 }), say(' That is it.'));
  await send(page, prompt);
  const text = page.getByTestId('agent-text').first();
  await text.waitFor();
  await until(async () => (await text.innerText()).length > 100, 'some of the text');
  assert.ok(streamed(120, 12).replace(/\s+/g, ' ').startsWith(words(await text.innerText()).slice(0, 80)), 'while it streams it is right, too');
  await late.reload();
  for (const each of [page, late]) {
    await turnsEnd(each);
    const { state, items } = await assertSame(each, session.id);
    assert.deepEqual(state.items.map(({ kind }) => kind), ['user', 'thought', 'text', 'tool', 'text', 'end']);
    assert.equal(items.find(({ kind }) => kind === 'tool-card').status, 'completed');
    assert.equal(words(items.find(({ kind }) => kind === 'agent-text').said), words(streamed(120, 12)));
    assert.deepEqual(each.faults, []);
  }
});

test('rejecting, with a note; cancelling', async () => {
  const page = await openApp(browser, server);
  const workspace = server.newWorkspace();
  const id = await createSession(page, { agent: 'shell', workspace });
  await send(page, 'touch never');
  await answer(page, 'reject_once');
  await turnsEnd(page);
  assert.equal(existsSync(path.join(workspace, 'never')), false);
  await send(page, 'touch neither');
  await pendingCard(page).getByText('Reject with a note').click();
  await pendingCard(page).getByLabel('Why not?').fill('not in this folder');
  await pendingCard(page).getByRole('button', { name: 'Reject', exact: true }).click();
  await turnsEnd(page, 2);
  const state = await recorded(server, id);
  assert.deepEqual(state.items.filter(({ kind }) => kind === 'permission').map(({ outcome, message }) => [outcome, message]), [['rejected', undefined], ['rejected', 'not in this folder']]);
  assert.equal(existsSync(path.join(workspace, 'neither')), false);

  await send(page, 'sleep 4713');
  await answer(page);
  await page.locator('[data-testid="tool-card"][data-status="in_progress"]').waitFor();
  await page.getByTestId('cancel-turn').click();
  await turnsEnd(page, 3);
  await assertSame(page, id);
  assert.deepEqual(page.faults, []);
});

test('what waits can be taken back, and stopping takes back the rest', async () => {
  const { session, page } = await openSession();
  await send(page, script(waitCancel()));
  await page.getByTestId('cancel-turn').waitFor();
  for (const text of ['first in the queue', 'second in the queue', 'third in the queue']) {
    await send(page, text);
    await page.getByTestId('queue-item').filter({ hasText: text }).waitFor();
  }
  await page.getByTestId('queue-item').filter({ hasText: 'second' }).getByTestId('withdraw-prompt').click();
  await page.getByTestId('queue-item').filter({ hasText: 'second' }).waitFor({ state: 'detached' });
  assert.deepEqual((await recorded(server, session.id)).queue.map(({ text }) => text), ['first in the queue', 'third in the queue']);
  await page.getByTestId('cancel-turn').click();
  await turnsEnd(page);
  await until(async () => (await recorded(server, session.id)).phase === 'idle' && (await recorded(server, session.id)).queue.length === 0, 'an empty queue');
  await until(async () => (await page.getByTestId('queue-item').count()) === 0, 'no queue in the page');
  assert.deepEqual(page.faults, []);
});

test('what is not to be asked again becomes a rule, which can be revoked', async () => {
  const page = await openApp(browser, server);
  const workspace = server.newWorkspace();
  const id = await createSession(page, { agent: 'shell', workspace, prompt: 'echo remembered' });
  await pendingCard(page).getByTestId('remember').click();
  assert.match(words(await scope(page, 'workspace').innerText()), /echo remembered.*in this workspace/);
  await scope(page, 'workspace').click();
  await turnsEnd(page);
  await send(page, 'echo remembered');
  await turnsEnd(page, 2);
  const [, byRule] = (await recorded(server, id)).items.filter(({ kind }) => kind === 'permission');
  assert.ok(byRule.by.rule, JSON.stringify(byRule.by));

  await page.goto(`${server.url}/#/rules`);
  const rule = page.getByTestId('rule-row').filter({ hasText: 'echo remembered' }).filter({ hasText: workspace });
  await rule.waitFor();
  await rule.getByTestId('rule-revoke').click();
  await rule.getByTestId('rule-revoke-confirm').click();
  await rule.waitFor({ state: 'detached' });
  await page.goto(server.url + sessionAddress(id));
  await send(page, 'echo remembered');
  await answer(page, 'reject_once');
  await turnsEnd(page, 3);
  assert.deepEqual(page.faults, []);
});

test('everything that waits, over all sessions, is on one page and is answered there', async () => {
  const one = await openSession('scripted', { title: 'The first one' });
  const two = await openSession('scripted', { title: 'The second one' });
  const page = await openApp(browser, server, { at: '/#/waiting' });
  await send(one.page, script(ask({ tool: { title: 'make alpha', kind: 'execute' } })));
  await send(two.page, script(ask({ tool: { title: 'make beta', kind: 'execute' }, parallel: 2 }), ask({ tool: { title: 'make gamma', kind: 'execute' } })));
  const card = (text) => page.locator('[data-testid="permission-card"][data-state="pending"]').filter({ hasText: text });
  await card('make alpha').waitFor();
  await card('make beta').nth(1).waitFor();
  await page.getByText('3 requests in 2 sessions').waitFor();
  await until(async () => parseInt(await page.getByTestId('waiting-count').first().innerText(), 10) === 3, 'as many beside the link to it');
  await until(async () => (await page.title()).startsWith('(3) '), 'and in the title');
  await screenshot(page, 'page-waiting');
  await card('make beta').first().locator('[data-kind="allow_once"]').click();
  await until(async () => (await card('make beta').count()) === 1, 'one of both to be answered');
  await card('make beta').locator('[data-kind="allow_once"]').click();
  await card('make gamma').locator('[data-kind="reject_once"]').click();
  await card('make alpha').locator('[data-kind="allow_once"]').click();
  await page.getByText('Nothing waits for an answer.').waitFor();
  for (const each of [one, two]) {
    await turnsEnd(each.page);
    await assertSame(each.page, each.session.id);
    assert.deepEqual(each.page.faults, []);
  }
  assert.deepEqual(page.faults, []);
});

test('what the agent offers is chosen in the page, and shown in the other one', async () => {
  const { session, page: one } = await openSession('choosy');
  const two = await openApp(browser, server, { at: sessionAddress(session) });
  const choices = [['mode-select', null, 'ask', 'code'], ['config-option', 'effort', 'normal', 'high'], ['config-option', 'model', 'medium', 'large']];
  for (const [testid, id, before, after] of choices) {
    const [here, there] = [one, two].map((page) => page.locator(`[data-testid="${testid}"]${id ? `[data-config-id="${id}"]` : ''}`));
    await here.waitFor();
    assert.equal(await here.inputValue(), before);
    await here.selectOption(after);
    await there.locator(`option:checked[value="${after}"]`).waitFor({ state: 'attached' });
  }
  await one.getByTestId('policy').selectOption('trust');
  await two.locator('[data-testid="policy"] option:checked[value="trust"]').waitFor({ state: 'attached' });
  await send(one, script(ask({ tool: { title: 'trusted', kind: 'execute' } })));
  await turnsEnd(two);
  const [request] = (await recorded(server, session.id)).items.filter(({ kind }) => kind === 'permission');
  assert.equal(request.by.policy, 'trust');
  for (const page of [one, two]) {
    assert.deepEqual(page.faults, []);
  }
});

test('large output is cut, and fetched when it is opened', async () => {
  const { session, page } = await openSession();
  const output = Array.from({ length: 3000 }, (_, line) => `line ${line} of the report`).join('\n');
  await send(page, script(tool({ title: 'report', kind: 'execute', output })));
  await turnsEnd(page);
  const card = page.getByTestId('tool-card').first();
  assert.equal(await card.getByText('line 2999 of the report').count(), 0);
  await card.getByRole('button').first().click();
  const more = card.getByRole('button', { name: /show all|everything|whole/i });
  await more.click();
  await until(async () => (await card.getByTestId('tool-output').textContent()).includes('line 2999 of the report'), 'the end of the output');
  assert.ok((await recorded(server, session.id)).items.find(({ kind }) => kind === 'tool').refs.length > 0);
  assert.deepEqual(page.faults, []);
});

test('the list: live, searched, sorted by what waits; a session is closed', async () => {
  const { session, page } = await openSession('scripted', { title: 'Sort the signal lamps' });
  const other = await openSession('scripted', { title: 'Oil the points' });
  await row(page, other.session.id).waitFor();
  await send(other.page, script(ask(), sleep(1)));
  await page.locator(`[data-testid="session-row"][data-session-id="${other.session.id}"][data-phase="waiting"]`).waitFor();
  const first = page.getByTestId('session-row').first();
  await until(async () => Number(await first.getAttribute('data-waiting')) > 0, 'what waits to come first');
  await page.getByTestId('session-search').fill('lamps');
  await row(page, other.session.id).waitFor({ state: 'detached' });
  await row(page, session.id).waitFor();
  await page.getByTestId('session-search').fill('');
  await row(page, other.session.id).click();
  await page.getByTestId('session-title').filter({ hasText: 'Oil the points' }).waitFor();
  await page.getByTestId('close-session').click();
  await page.getByTestId('confirm-close').click();
  await page.locator('[data-testid="session-phase"][data-phase="closed"]').waitFor();
  await other.page.locator('[data-testid="session-phase"][data-phase="closed"]').waitFor();
  await other.page.locator('[data-testid="permission-card"][data-state="cancelled"]').waitFor();
  assert.deepEqual([...page.faults, ...other.page.faults], []);
});

test('the theme: the person’s choice, and the server’s file as soon as it changes', async () => {
  writeFileSync(path.join(server.folder, themeName), JSON.stringify({ name: 'Yard office' }));
  server.writeConfig({ 'theme-file': path.join(server.folder, themeName) });
  const page = await openApp(browser, server);
  await page.getByText('Yard office').first().waitFor();
  const accent = () => page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue('--accent').trim());
  const before = await accent();
  writeFileSync(path.join(server.folder, themeName), JSON.stringify({ name: 'Signal cabin', accent: '#aa3300' }));
  await page.getByText('Signal cabin').first().waitFor();
  await until(async () => (await accent()) !== before, 'its colour');
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.emulateMedia({ colorScheme: 'dark' });
  await until(async () => (await ground()) !== light, 'a dark page, as the system is');
  await page.getByTestId('theme-toggle').click();
  await until(async () => (await ground()) === light, 'a light page, as was chosen');
  await page.reload();
  await isLive(page);
  assert.equal(await ground(), light, 'the choice is kept');
  assert.deepEqual(page.faults, []);
});

test('a phone: everything within reach, nothing wider than the screen', async () => {
  const page = await openApp(browser, server, { phone: true });
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  const isInSight = (locator) => until(async () => {
    const { y, height } = await locator.boundingBox();
    return y >= 0 && y + height <= 844 ? { y, height } : null; // once what comes has found its place
  }, async () => `${locator} in sight: ${JSON.stringify(await locator.boundingBox())}`);
  await page.getByTestId('session-list').waitFor();
  assert.ok(await fits());
  const id = await createSession(page, { agent: 'shell', workspace: server.newWorkspace('a-workspace-with-quite-a-long-name-that-does-not-fit'), prompt: `echo ${'a-word-without-an-end'.repeat(20)}` });
  await pendingCard(page).waitFor();
  const allow = pendingCard(page).locator('[data-testid="permission-option"][data-kind="allow_once"]');
  const { y, height } = await isInSight(allow);
  assert.ok(y > 422 && height >= 44, `a thumb reaches it: ${y} ${height}`);
  assert.ok(await fits());
  await screenshot(page, 'page-phone-asked');
  await allow.tap();
  await turnsEnd(page);
  await isInSight(page.getByTestId('prompt-input'));
  await isInSight(page.getByTestId('send-prompt'));
  assert.ok(await fits());
  await screenshot(page, 'page-phone');
  for (const at of ['/#/', '/#/new', '/#/waiting', '/#/rules', '/#/settings', sessionAddress(id)]) {
    await page.goto(server.url + at);
    await page.locator('h1').first().waitFor({ state: 'attached' });
    assert.ok(await fits(), at);
  }
  assert.deepEqual(page.faults, []);
});

test('by the keyboard alone', async () => {
  const page = await openApp(browser, server);
  const workspace = server.newWorkspace();
  await page.keyboard.press('n');
  await page.getByTestId('workspace-input').focus();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(workspace);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Tab');
  await page.getByTestId('first-prompt').focus();
  await page.keyboard.type('echo by keys');
  await page.keyboard.press('Control+Enter');
  await pendingCard(page).waitFor();
  await page.getByTestId('session-title').waitFor();
  await page.locator('body').click({ position: { x: 640, y: 300 } });
  await until(async () => {
    await page.keyboard.press('a'); // a card that has just come takes no key yet
    return (await pendingCard(page).count()) === 0;
  }, 'the answer by a key');
  await turnsEnd(page);
  await page.getByTestId('prompt-input').focus();
  await page.keyboard.type('echo one');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('echo two');
  await page.keyboard.press('Enter');
  await pendingCard(page).waitFor();
  assert.match(await pendingCard(page).innerText(), /echo one\s+echo two/);
  await page.getByTestId('prompt-input').blur();
  await until(async () => {
    await page.keyboard.press('r');
    return (await pendingCard(page).count()) === 0;
  }, 'the rejection by a key');
  await turnsEnd(page, 2);
  const state = await recorded(server, sessionIdOf(page));
  assert.deepEqual(state.items.filter(({ kind }) => kind === 'permission').map(({ outcome }) => outcome), ['allowed', 'rejected']);
  assert.deepEqual(page.faults, []);
});
