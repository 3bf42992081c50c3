// A client of craft, as its description has it: REST for what was, a WebSocket for what comes. Of events it takes those that
// it knows.
import assert from 'node:assert/strict';
import { Connection } from './dialect.mjs';

const text = (value) => assert.equal(typeof value, 'string');
const KNOWN = {
  text_delta: ({ sessionId, delta }) => [sessionId, delta].forEach(text),
  text_complete: ({ text: whole }) => text(whole),
  tool_start: ({ toolName, toolUseId, toolInput }) => {
    [toolName, toolUseId].forEach(text);
    assert.ok(toolInput && typeof toolInput === 'object' && !Array.isArray(toolInput));
  },
  tool_result: ({ toolUseId, toolName, result }) => [toolUseId, toolName, result].forEach(text),
  complete: ({ sessionId }) => text(sessionId),
  error: ({ error }) => text(error),
  permission_request: ({ request: { requestId, toolName, command, description } }) => [requestId, toolName, command, description].forEach(text),
  permission_timeout: ({ requestId }) => text(requestId),
  config_changed: ({ changeType }) => text(changeType),
};

export class CraftClient extends Connection {
  static async join(server, sessionId, { protocol, token } = {}) {
    const client = new CraftClient();
    Object.assign(client, { sessionId, token, texts: new Map(), tools: new Map(), errors: new Map(), pending: new Map(), sequence: new Set(), isProcessing: false });
    await client.open(server, '/ws', { protocol, token });
    client.send({ type: 'subscribe', sessionId });
    await client.message('subscribed');
    await client.#load();
    return client;
  }

  async rest(method, where, body) {
    const answer = await this.server.rest(method, `/api/sessions${where}`, { body, token: this.token });
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${answer.text}`);
    return answer;
  }

  async #load() {
    const { json } = await this.rest('GET', `/${this.sessionId}`);
    assert.equal(json.id, this.sessionId);
    const [texts, tools, sequence] = [this.texts, this.tools, this.sequence];
    this.sequence = new Set();
    this.texts = new Map();
    this.tools = new Map();
    for (const { role, id, content, toolName, toolInput, toolStatus, isError } of json.messages) {
      if (role === 'assistant' || role === 'tool') {
        this.sequence.add(`${role === 'tool' ? 'tool' : 'text'}:${id}`);
      }
      if (role === 'assistant') {
        this.texts.set(id, content);
      } else if (role === 'tool') {
        this.tools.set(id, { name: toolName, input: toolInput, ...(toolStatus === 'executing' ? {} : { result: content, isError }) });
      } else if (role === 'error') {
        this.errors.set(id, content);
      }
    }
    // What came meanwhile is newer, or the same.
    texts.forEach((value, id) => value.length >= (this.texts.get(id)?.length ?? 0) && this.texts.set(id, value));
    tools.forEach((value, id) => this.tools.set(id, { ...this.tools.get(id), ...value }));
    sequence.forEach((id) => this.sequence.add(id));
    this.isProcessing = json.isProcessing;
  }

  take(message) {
    KNOWN[message.type]?.(message);
    switch (message.type) {
      case 'text_delta': {
        this.isProcessing = true;
        this.sequence.add(`text:${message.messageId}`);
        const before = this.texts.get(message.messageId) ?? '';
        if (message.offset <= before.length) { // else its beginning is not known: the whole comes
          this.texts.set(message.messageId, before.slice(0, message.offset) + message.delta);
        }
        break;
      }
      case 'text_complete':
        this.sequence.add(`text:${message.messageId}`);
        this.texts.set(message.messageId, message.text);
        break;
      case 'tool_start':
        this.isProcessing = true;
        this.sequence.add(`tool:${message.toolUseId}`);
        this.tools.set(message.toolUseId, { name: message.toolName, input: message.toolInput });
        break;
      case 'tool_update': // not known to craft; the test follows inputs that come late
        if (message.toolInput) {
          this.tools.set(message.toolUseId, { ...this.tools.get(message.toolUseId), input: message.toolInput });
        }
        break;
      case 'tool_result': Object.assign(this.tools.get(message.toolUseId) ?? {}, { result: message.result, isError: message.isError }); break;
      case 'complete': this.isProcessing = false; break;
      case 'error': this.errors.set(`error-${message.seq}`, message.error); break;
      case 'permission_request': this.pending.set(message.request.requestId, message.request); break;
      case 'permission_timeout':
      case 'permission_resolved':
      case 'permission_cancelled': this.pending.delete(message.requestId); break;
      default:
    }
  }

  async reload() {
    this.send({ type: 'subscribe', sessionId: this.sessionId });
    await this.#load();
  }

  prompt(message) {
    this.sent = this.rest('POST', `/${this.sessionId}/messages`, { message }).then(({ status, json }) => {
      assert.equal(status, 202);
      assert.equal(json.accepted, true);
    });
  }

  answer(requestId, optionId) {
    const kind = this.pending.get(requestId).acpOptions.find((option) => option.optionId === optionId)?.kind ?? optionId;
    this.send({ type: 'permission_response', requestId, allowed: kind.startsWith('allow'), alwaysAllow: kind === 'allow_always' });
  }

  async cancel() {
    const { json } = await this.rest('POST', `/${this.sessionId}/abort`);
    assert.deepEqual(json, { success: true });
  }

  get requests() {
    return [...this.pending.keys()];
  }

  get shownText() {
    return [...this.texts.values()].join('');
  }

  view() {
    return { texts: [...this.texts.values()], tools: [...this.tools.values()], errors: [...this.errors.values()], pending: this.requests, sequence: [...this.sequence] };
  }
}
