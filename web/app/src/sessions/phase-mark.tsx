import { phaseWord } from "./phases";
import "./phase-mark.css";

/** A session's state as a small mark: its shape says it as well as its colour. `label`: also to screen readers. */
export function PhaseMark({ phase, label = false }: { phase: string; label?: boolean }) {
  return (
    <svg class="phase-mark" data-phase={phase} width="12" height="12" viewBox="0 0 12 12" aria-hidden={label ? undefined : "true"} role={label ? "img" : undefined} aria-label={label ? phaseWord(phase) : undefined}>
      {shapeOf(phase)}
    </svg>
  );
}

function shapeOf(phase: string) {
  switch (phase) {
    case "running":
      return <><circle cx="6" cy="6" r="4.25" class="phase-mark__track" /><path d="M6 1.75a4.25 4.25 0 014.25 4.25" class="phase-mark__arc" /></>;
    case "starting":
      return <circle cx="6" cy="6" r="4.25" class="phase-mark__dots" />;
    case "waiting":
      return <circle cx="6" cy="6" r="5" class="phase-mark__full" />;
    case "failed":
      return <path d="M3 3l6 6M9 3l-6 6" class="phase-mark__line" />;
    case "closed":
      return <path d="M3 6h6" class="phase-mark__line" />;
    case "stopped":
      return <circle cx="6" cy="6" r="2.5" class="phase-mark__ring" />;
    default:
      return <circle cx="6" cy="6" r="3" class="phase-mark__full" />;
  }
}
