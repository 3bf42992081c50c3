// The conversation and its scroll: it follows what comes only while the reader is at its end.

import { keyed } from "./dom.js";
import { createItem, updateItem } from "./items.js";

const NEAR = 40;

export class Conversation {
  constructor(scroller, node, jump) {
    this.scroller = scroller;
    this.node = node;
    this.jump = jump;
    this.known = new Map();
    this.sessionId = null;
    this.stick = true;
    this.lastTop = 0;
    scroller.addEventListener("scroll", () => this.#scrolled());
    jump.addEventListener("click", () => {
      this.follow();
      scroller.focus({ preventScroll: true });
    });
    const sizes = new ResizeObserver(() => this.#settle());
    sizes.observe(scroller);
    sizes.observe(node);
  }

  render(sessionId, state, me) {
    if (sessionId !== this.sessionId) {
      this.node.replaceChildren();
      this.known.clear();
      this.sessionId = sessionId;
      this.items = null;
      this.stick = true;
    }
    if (state.items !== this.items) {
      this.items = state.items;
      // One that waits is shown where it is answered, and takes its place here afterwards.
      const shown = this.items.filter((i) => i.kind !== "permission" || i.state !== "pending");
      keyed(this.node, this.known, shown, (i) => i.key, (i) => createItem(i, me),
        (node, item, before) => updateItem(node, item, before, { ...me, sessionId }));
    }
    this.#settle();
  }

  follow() {
    this.stick = true;
    this.#settle();
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  // Only a reader moves up; what grows below the end never lets go of it.
  #scrolled() {
    if (this.#atEnd()) {
      this.stick = true;
    } else if (this.scroller.scrollTop < this.lastTop) {
      this.stick = false;
    }
    this.lastTop = this.scroller.scrollTop;
    this.jump.hidden = this.stick;
  }

  #settle() {
    if (this.stick) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
      this.lastTop = this.scroller.scrollTop;
    }
    this.jump.hidden = this.stick || this.#atEnd();
  }
}
