// All sessions at a glance, and what waits for an answer in any of them.
import { Backoff } from "./backoff.js";
import type {
  PermissionList, PermissionRequest, ServerMessage, SessionChangedMessage, SessionSummary, SessionsMessage,
} from "./protocol.js";
import type { Platform } from "./platform.js";
import { Cell } from "./store.js";
import type { Store } from "./store.js";

export interface SessionsView {
  /** By sessionId; in no order that counts. */
  items: ReadonlyMap<string, SessionSummary>;
  /** Whether the list has ever come. */
  isLoaded: boolean;
  /** Whether it is kept current now. */
  isLive: boolean;
  /** The `after` of older sessions; null: there are none. */
  next: string | null;
}

export interface PermissionsView {
  /** By requestId, oldest first. */
  items: ReadonlyMap<string, PermissionRequest>;
  isLoaded: boolean;
}

interface ListLink {
  write(message: object): boolean;
  /** GET /v1/permissions: what waited before we watched. */
  permissions(): Promise<PermissionList>;
  /** GET /v1/sessions. */
  older(after: string): Promise<{ items: SessionSummary[]; next?: string }>;
}

export class Lists {
  private readonly sessionCell = new Cell<SessionsView>({ items: new Map(), isLoaded: false, isLive: false, next: null });
  private readonly permissionCell = new Cell<PermissionsView>({ items: new Map(), isLoaded: false });
  private readonly backoff: Backoff;
  private watchers = 0;
  private round = 0; // of asking for the permissions: the answer of an earlier one is of no interest
  private isAsking = false;
  private begun = new Map<string, PermissionRequest>(); // while they are asked for
  private ended = new Set<string>();
  private timer: unknown = null;

  constructor(
    private readonly platform: Platform,
    private readonly link: ListLink,
  ) {
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, platform.random);
  }

  get sessions(): Store<SessionsView> {
    return this.sessionCell;
  }

  get permissions(): Store<PermissionsView> {
    return this.permissionCell;
  }

  /** Keeps both lists current until what this returns is called as often as this was. */
  watch(): () => void {
    if (this.watchers++ === 0) {
      this.connected();
    }
    let isHeld = true;
    return () => {
      if (isHeld) {
        isHeld = false;
        if (--this.watchers === 0) {
          this.disconnected();
          this.link.write({ type: "unwatch_sessions" });
        }
      }
    };
  }

  /** Adds the page of older sessions to the list; false: there is none. */
  async loadOlder(): Promise<boolean> {
    const { next } = this.sessionCell.get();
    if (next === null) {
      return false;
    }
    const page = await this.link.older(next);
    const view = this.sessionCell.get();
    const older = page.items.map((item): [string, SessionSummary] => [item.sessionId, item]);
    this.sessionCell.set({ ...view, items: new Map([...older, ...view.items]), next: page.next ?? null }); // what is known is newer
    return true;
  }

  /** @internal */
  connected(): void {
    if (this.watchers > 0) {
      this.link.write({ type: "watch_sessions" });
    }
  }

  /** @internal What is known stays, and says that it is old. */
  disconnected(): void {
    this.round++;
    this.platform.clearTimeout(this.timer);
    this.sessionCell.set({ ...this.sessionCell.get(), isLive: false });
  }

  /** @internal True: the message was about the lists. */
  message(message: ServerMessage): boolean {
    switch (message.type) {
      case "sessions":
        this.list(message as SessionsMessage);
        return true;
      case "session_changed": {
        const { type: _, ...item } = message as SessionChangedMessage;
        this.change((items) => items.set(item.sessionId, item));
        return true;
      }
      case "session_removed":
        this.change((items) => items.delete(message.sessionId));
        return true;
      case "permission_waiting":
        this.begun.set(message.request.requestId, message.request);
        this.showPermissions(this.permissionCell.get().items.values());
        return true;
      case "permission_ended":
        this.ended.add(message.requestId);
        this.showPermissions(this.permissionCell.get().items.values());
        return true;
      default:
        return false;
    }
  }

  // A slow client gets a fresh list instead of what it missed, which may have been about permissions as well.
  private list(message: SessionsMessage): void {
    if (this.watchers === 0) {
      return;
    }
    const items = new Map(message.items.map((item) => [item.sessionId, item]));
    this.sessionCell.set({ items, isLoaded: true, isLive: true, next: message.next ?? null });
    this.begun.clear();
    this.ended.clear();
    this.backoff.reset();
    this.isAsking = true;
    void this.askPermissions(++this.round);
  }

  private change(edit: (items: Map<string, SessionSummary>) => void): void {
    const items = new Map(this.sessionCell.get().items);
    edit(items);
    this.sessionCell.set({ ...this.sessionCell.get(), items });
  }

  private async askPermissions(round: number): Promise<void> {
    try {
      const { permissions } = await this.link.permissions();
      if (round === this.round) {
        this.isAsking = false;
        this.showPermissions(permissions);
      }
    } catch {
      if (round === this.round) {
        this.timer = this.platform.setTimeout(() => void this.askPermissions(round), this.backoff.next());
      }
    }
  }

  private showPermissions(known: Iterable<PermissionRequest>): void {
    const all = new Map<string, PermissionRequest>();
    const sorted = [...known, ...this.begun.values()].sort((a, b) => a.createdAt - b.createdAt);
    for (const request of sorted.filter((each) => !this.ended.has(each.requestId))) {
      all.set(request.requestId, request);
    }
    this.permissionCell.set({ items: all, isLoaded: this.permissionCell.get().isLoaded || !this.isAsking });
    if (!this.isAsking) {
      this.begun.clear();
      this.ended.clear();
    }
  }
}
