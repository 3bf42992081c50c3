// Every wait has an end, and says what it waited for.
const patience = Number(process.env.SIGNALBOX_TEST_PATIENCE ?? 1);

// Only what fails takes it: two cores that others use as well may stand still for long.
export const DEFAULT_WAIT_MS = 60_000;

export function scaled(ms) {
  return ms * patience;
}

/** Counts how long this process stands still from now on (a busy machine, or one that is taken away for a while): a limit of time is for
 * the rest. -> a function that says so many ms. */
export function standstill() {
  const every = 20;
  let last = performance.now();
  let lost = 0;
  const look = () => {
    const now = performance.now();
    lost += Math.max(0, now - last - 2 * every);
    last = now;
  };
  const timer = setInterval(look, every);
  return () => {
    clearInterval(timer);
    look();
    return lost;
  };
}

/** Rejects with `explain()` when `promise` is not settled in time. */
export async function within(promise, ms, explain) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not in ${scaled(ms)} ms: ${explain()}`)), scaled(ms));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** For what sends no event (processes, files): asks `probe` until it answers something true. */
export async function until(probe, what, ms = DEFAULT_WAIT_MS) {
  const end = Date.now() + scaled(ms);
  for (;;) {
    const answer = await probe();
    if (answer) {
      return answer;
    }
    if (Date.now() > end) {
      throw new Error(`not in ${scaled(ms)} ms: ${typeof what === 'function' ? await what() : what}`);
    }
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** A list that one side appends to and the other side waits on. */
export class Inbox {
  #waiters = new Set();
  #fault = null;
  items = [];

  push(item) {
    this.items.push(item);
    for (const waiter of this.#waiters) {
      waiter.offer(item);
    }
  }

  /** Nothing more will come: everybody who waits is told why. */
  fail(error) {
    this.#fault ??= error;
    for (const waiter of this.#waiters) {
      waiter.reject(this.#fault);
    }
  }

  /** More comes after all. */
  revive() {
    this.#fault = null;
  }

  /** The first item at or after index `from` for which `match` holds, past or future. */
  async find(match, { what, from = 0, ms = DEFAULT_WAIT_MS, explain = () => '' }) {
    for (let i = from; i < this.items.length; i++) {
      if (match(this.items[i])) {
        return this.items[i];
      }
    }
    if (this.#fault) {
      throw this.#fault;
    }
    let waiter;
    const found = new Promise((resolve, reject) => {
      const offer = (item) => match(item) && resolve(item);
      waiter = { offer, reject };
      this.#waiters.add(waiter);
    });
    try {
      return await within(found, ms, () => `${what}\n${explain()}`);
    } finally {
      this.#waiters.delete(waiter);
    }
  }
}
