// Bodies of requests that do not come to an end: they hold a handler for a while, and not for ever.
import assert from 'node:assert/strict';
import net from 'node:net';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { startServer } from './lib/server.mjs';
import { DEFAULT_WAIT_MS, within } from './lib/wait.mjs';

const agents = { scripted: scripted() };
const settings = { 'http-threads': 3, 'http-request-timeout-ms': 1000 };

/** Sends the head, and then `part` again and again, each time well within the timeout; -> what came until the server closed. */
function drip(server, path, framing, part) {
  const socket = net.connect(server.port, '127.0.0.1');
  let text = '';
  const drops = setInterval(() => socket.write(part), 100);
  const closed = new Promise((resolve) => {
    socket.on('connect', () => socket.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nOrigin: ${server.url}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n`,
    ));
    socket.setEncoding('utf8').on('data', (data) => (text += data));
    socket.on('error', () => {}); // a drop that came behind the end
    socket.on('close', () => resolve(text));
  }).finally(() => clearInterval(drops));
  return within(closed, DEFAULT_WAIT_MS, () => `${path} to be closed; so far: ${text}`);
}

test('a body that drips has a time for all of it, and the threads are free again', async () => {
  const server = await startServer({ agents, settings });
  const session = await (await server.connect()).create('scripted');
  const length = 'Content-Length: 50000';
  const paths = ['/v1/sessions', `/v1/sessions/${session.id}/messages`, `/v1/sessions/${session.id}/blobs`];
  const answers = await Promise.all([
    ...paths.map((path) => drip(server, path, length, ' ')),
    ...paths.slice(0, 2).map((path) => drip(server, path, 'Transfer-Encoding: chunked', '1\r\n \r\n')),
  ]);
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(answer, /the body came too slowly/);
  }
  assert.equal((await server.rest('GET', '/healthz')).status, 200);
});

test('a body that nobody wants is not waited for either', async () => {
  const server = await startServer({ agents, settings });
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => drip(server, '/v1/nothing-is-here', 'Content-Length: 50000', ' ')),
  );
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 404 /);
  }
  assert.equal((await server.rest('GET', '/healthz')).status, 200);
});

test('a large body that comes fast enough may take longer', async () => {
  const server = await startServer({ agents, settings });
  const session = await (await server.connect()).create('scripted');
  const part = Buffer.alloc(16 * 1024, 'x');
  const parts = 15;
  const socket = net.connect(server.port, '127.0.0.1');
  const answer = new Promise((resolve, reject) => socket.setEncoding('utf8').once('data', resolve).on('error', reject));
  socket.write(`POST /v1/sessions/${session.id}/blobs HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Type: text/plain\r\n`
    + `Content-Length: ${part.length * parts}\r\n\r\n`);
  let sent = 0;
  const sending = setInterval(() => {
    socket.write(part);
    if (++sent === parts) {
      clearInterval(sending);
    }
  }, 120);
  assert.match(await within(answer, DEFAULT_WAIT_MS, () => 'the blob to be stored'), /^HTTP\/1\.1 20\d /);
  socket.destroy();
});
