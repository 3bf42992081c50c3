import { memo } from "preact/compat";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { CopyButton } from "./copy-button";
import { highlight, highlighted, MOST_HIGHLIGHTED } from "./highlight";
import { languageOf } from "./languages";
import { plainToSee } from "./visible";
import "./code.css";

const MOST_SHOWN = 200_000; // UTF-16 units that are drawn before somebody asks for all

/** Code with its language, a copy button and colours. While it grows, what is new is plain until the colours come. */
export function CodeBlock({ code, language, label, bare = false, wrap = false, testid }: {
  code: string;
  /** A fence's label, or a name of languages.ts. */
  language?: string | null;
  /** What stands above it; by default the language. Empty: nothing. */
  label?: string;
  /** Without a frame and a head: for what has its own. */
  bare?: boolean;
  wrap?: boolean;
  testid?: string;
}) {
  const [isWhole, setWhole] = useState(false);
  const shown = isWhole || code.length <= MOST_SHOWN ? code : code.slice(0, MOST_SHOWN);
  const name = languageOf(language ?? undefined);
  const chunks = useChunks(shown, name);
  const title = label ?? language ?? "";
  return (
    <figure class={`code-block${bare ? " code-block--bare" : ""}${wrap ? " code-block--wrap" : ""}`} data-language={name ?? undefined}>
      {!bare && (
        <figcaption class="code-block__head">
          <span class="code-block__language">{plainToSee(title.slice(0, 60))}</span>
          <CopyButton text={() => code} label="Copy code" />
        </figcaption>
      )}
      <pre class="code-block__pre" tabIndex={0} data-testid={testid}><code>{chunks.map((chunk, at) => <Chunk key={at} pieces={chunk} />)}</code></pre>
      {shown.length < code.length && (
        <button type="button" class="code-block__more" onClick={() => setWhole(true)}>
          Show all {code.length.toLocaleString()} characters
        </button>
      )}
    </figure>
  );
}

const CHUNK_LINES = 60; // that are laid out, and compared, as one: code that grows changes the last of them only

/** Class names and text by turns. */
const Chunk = memo(function Chunk({ pieces }: { pieces: string[] }) {
  const nodes = [];
  for (let at = 0; at < pieces.length; at += 2) {
    const text = plainToSee(pieces[at + 1]!);
    nodes.push(pieces[at] ? <span key={at} class={pieces[at]}>{text}</span> : text);
  }
  return <span class="code-block__chunk">{nodes}</span>;
}, ({ pieces: before }, { pieces: after }) => before.length === after.length && before.every((piece, at) => piece === after[at]));

function chunksOf(pieces: string[]): string[][] {
  const chunks: string[][] = [[]];
  let lines = 0;
  for (let at = 0; at < pieces.length; at += 2) {
    const text = pieces[at + 1]!;
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
      if (++lines === CHUNK_LINES) {
        chunks.at(-1)!.push(pieces[at]!, text.slice(from, end + 1));
        chunks.push([]);
        from = end + 1;
        lines = 0;
      }
    }
    if (from < text.length) {
      chunks.at(-1)!.push(pieces[at]!, text.slice(from));
    }
  }
  return chunks;
}

/** The code as coloured pieces: plain, until it is known how it is coloured. */
function useChunks(code: string, language: string | null): string[][] {
  const isWanted = language !== null && code.length <= MOST_HIGHLIGHTED && code.trim() !== "";
  const ready = isWanted ? highlighted(code, language) : null;
  const [last, setLast] = useState<{ code: string; language: string; pieces: string[] } | null>(null);
  const asked = useRef(false);
  const alive = useRef(true);
  useEffect(() => () => {
    alive.current = false;
  }, []);
  useEffect(() => {
    // One at a time: what came meanwhile is asked for when this one is here.
    if (!isWanted || ready !== undefined || asked.current || (last?.code === code && last.language === language)) {
      return;
    }
    asked.current = true;
    void highlight(code, language).then((pieces) => {
      asked.current = false;
      if (alive.current) {
        setLast({ code, language, pieces: pieces ?? ["", code] });
      }
    });
  });
  const known = ready ? { code, pieces: ready } : isWanted && last && last.language === language && code.startsWith(last.code) ? last : null;
  return useMemo(() => {
    const rest = known ? code.slice(known.code.length) : code;
    return chunksOf(known ? [...known.pieces, ...(rest ? ["", rest] : [])] : ["", code]);
  }, [code, known?.pieces]);
}
