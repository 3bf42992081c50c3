// A native client (`signalbox.v1`) on one WebSocket.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import WebSocket from 'ws';
import { DEFAULT_WAIT_MS, Inbox, within } from './wait.mjs';
import { Watch } from './watch.mjs';

/* Over all connections: an id that a client has used is not used again by its next connection. */
let nextId = 1;

const ANSWERS = ['ack', 'nack', 'subscribed', 'unsubscribed', 'pong', 'sessions'];

/** SIGNALBOX_TEST_DEFLATE=1: all clients use permessage-deflate, and compress all that they send. */
const deflateAll = process.env.SIGNALBOX_TEST_DEFLATE === '1' && { threshold: 0 };

export const newClientId = () => randomBytes(16).toString('base64url');

/** A command that the server refused: `code`, and the whole `nack`. */
export class Refusal extends Error {
  constructor(nack, command) {
    super(`${command.type} refused: ${nack.code}: ${nack.message}`);
    this.code = nack.code;
    this.nack = nack;
  }
}

/** The HTTP answer to an upgrade that was refused. */
export class UpgradeRefused extends Error {
  constructor(status, body) {
    super(`upgrade refused with ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

export class Client {
  inbox = new Inbox();
  watches = new Map();
  fault = null;
  #subscribes = new Map();

  /** options: clientId, token, headers, protocol (null for none), query, watches (kept from an earlier client), deflate (as of `ws`). */
  static async connect(server, options = {}) {
    const client = new Client(server, options);
    await client.#open();
    return client;
  }

  constructor(server, options) {
    this.server = server;
    this.clientId = options.clientId ?? newClientId();
    this.watches = options.watches ?? new Map();
    for (const watch of this.watches.values()) {
      watch.inbox.revive(); // what failed with the connection before goes on with this one
    }
    const headers = { ...options.headers };
    if (options.token) {
      headers.Authorization = `Bearer ${options.token}`;
    }
    const query = options.query ?? `client=${this.clientId}`;
    const protocols = options.protocol === null ? [] : [options.protocol ?? 'signalbox.v1'];
    const url = `${server.url.replace('http', 'ws')}/ws?${query}`;
    this.socket = new WebSocket(url, protocols, { headers, perMessageDeflate: options.deflate ?? deflateAll });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.closeCode = code;
        this.inbox.fail(new Error(`connection closed: ${code} ${reason}\n${this.explain()}`));
        for (const watch of this.watches.values()) {
          watch.inbox.fail(new Error(`connection closed: ${code} ${reason}`));
        }
        resolve({ code, reason: String(reason) });
      });
    });
    this.socket.on('message', (data, isBinary) => this.#message(data, isBinary));
    this.socket.on('error', () => {}); // 'close' follows
  }

  async #open() {
    const opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('error', reject);
      this.socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (part) => (body += part));
        response.on('end', () => reject(new UpgradeRefused(response.statusCode, body)));
      });
    });
    await within(opened, DEFAULT_WAIT_MS, () => `WebSocket to ${this.server.url}`);
    this.connected = await this.control('connected');
  }

  #message(data, isBinary) {
    try {
      assert.equal(isBinary, false, 'the server sends text frames only');
      const raw = data.toString();
      const message = JSON.parse(raw);
      assert.equal(typeof message.type, 'string', `a message without a type: ${raw.slice(0, 200)}`);
      if (message.seq !== undefined && message.type !== 'replay_complete') {
        Object.defineProperty(message, 'raw', { value: raw });
        this.#watch(message.sessionId).event(message);
        return;
      }
      if (message.type === 'subscribed') {
        const asked = this.#subscribes.get(message.id) ?? {};
        this.#watch(message.sessionId).subscribed(message, asked);
      }
      this.inbox.push(message);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    this.fault ??= error;
    this.inbox.fail(error);
    for (const watch of this.watches.values()) {
      watch.inbox.fail(error);
    }
    this.socket.terminate();
  }

  #watch(sessionId) {
    let watch = this.watches.get(sessionId);
    if (!watch) {
      watch = new Watch(sessionId);
      this.watches.set(sessionId, watch);
    }
    return watch;
  }

  explain() {
    const show = (items) => items.slice(-12).map((item) => JSON.stringify(item).slice(0, 300));
    const parts = ['control messages:', ...show(this.inbox.items)];
    for (const watch of this.watches.values()) {
      parts.push(`events of ${watch.sessionId}:`, ...show(watch.events));
    }
    parts.push('server log:', this.server.logTail?.() ?? '');
    return parts.join('\n  ');
  }

  /** Sends text as it is, or an object as JSON. */
  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The first control message of this type (for which `match` holds). */
  control(type, match = () => true, options = {}) {
    return this.inbox.find((message) => message.type === type && match(message), {
      what: `${type}`,
      explain: () => this.explain(),
      ...options,
    });
  }

  /** Sends a command with an id; resolves with its answer, or throws a Refusal. */
  async command(type, fields = {}, options = {}) {
    const id = fields.id ?? `c${nextId++}`;
    const command = { type, ...fields, id };
    if (type === 'subscribe') {
      this.#subscribes.set(id, fields);
    }
    const from = this.inbox.items.length;
    this.send(command);
    const isAnswer = (message) => message.id === id && ANSWERS.includes(message.type);
    const answer = await this.inbox.find(isAnswer, {
      from,
      what: `the answer to ${type} ${id}`,
      explain: () => this.explain(),
      ...options,
    });
    if (answer.type === 'nack') {
      throw new Refusal(answer, command);
    }
    return answer;
  }

  /** The refusal of a command that must be refused. */
  async refusal(type, fields, code) {
    let answer;
    try {
      answer = await this.command(type, fields);
    } catch (error) {
      if (!(error instanceof Refusal)) {
        throw error;
      }
      assert.equal(error.code, code, error.message);
      assert.ok(error.nack.message.length > 0, 'a nack says why');
      assert.equal(typeof error.nack.retryable, 'boolean');
      return error.nack;
    }
    throw new assert.AssertionError({ message: `${type} was accepted: ${JSON.stringify(answer)}` });
  }

  async subscribe(sessionId, fields = {}) {
    const answer = await this.command('subscribe', { sessionId, ...fields });
    return new Session(this, sessionId, this.#watch(sessionId), answer);
  }

  /** subscribe, and everything up to the present. */
  async follow(sessionId, fields = {}) {
    const session = await this.subscribe(sessionId, fields);
    if (session.answer.mode !== 'live') {
      const from = this.inbox.items.indexOf(session.answer);
      await this.control('replay_complete', (message) => message.sessionId === sessionId, { from });
    }
    return session;
  }

  /** subscribe again from where this client (or the one whose watches it took over) is. */
  resume(sessionId) {
    return this.follow(sessionId, { after: this.#watch(sessionId).position });
  }

  /** A new session in a workspace of its own, followed from its first event. */
  async create(agent, fields = {}) {
    const workspace = fields.workspace ?? this.server.newWorkspace();
    const { sessionId } = await this.command('create_session', { agent, ...fields, workspace });
    const session = await this.follow(sessionId);
    session.workspace = workspace;
    return session;
  }

  async ping() {
    return this.command('ping');
  }

  async close() {
    this.socket.close();
    await within(this.closed, DEFAULT_WAIT_MS, () => `close of the WebSocket\n  ${this.explain()}`);
    if (this.fault) {
      throw this.fault;
    }
  }

  /** The network is gone: no close frame. */
  drop() {
    this.socket.terminate();
    return this.closed;
  }
}

/** One client's view of one session. */
export class Session {
  constructor(client, id, watch, answer) {
    this.client = client;
    this.id = id;
    this.watch = watch;
    this.answer = answer;
  }

  get events() {
    return this.watch.events;
  }

  /** The first event of a type for which `match` holds, at or after index `from` of `events`. */
  event(type, match = () => true, { from = 0, ...options } = {}) {
    return this.watch.inbox.find((event) => event.type === type && match(event), {
      from,
      what: `event ${type} in ${this.id}`,
      explain: () => this.client.explain(),
      ...options,
    });
  }

  status(phase, options) {
    return this.event('status', (event) => event.phase === phase, options);
  }

  async prompt(text, fields = {}) {
    const ack = await this.client.command('prompt', { sessionId: this.id, text, ...fields });
    return new Turn(this, ack);
  }

  /** A prompt, to its turn's end. */
  async run(text, fields) {
    const turn = await this.prompt(text, fields);
    return turn.end();
  }

  answerPermission(request, fields) {
    return this.client.command('permission_response', { requestId: request.requestId, ...fields });
  }

  cancel(fields = {}) {
    return this.client.command('cancel', { sessionId: this.id, ...fields });
  }
}

/** One prompt and the turn that it becomes. */
export class Turn {
  constructor(session, ack) {
    this.session = session;
    this.ack = ack;
    this.messageId = ack.messageId;
  }

  async started(options) {
    const isMine = (event) => event.messageId === this.messageId;
    const event = await this.session.event('turn_started', isMine, options);
    this.id = event.turnId;
    return event;
  }

  async event(type, match = () => true, options) {
    await this.started(options);
    const isMine = (event) => event.turnId === this.id && match(event);
    return this.session.event(type, isMine, options);
  }

  /** The n-th permission request of the turn. */
  async permission(n = 0, options) {
    let seen = 0;
    const { request } = await this.event('permission_request', () => seen++ === n, options);
    return request;
  }

  /** Waits for `complete`; resolves with the turn as the watch has it. */
  async end(options) {
    const { stopReason } = await this.event('complete', undefined, options);
    return { stopReason, ...this.view };
  }

  get view() {
    return this.session.watch.turns.get(this.id);
  }

  get events() {
    return this.session.events.filter((event) => event.turnId === this.id);
  }
}
