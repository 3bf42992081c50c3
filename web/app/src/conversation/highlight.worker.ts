// Highlighting happens beside the page, so that a big file, or a hostile one, holds up nothing. Each language is loaded when it is
// first asked for.
import { createLowlight } from "lowlight";
import type { LanguageFn } from "highlight.js";

export interface HighlightRequest {
  id: number;
  code: string;
  language: string;
}

export interface HighlightAnswer {
  id: number;
  /** Class names and text by turns: ["hljs-keyword", "const", "", " x"]. null: it is plain. */
  pieces: string[] | null;
}

type Load = () => Promise<{ default: LanguageFn }>;

const LOADERS: { [name: string]: Load } = {
  bash: () => import("highlight.js/lib/languages/bash"), c: () => import("highlight.js/lib/languages/c"),
  cmake: () => import("highlight.js/lib/languages/cmake"), cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"), css: () => import("highlight.js/lib/languages/css"),
  dart: () => import("highlight.js/lib/languages/dart"), diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"), elixir: () => import("highlight.js/lib/languages/elixir"),
  go: () => import("highlight.js/lib/languages/go"), graphql: () => import("highlight.js/lib/languages/graphql"),
  haskell: () => import("highlight.js/lib/languages/haskell"), ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"), javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"), kotlin: () => import("highlight.js/lib/languages/kotlin"),
  less: () => import("highlight.js/lib/languages/less"), lua: () => import("highlight.js/lib/languages/lua"),
  makefile: () => import("highlight.js/lib/languages/makefile"), markdown: () => import("highlight.js/lib/languages/markdown"),
  nginx: () => import("highlight.js/lib/languages/nginx"), nix: () => import("highlight.js/lib/languages/nix"),
  perl: () => import("highlight.js/lib/languages/perl"), php: () => import("highlight.js/lib/languages/php"),
  powershell: () => import("highlight.js/lib/languages/powershell"), protobuf: () => import("highlight.js/lib/languages/protobuf"),
  python: () => import("highlight.js/lib/languages/python"), r: () => import("highlight.js/lib/languages/r"),
  ruby: () => import("highlight.js/lib/languages/ruby"), rust: () => import("highlight.js/lib/languages/rust"),
  scala: () => import("highlight.js/lib/languages/scala"), scss: () => import("highlight.js/lib/languages/scss"),
  sql: () => import("highlight.js/lib/languages/sql"), swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"), vim: () => import("highlight.js/lib/languages/vim"),
  x86asm: () => import("highlight.js/lib/languages/x86asm"), xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};

const lowlight = createLowlight();

interface Node {
  type: string;
  value?: string;
  properties?: { className?: string[] };
  children?: Node[];
}

function flatten(node: Node, className: string, pieces: string[]): void {
  if (node.type === "text") {
    if (pieces.length > 0 && pieces[pieces.length - 2] === className) {
      pieces[pieces.length - 1] += node.value ?? "";
    } else {
      pieces.push(className, node.value ?? "");
    }
    return;
  }
  const own = node.properties?.className?.join(" ") ?? className;
  for (const child of node.children ?? []) {
    flatten(child, own, pieces);
  }
}

async function highlight({ code, language }: HighlightRequest): Promise<string[] | null> {
  if (!lowlight.registered(language)) {
    const load = Object.hasOwn(LOADERS, language) ? LOADERS[language] : undefined;
    if (!load) {
      return null;
    }
    lowlight.register(language, (await load()).default);
  }
  const pieces: string[] = [];
  flatten(lowlight.highlight(language, code) as Node, "", pieces);
  return pieces;
}

addEventListener("message", ({ data }: MessageEvent<HighlightRequest>) => {
  highlight(data).catch(() => null).then((pieces) => postMessage({ id: data.id, pieces } satisfies HighlightAnswer));
});
