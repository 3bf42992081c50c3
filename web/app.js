// The page: what comes over the connection goes to the view, what the person does goes back.

import { Client } from "./protocol.js";
import { sessionName } from "./state.js";
import { View } from "./view.js";

const sessions = new Map(); // of the list: sessionId → its latest state
const drafts = new Map();
const dirty = new Set(); // what the next frame draws: "list", "session", "connection"
let listLoaded = false;
let nextPage = null;
let route = { name: "none" };

const client = new Client({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
  signedIn,
  on: { state: connectionChanged, session: sessionTouched, message: received },
});

const view = new View({
  now: () => client.now(),
  reconnect: () => (client.state.name === "refused" ? client.restart() : client.wake()),
  signIn,
  signOut,
  olderSessions,
  create,
  prompt,
  cancel,
  answer: (requestId, fields) =>
    client.send("permission_response", { requestId, sessionId: route.sessionId, ...fields }),
  setOption,
  setPolicy,
  rules,
  revoke: (ruleId) => call("DELETE", `/v1/rules/${encodeURIComponent(ruleId)}`),
  withdraw: (messageId) => wish("withdraw", { messageId }),
  resumeQueue: () => wish("resume_queue"),
  closeSession() {
    if (confirm("Close this session? Its agent is ended; what was said stays readable.")) {
      wish("close_session");
    }
  },
});

// ---- drawing ----

function draw(what) {
  if (dirty.size === 0) {
    // A page in the background gets no frames, but its title should still count.
    if (document.hidden) {
      setTimeout(drawNow, 200);
    } else {
      requestAnimationFrame(drawNow);
    }
  }
  dirty.add(what);
}

function drawNow() {
  const what = new Set(dirty);
  dirty.clear();
  const entry = client.session(route.sessionId);
  if (what.has("list")) {
    drawList();
  }
  if (what.has("session") && entry) {
    view.session(entry, { clientId: client.clientId });
    if (entry.state.turn === null) {
      view.cancelling(false);
    }
  }
  view.connection(client.state, {
    server: client.server, lagging: entry?.lagging, now: Date.now(),
  });
  view.title([...sessions.values()].filter((s) => s.pending > 0).length,
    entry ? nameOf(route.sessionId) : "");
}

function nameOf(sessionId) {
  const entry = client.session(sessionId);
  return sessions.get(sessionId)?.title || (entry ? sessionName(entry.state) : "");
}

// Those that wait come first. By the minute, so that two busy sessions do not change places at
// every word; the id decides the rest.
function drawList() {
  const minute = (s) => Math.floor((s.updatedAt ?? 0) / 60_000);
  const sorted = [...sessions.values()].sort((a, b) =>
    (b.pending > 0) - (a.pending > 0)
    || (a.pending > 0 ? (a.oldestPendingAt ?? 0) - (b.oldestPendingAt ?? 0) : 0)
    || (a.phase === "closed") - (b.phase === "closed")
    || minute(b) - minute(a)
    || (a.sessionId < b.sessionId ? -1 : 1));
  view.sessions(sorted, {
    current: route.sessionId, more: nextPage !== null, now: client.now(), nameOf,
    loaded: listLoaded,
  });
}

// ---- from the server ----

function connectionChanged() {
  if (client.state.name === "live") {
    loadAgents();
  }
  draw("connection");
}

function sessionTouched(sessionId) {
  if (sessionId === route.sessionId) {
    draw("session");
  }
}

function received(message) {
  switch (message.type) {
    case "sessions":
      sessions.clear();
      message.items.forEach((s) => sessions.set(s.sessionId, s));
      nextPage = message.next ?? null;
      listLoaded = true;
      draw("list");
      break;
    case "session_changed":
      sessions.set(message.sessionId, message);
      draw("list");
      break;
    case "session_removed":
      sessions.delete(message.sessionId);
      draw("list");
      break;
    case "config_changed":
      loadAgents();
      break;
    case "store":
      view.banner("store", message.ok ? ""
        : `The server cannot record anything now${message.reason ? `: ${message.reason}` : ""}.`);
      break;
    case "shutting_down":
      view.banner("stopping", "The server is stopping.");
      break;
    case "connected":
      view.banner("stopping", "");
      view.banner("store", "");
      break;
    default:
  }
}

// ---- over HTTP ----

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    const words = answer.detail || answer.title || answer.message;
    throw Object.assign(new Error(words || `The server answered ${response.status}.`),
      { status: response.status });
  }
  return answer;
}

// A browser does not tell why a WebSocket was refused; a request does. null: nobody knows.
async function signedIn() {
  try {
    const response = await fetch("/v1/agents", { cache: "no-store" });
    return response.status === 401 ? false : response.ok ? true : null;
  } catch {
    return null;
  }
}

async function loadAgents() {
  try {
    const { agents = [], workspaceRoots = [] } = await call("GET", "/v1/agents");
    const known = agents.map((a) => ({
      ...a, available: a.available ?? true,
    }));
    view.agents({ agents: known, workspaceRoots });
    view.banner("agents", "");
  } catch (error) {
    view.banner("agents", `The agents could not be read: ${error.message}`);
  }
}

async function olderSessions() {
  try {
    const page = await call("GET", `/v1/sessions?after=${encodeURIComponent(nextPage)}`);
    (page.items ?? page.sessions ?? []).forEach((s) => {
      if (!sessions.has(s.sessionId)) {
        sessions.set(s.sessionId, s);
      }
    });
    nextPage = page.next ?? null;
    draw("list");
  } catch (error) {
    view.banner("list", `Older sessions could not be read: ${error.message}`);
  }
}

async function signIn(token) {
  try {
    await call("POST", "/v1/login", { token });
    view.signedIn();
    client.restart();
  } catch (error) {
    view.loginError(error.status === 401 ? "This token is not known." : error.message);
  }
}

async function signOut() {
  await call("POST", "/v1/logout").catch(() => {});
  location.reload(); // nothing of the session's content stays in the page
}

// ---- what the person does ----

async function wish(type, fields = {}) {
  const { sessionId } = route;
  try {
    return await client.send(type, { sessionId, ...fields });
  } catch (refusal) {
    if (route.sessionId === sessionId) {
      view.setNote(refusal.message);
    }
    return null;
  }
}

async function setPolicy(policy) {
  if (await wish("set_policy", { policy })) {
    view.setNote("");
  } else {
    draw("session"); // what is shown is what holds
  }
}

async function setOption(id, value) {
  const done = id === null
    ? await wish("set_mode", { modeId: value })
    : await wish("set_config_option", { configId: id, value });
  if (done) {
    view.setNote("");
  } else {
    view.settings.reset();
    draw("session");
  }
}

// All of them: there are as many as people have made.
async function rules() {
  const all = [];
  let next = "";
  do {
    const page = await call("GET", `/v1/rules${next && `?after=${encodeURIComponent(next)}`}`);
    all.push(...page.items);
    next = page.next ?? "";
  } while (next);
  return all;
}

async function create(fields) {
  view.creating(true);
  try {
    const { sessionId } = await client.send("create_session", fields);
    view.creating(false);
    location.hash = `#/s/${encodeURIComponent(sessionId)}`;
  } catch (refusal) {
    view.creating(false, refusal.message);
  }
}

async function prompt(text) {
  const { sessionId } = route;
  if (text.trim() === "") {
    return;
  }
  view.draft = "";
  view.setNote(client.state.name === "live" ? "" : "Will be sent when the connection is back.");
  view.conversation.follow();
  try {
    await client.send("prompt", { sessionId, text });
    if (route.sessionId === sessionId) {
      view.setNote("");
    }
  } catch (refusal) {
    giveBack(sessionId, text);
    if (route.sessionId === sessionId) {
      view.setNote(refusal.message);
    }
  }
}

// What could not be sent, or was taken out of the queue, is not lost to the one who wrote it.
function giveBack(sessionId, text) {
  if (route.sessionId !== sessionId) {
    drafts.set(sessionId, [drafts.get(sessionId), text].filter(Boolean).join("\n"));
  } else {
    view.draft = [text, view.draft].filter(Boolean).join("\n");
  }
}

async function cancel() {
  const { sessionId } = route;
  view.cancelling(true);
  const answer = await wish("cancel");
  if (!answer) {
    view.cancelling(false);
  } else if (answer.withdrawn?.length) {
    giveBack(sessionId, answer.withdrawn.join("\n"));
  }
}

// ---- where one is: #/, #/new, #/s/ID ----

function go() {
  const match = /^#\/s\/([^/]+)$/.exec(location.hash);
  let next = { name: location.hash === "#/new" ? "new" : "list" };
  if (match) {
    try {
      next = { name: "session", sessionId: decodeURIComponent(match[1]) };
    } catch {
      location.replace("#/"); // an address that somebody cut or typed
      return;
    }
  }
  if (route.sessionId && route.sessionId !== next.sessionId) {
    drafts.set(route.sessionId, view.draft);
    client.leaveSession(route.sessionId);
  }
  route = next;
  view.route(route);
  if (route.sessionId) {
    view.draft = drafts.get(route.sessionId) ?? "";
    view.setNote("");
    view.cancelling(false);
    client.openSession(route.sessionId);
    view.focusPrompt();
    draw("session");
  }
  draw("list");
}

addEventListener("hashchange", go);
addEventListener("online", () => client.wake());
addEventListener("pageshow", (event) => event.persisted && client.wake());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) {
    client.wake();
  } else if (dirty.size > 0) {
    drawNow(); // the frame that was asked for may not come before one is back
  }
});
setInterval(() => client.state.name === "offline" && draw("connection"), 1_000);
setInterval(() => draw("list"), 60_000); // "5 min" grows old

go();
client.connect();
