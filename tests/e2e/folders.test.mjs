// GET /v1/folders, which the page's workspace picker walks: what a session could have as its workspace, and nothing else.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from './lib/harness.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';

const outside = temporaryFolder();
const second = path.join(outside, 'second');
mkdirSync(path.join(outside, 'secret'));
mkdirSync(second);

const server = await startServer();
server.writeConfig({ 'workspace-roots': [server.workspaces, second] });
await server.restart();
const root = server.workspaces;

const make = (...names) => names.forEach((name) => mkdirSync(path.join(root, name), { recursive: true }));

async function folders(where) {
  const { status, json } = await server.rest('GET', `/v1/folders${where === undefined ? '' : `?path=${encodeURIComponent(where)}`}`);
  return { status, ...json };
}
const names = (answer) => answer.folders.map(({ name }) => name);

test('without a path: the roots', async () => {
  assert.deepEqual(await folders(), {
    status: 200, more: false,
    folders: [root, second].map((name) => ({ name, path: name, hidden: false })),
  });
});

test('the folders in one, sorted, hidden ones last, without files', async () => {
  make('list/b', 'list/A', 'list/c d', 'list/.git', 'list/ä', 'list/"quoted"', 'list/a');
  writeFileSync(path.join(root, 'list', 'file'), '');
  const answer = await folders(path.join(root, 'list'));
  assert.deepEqual(names(answer), ['"quoted"', 'A', 'a', 'b', 'c d', 'ä', '.git']);
  assert.deepEqual([answer.path, answer.parent, answer.more], [path.join(root, 'list'), root, false]);
  assert.deepEqual(answer.folders.at(-1), { name: '.git', path: path.join(root, 'list/.git'), hidden: true });
  assert.equal((await folders(root)).parent, undefined, 'above a root is outside');
  for (const each of answer.folders) {
    assert.deepEqual(names(await folders(each.path)), []);
    const created = await server.rest('POST', '/v1/sessions', { body: { agent: 'shell', workspace: each.path } });
    assert.equal(created.status, 201, created.text);
  }
});

test('a link counts as what it leads to, and none leads out', async () => {
  make('links/real');
  for (const [name, target] of Object.entries({
    inside: 'real', up: '..', away: outside, secret: path.join(outside, 'secret'), other: second, nowhere: 'missing', file: '/etc/passwd', loop: 'loop', all: '/',
  })) {
    symlinkSync(target, path.join(root, 'links', name));
  }
  const answer = await folders(path.join(root, 'links'));
  assert.deepEqual(answer.folders.map(({ name, path: where }) => [name, where]), [
    ['inside', path.join(root, 'links/real')], ['other', second], ['real', path.join(root, 'links/real')], ['up', root],
  ]);
  assert.equal((await folders(path.join(root, 'links/other'))).path, second);
});

test('outside, missing, no folder, not absolute, not to be read', async () => {
  make('wrong/closed');
  writeFileSync(path.join(root, 'wrong', 'file'), '');
  symlinkSync(outside, path.join(root, 'wrong', 'away'));
  const cases = [
    [outside, 403, 'forbidden'], ['/', 403, 'forbidden'], [path.join(root, '..'), 403, 'forbidden'], [`${root}/wrong/../../`, 403, 'forbidden'],
    [path.join(root, 'wrong/away'), 403, 'forbidden'], [path.join(root, 'wrong/away/secret'), 403, 'forbidden'], [`${root}-not`, 404, 'not_found'],
    [path.join(root, 'wrong/missing'), 404, 'not_found'], [path.join(root, 'wrong/file'), 400, 'bad_message'],
    ['relative', 400, 'bad_message'], ['', 400, 'bad_message'], ['../..', 400, 'bad_message'], [`/${'x'.repeat(5000)}`, 400, 'bad_message'],
  ];
  for (const [where, status, code] of cases) {
    const answer = await folders(where);
    assert.deepEqual([answer.status, answer.code, answer.field], [status, code, 'path'], `${where}: ${answer.detail}`);
  }
  if (process.getuid() !== 0) {
    chmodSync(path.join(root, 'wrong/closed'), 0o300);
    assert.equal((await folders(path.join(root, 'wrong/closed'))).status, 403);
    chmodSync(path.join(root, 'wrong/closed'), 0o700);
  }
});

test('one that became a link after it was listed does not lead out', async () => {
  make('swap/inner');
  const { folders: [inner] } = await folders(path.join(root, 'swap'));
  renameSync(inner.path, `${inner.path}-old`);
  symlinkSync(path.join(outside, 'secret'), inner.path);
  assert.equal((await folders(inner.path)).status, 403);
  rmSync(inner.path);
});

test('names that JSON cannot say are left out; very many are cut, and it is said', async () => {
  make('odd/fine');
  mkdirSync(Buffer.concat([Buffer.from(`${root}/odd/`), Buffer.from([0xff, 0xfe])]));
  assert.deepEqual(names(await folders(path.join(root, 'odd'))), ['fine']);
  make(...Array.from({ length: 2001 }, (_, index) => `many/${index}`));
  const many = await folders(path.join(root, 'many'));
  assert.deepEqual([many.folders.length, many.more], [2000, true]);
  rmSync(path.join(root, 'many/7'), { recursive: true });
  assert.deepEqual([(await folders(path.join(root, 'many'))).folders.length, (await folders(path.join(root, 'many'))).more], [2000, false]);
});

test('who is not known is told nothing', async () => {
  const tokens = path.join(temporaryFolder(), 'tokens');
  writeFileSync(tokens, 'ada token-of-ada-0123456789abcdef\n', { mode: 0o600 });
  const guarded = await startServer({ settings: { 'tokens-file': tokens } });
  assert.equal((await guarded.rest('GET', '/v1/folders')).status, 401);
  const known = await guarded.rest('GET', '/v1/folders', { token: 'token-of-ada-0123456789abcdef' });
  assert.deepEqual(known.json.folders.map(({ path: where }) => where), [guarded.workspaces]);
});
