// The application in a real browser, as people use it: pages that notice whatever should not happen, the steps of people, and what
// the page shows, to be compared with what the server has recorded.
import assert from 'node:assert/strict';
import path from 'node:path';
import { load } from '../../web/app/lib.mjs';
import { logs } from './paths.mjs';
import { scaled, within } from './wait.mjs';
import { onFailure } from './words.mjs';

export const { emptySession, reduceAll } = await load('signalbox-client/state');

const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1 };
const DESK = { viewport: { width: 1280, height: 900 } };

// What a browser says of a network that is gone is no fault of the page.
const NETWORK = /net::ERR_|WebSocket connection to|Failed to load resource/;

// While one types the name of a folder the page looks whether it is there; that it is not the browser calls an error.
const NO_FOLDER = /Failed to load resource: .* 40[034] .*\/v1\/folders\?/;

/**
 * A page of a person of their own (cookies, storage). options: at (the address behind the origin, '/#/new'), origin, token, phone,
 * scheme 'light' | 'dark', faultyNetwork, bypassCSP, reducedMotion.
 * `page.faults` collects: exceptions, errors in the console, dialogs, requests to elsewhere, breaches of the policy.
 */
export async function openApp(browser, server, options = {}) {
  const { at = '/', origin = server.url, token, phone = false, scheme = 'light', faultyNetwork = false, bypassCSP = false } = options;
  const context = await browser.newContext({ ...(phone ? PHONE : DESK), colorScheme: scheme, bypassCSP, reducedMotion: options.reducedMotion });
  context.setDefaultTimeout(scaled(30_000));
  const page = await context.newPage();
  page.faults = [];
  onFailure(() => seenOf(page));
  const fault = (text) => {
    if (!(faultyNetwork && NETWORK.test(text)) && !NO_FOLDER.test(text)) {
      page.faults.push(text);
    }
  };
  page.on('pageerror', (error) => fault(`exception: ${error.stack ?? error}`));
  page.on('console', (message) => message.type() === 'error' && fault(`console: ${message.text()} ${message.location().url}`));
  page.on('dialog', (dialog) => {
    fault(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('popup', (popup) => fault(`popup: ${popup.url()}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !/^(blob|data):/.test(url)) {
      fault(`request: ${url}`);
    }
  });
  page.on('websocket', (socket) => {
    if (!socket.url().startsWith(`${origin.replace('http', 'ws')}/`)) {
      fault(`WebSocket: ${socket.url()}`);
    }
  });
  await context.addInitScript(() => addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)));
  await page.goto(origin + at);
  if (token) {
    await page.getByTestId('login-token').fill(token);
    await page.getByTestId('login-submit').click();
  }
  await isLive(page);
  return page;
}

let shots = 0;

/** What a page has at this moment, and a picture of it. */
async function seenOf(page) {
  if (page.isClosed()) {
    return null;
  }
  const picture = path.join(logs, `failed-${path.basename(process.argv[1], '.test.mjs')}-${++shots}.png`);
  const shot = await page.screenshot({ path: picture, timeout: 5_000 }).then(() => picture, () => 'no picture to be had');
  const asked = page.evaluate(() => {
    const all = [...document.querySelectorAll('[data-testid][data-state], [data-testid][data-phase], [data-testid][data-sync]')];
    const states = all.map(({ dataset }) => [dataset.testid, dataset.state, dataset.phase, dataset.sync].filter(Boolean).join('='));
    return { states, focus: document.activeElement?.dataset.testid, text: (document.querySelector('main') ?? document.body).innerText.replace(/\s+/g, ' ').slice(-600) };
  });
  const seen = await within(asked, 5_000, () => 'the page to answer').catch((error) => error.message);
  return `${shot}: a page at ${page.url()} ${JSON.stringify(seen)} faults: ${JSON.stringify(page.faults)}`;
}

export const isLive = (page) => page.locator('[data-testid="connection-state"][data-state="live"]').first().waitFor();

export const sessionAddress = (session) => `/#/s/${session.id ?? session}`;
export const sessionIdOf = (page) => new URL(page.url()).hash.match(/^#\/s\/([^/?]+)/)?.[1];

export const chooseAgent = (page, agent) => page.locator(`[data-testid="agent-card"][data-agent="${agent}"] label`).click();

/** A session by the page's own form. -> its id */
export async function createSession(page, { agent, workspace, title, prompt }) {
  await page.getByTestId('new-session').click();
  await chooseAgent(page, agent);
  await page.getByTestId('workspace-input').fill(workspace);
  if (title) {
    await page.getByTestId('title-input').fill(title);
  }
  if (prompt) {
    await page.getByTestId('first-prompt').fill(prompt);
  }
  await page.getByTestId('create-session').click();
  await page.getByTestId('prompt-input').waitFor();
  return sessionIdOf(page);
}

export async function send(page, text) {
  await page.getByTestId('prompt-input').fill(text);
  await page.getByTestId('send-prompt').click();
}

export const pendingCard = (page) => page.locator('[data-testid="permission-card"][data-state="pending"]');

/** Answers what is asked by the option of that kind. */
export const answer = (page, kind = 'allow_once') =>
  pendingCard(page).first().locator(`[data-testid="permission-option"][data-kind="${kind}"]`).click();

/** As many turns are over. */
export const turnsEnd = (page, turns = 1) => page.getByTestId('turn-end').nth(turns - 1).waitFor({ state: 'attached' });

// ---- What is shown, and what is recorded ----

/** The session's state from all that the server has recorded of it. */
export async function recorded(server, sessionId, { token } = {}) {
  let state = emptySession(sessionId);
  for (let after = ''; ; ) {
    const { json } = await server.rest('GET', `/v1/sessions/${sessionId}/events?limit=1000${after && `&after=${after}`}`, { token });
    state = reduceAll({ ...state, epoch: json.epoch }, json.events);
    assert.equal(state.hole, null);
    if (!json.next) {
      return state;
    }
    after = json.next;
  }
}

/** Only words count: how they are laid out is the page's. */
export const words = (text) => text.replace(/\s+/g, ' ').trim();

/** Words of a Markdown text as they are shown, for texts with nothing in them but code in backticks. */
export const markdownWords = (text) => words(text.replaceAll('`', ''));

/**
 * The items of the conversation in their order, each {key, kind, status, text, said (without what the page adds to it)}: the list is scrolled through, since it holds only
 * what is in sight. What is folded is opened where `open` says so.
 */
export async function shown(page, { open = true } = {}) {
  await page.locator('[data-testid="conversation"][data-sync="live"]:not([data-earlier])').waitFor(); // all of it
  return page.evaluate(COLLECT, open);
}

const COLLECT = async (open) => {
  const root = document.querySelector('[data-testid="conversation"]');
  const scroller = [root, ...root.querySelectorAll('*')].find((node) => /auto|scroll/.test(getComputedStyle(node).overflowY) && node.scrollHeight > node.clientHeight + 1) ?? root;
  // As a reader does it: a list that follows what comes lets go of the end only for a hand.
  const scrollTo = async (top) => {
    scroller.dispatchEvent(new WheelEvent('wheel', { bubbles: true }));
    scroller.scrollTop = top;
    await settled();
  };
  const settled = async () => {
    for (let i = 0; i < 3; i++) {
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 8)));
    }
  };
  const found = new Map();
  const collect = async () => {
    if (open) {
      const closed = [...root.querySelectorAll('[data-key] [aria-expanded="false"]')];
      closed.forEach((button) => button.click());
      [...root.querySelectorAll('[data-key] details:not([open])')].forEach((details) => (details.open = true));
      if (closed.length > 0) {
        await settled();
      }
    }
    for (const node of root.querySelectorAll('[data-key]')) {
      const { key } = node.dataset;
      const named = node.dataset.testid ? node : node.querySelector('[data-testid]');
      found.set(key, { key, kind: named?.dataset.testid ?? null, status: named?.dataset.status ?? named?.dataset.state ?? null, text: node.innerText, said: node.querySelector('.markdown')?.innerText ?? node.innerText });
    }
  };
  await scrollTo(0);
  await scrollTo(0); // rows above may have turned out to be taller
  for (let steps = 0; ; steps++) {
    await collect();
    if (steps > 2_000 || scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - 1) {
      await scrollTo(scroller.scrollHeight);
      await collect();
      // And stays at the end, as the page has it: what was opened there is longer now.
      for (let tries = 0; tries < 100 && document.querySelector('[data-testid="new-below"]'); tries++) {
        await scrollTo(scroller.scrollHeight);
      }
      return [...found.values()];
    }
    await scrollTo(scroller.scrollTop + Math.max(100, scroller.clientHeight / 2));
  }
};
