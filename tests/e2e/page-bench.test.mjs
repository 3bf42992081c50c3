// The programs that measure the page, in small: that they work, and what they report. Nothing here is about how fast anything is.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { longest, MARK, summary, tasksIn } from '../../bench/page/trace.mjs';
import { test } from './lib/harness.mjs';
import { root } from './lib/paths.mjs';
import { scaled } from './lib/wait.mjs';

/** Runs a program of bench/ to its end: what it has reported, and its table. */
async function measured(program, ...args) {
  const child = spawn(process.execPath, [path.join(root, 'bench', program), ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: scaled(240_000) });
  let [out, table] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part) => (out += part));
  child.stderr.setEncoding('utf8').on('data', (part) => (table += part));
  const [code, signal] = await new Promise((done) => child.on('close', (...how) => done(how)));
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, table);
  assert.match(out, /^\{.*\}\n$/, 'a line of JSON, and nothing else');
  return { result: JSON.parse(out), table };
}

function isSummary(figures, what) {
  assert.deepEqual(Object.keys(figures), ['count', 'p50', 'p99', 'max'], what);
  assert.ok(Object.values(figures).every(Number.isFinite), what);
}

function areTold(tasks, table) {
  assert.equal(tasks.length, 3);
  for (const { cpu, wall, parts } of tasks) {
    assert.ok(Number.isFinite(cpu) && Number.isFinite(wall) && parts.length > 0);
    assert.ok(parts.every((part) => table.includes(part)), table);
  }
}

test('page-flood measures a short flood', { timeout: scaled(300_000) }, async () => {
  const { result, table } = await measured('page-flood.mjs', '--seconds', '3', '--sessions', '2', '--trace-seconds', '2');
  assert.equal(result.scenario, 'page-flood');
  assert.equal(result.sessions, 2);
  assert.ok(result.events > 0);
  for (const name of ['tasks', 'cpu', 'longTasks', 'longTasksTraced']) {
    isSummary(result[name], name);
  }
  assert.ok(result.tasks.count > 0 && result.tasks.count === result.cpu.count);
  assert.ok(result.took >= 3 && result.untraced < result.took);
  assert.ok(Number.isInteger(result.cpuOverAim));
  assert.ok(result.heapMiB.before > 0 && result.heapMiB.after > 0 && result.heapMiB.most > 0 && result.nodes > 0);
  assert.ok(result.course.length > 0 && result.course.every(({ second, heapMiB }) => second > 0 && heapMiB > 0));
  areTold(result.longest, table);
});

test('page-open measures how a session opens, and is scrolled', { timeout: scaled(300_000) }, async () => {
  const { result, table } = await measured('page-open.mjs', '--events', '300', '--times', '1', '--pages', '3');
  assert.equal(result.scenario, 'page-open');
  assert.ok(result.events >= 300);
  assert.ok(result.messages > 0 && result.messages <= result.events, `${result.messages} messages`);
  assert.ok(result.readableMs > 0 && result.allMs >= result.readableMs);
  for (const part of [result.open, result.scroll]) {
    isSummary(part.tasks, 'tasks');
    isSummary(part.cpu, 'cpu');
    assert.ok(part.tasks.count > 0 && part.cpuAll > 0 && Number.isInteger(part.cpuOverAim));
    areTold(part.longest, table);
  }
});

test('a trace: the tasks of the windows that were marked, with what is named in them, each part without those within it', () => {
  const event = (name, ts, dur, tdur, more = {}) => ({ ph: 'X', pid: 1, tid: 1, name, ts: ts * 1000, dur: dur * 1000, tdur: tdur * 1000, args: {}, ...more });
  const call = { args: { data: { functionName: 'flush', url: 'http://127.0.0.1:1/assets/a.js', lineNumber: 1, columnNumber: 7 } } };
  const tasks = tasksIn(JSON.stringify({ traceEvents: [
    event('FunctionCall', 101, 20, 10, call),
    event('ThreadControllerImpl::RunTask', 100, 30, 18), // around the others, and before them in time
    event('Layout', 102, 8, 4), event('Layout', 111, 5, 3),
    event('ThreadControllerImpl::RunTask', 105, 2, 1), // of a loop within a task
    event('ThreadControllerImpl::RunTask', 200, 5, 5),
    { ph: 'I', pid: 1, tid: 1, name: MARK, ts: 99 },
    { ...event('ThreadControllerImpl::RunTask', 100, 90, 80), pid: 2 }, // another's
    { ...event('ThreadControllerImpl::RunTask', 100, 90, 80), tid: 2 },
  ] }));
  assert.deepEqual(tasks.map(({ wall, cpu }) => ({ wall, cpu })), [{ wall: 30, cpu: 18 }, { wall: 5, cpu: 5 }]);
  assert.deepEqual(longest(tasks, 1), [{ cpu: 18, wall: 30, parts: ['9 ms (not named) (2)', '6 ms Layout (2)', '3 ms FunctionCall flush a.js:1:7'] }]);
  assert.deepEqual(summary([3, 1, 2]), { count: 3, p50: 2, p99: 3, max: 3 });
  assert.deepEqual(summary([]), { count: 0, p50: 0, p99: 0, max: 0 });
});
