// One session that is watched: what is known of it, how current that is, and how it gets whole again when something is
// missing. Told of connections and messages by the client; writes nothing but `subscribe` and `unsubscribe`.
import { Backoff } from "./backoff.js";
import { Earlier } from "./earlier.js";
import type { EarlierHost, EarlierView } from "./earlier.js";
import type { NackMessage, ServerEvent, ServerMessage, SubscribedMessage } from "./protocol.js";
import type { Platform } from "./platform.js";
import { emptySession, positionOf, reduceAll, subscribed } from "./state.js";
import type { Position, SessionState } from "./state.js";
import { Cell, callAll } from "./store.js";
import type { Store } from "./store.js";

/**
 * How current the state is. `closed`: nobody watches; `waiting`: there is no connection, or no answer yet, and what is shown
 * is from before; `catching_up`: what is missing is coming; `live`.
 */
export type Sync = "closed" | "waiting" | "catching_up" | "live";

export interface SessionView {
  state: SessionState;
  sync: Sync;
  /** Why it cannot be watched. A refusal that passes is tried again. */
  error: NackMessage | null;
  /** What is missing before the items that are there (`history: "end"`, while `state.partial`); null: nothing that was asked for. */
  earlier: EarlierView | null;
}

export interface SessionLink {
  /** False: there is no connection. */
  write(message: object): boolean;
  events: EarlierHost["events"];
  /** How long the session is, as far as that is known; null: it is not. */
  head(): number | null;
}

export interface SessionOptions {
  /**
   * How much of the past is wanted: all of it, the open turn, nothing; or, with `end`, all of it with the end of a long session first. What
   * is before that then comes behind it, over HTTP, and is there when `view.earlier` is null.
   */
  history?: "full" | "end" | "turn" | "none";
  /** With `end`: how many of the session's last numbers come first. One that is hardly longer comes as a whole. Default: 600. */
  first?: number;
}

const SAME_HOLE_MS = 60_000;
const MOST_BUFFERED = 1_000;
const REPLAY_STEP = 500; // events of a replay that are applied in one go: some milliseconds
const REPLAY_SHOWN_MS = 250;
const FIRST = 600; // more than a window has room for, and so many that they come folded
const SHORT = 2.5; // times what comes first: who has no more is asked for as a whole

interface Asked {
  id: string;
  after?: Position;
  history?: "full" | "turn" | "none";
}

/** What is asked of the past. `look`: only how long it is. */
type Past = Omit<Asked, "id"> & { look?: boolean };

export class WatchedSession {
  private readonly cell: Cell<SessionView>;
  private readonly backoff: Backoff;
  private readonly eventListeners = new Set<(event: ServerEvent) => void>();
  private holders = 0;
  private asked: Asked | null = null;
  private isLooking = false;
  private earlier: Earlier | null = null;
  private joinTimer: unknown = null;
  private buffer: ServerEvent[] = [];
  private flushedAt = -Infinity;
  private replayShownAt = -Infinity;
  private flushTimer: unknown = null;
  private retryTimer: unknown = null;
  private lastHole: { at: number; seq: number | null } | null = null;
  private isSubscribed = false;
  private isLagging = false;
  private isReplaying = false;
  private current: SessionState; // ahead of the view only while something is being applied

  constructor(
    readonly sessionId: string,
    private readonly platform: Platform,
    private readonly link: SessionLink,
    private readonly batchMs: number,
    private readonly options: SessionOptions = {},
  ) {
    this.current = emptySession(sessionId);
    this.cell = new Cell<SessionView>({ state: this.current, sync: "closed", error: null, earlier: null });
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, platform.random);
  }

  get view(): Store<SessionView> {
    return this.cell;
  }

  get state(): SessionState {
    return this.current;
  }

  get isOpen(): boolean {
    return this.holders > 0;
  }

  /** Watches it until what this returns is called as often as this was. */
  open(): () => void {
    if (this.holders++ === 0) {
      this.subscribe(null);
    }
    let isHeld = true;
    return () => {
      if (isHeld) {
        isHeld = false;
        if (--this.holders === 0) {
          this.leave();
        }
      }
    };
  }

  /** Every event that comes, also one of a type that is not known here; for logs, not for state. Replays bring some again. */
  onEvent(listener: (event: ServerEvent) => void): () => void {
    this.eventListeners.add(listener);
    return () => {
      this.eventListeners.delete(listener);
    };
  }

  /** Tries to get what is missing before what is there (`view.earlier`), at once: for a person who does not want to wait. */
  loadEarlier(): void {
    if (this.isOpen) {
      this.earlier?.start();
    }
  }

  /** Asks for everything again, as if nothing was known. */
  refresh(): void {
    this.reset();
    if (this.isOpen) {
      this.subscribe();
    }
  }

  // ---- told by the client ----

  /** @internal There is a connection: what was missed follows. */
  connected(): void {
    if (this.isOpen) {
      this.subscribe();
    }
  }

  /** @internal The connection is gone. What is known stays as it is: the session goes on without us. */
  disconnected(): void {
    this.flush();
    this.end();
    this.join();
    this.show();
  }

  /** @internal The store can record again. */
  storeRecovered(): void {
    if (this.isOpen && this.cell.get().error?.retryable) {
      this.subscribe();
    }
  }

  /** @internal True: it was the answer to a subscribe of this session. */
  refused(nack: NackMessage): boolean {
    if (!nack.id || nack.id !== this.asked?.id) {
      return false;
    }
    this.end();
    this.show(nack);
    if (nack.retryable) {
      this.subscribeIn(this.backoff.next());
    }
    return true;
  }

  /** @internal */
  event(event: ServerEvent): void {
    if (!this.isSubscribed || this.asked) {
      return; // of a subscription that is being replaced: what counts follows
    }
    this.buffer.push(event);
    if (this.isReplaying) {
      this.replaySoon();
      return;
    }
    this.flushSoon(event.type === "permission_request");
  }

  /** @internal A control message with this session's id. */
  control(message: ServerMessage): void {
    if (!this.isOpen) {
      return;
    }
    if (message.type === "subscribed") {
      this.subscribed(message as SubscribedMessage);
      return;
    }
    if (!this.isSubscribed || this.asked) {
      return;
    }
    this.flush();
    switch (message.type) {
      case "replay_complete":
        this.isReplaying = false;
        this.earlier?.start(); // not before: the end is what is waited for
        break;
      case "lagging":
        this.isLagging = true;
        break;
      case "caught_up":
        this.isLagging = false;
        break;
      case "unsubscribed":
        if (!("id" in message && message.id)) {
          this.end(); // it was not us
          this.subscribeIn(this.backoff.next());
        }
        break;
      default:
    }
    this.show();
  }

  /** @internal Forgets the events, to make room: the next one who opens it gets them again. */
  reset(): void {
    this.drop();
    this.forgetEarlier();
    this.current = emptySession(this.sessionId);
    this.show();
  }

  // ---- inside ----

  private subscribe(error: NackMessage | null = this.cell.get().error): void {
    this.flush();
    this.platform.clearTimeout(this.retryTimer);
    const position = positionOf(this.state);
    this.ask(position ? { after: position } : this.past());
    this.show(error);
  }

  /** What is asked for where nothing is known. */
  private past(): Past {
    const { history = "full" } = this.options;
    if (history !== "end") {
      return { history };
    }
    const head = this.link.head();
    return head !== null && this.isShort(head) ? { history: "full" } : { history: "none", look: true };
  }

  private ask({ look = false, ...past }: Past): void {
    const asked = { id: this.platform.newId(), ...past };
    const isWritten = this.link.write({ type: "subscribe", sessionId: this.sessionId, ...asked });
    this.asked = isWritten ? asked : null;
    this.isLooking = look;
  }

  private subscribeIn(ms: number): void {
    this.platform.clearTimeout(this.retryTimer);
    this.retryTimer = this.platform.setTimeout(() => {
      if (this.isOpen) {
        this.subscribe();
      }
    }, ms);
  }

  private subscribed(message: SubscribedMessage): void {
    if (!this.asked || message.id !== this.asked.id) {
      return; // the answer to one that was replaced since
    }
    if (this.isLooking) {
      this.look(message);
      return;
    }
    if (message.mode === "reset") {
      this.forgetEarlier();
    }
    this.current = subscribed(this.current, message, this.asked);
    this.earlier?.subscribed(message);
    this.asked = null;
    this.isSubscribed = true;
    this.isLagging = false;
    this.isReplaying = message.mode !== "live";
    this.replayShownAt = -Infinity;
    if (!this.lastHole || this.platform.now() - this.lastHole.at >= SAME_HOLE_MS) {
      this.backoff.reset();
    }
    if (!this.isReplaying) {
      this.earlier?.start();
    }
    this.show(null);
  }

  private get first(): number {
    return this.options.first ?? FIRST;
  }

  private isShort(head: number): boolean {
    return head <= this.first * SHORT;
  }

  // How long the session is: a short one is asked for as a whole, of a long one the end, as one who has seen what is before it.
  private look(message: SubscribedMessage): void {
    this.forgetEarlier();
    if (this.isShort(message.head)) {
      this.ask({ history: "full" });
      return;
    }
    this.earlier = new Earlier(this.sessionId, message, this.platform, {
      events: (query, signal) => this.link.events(query, signal),
      changed: () => {
        this.joinSoon();
        this.show();
      },
      lost: () => this.refresh(),
    });
    const seq = message.head - this.first;
    this.current = { ...subscribed(emptySession(this.sessionId), message), seq, partial: true };
    this.ask({ after: { epoch: message.epoch, seq } });
    this.show(null);
  }

  /** What is shown, with what is before it, once that is there. */
  private join(): void {
    const whole = this.earlier?.upTo(this.current, this.isSubscribed);
    if (whole) {
      this.earlier = null;
      this.current = whole;
    }
  }

  // In a step of its own: nothing but what is earlier comes with it, so a view can keep its place.
  private joinSoon(): void {
    this.platform.clearTimeout(this.joinTimer);
    this.joinTimer = this.platform.setTimeout(() => {
      this.join();
      this.show();
    }, 0);
  }

  private forgetEarlier(): void {
    const { earlier } = this;
    this.earlier = null;
    this.platform.clearTimeout(this.joinTimer);
    earlier?.stop();
  }

  private leave(): void {
    this.drop();
    this.end();
    this.link.write({ type: "unsubscribe", sessionId: this.sessionId });
    this.show();
  }

  /** There is no subscription any more. */
  private end(): void {
    this.asked = null;
    this.isSubscribed = false;
    this.isLagging = false;
    this.isReplaying = false;
    this.platform.clearTimeout(this.retryTimer);
    this.earlier?.stop();
  }

  private drop(): void {
    this.buffer = [];
    this.platform.clearTimeout(this.flushTimer);
    this.flushTimer = null;
  }

  // What comes alone is shown at once; a flood in steps of `batchMs`. A page in the background, whose timers come late, is
  // kept current by the events themselves. A request for permission waits a step: where a rule or a policy answers it, the
  // answer comes right behind it, and nobody should see a question that was never open.
  private flushSoon(mayBeAnswered: boolean): void {
    const due = this.flushedAt + this.batchMs - this.platform.now();
    const left = mayBeAnswered && this.batchMs > 0 ? this.batchMs : due;
    if (left <= 0 || left > this.batchMs || this.buffer.length >= MOST_BUFFERED) {
      this.flush();
      this.show();
    } else {
      this.flushTimer ??= this.platform.setTimeout(() => {
        this.flush();
        this.show();
      }, left);
    }
  }

  // A replay is shown when it is whole, and what is there of a long one now and then: whoever draws each step of a past of 20,000
  // events does little else. It is applied as it comes, so that nothing is left for the end that would hold up the page.
  private replaySoon(): void {
    const now = this.platform.now();
    const left = this.replayShownAt + REPLAY_SHOWN_MS - now;
    if (left <= 0 || left > REPLAY_SHOWN_MS) {
      this.replayShownAt = now;
      this.flush();
      this.show();
      return;
    }
    if (this.buffer.length >= REPLAY_STEP) {
      this.flush();
    }
    this.flushTimer ??= this.platform.setTimeout(() => {
      this.replayShownAt = this.platform.now();
      this.flush();
      this.show();
    }, left);
  }

  private flush(): void {
    const events = this.buffer;
    this.drop();
    this.flushedAt = this.platform.now();
    if (events.length === 0) {
      return;
    }
    for (const event of events) {
      callAll(this.eventListeners, event);
    }
    const before = this.current;
    this.current = reduceAll(before, events);
    this.earlier?.add(this.current.hole ? null : events);
    if (this.current.hole && !before.hole) {
      this.mend();
    }
    if (this.earlier?.isThere) {
      this.joinSoon();
    }
  }

  // Something is missing. It is asked for from the last number that is sure; where that has not helped, or the text itself
  // does not fit, everything is asked for again. The first time at once, then less and less often.
  private mend(): void {
    const now = this.platform.now();
    const { seq, hole } = this.current;
    const isRecent = this.lastHole !== null && now - this.lastHole.at < SAME_HOLE_MS;
    if (isRecent && this.lastHole?.seq === seq && hole) {
      this.current = { ...this.current, hole: { ...hole, kind: "text" } }; // it has no position then: see positionOf
    }
    if (!isRecent) {
      this.backoff.reset();
    }
    this.lastHole = { at: now, seq };
    this.subscribeIn(isRecent ? this.backoff.next() : 0);
  }

  private show(error: NackMessage | null = this.cell.get().error): void {
    const before = this.cell.get();
    const sync = this.sync();
    const earlier = this.earlier?.view ?? null;
    if (this.current !== before.state || sync !== before.sync || error !== before.error || earlier !== before.earlier) {
      this.cell.set({ state: this.current, sync, error, earlier });
    }
  }

  private sync(): Sync {
    if (!this.isOpen) {
      return "closed";
    }
    if (!this.isSubscribed) {
      return "waiting";
    }
    return this.isReplaying || this.isLagging || this.current.hole ? "catching_up" : "live";
  }
}
