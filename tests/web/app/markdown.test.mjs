// Markdown that streams: any prefix can be shown, the end is what the whole would be, what is finished is not touched again, and hostile
// texts cost a bounded amount of work and become no more than text.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { load, root } from './lib.mjs';

const { MarkdownStream, parseMarkdown, calm } = await load('conversation/markdown-stream.ts');

const SAMPLES = {
  everything: `# Title

A paragraph with **bold**, *italic*, ***both***, \`code\`, ~~gone~~, [a link](https://example.org "title"), ![image](https://example.org/a.png)
and a second line. https://example.org/auto

Setext
======

- one
- two
  continued

  a paragraph of two
- [ ] open
- [x] done
  1. nested
  2. again

3. three
4. four

> quoted **text**
> - with a list

| a | b |
|---|--:|
| 1 | \`x|y\` |
| **2** | 3 |

\`\`\`ts
const x = "\`\`";

// **not bold**
\`\`\`

    indented code

***

<details><summary>html</summary>

inside

</details>

Text with [reference][r] and &amp; &#169; \\* escapes.

[r]: https://example.org/r
`,
  unfinished: 'Text with **bold and `code and [link](http://x and\n\n```js\nopen fence\n\nno end',
  nested: '- a\n\n  ```\n  code\n  ```\n\n- b\n  > q\n  >\n  > ```sh\n  > x\n  > ```\n\n1. x\n\n   y\n2. z\n\ntext',
  html: '<!-- comment\n\nover blocks -->\n\n<script>\nalert(1)\n\n</script>\n\n<div>\n\ntext\n\n</div>\n<b>inline</b>',
  windows: 'a\r\nb\r\n\r\n- c\r\n- d\r\n\r\n```\r\nx\r\n```\r\n',
  readme: readFileSync(path.join(root, 'README.md'), 'utf8'),
  protocol: readFileSync(path.join(root, 'docs/protocol.md'), 'utf8').slice(0, 20_000),
};

const plainTokens = (blocks) => blocks.map(({ node, source }) => ({ node, source }));
let seed = 1;
const random = (n) => Math.floor((seed = (seed * 48271) % 2147483647) / 64) % n;

for (const [name, text] of Object.entries(SAMPLES)) {
  test(`${name}: streamed in pieces it ends as the whole`, () => {
    const whole = plainTokens(parseMarkdown(text));
    for (const most of name === 'protocol' || name === 'readme' ? [60] : [1, 7, 60]) {
      const stream = new MarkdownStream();
      for (let at = 0; at < text.length;) {
        at = Math.min(text.length, at + 1 + random(most));
        const blocks = stream.update(text.slice(0, at), false);
        const keys = blocks.map((block) => block.key);
        assert.equal(new Set(keys).size, keys.length);
        assert.ok(keys.every((key, place) => place === 0 || key > keys[place - 1]));
      }
      assert.deepEqual(plainTokens(stream.update(text, true)), whole);
    }
  });
}

const many = (n, line) => Array.from({ length: n }, (_, i) => line(i)).join('');
const LONG = {
  table: `before\n\n| a | b |\n|---|--:|\n${many(1_000, (i) => `| row ${i} | **bold** \`${i}\` and words |\n`)}\nbehind`,
  'table without bars': `a | b\n---|---\n${many(400, (i) => `${i} | x\n`)}`,
  list: `${many(1_000, (i) => `- item ${i} with **bold** and \`code\`\n`)}\nbehind`,
  'loose list': many(300, (i) => `* item ${i}\n\n  more\n\n  - inner\n\n`),
  'numbered list': many(500, (i) => `${i + 7}. item\n   goes on\n`),
  'numbered by ones': many(300, () => '1. item\n'),
  'one item': `- a\n${many(3_000, (i) => `  - inner ${i}, and some words more to make it long\n`)}\nbehind`,
  quote: `${many(3_000, (i) => `> - ${i} quoted words, a line of them, **bold**\n`)}\nbehind`,
  code: `\`\`\`ts\n${many(6_000, (i) => `const x${i} = "*";\n`)}\`\`\`\n\nbehind`,
  links: `[first][x]\n\n${many(300, (i) => `- [item][${i}]\n`)}\n${many(300, (i) => `[${i}]: https://example.org/${i}\n`)}\n[x]: https://example.org/x\n`,
};
for (const [name, text] of Object.entries(LONG)) {
  test(`long, ${name}: parsed and drawn in parts, whatever it comes in`, () => {
    const whole = parseMarkdown(text);
    const stream = new MarkdownStream();
    for (let at = 0; at < text.length;) {
      at = Math.min(text.length, at + 1 + random(2_000));
      stream.update(text.slice(0, at), false);
    }
    const blocks = stream.update(text, true);
    const sources = blocks.map(({ source }) => source);
    assert.ok(sources.every((source) => text.includes(source)) && sources.join('').replace(/\s/g, '').length >= text.replace(/\s|\[\w+\]: \S+/g, '').length, 'nothing is missing');
    assert.deepEqual(plainTokens(blocks), plainTokens(whole));
    if (/behind$/.test(text)) {
      assert.equal(blocks.at(-1).node.type, 'paragraph', 'what stands behind it is what it is');
    }
  });
}

test('what a delta costs has a bound, however long the list, the table, the quote is that grows', () => {
  for (const name of ['table', 'list', 'one item', 'quote']) {
    const text = LONG[name].replace(/\n\nbehind$/, '\n');
    const stream = new MarkdownStream();
    stream.update(text, false);
    const before = new Set(stream.update(`${text.slice(0, -1)} more`, false));
    const fresh = stream.update(`${text.slice(0, -1)} more words`, false).filter((block) => !before.has(block));
    assert.ok(fresh.length > 0 && fresh.reduce((sum, { source }) => sum + source.length, 0) < (['table', 'list'].includes(name) ? 10_000 : 60_000), name);
  }
});

test('parts of a list go on with their numbers, parts of a table have its head', () => {
  const starts = (text) => parseMarkdown(text).filter(({ node }) => node.type === 'ordered_list').map(({ node }) => Number(node.attrs.start ?? 1));
  assert.deepEqual(starts(LONG['numbered by ones']), [1, 81, 161, 241]);
  assert.deepEqual(starts(LONG['numbered list']).slice(0, 3), [7, 87, 167]);
  const tables = parseMarkdown(LONG.table).filter(({ node }) => node.type === 'table');
  assert.ok(tables.length > 10);
  assert.ok(tables.every(({ node }) => node.children.map(({ type }) => type).join() === 'thead,tbody'));
  assert.equal(tables.reduce((sum, { node }) => sum + node.children[1].children.length, 0), 1_000);
});

test('texts out of nothing but marks', () => {
  const marks = ['*', '**', '_', '`', '```', '~~', '[', ']', '(', ')', '![', '|', '-', '\n', '\n\n', ' ', 'a', '#', '>', '1.', '<', '<b>', '&', '\\', '    ', '---', '[a]: b\n', '- ', '|-|'];
  for (let round = 0; round < 400; round++) {
    const text = Array.from({ length: 40 }, () => marks[random(marks.length)]).join('');
    const stream = new MarkdownStream();
    for (let at = 1; at < text.length; at += 1 + random(4)) {
      stream.update(text.slice(0, at), false);
    }
    assert.deepEqual(plainTokens(stream.update(text, true)), plainTokens(parseMarkdown(text)), JSON.stringify(text));
  }
});

test('what is finished is not parsed, and not drawn, again', () => {
  const paragraph = (at) => `Paragraph ${at} with **bold** and \`code\`.\n\n`;
  const stream = new MarkdownStream();
  let text = '';
  for (let at = 0; at < 50; at++) {
    text += paragraph(at);
  }
  const before = stream.update(text, false);
  const after = stream.update(`${text}More`, false);
  assert.equal(after.length, 51);
  for (let at = 0; at < 48; at++) {
    assert.equal(after[at], before[at]);
  }
});

test('another text in its place is parsed anew', () => {
  const stream = new MarkdownStream();
  stream.update('one\n\ntwo\n\nthree\n\nfour\n\nfive', false);
  assert.deepEqual(plainTokens(stream.update('six', true)), plainTokens(parseMarkdown('six')));
});

test('what is not finished is shown calmly', () => {
  const types = (text) => new MarkdownStream().update(text, false).map(({ node }) => node.type);
  const said = (node) => node.content + node.children.map(said).join('');
  const inlines = (text) => new MarkdownStream().update(text, false).at(-1).node.children[0].children.map((node) => `${node.type}:${said(node)}`).filter((each) => each !== 'text:');
  assert.deepEqual(inlines('a **bo'), ['text:a ', 'strong:bo']);
  assert.deepEqual(inlines('a **bo*'), ['text:a ', 'strong:bo']);
  assert.deepEqual(inlines('a **'), ['text:a']);
  assert.deepEqual(inlines('a *it'), ['text:a ', 'em:it']);
  assert.deepEqual(inlines('a `co'), ['text:a ', 'code_inline:co']);
  assert.deepEqual(inlines('a `'), ['text:a']);
  assert.deepEqual(inlines('a [link](htt'), ['text:a link']);
  assert.deepEqual(inlines('a ![image](htt'), ['text:a']);
  assert.deepEqual(inlines('2 * 3 * 4'), ['text:2 * 3 * 4']);
  assert.deepEqual(inlines('`a ** b` c'), ['code_inline:a ** b', 'text: c']);
  assert.deepEqual(types('Title\n-'), ['paragraph']); // not a heading that becomes a list
  assert.deepEqual(types('Text\n\n``'), ['paragraph']);
  assert.deepEqual(types('```js\ncode'), ['fence']);
  assert.equal(new MarkdownStream().update('```js\ncode\n``', false)[0].node.content, 'code');
  assert.deepEqual(types('| a | b |'), ['table']);
  assert.deepEqual(types('| a | b |\n|--'), ['table']);
  assert.deepEqual(types('| a | b |\n|---|---|\n| 1'), ['table']);
  assert.equal(calm('plain text.'), 'plain text.');
});

test('hostile texts: bounded, and no exception', () => {
  const hostile = [
    '>'.repeat(20_000), '- '.repeat(20_000), '['.repeat(50_000), '*a'.repeat(50_000), '`'.repeat(50_001), '**'.repeat(30_000), '![](' .repeat(20_000),
    `${'a'.repeat(200_000)}`, '|a'.repeat(20_000), `|a|\n|-|\n${'|x'.repeat(50_000)}`, '<'.repeat(50_000), '&#'.repeat(50_000), '\\'.repeat(100_000), '_'.repeat(50_000),
    '[a](<'.repeat(10_000), '~'.repeat(50_000), `${' '.repeat(50_000)}x`, '\n'.repeat(100_000), '1. '.repeat(10_000), '\t- a\n'.repeat(5_000), '<a '.repeat(20_000),
    'http://'.repeat(10_000), 'a@'.repeat(20_000), '[x]: <'.repeat(5_000), `[${'\\['.repeat(10_000)}`,
  ];
  for (const text of hostile) {
    for (const isDone of [false, true]) {
      const blocks = new MarkdownStream().update(text, isDone);
      assert.ok(blocks.length <= text.length);
    }
  }
});
