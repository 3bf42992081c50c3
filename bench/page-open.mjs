#!/usr/bin/env node
// A long session in the page: how soon it can be read, what opening it costs the main thread, and scrolling through it.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { scripted } from '../tests/e2e/lib/agents.mjs';
import { sessionAddress } from '../tests/e2e/lib/app.mjs';
import { onStage, openWindow, round, traced } from './page/stage.mjs';
import { longest, summary, tasksIn } from './page/trace.mjs';

const USAGE = `bench/page-open.mjs [--events 20000] [--times 3] [--pages 60] [--out FILE] [--traces FOLDER]

Starts the built server (build/release, or SIGNALBOX_BIN), has the scripted agent fill a session until it has so many events (texts,
thoughts, calls of tools; nothing that a replay would leave out), opens it TIMES times in a window of Debian's Chromium that shows the list
of sessions, and goes up through it, PAGES pages, by the wheel. It reports, of the window's main thread, while the session opens and
while it is scrolled: all tasks by the time for which they had a processor, and by the clock; what the longest did; and
  readable    from the click until the end of the session is drawn, in milliseconds (the median of TIMES), in a window without a trace
  all         the same until everything that was said before is there as well
  messages    how many WebSocket messages the session came in
The table goes to stderr, a line of JSON to stdout (or FILE); the traces, for chrome://tracing, into FOLDER.`;

const { values: given } = parseArgs({ options: {
  events: { type: 'string', default: '20000' }, times: { type: 'string', default: '3' }, pages: { type: 'string', default: '60' },
  out: { type: 'string' }, traces: { type: 'string' }, help: { type: 'boolean', default: false },
} });
if (given.help) {
  console.error(USAGE);
  process.exit(0);
}
const options = { events: Number(given.events), times: Number(given.times), pages: Number(given.pages) };
assert.ok(Object.values(options).every((number) => Number.isInteger(number) && number >= 1), USAGE);

const LONG_MS = 50;
const LAST_WORDS = 'This is the end of it.';

/** One turn of some 100 events that stay when it is folded. */
function turn(number, last) {
  const steps = [{ text: `Turn ${number}: what is to be done first?`, kind: 'thought' }];
  for (let at = 1; at <= 24; at++) {
    steps.push({ text: `\n\n## Step ${at}\n\nFirst **look** at \`file-${at}.ts\`, then:\n\n- one\n- two\n\n\`\`\`ts\nconst answer = ${number * at};\n\`\`\`\n` });
    steps.push({ tool: { title: `file-${at}.ts`, kind: at % 3 ? 'read' : 'execute', input: at % 3 ? { path: `/src/file-${at}.ts` } : { command: `npm test -- ${at}` }, output: 400 } });
  }
  steps.push({ text: last ? LAST_WORDS : `\n\nTurn ${number} is done.` });
  return JSON.stringify({ steps });
}

async function fill(server) {
  const client = await server.connect();
  const session = await client.create('scripted', { title: 'A long one' });
  for (let number = 1, seq = 0; seq < options.events; number++) {
    ({ seq } = await (await session.prompt(turn(number, false))).event('complete'));
  }
  const { seq } = await (await session.prompt(turn(0, true))).event('complete');
  await client.close();
  return { sessionId: session.id, events: seq };
}

const frames = (page, count) => page.evaluate(async (left) => {
  while (left-- > 0) {
    await new Promise(requestAnimationFrame);
  }
}, count);

async function listWindow(browser, server) {
  const page = await openWindow(browser, server, '/');
  await page.getByTestId('session-row').first().waitFor();
  return page;
}

/** -> milliseconds until the session's end is drawn, and until everything before it is there, too. */
const open = (page, address) => page.evaluate(async ({ to, words }) => {
  const begun = performance.now();
  location.hash = to;
  const frame = () => new Promise(requestAnimationFrame);
  const isThere = () => [...document.querySelectorAll('[data-settled="true"] [data-testid="agent-text"]')].at(-1)?.textContent.includes(words);
  while (!isThere()) {
    await frame();
  }
  const end = performance.now() - begun;
  while (!document.querySelector('[data-testid="conversation"][data-sync="live"]:not([data-earlier])')) {
    await frame();
  }
  return [end, performance.now() - begun];
}, { to: address, words: LAST_WORDS });

async function show({ server, browser }) {
  const { sessionId, events } = await fill(server);
  const opened = [];
  const scrolled = [];
  const readable = [];
  const all = [];
  let messages = 0;
  const address = sessionAddress(sessionId).slice(2);
  for (let time = 1; time <= options.times; time++) {
    // Once as people do it, and once with a trace, which takes its time.
    const window = await listWindow(browser, server);
    const [end, everything] = await open(window, address);
    readable.push(end);
    all.push(everything);
    assert.deepEqual(window.faults, []);
    await window.context().close();
    const page = await listWindow(browser, server);
    const opening = await traced(browser, [page], async () => {
      await open(page, address);
      await frames(page, 30); // what comes behind it
    }, { folder: given.traces, name: `open-${time}` });
    opened.push(...tasksIn(opening.trace));
    messages = JSON.parse(opening.trace).traceEvents.filter(({ name }) => name === 'WebSocketReceive').length;
    const scrolling = await traced(browser, [page], async () => {
      await page.mouse.move(640, 400);
      for (let at = 0; at < options.pages; at++) {
        await page.mouse.wheel(0, -700);
        await frames(page, 2);
      }
    }, { folder: given.traces, name: `scroll-${time}` });
    scrolled.push(...tasksIn(scrolling.trace));
    assert.deepEqual(page.faults, []);
    await page.context().close();
  }
  const figures = (tasks) => ({ tasks: summary(tasks.map(({ wall }) => wall)), cpu: summary(tasks.map(({ cpu }) => cpu)), cpuAll: round(tasks.reduce((sum, { cpu }) => sum + cpu, 0) / options.times), cpuOverAim: tasks.filter(({ cpu }) => cpu > LONG_MS).length, longest: longest(tasks) });
  const median = (values) => round(values.sort((a, b) => a - b)[values.length >> 1]);
  return { scenario: 'page-open', ...options, events, messages, readableMs: median(readable), allMs: median(all), open: figures(opened), scroll: figures(scrolled) };
}

const result = await onStage({ settings: { 'permission-timeout-ms': 0 }, agents: { scripted: scripted() } }, show);
const line = JSON.stringify(result);
const table = (name, { tasks, cpu, cpuAll, cpuOverAim, longest: most }) => `${name.padEnd(26)}${cpuAll} ms of a processor in all
  tasks by the clock       p50 ${tasks.p50} ms  p99 ${tasks.p99} ms  max ${tasks.max} ms  (${tasks.count})
  time on a processor      p50 ${cpu.p50} ms  p99 ${cpu.p99} ms  max ${cpu.max} ms, ${cpuOverAim} over ${LONG_MS} ms
${most.map(({ cpu: ms, wall, parts }) => `    ${ms} ms (${wall} by the clock)\n${parts.map((part) => `      ${part}\n`).join('')}`).join('')}`;
console.error(`
a session of ${result.events} events, opened ${options.times} times: readable after ${result.readableMs} ms, all there after ${result.allMs} ms; ${result.messages} messages
${table('opening', result.open)}${table('scrolling', result.scroll)}`);
if (given.out) {
  mkdirSync(path.dirname(path.resolve(given.out)), { recursive: true });
  writeFileSync(given.out, `${line}\n`);
} else {
  console.log(line);
}
