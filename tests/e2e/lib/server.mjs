// The built server, started as a user starts it: own port, data, configuration and workspaces.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { Client } from './client.mjs';
import { configText } from './config.mjs';
import { request } from './http.mjs';
import { bin, logs } from './paths.mjs';
import { MARK, killQuietly, processesOf } from './processes.mjs';
import { DEFAULT_WAIT_MS, standstill, until, within } from './wait.mjs';
import { onFailure } from './words.mjs';

const file = path.basename(process.argv[1] ?? 'test', '.test.mjs');
let started = 0;

const newFolder = () => realpathSync(mkdtempSync(path.join(os.tmpdir(), 'signalbox-e2e-')));
// A process that is ending may still write into it.
const remove = (folder) => rmSync(folder, { recursive: true, force: true, maxRetries: 10 });

// Not by `after`: those of the file run in their order, and a folder is often made before the server whose agents live in it; one
// that could not be removed would keep all that follow from being run.
const folders = [];
process.on('exit', () => folders.forEach(remove));

/** A folder that is gone when the file is over. */
export function temporaryFolder() {
  const folder = newFolder();
  folders.push(folder);
  return folder;
}

let ports = 0;

/** A port that nobody listens at. Not one of those that the kernel gives out by itself: such a one may be somebody's end of a connection
 * before a server has it, or while a server that is to come back to it is away. Each process begins at another. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + ((process.pid * 16 + ports++) % 20_000);
    const probe = net.createServer();
    const isFree = await new Promise((done) => probe.on('error', () => done(false)).listen(port, '127.0.0.1', () => done(true)));
    await new Promise((done) => (isFree ? probe.close(done) : done()));
    if (isFree) {
      return port;
    }
  }
}

/** The environment of a server: nothing of the user's, and the mark that every child inherits. */
function environmentOf(run, home, extra) {
  return {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: home,
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    ...extra,
    [MARK]: run,
  };
}

/** SIGNALBOX_TEST_SETTINGS, `KEY=VALUE KEY=VALUE`, lies under the settings of all tests. */
const everywhere = Object.fromEntries(
  (process.env.SIGNALBOX_TEST_SETTINGS ?? '').split(' ').filter(Boolean).map((pair) => pair.split('=')),
);

/**
 * options: settings {key: value}, agents {name: {command, environment, ...}}, env, args, listen.
 * The server is stopped when the test (or the file) is over, and must then end in order.
 */
export async function startServer(options = {}) {
  const server = await prepareServer(options);
  await server.start();
  return server;
}

/** The same, not yet started. */
export async function prepareServer(options = {}) {
  const server = new Server(options);
  after(() => server.finish());
  await server.prepare();
  return server;
}

/** Runs `signalbox ARGS` to its end: {code, signal, output}. */
export async function runSignalbox(args, { env = {}, ms = 30_000 } = {}) {
  const home = temporaryFolder();
  const child = spawn(path.join(bin, 'signalbox'), args, {
    env: environmentOf(randomUUID(), home, env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (part) => (output += part));
  child.stderr.on('data', (part) => (output += part));
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
  try {
    return await within(ended, ms, () => `signalbox ${args.join(' ')} to end\n${output}`);
  } finally {
    child.kill('SIGKILL');
  }
}

export class Server {
  log = '';
  exit = null;
  #clients = [];
  #child = null;

  constructor(options) {
    this.options = options;
    this.run = randomUUID();
    this.folder = newFolder();
    this.workspaces = path.join(this.folder, 'workspaces');
    this.home = path.join(this.folder, 'home');
    this.data = path.join(this.folder, 'data');
    this.configFile = path.join(this.folder, 'signalbox.conf');
    this.logFile = path.join(logs, `server-${file}-${++started}.log`);
    mkdirSync(this.workspaces);
    mkdirSync(this.home);
    onFailure(() => this.log && `${this.logFile} ends, at ${new Date().toISOString()}, with\n  ${this.logTail(6, 300)}`);
  }

  async prepare() {
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.writeConfig();
  }

  /** Writes the configuration of `options`, with `changes` laid over its settings. */
  writeConfig(changes = {}) {
    writeFileSync(this.configFile, this.configText(changes));
  }

  configText(changes = {}) {
    const { settings = {}, agents = {} } = this.options;
    const all = { 'workspace-roots': [this.workspaces], ...everywhere, ...settings, ...changes };
    return configText(all, { shell: { command: ['signalbox-shell'] }, ...agents });
  }

  newWorkspace(name = randomUUID()) {
    const folder = path.join(this.workspaces, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  async start() {
    const { args = [], env = {}, listen = `127.0.0.1:${this.port}` } = this.options;
    const program = path.join(bin, 'signalbox');
    const all = ['serve', '--config', this.configFile, '--listen', listen, '--data', this.data, ...args];
    this.exit = null;
    const child = spawn(program, all, {
      env: environmentOf(this.run, this.home, env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    this.pid = child.pid;
    const keep = (part) => (this.log += part);
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    let notStarted = null;
    child.on('error', (error) => (notStarted = error));
    this.ended = new Promise((resolve) => {
      child.on('exit', (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
    await until(
      () => {
        if (notStarted || this.exit) {
          throw new Error(`${program} did not start: ${notStarted ?? JSON.stringify(this.exit)}\n${this.logTail()}`);
        }
        return this.isReady();
      },
      () => `${program} ready on ${this.url}\n${this.logTail()}`,
    );
  }

  async isReady() {
    try {
      return (await this.rest('GET', '/readyz')).status === 200;
    } catch {
      return false;
    }
  }

  logTail(lines = 25, width = Infinity) {
    return this.log.trimEnd().split('\n').slice(-lines).map((line) => line.slice(0, width)).join('\n  ');
  }

  /** Its log comes by a pipe: what it has done can be seen elsewhere before this. */
  says(pattern) {
    const has = () => (pattern instanceof RegExp ? pattern.test(this.log) : this.log.includes(pattern));
    return until(has, () => `${pattern} in the log\n${this.logTail()}`);
  }

  rest(method, where, options) {
    return request(method, this.url + where, options);
  }

  async connect(options) {
    const client = await Client.connect(this, options);
    this.#clients.push(client);
    return client;
  }

  leftovers() {
    return processesOf(this.run);
  }

  /** Nothing that this server started, directly or not, is alive any more. */
  async nothingLeft(ms = DEFAULT_WAIT_MS) {
    const show = () => `no process left, but: ${JSON.stringify(this.leftovers(), null, 1)}`;
    await until(() => this.leftovers().length === 0, show, ms);
  }

  /** As a machine that loses its memory of the process: SIGKILL. */
  async kill() {
    killQuietly(this.pid);
    await within(this.ended, DEFAULT_WAIT_MS, () => 'SIGKILL to end the server');
  }

  /** SIGTERM; -> {code, signal, ms}; the ms are those in which the machine went on. */
  async terminate(ms = 30_000) {
    const begun = performance.now();
    const lost = standstill();
    killQuietly(this.pid, 'SIGTERM');
    await within(this.ended, ms, () => `SIGTERM to end the server\n${this.logTail()}`).catch((error) => {
      lost();
      throw error;
    });
    return { ...this.exit, ms: performance.now() - begun - lost() };
  }

  /** The same server again: same data, same port, same configuration. */
  async restart() {
    if (!this.exit) {
      await this.terminate();
    }
    await this.start();
  }

  /** What every test file demands at its end, whatever it tested. */
  async finish() {
    try {
      for (const client of this.#clients) {
        client.socket.terminate();
      }
      if (this.#child && !this.exit) {
        const { code, signal } = await this.terminate();
        assert.deepEqual({ code, signal }, { code: 0, signal: null }, `an orderly end\n${this.logTail()}`);
      }
      await this.nothingLeft();
      const fault = this.#clients.find((client) => client.fault)?.fault;
      assert.equal(fault, undefined, `a client saw a breach of the contract: ${fault?.stack}`);
    } finally {
      writeFileSync(this.logFile, this.log);
      killQuietly(this.pid);
      for (const { pid } of this.leftovers()) {
        killQuietly(pid);
      }
      remove(this.folder);
    }
  }
}
