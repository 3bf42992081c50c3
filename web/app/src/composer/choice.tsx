import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { visibleText } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";
import { ChevronDownIcon } from "../ui/icons";
import "./choice.css";

interface Props {
  label: string;
  value: string;
  /** The value as it is shown where nothing is open. */
  shown: string;
  choices: readonly { value: string; name: string; description: string }[];
  onChange(value: string): void;
  icon?: ComponentChildren;
  title?: string;
  testid: string;
  configId?: string;
  tone?: "warn";
  isSending?: boolean;
  /** Why it cannot be changed; null: it can. */
  reason?: string | null;
  problem?: string | null;
}

/**
 * One of a few, small. What one sees is ours; what one presses is the browser's own select, transparent above it: it works with a
 * keyboard, a thumb and a screen reader as people are used to.
 */
export function Choice({ label, value, shown, choices, onChange, icon, title, testid, configId, tone, isSending, reason, problem }: Props) {
  const why = useId();
  const isKnown = choices.some((choice) => choice.value === value);
  const said = problem ?? reason ?? title;
  return (
    <span class="choice" data-tone={tone} data-sending={isSending || undefined} data-problem={problem ? true : undefined} title={said ? visibleText(said) : undefined}>
      <span class="choice__face" aria-hidden="true">
        {icon}
        <span class="choice__label" data-hidden={icon !== undefined}><VisibleText text={label} /></span>
        <span class="choice__value"><VisibleText text={shown} /></span>
        <ChevronDownIcon size={12} />
      </span>
      <select
        class="choice__select" aria-label={visibleText(label)} aria-describedby={said ? why : undefined} data-testid={testid} data-config-id={configId}
        disabled={Boolean(reason)} value={isKnown ? value : ""} onChange={(event) => onChange(event.currentTarget.value)}
      >
        {!isKnown && <option value="" disabled>{visibleText(shown)}</option>}
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {visibleText(choice.description ? `${choice.name} — ${short(choice.description)}` : choice.name)}
          </option>
        ))}
      </select>
      {said && <span id={why} class="visually-hidden">{visibleText(said)}</span>}
      {problem && <span class="choice__problem" role="alert">{visibleText(problem)}</span>}
    </span>
  );
}

const short = (text: string): string => (text.length > 110 ? `${text.slice(0, 109)}…` : text);

/** Yes or no, in the same look. */
export function Switch({ label, isOn, onChange, title, configId, isSending, reason, problem }: {
  label: string; isOn: boolean; onChange(isOn: boolean): void; title?: string; configId?: string; isSending?: boolean; reason?: string | null; problem?: string | null;
}) {
  const said = problem ?? reason ?? title;
  return (
    <span class="choice" data-sending={isSending || undefined} data-problem={problem ? true : undefined} title={said ? visibleText(said) : undefined}>
      <label class="choice__switch">
        <input type="checkbox" role="switch" checked={isOn} disabled={Boolean(reason)} data-testid="config-option" data-config-id={configId}
          onChange={(event) => onChange(event.currentTarget.checked)} />
        <span class="choice__knob" aria-hidden="true" />
        <VisibleText text={label} />
      </label>
      {problem && <span class="choice__problem" role="alert">{visibleText(problem)}</span>}
    </span>
  );
}
