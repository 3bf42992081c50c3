// The reducer: events in, a session's state out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { library } from './lib/library.mjs';

const { emptySession, positionOf, reduce, reduceAll, sessionName, subscribed } = library;

const numbered = (events) => events.map((event, i) => ({ sessionId: 's1', seq: i + 1, ts: 1000 + i, ...event }));
const run = (...events) => reduceAll(emptySession('s1', 'e1'), numbered(events));
const item = (state, key) => state.items.find((each) => each.key === key);
const delta = (offset, text, fields) => ({ type: 'text_delta', messageId: 'm1', offset, delta: text, ...fields });
const answer = (fields) => ({
  type: 'subscribed', sessionId: 's1', epoch: 'e1', head: 0, mode: 'live', phase: 'idle', agent: 'a', title: '', workspace: '/w',
  policy: 'ask', pending: [], ...fields,
});

test('the next event is applied, an old one changes nothing at all', () => {
  const [a, b] = numbered([delta(0, 'Hello'), delta(5, ', world')]);
  const once = reduceAll(emptySession('s1'), [a, b]);
  assert.equal(item(once, 'text:m1').text, 'Hello, world');
  assert.equal(reduceAll(once, [a, b, b]), once);
});

test('offsets count UTF-16 units', () => {
  assert.equal(item(run(delta(0, 'a😀'), delta(3, 'é')), 'text:m1').text, 'a😀é');
});

test('what overlaps replaces what it overlaps', () => {
  const state = run(delta(0, 'abc'), delta(0, 'abc'), delta(3, 'def'), delta(1, 'bc'));
  assert.equal(item(state, 'text:m1').text, 'abcdef');
  const folded = reduce(state, { ...delta(0, 'abcdefghi'), sessionId: 's1', from: 5, seq: 9, ts: 1 });
  assert.equal(item(folded, 'text:m1').text, 'abcdefghi');
  assert.equal(folded.seq, 9);
});

test('missing numbers are a hole: nothing is applied after it, and the position is the last one that is sure', () => {
  const state = reduceAll(emptySession('s1', 'e1'), [...numbered([delta(0, 'a')]), { ...delta(1, 'b'), seq: 3 }, { ...delta(2, 'c'), seq: 4 }]);
  assert.deepEqual(state.hole, { kind: 'numbers', expected: 2, got: 3 });
  assert.equal(item(state, 'text:m1').text, 'a');
  assert.deepEqual(positionOf(state), { epoch: 'e1', seq: 1 });
});

test('missing text is a hole: there is no position to go on from', () => {
  for (const event of [delta(5, 'x'), { ...delta(1, 'x'), messageId: 'new' }]) {
    const state = run(delta(0, 'abc'), event);
    assert.equal(state.hole.kind, 'text');
    assert.equal(state.seq, 1);
    assert.equal(positionOf(state), null);
    assert.equal(item(state, 'text:m1').text, 'abc');
  }
});

test('text_complete is the whole truth, and no delta comes after it', () => {
  const state = run(delta(0, 'dra'), { type: 'text_complete', messageId: 'm1', text: 'draft, whole', isIntermediate: false }, delta(0, 'XXX'));
  const { text, done, intermediate } = item(state, 'text:m1');
  assert.deepEqual({ text, done, intermediate }, { text: 'draft, whole', done: true, intermediate: false });
});

test('a notice that comes while a text is open stands before it, also for those who get the text whole', () => {
  const notice = { type: 'agent_update', update: { sessionUpdate: 'new' } };
  const end = { type: 'text_complete', messageId: 'm1', text: 'ab', isIntermediate: true };
  assert.deepEqual(run(delta(0, 'a'), notice, delta(1, 'b')).items.map((each) => each.key), ['update:2', 'text:m1']);
  const live = run(delta(0, 'a'), notice, delta(1, 'b'), end);
  assert.deepEqual(live.items.map((each) => each.key), ['update:2', 'text:m1']);
  const folded = reduceAll(emptySession('s1', 'e1'), [{ ...notice, seq: 2, from: 1, ts: 1001 }, { ...end, seq: 4, from: 3, ts: 1003 }]);
  assert.deepEqual(live, folded);
});

test('tools: later fields replace earlier ones, output joins, the result has everything', () => {
  const start = { type: 'tool_start', toolUseId: 't1', toolName: 'Bash', toolInput: { command: 'ls' }, kind: 'execute' };
  const state = run(
    start,
    { type: 'tool_update', toolUseId: 't1', status: 'in_progress', title: 'one' },
    { type: 'tool_output', toolUseId: 't1', offset: 0, delta: 'ab' },
    { type: 'tool_output', toolUseId: 't1', offset: 2, delta: 'c', refs: [{ path: '/delta', blob: 'b1', bytes: 9 }] },
    { type: 'tool_update', toolUseId: 't1', rawOutput: { early: 1 } },
    { type: 'tool_update', toolUseId: 't1', title: 'two', content: ['x'], refs: [{ path: '/content/0', blob: 'b2', bytes: 9 }] },
  );
  const open = item(state, 'tool:t1');
  assert.equal(open.output, 'abc');
  assert.equal(open.title, 'two');
  assert.equal(open.status, 'in_progress');
  assert.deepEqual(open.refs.map((ref) => ref.blob), ['b1', 'b2']);
  const end = { type: 'tool_result', toolUseId: 't1', toolName: 'Bash', result: 'abcdef', isError: true, seq: 7, ts: 7, refs: [{ path: '/result', blob: 'b3', bytes: 9 }] };
  const done = item(reduce(state, end), 'tool:t1');
  assert.deepEqual(open.rawOutput, { early: 1 });
  assert.equal('rawOutput' in done, false);
  assert.equal(done.status, 'failed');
  assert.deepEqual([done.output, done.result, done.content], ['', 'abcdef', []]);
  assert.deepEqual(done.refs.map((ref) => ref.blob), ['b3'], 'what it gives anew is whole, or cut anew');
});

test('a prompt stands where its last status is; what is queued stands apart', () => {
  const message = (messageId, status, fields) => ({ type: 'user_message', messageId, text: messageId, by: { user: 'ada' }, status, ...fields });
  const state = run(
    message('a', 'accepted'), message('a', 'processing'), delta(0, 'x'), message('b', 'queued', { position: 1 }),
    message('c', 'queued', { position: 2 }), delta(1, 'y'), message('c', 'withdrawn'),
  );
  assert.deepEqual(state.items.map((each) => each.key), ['user:a', 'text:m1', 'user:c']);
  assert.deepEqual(state.queue.map((each) => each.messageId), ['b']);
  const next = reduce(state, { ...message('a', 'processing'), seq: 8, ts: 1 });
  assert.deepEqual(next.items.map((each) => each.key), ['text:m1', 'user:c', 'user:a']);
  assert.equal(item(reduce(next, { ...delta(2, 'z'), seq: 9, ts: 1 }), 'text:m1').text, 'xyz');
});

const request = (requestId) => ({ requestId, sessionId: 's1', toolName: 'T', command: 'c', acpOptions: [], createdAt: 1, expiresAt: null });

test('permissions: asked, and ended once', () => {
  const state = run(
    { type: 'permission_request', request: request('r1') }, { type: 'permission_request', request: request('r2') },
    { type: 'permission_resolved', requestId: 'r1', outcome: 'allowed', optionId: 'o', alwaysAllow: false, by: { user: 'bob' }, cause: { clientId: 'x' } },
  );
  assert.deepEqual(state.pending.map((each) => each.requestId), ['r2']);
  const { state: how, by, cause } = item(state, 'permission:r1');
  assert.deepEqual({ how, by, cause }, { how: 'resolved', by: { user: 'bob' }, cause: { clientId: 'x' } });
  assert.deepEqual(reduce(state, { type: 'permission_timeout', requestId: 'r2', seq: 4, ts: 1 }).pending, []);
});

test('a replay says again what `subscribed` has told: phases and requests of before do not flash up', () => {
  const seen = [];
  let state = subscribed(emptySession('s1'), answer({ mode: 'replay', head: 6, phase: 'running', title: 'new', pending: [request('r2')] }));
  for (const event of numbered([
    { type: 'status', phase: 'failed', detail: 'x' }, { type: 'title', title: 'old' }, { type: 'permission_request', request: request('r1') },
    { type: 'permission_timeout', requestId: 'r1' }, { type: 'permission_request', request: request('r2') }, { type: 'status', phase: 'running', detail: 'slow' },
  ])) {
    state = reduce(state, event);
    seen.push([state.phase, state.title, state.pending.map((each) => each.requestId).join()]);
  }
  assert.deepEqual(new Set(seen.map(String)), new Set(['running,new,r2']));
  assert.equal(state.detail, 'slow');
  state = reduceAll(state, [{ type: 'status', phase: 'waiting', seq: 7, ts: 1 }, { type: 'permission_timeout', requestId: 'r2', seq: 8, ts: 1 }]);
  assert.deepEqual([state.phase, state.detail, state.pending.length], ['waiting', null, 0]);
});

test('who chose the policy is known as long as it is the policy that holds', () => {
  const by = (user) => ({ user });
  const state = run({ type: 'policy', policy: 'trust', by: by('ada') }, { type: 'policy', policy: 'ask', by: by('bob') });
  assert.deepEqual([state.policy, state.policyBy], ['ask', { user: 'bob' }]);
  assert.deepEqual(subscribed(state, answer({ head: 2, epoch: 'e1' }), { after: positionOf(state) }).policyBy, { user: 'bob' });
  assert.equal(subscribed(state, answer({ head: 3, epoch: 'e1', policy: 'trust' }), { after: positionOf(state) }).policyBy, null);
  // A replay of what was before does not name who chose another one.
  const told = subscribed(emptySession('s1'), answer({ head: 2, mode: 'replay' }), {});
  const [first, second] = numbered([{ type: 'policy', policy: 'trust', by: by('ada') }, { type: 'policy', policy: 'ask', by: by('bob') }]);
  assert.equal(reduce(told, first).policyBy, null);
  assert.deepEqual(reduceAll(told, [first, second]).policyBy, { user: 'bob' });
});

test('what the agent takes: unknown until it has said so, then as the last one did, and a replay does not go back behind it', () => {
  const takes = (image, audio, embeddedContext) => ({ image, audio, embeddedContext });
  const said = (...what) => ({ type: 'prompt_capabilities', ...takes(...what) });
  assert.equal(run({ type: 'status', phase: 'starting' }).promptCapabilities, null);
  const state = run(said(true, false, true), said(false, false, true));
  assert.deepEqual(state.promptCapabilities, takes(false, false, true));
  assert.equal(subscribed(emptySession('s1'), answer({ head: 1 }), { history: 'none' }).promptCapabilities, null);

  let late = subscribed(emptySession('s1'), answer({ mode: 'replay', head: 2, promptCapabilities: takes(false, false, true) }), {});
  for (const event of numbered([said(true, false, true), said(false, false, true)])) {
    late = reduce(late, event);
    assert.deepEqual(late.promptCapabilities, takes(false, false, true));
  }
  assert.deepEqual(reduce(late, { ...said(true, true, true), seq: 3, ts: 1 }).promptCapabilities, takes(true, true, true));
  const again = subscribed(late, answer({ head: 2, promptCapabilities: takes(false, false, true) }), { after: positionOf(late) });
  assert.deepEqual(again.promptCapabilities, late.promptCapabilities);
});

test('the answer to a subscribe: what is kept, what is forgotten, where counting begins', () => {
  const known = run(delta(0, 'abc'));
  const after = { epoch: 'e1', seq: 1 };
  assert.equal(subscribed(known, answer({ head: 1 }), { after }).items, known.items);
  assert.equal(subscribed(known, answer({ mode: 'replay', head: 5 }), { after }).seq, 1);
  const reset = subscribed(known, answer({ mode: 'reset', epoch: 'e2', head: 5 }), { after });
  assert.deepEqual([reset.items, reset.seq, reset.epoch], [[], 0, 'e2']);
  assert.deepEqual(subscribed(known, answer({ mode: 'replay', head: 5 }), {}).items, []);
  assert.equal(subscribed(emptySession('s1'), answer({ head: 7 }), { history: 'none' }).seq, 7);
  assert.equal(subscribed(emptySession('s1'), answer({ head: 7 }), { history: 'turn' }).seq, 7, 'no turn is open');
  const turn = subscribed(emptySession('s1'), answer({ mode: 'replay', head: 7 }), { history: 'turn' });
  assert.equal(turn.seq, null);
  assert.equal(reduce(turn, { ...delta(0, 'x'), seq: 6, ts: 1 }).seq, 6);
});

test('without the beginning, what began before is left out until it is whole', () => {
  const state = subscribed(emptySession('s1'), answer({ head: 7 }), { history: 'none' });
  const events = [delta(9, 'x', { seq: 8, ts: 1 }), { type: 'tool_output', toolUseId: 't', offset: 3, delta: 'x', seq: 9, ts: 1 },
    { type: 'tool_update', toolUseId: 't', title: 'x', seq: 10, ts: 1 }];
  const next = reduceAll(state, events);
  assert.deepEqual([next.items, next.hole, next.seq], [[], null, 10]);
  const whole = reduce(next, { type: 'text_complete', messageId: 'm1', text: 'all of it', isIntermediate: true, seq: 11, ts: 1 });
  assert.equal(item(whole, 'text:m1').text, 'all of it');
});

test('types that are not known are counted, and nothing else', () => {
  const state = run({ type: 'from_the_future', anything: 1 }, { type: 'constructor' }, delta(0, 'x'));
  assert.equal(state.seq, 3);
  assert.equal(state.items.length, 1);
});

test('a state is plain data, never changed, and two branches of it do not know of each other', () => {
  const base = run(delta(0, 'a'), { type: 'text_complete', messageId: 'm1', text: 'a', isIntermediate: true });
  const frozen = freeze(structuredClone(base));
  const [left, right] = ['l', 'r'].map((name) => reduceAll(frozen, [
    { type: 'error', error: name, code: name, fatal: false, seq: 3, ts: 1 }, { ...delta(0, name), messageId: name, seq: 4, ts: 1 },
    { ...delta(1, name), messageId: name, seq: 5, ts: 1 },
  ]));
  assert.equal(item(left, 'text:l').text, 'll');
  assert.equal(item(right, 'text:r').text, 'rr');
  assert.equal(reduce(left, { ...delta(2, '!'), messageId: 'l', seq: 6, ts: 1 }).items.length, 3);
  // The same key in other places.
  const tool = (seq) => ({ type: 'tool_start', toolUseId: 't', toolName: 'T', toolInput: {}, kind: 'other', seq, ts: 1 });
  const early = reduceAll(frozen, [tool(3), { type: 'error', error: 'e', code: 'e', fatal: false, seq: 4, ts: 1 }]);
  const late = reduceAll(frozen, [{ type: 'error', error: 'e', code: 'e', fatal: false, seq: 3, ts: 1 }, tool(4)]);
  for (const [state, seq] of [[early, 5], [late, 5]]) {
    const next = reduce(state, { type: 'tool_update', toolUseId: 't', title: 'new', seq, ts: 1 });
    assert.deepEqual(next.items.map((each) => each.key), state.items.map((each) => each.key));
    assert.equal(item(next, 'tool:t').title, 'new');
  }
  const [m] = left.items;
  assert.equal(m, frozen.items[0], 'what did not change is the same object');
  assert.deepEqual(JSON.parse(JSON.stringify(left)), left);
  const restored = reduce(JSON.parse(JSON.stringify(left)), { ...delta(2, '!'), messageId: 'l', seq: 6, ts: 1 });
  assert.equal(item(restored, 'text:l').text, 'll!');
});

test('one by one or all together, the same', () => {
  const events = numbered([delta(0, 'a'), { type: 'title', title: 'T' }, delta(1, 'b'), { type: 'usage', used: 1, size: 2 }, { type: 'usage', used: 3 }]);
  const one = events.reduce(reduce, emptySession('s1'));
  assert.deepEqual(one, reduceAll(emptySession('s1'), events));
  assert.deepEqual(one.usage, { used: 3 });
});

test('a name for people', () => {
  assert.equal(sessionName(run({ type: 'user_message', messageId: 'a', text: ' first line \nsecond', by: {}, status: 'accepted' })), 'first line ');
  assert.equal(sessionName(run({ type: 'title', title: 'Given' })), 'Given');
  assert.equal(sessionName(emptySession('s')), '');
});

function freeze(value) {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}
