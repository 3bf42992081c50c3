import type { SessionState } from "signalbox-client";
import { useState } from "preact/hooks";
import { CheckIcon, ChevronRightIcon } from "../ui/icons";
import { PlanIcon } from "./icons";
import { useMedia, WIDE } from "../ui/media";
import { oneLine, textOf } from "./visible";
import "./plan.css";

/** The agent's plan: where it is, and all its steps when it is opened. */
export function PlanPanel({ state }: { state: SessionState }) {
  const isWide = useMedia(WIDE);
  const [chosen, setOpen] = useState<boolean | null>(null);
  const isOpen = chosen ?? isWide; // where it takes room from the conversation, one line is enough
  const entries = state.plan?.entries ?? [];
  if (entries.length === 0) {
    return null;
  }
  const done = entries.filter((entry) => entry.status === "completed").length;
  const current = entries.find((entry) => entry.status === "in_progress");
  return (
    <section class="plan" data-testid="plan" aria-label="Plan">
      <button type="button" class="plan__toggle" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <PlanIcon />
        <span class="plan__name">Plan</span>
        {!isOpen && current && <span class="plan__current">{oneLine(textOf(current.content), 200)}</span>}
        <span class="plan__count">{done} of {entries.length}</span>
        <ChevronRightIcon class="chevron" />
      </button>
      <div class="plan__bar" role="presentation"><span style={{ width: `${(done / entries.length) * 100}%` }} /></div>
      {isOpen && (
        <ol class="plan__steps">
          {entries.slice(0, 200).map((entry, at) => (
            <li key={at} class="plan__step" data-status={entry.status} data-priority={entry.priority}>
              <span class="plan__mark" aria-hidden="true">{entry.status === "completed" ? <CheckIcon size={12} /> : null}</span>
              <span dir="auto">{textOf(entry.content)}</span>
              <span class="visually-hidden">{entry.status === "completed" ? "(done)" : entry.status === "in_progress" ? "(in work)" : "(to do)"}</span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
