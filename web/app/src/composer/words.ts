// What the composer says. Pure.
import type { CommandError, SessionState } from "signalbox-client";

/** The queue stands still: its agent is gone, and nobody has said that it should go on. */
export const isPaused = ({ queue, turn, phase }: Pick<SessionState, "queue" | "turn" | "phase">): boolean =>
  queue.length > 0 && turn === null && (phase === "stopped" || phase === "failed");

const withDot = (text: string): string => (/[.!?…]$/.test(text) ? text : `${text}.`);

/** What the field invites to. */
export function placeholderOf({ phase, turn, agent, queue }: Pick<SessionState, "phase" | "turn" | "agent" | "queue">): string {
  if (turn !== null || queue.length > 0) {
    return "Write the next prompt; it waits for its turn";
  }
  return phase === "starting" ? "Write a prompt; it is given when the agent is ready" : `Ask ${agent ?? "the agent"} something`;
}

/** Why a prompt was not taken. */
export function refusalOf(error: Pick<CommandError, "code" | "message" | "outcome">): string {
  switch (error.code) {
    case "withdrawn":
      return "It was taken back before it was sent.";
    case "queue_full":
      return "Too many prompts wait in this session already. Take one back, or wait.";
    case "closed":
      return "The session is closed.";
    case "too_large":
      return "It is too large for the server. Attach long texts as files.";
    case "expired_unsent":
      return "There was no connection for too long: it was not sent.";
    case "offline_queue_full":
      return "Too much waits to be sent already.";
    case "other_user":
      return "Somebody else is logged in here now: it was not sent in their name.";
    default:
      return error.outcome === "unknown" ? "It was sent; whether it arrived is not known. Look at the conversation before you send it again."
        : `It was not taken: ${withDot(error.message)}`;
  }
}
