import type { NackMessage, Problem } from "./protocol.js";

/**
 * What became of a command that was not done:
 * `not_sent`: the server has not seen it and will not; `refused`: the server said no; `unknown`: it was sent, and whether it
 * was done will not be known any more.
 */
export type Outcome = "not_sent" | "refused" | "unknown";

/**
 * Codes of our own, beside those of a `nack`:
 * `offline_queue_full`: too much waits already; `expired_unsent`: it waited too long for a connection; `too_late`: the request
 * ran out before the answer could be sent; `withdrawn`: it was taken back before it was sent; `other_user`: somebody else is
 * logged in now; `client_closed`: the client was closed; `given_up`: its answer would not be remembered any more.
 */
export type LocalCode =
  | "offline_queue_full" | "expired_unsent" | "too_late" | "withdrawn" | "other_user" | "client_closed" | "given_up";

export class CommandError extends Error {
  override readonly name = "CommandError";

  constructor(
    readonly outcome: Outcome,
    readonly code: NackMessage["code"] | LocalCode,
    message: string,
    /** The server's refusal, where there is one. */
    readonly nack: NackMessage | null = null,
  ) {
    super(message);
  }

  /** Whether the same command may succeed later. */
  get retryable(): boolean {
    return this.nack ? this.nack.retryable : this.outcome === "not_sent" && this.code !== "too_large" && this.code !== "too_late";
  }
}

/** An HTTP request that was refused: `problem` is the server's answer, or null where it was none of the server's. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  constructor(
    readonly status: number,
    readonly problem: Problem | null,
    readonly retryAfterMs: number | null = null,
  ) {
    super(problem?.detail || problem?.title || `the server answered ${status}`);
  }

  get code(): string {
    return this.problem?.code ?? `http_${this.status}`;
  }
}
