import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SessionView, WatchedSession } from "signalbox-client";
import { useClient, useConnection, useStore } from "signalbox-client/preact";
import { useAgentTitle } from "../permissions/agent-title";
import { hrefOf } from "../shell/router";
import { CloseIcon, PaperclipIcon, PlayIcon, SendIcon, StopIcon } from "../ui/icons";
import { useMedia } from "../ui/media";
import { AttachmentList } from "./attachment-list";
import { offerOf } from "./attachments";
import type { Offer } from "./attachments";
import { deskOf } from "./desk";
import type { Desk } from "./desk";
import { ownPrompts } from "./history";
import { PromptField } from "./prompt-field";
import { QueueList } from "./queue-list";
import { useFileDrop } from "./file-drop";
import { useStopKey } from "./stop-key";
import { openTurnOf } from "./turn";
import { isPaused, placeholderOf } from "./words";
import "./composer.css";

/** Where one writes: the prompt, what waits before it, and the way to stop what runs. */
export function Composer({ session, view }: { session: WatchedSession; view: SessionView }) {
  if (view.state.phase === "closed") {
    return (
      <section class="composer composer--closed" aria-label="Composer">
        <p>This session is closed: nothing more can be asked in it. <a href={hrefOf({ name: "new" })}>Begin a new one</a></p>
      </section>
    );
  }
  return <OpenComposer key={session.sessionId} sessionId={session.sessionId} view={view} />;
}

function OpenComposer({ sessionId, view: { state } }: { sessionId: string; view: SessionView }) {
  const client = useClient();
  const desk = deskOf(client, sessionId);
  const me = useStore(client.server, (server) => server?.user ?? null);
  const maxBytes = useStore(client.server, (server) => server?.limits?.maxBlobBytes ?? null);
  const offer = offerOf(state.promptCapabilities, maxBytes);
  const isTouch = useMedia("(pointer: coarse) and (hover: none)");
  const section = useRef<HTMLElement>(null);
  const agent = useAgentTitle(state.agent);
  const { version, attachments, note, cancelling } = useStore(desk);
  const { isOpen, turnId } = openTurnOf(state);
  const [isDropping, setDropping] = useState(false);

  useLayoutEffect(() => desk.knows(state.promptCapabilities, maxBytes), [desk, state.promptCapabilities, maxBytes]);
  useEffect(() => desk.turnIs(turnId), [desk, turnId, cancelling]);
  useFileDrop(section, setDropping, (files) => desk.attach(files));
  const cancel = () => void desk.cancel(turnId, state.queue);
  const isStopNext = useStopKey(isOpen && cancelling === null, cancel);

  const send = () => {
    if (desk.send()) {
      section.current?.querySelector("textarea")?.focus();
    }
  };
  return (
    <section ref={section} class="composer" aria-label="Composer" data-dropping={isDropping || undefined}>
      <QueueList state={state} me={me} onWithdraw={(prompt) => void desk.withdraw(prompt)} />
      <Notices state={state} desk={desk} note={note} />
      <form class="composer__box" onSubmit={(event) => { event.preventDefault(); send(); }}>
        <AttachmentList sessionId={sessionId} attachments={attachments} desk={desk} />
        <PromptField
          desk={desk} version={version} commands={state.commands} prompts={() => ownPrompts(state, me)} placeholder={placeholderOf({ ...state, agent })}
          isTouch={isTouch} onSend={send} onFiles={(files) => desk.attach(files)}
        />
        <div class="composer__bar">
          <AttachButton offer={offer} desk={desk} />
          <span class="composer__hint" aria-hidden="true">
            {isStopNext ? "Press Esc again to stop" : isTouch ? "" : keysInWords(isOpen, state.pending.length > 0)}
          </span>
          {(isOpen || cancelling !== null) && (
            <button type="button" class="composer__stop" data-testid="cancel-turn" data-cancelling={cancelling !== null || undefined} disabled={cancelling !== null} onClick={cancel}>
              <StopIcon size={14} />{cancelling !== null ? "Cancelling…" : "Stop"}
            </button>
          )}
          <SendButton desk={desk} isQueueing={isOpen} />
        </div>
        {isDropping && <div class="composer__drop" aria-hidden="true">{offer.dropWords}</div>}
      </form>
      <p class="visually-hidden" role="status">{isStopNext ? "Press Escape again to stop the turn." : cancelling !== null ? "Cancelling the turn." : ""}</p>
    </section>
  );
}

function keysInWords(isRunning: boolean, isAsked: boolean): string {
  if (isAsked) {
    return "Alt+A to answer by keys · Esc Esc stops";
  }
  return isRunning ? "Enter queues · Esc Esc stops" : "Enter sends · Shift+Enter for a new line";
}

function SendButton({ desk, isQueueing }: { desk: Desk; isQueueing: boolean }) {
  useStore(desk);
  const connection = useConnection();
  const what = isQueueing ? "Queue" : connection.name === "live" ? "Send" : "Send when connected";
  return (
    <button type="submit" class="composer__send" data-testid="send-prompt" aria-label={what} title={desk.obstacle ?? what} disabled={!desk.canSend}>
      <SendIcon />
    </button>
  );
}

/** It is there also where nothing can be attached, to say so: a button that is missing or dead tells nobody why. */
function AttachButton({ offer, desk }: { offer: Offer; desk: Desk }) {
  const input = useRef<HTMLInputElement>(null);
  const pressed = () => (offer.isNone ? desk.tell(`${offer.words} A text file that is dropped here can become part of the prompt.`) : input.current?.click());
  return (
    <>
      <button type="button" class="icon-button" data-testid="attach" aria-label="Attach files" title={offer.words} data-none={offer.isNone || undefined} onClick={pressed}>
        <PaperclipIcon />
      </button>
      <input
        ref={input} type="file" multiple hidden data-testid="file-input" aria-label="Files" tabIndex={-1} accept={offer.accept}
        onChange={(event) => {
          desk.attach([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = ""; // the same file may be chosen again
        }}
      />
    </>
  );
}

/** What stands in the way, most urgent first: what went wrong, the paused queue. */
function Notices({ state, desk, note }: { state: SessionView["state"]; desk: Desk; note: ReturnType<Desk["get"]>["note"] }) {
  const paused = isPaused(state);
  return (
    <>
      {note && (
        <div class="composer__notice" data-tone={note.tone} role={note.tone === "bad" ? "alert" : "status"} data-testid="composer-note">
          <p>{note.words}</p>
          {note.action && <button type="button" class="composer__notice-action" onClick={note.action.run}>{note.action.label}</button>}
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => desk.dismissNote()}><CloseIcon size={14} /></button>
        </div>
      )}
      {paused && (
        <div class="composer__notice" data-tone="warn" role="status" data-testid="queue-paused">
          <p>The queue is paused, since the agent ended. It goes on with your next prompt, or now:</p>
          <button type="button" class="composer__notice-action" data-testid="resume-queue" onClick={() => void desk.resume()}><PlayIcon size={12} />Resume</button>
        </div>
      )}
    </>
  );
}
