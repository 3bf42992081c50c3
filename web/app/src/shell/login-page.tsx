import { useEffect, useRef, useState } from "preact/hooks";
import { HttpError } from "signalbox-client";
import { useClient, useStore } from "signalbox-client/preact";
import { AlertIcon } from "../ui/icons";
import { useTheme } from "./theme";
import "./login-page.css";

/** Asks for the token, which the server changes for a cookie. */
export function LoginPage() {
  const client = useClient();
  const { name } = useTheme();
  const wasIn = useStore(client.server) !== null; // whoever signs out in this tab gets another page
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError("");
    try {
      await client.login(field.current!.value.trim());
    } catch (refusal) {
      setError(wordsOf(refusal));
      setBusy(false);
      field.current?.select();
    }
  };
  return (
    <main class="login">
      <form class="login__form" onSubmit={submit}>
        <img src="/favicon.svg" alt="" width="48" height="48" />
        <h1>Sign in to {name}</h1>
        {wasIn && <p class="login__why" role="status" data-testid="login-why">You were signed out: the server does not take your token any more, or you signed out in another tab.</p>}
        <div class="field">
          <label class="field__label" for="token">Token</label>
          <input
            ref={field} id="token" class="input input--mono" type="password" required autocomplete="current-password" autocapitalize="off" spellcheck={false}
            data-testid="login-token" aria-invalid={error !== ""} aria-describedby={error ? "login-error" : "login-hint"}
          />
          <p class="field__error" id="login-error" role="alert" hidden={!error}><AlertIcon size={14} /> <span>{error}</span></p>
          <p class="field__hint" id="login-hint">Yours is in the server's tokens file; whoever runs the server has it.</p>
        </div>
        <button class="button button--primary" data-testid="login-submit" disabled={isBusy}>{isBusy ? "Signing in…" : "Sign in"}</button>
      </form>
    </main>
  );
}

function wordsOf(error: unknown): string {
  if (!(error instanceof HttpError)) {
    return "The server cannot be reached.";
  }
  if (error.status === 429) {
    const seconds = error.retryAfterMs === null ? null : Math.ceil(error.retryAfterMs / 1000);
    return `Too many tries.${seconds ? ` Try again in ${seconds} s.` : ""}`;
  }
  return error.status === 401 ? "This token is not known." : error.message;
}
