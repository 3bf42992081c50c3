// Where the reader is. At the end he stays at the end, whatever comes; anywhere else nothing moves under him.
import type { RefObject } from "preact";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { VirtualizerHandle } from "virtua";
import { parseRoute } from "../shell/router";
import { toast } from "../ui/toast";
import type { ConversationContext } from "./context";
import { pathTo, rowOfItem } from "./rows";
import type { Rows } from "./rows";

const NEAR = 48; // pixels from the end that count as the end
const KEEP_MS = 250;
const HAND_MS = 1_000; // a hand lets go, and the page scrolls on for a while
const PLACE_FRAMES = 12;
const LINK_MARGIN = 12; // pixels above what a link points to
const POINT_MS = 4_000;

export interface Scroll {
  scroller: RefObject<HTMLDivElement>;
  content: RefObject<HTMLDivElement>;
  list: RefObject<VirtualizerHandle>;
  /** How many rows have come that the reader has not seen; null: he is at the end. */
  below: number | null;
  /** He sees, or will soon see, the first of what is there. */
  isNearTop: boolean;
  toEnd(): void;
  /** Something has another size now. */
  settle(): void;
  onScroll(): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** Where the reader was, for after a reload: the row at the top (null: he was at the end), and how far it is above it. */
interface Place {
  key: string | null;
  offset: number;
  /** The item that the address named then. */
  link: string | null;
}

/** Where he is to be brought. */
interface Aim {
  key: string;
  offset: number;
  isLinked: boolean;
}

interface There {
  /** Nothing is missing at the end. */
  isCurrent: boolean;
  /** Nothing is missing at the beginning. */
  hasBeginning: boolean;
  /** Asks for what is missing at the beginning. */
  loadEarlier(): void;
}

export function useScroll({ sessionId, opened }: ConversationContext, rows: Rows, sending: number, { isCurrent, hasBeginning, loadEarlier }: There): Scroll {
  const isWhole = isCurrent && hasBeginning; // all that was said so far is there
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const isAtEnd = useRef(true);
  const lastTop = useRef(0);
  const lastHeight = useRef(0);
  const handAt = useRef(-HAND_MS);
  const seenKey = useRef<string | null>(null); // the last row when he left the end
  const aim = useRef<Aim | null | undefined>(undefined); // undefined: he was not brought anywhere yet
  const [links, setLinks] = useState(0); // that were followed while this was open
  const isPlacing = useRef(false);
  const keepTimer = useRef<ReturnType<typeof setTimeout>>();
  const current = useRef(rows);
  current.current = rows;
  const isBegun = useRef(hasBeginning);
  isBegun.current = hasBeginning;
  const load = useRef(loadEarlier);
  load.current = loadEarlier;
  const wasCurrent = useRef(false);
  const toTop = useRef(false); // the beginning is not there yet, and he wants to go there
  const [isNearTop, setNearTop] = useState(false);
  const [below, setBelow] = useState<number | null>(null);

  const count = useCallback(() => {
    const all = current.current.rows;
    if (isAtEnd.current) {
      setBelow(null);
      return;
    }
    if (!wasCurrent.current) {
      seenKey.current = all.at(-1)?.key ?? null; // what is being loaded is not new
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
    if (box) {
      setNearTop(box.scrollTop < box.clientHeight);
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
    const link = linkedItem(sessionId);
    remember(sessionId, row ? { key: row.dataset.row!, offset: top - row.getBoundingClientRect().top, link } : link ? { key: null, offset: 0, link } : null);
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
    setNearTop(top < box.clientHeight);
    keep();
  }, [keep]);

  const toEnd = useCallback(() => {
    isAtEnd.current = true;
    count();
    settle();
    scroller.current?.focus({ preventScroll: true });
  }, []);

  const onKeyDown = useCallback((event: KeyboardEvent) => {
    if (!(event.target as Element).matches(".conversation__scroll, [data-key]") || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === "End") {
      event.preventDefault();
      toEnd();
    } else if (event.key === "Home") {
      event.preventDefault();
      leaveEnd();
      toTop.current = !isBegun.current;
      list.current?.scrollToIndex(0, { align: "start" });
      load.current();
    }
  }, []);

  // Whoever comes near to what is missing gets it at once, where it is not on its way already.
  useEffect(() => {
    if (isNearTop && !hasBeginning) {
      load.current();
    }
  }, [isNearTop, hasBeginning]);

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
    const changed = () => {
      const key = linkedItem(sessionId);
      if (key) {
        aim.current = { key, offset: 0, isLinked: true };
        setLinks((all) => all + 1);
      }
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, [sessionId]);

  useEffect(() => {
    const box = scroller.current!;
    const hand = (event: Event) => {
      handAt.current = performance.now();
      toTop.current &&= (event as KeyboardEvent).key === "Home";
      if (event.type !== "keydown" && event.type !== "pointerdown" && aim.current && !aim.current.isLinked) {
        aim.current = null; // he goes elsewhere
      }
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

  useLayoutEffect(() => {
    if (hasBeginning && toTop.current) {
      toTop.current = false;
      list.current?.scrollToIndex(0, { align: "start" });
    }
  }, [hasBeginning]);

  // Where a link points, or where he was before a reload. What is not here yet may still come.
  useLayoutEffect(() => {
    if (rows.rows.length === 0 && !isWhole) {
      return;
    }
    aim.current = aim.current === undefined ? firstAim(sessionId) : aim.current;
    const { current: to } = aim;
    const at = to ? rowOfItem(rows, to.key) : -1;
    if (at < 0) {
      if (isWhole && to) {
        aim.current = null;
        if (to.isLinked) {
          toast("What the link points to is not in this session.", { kind: "note" });
        }
      }
      return;
    }
    aim.current = null;
    bring(to!, at);
  }, [rows, isWhole, links]);

  const bring = (to: Aim, at: number) => {
    const row = rows.rows[at]!;
    isAtEnd.current = false;
    isPlacing.current = true;
    seenKey.current = rows.rows.at(-1)!.key;
    if (to.isLinked) {
      pathTo(row, to.key).forEach((key) => opened.set(key, true));
    }
    // Where something stands is known when it, and what is around it, was measured.
    const adjust = (left: number) => requestAnimationFrame(() => {
      const box = scroller.current;
      if (!box || isAtEnd.current) {
        isPlacing.current = false;
        return;
      }
      const node = (to.isLinked ? itemIn(box, to.key) : null) ?? rowsIn(box).find((each) => each.dataset.row === row.key) ?? null;
      const off = node ? node.getBoundingClientRect().top - box.getBoundingClientRect().top + (to.isLinked ? -LINK_MARGIN : to.offset) : null;
      if (off === null) {
        list.current?.scrollToIndex(at, { align: "start" });
      } else if (Math.abs(off) > 1) {
        box.scrollTop += off;
      }
      if (left > 0) {
        adjust(left - 1);
        return;
      }
      isPlacing.current = false;
      isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      count();
      if (to.isLinked && node) {
        point(node);
      }
    });
    adjust(PLACE_FRAMES);
  };

  // A prompt of one's own is always seen.
  useLayoutEffect(() => {
    if (sending > 0) {
      isAtEnd.current = true;
      count();
      settle();
    }
  }, [sending]);

  useLayoutEffect(settle);
  useEffect(() => {
    count();
    wasCurrent.current ||= isCurrent;
  }, [rows, isCurrent]);
  return { scroller, content, list, below, isNearTop, toEnd, settle, onScroll, onKeyDown };
}

/** Those that are drawn, from the top down; one that is kept for its focus may stand among them. */
const rowsIn = (box: HTMLElement | null): HTMLElement[] => [...(box?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];

const itemIn = (box: HTMLElement, key: string): HTMLElement | null => box.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);

/** Shows which one it is, and lets the keyboard and a screen reader go on from there. */
function point(node: HTMLElement): void {
  if (node.tabIndex < 0) {
    node.tabIndex = -1;
  }
  node.focus({ preventScroll: true });
  node.dataset.linked = "";
  setTimeout(() => delete node.dataset.linked, POINT_MS);
}

/** `#/s/ID?item=KEY`. */
function linkedItem(sessionId: string): string | null {
  const route = parseRoute(location.hash);
  return route.name === "session" && route.sessionId === sessionId ? (route.item ?? null) : null;
}

let hasOpened = false; // since the page was loaded

/** Where the reader of a session that is opened now is to be brought; null: to its end. */
export const wantedItem = (sessionId: string): string | null => aimOf(sessionId)?.key ?? null;

function firstAim(sessionId: string): Aim | null {
  const aim = aimOf(sessionId);
  hasOpened = true;
  return aim;
}

/** After a reload one is where one was, also where the address still names what one had come for. */
function aimOf(sessionId: string): Aim | null {
  const link = linkedItem(sessionId);
  const place = remembered(sessionId);
  const [loaded] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  const isBack = !hasOpened && loaded !== undefined && loaded.type !== "navigate" && place?.link === link;
  if (link && !isBack) {
    return { key: link, offset: 0, isLinked: true };
  }
  return place && place.key !== null ? { key: place.key, offset: place.offset, isLinked: false } : null;
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
    return place && (typeof place.key === "string" || place.key === null) && Number.isFinite(place.offset) ? place : null;
  } catch {
    return null;
  }
}
