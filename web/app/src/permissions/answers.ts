// What this page has answered, and what became of it: the answer is shown as being sent, and corrected when it was refused.
import { useCallback, useState } from "preact/hooks";
import type { Command, CommandState, PermissionAnswer, PermissionRequest, SignalboxClient } from "signalbox-client";
import { useClient, useCommand, useOutbox } from "signalbox-client/preact";
import { failureOf } from "./words";
import type { Failure } from "./words";

type Answering = Command<"permission_response">;

const KEPT = 200;
const given = new WeakMap<SignalboxClient, Map<string, Answering>>();

// A request is shown in several places; who answered it in one sees that in the others.
function answersOf(client: SignalboxClient): Map<string, Answering> {
  let answers = given.get(client);
  if (!answers) {
    answers = new Map();
    given.set(client, answers);
  }
  return answers;
}

/** After a reload of the page only the outbox knows it. */
function answeringOf(client: SignalboxClient, requestId: string): Answering | null {
  const sent = client.outbox.get().find(({ type, fields }) => type === "permission_response" && fields.requestId === requestId);
  return answersOf(client).get(requestId) ?? (sent as Answering | undefined) ?? null;
}

export interface Answer {
  /** What was answered, while that is on its way or done; null: nothing, or it was refused. */
  fields: PermissionAnswer | null;
  /** How far it is. */
  state: CommandState<"permission_response">["name"] | null;
  failure: Failure | null;
  give(fields: PermissionAnswer): void;
  /** Takes it back while the server cannot have it. */
  takeBack(): void;
}

export function useAnswer(request: PermissionRequest, me: string | null): Answer {
  const client = useClient();
  useOutbox(); // an answer may come from there
  const [, redraw] = useState({});
  const command = answeringOf(client, request.requestId);
  const state = useCommand(command);
  const give = useCallback((fields: PermissionAnswer) => {
    const answers = answersOf(client);
    const before = answeringOf(client, request.requestId)?.state.get();
    if (before && !("error" in before)) {
      return; // two keys that follow each other faster than the page is drawn: the first one counts
    }
    answers.delete(request.requestId);
    answers.set(request.requestId, client.answer(request, fields));
    for (const old of [...answers.keys()].slice(0, Math.max(0, answers.size - KEPT))) {
      answers.delete(old);
    }
    redraw({});
  }, [client, request]);
  const isFailed = state !== null && "error" in state;
  return {
    fields: command && !isFailed ? (command.fields as PermissionAnswer) : null,
    state: state?.name ?? null,
    failure: isFailed ? failureOf(state.error, me) : null,
    give,
    takeBack: () => void command?.withdraw(),
  };
}
