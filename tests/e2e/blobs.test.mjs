// Large content by reference (docs/protocol.md, "Large content" and "Files and images"): down from agents, up from
// clients.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Generator } from '../programs/support/generator.mjs';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { ask, script, sleep, tool, waitCancel } from './lib/script.mjs';
import { runSignalbox, startServer } from './lib/server.mjs';
import { scaled } from './lib/wait.mjs';

const MAX_EVENT = 64 * 1024;
const server = await startServer({ agents: { scripted: scripted() } });

const blobPath = (session, blob) => `/v1/sessions/${session.id ?? session}/blobs/${blob}`;
const get = (session, blob, headers = {}, from = server) =>
  request('GET', `${from.url}${blobPath(session, blob)}`, { headers });
const upload = (session, body, type, headers = {}) =>
  server.rest('POST', `/v1/sessions/${session.id}/blobs`, { body, headers: { 'Content-Type': type, ...headers } });
const size = (event) => Buffer.byteLength(JSON.stringify(event));
const refOf = (event, where) => event.refs?.find((ref) => ref.path === where);
const isMessage = (event) => /^(text|thought)_(delta|complete)$/.test(event.type);

async function outputOf(session, bytes, fields = {}) {
  const from = session.events.length;
  await session.run(script(tool({ output: bytes, alphabet: 'unicode', ...fields })));
  return session.event('tool_result', undefined, { from });
}

/** The whole of what was cut at the ref, fetched. */
async function whole(session, ref) {
  const answer = await get(session, ref.blob);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.body.length, ref.bytes);
  return answer;
}

test('a hundred outputs of 1 MB each open in kilobytes', { timeout: scaled(400_000) }, async () => {
  const times = 100;
  const bytes = 1_000_000;
  const maker = await (await server.connect()).create('scripted');
  const turn = await maker.prompt(script({ repeat: { times, steps: [tool({ output: bytes, alphabet: 'unicode' })] } }));
  await turn.end({ ms: 300_000 });
  const late = await (await server.connect()).follow(maker.id);
  const results = late.events.filter((event) => event.type === 'tool_result');
  assert.equal(results.length, times);
  const received = late.events.reduce((sum, event) => sum + size(event), 0);
  assert.ok(received < times * 8 * 1024, `${received} bytes for ${times} outputs`);

  // All of them are the agent's, byte by byte.
  const generator = new Generator(1);
  for (const [i, result] of results.entries()) {
    const text = generator.chunk(bytes, 'unicode');
    const ref = refOf(result, '/result');
    assert.ok(size(result) <= MAX_EVENT);
    assert.equal(ref.bytes, bytes);
    assert.ok(text.startsWith(result.result) && result.result.length > 500, `the beginning of ${i}`);
    if (i % 10 === 0) {
      const answer = await whole(late, ref);
      assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
      assert.ok(answer.text === text, `output ${i} is what the agent said`);
    }
  }
});

test('a blob by pieces, and what is said of it', async () => {
  const session = await (await server.connect()).create('scripted');
  const bytes = 300_007;
  const result = await outputOf(session, bytes);
  const text = Buffer.from(new Generator(1).chunk(bytes, 'unicode'));
  const { blob } = refOf(result, '/result');

  const answer = await get(session, blob);
  assert.ok(answer.body.equals(text));
  const { headers } = answer;
  assert.equal(headers.etag, `"${blob}"`);
  assert.match(headers['cache-control'], /immutable/);
  assert.match(headers['content-security-policy'], /default-src 'none'; sandbox/);
  assert.equal(headers['content-disposition'], 'attachment');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['accept-ranges'], 'bytes');

  const ranges = [
    ['bytes=0-0', 0, 1], ['bytes=0-', 0, bytes], ['bytes=-7', bytes - 7, bytes], ['bytes=32767-32768', 32767, 32769],
    ['bytes=65536-262143', 65536, 262144], [`bytes=${bytes - 1}-`, bytes - 1, bytes], ['bytes=299000-999999999999999999999', 299000, bytes],
    ['bytes=-999999999', 0, bytes],
  ];
  for (const [range, from, to] of ranges) {
    const part = await get(session, blob, { Range: range });
    assert.equal(part.status, 206, range);
    assert.equal(part.headers['content-range'], `bytes ${from}-${to - 1}/${bytes}`);
    assert.ok(part.body.equals(text.subarray(from, to)), range);
  }
  // Together the pieces are the whole.
  const pieces = [];
  for (let at = 0; at < bytes; at += 70_001) {
    pieces.push((await get(session, blob, { Range: `bytes=${at}-${at + 70_000}` })).body);
  }
  assert.ok(Buffer.concat(pieces).equals(text));
  for (const range of [`bytes=${bytes}-`, 'bytes=-0', 'bytes=999999999-']) {
    const none = await get(session, blob, { Range: range });
    assert.equal(none.status, 416, range);
    assert.equal(none.headers['content-range'], `bytes */${bytes}`);
  }
  for (const range of ['bytes=1-2,4-5', 'lines=1-2', 'bytes=5-2', 'bytes=', 'bytes=a-b']) {
    assert.equal((await get(session, blob, { Range: range })).status, 200, `${range} is not looked at`);
  }
  assert.equal((await get(session, blob, { Range: 'bytes=0-1', 'If-Range': `"${blob}"` })).status, 206);
  assert.equal((await get(session, blob, { Range: 'bytes=0-1', 'If-Range': '"other"' })).status, 200);
  assert.equal((await get(session, blob, { 'If-None-Match': `"${blob}"` })).status, 304);
  const head = await request('HEAD', `${server.url}${blobPath(session, blob)}`, { headers: { Range: 'bytes=0-1' } });
  assert.equal(head.status, 200);
  assert.equal(head.headers['content-length'], String(bytes));
  assert.equal(head.body.length, 0);

  const other = await (await server.connect()).create('scripted');
  for (const where of [blobPath(session, 'nothing'), blobPath(session, 'AAAAAAAAAAAAAAAAAAAAAA'), blobPath(other, blob), blobPath('none', blob)]) {
    const missing = await server.rest('GET', where);
    assert.equal(missing.status, 404, where);
    assert.equal(missing.json.code, 'not_found');
  }
  assert.equal((await server.rest('DELETE', blobPath(session, blob))).status, 405);
});

test('every part of a tool call is kept short, and the same content is stored once', async () => {
  const MAX_EVENT = 16384;
  const server = await startServer({ agents: { scripted: scripted() }, settings: { 'max-event-bytes': MAX_EVENT } });
  const whole = async (session, ref) => get(session, ref.blob, {}, server);
  const session = await (await server.connect()).create('scripted');
  const text = new Generator(3).chunk(15_000, 'escape');
  const diff = { path: '/x', oldText: `old${text}`, newText: `new${text}` };
  await session.run(script(
    tool({ input: { file: '/x', content: text, 'odd/na~me': [text] }, output: text, diff, rawOutput: { text } }),
    tool({ input: { content: text }, output: text }),
    { commands: Array.from({ length: 2000 }, (_, i) => ({ name: `command-${i}`, description: 'It does this or that.', input: null })) },
    { plan: [text, 'short'] },
    { update: { sessionUpdate: 'something_new', deep: { in: [{ it: text }] } } },
  ));
  for (const event of session.events.filter((each) => !isMessage(each))) {
    if (event.type !== 'user_message') {
      assert.ok(size(event) <= MAX_EVENT, `${event.type} has ${size(event)} bytes`);
    }
  }
  const [start] = session.events.filter((event) => event.type === 'tool_start');
  const wanted = { '/toolInput/content': text, '/toolInput/odd~1na~0me/0': text };
  for (const [where, content] of Object.entries(wanted)) {
    assert.ok((await whole(session, refOf(start, where))).text === content, where);
  }
  assert.equal(new Set(start.refs.map((ref) => ref.blob)).size, 1);
  const results = session.events.filter((event) => event.type === 'tool_result');
  const found = results[0].content.findIndex((block) => block.type === 'diff');
  assert.ok((await whole(session, refOf(results[0], `/content/${found}/newText`))).text === diff.newText);
  assert.equal(refOf(results[0], '/result').blob, refOf(start, '/toolInput/content').blob);
  assert.equal(refOf(results[1], '/result').blob, refOf(start, '/toolInput/content').blob);

  // Where there is too much that is short, a field is replaced by its JSON.
  const commands = session.events.find((event) => event.type === 'commands');
  assert.deepEqual(commands.commands, []);
  const list = await whole(session, refOf(commands, '/commands'));
  assert.equal(list.headers['content-type'], 'application/json');
  assert.equal(list.json.length, 2000);
  assert.equal(list.json[1999].name, 'command-1999');
  const plan = session.events.find((event) => event.type === 'plan');
  assert.ok((await whole(session, refOf(plan, '/entries/0/content'))).text === text);
  const update = session.events.find((event) => event.type === 'agent_update');
  assert.ok((await whole(session, refOf(update, '/update/deep/in/0/it'))).text === text);
});

test('what is to be permitted can be judged, and its command is cut last', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  const content = new Generator(5).chunk(500_000, 'unicode');
  const command = `echo ${'x'.repeat(20_000)} && rm -rf /`;
  await session.prompt(script(ask({ tool: { title: 'Bash', kind: 'execute', input: { command, content } } })));
  const { request: asked, refs } = await session.event('permission_request');
  assert.equal(asked.command, command, 'a long command stays whole');
  assert.ok(asked.toolInput.content.length < 3000);
  assert.ok((await whole(session, refs.find((ref) => ref.path === '/request/toolInput/content'))).text === content);
  assert.ok((await whole(session, asked.refs.find((ref) => ref.path === '/toolInput/content'))).text === content);
  const late = await (await server.connect()).follow(session.id);
  assert.deepEqual(late.answer.pending, [asked]);
  await client.command('permission_response', { requestId: asked.requestId, optionId: asked.acpOptions[0].optionId });
  await session.event('complete');

  const longest = `echo ${'é'.repeat(200_000)} && rm -rf /`;
  const from = session.events.length;
  await session.prompt(script(ask({ tool: { title: 'Bash', kind: 'execute', input: { command: longest } } })));
  const cut = await session.event('permission_request', undefined, { from });
  assert.ok(size(cut) <= MAX_EVENT && size(cut) > MAX_EVENT / 2, `${size(cut)}`);
  const note = `\n… [cut here: the whole command has ${Buffer.byteLength(longest)} bytes]`;
  assert.ok(cut.request.command.endsWith(note) && longest.startsWith(cut.request.command.slice(0, -note.length)));
  assert.ok((await whole(session, refOf(cut, '/request/command'))).text === longest);
  await client.command('cancel', { sessionId: session.id });
});

test('images and files go up, and reach the agent as ACP has them', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  const image = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));
  const stored = await upload(session, image, 'image/png');
  assert.equal(stored.status, 201, stored.text);
  assert.equal(stored.json.bytes, image.length);
  assert.equal(stored.json.contentType, 'image/png');
  assert.equal(stored.headers.location, blobPath(session, stored.json.blob));
  const again = await upload(session, image, 'image/png', { 'Idempotency-Key': 'x' });
  assert.deepEqual([again.status, again.json], [201, stored.json]);
  const fetched = await get(session, stored.json.blob);
  assert.ok(fetched.body.equals(image));
  assert.equal(fetched.headers['content-type'], 'image/png');

  const note = 'A note: é漢 \u{1f600}\n'.repeat(1000);
  const file = await upload(session, note, 'text/markdown; charset=utf-8');
  const inline = Buffer.from(image.subarray(0, 50_000));
  const content = [
    { type: 'image', blob: stored.json.blob, mimeType: 'image/png' },
    { type: 'resource', blob: file.json.blob, resource: { uri: 'file:///note.md', mimeType: 'text/markdown' } },
    { type: 'image', data: inline.toString('base64'), mimeType: 'image/webp', uri: 'file:///a.webp' },
    { type: 'resource', resource: { uri: 'file:///b.bin', mimeType: 'text/plain', blob: inline.toString('base64') } },
    { type: 'image', data: 'aGVsbG8=', mimeType: 'image/gif' },
    { type: 'resource', blob: stored.json.blob, resource: { uri: 'file:///c.png' } },
  ];
  await session.prompt(script({ blocks: true }), { content });
  await session.event('complete');
  const said = session.events.filter((event) => event.type === 'text_complete').map((event) => event.text).join('');
  const [one, two, three, four, five, six] = JSON.parse(said.slice('blocks:'.length));
  assert.deepEqual(one, { type: 'image', mimeType: 'image/png', data: image.toString('base64') });
  assert.deepEqual(two, { type: 'resource', resource: { uri: 'file:///note.md', mimeType: 'text/markdown', text: note } });
  assert.deepEqual(three, { type: 'image', mimeType: 'image/webp', uri: 'file:///a.webp', data: inline.toString('base64') });
  assert.deepEqual(four.resource, { uri: 'file:///b.bin', mimeType: 'text/plain', blob: inline.toString('base64') });
  assert.deepEqual(five, content[4]);
  assert.deepEqual(six.resource, { uri: 'file:///c.png', mimeType: 'image/png', blob: image.toString('base64') });

  // The log has the references only, also for what came inline.
  const message = session.events.find((event) => event.type === 'user_message');
  assert.ok(size(message) < 4096, `${size(message)}`);
  const shown = message.content.find((block) => block.uri === 'file:///a.webp');
  const kept = await get(session, shown.blob);
  assert.ok(kept.body.equals(inline));
  assert.equal(kept.headers['content-type'], 'image/webp');
});

test('prompts that name blobs are refused clearly, and keep their order', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  const prompt = (content) => client.command('prompt', { sessionId: session.id, content });
  const image = await upload(session, Buffer.alloc(5000, 1), 'image/png');
  const known = { type: 'image', blob: image.json.blob };
  const text = { type: 'text', text: 'x' };
  const refused = async (content, code, field) => {
    await assert.rejects(prompt(content), (refusal) => {
      assert.deepEqual([refusal.code, refusal.nack.field], [code, field]);
      return true;
    });
    const rest = await server.rest('POST', `/v1/sessions/${session.id}/messages`, { body: { content } });
    assert.deepEqual([rest.json.code, rest.json.field], [code, field]);
  };
  await refused([text, { type: 'image', blob: 'AAAAAAAAAAAAAAAAAAAAAA' }], 'not_found', 'content[1].blob');
  await refused([{ type: 'image', blob: '../../etc' }], 'not_found', 'content[0].blob');
  await refused([text, text, known, { type: 'audio', blob: 'BBBBBBBBBBBBBBBBBBBBBA' }], 'not_found', 'content[3].blob');
  await refused([{ type: 'image', blob: 7 }], 'bad_message', 'content[0].blob');
  await refused([{ type: 'image', blob: image.json.blob, data: 'AAAA' }], 'bad_message', 'content[0].blob');
  await refused([{ type: 'resource', blob: image.json.blob }], 'bad_message', 'content[0].resource');
  await refused([{ type: 'image', data: '!'.repeat(9000), mimeType: 'image/png' }], 'bad_message', 'content[0].data');
  await refused(Array(65).fill(known), 'bad_message', 'content[64]');
  await refused([{ type: 'new', much: 'x'.repeat(20_000) }], 'too_large', 'content[0]');

  // A prompt without blobs does not overtake one with.
  await session.prompt(script(sleep(20)));
  for (let i = 0; i < 5; i++) {
    client.send({ type: 'prompt', sessionId: session.id, text: script({ text: `say ${2 * i}` }), content: [known] });
    client.send({ type: 'prompt', sessionId: session.id, text: script({ text: `say ${2 * i + 1}` }) });
  }
  await session.event('text_complete', (event) => event.text === 'say 9');
  const order = session.events.filter((event) => event.type === 'text_complete').map((event) => event.text);
  assert.deepEqual(order, Array.from({ length: 10 }, (_, i) => `say ${i}`));
});

test('a prompt that names blobs can be cancelled at once', async () => {
  const client = await server.connect();
  const session = await client.create('scripted');
  const { json } = await upload(session, Buffer.alloc(3_000_000, 2), 'image/png');
  for (let i = 0; i < 10; i++) {
    const from = session.events.length;
    client.send({ type: 'prompt', sessionId: session.id, text: script(waitCancel()), content: [{ type: 'image', blob: json.blob }] });
    await session.event('turn_started', undefined, { from });
    await client.command('cancel', { sessionId: session.id });
    const complete = await session.event('complete', undefined, { from });
    assert.equal(complete.stopReason, 'cancelled');
  }
});

test('limits of what goes up', async () => {
  const small = await startServer({
    agents: { scripted: scripted() },
    settings: { 'max-blob-bytes': 4096, 'max-session-blobs': 3, 'max-session-blob-bytes': 9000 },
  });
  const session = await (await small.connect()).create('scripted');
  const put = (body, type = 'application/octet-stream', headers = {}) =>
    small.rest('POST', `/v1/sessions/${session.id}/blobs`, { body, headers: { 'Content-Type': type, ...headers } });
  const large = await put(Buffer.alloc(4097));
  assert.deepEqual([large.status, large.json.code], [413, 'too_large']);
  const odd = await put('x', 'not a type');
  assert.deepEqual([odd.status, odd.json.code, odd.json.field], [400, 'bad_message', 'Content-Type']);
  const first = await put(Buffer.alloc(4096, 1));
  assert.equal(first.status, 201);
  assert.equal((await put(Buffer.alloc(4096, 2))).status, 201);
  const full = await put(Buffer.alloc(4096, 3));
  assert.deepEqual([full.status, full.json.code], [429, 'limit_reached']);
  assert.equal((await put(Buffer.alloc(4096, 1))).status, 201, 'what is there already is not counted again');
  assert.equal((await put('')).status, 201);
  assert.equal((await put('y')).status, 429);
  await small.restart();
  const blobs = [first.json.blob, first.json.blob];
  const many = await small.rest('POST', `/v1/sessions/${session.id}/messages`, {
    body: { content: blobs.map((blob) => ({ type: 'image', blob })) },
  });
  assert.deepEqual([many.status, many.json.code, many.json.field], [413, 'too_large', 'content[1].blob']);
  const missing = await small.rest('POST', '/v1/sessions/none/blobs', { body: 'x' });
  assert.deepEqual([missing.status, missing.json.code], [404, 'not_found']);
  await small.rest('DELETE', `/v1/sessions/${session.id}`);
  const late = await put('late');
  assert.ok([409, 429].includes(late.status));
  assert.equal((await get(session, first.json.blob, {}, small)).status, 200, 'they live as long as the log');
});

test('blobs outlive the server, and the store is whole', async () => {
  const own = await startServer({ agents: { scripted: scripted() } });
  const client = await own.connect();
  const session = await client.create('scripted');
  const stored = await own.rest('POST', `/v1/sessions/${session.id}/blobs`, {
    body: Buffer.alloc(70_000, 9), headers: { 'Content-Type': 'image/png' } });
  await session.prompt(script(tool({ output: 400_000, alphabet: 'unicode', outputChunks: 4, rate: 20, leaveOpen: true }), waitCancel()));
  const output = await session.event('tool_output', (event) => event.refs);
  // One that waits, with a blob, over the death.
  const waiting = await client.command('prompt', { sessionId: session.id, text: script({ blocks: true }), content: [{ type: 'image', blob: stored.json.blob }] });
  assert.equal(waiting.status, 'queued');
  await own.kill();
  const checked = await runSignalbox(['store', 'check', '--data', own.data]);
  assert.equal(checked.code, 0, checked.output);
  await own.start();

  const again = await own.connect();
  const back = await again.follow(session.id);
  const result = back.events.find((event) => event.type === 'tool_result');
  assert.ok(size(result) <= MAX_EVENT);
  assert.match(result.result, /bytes are left out here/, 'as the output said');
  const answer = await get(back, refOf(output, '/delta').blob, {}, own);
  const text = new Generator(1).chunk(400_000, 'unicode');
  assert.ok(text.includes(answer.text) && answer.text.length > 1000);

  await again.command('resume_queue', { sessionId: session.id });
  const said = await back.event('text_complete', (event) => event.text.startsWith('blocks:'));
  assert.equal(createHash('sha256').update(JSON.parse(said.text.slice(7))[0].data, 'base64').digest('hex'),
    createHash('sha256').update(Buffer.alloc(70_000, 9)).digest('hex'));
});
