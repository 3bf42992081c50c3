// One's own prompts of a session, called back by the arrow keys. Pure.
import type { SessionState } from "signalbox-client";

const MOST = 200;

/** The texts that this user has sent, the newest last, each once where it stands several times in a row. */
export function ownPrompts(state: Pick<SessionState, "items" | "queue">, user: string | null): string[] {
  const texts: string[] = [];
  const add = (text: string, by: string | undefined) => {
    if (text.trim() !== "" && (user === null || by === user) && texts.at(-1) !== text) {
      texts.push(text);
    }
  };
  for (const item of state.items) {
    if (item.kind === "user") {
      add(item.text, item.by.user);
    }
  }
  state.queue.forEach(({ text, by }) => add(text, by.user));
  return texts.slice(-MOST);
}

/** Where one is: `back` prompts ago (0: at what one writes), and what was written before one went back. */
export interface Browsing {
  back: number;
  written: string;
  /** What was shown last: when it was changed, it is what one writes. */
  shown: string;
}

export const NOT_BROWSING: Browsing = { back: 0, written: "", shown: "" };

/**
 * The step that an arrow key means, or null where it moves the cursor. `text` is what stands in the field, `at` where the
 * cursor is (null: something is selected).
 */
export function browse(
  now: Browsing, key: "ArrowUp" | "ArrowDown", prompts: readonly string[], text: string, at: number | null,
): Browsing | null {
  if (at === null) {
    return null;
  }
  const isBrowsing = now.back > 0 && text === now.shown;
  const from: Browsing = isBrowsing ? now : { back: 0, written: text, shown: text };
  if (key === "ArrowUp") {
    // From what one writes only at its first line and where it is empty, or one is in the history already.
    const isFirstLine = !text.slice(0, at).includes("\n");
    if (!isFirstLine || (!isBrowsing && text !== "") || from.back >= prompts.length) {
      return null;
    }
    const back = from.back + 1;
    return { back, written: from.written, shown: prompts[prompts.length - back]! };
  }
  if (!isBrowsing || text.slice(at).includes("\n")) {
    return null;
  }
  const back = from.back - 1;
  return { back, written: from.written, shown: back === 0 ? from.written : prompts[prompts.length - back]! };
}
