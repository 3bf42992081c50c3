// The fields that bench/README.md lists are those of a line that signalbox-bench prints, and of one that bench/run writes: each is
// there, and none is there that is not listed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const bin = path.resolve(process.env.SIGNALBOX_BIN);
const readme = readFileSync(path.join(root, 'bench/README.md'), 'utf8');

/** The names in the first column of the table with this heading. */
function listed(heading) {
  const table = readme.split(`| ${heading} | what it is |\n|---|---|\n`)[1];
  assert.ok(table, `a table "${heading}"`);
  return table.split('\n\n')[0].split('\n').map((line) => /^\| `([^`]+)`/.exec(line)?.[1] ?? assert.fail(line));
}

// Their members are named after threads.
const BY_THREAD = /_by_thread$/;
// They depend on how busy the machine is, or on the aim.
const NOT_ALWAYS = new Set(['runs[]/server/agents_host_cores', 'runs[]/server/cpu_us_per_delivery']);

/** The paths of all values, as the tables write them. */
function pathsOf(value, above = '') {
  if (Array.isArray(value)) {
    const inner = value.filter((each) => typeof each === 'object').flatMap((each) => pathsOf(each, `${above}[]`));
    return [...(above === '' ? [] : [above]), ...inner];
  }
  if (value === null || typeof value !== 'object' || BY_THREAD.test(above)) {
    return [above];
  }
  return Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, above === '' ? name : `${above}/${name}`));
}

/** One line of a small run. */
function lineOf(...words) {
  const run = spawnSync(path.join(bin, 'signalbox-bench'), [...words, '--json'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  const lines = run.stdout.split('\n');
  assert.deepEqual(lines.slice(1), [''], 'one line');
  return JSON.parse(lines[0]);
}

const fields = [...listed('field'), ...listed('field of a run')];

test('no field is listed twice', () => {
  assert.deepEqual(fields.filter((name, i) => fields.indexOf(name) !== i), []);
});

test('a line has the fields that are listed, and no others', () => {
  const line = lineOf('breadth', '--watchers', '20', '--sessions', '4', '--seconds', '1', '--warmup', '0.2');
  const there = new Set(pathsOf(line));
  // This one has no aims.
  const wanted = fields.filter((name) => !name.startsWith('aims[]/'));
  assert.deepEqual(wanted.filter((name) => !there.has(name) && !NOT_ALWAYS.has(name)), [], 'listed, but not printed');
  assert.deepEqual([...there].filter((name) => !wanted.includes(name)), [], 'printed, but not listed');
});

test('an aim has the fields that are listed', () => {
  const line = lineOf('commit', '--watchers', '4', '--sessions', '4', '--seconds', '1', '--warmup', '0.2');
  const aims = [...new Set(pathsOf(line).filter((name) => name.startsWith('aims[]/')))];
  assert.deepEqual(aims.sort(), fields.filter((name) => name.startsWith('aims[]/')).sort());
  const there = new Set(pathsOf(line));
  assert.deepEqual(fields.filter((name) => !there.has(name) && !NOT_ALWAYS.has(name)), [], 'listed, but not printed');
});

test('a line of results.jsonl has the fields that are listed', () => {
  const format = /printf '(\{"set".*?\})\\n'/.exec(readFileSync(path.join(root, 'bench/run'), 'utf8'))[1];
  const line = JSON.parse(format.replace('%d', '1').replaceAll('%s', '0'));
  assert.deepEqual(Object.keys(line), listed('field of a line'));
});
