// Reading results, and what is computed of them.
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The lines of results.jsonl: {set, round, command, report}. */
export function readResults(folder) {
  const file = path.join(folder, 'results.jsonl');
  if (!existsSync(file)) {
    throw new Error(`${file}: nothing was measured`);
  }
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** machine.txt: {key: [value, ...]}. */
export function readMachine(folder) {
  const machine = {};
  for (const line of readFileSync(path.join(folder, 'machine.txt'), 'utf8').split('\n').filter(Boolean)) {
    const at = line.indexOf('=');
    (machine[line.slice(0, at)] ??= []).push(line.slice(at + 1));
  }
  return machine;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length === 0 ? NaN : sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A member by its path, `server/cores_by_thread/agent`; undefined where there is none. */
export function member(object, where) {
  return where.split('/').reduce((inner, key) => inner?.[key], object);
}

/** Of a run on one side of a comparison. */
export function costsOf(report) {
  const [run] = report.runs;
  const byThread = member(run, 'server/us_per_delivery_by_thread') ?? {};
  const senders = { signalbox: 'socket', floor: 'send' }[report.side];
  return {
    delivered: run.deliveries_per_s,
    whole: member(run, 'server/cpu_us_per_delivery'),
    // What has no threads of its own for sending is counted whole.
    sending: senders === undefined ? member(run, 'server/cpu_us_per_delivery') : (byThread[senders] ?? 0),
    byThread,
    p50: run.latency.p50,
    p99: run.latency.p99,
    p999: run.latency['p99.9'],
    max: run.latency.max,
    bytes: run.bytes_per_delivery,
    memory: run.rss_kb_a_watcher,
    generator: run.generator_cores,
    errors: report.errors,
  };
}

export const SAME = 0.02; // how far two sides' events a second may be apart, to be compared

/**
 * One side's cost / another's, round by round: {ratios, why}. Rounds in which the two did not deliver the same number of
 * events a second, or anything was wrong, do not count; `why` says that of the last such one.
 */
export function ratiosOf(mine, theirs, of, ofTheirs = of) {
  const ratios = [];
  let why = '';
  for (const [round, a] of mine) {
    const b = theirs.get(round);
    if (b === undefined) {
      continue;
    }
    const apart = Math.abs(a.delivered - b.delivered) / Math.max(a.delivered, b.delivered);
    if (a.errors + b.errors > 0) {
      why = 'something was wrong';
    } else if (apart > SAME) {
      why = `${Math.round(a.delivered).toLocaleString('en')} and ${Math.round(b.delivered).toLocaleString('en')} events a second`;
    } else {
      ratios.push(of(a) / ofTheirs(b));
    }
  }
  return { ratios, why };
}
