// The order of the list of sessions, what is found in it, what unnamed ones are called.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './lib.mjs';

process.env.TZ = 'UTC';
const { groupSessions, isFound, recentWorkspaces, NameBook, firstLine, shownPhase, agentNotes, canStart, firstChoice } =
  await load('sessions/grouping.ts', 'sessions/names.ts', 'sessions/phases.ts', 'sessions/agent-notes.ts');

const now = Date.UTC(2026, 4, 20, 12);
const minutes = (count) => count * 60_000;
const days = (count) => minutes(count * 24 * 60);
let made = 0;
const session = (fields = {}) => ({
  sessionId: `s${++made}`, title: '', agent: 'shell', phase: 'idle', pending: 0, updatedAt: now, createdAt: now, workspace: '/w', policy: 'ask', head: 5,
  createdBy: 'ada', ...fields,
});
const shown = (groups) => groups.map(({ id, sessions }) => [id, ...sessions.map(({ title }) => title)]);

test('what waits is first, then what runs, then the rest by time, closed ones last', () => {
  const groups = groupSessions([
    session({ title: 'closed', phase: 'closed' }),
    session({ title: 'old', updatedAt: now - days(30) }),
    session({ title: 'days ago', updatedAt: now - days(3) }),
    session({ title: 'yesterday', updatedAt: now - days(1) }),
    session({ title: 'failed', phase: 'failed', updatedAt: now - minutes(5) }),
    session({ title: 'asleep', phase: 'stopped', updatedAt: now - minutes(1) }),
    session({ title: 'starting', phase: 'starting', createdAt: now }),
    session({ title: 'running', phase: 'running', createdAt: now - minutes(1) }),
    session({ title: 'asks', phase: 'waiting', pending: 1, oldestPendingAt: now - minutes(1) }),
    session({ title: 'asks longer', phase: 'waiting', pending: 2, oldestPendingAt: now - minutes(9) }),
  ], now);
  assert.deepEqual(shown(groups), [
    ['waiting', 'asks longer', 'asks'], ['running', 'starting', 'running'], ['today', 'asleep', 'failed'],
    ['yesterday', 'yesterday'], ['week', 'days ago'], ['older', 'old'], ['closed', 'closed'],
  ]);
});

test('rows do not change places while their sessions say something', () => {
  const first = session({ title: 'a', phase: 'running', createdAt: 1, updatedAt: now - 3000 });
  const second = session({ title: 'b', phase: 'running', createdAt: 2, updatedAt: now - 2000 });
  const before = shown(groupSessions([first, second], now));
  assert.deepEqual(shown(groupSessions([{ ...first, updatedAt: now }, second], now)), before);
  const [third, fourth] = [session({ title: 'c', updatedAt: now - 20 }), session({ title: 'd', updatedAt: now - 10 })];
  assert.deepEqual(shown(groupSessions([{ ...third, updatedAt: now }, fourth], now)), shown(groupSessions([third, fourth], now)));
});

test('a closed session waits for nobody, and a request counts whatever the phase', () => {
  assert.deepEqual(shown(groupSessions([session({ title: 'x', phase: 'closed', pending: 1 }), session({ title: 'y', phase: 'running', pending: 1 })], now)),
    [['waiting', 'y'], ['closed', 'x']]);
  assert.equal(shownPhase({ phase: 'running', pending: 1 }), 'waiting');
  assert.equal(shownPhase({ phase: 'closed', pending: 1 }), 'closed');
  assert.equal(shownPhase({ phase: 'of tomorrow', pending: 0 }), 'of tomorrow');
});

test('a search wants every word, somewhere, whatever the case and accents', () => {
  const texts = ['Fold the Journal', '/srv/work/Bücher', 'Shell'];
  for (const query of ['', '  ', 'journal', 'JOURNAL fold', 'bucher shell', 'work/b']) {
    assert.ok(isFound(query, texts), query);
  }
  for (const query of ['journals', 'journal python']) {
    assert.ok(!isFound(query, texts), query);
  }
});

test('workspaces by their last use, each once', () => {
  const all = [session({ workspace: '/a', updatedAt: 1 }), session({ workspace: '/b', updatedAt: 3 }), session({ workspace: '/a', updatedAt: 5 }), session({ workspace: '' })];
  assert.deepEqual(recentWorkspaces(all), ['/a', '/b']);
  assert.deepEqual(recentWorkspaces(all, 1), ['/a']);
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

test('an unnamed session is called by its first prompt, asked for once, two at a time', async () => {
  const asked = [];
  const answers = new Map();
  const book = new NameBook((id) => {
    asked.push(id);
    return new Promise((resolve, reject) => answers.set(id, { resolve, reject }));
  });
  for (const sessionId of ['a', 'b', 'c', 'a']) {
    book.want({ sessionId, title: '', head: 9 });
  }
  book.want({ sessionId: 'titled', title: 'T', head: 9 });
  book.want({ sessionId: 'silent', title: '', head: 1 });
  assert.deepEqual(asked, ['a', 'b']);
  let told = 0;
  book.store.subscribe(() => told++);
  answers.get('a').resolve('make it so');
  await settled();
  assert.equal(book.store.get().get('a'), 'make it so');
  assert.equal(told, 1);
  assert.deepEqual(asked, ['a', 'b', 'c']);
  answers.get('b').reject(new Error('away'));
  await settled();
  book.want({ sessionId: 'b', title: '', head: 9 });
  assert.deepEqual(asked, ['a', 'b', 'c', 'b'], 'after a failure it may be asked again');
  answers.get('c').resolve('');
  await settled();
  book.want({ sessionId: 'c', title: '', head: 90 });
  assert.equal(asked.length, 4, 'what says nothing in its first events is not asked again');
});

test('a name is one line', () => {
  assert.equal(firstLine('\n  Fix it \n\nplease'), 'Fix it');
  assert.equal(firstLine('x'.repeat(500)).length, 120);
});

test('what stands in an agent\'s way is said', () => {
  const agent = { name: 'a', title: 'A', available: true, running: 0, waiting: 0, state: 'closed' };
  const texts = (fields) => agentNotes({ ...agent, ...fields }, now, () => '12:05').map(({ kind, text }) => `${kind}: ${text}`);
  assert.deepEqual(texts({}), []);
  assert.deepEqual(texts({ available: false, reason: 'command not found: a' }), ['plain: Not available: command not found: a']);
  assert.deepEqual(texts({ state: 'open', until: now + 1, lastError: { message: 'no key', at: 1 } }),
    ['bad: It failed again and again and is not started before 12:05.', 'bad: Last time: no key']);
  assert.deepEqual(texts({ state: 'open', until: now - 1 }), ['bad: It failed again and again; it is tried once more now.']);
  assert.deepEqual(texts({ lastError: { message: 'The agent needs a login: x', at: 1 } }), ['warn: Last time: The agent needs a login: x']);
  assert.ok(!canStart({ ...agent, state: 'open', until: now + 1 }, now));
  assert.ok(canStart({ ...agent, state: 'open', until: now - 1 }, now));
  assert.equal(firstChoice([{ ...agent, available: false }, { ...agent, name: 'b' }, { ...agent, name: 'c' }], null, now), 'b');
  assert.equal(firstChoice([{ ...agent }, { ...agent, name: 'c' }], 'c', now), 'c');
  assert.equal(firstChoice([{ ...agent, state: 'open', until: now + 1 }, { ...agent, name: 'c', available: false }], 'c', now), 'a');
  assert.equal(firstChoice([], 'c', now), '');
});
