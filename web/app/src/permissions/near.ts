// The tool call that a request is about, found near the session's end: to judge one change, nobody needs all that was said before.
import { useEffect, useRef, useState } from "preact/hooks";
import { emptySession, reduceAll } from "signalbox-client";
import type { EventPage, Http, PermissionRequest, ToolItem } from "signalbox-client";
import { useClient, useConnection, useStore } from "signalbox-client/preact";

type Event = EventPage["events"][number];
type Source = Pick<Http, "sessionInfo" | "events">;

const SPANS = [40, 1_000, 10_000]; // numbers before the session's head, tried one after the other
const PAGE = 500; // events
const MOST_PAGES = 12;

const OF_CALL = new Set(["tool_start", "tool_update", "tool_result"]);

/** The call of one request: looked for once, and then followed. */
export class NearCall {
  /** Null: it was not found, or not yet. */
  call: ToolItem | null = null;
  /** The last event that was read. */
  head = 0;
  private epoch = "";
  private readonly found = new Map<number, Event>(); // by their number: pages overlap where they are folded

  constructor(private readonly http: Source, private readonly about: Pick<PermissionRequest, "sessionId" | "toolUseId">) {}

  /**
   * Looks for it; `call` is null after that where it is further away than is looked for. An agent asks right behind what it asks
   * about, so one short page has it most often; a call that it began long before is looked for twice more.
   */
  async look(): Promise<void> {
    const { epoch, head } = await this.http.sessionInfo(this.about.sessionId);
    this.epoch = epoch ?? "";
    this.head = head;
    this.found.clear();
    let pages = 0;
    let known = Infinity; // from here on it was looked for already
    for (const span of SPANS) {
      const from = Math.max(0, head - span);
      pages += known === 0 ? 0 : await this.read(from, Math.min(span, PAGE), MOST_PAGES - pages, known);
      known = from;
      this.call = this.callOf();
      if (this.call !== null) {
        return;
      }
    }
  }

  /** What has become of it since; `to` is where the session is now. */
  async more(to: number): Promise<void> {
    const isAll = (await this.read(this.head, PAGE, MOST_PAGES, Infinity)) < MOST_PAGES;
    this.head = isAll ? Math.max(this.head, to) : this.head;
    this.call = this.callOf();
  }

  /** -> how many pages it read */
  private async read(from: number, limit: number, most: number, known: number): Promise<number> {
    let pages = 0;
    for (let after: string | undefined = `${this.epoch}:${from}`; after !== undefined && pages < most; pages++) {
      const { events, next }: EventPage = await this.http.events(this.about.sessionId, { after, limit });
      for (const event of events) {
        if (OF_CALL.has(event.type) && (event as { toolUseId?: string }).toolUseId === this.about.toolUseId) {
          this.found.set(event.seq, event);
        }
      }
      const last = events.at(-1)?.seq ?? 0;
      this.head = Math.max(this.head, last);
      after = last >= known ? undefined : next;
    }
    return pages;
  }

  private callOf(): ToolItem | null {
    const all = [...this.found.values()].sort((a, b) => a.seq - b.seq);
    if (!all.some((event) => event.type === "tool_start")) {
      return null;
    }
    let state = emptySession(this.about.sessionId);
    for (const event of all) {
      state = reduceAll({ ...state, seq: null }, [event]); // what lies between them is about something else
    }
    return state.items.find((item): item is ToolItem => item.kind === "tool") ?? null;
  }
}

export interface Near {
  call: ToolItem | null;
  state: "looking" | "found" | "not_near" | "failed";
  again(): void;
}

/**
 * The same for as long as the request is shown: asked again when there is a connection again, and read on when the list says that
 * there is more of the session.
 */
export function useCallNear(request: PermissionRequest): Near {
  const client = useClient();
  const isLive = useConnection().name === "live";
  const head = useStore(client.sessions, ({ items }) => items.get(request.sessionId)?.head ?? 0);
  const [near] = useState(() => new NearCall(client.http, request));
  const [shown, setShown] = useState<Omit<Near, "again">>({ call: null, state: "looking" });
  const [tries, setTries] = useState(0);
  const [reads, setReads] = useState(0); // what comes while it is read is read behind that
  const isBusy = useRef(false);
  const isShown = useRef(true);
  const asked = useRef("");
  useEffect(() => () => {
    isShown.current = false;
  }, []);
  useEffect(() => {
    const isFound = near.call !== null;
    const why = `${isLive} ${tries}`;
    if (isBusy.current || (isFound && !isLive) || (asked.current === why && !(isFound && head > near.head))) {
      return;
    }
    asked.current = why;
    isBusy.current = true;
    if (!isFound) {
      setShown({ call: null, state: "looking" });
    }
    (isFound ? near.more(head) : near.look())
      .then(() => (near.call ? "found" : "not_near"), () => "failed" as const)
      .then((state) => {
        isBusy.current = false;
        if (isShown.current) {
          setShown({ call: near.call, state });
          setReads((count) => count + 1);
        }
      });
  }, [near, isLive, tries, head, reads]);
  return { ...shown, again: () => setTries(tries + 1) };
}
