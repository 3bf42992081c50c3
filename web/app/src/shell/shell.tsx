import { useEffect, useRef, useState } from "preact/hooks";
import { useConnection, usePermissions, useSessions } from "signalbox-client/preact";
import { PendingPage } from "../permissions/pending-page";
import { RulesPage } from "../permissions/rules-page";
import { NewSessionPage } from "../sessions/new-session-page";
import { useNames } from "../sessions/names";
import { ErrorBoundary } from "../ui/error-boundary";
import { useHotkeys } from "../ui/hotkeys";
import { NARROW, useMedia } from "../ui/media";
import { onOneLine } from "../ui/text";
import { Toasts } from "../ui/toast";
import { ConnectionAnnouncer, TroubleStrip } from "./connection";
import { HelpDialog } from "./help-dialog";
import { LoginPage } from "./login-page";
import { pageTitle, waitingCount } from "./news";
import { go, useRoute } from "./router";
import type { Route } from "./router";
import { SessionPage } from "./session-page";
import { SettingsPage } from "./settings-page";
import { Sidebar, TabBar } from "./sidebar";
import { useTheme } from "./theme";
import { NotHere, Welcome } from "./welcome";
import "./shell.css";

/** The frame around everything: the list at the side, the page that the address names, what is wrong with the connection. */
export function Shell() {
  const connection = useConnection();
  const isSignedOut = connection.name === "stopped" && connection.why === "login";
  return (
    <>
      {isSignedOut ? <LoginPage /> : <Rooms />}
      <Toasts />
      <ConnectionAnnouncer />
    </>
  );
}

function Rooms() {
  const route = useRoute();
  const isNarrow = useMedia(NARROW);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  useFocusOnArrival(route, main);
  useKeys(() => setHelpOpen(true));
  const isList = isNarrow && route.name === "home";
  return (
    <div class="shell" data-route={route.name}>
      <Title route={route} />
      <button type="button" class="skip button" onClick={() => main.current?.focus()}>To the content</button>
      {!isNarrow && <aside class="shell__side" aria-label="Sessions and pages"><Sidebar route={route} isPage={false} onHelp={() => setHelpOpen(true)} /></aside>}
      <div class="shell__main">
        {(route.name !== "session" || !isNarrow) && <TroubleStrip />}
        <main class="shell__page" ref={main} tabIndex={-1}>
          <ErrorBoundary key={keyOf(route)} name="This page">
            {isList ? <><h1 class="visually-hidden">Sessions</h1><Sidebar route={route} isPage onHelp={() => setHelpOpen(true)} /></> : <PageOf route={route} />}
          </ErrorBoundary>
        </main>
        {isNarrow && route.name !== "session" && <TabBar route={route} />}
      </div>
      {isHelpOpen && <HelpDialog onClose={() => setHelpOpen(false)} />}
    </div>
  );
}

const keyOf = (route: Route): string => (route.name === "session" ? `s/${route.sessionId}` : route.name);

function PageOf({ route }: { route: Route }) {
  switch (route.name) {
    case "home":
      return <Welcome />;
    case "new":
      return <NewSessionPage />;
    case "session":
      return <SessionPage sessionId={route.sessionId} />;
    case "waiting":
      return <PendingPage />;
    case "rules":
      return <RulesPage />;
    case "settings":
      return <SettingsPage />;
    case "unknown":
      return <NotHere />;
  }
}

const PLACES: { [name in Route["name"]]: string } = {
  home: "", new: "New session", session: "", waiting: "Waiting for you", rules: "Rules", settings: "Settings", unknown: "",
};

/** `(2) Fix the build · Signalbox`, and a badge on the page's icon. By itself, since the lists change all the time. */
function Title({ route }: { route: Route }) {
  const { items } = useSessions();
  const requests = usePermissions().items; // watched from here on, whatever page is shown
  const names = useNames();
  const { name } = useTheme();
  const waiting = waitingCount(requests);
  const sessionId = route.name === "session" ? route.sessionId : "";
  const place = PLACES[route.name] || onOneLine(items.get(sessionId)?.title || names.get(sessionId) || "");
  useEffect(() => {
    document.title = pageTitle(waiting, place, name);
  }, [waiting, place, name]);
  useEffect(() => {
    const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (icon) {
      icon.href = waiting > 0 ? "/favicon-waiting.svg" : "/favicon.svg";
    }
  }, [waiting > 0]);
  return null;
}

/** Who comes to another page by the keyboard is in it, not where the list was. */
function useFocusOnArrival(route: Route, main: { current: HTMLElement | null }): void {
  const key = keyOf(route);
  const last = useRef(key);
  useEffect(() => {
    if (last.current !== key) {
      last.current = key;
      if (main.current && !main.current.contains(document.activeElement)) {
        main.current.focus({ preventScroll: true });
      }
    }
  }, [key]);
}

function useKeys(help: () => void): void {
  const move = (by: 1 | -1) => {
    const rows = [...document.querySelectorAll<HTMLElement>("[data-testid=session-row]")];
    const at = rows.findIndex((row) => row === document.activeElement);
    const from = at >= 0 ? at : rows.findIndex((row) => row.getAttribute("aria-current") === "page");
    const next = rows[from < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, from + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
    return next !== undefined;
  };
  // The arrows belong to whatever scrolls, unless one is in the list already.
  const arrow = (by: 1 | -1) => document.activeElement?.matches("[data-testid=session-row]") === true && move(by);
  const focusOn = (testId: string) => {
    const element = document.querySelector<HTMLElement>(`[data-testid=${testId}]`);
    element?.focus();
    return element !== null;
  };
  useHotkeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => arrow(1),
    ArrowUp: () => arrow(-1),
    "/": () => focusOn("session-search"),
    i: () => focusOn("prompt-input"),
    n: () => go({ name: "new" }),
    "g w": () => go({ name: "waiting" }),
    "g s": () => go({ name: "home" }),
    "g r": () => go({ name: "rules" }),
    "g ,": () => go({ name: "settings" }),
    "?": help,
  });
}
