// The words for what a session is doing.

/** A phase as it is shown: that something waits goes before what the agent does. */
export function shownPhase({ phase, pending }: { phase: string; pending: number }): string {
  return pending > 0 && phase !== "closed" ? "waiting" : phase;
}

const WORDS: { [phase: string]: string } = {
  starting: "Starting", idle: "Ready", running: "Running", waiting: "Waiting for you", stopped: "Asleep", failed: "Failed", closed: "Closed",
};

export const phaseWord = (phase: string): string => WORDS[phase] ?? phase;

/** What a phase means, for those who wonder. */
const EXPLANATIONS: { [phase: string]: string } = {
  starting: "Its agent is being started.",
  idle: "Its agent has nothing to do.",
  running: "Its agent is at work.",
  waiting: "Its agent waits for an answer.",
  stopped: "Its agent is not running. The next prompt starts it again.",
  failed: "Its agent could not go on.",
  closed: "It is over. What was said stays readable.",
};

export const phaseExplanation = (phase: string): string => EXPLANATIONS[phase] ?? "";
