// What people call a session that has no title: the first line that was asked of it. The list does not have that, so it is
// asked for, a few at a time, once it is to be shown.
import { useEffect } from "preact/hooks";
import type { SessionSummary, SignalboxClient, Store } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";

const AT_A_TIME = 2;
const FIRST_EVENTS = 8; // the first prompt is among them
const LONGEST = 120;

type Names = ReadonlyMap<string, string>;

/** The first line that says something, cut. */
export function firstLine(text: string): string {
  const line = text.trim().split("\n", 1)[0]!.trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST - 1)}…` : line;
}

export class NameBook {
  private names: Names = new Map();
  private readonly asked = new Map<string, number>(); // sessionId → head at that time
  private readonly listeners = new Set<() => void>();
  private readonly queue: string[] = [];
  private busy = 0;

  constructor(private readonly ask: (sessionId: string) => Promise<string>) {}

  readonly store: Store<Names> = {
    get: () => this.names,
    subscribe: (listener) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
  };

  learn(sessionId: string, name: string): void {
    if (name !== "" && this.names.get(sessionId) !== name) {
      this.names = new Map(this.names).set(sessionId, name);
      this.listeners.forEach((listener) => listener());
    }
  }

  /** Finds out, unless that is known, was tried, or cannot be yet. */
  want({ sessionId, title, head }: Pick<SessionSummary, "sessionId" | "title" | "head">): void {
    const before = this.asked.get(sessionId);
    const isHopeless = before !== undefined && (before >= FIRST_EVENTS || before === head);
    if (title !== "" || this.names.has(sessionId) || head < 2 || isHopeless) {
      return;
    }
    this.asked.set(sessionId, head);
    this.queue.push(sessionId);
    this.next();
  }

  private next(): void {
    while (this.busy < AT_A_TIME && this.queue.length > 0) {
      const sessionId = this.queue.shift()!;
      this.busy++;
      this.ask(sessionId)
        .then((name) => this.learn(sessionId, name), () => this.asked.delete(sessionId))
        .finally(() => {
          this.busy--;
          this.next();
        });
    }
  }
}

const books = new WeakMap<SignalboxClient, NameBook>();

export function nameBookOf(client: SignalboxClient): NameBook {
  let book = books.get(client);
  if (!book) {
    book = new NameBook(async (sessionId) => {
      const { events } = await client.http.events(sessionId, { limit: FIRST_EVENTS });
      const first = events.find((event) => event.type === "user_message");
      return first?.type === "user_message" ? firstLine(first.text) : "";
    });
    books.set(client, book);
  }
  return book;
}

/** The names of sessions without a title, as far as they are known. */
export function useNames(): Names {
  return useStore(nameBookOf(useClient()).store);
}

/** A session's name for people, found out where it has no title; "" as long as it has none. Not yet made plain to see. */
export function useSessionName(session: Pick<SessionSummary, "sessionId" | "title" | "head">): string {
  const book = nameBookOf(useClient());
  const known = useStore(book.store, (names) => names.get(session.sessionId));
  useEffect(() => book.want(session), [session.sessionId, session.title, session.head]);
  return session.title || known || "";
}
