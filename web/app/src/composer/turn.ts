// Whether a turn is open, and which one. Pure.
import type { SessionState } from "signalbox-client";

export interface OpenTurn {
  isOpen: boolean;
  /** null: there is none, or it began before what is there of the session. */
  turnId: string | null;
}

/** Of a session whose end came first, the turn may have begun before that: it can be stopped all the same. */
export function openTurnOf({ turn, partial, phase, items }: Pick<SessionState, "turn" | "partial" | "phase" | "items">): OpenTurn {
  if (turn) {
    return { isOpen: true, turnId: turn.turnId };
  }
  if (!partial || (phase !== "running" && phase !== "waiting")) {
    return { isOpen: false, turnId: null };
  }
  for (let at = items.length - 1; at >= 0 && items[at]!.kind !== "end"; at--) {
    const { turnId } = items[at] as { turnId?: string };
    if (turnId !== undefined) {
      return { isOpen: true, turnId };
    }
  }
  return { isOpen: true, turnId: null };
}
