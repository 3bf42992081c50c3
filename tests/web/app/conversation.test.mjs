// What agents and people write becomes text, whichever field it comes in: no element, no attribute, no address of its own. And how items
// become rows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './lib.mjs';

const {
  h, renderToString, SignalboxProvider, Markdown, Context, CallStack, PermissionNote, AgentText, Thought, UserMessage, TurnEnd, ErrorNote, UpdateNote, LateOutput,
  ClosedNote, PlanPanel, UsageMeter, DiffView, SplitTable, diffTexts, CodeBlock, AnsiText, rowsOf, NO_ROWS, rowOfItem, pathTo, foldedCalls, callsInWords, safeUrl, titleOf,
  tellingOf, permissionInWords, byInWords, durationInWords, errorInWords, shortNumber, sizeInWords, emptySession, drawRow, options, Fetched,
} = await load(
  'preact', 'preact-render-to-string', 'signalbox-client/preact', 'signalbox-client/state', 'conversation/markdown.tsx', 'conversation/context.tsx',
  'conversation/tool-card.tsx', 'conversation/texts.tsx', 'conversation/notes.tsx', 'conversation/plan-panel.tsx', 'conversation/usage-meter.tsx',
  'conversation/diff-view.tsx', 'conversation/diff.ts', 'conversation/code-block.tsx', 'conversation/ansi-text.tsx', 'conversation/rows.ts', 'conversation/links.ts', 'conversation/words.ts',
  'conversation/conversation.tsx', 'conversation/fetched.ts',
);

globalThis.matchMedia ??= () => ({ matches: true, addEventListener() {}, removeEventListener() {} });

// ---- hostile content ----

const store = (value) => ({ get: () => value, subscribe: () => () => {} });
const client = {
  now: () => 1_700_000_000_000, clientId: 'me', connection: store({ name: 'live' }), outbox: store([]),
  http: { blobUrl: (session, blob) => `/v1/sessions/${encodeURIComponent(session)}/blobs/${encodeURIComponent(blob)}` },
};
const context = { sessionId: 'S"><script>', me: { clientId: 'me', user: 'ada' }, opened: { get: () => true, set() {}, subscribe: () => () => {} } };
const drawn = (node) => renderToString(h(SignalboxProvider, { client }, h(Context.Provider, { value: context }, node)));

const PAYLOADS = [
  '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'onmouseover='alert(1)", '<svg/onload=alert(1)>', '<iframe src="javascript:alert(1)"></iframe>',
  '[x](javascript:alert(1))', '![x](javascript:alert(1))', '![x](https://evil.example/x.png)', '[x](data:text/html,<script>alert(1)</script>)', '<javascript:alert(1)>',
  '[x](  java\nscript:alert(1))', '[x](&#106;avascript:alert(1))', '[x](//evil.example)', '[x](/v1/logout)', '[x](https://ok.example/"onclick="alert(1))',
  '</code></pre><script>alert(1)</script>', '```"><script>\n</code><script>alert(1)</script>\n```', '<style>*{background:url(https://evil.example)}</style>',
  '<a href="javascript:alert(1)">x</a>', '<form action="https://evil.example"><input>', '\x1b]8;;javascript:alert(1)\x07x\x1b]8;;\x07', '\u202e<b>\u200b', '<!-- --><base href="https://evil.example">',
  '|<script>alert(1)</script>|\n|-|\n|"><img src=x onerror=alert(1)>|', '- [x] <script>alert(1)</script>', '{{constructor}}${1}', 'https://evil.example/<script>',
];

const TAGS = new Set(['div', 'span', 'p', 'pre', 'code', 'figure', 'figcaption', 'button', 'article', 'header', 'section', 'svg', 'path', 'circle', 'rect', 'h3', 'h4', 'h5', 'h6',
  'ul', 'ol', 'li', 'blockquote', 'table', 'thead', 'tbody', 'colgroup', 'col', 'tr', 'th', 'td', 'hr', 'br', 'strong', 'em', 's', 'mark', 'time', 'bdi', 'q', 'a', 'input', 'img', 'audio', 'i']);

function check(html, what) {
  for (const [, name, attributes] of html.matchAll(/<([a-zA-Z][^\s/>]*)((?:\s+[^\s=>]+(?:="[^"]*")?)*)\s*\/?>/g)) {
    assert.ok(TAGS.has(name), `${what}: an element <${name}>`);
    for (const [, attribute, value = ''] of attributes.matchAll(/\s([^\s=>]+)(?:="([^"]*)")?/g)) {
      assert.ok(!/^on/i.test(attribute), `${what}: ${attribute}`);
      if (attribute === 'href') {
        assert.match(value, /^(?:https?:\/\/|mailto:|\/v1\/sessions\/[^/"<>]+\/blobs\/[^/"<>]+$)/, `${what}: href ${value}`);
      }
      assert.ok(!['src', 'srcset', 'action', 'srcdoc', 'xlink:href', 'formaction'].includes(attribute), `${what}: ${attribute} ${value}`);
    }
    assert.ok(name !== 'input' || attributes.includes('disabled'), what);
  }
  assert.equal((html.match(/<[a-zA-Z/!]/g) ?? []).length, (html.match(/<\/?[a-zA-Z][^<>]*>/g) ?? []).length, `${what}: something that is no element`);
}

const say = (x) => ({ kind: 'text', key: `text:${x}`, messageId: x, text: x, done: true, intermediate: false, ts: 1 });
const tool = (x, fields = {}) => ({
  kind: 'tool', key: `tool:${x}`, toolUseId: x, toolName: x, toolKind: x, toolInput: { command: x, [x]: x }, toolIntent: x, toolDisplayName: x, title: x, status: x,
  locations: [{ path: x, line: 3 }], content: [{ type: 'diff', path: x, oldText: x, newText: `${x}\n${x}` }, { type: 'content', content: { type: 'text', text: `more ${x}` } },
    { type: x, [x]: x }, { type: 'image', data: x, mimeType: x, uri: x }, { type: 'resource', resource: { uri: x, text: x, mimeType: x } }, { type: 'resource_link', uri: x, name: x, title: x },
    { type: 'audio', data: x, mimeType: x }, x, null],
  rawOutput: { [x]: x }, output: '', result: x, isError: false, done: true, ts: 1, endedAt: 5_000, refs: [{ path: `/rawOutput/${x}`, blob: x, bytes: 10 }], ...fields,
});
const permission = (x, fields = {}) => ({
  kind: 'permission', key: `permission:${x}`, ts: 1, state: 'resolved', outcome: x, optionId: x, by: { user: x }, message: x, reason: x,
  request: { requestId: x, sessionId: x, toolUseId: x, toolName: x, command: x, description: x, acpOptions: [{ optionId: x, name: x, kind: x }] }, ...fields,
});

test('every field of every item becomes text', () => {
  for (const x of PAYLOADS) {
    const call = { item: tool(x), permissions: [permission(x)], parts: [{ kind: 'text', key: 'a', item: say(x) }, { kind: 'call', key: 'b', call: { item: tool(x, { toolKind: 'execute' }), permissions: [], parts: [] } }] };
    const nodes = {
      markdown: h(Markdown, { text: x }), streaming: h(Markdown, { text: x, isDone: false }),
      calls: h(CallStack, { rowKey: x, calls: [call, { item: tool(x, { toolKind: 'read', toolInput: { path: 'a.ts' } }), permissions: [], parts: [] }] }),
      patch: h(CallStack, { rowKey: x, calls: [{ item: tool(x, { result: `--- a/${x.split('\n')[0]}\n+++ b/x\n@@ -1 +1 @@\n-a\n+${x.split('\n')[0]}\n` }), permissions: [], parts: [] }] }),
      permission: h(PermissionNote, { item: permission(x) }), cancelled: h(PermissionNote, { item: permission(x, { state: 'cancelled' }) }),
      thought: h(Thought, { item: { ...say(x), kind: 'thought' } }),
      end: h(TurnEnd, { item: { kind: 'end', key: x, stopReason: x, durationMs: 3, usage: { totalTokens: 5 }, ts: 1 } }),
      error: h(ErrorNote, { item: { kind: 'error', key: x, error: x, code: x, fatal: true, ts: 1 } }),
      update: h(UpdateNote, { item: { kind: 'update', key: x, update: { sessionUpdate: x, [x]: x }, ts: 1 } }),
      image: h(UpdateNote, { item: { kind: 'update', key: x, update: { sessionUpdate: 'agent_message_chunk', content: { type: 'image', data: x, mimeType: x } }, ts: 1 } }),
      late: h(LateOutput, { items: [{ kind: 'update', key: x, update: { data: x }, ts: 1 }] }),
      closed: h(ClosedNote, { item: { kind: 'closed', key: x, by: { user: x }, ts: 1 } }),
      usage: h(UsageMeter, { state: { ...emptySession(x), usage: { used: 1, size: 2, cost: { amount: 1, currency: x } } } }),
      diff: h(DiffView, { path: x, before: x, after: `a${x}` }), split: h(SplitTable, { rows: diffTexts(`${x}\nsame ${x}\nold`, `new${x}\nsame ${x}\n`).rows, onShow: null }), code: h(CodeBlock, { code: x, language: x }), ansi: h(AnsiText, { text: x }),
    };
    nodes.user = h(UserMessage, { item: { kind: 'user', key: x, messageId: x, text: x, status: x, by: { user: x }, cause: { clientId: x }, ts: 1, content: [{ type: 'image', blob: x, mimeType: x, name: x }, { type: x, a: x }] } });
    nodes.text = h(AgentText, { item: say(x) });
    nodes.plan = h(PlanPanel, { state: { ...emptySession(x), plan: { entries: [{ content: x, status: x, priority: x }, { content: x, status: 'completed', priority: 'low' }] } } });
    for (const [name, node] of Object.entries(nodes)) {
      check(drawn(node), `${name} of ${JSON.stringify(x)}`);
    }
  }
});

test('what one decides by shows what could hide something', () => {
  const x = 'rm \u202egnp.sh\u2066\u200b';
  const call = { item: tool(x, { toolKind: 'execute', content: tool(x).content.slice(0, 2), result: 'r' }), permissions: [permission(x)], parts: [] };
  const nodes = [h(CallStack, { rowKey: 'r', calls: [call] }), h(PermissionNote, { item: permission(x) }), h(DiffView, { path: x, before: x, after: 'y' }), h(SplitTable, { rows: diffTexts(x, 'y').rows, onShow: null }), h(CodeBlock, { code: x }), h(Markdown, { text: `\`${x}\`\n\n    ${x}` })];
  for (const node of nodes) {
    const text = drawn(node).replace(/<[^<>]*>/g, '');
    assert.ok(text.includes('rm \\u{202e}gnp.sh\\u{2066}'));
    assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(text), text);
  }
});

test('an entry that cannot be drawn leaves the others readable', (t) => {
  t.mock.method(console, 'error', () => {});
  options.errorBoundaries = true;
  const row = (item) => drawRow({ kind: 'item', key: item.key, item });
  const call = { item: tool('x', { locations: [null], toolInput: {} }), permissions: [], parts: [] };
  for (const node of [row({ ...say('x'), get text() { throw new Error('odd'); } }), drawRow({ kind: 'calls', key: 'c', calls: [call] })]) {
    assert.match(drawn(node), /This entry cannot be shown/);
  }
  assert.doesNotMatch(drawn(row(say('fine'))), /cannot be shown/);
});

test('an update of a title that a person has given is a sentence', () => {
  const update = (fields) => drawn(h(UpdateNote, { item: { kind: 'update', key: 'k', ts: 1, update: { sessionUpdate: 'session_info_update', ...fields } } }));
  assert.match(update({ title: 'Fix <the> bug' }), /The agent calls this session <q[^>]*>Fix &lt;the> bug<\/q>/);
  assert.match(update({ title: 5 }), /session_info_update/);
});

test('links lead to http, https and mailto only, and never into this server', () => {
  for (const href of ['javascript:alert(1)', ' JavaScript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', '/v1/logout', '//evil.example', '#/new', 'blob:https://x/y', 'ws://x', 'http:evil', '', null, {}, 'https://', `https://${'a'.repeat(9_000)}`]) {
    assert.equal(safeUrl(href), null, String(href));
  }
  assert.equal(safeUrl(' https://example.org/a?b#c '), 'https://example.org/a?b#c');
  assert.equal(safeUrl('mailto:ada@example.org'), 'mailto:ada@example.org');
  const html = drawn(h(Markdown, { text: '[a](https://example.org) ![b](https://example.org/b.png) https://example.org/c' }));
  assert.equal((html.match(/<a [^>]*href="https:\/\/example\.org[^"]*"[^>]*target="_blank"[^>]*rel="noopener/g) ?? []).length, 3);
  assert.doesNotMatch(html, /<img/);
});

test('Markdown as it is drawn', () => {
  const html = drawn(h(Markdown, { text: '# T\n\n- [x] **a**\n- b\n\n| h |\n|--:|\n| 1 |\n\n```ts\nlet x\n```\n\na & b &amp; <i>c</i>' }));
  assert.match(html, /<h3 class="markdown__h1">T<\/h3>/);
  assert.match(html, /<input type="checkbox" checked disabled[^>]*\/?>.*<strong>a<\/strong>/);
  assert.match(html, /<td class="markdown__right">1<\/td>/);
  assert.match(html, /data-language="typescript".*let x/);
  assert.match(html, /a &amp; b &amp; &lt;i>c&lt;\/i>/);
});

// ---- rows ----

const user = (id) => ({ kind: 'user', key: `user:${id}`, messageId: id, text: id, by: {}, status: 'accepted', ts: 1 });
const quiet = (id, fields = {}) => ({ ...tool(id), toolKind: 'read', status: 'completed', refs: undefined, ...fields });
const asked = (id, toolUseId, fields = {}) => permission(id, { outcome: 'allowed', request: { ...permission(id).request, toolUseId }, ...fields });
const shape = ({ rows }) => rows.map((row) => (row.kind === 'calls' ? row.calls.map((call) => call.item.toolUseId).join('+') : row.kind === 'late' ? `late ${row.items.length}` : row.item.key));

test('calls that follow each other are one row, with their permissions and sub-agents beneath them', () => {
  const sub = { ...say('s'), parentToolUseId: 'b' };
  const subCall = quiet('c', { parentToolUseId: 'b' });
  const items = [user('1'), say('x'), quiet('a'), asked('p', 'a'), quiet('b'), sub, subCall, asked('q', 'c'), quiet('d'), say('y'), quiet('e'), asked('lone', 'unknown')];
  const rows = rowsOf(items);
  assert.deepEqual(shape(rows), ['user:1', 'text:x', 'a+b+d', 'text:y', 'e', 'permission:lone']);
  const [a, b] = rows.rows[2].calls;
  assert.deepEqual(a.permissions.map((each) => each.key), ['permission:p']);
  assert.deepEqual(b.parts.map((part) => part.key), ['text:s', 'tool:c']);
  assert.deepEqual(b.parts[1].call.permissions.map((each) => each.key), ['permission:q']);
  assert.equal(rowOfItem(rows, 'tool:c'), 2);
  assert.equal(rowOfItem(rows, 'none'), -1);
  for (const item of items) {
    assert.ok(rowOfItem(rows, item.key) >= 0, item.key); // nothing is lost
  }
});

test('rows that have not changed are the same objects, however many there are', () => {
  const items = [];
  for (let turn = 0; turn < 50; turn++) {
    items.push(user(`${turn}`), say(`t${turn}`), quiet(`a${turn}`), quiet(`b${turn}`));
  }
  const before = rowsOf(items);
  const changed = [...items.slice(0, -1), quiet('b49', { result: 'new' }), say('more')];
  const after = rowsOf(changed, before);
  assert.deepEqual(shape(after), shape(rowsOf(changed)));
  for (let at = 0; at < before.rows.length - 1; at++) {
    assert.equal(after.rows[at], before.rows[at]);
  }
  assert.notEqual(after.rows.at(-2), before.rows.at(-1));
  assert.equal(rowsOf(changed, after), after);
});

test('any sequence of changes gives the rows that the whole gives', () => {
  let seed = 3;
  const random = (n) => Math.floor((seed = (seed * 48271) % 2147483647) / 64) % n;
  let items = [];
  let rows = NO_ROWS;
  const ids = [];
  for (let step = 0; step < 1_500; step++) {
    const id = `${step}`;
    const parent = ids.length > 0 && random(4) === 0 ? { parentToolUseId: ids[random(ids.length)] } : {};
    const kind = random(8);
    if (kind === 0) {
      items = [...items, user(id)];
    } else if (kind <= 2) {
      items = [...items, { ...say(id), ...parent }];
    } else if (kind <= 5) {
      ids.push(id);
      items = [...items, quiet(id, parent)];
    } else if (kind === 6 && ids.length > 0) {
      items = [...items, asked(id, ids[random(ids.length)])];
    } else if (items.length > 0) {
      const at = random(items.length);
      items = items.map((item, place) => (place === at ? { ...item, ts: step } : item));
    }
    rows = rowsOf(items, rows);
    if (step % 50 === 0) {
      const whole = rowsOf(items);
      assert.deepEqual(rows.rows, whole.rows);
      assert.deepEqual(rows.starts, whole.starts);
    }
  }
});

test('the end of a session first: what may belong to a row that began before is none of its own; what comes before changes no row', () => {
  const parts = (...ids) => ids.map((id) => quiet(id, { parentToolUseId: 'sub' }));
  const items = [
    user('1'), quiet('a'), quiet('sub'), ...parts('p', 'q'), asked('of', 'a'), quiet('b'), { ...say('part'), parentToolUseId: 'sub' }, say('x'), ...parts('r'), asked('late', 'b'), quiet('c'),
    user('2'), say('y'), ...parts('s'), asked('lone', 'b'), quiet('d'),
  ];
  assert.deepEqual(shape(rowsOf(items)), ['user:1', 'a+sub+b', 'text:x', 'c', 'user:2', 'text:y', 's', 'permission:lone', 'd']);
  assert.deepEqual(shape(rowsOf(items.slice(4), NO_ROWS, true)), ['text:x', 'c', 'user:2', 'text:y', 's', 'permission:lone', 'd']);
  assert.deepEqual(shape(rowsOf(items.slice(-5), NO_ROWS, true)), ['user:2', 'text:y', 's', 'permission:lone', 'd']);
  assert.deepEqual(shape(rowsOf(parts('u', 'v'), NO_ROWS, true)), [], 'nothing that can be shown yet');
  for (let cut = 0; cut <= items.length; cut++) {
    const end = rowsOf(items.slice(cut), NO_ROWS, true);
    const whole = rowsOf(items, end);
    assert.deepEqual(whole.rows, rowsOf(items).rows, `cut before ${cut}`);
    const begin = end.rows.findIndex((row) => row.key.startsWith('user:') || row.key.startsWith('text:'));
    assert.ok(end.rows.slice(Math.max(0, begin)).every((row) => whole.rows.includes(row)), `cut before ${cut}: the same objects`);
    let stepwise = NO_ROWS; // as it grows
    for (let to = cut; to <= items.length; to++) {
      stepwise = rowsOf(items.slice(cut, to), stepwise, true);
    }
    assert.deepEqual(stepwise.rows, end.rows, `cut before ${cut}, step by step`);
  }
});

test('what must be open for an item to be seen', () => {
  const calls = Array.from({ length: 10 }, (_, at) => quiet(`${at}`));
  const inside = [
    { ...say('s'), parentToolUseId: '9' }, { ...say('t'), kind: 'thought', key: 'thought:t', parentToolUseId: '9' }, quiet('deep', { parentToolUseId: '9' }), asked('q', 'deep'),
    { ...say('deeper'), parentToolUseId: 'deep' }, ...Array.from({ length: 60 }, (_, at) => ({ ...say(`more${at}`), parentToolUseId: '9' })),
  ];
  const items = [user('1'), ...calls, asked('p', '1'), ...inside, say('y'), { ...say('z'), kind: 'thought', key: 'thought:z' }];
  const rows = rowsOf(items);
  const way = (key) => pathTo(rows.rows[rowOfItem(rows, key)], key);
  const parts = ['parts:tool:9', 'all:tool:9'];
  assert.deepEqual(way('user:1'), []);
  assert.deepEqual(way('text:y'), []);
  assert.deepEqual(way('thought:z'), ['thought:z']);
  assert.deepEqual(way('tool:1'), ['stack:tool:0', 'tool:1']);
  assert.deepEqual(way('permission:p'), ['stack:tool:0']);
  assert.deepEqual(way('tool:9'), ['tool:9']);
  assert.deepEqual(way('text:s'), parts);
  assert.deepEqual(way('thought:t'), [...parts, 'thought:t']);
  assert.deepEqual(way('permission:q'), parts);
  assert.deepEqual(way('text:deeper'), [...parts, 'parts:tool:deep']);
  assert.deepEqual(way('text:more59'), ['parts:tool:9']);
});

test('many calls that went well are folded, not those that one should see', () => {
  const calls = (list) => list.map((item) => ({ item, permissions: [], parts: [] }));
  const ten = Array.from({ length: 10 }, (_, at) => quiet(`${at}`));
  assert.equal(foldedCalls(calls(ten)), 7);
  assert.equal(foldedCalls(calls(ten.slice(0, 6))), 0);
  assert.equal(foldedCalls(calls([quiet('x', { isError: true }), ...ten])), 0);
  assert.equal(foldedCalls(calls([...ten.slice(0, 4), quiet('x', { isError: true }), ...ten.slice(4)])), 4);
  assert.equal(foldedCalls(ten.map((item) => ({ item, permissions: [asked('p', item.toolUseId, { outcome: 'rejected' })], parts: [] }))), 0);
  assert.equal(callsInWords(calls([quiet('a'), quiet('b'), quiet('c', { toolKind: 'search' })])), '2 read, 1 searched');
});

test('output after a call is over joins', () => {
  const late = (at, data) => ({ kind: 'update', key: `update:${at}`, update: { sessionUpdate: 'late_output', toolUseId: 'a', data }, ts: 1 });
  assert.deepEqual(shape(rowsOf([late(1, 'x'), late(2, 'y'), { kind: 'update', key: 'update:3', update: { sessionUpdate: 'late_output' }, ts: 1 }])), ['late 2', 'update:3']);
});

// ---- words ----

test('a call in words', () => {
  const words = (fields) => titleOf({ ...quiet('t'), toolDisplayName: undefined, title: undefined, locations: undefined, toolInput: {}, ...fields });
  assert.deepEqual(words({ title: '`npm test`', toolName: 'bash', toolInput: { command: 'npm test' } }), { title: 'bash', about: 'npm test', command: 'npm test' });
  assert.deepEqual(words({ title: 'Read a.ts', toolInput: { file_path: '/x/a.ts' } }), { title: 'Read a.ts', about: '/x/a.ts', command: '' });
  assert.deepEqual(words({ title: 'x\ny\u202ez', toolInput: {} }).title, 'x y\\u{202e}z');
  assert.deepEqual(tellingOf({ command: ['ls', '-l'] }), { field: 'command', text: 'ls -l' });
});

test('who it was', () => {
  const me = { clientId: 'me', user: 'ada' };
  assert.equal(byInWords({ user: 'ada' }, me, 'me'), 'you');
  assert.equal(byInWords({ user: 'ada' }, me, 'other'), 'you, elsewhere');
  assert.equal(byInWords({ user: 'bob' }, me, 'other'), 'bob');
  assert.equal(byInWords({ rule: 'r', user: 'bob' }, me), 'a rule');
  assert.equal(byInWords({ policy: 'read-only' }, me), "the session's policy (read-only)");
  const once = permission('p', { outcome: 'allowed', optionId: 'o', by: { user: 'bob' }, request: { ...permission('p').request, acpOptions: [{ optionId: 'o', kind: 'allow_once', name: 'x' }] } });
  assert.deepEqual(permissionInWords(once, me), { verdict: 'Allowed', how: 'once by bob', isGood: true });
  assert.equal(permissionInWords({ ...once, ruleId: 'r' }, me).how, 'and remembered as a rule by bob');
});

test('every error that the server makes has a headline for people', () => {
  const codes = ['agent_error', 'agent_failed', 'agent_exited', 'agent_hangs', 'agent_memory_lost', 'cancel_ignored', 'forbidden', 'internal', 'limit_reached', 'not_found', 'server_restarted',
    'server_stopped', 'setting_lost', 'storage_unavailable', 'unsupported'];
  assert.deepEqual(codes.filter((code) => errorInWords(code).title.includes(code)), []);
  assert.equal(errorInWords('of tomorrow').title, 'Error: of tomorrow');
});

test('numbers in words', () => {
  assert.deepEqual([40, 9_940, 9_960, 59_400, 59_600, 3_599_600, 3_700_000].map(durationInWords), ['0.0 s', '9.9 s', '10 s', '59 s', '1 min', '1 h 0 min', '1 h 1 min']);
  assert.deepEqual([7, 999, 1_000, 12_345, 999_499, 999_500].map(shortNumber), ['7', '999', '1.0k', '12k', '999k', '1.0M']);
  assert.deepEqual([7, 1_500, 2_000_000].map(sizeInWords), ['7 bytes', '1.5 KB', '2.0 MB']);
});

test('what was fetched whole is kept as long as there is room: what was used longest ago goes', () => {
  const fetched = new Fetched(100);
  fetched.set('a', 'A', 40);
  fetched.set('b', 'B', 40);
  assert.equal(fetched.get('a'), 'A');
  fetched.set('c', 'C', 40);
  assert.deepEqual(['a', 'b', 'c'].map((key) => fetched.get(key)), ['A', undefined, 'C']);
  assert.equal(fetched.bytes, 80);
  fetched.set('a', 'A2', 90); // again, larger: it counts once
  assert.deepEqual([fetched.get('a'), fetched.get('c'), fetched.bytes], ['A2', undefined, 90]);
  fetched.set('huge', 'H', 500);
  assert.deepEqual([fetched.get('a'), fetched.get('huge'), fetched.bytes], [undefined, 'H', 500]);
  fetched.set('d', 'D', 1);
  assert.deepEqual([fetched.get('huge'), fetched.get('d'), fetched.bytes], [undefined, 'D', 1]);
});
