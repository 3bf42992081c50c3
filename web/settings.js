// What can be chosen for a session: Signalbox's policy, and what its agent offers (modes, options, models).
import { h } from "./dom.js";

// [{value, name, description?}], also of options that come in groups.
const choicesOf = (option) => (option.options ?? []).flatMap((each) => each.options ?? [each]);

// What the agent offers, in its order. An agent that has options has its mode among them.
export function settingsOf({ mode, configOptions }) {
  const options = (configOptions ?? []).filter(({ type }) => type === "select" || type === "boolean");
  const settings = options.map((option) => ({
    id: option.id,
    name: option.name ?? option.id,
    description: option.description ?? "",
    isSwitch: option.type === "boolean",
    value: option.currentValue,
    choices: choicesOf(option).map(({ value, name, description }) => ({ value, name: name ?? value, description })),
  }));
  const modes = mode?.availableModes ?? [];
  if (modes.length > 0 && !options.some(({ category }) => category === "mode")) {
    settings.unshift({
      id: null, name: "Mode", description: "", isSwitch: false, value: mode.currentModeId,
      choices: modes.map(({ id, name, description }) => ({ value: id, name: name ?? id, description })),
    });
  }
  return settings.filter(({ isSwitch, choices }) => isSwitch || choices.length > 0);
}

export class Settings {
  // `actions.setOption(id, value)`; id null: the mode.
  constructor(place, actions) {
    this.place = place;
    this.actions = actions;
    this.shown = "";
  }

  render(state, disabled) {
    const settings = settingsOf(state);
    const shown = JSON.stringify([settings, disabled]);
    if (shown !== this.shown) {
      this.shown = shown;
      this.place.replaceChildren(...settings.map((setting) => this.#control(setting, disabled)));
    }
  }

  // What was chosen and refused goes back to what holds.
  reset() {
    this.shown = "";
  }

  #control({ id, name, description, isSwitch, value, choices }, disabled) {
    const common = { disabled, title: description || name, dataset: { testid: `setting-${id ?? "mode"}` } };
    if (isSwitch) {
      const box = h("input", { ...common, type: "checkbox", checked: value === true,
        onchange: () => this.actions.setOption(id, box.checked) });
      return h("label.setting", {}, box, ` ${name}`);
    }
    const known = choices.some((choice) => choice.value === value);
    const select = h("select", { ...common, onchange: () => this.actions.setOption(id, select.value) },
      ...(known ? [] : [h("option", { value: "", selected: true, disabled: true }, "…")]),
      ...choices.map((choice) => h("option",
        { value: choice.value, selected: choice.value === value, title: choice.description }, choice.name)));
    return h("label.setting", {}, `${name} `, select);
  }
}
