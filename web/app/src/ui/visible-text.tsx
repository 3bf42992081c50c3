import { visiblePieces } from "./visible";
import type { Phrase } from "./visible";
import "./visible-text.css";

/** Somebody's text, with what would not be seen for what it is shown as marks. */
export function VisibleText({ text }: { text: string }) {
  return (
    <>
      {visiblePieces(text).map(({ text: piece, hidden }, at) =>
        hidden ? <mark key={at} class="hidden-char" title={hidden.name}>{hidden.mark}</mark> : piece)}
    </>
  );
}

/** A sentence of ours with what is quoted in it. */
export function Phrases({ of }: { of: readonly Phrase[] }) {
  return <>{of.map((each, at) => (typeof each === "string" ? each : <code key={at} class="quoted"><VisibleText text={each.code} /></code>))}</>;
}
