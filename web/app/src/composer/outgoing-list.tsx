import { useEffect, useState } from "preact/hooks";
import type { Command, SessionState } from "signalbox-client";
import { useCommand, useConnection, useOutbox } from "signalbox-client/preact";
import { VisibleText } from "../permissions/visible-text";
import { PaperclipIcon } from "../ui/icons";
import { count } from "../ui/text";

/** Prompts that the server has not confirmed yet. What is through in a moment is not shown: it stands in the conversation then. */
export function OutgoingList({ sessionId, state }: { sessionId: string; state: SessionState }) {
  const outbox = useOutbox();
  const prompts = outbox.filter((command) => command.type === "prompt" && command.sessionId === sessionId && !isThere(state, command.id)) as Command<"prompt">[];
  return prompts.length === 0 ? null : (
    <ul class="outgoing" aria-label="Being sent">{prompts.map((command) => <One key={command.id} command={command} />)}</ul>
  );
}

/** Whether the prompt of this command is in the session already, though its answer has not come. */
function isThere({ items, queue }: SessionState, id: string): boolean {
  return queue.some(({ cause }) => cause?.id === id) || items.slice(-50).some((item) => item.kind === "user" && item.cause?.id === id);
}

const SOON_MS = 200;

function One({ command }: { command: Command<"prompt"> }) {
  const isLive = useConnection().name === "live";
  const state = useCommand(command);
  const [isLate, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SOON_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!isLate && isLive) {
    return null;
  }
  const { text = "", content = [] } = command.fields as { text?: string; content?: unknown[] };
  const words = state?.name === "waiting" ? `The server cannot take it now (${state.nack.message}). It is tried again.`
    : state?.name === "sent" ? (isLive ? "Sending…" : "Sent; whether it arrived is asked when the connection is back.")
      : isLive ? "Waits for what was sent before it…" : "Waits for the connection.";
  return (
    <li class="outgoing__item" data-testid="outgoing-prompt" data-state={state?.name}>
      <span class="outgoing__text"><VisibleText text={text || "(files only)"} /></span>
      {content.length > 0 && <span class="queue__about"><PaperclipIcon size={12} />{count(content.length, "file")}</span>}
      <span class="outgoing__state" role="status"><VisibleText text={words} /></span>
      {(state?.name === "queued" || state?.name === "waiting") && (
        <button type="button" class="composer__notice-action" data-testid="take-back" onClick={() => command.withdraw()}>Take it back</button>
      )}
    </li>
  );
}
