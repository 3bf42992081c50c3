import { useId, useState } from "preact/hooks";
import type { PermissionAnswer, PermissionRequest } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { expiryOf, LIFETIMES, rememberPhrases } from "./remember";
import type { Lifetime } from "./remember";
import { plainPhrases } from "./words";
import { Phrases } from "../ui/visible-text";

/** The rules of Signalbox's own that a yes may make; each says all of what it will answer. */
export function RememberScopes({ request, isDisabled, onAnswer }: {
  request: PermissionRequest; isDisabled: boolean; onAnswer(fields: PermissionAnswer): void;
}) {
  const client = useClient();
  const [lifetime, setLifetime] = useState<Lifetime>("revoked");
  const id = useId();
  const options = request.rememberOptions ?? [];
  if (options.length === 0) {
    return null;
  }
  return (
    <details class="remember">
      <summary class="remember__summary" data-testid="remember">Allow, and do not ask again</summary>
      <div class="remember__body">
        <label class="remember__lifetime" for={id}>
          The rule holds{" "}
          <select id={id} value={lifetime} onChange={(event) => setLifetime(event.currentTarget.value as Lifetime)}>
            {LIFETIMES.map(({ value, name }) => <option key={value} value={value}>{name}</option>)}
          </select>
        </label>
        <ul class="remember__list">
          {options.map((option) => {
            const phrases = rememberPhrases(option.label, lifetime);
            const expiresAt = expiryOf(lifetime, client.now());
            return (
              <li key={`${option.scope} ${option.match}`}>
                <button
                  type="button" class="remember__option" disabled={isDisabled} data-testid="permission-scope" data-scope={option.scope}
                  data-match={option.match} aria-label={plainPhrases(phrases)}
                  onClick={() => onAnswer({
                    allow: true, remember: { scope: option.scope, match: option.match, ...(expiresAt === null ? {} : { expiresAt }) },
                  })}
                >
                  <span><Phrases of={phrases} /></span>
                </button>
              </li>
            );
          })}
        </ul>
        <p class="remember__hint">Such a rule answers what waits already, too. Rules are listed, and revoked, under <a href="#/rules">Rules</a>.</p>
      </div>
    </details>
  );
}
