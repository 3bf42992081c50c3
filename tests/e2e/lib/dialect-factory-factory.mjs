// A client of factory-factory's chat, as its description has it: it loads a session, and knows it by snapshots, batches and
// deltas. It rejects top-level messages that it does not know.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Connection } from './dialect.mjs';

export class FactoryClient extends Connection {
  /** Joined to the session, unless `load: false`. `again`: an earlier client, whose page stayed open. */
  static async join(server, sessionId, { load = true, again, protocol, token } = {}) {
    const client = new FactoryClient();
    client.sessionId = sessionId;
    client.sending = again?.sending ?? new Set();
    client.#reset();
    await client.open(server, `/chat?sessionId=${sessionId}`, { protocol, token });
    if (load) {
      await client.load();
    }
    return client;
  }

  async load() {
    const loadRequestId = randomUUID();
    this.send({ type: 'load_session', loadRequestId });
    await this.message('session_snapshot', (message) => message.loadRequestId === loadRequestId);
  }

  #reset() {
    Object.assign(this, {
      texts: new Map(), thoughts: new Map(), tools: new Map(), prompts: new Map(), pending: new Map(), progress: new Map(),
      plan: null, errors: [], runtime: null, commands: null, options: null, results: [], usage: null,
    });
  }

  take(message) {
    switch (message.type) {
      case 'session_snapshot':
        this.#reset();
        assert.ok(Array.isArray(message.messages) && Array.isArray(message.queuedMessages));
        this.runtime = message.sessionRuntime;
        this.dialog = message.pendingInteractiveRequest?.requestId ?? null;
        if (message.pendingInteractiveRequest) {
          const { input, toolInput, timestamp } = message.pendingInteractiveRequest;
          assert.deepEqual([input, typeof timestamp], [toolInput, 'string']);
          this.pending.set(message.pendingInteractiveRequest.requestId, message.pendingInteractiveRequest);
        }
        break;
      case 'session_replay_batch': message.replayEvents.forEach((event) => this.#event(event)); break;
      case 'session_delta': this.#event(message.data); break;
      case 'error':
        assert.equal(typeof message.message, 'string');
        this.errors.push(message.message);
        break;
      default: throw new Error(`unknown message: ${JSON.stringify(message).slice(0, 200)}`);
    }
  }

  #event(event) {
    switch (event.type) {
      case 'assistant_text_delta': {
        // As their reducer does it: a text is found by its order, and has its place by that.
        const { text, messageId } = this.texts.get(event.order) ?? { text: '', messageId: event.messageId };
        assert.equal(messageId, event.messageId, 'two texts have the same order');
        assert.ok(event.offset <= text.length, 'a text has no holes');
        const whole = text.slice(0, event.offset) + event.text + text.slice(event.offset + event.text.length);
        this.texts.set(event.order, { text: whole, messageId, order: event.order });
        break;
      }
      case 'agent_message': this.#agent(event); break;
      case 'permission_request':
        assert.ok(event.toolUseId && event.toolInput && event.planContent !== undefined);
        this.pending.set(event.requestId, event);
        this.dialog = event.requestId; // their page has one, for the last that came
        break;
      case 'permission_cancelled':
        this.pending.delete(event.requestId);
        this.dialog = this.dialog === event.requestId ? null : this.dialog;
        break;
      case 'message_state_changed': {
        assert.match(event.newState, /^(ACCEPTED|DISPATCHED|COMMITTED|REJECTED|FAILED|CANCELLED)$/);
        if (event.newState === 'REJECTED' || (event.newState === 'ACCEPTED' && event.userMessage)) {
          this.sending.delete(event.id); // nothing else ends the sending of a message
        }
        const before = this.prompts.get(event.id) ?? {};
        this.prompts.set(event.id, { ...before, ...(event.userMessage ?? {}), state: event.newState, why: event.errorMessage, position: event.queuePosition });
        break;
      }
      case 'session_runtime_snapshot':
      case 'session_runtime_updated':
        assert.match(event.sessionRuntime.phase, /^(loading|starting|running|idle|stopping|error)$/);
        assert.match(event.sessionRuntime.processState, /^(unknown|alive|stopped)$/);
        assert.match(event.sessionRuntime.activity, /^(WORKING|IDLE)$/);
        this.runtime = event.sessionRuntime;
        break;
      case 'tool_progress': this.progress.set(event.tool_use_id, { ...this.progress.get(event.tool_use_id), ...event }); break;
      case 'task_notification': this.plan = JSON.parse(event.message); break;
      case 'slash_commands': this.commands = event.slashCommands; break;
      case 'config_options_update': this.options = event.configOptions; break;
      case 'chat_capabilities': break;
      default: throw new Error(`unknown event: ${JSON.stringify(event).slice(0, 200)}`);
    }
  }

  #agent({ data, messageId, order }) {
    if (data.type === 'stream_event') {
      const { event } = data;
      const block = event.content_block;
      if (event.type === 'content_block_start' && block.type === 'tool_use') {
        this.tools.set(block.id, { ...this.tools.get(block.id), name: block.name, input: block.input, order });
      } else if (event.type === 'content_block_start' && block.type === 'thinking') {
        this.thoughts.set(messageId, { text: '', order });
      } else if (event.type === 'content_block_delta') {
        assert.equal(event.delta.type, 'thinking_delta');
        const thought = this.thoughts.get(messageId);
        assert.equal(order, thought.order, 'the order of a thought stays');
        this.thoughts.set(messageId, { text: thought.text + event.delta.thinking, order });
      }
    } else if (data.type === 'user') {
      for (const part of data.message.content) {
        assert.equal(part.type, 'tool_result');
        Object.assign(this.tools.get(part.tool_use_id), { result: part.content, isError: part.is_error ?? false });
      }
    } else if (data.type === 'result') {
      this.results.push(data.result);
      this.usage = data.result.used ?? this.usage;
    }
  }

  reload() {
    return this.load();
  }

  prompt(text, id = randomUUID()) {
    this.sending.add(id);
    this.send({ type: 'queue_message', id, text });
    return id;
  }

  answer(requestId, optionId) {
    this.send({ type: 'permission_response', requestId, optionId });
  }

  cancel() {
    this.send({ type: 'stop' });
  }

  get isProcessing() {
    return this.runtime?.activity === 'WORKING';
  }

  view() {
    const states = { ACCEPTED: 'queued', DISPATCHED: 'processing', COMMITTED: 'processing', CANCELLED: 'withdrawn' };
    const inOrder = (map) => [...map.values()].sort((a, b) => a.order - b.order).map(({ text }) => text);
    const tools = [...this.tools.entries()].sort(([, a], [, b]) => a.order - b.order).map(([id, { order, ...tool }]) => {
      const { acpContent, toolInput } = this.progress.get(id) ?? {};
      return { ...tool, ...(acpContent ? { content: acpContent } : {}), ...(toolInput ? { input: toolInput } : {}) };
    });
    const placed = [
      ...[...this.texts.values()].map(({ messageId, order }) => [order, `text:${messageId}`]), ...[...this.thoughts].map(([id, { order }]) => [order, `thought:${id}`]),
      ...[...this.tools].map(([id, { order }]) => [order, `tool:${id}`])];
    return {
      sequence: placed.sort(([a], [b]) => a - b).map(([, id]) => id),
      texts: inOrder(this.texts), thoughts: inOrder(this.thoughts), tools,
      plan: this.plan?.entries ?? null, errors: this.errors, isProcessing: this.isProcessing,
      commands: this.commands?.map(({ name }) => name) ?? null, options: this.options, usage: this.usage,
      prompts: [...this.prompts.values()].filter(({ state }) => state !== 'REJECTED').sort((a, b) => a.order - b.order).map(({ text, state }) => ({ text, status: states[state] })),
      pending: [...this.pending.keys()],
    };
  }

  get requests() {
    return [...this.pending.keys()];
  }

  get shownText() {
    return this.view().texts.join('');
  }
}
