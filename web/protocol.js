// The connection to the server: one WebSocket that comes back by itself, commands that are answered
// by promises, and the sessions one has open, whose positions and continuity are kept here.
// Knows no page: what a browser has and Node may not is handed in.

import { emptySession, reduce, subscribed } from "./state.js";

const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
const OPEN_LIMIT = 15_000;
const SETTLED_AFTER = 5_000; // a connection that lived this long was a good one
const QUIET_BEFORE_PROBE = 30_000;
const PROBE_LIMIT = 10_000;
const KEPT_SESSIONS = 8;
const NOT_CONNECTED = { code: "unauthenticated", message: "Not connected: this was not sent." };
const CONTROL = new Set(["subscribed", "replay_complete", "unsubscribed", "lagging", "caught_up"]);

export class Refused extends Error {
  constructor(nack) {
    super(nack.message || nack.code);
    this.code = nack.code;
    this.retryable = nack.retryable === true;
    this.nack = nack;
  }
}

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export class Client {
  // url: of /ws. signedIn(): whether the server would let us in, asked when it refuses a socket
  // without a word. on: {state(), session(sessionId), message(object)}, called after every change.
  constructor({ url, signedIn, on, WebSocketClass = WebSocket }) {
    this.url = url;
    this.signedIn = signedIn;
    this.on = on;
    this.WebSocketClass = WebSocketClass;
    this.clientId = newId();
    this.state = { name: "connecting" };
    this.server = null; // the last `connected`
    this.clockOffset = 0;
    this.sessions = new Map();
    this.commands = new Map();
    this.nextCommand = 1;
    this.attempt = 0;
    this.socket = null;
  }

  now() {
    return Date.now() + this.clockOffset;
  }

  // ---- the socket ----

  connect() {
    this.#drop();
    this.#setState({ name: "connecting", since: this.state.since });
    const socket = new this.WebSocketClass(`${this.url}?client=${this.clientId}`, "signalbox.v1");
    this.socket = socket;
    let opened = false;
    this.openTimer = setTimeout(() => {
      this.#drop();
      this.#retryLater();
    }, OPEN_LIMIT);
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = (event) => {
      this.lastHeard = Date.now();
      clearTimeout(this.probeTimer);
      this.probeTimer = null;
      let message;
      try {
        message = JSON.parse(event.data);
      } catch {
        return;
      }
      this.#receive(message);
    };
    socket.onclose = (event) => {
      this.#drop();
      this.#closed(event.code, event.reason, opened);
    };
  }

  // For when the person asks, or the machine woke up, or the network is back.
  wake() {
    if (this.state.name === "offline") {
      this.connect();
    } else if (this.state.name === "live") {
      this.#probe();
    }
  }

  // After a sign-in, or after the server had told us not to come back as we were.
  restart() {
    this.clientId = newId();
    this.attempt = 0;
    this.connect();
  }

  #drop() {
    clearTimeout(this.retryTimer);
    clearTimeout(this.openTimer);
    clearTimeout(this.settleTimer);
    clearTimeout(this.probeTimer);
    clearInterval(this.quietTimer);
    this.probeTimer = null;
    if (this.socket) {
      const socket = this.socket;
      this.socket = null;
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    for (const entry of this.sessions.values()) {
      entry.asked = null;
      entry.lagging = false;
      clearTimeout(entry.timer);
    }
  }

  async #closed(code, reason, opened) {
    if (code === 1009) {
      this.#rejectAll({ code: "too_large", message: "The server says this is too large." });
    }
    if (code === 3500) {
      this.#refused("login", code, reason);
      return;
    }
    if (code > 3500 && code <= 3999) {
      this.#refused("refused", code, reason);
      return;
    }
    this.#retryLater();
    if (!opened && (await this.signedIn()) === false && this.state.name === "offline") {
      clearTimeout(this.retryTimer);
      this.#refused("login", 401, "");
    }
  }

  #refused(name, code, reason) {
    this.#rejectAll(NOT_CONNECTED);
    this.#setState({ name, code, reason });
  }

  #retryLater() {
    const most = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.attempt);
    const delay = (this.comeBackAfter ?? 0) + Math.random() * most;
    this.comeBackAfter = null;
    this.attempt = Math.min(this.attempt + 1, 16);
    const since = this.state.since ?? Date.now();
    this.#setState({ name: "offline", since, retryAt: Date.now() + delay });
    this.retryTimer = setTimeout(() => this.connect(), delay);
  }

  // A socket can be dead for long before the browser says so: ask, and do not wait for ever.
  #probe() {
    if (this.probeTimer) {
      return;
    }
    this.probeTimer = setTimeout(() => {
      this.#drop();
      this.#retryLater();
    }, PROBE_LIMIT);
    this.#write({ type: "ping" });
  }

  #setState(state) {
    this.state = state;
    this.on.state();
  }

  #write(message) {
    if (this.socket?.readyState === 1) {
      this.socket.send(JSON.stringify(message));
    }
  }

  // ---- messages ----

  #receive(message) {
    switch (message.type) {
      case "connected":
        this.#connected(message);
        break;
      case "ack":
      case "nack":
      case "pong":
        this.#answered(message);
        break;
      case "shutting_down":
        this.comeBackAfter = message.reconnectAfterMs;
        break;
      default:
        if (CONTROL.has(message.type) || Number.isInteger(message.seq)) {
          this.#sessionMessage(message);
          return;
        }
    }
    this.on.message(message);
  }

  #connected(message) {
    clearTimeout(this.openTimer);
    this.server = message;
    if (Number.isFinite(message.timestamp)) {
      this.clockOffset = message.timestamp - Date.now();
    }
    this.settleTimer = setTimeout(() => {
      this.attempt = 0;
    }, SETTLED_AFTER);
    this.quietTimer = setInterval(() => {
      if (Date.now() - this.lastHeard >= QUIET_BEFORE_PROBE) {
        this.#probe();
      }
    }, QUIET_BEFORE_PROBE / 2);
    this.#setState({ name: "live" });
    this.#write({ type: "watch_sessions" });
    for (const [sessionId, entry] of this.sessions) {
      if (entry.open) {
        this.#subscribe(sessionId, entry);
      }
    }
    // The server answers a repeated id with what it answered first, and does nothing twice.
    for (const command of this.commands.values()) {
      this.#write(command.body);
    }
  }

  // ---- commands ----

  // Resolves with the `ack`; rejects with Refused. What cannot be sent now is sent when back.
  send(type, fields = {}) {
    if (this.state.name === "login" || this.state.name === "refused") {
      return Promise.reject(new Refused(NOT_CONNECTED));
    }
    const id = `c${this.nextCommand++}`;
    const body = { type, id, ...fields };
    const limit = this.server?.limits?.maxMessageBytes ?? Infinity;
    const bytes = new TextEncoder().encode(JSON.stringify(body)).length;
    if (bytes > limit) {
      const message = `This is too large: the server takes ${limit} bytes, this is ${bytes}.`;
      return Promise.reject(new Refused({ code: "too_large", message }));
    }
    return new Promise((resolve, reject) => {
      this.commands.set(id, { body, resolve, reject });
      if (this.state.name === "live") {
        this.#write(body);
      }
    });
  }

  #answered(message) {
    const entry = [...this.sessions.values()].find((e) => e.asked && e.asked.id === message.id);
    if (entry && message.type === "nack") {
      entry.asked = null;
      entry.error = message;
      this.on.session(entry.sessionId);
    }
    const command = this.commands.get(message.id);
    if (!command) {
      return;
    }
    this.commands.delete(message.id);
    if (message.type === "nack") {
      command.reject(new Refused(message));
    } else {
      command.resolve(message);
    }
  }

  #rejectAll(nack) {
    const commands = [...this.commands.values()];
    this.commands.clear();
    commands.forEach((command) => command.reject(new Refused(nack)));
  }

  // ---- sessions ----

  session(sessionId) {
    return this.sessions.get(sessionId);
  }

  openSession(sessionId) {
    let entry = this.sessions.get(sessionId);
    if (!entry) {
      const state = emptySession(sessionId);
      entry = { sessionId, state, open: false, ready: false, asked: null, holes: 0, error: null };
    }
    this.sessions.delete(sessionId); // and in again at the end: the map is in order of use
    this.sessions.set(sessionId, entry);
    if (!entry.open) {
      entry.open = true;
      entry.error = null;
      if (this.state.name === "live") {
        this.#subscribe(sessionId, entry);
      }
    }
    for (const [id, old] of this.sessions) {
      if (this.sessions.size > KEPT_SESSIONS && !old.open) {
        this.sessions.delete(id);
      }
    }
    return entry;
  }

  leaveSession(sessionId) {
    const entry = this.sessions.get(sessionId);
    if (entry?.open) {
      entry.open = false;
      entry.asked = null;
      clearTimeout(entry.timer);
      this.#write({ type: "unsubscribe", sessionId });
    }
  }

  #subscribe(sessionId, entry) {
    const { epoch, seq, hole } = entry.state;
    const after = epoch !== null && !hole ? { epoch, seq } : undefined;
    entry.asked = { id: newId(), fresh: !after };
    this.#write({ type: "subscribe", id: entry.asked.id, sessionId, after });
  }

  #sessionMessage(message) {
    const entry = this.sessions.get(message.sessionId);
    if (!entry?.open) {
      return;
    }
    if (message.type === "subscribed") {
      if (message.id !== entry.asked?.id) {
        return;
      }
      entry.state = subscribed(entry.state, message, entry.asked.fresh);
      entry.ready = message.mode === "live";
      entry.asked = null;
      entry.error = null;
    } else if (entry.asked) {
      return; // of the subscription that is being replaced
    } else if (message.type === "replay_complete") {
      entry.ready = true;
    } else if (message.type === "unsubscribed") {
      this.#unsubscribed(entry, message);
    } else if (message.type === "lagging" || message.type === "caught_up") {
      entry.lagging = message.type === "lagging";
    } else {
      entry.state = reduce(entry.state, message);
      if (entry.state.hole) {
        this.#mend(message.sessionId, entry);
      }
    }
    this.on.session(message.sessionId);
  }

  #unsubscribed(entry, message) {
    if (!message.id) {
      entry.open = false;
      entry.error = { code: "unsubscribed", message: message.reason || "unsubscribed" };
    }
  }

  // Something is missing: everything is asked for again. Where that does not help, not in a hurry.
  #mend(sessionId, entry) {
    const now = Date.now();
    entry.holes = now - (entry.lastHole ?? 0) > 60_000 ? 1 : entry.holes + 1;
    entry.lastHole = now;
    entry.ready = false;
    const delay = entry.holes === 1 ? 0 : Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** entry.holes);
    clearTimeout(entry.timer);
    entry.asked = { id: null, fresh: true };
    entry.timer = setTimeout(() => {
      if (entry.open && this.state.name === "live") {
        this.#subscribe(sessionId, entry);
      }
    }, delay);
  }
}
