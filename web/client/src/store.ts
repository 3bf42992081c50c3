// A value that changes and can be watched: what the bindings of UI frameworks are made on.

/** `get` returns the same object until it changes; `subscribe` calls back after each change and returns what ends it. */
export interface Store<T> {
  get(): T;
  subscribe(listener: () => void): () => void;
}

/** One listener that throws does not keep the others, or the client, from going on; the error is reported as uncaught. */
export function callAll<A extends unknown[]>(listeners: Iterable<(...args: A) => void>, ...args: A): void {
  for (const listener of [...listeners]) {
    try {
      listener(...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

export class Cell<T> implements Store<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private value: T) {}

  get(): T {
    return this.value;
  }

  set(value: T): void {
    if (value !== this.value) {
      this.value = value;
      callAll(this.listeners);
    }
  }

  subscribe(listener: () => void): () => void {
    const own = () => listener(); // the same function may be given twice
    this.listeners.add(own);
    return () => {
      this.listeners.delete(own);
    };
  }
}

/** Resolves with the first value, now or later, for which `match` holds. */
export function when<T>(store: Store<T>, match: (value: T) => boolean): Promise<T> {
  return new Promise((resolve) => {
    if (match(store.get())) {
      resolve(store.get());
      return;
    }
    const stop = store.subscribe(() => {
      if (match(store.get())) {
        stop();
        resolve(store.get());
      }
    });
  });
}
