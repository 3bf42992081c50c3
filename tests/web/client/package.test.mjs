// The package as it is published: its types are the schema's, it brings nothing along, and every way in leads somewhere.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { bin } from '../../e2e/lib/paths.mjs';
import { clientFolder, distUrl } from './lib/library.mjs';

const manifest = JSON.parse(readFileSync(path.join(clientFolder, 'package.json'), 'utf8'));
const dist = path.join(clientFolder, 'dist');
const run = (command, args) => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: clientFolder, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(status, 0, stderr);
  return stdout;
};

test('the types are those of `signalbox schema`', () => {
  const printed = run(process.execPath, ['scripts/generate-types.mjs', path.join(bin, 'signalbox'), '--print']);
  const kept = readFileSync(path.join(clientFolder, 'src/protocol.ts'), 'utf8');
  assert.ok(printed.length > 10_000);
  assert.ok(printed === kept, 'the schema has changed: run `npm run types` in web/client');
});

test('the core needs nothing, the bindings need Preact', () => {
  assert.equal(manifest.dependencies, undefined);
  for (const file of readdirSync(dist).filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(path.join(dist, file), 'utf8');
    const foreign = [...text.matchAll(/^(?:import|export)\b(?:.*? from)? ?["']([^."'][^"']*)["'];?$|\bimport\(["']([^."'][^"']*)["']\)/gm)].map(([, name, other]) => name ?? other);
    assert.deepEqual(new Set(foreign), new Set(file === 'preact.js' ? ['preact', 'preact/hooks'] : []), file);
  }
});

test('every way in leads to a file and its types', async () => {
  for (const [entry, target] of Object.entries(manifest.exports)) {
    for (const file of typeof target === 'string' ? [target] : Object.values(target)) {
      assert.ok(existsSync(path.join(clientFolder, file)), `${entry}: ${file}`);
    }
  }
  const state = await import(distUrl('state.js'));
  assert.equal(typeof state.reduceAll, 'function');
});

test('what is published: the built files, the licence, the README', () => {
  const [packed] = JSON.parse(run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']));
  const files = packed.files.map((file) => file.path);
  const strange = files.filter((file) => !/^dist\/[a-z]+\.(js|d\.ts|js\.map)$|^(package\.json|README\.md|LICENSE)$/.test(file));
  assert.deepEqual(strange, []);
  for (const wanted of ['README.md', 'LICENSE', 'dist/index.js', 'dist/index.d.ts', 'dist/state.js', 'dist/preact.js']) {
    assert.ok(files.includes(wanted), wanted);
  }
});
