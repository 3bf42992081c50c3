// What a client asks for over HTTP: who it is, lists, pages of events, large content.
import { HttpError } from "./errors.js";
import type {
  AgentList, AuditPage, EventPage, FolderList, LoggedIn, PermissionList, Problem, Ref, RuleList, SessionInfo, SessionList, StoredBlob,
} from "./protocol.js";
import type { Platform } from "./platform.js";
import { Backoff } from "./backoff.js";

export interface HttpOptions {
  /** Of the server, without a path: `https://signalbox.example`. */
  url: string;
  /** A program's token; a browser logs in instead. */
  token?: string;
}

type Query = { [name: string]: string | number | undefined };

interface RequestOptions {
  query?: Query;
  body?: unknown;
  headers?: { [name: string]: string };
  signal?: AbortSignal;
  cache?: RequestCache;
}

const RETRIES = 4;

export class Http {
  private cookie: string | null = null;

  constructor(
    private readonly platform: Platform,
    private readonly options: HttpOptions,
  ) {}

  /** What says who we are, where the platform does not do it by itself. */
  identity(): { [name: string]: string } {
    const { token, url } = this.options;
    if (token) {
      return { Authorization: `Bearer ${token}` };
    }
    // A program that has logged in is treated as the browser that it imitates: with a cookie there must be an Origin.
    return this.cookie ? { Cookie: this.cookie, Origin: new URL(url).origin } : {};
  }

  /** A request whose answer is not looked at; throws an HttpError where it is not a good one. */
  async fetch(method: string, path: string, { query, body, headers = {}, signal, cache = "no-store" }: RequestOptions = {}): Promise<Response> {
    const url = new URL(this.options.url + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) {
        url.searchParams.set(name, String(value));
      }
    }
    const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array || body instanceof Blob;
    const response = await this.platform.fetch(url.href, {
      method,
      headers: { ...this.identity(), ...(isRaw ? {} : { "Content-Type": "application/json" }), ...headers },
      body: (isRaw ? body : JSON.stringify(body)) as BodyInit | undefined,
      credentials: "same-origin",
      cache,
      signal,
    });
    if (!response.ok) {
      throw await errorOf(response);
    }
    return response;
  }

  async json<T>(method: string, path: string, options?: RequestOptions): Promise<T> {
    const response = await this.fetch(method, path, options);
    return (response.status === 204 ? {} : await response.json()) as T;
  }

  /** Browsers keep the cookie where no script can read it; for programs it is kept here. */
  async login(token: string): Promise<LoggedIn> {
    const { url } = this.options;
    const headers: { [name: string]: string } = this.platform.isBrowser ? {} : { Origin: new URL(url).origin };
    const response = await this.fetch("POST", "/v1/login", { body: { token }, headers });
    if (!this.platform.isBrowser) {
      this.cookie = response.headers.get("set-cookie")?.split(";", 1)[0] ?? null;
    }
    return (response.status === 204 ? {} : await response.json()) as LoggedIn;
  }

  async logout(): Promise<void> {
    await this.fetch("POST", "/v1/logout");
    this.cookie = null;
  }

  agents(): Promise<AgentList> {
    return this.json("GET", "/v1/agents");
  }

  /** The folders in one in which agents may work; without a path, those that are configured. */
  folders(path?: string): Promise<FolderList> {
    return this.json("GET", "/v1/folders", { query: { path } });
  }

  sessions(query: { after?: string; limit?: number } = {}): Promise<SessionList> {
    return this.json("GET", "/v1/sessions", { query });
  }

  sessionInfo(sessionId: string): Promise<SessionInfo> {
    return this.json("GET", `/v1/sessions/${encodeURIComponent(sessionId)}`);
  }

  /** A folded page of events, for `reduceAll`. `after` is `EPOCH:SEQ`. */
  events(sessionId: string, query: { after?: string; limit?: number } = {}, signal?: AbortSignal): Promise<EventPage> {
    return this.json("GET", `/v1/sessions/${encodeURIComponent(sessionId)}/events`, { query, signal });
  }

  permissions(): Promise<PermissionList> {
    return this.json("GET", "/v1/permissions");
  }

  rules(query: Query = {}): Promise<RuleList> {
    return this.json("GET", "/v1/rules", { query });
  }

  async revokeRule(ruleId: string): Promise<void> {
    await this.fetch("DELETE", `/v1/rules/${encodeURIComponent(ruleId)}`);
  }

  audit(query: Query = {}): Promise<AuditPage> {
    return this.json("GET", "/v1/audit", { query });
  }

  // ---- large content ----

  /** Where a blob is to be had, for a link: the server sends it as an attachment. */
  blobUrl(sessionId: string, blob: string): string {
    return `${this.options.url}/v1/sessions/${encodeURIComponent(sessionId)}/blobs/${encodeURIComponent(blob)}`;
  }

  /** A blob, or `bytes` of it: [first, last], both included. The answer's `text()`, `blob()`, `body` have it. */
  blob(sessionId: string, blob: string, options: { bytes?: [number, number]; signal?: AbortSignal } = {}): Promise<Response> {
    const path = this.blobUrl(sessionId, blob).slice(this.options.url.length);
    const headers: { [name: string]: string } = options.bytes ? { Range: `bytes=${options.bytes.join("-")}` } : {};
    return this.again(() => this.fetch("GET", path, { headers, signal: options.signal, cache: "default" }));
  }

  /** What was cut at a reference: a string where one stands there, else the field's value. */
  async whole(sessionId: string, ref: Ref, signal?: AbortSignal): Promise<unknown> {
    const response = await this.blob(sessionId, ref.blob, { signal });
    const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
    return isJson ? response.json() : response.text();
  }

  /**
   * An event, a request, or an item of a session's state, with everything in its place that was cut from it. `/delta` of a
   * tool's item stays out: while the tool runs it is a part of `output`, and then `result` has it.
   */
  async complete<T extends { refs?: Ref[] }>(sessionId: string, cut: T, signal?: AbortSignal): Promise<T> {
    const { refs = [], ...rest } = cut;
    let whole: unknown = rest;
    for (const ref of refs.filter((each) => pointed(rest, each.path) !== undefined)) {
      whole = replaced(whole, segmentsOf(ref.path), await this.whole(sessionId, ref, signal));
    }
    return whole as T;
  }

  /** Stores content for a prompt, which names it by the `blob` that comes back. Sending the same again is harmless. */
  upload(sessionId: string, content: Blob | Uint8Array | string, type?: string, signal?: AbortSignal): Promise<StoredBlob> {
    const ofBlob = typeof Blob !== "undefined" && content instanceof Blob ? content.type : "";
    const fallback = typeof content === "string" ? "text/plain; charset=utf-8" : "application/octet-stream";
    const headers = { "Content-Type": type || ofBlob || fallback };
    const path = `/v1/sessions/${encodeURIComponent(sessionId)}/blobs`;
    return this.again(async () => (await this.fetch("POST", path, { body: content, headers, signal })).json());
  }

  /** For what may be done twice: again after a failure of the network, or a refusal that passes. */
  private async again<T>(call: () => Promise<T>): Promise<T> {
    const backoff = new Backoff({ baseMs: 500, maxMs: 8_000 }, this.platform.random);
    for (let left = RETRIES; ; left--) {
      try {
        return await call();
      } catch (error) {
        const isOurs = error instanceof Error && error.name === "AbortError";
        const isFinal = error instanceof HttpError && error.status !== 503 && error.status !== 502;
        if (left === 0 || isOurs || isFinal) {
          throw error;
        }
        const wait = (error instanceof HttpError ? error.retryAfterMs : null) ?? backoff.next();
        await new Promise<void>((resolve) => this.platform.setTimeout(resolve, wait));
      }
    }
  }
}

async function errorOf(response: Response): Promise<HttpError> {
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const problem = (await response.json().catch(() => null)) as Problem | null;
  return new HttpError(response.status, problem?.code ? problem : null, Number.isFinite(seconds) ? seconds * 1000 : null);
}

// ---- JSON Pointers (RFC 6901) ----

const segmentsOf = (path: string): string[] =>
  path.split("/").slice(1).map((segment) => segment.replaceAll("~1", "/").replaceAll("~0", "~"));

/** What stands at a JSON Pointer; undefined: nothing. */
export function pointed(value: unknown, path: string): unknown {
  let at = value;
  for (const segment of segmentsOf(path)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, segment)) {
      return undefined;
    }
    at = (at as { [name: string]: unknown })[segment];
  }
  return at;
}

function replaced(value: unknown, [first, ...rest]: string[], by: unknown): unknown {
  if (first === undefined) {
    return by;
  }
  const copy: any = Array.isArray(value) ? value.slice() : { ...(value as object) };
  copy[first] = replaced(copy[first], rest, by);
  return copy;
}
