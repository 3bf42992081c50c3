#!/usr/bin/env node
// The page under a flood: three windows, each with a session that streams, and what it costs the main thread of each.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { scripted } from '../tests/e2e/lib/agents.mjs';
import { isLive, openApp, recorded, sessionAddress } from '../tests/e2e/lib/app.mjs';
import { openBrowser } from '../tests/e2e/lib/page.mjs';
import { startServer } from '../tests/e2e/lib/server.mjs';

const USAGE = `bench/page-flood.mjs [--seconds 600] [--rate 200] [--sessions 3] [--window-ms 1] [--trace-seconds 5] [--out FILE]

Starts the built server (build/release, or SIGNALBOX_BIN), opens a window of Debian's Chromium for each session, has the scripted agent
stream RATE deltas a second in each for SECONDS, and reports, of each window's main thread:
  tasks       all tasks in the seconds that were traced (five seconds in every thirty): how many, p50, p99, maximum; and the same of the
              time for which they had a processor, which a busy machine does not make longer
  long tasks  those over 50 ms all the time (the browser's own count): how many, p99, maximum
  heap, nodes before, in between and at the end, each after a garbage collection
Deltas come one by one: the server's delta-window-ms is WINDOW-MS (it is 50 otherwise, which makes 20 events a second of any flood).
The table goes to stderr, a line of JSON to stdout (or FILE).`;

const { values: given } = parseArgs({ options: {
  seconds: { type: 'string', default: '600' }, rate: { type: 'string', default: '200' }, sessions: { type: 'string', default: '3' }, 'window-ms': { type: 'string', default: '1' },
  'trace-seconds': { type: 'string', default: '5' }, out: { type: 'string' }, help: { type: 'boolean', default: false },
} });
if (given.help) {
  console.error(USAGE);
  process.exit(0);
}
const options = { seconds: Number(given.seconds), rate: Number(given.rate), sessions: Number(given.sessions), windowMs: Number(given['window-ms']), traceSeconds: Number(given['trace-seconds']) };
assert.ok(Object.values(options).every((number) => Number.isFinite(number) && number >= 0) && options.sessions >= 1 && options.rate >= 1, USAGE);

const TRACE_EVERY_S = 30;
const LONG_MS = 50;

/** What real agents write: paragraphs, lists, code, tables, and a tool now and then. As many chunks as `rate` makes in the time. */
function story({ seconds, rate }) {
  const chunks = (count, fields = {}) => ({ chunks: Math.max(1, Math.round(count)), size: [3, 9], rate, ...fields });
  const round = [
    { text: '\n\n## What was found\n\n' }, chunks(rate * 2), { text: '\n\n- ' }, chunks(rate / 2), { text: '\n- ' }, chunks(rate / 2), { text: '\n\n```ts\nconst answer = "' }, chunks(rate),
    { text: '";\nfunction next(state: number) {\n  return state * 31; // ' }, chunks(rate), { text: '\n}\n```\n\n| a | b |\n|---|---|\n| ' }, chunks(rate / 2), { text: ' | ' }, chunks(rate / 2), { text: ' |\n\n' }, chunks(rate * 2, { alphabet: 'unicode' }), { text: '\n\n' }, chunks(rate * 2),
    { tool: { title: 'npm test', kind: 'execute', input: { command: 'npm test' }, output: 4000, outputChunks: Math.round(rate), rate } },
  ];
  const perRound = 11; // seconds
  return JSON.stringify({ steps: [{ repeat: { times: Math.max(1, Math.round(seconds / perRound)), steps: round } }] });
}

const quantile = (sorted, q) => sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * q) - 1)];
const summary = (durations) => {
  const sorted = [...durations].sort((a, b) => a - b);
  return { count: sorted.length, p50: round(quantile(sorted, 0.5)), p99: round(quantile(sorted, 0.99)), max: round(sorted.at(-1) ?? 0) };
};
const round = (number) => Math.round(number * 10) / 10;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Tasks of renderers' main threads in a trace: how long each took, and for how much of that it had a processor, in milliseconds. */
function tasksIn(trace) {
  const { traceEvents } = JSON.parse(trace);
  const mains = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid}:${tid}`));
  return traceEvents.filter(({ name, ph, pid, tid }) => ph === 'X' && /RunTask$/.test(name) && mains.has(`${pid}:${tid}`)).map(({ dur = 0, tdur }) => ({ wall: dur / 1000, cpu: (tdur ?? dur) / 1000 }));
}

async function gauge(page) {
  const { session } = page;
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const value = (name) => metrics.find((each) => each.name === name).value;
  return { heapMiB: round(value('JSHeapUsedSize') / 2 ** 20), nodes: value('Nodes'), busy: value('TaskDuration') };
}

const server = await startServer({ settings: { 'delta-window-ms': options.windowMs, 'permission-timeout-ms': 0 }, agents: { scripted: scripted() } });
const browser = await openBrowser();
const client = await server.connect();
const pages = [];
for (let i = 0; i < options.sessions; i++) {
  const session = await client.create('scripted', { title: `Flood ${i + 1}` });
  const page = await openApp(browser, server, { at: sessionAddress(session) }); // a window, and a process, of its own
  page.session = await page.context().newCDPSession(page);
  page.sessionId = session.id;
  await page.session.send('Performance.enable');
  await page.evaluate(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => window.longTasks.push(duration))).observe({ type: 'longtask' });
  });
  pages.push(page);
}
await client.close();

const before = await Promise.all(pages.map(gauge));
await Promise.all(pages.map((page) => page.evaluate(() => { window.longTasks.length = 0; }))); // what the measuring itself did
const begun = performance.now();
await Promise.all(pages.map((page) => server.rest('POST', `/v1/sessions/${page.sessionId}/messages`, { body: { text: story(options) } })));

const tasks = [];
const course = [];
while (performance.now() - begun < options.seconds * 1000) {
  await browser.startTracing(undefined, { categories: ['toplevel', '__metadata'] });
  await pause(Math.min(options.traceSeconds, options.seconds) * 1000);
  tasks.push(...tasksIn((await browser.stopTracing()).toString()));
  const left = options.seconds * 1000 - (performance.now() - begun);
  await pause(Math.max(0, Math.min((TRACE_EVERY_S - options.traceSeconds) * 1000, left)));
  const heap = await Promise.all(pages.map(async (page) => (await page.session.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'JSHeapUsedSize').value));
  course.push({ second: Math.round((performance.now() - begun) / 1000), heapMiB: round(Math.max(...heap) / 2 ** 20) });
}
const long = (await Promise.all(pages.map((page) => page.evaluate(() => window.longTasks)))).flat();
const took = (performance.now() - begun) / 1000;
await Promise.all(pages.map((page) => isLive(page)));
const states = await Promise.all(pages.map((page) => recorded(server, page.sessionId)));
const afterwards = await Promise.all(pages.map(gauge));

// What was measured must have been shown: the end of the text is in each window.
for (const [at, page] of pages.entries()) {
  const item = states[at].items.findLast(({ kind, text }) => kind === 'text' && text.trim());
  assert.ok(item, 'something was streamed');
  assert.ok(await page.locator('[data-testid="agent-text"], [data-testid="tool-card"]').count() > 0, 'and is shown');
  assert.deepEqual(page.faults, []);
}

const result = {
  scenario: 'page-flood', ...options, took: round(took), events: Math.max(...states.map(({ seq }) => seq)), tasks: summary(tasks.map(({ wall }) => wall)), cpu: summary(tasks.map(({ cpu }) => cpu)), longTasks: summary(long), overAim: long.length,
  busy: round(Math.max(...afterwards.map(({ busy }, at) => (busy - before[at].busy) / took)) * 100), heapMiB: { before: Math.max(...before.map(({ heapMiB }) => heapMiB)), after: Math.max(...afterwards.map(({ heapMiB }) => heapMiB)), most: Math.max(...course.map(({ heapMiB }) => heapMiB)) },
  nodes: Math.max(...afterwards.map(({ nodes }) => nodes)), course,
};
const line = JSON.stringify(result);
console.error(`
${options.sessions} windows, each ${options.rate} deltas a second for ${Math.round(took)} s
main thread, all tasks    p50 ${result.tasks.p50} ms  p99 ${result.tasks.p99} ms  max ${result.tasks.max} ms  (${result.tasks.count} traced)
  of that on a processor   p50 ${result.cpu.p50} ms  p99 ${result.cpu.p99} ms  max ${result.cpu.max} ms
main thread, over ${LONG_MS} ms   ${result.longTasks.count} tasks  p99 ${result.longTasks.p99} ms  max ${result.longTasks.max} ms
busy                      ${result.busy} % of one core, the busiest window
heap                      ${result.heapMiB.before} MiB before, ${result.heapMiB.after} MiB after, ${result.heapMiB.most} MiB at most; ${result.nodes} nodes`);
if (given.out) {
  mkdirSync(path.dirname(path.resolve(given.out)), { recursive: true });
  writeFileSync(given.out, `${line}\n`);
} else {
  console.log(line);
}
await Promise.all(pages.map((page) => page.context().close()));
