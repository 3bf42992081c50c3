// Where a link of an agent's may lead.

/** http, https and mailto; null: it is shown, and leads nowhere. */
export function safeUrl(href: unknown): string | null {
  if (typeof href !== "string" || href.length > 8_000) {
    return null;
  }
  const trimmed = href.trim();
  if (!/^(?:https?:\/\/|mailto:)/i.test(trimmed)) {
    return null; // also what is relative: it would lead into this server
  }
  try {
    const url = new URL(trimmed);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
