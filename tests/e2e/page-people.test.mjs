// The application with several people at once, and without them: who answered, who was too late, and what time itself answers.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { answer, createSession, isLive, openApp, pendingCard, recorded, send, sessionAddress, shown, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { ask, script } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';

const ADA = 'token-of-ada-0123456789abcdef', BOB = 'token-of-bob-0123456789abcdef';
const tokens = path.join(temporaryFolder(), 'tokens');
writeFileSync(tokens, `ada ${ADA}\nbob ${BOB}\n`, { mode: 0o600 });
const guarded = await startServer({ settings: { 'tokens-file': tokens, 'permission-timeout-ms': 0 }, agents: { scripted: scripted() } });
// Long enough for a page that is slow to see a request while it can be answered.
const hasty = await startServer({ settings: { 'permission-timeout-ms': 6_000 }, agents: { scripted: scripted() } });
const patient = await startServer({ settings: { 'permission-timeout-ms': 0 }, agents: { scripted: scripted() } });
const browser = await openBrowser();

const cardIn = (page, state) => page.locator(`[data-testid="permission-card"][data-state="${state}"]`);
const note = (page, state) => page.locator(`[data-testid="permission-note"][data-state="${state}"]`);

test('signing in, with a wrong token first, and out', async () => {
  const page = await openApp(browser, guarded, { token: ADA });
  await page.reload();
  await page.locator('[data-testid="connection-state"][data-state="live"]').first().waitFor();
  await page.goto(`${guarded.url}/#/settings`);
  await page.getByText('ada', { exact: true }).waitFor();
  await page.getByTestId('sign-out').click();
  await page.getByTestId('login-token').waitFor();
  const before = page.faults.length; // a refused request is an error in the console
  await page.getByTestId('login-token').fill('wrong-token-of-nobody');
  await page.getByTestId('login-submit').click();
  await page.getByText('This token is not known.').waitFor();
  assert.ok(page.faults.slice(before).every((fault) => /401|HTTP Authentication failed/.test(fault)), page.faults.join('\n'));
  await page.getByTestId('login-token').fill(BOB);
  await page.getByTestId('login-submit').click();
  await page.getByText('bob', { exact: true }).waitFor();
});

test('two people watch; one answers, and the other’s prompt closes and says who it was', async () => {
  const ada = await openApp(browser, guarded, { token: ADA });
  const id = await createSession(ada, { agent: 'shell', workspace: guarded.newWorkspace(), prompt: 'echo both of us' });
  const bob = await openApp(browser, guarded, { at: sessionAddress(id), token: BOB });
  const waiting = await openApp(browser, guarded, { at: '/#/waiting', token: BOB });
  await Promise.all([ada, bob, waiting].map((page) => pendingCard(page).waitFor()));
  const told = Promise.all([ada, waiting].map(async (page) => { // looked for before it is there: it is shown for some seconds only
    await cardIn(page, 'resolved').getByTestId('permission-by').filter({ hasText: 'bob' }).waitFor();
    assert.equal(await pendingCard(page).count(), 0);
  }));
  await Promise.all([answer(bob), told]);
  await screenshot(ada, 'page-answered-by-bob');
  for (const page of [ada, bob]) {
    await turnsEnd(page);
    const items = await shown(page);
    assert.ok(items.some(({ text }) => text.includes('both of us')));
    assert.equal(await note(page, 'resolved').filter({ hasText: page === ada ? 'bob' : /you|bob/i }).count(), 1);
  }
  const [request] = (await recorded(guarded, id, { token: ADA })).items.filter(({ kind }) => kind === 'permission');
  assert.deepEqual([request.outcome, request.by.user], ['allowed', 'bob']);
});

test('an answer that comes second is told so, and nothing is as it was not', async () => {
  const client = await patient.connect();
  const session = await client.create('scripted');
  const page = await openApp(browser, patient, { at: sessionAddress(session), faultyNetwork: true });
  await send(page, script(ask({ tool: { title: 'once only', kind: 'execute' } })));
  await pendingCard(page).waitFor();
  // The page is offline while somebody else answers; its own answer is sent when it is back.
  await page.context().setOffline(true);
  const { requestId } = (await patient.rest('GET', '/v1/permissions')).json.permissions[0];
  const option = pendingCard(page).locator('[data-kind="allow_once"]');
  await patient.rest('POST', `/v1/sessions/${session.id}/permissions/${requestId}`, { body: { allow: false } });
  if (await option.count()) {
    await option.click({ timeout: 1_000 }).catch(() => {});
  }
  await page.context().setOffline(false);
  await turnsEnd(page);
  assert.equal(await pendingCard(page).count(), 0);
  await note(page, 'resolved').waitFor();
  const [item] = (await recorded(patient, session.id)).items.filter(({ kind }) => kind === 'permission');
  assert.equal(item.outcome, 'rejected');
  assert.deepEqual(page.faults, []);
});

test('a request that has run out says so by itself', async () => {
  const page = await openApp(browser, hasty);
  const id = await createSession(page, { agent: 'scripted', workspace: hasty.newWorkspace() });
  await page.locator('[data-testid="session-phase"][data-phase="idle"]').waitFor();
  const expired = cardIn(page, 'expired').first().waitFor(); // for some seconds only
  expired.catch(() => {}); // it is waited for below
  await send(page, script(ask({ tool: { title: 'too slow', kind: 'execute' } })));
  await pendingCard(page).waitFor();
  assert.match(await pendingCard(page).getByTestId('permission-left').innerText(), /\d/);
  await expired;
  await turnsEnd(page);
  await note(page, 'timeout').waitFor();
  assert.equal(await pendingCard(page).count(), 0);
  const [item] = (await recorded(hasty, id)).items.filter(({ kind }) => kind === 'permission');
  assert.equal(item.state, 'timeout');
  await screenshot(page, 'page-expired');
  assert.deepEqual(page.faults, []);
});

test('a token that is taken away says so where one signs in again', async () => {
  const page = await openApp(browser, guarded, { token: BOB });
  assert.equal(await page.getByTestId('login-why').count(), 0);
  writeFileSync(tokens, `ada ${ADA}\n`, { mode: 0o600 });
  await page.getByTestId('login-why').waitFor();
  await page.getByTestId('login-token').fill(ADA);
  await page.getByTestId('login-submit').click();
  await isLive(page);
  await page.reload();
  await isLive(page);
  assert.deepEqual(page.faults.filter((fault) => !/401|HTTP Authentication failed/.test(fault)), []);
  await page.context().close();
});
