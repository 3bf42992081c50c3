// The library in a real browser, on the server's own origin: cookies, sessionStorage, and the events of a page.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from '../../e2e/lib/agents.mjs';
import { openBrowser } from '../../e2e/lib/page.mjs';
import { say, script, stream, streamed } from '../../e2e/lib/script.mjs';
import { startServer, temporaryFolder } from '../../e2e/lib/server.mjs';
import { scaled } from '../../e2e/lib/wait.mjs';
import { clientFolder } from './lib/library.mjs';
import { test } from './lib/real.mjs';

const TOKEN = 'token-of-ada-0123456789abcdef';
const tokens = path.join(temporaryFolder(), 'tokens');
writeFileSync(tokens, `ada ${TOKEN}\n`, { mode: 0o600 });
const browser = await openBrowser();

/** A page of the server's origin that has nothing but the library. (A page that is made up here may not reach the server.) */
async function openBlank(server, context) {
  const page = await context.newPage();
  page.setDefaultTimeout(scaled(20_000));
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  await page.route('**/library/*', (route) => {
    const name = new URL(route.request().url()).pathname.split('/').pop();
    return route.fulfill({ contentType: 'text/javascript', body: readFileSync(path.join(clientFolder, 'dist', name), 'utf8') });
  });
  await page.goto(`${server.url}/healthz`);
  await begin(page);
  return page;
}

const begin = (page) =>
  page.evaluate(async () => {
    const library = await import('/library/index.js');
    const client = new library.SignalboxClient({ storage: sessionStorage, connection: { backoff: { baseMs: 20, maxMs: 300 } } });
    const kept = client.outbox.get().length;
    client.start();
    const shown = (session) => session.state.items.filter((item) => item.kind === 'text').map((item) => item.text).join('');
    Object.assign(window, { library, client, shown, kept, until: (store, match) => library.when(store, match) });
  });

const isLive = (page) => page.evaluate(() => until(client.connection, (state) => state.name === 'live').then(() => client.server.get().user));

test('a page logs in by cookie, watches, outlives the server and a reload', async () => {
  const server = await startServer({ agents: { scripted: scripted() }, settings: { 'tokens-file': tokens } });
  const context = await browser.newContext();
  const page = await openBlank(server, context);
  const stopped = await page.evaluate(() => until(client.connection, (state) => state.name === 'stopped').then((state) => [state.why, state.code]));
  assert.deepEqual(stopped, ['login', 401]);
  await page.evaluate((token) => client.login(token).then(() => {}), TOKEN);
  assert.equal(await isLive(page), 'ada');
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read it');

  const workspace = server.newWorkspace();
  const sessionId = await page.evaluate(async (where) => (await client.send('create_session', { agent: 'scripted', workspace: where })).sessionId, workspace);
  await page.evaluate(async ({ id, prompt }) => {
    window.session = client.session(id);
    session.open();
    await client.prompt(id, prompt);
    await until(session.view, ({ state }) => shown(session).length > 200 && state.turn);
  }, { id: sessionId, prompt: script(stream(2000, 10, 500)) });
  await server.kill();
  await page.evaluate(() => until(client.connection, (state) => state.name === 'offline').then(() => {}));
  assert.equal(await page.evaluate(() => session.state.phase), 'running', 'a socket that dropped says nothing about the agent');

  // Written while there is no network, and the page is loaded anew before there is one: what waits is kept.
  await page.evaluate(({ id, prompt }) => {
    client.close();
    const offline = class { constructor() { throw new Error('no network'); } };
    new library.SignalboxClient({ storage: sessionStorage, WebSocket: offline }).start().prompt(id, prompt);
  }, { id: sessionId, prompt: script(say('after')) });
  await server.start();
  await page.reload();
  await begin(page);
  const text = await page.evaluate(async (id) => {
    const again = client.session(id);
    again.open();
    await until(again.view, ({ state, sync }) => sync === 'live' && state.items.filter((item) => item.kind === 'end').length === 2);
    return shown(again);
  }, sessionId);
  assert.ok(text.endsWith('after') && streamed(2000, 10).startsWith(text.slice(0, -5)) && text.length > 205, text.slice(-200));
  assert.equal(await page.evaluate(() => kept), 1);
  assert.equal(await page.evaluate((id) => client.session(id).state.items.filter((item) => item.kind === 'user').length, sessionId), 2);
  assert.deepEqual(page.faults, []);
  await context.close();
});

test('a page comes back at once when the browser says that the network is back', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const context = await browser.newContext();
  const page = await openBlank(server, context);
  await page.evaluate(() => {
    client.close();
    window.client = new library.SignalboxClient({ connection: { backoff: { baseMs: 3_600_000, maxMs: 3_600_000 } }, platform: { random: () => 0.9 } }).start();
  });
  for (const wake of ['online', 'pageshow', 'visibilitychange']) {
    await isLive(page);
    await server.kill();
    await page.evaluate(() => until(client.connection, (state) => state.name === 'offline').then(() => {}));
    await server.start();
    await page.evaluate((name) => (name === 'visibilitychange' ? document : window).dispatchEvent(new Event(name)), wake);
  }
  assert.equal(await isLive(page), 'local');
  // It asks whether it is so, and the server answers.
  const asked = await page.evaluate(() => new Promise((done) => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (text) {
      done(text);
      return send.call(this, text);
    };
    window.dispatchEvent(new Event('offline'));
  }));
  assert.equal(asked, '{"type":"ping"}');
  await context.close();
});
