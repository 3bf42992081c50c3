// When to try again.

export interface BackoffOptions {
  /** The most that the first wait may be; each further one may be twice as long. Milliseconds. */
  baseMs: number;
  /** The most that any wait may be. */
  maxMs: number;
}

/** Exponential backoff with full jitter: anything between nothing and the limit, so that clients do not come back together. */
export class Backoff {
  private tries = 0;

  constructor(
    private readonly options: BackoffOptions,
    private readonly random: () => number,
  ) {}

  get attempt(): number {
    return this.tries;
  }

  next(): number {
    const most = Math.min(this.options.maxMs, this.options.baseMs * 2 ** Math.min(this.tries, 40));
    this.tries++;
    return this.random() * most;
  }

  reset(): void {
    this.tries = 0;
  }
}

export interface BreakerOptions {
  /** So many failures in a row open it. */
  failures: number;
  /** How long nothing is tried then; twice as long each time that the try after it fails. Milliseconds. */
  pauseMs: number;
  maxPauseMs: number;
}

/**
 * A circuit breaker: after many failures in a row nothing is tried for a while (`open`), then one try decides (`half_open`).
 * Pauses get up to half as long again at random, so that many clients do not try together.
 */
export class Breaker {
  private failures = 0;
  private pauses = 0;
  private until = 0;
  private trying = false;

  constructor(
    private readonly options: BreakerOptions,
    private readonly now: () => number,
    private readonly random: () => number,
  ) {}

  get state(): "closed" | "open" | "half_open" {
    if (this.failures < this.options.failures) {
      return "closed";
    }
    return this.trying ? "half_open" : "open";
  }

  /** How long nothing may be tried, from now; 0: something may. */
  waitMs(): number {
    if (this.state === "closed") {
      return 0;
    }
    return this.trying ? Infinity : Math.max(0, this.until - this.now());
  }

  /** Says that the one try begins. Where it is closed, nothing. */
  attempt(): void {
    this.trying = this.failures >= this.options.failures;
  }

  succeeded(): void {
    this.failures = 0;
    this.pauses = 0;
    this.trying = false;
  }

  failed(): void {
    this.failures = Math.min(this.failures + 1, this.options.failures);
    this.trying = false;
    if (this.failures >= this.options.failures) {
      const pause = Math.min(this.options.maxPauseMs, this.options.pauseMs * 2 ** Math.min(this.pauses, 40));
      this.pauses++;
      this.until = this.now() + pause * (1 + this.random() / 2);
    }
  }

  /** The try ended without saying anything about the server: it was ours to end. */
  abandoned(): void {
    this.trying = false;
  }
}
