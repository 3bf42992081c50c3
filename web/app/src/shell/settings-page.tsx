import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { useClient, useStore } from "signalbox-client/preact";
import { hotkeysAreOn, setHotkeys } from "../ui/hotkeys";
import { MonitorIcon, MoonIcon, SignOutIcon, SunIcon } from "../ui/icons";
import { toast } from "../ui/toast";
import { ShortcutTable } from "./help-dialog";
import { turnOffNotifications, turnOnNotifications, useNotifyState } from "./notifier";
import { Page } from "./page";
import { chooseTheme, useTheme } from "./theme";
import type { ThemeChoice } from "./theme";
import "./settings-page.css";

/** What belongs to this browser and this person, not to a session. */
export function SettingsPage() {
  return (
    <Page title="Settings" lead="Of this browser.">
      <Appearance />
      <Notifications />
      <Keys />
      <Account />
    </Page>
  );
}

function Section({ title, children, className = "" }: { title: string; children: ComponentChildren; className?: string }) {
  return <section class={`settings-section ${className}`}><h2>{title}</h2><div class="settings-section__body">{children}</div></section>;
}

const THEMES: [ThemeChoice, string, ComponentChildren][] = [["system", "System", <MonitorIcon />], ["light", "Light", <SunIcon />], ["dark", "Dark", <MoonIcon />]];

function Appearance() {
  const { choice } = useTheme();
  return (
    <Section title="Colours">
      <fieldset class="segmented">
        <legend class="visually-hidden">Colours</legend>
        {THEMES.map(([value, label, icon]) => (
          <label key={value} class="segmented__item">
            <input type="radio" name="theme" value={value} checked={choice === value} onChange={() => chooseTheme(value)} />
            <span>{icon} {label}</span>
          </label>
        ))}
      </fieldset>
    </Section>
  );
}

function Notifications() {
  const state = useNotifyState();
  return (
    <Section title="Notifications">
      <p>While this page is out of sight: when an agent asks, and when it has finished.</p>
      {state === "on" && <button type="button" class="button" data-testid="notify-off" onClick={turnOffNotifications}>Turn off</button>}
      {state === "off" && <button type="button" class="button" data-testid="notify-on" onClick={() => void turnOnNotifications()}>Turn on</button>}
      {state === "denied" && <p class="settings-section__note">They are blocked for this page in the browser's own settings.</p>}
      {state === "unsupported" && (
        <p class="settings-section__note">{isSecureContext ? "This browser has none for pages." : "Browsers allow them only over TLS (https)."}</p>
      )}
    </Section>
  );
}

function Keys() {
  const [isOn, setOn] = useState(hotkeysAreOn());
  return (
    <Section title="Keyboard" className="settings-section--keys">
      <label class="settings-check">
        <input
          type="checkbox" checked={isOn}
          onChange={(event) => {
            setHotkeys(event.currentTarget.checked);
            setOn(event.currentTarget.checked);
          }}
        />
        Single keys are shortcuts
      </label>
      <ShortcutTable />
    </Section>
  );
}

function Account() {
  const client = useClient();
  const server = useStore(client.server);
  const [isBusy, setBusy] = useState(false);
  const signOut = async () => {
    setBusy(true);
    try {
      await client.logout();
      sessionStorage.clear();
      location.reload(); // nothing of what was shown stays in the page
    } catch (error) {
      toast(`You are not signed out: ${error instanceof Error ? error.message : String(error)}`);
      setBusy(false);
    }
  };
  if (!server) {
    return null;
  }
  return (
    <Section title="Server">
      <dl class="settings-facts">
        <dt>You are</dt><dd>{server.user}{server.user === "local" && <span> (no tokens are configured: everybody on this machine is)</span>}</dd>
        <dt>Version</dt><dd>{server.server.name} {server.server.version}</dd>
      </dl>
      {server.user !== "local" && (
        <button type="button" class="button" data-testid="sign-out" disabled={isBusy} onClick={() => void signOut()}><SignOutIcon /> Sign out</button>
      )}
    </Section>
  );
}
