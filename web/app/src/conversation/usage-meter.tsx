import type { SessionState } from "signalbox-client";

export function UsageMeter({ state }: { state: SessionState }) {
  return state.usage ? <span data-testid="usage">{state.usage.used}</span> : null;
}
