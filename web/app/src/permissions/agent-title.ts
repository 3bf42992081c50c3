import { useAgents } from "../sessions/agents";

/** What people call an agent: the title of the server's configuration, else its name there. */
export function useAgentTitle(agent: string | null): string | null {
  const { list } = useAgents();
  return list?.agents.find(({ name }) => name === agent)?.title || agent;
}
