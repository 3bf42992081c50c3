import { useSession } from "signalbox-client/preact";
import { Composer } from "../composer/composer";
import { SessionSettings } from "../composer/session-settings";
import { Conversation } from "../conversation/conversation";
import { PlanPanel } from "../conversation/plan-panel";
import { UsageMeter } from "../conversation/usage-meter";
import { PermissionDock } from "../permissions/permission-dock";
import "./session-page.css";

/** One session: what was said, what is asked, and where one writes. */
export function SessionPage({ sessionId }: { sessionId: string }) {
  const { session, ...view } = useSession(sessionId);
  return (
    <main class="session-page">
      <header>
        <h1 data-testid="session-title">{view.state.title}</h1>
        <UsageMeter state={view.state} />
        <SessionSettings session={session} view={view} />
      </header>
      <Conversation session={session} view={view} />
      <PlanPanel state={view.state} />
      <PermissionDock session={session} view={view} />
      <Composer session={session} view={view} />
    </main>
  );
}
