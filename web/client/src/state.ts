// What a session looks like, made from its events alone: no clock, no network, no page.
//
// A state is plain data (it survives JSON and structuredClone) and is never changed: the functions of reduce.ts return the
// next one, and whatever did not change in it is the same object as before.
import type {
  By, Cause, AgentCommand, ContentBlock, FileLocation, PermissionRequest, PlanEntry, PromptCapabilities, Ref, ServerEvent,
  SubscribedMessage,
} from "./protocol.js";

export { reduce, reduceAll, subscribed } from "./reduce.js";
export type { EventLike } from "./reduce.js";

/** Where in which history one is: the last number that one has. */
export interface Position {
  epoch: string;
  seq: number;
}

export type Phase = SubscribedMessage["phase"];
export type Policy = SubscribedMessage["policy"];

/** A prompt in the conversation. */
export interface UserItem {
  kind: "user";
  key: string;
  messageId: string;
  turnId?: string;
  text: string;
  content?: ContentBlock[];
  by: By;
  status: "accepted" | "processing" | "withdrawn" | (string & {});
  cause?: Cause;
  refs?: Ref[];
  ts: number;
}

/** A prompt that waits for the turn before it. */
export interface QueuedPrompt extends Omit<UserItem, "kind" | "key"> {
  position?: number;
}

/** A block of the agent's text, or of its thoughts. `ts` is that of its last event. */
export interface TextItem {
  kind: "text" | "thought";
  key: string;
  messageId: string;
  turnId?: string;
  /** The tool call that it is part of: a sub-agent's. */
  parentToolUseId?: string;
  text: string;
  /** No more of it comes. */
  done: boolean;
  /** False only where the end of the turn ended it. */
  intermediate: boolean;
  refs?: Ref[];
  ts: number;
}

/** A tool call. `refs` name by `/FIELD/...` what was cut in the item's fields; `/delta` is what was cut of the output. */
export interface ToolItem {
  kind: "tool";
  key: string;
  toolUseId: string;
  turnId?: string;
  toolName: string;
  toolKind: string;
  toolInput: { [name: string]: unknown };
  toolIntent?: string;
  toolDisplayName?: string;
  parentToolUseId?: string;
  title?: string;
  status: "pending" | "in_progress" | "completed" | "failed" | (string & {});
  locations?: FileLocation[];
  content: unknown[];
  /** What the tool gave, where it is more than `result`. */
  rawOutput?: unknown;
  /** What it has said so far; empty when it is done: `result` has everything then. */
  output: string;
  result?: string;
  isError: boolean;
  done: boolean;
  refs?: Ref[];
  ts: number;
  endedAt?: number;
}

/** A permission request, in the place where it was asked. */
export interface PermissionItem {
  kind: "permission";
  key: string;
  request: PermissionRequest;
  turnId?: string;
  state: "pending" | "resolved" | "timeout" | "cancelled";
  outcome?: "allowed" | "rejected" | (string & {});
  optionId?: string;
  alwaysAllow?: boolean;
  by?: By;
  message?: string;
  /** The rule that the answer made. */
  ruleId?: string;
  reason?: string;
  cause?: Cause;
  ts: number;
  endedAt?: number;
}

/** The end of a turn. */
export interface EndItem {
  kind: "end";
  key: string;
  turnId?: string;
  stopReason: string;
  durationMs: number;
  usage?: { [name: string]: unknown };
  ts: number;
}

export interface ErrorItem {
  kind: "error";
  key: string;
  error: string;
  code: string;
  fatal: boolean;
  turnId?: string;
  ts: number;
}

/** An update of a kind that has no name in the protocol, as the agent sent it. */
export interface UpdateItem {
  kind: "update";
  key: string;
  update: { [name: string]: unknown };
  turnId?: string;
  refs?: Ref[];
  ts: number;
}

export interface ClosedItem {
  kind: "closed";
  key: string;
  by: By;
  ts: number;
}

export type Item = UserItem | TextItem | ToolItem | PermissionItem | EndItem | ErrorItem | UpdateItem | ClosedItem;

export interface Turn {
  turnId: string;
  messageId: string;
  by: By;
  model?: string;
  ts: number;
}

/** Why nothing more can be applied: something is missing. Subscribing again mends it. */
export interface Hole {
  /** `numbers`: events are missing, `text`: a delta begins behind the text's end (this state is of no use any more). */
  kind: "numbers" | "text";
  expected: number;
  got: number;
}

export interface SessionState {
  sessionId: string;
  epoch: string | null;
  /** The last number that is part of this state; null: the next event says where it begins (`history: "turn"`). */
  seq: number | null;
  /** The number that `phase`, `title`, `policy`, `promptCapabilities` and `pending` were true of when the session was subscribed to. */
  head: number;
  /** The beginning was not asked for (`history` "none" or "turn"), or is not there yet ("end"). */
  partial: boolean;
  hole: Hole | null;
  phase: Phase;
  detail: string | null;
  agent: string | null;
  workspace: string | null;
  createdBy: string | null;
  title: string | null;
  policy: Policy | null;
  /** Who chose the policy; null: nobody did, or it is not known yet. */
  policyBy: By | null;
  /**
   * The conversation, in the order in which it happened. Items are appended, or replaced in their place; only a prompt that
   * was accepted twice, and a text in which a notice came, move to the end. `key` is theirs for good.
   */
  items: readonly Item[];
  queue: readonly QueuedPrompt[];
  /** What waits for an answer, oldest first. */
  pending: readonly PermissionRequest[];
  turn: Turn | null;
  plan: { entries: PlanEntry[]; turnId?: string } | null;
  usage: { used?: number; size?: number; cost?: { [name: string]: unknown }; [name: string]: unknown } | null;
  commands: readonly AgentCommand[];
  mode: { currentModeId: string; availableModes: unknown[] } | null;
  configOptions: readonly unknown[] | null;
  /** What the agent takes in a prompt beside text; null: no agent of this session has said it yet. */
  promptCapabilities: PromptCapabilities | null;
}

/** A session of which nothing is known yet. */
export function emptySession(sessionId: string, epoch: string | null = null): SessionState {
  return {
    sessionId,
    epoch,
    seq: 0,
    head: 0,
    partial: false,
    hole: null,
    phase: "idle",
    detail: null,
    agent: null,
    workspace: null,
    createdBy: null,
    title: null,
    policy: null,
    policyBy: null,
    items: [],
    queue: [],
    pending: [],
    turn: null,
    plan: null,
    usage: null,
    commands: [],
    mode: null,
    configOptions: null,
    promptCapabilities: null,
  };
}

/** The position to subscribe from, or null where the state must be asked for anew. */
export function positionOf(state: SessionState): Position | null {
  return state.epoch !== null && state.seq !== null && state.hole?.kind !== "text" ? { epoch: state.epoch, seq: state.seq } : null;
}

/** What people call the session: its title, else the first line that was asked of it. Empty where neither is known. */
export function sessionName(state: SessionState): string {
  const first = state.partial ? undefined : state.items.find((item): item is UserItem => item.kind === "user");
  const [line = ""] = (state.title || first?.text || (state.partial ? "" : state.queue[0]?.text) || "").trim().split("\n", 1);
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}

/** Whether a message is an event: it has a number (`replay_complete` has one as well, and is none). */
export function isEvent(message: { type: string; seq?: unknown }): message is ServerEvent {
  return typeof message.seq === "number" && message.type !== "replay_complete";
}
