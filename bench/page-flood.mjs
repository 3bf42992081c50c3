#!/usr/bin/env node
// The page under a flood: three windows, each with a session that streams, and what it costs the main thread of each.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { scripted } from '../tests/e2e/lib/agents.mjs';
import { isLive, recorded, sessionAddress } from '../tests/e2e/lib/app.mjs';
import { forgetLongTasks, gauge, heapOf, longTasksOf, onStage, openWindow, round, traced } from './page/stage.mjs';
import { longest, summary, tasksIn } from './page/trace.mjs';

const USAGE = `bench/page-flood.mjs [--seconds 600] [--rate 200] [--sessions 3] [--window-ms 1] [--trace-seconds 5] [--out FILE] [--traces FOLDER]

Starts the built server (build/release, or SIGNALBOX_BIN), opens a window of Debian's Chromium for each session, has the scripted agent
stream RATE deltas a second in each for SECONDS, and reports, of each window's main thread:
  tasks       all tasks in the seconds that were traced (TRACE-SECONDS in every thirty): how many, p50, p99, maximum; and the same of the
              time for which they had a processor, which a busy machine does not make longer; and what the three longest of these did
  long tasks  those over 50 ms by the clock (the browser's own count): how many, p99, maximum; those of the time in which a trace was taken,
              written or read are counted apart, since that keeps a processor busy
  heap, nodes before, in between and at the end, each after a garbage collection
Deltas come one by one: the server's delta-window-ms is WINDOW-MS (it is 50 otherwise, which makes 20 events a second of any flood).
The table goes to stderr, a line of JSON to stdout (or FILE); the traces, for chrome://tracing, into FOLDER.`;

const { values: given } = parseArgs({ options: {
  seconds: { type: 'string', default: '600' }, rate: { type: 'string', default: '200' }, sessions: { type: 'string', default: '3' }, 'window-ms': { type: 'string', default: '1' },
  'trace-seconds': { type: 'string', default: '5' }, out: { type: 'string' }, traces: { type: 'string' }, help: { type: 'boolean', default: false },
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
  const turn = [
    { text: '\n\n## What was found\n\n' }, chunks(rate * 2), { text: '\n\n- ' }, chunks(rate / 2), { text: '\n- ' }, chunks(rate / 2), { text: '\n\n```ts\nconst answer = "' }, chunks(rate),
    { text: '";\nfunction next(state: number) {\n  return state * 31; // ' }, chunks(rate), { text: '\n}\n```\n\n| a | b |\n|---|---|\n| ' }, chunks(rate / 2), { text: ' | ' }, chunks(rate / 2), { text: ' |\n\n' }, chunks(rate * 2, { alphabet: 'unicode' }), { text: '\n\n' }, chunks(rate * 2),
    { tool: { title: 'npm test', kind: 'execute', input: { command: 'npm test' }, output: 4000, outputChunks: Math.round(rate), rate } },
  ];
  const perTurn = 11; // seconds
  return JSON.stringify({ steps: [{ repeat: { times: Math.max(1, Math.round(seconds / perTurn)), steps: turn } }] });
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function flood({ server, browser }) {
  const client = await server.connect();
  const pages = [];
  for (let i = 0; i < options.sessions; i++) {
    const session = await client.create('scripted', { title: `Flood ${i + 1}` });
    pages.push(Object.assign(await openWindow(browser, server, sessionAddress(session)), { sessionId: session.id }));
  }
  await client.close();

  const before = await Promise.all(pages.map(gauge));
  await Promise.all(pages.map(forgetLongTasks)); // what the measuring itself did
  const begun = performance.now();
  const left = () => Math.max(0, options.seconds * 1000 - (performance.now() - begun));
  await Promise.all(pages.map((page) => server.rest('POST', `/v1/sessions/${page.sessionId}/messages`, { body: { text: story(options) } })));

  const tasks = [];
  const traces = [];
  const course = [];
  while (left() > 0) {
    const part = await traced(browser, pages, () => pause(Math.min(options.traceSeconds * 1000, left())), { folder: given.traces, name: `flood-${traces.length + 1}` });
    tasks.push(tasksIn(part.trace));
    traces.push({ from: part.from, to: Date.now() });
    await pause(Math.min((TRACE_EVERY_S - options.traceSeconds) * 1000, left()));
    course.push({ second: Math.round((performance.now() - begun) / 1000), heapMiB: Math.max(...await Promise.all(pages.map(heapOf))) });
  }
  const long = (await Promise.all(pages.map(longTasksOf))).flat();
  const isTraced = ({ at, ms }) => traces.some(({ from, to }) => at + ms >= from && at <= to);
  const [longTasks, longTasksTraced] = [long.filter((task) => !isTraced(task)), long.filter(isTraced)].map((some) => summary(some.map(({ ms }) => ms)));
  const took = (performance.now() - begun) / 1000;
  await Promise.all(pages.map((page) => isLive(page)));
  const afterwards = await Promise.all(pages.map(gauge));
  const states = await Promise.all(pages.map((page) => recorded(server, page.sessionId)));

  // What was measured must have been shown.
  for (const [at, page] of pages.entries()) {
    assert.ok(states[at].items.some(({ kind, text }) => kind === 'text' && text.trim()), 'something was streamed');
    assert.ok(await page.locator('[data-testid="agent-text"], [data-testid="tool-card"]').count() > 0, 'and is shown');
    assert.deepEqual(page.faults, []);
  }

  const all = tasks.flat();
  const most = (gauges, name) => Math.max(...gauges.map((each) => each[name]));
  return {
    scenario: 'page-flood', ...options, took: round(took), events: Math.max(...states.map(({ seq }) => seq)), tasks: summary(all.map(({ wall }) => wall)), cpu: summary(all.map(({ cpu }) => cpu)),
    longTasks, longTasksTraced, untraced: round(took - traces.reduce((sum, { from, to }) => sum + (to - from) / 1000, 0)), cpuOverAim: all.filter(({ cpu }) => cpu > LONG_MS).length, longest: longest(all),
    busy: round(Math.max(...afterwards.map(({ busy }, at) => (busy - before[at].busy) / took)) * 100),
    heapMiB: { before: most(before, 'heapMiB'), after: most(afterwards, 'heapMiB'), most: most(course, 'heapMiB') }, nodes: most(afterwards, 'nodes'), course,
  };
}

const settings = { 'delta-window-ms': options.windowMs, 'permission-timeout-ms': 0 };
const result = await onStage({ settings, agents: { scripted: scripted() } }, flood);
const line = JSON.stringify(result);
console.error(`
${options.sessions} windows, each ${options.rate} deltas a second for ${Math.round(result.took)} s
main thread, all tasks    p50 ${result.tasks.p50} ms  p99 ${result.tasks.p99} ms  max ${result.tasks.max} ms  (${result.tasks.count} traced)
  of that on a processor   p50 ${result.cpu.p50} ms  p99 ${result.cpu.p99} ms  max ${result.cpu.max} ms, ${result.cpuOverAim} over ${LONG_MS} ms
main thread, over ${LONG_MS} ms   ${result.longTasks.count} tasks  p99 ${result.longTasks.p99} ms  max ${result.longTasks.max} ms, in ${result.untraced} s without a trace
  while one was taken      ${result.longTasksTraced.count} tasks  p99 ${result.longTasksTraced.p99} ms  max ${result.longTasksTraced.max} ms
busy                      ${result.busy} % of one core, the busiest window
heap                      ${result.heapMiB.before} MiB before, ${result.heapMiB.after} MiB after, ${result.heapMiB.most} MiB at most; ${result.nodes} nodes
the longest tasks, by the time for which they had a processor
${result.longest.map(({ cpu, wall, parts }) => `  ${cpu} ms (${wall} by the clock)\n${parts.map((part) => `    ${part}\n`).join('')}`).join('')}`);
if (given.out) {
  mkdirSync(path.dirname(path.resolve(given.out)), { recursive: true });
  writeFileSync(given.out, `${line}\n`);
} else {
  console.log(line);
}
