// Which key answers a request, and when no key may: nobody shall allow by a key that was meant for something else. Pure.
import type { AcpOption } from "signalbox-client";
import { allowOnce, orderedOptions, rejection } from "./options";

/** A card that is newer than this takes no answer: what is pressed now was meant for what stood there before. Milliseconds. */
export const ARMED_AFTER_MS = 500;

export interface KeyLike {
  key: string;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  repeat: boolean;
  isComposing: boolean;
  defaultPrevented: boolean;
}

/** As much of an element as is looked at. */
export interface TargetLike {
  tagName?: string;
  type?: string;
  isContentEditable?: boolean;
  closest?(selector: string): unknown;
}

const NOT_TYPED = new Set(["button", "checkbox", "radio", "submit", "reset", "image", "color", "file"]);

/** Whether letters go into this element, or mean something to it. */
export function takesLetters(target: TargetLike | null): boolean {
  const tag = target?.tagName?.toUpperCase();
  if (tag === "INPUT") {
    return !NOT_TYPED.has(target?.type ?? "text");
  }
  return tag === "TEXTAREA" || tag === "SELECT" || target?.isContentEditable === true
    || Boolean(target?.closest?.("dialog, [role=dialog], [role=menu], [role=listbox]"));
}

export type KeyAnswer = { answer: "option"; option: AcpOption } | { answer: "reject" };

/** The answer that a key gives, or null. `shownForMs`: how long the card has been there to be read. */
export function answerOfKey(
  event: KeyLike,
  { target, options, shownForMs }: { target: TargetLike | null; options: readonly AcpOption[]; shownForMs: number },
): KeyAnswer | null {
  const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.repeat && !event.isComposing && !event.defaultPrevented;
  if (!isPlain || shownForMs < ARMED_AFTER_MS || takesLetters(target)) {
    return null;
  }
  if (/^[1-9]$/.test(event.key)) {
    const option = orderedOptions(options)[Number(event.key) - 1];
    return option ? { answer: "option", option } : null;
  }
  switch (event.key.toLowerCase()) {
    case "a": {
      const option = allowOnce(options);
      return option ? { answer: "option", option } : null;
    }
    case "r": {
      const option = rejection(options);
      return option ? { answer: "option", option } : { answer: "reject" };
    }
    default:
      return null;
  }
}
