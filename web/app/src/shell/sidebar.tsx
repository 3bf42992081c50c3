import type { ComponentChildren } from "preact";
import { useClient, useStore } from "signalbox-client/preact";
import { SessionList } from "../sessions/session-list";
import { ErrorBoundary } from "../ui/error-boundary";
import { HelpIcon, InboxIcon, ListIcon, MonitorIcon, MoonIcon, PlusIcon, SettingsIcon, ShieldIcon, SunIcon } from "../ui/icons";
import { ConnectionIndicator } from "./connection";
import { waitingCount } from "./news";
import { hrefOf } from "./router";
import type { Route } from "./router";
import { chooseTheme, useTheme } from "./theme";
import type { ThemeChoice } from "./theme";
import "./sidebar.css";

/** The list of sessions and the ways to everything else. On a phone a page of its own. */
export function Sidebar({ route, isPage, onHelp }: { route: Route; isPage: boolean; onHelp(): void }) {
  const theme = useTheme();
  const sessionId = route.name === "session" ? route.sessionId : null;
  return (
    <div class={`sidebar${isPage ? " sidebar--page" : ""}`}>
      <header class="sidebar__head">
        <a class="sidebar__brand" href={hrefOf({ name: "home" })}>
          <img src="/favicon.svg" alt="" width="24" height="24" />
          <span class="truncate">{theme.name}</span>
        </a>
        {isPage && <ConnectionIndicator sessionId={null} short />}
        {!isPage && (
          <a class="button button--primary sidebar__new" href={hrefOf({ name: "new" })} data-testid="new-session" aria-keyshortcuts="n" title="New session (n)">
            <PlusIcon /> New
          </a>
        )}
      </header>
      {!isPage && (
        <nav class="sidebar__nav" aria-label="Pages">
          <NavLink route={route} to={{ name: "waiting" }} title="Everything that waits for an answer (g w)"><InboxIcon /> Waiting for you <WaitingBadge /></NavLink>
          <NavLink route={route} to={{ name: "rules" }} title="What is allowed for good (g r)"><ShieldIcon /> Rules</NavLink>
        </nav>
      )}
      <nav class="sidebar__sessions" aria-label="Sessions">
        <ErrorBoundary name="The list of sessions"><SessionList current={sessionId} isPage={isPage} /></ErrorBoundary>
      </nav>
      {!isPage && (
        <footer class="sidebar__foot">
          <ConnectionIndicator sessionId={sessionId} />
          <span class="sidebar__tools">
            <button type="button" class="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" aria-haspopup="dialog" data-testid="help" onClick={onHelp}><HelpIcon /></button>
            <ThemeToggle />
            <a
              class="icon-button" href={hrefOf({ name: "settings" })} aria-label="Settings" title="Settings" data-testid="settings-link"
              aria-current={route.name === "settings" ? "page" : undefined}
            >
              <SettingsIcon />
            </a>
          </span>
        </footer>
      )}
    </div>
  );
}

function NavLink({ route, to, title, children }: { route: Route; to: Route; title: string; children: ComponentChildren }) {
  return (
    <a class="sidebar__link" href={hrefOf(to)} title={title} aria-current={route.name === to.name ? "page" : undefined}>{children}</a>
  );
}

/** How many requests wait, as many as their page has; nothing where there is none. */
export function WaitingBadge() {
  const waiting = useStore(useClient().permissions, ({ items }) => waitingCount(items));
  return waiting > 0 ? <span class="badge badge--warn" data-testid="waiting-count">{waiting}<span class="visually-hidden"> {waiting === 1 ? "request" : "requests"}</span></span> : null;
}

const NEXT: { [choice in ThemeChoice]: ThemeChoice } = { system: "light", light: "dark", dark: "system" };
const LOOKS: { [choice in ThemeChoice]: string } = { system: "as the system", light: "light", dark: "dark" };

/** One button through the three: as the system, light, dark. */
export function ThemeToggle() {
  const { choice } = useTheme();
  const words = `Colours: ${LOOKS[choice]}. Press for ${LOOKS[NEXT[choice]]}.`;
  return (
    <button type="button" class="icon-button" aria-label={words} title={words} data-testid="theme-toggle" data-theme-choice={choice} onClick={() => chooseTheme(NEXT[choice])}>
      {choice === "system" ? <MonitorIcon /> : choice === "light" ? <SunIcon /> : <MoonIcon />}
    </button>
  );
}

/** The ways to everything on a phone, within a thumb's reach. */
export function TabBar({ route }: { route: Route }) {
  const tab = (to: Route, label: string, icon: ComponentChildren, testId?: string) => (
    <a class="tab-bar__tab" href={hrefOf(to)} aria-current={route.name === to.name ? "page" : undefined} data-testid={testId}>{icon}<span>{label}</span></a>
  );
  return (
    <nav class="tab-bar" aria-label="Pages">
      {tab({ name: "home" }, "Sessions", <ListIcon size={20} />)}
      {tab({ name: "waiting" }, "Waiting", <><InboxIcon size={20} /><WaitingBadge /></>)}
      {tab({ name: "new" }, "New", <PlusIcon size={20} />, "new-session")}
      {tab({ name: "rules" }, "Rules", <ShieldIcon size={20} />)}
      {tab({ name: "settings" }, "Settings", <SettingsIcon size={20} />)}
    </nav>
  );
}
