// Whether diffs are drawn in one column or side by side: one choice of the reader's for all of them, kept in this browser.
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { keep, recall } from "../ui/keep";

export type DiffLayout = "unified" | "split";

const MIN_WIDTH = 680; // pixels: less is too narrow for two columns of code
const listeners = new Set<() => void>();
const chosen = (): DiffLayout => (recall("diff") === "split" ? "split" : "unified");

function choose(layout: DiffLayout): void {
  keep("diff", layout === "split" ? layout : null);
  listeners.forEach((listener) => listener());
}

/** `layout` is what is drawn; `choose` is null where there is no room for a choice. */
export function useDiffLayout(box: RefObject<HTMLElement>, canSplit: boolean): { layout: DiffLayout; choose: ((layout: DiffLayout) => void) | null } {
  const [choice, setChoice] = useState(chosen);
  const [isWide, setWide] = useState(false);
  useEffect(() => {
    const changed = () => setChoice(chosen());
    listeners.add(changed);
    return () => {
      listeners.delete(changed);
    };
  }, []);
  useLayoutEffect(() => {
    const measure = () => setWide(box.current!.clientWidth >= MIN_WIDTH); // side by side it is never narrower
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(box.current!);
    return () => sizes.disconnect();
  }, []);
  const hasChoice = isWide && canSplit;
  return { layout: hasChoice ? choice : "unified", choose: hasChoice ? choose : null };
}
