// Prompts, and what stands between what is said: ends of turns, errors, updates without a name.
import { memo } from "preact/compat";
import type { ClosedItem, EndItem, ErrorItem, UpdateItem, UserItem } from "signalbox-client/state";
import type { Command } from "signalbox-client";
import { useCommand, useConnection } from "signalbox-client/preact";
import { AlertIcon, ChevronRightIcon } from "../ui/icons";
import { AnsiText } from "./ansi-text";
import { CodeBlock } from "./code-block";
import { useConversation, useOpen } from "./context";
import { CopyButton, CopyLinkButton } from "./copy-button";
import { useWhole } from "./large";
import { ContentBlocks, ContentBlockView } from "./media";
import { Time } from "./time-label";
import { oneLine, pretty, textOf } from "./visible";
import { byInWords, durationInWords, errorInWords, shortNumber, stopInWords, tokensOf } from "./words";
import "./notes.css";

const LONG_LINES = 14;
const LONG_CHARS = 1_500;

export const UserMessage = memo(function UserMessage({ item: cut }: { item: UserItem }) {
  const { me } = useConversation();
  const { whole: item, note } = useWhole(cut);
  const isWithdrawn = item.status === "withdrawn";
  const who = byInWords(item.by, me, item.cause?.clientId);
  return (
    <article class="user-message" aria-label={`Prompt: ${who}`} data-testid="user-message" data-key={item.key} data-status={item.status}>
      <header class="user-message__head">
        <span class="user-message__who">{who.replace(/^you\b/, "You")}</span>
        {isWithdrawn && <span class="user-message__state">taken back</span>}
        <Time at={item.ts} />
        <CopyLinkButton item={item.key} />
        <CopyButton text={() => item.text} label="Copy this prompt" />
      </header>
      <LongText id={item.key} text={item.text} />
      <Attachments item={item} />
      {note}
    </article>
  );
});

/** What is more than the text, which has all text blocks. */
function Attachments({ item }: { item: UserItem }) {
  const blocks = (item.content ?? []).map((block, at) => ({ block, at })).filter(({ block }) => block.type !== "text");
  return blocks.length === 0 ? null : (
    <div class="user-message__attached">
      {blocks.map(({ block, at }) => <ContentBlockView key={at} block={block} refs={item.refs} at={`/content/${at}`} />)}
    </div>
  );
}

function LongText({ id, text }: { id: string; text: string }) {
  const [isOpen, toggle] = useOpen(`text:${id}`);
  const lines = text.split("\n", LONG_LINES + 2);
  const isLong = lines.length > LONG_LINES || text.length > LONG_CHARS;
  const shown = isOpen || !isLong ? text : lines.slice(0, LONG_LINES).join("\n").slice(0, LONG_CHARS);
  return (
    <>
      <div class="user-message__text" dir="auto">{shown}{shown.length < text.length && "…"}</div>
      {isLong && <button type="button" class="user-message__more" aria-expanded={isOpen} onClick={toggle}>{isOpen ? "Show less" : "Show all"}</button>}
    </>
  );
}

/** A prompt of ours that the server has not recorded yet. */
export function SendingPrompt({ command }: { command: Command<any> }) {
  const state = useCommand(command);
  const connection = useConnection();
  const text = textOf(command.fields.text);
  const blocks = Array.isArray(command.fields.content) ? command.fields.content.filter((block) => block?.type !== "text") : [];
  const said = state?.name === "waiting" ? `Not taken yet: ${oneLine(state.nack.message, 200)}`
    : connection.name === "live" || state?.name === "done" ? "Being sent" : "Will be sent when the connection is back";
  return (
    <article class="user-message user-message--sending" data-testid="user-message" data-key={`sending:${command.id}`} data-status="sending">
      <header class="user-message__head">
        <span class="user-message__who">You</span>
        <span class="user-message__state" role="status">{said}</span>
        {(state?.name === "queued" || state?.name === "waiting") && (
          <button type="button" class="user-message__take-back" data-testid="take-back" onClick={() => command.withdraw()}>Take it back</button>
        )}
      </header>
      <LongText id={command.id} text={text} />
      {blocks.length > 0 && <div class="user-message__attached"><ContentBlocks blocks={blocks} at="" /></div>}
    </article>
  );
}

export const TurnEnd = memo(function TurnEnd({ item }: { item: EndItem }) {
  const tokens = tokensOf(item.usage);
  const isGood = item.stopReason === "end_turn";
  return (
    <div class="turn-end" data-testid="turn-end" data-key={item.key} data-stop-reason={item.stopReason} data-good={isGood}>
      <span class="turn-end__words">{stopInWords(item.stopReason)}</span>
      {Number.isFinite(item.durationMs) && <span>{durationInWords(item.durationMs)}</span>}
      {tokens !== null && <span>{shortNumber(tokens)} tokens</span>}
      <Time at={item.ts} />
    </div>
  );
});

export const ErrorNote = memo(function ErrorNote({ item }: { item: ErrorItem }) {
  const { title, advice } = errorInWords(item.code);
  return (
    <article class="error-note" data-testid="error-item" data-key={item.key} data-code={item.code} data-fatal={item.fatal}>
      <AlertIcon />
      <div>
        <p class="error-note__title">{title}</p>
        {item.error && <p class="error-note__text" dir="auto">{item.error}</p>}
        {advice && <p class="error-note__advice">{advice}</p>}
      </div>
      <CopyButton text={() => `${item.code}: ${item.error}`} label="Copy the error" />
    </article>
  );
});

/** What an agent said that is no text, or an update that has no name here. */
export const UpdateNote = memo(function UpdateNote({ item: cut }: { item: UpdateItem }) {
  const { whole: item, note } = useWhole(cut);
  const [isOpen, toggle] = useOpen(item.key);
  const { sessionUpdate, content, title } = item.update as { sessionUpdate?: unknown; content?: unknown; title?: unknown };
  const isChunk = typeof sessionUpdate === "string" && /^agent_(?:message|thought)_chunk$/.test(sessionUpdate);
  const block = typeof content === "object" && content !== null && typeof (content as { type?: unknown }).type === "string" ? content as { type: string } : null;
  if (isChunk && block) {
    return (
      <article class="agent-text" data-key={item.key} data-update={sessionUpdate}>
        <ContentBlockView block={block} refs={cut.refs} at="/update/content" />
      </article>
    );
  }
  if (sessionUpdate === "session_info_update" && typeof title === "string") {
    return ( // a person has named the session, so it is no more than a word
      <article class="update-note" data-key={item.key} data-update={sessionUpdate}>
        <p class="update-note__said">The agent calls this session <q dir="auto">{oneLine(title, 200)}</q>.</p>
      </article>
    );
  }
  return (
    <article class="update-note" data-key={item.key}>
      <button type="button" class="update-note__toggle" aria-expanded={isOpen} onClick={toggle}>
        <ChevronRightIcon class="chevron" />Update<code>{oneLine(textOf(sessionUpdate) || "without a name", 80)}</code>
      </button>
      {isOpen && <CodeBlock bare wrap code={pretty(item.update)} language="json" />}
      {isOpen && note}
    </article>
  );
});

/** What a command said after its call was over. */
export const LateOutput = memo(function LateOutput({ items }: { items: readonly UpdateItem[] }) {
  return (
    <article class="update-note" data-key={items[0]!.key}>
      <p class="update-note__said">A command of an earlier turn goes on:</p>
      <AnsiText text={items.map((item) => textOf(item.update.data)).join("")} maxLines={40} />
    </article>
  );
});

export const ClosedNote = memo(function ClosedNote({ item }: { item: ClosedItem }) {
  const { me } = useConversation();
  return (
    <div class="turn-end" data-key={item.key} data-testid="session-closed">
      <span class="turn-end__words">Closed by {byInWords(item.by, me)}</span><Time at={item.ts} />
    </div>
  );
});
