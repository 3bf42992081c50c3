import { useEffect, useState } from "preact/hooks";
import { CommandError } from "signalbox-client";
import type { AgentList, Command } from "signalbox-client";
import { useClient, useCommand, useConnection, useSessions } from "signalbox-client/preact";
import { Page } from "../shell/page";
import { go } from "../shell/router";
import { AlertIcon } from "../ui/icons";
import { keep, recall } from "../ui/keep";
import { reportRefusal } from "../ui/toast";
import { useNow } from "../ui/time";
import { AgentCards } from "./agent-cards";
import { canStart, firstChoice } from "./agent-notes";
import { useAgents } from "./agents";
import { recentWorkspaces } from "./grouping";
import { tidy } from "./paths";
import { WorkspacePicker } from "./workspace-picker";
import "./new-session-page.css";

const AGENTS_AGAIN_MS = 10_000;

/** Where a session is made: by whom, where, and what is asked first. */
export function NewSessionPage() {
  const { list, error } = useAgents(AGENTS_AGAIN_MS);
  return (
    <Page title="New session" lead="An agent works in a folder of the server, and asks before it acts." testId="new-session-page">
      {list ? <Form list={list} /> : <p role="status">{error ? `The agents could not be read: ${error}` : "Loading…"}</p>}
    </Page>
  );
}

interface Fault {
  field: "agent" | "workspace" | "title" | null;
  text: string;
}

// What was typed outlives a look at another page.
let draft = { workspace: "", title: "", prompt: "" };

function Form({ list: { agents, workspaceRoots } }: { list: AgentList }) {
  const client = useClient();
  const connection = useConnection();
  const now = useNow(5_000);
  const { items } = useSessions();
  const recent = recentWorkspaces(items.values());
  const [agent, setAgent] = useState(() => firstChoice(agents, recall("agent"), now));
  const [workspace, setWorkspace] = useState(draft.workspace || recent[0] || (workspaceRoots[0] ?? ""));
  const [title, setTitle] = useState(draft.title);
  const [prompt, setPrompt] = useState(draft.prompt);
  const [fault, setFault] = useState<Fault | null>(null);
  const [command, setCommand] = useState<Command<"create_session"> | null>(null);
  const state = useCommand(command);
  const isOnItsWay = state !== null && ["queued", "sent", "waiting"].includes(state.name);
  const chosen = agents.find(({ name }) => name === agent);

  useEffect(() => {
    draft = { workspace, title, prompt };
  }, [workspace, title, prompt]);

  const create = async (event: Event) => {
    event.preventDefault();
    if (isOnItsWay || !chosen) {
      return;
    }
    setFault(null);
    keep("agent", agent);
    const name = title.trim();
    const made = client.send("create_session", { agent, workspace: tidy(workspace), ...(name ? { title: name } : {}) });
    setCommand(made);
    try {
      const { sessionId } = await made;
      draft = { workspace: "", title: "", prompt: "" };
      if (prompt.trim()) {
        reportRefusal("The first prompt was not taken", client.prompt(sessionId, prompt));
      }
      go({ name: "session", sessionId });
    } catch (error) {
      setFault(faultOf(error));
    }
  };

  if (agents.length === 0) {
    return <p class="new-session__none">The server has no agents. Its configuration names them: see <code>conf/signalbox.conf</code>.</p>;
  }
  const noRoots = workspaceRoots.length === 0;
  return (
    <form class="new-session" onSubmit={create}>
      <AgentCards agents={agents} value={agent} onChoose={(name) => { setAgent(name); setFault(null); }} now={now} />
      <FaultLine fault={fault} field="agent" id="agent-fault" />

      <div class="field">
        <label class="field__label" for="workspace">Workspace</label>
        <WorkspacePicker
          value={workspace} onInput={(path) => { setWorkspace(path); setFault(null); }} roots={workspaceRoots} recent={recent}
          describedBy={fault?.field === "workspace" ? "workspace-fault" : "workspace-hint"} isInvalid={fault?.field === "workspace"}
        />
        <FaultLine fault={fault} field="workspace" id="workspace-fault" />
        <p class="field__hint" id="workspace-hint">
          {noRoots ? "The server has no workspace-roots configured, so no session can be made." : <>The folder in which the agent works, in {rootsOf(workspaceRoots)}.</>}
        </p>
      </div>

      <div class="field">
        <label class="field__label" for="first-prompt">First prompt <span class="field__hint">optional</span></label>
        <textarea
          id="first-prompt" class="input" rows={3} data-testid="first-prompt" placeholder="What should it do?" value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }
          }}
        />
      </div>

      <div class="field">
        <label class="field__label" for="title">Title <span class="field__hint">optional; most agents find one</span></label>
        <input id="title" class="input" maxLength={120} autocomplete="off" data-testid="title-input" aria-describedby="title-fault" value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        <FaultLine fault={fault} field="title" id="title-fault" />
      </div>

      <FaultLine fault={fault} field={null} id="create-fault" />
      <div class="new-session__end">
        <button class="button button--primary" data-testid="create-session" disabled={isOnItsWay || !chosen?.available || noRoots}>
          {isOnItsWay ? (connection.name === "live" ? "Starting…" : "Waiting for the connection…") : "Start session"}
        </button>
        {isOnItsWay && connection.name !== "live" && command && (
          <button type="button" class="button" onClick={() => command.withdraw()}>Take back</button>
        )}
        {chosen && chosen.available && !canStart(chosen, now) && !fault && <p class="field__hint">It may be refused: this agent is not to be started just now.</p>}
        {state?.name === "waiting" && <p class="field__hint" role="status">{state.nack.message}; tried again.</p>}
      </div>
    </form>
  );
}

function FaultLine({ fault, field, id }: { fault: Fault | null; field: Fault["field"]; id: string }) {
  return fault?.field === field ? <p class="field__error" id={id} role="alert" data-testid="create-error"><AlertIcon size={14} /> <span>{fault.text}</span></p> : null;
}

const rootsOf = (roots: readonly string[]) => roots.map((root, at) => <>{at > 0 && (at === roots.length - 1 ? " or " : ", ")}<code>{root}</code></>);

function faultOf(error: unknown): Fault | null {
  if (!(error instanceof CommandError)) {
    return { field: null, text: error instanceof Error ? error.message : String(error) };
  }
  if (error.code === "withdrawn") {
    return null;
  }
  const field = error.nack?.field;
  const isAbout = field === "agent" || field === "workspace" || field === "title";
  const isAgents = error.code === "agent_unavailable" || error.code === "agent_failed";
  return { field: isAbout ? field : isAgents ? "agent" : null, text: error.message };
}
