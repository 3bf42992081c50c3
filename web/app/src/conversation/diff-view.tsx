import { useMemo, useRef, useState } from "preact/hooks";
import { ColumnsIcon } from "../ui/icons";
import { CopyButton } from "./copy-button";
import { diffTexts, sideBySide } from "./diff";
import type { DiffResult, DiffRow } from "./diff";
import { useDiffLayout } from "./diff-layout";
import { oneLine, plainToSee } from "./visible";
import "./diff.css";

const MOST_ROWS = 400; // that are drawn before somebody asks for more

/** What is done to a file: its old text (null: there is none yet) and its new one, or a result that was made before. */
export function DiffView({ path, before, after, result, isCut = false, testid = "tool-diff" }: {
  path: string;
  before?: string | null;
  after?: string;
  result?: DiffResult;
  /** Of the texts only the beginnings are here. */
  isCut?: boolean;
  testid?: string;
}) {
  const [isWhole, setWhole] = useState(false);
  const [hasContext, setContext] = useState(false);
  const shown = useMemo(
    () => result ?? diffTexts(before ?? "", after ?? "", hasContext ? Infinity : 3, isCut), [result, before, after, hasContext, isCut]);
  const rows = isWhole ? shown.rows : shown.rows.slice(0, MOST_ROWS);
  const isNew = !result && (before === null || before === undefined);
  const left = shown.rows.length - rows.length;
  const box = useRef<HTMLElement>(null);
  // What is only new, or only gone, has nothing to stand beside it.
  const canSplit = !isNew && ["added", "removed"].every((kind) => shown.rows.some((row) => row.kind === kind || row.kind === "same"));
  const { layout, choose } = useDiffLayout(box, canSplit);
  const isSplit = layout === "split";
  const onShow = result ? null : () => setContext(true);
  return (
    <figure ref={box} class="diff" data-testid={testid} data-layout={layout}>
      <figcaption class="diff__head">
        <span class="diff__path" title={oneLine(path, 2_000)}><bdi>{oneLine(path, 500)}</bdi></span>
        {isNew && <span class="diff__tag">new file</span>}
        {isCut ? <span class="diff__tag diff__tag--cut">its beginning</span> : <DiffStat added={shown.added} removed={shown.removed} />}
        {choose && (
          <button type="button" class="copy-button" aria-pressed={isSplit} aria-label="Side by side" title={isSplit ? "In one column" : "Side by side"} data-testid="diff-layout"
            onClick={() => choose(isSplit ? "unified" : "split")}>
            <ColumnsIcon />
          </button>
        )}
        {!isCut && <CopyButton label="Copy the new text" text={() => after ?? newTextOf(shown.rows)} />}
      </figcaption>
      {shown.isPlain && <p class="diff__note">Too large to compare: everything that was there, then everything that is there now.</p>}
      {shown.rows.length === 0 && <p class="diff__note">{(after ?? "") === "" && isNew ? "An empty file." : "No difference."}</p>}
      <div class="diff__scroll" tabIndex={0} role="group" aria-label={`Changes of ${oneLine(path)}`}>
        {isSplit ? <SplitTable rows={rows} onShow={onShow} /> : (
          <table class="diff__table">
            <tbody>{rows.map((row, at) => <Row key={at} row={row} onShow={onShow} />)}</tbody>
          </table>
        )}
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
    return <Gap row={row} columns={4} onShow={onShow} />;
  }
  return (
    <tr class={`diff__row diff__row--${row.kind}`}>
      <td class="diff__number" data-line={row.before ?? ""} />
      <td class="diff__number" data-line={row.after ?? ""} />
      <td class="diff__sign" data-sign={SIGNS[row.kind]} aria-label={NAMES[row.kind]} />
      <td class="diff__text"><Marks row={row} /></td>
    </tr>
  );
}

function Gap({ row, columns, onShow }: { row: DiffRow; columns: number; onShow: (() => void) | null }) {
  const said = row.hidden ? `${row.hidden.toLocaleString()} unchanged lines` : "…";
  return (
    <tr class="diff__gap">
      <td colSpan={columns}>{onShow && row.hidden ? <button type="button" onClick={onShow}>{said}</button> : said}</td>
    </tr>
  );
}

const Marks = ({ row }: { row: DiffRow }) =>
  <>{row.marks.map((mark, at) => (mark.isMarked ? <mark key={at}>{plainToSee(mark.text)}</mark> : plainToSee(mark.text)))}</>;

/** What was on the left, what is on the right. What one selects is of the side where one began. */
export function SplitTable({ rows, onShow }: { rows: readonly DiffRow[]; onShow: (() => void) | null }) {
  const pairs = useMemo(() => sideBySide(rows), [rows]);
  const begin = ({ currentTarget, target }: PointerEvent) => {
    (currentTarget as HTMLElement).dataset.selects = (target as Element).closest<HTMLElement>("td[data-side]")?.dataset.side ?? "";
  };
  return (
    <table class="diff__table diff__table--split" onPointerDown={begin}>
      <colgroup><col class="diff__col-number" /><col class="diff__col-sign" /><col /><col class="diff__col-number" /><col class="diff__col-sign" /><col /></colgroup>
      <thead class="visually-hidden"><tr><th scope="colgroup" colSpan={3}>Before</th><th scope="colgroup" colSpan={3}>After</th></tr></thead>
      <tbody>
        {pairs.map((pair, at) => (pair.gap
          ? <Gap key={at} row={pair.gap} columns={6} onShow={onShow} />
          : <tr key={at} class="diff__row"><Half row={pair.left} side="before" /><Half row={pair.right} side="after" /></tr>))}
      </tbody>
    </table>
  );
}

function Half({ row, side }: { row: DiffRow | null; side: "before" | "after" }) {
  const kind = row?.kind ?? "none";
  return (
    <>
      <td class={`diff__number diff__half--${kind}`} data-line={row?.[side] ?? ""} />
      <td class={`diff__sign diff__half--${kind}`} data-sign={row ? SIGNS[row.kind] : ""} aria-label={row ? NAMES[row.kind] : undefined} />
      <td class={`diff__text diff__half--${kind}`} data-side={side}>{row && <Marks row={row} />}</td>
    </>
  );
}
