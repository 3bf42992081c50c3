// A client of claudecodeui, as its description has it: an Anthropic stream for each session that it looks at, and a dialog for
// each permission request of all sessions.
import assert from 'node:assert/strict';
import { Connection } from './dialect.mjs';

export class ClaudeUi extends Connection {
  /** Looks at the session, if there is one. `again`: an earlier client, whose page stayed open. */
  static async join(server, sessionId, { again, protocol, token } = {}) {
    const client = new ClaudeUi();
    client.sessionId = sessionId;
    client.stream = again?.stream ?? { messages: new Map(), users: new Map(), tools: new Map(), progress: new Map(), errors: new Map(), usage: null };
    client.dialogs = new Map();
    client.ends = new Map();
    client.queue = null;
    client.isProcessing = false;
    await client.open(server, '/ws/claudecodeui', { protocol, token });
    if (sessionId) {
      client.look();
      await client.message('session-status');
    }
    return client;
  }

  reload() {
    this.look();
  }

  look() {
    this.send({ type: 'check-session-status', sessionId: this.sessionId });
    this.send({ type: 'permission-sync-request', sessionId: this.sessionId });
  }

  take(message) {
    switch (message.type) {
      case 'permission-request': {
        const { id, toolName, input, summary, riskLevel, category, timestamp, expiresAt, sequenceNumber } = message;
        assert.ok(id && toolName && typeof input === 'object' && typeof summary === 'string' && timestamp && sequenceNumber);
        assert.ok(expiresAt === null || expiresAt > timestamp);
        assert.match(riskLevel, /^(low|medium|high)$/);
        assert.match(category, /^(file-read|file-write|system-command|network|process|other)$/);
        this.dialogs.set(id, message);
        break;
      }
      case 'permission-timeout':
        assert.ok(message.toolName && message.timestamp);
        this.#end(message);
        break;
      case 'permission-cancelled':
        assert.equal(typeof message.reason, 'string');
        this.#end(message);
        break;
      case 'permission-resolved':
        assert.match(message.decision, /^(allow|deny)$/);
        assert.equal(typeof message.by, 'string');
        this.#end(message);
        break;
      case 'permission-queue-status':
        assert.ok(message.timestamp && message.processing === 0);
        this.queue = message.pending;
        break;
      case 'permission-sync-response':
        for (const { requestId, sessionId, ...request } of message.pendingRequests) {
          assert.equal(sessionId, message.sessionId);
          this.dialogs.set(requestId, { ...this.dialogs.get(requestId), id: requestId, sessionId, ...request });
        }
        break;
      case 'claude-response':
        if (message.sessionId === this.sessionId) {
          this.#response(message.data);
        }
        break;
      case 'session-status':
        if (message.sessionId === this.sessionId) {
          this.isProcessing = message.isProcessing;
        }
        break;
      case 'claude-complete':
        assert.equal(typeof message.exitCode, 'number');
        assert.equal(typeof message.isNewSession, 'boolean');
        break;
      case 'claude-error':
        assert.equal(typeof message.error, 'string');
        if (message.seq && message.sessionId === this.sessionId) {
          this.stream.errors.set(message.seq, message.error);
        }
        break;
      case 'session-created':
        this.sessionId ??= message.sessionId;
        break;
      case 'permission-error':
      case 'session-aborted':
      case 'active-sessions': break;
      default: throw new Error(`unknown message: ${JSON.stringify(message).slice(0, 200)}`);
    }
  }

  #end(message) {
    this.ends.set(message.requestId, message);
    this.dialogs.delete(message.requestId);
  }

  #response(data) {
    const { stream } = this;
    switch (data.type) {
      case 'message_start':
        assert.equal(data.message.role, 'assistant');
        stream.open = { id: data.message.id, blocks: [] };
        stream.messages.set(data.message.id, stream.open);
        break;
      case 'content_block_start':
        stream.open.blocks[data.index] = structuredClone(data.content_block);
        if (data.content_block.type === 'tool_use') {
          stream.tools.set(data.content_block.id, { name: data.content_block.name, input: data.content_block.input });
        }
        break;
      case 'content_block_delta': {
        const block = stream.open.blocks[data.index];
        if (data.delta.type === 'text_delta') {
          block.text += data.delta.text;
        } else {
          assert.equal(data.delta.type, 'thinking_delta');
          block.thinking += data.delta.thinking;
        }
        break;
      }
      case 'message_delta': stream.usage = data.usage.used; break;
      case 'content_block_stop':
      case 'message_stop':
      case 'system': break;
      case 'tool_progress': {
        const { content, toolInput } = data;
        const { tool_use_id: id } = data;
        stream.progress.set(id, { ...stream.progress.get(id), ...(content ? { content } : {}), ...(toolInput ? { input: toolInput } : {}) });
        break;
      }
      case 'user':
        for (const part of data.message.content) {
          if (part.type === 'text') {
            stream.users.set(data.message.id, part.text);
          } else {
            assert.equal(part.type, 'tool_result');
            const { tool_use_id: id, content: result, is_error: isError = false, acpContent: content } = part;
            stream.progress.set(id, { ...stream.progress.get(id), result, isError, ...(content ? { content } : {}) });
          }
        }
        break;
      default: throw new Error(`unknown data: ${JSON.stringify(data).slice(0, 200)}`);
    }
  }

  prompt(text) {
    this.send({ type: 'claude-command', command: text, options: this.sessionId ? { sessionId: this.sessionId } : {} });
  }

  answer(requestId, optionId) {
    const kind = this.dialogs.get(requestId).context?.acpOptions.find((option) => option.optionId === optionId)?.kind ?? optionId;
    const decision = { allow_once: 'allow', allow_always: 'allow-always' }[kind] ?? 'deny';
    this.send({ type: 'permission-response', requestId, decision });
  }

  cancel() {
    this.send({ type: 'abort-session', sessionId: this.sessionId, provider: 'claude' });
  }

  get requests() {
    return [...this.dialogs.values()].filter(({ sessionId }) => sessionId === this.sessionId).map(({ id }) => id);
  }

  get shownText() {
    return this.view().texts.join('');
  }

  view() {
    const { messages, users, tools, progress, errors, usage } = this.stream;
    const blocks = [...messages.values()].flatMap((message) => message.blocks);
    const texts = blocks.filter(({ type }) => type === 'text').map(({ text }) => text);
    const thoughts = blocks.filter(({ type }) => type === 'thinking').map(({ thinking }) => thinking);
    const calls = [...tools].map(([id, tool]) => ({ ...tool, ...progress.get(id) }));
    const sequence = [...messages].filter(([, message]) => message.blocks.length).map(([id, { blocks: [block] }]) => ({ text: `text:${id}`, thinking: `thought:${id}`, tool_use: block.name === 'TodoWrite' ? null : `tool:${id}` })[block.type]);
    const plans = calls.filter(({ name }) => name === 'TodoWrite');
    return {
      texts, thoughts, tools: calls.filter(({ name }) => name !== 'TodoWrite'), plan: plans.at(-1)?.input.todos ?? null,
      errors: [...errors.values()], isProcessing: this.isProcessing, usage, prompts: [...users.values()], pending: this.requests, sequence: sequence.filter(Boolean),
    };
  }
}
