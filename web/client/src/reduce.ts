// From events to the state of a session. Pure: what is given is left as it was.
import type {
  CompleteEvent, ErrorEvent, PermissionCancelledEvent, PermissionRequestEvent, PermissionResolvedEvent,
  PermissionTimeoutEvent, Ref, ServerEvent, SubscribedMessage, TextCompleteEvent, TextDeltaEvent, ThoughtCompleteEvent,
  ThoughtDeltaEvent, ToolOutputEvent, ToolResultEvent, ToolStartEvent, ToolUpdateEvent, UserMessageEvent,
} from "./protocol.js";
import { emptySession } from "./state.js";
import type { Item, PermissionItem, SessionState, TextItem, ToolItem, UserItem } from "./state.js";

/** An event of any type, also one that this version does not know. */
export type EventLike = ServerEvent | { type: string; seq: number; from?: number };

// Where each key's item stands. It belongs to an array of items and is handed on to the next one; so another branch from the
// same state may have written to it, and whoever looks something up checks what stands there.
const indexes = new WeakMap<readonly Item[], Map<string, number>>();

function indexOf(items: readonly Item[]): Map<string, number> {
  let index = indexes.get(items);
  if (!index) {
    index = new Map(items.map((item, place) => [item.key, place]));
    indexes.set(items, index);
  }
  return index;
}

/** A state in the making: nobody else has it yet. The list of items is copied at most once for all events of a batch. */
class Draft {
  readonly now: SessionState;
  private items: Item[] | null = null;

  constructor(state: SessionState) {
    this.now = { ...state };
  }

  find(key: string): number {
    const { items } = this.now;
    const place = indexOf(items).get(key);
    if (place === undefined || items[place]?.key === key) {
      return place ?? -1;
    }
    return items.findIndex((item) => item.key === key);
  }

  get<T extends Item>(key: string): T | undefined {
    const place = this.find(key);
    return place < 0 ? undefined : (this.now.items[place] as T);
  }

  private own(): Item[] {
    if (!this.items) {
      const index = indexOf(this.now.items);
      this.items = this.now.items.slice();
      indexes.set(this.items, index);
      this.now.items = this.items;
    }
    return this.items;
  }

  put(item: Item): void {
    const place = this.find(item.key);
    const items = this.own();
    if (place >= 0) {
      items[place] = item;
    } else {
      indexOf(items).set(item.key, items.length);
      items.push(item);
    }
  }

  /** To the end, from wherever it stood: the places behind it are other ones now. */
  putLast(item: Item): void {
    const place = this.find(item.key);
    const last = this.now.items.length - 1;
    if (place >= 0 && place !== last) {
      const items = this.own();
      const index = indexOf(items);
      for (let at = place; at < last; at++) { // most often it stands near the end
        items[at] = items[at + 1]!;
        index.set(items[at]!.key, at);
      }
      items[last] = item;
      index.set(item.key, last);
      return;
    }
    this.put(item);
  }

  hole(event: { seq: number }): void {
    this.now.hole = { kind: "text", expected: (this.now.seq ?? 0) + 1, got: event.seq };
  }
}

/** The state after the answer to `subscribe`. `asked` is what was sent. */
export function subscribed(
  state: SessionState,
  message: SubscribedMessage,
  asked: { after?: unknown; history?: "full" | "turn" | "none" } = {},
): SessionState {
  const history = asked.after ? "after" : (asked.history ?? "full");
  const isNew = message.mode === "reset" || history !== "after";
  const base = isNew ? emptySession(state.sessionId) : state;
  const partial = isNew ? history === "turn" || history === "none" : base.partial;
  const beginsAtHead = isNew && partial && message.mode === "live";
  return {
    ...base,
    epoch: message.epoch,
    seq: beginsAtHead ? message.head : isNew && partial ? null : base.seq,
    head: message.head,
    partial,
    hole: null,
    phase: message.phase,
    detail: message.phase === base.phase ? base.detail : null,
    agent: message.agent,
    workspace: message.workspace,
    title: message.title || null,
    policy: message.policy,
    policyBy: message.policy === base.policy ? base.policyBy : null,
    promptCapabilities: message.promptCapabilities ?? null,
    pending: message.pending,
  };
}

/** The state after one event. The same object where it changes nothing: an event that is known, or one after a hole. */
export function reduce(state: SessionState, event: EventLike): SessionState {
  return reduceAll(state, [event]);
}

/** The same for many: what a replay brings is not copied once for each event. */
export function reduceAll(state: SessionState, events: Iterable<EventLike>): SessionState {
  let draft: Draft | null = null;
  for (const event of events) {
    const now: SessionState = draft?.now ?? state;
    if (now.hole) {
      break;
    }
    if (now.seq !== null && event.seq <= now.seq) {
      continue;
    }
    draft ??= new Draft(state);
    const from = event.from ?? event.seq;
    if (now.seq !== null && from > now.seq + 1) {
      draft.now.hole = { kind: "numbers", expected: now.seq + 1, got: from };
      break;
    }
    const handler = Object.hasOwn(handlers, event.type) ? handlers[event.type as keyof typeof handlers] : undefined;
    (handler as ((draft: Draft, event: EventLike) => void) | undefined)?.(draft, event);
    if (!draft.now.hole) {
      draft.now.seq = event.seq;
    }
  }
  return draft?.now ?? state;
}

type Optional<T> = { [K in keyof T]?: T[K] };

/** Those of the fields that the event has. */
function given<T extends object, K extends keyof T>(event: T, names: readonly K[]): Optional<Pick<T, K>> {
  const fields: Optional<Pick<T, K>> = {};
  for (const name of names) {
    if (event[name] !== undefined && event[name] !== null) {
      fields[name] = event[name];
    }
  }
  return fields;
}

/** What `subscribed` has said of `head` already is not said again by the events before it. */
const isTold = (draft: Draft, event: { seq: number }): boolean => event.seq <= draft.now.head;

// Offsets count UTF-16 units, as JavaScript's strings do. What overlaps replaces what it overlaps, so that a delta that
// comes twice, or folded with others, changes nothing. null: text is missing.
function splice(text: string, offset: number, delta: string): string | null {
  if (offset >= text.length) {
    return offset === text.length ? text + delta : null;
  }
  return text.slice(0, offset) + delta + text.slice(offset + delta.length);
}

// A text stands where its last event is: a notice that came while it was open stands before it, also for those who get it whole.
function textDelta(kind: "text" | "thought", draft: Draft, event: TextDeltaEvent | ThoughtDeltaEvent): void {
  const key = `${kind}:${event.messageId}`;
  const known = draft.get<TextItem>(key);
  if (known?.done || (!known && draft.now.partial && event.offset > 0)) {
    return; // whole already, or a message whose beginning was not asked for
  }
  const text = splice(known?.text ?? "", event.offset, event.delta);
  if (text === null) {
    draft.hole(event);
    return;
  }
  draft.putLast({
    kind, key, messageId: event.messageId, ...given(event, ["turnId", "parentToolUseId"]), text, done: false, intermediate: true, ts: event.ts,
  });
}

function textComplete(kind: "text" | "thought", draft: Draft, event: TextCompleteEvent | ThoughtCompleteEvent): void {
  draft.putLast({
    kind,
    key: `${kind}:${event.messageId}`,
    messageId: event.messageId,
    ...given(event, ["turnId", "parentToolUseId", "refs"]),
    text: event.text,
    done: true,
    intermediate: event.isIntermediate,
    ts: event.ts,
  });
}

const START_FIELDS = ["toolName", "toolInput", "toolIntent", "toolDisplayName", "locations", "parentToolUseId", "turnId"] as const;
const UPDATE_FIELDS = ["status", "title", "content", "locations", "toolInput", "rawOutput"] as const;
const RESULT_FIELDS = ["result", "content", "rawOutput", "delta"];

/** An event's references, beside those earlier ones whose fields it does not give anew. */
function mergedRefs(known: Ref[] | undefined, event: { refs?: Ref[] }, given: (field: string) => boolean): { refs?: Ref[] } {
  const kept = (known ?? []).filter((ref) => !given(ref.path.split("/")[1] ?? ""));
  const refs = [...kept, ...(event.refs ?? [])];
  return { refs: refs.length > 0 ? refs : undefined };
}

function newTool(event: { toolUseId: string; ts: number }): ToolItem {
  return {
    kind: "tool", key: `tool:${event.toolUseId}`, toolUseId: event.toolUseId, toolName: "", toolKind: "other", toolInput: {},
    status: "pending", content: [], output: "", isError: false, done: false, ts: event.ts,
  };
}

/** Without `refs: undefined`, which a state that came over JSON would not have. */
function putTool(draft: Draft, { refs, ...tool }: ToolItem): void {
  draft.put(refs ? { ...tool, refs } : tool);
}

function toolStart(draft: Draft, event: ToolStartEvent): void {
  const known = draft.get<ToolItem>(`tool:${event.toolUseId}`);
  putTool(draft, {
    ...(known ?? newTool(event)), ...given(event, START_FIELDS), toolKind: event.kind ?? "other",
    ...mergedRefs(known?.refs, event, (field) => field in event),
  });
}

function toolUpdate(draft: Draft, event: ToolUpdateEvent): void {
  const known = draft.get<ToolItem>(`tool:${event.toolUseId}`);
  if (!known && draft.now.partial) {
    return;
  }
  putTool(draft, {
    ...(known ?? newTool(event)), ...given(event, UPDATE_FIELDS), ...(event.kind ? { toolKind: event.kind } : {}),
    ...mergedRefs(known?.refs, event, (field) => field in event),
  });
}

function toolOutput(draft: Draft, event: ToolOutputEvent): void {
  const known = draft.get<ToolItem>(`tool:${event.toolUseId}`);
  if (known?.done || (draft.now.partial && (!known || event.offset > known.output.length))) {
    return;
  }
  const output = splice(known?.output ?? "", event.offset, event.delta);
  if (output === null) {
    draft.hole(event);
    return;
  }
  putTool(draft, { ...(known ?? newTool(event)), output, ...mergedRefs(known?.refs, event, () => false) });
}

// `content` and `rawOutput` are left out where they are nothing but the text of `result`: they replace earlier ones then, too.
function toolResult(draft: Draft, event: ToolResultEvent): void {
  const known = draft.get<ToolItem>(`tool:${event.toolUseId}`);
  if (!known && draft.now.partial) {
    return; // its place is where it began
  }
  const { rawOutput: _, ...kept } = known ?? newTool(event);
  putTool(draft, {
    ...kept,
    ...given(event, ["rawOutput"]),
    toolName: event.toolName,
    result: event.result,
    content: event.content ?? [],
    output: "",
    isError: event.isError,
    status: event.isError ? "failed" : "completed",
    done: true,
    endedAt: event.ts,
    ...mergedRefs(known?.refs, event, (field) => RESULT_FIELDS.includes(field)),
  });
}

function userMessage(draft: Draft, event: UserMessageEvent): void {
  const { messageId, text, by, status, ts } = event;
  const message = { messageId, text, by, status, ts, ...given(event, ["content", "cause", "refs", "turnId"]) };
  const { queue } = draft.now;
  const place = queue.findIndex((each) => each.messageId === messageId);
  if (status === "queued") {
    const queued = { ...message, ...given(event, ["position"]) };
    draft.now.queue = place < 0 ? [...queue, queued] : queue.map((each, at) => (at === place ? queued : each));
    return;
  }
  if (place >= 0) {
    draft.now.queue = queue.filter((_, at) => at !== place);
  }
  const item: UserItem = { kind: "user", key: `user:${messageId}`, ...message };
  draft.putLast(item); // its last status is its place
}

function permissionRequest(draft: Draft, event: PermissionRequestEvent): void {
  const { request } = event;
  const key = `permission:${request.requestId}`;
  if (draft.get(key)) {
    return;
  }
  draft.put({ kind: "permission", key, request, ...given(event, ["turnId"]), state: "pending", ts: event.ts });
  if (!isTold(draft, event)) {
    draft.now.pending = [...draft.now.pending, request];
  }
}

function permissionEnd(
  draft: Draft,
  event: PermissionResolvedEvent | PermissionTimeoutEvent | PermissionCancelledEvent,
  fields: Optional<PermissionItem> & Pick<PermissionItem, "state">,
): void {
  const { requestId } = event;
  const known = draft.get<PermissionItem>(`permission:${requestId}`);
  if (known) {
    draft.put({ ...known, ...fields, ...given(event, ["cause"]), endedAt: event.ts });
  }
  if (draft.now.pending.some((request) => request.requestId === requestId)) {
    draft.now.pending = draft.now.pending.filter((request) => request.requestId !== requestId);
  }
}

function complete(draft: Draft, event: CompleteEvent): void {
  draft.now.turn = null;
  draft.put({
    kind: "end", key: `end:${event.turnId ?? event.seq}`, stopReason: event.stopReason, durationMs: event.durationMs,
    ...given(event, ["turnId", "usage"]), ts: event.ts,
  });
}

function error(draft: Draft, event: ErrorEvent): void {
  draft.put({
    kind: "error", key: `error:${event.seq}`, error: event.error, code: event.code, fatal: event.fatal,
    ...given(event, ["turnId"]), ts: event.ts,
  });
}

const STAMPS = new Set(["type", "sessionId", "seq", "from", "ts", "turnId", "cause", "refs"]);

type Handlers = { [E in ServerEvent as E["type"]]: (draft: Draft, event: E) => void };

const handlers: Handlers = {
  session_created(draft, event) {
    Object.assign(draft.now, given(event, ["agent", "workspace", "createdBy"]));
    if (!isTold(draft, event)) {
      draft.now.title = event.title || null;
    }
  },
  session_closed(draft, event) {
    draft.put({ kind: "closed", key: "closed", by: event.by, ts: event.ts });
  },
  status(draft, event) {
    if (!isTold(draft, event)) {
      draft.now.phase = event.phase;
      draft.now.detail = event.detail ?? null;
    } else {
      draft.now.detail = event.phase === draft.now.phase ? (event.detail ?? null) : null;
    }
  },
  title(draft, event) {
    if (!isTold(draft, event)) {
      draft.now.title = event.title || null;
    }
  },
  policy(draft, event) {
    if (!isTold(draft, event)) {
      draft.now.policy = event.policy;
    }
    if (event.policy === draft.now.policy) {
      draft.now.policyBy = event.by;
    }
  },
  plan(draft, event) {
    draft.now.plan = { entries: event.entries, ...given(event, ["turnId"]) };
  },
  usage(draft, event) {
    draft.now.usage = Object.fromEntries(Object.entries(event).filter(([name]) => !STAMPS.has(name)));
  },
  commands(draft, event) {
    draft.now.commands = event.commands;
  },
  mode(draft, event) {
    draft.now.mode = { currentModeId: event.currentModeId, availableModes: event.availableModes };
  },
  config_options(draft, event) {
    draft.now.configOptions = event.options;
  },
  prompt_capabilities(draft, event) {
    if (!isTold(draft, event)) {
      const { image, audio, embeddedContext } = event;
      draft.now.promptCapabilities = { image, audio, embeddedContext };
    }
  },
  user_message: userMessage,
  turn_started(draft, event) {
    const { turnId = "", messageId, by, ts } = event;
    draft.now.turn = { turnId, messageId, by, ts, ...given(event, ["model"]) };
  },
  complete,
  text_delta: (draft, event) => textDelta("text", draft, event),
  text_complete: (draft, event) => textComplete("text", draft, event),
  thought_delta: (draft, event) => textDelta("thought", draft, event),
  thought_complete: (draft, event) => textComplete("thought", draft, event),
  tool_start: toolStart,
  tool_update: toolUpdate,
  tool_output: toolOutput,
  tool_result: toolResult,
  permission_request: permissionRequest,
  permission_resolved: (draft, event) =>
    permissionEnd(draft, event, { state: "resolved", ...given(event, ["outcome", "optionId", "alwaysAllow", "by", "message", "ruleId"]) }),
  permission_timeout: (draft, event) => permissionEnd(draft, event, { state: "timeout" }),
  permission_cancelled: (draft, event) => permissionEnd(draft, event, { state: "cancelled", reason: event.reason }),
  error,
  agent_update(draft, event) {
    draft.put({ kind: "update", key: `update:${event.seq}`, update: event.update, ...given(event, ["turnId", "refs"]), ts: event.ts });
  },
};
