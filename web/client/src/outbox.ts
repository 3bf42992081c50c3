// The commands that are not over: kept in order while there is no connection, sent when there is one, sent again with the
// same id when it is not known what became of them. Knows no socket: it is told of connections and given messages.
import { Backoff, Breaker } from "./backoff.js";
import { Command } from "./command.js";
import type { CommandRecord, CommandState, CommandType } from "./command.js";
import { CommandError } from "./errors.js";
import type { LocalCode, Outcome } from "./errors.js";
import type { AnswerMap, CommandFields, ConnectedMessage, NackMessage } from "./protocol.js";
import type { Platform, StorageLike } from "./platform.js";
import { Cell } from "./store.js";
import type { Store } from "./store.js";

export interface OutboxOptions {
  /** The most commands, and the most bytes of them, that are kept. */
  maxCommands: number;
  maxBytes: number;
  /** How long a command may wait to be sent, or to be tried again, if its caller says nothing else. */
  expiresInMs: number;
  /** How long after its first sending a command's answer is asked for again: less than the server's 24 hours. */
  rememberedMs: number;
}

export const OUTBOX_DEFAULTS: OutboxOptions = {
  maxCommands: 200,
  maxBytes: 4 << 20,
  expiresInMs: 10 * 60_000,
  rememberedMs: 23 * 3_600_000,
};

export interface SendOptions {
  /** Milliseconds; null: it waits as long as it takes. */
  expiresInMs?: number | null;
  /** Whether it is tried again after a refusal that passes by itself (`busy`, `storage_unavailable` and the like). */
  retry?: "transient" | "never";
}

const FIRST_LIMIT_BYTES = 1 << 20; // the server's own default, until it says another
const MOST_IN_FLIGHT = 32;
// Refusals that are about the server and pass by themselves. The others that are `retryable` (a full queue, an agent that
// does not start) are for a person to decide about.
const TRANSIENT = new Set(["busy", "storage_unavailable", "shutting_down", "internal", "rate_limited"]);
const FAILURES = new Set(["storage_unavailable", "internal"]);
// Those of a session that must not overtake each other. `cancel`, `withdraw` and answers must not wait for them.
const ORDERED = new Set<CommandType>(["prompt", "resume_queue", "set_mode", "set_config_option", "set_policy", "close_session"]);
const URGENT = new Set<CommandType>(["cancel", "withdraw", "permission_response"]);

interface Entry {
  command: Command<any>;
  record: CommandRecord;
  lane: string | null;
  inFlight: boolean;
  waitUntil: number;
  nack: NackMessage | null;
  backoff: Backoff;
}

interface Link {
  /** False: there is no connection to write to. */
  write(text: string): boolean;
  /** The server's clock less ours. */
  clockOffset(): number;
  warn(message: string, error: unknown): void;
}

export class Outbox {
  private entries: Entry[] = [];
  private readonly cell = new Cell<readonly Command<any>[]>([]);
  private readonly breaker: Breaker;
  private isUp = false;
  private isClosed = false;
  private limitBytes = FIRST_LIMIT_BYTES;
  private mostInFlight = MOST_IN_FLIGHT;
  private timer: unknown = null;
  private user: string | null = null;

  constructor(
    private readonly platform: Platform,
    private readonly options: OutboxOptions,
    private readonly link: Link,
    private readonly storage: StorageLike | null = null,
    private readonly storageKey = "signalbox",
  ) {
    this.breaker = new Breaker({ failures: 5, pauseMs: 5_000, maxPauseMs: 60_000 }, platform.now, platform.random);
    this.restore();
  }

  /** What is not over, oldest first. */
  get commands(): Store<readonly Command<any>[]> {
    return this.cell;
  }

  send<T extends CommandType>(type: T, fields: CommandFields<T>, options: SendOptions = {}): Command<T> {
    const now = this.platform.now();
    const wait = options.expiresInMs === undefined ? this.options.expiresInMs : options.expiresInMs;
    const entry = this.entryOf({
      id: this.platform.newId(),
      type,
      fields: { ...fields },
      createdAt: now,
      expiresAt: wait === null ? null : now + wait,
      sentAt: null,
      retry: options.retry ?? "transient",
    });
    const { command } = entry;
    const used = this.entries.reduce((sum, each) => sum + each.command.bytes, 0);
    if (this.isClosed) {
      this.fail(entry, "not_sent", "client_closed", "The client was closed.");
    } else if (command.bytes > this.limitBytes) {
      this.tooLarge(entry, "not_sent");
    } else if (this.entries.length >= this.options.maxCommands || used + command.bytes > this.options.maxBytes) {
      this.fail(entry, "not_sent", "offline_queue_full", "Too much waits to be sent already.");
    } else {
      if (type === "cancel") {
        this.withdrawPrompts(command.sessionId);
      }
      this.entries.push(entry);
      this.pump();
      this.changed();
    }
    return command;
  }

  /** There is a connection, and these are its rules. */
  connected(message: ConnectedMessage): void {
    if (this.user !== null && this.user !== message.user) {
      // What the other one said must neither be said in this one's name, nor asked about.
      this.failAll("other_user", `Somebody else (${message.user}) is logged in now.`);
    }
    this.user = message.user;
    this.limitBytes = message.limits?.maxMessageBytes ?? this.limitBytes;
    this.mostInFlight = Math.max(1, Math.min(MOST_IN_FLIGHT, Math.floor((message.limits?.maxCommandsInFlight ?? 64) / 2)));
    this.isUp = true;
    this.pump();
    this.changed();
  }

  /** The connection is gone; `code` is the close code, where there was one. */
  disconnected(code: number | null): void {
    const flying = this.entries.filter((entry) => entry.inFlight);
    this.isUp = false;
    this.breaker.abandoned();
    for (const entry of this.entries) {
      entry.inFlight = false;
      entry.waitUntil = 0;
    }
    if (code === 1009 && flying.length > 0) {
      // One of them was too large; smaller ones are asked about again, and if it was one of those it is next.
      this.tooLarge(flying.reduce((most, each) => (each.command.bytes > most.command.bytes ? each : most)), "refused");
    }
    this.changed();
  }

  /** The answer to a command; false: it is not one of these. */
  answered(message: { type: string; id?: string }): boolean {
    const entry = this.entries.find((each) => each.record.id === message.id);
    if (!entry) {
      return false;
    }
    if (message.type === "nack") {
      this.refused(entry, message as NackMessage);
    } else {
      this.breaker.succeeded();
      this.finish(entry, { name: "done", answer: message as AnswerMap[CommandType] });
    }
    this.pump();
    this.changed();
    return true;
  }

  /** The server can record again: what waited for that goes at once. */
  storeRecovered(): void {
    this.breaker.succeeded();
    for (const entry of this.entries) {
      entry.waitUntil = 0;
    }
    this.pump();
    this.changed();
  }

  /** Answers are remembered under the client's id: with a new one nothing can be asked about any more. */
  forgetSent(): void {
    for (const entry of this.entries.filter((each) => each.record.sentAt !== null)) {
      this.fail(entry, "unknown", "given_up", "Whether this was done is not known: it was sent under another id.");
    }
    this.changed();
  }

  /** Nothing more is sent. What was sent may have been done. */
  close(): void {
    this.isClosed = true;
    this.failAll("client_closed", "The client was closed.");
    this.changed();
    this.platform.clearTimeout(this.timer);
  }

  // ---- inside ----

  private entryOf(record: CommandRecord): Entry {
    const command = new Command(record, (each) => this.takeBack(each));
    return {
      command,
      record,
      lane: ORDERED.has(record.type) ? command.sessionId : null,
      inFlight: false,
      waitUntil: 0,
      nack: null,
      backoff: new Backoff({ baseMs: 1_000, maxMs: 30_000 }, this.platform.random),
    };
  }

  /** Sends what may be sent, oldest first; what it cannot send is looked at again when something changes. */
  private pump(): void {
    this.expire();
    const now = this.platform.now();
    const busy = new Set<string | null>();
    let flying = this.entries.filter((entry) => entry.inFlight).length;
    for (const entry of this.isUp ? [...this.entries] : []) {
      const { lane } = entry;
      const isUrgent = URGENT.has(entry.record.type);
      const isHeld = entry.inFlight || entry.waitUntil > now || (lane !== null && busy.has(lane));
      if (!isHeld && (isUrgent || (flying < this.mostInFlight && this.breaker.waitMs() === 0))) {
        if (entry.command.bytes > this.limitBytes) {
          this.tooLarge(entry, entry.record.sentAt === null ? "not_sent" : "refused");
          continue;
        }
        if (!this.link.write(entry.command.text)) {
          break; // the connection breaks right now; `disconnected` follows
        }
        if (!isUrgent) {
          this.breaker.attempt();
        }
        entry.inFlight = true;
        entry.record.sentAt ??= now;
        flying++;
        entry.command.move({ name: "sent", at: now });
      }
      if (lane !== null) {
        busy.add(lane);
      }
    }
    this.arm();
  }

  private refused(entry: Entry, nack: NackMessage): void {
    if (FAILURES.has(nack.code)) {
      this.breaker.failed();
    } else {
      this.breaker.succeeded();
    }
    entry.inFlight = false;
    entry.nack = nack;
    if (!nack.retryable || !TRANSIENT.has(nack.code) || entry.record.retry === "never") {
      this.finish(entry, { name: "refused", error: new CommandError("refused", nack.code, nack.message, nack) });
      return;
    }
    // It was not done, and that is not remembered: from here on it may be given up again.
    const now = this.platform.now();
    const until = nack.until === undefined ? 0 : nack.until - this.link.clockOffset();
    entry.record.sentAt = null;
    entry.waitUntil = Math.max(until, now + entry.backoff.next());
    entry.command.move({ name: "waiting", until: entry.waitUntil, nack });
  }

  private finish(entry: Entry, state: CommandState): void {
    this.entries = this.entries.filter((each) => each !== entry);
    entry.command.move(state);
  }

  private fail(entry: Entry, outcome: Outcome, code: LocalCode | NackMessage["code"], message: string): void {
    this.finish(entry, { name: outcome, error: new CommandError(outcome, code, message, entry.nack) });
  }

  private failAll(code: LocalCode, message: string): void {
    for (const entry of [...this.entries]) {
      this.fail(entry, entry.record.sentAt === null ? "not_sent" : "unknown", code, message);
    }
  }

  private tooLarge(entry: Entry, outcome: Outcome): void {
    this.fail(entry, outcome, "too_large", `This is too large for the server: ${entry.command.bytes} bytes.`);
  }

  private takeBack(command: Command<any>): boolean {
    const entry = this.entries.find((each) => each.command === command);
    if (!entry || entry.record.sentAt !== null) {
      return false;
    }
    this.fail(entry, "not_sent", "withdrawn", "This was taken back.");
    this.pump();
    this.changed();
    return true;
  }

  // A cancel takes back what its sender has queued; what was not even sent need not be sent for that.
  private withdrawPrompts(sessionId: string | null): void {
    for (const entry of this.entries.filter((each) => each.record.type === "prompt" && each.command.sessionId === sessionId)) {
      this.takeBack(entry.command);
    }
  }

  private dueAt({ record }: Entry): number {
    return record.sentAt === null ? (record.expiresAt ?? Infinity) : record.sentAt + this.options.rememberedMs;
  }

  private expire(): void {
    const now = this.platform.now();
    for (const entry of this.entries.filter((each) => this.dueAt(each) <= now)) {
      const { record, nack } = entry;
      if (record.sentAt !== null) {
        this.fail(entry, "unknown", "given_up", "Whether this was done is not known: the server did not answer for too long.");
      } else if (nack) {
        this.finish(entry, { name: "refused", error: new CommandError("refused", nack.code, nack.message, nack) });
      } else if (record.type === "permission_response") {
        this.fail(entry, "not_sent", "too_late", "The request ran out before the answer could be sent.");
      } else {
        this.fail(entry, "not_sent", "expired_unsent", "This could not be sent in time.");
      }
    }
  }

  private arm(): void {
    this.platform.clearTimeout(this.timer);
    this.timer = null;
    const now = this.platform.now();
    const held = this.breaker.waitMs();
    const times = this.entries.flatMap((entry) => [
      this.dueAt(entry),
      ...(this.isUp && !entry.inFlight ? [Math.max(entry.waitUntil, URGENT.has(entry.record.type) ? now : now + held)] : []),
    ]);
    const next = Math.min(...times.filter((time) => time > now));
    if (Number.isFinite(next)) {
      this.timer = this.platform.setTimeout(() => {
        this.pump();
        this.changed();
      }, Math.min(next - now, 0x7fffffff));
    }
  }

  private changed(): void {
    const before = this.cell.get();
    if (this.entries.length !== before.length || this.entries.some((entry, at) => entry.command !== before[at])) {
      this.cell.set(this.entries.map((entry) => entry.command));
    }
    this.save();
  }

  // ---- over a reload ----

  private save(): void {
    if (!this.storage) {
      return;
    }
    try {
      const records = this.entries.map((entry) => entry.record);
      if (records.length === 0) {
        this.storage.removeItem(`${this.storageKey}:outbox`);
      } else {
        this.storage.setItem(`${this.storageKey}:outbox`, JSON.stringify({ user: this.user, records }));
      }
    } catch (error) {
      this.link.warn("What waits to be sent could not be stored; it is lost if the page is closed now.", error);
    }
  }

  private restore(): void {
    try {
      const { user, records } = JSON.parse(this.storage?.getItem(`${this.storageKey}:outbox`) ?? '{"user":null,"records":[]}');
      this.user = user;
      this.entries = (records as CommandRecord[]).map((record) => this.entryOf(record));
      for (const { command, record } of this.entries) {
        if (record.sentAt !== null) {
          command.move({ name: "sent", at: record.sentAt });
        }
      }
    } catch (error) {
      this.link.warn("What was stored to be sent could not be read.", error);
    }
    this.cell.set(this.entries.map((entry) => entry.command));
    this.arm();
  }
}
