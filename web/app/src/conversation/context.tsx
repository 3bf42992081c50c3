// What everything in a conversation needs to know: of which session it is, who reads it, and what the reader has opened.
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { Opened } from "./opened";
import type { Me } from "./words";

export interface ConversationContext {
  sessionId: string;
  me: Me;
  opened: Opened;
}

export const Context = createContext<ConversationContext>({ sessionId: "", me: { clientId: "", user: null }, opened: new Opened() });

export const useConversation = (): ConversationContext => useContext(Context);

/** Whether something is open, and what toggles it. */
export function useOpen(key: string, isOpenByItself = false): [boolean, () => void] {
  const { opened } = useConversation();
  const [, redraw] = useState({});
  const isOpen = opened.get(key) ?? isOpenByItself;
  useEffect(() => opened.subscribe(key, () => redraw({})), [opened, key]);
  return [isOpen, () => opened.set(key, !isOpen)];
}
