import type { SessionState } from "signalbox-client";

export function PlanPanel({ state }: { state: SessionState }) {
  return state.plan ? <aside data-testid="plan">{state.plan.entries.length} steps</aside> : null;
}
