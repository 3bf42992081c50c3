import type { SessionView, WatchedSession } from "signalbox-client";

export function Conversation({ view }: { session: WatchedSession; view: SessionView }) {
  return <section data-testid="conversation" data-sync={view.sync}>{view.state.items.length} items</section>;
}
