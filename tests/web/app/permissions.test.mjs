// What the page says of requests, and which keys answer them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load } from './lib.mjs';

const {
  visiblePieces, visibleText, hiddenCount, orderedOptions, contradiction, allowOnce, rejection, answerOfKey, takesLetters, ARMED_AFTER_MS, timeLeft,
  duration, warningBetween, byWhom, outcomeSentence, cancelledSentence, failureOf, labelPhrases, ruleWhat, ruleWhere, policyOf, whyAsked,
  auditAction, auditBy, diffsOf, insideWorkspace, rememberPhrases, expiryOf, endedOf, endedByAudit, auditAsker, endedInWords, groupsOf, NearCall,
} = await load(
  'ui/visible.ts', 'permissions/options.ts', 'permissions/keys.ts', 'permissions/words.ts', 'permissions/diffs.ts',
  'permissions/remember.ts', 'permissions/ended.ts', 'permissions/ended-anywhere.ts', 'permissions/pending-page.tsx',
  'permissions/near.ts',
);

const OPTIONS = [
  { optionId: 'never', name: 'Never', kind: 'reject_always' }, { optionId: 'no', name: 'No', kind: 'reject_once' },
  { optionId: 'odd', name: 'Odd', kind: 'something_new' }, { optionId: 'always', name: 'Always', kind: 'allow_always' },
  { optionId: 'yes', name: 'Yes', kind: 'allow_once' }, { optionId: 'yes2', name: 'Yes, too', kind: 'allow_once' },
];
const ids = (options) => options.map(({ optionId }) => optionId);
const request = (fields) => ({ requestId: 'p1', sessionId: 's1', toolName: 'bash', command: 'ls', kind: 'execute', toolInput: {}, acpOptions: OPTIONS, ...fields });

describe('what cannot be seen', () => {
  test('is marked where it stands, and nothing of the text is lost', () => {
    const text = 'rm \u202egpj.\u202c ./a\u200b\u00a0b\r\ue000\ttab\nline';
    const pieces = visiblePieces(text);
    assert.equal(pieces.map((piece) => piece.text).join(''), text);
    assert.deepEqual(pieces.filter(({ hidden }) => hidden).map(({ hidden }) => hidden.mark), ['\\u{202e}', '\\u{202c}', '\\u{200b}', '\\u{a0}', '\\u{d}']);
    assert.equal(pieces.find(({ hidden }) => hidden).hidden.name, 'right-to-left override');
    assert.equal(hiddenCount(text), 5);
    assert.equal(visibleText('a\u{e0041}b'), 'a\\u{e0041}b');
    assert.equal(visibleText('half \ud800 a pair'), 'half \\u{d800} a pair');
  });

  test('is nothing in ordinary text of any language', () => {
    for (const text of ['npm test', 'tab\tand\nline', 'Grüße, 世界, שלום, مرحبا, e\u0301', '👩‍💻 ❤️ 👨🏽‍🚀 🇩🇪', '']) {
      assert.equal(hiddenCount(text), 0, JSON.stringify(text));
      assert.equal(visibleText(text), text);
    }
    assert.equal(hiddenCount('a\u200db'), 1, 'a joiner that joins no pictures');
  });
});

describe('options', () => {
  test('yes before no, once before for ever, else as the agent has them; nothing is left out', () => {
    assert.deepEqual(ids(orderedOptions(OPTIONS)), ['yes', 'yes2', 'odd', 'always', 'no', 'never']);
    assert.deepEqual(ids(OPTIONS).slice(0, 2), ['never', 'no'], 'what was given is left as it was');
  });

  test('a plain yes is never widened, a plain no is a no once where there is one', () => {
    assert.equal(allowOnce(OPTIONS).optionId, 'yes');
    assert.equal(allowOnce(OPTIONS.filter(({ kind }) => kind !== 'allow_once')), null);
    assert.equal(rejection(OPTIONS).optionId, 'no');
    assert.equal(rejection(OPTIONS.filter(({ kind }) => kind !== 'reject_once')).optionId, 'never');
    assert.equal(rejection([]), null);
  });

  test('a name that says the opposite of what the option does is found out', () => {
    const of = (name, kind) => contradiction({ optionId: 'x', name, kind });
    assert.equal(of('Reject', 'allow_once'), 'allows');
    assert.equal(of('No, thanks', 'allow_always'), 'allows for ever');
    assert.equal(of('Just this once', 'allow_always'), 'allows for ever');
    assert.equal(of('Yes', 'reject_once'), 'rejects');
    for (const [name, kind] of [['Allow', 'allow_once'], ['Yes, and do not ask again', 'allow_always'], ['No, and tell it what to do', 'reject_once'], ['Never allow edits', 'reject_always'], ['Weiter', 'allow_once'], ['Always allow `npm test`', 'allow_always']]) {
      assert.equal(of(name, kind), null, name);
    }
  });
});

describe('keys', () => {
  const press = (key, { target = null, shownForMs = ARMED_AFTER_MS, options = OPTIONS, ...fields } = {}) => {
    const none = { ctrlKey: false, altKey: false, metaKey: false, repeat: false, isComposing: false, defaultPrevented: false };
    const found = answerOfKey({ key, ...none, ...fields }, { target, options, shownForMs });
    return found && (found.option?.optionId ?? found.answer);
  };

  test('a allows once, r rejects, digits are the options as they stand', () => {
    assert.equal(press('a'), 'yes');
    assert.equal(press('A'), 'yes');
    assert.equal(press('r'), 'no');
    assert.deepEqual(['1', '4', '6', '7', '0'].map((key) => press(key)), ['yes', 'always', 'never', null, null]);
    assert.equal(press('Enter'), null);
    assert.equal(press('r', { options: [] }), 'reject', 'a no is possible without an option for it');
    assert.equal(press('a', { options: OPTIONS.filter(({ kind }) => kind === 'allow_always') }), null);
  });

  test('no key answers a card that nobody can have read', () => {
    assert.equal(press('a', { shownForMs: ARMED_AFTER_MS - 1 }), null);
    assert.equal(press('1', { shownForMs: 0 }), null);
  });

  test('no key that was typed, held, part of another one, or used already', () => {
    for (const target of [{ tagName: 'TEXTAREA' }, { tagName: 'INPUT', type: 'text' }, { tagName: 'input' }, { tagName: 'SELECT' }, { tagName: 'DIV', isContentEditable: true }]) {
      assert.equal(press('a', { target }), null, JSON.stringify(target));
    }
    for (const fields of [{ ctrlKey: true }, { metaKey: true }, { altKey: true }, { repeat: true }, { isComposing: true }, { defaultPrevented: true }]) {
      assert.equal(press('a', fields), null, JSON.stringify(fields));
    }
    assert.equal(press('a', { target: { tagName: 'BUTTON', closest: () => ({}) } }), null, 'a button of a dialog or a menu');
    assert.equal(press('a', { target: { tagName: 'BUTTON', closest: () => null } }), 'yes');
    assert.equal(takesLetters({ tagName: 'INPUT', type: 'checkbox' }), false);
  });
});

describe('words', () => {
  test('the time that is left', () => {
    assert.deepEqual([null, 0, -3, 42, 60, 185, 3600, 7500, 200_000].map(timeLeft), [
      'No time limit', 'Time is up', 'Time is up', '42 s left', '1:00 left', '3:05 left', '1 h left', '2 h 5 min left', '2 days left',
    ]);
    assert.equal(duration(59), '59 s');
  });

  test('is said aloud at a few marks only', () => {
    assert.equal(warningBetween(null, 30), null);
    assert.equal(warningBetween(31, 30), '30 seconds left to answer.');
    assert.equal(warningBetween(30, 29), null);
    assert.equal(warningBetween(90, 9), '10 seconds left to answer.', 'after a sleep the latest one');
    assert.equal(warningBetween(11, 0), null);
  });

  test('who answered', () => {
    assert.equal(outcomeSentence('allowed', { user: 'ada' }, 'bob'), 'Allowed by ada.');
    assert.equal(outcomeSentence('rejected', { user: 'bob' }, 'bob'), 'Rejected by you (bob), in another window.');
    assert.equal(byWhom({ user: 'local' }, 'local'), 'local, in another window');
    assert.equal(byWhom({ rule: 'r1' }, null), 'a rule');
    assert.equal(byWhom({ policy: 'operator' }, null), "the server's operator");
    assert.equal(byWhom({ policy: 'read-only' }, null), "the session's policy (Read-only)");
    assert.equal(byWhom(undefined, null), 'someone else');
    assert.match(cancelledSentence('turn_cancelled'), /turn was cancelled/);
    assert.equal(cancelledSentence('something_new'), 'It was taken back.');
  });

  test('an answer that did not count: what ended the request is final, the rest may be tried again', () => {
    const failed = (code, fields) => failureOf({ code, message: 'M', outcome: 'refused', nack: null, ...fields }, 'bob');
    const second = failed('already_resolved', { nack: { resolved: { outcome: 'rejected', by: { user: 'ada' }, at: 1 } } });
    assert.deepEqual(second, { words: 'Your answer came second. Rejected by ada.', isOver: true });
    for (const code of ['expired', 'too_late', 'cancelled', 'not_found']) {
      assert.equal(failed(code).isOver, true, code);
    }
    for (const code of ['withdrawn', 'limit_reached', 'forbidden', 'unknown_option']) {
      assert.equal(failed(code).isOver, false, code);
    }
    assert.match(failed('forbidden').words, /M/);
    assert.match(failed('given_up', { outcome: 'unknown' }).words, /not known/);
  });

  test('why a person is asked', () => {
    assert.match(whyAsked('ask', request()), /policy of this session is to ask/);
    assert.match(whyAsked('trust', request({ acpOptions: [OPTIONS[0]] })), /Trust, but the agent offers no yes for just this once/);
  });
});

describe('rules', () => {
  test('labels of the server as sentences, what they quote set apart', () => {
    assert.deepEqual(labelPhrases('always allow `npm test` in this workspace'), ['Always allow ', { code: 'npm test' }, ' in this workspace']);
    assert.deepEqual(labelPhrases('no quotes'), ['No quotes']);
    assert.deepEqual(labelPhrases('`a`'), [{ code: 'a' }]);
    assert.deepEqual(labelPhrases(''), []);
  });

  test('a rule that ends is not called one for ever', () => {
    assert.deepEqual(rememberPhrases('always allow `ls` in this session', 'revoked')[0], 'Always allow ');
    assert.deepEqual(rememberPhrases('always allow `ls` in this session', 'hour'), ['For an hour, allow ', { code: 'ls' }, ' in this session']);
    assert.deepEqual(rememberPhrases('another label', 'week'), ['Another label', ' (for a week)']);
    assert.equal(expiryOf('revoked', 5), null);
    assert.equal(expiryOf('day', 5), 86_400_005);
  });

  test('what a rule matches, and where', () => {
    const rule = { match: 'command', command: 'npm test', label: 'L', expiresAt: null };
    assert.deepEqual(ruleWhat(rule), ['Always allow the command ', { code: 'npm test' }]);
    assert.deepEqual(ruleWhat({ ...rule, expiresAt: 5 })[0], 'Allow the command ');
    const folder = { match: 'path', kind: 'edit', path: 'src', label: 'L', expiresAt: null };
    assert.deepEqual(ruleWhat(folder), ['Always allow to change what is in ', { code: 'src/' }]);
    assert.deepEqual(ruleWhat({ ...folder, path: '.' }), ['Always allow to change anything in the workspace']);
    assert.deepEqual(ruleWhat({ match: 'new', label: 'whatever `x`', expiresAt: null }), ['Whatever ', { code: 'x' }], 'of a newer server: its label');
    assert.deepEqual(ruleWhere({ scope: 'session', user: 'ada' }, 'Fix it'), ['in one session', ': ', { code: 'Fix it' }]);
    assert.deepEqual(ruleWhere({ scope: 'workspace', workspace: '/w', user: 'ada' }, null), ['in every session in ', { code: '/w' }]);
    assert.deepEqual(ruleWhere({ scope: 'user', user: 'ada' }, null), ['in every session of ada, in any workspace']);
    assert.deepEqual(ruleWhere({ scope: 'new', user: 'ada' }, null), ['in the scope new']);
  });

  test('policies, also of a newer server', () => {
    assert.equal(policyOf('read-only').name, 'Read-only');
    assert.equal(policyOf('new').name, 'new');
  });

  test('the audit in words', () => {
    const entry = (fields) => [auditAction({ action: 'decision', ...fields }), auditBy({ ...fields })];
    assert.deepEqual(entry({ outcome: 'allowed', by: 'user', user: 'ada' }), ['Allowed', 'by ada']);
    assert.deepEqual(entry({ outcome: 'allowed', by: 'rule', user: 'ada' }), ['Allowed', 'by a rule of ada']);
    assert.deepEqual(entry({ outcome: 'rejected', by: 'policy', policy: 'operator' }), ['Rejected', "by the server's operator"]);
    assert.deepEqual(entry({ outcome: 'timeout', by: 'timeout' }), ['Ran out', 'nobody answered in time']);
    assert.deepEqual(entry({ outcome: 'cancelled', by: 'cancellation', reason: 'session_closed' }), ['Unanswered', 'the session was closed']);
    assert.deepEqual(entry({ action: 'policy_changed', user: 'ada' }), ['Policy changed', 'by ada']);
    assert.deepEqual(entry({ action: 'new_one' }), ['new_one', '']);
  });
});

describe('what would be changed', () => {
  const diff = { type: 'diff', path: '/w/a', oldText: 'x', newText: 'y' };

  test('is what the tool call shows, else what its input says', () => {
    assert.deepEqual(diffsOf(request({ kind: 'edit' }), { content: [{ type: 'text' }, diff, null] }), [{ path: '/w/a', oldText: 'x', newText: 'y' }]);
    const input = (toolInput, kind = 'edit') => diffsOf(request({ kind, toolInput }), null);
    assert.deepEqual(input({ file_path: '/w/a', old_string: 'x', new_string: 'y' }), [{ path: '/w/a', oldText: 'x', newText: 'y' }]);
    assert.deepEqual(input({ filePath: '/w/a', content: 'all' }), [{ path: '/w/a', oldText: null, newText: 'all' }]);
    assert.deepEqual(input({ file_path: '/w/a', edits: [{ old_string: 'x', new_string: 'y' }, 5] }), [{ path: '/w/a', oldText: 'x', newText: 'y' }]);
    assert.deepEqual(input({ command: 'ls' }), []);
    assert.deepEqual(input({ path: '/w/a', content: 'all' }, 'execute'), [], 'what is no edit says what it does by its command');
    assert.deepEqual(input({ path: 5, content: 'all' }), []);
  });

  test('paths are inside the workspace only where that is sure', () => {
    assert.equal(insideWorkspace('/w/src/a.ts', '/w'), 'src/a.ts');
    assert.equal(insideWorkspace('/w', '/w'), '.');
    assert.equal(insideWorkspace('src/a.ts', '/w'), 'src/a.ts');
    for (const path of ['/etc/passwd', '/w2/a', '/w/../etc', '../a', 'a/../../b']) {
      assert.equal(insideWorkspace(path, '/w'), null, path);
    }
    assert.equal(insideWorkspace('/somewhere', null), '/somewhere', 'it is not known where the workspace is');
  });
});

describe('how a request ended', () => {
  const item = (fields) => ({ kind: 'permission', request: request(), state: 'resolved', ...fields });

  test('by the conversation', () => {
    const ended = (fields) => endedOf(request(), fields && item(fields), 'c1', 'bob');
    assert.deepEqual(
      (({ state, sentence, outcome, isOwn }) => ({ state, sentence, outcome, isOwn }))(ended({ outcome: 'rejected', by: { user: 'ada' }, cause: { clientId: 'c2' } })),
      { state: 'resolved', sentence: 'Rejected by ada.', outcome: 'rejected', isOwn: false },
    );
    assert.equal(ended({ outcome: 'allowed', by: { user: 'bob' }, cause: { clientId: 'c1' } }).isOwn, true);
    assert.equal(ended({ state: 'timeout' }).state, 'expired');
    assert.match(ended({ state: 'cancelled', reason: 'agent_exited' }).sentence, /^The agent ended/);
    assert.equal(ended(null).sentence, 'This is over.');
  });

  test('by the audit', () => {
    const ended = (fields) => endedByAudit(request(), fields, 'c1', 'bob');
    assert.equal(ended({ outcome: 'allowed', by: 'rule', ruleId: 'r1' }).sentence, 'Allowed by a rule.');
    assert.equal(ended({ outcome: 'rejected', by: 'user', user: 'ada', message: 'no' }).message, 'no');
    assert.equal(ended({ outcome: 'allowed', by: 'user', user: 'bob', from: { clientId: 'c1' } }).isOwn, true);
    assert.equal(ended({ outcome: 'timeout' }).state, 'expired');
    assert.equal(ended({ outcome: 'cancelled', reason: 'session_closed' }).state, 'cancelled');
    assert.match(ended(null).sentence, /answered, or is over/);
  });
});

test('what waits, by session, the oldest first', () => {
  const of = (requestId, sessionId) => request({ requestId, sessionId });
  const groups = groupsOf([of('1', 'b'), of('2', 'a'), of('3', 'b')]);
  assert.deepEqual(groups.map(({ sessionId, requests }) => [sessionId, requests.map(({ requestId }) => requestId)]), [['b', ['1', '3']], ['a', ['2']]]);
});

describe('who ended what was listed', () => {
  const many = (from, to) => Array.from({ length: to - from }, (_, at) => request({ requestId: `p${from + at}`, createdAt: 1_000 + from + at }));
  const entry = ({ requestId }) => ({ action: 'decision', requestId, outcome: 'allowed', by: 'rule', ruleId: 'r' });
  const soon = () => new Promise((resolve) => setImmediate(resolve));

  function asked() {
    const questions = [];
    const told = [];
    const asker = auditAsker((query) => new Promise((resolve, reject) => questions.push({ query, resolve, reject })), (ended) => told.push(ended));
    return { asker, questions, told };
  }

  test('one question for all that ended together, and one for all that ended meanwhile', async () => {
    const { asker, questions, told } = asked();
    asker.add([]);
    assert.equal(questions.length, 0);
    asker.add(many(0, 300));
    for (let at = 300; at < 340; at++) {
      asker.add(many(at, at + 1));
    }
    assert.equal(questions.length, 1);
    assert.deepEqual(questions[0].query, { session: 's1', since: 1_000, order: 'desc', limit: 500 });
    questions[0].resolve({ items: [{ action: 'rule_made', requestId: 'p7' }, ...many(0, 299).map(entry), { ...entry({ requestId: 'p7' }), outcome: 'timeout' }] });
    await soon();
    assert.equal(told[0].length, 300);
    assert.equal(told[0][7][1].outcome, 'allowed', 'the newest entry counts');
    assert.equal(told[0][299][1], null, 'it is over all the same');
    assert.equal(questions.length, 2);
    assert.equal(questions[1].query.since, 1_300);
    questions[1].reject(new Error('offline'));
    await soon();
    assert.deepEqual(told[1].map(([{ requestId }, found]) => [requestId, found]), many(300, 340).map(({ requestId }) => [requestId, null]));
    assert.equal(questions.length, 2);
  });

  test('those of several sessions are asked for together, and no more than a page', () => {
    const { asker, questions } = asked();
    asker.add([...many(0, 2_000), request({ requestId: 'x', sessionId: 's2', createdAt: 5 })]);
    assert.equal(questions.length, 1);
    assert.deepEqual(questions[0].query, { session: undefined, since: 5, order: 'desc', limit: 500 });
  });

  test('many are said in one sentence', () => {
    assert.equal(endedInWords([{ sentence: 'Allowed by a rule.' }]), 'Allowed by a rule.');
    assert.equal(endedInWords([{}, {}, {}]), '3 requests are answered, or over.');
  });
});

describe('the call that a request is about, from near the end of its session', () => {
  /** A server with one event a number; `own` are the call's. */
  function server(length, own) {
    const calls = [];
    const at = (seq) => own[seq] ?? { type: 'text_delta', messageId: 'm', offset: seq, delta: 'x' };
    return {
      calls,
      head: length,
      async sessionInfo() {
        return { epoch: 'e', head: this.head };
      },
      async events(_, { after, limit }) {
        const { head } = this;
        const from = Number(after.split(':')[1]);
        calls.push({ from, limit });
        const to = Math.min(head, from + limit);
        const events = [];
        for (let seq = from + 1; seq <= to; seq++) {
          events.push({ seq, ts: seq, ...at(seq) });
        }
        return { epoch: 'e', head, events, ...(to < head && { next: `e:${to}` }) };
      },
    };
  }
  const about = { sessionId: 's1', toolUseId: 't1' };
  const start = { type: 'tool_start', toolUseId: 't1', toolName: 'write', kind: 'edit', toolInput: { path: 'a' } };
  const diff = (newText) => ({ type: 'diff', path: 'a', oldText: null, newText });
  const update = (newText) => ({ type: 'tool_update', toolUseId: 't1', content: [diff(newText)] });

  const near = async (http) => {
    const found = new NearCall(http, about);
    await found.look();
    return found;
  };

  test('one short page has it, whatever the session\'s length', async () => {
    const http = server(5_000, { 4_980: start, 4_985: { ...start, toolUseId: 't2' }, 4_990: update('one'), 4_995: update('two') });
    const { call } = await near(http);
    assert.deepEqual(diffsOf(request({ kind: 'edit' }), call), [{ path: 'a', oldText: null, newText: 'two' }]);
    assert.equal(call.toolName, 'write');
    assert.deepEqual(http.calls, [{ from: 4_960, limit: 40 }]);
  });

  test('one that began long before is looked for further up, and what came later counts', async () => {
    const http = server(5_000, { 4_100: start, 4_990: update('late') });
    const { call } = await near(http);
    assert.equal(diffsOf(request({ kind: 'edit' }), call)[0].newText, 'late');
    assert.equal(call.toolName, 'write');
    assert.ok(http.calls.length <= 4, JSON.stringify(http.calls));
  });

  test('it is not looked for without end', async () => {
    const http = server(1_000_000, { 7: start });
    assert.equal((await near(http)).call, null);
    assert.ok(http.calls.length <= 12);
    assert.equal((await near(server(3, {}))).call, null);
  });

  test('what becomes of it later is read from where it was left', async () => {
    const own = { 90: start, 92: update('one') };
    const http = server(100, own);
    const found = await near(http);
    assert.equal(found.head, 100);
    own[130] = update('two');
    http.head = 640;
    http.calls.length = 0;
    await found.more(640);
    assert.equal(diffsOf(request({ kind: 'edit' }), found.call)[0].newText, 'two');
    assert.deepEqual(http.calls, [{ from: 100, limit: 500 }, { from: 600, limit: 500 }]);
    assert.equal(found.head, 640);
    http.calls.length = 0;
    await found.more(645); // a list that is ahead of what can be read
    assert.deepEqual([found.head, http.calls.length], [645, 1]);
  });
});
