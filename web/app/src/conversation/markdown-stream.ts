// Markdown that grows: what is finished is parsed once, only its end is parsed again with each delta. The grammar is markdown-it's; here
// are what is kept, the bounds for hostile texts, and what an unfinished construct is shown as.
import MarkdownIt from "markdown-it";
import type Token from "markdown-it/lib/token.mjs";

/** A piece of the text, with what is in it. Plain data; `content` and `attrs` are whatever the agent wrote. */
export interface MarkdownNode {
  /** markdown-it's name, without `_open`: `paragraph`, `heading`, `fence`, `text`, `link` ... */
  type: string;
  tag: string;
  content: string;
  /** A fence's label. */
  info: string;
  attrs: { [name: string]: string };
  /** In a list that has empty lines between its items paragraphs are shown as such; in others they are not. */
  isHidden: boolean;
  children: MarkdownNode[];
}

export interface MarkdownBlock {
  /** Its place in the text: it stays while the text grows. */
  key: number;
  /** What it was made from. */
  source: string;
  /** More of it may come. */
  isOpen: boolean;
  node: MarkdownNode;
}

const MOST_INLINE = 16_000; // UTF-16 units of one paragraph whose inlines are looked at; what is longer is plain
const KEPT_OPEN = 2; // blocks at the end that what follows may still change
const MOST_LINKS = 1_000;
const WINDOW = 24_000; // UTF-16 units that are parsed in one go
const MOST_BLOCK = 48_000; // of a block that is more than text; code may be longer
const PART = 80; // items of a list, rows of a table: longer ones are parsed and drawn in parts
const MOST_READ_AGAIN = 200_000; // of a text that is parsed once more for links that are defined at its end
const MOST_CLOSED = 8_000; // UTF-16 units of an unfinished paragraph whose inlines are closed

interface Environment {
  references?: { [label: string]: { title: string; href: string } };
}

// Raw HTML is text. Where links may lead is the drawing's business, so that the text of those that lead nowhere is shown as well.
const parser = new MarkdownIt({ html: false, linkify: true, breaks: true, maxNesting: 24 } as never);
parser.validateLink = () => true;
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
const parseInline = parser.inline.parse.bind(parser.inline);
parser.inline.parse = (source, md, env, tokens) => {
  if (source.length <= MOST_INLINE) {
    parseInline(source, md, env, tokens);
    return;
  }
  const state = new parser.inline.State(source, md, env, tokens);
  state.push("plain", "", 0).content = source;
};

function parse(text: string, environment: Environment): Token[] {
  try {
    return parser.parse(text, environment);
  } catch {
    return []; // shown as plain text
  }
}

/** A text that is complete. */
export function parseMarkdown(text: string): MarkdownBlock[] {
  return new MarkdownStream().update(text, true);
}

/** A list or a table that goes on behind a part that is finished. */
interface Continued {
  /** What is to be parsed before the rest, so that it is one: a table's head. */
  prefix: string;
  /** The number of a list's next item. */
  number: number;
}

export class MarkdownStream {
  private text = "";
  private isDone = false;
  private frozen: MarkdownBlock[] = [];
  private frozenEnd = 0;
  private continued: Continued | null = null;
  private references: Environment["references"] = {};
  private blocks: MarkdownBlock[] = [];

  /** The blocks of a text that is mostly the last one and more. Blocks that have not changed are the same objects. */
  update(given: string, isDone: boolean): MarkdownBlock[] {
    const text = given.includes("\r") ? given.replace(/\r\n?/g, "\n") : given;
    if (text === this.text && isDone === this.isDone) {
      return this.blocks;
    }
    if (text.length < this.frozenEnd || !text.startsWith(this.text.slice(0, this.frozenEnd))) {
      this.forget(); // another text
    }
    this.text = text;
    this.isDone = isDone;
    this.freezeLong(text);
    let { open, references } = this.read(text, isDone);
    if (isDone && this.frozenEnd > 0 && count({ references }) > 0 && text.length <= MOST_READ_AGAIN) {
      // Links were defined, perhaps behind where they are used: once more from the beginning, of a long text twice.
      for (let known: Environment["references"] = {}; ; known = references) {
        this.forget();
        this.references = known;
        this.freezeLong(text);
        ({ open, references } = this.read(text, true));
        if (text.length <= WINDOW || count({ references: known }) > 0) {
          break;
        }
      }
    }
    this.blocks = this.frozen.length > 0 ? [...this.frozen, ...open] : open;
    return this.blocks;
  }

  private forget(): void {
    this.frozen = [];
    this.frozenEnd = 0;
    this.continued = null;
    this.references = {};
  }

  private freeze(blocks: MarkdownBlock[], end: number, continued: Continued | null = null): void {
    this.frozen.push(...blocks);
    this.frozenEnd = end;
    this.continued = continued;
  }

  // Of a long text so much at a time: what is parsed together, and again with each delta, has a bound whatever an agent writes.
  private freezeLong(text: string): void {
    for (let size = WINDOW; text.length - this.frozenEnd > size;) {
      const before = this.frozenEnd;
      const window = text.slice(before, before + size);
      const { open } = this.read(text.slice(0, before + size), false, true);
      if (this.frozenEnd > before) {
        size = WINDOW;
      } else if (size < MOST_BLOCK || openFence(window)) {
        size *= 2;
      } else if (open.length > 1) {
        this.freeze(open.slice(0, -1), open.at(-1)!.key);
      } else {
        // One that does not end, and is no code: it costs too much to be more than text.
        const line = window.lastIndexOf("\n") + 1;
        const source = line > 0 ? window.slice(0, line) : window.replace(/[\ud800-\udbff]$/, "");
        this.freeze([plainBlock(before, source, false)], before + source.length);
      }
    }
  }

  /** What is behind the frozen blocks, as blocks; those of them that nothing can change any more are frozen. */
  private read(text: string, isDone: boolean, isInside = false): { open: MarkdownBlock[]; references: Environment["references"] } {
    for (;;) {
      const prefix = this.continued?.prefix ?? "";
      const full = prefix + text.slice(this.frozenEnd);
      const shown = isDone || isInside ? full : calm(full);
      const base = this.frozenEnd - prefix.length;
      const environment: Environment = { references: { ...this.references } };
      const tokens = parse(shown, environment);
      const sure = commonLength(shown, full);
      if (this.split(shown, tokens, base, sure, environment)) {
        continue;
      }
      const open = this.blocksOf(shown, tokens, base, isDone, count(environment) !== count({ references: this.references }));
      if (!isDone && open.length > KEPT_OPEN && sure >= open.at(-KEPT_OPEN)!.key - base) {
        this.freeze(open.splice(0, open.length - KEPT_OPEN), open[0]!.key);
        this.references = count(environment) <= MOST_LINKS ? environment.references : this.references;
      }
      return { open, references: environment.references };
    }
  }

  /** Long lists and tables in parts of so many items; true: some were frozen, and the rest is to be parsed anew. */
  private split(source: string, tokens: Token[], base: number, sure: number, environment: Environment): boolean {
    const ranges = topLevel(tokens);
    const at = ranges.findIndex(({ from, to }) => itemsOf(tokens, from, to).length >= PART + KEPT_OPEN);
    if (at < 0) {
      return false;
    }
    const { from, to } = ranges[at]!;
    const starts = lineStarts(source);
    const items = itemsOf(tokens, from, to).map((token) => starts[token.map![0]]!);
    const first = starts[tokens[from]!.map![0]]!;
    const isTable = tokens[from]!.type === "table_open";
    const prefix = isTable ? source.slice(first, starts[tokens[from]!.map![0] + 2]) : "";
    const isFirst = at === 0;
    let number = isFirst && this.continued ? this.continued.number : Number(tokens[from]!.attrGet("start") ?? 1);
    let begin = isFirst && this.continued ? this.frozenEnd - base : first;
    const parts: MarkdownBlock[] = [];
    for (let item = PART; item + KEPT_OPEN <= items.length && items[item]! <= sure; item += PART) {
      const text = source.slice(begin, items[item]);
      const isHeadless = isTable && (parts.length > 0 || (isFirst && this.continued !== null));
      const made = parse((isHeadless ? prefix : "") + text, { references: { ...environment.references } });
      const node = treeOf(made)[0]!;
      parts.push({ key: base + begin, source: text, isOpen: false, node: asPart(node, number) });
      number += PART;
      begin = items[item]!;
    }
    if (parts.length === 0) {
      return false;
    }
    const before = from === 0 ? [] : this.blocksOf(source, tokens.slice(0, from), base, true, true);
    this.freeze([...before, ...parts], base + begin, { prefix, number });
    return true;
  }

  private blocksOf(source: string, tokens: Token[], base: number, isDone: boolean, hasNewLinks: boolean): MarkdownBlock[] {
    const known = new Map(this.blocks.slice(-64).map((block) => [block.key, block]));
    const starts = lineStarts(source);
    const ranges = topLevel(tokens);
    if (ranges.length === 0 && source.trim() !== "" && tokens.length === 0 && !/^\s*\[/.test(source)) {
      return [plainBlock(this.frozenEnd, source, !isDone)];
    }
    return ranges.map(({ from, to }, index) => {
      const map = tokens[from]!.map ?? [0, 0];
      const continued = index === 0 ? this.continued : null;
      const start = continued ? this.frozenEnd - base : (starts[map[0]] ?? source.length);
      const end = starts[map[1]] ?? source.length;
      const isOpen = !isDone && index === ranges.length - 1;
      const text = source.slice(start, end);
      const key = base + start;
      const before = known.get(key);
      const isSame = before && !hasNewLinks && before.isOpen === isOpen && before.source === text && before.node.type === typeOf(tokens[from]!);
      if (isSame) {
        return before;
      }
      const node = treeOf(tokens.slice(from, to + 1))[0]!;
      return { key, source: text, isOpen, node: continued ? asPart(node, continued.number) : node };
    });
  }
}

const plainBlock = (key: number, source: string, isOpen: boolean): MarkdownBlock => ({ key, source, isOpen, node: { ...leaf("plain", source), tag: "p" } });

/** A list's items, or a table's rows but the head; of anything else none. */
function itemsOf(tokens: Token[], from: number, to: number): Token[] {
  const { type } = tokens[from]!;
  const [wanted, level] = type === "table_open" ? ["tr_open", 2] : /_list_open$/.test(type) ? ["list_item_open", 1] : ["", 0];
  const items = wanted === "" ? [] : tokens.slice(from, to).filter((token) => token.type === wanted && token.level === level && token.map);
  return type === "table_open" ? items.slice(1) : items;
}

/** One of several that stand below each other and look like one. */
const asPart = (node: MarkdownNode, number: number): MarkdownNode => ({ ...node, attrs: { ...node.attrs, part: "", ...(node.type === "ordered_list" ? { start: String(number) } : {}) } });

const count = ({ references }: { references?: Environment["references"] }): number => Object.keys(references ?? {}).length;

function commonLength(a: string, b: string): number {
  if (a === b) {
    return a.length;
  }
  let at = 0;
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) {
    at++;
  }
  return at;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  return starts;
}

function topLevel(tokens: Token[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  let from = 0;
  tokens.forEach((token, at) => {
    if (token.level === 0 && token.nesting >= 0) {
      from = at;
    }
    if (token.level === 0 && token.nesting <= 0) {
      ranges.push({ from, to: at });
    }
  });
  return ranges;
}

const typeOf = (token: Token): string => token.type.replace(/_open$/, "");

const leaf = (type: string, content: string): MarkdownNode => ({ type, tag: "", content, info: "", attrs: {}, isHidden: false, children: [] });

/** From markdown-it's flat list to what is in what. */
function treeOf(tokens: Token[]): MarkdownNode[] {
  const root = leaf("root", "");
  const open = [root];
  for (const token of tokens) {
    if (token.nesting < 0) {
      open.pop();
      continue;
    }
    const node: MarkdownNode = {
      type: typeOf(token), tag: token.tag, content: token.content, info: token.info, isHidden: token.hidden,
      attrs: Object.fromEntries(token.attrs ?? []), children: token.children ? treeOf(token.children) : [],
    };
    open.at(-1)!.children.push(node);
    if (token.nesting > 0) {
      open.push(node);
    }
  }
  return root.children;
}

// ---- what is not finished ----

/**
 * A text that breaks off somewhere, so that it can be shown: what would be something else with the next character is left out, and what
 * is open is closed.
 */
export function calm(text: string): string {
  const lineStart = text.lastIndexOf("\n") + 1;
  const line = text.slice(lineStart);
  if (openFence(text)) {
    return /^ {0,3}[`~]{1,}$/.test(line) ? text.slice(0, Math.max(0, lineStart - 1)) : text; // perhaps its end
  }
  // Perhaps the beginning of a fence, a rule, a list, a heading, or the line that would make the one above it a heading.
  if (/^\s*(?:`{1,2}|~{1,2}|[-=]+|[*_+]+|#{1,6}|\d{1,9}[.)]?)$/.test(line)) {
    return text.slice(0, lineStart);
  }
  const blockStart = Math.max(text.lastIndexOf("\n\n"), 0);
  const block = text.slice(blockStart);
  const table = openTable(block);
  if (table !== null) {
    return text.slice(0, blockStart) + table;
  }
  // Inlines of a list's item, a table's cell or a paragraph do not go beyond it.
  const from = inlineStart(block);
  return text.slice(0, blockStart) + block.slice(0, from) + closed(block.slice(from));
}

/** Whether the text ends inside a fence. */
function openFence(text: string): boolean {
  let open: string | null = null;
  for (const match of text.matchAll(/^(?: {0,3}|[ \t>*+-]{0,40}(?:\d{1,9}[.)])?[ \t]{0,8})(`{3,}|~{3,})([^\n]*)$/gm)) {
    const [, mark = "", info = ""] = match;
    if (open === null) {
      open = mark[0] === "`" && info.includes("`") ? null : mark;
    } else if (mark[0] === open[0] && mark.length >= open.length && info.trim() === "") {
      open = null;
    }
  }
  return open !== null;
}

/** A table of which only the head is there is a table already; null: it is none, or needs no help. */
function openTable(block: string): string | null {
  const lines = block.replace(/^\n+/, "").split("\n");
  const [head = "", rule] = lines;
  if (lines.length > 2 || !/^ {0,3}\|.*\|\s*$/.test(head) || (rule !== undefined && !/^[ |:-]*$/.test(rule))) {
    return null;
  }
  const cells = head.trim().replaceAll("\\|", "").split("|").length - 2;
  return cells < 1 ? null : `${block.slice(0, block.length - lines.join("\n").length)}${head}\n|${" --- |".repeat(cells)}`;
}

function inlineStart(block: string): number {
  const item = [...block.matchAll(/^[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?/gm)].at(-1);
  const cell = block.trimStart().startsWith("|") ? block.lastIndexOf("\n") + 1 : 0;
  return Math.max(item ? item.index + item[0].length : 0, cell);
}

/** Inlines, closed. */
function closed(text: string, depth = 0): string {
  if (text.length > MOST_CLOSED || depth > 3) {
    return text;
  }
  // Code first: nothing counts inside.
  const ticks = [...text.matchAll(/`+/g)];
  let open: RegExpExecArray | null = null;
  const code: [number, number][] = [];
  for (const tick of ticks) {
    if (open === null) {
      open = tick;
    } else if (tick[0].length === open[0].length) {
      code.push([open.index, tick.index + tick[0].length]);
      open = null;
    }
  }
  if (open) {
    const isEmpty = open.index + open[0].length === text.length;
    return isEmpty ? text.slice(0, open.index) : closed(text.slice(0, open.index), depth + 1) + text.slice(open.index) + open[0];
  }
  // A link whose address is not whole is its text; an image is nothing yet.
  const link = /(!?)\[((?:[^\[\]\n]|\\.)*)\]\((?:[^()\s]|\\.)*(?:\s+"[^"\n]*"?)?$/.exec(text);
  if (link && !code.some(([from, to]) => link.index >= from && link.index < to)) {
    return closed(text.slice(0, link.index) + (link[1] ? "" : link[2]), depth + 1);
  }
  let plain = text;
  for (const [from, to] of code) {
    plain = plain.slice(0, from) + " ".repeat(to - from) + plain.slice(to);
  }
  plain = plain.replace(/\\[\s\S]/g, "  ");
  const trailing = /(?:^|[\s(])(\*{1,3}|_{1,3}|~~?)$/.exec(plain); // opened, and nothing in it yet
  if (trailing) {
    return closed(text.slice(0, text.length - trailing[1]!.length), depth + 1);
  }
  const half = /[^*~\s][*~]$/.exec(plain); // one of two that close
  let result = text;
  const closers: string[] = [];
  for (const mark of ["**", "~~", "*"]) {
    const count = mark === "*" ? plain.replaceAll("**", "").split("*").length - 1 : plain.split(mark).length - 1;
    const opener = mark === "*" ? /(?<!\*)\*(?![\s*])/ : new RegExp(`${mark.replaceAll("*", "\\*")}(?!\\s)`);
    if (count % 2 === 1 && opener.test(plain)) {
      closers.push(mark);
    }
  }
  if (half && closers.includes("**") && plain.endsWith("*") && !plain.endsWith("**")) {
    result = `${text}*`;
    closers.splice(closers.indexOf("**"), 1);
    const star = closers.indexOf("*");
    if (star >= 0) {
      closers.splice(star, 1);
    }
    return result;
  }
  const end = /\s*$/.exec(result)!.index; // `**a **` would close nothing
  return closers.length === 0 ? result : result.slice(0, end) + closers.reverse().join("") + result.slice(end);
}
