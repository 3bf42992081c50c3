import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { AgentCommand } from "signalbox-client";
import { useStore } from "signalbox-client/preact";
import { VisibleText } from "../ui/visible-text";
import type { Desk } from "./desk";
import { browse, NOT_BROWSING } from "./history";
import { completed, hintOf, matchingCommands, slashQuery } from "./slash";
import { SlashMenu } from "./slash-menu";

interface Props {
  desk: Desk;
  /** Another one: the text was changed by something else than typing. */
  version: number;
  commands: readonly AgentCommand[];
  prompts(): string[];
  placeholder: string;
  /** Enter makes a new line: a button sends. */
  isTouch: boolean;
  onSend(): void;
  onFiles(files: Iterable<File>): void;
}

/** The field that grows with its text, with the history of one's prompts and the agent's slash commands. */
export function PromptField({ desk, version, commands, prompts, placeholder, isTouch, onSend, onFiles }: Props) {
  const text = useStore(desk, (state) => state.text);
  const field = useRef<HTMLTextAreaElement>(null);
  const browsing = useRef(NOT_BROWSING);
  const wanted = useRef<number | null>(null); // where the cursor goes when the text has changed
  const [at, setAt] = useState(text.length);
  const [marked, setMarked] = useState(0);
  const [dismissed, setDismissed] = useState<string | null>(null);
  const menuId = useId();

  const query = slashQuery(text, at);
  const found = query !== null && query !== dismissed ? matchingCommands(commands, query) : [];
  const isOpen = found.length > 0;
  const chosen = Math.min(marked, found.length - 1);
  const hint = hintOf(commands, text);

  useLayoutEffect(() => fit(field.current!), [text, placeholder]);
  useEffect(() => {
    const again = () => fit(field.current!);
    addEventListener("resize", again);
    return () => removeEventListener("resize", again);
  }, []);
  useLayoutEffect(() => {
    if (wanted.current !== null) {
      field.current!.setSelectionRange(wanted.current, wanted.current);
      setAt(wanted.current);
      wanted.current = null;
    }
  }, [version]);
  useEffect(() => {
    if (!isTouch && (document.activeElement === document.body || document.activeElement === null)) {
      field.current!.focus({ preventScroll: true });
    }
  }, []);

  const put = (next: string, cursor: number) => {
    wanted.current = cursor;
    desk.write(next);
  };
  const complete = (command: AgentCommand) => {
    const next = completed(text, at, command);
    put(next.text, next.at);
    setMarked(0);
    field.current!.focus();
  };
  const cursor = () => {
    const { selectionStart, selectionEnd } = field.current!;
    return selectionStart === selectionEnd ? selectionStart : null;
  };

  const pressed = (event: KeyboardEvent) => {
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.altKey) {
      return;
    }
    if (isOpen) {
      switch (event.key) {
        case "ArrowDown":
        case "ArrowUp":
          event.preventDefault();
          setMarked((chosen + (event.key === "ArrowDown" ? 1 : found.length - 1)) % found.length);
          return;
        case "Tab":
        case "Enter":
          if (!event.shiftKey && !event.metaKey) {
            event.preventDefault();
            complete(found[chosen]!);
            return;
          }
          break;
        case "Escape":
          event.preventDefault();
          setDismissed(query);
          return;
        default:
      }
    }
    if (event.key === "Enter" && ((!event.shiftKey && !isTouch) || event.metaKey)) {
      event.preventDefault();
      onSend();
    } else if ((event.key === "ArrowUp" || event.key === "ArrowDown") && !event.shiftKey && !event.metaKey) {
      const next = browse(browsing.current, event.key, prompts(), text, cursor());
      if (next) {
        event.preventDefault();
        browsing.current = next;
        put(next.shown, event.key === "ArrowUp" ? 0 : next.shown.length);
      }
    }
  };

  return (
    <div class="prompt-field">
      {isOpen && <SlashMenu id={menuId} commands={found} chosen={chosen} onChoose={complete} onMark={setMarked} />}
      <textarea
        ref={field} class="prompt-field__text" data-testid="prompt-input" rows={1} value={text} placeholder={placeholder} aria-label="Prompt"
        aria-autocomplete="list" aria-haspopup="listbox" aria-controls={isOpen ? menuId : undefined} aria-activedescendant={isOpen ? `${menuId}-${chosen}` : undefined}
        autocapitalize="sentences" enterkeyhint={isTouch ? "enter" : "send"}
        onInput={(event) => {
          desk.type(event.currentTarget.value);
          setAt(event.currentTarget.selectionStart);
          setDismissed(null);
          setMarked(0);
        }}
        onKeyDown={pressed}
        onSelect={(event) => setAt(event.currentTarget.selectionStart)}
        onPaste={(event) => {
          const files = [...(event.clipboardData?.files ?? [])];
          // Where there is a text as well (a table, a web page), the picture beside it is only how that looks.
          if (files.length > 0 && !event.clipboardData?.types.includes("text/plain")) {
            event.preventDefault();
            onFiles(files);
          }
        }}
      />
      {hint && <p class="prompt-field__hint"><VisibleText text={hint} /></p>}
    </div>
  );
}

/** As high as its text; how high that may be is the style's to say. */
function fit(field: HTMLTextAreaElement): void {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}
