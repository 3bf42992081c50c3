// A real browser: Debian's Chromium, driven by playwright-core.
import { after } from 'node:test';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { logs } from './paths.mjs';
import { scaled } from './wait.mjs';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export async function openBrowser() {
  const executablePath = process.env.SIGNALBOX_TEST_CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  after(() => browser.close());
  return browser;
}

/** A page of a person of their own (cookies, storage); `page.faults` collects what went wrong in it. */
export async function openPage(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  context.setDefaultTimeout(scaled(15_000));
  const page = await context.newPage();
  page.faults = [];
  page.on('pageerror', (error) => page.faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.faults.push(message.text()));
  await page.goto(url);
  return page;
}

export function screenshot(page, name) {
  return page.screenshot({ path: path.join(logs, `${name}.png`) });
}
