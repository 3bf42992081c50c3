// Which language a fence's label or a file's name means. Names on the right are those of highlight.js.
const NAMES: { [name: string]: string } = {
  bash: "bash", sh: "bash", shell: "bash", zsh: "bash", console: "bash", "shell-session": "bash", shellscript: "bash",
  c: "c", h: "c", cpp: "cpp", "c++": "cpp", cc: "cpp", cxx: "cpp", hpp: "cpp", hh: "cpp", cs: "csharp", csharp: "csharp", "c#": "csharp",
  css: "css", scss: "scss", less: "less", html: "xml", xml: "xml", svg: "xml", xhtml: "xml", vue: "xml",
  diff: "diff", patch: "diff", dockerfile: "dockerfile", docker: "dockerfile", go: "go", golang: "go",
  graphql: "graphql", gql: "graphql", ini: "ini", toml: "ini", conf: "ini", java: "java", kt: "kotlin", kts: "kotlin", kotlin: "kotlin",
  js: "javascript", mjs: "javascript", cjs: "javascript", jsx: "javascript", javascript: "javascript", node: "javascript",
  ts: "typescript", mts: "typescript", cts: "typescript", tsx: "typescript", typescript: "typescript",
  json: "json", jsonc: "json", json5: "json", jsonl: "json", lua: "lua", make: "makefile", makefile: "makefile", mk: "makefile",
  md: "markdown", markdown: "markdown", nginx: "nginx", nix: "nix", php: "php", pl: "perl", perl: "perl", ps1: "powershell", powershell: "powershell",
  protobuf: "protobuf", proto: "protobuf", py: "python", python: "python", python3: "python", r: "r", rb: "ruby", ruby: "ruby",
  rs: "rust", rust: "rust", scala: "scala", sql: "sql", swift: "swift", yaml: "yaml", yml: "yaml", zig: "rust", cmake: "cmake",
  elixir: "elixir", ex: "elixir", exs: "elixir", haskell: "haskell", hs: "haskell", dart: "dart", asm: "x86asm", vim: "vim",
};

/** The language of a fence's label (`ts`, `js title=x`), or null where it is none that can be highlighted. */
export function languageOf(label: string | undefined): string | null {
  const [name = ""] = (label ?? "").trim().toLowerCase().split(/[\s{,:]/, 1);
  return Object.hasOwn(NAMES, name) ? NAMES[name]! : null;
}

/** The language of a file, by its name. */
export function languageOfPath(path: string | undefined): string | null {
  const name = (path ?? "").split(/[\\/]/).at(-1)!.toLowerCase();
  if (name === "dockerfile" || name === "makefile" || name === "cmakelists.txt") {
    return name === "cmakelists.txt" ? "cmake" : name;
  }
  const dot = name.lastIndexOf(".");
  return dot < 0 ? null : languageOf(name.slice(dot + 1));
}
