import { useConnection } from "signalbox-client/preact";
import { PendingPage } from "../permissions/pending-page";
import { RulesPage } from "../permissions/rules-page";
import { useRoute } from "./router";
import { SessionPage } from "./session-page";
import "./shell.css";

/** The frame around everything: which page is shown, and the connection's indicator. */
export function Shell() {
  const route = useRoute();
  const connection = useConnection();
  return (
    <div class="shell">
      <span data-testid="connection-state" data-state={connection.name}>{connection.name}</span>
      {route.name === "session" && <SessionPage key={route.sessionId} sessionId={route.sessionId} />}
      {route.name === "waiting" && <PendingPage />}
      {route.name === "rules" && <RulesPage />}
    </div>
  );
}
