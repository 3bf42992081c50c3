// What people decide by is shown as it is.
import assert from "node:assert/strict";
import test from "node:test";
import { plainToSee } from "../../web/text.js";

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
});
