// What one writes in a session, and what becomes of it: kept apart from what is drawn, so that a text that could not be sent
// comes back also where one has gone elsewhere meanwhile.
import { CommandError } from "signalbox-client";
import type { Command, ContentBlock, PromptCapabilities, QueuedPrompt, SignalboxClient, Store } from "signalbox-client";
import { asText, blockOf, kindOf, nameOfBlock, refusedKind, refusedSentence, sizeWords, takes, typeOf } from "./attachments";
import type { AttachmentKind } from "./attachments";
import { DraftStore, joinTexts } from "./draft";
import type { KeptAttachment } from "./draft";
import { upload, UploadError } from "./upload";
import { refusalOf } from "./words";

export interface Attachment {
  key: number;
  name: string;
  bytes: number;
  kind: AttachmentKind;
  /** From 0 to 1 while it is sent up. */
  progress: number;
  /** What the prompt will have; null: it is not there yet. */
  block: ContentBlock | null;
  /** Why it could not be sent up. */
  failure: string | null;
  /** Why it cannot go with the prompt: the agent does not take it, it is too large, or it could not be sent up. */
  problem: string | null;
  canRetry: boolean;
  /** Of what was chosen in this page; null: it came back, or was there before a reload. */
  file: File | null;
}

export interface DeskState {
  text: string;
  /** Grows whenever the text was changed by anything but typing. */
  version: number;
  attachments: readonly Attachment[];
  note: { tone: "quiet" | "bad"; words: string; action?: { label: string; run(): void } } | null;
  /** A cancel of this turn ("": of none) is on its way, or the agent has not ended the turn yet. */
  cancelling: string | null;
}

let keys = 0;

export class Desk implements Store<DeskState> {
  private state: DeskState;
  private readonly listeners = new Set<() => void>();
  private readonly uploads = new Map<number, AbortController>();
  private readonly refusedKinds = new Set<AttachmentKind>();
  private capabilities: PromptCapabilities | null = null;
  private maxBytes: number | null = null;

  constructor(
    private readonly client: SignalboxClient,
    readonly sessionId: string,
    private readonly drafts: DraftStore,
  ) {
    const { text, attachments } = drafts.get(sessionId);
    this.state = { text, version: 0, attachments: attachments.map(keptAttachment), note: null, cancelling: null };
  }

  get(): DeskState {
    return this.state;
  }

  subscribe(listener: () => void): () => void {
    const own = () => listener();
    this.listeners.add(own);
    return () => {
      this.listeners.delete(own);
    };
  }

  private set(change: Partial<DeskState>): void {
    this.state = { ...this.state, ...change };
    if (change.attachments) {
      this.state.attachments = this.weighed(change.attachments);
    }
    this.drafts.put(this.sessionId, {
      text: this.state.text,
      attachments: this.state.attachments.flatMap(({ name, bytes, block }) => (block ? [{ name, bytes, block }] : [])),
    });
    for (const listener of [...this.listeners]) {
      listener();
    }
    if (change.attachments) {
      this.sendUpWhatMay();
    }
  }

  // ---- writing ----

  type(text: string): void {
    this.set({ text, note: this.state.note?.tone === "bad" ? this.state.note : null });
  }

  /** Puts a text into the field in place of what is there. */
  write(text: string): void {
    this.set({ text, version: this.state.version + 1 });
  }

  dismissNote(): void {
    this.set({ note: null });
  }

  get isEmpty(): boolean {
    return this.state.text.trim() === "" && this.state.attachments.length === 0;
  }

  get canSend(): boolean {
    const { text, attachments } = this.state;
    return this.obstacle === null && (text.trim() !== "" || attachments.length > 0);
  }

  /** Why nothing can be sent, where that is not plain to see; null: there is nothing in the way. */
  get obstacle(): string | null {
    const { text, attachments } = this.state;
    return attachments.some(({ problem }) => problem !== null) ? "A file cannot be sent: take it away first."
      : attachments.some(({ block }) => block === null) ? "A file is still being sent."
        : text !== "" && text.trim() === "" && attachments.length === 0 ? "There is nothing in this prompt but blanks." : null;
  }

  // ---- files ----

  /** What the agent takes (null: it has not said so yet), and the most that the server takes with a prompt (null: not known). */
  knows(capabilities: PromptCapabilities | null, maxBytes: number | null): void {
    const isNews = JSON.stringify(capabilities) !== JSON.stringify(this.capabilities);
    if (!isNews && maxBytes === this.maxBytes) {
      return;
    }
    if (isNews) {
      this.refusedKinds.clear(); // it was another agent, or it says the same once more
    }
    this.capabilities = capabilities;
    this.maxBytes = maxBytes;
    this.set({ attachments: this.state.attachments });
  }

  /** Nothing is sent up that could not go with the prompt: what is wrong with it is said at once. */
  attach(files: Iterable<File>): void {
    const more = Array.from(files, (file): Attachment => {
      const kind = kindOf(file);
      return {
        key: ++keys, name: file.name || (kind === "image" ? "Image" : "File"), bytes: file.size, kind, progress: 0, block: null, failure: null, problem: null,
        canRetry: false, file,
      };
    });
    this.set({ attachments: [...this.state.attachments, ...more] });
  }

  private weighed(attachments: readonly Attachment[]): Attachment[] {
    const most = this.maxBytes ?? Infinity;
    let bytes = 0;
    return attachments.map((each) => {
      let problem = each.failure;
      if (!this.takes(each.kind)) {
        problem = refusedSentence(each.kind);
      } else if (each.file?.size === 0) {
        problem = "This file is empty.";
      } else if (each.bytes > most) {
        problem = `${sizeWords(each.bytes)} is too large: this server takes up to ${sizeWords(most)}.`;
      } else if (bytes + each.bytes > most) {
        problem = `With the others it is too large: a prompt takes up to ${sizeWords(most)}.`;
      } else {
        bytes += each.bytes;
      }
      return problem === each.problem ? each : { ...each, problem };
    });
  }

  private sendUpWhatMay(): void {
    for (const { key, file, block, problem } of this.state.attachments) {
      if (file && block === null && problem === null && !this.uploads.has(key)) {
        void this.sendUp(key, file);
      }
    }
  }

  detach(key: number): void {
    this.uploads.get(key)?.abort();
    this.set({ attachments: this.state.attachments.filter((each) => each.key !== key) });
  }

  retry(key: number): void {
    const one = this.state.attachments.find((each) => each.key === key);
    if (one?.file) {
      this.change(key, { failure: null, canRetry: false, progress: 0 });
    }
  }

  /** The file's text into what one writes, for agents that take no files. */
  async insertAsText(key: number): Promise<void> {
    const one = this.state.attachments.find((each) => each.key === key);
    if (one?.file) {
      const content = await one.file.text();
      this.detach(key);
      this.write(joinTexts(this.state.text, asText(one.name, content)));
    }
  }

  private change(key: number, fields: Partial<Attachment>): void {
    this.set({ attachments: this.state.attachments.map((each) => (each.key === key ? { ...each, ...fields } : each)) });
  }

  private async sendUp(key: number, file: File): Promise<void> {
    const abort = new AbortController();
    this.uploads.set(key, abort);
    try {
      const progress = (share: number) => this.change(key, { progress: share });
      const { blob } = await upload(this.client, this.sessionId, file, typeOf(file), { progress, signal: abort.signal });
      this.change(key, { progress: 1, block: blockOf(file, blob) });
    } catch (error) {
      this.change(key, { failure: (error as Error).message, canRetry: error instanceof UploadError && error.canRetry });
    } finally {
      this.uploads.delete(key);
    }
  }

  // ---- sending ----

  send(): Command<"prompt"> | null {
    if (!this.canSend) {
      const { obstacle } = this;
      if (obstacle !== null) {
        this.tell(obstacle);
      }
      return null;
    }
    const { text, attachments } = this.state;
    const content = attachments.map(({ block }) => block!);
    const { sessionId } = this;
    const fields = { sessionId, ...(text.trim() === "" ? {} : { text }), ...(content.length > 0 ? { content } : {}) };
    this.set({ text: "", version: this.state.version + 1, attachments: [], note: null });
    const command = this.client.send("prompt", fields);
    this.follow(command, attachments);
    return command;
  }

  /** What could not be sent comes back into the field; `attachments` are its files as they were chosen. */
  follow(command: Command<"prompt">, attachments: readonly Attachment[] = []): void {
    command.catch((error: unknown) => {
      if (!(error instanceof CommandError) || error.code === "client_closed") {
        return;
      }
      const { text = "", content = [] } = command.fields as { text?: string; content?: ContentBlock[] };
      const back = () => this.putBack(text, content, attachments);
      if (error.outcome === "unknown") {
        this.set({ note: { tone: "bad", words: refusalOf(error), action: { label: "Write it again", run: back } } });
        return;
      }
      back();
      const kind = error.code === "unsupported" ? refusedKind(error.message) : null;
      if (kind) {
        this.refuse(kind);
      } else if (error.code !== "withdrawn") {
        this.set({ note: { tone: "bad", words: refusalOf(error) } });
      }
    });
  }

  /** The agent has said that it takes no such thing. */
  refuse(kind: AttachmentKind): void {
    this.refusedKinds.add(kind);
    this.set({ attachments: this.state.attachments, note: { tone: "bad", words: `${refusedSentence(kind)} Your prompt is still here.` } });
  }

  takes(kind: AttachmentKind): boolean {
    return takes(this.capabilities, kind) && !this.refusedKinds.has(kind);
  }

  /** Says something that stands in nobody's way. */
  tell(words: string): void {
    this.set({ note: { tone: "quiet", words } });
  }

  putBack(text: string, content: readonly ContentBlock[] = [], attachments: readonly Attachment[] = []): void {
    const [first, ...rest] = content;
    // `text` may stand as the first block, too, as the server shows it.
    const blocks = (first?.type === "text" && first.text === text ? rest : content).filter(({ type }) => type !== "text");
    const known = new Set(this.state.attachments.map(({ block }) => block?.blob));
    const back = blocks
      .filter(({ blob }) => typeof blob === "string" && !known.has(blob))
      .map((block) => attachments.find((each) => each.block?.blob === block.blob) ?? keptAttachment({ name: nameOfBlock(block), bytes: 0, block }));
    this.set({ text: joinTexts(text, this.state.text), version: this.state.version + 1, attachments: [...back, ...this.state.attachments] });
  }

  // ---- the queue, and the turn ----

  async withdraw({ messageId, text, content }: QueuedPrompt): Promise<void> {
    try {
      await this.client.send("withdraw", { sessionId: this.sessionId, messageId });
    } catch (error) {
      const isGone = error instanceof CommandError && error.code === "not_found";
      this.set({ note: { tone: "bad", words: isGone ? "It was given to the agent already." : `It could not be taken back: ${(error as Error).message}` } });
      return;
    }
    const back = () => this.putBack(text, content);
    if (this.isEmpty) {
      back();
    } else {
      this.set({ note: { tone: "quiet", words: "The prompt was taken back.", action: { label: "Add it to what you write", run: () => { back(); this.dismissNote(); } } } });
    }
  }

  /** Cancels the turn; what of one's own was queued comes back. `queue` is what waits now: its files come back with it. */
  async cancel(turnId: string | null, queue: readonly QueuedPrompt[]): Promise<void> {
    if (this.state.cancelling !== null) {
      return;
    }
    this.set({ cancelling: turnId ?? "", note: null });
    try {
      const { withdrawn = [] } = await this.client.cancel(this.sessionId, { turnId });
      for (const text of [...withdrawn].reverse()) {
        this.putBack(text, queue.find((each) => each.text === text)?.content);
      }
    } catch (error) {
      this.set({ cancelling: null, note: { tone: "bad", words: `The turn was not cancelled: ${(error as Error).message}` } });
      return;
    }
    if (turnId === null) {
      this.set({ cancelling: null });
    }
  }

  /** The session's turn is this one now: a cancel of another one is over. */
  turnIs(turnId: string | null): void {
    if (this.state.cancelling && this.state.cancelling !== turnId) {
      this.set({ cancelling: null });
    }
  }

  async resume(): Promise<void> {
    try {
      await this.client.send("resume_queue", { sessionId: this.sessionId });
    } catch (error) {
      this.set({ note: { tone: "bad", words: `The queue still stands: ${(error as Error).message}` } });
    }
  }
}

function keptAttachment({ name, bytes, block }: KeptAttachment): Attachment {
  const kind = block.type === "image" || block.type === "audio" ? block.type : "resource";
  return { key: ++keys, name, bytes, kind, progress: 1, block, failure: null, problem: null, canRetry: false, file: null };
}

// ---- all of a page's ----

interface Desks {
  drafts: DraftStore;
  bySession: Map<string, Desk>;
}

const all = new WeakMap<SignalboxClient, Desks>();

function storage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

/** The desk of a session: the same one as long as the page is there. */
export function deskOf(client: SignalboxClient, sessionId: string): Desk {
  const desks = all.get(client) ?? openDesks(client);
  let desk = desks.bySession.get(sessionId);
  if (!desk) {
    desk = new Desk(client, sessionId, desks.drafts);
    desks.bySession.set(sessionId, desk);
  }
  return desk;
}

/** When the page begins: what was on its way before a reload comes back into its session's field, too, if it comes to nothing. */
export function openDesks(client: SignalboxClient): Desks {
  const desks = all.get(client) ?? { drafts: new DraftStore(storage()), bySession: new Map() };
  if (!all.has(client)) {
    all.set(client, desks);
    for (const command of client.outbox.get()) {
      if (command.type === "prompt" && command.sessionId !== null) {
        deskOf(client, command.sessionId).follow(command);
      }
    }
  }
  return desks;
}
