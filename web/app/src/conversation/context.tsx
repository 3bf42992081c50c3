// What everything in a conversation needs to know: of which session it is, who reads it, and what the reader has opened.
import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import type { Me } from "./words";

export interface ConversationContext {
  sessionId: string;
  me: Me;
  /** By key: what was opened or closed by hand. Rows come and go while one scrolls; this stays. */
  opened: Map<string, boolean>;
}

export const Context = createContext<ConversationContext>({ sessionId: "", me: { clientId: "", user: null }, opened: new Map() });

export const useConversation = (): ConversationContext => useContext(Context);

/** Whether something is open, and what toggles it. */
export function useOpen(key: string, isOpenByItself = false): [boolean, () => void] {
  const { opened } = useConversation();
  const [, redraw] = useState({});
  const isOpen = opened.get(key) ?? isOpenByItself;
  return [isOpen, () => {
    opened.set(key, !isOpen);
    redraw({});
  }];
}
