import { useEffect, useState } from "preact/hooks";
import type { ConnectionState, SessionView, SignalboxClient, Store, Sync } from "signalbox-client";
import { useClient, useConnection, useStore } from "signalbox-client/preact";
import { AlertIcon, OfflineIcon, RefreshIcon } from "../ui/icons";
import { clock, useNow } from "../ui/time";
import { connectionWords, stopWords } from "./connection-words";
import "./connection.css";

/** How current the session is that one looks at; null: one looks at none. */
function useSync(sessionId: string | null): Sync | null {
  const client = useClient();
  const none: Store<null> = { get: () => null, subscribe: () => () => {} };
  const store: Store<SessionView | null> = sessionId === null ? none : client.session(sessionId).view;
  return useStore(store, (view) => (view === null || view.error ? null : view.sync)); // what is refused is not on its way
}

/** A mark and a few words: live, catching up, connecting, offline since when and when it is tried again, stopped. */
export function ConnectionIndicator({ sessionId, short = false }: { sessionId: string | null; short?: boolean }) {
  const connection = useConnection();
  const sync = useSync(sessionId);
  const client = useClient();
  const now = useNow(connection.name === "offline" ? 500 : null) - offsetOf(client);
  const words = connectionWords(connection, sync, now);
  return (
    <span class={`connection${short ? " connection--short" : ""}`} data-testid="connection-state" data-state={dataState(connection)} data-shown={words.shown}>
      <span class="connection__mark" aria-hidden="true" />
      <span class={short && words.shown === "live" ? "visually-hidden" : "connection__words"} title={words.more}>{short ? words.brief : words.text}</span>
    </span>
  );
}

// The connection's times are by this machine's clock, `useNow` is by the server's.
const offsetOf = (client: SignalboxClient): number => client.now() - Date.now();

function dataState({ name }: ConnectionState): string {
  return name === "idle" || name === "closed" ? "stopped" : name;
}

/** Says changes that last to screen readers, and no more than those. */
export function ConnectionAnnouncer() {
  const { name } = useConnection();
  const [said, setSaid] = useState("");
  const [wasDown, setWasDown] = useState(false);
  useEffect(() => {
    if (name === "live") {
      if (wasDown) {
        setSaid("Connected again.");
        setWasDown(false);
      }
      return undefined;
    }
    const timer = setTimeout(() => {
      setWasDown(true);
      setSaid(name === "stopped" ? "The connection has ended." : "Offline. What you write is sent later.");
    }, 3_000);
    return () => clearTimeout(timer);
  }, [name === "live", name === "stopped"]);
  return <p class="visually-hidden" role="status">{said}</p>;
}

const PATIENCE_MS = 1_500; // a connection that is back at once is no news

/** A strip over the page's content when something is wrong, with what can be done. Blocks nothing. */
export function TroubleStrip() {
  const client = useClient();
  const connection = useConnection();
  const health = useStore(client.storeHealth);
  return (
    <>
      {connection.name === "stopped" && connection.why !== "login" && <Stopped connection={connection} />}
      {(connection.name === "offline" || connection.name === "connecting") && <Offline connection={connection} />}
      {connection.name === "live" && !health.ok && (
        <div class="trouble trouble--bad" data-testid="store-trouble">
          <AlertIcon />
          <p>
            The server cannot record anything at the moment, so agents are held back. What you send waits.
            {health.reason && <span class="trouble__more"> {health.reason}</span>}
          </p>
        </div>
      )}
    </>
  );
}

function Stopped({ connection }: { connection: Extract<ConnectionState, { name: "stopped" }> }) {
  const client = useClient();
  const { text, action } = stopWords(connection);
  const act = () => (action === "reload" ? location.reload() : client.restart({ newIdentity: connection.why === "replaced" }));
  return (
    <div class="trouble trouble--bad" role="alert" data-testid="connection-stopped" data-why={connection.why}>
      <AlertIcon />
      <p>{text}</p>
      <button type="button" class="button" data-testid="connection-restart" onClick={act}>
        {action === "reload" ? "Reload the page" : connection.why === "replaced" ? "Go on in this tab" : "Connect again"}
      </button>
    </div>
  );
}

function Offline({ connection }: { connection: Extract<ConnectionState, { name: "offline" | "connecting" }> }) {
  const client = useClient();
  const isNew = client.server.get() === null; // the first connection of this page
  const now = useNow(500) - offsetOf(client);
  if (now - connection.since < PATIENCE_MS) {
    return null;
  }
  const seconds = connection.name === "offline" ? Math.max(0, Math.ceil((connection.retryAt - now) / 1000)) : 0;
  return (
    <div class="trouble" data-testid="connection-offline">
      <OfflineIcon />
      <p>
        {isNew ? "The server cannot be reached." : `Offline since ${clock(connection.since, now)}.`}{" "}
        <span class="trouble__more">
          {connection.name === "connecting" ? "Connecting…" : `Next try in ${seconds} s.`} What you write is sent when the connection is back.
        </span>
      </p>
      <button type="button" class="button" data-testid="retry-now" disabled={connection.name === "connecting"} onClick={() => client.retryNow()}>
        <RefreshIcon size={14} /> Try now
      </button>
    </div>
  );
}
