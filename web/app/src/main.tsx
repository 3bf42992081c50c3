// First the styles that everything else refines.
import "./ui/tokens.css";
import "./ui/base.css";
import "./ui/controls.css";
import { render } from "preact";
import { SignalboxClient } from "signalbox-client";
import { SignalboxProvider } from "signalbox-client/preact";
import { openDesks } from "./composer/desk";
import { keepNotifying } from "./shell/notifier";
import { Shell } from "./shell/shell";
import { refuseStrayFiles } from "./shell/stray-files";
import { keepTheme } from "./shell/theme";
import { keepHeight } from "./shell/viewport";
import { reportRefusal } from "./ui/toast";

// Thirty steps a second are as smooth to read as sixty, and cost half: each is a layout of what is seen.
const client = new SignalboxClient({ storage: sessionStorage, batchMs: 33, history: "end" }).start();
keepTheme(client);
keepHeight();
keepNotifying(client);
refuseStrayFiles();
openDesks(client);
for (const command of client.outbox.get().filter(({ type }) => type !== "prompt")) {
  reportRefusal("What was to be sent before the page was loaded again was not done", command); // nobody else holds it
}

render(
  <SignalboxProvider client={client}>
    <Shell />
  </SignalboxProvider>,
  document.getElementById("app")!,
);
