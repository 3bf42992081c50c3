// Installs the real agents of the tests into the cache: `node tests/e2e/lib/install.mjs`.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { cache, e2e } from './paths.mjs';

const folder = path.join(cache, 'agents');
const wanted = path.join(e2e, 'agents/package.json');
const stamp = path.join(folder, 'installed.json'); // a copy of `wanted`, written last
const modules = path.join(folder, 'node_modules');

export const opencode = path.join(modules, '.bin/opencode');
export const sdkExample = path.join(modules, '@agentclientprotocol/sdk/dist/examples/agent.js');

function isInstalled() {
  const isSame = existsSync(stamp) && readFileSync(stamp).equals(readFileSync(wanted));
  return isSame && existsSync(opencode) && existsSync(sdkExample);
}

export function requireAgents() {
  if (!isInstalled()) {
    throw new Error('the agents are not installed: node tests/e2e/lib/install.mjs (scripts/test does it)');
  }
}

// No lock file: OpenCode's package for each platform is optional, and `npm ci` wants all of them known.
function install() {
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
  if (!isInstalled()) {
    install();
  }
  requireAgents();
  console.log(`the agents are installed in ${folder}`);
}
