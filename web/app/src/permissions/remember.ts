// Rules that an answer may make: their sentences, and how long they hold. Pure.
import { labelPhrases } from "./words";
import type { Phrase } from "../ui/visible";

export type Lifetime = "revoked" | "hour" | "day" | "week";

const HOUR_MS = 3_600_000;
const TIMES: { [lifetime in Lifetime]: { ms: number | null; name: string; begin: string } } = {
  revoked: { ms: null, name: "until it is revoked", begin: "Always allow" },
  hour: { ms: HOUR_MS, name: "for an hour", begin: "For an hour, allow" },
  day: { ms: 24 * HOUR_MS, name: "for a day", begin: "For a day, allow" },
  week: { ms: 7 * 24 * HOUR_MS, name: "for a week", begin: "For a week, allow" },
};

export const LIFETIMES = (Object.keys(TIMES) as Lifetime[]).map((value) => ({ value, name: TIMES[value].name }));

/** When a rule of this lifetime ends, by the server's clock; null: it is there until somebody revokes it. */
export function expiryOf(lifetime: Lifetime, now: number): number | null {
  const { ms } = TIMES[lifetime];
  return ms === null ? null : now + ms;
}

/** The server's own label, with its beginning changed where the rule does not hold for ever. */
export function rememberPhrases(label: string, lifetime: Lifetime): Phrase[] {
  const phrases = labelPhrases(label);
  const [first] = phrases;
  if (lifetime === "revoked" || typeof first !== "string") {
    return phrases;
  }
  const { begin, name } = TIMES[lifetime];
  return first.startsWith("Always allow") ? [begin + first.slice("Always allow".length), ...phrases.slice(1)] : [...phrases, ` (${name})`];
}
