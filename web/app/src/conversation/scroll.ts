// Where the reader is. At the end he stays at the end, whatever comes; anywhere else nothing moves under him.
import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { VirtualizerHandle } from "virtua";
import { rowOfItem } from "./rows";
import type { Rows } from "./rows";

const NEAR = 48; // pixels from the end that count as the end
const KEEP_MS = 250;
const HAND_MS = 1_000; // a hand lets go, and the page scrolls on for a while
const PLACE_FRAMES = 12;

export interface Scroll {
  scroller: RefObject<HTMLDivElement>;
  content: RefObject<HTMLDivElement>;
  list: RefObject<VirtualizerHandle>;
  /** How many rows have come that the reader has not seen; null: he is at the end. */
  below: number | null;
  toEnd(): void;
  /** Something has another size now. */
  settle(): void;
  onScroll(): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** A place in a conversation that outlives a reload: the row at the top, and how far it is above it. */
interface Place {
  key: string;
  offset: number;
}

export function useScroll(sessionId: string, rows: Rows, sending: number): Scroll {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const isAtEnd = useRef(true);
  const lastTop = useRef(0);
  const lastHeight = useRef(0);
  const handAt = useRef(-HAND_MS);
  const seenKey = useRef<string | null>(null); // the last row when he left the end
  const isPlaced = useRef(false);
  const isPlacing = useRef(false);
  const keepTimer = useRef<ReturnType<typeof setTimeout>>();
  const current = useRef(rows);
  current.current = rows;
  const [below, setBelow] = useState<number | null>(null);

  const count = useCallback(() => {
    const all = current.current.rows;
    if (isAtEnd.current) {
      setBelow(null);
      return;
    }
    let fresh = 0;
    for (let at = all.length - 1; at >= 0 && all[at]!.key !== seenKey.current; at--) {
      fresh++;
    }
    setBelow(fresh === all.length ? 0 : fresh);
  }, []);

  const settle = useCallback(() => {
    const box = scroller.current;
    if (box && !isAtEnd.current && !isPlacing.current && box.scrollHeight <= box.clientHeight + 1) {
      isAtEnd.current = true; // all of it can be seen
      count();
    }
    if (box && isAtEnd.current) {
      box.scrollTop = box.scrollHeight;
      lastTop.current = box.scrollTop;
      lastHeight.current = box.scrollHeight;
    }
  }, []);

  const leaveEnd = useCallback(() => {
    if (isAtEnd.current) {
      isAtEnd.current = false;
      seenKey.current = current.current.rows.at(-1)?.key ?? null;
      count();
    }
  }, []);

  const keepNow = useCallback(() => {
    const isDue = keepTimer.current !== undefined;
    clearTimeout(keepTimer.current);
    keepTimer.current = undefined;
    if (!isDue) {
      return;
    }
    const box = scroller.current;
    const top = box?.getBoundingClientRect().top ?? 0;
    const row = isAtEnd.current ? undefined : rowsIn(box).find((each) => each.getBoundingClientRect().bottom > top);
    remember(sessionId, row ? { key: row.dataset.row!, offset: top - row.getBoundingClientRect().top } : null);
  }, [sessionId]);

  const keep = useCallback(() => {
    clearTimeout(keepTimer.current);
    keepTimer.current = setTimeout(keepNow, KEEP_MS);
  }, [keepNow]);

  const onScroll = useCallback(() => {
    const box = scroller.current;
    if (!box) {
      return; // the last one may come when the conversation is gone
    }
    const { scrollTop: top, scrollHeight: height } = box;
    const left = height - top - box.clientHeight;
    if (left < NEAR) {
      // Who is at the very end is there whichever way he came: what is above may have turned out to be less.
      if (!isAtEnd.current && !isPlacing.current && (top >= lastTop.current || left < 2)) {
        isAtEnd.current = true;
        count();
      }
    } else if (top < lastTop.current - 1) {
      if (isAtEnd.current && height !== lastHeight.current && performance.now() - handAt.current > HAND_MS) {
        settle(); // rows have other sizes than was thought; nobody has scrolled
        return;
      }
      leaveEnd(); // whoever scrolls up is not at the end any more: what grows there moves nobody
    }
    lastTop.current = top;
    lastHeight.current = height;
    keep();
  }, [keep]);

  const toEnd = useCallback(() => {
    isAtEnd.current = true;
    count();
    settle();
    scroller.current?.focus({ preventScroll: true });
  }, []);

  const onKeyDown = useCallback((event: KeyboardEvent) => {
    if (event.target !== scroller.current || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === "End") {
      event.preventDefault();
      toEnd();
    } else if (event.key === "Home") {
      event.preventDefault();
      leaveEnd();
      list.current?.scrollToIndex(0, { align: "start" });
    }
  }, []);

  useEffect(() => {
    const sizes = new ResizeObserver(settle);
    sizes.observe(scroller.current!);
    sizes.observe(content.current!);
    return () => {
      sizes.disconnect();
      clearTimeout(keepTimer.current);
    };
  }, []);

  useEffect(() => {
    const box = scroller.current!;
    const hand = () => {
      handAt.current = performance.now();
    };
    const ways = ["wheel", "touchmove", "pointerdown"] as const;
    ways.forEach((name) => box.addEventListener(name, hand, { passive: true }));
    addEventListener("keydown", hand);
    return () => {
      ways.forEach((name) => box.removeEventListener(name, hand));
      removeEventListener("keydown", hand);
    };
  }, []);

  // Whoever reloads, or leaves, right after he scrolled comes back there.
  useEffect(() => {
    addEventListener("pagehide", keepNow);
    return () => removeEventListener("pagehide", keepNow);
  }, [keepNow]);

  // Where he was before a reload, or where a link points.
  useLayoutEffect(() => {
    if (isPlaced.current || rows.rows.length === 0) {
      return;
    }
    isPlaced.current = true;
    const linked = linkedItem();
    const place = linked ? { key: linked, offset: 0 } : remembered(sessionId);
    const at = place ? rowOfItem(rows, place.key) : -1;
    if (place && at >= 0) {
      isAtEnd.current = false;
      isPlacing.current = true;
      seenKey.current = rows.rows.at(-1)!.key;
      // Where a row stands is known when it, and what is around it, was measured.
      const adjust = (left: number) => requestAnimationFrame(() => {
        const box = scroller.current;
        if (!box || isAtEnd.current) {
          return;
        }
        const row = rowsIn(box).find((each) => each.dataset.row === rows.rows[at]!.key);
        const off = row ? row.getBoundingClientRect().top - box.getBoundingClientRect().top + place.offset : null;
        if (off === null) {
          list.current?.scrollToIndex(at, { align: "start" });
        } else if (Math.abs(off) > 1) {
          box.scrollTop += off;
        }
        if (left > 0) {
          adjust(left - 1);
        } else {
          isPlacing.current = false;
          count();
        }
      });
      adjust(PLACE_FRAMES);
    }
  }, [rows]);

  // A prompt of one's own is always seen.
  useLayoutEffect(() => {
    if (sending > 0) {
      isAtEnd.current = true;
      count();
      settle();
    }
  }, [sending]);

  useLayoutEffect(settle);
  useEffect(count, [rows]);
  return { scroller, content, list, below, toEnd, settle, onScroll, onKeyDown };
}

/** Those that are drawn, from the top down; one that is kept for its focus may stand among them. */
const rowsIn = (box: HTMLElement | null): HTMLElement[] => [...(box?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];

/** `#/s/ID?item=KEY`. */
function linkedItem(): string | null {
  const query = location.hash.split("?", 2)[1];
  return query ? new URLSearchParams(query).get("item") : null;
}

const placeName = (sessionId: string): string => `signalbox:place:${sessionId}`;

function remember(sessionId: string, place: Place | null): void {
  try {
    if (place) {
      sessionStorage.setItem(placeName(sessionId), JSON.stringify(place));
    } else {
      sessionStorage.removeItem(placeName(sessionId));
    }
  } catch {
    // A browser that keeps nothing opens at the end.
  }
}

function remembered(sessionId: string): Place | null {
  try {
    const place = JSON.parse(sessionStorage.getItem(placeName(sessionId)) ?? "null") as Place | null;
    return place && typeof place.key === "string" && Number.isFinite(place.offset) ? place : null;
  } catch {
    return null;
  }
}
