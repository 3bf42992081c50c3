// What a trace of Chromium's says of the tasks of windows' main threads: how long each took, for how much of that it had a processor,
// and what was done in it.

/** To be traced: tasks with the time for which they had a processor, what is named in them, and the windows' marks. */
export const CATEGORIES = ['disabled-by-default-devtools.timeline', '__metadata', 'devtools.timeline', 'v8', 'blink.user_timing'];

/** What each window that counts marks (`performance.mark`) while it is traced: the browser has pages of its own, which say nothing of ours. */
export const MARK = 'signalbox-bench';

/** A task begins where none is open: those that run inside another one (a nested loop) are part of it. */
const isTask = ({ name }) => /RunTask$/.test(name);
const endOf = ({ ts, dur = 0 }) => ts + dur;
const cpuOf = ({ dur = 0, tdur }) => (tdur ?? dur) / 1000;

/**
 * The tasks of the windows that have left their mark in a trace (its JSON), each {wall, cpu, parts()}, in milliseconds. `parts()` is what the task was spent on, the most first:
 * [{what, cpu, count}], where `cpu` is without what is named within it.
 */
export function tasksIn(trace) {
  const { traceEvents } = JSON.parse(trace);
  const mains = new Set(traceEvents.filter(({ name }) => name === MARK).map(threadOf));
  const threads = new Map();
  for (const event of traceEvents) {
    if (event.ph === 'X' && mains.has(threadOf(event))) {
      threads.has(threadOf(event)) || threads.set(threadOf(event), []);
      threads.get(threadOf(event)).push(event);
    }
  }
  return [...threads.values()].flatMap(tasksOfThread);
}

const threadOf = ({ pid, tid }) => `${pid}:${tid}`;

function tasksOfThread(events) {
  // In their order; of two that begin at once, the longer is around the shorter.
  events.sort((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0));
  const tasks = [];
  for (let at = 0; at < events.length; at++) {
    const task = events[at];
    if (!isTask(task)) {
      continue;
    }
    const within = [];
    while (at + 1 < events.length && events[at + 1].ts < endOf(task)) {
      within.push(events[++at]);
    }
    tasks.push({ wall: (task.dur ?? 0) / 1000, cpu: cpuOf(task), parts: () => partsOf(task, within) });
  }
  return tasks;
}

function partsOf(task, within) {
  const parts = new Map();
  const add = (event, cpu, count) => {
    const what = wordsFor(event);
    const part = parts.get(what) ?? { what, cpu: 0, count: 0 };
    parts.set(what, { ...part, cpu: part.cpu + cpu, count: part.count + count });
  };
  const open = [task];
  add(task, cpuOf(task), 1);
  for (const event of within) {
    while (open.length > 1 && event.ts >= endOf(open.at(-1))) {
      open.pop();
    }
    add(event, cpuOf(event), 1);
    add(open.at(-1), -cpuOf(event), 0);
    open.push(event);
  }
  return [...parts.values()].sort((a, b) => b.cpu - a.cpu);
}

/** `FunctionCall flush index-x.js:1:2345`, `Layout`, `V8.GC_MC_...`, and so on. */
function wordsFor({ name, args: { data = {} } = {} }) {
  const script = data.url ? `${data.url.split('/').at(-1)}${data.lineNumber === undefined ? '' : `:${data.lineNumber}:${data.columnNumber}`}` : '';
  return [isTask({ name }) ? '(not named)' : name, data.functionName, data.type, script].filter(Boolean).join(' ');
}

export const quantile = (sorted, q) => sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * q) - 1)];

const round = (number) => Math.round(number * 10) / 10;

export function summary(durations) {
  const sorted = [...durations].sort((a, b) => a - b);
  return { count: sorted.length, p50: round(quantile(sorted, 0.5)), p99: round(quantile(sorted, 0.99)), max: round(sorted.at(-1) ?? 0) };
}

const PARTS_TOLD = 6;

/** Those `count` tasks that took most of a processor, with what they were spent on: [{cpu, wall, parts: ['12.3 ms Layout', ...]}]. */
export function longest(tasks, count = 3) {
  return [...tasks].sort((a, b) => b.cpu - a.cpu).slice(0, count).map(({ cpu, wall, parts }) => ({
    cpu: round(cpu), wall: round(wall),
    parts: parts().filter((part) => part.cpu >= 0.05).slice(0, PARTS_TOLD).map((part) => `${round(part.cpu)} ms ${part.what}${part.count > 1 ? ` (${part.count})` : ''}`),
  }));
}
