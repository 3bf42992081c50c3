// What was fetched whole, as long as there is room for it. Pure.

/** A map with a bound in bytes: what was used longest ago goes. */
export class Fetched {
  private readonly entries = new Map<string, { value: unknown; bytes: number }>(); // in the order of their last use
  private used = 0;

  constructor(readonly maxBytes: number) {}

  get bytes(): number {
    return this.used;
  }

  get(key: string): unknown {
    const entry = this.entries.get(key);
    if (entry) {
      this.entries.delete(key);
      this.entries.set(key, entry);
    }
    return entry?.value;
  }

  /** The newest one stays, whatever its size: somebody has just asked for it. */
  set(key: string, value: unknown, bytes: number): void {
    this.delete(key);
    this.entries.set(key, { value, bytes });
    this.used += bytes;
    for (const oldest of this.entries.keys()) {
      if (this.used <= this.maxBytes || oldest === key) {
        break;
      }
      this.delete(oldest);
    }
  }

  private delete(key: string): void {
    this.used -= this.entries.get(key)?.bytes ?? 0;
    this.entries.delete(key);
  }
}
