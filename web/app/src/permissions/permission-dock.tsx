import type { SessionView, WatchedSession } from "signalbox-client";

export function PermissionDock({ view }: { session: WatchedSession; view: SessionView }) {
  return <section>{view.state.pending.map((request) => <p key={request.requestId}>{request.command}</p>)}</section>;
}
