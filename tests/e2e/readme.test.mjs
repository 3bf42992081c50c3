// What the README tells people to type does what it says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openApp } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { root } from './lib/paths.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const block = (language, has) => [...readme.matchAll(new RegExp('```' + language + '\\n([^]*?)```', 'g'))].map(([, text]) => text).find((text) => text.includes(has));

const server = await startServer({ settings: { 'permission-timeout-ms': 0 } });

test('the REST interface by curl', async () => {
  const workspace = server.newWorkspace();
  const known = { session: '', request: '' };
  const said = [];
  for (const line of block('sh', '$api/sessions').split('\n').map((each) => each.replace(/ +#.*$/, '')).filter((each) => each.startsWith('curl '))) {
    const curl = () => JSON.parse(execFileSync('bash', ['-c', `set -eu; ${line.replace('$HOME/signalbox', workspace)}`], { env: { ...process.env, api: `${server.url}/v1`, ...known }, encoding: 'utf8' }));
    let json = curl();
    if (json.permissions) {
      await until(() => (json = curl()).permissions.length > 0, 'the request');
    }
    delete json.position; // of a prompt that waits for its agent to start
    said.push(Object.keys(json).sort().join());
    known.session = json.sessionId ?? known.session;
    known.request = json.permissions?.[0].requestId ?? known.request;
  }
  assert.deepEqual(said, ['sessionId', 'accepted,messageId,status', 'permissions', 'optionId,outcome,requestId', 'epoch,events,head']);
});

test('the WebSocket in the console: what was answered before is not asked again, what waits and what comes is', async () => {
  const client = await server.connect();
  const session = await client.create('shell', { title: 'In the console' });
  const before = await session.prompt('echo before');
  await session.answerPermission(await before.permission(), { allowed: true });
  await before.end();
  const waits = await session.prompt('echo waits');
  const asked = await waits.permission();
  const page = await openApp(await openBrowser(), server);
  const confirmed = [];
  page.removeAllListeners('dialog');
  page.on('dialog', (dialog) => {
    confirmed.push(dialog.message());
    void dialog.accept();
  });
  const console = await page.context().newCDPSession(page);
  const { exceptionDetails } = await console.send('Runtime.evaluate', { expression: block('js', 'new WebSocket'), replMode: true });
  assert.equal(exceptionDetails, undefined);
  assert.equal((await waits.end()).stopReason, 'end_turn');
  const later = await session.prompt('echo later');
  assert.equal((await later.end()).stopReason, 'end_turn');
  assert.equal(asked.command, 'echo waits');
  assert.deepEqual(confirmed, ['echo waits', 'echo later']);
  assert.deepEqual(page.faults, []);
});
