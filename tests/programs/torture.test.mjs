// The torture, the storm and the soak of signalbox-bench, in small (docs/benchmarks.md has the large ones), and that a torture finds
// what is wrong.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import test from 'node:test';

const bin = path.resolve(process.env.SIGNALBOX_BIN);
// A server with pauses between its threads; `scripts/test` builds it.
const paused = path.join(path.resolve(process.env.SIGNALBOX_PAUSES_BIN ?? path.join(bin, '..', 'pauses')), 'signalbox');
const isLong = Boolean(process.env.SIGNALBOX_TEST_LONG);

async function load(...args) {
  const program = spawn(path.join(bin, 'signalbox-bench'), args);
  let out = '';
  let err = '';
  program.stdout.on('data', (chunk) => (out += chunk));
  program.stderr.on('data', (chunk) => (err += chunk));
  const status = await new Promise((done) => program.on('close', done));
  assert.ok(out.startsWith('{'), err);
  return { status, report: JSON.parse(out), table: err };
}

const size = isLong ? [] : ['--watchers', '40', '--sessions', '10', '--seconds', '15', '--kills', '3'];
const seed = process.env.SIGNALBOX_TEST_SEED ?? String(Math.floor(Math.random() * 1e6));

test(`a torture of a server that pauses where threads could lose events (seed ${seed})`, async () => {
  const { status, report, table } = await load('torture', '--server', paused, '--seed', seed, ...size);
  assert.equal(status, 0, table);
  const [run] = report.runs;
  assert.equal(run.kills, isLong ? 10 : 3);
  const points = ['handshake_take', 'assign_commit', 'commit_publish', 'tail_publish', 'register_read', 'history_read', 'read_splice'];
  for (const point of points) {
    assert.ok(run.pauses[point] > 0, `a pause at ${point}: ${JSON.stringify(run.pauses)}`);
  }
  const moments = ['dropped_live', 'dropped_opened', 'dropped_connected', 'dropped_subscribe', 'dropped_in_replay', 'left_and_joined'];
  for (const moment of moments) {
    assert.ok(run[moment] > 0, moment);
  }
  assert.ok(run.commands_sent_again > 0);
  assert.ok(run.turns > run.turns_that_ended_by_themselves, 'a kill interrupted turns');
});

const clients = isLong ? 9000 : 300;
const descriptors = Number(execFileSync('/bin/sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).replace('unlimited', 'Infinity'));
const short =
  clients + 500 > descriptors &&
  `${clients} clients take as many descriptors in the server, and in who plays them; a process may have ${descriptors} (ulimit -Hn)`;

test('everybody comes back after a stop in order', { skip: short }, async () => {
  const { status, report, table } = await load('storm', '--watchers', String(clients));
  assert.equal(status, 0, table);
  const [spread, atOnce] = report.runs;
  assert.equal(spread.told_when_to_come_back, spread.clients);
  assert.ok(spread.window_s > atOnce.window_s);
});

test('a soak: descriptors and threads are as before', { timeout: 3_600_000 }, async () => {
  const { status, table } = await load('soak', '--seconds', isLong ? (process.env.SIGNALBOX_SOAK_SECONDS ?? '600') : '6');
  assert.equal(status, 0, table);
});
