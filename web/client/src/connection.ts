// One WebSocket that comes back by itself. Knows nothing of sessions and commands: it is told what to write, and tells what
// comes, when it is there and when it is gone.
import { Backoff, Breaker } from "./backoff.js";
import type { BackoffOptions, BreakerOptions } from "./backoff.js";
import type { ConnectedMessage, ServerMessage } from "./protocol.js";
import type { Platform, SocketLike } from "./platform.js";
import { Cell } from "./store.js";

/** Why the server must not be asked again as we are. */
export type StopReason = "login" | "forbidden" | "rate_limited" | "protocol" | "replaced" | "other";

/** `since` is when it began, in Unix milliseconds; of `connecting` and `offline`, since when there is no connection. */
export type ConnectionState =
  | { name: "idle" }
  | { name: "connecting"; since: number; attempt: number }
  | { name: "live"; since: number }
  | { name: "offline"; since: number; attempt: number; retryAt: number; reason: string; breaker: "closed" | "open" | "half_open" }
  | { name: "stopped"; since: number; why: StopReason; code: number; reason: string }
  | { name: "closed" };

export interface ConnectionOptions {
  backoff: BackoffOptions;
  breaker: BreakerOptions;
  /** How long a connection may take until the server's first message. */
  openMs: number;
  /** A connection that lived this long was a good one. */
  settledMs: number;
  /** How long the server has to answer a ping, and after a sign that the machine slept. */
  answerMs: number;
  wokenAnswerMs: number;
}

export const CONNECTION_DEFAULTS: ConnectionOptions = {
  backoff: { baseMs: 500, maxMs: 30_000 },
  breaker: { failures: 10, pauseMs: 60_000, maxPauseMs: 300_000 },
  openMs: 15_000,
  settledMs: 5_000,
  answerMs: 10_000,
  wokenAnswerMs: 4_000,
};

/** What a request over HTTP says about why there is no WebSocket; a browser does not tell. */
export interface Diagnosis {
  stop?: { why: StopReason; status: number; reason: string };
  retryAfterMs?: number;
}

export interface ConnectionHooks {
  /** A new socket. Throws what a person should read where there can be none. */
  open(): SocketLike;
  /** Asked when a socket was refused without a word. */
  diagnose(): Promise<Diagnosis>;
  up(message: ConnectedMessage): void;
  message(message: ServerMessage): void;
  /** The connection is gone; `code` is null where there was no close frame. Only after `up`. */
  down(code: number | null): void;
}

const STOPS: { [code: number]: StopReason } = { 3500: "login", 3501: "forbidden", 3502: "rate_limited", 3503: "protocol", 3504: "replaced" };
const MARGIN_MS = 5_000; // the server pings after `heartbeatMs`; we do not ask before it would
const LEAST_BETWEEN_WAKES_MS = 1_000;
const MOST_PATIENCE = 12;
const ERROR_MS = 250;

type Timer = "retry" | "open" | "settle" | "tick" | "answer" | "error";

export class Connection {
  readonly state = new Cell<ConnectionState>({ name: "idle" });
  private readonly backoff: Backoff;
  private readonly breaker: Breaker;
  private socket: SocketLike | null = null;
  private isUp = false;
  private generation = 0; // of sockets: what an earlier one has started is of no interest
  private era = 0; // of tries in a row that came to nothing: what was found out about earlier ones is of no interest
  private goneSince: number | null = null;
  private comeBackAfter: number | null = null;
  private lastTry = -Infinity;
  private heardAt = 0;
  private lastTick = 0;
  private quietMs = 30_000;
  private patience = 1;
  private waiting = 0; // bytes that were not written yet when a ping was sent
  private readonly timers = new Map<Timer, unknown>();

  constructor(
    private readonly platform: Platform,
    private readonly options: ConnectionOptions,
    private readonly hooks: ConnectionHooks,
  ) {
    this.backoff = new Backoff(options.backoff, platform.random);
    this.breaker = new Breaker(options.breaker, platform.now, platform.random);
  }

  start(): void {
    const { name } = this.state.get();
    if (name === "idle") {
      this.connect();
    }
  }

  /** Leaves whatever connection there is, and begins as if for the first time. */
  restart(): void {
    if (this.state.get().name === "closed") {
      return;
    }
    this.drop(null);
    this.era++;
    this.backoff.reset();
    this.breaker.succeeded();
    this.connect();
  }

  close(): void {
    this.drop(null, 1000);
    this.era++;
    this.state.set({ name: "closed" });
  }

  /** The network may be back, or the machine was asleep: comes back now, or asks whether the socket is alive. */
  wake(): void {
    const { name } = this.state.get();
    if (name === "live") {
      this.probe(this.options.wokenAnswerMs);
    } else if (name === "offline") {
      const early = this.lastTry + LEAST_BETWEEN_WAKES_MS - this.platform.now();
      if (early <= 0) {
        this.connect();
      } else if (this.breaker.state === "closed") {
        this.arm("retry", early, () => this.connect());
      }
    }
  }

  /** The network may be gone: asks whether the socket is alive. It may well be, where the server is on this machine. */
  doubt(): void {
    if (this.state.get().name === "live") {
      this.probe(this.options.wokenAnswerMs);
    }
  }

  /** A person wants it now. */
  retryNow(): void {
    if (this.state.get().name === "offline") {
      this.connect();
    } else {
      this.wake();
    }
  }

  /** False: there is no connection, and nothing was written. */
  write(text: string): boolean {
    if (!this.socket || !this.isUp || this.socket.readyState !== 1) {
      return false;
    }
    this.socket.send(text);
    return true;
  }

  /** The server said when it wants us back. */
  comeBack(afterMs: number): void {
    this.comeBackAfter = afterMs;
  }

  // ---- the socket ----

  private connect(): void {
    this.drop(null);
    const generation = this.generation;
    const now = this.platform.now();
    this.goneSince ??= now;
    this.lastTry = now;
    this.breaker.attempt();
    this.state.set({ name: "connecting", since: this.goneSince, attempt: this.backoff.attempt + 1 });
    let socket: SocketLike;
    try {
      socket = this.hooks.open();
    } catch (error) {
      this.stop("other", 0, error instanceof Error ? error.message : String(error));
      return;
    }
    this.socket = socket;
    this.arm("open", this.options.openMs, () => this.lost("the server does not answer"));
    socket.onmessage = (event) => {
      if (generation === this.generation) {
        this.heard(event.data);
      }
    };
    socket.onerror = () => {
      // `onclose` follows, but not in every version of Node.
      if (generation === this.generation) {
        this.arm("error", ERROR_MS, () => this.closed(1006, ""));
      }
    };
    socket.onclose = (event) => {
      if (generation === this.generation) {
        this.closed(typeof event?.code === "number" ? event.code : 1006, String(event?.reason ?? ""));
      }
    };
  }

  private heard(data: unknown): void {
    this.heardAt = this.platform.now();
    this.disarm("answer");
    let message: ServerMessage;
    try {
      message = JSON.parse(String(data));
    } catch {
      return; // not of this protocol; what is missing shows as a hole
    }
    if (typeof message !== "object" || message === null || typeof message.type !== "string") {
      return;
    }
    if (!this.isUp) {
      if (message.type === "connected") {
        this.connected(message as ConnectedMessage);
      }
      return;
    }
    if (message.type === "pong") {
      this.patience = 1;
    }
    this.hooks.message(message);
  }

  private connected(message: ConnectedMessage): void {
    const now = this.platform.now();
    this.isUp = true;
    this.era++;
    this.goneSince = null;
    this.comeBackAfter = null;
    this.disarm("open");
    this.quietMs = (message.heartbeatMs || 25_000) + MARGIN_MS;
    this.lastTick = now;
    this.arm("settle", this.options.settledMs, () => {
      this.backoff.reset();
      this.breaker.succeeded();
    });
    this.tick();
    this.state.set({ name: "live", since: now });
    this.hooks.up(message);
  }

  /** Forgets the socket without waiting for it. */
  private drop(code: number | null, closeCode?: number): void {
    this.generation++;
    for (const timer of [...this.timers.keys()]) {
      this.disarm(timer);
    }
    const { socket, isUp } = this;
    this.socket = null;
    this.isUp = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.onerror = () => {}; // `ws` throws what nobody listens to
      try {
        if (socket.terminate && closeCode === undefined) {
          socket.terminate();
        } else {
          socket.close(closeCode);
        }
      } catch {
        // it was closed already
      }
    }
    if (isUp) {
      this.hooks.down(code);
    }
  }

  private closed(code: number, reason: string): void {
    const wasUp = this.isUp;
    this.drop(code);
    if (code >= 3500 && code <= 3999) {
      this.stop(STOPS[code] ?? "other", code, reason);
      return;
    }
    this.retryLater(reason || (wasUp ? `the connection was closed (${code})` : "the server cannot be reached"));
    if (!wasUp) {
      void this.diagnose();
    }
  }

  private lost(why: string): void {
    const wasUp = this.isUp;
    this.drop(null);
    this.retryLater(why);
    if (!wasUp) {
      void this.diagnose();
    }
  }

  private stop(why: StopReason, code: number, reason: string): void {
    this.drop(null);
    this.era++;
    this.breaker.abandoned();
    this.goneSince ??= this.platform.now();
    this.state.set({ name: "stopped", since: this.goneSince, why, code, reason });
  }

  private retryLater(reason: string): void {
    const now = this.platform.now();
    this.goneSince ??= now;
    if (this.backoff.attempt > 0 || this.breaker.state !== "closed" || this.comeBackAfter === null) {
      this.breaker.failed();
    } else {
      this.breaker.abandoned();
    }
    // The server gives each client another time to come back at, so that needs no chance of ours.
    const wished = this.comeBackAfter;
    const jitter = this.backoff.next();
    const delay = Math.max(wished ?? jitter, this.breaker.waitMs());
    this.comeBackAfter = null;
    this.scheduleRetry(delay, reason);
  }

  private scheduleRetry(delay: number, reason: string): void {
    const now = this.platform.now();
    this.state.set({
      name: "offline", since: this.goneSince ?? now, attempt: this.backoff.attempt, retryAt: now + delay, reason,
      breaker: this.breaker.state,
    });
    this.arm("retry", delay, () => this.connect());
  }

  private async diagnose(): Promise<void> {
    const { generation, era } = this;
    const { stop, retryAfterMs } = await this.hooks.diagnose();
    const state = this.state.get();
    if (era !== this.era) {
      return;
    }
    if (stop) {
      this.stop(stop.why, stop.status, stop.reason);
    } else if (generation === this.generation && state.name === "offline" && retryAfterMs !== undefined && this.platform.now() + retryAfterMs > state.retryAt) {
      this.scheduleRetry(retryAfterMs, state.reason);
    }
  }

  // ---- whether it is alive ----

  // Timers stand still while a machine sleeps: one that comes far too late says so.
  private tick(): void {
    const now = this.platform.now();
    const period = this.quietMs / 2;
    if (now - this.lastTick > period * 2.5) {
      this.probe(this.options.wokenAnswerMs);
    } else if (now - this.heardAt >= this.quietMs) {
      this.probe(this.options.answerMs);
    }
    this.lastTick = now;
    this.arm("tick", period, () => this.tick());
  }

  // A socket can be dead for long before anybody says so. Any message is an answer. Where the network is so slow that one
  // message takes longer than we wait, each vain wait makes the next one longer, up to two minutes.
  private probe(answerMs: number): void {
    if (this.timers.has("answer")) {
      return;
    }
    this.waiting = this.socket?.bufferedAmount ?? 0;
    this.write('{"type":"ping"}');
    this.await(answerMs);
  }

  private await(answerMs: number): void {
    this.arm("answer", answerMs * this.patience, () => {
      const waiting = this.socket?.bufferedAmount ?? 0;
      if (waiting > 0 && waiting < this.waiting) {
        this.waiting = waiting; // what we write gets away: it is slow, not dead
        this.await(answerMs);
        return;
      }
      this.patience = Math.min(MOST_PATIENCE, this.patience * 2);
      this.lost("the server does not answer any more");
    });
  }

  private arm(name: Timer, ms: number, call: () => void): void {
    this.disarm(name);
    const timer = this.platform.setTimeout(() => {
      this.timers.delete(name);
      call();
    }, Math.min(ms, 0x7fffffff));
    this.timers.set(name, timer);
  }

  private disarm(name: Timer): void {
    if (this.timers.has(name)) {
      this.platform.clearTimeout(this.timers.get(name));
      this.timers.delete(name);
    }
  }
}

