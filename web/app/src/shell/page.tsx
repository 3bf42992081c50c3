import type { ComponentChildren } from "preact";
import { NARROW, useMedia } from "../ui/media";
import { ConnectionIndicator } from "./connection";
import "./page.css";

/** A page that is not a session: a heading, and what is below it scrolls. */
export function Page({ title, lead, children, testId }: { title: string; lead?: ComponentChildren; children: ComponentChildren; testId?: string }) {
  const isNarrow = useMedia(NARROW);
  return (
    <div class="page" data-testid={testId}>
      <div class="page__column">
        <header class="page__head">
          <div class="page__title">
            <h1>{title}</h1>
            {isNarrow && <ConnectionIndicator sessionId={null} short />}
          </div>
          {lead && <p class="page__lead">{lead}</p>}
        </header>
        {children}
      </div>
    </div>
  );
}
