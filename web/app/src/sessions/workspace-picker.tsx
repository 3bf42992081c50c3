import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { FolderList } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { ClockIcon, FolderIcon } from "../ui/icons";
import { baseName, onOneLine } from "../ui/text";
import { isUnder, joined, tidy, typedPath } from "./paths";
import "./workspace-picker.css";

interface PickerProps {
  value: string;
  onInput(path: string): void;
  roots: readonly string[];
  /** Folders that were worked in before, newest first. */
  recent: readonly string[];
  /** Ids of what describes the field. */
  describedBy: string;
  isInvalid: boolean;
}

interface Choice {
  path: string;
  label: string;
  hint: string;
  kind: "root" | "recent" | "folder";
}

const MOST = 60;
const TYPING_MS = 80;

/** A path that is typed, with what there is to choose: roots, recent workspaces, the folders below what is typed. */
export function WorkspacePicker({ value, onInput, roots, recent, describedBy, isInvalid }: PickerProps) {
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const list = useId();
  const field = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLUListElement>(null);
  const folders = useFolders(value, roots, isOpen);
  const choices = isOpen ? choicesOf(value, roots, recent, folders) : [];
  useEffect(() => setAt(-1), [value, isOpen]);
  useEffect(() => box.current?.children[at]?.scrollIntoView({ block: "nearest" }), [at]);

  const choose = ({ path, kind }: Choice) => {
    onInput(kind === "recent" ? path : `${tidy(path)}/`);
    setOpen(kind !== "recent"); // what is below it is offered next
    field.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      if (choices.length > 0) {
        setAt((at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + choices.length) % choices.length);
      }
    } else if (event.key === "Enter" && isOpen && choices[at]) {
      event.preventDefault();
      choose(choices[at]);
    } else if (event.key === "Tab" && isOpen && choices[at]) {
      choose(choices[at]);
      setOpen(false);
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault();
      setOpen(false);
    }
  };
  return (
    <div class="picker" onFocusOut={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setOpen(false)}>
      <div class="picker__box">
        <FolderIcon class="picker__icon" />
        <input
          ref={field} id="workspace" class="input input--mono picker__input" data-testid="workspace-input" required
          role="combobox" aria-autocomplete="list" aria-expanded={isOpen && choices.length > 0} aria-controls={list} aria-describedby={describedBy} aria-invalid={isInvalid}
          aria-activedescendant={choices[at] ? `${list}-${at}` : undefined}
          autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck={false} placeholder="/path/of/a/folder"
          value={value} onInput={(event) => { onInput(event.currentTarget.value); setOpen(true); }}
          onClick={() => setOpen(true)} onKeyDown={pressed}
        />
        {choices.length > 0 && (
          <ul class="picker__list" ref={box} id={list} role="listbox" aria-label="Folders" data-testid="workspace-choices">
            {choices.map((choice, index) => (
              <li
                key={`${choice.kind} ${choice.path}`} id={`${list}-${index}`} role="option" aria-selected={index === at} class="picker__choice"
                onMouseDown={(event) => { event.preventDefault(); choose(choice); }}
              >
                {choice.kind === "recent" ? <ClockIcon size={14} /> : <FolderIcon size={14} />}
                <bdi class="truncate">{choice.label}</bdi>
                <span class="picker__hint truncate">{choice.hint}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
      {recent.length > 0 && (
        <div class="picker__recent" role="group" aria-label="Recent workspaces">
          {recent.slice(0, 4).map((path) => (
            <button key={path} type="button" class="picker__chip" title={onOneLine(path)} aria-pressed={tidy(value) === path} onClick={() => { onInput(path); setOpen(false); }}>
              <bdi class="truncate">{onOneLine(baseName(path))}</bdi>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function choicesOf(value: string, roots: readonly string[], recent: readonly string[], folders: readonly Choice[]): Choice[] {
  const text = tidy(value).toLowerCase();
  const fits = (path: string) => path.toLowerCase().includes(text) && path !== tidy(value);
  const choice = (kind: Choice["kind"]) => (path: string): Choice => ({ kind, path, label: onOneLine(path), hint: kind === "recent" ? "recent" : "root" });
  const isInRoot = isUnder(value, roots);
  const shownRoots = isInRoot ? [] : roots.filter(fits).map(choice("root"));
  const shownRecent = recent.filter((path) => !roots.includes(path)).filter(fits).slice(0, 5).map(choice("recent"));
  return [...folders, ...shownRecent, ...shownRoots].slice(0, MOST);
}

/** The folders that begin as what is typed. */
function useFolders(value: string, roots: readonly string[], isWanted: boolean): readonly Choice[] {
  const client = useClient();
  const { folder, begin } = typedPath(value);
  const isListed = isWanted && folder !== "" && isUnder(folder, roots);
  const [found, setFound] = useState<{ folder: string; folders: FolderList["folders"] }>({ folder: "", folders: [] });
  const isWaiting = isListed && found.folder !== folder;
  useEffect(() => {
    if (!isWaiting) {
      return undefined;
    }
    let isLeft = false;
    const timer = setTimeout(async () => {
      // What is not there, or not ours, is said when the session is made.
      const { folders } = await client.http.folders(folder).catch(() => ({ folders: [] }));
      if (!isLeft) {
        setFound({ folder, folders });
      }
    }, TYPING_MS);
    return () => {
      isLeft = true;
      clearTimeout(timer);
    };
  }, [client, folder, isWaiting]);
  if (!isListed || isWaiting) {
    return [];
  }
  const fits = ({ name, hidden }: FolderList["folders"][number]) => name.toLowerCase().startsWith(begin.toLowerCase()) && (!hidden || begin.startsWith("."));
  return found.folders.filter(fits).slice(0, MOST).map(({ name }): Choice => ({ kind: "folder", path: joined(folder, name), label: onOneLine(name), hint: "" }));
}
