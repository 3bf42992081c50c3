// Installs the real agents of the tests into the cache: `node tests/e2e/lib/install.mjs`; with `--long` (or for a long run)
// those of long runs as well.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, e2e, isLong } from './paths.mjs';

/** One folder of agents; `wanted` is its package.json, `programs` what must be there. */
const set = (folder, wanted, ...programs) => ({
  folder: path.join(cache, folder),
  wanted: path.join(e2e, wanted),
  stamp: path.join(cache, folder, 'installed.json'), // a copy of `wanted`, written last
  programs: programs.map((program) => path.join(cache, folder, 'node_modules', program)),
});
const usual = set('agents', 'agents/package.json', '.bin/opencode', '@agentclientprotocol/sdk/dist/examples/agent.js');
const more = set('agents-long', 'agents/long/package.json', '.bin/gemini', '.bin/claude-agent-acp');

export const [opencode, sdkExample] = usual.programs;
export const [gemini, claude] = more.programs;

function isInstalled({ wanted, stamp, programs }) {
  const isSame = existsSync(stamp) && readFileSync(stamp).equals(readFileSync(wanted));
  return isSame && programs.every((program) => existsSync(program));
}

export function requireAgents() {
  if (!isInstalled(usual)) {
    throw new Error('the agents are not installed: node tests/e2e/lib/install.mjs (scripts/test does it)');
  }
}

export function requireMoreAgents() {
  if (!isInstalled(more)) {
    throw new Error('the agents are not installed: node tests/e2e/lib/install.mjs --long (scripts/test --long does it)');
  }
}

// No lock file: OpenCode's package for each platform is optional, and `npm ci` wants all of them known.
function install({ folder, wanted, stamp }) {
  rmSync(stamp, { force: true });
  mkdirSync(folder, { recursive: true });
  copyFileSync(wanted, path.join(folder, 'package.json'));
  const flags = ['--no-package-lock', '--no-audit', '--no-fund'];
  const run = spawnSync('npm', ['install', ...flags], { cwd: folder, stdio: 'inherit' });
  if (run.status !== 0) {
    throw new Error(`npm could not install the agents into ${folder}`);
  }
  writeFileSync(stamp, readFileSync(wanted));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const each of isLong || process.argv.includes('--long') ? [usual, more] : [usual]) {
    if (!isInstalled(each)) {
      install(each);
    }
    if (!isInstalled(each)) {
      throw new Error(`npm did not install all of ${each.wanted}`);
    }
    console.log(`the agents are installed in ${each.folder}`);
  }
}
