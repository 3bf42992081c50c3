// What was said before the end that is shown first. It is fetched over HTTP, from the session's beginning on, and made into a
// state of its own by the same reducer; when that has reached the number that is shown, it takes its place. So what reaches over the cut
// (titles, queues, calls that go on, ...) needs no rules here: the state is that of one who was sent everything.
import { Backoff } from "./backoff.js";
import { HttpError } from "./errors.js";
import type { EventPage, ServerEvent, SubscribedMessage } from "./protocol.js";
import type { Platform } from "./platform.js";
import { sharedWith } from "./share.js";
import { emptySession, reduceAll, subscribed } from "./state.js";
import type { SessionState } from "./state.js";

/**
 * What is missing before a session's items. `loading`: it is on its way; `waiting`: there is no connection, or a try has failed and
 * another one comes by itself; `failed`: none comes by itself, `WatchedSession.loadEarlier()` tries.
 */
export interface EarlierView {
  state: "loading" | "waiting" | "failed";
  /** Why the last try failed. */
  error: Error | null;
}

export interface EarlierHost {
  /** A page of events behind `after`, `EPOCH:SEQ`. */
  events(query: { after: string; limit: number }, signal: AbortSignal): Promise<EventPage>;
  /** `view` is another one, or all that had been said is there. */
  changed(): void;
  /** The server's history is another one than that of what is shown. */
  lost(): void;
}

const PAGE = 1_000; // events
const STEP = 250; // of them applied in one go: a few milliseconds
const MOST_FRESH = 2_000; // events that came meanwhile; what is older is fetched with the rest

export class Earlier {
  view: EarlierView = { state: "waiting", error: null };
  private whole: SessionState;
  private fresh: ServerEvent[] = [];
  private isAtHead = false; // the last page ended where the log did
  private running: AbortController | null = null;
  private timer: unknown = null;
  private readonly backoff: Backoff;

  constructor(
    sessionId: string,
    private message: SubscribedMessage, // what is true of the session by itself, without its events
    private readonly platform: Platform,
    private readonly host: EarlierHost,
  ) {
    this.whole = subscribed(emptySession(sessionId), message);
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, platform.random);
  }

  /** Whether all is there that was said until the last page was asked for. */
  get isThere(): boolean {
    return this.isAtHead;
  }

  /** Goes on, if it does not already. */
  start(): void {
    if (this.isAtHead) {
      this.host.changed(); // it may be time to show it
    } else if (!this.running) {
      this.platform.clearTimeout(this.timer);
      this.running = new AbortController();
      this.say("loading", this.view.error);
      void this.run(this.running);
    }
  }

  /** Until `start`. What has come stays. */
  stop(): void {
    this.running?.abort();
    this.running = null;
    this.platform.clearTimeout(this.timer);
    this.say(this.view.state === "failed" ? "failed" : "waiting", this.view.error);
  }

  /** The session was subscribed to again, from where it was. */
  subscribed(message: SubscribedMessage): void {
    this.message = message;
    this.whole = subscribed(this.whole, message, { after: true });
  }

  /** Events that are part of what is shown; null: something is missing before those that come next. */
  add(events: readonly ServerEvent[] | null): void {
    if (events === null) {
      this.fresh = [];
      return;
    }
    this.fresh.push(...events);
    this.fresh.splice(0, Math.max(0, this.fresh.length - MOST_FRESH));
  }

  /**
   * All of it, up to what is `shown`; null: not yet. Pages may be ahead of the events that are pushed: where more of those come, they are
   * waited for, so that nothing but what is earlier comes with it.
   */
  upTo(shown: SessionState, isMoreComing: boolean): SessionState | null {
    const seq = shown.seq ?? 0;
    if (!this.isAtHead || shown.hole || (isMoreComing && this.whole.seq! > seq)) {
      return null;
    }
    const whole = reduceAll(this.whole, this.fresh);
    if (whole.hole || whole.seq! < seq) {
      this.fresh = []; // too much came meanwhile
      this.isAtHead = false;
      this.start();
      return null;
    }
    return sharedWith(whole, shown);
  }

  private async run(running: AbortController): Promise<void> {
    const { signal } = running;
    try {
      let page: Promise<EventPage> | null = this.page(`${this.whole.epoch}:${this.whole.seq}`, signal);
      while (page) {
        const { epoch, events, next }: EventPage = await page;
        if (signal.aborted) {
          return;
        }
        if (epoch !== this.whole.epoch) {
          this.running = null;
          this.host.lost();
          return;
        }
        page = next ? this.page(next, signal) : null; // comes while this one is applied
        page?.catch(() => {}); // told when it is waited for
        for (let at = 0; at < events.length; at += STEP) {
          const whole = reduceAll(this.whole, events.slice(at, at + STEP));
          if (whole.hole) {
            this.whole = subscribed(emptySession(whole.sessionId), this.message);
            throw new Error("The server's pages of events do not fit together.");
          }
          this.whole = whole;
          await new Promise<void>((resolve) => this.platform.setTimeout(resolve, 0)); // whoever uses the page goes first
          if (signal.aborted) {
            return;
          }
        }
      }
    } catch (error) {
      if (!signal.aborted) {
        running.abort();
        this.running = null;
        this.failed(error instanceof Error ? error : new Error(String(error)));
      }
      return;
    }
    this.running = null;
    this.isAtHead = true;
    this.backoff.reset();
    this.host.changed();
  }

  private page(after: string, signal: AbortSignal): Promise<EventPage> {
    return this.host.events({ after, limit: PAGE }, signal);
  }

  private failed(error: Error): void {
    const isFinal = error instanceof HttpError && error.status < 500 && error.status !== 429;
    if (!isFinal) {
      const wait = (error instanceof HttpError ? error.retryAfterMs : null) ?? this.backoff.next();
      this.timer = this.platform.setTimeout(() => this.start(), wait);
    }
    this.say(isFinal ? "failed" : "waiting", error);
  }

  private say(state: EarlierView["state"], error: Error | null): void {
    if (state !== this.view.state || error !== this.view.error) {
      this.view = { state, error };
      this.host.changed();
    }
  }
}
