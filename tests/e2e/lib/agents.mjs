// The agents of the tests.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after } from 'node:test';
import { claude, gemini, opencode, requireAgents, requireMoreAgents, sdkExample } from './install.mjs';
import { e2e } from './paths.mjs';
import { GATE } from './script.mjs';
import { freePort, temporaryFolder } from './server.mjs';
import { within } from './wait.mjs';

const quiet = { IS_SANDBOX: '1', NO_BROWSER: '1', NO_COLOR: '1', TERM: 'dumb' };

export const scripted = (settings = {}) => ({ command: ['signalbox-scripted-agent'], ...settings });
export const replaying = (...files) => ({ command: ['signalbox', 'replay-agent', ...files, '--no-wait'] });
/** Plays `first` when it is started for the first time, and `second` whenever it is started again. */
export function replayingThen(first, second) {
  const mark = path.join(temporaryFolder(), 'started');
  const play = (file) => `exec signalbox replay-agent '${file}' --no-wait`;
  return inline(`[ -e ${mark} ] || { : >${mark}; ${play(first)}; }; ${play(second)}`);
}
export const inline = (shellScript) => ({ command: ['/bin/sh', '-c', shellScript] });

/** A scripted agent whose output stands still at each `gate()` of its scripts, in their order, until `open(N)` (from 1): what is between
 * two of them is neither over too early nor late, however slow the machine is. */
export function gated(settings = {}) {
  const file = path.join(temporaryFolder(), 'gate');
  const agent = inline(`gates=0
    signalbox-scripted-agent | while IFS= read -r line; do
      case $line in
      ${GATE}) gates=$((gates + 1)); until [ -e ${file}-$gates ]; do sleep 0.02; done ;;
      *) printf '%s\n' "$line" ;;
      esac
    done`);
  return { agent: { ...agent, ...settings }, open: (number) => writeFileSync(`${file}-${number}`, '') };
}

/** An agent written in JavaScript: the text of a module that reads stdin and writes stdout. */
export function javascript(source) {
  const file = path.join(temporaryFolder(), 'agent.mjs');
  writeFileSync(file, source);
  return { command: [process.execPath, file] };
}

export function sdkExampleAgent() {
  requireAgents();
  const flags = globalThis.crypto ? [] : ['--experimental-global-webcrypto']; // Node 18 has it, but does not give it away
  return { command: [process.execPath, ...flags, sdkExample], environment: { ...quiet, HOME: temporaryFolder() } };
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

/** Gemini CLI with a private HOME. */
export function geminiAgent(port) {
  requireMoreAgents();
  const model = { GOOGLE_GEMINI_BASE_URL: `http://127.0.0.1:${port}`, GEMINI_API_KEY: 'dummy-0000' };
  return {
    command: [process.execPath, gemini, '--acp', '--model', 'gemini-2.5-pro'],
    environment: { ...quiet, ...model, GEMINI_TELEMETRY_ENABLED: 'false', HOME: temporaryFolder() },
  };
}

/** Claude's adapter with a private HOME. */
export function claudeAgent(port) {
  requireMoreAgents();
  const model = { ANTHROPIC_BASE_URL: `http://127.0.0.1:${port}`, ANTHROPIC_API_KEY: 'sk-ant-dummy-0000' };
  const silent = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1', DISABLE_TELEMETRY: '1' };
  return {
    command: [process.execPath, claude],
    environment: { ...quiet, ...model, ...silent, HOME: temporaryFolder() },
  };
}

/** The imitation of a model: the prompt is its script. `log`: a file for the requests. -> port */
export async function startFakeModel({ log } = {}) {
  const port = await freePort();
  const program = path.join(e2e, 'fake-model/fake-model.mjs');
  const options = ['--port', String(port), '--delay', '5', ...(log ? ['--log', log] : [])];
  const child = spawn(process.execPath, [program, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  after(() => child.kill('SIGKILL'));
  const ready = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the model server ended with ${code}`)));
    child.stderr.on('data', (part) => String(part).includes('fake model on') && resolve());
  });
  await within(ready, 30_000, () => 'the model server to start');
  return port;
}
