import { useEffect, useRef } from "preact/hooks";
import type { AgentCommand } from "signalbox-client";
import { VisibleText } from "../ui/visible-text";

interface Props {
  id: string;
  commands: readonly AgentCommand[];
  chosen: number;
  onChoose(command: AgentCommand): void;
  onMark(place: number): void;
}

/** The agent's commands that fit what was typed. The field keeps the focus; this says only which one is marked. */
export function SlashMenu({ id, commands, chosen, onChoose, onMark }: Props) {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => list.current?.children[chosen]?.scrollIntoView({ block: "nearest" }), [chosen, commands]);
  return (
    <ul ref={list} id={id} class="slash-menu" role="listbox" aria-label="Commands of the agent" data-testid="slash-menu">
      {commands.map((command, at) => (
        <li
          key={`${at} ${command.name}`} id={`${id}-${at}`} class="slash-menu__item" role="option" aria-selected={at === chosen}
          onMouseDown={(event) => { event.preventDefault(); onChoose(command); }} onMouseMove={() => onMark(at)}
        >
          <span class="slash-menu__name">/<VisibleText text={command.name} />{command.hint && <i> <VisibleText text={command.hint} /></i>}</span>
          <span class="slash-menu__about"><VisibleText text={command.description} /></span>
        </li>
      ))}
    </ul>
  );
}
