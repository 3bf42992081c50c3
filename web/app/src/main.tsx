import { render } from "preact";
import { SignalboxClient } from "signalbox-client";
import { SignalboxProvider } from "signalbox-client/preact";
import { Shell } from "./shell/shell";
import "./ui/tokens.css";
import "./ui/base.css";

const client = new SignalboxClient({ storage: sessionStorage }).start();

render(
  <SignalboxProvider client={client}>
    <Shell />
  </SignalboxProvider>,
  document.getElementById("app")!,
);
