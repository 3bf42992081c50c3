// The requests that wait for an answer, in a place where they cannot scroll away.

import { duration, h, keyed, setText } from "./dom.js";
import { cutParts } from "./items.js";
import { plainToSee } from "./text.js";

const MARGIN = 1_500; // the server's clock decides; ours is only about right

export class Permissions {
  // answer(requestId, fields) → promise; now() in the server's time.
  constructor(node, announce, { answer, now }) {
    this.node = node;
    this.announce = announce;
    this.answer = answer;
    this.now = now;
    this.cards = new Map();
    this.items = [];
    this.held = null; // the last card that had the keyboard
    node.addEventListener("focusin", (event) => {
      this.held = event.target.closest(".ask");
    });
    setInterval(() => this.#tick(), 500);
  }

  render(items) {
    const fresh = items.find((i) => !this.cards.has(i.key));
    this.items = items;
    keyed(this.node, this.cards, items, (i) => i.key, (i) => this.#create(i), () => {});
    if (fresh) {
      const names = fresh.request.acpOptions?.map((o) => o.name).join(", ");
      this.announce(`The agent asks for permission: ${fresh.request.command}. ${names}`);
    }
    this.#tick();
    return this.#keepFocus();
  }

  // Where the keyboard goes when its card is gone: to the next one (not to a button of it: nobody
  // shall allow what they have not read). True when there is none.
  #keepFocus() {
    if (!this.held || this.held.isConnected) {
      return false;
    }
    this.held = null;
    if (document.activeElement !== document.body) {
      return false;
    }
    this.node.firstElementChild?.focus();
    return this.items.length === 0;
  }

  #create(item) {
    const { request } = item;
    const id = `ask-${item.key}`;
    const where = (request.locations ?? [])
      .map((l) => (l.line === undefined || l.line === null ? l.path : `${l.path}:${l.line}`))
      .filter((path) => path && !request.command?.includes(path)).join(", ");
    const said = request.description && request.description !== request.command;
    return h("div.ask", {
      role: "group",
      tabIndex: -1,
      "aria-labelledby": id,
      dataset: { testid: "permission-card", state: "pending", requestId: request.requestId },
    },
    h("header", null,
      h("h2", { id }, "Permission", h("span.quiet", null, request.toolName ?? "")),
      h("span.left", { role: "timer", "aria-live": "off" })),
    said ? h("p", null, plainToSee(request.description)) : null,
    h("pre.command", { tabIndex: 0 }, plainToSee(request.command ?? "")),
    cutParts(request.refs, request.sessionId),
    where ? h("p.quiet", null, plainToSee(where)) : null,
    request.planContent ? h("div.text", null, request.planContent) : null,
    h("div.options", null, ...(request.acpOptions ?? []).map((option) => h("button", {
      type: "button",
      className: option.kind?.startsWith("allow") ? "allow" : "reject",
      onclick: () => this.#choose(item, { optionId: option.optionId }),
      dataset: {
        testid: "permission-option", kind: option.kind ?? "", optionId: option.optionId,
      },
    }, plainToSee(option.name || option.optionId)))),
    this.#remember(item),
    h("p.error-text", { role: "alert" }));
  }

  // Rules of the server's own: each button says what will never be asked again.
  #remember(item) {
    const options = item.request.rememberOptions ?? [];
    return options.length === 0 ? null : h("details.remember", null,
      h("summary", { dataset: { testid: "remember" } }, "Yes, and do not ask again…"),
      ...options.map(({ scope, match, label }) => h("button.plain", {
        type: "button",
        onclick: () => this.#choose(item, { allow: true, remember: { scope, match } }),
        dataset: { testid: "remember-option", scope, match },
      }, label)));
  }

  async #choose(item, fields) {
    const card = this.cards.get(item.key)?.node;
    card.dataset.sending = fields.optionId ?? "remember";
    this.#tick();
    const problem = card.querySelector(".error-text");
    setText(problem, "");
    try {
      await this.answer(item.request.requestId, fields);
    } catch (refusal) {
      // What ended in the meantime is told by its own event; anything else may be tried again.
      setText(problem, refusal.message);
      if (!["already_resolved", "expired", "cancelled", "not_found"].includes(refusal.code)) {
        delete card.dataset.sending;
      }
      this.#tick();
    }
  }

  #tick() {
    for (const item of this.items) {
      const card = this.cards.get(item.key)?.node;
      const { expiresAt } = item.request;
      const limited = Number.isFinite(expiresAt);
      const left = limited ? expiresAt - this.now() : Infinity;
      const over = left < -MARGIN;
      const words = left > 0 ? `${duration(Math.ceil(left / 1000) * 1000).replace(".0", "")} left`
        : "Time is up";
      const label = card.querySelector(".left");
      setText(label, card.dataset.sending ? "Sending your answer…" : limited ? words : "");
      label.classList.toggle("soon", limited && left < 15_000);
      for (const button of card.querySelectorAll("button")) {
        button.disabled = over || Boolean(card.dataset.sending);
      }
    }
  }
}
