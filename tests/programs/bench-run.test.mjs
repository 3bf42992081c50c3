// bench/run as a whole, in small: that the harness works, and that its report says what was measured. Nothing here is about how
// fast anything is.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { costsOf, median, ratiosOf } from '../../bench/report/numbers.mjs';
import { profileOf, samplesOf } from '../../bench/report/profile.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bin = path.resolve(process.env.SIGNALBOX_BIN);
const results = path.join(root, 'build/bench');
const folder = mkdtempSync(path.join(os.tmpdir(), 'signalbox-bench-run-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const isRelease = path.basename(bin) === 'release'; // which is what bench/run measures

test('bench/run --quick: every scenario passes, and the report has them all', { skip: !isRelease, timeout: 300_000 }, () => {
  const run = spawnSync(path.join(root, 'bench/run'), ['--quick', '--no-build'], { encoding: 'utf8' });
  assert.match(run.stdout, /\d+ passed, 0 failed\n$/, run.stderr);
  assert.equal(run.status, 0, run.stderr);
  const lines = readFileSync(path.join(results, 'results.jsonl'), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const sides = new Set(lines.filter((line) => line.set === 'breadth').map((line) => line.report.side));
  assert.ok(sides.has('signalbox') && sides.has('floor'), [...sides].join());
  for (const { set, report } of lines) {
    assert.equal(report.errors, 0, set);
    assert.ok(report.runs.length > 0, set);
  }
  for (const [peer, words] of [['fastify', /Fastify is not installed/], ['nchan', /nchan is not installed/]]) {
    assert.ok(sides.has(peer) || words.test(run.stderr), `${peer} is measured, or it is said that it is not there`);
  }
  const report = readFileSync(path.join(results, 'report.md'), 'utf8');
  for (const words of ['Breadth', 'Fan-out', 'Mixed', 'Idle connections', 'Reconnect storm', 'Late join', 'Slow watchers', 'Permission storm',
    'Commit rate', 'Growth', 'Nothing was lost']) {
    assert.ok(report.includes(words), words);
  }
  for (const plot of ['cost', 'latency', 'growth']) {
    assert.match(readFileSync(path.join(results, `${plot}.svg`), 'utf8'), /^<svg [^]*<\/svg>\n$/);
    assert.ok(report.includes(`(${plot}.svg)`));
  }
});

const result = (set, round, side, run, errors = 0) => ({
  set, round, command: `signalbox-bench ${set}`, report: {
    side, errors, aims: [], runs: [{
      run: set, deliveries_per_s: 1000, latency: { p50: 1, p99: 2, 'p99.9': 3, max: 4 }, bytes_per_delivery: 300, rss_kb_a_watcher: 5, generator_cores: 0.1,
      server: { cpu_us_per_delivery: 10, us_per_delivery_by_thread: { socket: 6, send: 5 } }, ...run,
    }],
  },
});

/** The report of these results: its text. */
function reportOf(lines) {
  writeFileSync(path.join(folder, 'results.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  writeFileSync(path.join(folder, 'machine.txt'), 'date=today\ncpu=none\n');
  execFileSync(process.execPath, [path.join(root, 'bench/report/report.mjs'), folder, folder], { encoding: 'utf8' });
  return readFileSync(path.join(folder, 'report.md'), 'utf8');
}

test('a ratio is of the rounds in which both sides delivered the same, and nothing was wrong', () => {
  const side = (rounds) => new Map(rounds.map(([round, delivered, whole, errors = 0]) => [round, costsOf(
    result('breadth', round, 'floor', { deliveries_per_s: delivered, server: { cpu_us_per_delivery: whole } }, errors).report)]));
  const mine = side([[1, 1000, 12], [2, 1000, 16], [3, 1000, 100], [4, 1000, 100]]);
  const floor = side([[1, 1019, 10], [2, 990, 8], [3, 1021, 10], [4, 1000, 10, 1]]);
  const { ratios } = ratiosOf(mine, floor, (costs) => costs.whole);
  assert.deepEqual(ratios, [1.2, 2]);
  assert.equal(median(ratios), 1.6);
  assert.match(ratiosOf(side([[1, 1000, 1]]), side([[1, 900, 1]]), (costs) => costs.whole).why, /1,000 and 900 events/);
});

test('the report counts no ratio of unequal loads, and says what was wrong', () => {
  const good = reportOf([result('breadth', 1, 'signalbox', {}), result('breadth', 1, 'floor', {})]);
  assert.match(good, /the whole server \/ the floor \| 1 \| 1\.4 \| met/);
  assert.match(good, /socket threads \/ the floor \| 0\.6 \|/);
  assert.match(good, /Nothing was lost/);
  const sending = { ...result('breadth', 1, 'signalbox', {}), command: 'signalbox-bench breadth --set socket-writes=send' };
  const both = reportOf([result('breadth', 1, 'signalbox', {}), sending, result('breadth', 1, 'floor', {})]);
  assert.match(both, /the whole server without io_uring \/ the floor \| 1 \| 1\.6 \| met/);
  const unequal = reportOf([result('breadth', 1, 'signalbox', {}), result('breadth', 1, 'floor', { deliveries_per_s: 900 })]);
  assert.match(unequal, /the whole server \/ the floor \| not counted: 1,000 and 900 events a second/);
  const wrong = reportOf([result('breadth', 1, 'signalbox', {}, 3), result('breadth', 1, 'floor', {})]);
  assert.match(wrong, /\*\*Something was wrong in 1 of 2 runs: breadth/);
  const limited = reportOf([result('breadth', 1, 'signalbox', { generator_cores: 0.97 }), result('breadth', 1, 'floor', {})]);
  assert.match(limited, /In 1 of 2 runs the generator used more than 0\.9/);
});

test('a profile says what the CPU went to, the largest first, and the report has it', async () => {
  const stack = (comm, ...frames) => `${comm} \n${frames.map((frame) => `\tffffffff82203a31 ${frame}\n`).join('')}\n`;
  const text = stack('socket/0', 'ip_rcv ([kernel.kallsyms])', 'tcp_sendmsg ([kernel.kallsyms])', 'io_submit_sqes ([kernel.kallsyms])', 'do_syscall_64 ([kernel.kallsyms])').repeat(5)
    + stack('socket/1', 'fget ([kernel.kallsyms])', 'io_submit_sqes ([kernel.kallsyms])', 'do_syscall_64 ([kernel.kallsyms])')
    + stack('socket/1', 'subscription_poked (/usr/bin/signalbox)', 'socket_run (/usr/bin/signalbox)').repeat(2)
    + stack('journal', 'sqlite3VdbeExec (/usr/lib/libsqlite3.so.0.8.6)').repeat(3)
    + stack('agent', '_int_malloc (/usr/lib/libc.so.6)')
    + stack('agent', 'string (/usr/bin/signalbox)', 'json_tokener_parse_ex (/usr/lib/libjson-c.so.5)')
    + stack('agent', 'finish_task_switch ([kernel.kallsyms])', 'schedule ([kernel.kallsyms])', 'do_epoll_wait ([kernel.kallsyms])');
  const profile = profileOf(await samplesOf(Readable.from([text])));
  assert.equal(profile.samples, 14);
  assert.deepEqual(Object.keys(profile.roles), ['socket', 'journal', 'agent']);
  assert.deepEqual(profile.costs.slice(0, 3).map(({ name }) => name.split(':')[0]), ['TCP', 'SQLite', "Signalbox's own code"]);
  assert.deepEqual(profile.of.socket.map(({ name, share }) => [name.split(':')[0], share]), [['TCP', 5 / 8], ["Signalbox's own code", 2 / 8], ['io_uring itself', 1 / 8]]);
  assert.deepEqual(new Set(profile.of.agent.map(({ name }) => name)), new Set(['allocating memory', 'parsing JSON (json-c)', 'sleeping, and waking other threads']));
  writeFileSync(path.join(folder, 'profile.json'), JSON.stringify(profile));
  const report = reportOf([result('breadth', 1, 'signalbox', {}), result('breadth', 1, 'floor', {})]);
  rmSync(path.join(folder, 'profile.json'));
  assert.match(report, /three largest costs of the whole server: TCP[^;]*\(36 %\); SQLite \(21 %\); Signalbox's own code \(14 %\)/);
  assert.match(report, /\| 36 % \| 3\.57 \| TCP/); // of 10 microseconds
});

test('the report replaces only the measured part of the document', () => {
  const docs = path.join(folder, 'docs');
  cpSync(path.join(root, 'docs/benchmarks.md'), path.join(docs, 'benchmarks.md'));
  reportOf([result('breadth', 1, 'signalbox', {})]);
  execFileSync(process.execPath, [path.join(root, 'bench/report/report.mjs'), folder, docs]);
  const [before, after] = [path.join(root, 'docs/benchmarks.md'), path.join(docs, 'benchmarks.md')].map((file) => readFileSync(file, 'utf8'));
  const around = (text) => text.replace(/(<!-- measured by bench\/run: begin -->)[^]*(<!-- measured by bench\/run: end -->)/, '$1$2');
  assert.equal(around(after), around(before));
  assert.ok(after.includes('today'));
  assert.ok(after.includes('(benchmarks/cost.svg)'));
});
