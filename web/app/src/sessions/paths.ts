// Paths as the server has them (absolute, POSIX), for the picker of a workspace. Pure.

/** Without what says nothing: doubled and trailing slashes. */
export function tidy(path: string): string {
  const text = path.trim().replace(/\/{2,}/g, "/");
  return text.length > 1 ? text.replace(/\/$/, "") : text;
}

/** Whether a path is a root or lies under one. `..` is for the server to judge. */
export function isUnder(path: string, roots: readonly string[]): boolean {
  const text = tidy(path);
  return roots.some((root) => {
    const top = tidy(root);
    return text === top || text.startsWith(top === "/" ? "/" : `${top}/`);
  });
}

/** What one is typing: the folder whose contents are to be offered, and the beginning of the name in it. */
export function typedPath(text: string): { folder: string; begin: string } {
  const at = text.lastIndexOf("/");
  return at < 0 ? { folder: "", begin: text.trim() } : { folder: tidy(text.slice(0, at + 1) || "/"), begin: text.slice(at + 1) };
}

export const joined = (folder: string, name: string): string => (folder.endsWith("/") ? folder + name : `${folder}/${name}`);
