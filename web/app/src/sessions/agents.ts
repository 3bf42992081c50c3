// The agents that the server has, asked for once a connection and whenever its configuration has changed.
import { useEffect } from "preact/hooks";
import type { AgentList, SignalboxClient, Store } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";

export interface AgentsView {
  /** Null until it has come. */
  list: AgentList | null;
  /** Why the last asking failed, for people. */
  error: string | null;
}

class Agents {
  private view: AgentsView = { list: null, error: null };
  private readonly listeners = new Set<() => void>();
  private round = 0;

  constructor(private readonly client: SignalboxClient) {
    client.onMessage(({ type }) => {
      if (type === "connected" || type === "config_changed") {
        void this.refresh();
      }
    });
    if (client.connection.get().name === "live") {
      void this.refresh();
    }
  }

  readonly store: Store<AgentsView> = {
    get: () => this.view,
    subscribe: (listener) => {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
  };

  async refresh(): Promise<void> {
    const round = ++this.round;
    let next: AgentsView;
    try {
      next = { list: await this.client.http.agents(), error: null };
    } catch (error) {
      next = { list: this.view.list, error: error instanceof Error ? error.message : String(error) };
    }
    if (round === this.round && JSON.stringify(next) !== JSON.stringify(this.view)) {
      this.view = next;
      this.listeners.forEach((listener) => listener());
    }
  }
}

const known = new WeakMap<SignalboxClient, Agents>();

function agentsOf(client: SignalboxClient): Agents {
  let agents = known.get(client);
  if (!agents) {
    agents = new Agents(client);
    known.set(client, agents);
  }
  return agents;
}

/** The agents; with `everyMs` asked for again and again, for those who watch how many run. */
export function useAgents(everyMs: number | null = null): AgentsView {
  const client = useClient();
  const agents = agentsOf(client);
  useEffect(() => {
    if (everyMs === null) {
      return undefined;
    }
    const ask = () => {
      if (!document.hidden && client.connection.get().name === "live") {
        void agents.refresh();
      }
    };
    ask();
    const timer = setInterval(ask, everyMs);
    return () => clearInterval(timer);
  }, [agents, everyMs]);
  return useStore(agents.store);
}
