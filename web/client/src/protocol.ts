// Made by scripts/generate-types.mjs from `signalbox schema`; do not edit.

/** The subprotocol. */
export const PROTOCOL = "signalbox.v1";

/** A command, from the client. One of another type is answered by `unknown_type`. */
export type ClientMessage = SubscribeCommand | UnsubscribeCommand | WatchSessionsCommand | UnwatchSessionsCommand | CreateSessionCommand | CloseSessionCommand | PromptCommand | WithdrawCommand | ResumeQueueCommand | CancelCommand | PermissionResponseCommand | SetPolicyCommand | SetModeCommand | SetConfigOptionCommand | SeenCommand | PingCommand;

/** A session event. A client ignores types that it does not know. */
export type ServerEvent = SessionCreatedEvent | SessionClosedEvent | StatusEvent | UserMessageEvent | TurnStartedEvent | TextDeltaEvent | TextCompleteEvent | ThoughtDeltaEvent | ThoughtCompleteEvent | ToolStartEvent | ToolOutputEvent | ToolUpdateEvent | ToolResultEvent | PlanEvent | CommandsEvent | ModeEvent | ConfigOptionsEvent | PromptCapabilitiesEvent | UsageEvent | TitleEvent | PolicyEvent | PermissionRequestEvent | PermissionResolvedEvent | PermissionTimeoutEvent | PermissionCancelledEvent | CompleteEvent | ErrorEvent | AgentUpdateEvent;

/** A message without a number. A client ignores types that it does not know. */
export type ServerControl = ConnectedMessage | AckMessage | NackMessage | SubscribedMessage | ReplayCompleteMessage | UnsubscribedMessage | LaggingMessage | CaughtUpMessage | PermissionQueueStatusMessage | SessionsMessage | SessionChangedMessage | SessionRemovedMessage | PermissionWaitingMessage | PermissionEndedMessage | ConfigChangedMessage | StoreMessage | ShuttingDownMessage | PongMessage;

/** Any message from the server. */
export type ServerMessage = ServerEvent | ServerControl;

/** Watch a session. */
export interface SubscribeCommand {
  type: "subscribe";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** The position that the client has; what it misses follows. */
  after?: { epoch: string; seq: number };
  /** How much of the past a client without a position wants; not looked at beside `after`. */
  history?: "full" | "turn" | "none";
}

/** Stop watching a session. */
export interface UnsubscribeCommand {
  type: "unsubscribe";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
}

/** Watch the list of all sessions and what waits for an answer. */
export interface WatchSessionsCommand {
  type: "watch_sessions";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
}

/** Stop watching the list. */
export interface UnwatchSessionsCommand {
  type: "unwatch_sessions";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
}

/** Create a session. */
export interface CreateSessionCommand {
  type: "create_session";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** A configured agent's name. */
  agent: string;
  /** The folder in which the agent works, absolute: a configured root or a folder under one. */
  workspace: string;
  /** What people see in lists; agents may change it. */
  title?: string;
}

/** What its `ack` adds. */
export interface CreateSessionAck {
  /** The new session. */
  sessionId: string;
}

/** End a session; its log stays. */
export interface CloseSessionCommand {
  type: "close_session";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
}

/** Give the agent a prompt, now or after the turn. */
export interface PromptCommand {
  type: "prompt";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** The prompt, or its first block when there is `content` as well. One of both must be there. */
  text?: string;
  /** ACP content blocks. */
  content?: ContentBlock[];
}

/** What its `ack` adds. */
export interface PromptAck {
  /** Of its user_message. */
  messageId: string;
  /** Whether its turn begins at once. */
  status: "accepted" | "queued" | (string & {});
  /** Its place in the queue, from 1. */
  position?: number;
}

/** Take a queued prompt back. */
export interface WithdrawCommand {
  type: "withdraw";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** The queued prompt. */
  messageId: string;
}

/** Go on with a paused queue. */
export interface ResumeQueueCommand {
  type: "resume_queue";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
}

/** Cancel the turn and withdraw queued prompts. */
export interface CancelCommand {
  type: "cancel";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** The turn that is meant: when it is over, nothing is done. Without it, whichever turn runs. */
  turnId?: string;
  /** Withdraws everybody's queued prompts, not only the caller's own. */
  all?: boolean;
}

/** What its `ack` adds. */
export interface CancelAck {
  /** The texts of the prompts that were taken back. */
  withdrawn: string[];
}

/** Answer a permission request. */
export interface PermissionResponseCommand {
  type: "permission_response";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The request that is answered. */
  requestId: string;
  /** Its session; a requestId is enough. */
  sessionId?: string;
  /** One of the request's `acpOptions`. Decides alone. */
  optionId?: string;
  /** Yes or no. */
  allowed?: boolean;
  /** The same as `allowed`. */
  allow?: boolean;
  /** The same, with how long a yes is good for. */
  decision?: "allow" | "deny" | "allow-session" | "allow-always";
  /** Beside a yes: the agent's own `allow_always`, where it offers one. */
  alwaysAllow?: boolean;
  /** Makes a rule of Signalbox's own, one of the request's `rememberOptions`. */
  remember?: { scope: string; match: string; expiresAt?: number };
  /** The tool's input; one that differs from what was shown is refused (`unsupported`). */
  updatedInput?: unknown;
  /** Why; shown to the watchers. */
  message?: string;
}

/** What its `ack` adds. */
export interface PermissionResponseAck {
  /** The request. */
  requestId: string;
  /** What the answer came to. */
  outcome: "allowed" | "rejected" | (string & {});
  /** The option that the agent is given. */
  optionId?: string;
  /** The rule that the answer made. */
  ruleId?: string;
}

/** Change the session's policy. */
export interface SetPolicyCommand {
  type: "set_policy";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** What happens to permission requests. */
  policy: "ask" | "read-only" | "trust";
}

/** Change the agent's own mode. */
export interface SetModeCommand {
  type: "set_mode";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** One of the agent's `availableModes`. */
  modeId: string;
}

/** Change one of the agent's own options. */
export interface SetConfigOptionCommand {
  type: "set_config_option";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** One of the agent's `options`. */
  configId: string;
  /** Its new value. */
  value: unknown;
}

/** Say what the client has shown. */
export interface SeenCommand {
  type: "seen";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** The client has shown everything up to this event. */
  seq: number;
}

/** Ask whether the server is there. */
export interface PingCommand {
  type: "ping";
  /** Of the client's making: the command is answered by exactly one message that has it. */
  id?: string;
}

/** The first message of a connection. */
export interface ConnectedMessage {
  type: "connected";
  /** `signalbox.v1`. */
  protocol: string;
  /** The client's id, or one made for it. */
  clientId: string;
  /** Who is asking. */
  user: string;
  /** The server. */
  server: ServerInfo;
  /** After this time of silence the server pings. */
  heartbeatMs: number;
  /** What a client must keep to. */
  limits: Limits;
  /** The server's time, Unix milliseconds. */
  timestamp: number;
}

/** The command was done. What else it has depends on the command. */
export interface AckMessage {
  type: "ack";
  /** The command's. */
  id: string;
}

/** The command was not done. */
export interface NackMessage {
  type: "nack";
  /** The command's. */
  id?: string;
  /** Why. */
  code: "bad_json" | "bad_message" | "unknown_type" | "not_found" | "already_resolved" | "expired" | "cancelled" | "unknown_option" | "queue_full" | "limit_reached" | "busy" | "closed" | "agent_unavailable" | "agent_failed" | "storage_unavailable" | "forbidden" | "unauthenticated" | "rate_limited" | "too_large" | "unsupported" | "shutting_down" | "internal" | (string & {});
  /** Why, for people. */
  message: string;
  /** The same command may succeed later. */
  retryable: boolean;
  /** The session. */
  sessionId?: string;
  /** The permission request. */
  requestId?: string;
  /** The field to blame. */
  field?: string;
  /** How the request had been answered. */
  resolved?: Resolved;
  /** Not before this time, Unix milliseconds. */
  until?: number;
}

/** Answers `subscribe`. What it says is true of the number `head`. */
export interface SubscribedMessage {
  type: "subscribed";
  /** The command's. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** Names the history that numbers belong to. */
  epoch: string;
  /** The last number that exists. */
  head: number;
  /** `live`: nothing is missing; `replay`: what is missing follows; `reset`: the position is not of this history, everything follows. */
  mode: "live" | "replay" | "reset" | (string & {});
  /** What it is doing. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** The configured agent. */
  agent: string;
  /** Null or empty: none. */
  title: string | null;
  /** The folder in which its agent works. */
  workspace: string;
  /** What happens to permission requests. */
  policy: "ask" | "read-only" | "trust" | (string & {});
  /** What the agent takes in a prompt; not there until one was started and has said so. */
  promptCapabilities?: PromptCapabilities;
  /** The requests that wait for an answer. */
  pending: PermissionRequest[];
}

/** What was missing has been sent. */
export interface ReplayCompleteMessage {
  type: "replay_complete";
  /** The session. */
  sessionId: string;
  /** Up to this number. */
  seq: number;
}

/** No more events of this session. */
export interface UnsubscribedMessage {
  type: "unsubscribed";
  /** The command's. */
  id?: string;
  /** The session. */
  sessionId: string;
  /** `requested`, or why the server ended it: `erased`, `damaged`. */
  reason: string;
}

/** The client is behind, and reads from the store. */
export interface LaggingMessage {
  type: "lagging";
  /** The session. */
  sessionId: string;
  /** Events. */
  behindEvents: number;
  /** Bytes. */
  behindBytes: number;
}

/** The client is no longer behind. */
export interface CaughtUpMessage {
  type: "caught_up";
  /** The session. */
  sessionId: string;
  /** Events. */
  behindEvents: number;
  /** Bytes. */
  behindBytes: number;
}

/** At every change of what waits, to the session's watchers. */
export interface PermissionQueueStatusMessage {
  type: "permission_queue_status";
  /** The session. */
  sessionId: string;
  /** Requests that wait. */
  pending: number;
  /** Unix milliseconds; null when none waits. */
  oldestCreatedAt: number | null;
}

/** Answers `watch_sessions`; sent again instead of a backlog. */
export interface SessionsMessage {
  type: "sessions";
  /** The command's. */
  id?: string;
  /** The sessions, newest change first. */
  items: SessionSummary[];
  /** The position of older ones, for GET /v1/sessions. */
  next?: string;
}

/** A session's latest state, at most four times a second. */
export interface SessionChangedMessage {
  type: "session_changed";
  /** The session. */
  sessionId: string;
  /** Empty: none. */
  title: string;
  /** The configured agent. */
  agent: string;
  /** What it is doing. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** Permission requests that wait. */
  pending: number;
  /** Since when the oldest waits, Unix milliseconds. */
  oldestPendingAt?: number;
  /** Of its last event, Unix milliseconds. */
  updatedAt: number;
  /** The folder in which its agent works. */
  workspace: string;
  /** What happens to permission requests. */
  policy: "ask" | "read-only" | "trust" | (string & {});
  /** The number of its last event. */
  head: number;
  /** Unix milliseconds. */
  createdAt: number;
  /** The user. */
  createdBy: string;
}

/** A session is gone. */
export interface SessionRemovedMessage {
  type: "session_removed";
  /** The session. */
  sessionId: string;
}

/** A request waits for an answer. */
export interface PermissionWaitingMessage {
  type: "permission_waiting";
  /** The session. */
  sessionId: string;
  /** What is asked. */
  request: PermissionRequest;
  /** How many wait, in all sessions. */
  waiting: number;
  /** Unix milliseconds. */
  at: number;
}

/** A request waits no longer. */
export interface PermissionEndedMessage {
  type: "permission_ended";
  /** The session. */
  sessionId: string;
  /** The request. */
  requestId: string;
  /** The tool. */
  toolName: string;
  /** How it ended. */
  outcome: "allowed" | "rejected" | "timeout" | "cancelled" | (string & {});
  /** Who or what answered. */
  by?: By;
  /** Why, of a cancellation. */
  reason?: string;
  /** How many wait, in all sessions. */
  waiting: number;
  /** Unix milliseconds. */
  at: number;
}

/** To every client, once. */
export interface ConfigChangedMessage {
  type: "config_changed";
  /** What has changed. */
  changeType: "config" | "theme" | (string & {});
}

/** Events cannot be recorded, or can be again. */
export interface StoreMessage {
  type: "store";
  /** Whether they can. */
  ok: boolean;
  /** Why not. */
  reason?: string;
}

/** The server stops. */
export interface ShuttingDownMessage {
  type: "shutting_down";
  /** How long to wait before coming back. */
  reconnectAfterMs: number;
}

/** Answers `ping`. */
export interface PongMessage {
  type: "pong";
  /** The command's. */
  id?: string;
}

/** The first event of a log. */
export interface SessionCreatedEvent {
  type: "session_created";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The configured agent. */
  agent: string;
  /** The folder in which it works, links resolved. */
  workspace: string;
  /** As it was asked for. */
  title?: string;
  /** The user. */
  createdBy: string;
}

/** The last event of a log. */
export interface SessionClosedEvent {
  type: "session_closed";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Who closed it. */
  by: By;
}

/** What the session is doing. */
export interface StatusEvent {
  type: "status";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Its phase. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** Why, for people. */
  detail?: string;
}

/** A prompt, once for each of its states. */
export interface UserMessageEvent {
  type: "user_message";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The message; unique in the session. */
  messageId: string;
  /** All its text blocks, a line break between them. */
  text: string;
  /** Its ACP content blocks, where they are more than `text`. */
  content?: ContentBlock[];
  /** Whose prompt it is. */
  by: By;
  /** Its state. */
  status: "accepted" | "queued" | "processing" | "withdrawn" | (string & {});
  /** Its place in the queue, from 1. */
  position?: number;
  /** Of one that was withdrawn: the id of its `prompt`. */
  promptId?: string;
}

/** The agent was given a prompt. One turn at a time in a session; `complete` ends it. */
export interface TurnStartedEvent {
  type: "turn_started";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Whose prompt it is. */
  by: By;
  /** The message; unique in the session. */
  messageId: string;
  /** The agent's model, where it says so. */
  model?: string;
}

/** More text of the agent's answer. */
export interface TextDeltaEvent {
  type: "text_delta";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The message; unique in the session. */
  messageId: string;
  /** Where it begins in the message, in UTF-16 units. */
  offset: number;
  /** What is appended. */
  delta: string;
  /** The number of the event that began the message; missing where it is this one. */
  began?: number;
  /** The tool call that this is part of: a sub-agent's. */
  parentToolUseId?: string;
}

/** A message of the agent is over. */
export interface TextCompleteEvent {
  type: "text_complete";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The message; unique in the session. */
  messageId: string;
  /** The whole message. */
  text: string;
  /** False only where the end of the turn ended the message. */
  isIntermediate: boolean;
  /** The number of the event that began the message; missing where it is this one. */
  began?: number;
  /** The tool call that this is part of: a sub-agent's. */
  parentToolUseId?: string;
}

/** More of what the agent thinks. */
export interface ThoughtDeltaEvent {
  type: "thought_delta";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The message; unique in the session. */
  messageId: string;
  /** Where it begins in the message, in UTF-16 units. */
  offset: number;
  /** What is appended. */
  delta: string;
  /** The number of the event that began the message; missing where it is this one. */
  began?: number;
  /** The tool call that this is part of: a sub-agent's. */
  parentToolUseId?: string;
}

/** A thought of the agent is over. */
export interface ThoughtCompleteEvent {
  type: "thought_complete";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The message; unique in the session. */
  messageId: string;
  /** The whole message. */
  text: string;
  /** False only where the end of the turn ended the message. */
  isIntermediate: boolean;
  /** The number of the event that began the message; missing where it is this one. */
  began?: number;
  /** The tool call that this is part of: a sub-agent's. */
  parentToolUseId?: string;
}

/** The agent begins a tool call. */
export interface ToolStartEvent {
  type: "tool_start";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The tool call; unique in the session. */
  toolUseId: string;
  /** The tool. */
  toolName: string;
  /** Its input; one that is no object stands in `value`. */
  toolInput: { [name: string]: unknown };
  /** What it is for, where the agent says so. */
  toolIntent?: string;
  /** What people call it. */
  toolDisplayName?: string;
  /** ACP's kind of tool. */
  kind: "read" | "edit" | "delete" | "move" | "search" | "execute" | "think" | "fetch" | "switch_mode" | "other" | (string & {});
  /** The files that it touches. */
  locations?: FileLocation[];
  /** The tool call that this is part of: a sub-agent's. */
  parentToolUseId?: string;
}

/** Live output of a tool. */
export interface ToolOutputEvent {
  type: "tool_output";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The tool call; unique in the session. */
  toolUseId: string;
  /** Where it begins in the output, in UTF-16 units. */
  offset: number;
  /** What is appended. */
  delta: string;
}

/** What has changed about a tool call; later fields replace earlier ones. */
export interface ToolUpdateEvent {
  type: "tool_update";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The tool call; unique in the session. */
  toolUseId: string;
  /** ACP's status. */
  status?: "pending" | "in_progress" | "completed" | "failed" | (string & {});
  /** What it is doing. */
  title?: string;
  /** ACP's kind of tool. */
  kind?: "read" | "edit" | "delete" | "move" | "search" | "execute" | "think" | "fetch" | "switch_mode" | "other" | (string & {});
  /** Text, diff and terminal blocks. */
  content?: unknown[];
  /** The files that it touches. */
  locations?: FileLocation[];
  /** Its input. */
  toolInput?: { [name: string]: unknown };
  /** What the tool gave, as the agent sent it. */
  rawOutput?: unknown;
}

/** A tool call is over. */
export interface ToolResultEvent {
  type: "tool_result";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The tool call; unique in the session. */
  toolUseId: string;
  /** The tool. */
  toolName: string;
  /** Its text. */
  result: string;
  /** Text, diff and terminal blocks, where they are more than `result`. */
  content?: unknown[];
  /** What the tool gave, where it is more than `result`. */
  rawOutput?: unknown;
  /** It failed, was refused, or was left open. */
  isError: boolean;
}

/** The agent's plan, whole. */
export interface PlanEvent {
  type: "plan";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Its steps. */
  entries: PlanEntry[];
}

/** The agent's slash commands, all of them. */
export interface CommandsEvent {
  type: "commands";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The commands. */
  commands: AgentCommand[];
}

/** The agent's own modes. */
export interface ModeEvent {
  type: "mode";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The one that is in force. */
  currentModeId: string;
  /** All of them, as the agent sent them. */
  availableModes: unknown[];
}

/** The agent's own options. */
export interface ConfigOptionsEvent {
  type: "config_options";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** All of them, as the agent sent them. */
  options: unknown[];
}

/** What the agent takes in a prompt, as it said when it started. Comes with its first start, and with a later one that says something else. */
export interface PromptCapabilitiesEvent {
  type: "prompt_capabilities";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Images. */
  image: boolean;
  /** Audio. */
  audio: boolean;
  /** Files by their content: embedded resources. */
  embeddedContext: boolean;
}

/** How much of its context the agent has used, and what it cost. */
export interface UsageEvent {
  type: "usage";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Tokens in the context. */
  used?: number;
  /** Tokens that fit. */
  size?: number;
  /** Amount and currency. */
  cost?: { [name: string]: unknown };
}

/** The session's title. */
export interface TitleEvent {
  type: "title";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** Null: it has none any more. */
  title: string | null;
}

/** The session's policy has changed. */
export interface PolicyEvent {
  type: "policy";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The new one. */
  policy: "ask" | "read-only" | "trust" | (string & {});
  /** Who changed it. */
  by: By;
}

/** The agent asks, and waits. Comes after the `tool_start` of its tool call. */
export interface PermissionRequestEvent {
  type: "permission_request";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** What it asks. */
  request: PermissionRequest;
}

/** A request was answered. */
export interface PermissionResolvedEvent {
  type: "permission_resolved";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The request; unique over all sessions and restarts. */
  requestId: string;
  /** The answer. */
  outcome: "allowed" | "rejected" | (string & {});
  /** The option that the agent was given. */
  optionId?: string;
  /** The agent was given its `allow_always`. */
  alwaysAllow: boolean;
  /** Who or what answered. */
  by: By;
  /** Why, in the words of who answered, or what the rule or the policy says. */
  message?: string;
  /** The rule that the answer made. */
  ruleId?: string;
}

/** Nobody answered in time. */
export interface PermissionTimeoutEvent {
  type: "permission_timeout";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The request; unique over all sessions and restarts. */
  requestId: string;
}

/** A request was ended without an answer. */
export interface PermissionCancelledEvent {
  type: "permission_cancelled";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** The request; unique over all sessions and restarts. */
  requestId: string;
  /** Why. */
  reason: "turn_cancelled" | "turn_ended" | "withdrawn_by_agent" | "session_closed" | "agent_exited" | "server_stopped" | "server_restarted" | (string & {});
}

/** The turn is over. Exactly one a turn. */
export interface CompleteEvent {
  type: "complete";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** ACP's reason, or one of the last three. */
  stopReason: "end_turn" | "max_tokens" | "max_turn_requests" | "refusal" | "cancelled" | "agent_exited" | "server_restarted" | "error" | (string & {});
  /** How long it took. */
  durationMs: number;
  /** Tokens of the turn, as the agent counted them. */
  usage?: { [name: string]: unknown };
  /** True: it was the session's first turn. */
  first?: boolean;
}

/** Something went wrong. */
export interface ErrorEvent {
  type: "error";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** What, for people. */
  error: string;
  /** What, for programs. */
  code: string;
  /** The agent is gone. */
  fatal: boolean;
}

/** An update that has no name of its own here. */
export interface AgentUpdateEvent {
  type: "agent_update";
  /** The session. */
  sessionId: string;
  /** Its number in the session's log: 1, 2, 3 ... without holes. */
  seq: number;
  /** When, in Unix milliseconds; never earlier than that of the number before. */
  ts: number;
  /** Of a folded event: it covers the numbers from here to `seq`. */
  from?: number;
  /** The turn that it belongs to. */
  turnId?: string;
  /** The command that led to it. */
  cause?: Cause;
  /** What was too large for the event and was stored by itself. */
  refs?: Ref[];
  /** As the agent sent it. */
  update: { [name: string]: unknown };
}

/** Who or what did it. */
export interface By {
  /** A user. */
  user?: string;
  /** A rule's id. */
  rule?: string;
  /** A policy. */
  policy?: string;
}

/** Which command of which client. */
export interface Cause {
  /** The client. */
  clientId: string;
  /** The command's. */
  id?: string;
}

/** A value that was cut in the event. */
export interface Ref {
  /** Where it stands: a JSON Pointer. */
  path: string;
  /** What it is fetched by. */
  blob: string;
  /** How long it is. */
  bytes: number;
}

/** A place in a file. */
export interface FileLocation {
  /** Absolute. */
  path: string;
  /** From 1. */
  line?: number | null;
}

/** A step of a plan. */
export interface PlanEntry {
  /** What is to be done. */
  content: string;
  /** How important it is. */
  priority: "high" | "medium" | "low" | (string & {});
  /** How far it is. */
  status: "pending" | "in_progress" | "completed" | (string & {});
}

/** A slash command of the agent. */
export interface AgentCommand {
  /** Without the slash. */
  name: string;
  /** What it does. */
  description: string;
  /** What may follow it. */
  hint?: string;
}

/** What an agent takes in a prompt, beside text and resource links. */
export interface PromptCapabilities {
  /** Images. */
  image: boolean;
  /** Audio. */
  audio: boolean;
  /** Files by their content: embedded resources. */
  embeddedContext: boolean;
}

/** An answer that the agent offers. */
export interface AcpOption {
  /** Its id. */
  optionId: string;
  /** What people read. */
  name: string;
  /** ACP's kind. */
  kind: "allow_once" | "allow_always" | "reject_once" | "reject_always" | (string & {});
}

/** A rule that an answer may make. */
export interface RememberOption {
  /** How far it reaches. */
  scope: "session" | "workspace" | "user" | (string & {});
  /** What it matches. */
  match: string;
  /** What people read. */
  label: string;
}

/** A permission request. */
export interface PermissionRequest {
  /** Unique over all sessions and restarts. */
  requestId: string;
  /** Its session. */
  sessionId: string;
  /** The tool. */
  toolName: string;
  /** What a person can judge by: the command line, or the path and what is done to it. */
  command: string;
  /** What the agent says about it. */
  description: string;
  /** Of the `tool_start` before. */
  toolUseId: string;
  /** The tool's input. */
  toolInput: { [name: string]: unknown };
  /** ACP's kind of tool. */
  kind: "read" | "edit" | "delete" | "move" | "search" | "execute" | "think" | "fetch" | "switch_mode" | "other" | (string & {});
  /** The files that it touches. */
  locations?: FileLocation[];
  /** The plan that is to be approved; null where it is about something else. */
  planContent: unknown;
  /** What was cut in it; the paths begin in the request. */
  refs?: Ref[];
  /** The agent's options, in its order. */
  acpOptions: AcpOption[];
  /** Rules that an answer may make. */
  rememberOptions?: RememberOption[];
  /** Unix milliseconds. */
  createdAt: number;
  /** Unix milliseconds; null: it waits for ever. */
  expiresAt: number | null;
}

/** How a request had been answered. */
export interface Resolved {
  /** The answer. */
  outcome: "allowed" | "rejected" | (string & {});
  /** The option. */
  optionId?: string;
  /** Who or what answered. */
  by: By;
  /** Unix milliseconds. */
  at: number;
}

/** The server. */
export interface ServerInfo {
  /** `signalbox`. */
  name: string;
  /** Its version. */
  version: string;
  /** Another one at each start. */
  instance: string;
}

/** What a client must keep to. */
export interface Limits {
  /** The longest message of a client. */
  maxMessageBytes: number;
  /** Commands that are not answered yet; then the socket is not read. */
  maxCommandsInFlight: number;
  /** Sessions that a client watches at a time. */
  maxSubscriptions: number;
  /** The longest content that is sent up, and all that a prompt names together. */
  maxBlobBytes: number;
}

/** A session in the list. */
export interface SessionSummary {
  /** The session. */
  sessionId: string;
  /** Empty: none. */
  title: string;
  /** The configured agent. */
  agent: string;
  /** What it is doing. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** Permission requests that wait. */
  pending: number;
  /** Since when the oldest waits, Unix milliseconds. */
  oldestPendingAt?: number;
  /** Of its last event, Unix milliseconds. */
  updatedAt: number;
  /** The folder in which its agent works. */
  workspace: string;
  /** What happens to permission requests. */
  policy: "ask" | "read-only" | "trust" | (string & {});
  /** The number of its last event. */
  head: number;
  /** Unix milliseconds. */
  createdAt: number;
  /** The user. */
  createdBy: string;
}

/** Why a request was refused (RFC 9457). */
export interface Problem {
  /** `about:blank`. */
  type: string;
  /** The HTTP status in words. */
  title: string;
  /** The HTTP status. */
  status: number;
  /** Why, for people. */
  detail: string;
  /** Why, as in `nack`. */
  code: "bad_json" | "bad_message" | "unknown_type" | "not_found" | "already_resolved" | "expired" | "cancelled" | "unknown_option" | "queue_full" | "limit_reached" | "busy" | "closed" | "agent_unavailable" | "agent_failed" | "storage_unavailable" | "forbidden" | "unauthenticated" | "rate_limited" | "too_large" | "unsupported" | "shutting_down" | "internal" | (string & {});
  /** The same request may succeed later. */
  retryable: boolean;
  /** The field to blame. */
  field?: string;
  /** The session. */
  sessionId?: string;
  /** The permission request. */
  requestId?: string;
  /** How the request had been answered. */
  resolved?: Resolved;
  /** Not before this time, Unix milliseconds. */
  until?: number;
}

/** The server is alive. */
export interface Health {
  /** `ok`. */
  status: string;
}

/** Whether the server can serve. */
export interface Readiness {
  /** Whether it can. */
  ready: boolean;
  /** `stopping`. */
  server?: string;
  /** Why events cannot be recorded. Reasons are for who is known to the server only. */
  store?: string;
  /** What is wrong with the configuration file; the one before it stays in force. */
  config?: string;
}

/** Who wants to log in. */
export interface Login {
  /** The user's token. */
  token: string;
}

/** Who is logged in. */
export interface LoggedIn {
  /** The user. */
  user: string;
}

/** Nobody is logged in. */
export interface LoggedOut {
}

/** The configured agents. */
export interface AgentList {
  /** The agents, in the configuration's order. */
  agents: Agent[];
  /** The folders in which they may work. */
  workspaceRoots: string[];
}

/** A configured agent. */
export interface Agent {
  /** For create_session. */
  name: string;
  /** What people see. */
  title: string;
  /** Whether its program is installed. */
  available: boolean;
  /** Why it is not available. */
  reason?: string;
  /** The command that installs it. */
  install?: string;
  /** Processes now. */
  running: number;
  /** Sessions that wait for a place to start it. */
  waiting: number;
  /** Its circuit breaker's: `open`, it failed again and again and is not started before `until`; `half_open`, it is tried once. */
  state: "closed" | "open" | "half_open" | (string & {});
  /** When it is tried again, Unix milliseconds. */
  until?: number;
  /** Why it failed last, since it was last seen to work. */
  lastError?: AgentError;
}

/** How an agent failed. */
export interface AgentError {
  /** Why, for people. */
  message: string;
  /** When, Unix milliseconds. */
  at: number;
}

/** The folders in one in which agents may work, or those that are configured. */
export interface FolderList {
  /** The folder, with links resolved; without it the list is that of the `workspace-roots`. */
  path?: string;
  /** The folder above, if agents may work there as well. */
  parent?: string;
  /** By name, without regard to case; hidden ones last. */
  folders: Folder[];
  /** There are more than one answer has. */
  more: boolean;
}

/** A folder in which agents may work. */
export interface Folder {
  /** In the folder above; of a root, its path. */
  name: string;
  /** For create_session; with links resolved. */
  path: string;
  /** Its name begins with a dot. */
  hidden: boolean;
}

/** A page of sessions, newest change first. */
export interface SessionList {
  /** The sessions. */
  items: SessionInfo[];
  /** The `after` of the next page; without it there is none. */
  next?: string;
}

/** A session. */
export interface SessionInfo {
  /** The session. */
  sessionId: string;
  /** Empty: none. */
  title: string;
  /** The configured agent. */
  agent: string;
  /** What it is doing. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** Permission requests that wait. */
  pending: number;
  /** Since when the oldest waits, Unix milliseconds. */
  oldestPendingAt?: number;
  /** Of its last event, Unix milliseconds. */
  updatedAt: number;
  /** The folder in which its agent works. */
  workspace: string;
  /** What happens to permission requests. */
  policy: "ask" | "read-only" | "trust" | (string & {});
  /** The number of its last event. */
  head: number;
  /** Unix milliseconds. */
  createdAt: number;
  /** The user. */
  createdBy: string;
  /** Names the history that numbers belong to; not in lists. */
  epoch?: string;
}

/** The new session. */
export interface Created {
  /** The session. */
  sessionId: string;
}

/** The prompt is recorded. */
export interface Accepted {
  /** True. */
  accepted: boolean;
  /** Of its user_message. */
  messageId: string;
  /** Whether its turn begins at once. */
  status: "accepted" | "queued" | (string & {});
  /** Its place in the queue, from 1. */
  position?: number;
}

/** The content is stored. */
export interface StoredBlob {
  /** What a prompt names it by. */
  blob: string;
  /** How long it is. */
  bytes: number;
  /** Its media type, as it was given. */
  contentType: string;
}

/** It is done. */
export interface Done {
}

/** What was cancelled. */
export interface Cancelled {
  /** The texts of the prompts that were taken back. */
  withdrawn: string[];
}

/** A page of events. */
export interface EventPage {
  /** Names the history that numbers belong to. */
  epoch: string;
  /** The last number that exists. */
  head: number;
  /** Session events, in order. */
  events: ServerEvent[];
  /** The `after` of the next page, EPOCH:SEQ; without it there is none. */
  next?: string;
}

/** Everything that waits for an answer. */
export interface PermissionList {
  /** The requests; oldest first within a session. */
  permissions: PermissionRequest[];
}

/** The rule answers nothing any more. */
export interface Revoked {
  /** The rule. */
  ruleId: string;
}

/** A page of rules, in the order in which they were made. */
export interface RuleList {
  /** The rules. */
  items: Rule[];
  /** The `after` of the next page; without it there is none. */
  next?: string;
}

/** A rule of Signalbox's own, which answers requests in a person's place. */
export interface Rule {
  /** Unique over all rules and restarts. */
  ruleId: string;
  /** Who made it. */
  user: string;
  /** How far it reaches. */
  scope: "session" | "workspace" | "user" | (string & {});
  /** With the scope `session`: the session. */
  sessionId?: string;
  /** With the scopes `session` and `workspace`: the folder in which it holds. */
  workspace?: string;
  /** What is matched: a command line, or a tool and a path. */
  match: "command" | "path" | (string & {});
  /** With `command`: the whole command line. */
  command?: string;
  /** With `path`: ACP's kind of tool. */
  kind?: string;
  /** With `path`: the folder that all it touches lies in, relative to the workspace; `.`: the workspace. */
  path?: string;
  /** What the person was shown who made it. */
  label: string;
  /** Unix milliseconds. */
  createdAt: number;
  /** Unix milliseconds; null: never. */
  expiresAt: number | null;
  /** The request whose answer made it. */
  requestId?: string;
}

/** A page of the audit, by number. */
export interface AuditPage {
  /** The entries. */
  items: AuditEntry[];
  /** The `after` of the next page; without it there is none. */
  next?: string;
}

/** A decision, or a change of what decides. */
export interface AuditEntry {
  /** 1, 2, 3 ... without holes, in the order in which they were recorded. */
  number: number;
  /** Unix milliseconds. */
  at: number;
  /** What was done. There may be others. */
  action: "decision" | "rule_made" | "rule_removed" | "policy_changed" | "service_refused" | "session_erased" | (string & {});
  /** The session. */
  sessionId?: string;
  /** The session's. */
  workspace?: string;
  /** The session's. */
  agent?: string;
  /** The permission request. */
  requestId?: string;
  /** Of a decision. */
  outcome?: "allowed" | "rejected" | "timeout" | "cancelled" | (string & {});
  /** The option that the agent was given. */
  optionId?: string;
  /** That option is one for ever. */
  alwaysAllow?: boolean;
  /** Who or what decided. */
  by?: "user" | "rule" | "policy" | "timeout" | "limit" | "cancellation" | (string & {});
  /** The person behind it; of a rule, who made it. */
  user?: string;
  /** The rule that decided, or that was made or removed. */
  ruleId?: string;
  /** The policy that decided, or the new one. */
  policy?: string;
  /** The one before. */
  policyBefore?: string;
  /** Why, of a cancellation. */
  reason?: string;
  /** What the person wrote. */
  message?: string;
  /** The rule that this decision made. */
  madeRuleId?: string;
  /** The rule that was made or removed. */
  rule?: Rule;
  /** From where the command came. */
  from?: AuditFrom;
  /** What was asked, as it was shown. */
  request?: PermissionRequest;
}

/** From where a command came. */
export interface AuditFrom {
  /** The peer's. */
  address?: string;
  /** How. */
  transport?: "websocket" | "http" | (string & {});
  /** The client. */
  clientId?: string;
  /** The command's, or the Idempotency-Key. */
  id?: string;
}

/** A session, as craft's clients ask for it. */
export interface CraftCreate {
  /** The configured agent; the first one where it is missing. */
  agent?: string;
  /** Its workspace; the first root where it is missing. Or `workspace`. */
  workingDirectory?: string;
  /** Its title. Or `title`. */
  name?: string;
}

/** A prompt, as craft's clients send it. */
export interface CraftMessage {
  /** What to say. */
  message: string;
}

/** It is done. */
export interface CraftSuccess {
  /** True. */
  success: boolean;
}

/** A session, as craft's clients know it. */
export interface CraftSession {
  /** The session. */
  id: string;
  /** The session. */
  sessionId: string;
  /** Its workspace. */
  workspaceId: string;
  /** The last part of it. */
  workspaceName: string;
  /** Its workspace. */
  workingDirectory: string;
  /** Its title. */
  name?: string;
  /** The configured agent. */
  agent: string;
  /** Its policy. */
  permissionMode?: "ask" | "safe" | "allow-all" | (string & {});
  /** Unix milliseconds. */
  createdAt?: number;
  /** Of its last event, Unix milliseconds. */
  lastMessageAt: number;
  /** A turn is open. */
  isProcessing: boolean;
  /** What it is doing. */
  phase: "starting" | "idle" | "running" | "waiting" | "stopped" | "failed" | "closed" | (string & {});
  /** In lists none. */
  messages: CraftMessageEntry[];
}

/** A message of a session, as craft's clients know it. */
export interface CraftMessageEntry {
  /** Unique in the session: messageId or toolUseId of its events. */
  id: string;
  /** Whose or what it is. */
  role: "user" | "assistant" | "tool" | "plan" | "error" | (string & {});
  /** Its text. */
  content: string;
  /** Unix milliseconds. */
  createdAt: number;
  /** The same. */
  timestamp: number;
  /** The number of its event. */
  seq: number;
  /** Its turn. */
  turnId?: string;
  /** As in text_complete. */
  isIntermediate?: boolean;
  /** More of it comes. */
  isStreaming?: boolean;
  /** A prompt that waits. */
  isQueued?: boolean;
  /** The tool call. */
  toolUseId?: string;
  /** The tool. */
  toolName?: string;
  /** Its input. */
  toolInput?: { [name: string]: unknown };
  /** What it is for. */
  toolIntent?: string;
  /** What people call it. */
  toolDisplayName?: string;
  /** Its text. */
  toolResult?: string;
  /** How far it is. */
  toolStatus?: "executing" | "completed" | "error" | (string & {});
  /** It failed. */
  isError?: boolean;
  /** What, for programs. */
  errorCode?: string;
  /** Blocks of its result that are no text. */
  acpContent?: unknown[];
  /** Of a plan: its steps. */
  entries?: PlanEntry[];
  /** What was too large. */
  refs?: Ref[];
}

/** The answer was the first one, and counts. */
export interface Answered {
  /** The request. */
  requestId: string;
  /** The answer. */
  outcome: "allowed" | "rejected" | (string & {});
  /** The option that the agent is given. */
  optionId?: string;
  /** The rule that the answer made. */
  ruleId?: string;
}

/** Create a session. */
export interface CreateSessionBody {
  /** A configured agent's name. */
  agent: string;
  /** The folder in which the agent works, absolute: a configured root or a folder under one. */
  workspace: string;
  /** What people see in lists; agents may change it. */
  title?: string;
}

/** Give the agent a prompt, now or after the turn. */
export interface PromptBody {
  /** The prompt, or its first block when there is `content` as well. One of both must be there. */
  text?: string;
  /** ACP content blocks. */
  content?: ContentBlock[];
}

/** Cancel the turn and withdraw queued prompts. */
export interface CancelBody {
  /** The turn that is meant: when it is over, nothing is done. Without it, whichever turn runs. */
  turnId?: string;
  /** Withdraws everybody's queued prompts, not only the caller's own. */
  all?: boolean;
}

/** Answer a permission request. */
export interface PermissionResponseBody {
  /** One of the request's `acpOptions`. Decides alone. */
  optionId?: string;
  /** Yes or no. */
  allowed?: boolean;
  /** The same as `allowed`. */
  allow?: boolean;
  /** The same, with how long a yes is good for. */
  decision?: "allow" | "deny" | "allow-session" | "allow-always";
  /** Beside a yes: the agent's own `allow_always`, where it offers one. */
  alwaysAllow?: boolean;
  /** Makes a rule of Signalbox's own, one of the request's `rememberOptions`. */
  remember?: { scope: string; match: string; expiresAt?: number };
  /** The tool's input; one that differs from what was shown is refused (`unsupported`). */
  updatedInput?: unknown;
  /** Why; shown to the watchers. */
  message?: string;
}

/** An ACP content block: text, image, audio, resource_link, resource. An image, an audio or a resource may have `blob`, a blob's id, instead of its data. */
export interface ContentBlock {
  type: string;
  [name: string]: unknown;
}

/** Each command by its type. */
export interface CommandMap {
  subscribe: SubscribeCommand;
  unsubscribe: UnsubscribeCommand;
  watch_sessions: WatchSessionsCommand;
  unwatch_sessions: UnwatchSessionsCommand;
  create_session: CreateSessionCommand;
  close_session: CloseSessionCommand;
  prompt: PromptCommand;
  withdraw: WithdrawCommand;
  resume_queue: ResumeQueueCommand;
  cancel: CancelCommand;
  permission_response: PermissionResponseCommand;
  set_policy: SetPolicyCommand;
  set_mode: SetModeCommand;
  set_config_option: SetConfigOptionCommand;
  seen: SeenCommand;
  ping: PingCommand;
}

/** What answers each command. */
export interface AnswerMap {
  subscribe: SubscribedMessage;
  unsubscribe: UnsubscribedMessage;
  watch_sessions: SessionsMessage;
  unwatch_sessions: AckMessage;
  create_session: AckMessage & CreateSessionAck;
  close_session: AckMessage;
  prompt: AckMessage & PromptAck;
  withdraw: AckMessage;
  resume_queue: AckMessage;
  cancel: AckMessage & CancelAck;
  permission_response: AckMessage & PermissionResponseAck;
  set_policy: AckMessage;
  set_mode: AckMessage;
  set_config_option: AckMessage;
  seen: AckMessage;
  ping: PongMessage;
}

/** The fields of a command that its caller gives. */
export type CommandFields<T extends keyof CommandMap> = Omit<CommandMap[T], "type" | "id">;
