import { useConnection } from "signalbox-client/preact";

/** The frame around everything: which page is shown, and the connection's indicator. */
export function Shell() {
  const connection = useConnection();
  return <main data-connection={connection.name}>Signalbox</main>;
}
