// Escape, twice, stops the turn: once may have been meant for something else.
import { useEffect, useRef, useState } from "preact/hooks";
import { isTyping } from "../ui/hotkeys";

const SECOND_MS = 1_500;

/** True while a second Escape would stop it. */
export function useStopKey(isOn: boolean, stop: () => void): boolean {
  const [isNext, setNext] = useState(false);
  const current = useRef({ stop, isNext });
  current.current = { stop, isNext };
  useEffect(() => {
    setNext(false);
    if (!isOn) {
      return undefined;
    }
    let timer: ReturnType<typeof setTimeout>;
    const pressed = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.repeat || event.isComposing || event.defaultPrevented || document.querySelector("dialog:modal")) {
        return;
      }
      // In another field it clears that, or closes its list.
      if (isTyping(event.target) && !(event.target as HTMLElement).matches("[data-testid=prompt-input]")) {
        return;
      }
      clearTimeout(timer);
      if (current.current.isNext) {
        setNext(false);
        current.current.stop();
      } else {
        setNext(true);
        timer = setTimeout(() => setNext(false), SECOND_MS);
      }
    };
    addEventListener("keydown", pressed);
    return () => {
      clearTimeout(timer);
      removeEventListener("keydown", pressed);
    };
  }, [isOn]);
  return isNext;
}
