// Pictures, sound and other content that the session holds. Nothing is fetched from anywhere else, and what a browser could run is only
// offered to be saved.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Ref } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { FileIcon, ImageIcon, LinkIcon } from "../ui/icons";
import { CodeBlock } from "./code-block";
import { languageOfPath } from "./languages";
import { safeUrl } from "./links";
import { useConversation } from "./context";
import { oneLine, pretty, textOf } from "./visible";
import { sizeInWords } from "./words";
import "./media.css";

type Block = { type?: unknown; [name: string]: unknown };

const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]);
const SOUNDS = /^audio\/[a-z0-9.+-]{1,40}$/;
const SHOWN_AT_ONCE = 2_000_000; // bytes

/** ACP content blocks; `at` is where they stand in their event, for what was cut from them. */
export function ContentBlocks({ blocks, refs, at }: { blocks: readonly unknown[]; refs?: Ref[]; at: string }) {
  return <>{blocks.map((block, place) => <ContentBlockView key={place} block={(block ?? {}) as Block} refs={refs} at={`${at}/${place}`} />)}</>;
}

export function ContentBlockView({ block, refs, at }: { block: Block; refs?: Ref[]; at: string }): ComponentChildren {
  if (typeof block !== "object") {
    return <CodeBlock bare wrap code={textOf(block)} />;
  }
  switch (block.type) {
    case "text":
      return <p class="media__text" dir="auto">{textOf(block.text)}</p>;
    case "image":
    case "audio":
      return <Media block={block} data={refs?.find((ref) => ref.path === `${at}/data`)} kind={block.type} />;
    case "resource":
      return <Resource resource={(block.resource ?? {}) as Block} refs={refs} at={`${at}/resource`} />;
    case "resource_link":
      return <LinkChip uri={textOf(block.uri)} name={textOf(block.title) || textOf(block.name)} size={block.size} />;
    default:
      return <CodeBlock code={pretty(block)} language="json" label={oneLine(textOf(block.type) || "content", 60)} />;
  }
}

/** `data` is base64, cut where there is a reference; `blob` is the session's. */
function Media({ block, data, kind }: { block: Block; data?: Ref; kind: "image" | "audio" }) {
  const { sessionId } = useConversation();
  const client = useClient();
  const type = textOf(block.mimeType).toLowerCase().trim();
  const canShow = kind === "image" ? PICTURES.has(type) : SOUNDS.test(type);
  const inline = typeof block.data === "string" ? block.data : "";
  const blob = typeof block.blob === "string" ? block.blob : null;
  const bytes = data ? data.bytes * 0.75 : inline.length * 0.75;
  const [isWanted, setWanted] = useState(bytes <= SHOWN_AT_ONCE);
  const [url, setUrl] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const name = oneLine(textOf(block.name) || textOf(block.uri) || (kind === "image" ? "Image" : "Audio"), 120);
  useEffect(() => {
    if (!canShow || !isWanted) {
      return undefined;
    }
    const abort = new AbortController();
    let made: string | null = null;
    const load = async (): Promise<Blob> => {
      if (blob) {
        return new Blob([await (await client.http.blob(sessionId, blob, { signal: abort.signal })).arrayBuffer()], { type });
      }
      const text = data ? textOf(await client.http.whole(sessionId, data, abort.signal)) : inline;
      return new Blob([bytesOf(text)], { type });
    };
    load().then((content) => {
      if (!abort.signal.aborted) {
        made = URL.createObjectURL(content);
        setUrl(made);
        setError(null);
      }
    }, (reason: unknown) => {
      if (!abort.signal.aborted) {
        setError(reason instanceof Error ? reason.message : String(reason));
      }
    });
    return () => {
      abort.abort();
      if (made) {
        URL.revokeObjectURL(made);
      }
    };
  }, [canShow, isWanted, blob, data?.blob, inline, type]);
  if (!canShow) {
    return (
      <span class="media__chip"><ImageIcon />{name}<span class="media__type">{oneLine(type || kind, 60)}</span>
        {blob && <a href={client.http.blobUrl(sessionId, blob)} download="">Save</a>}
      </span>
    );
  }
  if (error !== null) {
    return <span class="media__chip media__chip--bad"><ImageIcon />{name}: {error}
      <button type="button" onClick={() => { setError(null); setWanted(false); setTimeout(() => setWanted(true)); }}>Try again</button></span>;
  }
  if (!isWanted) {
    return <span class="media__chip"><ImageIcon />{name}<button type="button" onClick={() => setWanted(true)}>Show ({sizeInWords(Math.round(bytes))})</button></span>;
  }
  if (url === null) {
    return <span class="media__place" role="status" aria-label={`${name} is being loaded`} />;
  }
  return kind === "image"
    ? <a class="media__frame" href={url} target="_blank" rel="noopener"><img class="media__image" src={url} alt={name} onError={() => setError("this is no picture")} /></a>
    : <audio class="media__audio" controls src={url} aria-label={name} />;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  let text: string;
  try {
    text = atob(base64);
  } catch {
    throw new Error("the data is no base64");
  }
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    bytes[at] = text.charCodeAt(at);
  }
  return bytes;
}

function Resource({ resource, refs, at }: { resource: Block; refs?: Ref[]; at: string }) {
  const { sessionId } = useConversation();
  const client = useClient();
  const uri = textOf(resource.uri);
  const type = textOf(resource.mimeType);
  if (typeof resource.text === "string") {
    return <CodeBlock code={resource.text} language={languageOfPath(uri)} label={oneLine(uri || type || "resource", 200)} />;
  }
  if (PICTURES.has(type) && typeof resource.blob === "string") {
    const data = refs?.find((ref) => ref.path === `${at}/blob`);
    return <Media kind="image" data={data} block={{ mimeType: type, data: resource.blob, uri }} />;
  }
  const ref = refs?.find((each) => each.path === `${at}/blob`);
  return (
    <span class="media__chip"><FileIcon />{oneLine(uri || "resource", 200)}<span class="media__type">{oneLine(type, 60)}</span>
      {ref && <a href={client.http.blobUrl(sessionId, ref.blob)} download="">Save ({sizeInWords(ref.bytes)})</a>}
    </span>
  );
}

function LinkChip({ uri, name, size }: { uri: string; name: string; size: unknown }) {
  const url = safeUrl(uri);
  const said = oneLine(name || uri || "link", 200);
  const more = typeof size === "number" ? <span class="media__type">{sizeInWords(size)}</span> : null;
  return url
    ? <a class="media__chip" href={url} target="_blank" rel="noopener noreferrer nofollow" title={oneLine(url, 2_000)}><LinkIcon />{said}{more}</a>
    : <span class="media__chip" title={oneLine(uri, 2_000)}><FileIcon />{said}{more}</span>;
}
