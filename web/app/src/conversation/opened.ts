/** By key: what was opened or closed by hand, or for who follows a link. Rows come and go while one scrolls; this stays. */
export class Opened {
  private readonly states = new Map<string, boolean>();
  private readonly listeners = new Map<string, Set<() => void>>();

  get(key: string): boolean | undefined {
    return this.states.get(key);
  }

  set(key: string, isOpen: boolean): void {
    this.states.set(key, isOpen);
    this.listeners.get(key)?.forEach((listener) => listener());
  }

  subscribe(key: string, listener: () => void): () => void {
    const all = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, all.add(listener));
    return () => {
      all.delete(listener);
      if (all.size === 0 && this.listeners.get(key) === all) {
        this.listeners.delete(key);
      }
    };
  }
}
