import { useState } from "preact/hooks";
import type { SessionView, WatchedSession } from "signalbox-client";
import { useClient, useOutbox } from "signalbox-client/preact";
import { SessionPolicy } from "../permissions/session-policy";
import { Choice, Switch } from "./choice";
import { settingsOf, shownValue } from "./settings";
import type { Setting } from "./settings";
import "./session-settings.css";

/** What can be chosen for a session: Signalbox's policy, and what its agent offers (mode, model, options). */
export function SessionSettings({ session, view }: { session: WatchedSession; view: SessionView }) {
  const { state } = view;
  const reason = state.phase === "closed" ? "The session is closed." : null;
  return (
    <div class="session-settings" role="group" aria-label="Settings of this session">
      <SessionPolicy state={state} reason={reason} />
      {settingsOf(state).map((setting) => (
        <AgentSetting key={setting.id ?? "mode"} sessionId={session.sessionId} setting={setting} reason={reason} />
      ))}
    </div>
  );
}

/** Shows what was chosen as being on its way, and what holds when that was refused; the agent's own changes come with its events. */
function AgentSetting({ sessionId, setting, reason }: { sessionId: string; setting: Setting; reason: string | null }) {
  const client = useClient();
  const outbox = useOutbox();
  const [problem, setProblem] = useState<string | null>(null);
  const { id, name, description, kind, category, value, choices } = setting;
  const sending = outbox.findLast(({ type, fields }) =>
    fields.sessionId === sessionId && (id === null ? type === "set_mode" : type === "set_config_option" && fields.configId === id));
  const wanted = sending ? (id === null ? sending.fields.modeId : sending.fields.value) : value;
  const change = async (next: string | boolean) => {
    setProblem(null);
    try {
      await (id === null ? client.send("set_mode", { sessionId, modeId: String(next) })
        : client.send("set_config_option", { sessionId, configId: id, value: next }));
    } catch (error) {
      setProblem(`${name} stays as it is: ${(error as Error).message}`);
      setTimeout(() => setProblem(null), 8_000);
    }
  };
  const common = { isSending: sending !== undefined, reason, problem, configId: id ?? undefined };
  if (kind === "switch") {
    return <Switch {...common} label={name} title={description || undefined} isOn={wanted === true} onChange={change} />;
  }
  const chosen = choices.find((choice) => choice.value === wanted);
  return (
    <Choice
      {...common} label={name} value={typeof wanted === "string" ? wanted : ""} shown={shownValue(setting, wanted)} choices={choices}
      title={[name, chosen?.description || description].filter(Boolean).join(": ")} testid={category === "mode" ? "mode-select" : "config-option"} onChange={change}
    />
  );
}
