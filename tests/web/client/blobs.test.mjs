// Large content: fetched whole when it is wanted, sent up for a prompt.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { scripted } from '../../e2e/lib/agents.mjs';
import { script, tool } from '../../e2e/lib/script.mjs';
import { startServer } from '../../e2e/lib/server.mjs';
import { Generator } from '../../programs/support/generator.mjs';
import { Proxy } from './lib/proxy.mjs';
import { FakeWorld } from './lib/fake.mjs';
import { library } from './lib/library.mjs';
import { clientOf, ended, newSession, test } from './lib/real.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

test('what was cut from a tool call is put back', async () => {
  const client = clientOf(server);
  const session = await newSession(client, server);
  const input = { command: 'x'.repeat(90_000), note: 'short', list: ['y'.repeat(70_000)] };
  const diff = { path: '/a', oldText: 'o'.repeat(80_000), newText: 'n'.repeat(80_000) };
  await client.prompt(session.sessionId, script(tool({ title: 'Large', input, output: 200_000, alphabet: 'unicode', diff })));
  await ended(session);
  const cut = session.state.items.find((item) => item.kind === 'tool');
  assert.ok(cut.refs.length >= 4 && JSON.stringify(cut).length < 100_000, JSON.stringify(cut.refs));
  assert.ok(cut.refs.every((ref) => ref.path === '/delta' || library.pointed(cut, ref.path) !== undefined), JSON.stringify(cut.refs));
  const whole = await client.http.complete(session.sessionId, cut);
  assert.deepEqual(whole.toolInput, input);
  assert.equal(whole.result.includes(new Generator(1).chunk(200_000, 'unicode')), true);
  assert.ok(JSON.stringify(whole.content).includes('n'.repeat(80_000)));
  assert.equal(whole.refs, undefined);
  assert.notEqual(cut.toolInput.command, input.command, 'what was given is not changed');
  const [ref] = cut.refs;
  const part = await client.http.blob(session.sessionId, ref.blob, { bytes: [0, 9] });
  assert.deepEqual([part.status, (await part.text()).length], [206, 10]);
});

test('a file for a prompt', async () => {
  const client = clientOf(server);
  const session = await newSession(client, server);
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 7) % 256);
  const stored = await client.http.upload(session.sessionId, bytes, 'image/png');
  assert.deepEqual([stored.bytes, stored.contentType], [20_000, 'image/png']);
  assert.equal((await client.http.upload(session.sessionId, new Blob([bytes], { type: 'image/png' }))).blob, stored.blob);
  const back = new Uint8Array(await (await client.http.blob(session.sessionId, stored.blob)).arrayBuffer());
  assert.equal(createHash('sha256').update(back).digest('hex'), createHash('sha256').update(bytes).digest('hex'));
  await client.prompt(session.sessionId, 'what is this?', [{ type: 'resource', blob: stored.blob, resource: { uri: 'file:///x.png' } }]).catch((error) => {
    assert.equal(error.code, 'unsupported'); // where the agent takes none
  });
  const text = await client.http.upload(session.sessionId, 'words');
  assert.equal(await (await client.http.blob(session.sessionId, text.blob)).text(), 'words');
  await assert.rejects(client.http.blob(session.sessionId, 'none'), (error) => error instanceof library.HttpError && error.code === 'not_found');
  assert.equal(client.http.blobUrl('a/b', 'c'), `${server.url}/v1/sessions/a%2Fb/blobs/c`);
});

test('a network that fails is tried again, a refusal is not', async () => {
  const proxy = await Proxy.before(server);
  const client = clientOf(proxy, { platform: { setTimeout: (call, ms) => setTimeout(call, Math.min(ms, 20)), clearTimeout } });
  const session = await newSession(client, server);
  proxy.isRefusing = true;
  proxy.cut();
  const upload = client.http.upload(session.sessionId, 'after all');
  setTimeout(() => (proxy.isRefusing = false), 5);
  assert.ok((await upload).blob);

  const world = new FakeWorld();
  const answers = [503, 503, 200];
  world.answer = () => new Response('{"blob":"b"}', { status: answers.shift(), headers: { 'Retry-After': '7' } });
  const fake = world.client();
  const sent = fake.http.upload('s', 'x');
  await world.pass(13_999);
  assert.equal(world.fetched.length, 2);
  await world.pass(1);
  assert.equal((await sent).blob, 'b');
  world.answer = () => new Response('{"code":"limit_reached","detail":"full"}', { status: 429 });
  await assert.rejects(fake.http.upload('s', 'x'), /full/);
  assert.equal(world.fetched.length, 4);
});
