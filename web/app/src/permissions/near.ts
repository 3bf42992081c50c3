// The tool call that a request is about, found near the session's end: to judge one change, nobody needs all that was said before.
import { useEffect, useState } from "preact/hooks";
import { emptySession, reduceAll } from "signalbox-client";
import type { EventPage, Http, PermissionRequest, ToolItem } from "signalbox-client";
import { useClient, useConnection } from "signalbox-client/preact";

type Event = EventPage["events"][number];
type Source = Pick<Http, "sessionInfo" | "events">;

const SPANS = [40, 1_000, 10_000]; // numbers before the session's head, tried one after the other
const PAGE = 500; // events
const MOST_PAGES = 12;

const OF_CALL = new Set(["tool_start", "tool_update", "tool_result"]);

/**
 * The call, or null: it is further away than is looked for. An agent asks right behind what it asks about, so one short page
 * has it most often; a call that it began long before is looked for twice more.
 */
export async function callNear(http: Source, { sessionId, toolUseId }: Pick<PermissionRequest, "sessionId" | "toolUseId">): Promise<ToolItem | null> {
  const { epoch, head } = await http.sessionInfo(sessionId);
  const found = new Map<number, Event>(); // by their number: pages overlap where they are folded
  let pages = 0;
  let known = Infinity; // from here on it was looked for already
  for (const span of SPANS) {
    const from = Math.max(0, head - span);
    let isDone = known === 0;
    for (let after = `${epoch}:${from}`; !isDone && pages < MOST_PAGES; pages++) {
      const { events, next } = await http.events(sessionId, { after, limit: Math.min(span, PAGE) });
      for (const event of events) {
        if (OF_CALL.has(event.type) && (event as { toolUseId?: string }).toolUseId === toolUseId) {
          found.set(event.seq, event);
        }
      }
      isDone = next === undefined || (events.at(-1)?.seq ?? Infinity) >= known;
      after = next ?? "";
    }
    known = from;
    const all = [...found.values()].sort((a, b) => a.seq - b.seq);
    if (all.some((event) => event.type === "tool_start")) {
      return callOf(sessionId, all);
    }
  }
  return null;
}

function callOf(sessionId: string, events: readonly Event[]): ToolItem | null {
  let state = emptySession(sessionId);
  for (const event of events) {
    state = reduceAll({ ...state, seq: null }, [event]); // what lies between them is about something else
  }
  return state.items.find((item): item is ToolItem => item.kind === "tool") ?? null;
}

export interface Near {
  call: ToolItem | null;
  state: "looking" | "found" | "not_near" | "failed";
  again(): void;
}

/** The same for as long as the request is shown; asked again when there is a connection again. */
export function useCallNear(request: PermissionRequest): Near {
  const client = useClient();
  const isLive = useConnection().name === "live";
  const [near, setNear] = useState<Omit<Near, "again">>({ call: null, state: "looking" });
  const [tries, setTries] = useState(0);
  const isKnown = near.call !== null;
  useEffect(() => {
    let isShown = true;
    if (!isKnown) {
      setNear({ call: null, state: "looking" });
      callNear(client.http, request).then(
        (call) => isShown && setNear({ call, state: call ? "found" : "not_near" }),
        () => isShown && setNear({ call: null, state: "failed" }),
      );
    }
    return () => {
      isShown = false;
    };
  }, [client, request.requestId, isLive, tries]);
  return { ...near, again: () => setTries(tries + 1) };
}
