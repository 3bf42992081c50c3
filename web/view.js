// The page around the conversation: sessions, header, composer, connection, sign-in. It draws what
// it is given and hands every wish of the person to `actions`; it decides nothing itself.

import { Conversation } from "./conversation.js";
import { ago, clock, count, h, keyed, person, setText, short } from "./dom.js";
import { Permissions } from "./permissions.js";
import { Rules } from "./rules.js";
import { Settings } from "./settings.js";
import { sessionName } from "./state.js";

const PHASES = {
  starting: "starting", idle: "ready", running: "running", waiting: "waits for you",
  stopped: "asleep", failed: "failed", closed: "closed",
};
const REFUSALS = {
  3501: "you may not do this", 3502: "too many connections or requests",
  3503: "this page does not fit the server, reload it",
  3504: "a newer connection has taken this one's place",
};
const $ = (id) => document.getElementById(id);

function show(node, visible) {
  node.hidden = !visible;
}

export class View {
  constructor(actions) {
    this.actions = actions;
    this.listed = new Map();
    this.queued = new Map();
    this.conversation = new Conversation($("scroller"), $("conversation"), $("jump"));
    this.permissions = new Permissions($("permissions"), (text) => this.announce(text), actions);
    this.rules = new Rules($("rules"), $("rule-list"), $("rules-note"), actions);
    this.settings = new Settings($("agent-settings"), actions);
    $("show-rules").addEventListener("click", () => this.rules.show());
    $("policy").addEventListener("change", () => actions.setPolicy($("policy").value));
    $("reconnect").addEventListener("click", actions.reconnect);
    $("sign-out").addEventListener("click", actions.signOut);
    $("older-sessions").addEventListener("click", actions.olderSessions);
    $("close-session").addEventListener("click", actions.closeSession);
    $("cancel").addEventListener("click", actions.cancel);
    $("agent").addEventListener("change", () => this.#agentNote());
    $("prompt").addEventListener("input", () => this.#fitPrompt());
    $("prompt").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        $("composer").requestSubmit();
      }
    });
    this.#onSubmit("composer", () => actions.prompt($("prompt").value));
    this.#onSubmit("login-form", () => actions.signIn($("token").value));
    this.#onSubmit("create-form", () => actions.create({
      agent: $("agent").value,
      workspace: $("workspace").value.trim(),
      title: $("title").value.trim() || undefined,
    }));
  }

  #onSubmit(id, action) {
    $(id).addEventListener("submit", (event) => {
      event.preventDefault();
      action();
    });
  }

  announce(text) {
    setText($("announce"), text);
  }

  // ---- where one is ----

  route(route) {
    $("app").dataset.route = route.name;
    if (route.name === "new") {
      $("agent").focus();
    }
  }

  title(waiting, name) {
    document.title = `${waiting ? `(${waiting}) ` : ""}${name ? `${name} · ` : ""}Signalbox`;
    setText($("back-count"), waiting ? String(waiting) : "");
  }

  connection(state, { server, lagging, now }) {
    const login = state.name === "login";
    show($("login"), login);
    $("app").classList.toggle("signed-out", login);
    if (login && document.activeElement !== $("token")) {
      $("token").focus();
    }
    const shown = state.name === "live" && lagging ? "lagging" : state.name;
    $("connection").dataset.state = shown;
    setText($("connection-text"), this.#connectionWords(shown, state, now));
    show($("reconnect"), state.name === "offline" || state.name === "refused");
    const user = server?.user;
    show($("whoami"), Boolean(user) && person(user) !== "local" && !login);
    setText($("user-name"), person(user));
    // On a phone the indicator is a page away from the conversation: say there what is wrong.
    const trouble = state.name === "offline" || state.name === "refused";
    this.banner("connection", trouble ? $("connection-text").textContent : "");
  }

  #connectionWords(shown, state, now) {
    switch (shown) {
      case "live":
        return "Live";
      case "lagging":
        return "Catching up…";
      case "connecting":
        return "Connecting…";
      case "offline": {
        const seconds = Math.max(0, Math.ceil((state.retryAt - now) / 1000));
        return `Offline since ${clock(state.since)}, next try in ${seconds} s`;
      }
      case "refused":
        return `Not connected: ${REFUSALS[state.code] || state.reason || `code ${state.code}`}`;
      default:
        return "Signed out";
    }
  }

  // One line above everything, for each thing that can be wrong; the latest is shown first.
  banner(topic, text) {
    this.banners ??= new Map();
    if (text) {
      this.banners.set(topic, text);
    } else {
      this.banners.delete(topic);
    }
    const all = [...this.banners.values()];
    show($("banner"), all.length > 0);
    setText($("banner"), all.join(" · "));
  }

  loginError(text) {
    setText($("login-error"), text);
    $("token").select();
  }

  signedIn() {
    $("token").value = "";
    setText($("login-error"), "");
  }

  // ---- sessions ----

  sessions(sessions, { current, more, now, nameOf, loaded }) {
    const rows = sessions.map((s) => ({ ...s, current: s.sessionId === current }));
    keyed($("session-list"), this.listed, rows, (s) => s.sessionId,
      (s) => h("li", null, h("a", {
        href: `#/s/${encodeURIComponent(s.sessionId)}`,
        dataset: { testid: "session-item", sessionId: s.sessionId },
      }, h("span.lamp", { "aria-hidden": "true" }), h("span.title"), h("span.when.quiet"),
      h("span.about.quiet"))),
      (node, s) => {
        const link = node.firstElementChild;
        const [, title, when, about] = link.children;
        const phase = s.pending > 0 ? "waiting" : s.phase;
        link.dataset.phase = phase;
        if (s.current) {
          link.setAttribute("aria-current", "page");
        } else {
          link.removeAttribute("aria-current");
        }
        setText(title, s.title || nameOf(s.sessionId) || "Untitled session");
        setText(when, ago(s.updatedAt, now));
        const words = s.pending > 0 ? `waits for ${count(s.pending, "answer")}`
          : PHASES[phase] ?? phase;
        setText(about, `${s.agent ?? ""} · ${words}`);
      });
    show($("no-sessions"), loaded && sessions.length === 0);
    show($("older-sessions"), more);
  }

  // ---- creating one ----

  agents({ agents, workspaceRoots }) {
    this.agentList = agents;
    const before = $("agent").value;
    $("agent").replaceChildren(...agents.map((a) => h("option", { value: a.name },
      (a.title || a.name) + (a.available ? "" : " (not available)"))));
    const wanted = agents.find((a) => a.name === before) ?? agents.find((a) => a.available)
      ?? agents[0];
    $("agent").value = wanted?.name ?? "";
    $("roots").replaceChildren(...workspaceRoots.map((root) => h("option", { value: root })));
    if ($("workspace").value === "" && workspaceRoots.length > 0) {
      $("workspace").value = workspaceRoots[0];
    }
    this.#agentNote();
  }

  #agentNote() {
    const agent = this.agentList?.find((a) => a.name === $("agent").value);
    const words = [];
    if (!agent) {
      words.push("The server has no agents configured.");
    } else if (!agent.available) {
      words.push(agent.reason ? `Not available: ${agent.reason}. `
        : "Not available on the server. ");
      if (agent.install) {
        words.push("Install it there with ", h("code", null, agent.install));
      }
    } else if (agent.state === "open") {
      words.push(`It failed again and again and is not started before ${new Date(agent.until).toLocaleTimeString()}`,
        agent.lastError ? `: ${agent.lastError.message}` : ".");
    }
    $("agent-note").replaceChildren(...words);
    $("create-button").disabled = !agent?.available;
  }

  creating(busy, error = "") {
    $("create-button").disabled = busy;
    setText($("create-error"), error);
    if (!busy) {
      this.#agentNote();
    }
    if (!busy && !error) {
      $("title").value = "";
    }
  }

  // ---- one session ----

  session(entry, me) {
    const { state } = entry;
    setText($("session-error"), entry.error ? entry.error.message || entry.error.code : "");
    show($("session-error"), Boolean(entry.error));
    if (!entry.ready && this.conversation.sessionId === state.sessionId && !entry.error) {
      return; // what is shown stays until everything is there again
    }
    const name = sessionName(state);
    const nameless = entry.ready ? "New session" : entry.error ? "Session" : "Loading…";
    setText($("session-title"), name || nameless);
    $("policy").value = state.policy ?? "ask";
    $("policy").dataset.policy = state.policy ?? "ask";
    $("policy").disabled = state.phase === "closed" || !entry.ready;
    this.settings.render(state, $("policy").disabled);
    setText($("session-facts"),
      [state.agent, state.workspace, usageWords(state.usage)].filter(Boolean).join(" · "));
    const phase = state.pending.length > 0 ? "waiting" : state.phase;
    $("session-phase").dataset.phase = phase;
    setText($("session-phase"), PHASES[phase] ?? phase);
    $("session-phase").title = state.detail ?? "";
    show($("close-session"), state.phase !== "closed");

    this.conversation.render(state.sessionId, state, me);
    const waiting = state.items.filter((i) => i.kind === "permission" && i.state === "pending");
    if (this.permissions.render(waiting)) {
      this.focusPrompt();
    }
    this.#plan(state);
    this.#queue(state, me);
    this.#composer(state);
  }

  #composer(state) {
    const closed = state.phase === "closed";
    const busy = state.turn !== null || ["running", "waiting"].includes(state.phase);
    $("prompt").disabled = closed;
    $("send").disabled = closed;
    show($("cancel"), busy);
    setText($("send"), busy ? "Queue" : "Send");
    $("prompt").placeholder = closed ? "This session is closed."
      : busy ? "Ask next…" : "Ask the agent…";
    const detail = ["failed", "stopped", "starting", "running"].includes(state.phase) && state.detail;
    setText($("session-note"), this.note || detail || "");
  }

  setNote(text) {
    this.note = text;
    setText($("session-note"), text);
  }

  cancelling(busy) {
    $("cancel").disabled = busy;
    setText($("cancel"), busy ? "Cancelling…" : "Cancel");
  }

  #plan(state) {
    const done = state.plan.filter((e) => e.status === "completed").length;
    show($("plan"), state.plan.length > 0 && state.turn !== null);
    if (state.plan === this.drawnPlan) {
      return;
    }
    this.drawnPlan = state.plan;
    const current = state.plan.find((e) => e.status === "in_progress");
    setText($("plan").firstElementChild,
      `Plan: ${done} of ${state.plan.length} done${current ? ` · ${current.content}` : ""}`);
    $("plan").lastElementChild.replaceChildren(...state.plan.map((e) =>
      h("li", { dataset: { status: e.status } }, e.content)));
  }

  #queue(state, me) {
    const paused = state.turn === null && ["idle", "stopped", "failed"].includes(state.phase);
    const rows = [...state.queue];
    if (rows.length > 0 && paused) {
      rows.push({ messageId: "", resume: true });
    }
    keyed($("queue"), this.queued, rows, (m) => m.messageId,
      (m) => (m.resume
        ? h("li", null, h("span", null, "The queue is paused."), h("button.plain", {
          type: "button", onclick: () => this.actions.resumeQueue(),
        }, "Resume"))
        : h("li", { dataset: { testid: "queued-prompt" } }, h("span"), h("button.plain", {
          type: "button", onclick: () => this.actions.withdraw(m.messageId),
        }, "Withdraw"))),
      (node, m) => {
        if (!m.resume) {
          const who = m.cause?.clientId === me.clientId ? "" : `${person(m.by)}: `;
          setText(node.firstElementChild, `Next: ${who}${m.text}`);
        }
      });
  }

  // ---- the prompt ----

  get draft() {
    return $("prompt").value;
  }

  set draft(text) {
    $("prompt").value = text;
    this.#fitPrompt();
  }

  focusPrompt() {
    // On a phone the keyboard would cover what one came to read.
    if (matchMedia("(pointer: fine)").matches) {
      $("prompt").focus();
    }
  }

  #fitPrompt() {
    const prompt = $("prompt");
    prompt.style.height = "auto";
    prompt.style.height = `${Math.min(prompt.scrollHeight + 2, innerHeight * 0.4)}px`;
  }
}

function usageWords(usage) {
  const words = [];
  if (Number.isFinite(usage?.used) && Number.isFinite(usage?.size)) {
    words.push(`${short(usage.used)} of ${short(usage.size)} tokens`);
  }
  const cost = usage?.cost;
  if (Number.isFinite(cost?.amount)) {
    words.push(`${cost.amount.toFixed(2)} ${cost.currency ?? ""}`.trim());
  }
  return words.join(", ");
}
