// A real browser: Debian's Chromium, driven by playwright-core.
import { after } from 'node:test';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { logs } from './paths.mjs';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

/** For whoever closes it: a program that is no test. */
export function launchBrowser() {
  const executablePath = process.env.SIGNALBOX_TEST_CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: FLAGS });
}

/** Closed when the test, or the file, is over. */
export async function openBrowser() {
  const browser = await launchBrowser();
  after(() => browser.close());
  return browser;
}

export function screenshot(page, name) {
  return page.screenshot({ path: path.join(logs, `${name}.png`) });
}
