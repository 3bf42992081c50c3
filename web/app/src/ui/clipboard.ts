import { toast } from "./toast";

/** Copies a text and says so. Without TLS browsers have no clipboard for pages: then the old way. */
export async function copyText(text: string, said: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    field.style.position = "fixed";
    field.style.opacity = "0";
    const top = document.querySelector("dialog:modal") ?? document.body;
    const before = document.activeElement;
    top.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    if (before instanceof HTMLElement) {
      before.focus();
    }
    if (!isDone) {
      toast("This browser does not let the page copy.");
      return;
    }
  }
  toast(said, { kind: "good" });
}
