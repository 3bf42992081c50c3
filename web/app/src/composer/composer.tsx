import { useState } from "preact/hooks";
import type { SessionView, WatchedSession } from "signalbox-client";
import { useClient } from "signalbox-client/preact";

export function Composer({ session }: { session: WatchedSession; view: SessionView }) {
  const client = useClient();
  const [text, setText] = useState("");
  const send = (event: Event) => {
    event.preventDefault();
    client.prompt(session.sessionId, text);
    setText("");
  };
  return (
    <form onSubmit={send}>
      <textarea data-testid="prompt-input" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      <button data-testid="send-prompt">Send</button>
    </form>
  );
}
