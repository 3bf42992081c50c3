// Notifications of the browser, for those who allowed them by a button, while the page is not seen.
import type { Glance, News } from "./news";
import { newsOf, overOf } from "./news";
import type { SignalboxClient, Store } from "signalbox-client";
import { useStore } from "signalbox-client/preact";
import { nameBookOf } from "../sessions/names";
import { NO_NAME } from "../sessions/session-row";
import { keep, recall } from "../ui/keep";
import { onOneLine } from "../ui/text";
import { hrefOf } from "./router";

/** `unsupported`: this browser has none, or none for a page without TLS. */
export type NotifyState = "on" | "off" | "denied" | "unsupported";

const listeners = new Set<() => void>();
let state: NotifyState = stateNow();

function stateNow(): NotifyState {
  if (typeof Notification === "undefined" || !isSecureContext) {
    return "unsupported";
  }
  if (Notification.permission === "denied") {
    return "denied";
  }
  return Notification.permission === "granted" && recall("notify") === "on" ? "on" : "off";
}

function update(): void {
  state = stateNow();
  listeners.forEach((listener) => listener());
}

const store: Store<NotifyState> = {
  get: () => state,
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export const useNotifyState = (): NotifyState => useStore(store);

/** Asks the browser; only ever called by a press. */
export async function turnOnNotifications(): Promise<void> {
  if (typeof Notification !== "undefined" && (await Notification.requestPermission()) === "granted") {
    keep("notify", "on");
  }
  update();
}

export function turnOffNotifications(): void {
  keep("notify", null);
  update();
}

/** From here on tells what happens while nobody sees the page. The lists must be watched (the shell does). */
export function keepNotifying(client: SignalboxClient): void {
  const shown = new Map<string, Notification>();
  const glance = (): Glance => {
    const permissions = client.permissions.get();
    return { sessions: client.sessions.get().items, requests: permissions.isLoaded ? permissions.items : null };
  };
  let last = glance();
  const look = () => {
    const before = last;
    last = glance();
    for (const requestId of overOf(before, last)) {
      shown.get(requestId)?.close();
      shown.delete(requestId);
    }
    if (state === "on" && document.hidden) {
      newsOf(before, last).forEach(show);
    }
  };
  const show = (news: News) => {
    const sessionId = news.kind === "asks" ? news.request.sessionId : news.session.sessionId;
    const session = client.sessions.get().items.get(sessionId);
    const name = onOneLine(session?.title || nameBookOf(client).store.get().get(sessionId) || "") || NO_NAME;
    const [title, body] = news.kind === "asks" ? [`${name} asks`, onOneLine(news.request.command || news.request.toolName)]
      : [name, news.kind === "failed" ? "Its agent has failed." : "Finished."];
    // The tag: several tabs of one browser say it once.
    const tag = news.kind === "asks" ? news.request.requestId : sessionId;
    try {
      const notification = new Notification(title, { body: body.slice(0, 300), tag, icon: "/favicon.svg" });
      notification.onclick = () => {
        window.focus();
        location.hash = hrefOf({ name: "session", sessionId });
        notification.close();
      };
      notification.onclose = () => shown.delete(tag);
      shown.set(tag, notification);
    } catch {
      state = "unsupported"; // Chromium on Android: only a service worker may
      listeners.forEach((listener) => listener());
    }
  };
  client.sessions.subscribe(look);
  client.permissions.subscribe(look);
}
