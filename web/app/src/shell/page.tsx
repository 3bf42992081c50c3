import type { ComponentChildren } from "preact";
import "./page.css";

/** A page that is not a session: a heading, and what is below it scrolls. */
export function Page({ title, lead, children, testId }: { title: string; lead?: ComponentChildren; children: ComponentChildren; testId?: string }) {
  return (
    <div class="page" data-testid={testId}>
      <div class="page__column">
        <header class="page__head">
          <h1>{title}</h1>
          {lead && <p class="page__lead">{lead}</p>}
        </header>
        {children}
      </div>
    </div>
  );
}
