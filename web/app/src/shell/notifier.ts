// Notifications of the browser, for those who allowed them by a button, while the page is not seen.
import type { Glance, News } from "./news";
import { newsOf, overOf } from "./news";
import type { SignalboxClient, Store } from "signalbox-client";
import { useStore } from "signalbox-client/preact";
import { nameBookOf } from "../sessions/names";
import { NO_NAME } from "../sessions/session-row";
import { keep, recall } from "../ui/keep";
import { onOneLine } from "../ui/text";
import { workerAddress } from "../trusted";
import { hrefOf } from "./router";

/** `unsupported`: this browser has none, or none for a page without TLS. */
export type NotifyState = "on" | "off" | "denied" | "unsupported";

const MOST_SAID = 300;

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
    void showerNow();
  }
  update();
}

export function turnOffNotifications(): void {
  keep("notify", null);
  update();
}

/** How a notification is shown and taken back; another one with the same tag takes its place, also over tabs. */
interface Shower {
  show(title: string, options: { body: string; tag: string; hash: string }): Promise<void>;
  close(tag: string): Promise<void>;
}

const ICON = "/favicon.svg";

const byPage: Shower = {
  async show(title, { body, tag, hash }) {
    const notification = new Notification(title, { body, tag, icon: ICON });
    notification.onclick = () => {
      window.focus();
      location.hash = hash;
      notification.close();
    };
    notification.onclose = () => shown.delete(tag);
    shown.set(tag, notification);
  },
  async close(tag) {
    shown.get(tag)?.close();
    shown.delete(tag);
  },
};
const shown = new Map<string, Notification>();

const byWorker = (worker: ServiceWorkerRegistration): Shower => ({
  show: (title, { body, tag, hash }) => worker.showNotification(title, { body, tag, icon: ICON, data: { hash } }),
  async close(tag) {
    for (const notification of await worker.getNotifications({ tag })) {
      notification.close();
    }
  },
});

let shower: Promise<Shower> | null = null;

// Where a page may not notify by itself (Chromium on Android), its service worker does.
function showerNow(): Promise<Shower> {
  shower ??= (async () => {
    if (matchMedia("(hover: hover)").matches || !("serviceWorker" in navigator)) {
      return byPage;
    }
    try {
      await navigator.serviceWorker.register(workerAddress("/sw.js"));
      return byWorker(await navigator.serviceWorker.ready);
    } catch {
      return byPage;
    }
  })();
  return shower;
}

/** From here on tells what happens while nobody sees the page. The lists must be watched (the shell does). */
export function keepNotifying(client: SignalboxClient): void {
  const glance = (): Glance => {
    const permissions = client.permissions.get();
    return { sessions: client.sessions.get().items, requests: permissions.isLoaded ? permissions.items : null };
  };
  let last = glance();
  const look = () => {
    const before = last;
    last = glance();
    if (state === "on") {
      overOf(before, last).forEach((requestId) => void showerNow().then((how) => how.close(requestId)));
      if (document.hidden) {
        newsOf(before, last).forEach((news) => void show(news));
      }
    }
  };
  const show = async (news: News) => {
    const sessionId = news.kind === "asks" ? news.request.sessionId : news.session.sessionId;
    const session = client.sessions.get().items.get(sessionId);
    const name = onOneLine(session?.title || nameBookOf(client).store.get().get(sessionId) || "") || NO_NAME;
    const [title, body] = news.kind === "asks" ? [`${name} asks`, onOneLine(news.request.command || news.request.toolName)]
      : [name, news.kind === "failed" ? "Its agent has failed." : "Finished."];
    const tag = news.kind === "asks" ? news.request.requestId : sessionId;
    try {
      await (await showerNow()).show(title, { body: body.slice(0, MOST_SAID), tag, hash: hrefOf({ name: "session", sessionId }) });
    } catch {
      state = "unsupported";
      listeners.forEach((listener) => listener());
    }
  };
  client.sessions.subscribe(look);
  client.permissions.subscribe(look);
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (data?.type === "open" && typeof data.hash === "string" && data.hash.startsWith("#/")) {
      location.hash = data.hash;
    }
  });
}
