// Where one is, as the address says it behind its `#`. Pure but for the hook.
import { useEffect, useState } from "preact/hooks";

export type Route =
  | { name: "home" }
  | { name: "new" }
  | { name: "session"; sessionId: string; item?: string } // `item`: the key of what is to be seen of it
  | { name: "waiting" }
  | { name: "rules" }
  | { name: "settings" }
  | { name: "unknown"; hash: string };

const PLAIN = new Set(["new", "waiting", "rules", "settings"] as const);

/** The route of `location.hash`. An address that somebody cut or typed is `unknown`, not an error. */
export function parseRoute(hash: string): Route {
  const [before = "", query = ""] = hash.split(/\?(.*)/s); // behind a ? is where in it one is
  const path = before.replace(/^#?\/?/, "").replace(/\/$/, "");
  if (path === "") {
    return { name: "home" };
  }
  for (const name of PLAIN) {
    if (path === name) {
      return { name };
    }
  }
  const match = /^s\/([^/]+)$/.exec(path);
  try {
    const item = new URLSearchParams(query).get("item");
    return match ? { name: "session", sessionId: decodeURIComponent(match[1]!), ...(item && { item }) } : { name: "unknown", hash };
  } catch {
    return { name: "unknown", hash };
  }
}

/** What a link to a route has as `href`. */
export function hrefOf(route: Route): string {
  switch (route.name) {
    case "home":
      return "#/";
    case "session":
      return `#/s/${encodeURIComponent(route.sessionId)}${route.item ? `?item=${encodeURIComponent(route.item)}` : ""}`;
    case "unknown":
      return route.hash;
    default:
      return `#/${route.name}`;
  }
}

/** The whole address of a route, for somebody else. */
export const addressOf = (route: Route): string => new URL(hrefOf(route), location.href.replace(/#.*/s, "")).href;

export function go(route: Route, { replace = false } = {}): void {
  if (replace) {
    location.replace(hrefOf(route));
  } else {
    location.hash = hrefOf(route);
  }
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = () => setHash(location.hash);
    addEventListener("hashchange", changed);
    changed();
    return () => removeEventListener("hashchange", changed);
  }, []);
  return parseRoute(hash);
}
