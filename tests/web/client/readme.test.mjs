// The README's code: JavaScript is run (against the built server), and the types of all of it are checked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { startServer, temporaryFolder } from '../../e2e/lib/server.mjs';
import { clientFolder, distUrl, requireFromClient, root } from './lib/library.mjs';
import { test } from './lib/real.mjs';

const text = readFileSync(path.join(clientFolder, 'README.md'), 'utf8');
const blocks = [...text.matchAll(/^```(js|ts|tsx)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, code }));

/** Runs a block as a program of its own; -> what it printed. */
function run(code, env = {}) {
  const ws = pathToFileURL(path.join(root, 'tests/e2e/node_modules/ws/wrapper.mjs')).href;
  const linked = code.replace('"signalbox-client/state"', `"${distUrl('state.js')}"`).replace('"signalbox-client"', `"${distUrl('index.js')}"`).replace('"ws"', `"${ws}"`);
  const file = path.join(temporaryFolder(), 'example.mjs');
  writeFileSync(file, linked);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 30_000, env: { ...process.env, ...env } });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  return stdout;
}

const block = (word) => blocks.find(({ language, code }) => language === 'js' && code.includes(word)).code;

test('the program creates a session, prompts, is asked, answers, and ends', async () => {
  const server = await startServer();
  const printed = run(block('create_session'), { SIGNALBOX_URL: server.url });
  assert.equal(printed.match(/asked: echo hello/g).length, 1);
  assert.match(printed, /^user .*tool .*end$/m);
});

test('the state alone', () => {
  assert.equal(run(block('emptySession')), "Hello 2 { kind: 'numbers', expected: 3, got: 4 }\n");
});

test('the types of all of it', () => {
  // Below the package, so that what it brings along is found; `paths` stands for its own name.
  const folder = path.join(clientFolder, 'node_modules/.readme');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const typed = blocks.filter(({ language }) => language !== 'js');
  assert.ok(typed.length >= 4);
  typed.forEach(({ language, code }, i) => writeFileSync(path.join(folder, `block${i}.${language}`), `${code}\nexport {};\n`));
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'ES2022', lib: ['ES2022', 'DOM'], module: 'ESNext', moduleResolution: 'Bundler', strict: true, noEmit: true, types: [],
      skipLibCheck: false, jsx: 'react-jsx', jsxImportSource: 'preact',
      paths: { 'signalbox-client': ['../../dist/index.d.ts'], 'signalbox-client/*': ['../../dist/*.d.ts'] },
    },
  }));
  const { status, stdout } = spawnSync(process.execPath, [requireFromClient.resolve('typescript/bin/tsc'), '--project', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
