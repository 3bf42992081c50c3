// Light or dark, as the person chose or the system says, with the colours of the server's theme file laid over both.
import type { SignalboxClient, Store } from "signalbox-client";
import { useStore } from "signalbox-client/preact";
import { keep, recall } from "../ui/keep";
import { NO_THEME, inkOn, parseTheme, propertiesOf } from "./theme-file";
import type { Scheme, ServerTheme } from "./theme-file";

export type ThemeChoice = "system" | Scheme;

export interface ThemeView {
  choice: ThemeChoice;
  scheme: Scheme;
  /** What the page calls itself. */
  name: string;
}

const systemIsDark = () => matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let theme: ServerTheme = NO_THEME;
let applied: string[] = [];
let view: ThemeView = { choice: storedChoice(), scheme: "light", name: "Signalbox" };

function storedChoice(): ThemeChoice {
  const stored = recall("theme");
  return stored === "light" || stored === "dark" ? stored : "system";
}

function apply(): void {
  const root = document.documentElement;
  const choice = view.choice;
  const scheme = choice === "system" ? (systemIsDark().matches ? "dark" : "light") : choice;
  if (choice === "system") {
    delete root.dataset.theme;
  } else {
    root.dataset.theme = choice;
  }
  applied.forEach((property) => root.style.removeProperty(property));
  const properties = propertiesOf(theme, scheme);
  const { accent, "accent-ink": ink } = theme[scheme];
  if (accent !== undefined && ink === undefined) {
    properties.set("--accent-ink", inkOn(partsOf(accent)));
  }
  properties.forEach((value, property) => root.style.setProperty(property, value));
  applied = [...properties.keys()];
  const bar = document.querySelector<HTMLMetaElement>("meta[name=theme-color]");
  if (bar) {
    bar.content = getComputedStyle(document.body).backgroundColor;
  }
  view = { choice, scheme, name: theme.name || "Signalbox" };
  listeners.forEach((listener) => listener());
}

// A colour of any notation, as the screen has it.
function partsOf(colour: string): [number, number, number] {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context) {
    return [0, 0, 0];
  }
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

const store: Store<ThemeView> = {
  get: () => view,
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

export const useTheme = (): ThemeView => useStore(store);

export function chooseTheme(choice: ThemeChoice): void {
  keep("theme", choice === "system" ? null : choice);
  view = { ...view, choice };
  apply();
}

/** Keeps the page's colours as they should be from here on: at a choice, at a change of the system, of the server's file. */
export function keepTheme(client: SignalboxClient): void {
  let isAsked = false;
  const ask = async () => {
    try {
      theme = parseTheme(await client.http.json("GET", "/theme.json"), (colour) => CSS.supports("color", colour));
      isAsked = true;
      apply();
    } catch {
      // The page looks as it does without one; it is asked for again with the next connection.
    }
  };
  systemIsDark().addEventListener("change", apply);
  addEventListener("storage", (event) => {
    if (event.key === null || event.key.endsWith(":theme")) {
      view = { ...view, choice: storedChoice() };
      apply();
    }
  });
  client.onMessage((message) => {
    if ((message.type === "connected" && !isAsked) || (message.type === "config_changed" && message.changeType === "theme")) {
      void ask();
    }
  });
  apply();
  void ask();
}
