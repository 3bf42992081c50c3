import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { openBrowser, openPage, screenshot } from './lib/page.mjs';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { ask, script, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';

const server = await startServer({
  settings: { 'permission-timeout-ms': 0 },
  agents: { choosy: { command: ['signalbox-scripted-agent', '--modes', '--models', '--config-options'] } },
});
const browser = await openBrowser();

async function newSession(page, agent, workspace) {
  await page.getByTestId('new-session').click();
  await page.getByTestId('agent-select').selectOption(agent);
  await page.getByTestId('workspace-input').fill(workspace);
  await page.getByTestId('create-session').click();
  await page.getByTestId('prompt-input').waitFor();
}

async function send(page, text) {
  await page.getByTestId('prompt-input').fill(text);
  await page.getByTestId('send-prompt').click();
}

const pendingCard = (page) => page.locator('[data-testid="permission-card"][data-state="pending"]');

test('a person creates a session, types ls -la, approves, sees the output, and finds it after a reload', async () => {
  const page = await openPage(browser, server.url);
  await page.locator('[data-testid="connection-state"][data-state="live"]').waitFor();
  const workspace = server.newWorkspace();
  writeFileSync(path.join(workspace, 'signals.txt'), 'green');
  await newSession(page, 'shell', workspace);
  await send(page, 'ls -la');

  const card = pendingCard(page);
  await card.waitFor();
  assert.match(await card.innerText(), /ls -la/);
  await screenshot(page, 'page-asked');
  await card.locator('[data-testid="permission-option"][data-kind="allow_once"]').click();

  const result = page.getByTestId('tool-card').filter({ hasText: 'signals.txt' });
  await result.waitFor();
  await page.getByTestId('turn-end').waitFor();
  assert.equal(await card.count(), 0);
  await screenshot(page, 'page-output');

  await page.reload();
  await result.waitFor();
  assert.match(await page.getByTestId('user-message').innerText(), /ls -la/);
  await page.getByTestId('turn-end').waitFor();
  await screenshot(page, 'page-reloaded');
  assert.deepEqual(page.faults, []);
});

test('two people watch; one answers, and the other sees it', async () => {
  const one = await openPage(browser, server.url);
  const workspace = server.newWorkspace();
  await newSession(one, 'shell', workspace);
  const two = await openPage(browser, one.url());
  await send(one, 'echo both of us');
  await Promise.all([pendingCard(one).waitFor(), pendingCard(two).waitFor()]);
  await pendingCard(two).locator('[data-testid="permission-option"][data-kind="allow_once"]').click();
  for (const page of [one, two]) {
    await page.getByTestId('tool-card').filter({ hasText: 'both of us' }).waitFor();
    await page.getByTestId('turn-end').waitFor();
    await pendingCard(page).waitFor({ state: 'detached' });
    assert.deepEqual(page.faults, []);
  }
});

test('rejecting and cancelling from the page', async () => {
  const page = await openPage(browser, server.url);
  await newSession(page, 'shell', server.newWorkspace());
  await send(page, 'touch never');
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="reject_once"]').click();
  await page.getByTestId('turn-end').waitFor();
  await send(page, 'sleep 4713');
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="allow_once"]').click();
  await page.getByTestId('cancel-turn').click();
  await page.getByTestId('turn-end').nth(1).waitFor();
  assert.deepEqual(page.faults, []);
});

test('what is not to be asked again becomes a rule, which can be revoked', async () => {
  const page = await openPage(browser, server.url);
  await newSession(page, 'shell', server.newWorkspace());
  await send(page, 'echo remembered');
  const card = pendingCard(page);
  await card.getByTestId('remember').click();
  const option = card.locator('[data-testid="remember-option"][data-scope="workspace"]');
  assert.equal(await option.innerText(), 'always allow `echo remembered` in this workspace');
  await screenshot(page, 'page-remember');
  await option.click();
  await page.getByTestId('turn-end').waitFor();
  await send(page, 'echo remembered');
  await page.getByTestId('turn-end').nth(1).waitFor();
  await page.locator('[data-testid="permission-card"][data-state="resolved"]')
    .filter({ hasText: 'by a rule' }).waitFor();

  await page.getByTestId('show-rules').click();
  const rule = page.getByTestId('rule').filter({ hasText: 'echo remembered' });
  await rule.waitFor();
  await screenshot(page, 'page-rules');
  await rule.getByText('Revoke').click();
  await rule.waitFor({ state: 'detached' });
  await page.locator('#rules form button').click();
  await send(page, 'echo remembered');
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="reject_once"]').click();
  await page.getByTestId('turn-end').nth(2).waitFor();
  assert.deepEqual(page.faults, []);
});

test('the policy of a session is seen and changed', async () => {
  const one = await openPage(browser, server.url);
  await newSession(one, 'shell', server.newWorkspace());
  const two = await openPage(browser, one.url());
  await one.getByTestId('policy').selectOption('trust');
  await two.locator('[data-testid="policy"][data-policy="trust"]').waitFor();
  await send(one, 'echo trusted');
  await one.getByTestId('tool-card').filter({ hasText: 'trusted' }).waitFor();
  await one.getByTestId('turn-end').waitFor();
  await one.getByTestId('policy').selectOption('read-only');
  await send(two, 'echo no');
  await two.locator('[data-testid="permission-card"][data-state="resolved"]').filter({ hasText: 'Rejected' }).waitFor();
  for (const page of [one, two]) {
    assert.deepEqual(page.faults, []);
  }
});

test('what the agent says is text, never markup', async () => {
  const page = await openPage(browser, server.url);
  await newSession(page, 'shell', server.newWorkspace());
  const evil = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';
  await send(page, `printf '%s' '${evil.replaceAll("'", `'\\''`)}'`);
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="allow_once"]').click();
  await page.getByTestId('turn-end').waitFor();
  await page.getByTestId('tool-card').filter({ hasText: '<img src=x' }).first().waitFor();
  assert.notEqual(await page.title(), 'owned');
});

test('the page comes back by itself after the server was restarted, with everything', async () => {
  const page = await openPage(browser, server.url);
  await newSession(page, 'shell', server.newWorkspace());
  await send(page, 'echo before the restart');
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="allow_once"]').click();
  await page.getByTestId('turn-end').waitFor();
  await server.restart();
  await page.locator('[data-testid="connection-state"][data-state="live"]').waitFor();
  await page.getByTestId('tool-card').filter({ hasText: 'before the restart' }).waitFor();
  await send(page, 'echo after it');
  await pendingCard(page).locator('[data-testid="permission-option"][data-kind="allow_once"]').click();
  await page.getByTestId('tool-card').filter({ hasText: 'after it' }).waitFor();
});

test('what was cut is shown whole when a person asks for it', async () => {
  const own = await startServer({ agents: { scripted: scripted() }, settings: { 'permission-timeout-ms': 0 } });
  const page = await openPage(browser, own.url);
  await newSession(page, 'scripted', own.newWorkspace());
  await send(page, script(
    tool({ title: 'Long', output: 300_000, alphabet: 'unicode', outputChunks: 3, rate: 20 }),
    ask({ tool: { title: 'Bash', kind: 'execute', input: { command: 'cat it', file: 'A line of it.\n'.repeat(6000) } } }),
  ));
  await pendingCard(page).waitFor();
  const card = page.getByTestId('tool-card').first();
  const button = card.getByRole('button', { name: 'Show all of result (300.0 KB)' });
  await button.waitFor();
  assert.equal(await card.getByTestId('refs').getByRole('button').count(), 1, 'the pieces of the output are in the result');
  await screenshot(page, 'page-cut');
  await button.click();
  const whole = card.getByTestId('whole');
  await whole.waitFor();
  assert.equal(Buffer.byteLength(await whole.textContent()), 300_000);
  await screenshot(page, 'page-cut-whole');
  await card.getByRole('button', { name: 'Hide result' }).click();
  await whole.waitFor({ state: 'hidden' });

  const asked = pendingCard(page);
  await asked.getByRole('button', { name: 'Show all of toolInput › file (84.0 KB)' }).click();
  await asked.getByTestId('whole').waitFor();
  assert.equal((await asked.getByTestId('whole').textContent()).length, 84_000);
  assert.deepEqual(page.faults, []);
});

test('signing in and out', async () => {
  const tokens = path.join(server.folder, 'tokens');
  writeFileSync(tokens, 'ada secret-of-ada-0123456789\n', { mode: 0o600 });
  const guarded = await startServer({ settings: { 'tokens-file': tokens } });
  const page = await openPage(browser, guarded.url);
  await page.getByTestId('login-token').fill('wrong-token-of-nobody');
  await page.getByTestId('login-submit').click();
  await page.locator('#login-error').filter({ hasText: /./ }).waitFor();
  await page.getByTestId('login-token').fill('secret-of-ada-0123456789');
  await page.getByTestId('login-submit').click();
  await page.locator('[data-testid="connection-state"][data-state="live"]').waitFor();
  await page.reload();
  await page.locator('[data-testid="connection-state"][data-state="live"]').waitFor();
  assert.equal(await page.locator('#user-name').innerText(), 'ada');
  await page.locator('#sign-out').click();
  await page.getByTestId('login-token').waitFor();
});

test('what the agent offers is chosen in the page, and shown in the other one', async () => {
  const one = await openPage(browser, server.url);
  await newSession(one, 'choosy', server.newWorkspace());
  const two = await openPage(browser, one.url());
  for (const [id, before, after] of [['mode', 'ask', 'code'], ['effort', 'normal', 'high'], ['model', 'medium', 'large']]) {
    const [here, there] = [one, two].map((page) => page.getByTestId(`setting-${id}`));
    await here.waitFor();
    assert.equal(await here.inputValue(), before);
    await here.selectOption(after);
    await there.locator(`option:checked[value="${after}"]`).waitFor({ state: 'attached' });
  }
  for (const page of [one, two]) {
    assert.deepEqual(page.faults, []);
  }
});
