// permessage-deflate (RFC 7692): what is agreed on, what is sent, and what is taken.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import zlib from 'node:zlib';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { say, script, stream, streamed, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const agents = { scripted: scripted() };
const server = await startServer({ agents });
const ACCEPTED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

/** What the server answers to an upgrade with these Sec-WebSocket-Extensions. */
async function agreed(extensions, to = server) {
  const request = http.get(`${to.url}/ws`, {
    headers: {
      Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Extensions': extensions,
    },
  });
  const answer = await new Promise((resolve, reject) => {
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.headers['sec-websocket-extensions']);
    });
    request.on('error', reject).on('response', ({ statusCode }) => reject(new Error(`no upgrade: ${statusCode}`)));
  });
  return answer;
}

test('offers are agreed to as RFC 7692 has it', async () => {
  assert.equal(await agreed('permessage-deflate; client_max_window_bits'), ACCEPTED);
  assert.equal(await agreed(['x-other; a=1', 'permessage-deflate; server_max_window_bits=9, permessage-deflate']), ACCEPTED);
  assert.equal(await agreed('permessage-deflate; server_max_window_bits=15'), `${ACCEPTED}; server_max_window_bits=15`);
  for (const declined of ['x-other', 'permessage-deflate; server_max_window_bits=10', 'permessage-deflate; what=1', 'permessage-deflate;']) {
    assert.equal(await agreed(declined), undefined, declined);
  }
});

test('where compression is off nothing is agreed on', async () => {
  const off = await startServer({ agents, settings: { compression: false } });
  assert.equal(await agreed('permessage-deflate', off), undefined);
});

const bytesRead = (client) => client.socket._socket.bytesRead;
const metrics = async (from) => {
  const families = parseMetrics((await from.rest('GET', '/metrics')).text);
  return new Map([...families].map(([name, { samples }]) => [name, samples[0]?.value]));
};
const long = (n) => `${'All work and no play makes a dull log. '.repeat(n)}`;

/** Of all events behind `from`, to the byte. */
const digest = ({ events }, from = 0) =>
  createHash('sha256').update(events.filter(({ seq }) => seq > from).map(({ raw }) => raw).join('\n')).digest('hex');

test('all get the same events; those who asked for it get fewer bytes, made once', async () => {
  const own = await startServer({ agents });
  const plain = await own.connect({ deflate: false });
  const session = await plain.create('scripted');
  const squeezed = await Promise.all(
    Array.from({ length: 6 }, async () => (await own.connect({ deflate: true })).follow(session.id)),
  );
  const head = session.events.at(-1).seq;
  const [before, ...theirs] = [plain, ...squeezed.map(({ client }) => client)].map(bytesRead);
  const turn = await session.prompt(script(
    say('short'), tool({ output: long(200) }), say(long(40)), stream(300, 30, 2000), tool({ output: long(300) }), say('the end'),
  ));
  await turn.end();
  for (const watcher of squeezed) {
    await watcher.event('complete', (event) => event.turnId === turn.id);
    assert.equal(digest(watcher, head), digest(session, head));
  }
  const all = bytesRead(plain) - before;
  squeezed.forEach(({ client }, i) => {
    const got = bytesRead(client) - theirs[i];
    assert.ok(got < all / 2, `${got} instead of ${all}`);
  });
  const counted = await metrics(own);
  assert.equal(counted.get('signalbox_deflate_connections'), 6);
  const made = counted.get('signalbox_deflate_in_bytes_total');
  assert.ok(made > 0 && made < all * 1.1, `${made} were compressed for six who got ${all} each`);
  const saved = counted.get('signalbox_deflate_saved_bytes_total');
  assert.ok(saved > all * 2, `${saved} were saved`);
});

test('a replay is compressed, too, and made once for all who come at once', async () => {
  const own = await startServer({ agents });
  const session = await (await own.connect({ deflate: false })).create('scripted');
  for (let i = 0; i < 4; i++) {
    await session.run(script(tool({ output: `${i} ${long(400)}` }), say(`${long(50)} ${i}`)));
  }
  const plain = await (await own.connect({ deflate: false })).follow(session.id);
  const joiners = await Promise.all(
    Array.from({ length: 20 }, async () => (await own.connect({ deflate: true })).follow(session.id)),
  );
  for (const joiner of joiners) {
    assert.equal(digest(joiner), digest(plain));
    assert.ok(bytesRead(joiner.client) < bytesRead(plain.client) / 3, `${bytesRead(joiner.client)} of ${bytesRead(plain.client)}`);
  }
});

test('who reads late gets all, compressed', async () => {
  const session = await (await server.connect({ deflate: true })).create('scripted');
  const lazy = await server.connect({ deflate: true });
  await lazy.subscribe(session.id);
  lazy.socket.pause();
  const turn = await session.prompt(script(stream(3000, 2000)));
  const end = await turn.end({ ms: 60_000 });
  assert.equal(textOf(end), streamed(3000, 2000));
  lazy.socket.resume();
  const watch = lazy.watches.get(session.id);
  await watch.inbox.find((event) => event.type === 'complete', { what: 'all of it, later', explain: () => lazy.explain() });
  assert.equal(textOf(watch.turns.get(turn.id)), textOf(end));
});

test('compressed commands are commands', async () => {
  const client = await server.connect({ deflate: { threshold: 0 } });
  const session = await client.create('scripted');
  assert.equal(textOf(await session.run(script(say('compressed both ways'), say(long(100))))), `compressed both ways${long(100)}`);
});

/** A connection by hand, with permessage-deflate; what came back when the server has closed it. */
async function closedBy(...frames) {
  const socket = net.connect(server.port, '127.0.0.1');
  const parts = [];
  const ended = new Promise((done) => socket.on('data', (part) => parts.push(part)).on('close', done).on('error', done));
  const all = () => Buffer.concat(parts);
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n',
  );
  await until(() => all().includes('"connected"'), 'connected');
  frames.forEach((frame) => socket.write(frame));
  await within(ended, 20_000, () => 'the server to close');
  return all().readUInt16BE(all().lastIndexOf(0x88) + 2);
}
const masked = (first, body) => {
  const length = body.length < 126 ? Buffer.from([0x80 | body.length]) : Buffer.from([0xfe, body.length >> 8, body.length & 255]);
  const mask = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([Buffer.from([first]), length, mask, Buffer.from(body).map((byte, i) => byte ^ mask[i % 4])]);
};
const deflated = (data) => zlib.deflateRawSync(data, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);

const REFUSED = [
  ['a bomb', 1009, [masked(0xc1, deflated(Buffer.alloc(50 << 20, ' ')))]],
  ['what is not compressed', 1007, [masked(0xc1, Buffer.from('{"type":"ping"}'))]],
  ['what is not UTF-8', 1007, [masked(0xc1, deflated(Buffer.from([0x22, 0xff, 0x22])))]],
  ['a compressed ping', 1002, [masked(0xc9, deflated(Buffer.from('x')))]],
  ['a continuation that says compressed', 1002, [masked(0x41, deflated(Buffer.from('{'))), masked(0xc0, Buffer.from([0]))]],
  ['another reserved bit', 1002, [masked(0xa1, Buffer.from('{}'))]],
];
for (const [name, code, frames] of REFUSED) {
  test(`${name} closes with ${code}, and disturbs nobody`, async () => {
    const other = await server.connect();
    assert.equal(await closedBy(...frames), code);
    await other.command('ping');
  });
}

test('a bomb larger than a frame of 64 KB, in fragments, closes with 1009', async () => {
  const bomb = deflated(Buffer.alloc(200 << 20));
  const cut = [0, 1, 2, 3, 4].map((i) => bomb.subarray(i * 50_000, (i + 1) * 50_000)).filter((part) => part.length);
  const code = await closedBy(...cut.map((part, i) => masked((i ? 0 : 0x41) | (i === cut.length - 1 ? 0x80 : 0), part)));
  assert.equal(code, 1009);
});
