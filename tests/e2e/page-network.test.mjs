// The application on a network that is cut, and with a server that is killed: nothing that was said is lost, and nothing is shown that is
// not so.
import assert from 'node:assert/strict';
import { Proxy } from '../web/client/lib/proxy.mjs';
import { gated, scripted } from './lib/agents.mjs';
import { answer, isLive, openApp, pendingCard, recorded, send, sessionAddress, shown, turnsEnd, words } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { ask, gate, say, script, stream, streamed, think, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const browser = await openBrowser();
const agents = { scripted: scripted() };
const settings = { 'permission-timeout-ms': 0 };

const shownState = (page) => page.getByTestId('connection-state').first().getAttribute('data-state');
const phase = (page, name) => page.locator(`[data-testid="session-phase"][data-phase="${name}"]`).waitFor();
const conversation = (page) => page.getByTestId('conversation');

/** Presses it, unless the page was quicker: it tries again by itself, too. */
async function retryNow(page) {
  const pressed = page.getByTestId('retry-now').click();
  pressed.catch(() => {}); // it has gone
  await Promise.race([pressed, isLive(page)]);
}

async function open(server, options = {}) {
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.status('idle');
  const page = await openApp(browser, server, { at: sessionAddress(session), faultyNetwork: true, ...options });
  await page.getByTestId('prompt-input').waitFor();
  return { session, page };
}

/** All agent's text that the page has, as words. */
async function textOf(page) {
  const items = await shown(page);
  return items.filter(({ kind }) => kind === 'agent-text').map(({ said }) => words(said)).join(' ');
}

async function assertSame(page, server, id) {
  const state = await recorded(server, id);
  const items = await shown(page);
  assert.deepEqual(items.map(({ key }) => key).filter((key) => state.items.some((item) => item.key === key)), state.items.map(({ key }) => key));
  assert.equal(await textOf(page), words(state.items.filter(({ kind }) => kind === 'text').map(({ text }) => text).join(' ')));
  return state;
}

test('a reload in the middle of a stream', async () => {
  const { agent, open: openGate } = gated();
  const server = await startServer({ agents: { scripted: agent }, settings });
  const { session, page } = await open(server);
  const piece = [stream(50, 12, 100), gate()];
  await send(page, script(think('Hm.'), ...piece, ...piece, ...piece, stream(50, 12, 100), say(' The end.')));
  for (let i = 1; i <= 3; i++) {
    const length = async () => (await recorded(server, session.id)).items.find(({ kind }) => kind === 'text')?.text.length ?? 0;
    await until(async () => (await length()) > 600 * (i - 1) + 100, async () => `more text than ${await length()}, the ${i}. time`);
    openGate(i); // it goes on while the page is loaded
    await page.reload();
    await page.getByTestId('agent-text').first().waitFor();
    assert.ok(words(streamed(50, 12)).startsWith(words(await page.getByTestId('agent-text').first().innerText()).slice(0, 60)));
  }
  await turnsEnd(page);
  await assertSame(page, server, session.id);
  assert.deepEqual(page.faults, []);
});

test('the network is cut in a stream and in a question, and comes back', async () => {
  const { agent, open: openGate } = gated();
  const server = await startServer({ agents: { scripted: agent }, settings });
  const proxy = await Proxy.before(server);
  server.writeConfig({ 'allowed-origins': [proxy.url] });
  const { session, page } = await open(server, { origin: proxy.url });
  await send(page, script(stream(100, 12, 100), gate(), ask({ tool: { title: 'go on', kind: 'execute' } }), say(' Went on.')));
  await page.getByTestId('agent-text').first().waitFor();
  proxy.isRefusing = true;
  proxy.cut();
  await page.locator('[data-testid="connection-state"][data-state="offline"], [data-testid="connection-state"][data-state="connecting"]').first().waitFor();
  await page.getByTestId('connection-offline').waitFor();
  await screenshot(page, 'page-offline');
  // A socket that dropped says nothing about the agent.
  assert.equal(await page.getByTestId('session-phase').getAttribute('data-phase'), 'running');
  const before = await page.getByTestId('agent-text').first().innerText();
  assert.ok(before.length > 0);
  // What one writes meanwhile waits, and says so.
  await send(page, script(say('Written offline.')));
  await page.locator('[data-testid="user-message"][data-status="sending"]').getByTestId('take-back').waitFor();
  openGate(1);
  proxy.isRefusing = false;
  await retryNow(page);
  await isLive(page);
  await pendingCard(page).waitFor();
  proxy.isRefusing = true;
  proxy.cut();
  await page.getByTestId('connection-offline').waitFor();
  await answer(page);
  await page.locator('[data-testid="permission-card"][data-state="sending"]').waitFor();
  proxy.isRefusing = false;
  await retryNow(page);
  await turnsEnd(page, 2);
  const state = await assertSame(page, server, session.id);
  assert.deepEqual(state.items.map(({ kind }) => kind), ['user', 'text', 'tool', 'permission', 'text', 'end', 'user', 'text', 'end']);
  assert.equal(state.items.find(({ kind }) => kind === 'permission').outcome, 'allowed');
  assert.equal(await page.locator('[data-testid="user-message"][data-status="sending"]').count(), 0);
  assert.deepEqual(page.faults, []);
});

test('a stop that is given offline stops the turn that was meant, and no later one', async () => {
  const server = await startServer({ agents, settings });
  const proxy = await Proxy.before(server);
  server.writeConfig({ 'allowed-origins': [proxy.url] });
  const { session, page } = await open(server, { origin: proxy.url });
  const first = await session.prompt(script(ask({ tool: { title: 'the first', kind: 'execute' } })));
  const request = await first.permission();
  await pendingCard(page).filter({ hasText: 'the first' }).waitFor();
  proxy.isRefusing = true;
  proxy.cut();
  await page.getByTestId('connection-offline').waitFor();
  await page.getByTestId('cancel-turn').click();
  await page.locator('[data-testid="cancel-turn"][data-cancelling]').waitFor();
  // Meanwhile the turn ends by itself, and another one runs.
  await session.answerPermission(request, { allow: true });
  assert.equal((await first.end()).stopReason, 'end_turn');
  const second = await session.prompt(script(ask({ tool: { title: 'the second', kind: 'execute' } })));
  await second.permission();
  proxy.isRefusing = false;
  await retryNow(page);
  await isLive(page);
  await pendingCard(page).filter({ hasText: 'the second' }).waitFor();
  await page.locator('[data-testid="cancel-turn"]:not([data-cancelling])').waitFor();
  await answer(page); // goes behind the stop on the same connection
  assert.equal((await second.end()).stopReason, 'end_turn');
  assert.deepEqual(page.faults, []);
});

test('the server is killed and comes back', async () => {
  const server = await startServer({ agents, settings });
  const { session, page } = await open(server);
  await send(page, script(stream(20, 12), ask({ tool: { title: 'never answered', kind: 'execute' } }), waitCancel()));
  await pendingCard(page).waitFor();
  await server.kill();
  await page.getByTestId('connection-offline').waitFor();
  assert.notEqual(await shownState(page), 'live');
  assert.ok((await textOf2(page)).startsWith(words(streamed(20, 12)).slice(0, 50)), 'what was shown is still there');
  await send(page, script(say('After the crash.')));
  await server.start();
  await isLive(page);
  await turnsEnd(page, 2);
  assert.equal(await pendingCard(page).count(), 0, 'nobody waits for that answer any more');
  const state = await assertSame(page, server, session.id);
  assert.equal(state.items.filter(({ kind }) => kind === 'user').length, 2);
  await phase(page, 'idle');
  assert.deepEqual(page.faults, []);
});

/** Without a connection the conversation never says `live`. */
const textOf2 = async (page) => words(await conversation(page).getByTestId('agent-text').first().innerText());

test('a black hole: the page notices by itself, and loses nothing', async () => {
  const server = await startServer({ agents, settings: { ...settings, 'ping-interval-ms': 1000 } });
  const proxy = await Proxy.before(server);
  server.writeConfig({ 'allowed-origins': [proxy.url] });
  const { session, page } = await open(server, { origin: proxy.url });
  await send(page, script(say('Before.')));
  await turnsEnd(page);
  proxy.isBlackHole = true;
  await page.evaluate(() => dispatchEvent(new Event('online'))); // it looks whether the socket is still there
  await page.locator('[data-testid="connection-state"]:not([data-state="live"])').first().waitFor();
  proxy.isBlackHole = false;
  proxy.cut();
  await isLive(page);
  await send(page, script(say('After.')));
  await turnsEnd(page, 2);
  await assertSame(page, server, session.id);
  assert.deepEqual(page.faults, []);
});
