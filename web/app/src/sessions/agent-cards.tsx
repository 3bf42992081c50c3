import type { Agent } from "signalbox-client";
import { copyText } from "../ui/clipboard";
import { AlertIcon, CopyIcon } from "../ui/icons";
import { onOneLine } from "../ui/text";
import { plainToSee } from "../ui/visible";
import { clock } from "../ui/time";
import { agentNotes, canStart } from "./agent-notes";
import "./agent-cards.css";

interface CardsProps {
  agents: readonly Agent[];
  value: string;
  onChoose(name: string): void;
  now: number;
}

const FEW = 2;

/** The agents to choose from, each with what stands in its way. */
export function AgentCards({ agents, value, onChoose, now }: CardsProps) {
  const here = agents.filter(({ available }) => available);
  const missing = agents.filter(({ available }) => !available);
  const isFolded = here.length > 0 && missing.length > FEW; // what can be chosen is not to be looked for among them
  const card = (agent: Agent) => <AgentCard key={agent.name} agent={agent} isChosen={agent.name === value} onChoose={onChoose} now={now} />;
  return (
    <fieldset class="agent-cards" data-testid="agent-select">
      <legend class="field__label">Agent</legend>
      <div class="agent-cards__grid">{(isFolded ? here : agents).map(card)}</div>
      {isFolded && (
        <details class="agent-cards__more" data-testid="agents-missing">
          <summary>{missing.length} more are not installed</summary>
          <div class="agent-cards__grid">{missing.map(card)}</div>
        </details>
      )}
    </fieldset>
  );
}

function AgentCard({ agent, isChosen, onChoose, now }: { agent: Agent; isChosen: boolean; onChoose(name: string): void; now: number }) {
  const { name, title, install } = agent;
  const notes = agentNotes(agent, now, (at) => clock(at, now));
  const isUsable = canStart(agent, now);
  const hint = `agent-${name}-notes`;
  return (
    <div class="agent-card" data-available={agent.available} data-chosen={isChosen} data-testid="agent-card" data-agent={name}>
      <label class="agent-card__choice">
        <input type="radio" name="agent" value={name} checked={isChosen} disabled={!agent.available} aria-describedby={hint} onChange={() => onChoose(name)} />
        <span class="agent-card__title truncate"><bdi>{onOneLine(title || name)}</bdi></span>
        {agent.running > 0 && <span class="agent-card__count" title="Processes of this agent that run now">{agent.running} running</span>}
        {agent.waiting > 0 && <span class="agent-card__count agent-card__count--warn" title="Sessions that wait for a place to start it">{agent.waiting} waiting</span>}
      </label>
      <div id={hint} class="agent-card__notes">
        {notes.map(({ kind, text }) => (
          <p key={text} class={`agent-card__note agent-card__note--${kind}`}>
            {kind === "bad" && <AlertIcon size={13} />}<span>{plainToSee(text)}</span>
          </p>
        ))}
        {!agent.available && install && (
          <p class="agent-card__install">
            <code>{onOneLine(install)}</code>
            <button type="button" class="icon-button" aria-label={`Copy the command that installs ${title || name}`} title="Copy" onClick={() => void copyText(install, "The command is copied.")}>
              <CopyIcon size={14} />
            </button>
          </p>
        )}
        {isUsable && notes.length === 0 && <p class="agent-card__note">Ready to start</p>}
      </div>
    </div>
  );
}
