import { useState } from "preact/hooks";
import type { QueuedPrompt, SessionState } from "signalbox-client";
import { VisibleText } from "../ui/visible-text";
import { ChevronDownIcon, ChevronUpIcon, ClockIcon, CloseIcon, PaperclipIcon } from "../ui/icons";
import { count } from "../ui/text";

const FEW = 3;

/** The prompts that wait for their turn, in their order, each to be taken back. */
export function QueueList({ state, me, onWithdraw }: { state: SessionState; me: string | null; onWithdraw(prompt: QueuedPrompt): void }) {
  const [isWhole, setWhole] = useState(false);
  const { queue } = state;
  if (queue.length === 0) {
    return null;
  }
  const shown = isWhole ? queue : queue.slice(0, FEW);
  return (
    <section class="queue" aria-label="Queue">
      <h3 class="queue__head"><ClockIcon size={13} />{queue.length === 1 ? "1 prompt waits" : `${queue.length} prompts wait`} for {queue.length === 1 ? "its" : "their"} turn</h3>
      <ol class="queue__list">
        {shown.map((prompt, at) => <One key={prompt.messageId} prompt={prompt} place={at + 1} me={me} onWithdraw={onWithdraw} />)}
      </ol>
      {queue.length > FEW && (
        <button type="button" class="queue__more" aria-expanded={isWhole} onClick={() => setWhole(!isWhole)}>
          {isWhole ? <ChevronUpIcon size={12} /> : <ChevronDownIcon size={12} />}{isWhole ? "Show fewer" : `Show ${queue.length - FEW} more`}
        </button>
      )}
    </section>
  );
}

function One({ prompt, place, me, onWithdraw }: { prompt: QueuedPrompt; place: number; me: string | null; onWithdraw(prompt: QueuedPrompt): void }) {
  const [isWithdrawing, setWithdrawing] = useState(false);
  const { messageId, text, by, content } = prompt;
  const files = (content ?? []).filter(({ type }) => type !== "text").length;
  return (
    <li class="queue__item" data-testid="queue-item" data-message-id={messageId} data-position={place}>
      <span class="queue__place" aria-hidden="true">{place}</span>
      <span class="queue__text"><VisibleText text={text || "(files only)"} /></span>
      {files > 0 && <span class="queue__about"><PaperclipIcon size={12} />{count(files, "file")}</span>}
      {by.user !== undefined && by.user !== me && <span class="queue__about">by <VisibleText text={by.user} /></span>}
      <button
        type="button" class="queue__withdraw" data-testid="withdraw-prompt" disabled={isWithdrawing} aria-label={`Take back prompt ${place}`} title="Take it back"
        onClick={() => { setWithdrawing(true); onWithdraw(prompt); setTimeout(() => setWithdrawing(false), 3_000); }}
      >
        <CloseIcon size={14} />
      </button>
    </li>
  );
}
