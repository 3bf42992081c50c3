// The built server and a browser, for programs that are no tests: what was started is ended when they are over, however they end.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { openApp } from '../../tests/e2e/lib/app.mjs';
import { launchBrowser } from '../../tests/e2e/lib/page.mjs';
import { Server } from '../../tests/e2e/lib/server.mjs';
import { CATEGORIES, MARK } from './trace.mjs';

/** Plays `scene({server, browser})` with a server of these options, and returns what it returns. */
export async function onStage(options, scene) {
  const server = new Server(options);
  let browser;
  try {
    await server.prepare();
    await server.start();
    browser = await launchBrowser();
    return await scene({ server, browser });
  } finally {
    await browser?.close();
    await server.finish();
  }
}

/** A window with a process of its own. `page.devtools` is its debugger; what the browser itself counts as long tasks is kept. */
export async function openWindow(browser, server, at) {
  const page = await openApp(browser, server, { at });
  page.devtools = await page.context().newCDPSession(page);
  await page.devtools.send('Performance.enable');
  await page.evaluate(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => list.getEntries().forEach(({ startTime, duration }) => window.longTasks.push({ at: performance.timeOrigin + startTime, ms: duration }))).observe({ type: 'longtask' });
  });
  return page;
}

/**
 * What `act` does in these windows, traced: -> {result, trace, from, to}, Unix milliseconds with what the tracing itself took: it keeps a
 * processor busy for a second or more. `folder`: where the trace is kept.
 */
export async function traced(browser, pages, act, { folder, name }) {
  const from = Date.now();
  await browser.startTracing(undefined, { categories: CATEGORIES });
  await Promise.all(pages.map((page) => page.evaluate((mark) => { performance.mark(mark); }, MARK)));
  const result = await act();
  const trace = (await browser.stopTracing()).toString();
  const to = Date.now();
  if (folder) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, `${name}.json`), trace);
  }
  return { result, trace, from, to };
}

export const forgetLongTasks = (page) => page.evaluate(() => { window.longTasks.length = 0; });
/** Those of a window since then: [{at (Unix milliseconds), ms}]. */
export const longTasksOf = (page) => page.evaluate(() => window.longTasks);

const round = (number) => Math.round(number * 10) / 10;

async function metricsOf(page) {
  const { metrics } = await page.devtools.send('Performance.getMetrics');
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

export const heapOf = async (page) => round((await metricsOf(page)).JSHeapUsedSize / 2 ** 20);

/** What is in use when everything else was collected: MiB of heap, nodes, seconds that the main thread was busy so far. */
export async function gauge(page) {
  await page.devtools.send('HeapProfiler.collectGarbage');
  const { JSHeapUsedSize, Nodes, TaskDuration } = await metricsOf(page);
  return { heapMiB: round(JSHeapUsedSize / 2 ** 20), nodes: Nodes, busy: TaskDuration };
}

export { round };
