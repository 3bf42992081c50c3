import { useEffect, useState } from "preact/hooks";

/** Below this width there is one column: the list of sessions is a page of its own. In shell.css as well. */
export const NARROW = "(max-width: 799px)";
/** From this width on there is room for a panel beside the conversation. */
export const WIDE = "(min-width: 1240px)";

/** Whether a media query holds, kept current. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const check = () => setHolds(list.matches);
    check();
    list.addEventListener("change", check);
    return () => list.removeEventListener("change", check);
  }, [query]);
  return holds;
}
