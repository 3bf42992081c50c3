import { copyText } from "../ui/clipboard";
import { addressOf } from "../shell/router";
import { CopyIcon, LinkIcon } from "../ui/icons";
import { useConversation } from "./context";
import "./copy.css";

/** Copies what `text()` gives. */
export function CopyButton({ text, label = "Copy", said = "Copied" }: { text: () => string; label?: string; said?: string }) {
  return (
    <button type="button" class="copy-button" aria-label={label} title={label} onClick={() => void copyText(text(), said)}>
      <CopyIcon />
    </button>
  );
}

/** Copies the address of an item: who opens it is brought there. */
export function CopyLinkButton({ item }: { item: string }) {
  const { sessionId } = useConversation();
  const address = () => addressOf({ name: "session", sessionId, item });
  return (
    <button type="button" class="copy-button" aria-label="Copy a link to this" title="Copy a link to this" data-testid="copy-link" onClick={() => void copyText(address(), "The link is copied.")}>
      <LinkIcon />
    </button>
  );
}
