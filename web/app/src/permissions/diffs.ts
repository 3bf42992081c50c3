// The changes to files that a request is about: what its tool call has shown, else what its input says. Pure.
import type { PermissionRequest, ToolItem } from "signalbox-client";

export interface FileDiff {
  path: string;
  /** Empty or null: a new file. */
  oldText: string | null;
  newText: string;
}

const textOf = (input: { [name: string]: unknown }, ...names: string[]): string | undefined => {
  for (const name of names) {
    if (typeof input[name] === "string") {
      return input[name] as string;
    }
  }
  return undefined;
};

function ofContent(content: readonly unknown[]): FileDiff[] {
  return content.flatMap((block) => {
    const { type, path, oldText, newText } = (block ?? {}) as { [name: string]: unknown };
    return type === "diff" && typeof path === "string" && typeof newText === "string"
      ? [{ path, oldText: typeof oldText === "string" ? oldText : null, newText }]
      : [];
  });
}

// As Claude, OpenCode, Gemini and Qwen name them.
function ofInput(input: { [name: string]: unknown }): FileDiff[] {
  const path = textOf(input, "file_path", "filePath", "path", "absolute_path");
  const oldText = textOf(input, "old_string", "oldString", "oldText");
  const newText = textOf(input, "new_string", "newString", "newText");
  if (path === undefined) {
    return [];
  }
  if (oldText !== undefined && newText !== undefined) {
    return [{ path, oldText, newText }];
  }
  const edits = Array.isArray(input.edits) ? input.edits : [];
  const parts = edits.flatMap((edit) => ofInput({ path, ...(edit as object) }));
  if (parts.length > 0) {
    return parts;
  }
  const content = textOf(input, "content", "file_text", "contents");
  return content === undefined ? [] : [{ path, oldText: null, newText: content }];
}

/** What the request would change, as far as it is told. `tool` is the tool call that it is about, where it is known. */
export function diffsOf(request: Pick<PermissionRequest, "kind" | "toolInput">, tool: Pick<ToolItem, "content"> | null): FileDiff[] {
  const shown = ofContent(tool?.content ?? []);
  return shown.length > 0 || request.kind !== "edit" ? shown : ofInput(request.toolInput);
}

/** A path as people read it: relative to the workspace where it lies in it; null: outside of it. */
export function insideWorkspace(path: string, workspace: string | null): string | null {
  if (path.split("/").includes("..")) {
    return null;
  }
  if (!workspace || !path.startsWith("/")) {
    return path;
  }
  const root = workspace.endsWith("/") ? workspace : `${workspace}/`;
  return path === workspace ? "." : path.startsWith(root) ? path.slice(root.length) : null;
}
