// A tool's output as a terminal would leave it: colours, lines that are written over, and bounds for hostile ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './lib.mjs';

const { parseAnsi, plainOf, readable } = await load('conversation/ansi.ts');

const shown = (text, bounds) => plainOf(parseAnsi(text, bounds));
const spans = (text) => parseAnsi(text).lines.map((line) => line.map((span) => [span.style?.className ?? '', span.text]));

test('text without escapes stays as it is', () => {
  for (const text of ['', 'one', 'one\n', '\n\n', 'a\tb\n  c\n', 'ü 漢 😀\n<b>&amp;</b>']) {
    assert.equal(shown(text), text);
  }
});

test('the sixteen colours, decorations and their end', () => {
  assert.deepEqual(spans('a\x1b[31mred\x1b[0mb'), [[['', 'a'], ['ansi-fg-red', 'red'], ['', 'b']]]);
  assert.deepEqual(spans('\x1b[1;92mx\x1b[22my\x1b[39mz'), [[['ansi-fg-bright-green ansi-bold', 'x'], ['ansi-fg-bright-green', 'y'], ['', 'z']]]);
  assert.deepEqual(spans('\x1b[7;31mx'), [[['ansi-bg-red ansi-reverse', 'x']]]);
  assert.deepEqual(spans('\x1b[32mone\ntwo\x1b[m'), [[['ansi-fg-green', 'one']], [['ansi-fg-green', 'two']]]);
});

test('256 colours and true colour become shades that can be read', () => {
  const [[palette], [low], [full]] = parseAnsi('\x1b[38;5;196ma\n\x1b[38;5;2mb\n\x1b[38;2;255;255;0mc').lines;
  assert.equal(palette.style.fg, '255, 0, 0');
  assert.equal(low.style.className, 'ansi-fg-green');
  assert.equal(full.style.fg, '255, 255, 0');
  assert.notEqual(readable('255, 255, 0').light, 'rgb(255, 255, 0)'); // yellow on white cannot be read
  assert.equal(readable('255, 255, 0').dark, 'rgb(255, 255, 0)');
  assert.equal(readable('10, 10, 10').light, 'rgb(10, 10, 10)');
  assert.notEqual(readable('10, 10, 10').dark, 'rgb(10, 10, 10)');
});

test('a line that is written over is what was written there last', () => {
  assert.equal(shown('10%\r20%\r100%\ndone'), '100%\ndone');
  assert.equal(shown('a\r\nb\r\n'), 'a\nb\n');
  assert.equal(shown('working\r\x1b[Kready'), 'ready');
  assert.equal(shown('gone\x1b[2K\rkept'), 'kept');
  assert.equal(shown('half\r'), 'half'); // nothing was written over it yet
  assert.equal(shown('ab\bc'), 'ac');
  assert.equal(shown('one 1%\ntwo 1%\x1b[1A\rone 2%\ntwo 2%\n'), 'one 2%\ntwo 2%\n');
});

test('other escapes are dropped, also those that are cut or have no end', () => {
  assert.equal(shown('\x1b]0;title\x07a\x1b]8;;http://x.example\x1b\\link\x1b]8;;\x1b\\b'), 'alinkb');
  assert.equal(shown('a\x1b[?25l\x1b[?2004hb\x1b(Bc\x1b='), 'abc');
  assert.equal(shown('a\x1b[38;5'), 'a');
  assert.equal(shown('a\x1b]0;never ends\nb'), 'a\nb');
  assert.equal(shown('a\x1b'), 'a');
  assert.equal(shown('a\0\x07b'), 'ab');
});

test('what turns the direction of text is named', () => {
  assert.equal(shown('rm \u202egnp.sh'), 'rm \\u{202e}gnp.sh');
});

test('of much, the end is shown, and how much is not', () => {
  const { lines, omitted } = parseAnsi('x\n'.repeat(10_000), { maxChars: 1_000, maxLines: 50 });
  assert.equal(lines.length, 50);
  assert.equal(omitted, 20_000 - lines.map((line) => line.map((span) => span.text).join('')).join('\n').length);
});

test('megabytes of escapes cost a bounded number of pieces', () => {
  const hostile = [
    '\x1b[31m\x1b[32m'.repeat(500_000),
    '\x1b[38;2;1;2;3mx\x1b[38;2;3;2;1my'.repeat(100_000),
    '\x1b[1mx\x1b[0my'.repeat(100_000),
    '\x1b['.repeat(2_000_000),
    `\x1b[${'1;'.repeat(2_000_000)}m`,
    `\x1b]${'a'.repeat(4_000_000)}`,
    '\r'.repeat(4_000_000),
    '\n\x1b[1000A'.repeat(500_000),
    '\b'.repeat(4_000_000),
    '\x1b[200C'.repeat(500_000),
  ];
  for (const text of hostile) {
    const { lines } = parseAnsi(text);
    const pieces = lines.reduce((sum, line) => sum + line.length, 0);
    assert.ok(lines.length <= 4_000 && pieces <= 20_001, `${lines.length} lines, ${pieces} pieces`);
  }
});
