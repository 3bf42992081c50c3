import { useMemo, useState } from "preact/hooks";
import { CopyButton } from "./copy-button";
import { diffTexts } from "./diff";
import type { DiffResult, DiffRow } from "./diff";
import { oneLine, plainToSee } from "./visible";
import "./diff.css";

const MOST_ROWS = 400; // that are drawn before somebody asks for more

/** What is done to a file: its old text (null: there is none yet) and its new one, or a result that was made before. */
export function DiffView({ path, before, after, result, testid = "tool-diff" }: {
  path: string;
  before?: string | null;
  after?: string;
  result?: DiffResult;
  testid?: string;
}) {
  const [isWhole, setWhole] = useState(false);
  const [hasContext, setContext] = useState(false);
  const shown = useMemo(
    () => result ?? diffTexts(before ?? "", after ?? "", hasContext ? Infinity : 3), [result, before, after, hasContext]);
  const rows = isWhole ? shown.rows : shown.rows.slice(0, MOST_ROWS);
  const isNew = !result && (before === null || before === undefined);
  const left = shown.rows.length - rows.length;
  return (
    <figure class="diff" data-testid={testid}>
      <figcaption class="diff__head">
        <span class="diff__path" title={oneLine(path, 2_000)}><bdi>{oneLine(path, 500)}</bdi></span>
        {isNew && <span class="diff__tag">new file</span>}
        <DiffStat added={shown.added} removed={shown.removed} />
        <CopyButton label="Copy the new text" text={() => after ?? newTextOf(shown.rows)} />
      </figcaption>
      {shown.isPlain && <p class="diff__note">Too large to compare: everything that was there, then everything that is there now.</p>}
      {shown.rows.length === 0 && <p class="diff__note">{(after ?? "") === "" && isNew ? "An empty file." : "No difference."}</p>}
      <div class="diff__scroll" tabIndex={0} role="group" aria-label={`Changes of ${oneLine(path)}`}>
        <table class="diff__table">
          <tbody>{rows.map((row, at) => <Row key={at} row={row} onShow={result ? null : () => setContext(true)} />)}</tbody>
        </table>
      </div>
      {left > 0 && (
        <button type="button" class="diff__more" onClick={() => setWhole(true)}>Show {left.toLocaleString()} more lines</button>
      )}
    </figure>
  );
}

export function DiffStat({ added, removed }: { added: number; removed: number }) {
  return (
    <span class="diff-stat" aria-label={`${added} lines added, ${removed} removed`}>
      {added > 0 && <span class="diff-stat__added">+{added}</span>}
      {removed > 0 && <span class="diff-stat__removed">−{removed}</span>}
    </span>
  );
}

const newTextOf = (rows: DiffRow[]): string =>
  rows.filter((row) => row.kind !== "removed" && row.kind !== "gap").map((row) => row.marks.map((mark) => mark.text).join("")).join("\n");

const SIGNS = { same: " ", added: "+", removed: "−", gap: "" };
const NAMES = { same: undefined, added: "added", removed: "removed", gap: undefined };

function Row({ row, onShow }: { row: DiffRow; onShow: (() => void) | null }) {
  if (row.kind === "gap") {
    const said = row.hidden ? `${row.hidden.toLocaleString()} unchanged lines` : "…";
    return (
      <tr class="diff__gap">
        <td colSpan={4}>{onShow && row.hidden ? <button type="button" onClick={onShow}>{said}</button> : said}</td>
      </tr>
    );
  }
  return (
    <tr class={`diff__row diff__row--${row.kind}`}>
      <td class="diff__number" data-line={row.before ?? ""} />
      <td class="diff__number" data-line={row.after ?? ""} />
      <td class="diff__sign" data-sign={SIGNS[row.kind]} aria-label={NAMES[row.kind]} />
      <td class="diff__text">
        {row.marks.map((mark, at) => (mark.isMarked ? <mark key={at}>{plainToSee(mark.text)}</mark> : plainToSee(mark.text)))}
      </td>
    </tr>
  );
}
