import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { AcpOption, PermissionAnswer, PermissionRequest, SignalboxClient, ToolItem } from "signalbox-client";
import { useClient, useConnection, useSecondsLeft, useStore } from "signalbox-client/preact";
import { hotkeysAreOn } from "../ui/hotkeys";
import { PencilIcon } from "../ui/icons";
import { useAgentTitle } from "./agent-title";
import { useAnswer } from "./answers";
import type { Answer } from "./answers";
import { answerOfKey, ARMED_AFTER_MS } from "./keys";
import { KindIcon } from "./kind-icon";
import { allowOnce, contradiction, isLasting, isRejection, orderedOptions, rejection } from "./options";
import { PermissionSubject } from "./permission-subject";
import { RememberScopes } from "./remember-scopes";
import { duration, questionOf, timeLeft, warningBetween, whyAsked } from "./words";
import { visibleText } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";
import "./permission-card.css";

export interface CardPlace {
  agent: string | null;
  workspace: string | null;
  policy: string | null;
  /** What people call the session, and where it is; null: the card stands in it. */
  session: { name: string; href: string } | null;
}

interface Props {
  request: PermissionRequest;
  /** The tool call that it is about, where it is known. */
  tool: ToolItem | null;
  place: CardPlace;
  /** Keys answer this one. */
  isCurrent: boolean;
  /** Beside the question: how many more there are. */
  aside?: ComponentChildren;
  /** What is to be said of what is asked for. */
  note?: ComponentChildren;
  announce(text: string): void;
}

/** A request for permission: what, where, why, how long, and the answers. Belongs to one request for good (`key`). */
export function PermissionCard({ request, tool, place, isCurrent, aside, note, announce }: Props) {
  const client = useClient();
  const me = useStore(client.server, (server) => server?.user ?? null);
  const card = useRef<HTMLElement>(null);
  const headingId = useId();
  const answer = useAnswer(request, me);
  const left = useSecondsLeft(request);
  const isArmed = useArmed(card, tool?.content);
  const isExpired = left === 0;
  const isOver = isExpired || answer.failure?.isOver === true;
  const isSending = answer.fields !== null;
  const canAnswer = isArmed && !isOver && !isSending;

  useKeys({ client, request, card, isCurrent: isCurrent && !isOver && !isSending, give: answer.give });
  useWarnings(isCurrent ? left : null, announce);

  return (
    <article
      ref={card} class="permission-card" tabIndex={-1} aria-labelledby={headingId} data-testid="permission-card" data-kind={request.kind}
      data-request-id={request.requestId} data-state={isExpired ? "expired" : isSending ? "sending" : isOver ? "cancelled" : "pending"}
    >
      <TimeBar request={request} left={left} />
      <header class="permission-card__head">
        <KindIcon kind={request.kind} />
        <h2 id={headingId} class="permission-card__question">
          {questionOf(request)}{" "}<span class="permission-card__tool"><VisibleText text={request.toolName} /></span>
        </h2>
        <span class="permission-card__left" data-testid="permission-left" data-soon={left !== null && left <= 15} role="timer" aria-live="off">
          {timeLeft(left)}
        </span>
        {aside}
      </header>
      <div class="permission-card__body">
        <PermissionSubject request={request} tool={tool} workspace={place.workspace} />
        {note}
        <Where place={place} request={request} />
      </div>
      <footer class="permission-card__foot">
        <Status answer={answer} options={request.acpOptions} left={left} isExpired={isExpired} />
        {!isSending && !isOver && (
          <>
            <RememberScopes request={request} isDisabled={!canAnswer} onAnswer={answer.give} />
            <Options request={request} isDisabled={!canAnswer} showKeys={isCurrent} onAnswer={answer.give} />
          </>
        )}
      </footer>
    </article>
  );
}

function Where({ place, request }: { place: CardPlace; request: PermissionRequest }) {
  const agent = useAgentTitle(place.agent);
  return (
    <p class="permission-card__where">
      {agent && <><b><VisibleText text={agent} /></b> asks{place.session ? " in " : ""}</>}
      {place.session && <a href={place.session.href}><VisibleText text={place.session.name} /></a>}
      {place.workspace && <> {agent || place.session ? "· " : ""}<span class="permission-card__path"><VisibleText text={place.workspace} /></span></>}
      <span class="permission-card__why"> · {whyAsked(place.policy, request)}</span>
    </p>
  );
}

/** What became of the answer, or why there can be none. */
function Status({ answer, options, left, isExpired }: {
  answer: Answer; options: readonly AcpOption[]; left: number | null; isExpired: boolean;
}) {
  const connection = useConnection();
  const isLive = connection.name === "live";
  const isOnItsWay = answer.fields !== null && answer.state !== "done";
  const inTime = left === null ? "" : ` if there is still time (${duration(left)})`;
  return (
    <div class="permission-card__status" role="status">
      {isExpired && <p class="permission-card__over">Time is up. {answer.fields ? "Your answer may have come too late." : "Nothing was allowed."}</p>}
      {answer.failure && <p class="permission-card__failure">{answer.failure.words}</p>}
      {answer.fields && !isExpired && (
        <p class="permission-card__sending">
          <span class="permission-card__spinner" aria-hidden="true" />
          <span class="permission-card__sending-words">
            {isLive || !isOnItsWay ? `Sending your answer: ${answerWord(answer.fields, options)}…`
              : answer.state === "sent" ? "The connection broke while your answer was sent. It is asked about when the connection is back."
                : `You are offline. Your answer (${answerWord(answer.fields, options)}) will be sent when the connection is back${inTime}.`}
          </span>
          {answer.state === "queued" && <button type="button" class="permission-card__quiet" onClick={answer.takeBack}>Take it back</button>}
        </p>
      )}
      {!answer.fields && !isExpired && !isLive && (
        <p class="permission-card__note">Offline: it may have been answered already. An answer of yours will be sent when the connection is back{inTime}.</p>
      )}
    </div>
  );
}

function answerWord(fields: PermissionAnswer, options: readonly AcpOption[]): string {
  if (fields.remember) {
    return "allow, and remember";
  }
  const option = options.find(({ optionId }) => optionId === fields.optionId);
  return option ? visibleText(option.name || option.optionId) : fields.allow ? "allow" : "reject";
}

const LONG_NAME = 26; // characters: what is longer has a line of its own where there is little room

function Options({ request, isDisabled, showKeys, onAnswer }: {
  request: PermissionRequest; isDisabled: boolean; showKeys: boolean; onAnswer(fields: PermissionAnswer): void;
}) {
  const [isNoting, setNoting] = useState(false);
  const options = orderedOptions(request.acpOptions);
  const once = allowOnce(request.acpOptions);
  const no = rejection(request.acpOptions);
  const keyOf = (option: AcpOption) => (option === once ? "A" : option === no ? "R" : String(options.indexOf(option) + 1));
  const button = (option: AcpOption) => (
    <button
      key={option.optionId} type="button" class="permission-option" disabled={isDisabled} data-testid="permission-option"
      data-option-id={option.optionId} data-kind={option.kind} data-role={option === once ? "allow" : isRejection(option.kind) ? "reject" : "other"}
      data-long={option.name.length > LONG_NAME || undefined}
      title={isLasting(option.kind) ? "The agent remembers this by itself: such requests are not shown here any more." : undefined}
      aria-keyshortcuts={showKeys ? keyOf(option).toLowerCase() : undefined}
      onClick={() => onAnswer({ optionId: option.optionId })}
    >
      <span class="permission-option__name"><VisibleText text={option.name || option.optionId} /></span>
      {contradiction(option) && <strong class="permission-option__does">{contradiction(option)}</strong>}
      {showKeys && <kbd class="permission-option__key" aria-hidden="true">{keyOf(option)}</kbd>}
    </button>
  );
  if (isNoting) {
    return <RejectNote option={no} isDisabled={isDisabled} onAnswer={onAnswer} onBack={() => setNoting(false)} />;
  }
  return (
    <div class="permission-card__options" role="group" aria-label="Answers">
      <div class="permission-card__yes">{options.filter(({ kind }) => !isRejection(kind)).map(button)}</div>
      <div class="permission-card__no">
        <button type="button" class="permission-card__quiet permission-card__note-button" title="Reject with a note" disabled={isDisabled} onClick={() => setNoting(true)}>
          <PencilIcon /><span class="permission-card__note-words">Reject with a note</span>
        </button>
        {options.filter(({ kind }) => isRejection(kind)).map(button)}
        {!no && (
          <button type="button" class="permission-option" disabled={isDisabled} data-testid="permission-option" data-option-id="" data-kind="reject"
            data-role="reject" onClick={() => onAnswer({ allow: false })}>
            <span class="permission-option__name">Reject</span>
            {showKeys && <kbd class="permission-option__key" aria-hidden="true">R</kbd>}
          </button>
        )}
      </div>
    </div>
  );
}

const NOTE_BYTES = 4096;

function RejectNote({ option, isDisabled, onAnswer, onBack }: {
  option: AcpOption | null; isDisabled: boolean; onAnswer(fields: PermissionAnswer): void; onBack(): void;
}) {
  const [note, setNote] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => field.current?.focus(), []);
  const message = note.trim();
  const isTooLong = new TextEncoder().encode(message).length > NOTE_BYTES;
  const send = (event: Event) => {
    event.preventDefault();
    if (!isDisabled && !isTooLong) {
      onAnswer({ ...(option ? { optionId: option.optionId } : { allow: false }), ...(message ? { message } : {}) });
    }
  };
  return (
    <form class="permission-card__noting" onSubmit={send}>
      <label class="permission-card__note-label" for={id}>Why not? It stands in the conversation; agents are not told.</label>
      <input
        ref={field} id={id} class="permission-card__note-field" value={note} autocomplete="off" aria-invalid={isTooLong}
        onInput={(event) => setNote(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            onBack();
          }
        }}
      />
      <button type="button" class="permission-card__quiet" onClick={onBack}>Back</button>
      <button type="submit" class="permission-option" data-role="reject" data-kind={option?.kind ?? "reject"} disabled={isDisabled || isTooLong}>
        <span class="permission-option__name">{isTooLong ? "Too long" : "Reject"}</span>
      </button>
    </form>
  );
}

/** The share of the time that is left, as a line that grows shorter. */
function TimeBar({ request, left }: { request: PermissionRequest; left: number | null }) {
  if (left === null || request.expiresAt === null) {
    return null;
  }
  const whole = Math.max(1, (request.expiresAt - request.createdAt) / 1000);
  return (
    <div class="permission-card__bar" data-soon={left <= 15} aria-hidden="true">
      <div class="permission-card__bar-left" style={{ transform: `scaleX(${Math.min(1, left / whole).toFixed(4)})` }} />
    </div>
  );
}

/** A card takes no answer before it can have been seen; nor again, when the page was hidden meanwhile. */
function useArmed(card: RefObject<HTMLElement>, content: unknown): boolean {
  const [isArmed, setArmed] = useState(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const begin = () => {
      clearTimeout(timer);
      shownAt.set(card.current!, performance.now());
      setArmed(false);
      if (document.visibilityState === "visible") {
        timer = setTimeout(() => setArmed(true), ARMED_AFTER_MS);
      }
    };
    begin();
    document.addEventListener("visibilitychange", begin);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", begin);
    };
  }, [content]); // another content is another question
  return isArmed;
}

const shownAt = new WeakMap<HTMLElement, number>();

function useKeys({ client, request, card, isCurrent, give }: {
  client: SignalboxClient;
  request: PermissionRequest; card: RefObject<HTMLElement>; isCurrent: boolean; give(fields: PermissionAnswer): void;
}): void {
  useEffect(() => {
    if (!isCurrent) {
      return undefined;
    }
    const pressed = (event: KeyboardEvent) => {
      const shown = card.current && document.visibilityState === "visible" ? shownAt.get(card.current) : undefined;
      // Offline, `r` means another try to the page; and who has turned single keys off has meant these, too.
      if ((!hotkeysAreOn() || client.connection.get().name !== "live") && !card.current?.contains(event.target as Node)) {
        return;
      }
      // When it was pressed, not when a busy page comes to it.
      const shownForMs = shown === undefined ? 0 : event.timeStamp - shown;
      const found = answerOfKey(event, { target: event.target as HTMLElement | null, options: request.acpOptions, shownForMs });
      if (found) {
        event.preventDefault();
        give(found.answer === "option" ? { optionId: found.option.optionId } : { allow: false });
      }
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [request, isCurrent, give]);
}

function useWarnings(left: number | null, announce: (text: string) => void): void {
  const before = useRef<number | null>(null);
  useEffect(() => {
    const warning = warningBetween(before.current, left);
    before.current = left;
    if (warning) {
      announce(warning);
    }
  }, [left]);
}
