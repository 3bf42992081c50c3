// An agent's own options: in which order they are shown, and which of them a key stands for. Pure.
import type { AcpOption } from "signalbox-client";

/** What is not known counts as a yes, as it does for the server. */
export const isRejection = (kind: string): boolean => /^(reject|deny)/.test(kind);

/** It is good for later requests, too; the agent remembers that by itself, and asks no more. */
export const isLasting = (kind: string): boolean => kind.endsWith("_always");

const RANKS: { [kind: string]: number } = { allow_once: 0, allow_always: 2, reject_once: 3, reject_always: 5 };

const rankOf = (kind: string): number => RANKS[kind] ?? (isRejection(kind) ? 4 : 1);

/** Yes before no, once before for ever; within a kind in the agent's order. */
export function orderedOptions(options: readonly AcpOption[]): AcpOption[] {
  return options
    .map((option, place) => ({ option, place }))
    .sort((a, b) => rankOf(a.option.kind) - rankOf(b.option.kind) || a.place - b.place)
    .map(({ option }) => option);
}

/** The option that `a` stands for: a yes to this request and no other. */
export const allowOnce = (options: readonly AcpOption[]): AcpOption | null => options.find(({ kind }) => kind === "allow_once") ?? null;

/** The option that `r` stands for; null: the agent has none, and a plain no cancels the call. */
export const rejection = (options: readonly AcpOption[]): AcpOption | null =>
  options.find(({ kind }) => kind === "reject_once") ?? options.find(({ kind }) => isRejection(kind)) ?? null;

/** What an option does, where its name, which is the agent's, says something else; null: it does not. */
export function contradiction({ name, kind }: AcpOption): string | null {
  const saysNo = /\b(reject|deny|decline|refuse|cancel|block|never|no|don'?t)\b/i.test(name);
  const saysYes = /\b(allow|accept|approve|grant|permit|always|yes|ok)\b/i.test(name);
  if (isRejection(kind)) {
    return saysYes && !saysNo ? "rejects" : null;
  }
  if (saysNo && !saysYes) {
    return isLasting(kind) ? "allows for ever" : "allows";
  }
  return isLasting(kind) && /\bonce\b/i.test(name) ? "allows for ever" : null;
}
