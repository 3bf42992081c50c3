// What the agent says and thinks.
import { memo } from "preact/compat";
import type { TextItem } from "signalbox-client/state";
import { ChevronRightIcon } from "../ui/icons";
import { useOpen } from "./context";
import { CopyButton, CopyLinkButton } from "./copy-button";
import { ThoughtIcon } from "./icons";
import { Markdown } from "./markdown";
import { Time } from "./time-label";
import { oneLine } from "./visible";
import "./texts.css";

export const AgentText = memo(function AgentText({ item }: { item: TextItem }) {
  return (
    <article class="agent-text" aria-label="The agent" data-testid="agent-text" data-key={item.key} data-done={item.done} data-last={item.done && !item.intermediate} tabIndex={-1} onClick={take}>
      <Markdown text={item.text} isDone={item.done} />
      {item.done && <div class="item-tools"><Time at={item.ts} /><CopyLinkButton item={item.key} /><CopyButton text={() => item.text} label="Copy this message" /></div>}
    </article>
  );
});

/** A tap shows when it was said, and what can be done with it: not every browser gives the focus to what was tapped. */
function take({ currentTarget, target }: MouseEvent): void {
  const node = currentTarget as HTMLElement;
  if (!node.contains(document.activeElement) && !(target as Element).closest("a, button, summary") && getSelection()?.isCollapsed !== false) {
    node.focus({ preventScroll: true });
  }
}

const SUMMARY = 140;

export const Thought = memo(function Thought({ item }: { item: TextItem }) {
  const [isOpen, toggle] = useOpen(item.key);
  return (
    <article class="thought" data-testid="thought" data-key={item.key} data-done={item.done}>
      <button type="button" class="thought__toggle" aria-expanded={isOpen} onClick={toggle}>
        <ThoughtIcon />
        <span class="thought__name">{item.done ? "Thought" : "Thinking"}</span>
        {!isOpen && <span class="thought__summary">{summaryOf(item)}</span>}
        <ChevronRightIcon class="chevron" />
      </button>
      {isOpen && <Markdown class="thought__text" text={item.text} isDone={item.done} />}
    </article>
  );
});

/** Of a thought that is over the first line, of one that goes on the last. */
function summaryOf({ text, done }: TextItem): string {
  const lines = (done ? text.slice(0, 2_000) : text.slice(-2_000)).split("\n").map((line) => line.replace(/[*_`#>]+/g, "").trim()).filter((line) => line !== "");
  return oneLine((done ? lines[0] : lines.at(-1)) ?? "", SUMMARY);
}
