// Keys of the page: single ones ("j", "?", "ArrowDown") and two in a row ("g w"). Never while one types, and never where a
// modal dialog is open. They can be turned off, since speech input and trembling hands press them unmeant (WCAG 2.1.4).
import { useEffect, useRef } from "preact/hooks";
import { keep, recall } from "./keep";

export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

const SECOND_KEY_MS = 1_200;

/** From presses to the names of bindings. Pure but for the time that it is given. */
export class KeySequence {
  private first: { key: string; at: number } | null = null;

  constructor(private readonly names: () => Iterable<string>) {}

  /** The binding that this press completes, or null. */
  press({ key, ctrlKey, metaKey, altKey }: KeyPress, at: number): string | null {
    if (ctrlKey || metaKey || altKey) {
      this.first = null;
      return null;
    }
    const before = this.first !== null && at - this.first.at <= SECOND_KEY_MS ? this.first.key : null;
    this.first = null;
    const names = [...this.names()];
    if (before !== null && names.includes(`${before} ${key}`)) {
      return `${before} ${key}`;
    }
    if (names.some((name) => name.startsWith(`${key} `))) {
      this.first = { key, at };
      return null;
    }
    return names.includes(key) ? key : null;
  }
}

const TYPES = new Set(["checkbox", "radio", "button", "submit", "reset", "range", "color", "file"]);

/** Whether keys go into what has the focus. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) {
    return false;
  }
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !TYPES.has(target.type));
}

export const hotkeysAreOn = (): boolean => recall("hotkeys") !== "off";
export const setHotkeys = (on: boolean): void => keep("hotkeys", on ? null : "off");

/** Binds keys while the component is there. A binding that returns false lets the browser have the key as well. */
export function useHotkeys(bindings: { [name: string]: (event: KeyboardEvent) => void | boolean }): void {
  const current = useRef(bindings);
  current.current = bindings;
  useEffect(() => {
    const sequence = new KeySequence(() => Object.keys(current.current));
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || isTyping(event.target) || !hotkeysAreOn() || document.querySelector("dialog:modal")) {
        return;
      }
      const name = sequence.press(event, event.timeStamp);
      if (name !== null && current.current[name]!(event) !== false) {
        event.preventDefault();
      }
    };
    // Before whatever else listens: the second key of a pair is nobody else's.
    addEventListener("keydown", pressed, { capture: true });
    return () => removeEventListener("keydown", pressed, { capture: true });
  }, []);
}
