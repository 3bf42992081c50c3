// What a careful client knows of one session. Every event is checked against the contract when it
// comes: ranges tile the log, deltas join without holes, blocks and turns nest, each permission
// ends once. A test that only watches therefore already tests all of this.
import assert from 'node:assert/strict';
import { Inbox } from './wait.mjs';

const PERMISSION_ENDS = ['permission_resolved', 'permission_timeout', 'permission_cancelled'];
const SINGLETONS = ['plan', 'commands', 'mode', 'config_options', 'usage', 'title', 'policy'];
const STAMPS = ['type', 'sessionId', 'seq', 'from', 'ts', 'turnId', 'cause'];

function without(event, names) {
  return Object.fromEntries(Object.entries(event).filter(([name]) => !names.includes(name)));
}

export class Watch {
  events = [];
  inbox = new Inbox();
  epoch = null;
  #expected = 1;
  #exact = true;

  constructor(sessionId) {
    this.sessionId = sessionId;
    this.#forget();
  }

  #forget() {
    this.partial = false;
    this.turns = new Map();
    this.texts = new Map();
    this.tools = new Map();
    this.users = new Map();
    this.permissions = new Map();
    this.latest = {};
    this.status = null;
    this.openTurn = null;
    this.openText = null;
  }

  get position() {
    return { epoch: this.epoch, seq: this.#expected - 1 };
  }

  /** The server's answer to `subscribe`; `asked` is what was sent. */
  subscribed(answer, asked) {
    this.epoch = answer.epoch;
    const history = asked.after ? 'after' : (asked.history ?? 'full');
    if (answer.mode === 'reset' || (!asked.after && history === 'full')) {
      this.#forget();
      this.#expected = 1;
      this.#exact = true;
    } else if (asked.after) {
      assert.equal(this.#expected, asked.after.seq + 1, 'the test asked for another position');
      this.#exact = false;
    } else {
      this.#forget();
      this.partial = true;
      this.#expected = history === 'none' ? answer.head + 1 : null;
      this.#exact = history === 'none';
    }
  }

  event(event) {
    this.#range(event);
    this.#stamps(event);
    this.#apply(event);
    this.events.push(event);
    this.inbox.push(event);
  }

  #range(event) {
    const from = event.from ?? event.seq;
    assert.ok(Number.isSafeInteger(event.seq) && from >= 1 && from <= event.seq, 'a sane range');
    if (this.#expected !== null) {
      const expected = this.#expected;
      const fits = this.#exact ? from === expected : from <= expected;
      assert.ok(fits, `event ${from}..${event.seq} (${event.type}) where ${expected} was next`);
      assert.ok(event.seq >= expected, `event ${event.seq} (${event.type}) twice`);
    }
    this.#expected = event.seq + 1;
    this.#exact = true;
  }

  #stamps(event) {
    assert.equal(typeof event.ts, 'number', `${event.type}.ts`);
    assert.equal(event.sessionId, this.sessionId);
    if (event.turnId !== undefined && event.type !== 'turn_started' && !this.partial) {
      assert.ok(this.turns.has(event.turnId), `${event.type} names a turn that has not started`);
    }
  }

  #apply(event) {
    const { type } = event;
    if (type === 'text_delta' || type === 'thought_delta') {
      this.#delta(event);
    } else if (type === 'text_complete' || type === 'thought_complete') {
      this.#completeText(event);
    } else if (type.startsWith('tool_')) {
      this.#tool(event);
    } else if (type === 'permission_request') {
      this.#ask(event);
    } else if (PERMISSION_ENDS.includes(type)) {
      this.#answer(event);
    } else if (type === 'turn_started') {
      assert.equal(this.openTurn, null, 'a second turn began in an open one');
      this.openTurn = event.turnId;
      this.turns.set(event.turnId, { ...without(event, STAMPS), blocks: [], complete: null });
    } else if (type === 'complete') {
      this.#endTurn(event);
    } else if (type === 'user_message') {
      this.users.delete(event.messageId); // its last status is its place
      this.users.set(event.messageId, without(event, STAMPS));
    } else if (type === 'status') {
      this.status = without(event, STAMPS);
    } else if (SINGLETONS.includes(type)) {
      this.#noOpenText(event, type === 'plan');
      this.latest[type] = without(event, STAMPS);
    }
  }

  #noOpenText(event, applies = true) {
    assert.ok(!applies || this.openText === null, `${event.type} while a text is open`);
  }

  #block(event, block) {
    const turn = this.turns.get(event.turnId);
    if (turn) {
      assert.equal(turn.complete, null, `${event.type} after the turn's complete`);
      assert.ok(!turn.hasFinalText, `${event.type} after a text that was not intermediate`);
      turn.blocks.push(block);
    }
    return block;
  }

  #delta(event) {
    const kind = event.type.split('_')[0];
    let text = this.texts.get(event.messageId);
    if (!text) {
      if (this.partial && event.offset > 0) {
        return; // its beginning is not ours
      }
      this.#noOpenText(event);
      text = this.#block(event, { kind, messageId: event.messageId, began: event.began ?? event.seq, text: '', done: false });
      this.texts.set(event.messageId, text);
      this.openText = text;
    }
    assert.equal(text, this.openText, `${event.type} of a text that is not the open one`);
    assert.equal(text.kind, kind, 'text and thought share a messageId');
    assert.equal(event.began ?? event.seq, text.began, 'all of a text says where it began');
    text.text = this.#join(text.text, event);
  }

  #join(known, { type, offset, delta }) {
    assert.ok(offset <= known.length, `${type} at ${offset} after ${known.length} characters`);
    const overlap = known.slice(offset, offset + delta.length);
    assert.equal(delta.slice(0, overlap.length), overlap, `${type} contradicts what was shown`);
    return known.slice(0, offset) + delta + known.slice(offset + delta.length);
  }

  #completeText(event) {
    const kind = event.type.split('_')[0];
    let text = this.texts.get(event.messageId);
    if (!text) {
      this.#noOpenText(event, !this.partial);
      text = this.#block(event, { kind, messageId: event.messageId, began: event.began ?? event.seq, text: event.text, done: false });
      this.texts.set(event.messageId, text);
    }
    assert.equal(text.done, false, 'a text completed twice');
    assert.equal(event.began ?? event.seq, text.began, 'all of a text says where it began');
    assert.ok(event.text.startsWith(text.text), 'a completed text is not what was shown');
    text.text = event.text;
    text.done = true;
    this.openText = null;
    const turn = this.turns.get(event.turnId);
    if (turn && kind === 'text' && event.isIntermediate === false) {
      turn.hasFinalText = true;
    }
  }

  #tool(event) {
    const { toolUseId } = event;
    if (event.type === 'tool_start') {
      this.#noOpenText(event);
      assert.ok(!this.tools.has(toolUseId), 'toolUseId is unique in the session');
      const tool = { ...this.#toolFields(event), kind: 'tool', output: '', result: null };
      this.tools.set(toolUseId, this.#block(event, tool));
      return;
    }
    const tool = this.tools.get(toolUseId);
    if (!tool && this.partial) {
      return;
    }
    assert.ok(tool, `${event.type} of a tool that never started`);
    if (event.type === 'tool_output') {
      assert.equal(tool.result, null, 'output after the result');
      tool.output = this.#join(tool.output, event);
    } else if (event.type === 'tool_update') {
      const fields = this.#toolFields(event);
      const refs = this.#refs(tool, event);
      Object.assign(tool, fields, refs.length ? { refs } : {});
      if (!refs.length) {
        delete tool.refs;
      }
    } else if (event.type === 'tool_result') {
      assert.equal(tool.result, null, 'a second tool_result');
      assert.equal(typeof event.result, 'string');
      assert.equal(typeof event.isError, 'boolean');
      tool.result = without(event, [...STAMPS, 'toolUseId', 'toolName']);
      delete tool.output; // a folded history has the result alone
    }
  }

  // A reference into a field goes with the field when that is replaced.
  #refs(tool, event) {
    const replaced = (tool.refs ?? []).filter(({ path }) => !(path.split('/')[1] in event));
    return [...replaced, ...(event.refs ?? [])].sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  // Blocks have a `kind` of their own (text, thought, tool), so the tool's is `toolKind` here.
  #toolFields({ kind, ...event }) {
    return { ...without(event, STAMPS), ...(kind === undefined ? {} : { toolKind: kind }) };
  }

  #ask({ request }) {
    assert.ok(!this.permissions.has(request.requestId), 'requestId is unique');
    assert.equal(typeof request.command, 'string');
    assert.ok(this.partial || this.tools.has(request.toolUseId), 'asked before its tool_start');
    this.permissions.set(request.requestId, { request, end: null });
  }

  #answer(event) {
    const permission = this.permissions.get(event.requestId);
    if (!permission && this.partial) {
      return;
    }
    assert.ok(permission, `${event.type} of a request that was never shown`);
    assert.equal(permission.end, null, 'a permission request ended twice');
    permission.end = { type: event.type, ...without(event, STAMPS) };
  }

  #endTurn(event) {
    const turn = this.turns.get(event.turnId);
    if (turn) {
      assert.equal(turn.complete, null, 'a second complete');
      assert.equal(this.openText, null, 'complete while a text is open');
      for (const tool of turn.blocks.filter((block) => block.kind === 'tool')) {
        assert.ok(tool.result, `complete while tool ${tool.toolName} is open`);
      }
      assert.deepEqual(this.pending(), [], 'complete while a permission is pending');
      turn.complete = without(event, STAMPS);
    }
    this.openTurn = null;
  }

  pending() {
    const open = [...this.permissions.values()].filter((permission) => !permission.end);
    return open.map((permission) => permission.request);
  }

  /** All that a page would show, comparable whichever way it came: live, replayed or folded. */
  state() {
    const turns = [...this.turns].map(([turnId, turn]) => ({ turnId, ...turn }));
    return structuredClone({
      turns,
      users: [...this.users.values()],
      permissions: [...this.permissions.values()],
      latest: this.latest,
      status: this.status,
    });
  }
}

export function textOf(turn, kind = 'text') {
  const blocks = turn.blocks.filter((block) => block.kind === kind);
  return blocks.map((block) => block.text).join('');
}

export function toolsOf(turn) {
  return turn.blocks.filter((block) => block.kind === 'tool');
}
