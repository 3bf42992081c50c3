import type { SessionState } from "signalbox-client";
import { shortNumber } from "./words";
import "./usage.css";

const AROUND = 2 * Math.PI * 6;

/** How full the agent's context is, and what it has cost. */
export function UsageMeter({ state }: { state: SessionState }) {
  const { used, size, cost } = state.usage ?? {};
  const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0;
  const share = isNumber(used) && isNumber(size) && size > 0 ? Math.min(1, used / size) : null;
  const price = costOf(cost);
  if (!isNumber(used) && price === null) {
    return null;
  }
  const said = [
    ...(isNumber(used) ? [`${shortNumber(used)}${isNumber(size) && size > 0 ? ` of ${shortNumber(size)}` : ""} tokens in the context`] : []),
    ...(price === null ? [] : [`cost ${price}`]),
  ].join(", ");
  return (
    <span class="usage" data-testid="usage" data-level={share === null ? undefined : share > 0.9 ? "full" : share > 0.7 ? "high" : "low"} title={said} role="img" aria-label={said}>
      {share !== null && (
        <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
          <circle class="usage__ring" cx="8" cy="8" r="6" />
          <circle class="usage__used" cx="8" cy="8" r="6" stroke-dasharray={`${share * AROUND} ${AROUND}`} transform="rotate(-90 8 8)" />
        </svg>
      )}
      <span aria-hidden="true">{share !== null ? `${Math.round(share * 100)} %` : isNumber(used) ? shortNumber(used) : ""}{price !== null && <span class="usage__cost">{price}</span>}</span>
    </span>
  );
}

function costOf(cost: { [name: string]: unknown } | undefined): string | null {
  const amount = cost?.amount;
  if (typeof amount !== "number" || !Number.isFinite(amount)) {
    return null;
  }
  const currency = typeof cost?.currency === "string" && /^[A-Za-z]{3}$/.test(cost.currency) ? cost.currency.toUpperCase() : null;
  try {
    return currency ? new Intl.NumberFormat(undefined, { style: "currency", currency }).format(amount) : amount.toFixed(2);
  } catch {
    return amount.toFixed(2);
  }
}
