// What there is to say of an agent before one starts it. Pure.
import type { Agent } from "signalbox-client";

export interface AgentNote {
  kind: "bad" | "warn" | "plain";
  text: string;
}

/** Whether the server would try to start it now. */
export function canStart(agent: Agent, now: number): boolean {
  return agent.available && !(agent.state === "open" && (agent.until === undefined || agent.until > now));
}

/** `clock` says a time for people. */
export function agentNotes(agent: Agent, now: number, clock: (at: number) => string): AgentNote[] {
  const notes: AgentNote[] = [];
  if (!agent.available) {
    notes.push({ kind: "plain", text: agent.reason ? `Not available: ${agent.reason}` : "Not available on the server." });
    return notes;
  }
  if (agent.state === "open") {
    const until = agent.until === undefined ? "" : agent.until > now ? ` before ${clock(agent.until)}` : "";
    notes.push({ kind: "bad", text: until ? `It failed again and again and is not started${until}.` : "It failed again and again; it is tried once more now." });
  } else if (agent.state === "half_open") {
    notes.push({ kind: "warn", text: "It failed again and again, and is being tried once." });
  }
  if (agent.lastError) {
    // Also where a login is missing: the message names the ways.
    notes.push({ kind: agent.state === "closed" ? "warn" : "bad", text: `Last time: ${agent.lastError.message}` });
  }
  return notes;
}

/** The one that is chosen at first: what was used last where it can be, else the first that can. */
export function firstChoice(agents: readonly Agent[], last: string | null, now: number): string {
  const usable = agents.filter((agent) => canStart(agent, now));
  return (usable.find(({ name }) => name === last) ?? usable[0] ?? agents.find(({ available }) => available))?.name ?? "";
}
