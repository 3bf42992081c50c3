// What the world gives, so that tests can give another one: clock, timers, chance, the network, storage, and the signs that
// a page has woken up.

/** What the client uses of a WebSocket: the browser's, Node's (22 and newer) and the package `ws` have it. */
export interface SocketLike {
  readonly readyState: number;
  readonly bufferedAmount?: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
  /** `ws` only: without waiting for an answer that a dead network never brings. */
  terminate?(): void;
}

export type SocketConstructor = new (url: string, protocols?: any, options?: any) => SocketLike;

/** localStorage and sessionStorage, or something like them. */
export interface StorageLike {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

export interface Clock {
  /** Unix milliseconds. Wall-clock time, since it goes on while a machine sleeps. */
  now(): number;
  setTimeout(call: () => void, ms: number): unknown;
  clearTimeout(timer: any): void;
}

export interface Platform extends Clock {
  /** From 0 to less than 1. */
  random(): number;
  /** An id that nobody else makes: 128 random bits in base64url. */
  newId(): string;
  fetch: typeof globalThis.fetch;
  WebSocket: SocketConstructor | undefined;
  /** Calls `wake` when the page may have slept or the network may be back, `doubt` when it may be gone. Returns what ends that. */
  onWake(wake: () => void, doubt: () => void): () => void;
  /** A browser: it sends cookies and an Origin by itself, and cannot send other headers with a WebSocket. */
  isBrowser: boolean;
}

export function newId(): string {
  const bytes = globalThis.crypto ? globalThis.crypto.getRandomValues(new Uint8Array(16)) : weakBytes(16);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Node 18 has no global `crypto`. An id must be unique, not secret: whoever is somebody else is told apart by the login.
function weakBytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => Math.floor(Math.random() * 256));
}

function onWake(wake: () => void, doubt: () => void): () => void {
  if (typeof globalThis.addEventListener !== "function") {
    return () => {};
  }
  const page = typeof document === "undefined" ? null : document;
  const visible = () => {
    if (page?.visibilityState !== "hidden") {
      wake();
    }
  };
  globalThis.addEventListener("online", wake);
  globalThis.addEventListener("offline", doubt);
  globalThis.addEventListener("pageshow", wake);
  page?.addEventListener("visibilitychange", visible);
  return () => {
    globalThis.removeEventListener("online", wake);
    globalThis.removeEventListener("offline", doubt);
    globalThis.removeEventListener("pageshow", wake);
    page?.removeEventListener("visibilitychange", visible);
  };
}

/** The platform that the program runs on, with `changes` laid over it. */
export function platformOf(changes: Partial<Platform> = {}): Platform {
  return {
    now: () => Date.now(),
    setTimeout: (call, ms) => globalThis.setTimeout(call, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    random: () => Math.random(),
    newId,
    fetch: (input, init) => globalThis.fetch(input, init),
    WebSocket: (globalThis as { WebSocket?: SocketConstructor }).WebSocket,
    onWake,
    isBrowser: typeof document !== "undefined",
    ...changes,
  };
}
