import { useSessions } from "signalbox-client/preact";
import { PlusIcon } from "../ui/icons";
import { hrefOf } from "./router";
import { useTheme } from "./theme";
import "./welcome.css";

/** What is beside the list when no session is chosen. */
export function Welcome() {
  const { name } = useTheme();
  const { items, isLoaded } = useSessions();
  const isFirst = isLoaded && items.size === 0;
  return (
    <div class="welcome">
      <img src="/favicon.svg" alt="" width="56" height="56" />
      <h1>{name}</h1>
      <p>{isFirst ? "Start an agent in one of your folders. What it does is recorded here, and it asks before it acts." : "Choose a session to watch and steer it, or start a new one."}</p>
      <a class="button button--primary" href={hrefOf({ name: "new" })}><PlusIcon /> New session</a>
      <p class="welcome__keys"><kbd class="kbd">j</kbd> <kbd class="kbd">k</kbd> to move in the list, <kbd class="kbd">?</kbd> for all keys</p>
    </div>
  );
}

export function NotHere() {
  return (
    <div class="welcome">
      <h1>There is no such page</h1>
      <a class="button" href={hrefOf({ name: "home" })}>To the sessions</a>
    </div>
  );
}
