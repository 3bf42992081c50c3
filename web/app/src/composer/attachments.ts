// Files for a prompt: what kind of block each becomes, and which kinds an agent has said that it does not take. Pure.
import type { ContentBlock, PromptCapabilities } from "signalbox-client";

export type AttachmentKind = "image" | "audio" | "resource";

const TEXT_TYPES = /^(text\/|application\/(json|xml|javascript|x-sh|x-yaml|yaml|toml|sql|x-httpd-php|typescript)|.*\+(json|xml))/;
const TEXT_NAMES =
  /(^|[./])([cm]?[jt]sx?|json[5lc]?|ya?ml|toml|ini|conf|cfg|env|md|mdx|rst|txt|log|csv|tsv|xml|svg|html?|css|s[ac]ss|less|py|rb|rs|go|java|kt|swift|c|h|cc|cpp|hpp|cs|php|pl|lua|sh|bash|zsh|fish|sql|diff|patch|gitignore|dockerfile|makefile|cmake|gradle|proto|graphql|vue|svelte)$/i;

/** An SVG is a text to an agent: models see no vector images. */
export function kindOf(file: { name: string; type: string }): AttachmentKind {
  if (file.type.startsWith("image/") && file.type !== "image/svg+xml") {
    return "image";
  }
  return file.type.startsWith("audio/") ? "audio" : "resource";
}

/** The media type that it is stored with: a text is known as one, whatever the browser calls it. */
export function typeOf(file: { name: string; type: string }): string {
  if (kindOf(file) !== "resource") {
    return file.type;
  }
  const isText = TEXT_TYPES.test(file.type) || (TEXT_NAMES.test(file.name) && !/^(image|audio|video|font)\//.test(file.type.replace("video/mp2t", "")));
  if (!isText) {
    return file.type || "application/octet-stream";
  }
  return TEXT_TYPES.test(file.type) && file.type.startsWith("text/") ? file.type : "text/plain";
}

/** The block of a prompt that names what was sent up. */
export function blockOf(file: { name: string; type: string }, blob: string): ContentBlock {
  const kind = kindOf(file);
  const mimeType = typeOf(file);
  return kind === "resource" ? { type: "resource", blob, resource: { uri: `attachment:///${encodeURIComponent(file.name)}`, mimeType } } : { type: kind, blob, mimeType };
}

/** What people call a block that came back: the name that it was sent with. */
export function nameOfBlock(block: ContentBlock): string {
  const uri = (block.resource as { uri?: unknown } | undefined)?.uri ?? block.uri;
  if (typeof uri === "string") {
    try {
      return decodeURIComponent(uri.split("/").at(-1) || uri);
    } catch {
      return uri;
    }
  }
  return block.type === "image" ? "Image" : block.type === "audio" ? "Audio" : "File";
}

/** The kind that a refusal (`unsupported`, field `content`) is about; the server names it. */
export function refusedKind(message: string): AttachmentKind | null {
  return /\bimages?\b/.test(message) ? "image" : /\baudio\b/.test(message) ? "audio" : /\bresources?\b/.test(message) ? "resource" : null;
}

const NAMES: { [kind in AttachmentKind]: string } = { image: "images", audio: "audio", resource: "files" };

export const refusedSentence = (kind: AttachmentKind): string => `This agent takes no ${NAMES[kind]}.`;

const MEMBERS: { [kind in AttachmentKind]: keyof PromptCapabilities } = { image: "image", audio: "audio", resource: "embeddedContext" };

/** Whether the agent takes it. What it takes is not known before one has started (null): then everything is worth a try. */
export const takes = (capabilities: PromptCapabilities | null, kind: AttachmentKind): boolean =>
  capabilities === null || capabilities[MEMBERS[kind]];

export interface Offer {
  /** It takes nothing but text. */
  isNone: boolean;
  /** What a file dialog is to show; undefined: all files. */
  accept: string | undefined;
  /** What can be attached, how long it may be, and what not. */
  words: string;
  /** The same for who drags files over the page. */
  dropWords: string;
}

/** What can be attached. `maxBytes`: the longest that the server takes, where it says so. */
export function offerOf(capabilities: PromptCapabilities | null, maxBytes: number | null): Offer {
  const kinds: AttachmentKind[] = ["resource", "image", "audio"];
  const taken = kinds.filter((kind) => takes(capabilities, kind));
  const left = kinds.filter((kind) => !takes(capabilities, kind));
  const not = `This agent takes no ${left.map((kind) => NAMES[kind]).join(", no ").replace(/, no (\w+)$/, " and no $1")}.`;
  const upTo = maxBytes === null ? "" : `, up to ${sizeWords(maxBytes)} in all`;
  if (taken.length === 0) {
    return { isNone: true, accept: undefined, words: not, dropWords: not };
  }
  if (left.length === 0) {
    return { isNone: false, accept: undefined, words: `Attach files (or paste, or drop them)${upTo}`, dropWords: "Drop files to attach them" };
  }
  const some = taken.map((kind) => NAMES[kind]).join(" and ");
  return {
    isNone: false,
    accept: taken.includes("resource") ? undefined : taken.map((kind) => `${kind}/*`).join(","),
    words: `Attach ${some} (or paste, or drop them)${upTo}. ${not}`,
    dropWords: `Drop ${some} to attach them. ${not}`,
  };
}

/** A text file as a part of the prompt's text, for agents that take no files. */
export function asText(name: string, content: string): string {
  const fence = "`".repeat(Math.max(3, ...[...content.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  return `${name}:\n${fence}\n${content.replace(/\n$/, "")}\n${fence}`;
}

export function sizeWords(bytes: number): string {
  return bytes < 1000 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
