import { copyText } from "../ui/clipboard";
import { CopyIcon } from "../ui/icons";
import "./copy.css";

/** Copies what `text()` gives. */
export function CopyButton({ text, label = "Copy", said = "Copied" }: { text: () => string; label?: string; said?: string }) {
  return (
    <button type="button" class="copy-button" aria-label={label} title={label} onClick={() => void copyText(text(), said)}>
      <CopyIcon />
    </button>
  );
}
