// The rows of a diff say exactly what is taken out and what is put in; huge and hostile pairs cost a bounded amount of work.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './lib.mjs';

const { diffTexts, diffOfPatch, sideBySide } = await load('conversation/diff.ts');

const textOf = (row) => row.marks.map((mark) => mark.text).join('');
const sides = ({ rows }) => ({
  before: rows.filter((row) => row.kind !== 'added').map(textOf),
  after: rows.filter((row) => row.kind !== 'removed').map(textOf),
});
const drawn = ({ rows }) => rows.map((row) => (row.kind === 'gap' ? `… ${row.hidden ?? ''}` : `${{ same: ' ', added: '+', removed: '-' }[row.kind]}${textOf(row)}`));
const lines = (text) => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

test('both texts can be read from the rows', () => {
  const pairs = [['', 'a\nb\n'], ['a\nb\n', ''], ['a\nb', 'a\nb\n'], ['a\nb\nc\n', 'a\nx\nc\n'], ['', ''], ['\n\n', '\n'], ['a', 'b'], ['a\r\nb\r\n', 'a\nb\n']];
  let seed = 7;
  const random = (n) => Math.floor((seed = (seed * 48271) % 2147483647) / 64) % n;
  for (let i = 0; i < 200; i++) {
    const text = () => Array.from({ length: random(12) }, () => 'abc'[random(3)]).join('\n');
    pairs.push([text(), text()]);
  }
  for (const [before, after] of pairs) {
    const result = diffTexts(before, after, Infinity);
    assert.equal(result.isPlain, false);
    assert.deepEqual(sides(result), { before: lines(before), after: lines(after) });
    const pairs = sideBySide(result.rows);
    assert.deepEqual(pairs.map(({ left }) => left).filter(Boolean).map(textOf), lines(before));
    assert.deepEqual(pairs.map(({ right }) => right).filter(Boolean).map(textOf), lines(after));
  }
});

test('of two texts that were cut nothing is said to be gone that may stand behind the cut', () => {
  const text = (more) => Array.from({ length: 40 }, (_, at) => `line ${at}${at % 9 === 1 ? more : ''}`).join('\n');
  const [before, after] = [text('').slice(0, 200), text(' and so much more').slice(0, 200)];
  assert.ok(diffTexts(before, after).removed > 3, 'or so it seems');
  const { rows, added, removed } = diffTexts(before, after, Infinity, true);
  assert.equal(rows.at(-1).kind, 'same');
  assert.deepEqual([added, removed], [2, 2]);
  assert.deepEqual(diffTexts('a\nb', 'c\nd', 3, true), diffTexts('a\nb', 'c\nd'), 'where they have nothing in common all is shown');
});

test('unchanged lines far from a change are one gap, and numbers go on behind it', () => {
  const before = Array.from({ length: 20 }, (_, at) => `line ${at + 1}`).join('\n');
  const result = diffTexts(before, before.replace('line 10', 'line ten'));
  assert.deepEqual(drawn(result), ['… 6', ' line 7', ' line 8', ' line 9', '-line 10', '+line ten', ' line 11', ' line 12', ' line 13', '… 7']);
  assert.deepEqual([result.added, result.removed], [1, 1]);
  assert.deepEqual(result.rows.find((row) => textOf(row) === 'line 11'), { kind: 'same', before: 11, after: 11, marks: [{ text: 'line 11', isMarked: false }] });
});

test('side by side, the first line out stands beside the first in, and what is left stands alone', () => {
  const result = diffTexts('a\nb\nc\nx\n', 'a\nB\nx\ny\nz\n', Infinity);
  const said = sideBySide(result.rows).map(({ gap, left, right }) => (gap ? '…' : `${left ? `${left.before}${textOf(left)}` : '-'}|${right ? `${right.after}${textOf(right)}` : '-'}`));
  assert.deepEqual(said, ['1a|1a', '2b|2B', '3c|-', '4x|3x', '-|4y', '-|5z']);
  const before = Array.from({ length: 20 }, (_, at) => `line ${at + 1}`).join('\n');
  const folded = sideBySide(diffTexts(before, before.replace('line 10', 'line ten')).rows);
  assert.deepEqual(folded.map(({ gap, left, right }) => (gap ? `…${gap.hidden}` : textOf(left) === textOf(right))), ['…6', true, true, true, false, true, true, true, '…7']);
  assert.deepEqual(sideBySide([]), []);
});

test('the words that differ are marked', () => {
  const { rows } = diffTexts('const port = 8080;\n', 'const port = 9090;\n');
  assert.deepEqual(rows.map((row) => row.marks.filter((mark) => mark.isMarked).map((mark) => mark.text)), [['8080'], ['9090']]);
});

test('a unified patch', () => {
  const patch = 'diff --git a/x.c b/x.c\n--- a/x.c\n+++ b/x.c\n@@ -3,3 +3,3 @@ int main\n a\n-b\n+c\n d\n';
  const [file] = diffOfPatch(patch);
  assert.equal(file.path, 'x.c');
  assert.deepEqual(drawn(file.result), ['… ', ' a', '-b', '+c', ' d']);
  assert.equal(diffOfPatch('no patch\n- at all'), null);
  assert.equal(diffOfPatch('@@ -1 +1 @@\nbroken @@ -x'), null);
});

test('huge pairs fall back to all out, all in', () => {
  const many = (word, count) => Array.from({ length: count }, (_, at) => `${word} ${at}`).join('\n');
  for (const [before, after] of [[many('a', 20_000), many('b', 20_000)], ['x'.repeat(1_500_000), 'y'.repeat(1_500_000)]]) {
    const result = diffTexts(before, after);
    assert.equal(result.isPlain, true);
    assert.deepEqual(sides(result), { before: lines(before), after: lines(after) });
  }
  // One line of a megabyte against another: lines are compared, words are not.
  const { rows } = diffTexts('x '.repeat(400_000), 'y '.repeat(400_000));
  assert.deepEqual(rows.map((row) => row.marks.length), [1, 1]);
});
