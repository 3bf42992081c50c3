// A command on its way: what its caller holds.
import { CommandError } from "./errors.js";
import type { AnswerMap, CommandMap, NackMessage } from "./protocol.js";
import { Cell } from "./store.js";
import type { Store } from "./store.js";

export type CommandType = keyof CommandMap;

/**
 * `queued`: not sent yet; `sent`: the server has not answered yet (it may have been sent to a connection that broke: then
 * it is sent again, and done once); `waiting`: refused for now, and tried again at `until`; the others are final.
 */
export type CommandState<T extends CommandType = CommandType> =
  | { name: "queued" }
  | { name: "sent"; at: number }
  | { name: "waiting"; until: number; nack: NackMessage }
  | { name: "done"; answer: AnswerMap[T] }
  | { name: "refused" | "not_sent" | "unknown"; error: CommandError };

/** What is kept of a command over a reload of the page. Times are Unix milliseconds by the client's clock. */
export interface CommandRecord {
  id: string;
  type: CommandType;
  fields: { [name: string]: unknown };
  createdAt: number;
  /** When it is given up if it has not been sent by then; null: never. */
  expiresAt: number | null;
  /** When it was first sent, if the server may have it. */
  sentAt: number | null;
  retry: "transient" | "never";
}

/** `await` it: it resolves with the answer, or throws a CommandError. A failure that nobody awaits is in `state` only. */
export class Command<T extends CommandType = CommandType> implements PromiseLike<AnswerMap[T]> {
  private readonly cell = new Cell<CommandState<T>>({ name: "queued" });
  private readonly answer: Promise<AnswerMap[T]>;
  private settle!: { resolve(answer: AnswerMap[T]): void; reject(error: CommandError): void };
  /** The command as it is sent. */
  readonly text: string;
  readonly bytes: number;

  constructor(
    readonly record: CommandRecord,
    private readonly takeBack: (command: Command<any>) => boolean,
  ) {
    this.text = JSON.stringify({ ...record.fields, type: record.type, id: record.id });
    this.bytes = new TextEncoder().encode(this.text).length;
    this.answer = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.answer.catch(() => {});
  }

  get id(): string {
    return this.record.id;
  }

  get type(): CommandType {
    return this.record.type;
  }

  get fields(): { [name: string]: unknown } {
    return this.record.fields;
  }

  get sessionId(): string | null {
    return typeof this.fields.sessionId === "string" ? this.fields.sessionId : null;
  }

  get state(): Store<CommandState<T>> {
    return this.cell;
  }

  /** Takes it back where it is known that the server has not done it; false: too late, it was sent or is over. */
  withdraw(): boolean {
    return this.takeBack(this);
  }

  then<A = AnswerMap[T], B = never>(
    done?: ((answer: AnswerMap[T]) => A | PromiseLike<A>) | null,
    failed?: ((error: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.answer.then(done, failed);
  }

  catch<B = never>(failed: (error: any) => B | PromiseLike<B>): Promise<AnswerMap[T] | B> {
    return this.answer.catch(failed);
  }

  /** @internal */
  move(state: CommandState<T>): void {
    this.cell.set(state);
    if (state.name === "done") {
      this.settle.resolve(state.answer);
    } else if ("error" in state) {
      this.settle.reject(state.error);
    }
  }
}
