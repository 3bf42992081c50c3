// The agent's slash commands while one types. Pure.
import type { AgentCommand } from "signalbox-client";

const MOST = 50;

/** What stands behind the slash, where the text is nothing but the beginning of a command and the cursor is in it; else null. */
export function slashQuery(text: string, at: number): string | null {
  const match = /^\/(\S*)$/.exec(text.slice(0, at));
  return match && /^(\s|$)/.test(text.slice(at)) ? match[1]! : null;
}

/** Those that match: first by the beginning of the name, then by a part of it, then by what they are about. */
export function matchingCommands(commands: readonly AgentCommand[], query: string): AgentCommand[] {
  const wanted = query.toLowerCase();
  const rank = ({ name, description }: AgentCommand): number => {
    const lower = name.toLowerCase();
    return lower.startsWith(wanted) ? 0 : lower.split(/[:/._-]/).some((part) => part.startsWith(wanted)) ? 1
      : lower.includes(wanted) ? 2 : wanted.length > 2 && description.toLowerCase().includes(wanted) ? 3 : -1;
  };
  return commands
    .map((command) => ({ command, rank: rank(command) }))
    .filter((each) => each.rank >= 0)
    .sort((a, b) => a.rank - b.rank)
    .slice(0, MOST)
    .map(({ command }) => command);
}

/** The text with the command in it, and where the cursor is then. */
export function completed(text: string, at: number, command: AgentCommand): { text: string; at: number } {
  const rest = text.slice(at).replace(/^ /, "");
  const begin = `/${command.name} `;
  return { text: begin + rest, at: begin.length };
}

/** What may follow the command that the text begins with, as long as nothing does. */
export function hintOf(commands: readonly AgentCommand[], text: string): string | null {
  const match = /^\/(\S+) ?$/.exec(text);
  return commands.find(({ name }) => name === match?.[1])?.hint || null;
}
