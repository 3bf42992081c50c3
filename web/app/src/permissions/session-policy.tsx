import { useState } from "preact/hooks";
import type { SessionState } from "signalbox-client";
import { useClient, useOutbox, useStore } from "signalbox-client/preact";
import { Choice } from "../composer/choice";
import { ShieldIcon } from "../ui/icons";
import { byWhom, POLICIES, policyOf } from "./words";

/** What happens to the requests of a session: chosen here, with what each choice means and who made it. */
export function SessionPolicy({ state, reason }: { state: SessionState; reason: string | null }) {
  const client = useClient();
  const me = useStore(client.server, (server) => server?.user ?? null);
  const outbox = useOutbox();
  const [problem, setProblem] = useState<string | null>(null);
  const { sessionId, policy, policyBy } = state;
  const sending = outbox.findLast(({ type, fields }) => type === "set_policy" && fields.sessionId === sessionId);
  const wanted = (sending?.fields.policy as string | undefined) ?? policy ?? "ask";
  const known: readonly string[] = POLICIES;
  const choices = [...known, ...(known.includes(wanted) ? [] : [wanted])];
  const { name, means } = policyOf(wanted);
  const by = policyBy ? ` Chosen by ${byWhom(policyBy, null) === me ? "you" : byWhom(policyBy, null)}.` : "";
  const change = async (next: string) => {
    setProblem(null);
    try {
      await client.send("set_policy", { sessionId, policy: next as (typeof POLICIES)[number] });
    } catch (error) {
      setProblem(`The policy stays as it is: ${(error as Error).message}`);
    }
  };
  return (
    <Choice
      label="Permissions" value={wanted} shown={name} icon={<ShieldIcon size={14} />} testid="policy" isSending={sending !== undefined}
      tone={wanted === "trust" ? "warn" : undefined} reason={reason} problem={problem} title={`${means}${by}`}
      choices={choices.map((each) => ({ value: each, name: policyOf(each).name, description: policyOf(each).means }))}
      onChange={change}
    />
  );
}
