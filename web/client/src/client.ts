// The client: one connection, the sessions that are watched over it, the commands that go over it.
import { Connection, CONNECTION_DEFAULTS } from "./connection.js";
import type { ConnectionOptions, ConnectionState, Diagnosis } from "./connection.js";
import type { Command, CommandType } from "./command.js";
import { HttpError } from "./errors.js";
import { Http } from "./http.js";
import { Lists } from "./lists.js";
import type { PermissionsView, SessionsView } from "./lists.js";
import { Outbox, OUTBOX_DEFAULTS } from "./outbox.js";
import type { OutboxOptions, SendOptions } from "./outbox.js";
import { platformOf } from "./platform.js";
import type { Platform, SocketConstructor, SocketLike, StorageLike } from "./platform.js";
import { PROTOCOL } from "./protocol.js";
import type {
  CommandFields, ConnectedMessage, LoggedIn, NackMessage, PermissionRequest, ServerMessage, ShuttingDownMessage, StoreMessage,
} from "./protocol.js";
import { WatchedSession } from "./session.js";
import type { SessionOptions } from "./session.js";
import { isEvent } from "./state.js";
import { Cell, callAll } from "./store.js";
import type { Store } from "./store.js";

export interface ClientOptions {
  /** Of the server: `https://signalbox.example`. In a page, by default the page's own. */
  url?: string;
  /** For programs. A page calls `login` instead: browsers cannot send a token with a WebSocket. */
  token?: string;
  /** Default: the global one, which browsers have, and Node from version 22 on. Else the package `ws`. */
  WebSocket?: SocketConstructor;
  /**
   * Where the client's id and what waits to be sent outlive a reload: `sessionStorage`, which each tab has for itself.
   * Default: nowhere, and the id lives as long as this object.
   */
  storage?: StorageLike;
  storageKey?: string;
  connection?: Partial<ConnectionOptions>;
  outbox?: Partial<OutboxOptions>;
  /** A flood of events is shown in steps of this time. Milliseconds. */
  batchMs?: number;
  /** How much of the past of a session is wanted, and in which order, where `session(id, options)` does not say it: see `SessionOptions`. */
  history?: SessionOptions["history"];
  /** How many sessions that nobody watches any more keep what is known of them. */
  keptSessions?: number;
  /** Told what could not be done and has no caller to tell. Default: console.warn. */
  warn?: (message: string, error: unknown) => void;
  /** Clock, timers, chance, fetch: for tests. */
  platform?: Partial<Platform>;
}

export type StoreHealth = Pick<StoreMessage, "ok" | "reason">;

export interface CancelOptions extends SendOptions {
  /** The turn that is meant; null: it is not known. */
  turnId?: string | null;
  /** Takes back everybody's queued prompts. */
  all?: boolean;
}

export type PermissionAnswer = Omit<CommandFields<"permission_response">, "requestId" | "sessionId">;

const LATE_MARGIN_MS = 2_000; // the server's clock decides; ours is only about right

export class SignalboxClient {
  readonly http: Http;
  readonly url: string;
  private readonly platform: Platform;
  private readonly link: Connection;
  private readonly queue: Outbox;
  private readonly lists: Lists;
  private readonly sessionsById = new Map<string, WatchedSession>();
  private readonly serverCell = new Cell<ConnectedMessage | null>(null);
  private readonly healthCell = new Cell<StoreHealth>({ ok: true });
  private readonly listeners = new Set<(message: ServerMessage) => void>();
  private readonly options: ClientOptions;
  private readonly stopWaking: () => void;
  private clientIdNow: string;
  private clockOffset = 0;

  constructor(options: ClientOptions = {}) {
    this.options = options;
    this.platform = platformOf({ ...options.platform, ...(options.WebSocket ? { WebSocket: options.WebSocket } : {}) });
    const here = typeof location === "undefined" ? undefined : location.origin;
    const url = options.url ?? here;
    if (!url) {
      throw new TypeError("SignalboxClient: `url` is missing");
    }
    if (options.token && this.platform.isBrowser) {
      throw new TypeError("SignalboxClient: a browser cannot send a token with a WebSocket; call login(token) instead");
    }
    this.url = new URL(url).origin;
    this.http = new Http(this.platform, { url: this.url, token: options.token });
    this.clientIdNow = this.storedId();
    const write = (message: object) => this.link.write(JSON.stringify(message));
    this.queue = new Outbox(
      this.platform, { ...OUTBOX_DEFAULTS, ...options.outbox },
      { write: (text) => this.link.write(text), clockOffset: () => this.clockOffset, warn: (...what) => this.warn(...what) },
      options.storage ?? null, this.storageKey,
    );
    this.lists = new Lists(this.platform, {
      write,
      permissions: () => this.http.permissions(),
      older: (after) => this.http.sessions({ after }),
    });
    this.link = new Connection(this.platform, { ...CONNECTION_DEFAULTS, ...options.connection }, {
      open: () => this.openSocket(),
      diagnose: () => this.diagnose(),
      up: (message) => this.up(message),
      message: (message) => this.message(message),
      down: (code) => this.down(code),
    });
    this.stopWaking = this.platform.onWake(() => this.link.wake(), () => this.link.doubt());
  }

  // ---- the connection ----

  /** Connects, and stays so. */
  start(): this {
    this.link.start();
    return this;
  }

  /** Ends it. What waits is rejected: as not sent, or, where it was sent, as unknown. */
  close(): void {
    this.stopWaking();
    this.queue.close();
    this.link.close();
    for (const session of this.sessionsById.values()) {
      session.disconnected();
    }
  }

  get connection(): Store<ConnectionState> {
    return this.link.state;
  }

  /** What the server has said of itself, of us and of its limits; the last one while there is no connection. */
  get server(): Store<ConnectedMessage | null> {
    return this.serverCell;
  }

  /** Whether the server can record anything. */
  get storeHealth(): Store<StoreHealth> {
    return this.healthCell;
  }

  /** The client's name: its answers are remembered under it. */
  get clientId(): string {
    return this.clientIdNow;
  }

  /** Unix milliseconds by the server's clock, as far as it is known: what `expiresAt` and `ts` compare with. */
  now(): number {
    return this.platform.now() + this.clockOffset;
  }

  /** For a person who does not want to wait for the next try. */
  retryNow(): void {
    this.link.retryNow();
  }

  /**
   * After the connection was stopped: comes back. With `newIdentity` under another client id, so that another tab that has
   * taken over this one's (3504) keeps its own; whether what was sent was done is not known then.
   */
  restart({ newIdentity = false } = {}): void {
    if (newIdentity) {
      this.clientIdNow = this.platform.newId();
      this.storeId();
      this.queue.forgetSent();
    }
    this.link.restart();
  }

  /** Logs in (a page gets a cookie) and connects. Throws an HttpError. */
  async login(token: string): Promise<LoggedIn> {
    const answer = await this.http.login(token);
    this.link.restart();
    return answer;
  }

  /** The server then ends the connection, which stops with `login`. */
  logout(): Promise<void> {
    return this.http.logout();
  }

  /** Every control message, also one of a type that is not known here (`config_changed`, `shutting_down`, ...). */
  onMessage(listener: (message: ServerMessage) => void): () => void {
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
    };
  }

  // ---- sessions ----

  /** A session, watched while somebody holds it open: `session.open()`. `options` count for the first call only. */
  session(sessionId: string, options?: SessionOptions): WatchedSession {
    let session = this.sessionsById.get(sessionId);
    if (!session) {
      session = new WatchedSession(sessionId, this.platform, {
        write: (message) => this.link.write(JSON.stringify(message)),
        events: (query, signal) => this.http.events(sessionId, query, signal),
        head: () => this.lists.sessions.get().items.get(sessionId)?.head ?? null,
      }, this.options.batchMs ?? 16, { history: this.options.history, ...options });
    }
    this.sessionsById.delete(sessionId); // and in again at the end: the map is in order of use
    this.sessionsById.set(sessionId, session);
    this.makeRoom(session);
    return session;
  }

  /** All sessions at a glance; current while somebody watches: `watchSessions()`. */
  get sessions(): Store<SessionsView> {
    return this.lists.sessions;
  }

  /** What waits for an answer, over all sessions; current while somebody watches: `watchSessions()`. */
  get permissions(): Store<PermissionsView> {
    return this.lists.permissions;
  }

  watchSessions(): () => void {
    return this.lists.watch();
  }

  loadOlderSessions(): Promise<boolean> {
    return this.lists.loadOlder();
  }

  // ---- commands ----

  /** What is not over: not sent, not answered, or to be tried again. */
  get outbox(): Store<readonly Command<any>[]> {
    return this.queue.commands;
  }

  /** Sends a command, now or when there is a connection. It is done once, however often it has to be sent. */
  send<T extends CommandType>(type: T, fields: CommandFields<T>, options?: SendOptions): Command<T> {
    return this.queue.send(type, fields, options);
  }

  prompt(sessionId: string, text: string, content?: CommandFields<"prompt">["content"], options?: SendOptions): Command<"prompt"> {
    return this.send("prompt", content ? { sessionId, text, content } : { sessionId, text }, options);
  }

  /**
   * Cancels the turn, and takes back the caller's own prompts, also those that were not sent yet. Name the turn that is meant
   * (`state.turn.turnId`): when it is over by the time the server hears of it, nothing is done. Without one, whichever runs then.
   */
  cancel(sessionId: string, { turnId, all, ...options }: CancelOptions = {}): Command<"cancel"> {
    return this.send("cancel", { sessionId, ...(turnId && { turnId }), ...(all && { all }) }, options);
  }

  /**
   * Answers a permission request. Given offline, it is sent when back; where its time is over by then, it fails with
   * `too_late` (it was never sent), `expired`, `cancelled` or `already_resolved` (the server said so).
   */
  answer(request: PermissionRequest, answer: PermissionAnswer): Command<"permission_response"> {
    const { requestId, sessionId, expiresAt } = request;
    const left = expiresAt === null ? null : Math.max(0, expiresAt - this.now()) + LATE_MARGIN_MS;
    return this.send("permission_response", { requestId, sessionId, ...answer }, { expiresInMs: left });
  }

  // ---- inside ----

  private get storageKey(): string {
    return this.options.storageKey ?? "signalbox";
  }

  private warn(message: string, error: unknown): void {
    (this.options.warn ?? ((...what) => console.warn(...what)))(message, error);
  }

  private storedId(): string {
    try {
      const stored = this.options.storage?.getItem(`${this.storageKey}:client`);
      if (stored && /^[\w-]{1,64}$/.test(stored)) {
        return stored;
      }
    } catch (error) {
      this.warn("The client's id could not be read.", error);
    }
    this.clientIdNow = this.platform.newId();
    this.storeId();
    return this.clientIdNow;
  }

  private storeId(): void {
    try {
      this.options.storage?.setItem(`${this.storageKey}:client`, this.clientIdNow);
    } catch (error) {
      this.warn("The client's id could not be stored.", error);
    }
  }

  private openSocket(): SocketLike {
    const { WebSocket, isBrowser } = this.platform;
    if (!WebSocket) {
      throw new TypeError("There is no WebSocket here: pass one as the option `WebSocket` (the package `ws` has one)");
    }
    const url = `${this.url.replace(/^http/, "ws")}/ws?client=${this.clientIdNow}`;
    const headers = this.http.identity();
    if (isBrowser || Object.keys(headers).length === 0) {
      return new WebSocket(url, PROTOCOL);
    }
    // Node's own takes headers beside the protocols, `ws` behind them.
    const isNodes = WebSocket === (globalThis as { WebSocket?: unknown }).WebSocket;
    return isNodes ? new WebSocket(url, { protocols: [PROTOCOL], headers }) : new WebSocket(url, PROTOCOL, { headers });
  }

  private async diagnose(): Promise<Diagnosis> {
    try {
      await this.http.fetch("GET", "/v1/sessions", { query: { limit: 1 } });
      return {};
    } catch (error) {
      if (!(error instanceof HttpError)) {
        return {};
      }
      const { status, message: reason, retryAfterMs } = error;
      if (status === 401 || status === 403) {
        return { stop: { why: status === 401 ? "login" : "forbidden", status, reason } };
      }
      return retryAfterMs === null ? {} : { retryAfterMs };
    }
  }

  private up(message: ConnectedMessage): void {
    if (Number.isFinite(message.timestamp)) {
      this.clockOffset = message.timestamp - this.platform.now();
    }
    this.serverCell.set(message);
    this.healthCell.set({ ok: true }); // if not, that is said next
    this.lists.connected();
    for (const session of this.sessionsById.values()) {
      session.connected();
    }
    this.queue.connected(message);
    this.tell(message);
  }

  private down(code: number | null): void {
    this.lists.disconnected();
    for (const session of this.sessionsById.values()) {
      session.disconnected();
    }
    this.queue.disconnected(code);
  }

  private message(message: ServerMessage): void {
    if (isEvent(message)) {
      this.sessionsById.get(message.sessionId)?.event(message);
      return;
    }
    switch (message.type) {
      case "ack":
        this.queue.answered(message);
        break;
      case "nack":
        if (!this.queue.answered(message)) {
          this.refused(message);
        }
        break;
      case "pong":
        if (message.id) {
          this.queue.answered(message);
        }
        break;
      case "shutting_down":
        this.link.comeBack((message as ShuttingDownMessage).reconnectAfterMs);
        break;
      case "store":
        this.store(message as StoreMessage);
        break;
      default:
        // Some commands are answered by what their result is: `send("watch_sessions")` and the like.
        if ("id" in message && message.id) {
          this.queue.answered(message as { type: string; id: string });
        }
        if (!this.lists.message(message) && "sessionId" in message) {
          this.sessionsById.get(message.sessionId)?.control(message);
        }
    }
    this.tell(message);
  }

  private refused(nack: NackMessage): void {
    for (const session of this.sessionsById.values()) {
      if (session.refused(nack)) {
        return;
      }
    }
  }

  private store({ ok, reason }: StoreMessage): void {
    this.healthCell.set(reason === undefined ? { ok } : { ok, reason });
    if (ok) {
      this.queue.storeRecovered();
      for (const session of this.sessionsById.values()) {
        session.storeRecovered();
      }
    }
  }

  private tell(message: ServerMessage): void {
    callAll(this.listeners, message);
  }

  private makeRoom(used: WatchedSession): void {
    const unused = [...this.sessionsById.values()].filter((each) => !each.isOpen && each !== used && each.state.epoch !== null);
    for (const session of unused.slice(0, Math.max(0, unused.length - (this.options.keptSessions ?? 8)))) {
      session.reset();
    }
  }
}
