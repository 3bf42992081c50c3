import { useEffect, useState } from "preact/hooks";
import { CheckIcon, CopyIcon } from "./icons";
import "./copy.css";

/** Copies `text()`, and says for a moment that it did. */
export function CopyButton({ text, label = "Copy" }: { text: () => string; label?: string }) {
  const [state, setState] = useState<"idle" | "done" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") {
      return undefined;
    }
    const timer = setTimeout(() => setState("idle"), 1_600);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    setState(await copyText(text()) ? "done" : "failed");
  };
  const said = state === "done" ? "Copied" : state === "failed" ? "It could not be copied" : label;
  return (
    <button type="button" class="copy-button" data-state={state} aria-label={said} title={said} onClick={copy}>
      {state === "done" ? <CheckIcon /> : <CopyIcon />}
      {state !== "idle" && <span class="copy-button__said" role="status">{said}</span>}
    </button>
  );
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without a secure context there is no clipboard: the way that there was before.
    const area = document.createElement("textarea");
    const before = document.activeElement;
    area.value = text;
    area.className = "copy-button__area";
    area.setAttribute("aria-hidden", "true");
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    (before as HTMLElement | null)?.focus?.({ preventScroll: true });
    return isDone;
  }
}
