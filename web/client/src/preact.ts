// Bindings for Preact: hooks that draw again when something has changed. The core does not need them.
import { createContext, h } from "preact";
import type { ComponentChildren, VNode } from "preact";
import { useContext, useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import type { SignalboxClient } from "./client.js";
import type { Command, CommandState, CommandType } from "./command.js";
import type { ConnectionState } from "./connection.js";
import type { PermissionsView, SessionsView } from "./lists.js";
import type { PermissionRequest } from "./protocol.js";
import type { SessionOptions, SessionView, WatchedSession } from "./session.js";
import type { Store } from "./store.js";

const Context = createContext<SignalboxClient | null>(null);

/** What is inside has the client: `useClient()` and the hooks below. */
export function SignalboxProvider({ client, children }: { client: SignalboxClient; children?: ComponentChildren }): VNode<any> {
  return h(Context.Provider, { value: client }, children);
}

export function useClient(): SignalboxClient {
  const client = useContext(Context);
  if (!client) {
    throw new Error("useClient: there is no SignalboxProvider around this");
  }
  return client;
}

/** The value of a store. Draws again when it is another one; `select` narrows what that means. */
export function useStore<T>(store: Store<T>): T;
export function useStore<T, U>(store: Store<T>, select: (value: T) => U): U;
export function useStore<T, U>(store: Store<T>, select?: (value: T) => U): T | U {
  const pick = select ?? ((value: T): T | U => value);
  const value = pick(store.get());
  const [shown] = useState({ value, pick });
  const [, redraw] = useState({});
  useLayoutEffect(() => {
    shown.value = value;
    shown.pick = pick;
  });
  useEffect(() => {
    const check = () => {
      if (!Object.is(shown.pick(store.get()), shown.value)) {
        redraw({});
      }
    };
    check(); // it may have changed since it was drawn
    return store.subscribe(check);
  }, [store]);
  return value;
}

/** Whether there is a connection, since when not, and when it is tried again. */
export function useConnection(): ConnectionState {
  return useStore(useClient().connection);
}

/** A session, watched while the component is there. */
export function useSession(sessionId: string, options?: SessionOptions): SessionView & { session: WatchedSession } {
  const client = useClient();
  const session = useMemo(() => client.session(sessionId, options), [client, sessionId]);
  useEffect(() => session.open(), [session]);
  const view = useStore(session.view);
  return useMemo(() => ({ ...view, session }), [view, session]);
}

/** All sessions, kept current while the component is there. */
export function useSessions(): SessionsView {
  const client = useClient();
  useEffect(() => client.watchSessions(), [client]);
  return useStore(client.sessions);
}

/** What waits for an answer: of one session that is watched, or over all of them. */
export function usePermissions(): PermissionsView {
  const client = useClient();
  useEffect(() => client.watchSessions(), [client]);
  return useStore(client.permissions);
}

/** What has not been answered by the server yet, oldest first. */
export function useOutbox(): readonly Command<any>[] {
  return useStore(useClient().outbox);
}

/** The state of a command, or null without one. */
export function useCommand<T extends CommandType>(command: Command<T> | null): CommandState<T> | null {
  const none = useMemo<Store<null>>(() => ({ get: () => null, subscribe: () => () => {} }), []);
  return useStore<CommandState<T> | null>(command ? command.state : none);
}

/** The time that is left of a request in whole seconds, counted down; null: it waits for ever; 0: it has run out. */
export function useSecondsLeft(request: PermissionRequest): number | null {
  const client = useClient();
  const { expiresAt } = request;
  const left = () => (expiresAt === null ? null : Math.max(0, Math.ceil((expiresAt - client.now()) / 1000)));
  const [, redraw] = useState({});
  useEffect(() => {
    if (expiresAt === null) {
      return undefined;
    }
    const timer = setInterval(() => {
      redraw({});
      if (left() === 0) {
        clearInterval(timer);
      }
    }, 500);
    return () => clearInterval(timer);
  }, [client, expiresAt]);
  return left();
}
