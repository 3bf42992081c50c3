// The rules that people have made, and their end.

import { h, setText } from "./dom.js";

export class Rules {
  // rules() → promise of a list; revoke(ruleId) → promise.
  constructor(dialog, list, note, { rules, revoke }) {
    Object.assign(this, { dialog, list, note, rules, revoke });
  }

  async show() {
    this.list.replaceChildren();
    setText(this.note, "Loading…");
    this.dialog.showModal();
    try {
      const all = await this.rules();
      this.list.replaceChildren(...all.map((rule) => this.#row(rule)));
      this.#count();
    } catch (error) {
      setText(this.note, `The rules could not be read: ${error.message}`);
    }
  }

  #count() {
    setText(this.note, this.list.childElementCount === 0 ? "There are none." : "");
  }

  #row(rule) {
    const where = rule.scope === "user" ? "" : rule.workspace;
    const end = rule.expiresAt ? `until ${new Date(rule.expiresAt).toLocaleString()}` : "";
    const row = h("li", { dataset: { testid: "rule", ruleId: rule.ruleId } },
      h("span", null, rule.label),
      h("span.quiet", null, [where, `made by ${rule.user}`, end].filter(Boolean).join(" · ")),
      h("button.plain", { type: "button", onclick: () => this.#revoke(rule, row) }, "Revoke"));
    return row;
  }

  async #revoke(rule, row) {
    const button = row.lastElementChild;
    button.disabled = true;
    try {
      await this.revoke(rule.ruleId);
    } catch (error) {
      if (error.status !== 404) { // gone is what was wanted
        button.disabled = false;
        setText(this.note, `The rule could not be revoked: ${error.message}`);
        return;
      }
    }
    row.remove();
    this.#count();
  }
}
