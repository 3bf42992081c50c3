// What clients of all dialects have in common: a WebSocket, and a view of a session that can be compared with what the
// native protocol says of it.
import assert from 'node:assert/strict';
import WebSocket from 'ws';
import { UpgradeRefused } from './client.mjs';
import { DEFAULT_WAIT_MS, Inbox, within } from './wait.mjs';

export class Connection {
  inbox = new Inbox();
  fault = null;

  /** options: token, protocol (none by itself). */
  async open(server, path, options = {}) {
    this.server = server;
    const headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};
    const protocols = options.protocol ? [options.protocol] : [];
    this.socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`, protocols, { headers, perMessageDeflate: false });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.inbox.fail(new Error(`connection closed: ${code} ${reason}\n${this.explain()}`));
        resolve({ code, reason: String(reason) });
      });
    });
    this.socket.on('message', (data) => this.#message(data.toString()));
    this.socket.on('error', () => {}); // 'close' follows
    const opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
      this.socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part) => (body += part));
        response.on('end', () => reject(new UpgradeRefused(response.statusCode, body)));
      });
    });
    await within(opened, DEFAULT_WAIT_MS, () => `WebSocket to ${server.url}${path}`);
    return this;
  }

  #message(raw) {
    try {
      const message = JSON.parse(raw);
      assert.equal(typeof message.type, 'string', raw.slice(0, 200));
      this.take(message);
      this.inbox.push(message);
    } catch (error) {
      this.fault ??= error;
      this.inbox.fail(error);
      this.socket.terminate();
    }
  }

  explain() {
    return [...this.inbox.items.slice(-20).map((item) => JSON.stringify(item).slice(0, 300)), this.server.logTail?.() ?? ''].join('\n  ');
  }

  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** Waits until `holds` does, looking after each message. */
  until(holds, what) {
    if (this.fault) {
      throw this.fault;
    }
    return holds() ? undefined : this.inbox.find(() => holds(), { what, from: this.inbox.items.length, explain: () => this.explain() });
  }

  message(type, match = () => true, options = {}) {
    return this.inbox.find((message) => message.type === type && match(message), { what: type, explain: () => this.explain(), ...options });
  }

  drop() {
    this.socket.terminate();
    return this.closed;
  }

  async close() {
    this.socket.close();
    await within(this.closed, DEFAULT_WAIT_MS, () => `close of the WebSocket\n  ${this.explain()}`);
    if (this.fault) {
      throw this.fault;
    }
  }
}

/** All events of a session, folded. */
export async function eventsOf(server, sessionId, options) {
  const events = [];
  for (let after = ''; after !== null; ) {
    const { json } = await server.rest('GET', `/v1/sessions/${sessionId}/events?limit=1000${after}`, options);
    events.push(...json.events);
    after = json.next ? `&after=${encodeURIComponent(json.next)}` : null;
  }
  return events;
}

/** What a person sees of a session, by the native protocol. */
export function viewOf(events) {
  const texts = new Map();
  const thoughts = new Map();
  const tools = new Map();
  const prompts = new Map();
  const pending = new Map();
  const sequence = new Set(); // texts, thoughts and calls, in the order in which they began
  const view = { plan: null, errors: [], isProcessing: false, commands: null, options: null, usage: null };
  for (const event of events) {
    const isThought = event.type.startsWith('thought');
    const all = isThought ? thoughts : texts;
    switch (event.type) {
      case 'text_delta':
      case 'thought_delta': {
        sequence.add(`${isThought ? 'thought' : 'text'}:${event.messageId}`);
        const before = all.get(event.messageId) ?? '';
        all.set(event.messageId, before.slice(0, event.offset) + event.delta);
        break;
      }
      case 'text_complete':
      case 'thought_complete':
        sequence.add(`${isThought ? 'thought' : 'text'}:${event.messageId}`);
        all.set(event.messageId, event.text);
        break;
      case 'tool_start':
        sequence.add(`tool:${event.toolUseId}`);
        tools.set(event.toolUseId, { name: event.toolName, input: event.toolInput });
        break;
      case 'tool_update': {
        const { content, toolInput } = event;
        Object.assign(tools.get(event.toolUseId), { ...(content ? { content } : {}), ...(toolInput ? { input: toolInput } : {}) });
        break;
      }
      case 'tool_result': {
        const tool = tools.get(event.toolUseId);
        Object.assign(tool, { result: event.result, isError: event.isError, ...(event.content ? { content: event.content } : {}) });
        break;
      }
      case 'plan': view.plan = event.entries; break;
      case 'usage': view.usage = event.used; break;
      case 'commands': view.commands = event.commands.map(({ name }) => name); break;
      case 'config_options': view.options = event.options; break;
      case 'error': view.errors.push(event.error); break;
      case 'status': view.isProcessing = ['running', 'waiting'].includes(event.phase); break;
      case 'user_message':
        prompts.delete(event.messageId); // it stands where its last status is
        prompts.set(event.messageId, { text: event.text, status: event.status });
        break;
      case 'permission_request': pending.set(event.request.requestId, event.request.toolName); break;
      case 'permission_resolved':
      case 'permission_timeout':
      case 'permission_cancelled': pending.delete(event.requestId); break;
      default:
    }
  }
  return {
    ...view, texts: [...texts.values()], thoughts: [...thoughts.values()], tools: [...tools.values()],
    prompts: [...prompts.values()], pending: [...pending.keys()], sequence: [...sequence],
  };
}
