import { useCallback, useState } from "preact/hooks";

/** Says things aloud, one after the other; the same words twice are said twice. */
export function useAnnouncer(): { text: string; announce(text: string): void } {
  const [text, setText] = useState("");
  // A blank more or less makes it another text, which is read again.
  const announce = useCallback((next: string) => setText((before) => (before === next ? `${next}\u00a0` : next)), []);
  return { text, announce };
}

export function Announcer({ text }: { text: string }) {
  return <div class="visually-hidden" role="status" aria-live="polite">{text}</div>;
}
