// Small settings of this browser, in its localStorage. Where that is forbidden or full they last as long as the page.
const fallback = new Map<string, string>();
const PREFIX = "signalbox:";

export function recall(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name) ?? fallback.get(name) ?? null;
  } catch {
    return fallback.get(name) ?? null;
  }
}

export function keep(name: string, value: string | null): void {
  fallback.delete(name);
  try {
    if (value === null) {
      localStorage.removeItem(PREFIX + name);
    } else {
      localStorage.setItem(PREFIX + name, value);
    }
  } catch {
    if (value !== null) {
      fallback.set(name, value);
    }
  }
}
