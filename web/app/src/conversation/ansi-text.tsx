import { memo } from "preact/compat";
import { useMemo } from "preact/hooks";
import { ANSI_BOUNDS, parseAnsi, readable } from "./ansi";
import type { AnsiSpan } from "./ansi";
import "./ansi.css";

/** Output of a terminal, with its colours. Of much, the end. */
export function AnsiText({ text, maxChars = ANSI_BOUNDS.maxChars, maxLines = ANSI_BOUNDS.maxLines, label, testid }: {
  text: string;
  maxChars?: number;
  maxLines?: number;
  label?: string;
  testid?: string;
}) {
  const parsed = useMemo(() => parseAnsi(text, { maxChars, maxLines }), [text, maxChars, maxLines]);
  const blocks = useMemo(() => blocksOf(parsed.lines), [parsed]);
  return (
    <pre class="ansi" tabIndex={0} role="group" aria-label={label ?? "Output"} data-testid={testid}>
      {parsed.omitted > 0 && <span class="ansi__omitted">{`… ${parsed.omitted.toLocaleString()} characters before this are not shown\n`}</span>}
      {blocks.map((block, place) => <Block key={place} lines={block} isLast={place === blocks.length - 1} />)}
    </pre>
  );
}

const PER_BLOCK = 100; // lines that are laid out, and compared, as one

function blocksOf(lines: AnsiSpan[][]): AnsiSpan[][][] {
  const blocks: AnsiSpan[][][] = [];
  for (let at = 0; at < lines.length; at += PER_BLOCK) {
    blocks.push(lines.slice(at, at + PER_BLOCK));
  }
  return blocks;
}

const Block = memo(function Block({ lines, isLast }: { lines: AnsiSpan[][]; isLast: boolean }) {
  // Neighbours without a style are one text node over many lines.
  const pieces: AnsiSpan[] = [];
  lines.forEach((line, place) => {
    const end = isLast && place === lines.length - 1 ? "" : "\n";
    for (const span of [...line, { text: end, style: null }]) {
      const last = pieces.at(-1);
      if (last && last.style === span.style) {
        pieces[pieces.length - 1] = { text: last.text + span.text, style: span.style };
      } else {
        pieces.push(span);
      }
    }
  });
  return <span class="ansi__block">{pieces.map((piece, place) => <Piece key={place} {...piece} />)}</span>;
}, (before, after) => before.isLast === after.isLast && sameLines(before.lines, after.lines));

function sameLines(a: AnsiSpan[][], b: AnsiSpan[][]): boolean {
  return a.length === b.length && a.every((line, row) => {
    const other = b[row]!;
    return line.length === other.length && line.every((span, at) => span.text === other[at]!.text && span.style === other[at]!.style);
  });
}

function Piece({ text, style }: AnsiSpan) {
  if (!style) {
    return <>{text}</>;
  }
  const { className, fg, bg } = style;
  const own: { [name: string]: string } = {};
  if (fg) {
    const { light, dark } = readable(fg);
    own["--ansi-light"] = light;
    own["--ansi-dark"] = dark;
  }
  if (bg) {
    own["--ansi-back"] = `rgb(${bg})`;
  }
  const names = [className, fg ? "ansi-fg-rgb" : "", bg ? "ansi-bg-rgb" : ""].filter(Boolean).join(" ");
  return <span class={names} style={fg || bg ? own : undefined}>{text}</span>;
}
