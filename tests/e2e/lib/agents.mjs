// The agents of the tests.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { opencode, requireAgents, sdkExample } from './install.mjs';
import { e2e } from './paths.mjs';
import { freePort, temporaryFolder } from './server.mjs';
import { within } from './wait.mjs';

const quiet = { IS_SANDBOX: '1', NO_BROWSER: '1', NO_COLOR: '1', TERM: 'dumb' };

export const scripted = (settings = {}) => ({ command: ['signalbox-scripted-agent'], ...settings });
export const replaying = (...files) => ({ command: ['signalbox', 'replay-agent', ...files, '--no-wait'] });
export const inline = (shellScript) => ({ command: ['/bin/sh', '-c', shellScript] });

/** An agent written in JavaScript: the text of a module that reads stdin and writes stdout. */
export function javascript(source) {
  const file = path.join(temporaryFolder(), 'agent.mjs');
  writeFileSync(file, source);
  return { command: [process.execPath, file] };
}

export function sdkExampleAgent() {
  requireAgents();
  return { command: [process.execPath, sdkExample], environment: { ...quiet, HOME: temporaryFolder() } };
}

/** OpenCode with a private HOME, on the model server at `port`. */
export function openCodeAgent(port) {
  requireAgents();
  const home = temporaryFolder();
  const folder = path.join(home, '.config/opencode');
  mkdirSync(folder, { recursive: true });
  const config = readFileSync(path.join(e2e, 'fake-model/opencode.json'), 'utf8');
  writeFileSync(path.join(folder, 'opencode.json'), config.replaceAll(':18999', `:${port}`));
  return { command: [opencode, 'acp'], environment: { ...quiet, HOME: home } };
}

/** The imitation of a model: the prompt is its script. -> port */
export async function startFakeModel() {
  const port = await freePort();
  const program = path.join(e2e, 'fake-model/fake-model.mjs');
  const child = spawn(process.execPath, [program, '--port', String(port), '--delay', '5'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  after(() => child.kill('SIGKILL'));
  const ready = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the model server ended with ${code}`)));
    child.stderr.on('data', (part) => String(part).includes('fake model on') && resolve());
  });
  await within(ready, 10_000, () => 'the model server to start');
  return port;
}
