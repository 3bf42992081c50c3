// What a session looks like, made from its events alone: no clock, no network, no page. `reduce`
// leaves the state it is given as it was and returns the next one (the same object when nothing
// changed), so it runs in Node as well, and a view finds what changed by comparing references.
//
// Items only ever get appended or replaced in place, never moved or removed: what waits in the
// queue is kept apart until it is taken up, and takes its place in the conversation only then.

export function emptySession(sessionId, epoch = null) {
  return {
    sessionId,
    epoch,
    seq: 0, // the last number that is part of this state
    hole: null, // set when events are missing: {expected, got}; only a new state helps then
    phase: "idle",
    detail: null,
    agent: null,
    workspace: null,
    createdBy: null,
    title: null,
    policy: null,
    items: [],
    index: new Map(), // item key → place; shared by all versions of a state, so checked on use
    queue: [],
    pending: [], // requestIds that wait for an answer, oldest first
    turn: null,
    plan: [],
    usage: null,
    commands: [],
    mode: null,
    configOptions: null,
  };
}

// The answer to a subscribe. `fresh` says that it was asked for without a position.
export function subscribed(state, message, fresh) {
  const base = fresh || message.mode === "reset" ? emptySession(state.sessionId) : state;
  return {
    ...base,
    epoch: message.epoch,
    phase: message.phase ?? base.phase,
    agent: message.agent ?? base.agent,
    title: message.title ?? base.title,
    policy: message.policy ?? base.policy,
  };
}

export function reduce(state, event) {
  if (state.hole || event.seq <= state.seq) {
    return state;
  }
  const from = event.from ?? event.seq;
  if (from > state.seq + 1) {
    return { ...state, hole: { expected: state.seq + 1, got: from } };
  }
  const handler = Object.hasOwn(handlers, event.type) ? handlers[event.type] : null;
  const next = handler ? handler(state, event) : state;
  return next.hole ? next : { ...next, seq: event.seq };
}

export function item(state, key) {
  const place = find(state, key);
  return place < 0 ? undefined : state.items[place];
}

// What a person calls the session when it has no title yet: the first line that was asked of it.
export function sessionName(state) {
  const first = state.title || state.items.find((i) => i.kind === "user")?.text || "";
  const line = first.trim().split("\n", 1)[0];
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

function find(state, key) {
  const place = state.index.get(key);
  if (place === undefined || state.items[place]?.key === key) {
    return place ?? -1;
  }
  return state.items.findIndex((i) => i.key === key);
}

function put(state, key, fields) {
  const items = state.items.slice();
  const place = find(state, key);
  if (place >= 0) {
    items[place] = { ...items[place], ...fields };
  } else {
    state.index.set(key, items.length);
    items.push({ key, ...fields });
  }
  return { ...state, items };
}

// Offsets count UTF-16 units, as JavaScript's strings do. What overlaps replaces what it overlaps,
// so that a delta that comes twice, or folded with others, changes nothing. null: text is missing.
function splice(text, offset, delta) {
  if (offset > text.length) {
    return null;
  }
  return text.slice(0, offset) + delta + text.slice(offset + delta.length);
}

function delta(state, event, key, field, create) {
  const known = item(state, key);
  if (known?.done || (!known && (!create || event.offset > 0))) {
    return state; // already whole, or a block whose beginning this state has not seen
  }
  const text = splice(known?.[field] ?? "", event.offset, event.delta);
  if (text === null) {
    return { ...state, hole: { expected: state.seq + 1, got: event.seq } };
  }
  return put(state, key, known ? { [field]: text } : { ...create, [field]: text });
}

function block(kind, event) {
  return { kind, turnId: event.turnId, ts: event.ts, done: false };
}

function complete(state, event, kind) {
  const key = `${kind}:${event.messageId}`;
  const known = item(state, key);
  return put(state, key, {
    ...(known ? {} : block(kind, event)),
    text: event.text ?? known?.text ?? "",
    done: true,
    intermediate: event.isIntermediate !== false,
    refs: event.refs,
  });
}

function given(event, fields) {
  return Object.fromEntries(fields.filter((f) => event[f] !== undefined).map((f) => [f, event[f]]));
}

// What an event gives anew replaces what was cut of it before; a result has what its output had.
function outdated(ref, event) {
  const field = ref.path?.split("/")[1];
  return event.type === "tool_result" ? field === "delta" || field in event
    : event.type !== "tool_output" && field in event;
}

function tool(state, event, fields) {
  const key = `tool:${event.toolUseId}`;
  const known = item(state, key);
  const start = known ? {} : {
    kind: "tool", toolUseId: event.toolUseId, turnId: event.turnId, ts: event.ts,
    status: "pending", output: "", content: [], done: false,
  };
  const refs = [...(known?.refs ?? []).filter((ref) => !outdated(ref, event)), ...(event.refs ?? [])];
  if (refs.length || known?.refs?.length) {
    fields.refs = refs;
  }
  return put(state, key, { ...start, ...fields });
}

function permission(state, event, fields) {
  const key = `permission:${event.requestId}`;
  const next = item(state, key) ? put(state, key, { ...fields, cause: event.cause }) : state;
  return { ...next, pending: next.pending.filter((id) => id !== event.requestId) };
}

const handlers = {
  session_created: (s, e) => ({
    ...s, agent: e.agent, workspace: e.workspace, createdBy: e.createdBy, title: e.title ?? s.title,
  }),
  session_closed: (s, e) =>
    put({ ...s, phase: "closed" }, "closed", { kind: "closed", by: e.by, ts: e.ts }),
  status: (s, e) => ({ ...s, phase: e.phase, detail: e.detail ?? null }),
  title: (s, e) => ({ ...s, title: e.title }),
  policy: (s, e) => ({ ...s, policy: e.policy }),
  plan: (s, e) => ({ ...s, plan: e.entries ?? [] }),
  usage: (s, e) => ({ ...s, usage: { ...s.usage, ...given(e, ["used", "size", "cost"]) } }),
  commands: (s, e) => ({ ...s, commands: e.commands ?? [] }),
  mode: (s, e) => ({
    ...s, mode: { ...s.mode, ...given(e, ["currentModeId", "availableModes"]) },
  }),
  config_options: (s, e) => ({ ...s, configOptions: e.options }),

  user_message(s, e) {
    const message = {
      messageId: e.messageId, text: e.text ?? "", content: e.content, by: e.by, ts: e.ts,
      status: e.status, position: e.position, cause: e.cause, refs: e.refs,
    };
    const others = s.queue.filter((m) => m.messageId !== e.messageId);
    if (e.status !== "queued") {
      const queue = others.length === s.queue.length ? s.queue : others;
      return put({ ...s, queue }, `user:${e.messageId}`, { kind: "user", ...message });
    }
    const place = s.queue.findIndex((m) => m.messageId === e.messageId);
    const queue = s.queue.slice();
    queue.splice(place < 0 ? queue.length : place, place < 0 ? 0 : 1, message);
    return { ...s, queue };
  },

  turn_started: (s, e) => ({
    ...s,
    plan: [], // the last turn's says nothing about this one
    turn: { turnId: e.turnId, by: e.by, messageId: e.messageId, model: e.model, ts: e.ts },
  }),
  complete: (s, e) => put({ ...s, turn: null }, `end:${e.turnId}`, {
    kind: "end", turnId: e.turnId, ts: e.ts,
    stopReason: e.stopReason, durationMs: e.durationMs, usage: e.usage,
  }),

  text_delta: (s, e) => delta(s, e, `text:${e.messageId}`, "text", block("text", e)),
  text_complete: (s, e) => complete(s, e, "text"),
  thought_delta: (s, e) => delta(s, e, `thought:${e.messageId}`, "text", block("thought", e)),
  thought_complete: (s, e) => complete(s, e, "thought"),

  tool_start: (s, e) => tool(s, e, {
    ...given(e, ["toolName", "toolInput", "toolIntent", "toolDisplayName", "locations",
      "parentToolUseId"]),
    toolKind: e.kind ?? "other",
  }),
  tool_output(s, e) {
    const next = delta(s, e, `tool:${e.toolUseId}`, "output", null);
    return e.refs && next !== s && !next.hole ? tool(next, e, {}) : next;
  },
  tool_update(s, e) {
    const fields = given(e, ["status", "title", "content", "locations", "toolInput"]);
    return tool(s, e, e.kind === undefined ? fields : { ...fields, toolKind: e.kind });
  },
  // Content is left out where it is only the text of the result: it replaces an earlier one too.
  tool_result: (s, e) => tool(s, e, {
    ...given(e, ["toolName"]), result: e.result ?? "", content: e.content ?? [], done: true,
    isError: e.isError === true, status: e.isError ? "failed" : "completed",
  }),

  permission_request(s, e) {
    const key = `permission:${e.request.requestId}`;
    if (item(s, key)) {
      return s;
    }
    const next = put(s, key, {
      kind: "permission", state: "pending", request: e.request, turnId: e.turnId, ts: e.ts,
      refs: e.refs,
    });
    return { ...next, pending: [...s.pending, e.request.requestId] };
  },
  permission_resolved: (s, e) => permission(s, e, {
    state: "resolved", ...given(e, ["outcome", "optionId", "alwaysAllow", "by", "message"]),
  }),
  permission_timeout: (s, e) => permission(s, e, { state: "timeout" }),
  permission_cancelled: (s, e) => permission(s, e, { state: "cancelled", reason: e.reason }),

  error: (s, e) => put(s, `error:${e.seq}`, {
    kind: "error", error: e.error, code: e.code, fatal: e.fatal === true,
    turnId: e.turnId, ts: e.ts,
  }),
};
