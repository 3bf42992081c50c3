// Times as people say them. All Unix milliseconds; `now` by the server's clock (`client.now()`). Pure but for the hook.
import { useEffect, useState } from "preact/hooks";
import { useClient } from "signalbox-client/preact";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How long ago, short: "now", "5 min", "3 h", "yesterday", "12 Mar", "12 Mar 2024". */
export function ago(at: number, now: number, locale?: string): string {
  const past = Math.max(0, now - at);
  if (past < MINUTE) {
    return "now";
  }
  if (past < HOUR) {
    return `${Math.floor(past / MINUTE)} min`;
  }
  const days = daysBetween(at, now);
  if (days === 0 || past < 6 * HOUR) {
    return `${Math.floor(past / HOUR)} h`;
  }
  if (days === 1) {
    return "yesterday";
  }
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return new Date(at).toLocaleDateString(locale, { day: "numeric", month: "short", ...(isThisYear ? {} : { year: "numeric" }) });
}

/** How long, short: "12 s", "4 min", "2 h 5 min", "3 d". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  }
  return `${Math.floor(hours / 24)} d`;
}

/** "14:05", with the day where it is not today's. */
export function clock(at: number, now: number, locale?: string): string {
  const time = new Date(at).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit" });
  const day = daysBetween(at, now) === 0 ? "" : new Date(at).toLocaleDateString(locale, { day: "numeric", month: "short" });
  return day ? `${day}, ${time}` : time;
}

/** Calendar days from one to the other, by the clock on the wall. */
export function daysBetween(at: number, now: number): number {
  const midnight = (time: number) => new Date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(now) - midnight(at)) / DAY);
}

/** The server's time, anew after each `everyMs`; null: it stands still. */
export function useNow(everyMs: number | null): number {
  const client = useClient();
  const [, redraw] = useState({});
  useEffect(() => {
    if (everyMs === null) {
      return undefined;
    }
    const timer = setInterval(() => redraw({}), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return client.now();
}
