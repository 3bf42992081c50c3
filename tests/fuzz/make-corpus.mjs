// Writes the seeds (corpus/*/seed-*) and the dictionaries (*.dict) anew: from the schema that the program prints, from the
// recorded sessions, and from the words in the sources. Inputs of other names are findings that were fixed; they stay.
//     node tests/fuzz/make-corpus.mjs [PROGRAM]      PROGRAM: build/release/signalbox
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '../..');
const program = process.argv[2] ?? path.join(root, 'build/release/signalbox');
const read = (file) => readFileSync(path.join(root, file), 'utf8');
const schema = JSON.parse(execFileSync(program, ['schema'], { encoding: 'utf8' })).$defs;

const corpus = {};
/** Lines, each with a newline; or bytes as they are. */
const seed = (target, name, ...lines) => ((corpus[target] ??= {})[name] = Buffer.isBuffer(lines[0]) ? lines[0] : lines);

// ---- What clients send ----

const resolve = (part) => (part.$ref ? resolve(schema[part.$ref.slice('#/$defs/'.length)]) : part);
/** A value that this part of a schema allows; the n-th word of an enumeration. */
function example(part, name, n = 0) {
  const is = resolve(part);
  if (is.const !== undefined) return is.const;
  const words = is.enum ?? is.anyOf?.find((each) => each.enum)?.enum;
  if (words) return words[n % words.length];
  if (is.type === 'object') {
    return Object.fromEntries(Object.entries(is.properties ?? {}).map(([key, value]) => [key, example(value, key, n)]));
  }
  if (is.type === 'array') return is.items ? [example(is.items, name, n)] : [];
  if (is.type === 'boolean') return n % 2 === 0;
  if (is.type === 'integer' || is.type === 'number') return (is.minimum ?? 0) + n;
  return { requestId: 'p-s1-1-1', sessionId: 's1', messageId: 'u-4', optionId: 'yes' }[name] ?? `${name} ${n}`;
}
const PROMPTS = [
  [{ type: 'text', text: 'one' }, { type: 'image', data: 'aGk=', mimeType: 'image/png' }, { type: 'text', text: 'zwei \u00e4\u{1f600}' }],
  [{ type: 'resource_link', uri: 'file:///w/a.txt', name: 'a.txt' }, { type: 'resource', resource: { uri: 'x:y', text: 't' } }],
];
function command(name, n, required = false) {
  const shape = schema[`client.${name}`];
  const message = example(shape, name, n);
  if (message.content) message.content = PROMPTS[n % PROMPTS.length];
  if (name === 'permission_response' && n !== 1) delete message.updatedInput;
  if (required) {
    const kept = ['type', ...(shape.required ?? [])];
    Object.keys(message).filter((key) => !kept.includes(key)).forEach((key) => delete message[key]);
    if (name === 'prompt') message.text = 'hello';
  }
  return JSON.stringify(message);
}
const commands = Object.keys(schema).filter((key) => key.startsWith('client.')).map((key) => key.slice('client.'.length));
const prompt = (text, id = text) => JSON.stringify({ type: 'prompt', id, sessionId: 's1', text });
const answer = (n, more) => JSON.stringify({ type: 'permission_response', requestId: `p-s1-1-${n}`, ...more });
const plain = (type, more) => JSON.stringify({ type, sessionId: 's1', ...more });
for (const name of commands) {
  // Whole, with other words, only what must be there; then each member of a wrong type, and none of them.
  const whole = JSON.parse(command(name, 0));
  const wrong = Object.keys(whole).map((key) => JSON.stringify({ ...whole, [key]: typeof whole[key] === 'string' ? 7 : 'x' }));
  seed('client_messages', `command-${name}`, '>ready', '>ask', command(name, 0), command(name, 1), command(name, 2), command(name, 0, true),
    ...wrong, JSON.stringify({ type: name, id: '' }), JSON.stringify({ type: name }));
}
seed('client_messages', 'no-command', '', '[]', '7', 'null', '{}', '{"type":null}', '{"type":"make_tea","id":"x"}', '{"type":"ping","id":"a\\u0000b"}',
  '{"type":"ping"} x', '{"a":1e400,"b":-0,"c":18446744073709551616,"d":9223372036854775808,"e":"\\ud83d\\ude00\\ud800"}',
  `${'['.repeat(64)}${']'.repeat(64)}`, `${'['.repeat(65)}${']'.repeat(65)}`, '{"type":"ping","type":"seen"}', '"\xff"');
seed('client_messages', 'refused', '>ready', ...[[7], ['x'], [{}], [{ type: 'text' }], [{ type: 'text', text: 'a\0b' }], {}, []].map((content) => JSON.stringify({ type: 'prompt', sessionId: 's', content })),
  plain('prompt', { text: 'a\0b' }), plain('prompt', { id: 'x'.repeat(257), text: 'a' }), plain('prompt', { sessionId: 'x'.repeat(257), text: 'a' }), plain('prompt', { text: '' }), plain('prompt', { text: 'a', content: [] }),
  JSON.stringify({ type: 'create_session', agent: 'a', workspace: '/w', title: '' }), JSON.stringify({ type: 'create_session', agent: 'a', workspace: '/w', title: 'x'.repeat(513) }), plain('seen', { seq: 1.0 }), plain('seen', { seq: -1 }), plain('seen', { seq: 9e15 }));
seed('client_messages', 'withdraw', '>rest', '>ready', prompt('a'), prompt('b'), prompt('c'), prompt('d'), ...[10, 11, 12, 9, 8, 13].map((n) => plain('withdraw', { messageId: `u-${n}` })), prompt('e'), prompt('f'), '>user bob', plain('cancel'), plain('cancel', { all: true }));
seed('client_messages', 'places', '>ready', prompt('a'), '>silent', '>silent heard', '>silent hangs', '>ended cancelled', '>idle to make room', prompt('b'), '>wait', '>exited stopped',
  '>place', '>ready', '>ended end_turn', '>idle again', '>exited stopped', prompt('c'), plain('cancel'), prompt('d'), plain('close_session'));
seed('client_messages', 'queue-close', '>ready', prompt('a'), prompt('b'), '>full', '>exited x', plain('resume_queue'), plain('close_session'), prompt('c'));
seed('client_messages', 'permissions-late', '>ready', ...[4, 2, 3, 0, 1].flatMap((kind, i) => [`>ask ${String.fromCharCode(50 + kind)}`, '>pass 60000', '>expire', answer(i + 1, { allowed: true })]), '>timeout 0', '>ask', answer(6, { allowed: true }), answer(6, { allowed: true }));
seed('client_messages', 'permissions-many', '>ready', ...Array.from({ length: 70 }, (_, i) => ['>ask', `>withdraw p-s1-1-${i + 1}`]).flat(), answer(1, { allowed: true }), answer(70, { allowed: true }));
// Ends where more should follow: whoever reads on reads behind the input.
const CUT = ['"', '"\\', '"\\u', '"\\u00e', '-', '1.', '1e', '1e+', 'tru', 'nul', '[', '[1', '[1,', '{', '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', '"\u00c3', ' '];
seed('client_messages', 'bytes-cut', ...CUT);
seed('agent_lines', 'bytes-cut', ...CUT);
seed('client_messages', 'turns', prompt('before it is ready'), '>ready', '>ended end_turn', prompt('a'), prompt('b'), prompt('c'), prompt('d'), prompt('e'),
  plain('withdraw', { messageId: 'u-13' }), '>pass 5', '>ended max_tokens', '>user bob', plain('cancel'), '>ended cancelled', plain('cancel', { all: true }));
seed('client_messages', 'queue', prompt('a'), prompt('b'), '>ready', '>exited it crashed', plain('resume_queue'), '>ready', '>full', '>exited again',
  plain('resume_queue'), prompt('no room'), '>full', prompt('again'), '>failed no such program', plain('resume_queue'), '>ready', plain('close_session'), '>exited bye');
seed('client_messages', 'permissions', '>ready', prompt('a'), '>ask', '>ask', '>ask odd', '>ask', '>ask', answer(1, { allowed: true }),
  answer(1, { allowed: false }), answer(2, { decision: 'allow-always' }), answer(3, { optionId: 'any', id: 'x' }), answer(4, { allowed: true, allow: false }),
  answer(4, { optionId: 'nope' }), '>pass 60000', '>expire', '>ended end_turn', answer(9, { allow: true }), answer('', {}), '{"type":"permission_response","requestId":"p-"}');
seed('client_messages', 'permissions-end', '>ready', '>ask', '>withdraw p-s1-1-1', '>ask', prompt('a'), '>ask', plain('cancel'), '>ask', '>ended cancelled',
  '>ask odd', answer(5, { allowed: false, message: 'no' }), '>ask', '>exited gone', '>ask');
seed('client_messages', 'deadlines', '>expire', prompt('a'), '>exited x', '>failed slow', plain('resume_queue'), '>ready', plain('cancel'), '>expire', '>exited killed');
seed('client_messages', 'closing', '>ready', prompt('a'), '>ask', plain('close_session'), plain('close_session'), prompt('late'), plain('cancel'),
  plain('resume_queue'), answer(1, { allowed: true }), '>ended end_turn', '>exited bye', plain('close_session'), prompt('later'));
seed('client_messages', 'stopping', '>ready', '>title A new "title"', '>title', prompt('a'), prompt('b'), '>ask', '>stop', '>stop', answer(1, { allowed: true }), '>exited stopped');
seed('client_messages', 'starting-stops', prompt('a'), '>stop', '>failed it was told to', prompt('b'));
seed('client_messages', 'starting-closes', plain('close_session', { id: 'c' }), '>ready', '>exited it was told to');
seed('client_messages', 'rules', '>ready', '>command npm test', '>looked 1', answer(1, { allowed: true, remember: { scope: 'workspace', match: 'command' } }),
  '>command npm test', '>looked 2', '>command npm test; x', '>looked 3', '>path edit /srv/work/src/a.c', '>looked 4', answer(4, { decision: 'allow-session' }),
  '>path edit /srv/work/src/b.c', '>looked 5', '>path edit /srv/work/src/c.c', '>looked 6 /etc/passwd', '>path read /srv/work/a', '>expire', '>user bob', answer(7, { allowed: true, remember: { scope: 'user', match: 'path', expiresAt: 1 } }));
seed('client_messages', 'policies', '>ready', plain('set_policy', { policy: 'read-only' }), '>path read /srv/work/a', '>looked 1', '>path edit /srv/work/a', '>looked 2', '>command ls',
  plain('set_policy', { policy: 'trust' }), '>looked 3', '>ask odd', plain('set_policy', { policy: 'ask' }), '>command ls', plain('close_session'), '>looked 5');
seed('client_messages', 'settings', plain('set_mode', { modeId: 'code', id: 'm' }), '>ready', '>set 1', plain('set_config_option', { configId: 'web', value: true }), plain('set_config_option', { configId: 'web', value: { a: [1] } }),
  '>set 3 bad_message', '>expire', '>set 2', '>exited x', plain('set_mode', { modeId: 'ask' }), '>ready', '>set 0 not_found', '>set 4 odd', plain('set_mode', { modeId: 'a' }), plain('close_session'), '>exited y');

// ---- Clients of dialects: what they say, and what they are told ----

const eventSamples = Object.keys(schema).filter((key) => key.startsWith('event.')).map((key) => JSON.stringify(example(schema[key], key)));
const feedSamples = ['permission_waiting', 'permission_ended'].map((key) => JSON.stringify(example(schema[`server.${key}`], key)));
const controlSamples = Object.keys(schema).filter((key) => key.startsWith('server.')).map((key) => example(schema[key], key));
const IDS = ['l1:', 'y2:s1', 'c3:', 'w4:s1', 's5:s1', 'p6:s1', 'a7:s1', 'r8:p', 'v9:', 'ff:s1:mine', 'o1:', ''];
for (const name of ['claudecodeui', 'factory-factory', 'craft']) {
  const target = `dialect_${name.replace('-', '_')}`;
  const said = name === 'craft' ? commands.map((each) => JSON.parse(command(each, 0)))
    : Object.values(JSON.parse(execFileSync(program, ['schema', '--dialect', name], { encoding: 'utf8' })).$defs).map((shape) => example(shape, 'x'));
  for (const message of said) {
    const wrong = Object.keys(message).map((key) => JSON.stringify({ ...message, [key]: typeof message[key] === 'string' ? 7 : 'x' }));
    seed(target, `message-${message.type}`, JSON.stringify(message), '!', JSON.stringify(message), ...wrong, JSON.stringify({ type: message.type }));
  }
  seed(target, 'events', ...[...eventSamples, ...feedSamples].flatMap((event) => [`= ${event}`, `~ ${event}`]));
  seed(target, 'controls', ...controlSamples.flatMap((message) => IDS.map((id) => `< ${JSON.stringify({ ...message, id })}`)).slice(0, 60));
  seed(target, 'answers', ...IDS.flatMap((id) => [
    { type: 'ack', id, sessionId: 's1', permissions: [{ requestId: 'p', sessionId: 's1', toolInput: {} }, 7] }, { type: 'nack', id, code: 'closed', message: 'no' },
    { type: 'subscribed', id, sessionId: 's1', phase: 'running', pending: [{ requestId: 'p' }] }, { type: 'sessions', id, items: [{ sessionId: 's1', phase: 'running' }, 7] },
  ].map((message) => `< ${JSON.stringify(message)}`)));
  seed(target, 'no-message', '', '[]', '7', 'null', '{}', '{"type":null}', '{"type":"make_tea"}', '= 7', '~ {}', '< []', '"\xff"');
}

// ---- What agents write ----

const update = (sessionUpdate, more) => JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 's', update: { sessionUpdate, ...more } } });
const request = (id, method, params) => JSON.stringify({ jsonrpc: '2.0', id, method, params });
const result = (id, value) => JSON.stringify({ jsonrpc: '2.0', id, result: value });
const error = (id, code, message, data) => JSON.stringify({ jsonrpc: '2.0', id, error: { code, message, data } });
const text = (words) => ({ content: { type: 'text', text: words } });
const opened = [result(0, { protocolVersion: 1 }), result(1, { sessionId: 's' })];
const OPTIONS = [['yes', 'allow_once'], ['ever', 'allow_always'], ['no', 'reject_once'], ['never', 'reject_always'], ['odd', 'odd']].map(
  ([optionId, kind]) => ({ optionId, name: `Say ${optionId}`, kind }),
);
const ask = (id, toolCall, options = OPTIONS) => request(id, 'session/request_permission', { sessionId: 's', toolCall: { toolCallId: 'c', ...toolCall }, options });

const STRING_MAX = 160;
const ITEMS_MAX = 3;
/** A recorded value, short: what is long says nothing that its beginning does not say. */
function short(value) {
  if (typeof value === 'string') return value.slice(0, STRING_MAX);
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map(short);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, short(each)]));
  return value;
}
/** One recorded turn as lines: from the prompt to its answer, our ids as the peer makes them. */
function* turns(entries) {
  let lines = [];
  let id;
  for (const { dir, msg } of entries) {
    if (dir === 'out' && msg.method === 'session/prompt' && id === undefined) {
      id = msg.id;
      lines = ['>prompt'];
    } else if (id === undefined) {
      continue;
    } else if (dir === 'out') {
      if (msg.method === 'session/cancel') lines.push('>cancel');
      if (msg.result?.outcome) lines.push(`>answer 1 ${msg.result.outcome.optionId ?? '-'}`);
    } else {
      const said = short(msg);
      if (said.params?.sessionId) said.params.sessionId = 's';
      if (!said.method) said.id = said.id === id ? 2 : said.id + 100;
      lines.push(JSON.stringify(said), '>tick 20');
      if (!said.method && said.id === 2) {
        yield lines;
        id = undefined;
      }
    }
  }
}
const seen = new Set();
for (const file of readdirSync(path.join(root, 'tests/transcripts')).filter((each) => each.endsWith('.jsonl')).sort()) {
  const entries = read(`tests/transcripts/${file}`).trim().split('\n').map((line) => JSON.parse(line));
  const answers = entries.filter(({ dir, msg }) => dir === 'in' && !msg.method).slice(0, 2).map(({ msg }) => JSON.stringify(short(msg)));
  const start = file.includes('load') ? opened : [answers[0], answers[1].replace(/"sessionId":"[^"]*"/, '"sessionId":"s"')];
  let number = 0;
  for (const lines of turns(entries)) {
    number++;
    const kinds = lines.map((line) => line.replace(/^.*?"(?:sessionUpdate|method)":"([^"]*)".*$/, '$1').replace(/ .*|\{.*/, '')).filter((each, i, all) => each !== all[i - 2]).join();
    if (!seen.has(kinds)) {
      seen.add(kinds);
      seed('agent_lines', `${file.replace('.jsonl', '')}-${number}`, ...start, ...lines.slice(0, 90), '>end over');
    }
  }
}
const initialized = (capabilities) => result(0, { protocolVersion: 1, agentCapabilities: capabilities, authMethods: [{ id: 'key', name: 'K' }] });
const SETTINGS = { modes: { currentModeId: 'ask', availableModes: [{ id: 'ask', name: 'Ask' }, { id: 'code', name: 'Code' }] },
  configOptions: [{ id: 'web', name: 'W', type: 'boolean', currentValue: false }, { id: 'effort', type: 'select', currentValue: 'low', options: [] }],
  models: { currentModelId: 'm1', availableModels: [{ modelId: 'm1', name: 'One' }, { modelId: 'm2' }, {}] } };
seed('agent_lines', 'load', '>options 50 1000 resume', initialized({ loadSession: true }), update('agent_message_chunk', text('said')), update('tool_call', { toolCallId: 'c', title: 't' }),
  result(1, SETTINGS), update('user_message_chunk', text('asked')), '>tick 100', update('plan', { entries: [] }), '>tick 300', '>prompt', update('agent_message_chunk', text('new')), result(2, { stopReason: 'end_turn' }));
seed('agent_lines', 'load-never-ends', '>options 50 1000 resume', initialized({ loadSession: true }), result(1, null), '>times 40', update('agent_message_chunk', text('$n')), '>tick 4000', update('agent_message_chunk', text('x')), '>tick 4000', '>prompt', '>end gone');
seed('agent_lines', 'resume-refused', '>options 50 1000 resume', initialized({ loadSession: true, sessionCapabilities: { resume: {}, close: {} } }), error(1, -32603, 'no'), error(2, -32002, 'gone', { details: 'x' }), result(3, { sessionId: 's', ...SETTINGS }), '>prompt', result(4, { stopReason: 'end_turn' }), '>close', result(5, {}));
seed('agent_lines', 'login', '>options 50 1000 resume login', initialized({ sessionCapabilities: { resume: {} }, promptCapabilities: { image: true, audio: false, embeddedContext: {} } }), error(1, -32000, 'log in'), result(2, null), error(3, -32000, 'again'), '>end x');
seed('agent_lines', 'login-refused', '>options 50 1000 login', initialized({}), error(1, -32000, 'log in'), error(2, -32602, 'no such method'), '>end x');
seed('agent_lines', 'settings', initialized({}), result(1, { sessionId: 's', ...SETTINGS }), '>set 1 - "code"', result(2, {}), '>set 2 web true', result(3, { configOptions: [{ id: 'web', type: 'boolean', currentValue: true }] }), '>set 3 model "m2"', result(4, {}),
  '>set 0 - "code"', '>set 0 never 1', '>set 4 web "x"', '>set 5 model "m9"', '>set 6 - [[[[[[[[[1]]]]]]]]]', '>set 7 - nonsense', '>prompt', '>set 8 - "ask"', error(6, -32601, 'no'), update('current_mode_update', { modeId: 'code' }), update('config_option_update', { configOptions: [] }),
  '>set 9 model "m1"', error(7, -32603, 'x'), result(5, { stopReason: 'end_turn' }), '>set 10 - "ask"', '>end gone');
seed('agent_lines', 'updates', ...opened, update('available_commands_update', { availableCommands: [{ name: 'a', description: 'b', input: { hint: 'c' } }, { name: 'd' }, 5] }),
  update('current_mode_update', { currentModeId: 'code' }), update('current_mode_update', { modeId: 'plan' }), update('current_mode_update', {}),
  update('config_option_update', { configOptions: [{ id: 'o', name: 'O', type: 'select', currentValue: 'x', options: [] }] }),
  update('session_info_update', { title: 'T' }), update('session_info_update', { title: null }), update('session_info_update', { title: 5 }), update('session_info_update', { _meta: {} }),
  update('usage_update', { used: 5, size: 100, cost: { amount: 0.1, currency: 'EUR' } }), update('plan', { entries: [{ content: 'x', priority: 'high', status: 'pending' }] }),
  update('plan', {}), update('user_message_chunk', text('u')), update('of_a_later_version', { a: [null, 1.5e300, true] }), update(5, {}));
seed('agent_lines', 'opening', result(0, { protocolVersion: 1, authMethods: [{ id: 'a', name: 'A', description: 'D' }, {}] }), update('agent_message_chunk', text('early')),
  update('available_commands_update', { availableCommands: [] }),
  result(1, { sessionId: 's', modes: { currentModeId: 'm', availableModes: [{ id: 'm', name: 'M' }] }, configOptions: [{ id: 'o' }], models: { currentModelId: 'x', availableModels: [{ modelId: 'x' }] } }),
  update('current_mode_update', { currentModeId: 'n' }));
seed('agent_lines', 'opening-version', result(0, { protocolVersion: 2 }), result(1, { sessionId: 's' }), update('plan', { entries: [] }), '>end gone');
seed('agent_lines', 'opening-no-version', result(0, {}));
seed('agent_lines', 'opening-null', result(0, null));
seed('agent_lines', 'opening-no-session', result(0, { protocolVersion: 1.0 }), result(1, {}));
seed('agent_lines', 'opening-refused', error(0, -32603, 'Internal error', { details: 'x' }));
seed('agent_lines', 'opening-login', result(0, { protocolVersion: 1, authMethods: [{ id: 'a', name: 'A', description: 'D' }, { id: 'b' }, {}] }), error(1, -32000, 'Authentication required', '{"error":{"message":"in"}}'));
seed('agent_lines', 'opening-login-none', result(0, { protocolVersion: 1 }), error(1, -32000, null));
for (const [name, ...wrong] of [
  ['null', null], ['words', { code: -32603, message: 'Internal error', data: { message: '{"error":{"message":"quota"}}', reason: 'r' } }],
  ['login', { code: -32000, message: 'auth' }], ['cancelled', { code: -32800, message: 'cancelled' }], ['nothing', {}], ['text', 'x'], ['data', { code: 1, data: 'just words' }],
]) {
  seed('agent_lines', `prompt-error-${name}`, ...opened, '>prompt', update('agent_message_chunk', text('par')), '>cancel', JSON.stringify({ id: 2, error: wrong[0] }), '>prompt', result(3, {}));
}
seed('agent_lines', 'usage', ...opened, '>prompt', result(2, { stopReason: 'max_tokens', usage: { inputTokens: 1, x: [1] } }), '>prompt',
  result(3, { stopReason: 5, _meta: { quota: { token_count: { input_tokens: 5, output_tokens: 6 } } } }), '>prompt', result(4, 7));
seed('agent_lines', 'text', '>options 50 64', ...opened, '>prompt', update('agent_thought_chunk', text('hm ')), update('agent_message_chunk', { ...text('\u00e4\u{1f600}'.repeat(40)), messageId: 'a' }), '>tick 50',
  update('agent_message_chunk', { ...text('more'), messageId: 'b' }), '>pass 10', update('agent_message_chunk', text('')), update('agent_message_chunk', text('\u0000\ud800 \u001b[31m')),
  update('agent_message_chunk', { content: { type: 'image', data: '', mimeType: 'x' } }), update('agent_message_chunk', { content: [] }), '>tick 1', update('agent_message_chunk', text('x')), '>cancel', result(2, { stopReason: 'cancelled' }), update('agent_message_chunk', text('between turns')), '>prompt');
for (const [size, ...chunks] of [[63, '\xc3', '\xa4'], [63, '\xf0', '\x9f\x98', '\x80x'], [64, '\xc3', 'a'], [62, '\xe4\xb8', 'x'], [61, '\xff\xff']]) {
  seed('agent_lines', `text-bytes-full-${size}-${chunks.length}`, '>options 5 64', ...opened, '>prompt', update('agent_message_chunk', text('x'.repeat(size))), ...chunks.map((bytes) => update('agent_message_chunk', text(bytes))), '>tick 9', update('agent_message_chunk', text('y'.repeat(200))));
}
seed('agent_lines', 'long-words', ...opened, '>prompt', ask(1, { title: `${'\u00e4'.repeat(2100)}`, kind: 'execute', rawInput: { command: ['a', 5, { b: 1 }] } }, [{ optionId: 'a', name: 'x\0y'.repeat(600) }]),
  update('session_info_update', { title: `a\0${'b'.repeat(4200)}` }));
seed('agent_lines', 'many-tools', ...opened, '>prompt', '>times 36', update('tool_call', { toolCallId: 'c$n', status: 'completed' }), update('tool_call_update', { toolCallId: 'c1', title: 'forgotten' }), update('tool_call', { toolCallId: 'd', _meta: { claudeCode: { parentToolUseId: 'c30' } } }));
seed('agent_lines', 'many-paths', ...opened, ask(1, { kind: 'edit', rawInput: {}, locations: Array.from({ length: 40 }, (_, i) => ({ path: `/${i}` })), content: [{ type: 'content', ...text('a') }, { type: 'content', ...text('b') }], status: 'completed' }),
  update('tool_call_update', { toolCallId: 'c', content: [{ type: 'content', ...text('a') }, { type: 'content', ...text('b') }], rawOutput: 'text', status: 'completed' }),
  update('tool_call', { toolCallId: 'e', rawOutput: 'text', status: 'completed' }));
// Bytes that are not UTF-8, cut at every place.
seed('agent_lines', 'text-bytes', '>options 0 64', ...opened, '>prompt', ...['\xf0', '\x9f\x98', '\x80', '\xf0\x9f', 'a', '\xff\xfe', '\xed\xa0\x80', '\xc3', '\xa4'].map((bytes) => update('agent_message_chunk', text(bytes))), result(2, { stopReason: 'end_turn' }));
for (const kind of ['execute', 'read', 'edit', 'delete', 'move', 'search', 'fetch', 'think', 'switch_mode', 'other']) {
  const rawInput = { execute: { command: ['npm', 'run', "it's"] }, fetch: { url: 'https://example.org' }, move: { source: 'a', destination: 'b' }, switch_mode: { plan: '# Plan' } }[kind] ?? { file_path: '/w/a', description: 'why' };
  seed('agent_lines', `ask-${kind}`, ...opened, '>prompt', update('tool_call', { toolCallId: 'c', title: `Do ${kind}`, kind, status: 'pending', rawInput, locations: [{ path: '/w/a', line: 3 }, { path: '/w/b' }] }),
    ask(kind, { kind, rawInput, content: [{ type: 'diff', path: '/w/x', oldText: null, newText: 'n' }] }), ask(7, { title: 'again' }), '>answer 1 yes', '>answer 1 no', '>answer 2 -',
    update('tool_call_update', { toolCallId: 'c', status: 'in_progress', content: [{ type: 'content', ...text('out') }] }), update('tool_call_update', { toolCallId: 'c', status: 'completed', rawOutput: { output: 'done' } }), result(2, { stopReason: 'end_turn' }));
}
seed('agent_lines', 'ask-odd', ...opened, ask(null, {}), ask(1.5, {}), ask({}, {}), ask('a', {}, []), ask('b', {}, [{ name: 'no id' }, 5, { optionId: 'a\u0000b' }]), ask('c', {}, [{ optionId: 'x' }, { optionId: 'x', kind: 7 }]),
  ask('d', { toolCallId: 7 }), ask(9007199254740993, { kind: 'execute', rawInput: { cmd: 'ls' } }), ask(9007199254740993, {}), JSON.stringify({ method: '$/cancel_request', params: { requestId: 9007199254740993 } }),
  JSON.stringify({ method: '$/cancel_request', params: { requestId: null } }), '>answer 2 x', '>answer 3 x', '>end gone', '>answer 4 x');
seed('agent_lines', 'tools', ...opened, '>prompt', update('tool_call', { toolCallId: 'a' }), update('tool_call', { toolCallId: 'a', title: 'second' }), update('tool_call_update', { toolCallId: 'never-begun', status: 'completed' }),
  update('tool_call', { toolCallId: 'b', name: 'Bash', _meta: { claudeCode: { toolName: 'Bash', parentToolUseId: 'a' } }, rawInput: 'text', kind: 7 }),
  update('tool_call_update', { toolCallId: 'b', _meta: { terminal_output_delta: { data: 'par' } } }), '>tick 60', update('tool_call_update', { toolCallId: 'b', _meta: { terminal_output: { data: 't' } } }),
  update('tool_call_update', { toolCallId: 'b', _meta: { terminal_exit: { exit_code: 1, signal: null } }, status: 'completed' }),
  update('tool_call', { toolCallId: 'd', status: 'failed', rawOutput: { stdout: 'o', stderr: 'e', error: { message: 'm' } } }), update('tool_call_update', { toolCallId: 'd', title: 'late', content: [] }),
  update('tool_call', { toolCallId: 'e', content: [{ type: 'content', ...text('one') }] }), update('tool_call_update', { toolCallId: 'e', content: [{ type: 'content', ...text('one two') }] }),
  update('tool_call_update', { toolCallId: 'e', content: [{ type: 'content', ...text('other') }, { type: 'terminal', terminalId: 't' }] }), update('tool_call_update', { toolCallId: 'e', rawOutput: ['x', { content: [{ text: 'y' }] }] }),
  update('tool_call_update', { toolCallId: 'e', rawOutput: { formatted_output: 'f', aggregated_output: 'g' }, status: 'completed' }), update('tool_call', { toolCallId: 'open' }), '>end killed');
seed('agent_lines', 'rpc', ...opened, request(5, 'fs/read_text_file', { path: '/etc/passwd' }), request('x', 'terminal/create', {}), JSON.stringify({ id: 5 }), JSON.stringify({ id: {}, method: 'x' }), JSON.stringify({ id: 2, method: 5 }),
  '[]', '"x"', '{}', 'not JSON', '{"method":"session/update"}', '{"method":"session/update","params":[]}', '{"jsonrpc":"2.0","id":0,"result":{}}', '{"id":99,"result":1}', '{"id":"2","result":1}', '{"id":2.0,"result":1}',
  '>prompt', '{"id":"2","result":{}}', '{"id":2,"result":{},"error":{}}', '>prompt', '{"id":3,"method":null,"result":{}}', '', '\r', request(null, 'session/request_permission', null), JSON.stringify({ method: 'session/request_permission' }));

// ---- Rows of a log, sessions as bytes ----

const row = (seq, type, more = {}, from) => JSON.stringify({ ...(from ? { seq, ts: 5, from } : { seq, ts: 5 }), type, sessionId: 's', ...more });
const events = Object.keys(schema).filter((key) => key.startsWith('event.')).map((key) => key.slice('event.'.length));
seed('fold_rows', 'rows-all', ...events.map((type, i) => {
  const { seq, ts, from, type: _, sessionId, ...rest } = example(schema[`event.${type}`], type, i);
  return row(i + 1, type, short(rest));
}));
seed('fold_rows', 'rows-text', ...['text', 'thought'].flatMap((kind, k) => [row(k * 4 + 1, `${kind}_delta`, { messageId: 'm', offset: 0, delta: 'a\u{1f600}\n' }),
  row(k * 4 + 2, `${kind}_delta`, { messageId: 'm', offset: 4, delta: '\u2028' }), row(k * 4 + 3, 'turn_started', { turnId: 't' }), row(k * 4 + 4, `${kind}_complete`, { messageId: 'm', text: 'x' })]),
  row(9, 'text_delta', { messageId: 'n', offset: 0, delta: 'a' }), row(10, 'text_delta', { messageId: 'n', offset: 1, delta: 'b' }), row(11, 'text_delta', { messageId: 'n', offset: 5, delta: 'hole' }));
seed('fold_rows', 'rows-tool', row(1, 'tool_start', { toolUseId: 't', toolInput: {} }), row(2, 'tool_output', { toolUseId: 't', offset: 0, delta: 'a' }), row(3, 'tool_output', { toolUseId: 't', offset: 1, delta: 'b', refs: [] }),
  row(4, 'tool_update', { toolUseId: 't', content: [1], status: 'x', refs: [{ path: '/content/0', blob: 'b' }] }), row(5, 'tool_update', { toolUseId: 't', content: [2], title: '"}' }), row(6, 'tool_result', { toolUseId: 't', result: 'r' }),
  row(7, 'tool_update', { toolUseId: 't', refs: 7 }), row(8, 'tool_update', { toolUseId: 'u' }), row(12, 'tool_update', { toolUseId: 'u', title: 'y' }, 9), row(13, 'status', { phase: 'idle' }));
seed('fold_rows', 'rows-late', row(5, 'text_delta', { messageId: 'm', offset: 0, delta: 'a' }, 2), row(6, 'user_message', { messageId: 'u', text: 'a' }), row(7, 'user_message', { messageId: 'u', text: 'b' }), row(8, 'plan', { entries: [] }), row(9, 'plan', { entries: [1] }));
seed('fold_rows', 'rows-many', ...Array.from({ length: 40 }, (_, i) => row(i + 1, 'text_delta', { messageId: `m${i}`, offset: 0, delta: 'a' })), row(41, 'text_delta', { messageId: 'm3', offset: 1, delta: 'a' }));
['{"seq":1,"ts":1,"type":"text_delta" , "messageId" : "m" ,"offset": 0 ,"delta":"x"}', '{"seq":1,"ts":1,"type":"text_delta","messageId"}', '{"seq":1,"ts":1,"type":"tool_update","toolUseId":"t","content":[{"a":"}', '{"seq":1,"ts":1,"type":"text_delta","messageId":"m","offset":0 "delta":1}', '{"seq":1,"ts":1,"type":"text_delta","messageId":', '{"seq":1,"ts":1,"type":"text_delta","offset":1']
  .forEach((line, i) => seed('fold_rows', `rows-broken-${i}`, line, row(2, 'plan')));
seed('fold_rows', 'rows-bad', row(1, 'text_delta', {}), row(2, 'text_delta', { messageId: 5, offset: 'x' }), row(3, 'tool_update', {}), '{"seq":4,"ts":1,"type":"text_delta","messageId":"\\"","offset":0,"delta":"\\u00', row(9, 'gap'));
let state = 1;
const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
for (let number = 1; number <= 6; number++) {
  (corpus.fold_rows ??= {})[`session-${number}`] = Buffer.from([1, ...Array.from({ length: 80 * number }, () => random() & 255)]);
}

// ---- Files and requests ----

const options = [...read('include/signalbox/share/config.h').matchAll(/ X\((\w+), \w+, "([a-z-]+)", "([^"]*)"/g)];
const token = (letter) => letter.repeat(20);
const value = (type, fallback) => (/LIST|PATHS/.test(type) ? (type === 'PATHS' ? '{"/", "/tmp"}' : '{"a", \'b\'}') : fallback ? `"${fallback}"` : '"x"');
seed('config_text', 'example', ...read('conf/signalbox.conf').split('\n'));
seed('config_text', 'all', ...options.map(([, type, key, fallback]) => `${key} = ${value(type, fallback)}`), 'agent a {', 'command = {"x", "-y"}', 'environment = {"K=V", "E="}', 'title = "A"', 'install = "i"', 'permission-timeout-ms = 0', '}');
seed('config_text', 'odd', '/* a', 'comment */ log-level = debug # more', 'listen = "[::1]:0" // x', "data = '/d\\\\x'", 'max-message-bytes = 1M', 'delta-window-ms = 5', 'agent a { command = "x" }', 'agent b { command = {./x} environment += {"A=${HOME}"} }', 'workspace-roots += {}');
[['twice', 'log-level = info', 'log-level = debug'], ['unknown', 'tea = hot'], ['open', 'agent a {', 'command = {"x"'], ['comment', 'listen = "a:1" /* '], ['string', 'title = "x'], ['bounds', 'http-threads = 99999999999999999999'],
  ['bytes', 'tail-bytes = 1K5'], ['negative', 'max-clients = -1'], ['agent', 'agent "a b" { command = {""} }'], ['agents', 'agent a { command = x }', 'agent a { command = y }'], ['environment', 'agent a { command = x', 'environment = {"=x"} }'],
  ['braces', '}}}}', '{{{{{{'], ['address', 'listen = "[::1:x"'], ['port', 'listen = "localhost:99999"'], ['function', 'include("/etc/passwd")'], ['variable', 'data = ${X:-y}'], ['escape', 'data = "\\x41\\101\\', '"'],
].forEach(([name, ...lines]) => seed('config_text', `bad-${name}`, ...lines));
// Without a newline at the end.
['a /* b */', 'a // b', 'a # b', '"', '"\\', "'a\\'", '/*', '/', 'agent a {', '${', 'x'].forEach((words, i) => seed('config_text', `end-${i}`, Buffer.from(words)));
['/v1/%', '/v1/%4', '/v1/sessions/a?after=%', '/v1/sessions/a?after=%4', '/?after', '/?after='].forEach((target, i) => seed('http_texts', `end-${i}`, Buffer.from(`GET ${target}`)));
seed('tokens_text', 'end', Buffer.from(`alice ${token('a')}`));
seed('tokens_text', 'good', '# who', `alice ${token('a')}`, `  alice\t${token('b')} \r`, '', `b.o_b@x-y ${token('c')}`);
[['twice', `a ${token('a')}`, `b ${token('a')}`], ['short', 'alice 123'], ['name', `al/ice ${token('a')}`], ['long', `${'a'.repeat(65)} ${token('a')}`], ['space', `a ${token('a')} ${token('b')}`], ['none', '# nobody'], ['byte', `a ${token('\u00e4')}`], ['nul', `a ${token('a')}\0`]].forEach(
  ([name, ...lines]) => seed('tokens_text', `bad-${name}`, ...lines));
const routes = [...new Set([...read('src/core/route.c').replaceAll('SESSION "', '"/v1/sessions/{sessionId}').matchAll(/"(\/[^"]*)"/g)].map(([, route]) => route))];
seed('http_texts', 'routes', `GET ${routes[0]}`);
routes.forEach((route, i) => seed('http_texts', `route-${i}`, `${['GET', 'POST', 'DELETE', 'HEAD', 'PUT'][i % 5]} ${route.replace(/\{\w+\}/g, 'a%2Db')}?after=e%3A5&limit=10&client=x`, 'Last-Event-ID: e:5', 'Accept: text/event-stream'));
[['percent', 'GET /v1/%zz%2'], ['slash', 'GET /v1/sessions/a%2fb'], ['nul', 'GET /v1/sessions/a%00'], ['long', `GET /v1/sessions/${'x'.repeat(300)}`], ['query', 'GET /ws?client&client=&after=%&&=&limit=%41'], ['headers', 'GET /v1/sessions/x/events', 'accept:text/event-stream, */*', 'LAST-EVENT-ID:', 'last-event-id: 7', ':', 'x']].forEach(
  ([name, ...lines]) => seed('http_texts', `odd-${name}`, ...lines));

// ---- Dictionaries ----

const words = (files, pattern) => files.flatMap((file) => [...read(file).matchAll(pattern)].map(([, word]) => word));
const sources = (pattern) => readdirSync(path.join(root, 'src/core')).filter((each) => pattern.test(each)).map((each) => `src/core/${each}`);
const steps = (target) => words([`tests/fuzz/${target}.c`], /(?:\{"|step->word, ")([a-z]+)"/g).map((word) => `>${word} `);
const LITERAL = /"([A-Za-z$][A-Za-z0-9_$/-]{1,40})"/g;
const JSON_PARTS = ['{"', '"}', '":', '":"', '","', '":{', '":[', '[]', '{}', 'null', 'true', '\\u0000', '\\ud83d\\ude00', '\\', '\xff', '\xf0\x9f', '\n', '-1', '1e99', '9223372036854775807', '18446744073709551615'];
function names(part, found = []) {
  if (Array.isArray(part)) part.forEach((each) => names(each, found));
  else if (part && typeof part === 'object') {
    found.push(...Object.keys(part.properties ?? {}), ...(part.enum ?? []), ...(part.const ? [part.const] : []));
    Object.values(part).forEach((each) => names(each, found));
  }
  return found;
}
const ofShapes = (prefix) => names(Object.entries(schema).filter(([key]) => key.startsWith(prefix)).map(([, shape]) => shape));
const OFFERS = ['permessage-deflate', 'server_no_context_takeover', 'client_no_context_takeover', 'server_max_window_bits', 'client_max_window_bits'];
const dictionaries = {
  deflate_bytes: [...OFFERS, '; ', ', ', '=', '"', '15', '8', '\x00\x00\xff\xff', ...JSON_PARTS],
  client_messages: [...JSON_PARTS, ...steps('client_messages'), ...ofShapes('client.'), 's1', 'p-s1-1-1', 'p-s1-1-2', 'u-4', 'content', 'text'],
  agent_lines: [...JSON_PARTS, ...steps('agent_lines'), '>options ', ...words(sources(/^acp/), LITERAL), 'jsonrpc', '2.0', 'params', 'error', 'text', 'terminal', 'in_progress', 'execute', 'edit', 'fetch'],
  ...Object.fromEntries(['claudecodeui', 'factory_factory', 'craft'].map((name) => [`dialect_${name}`,
    [...JSON_PARTS, ...words([`src/core/dialect_${name}.c`], LITERAL), ...ofShapes(name === 'craft' ? 'client.' : 'event.'), '= ', '~ ', '< ', '!']])),
  fold_rows: [...JSON_PARTS, '"seq":', ',"ts":', ',"from":', ',"type":"', ...ofShapes('event.')],
  config_text: [...options.map(([, , key]) => key), ...words(['src/share/config_table.c'], LITERAL), 'agent a {', ' = ', ' += ', '{"', '"}', '/*', '*/', '//', '${', 'include(', '\\x', "'"],
  tokens_text: [token('a'), token('d'), 'alice ', '\t', '\r', '\n', '# '],
  http_texts: ['GET ', 'POST ', 'DELETE ', 'HEAD ', ...routes, '%2F', '%00', '%', '?', '&', '=', 'after=', 'limit=', 'client=', 'Last-Event-ID', 'Accept', ': ', '\n'],
};
const quote = (word) => `"${[...Buffer.from(word, 'latin1')].map((byte) => (byte < 32 || byte > 126 || byte === 34 || byte === 92 ? `\\x${byte.toString(16).padStart(2, '0')}` : String.fromCharCode(byte))).join('')}"`;

// ---- Compression ----

const bytes = (letter, data) => Buffer.concat([Buffer.from(letter), Buffer.from(data)]);
const flush = { finishFlush: zlib.constants.Z_SYNC_FLUSH };
seed('deflate_bytes', 'offers', bytes('o', `x-other; a="b", ${OFFERS.join('; ')}=15, permessage-deflate; client_max_window_bits`));
seed('deflate_bytes', 'offer-bits', bytes('o', 'permessage-deflate; server_max_window_bits="15";client_max_window_bits=9'));
seed('deflate_bytes', 'message', bytes('i', zlib.deflateRawSync('{"type":"ping","id":"1"}', flush).subarray(0, -4)));
seed('deflate_bytes', 'message-final', bytes('i', zlib.deflateRawSync('{"type":"ping"}')));
seed('deflate_bytes', 'message-bomb', bytes('i', zlib.deflateRawSync(Buffer.alloc(1 << 20), flush).subarray(0, -4)));
seed('deflate_bytes', 'there', bytes('d', '{"seq":1,"type":"text_delta","delta":"again and again and again and again"}'.repeat(20)));

// ---- Written ----

for (const [target, seeds] of Object.entries(corpus)) {
  const folder = path.join(here, 'corpus', target);
  mkdirSync(folder, { recursive: true });
  readdirSync(folder).filter((name) => name.startsWith('seed-')).forEach((name) => rmSync(path.join(folder, name)));
  for (const [name, lines] of Object.entries(seeds)) {
    // Text as UTF-8, but for what stands for bytes.
    const encoding = /bytes|no-command/.test(name) ? 'latin1' : 'utf8';
    writeFileSync(path.join(folder, `seed-${name}`), Buffer.isBuffer(lines) ? lines : Buffer.from(lines.map((line) => `${line}\n`).join(''), encoding));
  }
  writeFileSync(path.join(here, `${target}.dict`), `${[...new Set(dictionaries[target])].map(quote).join('\n')}\n`);
}
