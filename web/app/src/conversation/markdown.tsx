import type { ComponentChildren } from "preact";
import { memo } from "preact/compat";
import { useEffect, useRef, useState } from "preact/hooks";
import { ImageIcon } from "../ui/icons";
import { CodeBlock } from "./code-block";
import { safeUrl } from "./links";
import { MarkdownStream } from "./markdown-stream";
import type { MarkdownBlock, MarkdownNode } from "./markdown-stream";
import { plainToSee } from "./visible";
import "./markdown.css";

/** Markdown of an agent's: hostile, and perhaps still growing. HTML in it is shown as text, and nothing is fetched. */
export function Markdown({ text, isDone = true, class: name }: { text: string; isDone?: boolean; class?: string }) {
  const blocks = useBlocks(text, isDone);
  const groups = [];
  for (let at = 0; at < blocks.length; at += PER_GROUP) {
    groups.push(<Group key={at} blocks={blocks.slice(at, at + PER_GROUP)} />);
  }
  return <div class={`markdown${name ? ` ${name}` : ""}`} dir="auto">{groups}</div>;
}

const PER_GROUP = 24; // blocks that are compared, and laid out, as one: of a text that grows the last ones change only

const Group = memo(function Group({ blocks }: { blocks: MarkdownBlock[] }) {
  return <div class="markdown__group">{blocks.map((block) => <Block key={block.key} block={block} />)}</div>;
}, ({ blocks: before }, { blocks: after }) => before.length === after.length && before.every((block, at) => block === after[at]));

const CHEAP_MS = 4; // parsing that takes longer is not done again at once
const REST = 8; // but after so many times as long
const SLICE = 24_000; // UTF-16 units that are parsed and drawn in one go
const MOST_KEPT = 8;

/** Long texts that were drawn once: whoever scrolls back to one sees all of it at once. */
const kept = new Map<string, MarkdownBlock[]>();

interface Parsed {
  stream: MarkdownStream;
  blocks: MarkdownBlock[];
  /** How much of which text is in the blocks. */
  text: string;
  length: number;
  isDone: boolean;
  nextAt: number;
}

function useBlocks(text: string, isDone: boolean): MarkdownBlock[] {
  const state = useRef<Parsed | null>(null);
  const [, redraw] = useState({});
  const now = state.current ??= fresh(text, isDone);
  const startedAt = performance.now();
  if (!text.startsWith(now.text.slice(0, now.length))) {
    now.length = 0; // another text
  }
  const isLong = text.length - now.length > SLICE;
  const end = isLong ? now.length + SLICE : text.length;
  const isEnd = isDone && end === text.length;
  if ((end !== now.length || isEnd !== now.isDone) && (isEnd || isLong || startedAt >= now.nextAt)) {
    now.blocks = now.stream.update(text.slice(0, end), isEnd);
    now.text = text;
    now.length = end;
    now.isDone = isEnd;
    const took = performance.now() - startedAt;
    now.nextAt = took > CHEAP_MS ? startedAt + took * (1 + REST) : 0;
    if (isEnd && text.length > SLICE) {
      keep(text, now.blocks);
    }
  }
  const isLate = now.length !== text.length || now.isDone !== isDone;
  useEffect(() => {
    if (!isLate) {
      return undefined;
    }
    const timer = setTimeout(() => redraw({}), isLong ? 0 : Math.max(16, now.nextAt - performance.now()));
    return () => clearTimeout(timer);
  }, [isLate, text, now.length]);
  return now.blocks;
}

function fresh(text: string, isDone: boolean): Parsed {
  const blocks = isDone && text.length > SLICE ? kept.get(text) : undefined;
  return { stream: new MarkdownStream(), blocks: blocks ?? [], text: blocks ? text : "", length: blocks ? text.length : 0, isDone: blocks !== undefined, nextAt: 0 };
}

function keep(text: string, blocks: MarkdownBlock[]): void {
  kept.delete(text);
  kept.set(text, blocks);
  if (kept.size > MOST_KEPT) {
    kept.delete(kept.keys().next().value!);
  }
}

const Block = memo(function Block({ block }: { block: MarkdownBlock }) {
  return <>{draw(block.node, 0)}</>;
}, (before, after) => before.block === after.block);

const drawAll = (nodes: MarkdownNode[]) => nodes.map(draw);

/** Levels begin below those of the page itself. */
const HEADINGS: { [tag: string]: "h3" | "h4" | "h5" | "h6" } = { h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6", h6: "h6" };

function draw(node: MarkdownNode, key: number): ComponentChildren {
  const { type, tag, content, children } = node;
  switch (type) {
    case "text":
      return content;
    case "inline":
      return drawAll(children);
    case "softbreak":
    case "hardbreak":
      return <br key={key} />;
    case "code_inline":
      return <code key={key}>{plainToSee(content)}</code>;
    case "strong":
    case "em":
    case "s": {
      const Tag = type as "strong";
      return <Tag key={key}>{drawAll(children)}</Tag>;
    }
    case "link":
      return linkOf(node, key);
    case "image":
      return imageOf(node, key);
    case "paragraph":
      return node.isHidden ? <span key={key} class="markdown__line">{drawAll(children)}</span> : <p key={key}>{drawAll(children)}</p>;
    case "heading": {
      const Heading = HEADINGS[tag] ?? "h6";
      return <Heading key={key} class={`markdown__${tag}`}>{drawAll(children)}</Heading>;
    }
    case "fence":
    case "code_block": {
      const label = node.info.trim().split(/\s/, 1)[0];
      return <CodeBlock key={key} code={content.replace(/\n$/, "")} language={label || null} label={label || "text"} />;
    }
    case "blockquote":
      return <blockquote key={key}>{drawAll(children)}</blockquote>;
    case "bullet_list":
      return <ul key={key} class={node.attrs.part === undefined ? undefined : "markdown__part"}>{children.map(itemOf)}</ul>;
    case "ordered_list":
      return <ol key={key} class={node.attrs.part === undefined ? undefined : "markdown__part"} start={Number(node.attrs.start ?? 1)}>{children.map(itemOf)}</ol>;
    case "hr":
      return <hr key={key} />;
    case "table":
      return <div key={key} class={`markdown__table${node.attrs.part === undefined ? "" : " markdown__table--part"}`} tabIndex={0} role="group" aria-label="Table"><table>{drawAll(children)}</table></div>;
    case "thead":
    case "tbody":
    case "tr": {
      const Tag = type as "tr";
      return <Tag key={key}>{drawAll(children)}</Tag>;
    }
    case "th":
    case "td": {
      const Cell = type as "td";
      const side = /text-align:(center|right)/.exec(node.attrs.style ?? "")?.[1];
      return <Cell key={key} scope={type === "th" ? "col" : undefined} class={side ? `markdown__${side}` : undefined}>{drawAll(children)}</Cell>;
    }
    default: // what is too long, or not known here
      return <span key={key} class="markdown__plain">{content || drawAll(children)}</span>;
  }
}

function itemOf(item: MarkdownNode, key: number) {
  const first = item.children[0]?.children[0];
  const task = first?.type === "inline" ? /^\[([ xX])\]\s+/.exec(first.content) : null;
  if (!task) {
    return <li key={key}>{drawAll(item.children)}</li>;
  }
  const isChecked = task[1] !== " ";
  const [head, ...rest] = item.children;
  return (
    <li key={key} class="markdown__task">
      <input type="checkbox" checked={isChecked} disabled aria-label={isChecked ? "done" : "not done"} />
      {draw({ ...head!, children: [withoutMark(first!, task[0].length)] }, 0)}
      {rest.map((child, at) => draw(child, at + 1))}
    </li>
  );
}

/** `[x] ` is in the first text, which is never shorter. */
function withoutMark(inline: MarkdownNode, length: number): MarkdownNode {
  const [first, ...rest] = inline.children;
  return first?.type === "text" ? { ...inline, children: [{ ...first, content: first.content.slice(length) }, ...rest] } : inline;
}

function linkOf({ attrs, children }: MarkdownNode, key: number) {
  const href = attrs.href ?? "";
  const url = safeUrl(href);
  // Where it leads is told: a text may claim another place.
  return url
    ? <a key={key} href={url} title={plainToSee(url)} target="_blank" rel="noopener noreferrer nofollow">{drawAll(children)}</a>
    : <span key={key} class="markdown__nolink" title={plainToSee(href.slice(0, 500))}>{drawAll(children)}</span>;
}

/** A picture elsewhere is not fetched: whoever wants to see it follows the link. */
function imageOf({ attrs, content }: MarkdownNode, key: number) {
  const src = attrs.src ?? "";
  const url = safeUrl(src);
  const name = content || "Image";
  return url && !url.startsWith("mailto:")
    ? <a key={key} class="markdown__image" href={url} title={plainToSee(url)} target="_blank" rel="noopener noreferrer nofollow"><ImageIcon />{name}</a>
    : <span key={key} class="markdown__image" title={plainToSee(src.slice(0, 500))}><ImageIcon />{name}</span>;
}
