// What a client of every dialect must come through. `kind`: {join(server, sessionId), compare(view) what the dialect can
// show of a view}. The native protocol says what is right.
import assert from 'node:assert/strict';
import path from 'node:path';
import { replaying, scripted } from './agents.mjs';
import { eventsOf, viewOf } from './dialect.mjs';
import { test } from './harness.mjs';
import { root } from './paths.mjs';
import { ask, die, fail, say, script, sleep, stream, think, tool, waitCancel } from './script.mjs';
import { startServer } from './server.mjs';
import { readTranscript } from './transcript.mjs';

const RECORDED = ['sdk-example', 'gemini', 'opencode', 'gemini-life', 'opencode-life', 'gemini-extra', 'opencode-extra'];
const fileOf = (name) => path.join(root, 'tests/transcripts', `${name}.jsonl`);

export const RICH = script(
  think('First I think '), think('about it.'), say('Hello, '), say('**wörld** 🙂.'),
  { plan: [{ content: 'look', priority: 'high', status: 'completed' }, { content: 'do', priority: 'low', status: 'pending' }] },
  tool({ title: 'ls', kind: 'execute', name: 'bash', input: { command: 'ls' }, output: 'one\ntwo\n', outputChunks: 2 }),
  say('In between.'),
  tool({ title: 'edit a.txt', kind: 'edit', name: 'edit', input: { path: 'a.txt' }, diff: { path: '/a.txt', oldText: 'a', newText: 'b' } }),
  tool({ title: 'broken', kind: 'fetch', name: 'fetch', input: {}, output: 'no', fail: true }),
  { usage: { used: 10, size: 100 } }, { commands: ['compact', 'help'] }, say('Done.'));

export async function dialectServer(agents = {}) {
  return startServer({
    settings: { 'permission-timeout-ms': 0, 'fold-after-ms': 0 },
    agents: { scripted: scripted(), ...Object.fromEntries(RECORDED.map((name) => [name, replaying(fileOf(name))])), ...agents },
  });
}

export async function newSession(server, agent) {
  const { json } = await server.rest('POST', '/v1/sessions', { body: { agent, workspace: server.newWorkspace() } });
  return json.sessionId;
}

/** The client has all that there is, and nothing else. */
export async function agrees(kind, client, { what = '' } = {}) {
  const wanted = kind.compare(viewOf(await eventsOf(client.server, client.sessionId)));
  const same = () => {
    try {
      assert.deepEqual(kind.compare(client.view()), wanted);
      return true;
    } catch {
      return false;
    }
  };
  try {
    await client.until(same, `the state of the session ${what}`);
  } catch (error) {
    assert.deepEqual(kind.compare(client.view()), wanted, `${what}: ${error.message.slice(0, 3000)}`);
  }
}

export async function ended(server, sessionId, turns) {
  const completes = async () => (await eventsOf(server, sessionId)).filter(({ type }) => type === 'complete').length;
  for (let i = 0; (await completes()) < turns; i++) {
    assert.ok(i < 800, `turn ${turns} ends`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

export function scenarios(kind, server) {
  const join = (sessionId, options) => kind.join(server, sessionId, options);

  test(`${kind.name}: everything, live, late, and again after a reconnect`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const live = await join(sessionId);
    live.prompt(RICH);
    await ended(server, sessionId, 1);
    await agrees(kind, live, { what: 'live' });
    live.prompt(script(say('partly'), fail({ code: -32000, message: 'it broke' })));
    await ended(server, sessionId, 2);
    await agrees(kind, live, { what: 'after an error' });
    live.prompt(script(say('working'), waitCancel()));
    await live.until(() => live.isProcessing && live.shownText.includes('working'), 'the third turn');
    live.cancel();
    await ended(server, sessionId, 3);
    await agrees(kind, live, { what: 'after a cancel' });
    await live.drop();
    const late = await join(sessionId, { again: live });
    await agrees(kind, late, { what: 'late' });
    await late.close();
  });

  test(`${kind.name}: joins in the middle of a turn, and comes back in it`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const first = await join(sessionId);
    first.prompt(script(
      think('hm'), say('before '), ask({ tool: { title: 'rm -rf', kind: 'execute', name: 'bash', input: { command: 'rm' } } }),
      stream(40, 20, 200), ask({ tool: { title: 'again', kind: 'execute', name: 'bash', input: { command: 'x' } } }), say('end'), sleep(1)));
    await first.until(() => first.requests.length === 1, 'a request');
    await agrees(kind, first, { what: 'in the turn' });
    const late = await join(sessionId);
    await late.until(() => late.requests.length === 1, 'the request, late');
    await agrees(kind, late, { what: 'late in the turn' });
    await first.drop();
    late.answer(late.requests[0], 'allow_once');
    await late.until(() => late.shownText.includes('answer:allow_once'), 'the answer reached the agent');
    const back = await join(sessionId, { again: first });
    await back.until(() => back.requests.length === 1, 'the second request');
    await agrees(kind, back, { what: 'after a reconnect in the turn' });
    back.answer(back.requests[0], 'reject_once');
    await ended(server, sessionId, 1);
    await agrees(kind, back, { what: 'after the reconnect, at the end' });
    await agrees(kind, late, { what: 'late, at the end' });
    assert.deepEqual([back.requests, late.requests], [[], []]);
    await Promise.all([back.close(), late.close()]);
  });

  test(`${kind.name}: two clients, one answers, the other's request closes`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const [one, other] = [await join(sessionId), await join(sessionId)];
    one.prompt(script(ask({ parallel: 3, tool: { title: 'three', kind: 'edit', name: 'edit', input: { path: 'p' } } }), say('over')));
    const both = [one, other];
    await Promise.all(both.map((client) => client.until(() => client.requests.length === 3, 'three requests')));
    const [first, second, third] = one.requests;
    other.answer(second, 'allow_once');
    await Promise.all(both.map((client) => client.until(() => client.requests.length === 2, 'one is answered')));
    assert.ok(!one.requests.includes(second));
    one.answer(first, 'reject_once');
    one.answer(third, 'allow_once');
    await ended(server, sessionId, 1);
    await Promise.all(both.map((client) => client.until(() => client.requests.length === 0, 'all are answered')));
    const text = viewOf(await eventsOf(server, sessionId)).texts.join('');
    for (const said of ['answer:1=reject_once', 'answer:2=allow_once', 'answer:3=allow_once']) {
      assert.ok(text.includes(said), `${said} in ${text}`);
    }
    await agrees(kind, one);
    await agrees(kind, other);
    await Promise.all(both.map((client) => client.close()));
  });

  test(`${kind.name}: calls that overlap, and what is said between, stand where they began`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const call = (id, status, more) => ({ update: { sessionUpdate: status ? 'tool_call_update' : 'tool_call', toolCallId: id, title: id, kind: 'execute', ...(status ? { status } : {}), ...more } });
    const over = (text) => ({ content: [{ type: 'content', content: { type: 'text', text } }] });
    const live = await join(sessionId);
    live.prompt(script(
      say('before'), call('a'), say('in a'), call('b'), call('c'), say('in all'), call('c', 'completed', over('c is over')), think('so'),
      ask({ tool: { title: 'rm', kind: 'execute', name: 'bash', input: { command: 'rm' } } }),
      call('b', 'failed'), say('in a again'), call('a', 'completed', over('x'.repeat(70_000))), say('behind'), call('d')));
    await live.until(() => live.requests.length === 1, 'the request');
    const amid = await join(sessionId);
    await amid.until(() => amid.requests.length === 1, 'the request, late');
    await agrees(kind, live, { what: 'live, in the turn' });
    await agrees(kind, amid, { what: 'late, in the turn' });
    amid.answer(amid.requests[0], 'allow_once');
    await ended(server, sessionId, 1);
    const late = await join(sessionId);
    for (const [what, client] of Object.entries({ live, amid, late })) {
      await agrees(kind, client, { what });
      await client.close();
    }
  });

  test(`${kind.name}: the server is killed in a turn, and comes back; then the agent is`, async () => {
    const own = await dialectServer();
    const sessionId = await newSession(own, 'scripted');
    const client = await kind.join(own, sessionId);
    client.prompt(script(think('hm'), say('partly, '), tool({ title: 'open', kind: 'execute', leaveOpen: true }), say('not whole: ἀρχή 🏳️‍🌈'), ask()));
    await client.until(() => client.requests.length === 1, 'the request');
    await agrees(kind, client, { what: 'before the death' });
    await own.kill();
    await client.closed;
    await own.start();
    const back = await kind.join(own, sessionId, { again: client });
    await agrees(kind, back, { what: 'after the death' });
    assert.deepEqual(back.requests, []);
    back.prompt(script(say('and now the agent'), ask(), die()));
    await back.until(() => back.requests.length === 1, 'another request');
    back.answer(back.requests[0], 'reject_once');
    await ended(own, sessionId, 2);
    await agrees(kind, back, { what: 'after the agent\'s death' });
    back.prompt(script(say('It goes on.')));
    await ended(own, sessionId, 3);
    await agrees(kind, back, { what: 'another agent' });
    const late = await kind.join(own, sessionId);
    await agrees(kind, late, { what: 'late' });
    await Promise.all([back.close(), late.close()]);
  });

  test(`${kind.name}: a client that stalls is right in the end`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const [slow, fast] = [await join(sessionId), await join(sessionId)];
    slow.socket._socket.pause();
    fast.prompt(script(think('so'), stream(4000, 2000), tool({ title: 't', kind: 'execute', name: 'bash', input: {}, output: 60000 }),
      { repeat: { times: 60, steps: [stream(5, 20000), think('and so on')] } }, say('the end')));
    await ended(server, sessionId, 1);
    slow.socket._socket.resume();
    await agrees(kind, slow, { what: 'slow' });
    await agrees(kind, fast, { what: 'fast' });
    await Promise.all([slow.close(), fast.close()]);
  });

  test(`${kind.name}: asks again and again for all of it while it comes`, async () => {
    const sessionId = await newSession(server, 'scripted');
    const client = await join(sessionId);
    client.prompt(script({ repeat: { times: 10, steps: [think('well'), stream(30, 20, 300), tool({ title: 't', kind: 'execute', name: 'bash', input: {}, output: 'x', outputChunks: 3 })] } }));
    for (let i = 1; i <= 5; i++) {
      await client.until(() => client.view().tools.length >= 2 * i - 1, `call ${i}`);
      await client.reload();
    }
    await ended(server, sessionId, 1);
    await agrees(kind, client);
    await client.close();
  });

  for (const name of RECORDED) {
    test(`${kind.name}: the recorded session ${name}`, async () => {
      const { turns } = readTranscript(fileOf(name));
      const sessionId = await newSession(server, name);
      const client = await join(sessionId);
      for (const [index, turn] of turns.entries()) {
        const known = new Set();
        const [textsBefore, toolsBefore] = [client.shownText.length, client.view().tools.length];
        client.prompt('as recorded');
        let asked = 0;
        const step = async () => {
          for (const requestId of client.requests.filter((each) => !known.has(each))) {
            known.add(requestId);
            const option = turn.answers[asked++];
            if (option) {
              client.answer(requestId, option);
            }
          }
        };
        const { cancelAfter } = turn;
        let cancelled = false;
        const done = ended(server, sessionId, index + 1);
        const look = async () => {
          await step();
          const far = cancelAfter && client.shownText.length - textsBefore >= cancelAfter.text &&
            client.view().tools.length - toolsBefore >= cancelAfter.tools && known.size >= cancelAfter.permissions && client.isProcessing;
          if (far && !cancelled) {
            cancelled = true;
            client.cancel();
          }
        };
        const isOver = done.then(() => true);
        while (!(await Promise.race([isOver, new Promise((next) => setTimeout(() => next(false), 10))]))) {
          await look();
        }
      }
      await agrees(kind, client, { what: 'live' });
      await client.drop();
      const late = await join(sessionId, { again: client });
      await agrees(kind, late, { what: 'late' });
      await late.close();
    });
  }
}
