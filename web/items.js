// One node for each item of a conversation. Items are never changed, only replaced by new ones,
// so an update compares with what was drawn before and touches the rest of the node only.

import { clock, count, duration, h, person, setText, short } from "./dom.js";
import { commandOf, fences, lineDiff, terminalText } from "./text.js";

const MOST_OUTPUT = 200_000; // characters of a tool's output that are drawn

const STATUS = {
  pending: "waiting", in_progress: "running", completed: "done", failed: "failed",
  cancelled: "cancelled",
};
const GLYPHS = {
  execute: "$", read: "≡", edit: "✎", delete: "✕", move: "→", search: "⌕", fetch: "↓", think: "…",
};
const STOPPED = {
  end_turn: "Done", max_tokens: "Stopped: out of tokens", cancelled: "Cancelled",
  max_turn_requests: "Stopped: too many requests in one turn",
  refusal: "The agent refused. This prompt will not be part of what it remembers.",
  agent_exited: "The agent ended", server_restarted: "The server was restarted",
  error: "Ended by an error",
};
const CANCELLED = {
  turn_cancelled: "the turn was cancelled", turn_ended: "the turn ended",
  withdrawn_by_agent: "the agent took it back", session_closed: "the session was closed",
  agent_exited: "the agent ended", server_stopped: "the server was stopped",
  server_restarted: "the server was restarted",
};

// me: {clientId, sessionId}
export function createItem(item, me) {
  return makers[item.kind](item, me);
}

export function updateItem(node, item, before, me) {
  updaters[item.kind]?.(node, item, before, me);
}

const makers = {
  user: () => h("article.user", { dataset: { testid: "user-message" } },
    h("header.quiet"), h("div.text"), h("p.attached.quiet")),
  text: () => h("article.said", null, h("div.text", { dataset: { testid: "text-message" } })),
  thought: () => h("details.thought", { dataset: { testid: "thought" } },
    h("summary", null, "Thinking…"), h("div.text")),
  tool: makeTool,
  permission: () => h("div.record", { dataset: { testid: "permission-card" } },
    h("span.verdict"), h("code")),
  end: () => h("div.end", { dataset: { testid: "turn-end" } }, h("span")),
  error: (item) => h("div.failure", { role: "alert", dataset: { testid: "error-message" } },
    h("strong", null, item.fatal ? "Error, the agent cannot go on" : "Error"),
    h("div.text", null, item.error), item.code ? h("code", null, item.code) : null),
  closed: (item) => h("div.end", null,
    h("span", null, `Closed${person(item.by) ? ` by ${person(item.by)}` : ""}`)),
};

const updaters = {
  user(node, item, before, me) {
    const [head, text, attached] = node.children;
    const mine = item.cause?.clientId === me.clientId;
    const who = mine ? "You" : person(item.by) || "Somebody";
    setText(head,
      `${item.status === "withdrawn" ? "taken back · " : ""}${who} · ${clock(item.ts)}`);
    node.classList.toggle("withdrawn", item.status === "withdrawn");
    setText(text, item.text);
    const blocks = (item.content ?? []).filter((b) => b.type !== "text");
    setText(attached, blocks.map((b) => b.name ?? b.resource?.uri ?? b.type).join(", "));
    drawRefs(node, item, before, me);
  },
  text(node, item, before, me) {
    drawText(node.firstElementChild, item.text);
    drawRefs(node, item, before, me);
  },
  thought(node, item) {
    setText(node.firstElementChild, item.done ? "Thought" : "Thinking…");
    drawText(node.lastElementChild, item.text);
  },
  tool: updateTool,
  permission(node, item, before, me) {
    node.dataset.state = item.state;
    node.classList.toggle("allowed", item.state === "resolved" && item.outcome === "allowed");
    setText(node.firstElementChild, verdict(item, me));
    setText(node.lastElementChild, item.request.command || item.request.toolName || "");
  },
  end(node, item) {
    const words = [STOPPED[item.stopReason] ?? item.stopReason];
    if (Number.isFinite(item.durationMs)) {
      words.push(duration(item.durationMs));
    }
    if (Number.isFinite(item.usage?.totalTokens)) {
      words.push(`${short(item.usage.totalTokens)} tokens`);
    }
    node.dataset.stopReason = item.stopReason;
    setText(node.firstElementChild, words.join(" · "));
  },
};

export function verdict(item, me) {
  if (item.state === "timeout") {
    return "Not answered in time";
  }
  if (item.state === "cancelled") {
    return `Not asked any more: ${CANCELLED[item.reason] ?? item.reason ?? "cancelled"}`;
  }
  const option = item.request.acpOptions?.find((o) => o.optionId === item.optionId);
  const words = [item.outcome === "allowed" ? "Allowed" : "Rejected"];
  if (option?.name) {
    words.push(`“${option.name}”`);
  }
  if (item.by?.rule) {
    words.push("by a rule");
  } else if (item.by?.policy === "operator") {
    words.push("by this server's operator");
  } else if (item.by?.policy) {
    words.push(`by the session's policy “${item.by.policy}”`);
  } else if (item.cause?.clientId === me.clientId) {
    words.push("by you");
  } else if (person(item.by)) {
    words.push(`by ${person(item.by)}`);
  }
  return words.join(" · ") + (item.message ? `: ${item.message}` : "");
}

// ---- text ----

// Only what changed is written: what a reader has selected further up stays selected.
function drawText(node, text) {
  const parts = fences(text);
  parts.forEach((part, i) => {
    let child = node.children[i];
    const tag = part.code ? "PRE" : "P";
    if (!child || child.tagName !== tag) {
      const fresh = part.code ? h("pre", { tabIndex: 0 }, h("code")) : h("p");
      if (child) {
        child.replaceWith(fresh);
      } else {
        node.append(fresh);
      }
      child = fresh;
    }
    setText(part.code ? child.firstElementChild : child, part.text);
  });
  while (node.children.length > parts.length) {
    node.lastElementChild.remove();
  }
}

// What was too large for an event is fetched whole when somebody asks for it, once for each content:
// the same output stands in several events.
function drawRefs(node, item, before, me) {
  if (item.refs === before?.refs) {
    return;
  }
  node.querySelector(":scope > .refs")?.remove();
  const parts = cutParts(item.refs, me.sessionId);
  if (parts) {
    node.append(parts);
  }
}

export function cutParts(refs, sessionId) {
  const once = [...new Map((refs ?? []).map((ref) => [ref.blob, ref])).values()];
  return once.length === 0 ? null
    : h("div.refs", { dataset: { testid: "refs" } }, ...once.map((ref) => cutPart(ref, sessionId)));
}

const MOST_FETCHED = 4_000_000; // bytes that are shown here; of what is longer, the beginning

function cutPart(ref, sessionId) {
  const path = `/v1/sessions/${encodeURIComponent(sessionId)}/blobs/${encodeURIComponent(ref.blob)}`;
  const where = (ref.path ?? "").slice(1).replaceAll("/", " › ") || "content";
  const button = h("button.quiet", { type: "button" }, `Show all of ${where} (${size(ref.bytes)})`);
  const save = h("a.quiet", { href: path, download: "" }, "Save");
  const whole = h("pre.whole", { tabIndex: 0, hidden: true, dataset: { testid: "whole" } });
  button.addEventListener("click", async () => {
    if (!whole.hidden) {
      whole.hidden = true;
      setText(button, `Show all of ${where} (${size(ref.bytes)})`);
      return;
    }
    button.disabled = true;
    setText(whole, whole.textContent || await fetched(path, ref.bytes));
    button.disabled = false;
    whole.hidden = false;
    setText(button, `Hide ${where}`);
  });
  return h("div", null, button, save, whole);
}

async function fetched(path, bytes) {
  try {
    const headers = bytes > MOST_FETCHED ? { Range: `bytes=0-${MOST_FETCHED - 1}` } : {};
    const answer = await fetch(path, { headers });
    if (!answer.ok) {
      throw new Error(`HTTP ${answer.status}`);
    }
    const text = terminalText(await answer.text());
    return bytes > MOST_FETCHED ? `${text}\n… (save it to see all of it)` : text;
  } catch (error) {
    return `It cannot be read: ${error.message}`;
  }
}

function size(bytes) {
  const units = ["bytes", "KB", "MB"];
  const step = bytes < 1000 ? 0 : bytes < 999_950 ? 1 : 2;
  return step ? `${(bytes / 1000 ** step).toFixed(1)} ${units[step]}` : count(bytes, "byte");
}

// ---- tools ----

function makeTool() {
  return h("article.tool", { dataset: { testid: "tool-card" } },
    h("details", { open: true },
      h("summary", null,
        h("span.glyph", { "aria-hidden": "true" }), h("span.name"), h("code.what"),
        h("span.status")),
      h("p.intent.quiet"),
      h("pre.command", { tabIndex: 0 }),
      h("details.input", null, h("summary", null, "Input"), h("pre", { tabIndex: 0 })),
      h("pre.output", { tabIndex: 0, dataset: { testid: "tool-output" } }),
      h("div.blocks"),
      h("pre.result", { tabIndex: 0, dataset: { testid: "tool-result" } })));
}

function fill(node, text) {
  node.hidden = text === "";
  if (!node.hidden) {
    const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 30;
    setText(node, text);
    if (atEnd) {
      node.scrollTop = node.scrollHeight;
    }
  }
}

function updateTool(node, item, before, me) {
  const part = (selector) => node.querySelector(`:scope > details > ${selector}`);
  const summary = part("summary");
  const [glyph, name, what, status] = summary.children;
  node.dataset.status = item.status;
  node.classList.toggle("nested", Boolean(item.parentToolUseId));
  setText(glyph, GLYPHS[item.toolKind] ?? "•");
  setText(status, STATUS[item.status] ?? item.status);

  const command = commandOf(item.toolInput);
  const title = item.toolDisplayName || item.title || item.toolName || "Tool";
  const same = title.replaceAll("`", "").trim() === command.trim();
  setText(name, same ? item.toolName || title : title);
  setText(what, command.split("\n", 1)[0] || (item.locations ?? []).map((l) => l.path).join(" "));
  fill(part(".intent"), item.toolIntent ?? "");
  fill(part(".command"), command.length > 70 || command.includes("\n") ? command : "");
  if (item.toolInput !== before?.toolInput) {
    const more = Object.entries(item.toolInput ?? {}).some(([, v]) => v !== command);
    part(".input").hidden = !more;
    setText(part(".input").lastElementChild, more ? JSON.stringify(item.toolInput, null, 2) : "");
  }

  const result = item.result ?? "";
  if (item.output !== before?.output || result !== before?.result || !before) {
    const output = item.output || result;
    fill(part(".output"), drawable(output));
    fill(part(".result"), output.includes(result.trim()) ? "" : drawable(result));
  }
  if (item.content !== before?.content || item.done !== before?.done) {
    const shown = [item.output, result];
    const blocks = item.content.map((b) => drawBlock(b, shown));
    part(".blocks").replaceChildren(...blocks.filter(Boolean));
  }
  drawRefs(node, item, before, me);
}

function drawable(text) {
  const clean = terminalText(text.length > MOST_OUTPUT ? text.slice(-MOST_OUTPUT) : text);
  return text.length > MOST_OUTPUT ? `… (the beginning is not shown)\n${clean}` : clean;
}

// A text|diff|terminal block, plain or in the wrapping that agents put around content.
function drawBlock(block, shown) {
  const content = block.type === "content" ? block.content ?? {} : block;
  if (content.type === "diff") {
    return drawDiff(content);
  }
  const text = content.text ?? content.output ?? "";
  if (text === "") {
    const other = content.type === "terminal" ? null : content.uri ?? content.name ?? content.type;
    return other ? h("p.quiet", null, String(other)) : null;
  }
  return shown.some((s) => s?.includes(text.trim())) ? null
    : h("pre", { tabIndex: 0 }, drawable(text));
}

function drawDiff(diff) {
  const rows = lineDiff(diff.oldText ?? "", diff.newText ?? "");
  const kinds = { "+": "ins", "-": "del" };
  return h("figure.diff", { dataset: { testid: "diff" } },
    h("figcaption", null, diff.oldText === null || diff.oldText === undefined
      ? `${diff.path} (new)` : diff.path ?? ""),
    h("pre", { tabIndex: 0 }, ...rows.map((row) =>
      h(kinds[row.sign] ?? "span", null, `${row.sign} ${row.text}\n`))));
}
