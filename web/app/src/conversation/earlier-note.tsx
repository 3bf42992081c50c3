// That what was said before is not there yet: where one would look for it.
import type { EarlierView } from "signalbox-client";

export function EarlierNote({ earlier: { state, error }, load }: { earlier: EarlierView; load: () => void }) {
  return (
    <div class="earlier-note" data-testid="earlier-note" data-state={state} role="status">
      {state === "loading"
        ? <><span class="spinner" data-moving="true" aria-hidden="true" />Earlier turns are loading</>
        : <>{error && state === "failed" ? `Earlier turns could not be loaded: ${error.message}` : "Earlier turns are not here yet"}<button type="button" data-testid="load-earlier" onClick={load}>Load them</button></>}
    </div>
  );
}
