// What the protocol's words mean, for people. All of them are open: one that is not known here is shown as it came.
import type { By } from "signalbox-client";
import type { PermissionItem, ToolItem } from "signalbox-client/state";
import { onOneLine } from "../ui/text";

const known = (words: { [name: string]: string }, name: string): string => (Object.hasOwn(words, name) ? words[name]! : onOneLine(name));

const STOPPED: { [reason: string]: string } = {
  end_turn: "Done",
  max_tokens: "Stopped: the answer was cut at the model's limit",
  max_turn_requests: "Stopped: the agent asked its model as often as it may in one turn",
  refusal: "The agent refused, and forgets this prompt",
  cancelled: "Cancelled",
  agent_exited: "The agent ended",
  server_restarted: "The server was restarted",
  error: "Ended by an error",
};
export const stopInWords = (reason: string): string => known(STOPPED, reason);

const STATUS: { [status: string]: string } = { pending: "waiting", in_progress: "running", completed: "done", failed: "failed", cancelled: "cancelled" };
export const statusInWords = (status: string): string => known(STATUS, status);

const CANCELLED: { [reason: string]: string } = {
  turn_cancelled: "the turn was cancelled",
  turn_ended: "the turn ended",
  withdrawn_by_agent: "the agent took it back",
  session_closed: "the session was closed",
  agent_exited: "the agent ended",
  server_stopped: "the server was stopped",
  server_restarted: "the server was restarted",
};

/** An error's headline, and what one can do. */
export function errorInWords(code: string): { title: string; advice?: string } {
  return Object.hasOwn(ERRORS, code) ? ERRORS[code]! : { title: `Error: ${onOneLine(code)}` };
}

const ERRORS: { [code: string]: { title: string; advice?: string } } = {
  agent_error: { title: "The agent answered with an error", advice: "Send the prompt again, or another one." },
  agent_failed: { title: "The agent did not start", advice: "The next prompt tries again. The server's log says more." },
  agent_unavailable: { title: "The agent is not available", advice: "Its program is not installed, or it failed too often. Later prompts try again." },
  agent_exited: { title: "The agent ended unexpectedly", advice: "The next prompt starts it again." },
  cancel_ignored: { title: "The agent did not stop when it was told to", advice: "It was ended. The next prompt starts it again." },
  server_restarted: { title: "The server was restarted", advice: "Its agents ended with it. The next prompt starts this one again." },
  server_stopped: { title: "The server was stopped", advice: "Its agents ended with it. The next prompt starts this one again." },
  agent_hangs: { title: "The agent gave no sign of life", advice: "The turn was cancelled. Send the prompt again." },
  agent_memory_lost: { title: "The agent does not remember what was said before", advice: "The conversation is all here, but the agent begins anew: tell it what it should know." },
  setting_lost: { title: "A setting could not be set again", advice: "Check the agent's mode and options." },
  limit_reached: { title: "A limit was reached" },
  not_found: { title: "Something that the prompt names is not there any more", advice: "Attach it again." },
  unsupported: { title: "The agent does not take this", advice: "Send it in another form." },
  forbidden: { title: "This is not allowed here", advice: "The server's configuration forbids it." },
  storage_unavailable: { title: "Nothing can be recorded at the moment", advice: "It goes on by itself when the server can write again." },
  internal: { title: "The server failed at this", advice: "Try again. The server's log says more." },
};

export interface Me {
  clientId: string;
  user: string | null;
}

/** Who or what did it: "you", "ada", "a rule", "the session's policy (read-only)". */
export function byInWords(by: By | undefined, me: Me, clientId?: string): string {
  if (by?.rule) {
    return "a rule";
  }
  if (by?.policy === "operator") {
    return "the server's configuration";
  }
  if (by?.policy) {
    return `the session's policy (${onOneLine(by.policy)})`;
  }
  if (clientId !== undefined && clientId === me.clientId) {
    return "you";
  }
  if (by?.user) {
    const name = onOneLine(by.user).slice(0, 80);
    return by.user === me.user ? (clientId === undefined ? "you" : "you, elsewhere") : name;
  }
  return "somebody";
}

const SCOPES: { [kind: string]: string } = { allow_once: "once", allow_always: "always", reject_once: "once", reject_always: "always" };

/** What became of a permission request: "Allowed once by ada". */
export function permissionInWords(item: PermissionItem, me: Me): { verdict: string; how: string; isGood: boolean } {
  switch (item.state) {
    case "pending":
      return { verdict: "Waiting for an answer", how: "", isGood: true };
    case "timeout":
      return { verdict: "Nobody answered in time", how: "", isGood: false };
    case "cancelled":
      return { verdict: "Not asked any more", how: Object.hasOwn(CANCELLED, item.reason ?? "") ? CANCELLED[item.reason!]! : onOneLine(item.reason ?? ""), isGood: false };
    default: {
      const option = item.request.acpOptions?.find((each) => each.optionId === item.optionId);
      const scope = item.ruleId ? "and remembered as a rule" : item.alwaysAllow ? "always" : option && Object.hasOwn(SCOPES, option.kind) ? SCOPES[option.kind]! : "";
      const isGood = item.outcome === "allowed";
      const verdict = isGood ? "Allowed" : item.outcome === "rejected" ? "Rejected" : onOneLine(item.outcome ?? "Answered");
      return { verdict, how: [scope, `by ${byInWords(item.by, me, item.cause?.clientId)}`].filter(Boolean).join(" "), isGood };
    }
  }
}

const TELLING = ["command", "cmd", "file_path", "filePath", "path", "pattern", "query", "url", "uri"];

/** The one line by which a person knows a tool call: its command, its path, what it looks for. And the field that it came from. */
export function tellingOf(input: { [name: string]: unknown } | undefined): { field: string | null; text: string } {
  for (const field of TELLING) {
    const value = input?.[field];
    if (typeof value === "string" && value !== "") {
      return { field, text: value };
    }
    if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "string")) {
      return { field, text: value.join(" ") };
    }
  }
  return { field: null, text: "" };
}

/** A call's name and what it is about, each on one line. */
export function titleOf(item: ToolItem): { title: string; about: string; command: string } {
  const { text, field } = tellingOf(item.toolInput);
  const isCommand = field === "command" || field === "cmd";
  const name = item.toolDisplayName || item.title || item.toolName || "Tool";
  const isSame = bare(name) === bare(text) || (text !== "" && bare(name).includes(bare(text)));
  const title = isSame && bare(name) === bare(text) ? (item.toolName && bare(item.toolName) !== bare(text) ? item.toolName : KIND_NAMES[item.toolKind] ?? "Tool") : name;
  const about = isSame && bare(name) !== bare(text) ? "" : text || (item.locations ?? []).map((each) => each.path).join("  ");
  return { title: short(title), about: short(about), command: isCommand ? text : "" };
}

const bare = (text: string): string => text.replaceAll("`", "").trim();
const short = (text: string): string => {
  const line = onOneLine(text.slice(0, 600));
  return line.length > 300 ? `${line.slice(0, 299)}…` : line;
};

const KIND_NAMES: { [kind: string]: string } = {
  execute: "Run", read: "Read", edit: "Edit", delete: "Delete", move: "Move", search: "Search", fetch: "Fetch", think: "Think", switch_mode: "Mode", other: "Tool",
};

/** "0.4 s", "12 s", "3 min 20 s", "2 h 5 min". */
export function durationInWords(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  if (seconds < 59.5) {
    return `${Math.round(seconds)} s`;
  }
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) {
    return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
  }
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** "3.2k", "1.4M". */
export function shortNumber(value: number): string {
  return value >= 999_500 ? `${(value / 1e6).toFixed(1)}M` : value >= 999.5 ? `${(value / 1e3).toFixed(value >= 9_950 ? 0 : 1)}k` : String(Math.round(value));
}

/** "812 bytes", "3.4 KB", "1.2 MB". */
export function sizeInWords(bytes: number): string {
  return bytes < 1_000 ? `${bytes} bytes` : bytes < 999_950 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** What a turn has used, where the agent says so. */
export function tokensOf(usage: { [name: string]: unknown } | undefined): number | null {
  const number = (name: string) => (typeof usage?.[name] === "number" && Number.isFinite(usage[name]) ? (usage[name] as number) : null);
  const total = number("totalTokens") ?? number("total_tokens");
  if (total !== null) {
    return total;
  }
  const parts = ["inputTokens", "outputTokens", "input_tokens", "output_tokens"].map(number).filter((each): each is number => each !== null);
  return parts.length > 0 ? parts.reduce((sum, each) => sum + each, 0) : null;
}
