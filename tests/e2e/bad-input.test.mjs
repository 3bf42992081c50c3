import assert from 'node:assert/strict';
import net from 'node:net';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { say, script, stream } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until, within } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

// Somebody else works all the while; whatever a test sends, this one's turn must come through whole.
const bystander = await (await server.connect()).create('scripted');
async function undisturbed(during) {
  const turn = await bystander.prompt(script(stream(30, 10, 100)));
  await during();
  const end = await turn.end();
  assert.equal(textOf(end).length, 300);
  await bystander.client.ping();
}

async function nackTo(text) {
  const client = await server.connect();
  const from = client.inbox.items.length;
  client.send(text);
  const nack = await client.control('nack', undefined, { from });
  await client.ping();
  return nack;
}

const MALFORMED = [
  ['not JSON', 'this is not JSON', 'bad_json'],
  ['JSON cut short', '{"type":"ping"', 'bad_json'],
  ['two values', '{"type":"ping"} {"type":"ping"}', 'bad_json'],
  ['an array', '[{"type":"ping"}]', 'bad_message'],
  ['a number', '42', 'bad_message'],
  ['null', 'null', 'bad_message'],
  ['no type', '{"id":"x"}', 'bad_message'],
  ['a type that is no string', '{"type":7}', 'bad_message'],
  ['an unknown type', '{"type":"make_tea"}', 'unknown_type'],
  ['nesting 10,000 deep', `{"type":"ping","x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 'bad_json'],
  ['a missing field', '{"type":"prompt","text":"hello"}', 'bad_message', 'sessionId'],
  ['a field of the wrong type', '{"type":"prompt","sessionId":5,"text":"hello"}', 'bad_message', 'sessionId'],
  ['an id that is no string', '{"type":"ping","id":{"a":1}}', 'bad_message', 'id'],
  ['an impossible position', '{"type":"subscribe","sessionId":"x","after":{"epoch":"e","seq":-1}}', 'bad_message'],
  ['a session that is not', '{"type":"prompt","sessionId":"nowhere","text":"hello"}', 'not_found'],
];
for (const [name, text, code, field] of MALFORMED) {
  test(`${name}: ${code}, and the connection stays`, () =>
    undisturbed(async () => {
      const nack = await nackTo(text);
      assert.equal(nack.code, code, JSON.stringify(nack));
      assert.ok(nack.message.length > 0);
      if (field) {
        assert.equal(nack.field, field);
      }
    }));
}

test('a nack names the command that it answers', async () => {
  const client = await server.connect();
  const nack = await client.refusal('make_tea', { id: 'tea' }, 'unknown_type');
  assert.equal(nack.id, 'tea');
});

test('unknown fields are ignored', async () => {
  const client = await server.connect();
  await client.command('ping', { fromTheFuture: { a: [1, 2] } });
});

test('a message of 2 MiB closes with 1009', () =>
  undisturbed(async () => {
    const client = await server.connect();
    client.send(JSON.stringify({ type: 'ping', padding: 'x'.repeat(2 * 1024 * 1024) }));
    assert.equal((await client.closed).code, 1009);
  }));

test('a message just under the limit is read', async () => {
  const client = await server.connect();
  client.send(JSON.stringify({ type: 'ping', id: 'big', padding: 'x'.repeat(1024 * 1024 - 100) }));
  await client.control('pong', (message) => message.id === 'big');
});

test('a binary frame closes with 1003', () =>
  undisturbed(async () => {
    const client = await server.connect();
    client.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
    assert.equal((await client.closed).code, 1003);
  }));

test('invalid UTF-8 closes with 1007', () =>
  undisturbed(async () => {
    const client = await server.connect();
    client.socket.send(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), { binary: false });
    assert.equal((await client.closed).code, 1007);
  }));

/** A WebSocket by hand, for frames that no library sends, once it is open. */
async function rawSocket(to = server) {
  const socket = net.connect(to.port, '127.0.0.1');
  const parts = [];
  const ended = new Promise((done) => {
    socket.on('data', (part) => parts.push(part));
    socket.on('close', done);
    socket.on('error', done);
  });
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${to.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await until(() => Buffer.concat(parts).includes('"connected"'), 'connected');
  return { socket, parts, ended: (what) => within(ended, 20_000, () => `the server to close ${what}`) };
}

/** Resolves with everything that came back. */
async function rawFrames(...frames) {
  const { socket, parts, ended } = await rawSocket();
  for (const frame of frames) {
    socket.write(frame);
  }
  await ended('after a broken frame');
  return Buffer.concat(parts);
}

const masked = (first, payload) => {
  const body = Buffer.from(payload);
  const mask = Buffer.from([1, 2, 3, 4]);
  return Buffer.concat([Buffer.from([first, 0x80 | body.length]), mask, body.map((byte, i) => byte ^ mask[i % 4])]);
};

const BROKEN_FRAMES = [
  ['an unmasked frame', [Buffer.from([0x81, 2, 0x7b, 0x7d])]],
  ['a reserved bit', [masked(0xc1, '{}')]],
  ['a reserved opcode', [masked(0x83, '{}')]],
  ['a continuation of nothing', [masked(0x80, '{}')]],
  ['a ping in pieces', [masked(0x09, 'x')]],
  ['a frame that claims 2^62 bytes', [Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])]],
];
for (const [name, frames] of BROKEN_FRAMES) {
  test(`${name} closes the connection`, () =>
    undisturbed(async () => {
      const answer = await rawFrames(...frames);
      const close = answer.lastIndexOf(0x88);
      const code = answer.readUInt16BE(close + 2);
      assert.ok(code === 1002 || code === 1009, `closed with ${code}`);
    }));
}

// Numbers that look random and are the same each time, so that a failure comes again.
function numbers(state) {
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 16) % below;
  };
}

/** Frames of any opcode and any bits, of lengths that may lie, whole or cut off, masked or not; bytes that are none. */
function randomFrames(random) {
  const bytes = (count) => Buffer.from(Array.from({ length: count }, () => random(256)));
  return Array.from({ length: 1 + random(6) }, () => {
    switch (random(6)) {
      case 0:
        return bytes(1 + random(40));
      case 1:
        return masked(0x81, bytes(random(100)));
      case 2:
        return masked(0x81, JSON.stringify({ type: 'ping', id: `${random(1000)}` }));
      case 3:
        return masked(random(256), bytes(random(126)));
      case 4:
        return Buffer.concat([Buffer.from([random(256), 0xfe, random(2), random(256)]), bytes(random(300))]);
      default:
        return masked(random(2) ? 0x01 : 0x80, bytes(random(20)));
    }
  });
}

test('frames at random end their own connection only', () =>
  undisturbed(async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const { socket, ended } = await rawSocket();
      socket.end(Buffer.concat(randomFrames(numbers(seed * 7919)))); // a frame may wait for bytes that never come
      await ended(`with frames of seed ${seed}`);
    }
  }));

test('a command in many fragments, with a ping between them, is one command', async () => {
  const client = await server.connect();
  const text = JSON.stringify({ type: 'ping', id: 'pieces' });
  for (const [i, letter] of [...text].entries()) {
    client.socket.send(letter, { fin: i === text.length - 1 });
    if (i === 5) {
      client.socket.ping();
    }
  }
  await client.control('pong', (message) => message.id === 'pieces');
});

/** Yields what is in `pieces`, one of each in turn. */
function* inTurn(pieces) {
  for (let i = 0; pieces.some((of) => i < of.length); i++) {
    yield* pieces.flatMap((of, who) => (i < of.length ? [[who, of[i]]] : []));
  }
}

test('frames of many clients that arrive byte by byte, in turn, stay apart', async () => {
  // One thread for all, which hands its reader of frames from client to client.
  const alone = await startServer({ settings: { 'socket-threads': 1 } });
  const sockets = await Promise.all(Array.from({ length: 12 }, () => rawSocket(alone)));
  const pieces = sockets.map((_, i) => {
    const text = JSON.stringify({ type: 'ping', id: `of-${i}`, filler: 'x'.repeat(i * 3) });
    const cut = 5 + i;
    return [...Buffer.concat([
      masked(0x81, JSON.stringify({ type: 'ping', id: `first-${i}` })),
      masked(0x01, text.slice(0, cut)), // the message ends in another frame; a client's ping may come between
      masked(0x89, `between-${i}`),
      masked(0x80, text.slice(cut)),
    ])].map((byte) => Buffer.from([byte]));
  });
  for (const [who, piece] of inTurn(pieces)) {
    await new Promise((done) => sockets[who].socket.write(piece, done));
  }
  for (const [i, { socket, parts, ended }] of sockets.entries()) {
    const answered = () => Buffer.concat(parts).toString('latin1');
    await until(() => answered().includes(`"of-${i}"`), () => `the answer to client ${i}: ${answered()}`);
    assert.ok(answered().includes(`"first-${i}"`));
    assert.ok(answered().includes(`between-${i}`), 'its ping was answered');
    assert.ok(!sockets.some((_, other) => other !== i && answered().includes(`of-${other}"`)), 'and nobody else\'s');
    socket.end(masked(0x88, Buffer.from([3, 0xe8])));
    await ended('after its goodbye');
    assert.equal(Buffer.concat(parts).readUInt16BE(Buffer.concat(parts).lastIndexOf(0x88) + 2), 1000);
  }
});

test('broken HTTP does not disturb anybody', () =>
  undisturbed(async () => {
    for (const text of ['\r\n\r\n', 'GARBAGE\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`]) {
      const socket = net.connect(server.port, '127.0.0.1');
      const ended = new Promise((done) => {
        socket.on('close', done);
        socket.on('error', done);
      });
      socket.resume();
      socket.end(text);
      await within(ended, 30_000, () => `the server to close after ${JSON.stringify(text.slice(0, 30))}`);
    }
  }));

test('an upgrade that is none gets an HTTP status', async () => {
  const plain = await server.rest('GET', '/ws');
  assert.equal(plain.status, 400);
  const old = await server.rest('GET', '/ws', {
    headers: { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' },
  });
  assert.ok([400, 426].includes(old.status), String(old.status));
});

test('bad bodies over REST are problem documents', async () => {
  const post = (body) => server.rest('POST', '/v1/sessions', { body });
  for (const body of ['{', '[]', '{"agent": 5}', '{}', `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`]) {
    const answer = await post(body);
    assert.equal(answer.status, 400, body.slice(0, 40));
    assert.match(answer.headers['content-type'], /application\/problem\+json/);
    assert.match(answer.json.code, /^bad_/);
    assert.equal(answer.json.status, 400);
  }
  const large = await post(JSON.stringify({ padding: 'x'.repeat(2 * 1024 * 1024) }));
  assert.equal(large.status, 413);
  assert.equal(large.json.code, 'too_large');
});
