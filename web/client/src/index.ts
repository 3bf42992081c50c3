// A client of a Signalbox server.
export { SignalboxClient } from "./client.js";
export type { CancelOptions, ClientOptions, PermissionAnswer, StoreHealth } from "./client.js";
export type { Command, CommandState, CommandType } from "./command.js";
export type { ConnectionOptions, ConnectionState, StopReason } from "./connection.js";
export type { EarlierView } from "./earlier.js";
export { CommandError, HttpError } from "./errors.js";
export type { LocalCode, Outcome } from "./errors.js";
export { pointed } from "./http.js";
export type { Http } from "./http.js";
export type { PermissionsView, SessionsView } from "./lists.js";
export type { OutboxOptions, SendOptions } from "./outbox.js";
export type { Clock, Platform, SocketConstructor, SocketLike, StorageLike } from "./platform.js";
export { PROTOCOL } from "./protocol.js";
export type * from "./protocol.js";
export type { SessionOptions, SessionView, Sync, WatchedSession } from "./session.js";
export * from "./state.js";
export { when } from "./store.js";
export type { Store } from "./store.js";
