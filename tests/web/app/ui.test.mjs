// Times, texts, paths and keys.
import assert from 'node:assert/strict';
import test from 'node:test';
import { load } from './lib.mjs';

process.env.TZ = 'Europe/Berlin';
const { ago, span, clock, daysBetween, plainToSee, visibleText, onOneLine, baseName, count, tidy, isUnder, typedPath, joined, KeySequence } =
  await load('ui/time.ts', 'ui/text.ts', 'ui/visible.ts', 'sessions/paths.ts', 'ui/hotkeys.ts');

test('how long ago', () => {
  const now = new Date(2026, 4, 20, 12).getTime();
  const at = (...date) => new Date(...date).getTime();
  for (const [time, said] of [
    [now + 5_000, 'now'], [now - 59_000, 'now'], [now - 60_000, '1 min'], [now - 59 * 60_000, '59 min'], [at(2026, 4, 20, 0, 1), '11 h'],
    [at(2026, 4, 19, 23, 59), 'yesterday'], [at(2026, 4, 19, 0, 1), 'yesterday'], [at(2026, 4, 18, 23), '18 May'], [at(2025, 11, 31), '31 Dec 2025'],
  ]) {
    assert.equal(ago(time, now, 'en-GB'), said, new Date(time).toISOString());
  }
  const night = at(2026, 4, 20, 1);
  assert.equal(ago(night - 3 * 3_600_000, night, 'en-GB'), '3 h', 'shortly after midnight');
});

test('days are those of the calendar, over a change of the clocks', () => {
  const at = (...date) => new Date(...date).getTime();
  assert.equal(daysBetween(at(2026, 2, 28, 23, 59), at(2026, 2, 29, 0, 1)), 1);
  assert.equal(daysBetween(at(2026, 2, 28, 12), at(2026, 2, 30, 12)), 2, 'one of them had 23 hours');
  assert.equal(daysBetween(at(2026, 9, 24, 12), at(2026, 9, 26, 12)), 2, 'one of them had 25 hours');
});

test('how long', () => {
  for (const [ms, said] of [[-5, '0 s'], [999, '0 s'], [59_999, '59 s'], [60_000, '1 min'], [3_600_000, '1 h'], [3_660_000, '1 h 1 min'], [90_000_000, '1 d']]) {
    assert.equal(span(ms), said);
  }
});

test('a time of another day has its day', () => {
  const now = new Date(2026, 4, 20, 12).getTime();
  assert.equal(clock(now, now, 'en-GB'), '12:00');
  assert.equal(clock(now - 86_400_000, now, 'en-GB'), '19 May, 12:00');
});

test('what cannot be seen is the same everywhere; other blanks are hidden only in what is run', () => {
  const blanks = [0xa0, 0x1680, 0x202f, 0x205f, 0x2800, 0x3000, ...Array.from({ length: 11 }, (_, at) => 0x2000 + at)];
  let hidden = 0;
  for (let code = 0; code <= 0x10ffff; code++) {
    const text = String.fromCodePoint(code);
    const isRun = visibleText(text) !== text;
    const isSeen = plainToSee(text) !== text;
    assert.equal(isRun && !isSeen, blanks.includes(code), code.toString(16));
    assert.ok(isRun || !isSeen, code.toString(16));
    hidden += isSeen ? 1 : 0;
  }
  assert.ok(hidden > 2_500, 'halves of surrogates, tags, controls');
  for (const text of ['👩\u200d💻 ❤️', 'Prix\u00a0: 12\u202f€', '全角\u3000空白']) {
    assert.equal(plainToSee(text), text);
  }
  assert.equal(plainToSee('a\u200db \u2067c'), 'a\\u{200d}b \\u{2067}c');
});

test('what is hidden in a text is shown', () => {
  for (const [text, shown] of [
    ['npm test', 'npm test'],
    ['a\n\tb', 'a\n\tb'],
    ['B\u00fccher \u4e66 \u{1f600}', 'B\u00fccher \u4e66 \u{1f600}'],
    ['rm \u202egpj.a', 'rm \\u{202e}gpj.a'],
    ['a\u200bb\u2066c\ufeff', 'a\\u{200b}b\\u{2066}c\\u{feff}'],
    ['x\rsafe\x1b[2K', 'x\\u{d}safe\\u{1b}[2K'],
    ['\u{e0041}', '\\u{e0041}'],
  ]) {
    assert.equal(plainToSee(text), shown);
  }
  assert.equal(onOneLine('  a\n  b\tc\r\nd \u202e '), 'a b c d \\u{202e}');
  assert.equal(count(1, 'answer'), '1 answer');
  assert.equal(count(0, 'answer'), '0 answers');
});

test('paths', () => {
  assert.equal(baseName('/srv/work/'), 'work');
  assert.equal(baseName('/'), '/');
  assert.equal(tidy(' /srv//work/ '), '/srv/work');
  assert.equal(tidy('/'), '/');
  for (const [path, isIn] of [['/srv', true], ['/srv/', true], ['/srv/a', true], ['/srvx', false], ['/', false], ['', false]]) {
    assert.equal(isUnder(path, ['/home/x', '/srv/']), isIn, path);
  }
  assert.ok(isUnder('/a', ['/']));
  assert.deepEqual(typedPath('/srv/wo'), { folder: '/srv', begin: 'wo' });
  assert.deepEqual(typedPath('/srv/'), { folder: '/srv', begin: '' });
  assert.deepEqual(typedPath('/sr'), { folder: '/', begin: 'sr' });
  assert.deepEqual(typedPath('wo'), { folder: '', begin: 'wo' });
  assert.equal(joined('/', 'a'), '/a');
  assert.equal(joined('/srv', 'a'), '/srv/a');
});

test('keys, single and two in a row', () => {
  const sequence = new KeySequence(() => ['j', 'g w', 'g r', '?']);
  const press = (key, at, held = {}) => sequence.press({ key, ctrlKey: false, metaKey: false, altKey: false, ...held }, at);
  assert.equal(press('j', 0), 'j');
  assert.equal(press('x', 0), null);
  assert.equal(press('g', 0), null);
  assert.equal(press('w', 1_000), 'g w');
  assert.equal(press('w', 1_001), null, 'only once');
  assert.equal(press('g', 2_000), null);
  assert.equal(press('r', 4_000), null, 'too late');
  assert.equal(press('g', 5_000), null);
  assert.equal(press('j', 5_100), 'j', 'another key is itself');
  assert.equal(press('g', 6_000), null);
  assert.equal(press('g', 6_100), null);
  assert.equal(press('w', 6_200), 'g w', 'the second one counts');
  assert.equal(press('?', 7_000, { ctrlKey: true }), null, 'those with Ctrl are the browser\'s');
  assert.equal(press('?', 7_000), '?');
});
