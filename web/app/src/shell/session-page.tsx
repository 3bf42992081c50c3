import { useEffect, useMemo } from "preact/hooks";
import type { SessionView, WatchedSession } from "signalbox-client";
import { sessionName } from "signalbox-client";
import { useClient, useSession } from "signalbox-client/preact";
import { Composer } from "../composer/composer";
import { SessionSettings } from "../composer/session-settings";
import { Conversation } from "../conversation/conversation";
import { PlanPanel } from "../conversation/plan-panel";
import { PermissionDock } from "../permissions/permission-dock";
import { firstLine, nameBookOf } from "../sessions/names";
import { ErrorBoundary } from "../ui/error-boundary";
import { AlertIcon } from "../ui/icons";
import { NARROW, WIDE, useMedia } from "../ui/media";
import { TroubleStrip } from "./connection";
import { hrefOf } from "./router";
import { SessionHeader } from "./session-header";
import "./session-page.css";

/** One session: what was said, what is asked, and where one writes. */
export function SessionPage({ sessionId }: { sessionId: string }) {
  const { session, ...view } = useSession(sessionId);
  const { state, error } = view;
  const client = useClient();
  const isNarrow = useMedia(NARROW);
  const name = sessionName(state);
  useEffect(() => nameBookOf(client).learn(sessionId, firstLine(name)), [client, sessionId, name]);

  const isMissing = error?.code === "not_found" || error?.code === "forbidden";
  const isKnown = state.epoch !== null;
  return (
    <section class="session-page" aria-label="Session">
      {!isMissing && <SessionHeader state={state} />}
      {isNarrow && <TroubleStrip />}
      {error && !isMissing && (
        <div class="session-strip" role="alert" data-testid="session-trouble"><AlertIcon /> <p>This session cannot be watched at the moment: {error.message}</p></div>
      )}
      {isMissing ? <Missing message={error.message} /> : isKnown ? <Body session={session} view={view} /> : <Loading />}
    </section>
  );
}

function Body({ session, view }: { session: WatchedSession; view: SessionView }) {
  const { state } = view;
  const isWide = useMedia(WIDE);
  const hasPlan = state.plan !== null && state.plan.entries.length > 0;
  // The same element is not drawn again: a state is another one with each word that the agent says.
  const plan = useMemo(() => <ErrorBoundary name="The plan"><PlanPanel state={state} /></ErrorBoundary>, [state.plan]);
  return (
    <div class={`session-page__body${isWide && hasPlan ? " session-page__body--wide" : ""}`}>
      <div class="session-page__column">
        {!isWide && hasPlan && <div class="session-page__fold">{plan}</div>}
        <ErrorBoundary name="The conversation"><Conversation session={session} view={view} /></ErrorBoundary>
        <div class="session-page__dock">
          <ErrorBoundary name="What is asked"><PermissionDock session={session} view={view} /></ErrorBoundary>
          <ErrorBoundary name="The place to write"><Composer session={session} view={view} /></ErrorBoundary>
          <ErrorBoundary name="The session's settings"><SessionSettings session={session} view={view} /></ErrorBoundary>
        </div>
      </div>
      {isWide && hasPlan && <aside class="session-page__side" aria-label="Plan">{plan}</aside>}
    </div>
  );
}

function Missing({ message }: { message: string }) {
  return (
    <div class="session-page__missing" data-testid="session-missing">
      <h1>This session is not there</h1>
      <p>{message}</p>
      <a class="button" href={hrefOf({ name: "home" })}>To the sessions</a>
    </div>
  );
}

function Loading() {
  return (
    <div class="session-page__loading" role="status">
      <span class="visually-hidden">Loading…</span>
      <i /><i /><i /><i />
    </div>
  );
}
