// signalbox-bench against a server behind a proxy that loses, repeats or changes what the server sends: a load
// generator that never finds anything wrong would prove nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';

const bin = path.resolve(process.env.SIGNALBOX_BIN);
const folder = mkdtempSync(path.join(os.tmpdir(), 'signalbox-bench-test-'));
const workspace = path.join(folder, 'workspace');
let server;
let port;

before(async () => {
  mkdirSync(workspace);
  const config = path.join(folder, 'conf');
  writeFileSync(config, `agent scripted {\n    command = {"${bin}/signalbox-scripted-agent"}\n}\n`);
  server = spawn(path.join(bin, 'signalbox'), [
    'serve', `--config=${config}`, `--data=${folder}/data`, '--listen=127.0.0.1:0', `--set=workspace-roots=${workspace}`,
  ], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  for await (const chunk of server.stderr) {
    log += chunk;
    port = /ready to serve.*address=http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1];
    if (port) {
      break;
    }
  }
  assert.ok(port, log);
});

after(async () => {
  const ended = new Promise((done) => server.on('exit', done));
  server.kill();
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

/** Whole frames of the server at the beginning of the bytes. */
function framesOf(bytes) {
  const frames = [];
  let at = 0;
  while (bytes.length >= at + 2) {
    const short = bytes[at + 1] & 127;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < at + header) {
      break;
    }
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (bytes.length < at + header + length) {
      break;
    }
    frames.push(bytes.subarray(at, at + header + length));
    at += header + length;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** A proxy; `change(frame)` returns the frames that are sent instead of one. */
async function proxy(change) {
  const listener = net.createServer((client) => {
    const upstream = net.connect(Number(port), '127.0.0.1');
    let pending = Buffer.alloc(0);
    let upgraded = null; // or whether it is a WebSocket: what answers say in plain HTTP are no frames, whatever bytes they have
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (upgraded === null) {
        const end = pending.indexOf('\r\n\r\n');
        if (end < 0) {
          return;
        }
        upgraded = pending.subarray(0, 13).equals(Buffer.from('HTTP/1.1 101 '));
        client.write(pending.subarray(0, end + 4));
        pending = pending.subarray(end + 4);
      }
      if (!upgraded) {
        client.write(pending);
        pending = Buffer.alloc(0);
        return;
      }
      const { frames, rest } = framesOf(pending);
      pending = rest;
      for (const frame of frames.flatMap(change)) {
        client.write(frame);
      }
    });
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
    client.on('error', () => {});
    upstream.on('error', () => {});
  });
  await new Promise((done) => listener.listen(0, '127.0.0.1', done));
  return listener;
}

/** Runs a small fan-out through the proxy: {status, report, table}. */
async function run(change, scenario = ['fanout', '--watchers', '2', '--seconds', '1', '--warmup', '0']) {
  const listener = await proxy(change);
  const load = spawn(path.join(bin, 'signalbox-bench'), [
    ...scenario, '--url', `http://127.0.0.1:${listener.address().port}`, '--workspace', workspace,
  ]);
  let out = '';
  let err = '';
  load.stdout.on('data', (chunk) => (out += chunk));
  load.stderr.on('data', (chunk) => (err += chunk));
  const status = await new Promise((done) => load.on('close', done));
  listener.close();
  return { status, report: JSON.parse(out), table: err };
}

const onFloor = ['breadth', '--peer', path.join(bin, 'signalbox-floor'), '--sessions', '2', '--watchers', '4', '--seconds', '1', '--warmup', '0',
  '--rate', '20', '--size', '30'];

/** The same beside the floor, through a proxy: a comparison is worth nothing if its other side is not checked. */
async function runFloor(change, options = onFloor) {
  const floor = spawn(path.join(bin, 'signalbox-floor'), [folder]);
  const own = await new Promise((done) => {
    floor.stderr.on('data', (chunk) => done(/address=http:\/\/127\.0\.0\.1:(\d+)/.exec(chunk)[1]));
  });
  const before = port;
  port = own;
  try {
    return await run(change, options);
  } finally {
    port = before;
    floor.kill();
  }
}

const isDelta = (frame) => frame.includes('"type":"text_delta"');
/** A change to the second delta that passes, in whichever connection: each of them has one, also where all text comes at once. */
const once = (change) => {
  let seen = 0;
  return (frame) => (isDelta(frame) && ++seen === 2 ? change(frame) : [frame]);
};
const replaced = (frame, from, to) => Buffer.from(frame.toString('latin1').replace(from, to), 'latin1');

test('what is right passes, and is measured', async () => {
  const { status, report, table } = await run((frame) => [frame]);
  assert.equal(status, 0, table);
  const [{ latency, deliveries_per_s: deliveries }] = report.runs;
  assert.equal(latency.count, 100, 'every chunk, once for each watcher');
  assert.ok(latency.p50 > 0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
  assert.ok(deliveries > 0);
});

const wrongs = {
  'an event that is missing': [once(() => []), /after a hole|with a hole/],
  'an event that comes twice': [once((frame) => [frame, frame]), /was there before/],
  'text that is another': [once((frame) => [replaced(frame, /(@\d{16} )./, '$1~')]), /text that/],
  'a stamp that is another for one watcher': [
    once((frame) => [replaced(frame, /@\d{16}/, '@0000000000000001')]), /text that differs/,
  ],
  'an offset that is another': [once((frame) => [replaced(frame, /"offset":(\d)/, (_, digit) => `"offset":${digit === '1' ? 2 : 1}`)]), /text|delta/],
  'a complete text that is another': [
    (frame) => [frame.includes('"text_complete"') ? replaced(frame, /"text":"@\d/, '"text":"@9') : frame], /text that differs/,
  ],
  'a replay_complete too early': [
    (frame) => [frame.includes('"replay_complete"') ? replaced(frame, /"seq":\d/, '"seq":0') : frame], /not at the head/,
  ],
};
for (const [what, [change, message]] of Object.entries(wrongs)) {
  test(`${what} is found`, async () => {
    const { status, report, table } = await run(change);
    assert.equal(status, 1);
    assert.ok(report.errors > 0);
    assert.match(table, message);
  });
}

test('an event that is changed in a replay alone is found by the comparison at the end', async () => {
  let fresh = false;
  const { status, table } = await run((frame) => {
    fresh ||= frame.includes('"complete"') && frame.includes('"durationMs"');
    return [fresh ? replaced(frame, '"title":', '"titel":') : frame].filter(
      (each) => !fresh || !each.includes('"type":"session_created"'),
    );
  });
  assert.equal(status, 1);
  assert.match(table, /after a hole|fresh watcher/);
});

test('watchers that ask for compressed messages get the same', async () => {
  let compressed = 0;
  const count = (frame) => {
    compressed += frame[0] === 0xc1;
    return [frame];
  };
  const options = ['fanout', '--watchers', '2', '--seconds', '1', '--warmup', '0', '--size', '600', '--rate', '20'];
  const plain = await run(count, options);
  assert.equal(plain.status, 0, plain.table);
  assert.equal(compressed, 0);
  const { status, table } = await run(count, [...options, '--deflate']);
  assert.equal(status, 0, table);
  assert.ok(compressed > 0);
});

test('watchers whose sockets are full in the midst of a compressed frame get the rest of it', { timeout: 120_000 }, async () => {
  // Theirs are small ones: of a usual socket's a short frame is taken whole or not at all.
  const load = spawn(path.join(bin, 'signalbox-bench'), [
    'stalled', '--watchers', '100', '--stalled', '30', '--stall', '3', '--rate', '50', '--size', '300', '--deflate',
  ], { timeout: 100_000 });
  let table = '';
  load.stderr.on('data', (chunk) => (table += chunk));
  load.stdout.resume();
  assert.equal(await new Promise((done) => load.on('close', done)), 0, table);
});

test('the floor delivers the same, in frames of the same size', async () => {
  const lengths = { ours: [], theirs: [] };
  const runs = {};
  const options = ['breadth', '--sessions', '2', '--watchers', '4', '--seconds', '1', '--warmup', '0', '--rate', '20', '--size', '30'];
  for (const [who, runOne, more] of [['ours', run, []], ['theirs', runFloor, ['--peer', path.join(bin, 'signalbox-floor')]]]) {
    const { status, report, table } = await runOne((frame) => {
      if (isDelta(frame)) {
        // Numbers grow by a digit as they go, and do so at different events.
        lengths[who].push(frame.toString('latin1').replace(/"(seq|offset)":\d+/g, '').length);
      }
      return [frame];
    }, [...options, ...more]);
    assert.equal(status, 0, table);
    runs[who] = report;
  }
  assert.equal(runs.theirs.side, 'floor');
  for (const report of Object.values(runs)) {
    assert.equal(report.runs[0].latency.count, 2 * 2 * 20, 'every chunk that was due in the measured second, for two watchers each');
  }
  // Of one chunk; others may have come together, where the machine was busy.
  assert.equal(Math.min(...lengths.theirs), Math.min(...lengths.ours));
});

for (const [what, [change, message]] of Object.entries({
  'an event that is missing': [once(() => []), /after a hole|with a hole/],
  'an event that comes twice': [once((frame) => [frame, frame]), /was there before/],
  'text that is another': [once((frame) => [replaced(frame, /(@\d{16} )./, '$1~')]), /text that/],
})) {
  test(`on the floor, too, ${what} is found`, async () => {
    const { status, report, table } = await runFloor(change);
    assert.equal(status, 1);
    assert.ok(report.errors > 0);
    assert.match(table, message);
  });
}

test('agents that work as models do: what they say is checked, tools and questions included', async () => {
  const small = ['mixed', '--sessions', '2', '--watchers', '4', '--seconds', '3', '--warmup', '0', '--agent', 'scripted'];
  const good = await run((frame) => [frame], small);
  assert.equal(good.status, 0, good.table);
  assert.ok(good.report.runs[0].bytes_of_an_event_with_content.count > 0);
  // The same for everybody, so that only who knows what the agent says can find it.
  const wrong = await run((frame) => [
    frame.includes('"type":"tool_result"') ? replaced(frame, /"result":"\w/, '"result":"~') : frame], small);
  assert.equal(wrong.status, 1);
  assert.match(wrong.table, /a tool's result that is not the agent's/);
});

test('questions are answered, and every watcher learns of it', async () => {
  const { status, report, table } = await run((frame) => [frame], [
    'permissions', '--sessions', '2', '--watchers', '4', '--seconds', '1', '--warmup', '0', '--rate', '4', '--agent', 'scripted']);
  assert.equal(status, 0, table);
  const [{ question, round_trip: back }] = report.runs;
  assert.equal(question.count, 2 * 2 * 4);
  assert.equal(back.count, 2 * 2 * 4);
});

test('compressed frames are checked as all others', async () => {
  const options = ['fanout', '--deflate', '--watchers', '2', '--seconds', '1', '--warmup', '0', '--rate', '10', '--size', '2000'];
  const isCompressed = (frame) => (frame[0] & 0x40) !== 0;
  let compressed = 0;
  const good = await run((frame) => {
    compressed += isCompressed(frame);
    return [frame];
  }, options);
  assert.equal(good.status, 0, good.table);
  assert.ok(compressed > 0);
  const [{ bytes_per_delivery: bytes, wire_bytes_per_delivery: wire }] = good.report.runs;
  assert.ok(wire < bytes, `${wire} of ${bytes} bytes`);
  let seen = 0;
  const wrong = await run((frame) => {
    if (isCompressed(frame) && ++seen === 2) {
      const broken = Buffer.from(frame);
      broken[broken.length >> 1] ^= 0x55;
      return [broken];
    }
    return [frame];
  }, options);
  assert.equal(wrong.status, 1);
  assert.match(wrong.table, /inflated|text|no JSON object|hole/);
});

test('a command runs while it is measured, knows the server, and is told the end', async () => {
  const told = path.join(folder, 'told');
  const command = `trap 'echo end >>${told}; exit 0' INT; readlink /proc/$SERVER_PID/exe >${told}; while :; do sleep 0.05; done`;
  const load = spawn(path.join(bin, 'signalbox-bench'), [...onFloor.slice(0, 1), ...onFloor.slice(3), '--while', command, '--json']);
  let out = '';
  let err = '';
  load.stdout.on('data', (chunk) => (out += chunk));
  load.stderr.on('data', (chunk) => (err += chunk));
  assert.equal(await new Promise((done) => load.on('close', done)), 0, err);
  assert.equal(JSON.parse(out).errors, 0);
  assert.equal(readFileSync(told, 'utf8'), `${path.join(bin, 'signalbox')}\nend\n`);
});

/** Runs it to its end: {status, err}. */
async function outcome(options, settings = {}) {
  const load = spawn(path.join(bin, 'signalbox-bench'), options, settings);
  let err = '';
  load.stderr.on('data', (chunk) => (err += chunk));
  load.stdout.resume();
  return { load, ended: new Promise((done) => load.on('close', (status) => done({ status, err }))) };
}

test('what cannot be measured is told of by its reason', async () => {
  const closed = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => closed.on('listening', done));
  const free = closed.address().port;
  await new Promise((done) => closed.close(done));
  const other = net.createServer((socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')).listen(0, '127.0.0.1');
  await new Promise((done) => other.on('listening', done));
  for (const [options, reason, code = 1] of [
    [['--url', `http://127.0.0.1:${free}`, '--workspace', workspace], /127\.0\.0\.1:\d+: Connection refused/],
    [['--url', `http://127.0.0.1:${other.address().port}`, '--workspace', workspace], /does not answer as Signalbox does .*404/],
    [['--url', `https://127.0.0.1:${port}`, '--workspace', workspace], /without TLS, not https:/],
    [['--url', `http://127.0.0.1:${port}`], /--url wants --workspace/, 64],
    [['--url', `http://127.0.0.1:${port}`, '--workspace', workspace, '--agent', 'nobody'], /nobody/],
    [['more'], /more is no option/, 64],
    [['--watchers', '100000000'], /watchers need \d+ descriptors/],
  ]) {
    const { ended } = await outcome(['fanout', ...options]);
    const { status, err } = await ended;
    assert.match(err, reason);
    assert.equal(status, code, err);
  }
  other.close();
});

test('who is interrupted leaves nothing behind', async () => {
  const own = mkdtempSync(path.join(folder, 'tmp-'));
  const told = path.join(folder, 'begun');
  const { load, ended } = await outcome(['fanout', '--watchers', '4', '--seconds', '60', '--while', `exec sh -c 'echo $SERVER_PID >${told}.part; mv ${told}.part ${told}'`],
    { env: { ...process.env, TMPDIR: own } });
  while (!existsSync(told) && load.exitCode === null) {
    await new Promise((done) => setTimeout(done, 20));
  }
  load.kill('SIGINT');
  const { status, err } = await ended;
  assert.equal(status, 130, err);
  assert.deepEqual(readdirSync(own), []);
  assert.ok(!existsSync(`/proc/${readFileSync(told, 'utf8').trim()}`), 'the server is gone');
});
