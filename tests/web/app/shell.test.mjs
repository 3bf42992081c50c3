// Where one is, what is said of the connection, what a theme file may do, what is news.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './lib.mjs';

process.env.TZ = 'UTC';
globalThis.location ??= { hash: '' };
const { parseRoute, hrefOf, connectionWords, stopWords, parseTheme, propertiesOf, inkOn, COLOURS, NO_THEME, newsOf, overOf, waitingCount, pageTitle } =
  await load('shell/router.ts', 'shell/connection-words.ts', 'shell/theme-file.ts', 'shell/news.ts');

test('routes', () => {
  for (const [hash, route] of [
    ['', { name: 'home' }], ['#', { name: 'home' }], ['#/', { name: 'home' }],
    ['#/new', { name: 'new' }], ['#/waiting/', { name: 'waiting' }], ['#/rules', { name: 'rules' }], ['#/settings', { name: 'settings' }],
    ['#/s/abc', { name: 'session', sessionId: 'abc' }], ['#/s/a%2Fb%20c', { name: 'session', sessionId: 'a/b c' }],
    ['#/s/abc?item=tool%3Ax%3F', { name: 'session', sessionId: 'abc', item: 'tool:x?' }], ['#/s/abc?item=', { name: 'session', sessionId: 'abc' }], ['#/new?x', { name: 'new' }],
    ['#/s/', { name: 'unknown', hash: '#/s/' }], ['#/s/a/b', { name: 'unknown', hash: '#/s/a/b' }],
    ['#/s/%E0%A4%A', { name: 'unknown', hash: '#/s/%E0%A4%A' }], ['#/nonsense', { name: 'unknown', hash: '#/nonsense' }],
  ]) {
    assert.deepEqual(parseRoute(hash), route, hash);
  }
  for (const route of [{ name: 'home' }, { name: 'new' }, { name: 'waiting' }, { name: 'session', sessionId: 'a/b #?%' }, { name: 'session', sessionId: 's', item: 'text:a&b=?#c' }]) {
    assert.deepEqual(parseRoute(hrefOf(route)), route);
  }
});

test('the connection is called what it is', () => {
  const now = Date.UTC(2026, 4, 20, 14, 5);
  const said = (connection, sync = null) => connectionWords(connection, sync, now);
  assert.equal(said({ name: 'live', since: now }).text, 'Live');
  assert.equal(said({ name: 'live', since: now }, 'live').shown, 'live');
  assert.equal(said({ name: 'live', since: now }, 'catching_up').shown, 'catching-up');
  assert.equal(said({ name: 'live', since: now }, 'waiting').shown, 'catching-up');
  const offline = { name: 'offline', since: now - 60_000, attempt: 2, retryAt: now + 4_200, reason: 'it is away', breaker: 'closed' };
  assert.match(said(offline, 'waiting').text, /^Offline since .*4.* · retrying in 5 s$/);
  assert.equal(said({ ...offline, retryAt: now - 50 }).brief, 'Offline · 0 s');
  assert.match(said({ ...offline, breaker: 'open' }).more, /it is away\. It failed many times/);
  assert.equal(said({ name: 'stopped', since: now, why: 'login', code: 3500, reason: '' }).text, 'Signed out');
  assert.equal(stopWords({ why: 'protocol', reason: '', code: 3503 }).action, 'reload');
  assert.equal(stopWords({ why: 'replaced', reason: '', code: 3504 }).action, 'restart');
  assert.match(stopWords({ why: 'other', reason: '', code: 3777 }).text, /3777/);
});

test('a theme file sets colours by name, for both schemes or for one', () => {
  const theme = parseTheme({ name: ' Acme ', bad: '#c00', light: { text: 'rgb(1, 2, 3)' }, dark: { text: 'hsl(200 50% 90%)', bad: 'salmon' } });
  assert.equal(theme.name, 'Acme');
  assert.deepEqual([...propertiesOf(theme, 'light')], [['--text', 'rgb(1, 2, 3)'], ['--bad', '#c00']]);
  assert.deepEqual([...propertiesOf(theme, 'dark')], [['--text', 'hsl(200 50% 90%)'], ['--bad', 'salmon']]);
});

test('an accent alone brings the colours that go with it', () => {
  const { light, dark } = parseTheme({ accent: '#0a7', dark: { 'accent-soft': '#021' } });
  assert.equal(light.focus, '#0a7');
  assert.match(light['accent-soft'], /^color-mix\(.*#0a7/);
  assert.equal(dark['accent-soft'], '#021');
  assert.equal(inkOn([255, 255, 255]), '#000000');
  assert.equal(inkOn([0, 0, 0]), '#ffffff');
  assert.equal(inkOn([49, 87, 200]), '#ffffff');
  assert.equal(inkOn([140, 171, 255]), '#000000');
});

test('what is no theme is ignored, and takes nothing away', () => {
  for (const json of [null, 7, 'red', [], {}, { light: 'dark', dark: ['x'] }, { font: 'Comic Sans', accents: '#fff' }, JSON.parse('{"__proto__": {"accent": "red"}}')]) {
    assert.deepEqual(parseTheme(json), NO_THEME, JSON.stringify(json));
  }
  for (const value of [
    'url(https://evil.example/x)', 'var(--x)', 'red; background: url(//x)', 'expression(1)', 'inherit', 'transparent', '', '#12', 7, null,
    'color-mix(in srgb, red, blue)', `#${'f'.repeat(200)}`, 'rgb(1,2,3)) x', 'image(red)',
  ]) {
    assert.deepEqual(parseTheme({ accent: value }), NO_THEME, String(value));
  }
  assert.deepEqual(parseTheme({ accent: 'notacolour' }, () => false), NO_THEME, 'what the browser does not know');
  assert.equal(parseTheme({ name: 'x'.repeat(500) }).name.length, 40);
});

test('the colours of a theme file are those of tokens.css', async () => {
  const { readFileSync } = await import('node:fs');
  const css = readFileSync(new URL('../../../web/app/src/ui/tokens.css', import.meta.url), 'utf8');
  const tokens = [...css.matchAll(/--([\w-]+): light-dark\(/g)].map(([, name]) => name);
  assert.deepEqual([...COLOURS].sort(), tokens.sort());
});

const session = (sessionId, phase, pending = 0) => ({ sessionId, phase, pending });
const glance = (sessions, requests = []) => ({
  sessions: new Map(sessions.map((each) => [each.sessionId, each])),
  requests: requests && new Map(requests.map((requestId) => [requestId, { requestId, sessionId: 'a' }])),
});
const kinds = (before, after) => newsOf(before, after).map((news) => `${news.kind} ${news.request?.requestId ?? news.session.sessionId}`);

test('new requests and finished turns are news, each once', () => {
  assert.deepEqual(kinds(glance([]), glance([], ['r'])), ['asks r']);
  assert.deepEqual(kinds(glance([], ['r']), glance([], ['r', 'q'])), ['asks q']);
  assert.deepEqual(kinds(glance([], null), glance([], ['r'])), [], 'what waited before one looked is no news');
  assert.deepEqual(kinds(glance([session('a', 'running')]), glance([session('a', 'idle')])), ['finished a']);
  assert.deepEqual(kinds(glance([session('a', 'waiting', 1)]), glance([session('a', 'failed')])), ['failed a']);
  for (const phase of ['running', 'waiting', 'closed', 'stopped', 'starting']) {
    assert.deepEqual(kinds(glance([session('a', 'running')]), glance([session('a', phase)])), [], phase);
  }
  assert.deepEqual(kinds(glance([session('a', 'idle')]), glance([session('a', 'idle')])), []);
  assert.deepEqual(kinds(glance([]), glance([session('a', 'idle')])), [], 'a session that was not known');
  assert.deepEqual(kinds(glance([session('a', 'running')]), glance([session('a', 'idle', 1)])), [], 'something waits: that is said instead');
});

test('what is over is known', () => {
  assert.deepEqual(overOf(glance([], ['r', 'q']), glance([], ['q'])), ['r']);
  assert.deepEqual(overOf(glance([], ['r']), glance([], null)), []);
});

test('the title counts requests that wait', () => {
  const { requests } = glance([], ['r', 'q']);
  requests.set('p', { requestId: 'p', sessionId: 'b' });
  assert.equal(waitingCount(requests), 3);
  assert.equal(waitingCount(requests, 'a'), 1);
  assert.equal(pageTitle(2, 'Fix it', 'Signalbox'), '(2) Fix it · Signalbox');
  assert.equal(pageTitle(0, '', 'Acme'), 'Acme');
});
