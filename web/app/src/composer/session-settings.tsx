import type { SessionView, WatchedSession } from "signalbox-client";

export function SessionSettings({ view }: { session: WatchedSession; view: SessionView }) {
  return <span data-testid="policy">{view.state.policy}</span>;
}
