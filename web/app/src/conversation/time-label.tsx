import { useClient } from "signalbox-client/preact";
import { clock } from "../ui/time";

/** When it was: shown while one points at it. */
export function Time({ at }: { at: number }) {
  const client = useClient();
  const date = new Date(at);
  return <time class="time-label" dateTime={date.toISOString()} title={date.toLocaleString()}>{clock(at, client.now())}</time>;
}
