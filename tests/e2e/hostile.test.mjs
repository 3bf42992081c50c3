// Agents that misbehave, each kind in each state of a session: nothing hangs, what happened is said, the session goes on
// with the next prompt, and nothing is left behind.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { Refusal } from './lib/client.mjs';
import { test } from './lib/harness.mjs';
import { say, script } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';
import { scaled, until } from './lib/wait.mjs';
import { textOf } from './lib/watch.mjs';

// Goes through a session's states as it should, and misbehaves once, where its first argument says. Its id's answer is
// $2 of `at`. `again` gets an answer in any case.
const source = String.raw`
state=$1 kind=$2 id= login=
out() { printf '%s\n' "$1"; }
answer() { [ -z "$id" ] || out '{"jsonrpc":"2.0","id":'"$id"',"result":'"$1"'}'; }
update() { out '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{'"$1"'}}}'; }
unknown='"sessionUpdate":"from_nowhere","value":1'
text() { update '"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'"$1"'"}'; }
at() {
  [ "$1" = "$state" ] && [ ! -e misbehaved ] || return 0
  : >misbehaved
  case $kind in
  flood)
    update "$unknown" >line; yes "$(cat line)" | head -n 3000; yes 'no JSON at all' | head -n 20000 ;;
  lines)
    out '{"jsonrpc":"2.0","method":'; out '[1,2,3]'; out ''
    printf '\377\376{"jsonrpc"\n'
    printf '{"jsonrpc":"2.0","method":"_x","params":{"text":"\377\200\355\240\200\000"}}\n'
    printf '{"json'; printf 'rpc":"2.'; printf '0","method":"_y'; printf '","params":{}}\n'
    big=0123456789abcdef; while [ "${'$'}{#big}" -lt 2000000 ]; do big=$big$big$big$big; done
    update "$unknown"',"text":"'"$big"'"' ;;
  ids)
    for wrong in 999 '"0"' null 1.5 '{}' '[]' -1 9007199254740993 true; do
      out '{"jsonrpc":"2.0","id":'$wrong',"result":{}}'; out '{"jsonrpc":"2.0","id":'$wrong',"error":7}'
    done
    out '{"jsonrpc":"2.0","result":{}}'
    out '{"jsonrpc":"2.0","id":'$(( ${'$'}{id:-90} + 1 ))',"result":{"sessionId":"stolen"}}' # of what was not asked yet
    out '{"jsonrpc":"2.0","id":4,"method":"no/such"}'; out '{"jsonrpc":"2.0","id":4,"method":"no/such"}'
    answer "$2" ;; # and again by who called
  requests)
    for i in 1 2 3 4 5 6 7 8 9; do out '{"jsonrpc":"2.0","id":'$i',"method":"fs/write_text_file","params":{"path":"/x"}}'; done
    out '{"jsonrpc":"2.0","id":"q","method":"session/request_permission","params":{"sessionId":"of nobody","toolCall":{"toolCallId":"t"},"options":[]}}'
    out '{"jsonrpc":"2.0","id":"r","method":"session/request_permission","params":7}' ;;
  exit) exit 7 ;;
  half) printf '{"jsonrpc":"2.0","id":'; exit 0 ;;
  killed) kill -9 $$ ;;
  heirs) setsid sleep 600 & setsid sleep 600 <&0 & exit 7 ;; # they keep the pipes
  mute) exec >&-; cat >/dev/null ;;
  deaf) exec yes '{"jsonrpc":"2.0","id":1,"method":"made/up"}' ;; # does not read what it is answered
  endless) exec yes 'no JSON at all' ;;
  silent) exec sleep 600 ;;
  esac
}
while IFS= read -r line; do
  id=${'$'}{line#*\"id\":}; id=${'$'}{id%%[,\}]*}
  case $line in
  *'"method":"initialize"'*)
    can='{"loadSession":'$([ "$state" = load ] && echo true || echo false)',"sessionCapabilities":{'
    [ "$state" != resume ] || can=$can'"resume":{}'
    [ "$state" != closing ] || can=$can'"close":{}'
    ready='{"protocolVersion":1,"authMethods":[{"id":"token","name":"Token"}],"agentCapabilities":'$can'}}}'
    at initialize "$ready"; answer "$ready" ;;
  *'"method":"authenticate"'*) at authenticate '{}'; login=done; answer '{}' ;;
  *'"method":"session/new"'*)
    if [ "$state" = authenticate ] && [ -z "$login" ]; then
      out '{"jsonrpc":"2.0","id":'"$id"',"error":{"code":-32000,"message":"log in"}}'; continue
    fi
    open='{"sessionId":"s","modes":{"currentModeId":"a","availableModes":[{"id":"a","name":"A"},{"id":"b","name":"B"}]}}'
    at new "$open"; answer "$open"; id=; at idle ;;
  *'"method":"session/load"'*) at load '{}'; answer '{}' ;;
  *'"method":"session/resume"'*) at resume '{}'; answer '{}' ;;
  *'"method":"session/set_mode"'*) at setting '{}'; answer '{}' ;;
  *'"method":"session/close"'*) at closing '{}'; answer '{}' ;;
  *'"method":"session/cancel"'*) id=$turn; at cancelling '{"stopReason":"cancelled"}'; answer '{"stopReason":"cancelled"}' ;;
  *'"method":"session/prompt"'*again*) text fine; answer '{"stopReason":"end_turn"}' ;;
  *'"method":"session/prompt"'*leave*) exit 0 ;;
  *'"method":"session/prompt"'*)
    turn=$id
    text busy
    if [ "$state" = permission ]; then
      out '{"jsonrpc":"2.0","id":"p1","method":"session/request_permission","params":{"sessionId":"s","toolCall":{"toolCallId":"t1","title":"Do"},"options":[{"optionId":"yes","name":"Yes","kind":"allow_once"},{"optionId":"no","name":"No","kind":"reject_once"}]}}'
      at permission '{"stopReason":"end_turn"}'
      continue
    fi
    at turn '{"stopReason":"end_turn"}'
    [ "$state" = cancelling ] || answer '{"stopReason":"end_turn"}' ;;
  *'"id":"p1"'*) id=$turn; answer '{"stopReason":"end_turn"}' ;;
  esac
done
id=; at idling; at stopping; exit 0
`;

const HARMLESS = ['flood', 'lines', 'ids', 'requests'];
const DYING = ['exit', 'half', 'killed', 'heirs', 'mute'];
const HANGING = ['deaf', 'endless', 'silent'];
const KINDS = [...HARMLESS, ...DYING, ...HANGING];
const STATES = [
  'initialize', 'authenticate', 'new', 'resume', 'load', 'idle', 'turn', 'permission', 'setting', 'cancelling', 'closing', 'idling',
];

const file = path.join(temporaryFolder(), 'agent.sh');
writeFileSync(file, source);
const agents = { scripted: scripted() };
for (const state of [...STATES, 'stopping']) {
  for (const kind of KINDS) {
    agents[`${state}-${kind}`] = {
      command: ['/bin/sh', file, state, kind],
      ...(state === 'authenticate' ? { login: 'token' } : {}),
      ...(state === 'idling' ? { 'agent-idle-ms': 100 } : {}),
    };
  }
}
const settings = { 'agent-start-timeout-ms': scaled(8000), 'cancel-timeout-ms': scaled(5000), 'agent-stop-grace-ms': 300 };
const server = await startServer({ agents, settings });

const misbehaved = (session) =>
  until(() => existsSync(path.join(session.workspace, 'misbehaved')), `${session.id} to misbehave`);

const last = (session) => session.events.slice(-15).map((event) => JSON.stringify(event).slice(0, 200)).join('\n');

/** The first event after `from` with which something has ended: a turn (of this prompt), or the agent. */
const end = (session, from, messageId) =>
  session.watch.inbox.find(
    ({ type, phase, turnId }) =>
      (type === 'complete' && (!messageId || session.watch.turns.get(turnId).messageId === messageId)) ||
      (type === 'status' && ['failed', 'stopped'].includes(phase)),
    { from, what: `an end in ${session.id}`, explain: () => last(session) },
  );

/** The next prompt is answered: at once, or after what it led to was ended. */
async function recovers(session, hangs) {
  for (let tries = 0; tries < 6; tries++) {
    const from = session.events.length;
    const turn = await session.prompt('again');
    if (hangs && tries === 0) {
      await turn.started(); // before that a cancel gives it back
      await session.cancel();
    }
    const { turnId } = await end(session, from, turn.messageId);
    if (turnId && textOf(session.watch.turns.get(turnId)) === 'fine') {
      return;
    }
  }
  assert.fail(`it does not recover\n${last(session)}`);
}

/** What happened, in words. */
const said = (session) =>
  session.watch.inbox.find(
    ({ type, error, detail }) => (type === 'error' ? error : type === 'status' && detail)?.length > 10,
    { what: 'a word about it', explain: () => last(session) },
  );

async function cell(client, state, kind) {
  const harmless = HARMLESS.includes(kind);
  const hangs = HANGING.includes(kind);
  const session = await client.create(`${state}-${kind}`);
  const sessionId = session.id;
  let from = 0;
  if (['initialize', 'authenticate', 'new'].includes(state)) {
    await misbehaved(session);
    await session.event('status', ({ phase }) => ['idle', 'failed', 'stopped'].includes(phase));
  } else if (['resume', 'load'].includes(state)) {
    await recovers(session);
    await (await session.prompt('leave')).end();
    await session.status('stopped');
    from = session.events.length;
    await session.prompt('again');
    await misbehaved(session);
    await end(session, from);
  } else if (state === 'idle') {
    // Its end may be there before we are, and a folded replay says only that.
    await session.event('status', ({ phase }) => ['idle', 'failed', 'stopped'].includes(phase));
    await misbehaved(session);
  } else if (state === 'turn') {
    const turn = await session.prompt('go');
    await misbehaved(session);
    if (hangs) {
      await session.cancel();
    }
    const { stopReason } = await turn.end();
    assert.equal(stopReason === 'end_turn', harmless, stopReason);
  } else if (state === 'permission') {
    const turn = await session.prompt('go');
    const request = await turn.permission();
    await misbehaved(session);
    if (harmless && kind !== 'ids') { // its second answer came first
      await session.answerPermission(request, { optionId: 'yes' });
    } else if (hangs) {
      await session.cancel();
    }
    const { stopReason } = await turn.end();
    assert.equal(stopReason === 'end_turn', harmless, stopReason);
    assert.deepEqual(session.watch.pending(), []);
  } else if (state === 'setting') {
    await session.status('idle');
    try {
      await client.command('set_mode', { sessionId, modeId: 'b' });
      assert.ok(harmless);
    } catch (refused) {
      assert.ok(refused instanceof Refusal && !harmless && refused.nack.message.length > 10, refused.message);
    }
  } else if (state === 'cancelling') {
    const turn = await session.prompt('go');
    await turn.event('text_delta');
    await session.cancel();
    const { stopReason } = await turn.end();
    assert.equal(stopReason === 'cancelled', harmless, stopReason);
  } else if (state === 'closing') {
    await session.status('idle');
    await client.command('close_session', { sessionId });
    await session.status('closed');
    return;
  } else if (state === 'idling') {
    await misbehaved(session);
    await session.status('stopped');
  }
  if (!harmless && !(hangs && ['idle', 'idling', 'setting'].includes(state))) {
    await said(session);
  }
  await recovers(session, hangs && ['idle', 'setting'].includes(state));
  await client.command('close_session', { sessionId });
}

const descriptors = (of) => readdirSync(`/proc/${of.pid}/fd`).length;
const running = async (of) => {
  const { text } = await of.rest('GET', '/metrics');
  return Number(/^signalbox_agents_running (\d+)$/m.exec(text)[1]);
};

/* With what a server that has worked keeps open. */
const first = await server.connect();
const warm = await first.create('scripted');
await warm.run(script(say('warm')));
await first.command('close_session', { sessionId: warm.id });
await first.close();
const atFirst = descriptors(server);

for (const state of STATES) {
  test(`agents that misbehave: ${state}`, async () => {
    const client = await server.connect();
    const other = await client.create('scripted');
    await other.run(script(say('warm')));
    const results = await Promise.allSettled(KINDS.map((kind) => cell(client, state, kind)));
    const wrong = results.flatMap(({ reason }, i) => (reason ? [`${KINDS[i]}: ${reason.stack}`] : []));
    assert.deepEqual(wrong, [], wrong.join('\n\n'));
    assert.equal(textOf(await other.run(script(say('undisturbed')))), 'undisturbed');
    await client.command('close_session', { sessionId: other.id });
    await client.close();
  });
}

test('nothing is left of them: no agent, no process, no descriptor', async () => {
  await until(async () => (await running(server)) === 0, 'all agents to end');
  await until(
    () => server.leftovers().every(({ pid }) => pid === server.pid),
    () => `no process left, but: ${JSON.stringify(server.leftovers())}`,
  );
  await until(() => descriptors(server) <= atFirst, () => `${atFirst} descriptors, not ${descriptors(server)}`);
});

test('a server stops in order with agents that misbehave, whatever they do when it stops', async () => {
  const own = await startServer({ agents, settings });
  const client = await own.connect();
  const sessions = [];
  for (const kind of KINDS) {
    const [last, now] = [await client.create(`stopping-${kind}`), await client.create(`turn-${kind}`)];
    await recovers(last);
    await now.prompt('go');
    await misbehaved(now);
    sessions.push(last, now);
  }
  const { code, signal } = await own.terminate();
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, own.logTail());
  await own.nothingLeft();
  await own.start();
  const again = await own.connect();
  for (const { id, workspace } of sessions.slice(0, 4)) {
    const session = await again.follow(id);
    session.workspace = workspace;
    await recovers(session);
  }
});
