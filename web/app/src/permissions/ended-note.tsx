import type { Ended } from "./ended";
import { KindIcon } from "./kind-icon";
import { VisibleText } from "../ui/visible-text";
import "./ended-note.css";

/** A request that was ended by somebody or something else, for a moment. */
export function EndedNote({ ended, onClose }: { ended: Ended; onClose(): void }) {
  const { request, state, sentence, outcome, message } = ended;
  return (
    <div class="ended-note" data-testid="permission-card" data-request-id={request.requestId} data-state={state} data-outcome={outcome ?? ""}>
      <KindIcon kind={request.kind} />
      <span class="ended-note__by" data-testid="permission-by">{sentence}</span>
      <code class="ended-note__command"><VisibleText text={request.command.split("\n", 1)[0]!.slice(0, 200)} /></code>
      {message && <span class="ended-note__message">“<VisibleText text={message} />”</span>}
      <button type="button" class="ended-note__close" aria-label="Dismiss" onClick={onClose}>×</button>
    </div>
  );
}
