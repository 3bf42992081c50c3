// What can be chosen of an agent's own: modes, models, options. Pure; whatever an agent sends is looked at before it is used.
import type { SessionState } from "signalbox-client";

export interface SettingChoice {
  value: string;
  name: string;
  description: string;
}

export interface Setting {
  /** Of `set_config_option`; null: the mode, by `set_mode`. */
  id: string | null;
  name: string;
  description: string;
  kind: "select" | "switch";
  category: string;
  value: string | boolean | null;
  choices: SettingChoice[];
}

type Loose = { [name: string]: unknown };

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const objects = (value: unknown): Loose[] => (Array.isArray(value) ? value.filter((each): each is Loose => typeof each === "object" && each !== null) : []);

/** Options may come in groups. */
const choicesOf = (option: Loose): SettingChoice[] =>
  objects(option.options)
    .flatMap((each) => (Array.isArray(each.options) ? objects(each.options) : [each]))
    .filter((each) => typeof each.value === "string")
    .map((each) => ({ value: each.value as string, name: text(each.name) || (each.value as string), description: text(each.description) }));

const RANKS: { [category: string]: number } = { mode: 0, model: 1, thought_level: 2 };

/** In the order in which people look for them. An agent that has options has its mode among them. */
export function settingsOf({ mode, configOptions }: Pick<SessionState, "mode" | "configOptions">): Setting[] {
  const options = objects(configOptions)
    .filter(({ id, type }) => typeof id === "string" && (type === "select" || type === "boolean"))
    .map((option): Setting => ({
      id: option.id as string,
      name: text(option.name) || (option.id as string),
      description: text(option.description),
      kind: option.type === "boolean" ? "switch" : "select",
      category: text(option.category),
      value: typeof option.currentValue === "string" || typeof option.currentValue === "boolean" ? option.currentValue : null,
      choices: choicesOf(option),
    }))
    .filter(({ kind, choices }) => kind === "switch" || choices.length > 0);
  const modes = objects(mode?.availableModes)
    .filter(({ id }) => typeof id === "string")
    .map(({ id, name, description }) => ({ value: id as string, name: text(name) || (id as string), description: text(description) }));
  if (modes.length > 0 && !options.some(({ category }) => category === "mode")) {
    options.push({ id: null, name: "Mode", description: "", kind: "select", category: "mode", value: mode?.currentModeId ?? null, choices: modes });
  }
  return options
    .map((option, place) => ({ option, place }))
    .sort((a, b) => (RANKS[a.option.category] ?? 9) - (RANKS[b.option.category] ?? 9) || a.place - b.place)
    .map(({ option }) => option);
}

/** A value as it is shown: by its name, where the agent lists it. */
export const shownValue = ({ value, choices }: Setting, wanted: unknown = value): string =>
  choices.find((choice) => choice.value === wanted)?.name ?? (typeof wanted === "string" ? wanted : "…");
