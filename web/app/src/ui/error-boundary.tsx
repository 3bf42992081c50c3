import { Component } from "preact";
import type { ComponentChildren } from "preact";
import { AlertIcon } from "./icons";
import "./error-boundary.css";

interface Props {
  /** Of the part of the page, for people: "The conversation". */
  name: string;
  /** What it shows: with another one it is tried anew. */
  of?: unknown;
  children: ComponentChildren;
}

/** One part that breaks does not take the page with it: it says so in its place, and can be tried again. */
export class ErrorBoundary extends Component<Props, { error: unknown }> {
  override state = { error: null };

  static override getDerivedStateFromError(error: unknown) {
    return { error: error ?? new Error("unknown") };
  }

  override componentDidCatch(error: unknown) {
    console.error(`${this.props.name}:`, error);
  }

  override componentDidUpdate(before: Props) {
    if (this.state.error !== null && before.of !== this.props.of) {
      this.setState({ error: null });
    }
  }

  override render({ name, children }: Props, { error }: { error: unknown }) {
    if (error === null) {
      return children;
    }
    return (
      <div class="error-boundary" role="alert">
        <AlertIcon />
        <div>
          <p>{name} cannot be shown. Nothing is lost: it is recorded on the server.</p>
          <p class="error-boundary__why">{error instanceof Error ? error.message : String(error)}</p>
        </div>
        <div class="error-boundary__actions">
          <button type="button" class="button" onClick={() => this.setState({ error: null })}>Try again</button>
          <button type="button" class="button button--quiet" onClick={() => location.reload()}>Reload</button>
        </div>
      </div>
    );
  }
}
