// What was written and not sent, kept for each session over reloads and changes of session, in this tab. Pure but for the
// storage that it is given; where that is forbidden or full, a draft lasts as long as the page.
import type { ContentBlock, StorageLike } from "signalbox-client";

/** A file that was sent up already: what a prompt names it by, and what people see of it. */
export interface KeptAttachment {
  name: string;
  bytes: number;
  block: ContentBlock;
}

export interface Draft {
  text: string;
  attachments: readonly KeptAttachment[];
}

export const EMPTY_DRAFT: Draft = { text: "", attachments: [] };

const MOST_DRAFTS = 50;
const MOST_CHARACTERS = 200_000; // of one that is stored; a longer one lasts as long as the page
const PREFIX = "signalbox:draft:";
const ORDER = "signalbox:drafts";

export class DraftStore {
  private readonly drafts = new Map<string, Draft>();

  constructor(private readonly storage: StorageLike | null) {}

  get(sessionId: string): Draft {
    const known = this.drafts.get(sessionId);
    if (known) {
      return known;
    }
    try {
      const stored = JSON.parse(this.storage?.getItem(PREFIX + sessionId) ?? "null") as Partial<Draft> | null;
      if (stored && typeof stored.text === "string" && Array.isArray(stored.attachments)) {
        return { text: stored.text, attachments: stored.attachments };
      }
    } catch {
      // Something else stands there: it is no draft.
    }
    return EMPTY_DRAFT;
  }

  put(sessionId: string, draft: Draft): void {
    const isEmpty = draft.text === "" && draft.attachments.length === 0;
    this.drafts.delete(sessionId);
    if (!isEmpty) {
      this.drafts.set(sessionId, draft);
    }
    try {
      const order = this.order().filter((id) => id !== sessionId);
      if (isEmpty || draft.text.length > MOST_CHARACTERS) {
        this.storage?.removeItem(PREFIX + sessionId);
      } else {
        this.storage?.setItem(PREFIX + sessionId, JSON.stringify(draft));
        order.push(sessionId);
      }
      for (const old of order.splice(0, Math.max(0, order.length - MOST_DRAFTS))) {
        this.storage?.removeItem(PREFIX + old);
      }
      this.storage?.setItem(ORDER, JSON.stringify(order));
    } catch {
      // It is kept in memory.
    }
  }

  private order(): string[] {
    const stored: unknown = JSON.parse(this.storage?.getItem(ORDER) ?? "[]");
    return Array.isArray(stored) ? stored.filter((id): id is string => typeof id === "string") : [];
  }
}

/** A text that comes back joins what was written meanwhile: nothing is lost, and the older one stands first. */
export function joinTexts(older: string, newer: string): string {
  return older.trim() === "" ? newer : newer.trim() === "" ? older : `${older.replace(/\n+$/, "")}\n\n${newer}`;
}
