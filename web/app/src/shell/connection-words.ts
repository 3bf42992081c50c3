// What is said of a connection. Pure.
import type { ConnectionState, Sync } from "signalbox-client";
import { clock } from "../ui/time";

export interface ConnectionWords {
  shown: "live" | "catching-up" | "connecting" | "offline" | "stopped";
  /** A line, and the same where there is little room. */
  text: string;
  brief: string;
  /** Where there is more to say. */
  more?: string;
}

/** `sync`: of the session that one looks at. `now`: by this machine's clock, as the connection's times. */
export function connectionWords(connection: ConnectionState, sync: Sync | null, now: number): ConnectionWords {
  switch (connection.name) {
    case "live":
      return sync === "catching_up" || sync === "waiting"
        ? { shown: "catching-up", text: "Catching up…", brief: "Catching up" }
        : { shown: "live", text: "Live", brief: "Live" };
    case "idle":
    case "connecting":
      return { shown: "connecting", text: "Connecting…", brief: "Connecting" };
    case "offline": {
      const seconds = Math.max(0, Math.ceil((connection.retryAt - now) / 1000));
      const more = [connection.reason, connection.breaker === "closed" ? "" : "It failed many times, so it is tried less often."].filter(Boolean).join(". ");
      return { shown: "offline", text: `Offline since ${clock(connection.since, now)} · retrying in ${seconds} s`, brief: `Offline · ${seconds} s`, more };
    }
    case "stopped":
      return { shown: "stopped", text: connection.why === "login" ? "Signed out" : "Not connected", brief: connection.why === "login" ? "Signed out" : "Stopped", more: connection.reason };
    case "closed":
      return { shown: "stopped", text: "Not connected", brief: "Stopped" };
  }
}

/** Why a connection does not come back by itself, and what helps. */
export function stopWords({ why, reason, code }: Extract<ConnectionState, { name: "stopped" }>): { text: string; action: "restart" | "reload" } {
  const because = reason ? ` (${reason})` : "";
  switch (why) {
    case "replaced":
      return { text: "Another tab or window has taken over this one's connection, perhaps a copy of it. What is shown here stands still.", action: "restart" };
    case "forbidden":
      return { text: `The server does not let this page in${because}. Perhaps it was opened by another address than the server expects.`, action: "restart" };
    case "rate_limited":
      return { text: `Too many connections or requests${because}.`, action: "restart" };
    case "protocol":
      return { text: `This page and the server do not understand each other${because}. The server may have been updated.`, action: "reload" };
    default:
      return { text: `The connection has ended${reason ? `: ${reason}` : code ? ` (code ${code})` : ""}.`, action: "restart" };
  }
}
