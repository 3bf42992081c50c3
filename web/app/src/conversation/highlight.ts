// The page's side of highlighting: what was asked for is remembered, and a highlighter that hangs is replaced.
import { workerAddress } from "../trusted";
import type { HighlightAnswer, HighlightRequest } from "./highlight.worker";
import address from "./highlight.worker?worker&url";

/** More than this stays plain: so many coloured pieces would cost the page more than they tell. UTF-16 units. */
export const MOST_HIGHLIGHTED = 60_000;

const PATIENCE_MS = 5_000;
const REMEMBERED = 300;
const MOST_REMEMBERED = 2_000_000; // UTF-16 units of code in all: code that grows is remembered at many lengths

interface Waiting {
  request: HighlightRequest;
  done(pieces: string[] | null): void;
}

const known = new Map<string, string[] | null>();
let remembered = 0;
let worker: Worker | null = null;
let isBroken = typeof Worker === "undefined";
let current: Waiting | null = null;
let queue: Waiting[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
let lastId = 0;

/** What is known already, so that something that was highlighted before is so at once. undefined: nothing is. */
export function highlighted(code: string, language: string): string[] | null | undefined {
  return known.get(`${language}\n${code}`);
}

/** Class names and text by turns, or null where it stays plain. Never throws. */
export function highlight(code: string, language: string): Promise<string[] | null> {
  const found = highlighted(code, language);
  if (found !== undefined || isBroken || code.length > MOST_HIGHLIGHTED) {
    return Promise.resolve(found ?? null);
  }
  return new Promise((resolve) => {
    queue.push({ request: { id: ++lastId, code, language }, done: resolve });
    next();
  });
}

function next(): void {
  if (current || queue.length === 0) {
    return;
  }
  current = queue.pop()!; // what was asked for last is what is looked at
  worker ??= start();
  timer = setTimeout(() => {
    worker?.terminate();
    worker = null;
    finish(null);
  }, PATIENCE_MS);
  worker.postMessage(current.request);
}

function start(): Worker {
  const made = new Worker(workerAddress(address), { type: "module" });
  made.addEventListener("message", ({ data }: MessageEvent<HighlightAnswer>) => {
    if (data.id === current?.request.id) {
      finish(data.pieces);
    }
  });
  made.addEventListener("error", () => { // it could not be loaded: everything stays plain
    isBroken = true;
    const all = queue;
    queue = [];
    finish(null);
    all.forEach((each) => each.done(null));
  });
  return made;
}

function remember(key: string, pieces: string[] | null): void {
  remembered += known.has(key) ? 0 : key.length;
  known.set(key, pieces);
  while (known.size > REMEMBERED || remembered > MOST_REMEMBERED) {
    const oldest = known.keys().next().value!;
    known.delete(oldest);
    remembered -= oldest.length;
  }
}

function finish(pieces: string[] | null): void {
  clearTimeout(timer);
  const { request, done } = current ?? {};
  current = null;
  if (request && done) {
    remember(`${request.language}\n${request.code}`, pieces);
    done(pieces);
  }
  next();
}
