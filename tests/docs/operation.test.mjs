// What README.md and docs/operation.md say of the program, compared with the program's text.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { documents, prose, quoted, read, root } from './lib/repository.mjs';

const readme = read('README.md');
const main = read('src/main.c');

test('every metric that is named exists', () => {
  const text = `${read('include/signalbox/base/metrics.h')}\n${read('src/server.c')}`;
  const families = new Set([...text.matchAll(/"(signalbox_[a-z_]+)(?:\{[^"]*)?"?/g)].map(([, family]) => family));
  assert.ok(families.size > 20);
  let named = 0;
  for (const file of documents()) {
    for (const word of quoted(read(file)).filter((each) => /^signalbox_[a-z_]+$/.test(each))) {
      assert.ok(families.has(word), `${file}: ${word}`);
      named++;
    }
  }
  assert.ok(named > 10);
});

test('the options in README.md are those of `signalbox serve`', () => {
  const [, table] = main.match(/serve_arguments[\s\S]*?options\[\] = \{([\s\S]*?)\};/);
  const options = [...table.matchAll(/\{"([a-z-]+)"/g)].map(([, name]) => name);
  const server = readme.split(/^## /m).find((part) => part.startsWith('The server\n'));
  const rows = [...server.matchAll(/^\| `--([a-z-]+)/gm)].map(([, name]) => name);
  assert.deepEqual(rows.sort(), options.sort());
});

test('every option of a program or a script that is named exists', () => {
  const texts = ['src/main.c', 'src/check_config.c', 'src/schema.c', 'src/store_command.c', 'src/audit_command.c', 'src/doctor.c', 'src/replay/replay.c', 'scripts/run', 'scripts/test'].map(read).join('\n');
  for (const file of ['README.md', 'docs/operation.md']) {
    for (const [, option] of prose(read(file)).matchAll(/`(?:[^`]* )?--([a-z-]+)[^`]*`/g)) {
      const isOurs = new RegExp(`--${option}\\b|"${option}"`).test(texts);
      assert.ok(isOurs, `${file}: --${option}`);
    }
  }
});

test('every subcommand that is named exists', () => {
  const [, table] = main.match(/subcommands\[\] = \{([\s\S]*?)\n\};/);
  const names = [...table.matchAll(/\{"([a-z-]+)"/g)].map(([, name]) => name);
  for (const file of ['README.md', 'docs/operation.md', 'docs/architecture.md', 'docs/configuration.md']) {
    for (const [, name] of read(file).matchAll(/`signalbox ([a-z-]+)/g)) {
      assert.ok(names.includes(name), `${file}: signalbox ${name}`);
    }
  }
  for (const name of names) {
    assert.ok(readme.includes(`signalbox ${name}`), `README.md does not name ${name}`);
  }
});

test('every example in conf/ is named, and every one that is named is there', () => {
  const all = documents().map(read).join('\n');
  for (const name of readdirSync(path.join(root, 'conf'))) {
    assert.ok(all.includes(`conf/${name}`), `conf/${name} is named nowhere`);
  }
  for (const [, name] of all.matchAll(/\bconf\/([\w.-]+\w)/g)) {
    assert.ok(existsSync(path.join(root, 'conf', name)), `conf/${name}`);
  }
});

test('the options in conf/*.example are options', () => {
  const keys = new Set([...read('docs/configuration.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, key]) => key));
  for (const name of readdirSync(path.join(root, 'conf')).filter((each) => each.endsWith('.example'))) {
    const line = read(`conf/${name}`).match(/Signalbox's configuration: (.*)$/m);
    for (const [key] of (line?.[1] ?? '').replace(/\{[^}]*\}/g, '').matchAll(/[a-z]+(-[a-z]+)+/g)) {
      assert.ok(keys.has(key), `conf/${name}: ${key}`);
    }
  }
});

test('the two commands can be run', () => {
  for (const script of ['scripts/run', 'scripts/test']) {
    assert.ok(readme.includes(script));
    assert.ok(statSync(path.join(root, script)).mode & 0o100, script);
  }
});
