import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after } from 'node:test';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { script, stream } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';

const agents = { scripted: scripted() };
const [PING, PONG, CLOSE] = [9, 10, 8];

const metric = async (server, name) =>
  Number(new RegExp(`^${name} (\\S+)`, 'm').exec((await server.rest('GET', '/metrics')).text)[1]);

/** A WebSocket of bytes: sees every frame, answers nothing by itself. */
class RawClient {
  #bytes = Buffer.alloc(0);
  #open = false;
  frames = [];

  constructor(server) {
    this.socket = net.connect(server.port, '127.0.0.1');
    after(() => this.socket.destroy());
    this.ended = new Promise((resolve) => this.socket.on('close', resolve));
    this.socket.on('error', () => {});
    this.socket.on('data', (part) => this.#take(part));
    this.socket.write(
      `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
  }

  #take(part) {
    this.#bytes = Buffer.concat([this.#bytes, part]);
    if (!this.#open) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end < 0) {
        return;
      }
      this.#open = true;
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    while (this.#bytes.length >= 2) {
      const short = this.#bytes[1];
      const start = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (this.#bytes.length < start) {
        return;
      }
      const length = short < 126 ? short : short === 126 ? this.#bytes.readUInt16BE(2) : this.#bytes.readUInt32BE(6);
      if (this.#bytes.length < start + length) {
        return;
      }
      this.frames.push({ opcode: this.#bytes[0] & 15, payload: this.#bytes.subarray(start, start + length) });
      this.#bytes = this.#bytes.subarray(start + length);
    }
  }

  count(opcode) {
    return this.frames.filter((frame) => frame.opcode === opcode).length;
  }

  /** An empty pong; all frames of clients are masked. */
  pong() {
    this.socket.write(Buffer.from([0x80 | PONG, 0x80, 0, 0, 0, 0]));
  }

  get closeCode() {
    return this.frames.find((frame) => frame.opcode === CLOSE)?.payload.readUInt16BE(0);
  }
}

test('a peer that does not answer pings is closed with 3002; one that does stays', async () => {
  // Who answers has two of these: longer than this process stands still on a busy machine.
  const server = await startServer({ agents, settings: { 'ping-interval-ms': 1500 } });
  const [silent, alive] = [new RawClient(server), new RawClient(server)];
  let answered = 0;
  const answering = setInterval(() => {
    for (; answered < alive.count(PING); answered++) {
      alive.pong();
    }
  }, 10);
  after(() => clearInterval(answering));
  await within(silent.ended, 30_000, () => `the silent one to be closed: ${JSON.stringify(silent.frames)}`);
  assert.equal(silent.closeCode, 3002);
  assert.equal(silent.count(PING), 2);
  await until(() => alive.count(PING) >= 4, 'the other to be pinged on');
  assert.equal(alive.closeCode, undefined);
  await until(async () => (await metric(server, 'signalbox_connections')) === 1, 'the silent one to be forgotten');
  assert.equal(alive.closeCode, undefined);
});

const watching = (server) => metric(server, 'signalbox_subscriptions');

async function flood(server) {
  const reader = await server.connect();
  const feeder = await server.connect();
  const session = await feeder.create('scripted');
  await reader.follow(session.id);
  reader.socket.pause();
  await feeder.command('unsubscribe', { sessionId: session.id });
  assert.equal(await watching(server), 1, 'before anything can stall');
  await session.prompt(script(stream(60_000, 1000)));
  return { reader, feeder };
}

test('who takes no byte is closed with 3001, and finds that when it reads again', async () => {
  const server = await startServer({ agents, settings: { 'stall-timeout-ms': 500 } });
  const { reader } = await flood(server);
  await until(async () => (await watching(server)) === 0, 'the reader to be given up');
  reader.socket.resume();
  assert.equal((await reader.closed).code, 3001);
  await until(async () => (await metric(server, 'signalbox_connections')) === 1, 'its connection to end');
});

test('who takes bytes, however slowly, is not given up', async () => {
  const server = await startServer({ agents, settings: { 'stall-timeout-ms': 4000 } });
  const { reader } = await flood(server);
  let read = 0;
  // One piece of 64 KiB at a time: the server's socket is writable again only when a third of it is free, much later
  // than the timeout.
  reader.socket._socket.on('data', (part) => {
    read += part.length;
    reader.socket.pause();
  });
  for (let i = 0; i < 50; i++) {
    const before = read;
    reader.socket.resume();
    await until(() => read > before || reader.closeCode !== undefined, 'some bytes');
    assert.equal(reader.closeCode, undefined, `closed after ${read} bytes`);
    await new Promise((done) => setTimeout(done, 300)); // its pace
  }
  assert.equal(await watching(server), 1, `given up after ${read} bytes`);
});

test('a stop tells two hundred clients two hundred moments, over the whole window', async () => {
  const server = await startServer({ agents, settings: { 'reconnect-spread-ms': 10_000 } });
  const clients = await Promise.all(Array.from({ length: 200 }, () => server.connect()));
  await server.terminate();
  const moments = [];
  for (const client of clients) {
    const notice = await client.control('shutting_down');
    assert.equal((await client.closed).code, 3000);
    assert.ok(Number.isInteger(notice.reconnectAfterMs));
    assert.ok(notice.reconnectAfterMs >= 0 && notice.reconnectAfterMs <= 10_000);
    moments.push(notice.reconnectAfterMs);
  }
  // Of 200 even draws of 10,001, a tenth of the window with less than 5 or more than 50 of them is as good as impossible.
  const tenths = new Array(10).fill(0);
  for (const moment of moments) {
    tenths[Math.min(9, Math.floor(moment / 1000))]++;
  }
  assert.ok(tenths.every((count) => count >= 5 && count <= 50), `tenths: ${tenths}`);
  assert.ok(new Set(moments).size > 150);
});

test('a logout ends the connections that were opened with that login, and no others', async () => {
  const tokens = path.join(temporaryFolder(), 'tokens');
  const token = 'token-of-ada-0123456789abcdef';
  writeFileSync(tokens, `ada ${token}\n`, { mode: 0o600 });
  const server = await startServer({ agents, settings: { 'tokens-file': tokens } });
  const login = async () => {
    const answer = await server.rest('POST', '/v1/login', { body: { token }, headers: { Origin: server.url } });
    return { Cookie: answer.headers['set-cookie'][0].split(';')[0], Origin: server.url };
  };
  const [one, other] = [await login(), await login()];
  const mine = await Promise.all([1, 2, 3, 4].map(() => server.connect({ headers: one })));
  const [kept, bearer] = await Promise.all([server.connect({ headers: other }), server.connect({ token })]);
  const answer = await server.rest('POST', '/v1/logout', { headers: one });
  assert.equal(answer.status, 200);
  for (const client of mine) {
    assert.equal((await client.closed).code, 3500);
  }
  await assert.rejects(server.connect({ headers: one }), { status: 401 });
  await kept.ping();
  await bearer.ping();
});
