// A small ACP client for the tests of our own agents.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const bin = path.resolve(process.env.SIGNALBOX_BIN ?? path.join(here, '../../../build/release'));
export const transcripts = path.join(here, '../../transcripts');
/** '' is the server's own program. */
export const program = (name) => path.join(bin, name ? `signalbox-${name}` : 'signalbox');

export class Agent {
  constructor(name, args = [], options = {}) {
    this.child = spawn(program(name), args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
    this.messages = []; // everything that was a JSON line, in order
    this.noise = []; // lines that were not
    this.stderr = '';
    this.reads = 0;
    this.pending = new Map();
    this.waiting = [];
    this.next = 0;
    this.onRequest = null; // (message) => result, or undefined to answer later
    this.parts = [];
    this.child.stdout.on('data', (data) => this.#data(data));
    this.child.stderr.on('data', (data) => { this.stderr += data; });
    this.child.stdin.on('error', () => {});
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.over = { code, signal };
      for (const { reject } of [...this.pending.values(), ...this.waiting]) {
        reject(new Error(`the agent ended: ${code} ${signal} ${this.stderr}`));
      }
      return this.over;
    });
  }

  #data(data) {
    this.reads += 1;
    let start = 0;
    let end;
    while ((end = data.indexOf(10, start)) >= 0) {
      this.parts.push(data.subarray(start, end));
      const line = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts);
      this.parts = [];
      start = end + 1;
      this.#line(line.toString());
    }
    if (start < data.length) {
      this.parts.push(data.subarray(start));
    }
  }

  #line(line) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      this.noise.push(line);
      return;
    }
    this.messages.push(message);
    if (message.method === undefined && this.pending.has(message.id)) {
      const { resolve } = this.pending.get(message.id);
      this.pending.delete(message.id);
      resolve(message);
    } else if (message.method !== undefined && message.id !== undefined && this.onRequest) {
      const result = this.onRequest(message);
      if (result !== undefined) {
        this.answer(message, result);
      }
    }
    this.waiting = this.waiting.filter((w) => {
      if (!w.test(message)) {
        return true;
      }
      w.resolve(message);
      return false;
    });
  }

  write(text) {
    this.child.stdin.write(text);
  }

  send(message) {
    this.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  // The whole response message.
  call(method, params, id = this.next++) {
    const response = new Promise((resolve, reject) => this.pending.set(id, { resolve, reject }));
    this.lastId = id;
    this.send({ id, method, params });
    return response;
  }

  notify(method, params) {
    this.send({ method, params });
  }

  answer(request, result) {
    this.send({ id: request.id, result });
  }

  choose(request, optionId) {
    this.answer(request, { outcome: { outcome: 'selected', optionId } });
  }

  // The first message for which `test` holds, past or future.
  seen(test) {
    const found = this.messages.find(test);
    return found ? Promise.resolve(found) : this.coming(test);
  }

  coming(test) {
    return new Promise((resolve, reject) => this.waiting.push({ test, resolve, reject }));
  }

  async initialize(capabilities = {}) {
    return (await this.call('initialize', { protocolVersion: 1, clientCapabilities: capabilities })).result;
  }

  async open(cwd = '/') {
    await this.initialize();
    const { result } = await this.call('session/new', { cwd, mcpServers: [] });
    this.session = result.sessionId;
    return this.session;
  }

  prompt(text, session = this.session) {
    const script = typeof text === 'string' ? text : JSON.stringify(text);
    return this.call('session/prompt', { sessionId: session, prompt: [{ type: 'text', text: script }] });
  }

  cancel(session = this.session) {
    this.notify('session/cancel', { sessionId: session });
  }

  updates(kind) {
    return this.messages.filter((m) => m.method === 'session/update').map((m) => m.params.update)
      .filter((u) => kind === undefined || u.sessionUpdate === kind);
  }

  text(kind = 'agent_message_chunk') {
    return this.updates(kind).map((u) => u.content.text).join('');
  }

  forget() {
    this.messages = [];
  }

  // Ends the agent by the end of its input, which is a success (a sanitizer's report is none).
  async end() {
    this.child.stdin.end();
    const over = await this.ended;
    if (over.code !== 0) {
      throw new Error(`the agent ended: ${over.code} ${over.signal} ${this.stderr}`);
    }
    return over;
  }
}

export const isUpdate = (kind, more = () => true) => (m) =>
  m.method === 'session/update' && m.params.update.sessionUpdate === kind && more(m.params.update);
export const isRequest = (m) => m.method !== undefined && m.id !== undefined;

export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Who was ended by a signal, and is not a child of whom we have heard, is gone in its own time. */
export async function isGone(pid) {
  for (const end = Date.now() + 20_000; isAlive(pid) && Date.now() < end;) {
    await new Promise((done) => setTimeout(done, 20));
  }
  return !isAlive(pid);
}

export const outcome = (optionId) => ({ outcome: { outcome: 'selected', optionId } });
