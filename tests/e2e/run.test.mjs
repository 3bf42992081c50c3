// scripts/run, as a person uses it. It builds build/release, so it is only tested when that is what is tested.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after } from 'node:test';
import { test } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { bin, root } from './lib/paths.mjs';
import { freePort, temporaryFolder } from './lib/server.mjs';
import { scaled, until, within } from './lib/wait.mjs';

const skip = bin === path.join(root, 'build/release') ? false : 'another build is tested';

function run(args, environment = {}) {
  const home = temporaryFolder();
  const child = spawn(path.join(root, 'scripts/run'), args, {
    env: { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  after(() => child.kill('SIGKILL'));
  const started = { child, home, output: '' };
  child.stdout.on('data', (part) => (started.output += part));
  child.stderr.on('data', (part) => (started.output += part));
  started.ended = new Promise((done) => child.on('close', (code, signal) => done({ code, signal })));
  return started;
}

test('scripts/run starts the server, prints the address to open, and ends in order', { skip, timeout: scaled(180_000) }, async () => {
  const port = await freePort();
  const one = run(['--listen', `127.0.0.1:${port}`]);
  await until(() => one.output.includes(`Open http://127.0.0.1:${port}/`), () => `the address\n${one.output}`, 120_000);
  assert.equal((await request('GET', `http://127.0.0.1:${port}/`)).status, 200);
  assert.ok(existsSync(path.join(one.home, 'signalbox')), 'a workspace');
  assert.ok(existsSync(path.join(one.home, '.local/share/signalbox')), 'the data');
  const workspace = path.join(one.home, 'signalbox');
  const created = await request('POST', `http://127.0.0.1:${port}/v1/sessions`, { body: { agent: 'shell', workspace } });
  assert.equal(created.status, 201, created.text);
  one.child.kill('SIGINT');
  assert.deepEqual(await within(one.ended, 30_000, () => `the end\n${one.output}`), { code: 0, signal: null });
});

test('scripts/run says when the port is taken', { skip, timeout: scaled(180_000) }, async () => {
  const taken = net.createServer();
  await new Promise((done) => taken.listen(0, '127.0.0.1', done));
  after(() => taken.close());
  const two = run(['--listen', `127.0.0.1:${taken.address().port}`]);
  const { code } = await within(two.ended, 120_000, () => two.output);
  assert.notEqual(code, 0);
  assert.match(two.output, /in use/);
});

test('scripts/run --build-only starts nothing', { skip, timeout: scaled(180_000) }, async () => {
  const three = run(['--build-only']);
  assert.equal((await within(three.ended, 120_000, () => three.output)).code, 0, three.output);
  assert.ok(!three.output.includes('Open http'));
});
