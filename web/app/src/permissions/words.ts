// What the page says about requests, answers, rules and policies. Pure; nothing in here is the agent's or a person's text
// but what is given to it.
import type { AuditEntry, By, CommandError, PermissionRequest, Rule } from "signalbox-client";
import type { Phrase } from "../ui/visible";

// ---- what is asked ----

const QUESTIONS: { [kind: string]: string } = {
  execute: "Run a command", edit: "Change a file", delete: "Delete", move: "Move", read: "Read", search: "Search",
  fetch: "Fetch from the network", think: "Think", switch_mode: "Change its mode",
};

export function questionOf({ kind, planContent }: Pick<PermissionRequest, "kind" | "planContent">): string {
  return kind === "switch_mode" && planContent ? "Approve a plan" : (QUESTIONS[kind] ?? "Use a tool");
}

// ---- how long ----

/** The time that is left, as it is shown. */
export function timeLeft(seconds: number | null): string {
  if (seconds === null) {
    return "No time limit";
  }
  return seconds <= 0 ? "Time is up" : `${duration(seconds)} left`;
}

export function duration(seconds: number): string {
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 48) {
    return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  }
  return `${Math.floor(hours / 24)} days`;
}

/** When the time left is said aloud: not each second. Seconds, longest first. */
const SAID_ALOUD = [60, 30, 10];

/** The warning that is due between two looks at the clock, or null. */
export function warningBetween(before: number | null, now: number | null): string | null {
  if (now === null || before === null || now >= before) {
    return null;
  }
  const passed = SAID_ALOUD.filter((mark) => before > mark && now <= mark && now > 0).at(-1);
  return passed === undefined ? null : `${passed} seconds left to answer.`;
}

// ---- who answered ----

/** Who or what, as the end of "allowed by ...". `me` is the user's own name; `local` is everybody, where nobody logs in. */
export function byWhom(by: By | undefined, me: string | null): string {
  if (by?.user !== undefined) {
    return by.user !== me ? by.user : `${me === "local" ? me : `you (${me})`}, in another window`;
  }
  if (by?.rule !== undefined) {
    return "a rule";
  }
  if (by?.policy === "operator") {
    return "the server's operator";
  }
  return by?.policy !== undefined ? `the session's policy (${policyOf(by.policy).name})` : "someone else";
}

/** "Allowed by ada." */
export function outcomeSentence(outcome: string | undefined, by: By | undefined, me: string | null): string {
  const what = outcome === "allowed" ? "Allowed" : outcome === "rejected" ? "Rejected" : "Answered";
  return `${what} by ${byWhom(by, me)}.`;
}

const REASONS: { [reason: string]: string } = {
  turn_cancelled: "The turn was cancelled.",
  turn_ended: "The turn ended before there was an answer.",
  withdrawn_by_agent: "The agent no longer asks.",
  session_closed: "The session was closed.",
  agent_exited: "The agent ended, and with it the question.",
  server_stopped: "The server was stopped.",
  server_restarted: "The server was started anew.",
};

export const cancelledSentence = (reason: string | undefined): string => REASONS[reason ?? ""] ?? "It was taken back.";

// ---- an answer that did not count ----

export interface Failure {
  words: string;
  /** There is nothing to answer any more. */
  isOver: boolean;
}

/** Why an answer was not taken, in words. */
export function failureOf(error: Pick<CommandError, "code" | "message" | "outcome" | "nack">, me: string | null): Failure {
  const resolved = error.nack?.resolved;
  switch (error.code) {
    case "already_resolved":
      return { words: `Your answer came second. ${outcomeSentence(resolved?.outcome, resolved?.by, me)}`, isOver: true };
    case "expired":
      return { words: "Your answer came too late: the time was up.", isOver: true };
    case "too_late":
      return { words: "The time was up before your answer could be sent.", isOver: true };
    case "cancelled":
      return { words: "Your answer came too late: the agent no longer waits for one.", isOver: true };
    case "not_found":
      return { words: "The server does not know this request any more.", isOver: true };
    case "withdrawn":
      return { words: "You took your answer back.", isOver: false };
    case "limit_reached":
      return { words: "No more rules can be made on this server. Answer without one, or revoke some first.", isOver: false };
    case "forbidden":
      return { words: `The server does not let you answer so: ${error.message}`, isOver: false };
    default:
      return {
        words: error.outcome === "unknown" ? "Your answer was sent; whether it counted is not known." : `Your answer was not taken: ${error.message}`,
        isOver: false,
      };
  }
}

// ---- rules ----

/** A label of the server's, `always allow \`npm test\` in this workspace`, as a sentence. */
export function labelPhrases(label: string): Phrase[] {
  const [first = "", ...rest] = label.split(/`([^`]*)`/);
  const phrases: Phrase[] = [first.charAt(0).toUpperCase() + first.slice(1)];
  rest.forEach((part, at) => phrases.push(at % 2 === 0 ? { code: part } : part));
  return phrases.filter((phrase) => phrase !== "");
}

export const plainPhrases = (phrases: readonly Phrase[]): string => phrases.map((each) => (typeof each === "string" ? each : each.code)).join("");

const LOOKS: { [kind: string]: string } = {
  read: "read", search: "search in", edit: "change", delete: "delete", move: "move",
};

/** What a rule allows. */
export function ruleWhat(rule: Pick<Rule, "match" | "command" | "kind" | "path" | "label" | "expiresAt">): Phrase[] {
  const allow = rule.expiresAt === null ? "Always allow" : "Allow";
  if (rule.match === "command" && rule.command !== undefined) {
    return [`${allow} the command `, { code: rule.command }];
  }
  if (rule.match === "path" && rule.path !== undefined) {
    const verb = LOOKS[rule.kind ?? ""] ?? `use tools of the kind ${rule.kind ?? "?"} on`;
    return rule.path === "." ? [`${allow} to ${verb} anything in the workspace`]
      : [`${allow} to ${verb} what is in `, { code: `${rule.path}/` }];
  }
  return labelPhrases(rule.label);
}

/** Where a rule holds. `session` is what people call the session. */
export function ruleWhere(rule: Pick<Rule, "scope" | "workspace" | "user">, session: string | null): Phrase[] {
  switch (rule.scope) {
    case "session":
      return ["in one session", ...(session ? [": ", { code: session }] : [])];
    case "workspace":
      return ["in every session in ", { code: rule.workspace ?? "?" }];
    case "user":
      return [`in every session of ${rule.user}, in any workspace`];
    default:
      return [`in the scope ${rule.scope}`];
  }
}

// ---- policies ----

export const POLICIES = ["ask", "read-only", "trust"] as const;

export function policyOf(policy: string): { name: string; means: string } {
  switch (policy) {
    case "ask":
      return { name: "Ask", means: "Whatever the agent asks for waits for a person, unless a rule allows it." };
    case "read-only":
      return { name: "Read-only", means: "Reading and searching is allowed; everything else is rejected, whatever the rules say." };
    case "trust":
      return { name: "Trust", means: "Everything is allowed without asking, except what the server's operator denies." };
    default:
      return { name: policy, means: "This page does not know what this policy means." };
  }
}

/** Why a request waits for a person at all. */
export function whyAsked(policy: string | null, request: Pick<PermissionRequest, "acpOptions">): string {
  if (policy === "trust" || policy === "read-only") {
    return request.acpOptions.some(({ kind }) => kind === "allow_once") ? "No policy answers this."
      : `The policy of this session is ${policyOf(policy).name}, but the agent offers no yes for just this once.`;
  }
  return "The policy of this session is to ask, and no rule allows this.";
}

// ---- the audit ----

const ACTIONS: { [action: string]: string } = {
  rule_made: "Rule made", rule_removed: "Rule removed", policy_changed: "Policy changed", service_refused: "Refused by the server", session_erased: "Session erased",
};
const OUTCOMES: { [outcome: string]: string } = {
  allowed: "Allowed", rejected: "Rejected", timeout: "Ran out", cancelled: "Unanswered",
};

/** What happened, in a word or two. */
export function auditAction(entry: Pick<AuditEntry, "action" | "outcome">): string {
  return entry.action === "decision" ? (OUTCOMES[entry.outcome ?? ""] ?? "Decided") : (ACTIONS[entry.action] ?? entry.action);
}

/** Who or what was behind it, as the end of a sentence; "": nothing is known. */
export function auditBy(entry: Pick<AuditEntry, "by" | "user" | "policy" | "reason">): string {
  switch (entry.by) {
    case "user":
      return `by ${entry.user ?? "a person"}`;
    case "rule":
      return entry.user ? `by a rule of ${entry.user}` : "by a rule";
    case "policy":
      return entry.policy === "operator" ? "by the server's operator" : `by the policy ${policyOf(entry.policy ?? "?").name}`;
    case "timeout":
      return "nobody answered in time";
    case "limit":
      return "too much waited already";
    case "cancellation":
      return cancelledSentence(entry.reason).replace(/\.$/, "").replace(/^[A-Z]/, (letter) => letter.toLowerCase());
    default:
      return entry.user ? `by ${entry.user}` : entry.policy === "operator" ? "by the server's operator" : "";
  }
}
