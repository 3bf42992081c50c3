import assert from 'node:assert/strict';
import { inline, javascript, scripted } from './lib/agents.mjs';
import { Refusal } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { noise, raw, say, script, tool } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { textOf, toolsOf } from './lib/watch.mjs';

const server = await startServer({
  settings: { 'agent-start-timeout-ms': 6000, 'agent-stop-grace-ms': 300 }, // `scripted` has to begin in that time, too
  agents: {
    scripted: scripted(),
    missing: { command: ['signalbox-no-such-program'], install: 'apt install nothing' },
    noexec: { command: ['/etc/passwd'] },
    dies: inline('echo "I cannot start" >&2; exit 3'),
    babbles: inline('while :; do echo "this is not JSON-RPC"; sleep 0.01; done'),
    silent: inline('exec sleep 4900'),
    refuses: inline(`read line; echo '{"jsonrpc":"2.0","id":0,"error":{"code":-32603,"message":"no today"}}'; exec cat`),
  },
});

/** The error that a client sees: a refused command, or the session's failure. */
async function failure(agent) {
  const client = await server.connect();
  const workspace = server.newWorkspace();
  try {
    const { sessionId } = await client.command('create_session', { agent, workspace });
    const session = await client.follow(sessionId);
    const status = await session.event('status', ({ phase }) => ['failed', 'stopped'].includes(phase));
    const error = session.events.find((event) => event.type === 'error');
    return `${status.detail ?? ''} ${error?.code ?? ''} ${error?.error ?? ''}`.trim();
  } catch (refused) {
    if (refused instanceof Refusal) {
      assert.match(refused.code, /^agent_/);
      return refused.nack.message;
    }
    throw refused;
  }
}

for (const agent of ['missing', 'noexec', 'dies', 'babbles', 'silent']) {
  test(`an agent that does not start (${agent}) is a clear error, and another works`, async () => {
    const session = await (await server.connect()).create('scripted');
    const [text, end] = await Promise.all([failure(agent), session.run(script(say('undisturbed')))]);
    assert.ok(text.length > 10, `a clear error: "${text}"`);
    assert.equal(textOf(end), 'undisturbed');
  });
}

test('agents that are not installed are listed as such, with the command that installs them', async () => {
  const { agents } = (await server.rest('GET', '/v1/agents')).json;
  const of = (name) => agents.find((agent) => agent.name === name);
  assert.equal(of('missing').available, false);
  assert.equal(of('missing').install, 'apt install nothing');
  assert.match(of('missing').reason, /signalbox-no-such-program/);
  assert.match(of('noexec').reason, /not a file that may be executed: \/etc\/passwd/);
  assert.equal(of('scripted').available, true);
});

test('an unknown agent is refused', async () => {
  const client = await server.connect();
  await client.refusal('create_session', { agent: 'nobody', workspace: server.newWorkspace() }, 'not_found');
});

test('garbage between messages is skipped, and the turn goes on', async () => {
  const session = await (await server.connect()).create('scripted');
  const update = (update) => raw(JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: '${sessionId}', update } }));
  const end = await session.run(
    script(
      say('one '),
      raw('this is not JSON'),
      raw('{"jsonrpc":"2.0"'),
      raw('[1,2,3]'),
      raw('42'),
      raw(''),
      raw(`{"deep":${'['.repeat(10_000)}${']'.repeat(10_000)}}`),
      { rawHex: '7b 22 ff fe 22 7d 0a' },
      raw('{"jsonrpc":"2.0","id":999,"result":{}}'),
      raw('{"jsonrpc":"2.0","method":"_extension/unknown","params":{}}'),
      update({ sessionUpdate: 'agent_message_chunk' }),
      update({ sessionUpdate: 'tool_call' }),
      update({ sessionUpdate: 'plan', entries: 'none' }),
      raw(JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 'of somebody else', update: { sessionUpdate: 'plan', entries: [] } } })),
      say('two'),
    ),
  );
  assert.equal(end.stopReason, 'end_turn');
  assert.equal(textOf(end), 'one two');
});

test('an update of a kind unknown here is passed on as it is', async () => {
  const session = await (await server.connect()).create('scripted');
  await session.run(script({ update: { sessionUpdate: 'from_the_future', value: [1, 'two'] } }, say('x')));
  const { update } = await session.event('agent_update');
  assert.deepEqual(update.value, [1, 'two']);
});

test('requests of an agent that are not supported get a JSON-RPC error, whatever their id', async () => {
  const source = `
    import readline from 'node:readline';
    const send = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
    const wanted = new Map([[0, 'fs/write_text_file'], ['zero', 'terminal/create'], ['1', 'craft/drainMidTurnQueue'], [1, 'made/up']]);
    const seen = [];
    let prompt;
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const message = JSON.parse(line);
      if (message.method === 'initialize') send({ id: message.id, result: { protocolVersion: 1 } });
      else if (message.method === 'session/new') send({ id: message.id, result: { sessionId: 's' } });
      else if (message.method === 'session/prompt') {
        prompt = message.id;
        for (const [id, method] of wanted) send({ id, method, params: { sessionId: 's' } });
      } else if (message.error) {
        seen.push([message.id, message.error.code]);
        if (seen.length === wanted.size) {
          const text = JSON.stringify(seen);
          send({ method: 'session/update', params: { sessionId: 's', update: { sessionUpdate: 'agent_message_chunk', content: { type: 'text', text } } } });
          send({ id: prompt, result: { stopReason: 'end_turn' } });
        }
      }
    }`;
  const own = await startServer({ agents: { curious: javascript(source) } });
  const session = await (await own.connect()).create('curious');
  const answers = JSON.parse(textOf(await session.run('go')));
  assert.deepEqual(answers, [[0, -32601], ['zero', -32601], ['1', -32601], [1, -32601]]);
});

test('an error answer to the prompt ends the turn with an error', async () => {
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(say('before '), { error: { code: -32603, message: 'the model is on fire' } }));
  const end = await turn.end();
  assert.equal(end.stopReason, 'error');
  const error = await session.event('error');
  assert.match(error.error, /on fire/);
  assert.equal(textOf(await session.run(script(say('fine')))), 'fine');
});

test('lines of 2 MB, in one piece or in crumbs, come through whole', async () => {
  const session = await (await server.connect()).create('scripted');
  const size = 2_000_000;
  const end = await session.run(script({ chunks: 1, size, seed: 1 }));
  assert.equal(textOf(end).length, size);
  assert.ok(end.blocks.every((block) => block.text.length <= 256 * 1024), 'in messages of at most 256 KiB');
  const crumbs = await session.run(script({ splitWrites: { bytes: 7, delayUs: 0 } }, { chunks: 20, size: 500, seed: 1 }));
  assert.equal(textOf(crumbs).length, 10_000);
});

test('a tool output of 2 MB comes through, by reference', async () => {
  const session = await (await server.connect()).create('scripted');
  const end = await session.run(script(tool({ title: 'Big', output: 2_000_000 }), say('after it')));
  const { result, refs, isError } = session.events.find(({ type }) => type === 'tool_result');
  const ref = refs.find(({ path }) => path === '/result');
  assert.equal(ref.bytes, 2_000_000);
  const blob = await server.rest('GET', `/v1/sessions/${session.id}/blobs/${ref.blob}`);
  assert.equal(blob.text.length, 2_000_000);
  assert.ok(result.length > 500 && blob.text.startsWith(result), 'its beginning is shown');
  assert.equal(isError, false);
  assert.equal(textOf(end), 'after it');
});

test('a flood on stderr costs nobody anything', async () => {
  const session = await (await server.connect()).create('scripted');
  const before = server.log.length;
  const end = await session.run(script(noise(5_000_000), say('quiet again')));
  assert.equal(textOf(end), 'quiet again');
  assert.ok(server.log.length - before < 1_000_000, 'the log is rate-limited');
});

test('an agent that does not end a cancelled turn is ended', async () => {
  const own = await startServer({ settings: { 'cancel-timeout-ms': 300 }, agents: { scripted: scripted() } });
  const session = await (await own.connect()).create('scripted');
  const turn = await session.prompt(script({ ignoreCancel: true }, say('busy'), { sleep: 600_000 }));
  await turn.event('text_delta');
  await session.cancel();
  const end = await turn.end();
  assert.match(end.stopReason, /^(agent_exited|cancelled)$/);
  assert.equal(textOf(await session.run(script(say('again')))), 'again');
});
