// The page of what waits, over long sessions: it needs what is asked, and not all that was said before.
import assert from 'node:assert/strict';
import { gated, scripted } from './lib/agents.mjs';
import { openApp, pendingCard } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, gate, say, script, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const SESSIONS = Number(process.env.SIGNALBOX_TEST_WAITING ?? 8);
const CALLS = Number(process.env.SIGNALBOX_TEST_WAITING_CALLS ?? 100); // before each request; three events each

const slow = gated();
const server = await startServer({ agents: { scripted: scripted(), slow: slow.agent }, settings: { 'permission-timeout-ms': 0, 'max-agents': SESSIONS + 2 } });
const browser = await openBrowser();

const client = await server.connect();
const before = Array.from({ length: CALLS }, (_, at) => tool({ title: `look ${at}`, kind: 'read', input: { path: `f${at}` }, output: 'x'.repeat(200) }));

/** A session in which a change is asked for, after much else. The change is in the call alone. */
async function asking(at) {
  const session = await client.create('scripted', { title: `Long ${at}` });
  const turn = await session.prompt(script(
    ...before, say('Now the change.'),
    tool({ id: 'edit', title: 'Change a file', kind: 'edit', input: { note: 'as shown' }, output: 'o', outputChunks: 1, diff: { path: '/w/a.txt', oldText: 'before\n', newText: `after ${at}\n` }, leaveOpen: true }),
    ask({ tool: 'edit' }),
  ));
  return { session, request: await turn.permission(), turn };
}

const asked = [];
for (let at = 0; at < SESSIONS; at++) {
  asked.push(await asking(at));
}

/** A page that counts what it asks for, from when it is told to. */
async function counting() {
  const page = await openApp(browser, server, { at: '/#/rules' });
  const counts = { sent: [], events: 0, bytes: 0, audits: 0 };
  await page.context().route('**/v1/sessions/*/events*', async (route) => {
    const response = await route.fetch();
    const body = await response.text();
    counts.bytes += body.length;
    counts.events += JSON.parse(body).events.length;
    await route.fulfill({ response, body });
  });
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => counts.sent.push(JSON.parse(payload).type));
  });
  await page.reload(); // sockets are seen from their opening on
  await page.locator('[data-testid="connection-state"][data-state="live"]').first().waitFor();
  return { page, counts };
}

test('what waits in long sessions is shown by what is near it', async () => {
  const { page, counts } = await counting();
  const begun = Date.now();
  await page.evaluate(() => (location.hash = '#/waiting'));
  await page.getByTestId('permission-diff').nth(SESSIONS - 1).waitFor();
  console.log(`# ${SESSIONS} sessions of ${(await server.rest('GET', '/v1/sessions')).json.items[0].head} events: ${Date.now() - begun} ms, ${counts.events} events, ${counts.bytes} bytes`);
  for (const [at, { request }] of asked.entries()) {
    const card = page.locator(`[data-testid="permission-card"][data-request-id="${request.requestId}"]`);
    await card.getByTestId('permission-diff').getByText(`after ${at}`, { exact: true }).waitFor();
  }
  assert.ok(!counts.sent.includes('subscribe'), counts.sent.join());
  assert.ok(counts.events <= SESSIONS * 40, `${counts.events} events`);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('a change that cannot be fetched says so, and is fetched when one asks again', async () => {
  const page = await openApp(browser, server, { at: '/#/rules', faultyNetwork: true });
  let isRefusing = true;
  await page.route('**/v1/sessions/*/events*', (route) => (isRefusing ? route.fulfill({ status: 500, body: '{}' }) : route.continue()));
  await page.evaluate(() => (location.hash = '#/waiting'));
  const card = pendingCard(page).first();
  await card.locator('[data-testid="near-note"][data-state="failed"]').waitFor();
  isRefusing = false;
  await card.getByTestId('near-note').getByRole('button', { name: 'Try again' }).click();
  await card.getByTestId('permission-diff').waitFor();
  assert.equal(await card.getByTestId('near-note').count(), 0);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('who ended many at once is one question to the audit', async () => {
  const page = await openApp(browser, server, { at: '/#/waiting' });
  await pendingCard(page).nth(SESSIONS - 1).waitFor();
  const held = [];
  const told = page.getByText('Allowed by').first().waitFor(); // for some seconds only
  told.catch(() => {}); // it is waited for below
  await page.route('**/v1/audit*', (route) => held.push(route));
  for (const { session, request } of asked) {
    await session.answerPermission(request, { allow: true });
  }
  await until(async () => (await pendingCard(page).count()) === 0, 'nothing waits');
  await until(() => held.length === 1, 'the first question');
  await held[0].continue();
  await until(() => held.length === 2 || SESSIONS === 1, 'the second question');
  await held[1]?.continue();
  await told;
  await page.getByText('Nothing waits for an answer.').waitFor();
  assert.equal(held.length, 2);
  assert.deepEqual(page.faults, []);
  await page.context().close();
});

test('what an agent changes in its call while it waits for the answer is what one answers', async () => {
  const changed = (newText) => [{ type: 'diff', path: '/w/b.txt', oldText: 'as it was\n', newText: `${newText}\n` }];
  const session = await client.create('slow', { title: 'Thinks again' });
  const turn = await session.prompt(script(
    { update: { sessionUpdate: 'tool_call', toolCallId: 'again', title: 'Change it', kind: 'edit', content: changed('the first change') } },
    { request: { method: 'session/request_permission', params: { toolCall: { toolCallId: 'again' }, options: [{ optionId: 'yes', name: 'Yes', kind: 'allow_once' }] } }, noWait: true },
    gate(),
    say('On second thoughts.'),
    { update: { sessionUpdate: 'tool_call_update', toolCallId: 'again', content: changed('another change') } },
    waitCancel(),
  ));
  const request = await turn.permission();
  const page = await openApp(browser, server, { at: '/#/waiting' });
  const card = page.locator(`[data-testid="permission-card"][data-request-id="${request.requestId}"]`);
  await card.getByTestId('permission-diff').getByText('the first change').waitFor();
  slow.open(1);
  await card.getByTestId('permission-diff').getByText('another change').waitFor();
  assert.equal(await card.getByText('the first change').count(), 0);
  await session.cancel();
  await card.waitFor({ state: 'detached' });
  assert.deepEqual(page.faults, []);
  await page.context().close();
});
