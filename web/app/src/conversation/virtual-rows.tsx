import type { ComponentChild } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Virtualizer } from "virtua";
import type { Row, Rows } from "./rows";
import type { Scroll } from "./scroll";

const BUFFER = 600; // pixels above and below that are drawn as well
const FRAMES = 3; // until the first rows are measured

/** The rows that can be seen, and some around them. The one that has the focus stays, wherever one scrolls. */
export function VirtualRows({ rows: { rows, isPartial }, draw, scroll }: { rows: Rows; draw: (row: Row) => ComponentChild; scroll: Scroll; sessionId: string }) {
  // What is earlier comes in one step, and nothing else with it: places are counted from the end then.
  const wasPartial = useRef(isPartial);
  const isPrepended = wasPartial.current && !isPartial;
  useLayoutEffect(() => {
    wasPartial.current = isPartial;
  });
  const focused = useFocusedRow(scroll, rows);
  // At the end the last rows stay, too: one that grows by more than a page in one step is scrolled beyond what the list knows of its
  // height, and the list would take everything away until it has measured it.
  const kept = scroll.below === null ? [rows.length - 2, rows.length - 1].filter((at) => at >= 0) : [];
  if (focused !== null) {
    kept.push(focused);
  }
  const isSettled = useSettled();
  return (
    <div class="conversation__rows" data-settled={isSettled}>
      <Virtualizer ref={scroll.list as never} scrollRef={scroll.scroller as never} data={rows} bufferSize={BUFFER} onResize={scroll.settle}
        keepMounted={kept} shift={isPrepended}>
        {((row: Row) => <div key={row.key} class="conversation__row" data-row={row.key} data-kind={row.kind === "item" ? row.item.kind : row.kind}>{draw(row)}</div>) as never}
      </Virtualizer>
    </div>
  );
}

/** It opens at its end: what stands at the top is not shown on the way there. */
function useSettled(): boolean {
  const [frames, setFrames] = useState(0);
  useEffect(() => {
    if (frames >= FRAMES) {
      return undefined;
    }
    const id = requestAnimationFrame(() => setFrames(frames + 1));
    return () => cancelAnimationFrame(id);
  }, [frames]);
  return frames >= FRAMES;
}

function useFocusedRow({ scroller }: Scroll, rows: readonly Row[]): number | null {
  const [key, setKey] = useState<string | null>(null);
  const known = useRef<{ key: string; at: number } | null>(null);
  useEffect(() => {
    const box = scroller.current!;
    const focus = (event: FocusEvent) => setKey((event.target as Element).closest<HTMLElement>("[data-row]")?.dataset.row ?? null);
    const blur = (event: FocusEvent) => {
      if (!(event.relatedTarget instanceof Element && box.contains(event.relatedTarget))) {
        setKey(null);
      }
    };
    box.addEventListener("focusin", focus);
    box.addEventListener("focusout", blur);
    return () => {
      box.removeEventListener("focusin", focus);
      box.removeEventListener("focusout", blur);
    };
  }, []);
  if (key === null) {
    return null;
  }
  const { current } = known;
  const at = current?.key === key && rows[current.at]?.key === key ? current.at : rows.findIndex((row) => row.key === key);
  known.current = { key, at };
  return at < 0 ? null : at;
}
