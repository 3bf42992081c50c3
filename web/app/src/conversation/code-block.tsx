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
  const pieces = usePieces(shown, name);
  const title = label ?? language ?? "";
  return (
    <figure class={`code-block${bare ? " code-block--bare" : ""}${wrap ? " code-block--wrap" : ""}`} data-language={name ?? undefined}>
      {!bare && (
        <figcaption class="code-block__head">
          <span class="code-block__language">{plainToSee(title.slice(0, 60))}</span>
          <CopyButton text={() => code} label="Copy code" />
        </figcaption>
      )}
      <pre class="code-block__pre" tabIndex={0} data-testid={testid}><code>{pieces}</code></pre>
      {shown.length < code.length && (
        <button type="button" class="code-block__more" onClick={() => setWhole(true)}>
          Show all {code.length.toLocaleString()} characters
        </button>
      )}
    </figure>
  );
}

/** The code as text and coloured pieces. */
function usePieces(code: string, language: string | null) {
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
    if (!known) {
      return plainToSee(code);
    }
    const nodes = [];
    for (let at = 0; at < known.pieces.length; at += 2) {
      const name = known.pieces[at]!;
      const text = plainToSee(known.pieces[at + 1]!);
      nodes.push(name ? <span key={at} class={name}>{text}</span> : text);
    }
    nodes.push(plainToSee(code.slice(known.code.length)));
    return nodes;
  }, [code, known?.pieces]);
}
