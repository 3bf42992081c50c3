import { useEffect, useState } from "preact/hooks";
import type { PermissionRequest, Ref, ToolItem } from "signalbox-client";
import { useClient } from "signalbox-client/preact";
import { diffsOf, insideWorkspace } from "./diffs";
import type { FileDiff } from "./diffs";
import { hiddenCount } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";

interface Props {
  request: PermissionRequest;
  tool: ToolItem | null;
  workspace: string | null;
}

/** What exactly is asked for: the command or the change, the paths, what the agent says of it, and what should make one look twice. */
export function PermissionSubject({ request: given, tool: shown, workspace }: Props) {
  const { request, tool, rest, isCut, fetchWhole, isFetching, problem } = useWhole(given, shown);
  const diffs = diffsOf(request, tool);
  const said = [tool?.toolIntent, request.description].find((text) => text?.trim() && !request.command.includes(text.trim())); // what stands there already is not said twice
  const paths = (request.locations ?? []).filter(({ path }) => path && path !== workspace && !request.command.includes(path) && !diffs.some((diff) => diff.path === path));
  const warnings = warningsOf(request, workspace);
  return (
    <>
      {said && <p class="permission-card__said"><VisibleText text={said} /></p>}
      <pre class="permission-card__command" tabIndex={0} aria-label="What exactly" data-kind={request.kind} data-slim={diffs.length > 0} dir="ltr">
        <code><VisibleText text={request.command} /></code>
      </pre>
      {warnings.map((warning) => <p key={warning} class="permission-card__warning">{warning}</p>)}
      {rest > 0 && (
        <p class="permission-card__cut">
          Parts of this are too long to be sent at once ({sizeOf(rest)}).{" "}
          <button type="button" class="permission-card__quiet" disabled={isFetching} onClick={fetchWhole}>{isFetching ? "Fetching…" : "Show everything"}</button>
          {problem && <span class="permission-card__failure"> {problem}</span>}
        </p>
      )}
      {typeof request.planContent === "string" && <div class="permission-card__plan" tabIndex={0}><VisibleText text={request.planContent} /></div>}
      {diffs.map((diff, at) => <Change key={at} {...diff} isCut={isCut} path={insideWorkspace(diff.path, workspace) ?? diff.path} />)}
      {paths.length > 0 && (
        <ul class="permission-card__paths">
          {paths.map(({ path, line }) => (
            <li key={`${path}:${line}`}><code><VisibleText text={insideWorkspace(path, workspace) ?? path} />{typeof line === "number" && `:${line}`}</code></li>
          ))}
        </ul>
      )}
      <ToolInput input={request.toolInput} command={request.command} />
    </>
  );
}

type View = typeof import("../conversation/diff-view").DiffView;

/** A change, as soon as what compares texts is there; until then, and where it cannot be fetched, as it is. */
function Change({ path, oldText, newText, isCut }: FileDiff & { isCut: boolean }) {
  const [View, setView] = useState<View | null>(null);
  useEffect(() => {
    let isThere = true;
    import("../conversation/diff-view").then(({ DiffView }) => isThere && setView(() => DiffView)).catch(() => {});
    return () => {
      isThere = false;
    };
  }, []);
  if (View) {
    return <View path={path} before={oldText} after={newText} isCut={isCut} testid="permission-diff" />;
  }
  return (
    <div class="permission-card__diff" data-testid="permission-diff">
      <p><code><VisibleText text={path} /></code></p>
      {oldText && <pre><VisibleText text={oldText} /></pre>}
      <pre><VisibleText text={newText} /></pre>
    </div>
  );
}

/** Everything that the tool is given, where that is more than its command. */
function ToolInput({ input, command }: { input: PermissionRequest["toolInput"]; command: string }) {
  const values = Object.values(input);
  if (values.length === 0 || (values.length === 1 && values[0] === command)) {
    return null;
  }
  return (
    <details class="permission-card__input">
      <summary>All that the tool is given</summary>
      <pre tabIndex={0} aria-label="The tool's input"><code><VisibleText text={JSON.stringify(input, null, 2)} /></code></pre>
    </details>
  );
}

/** Facts that people miss; nothing that the agent says about itself. */
function warningsOf(request: PermissionRequest, workspace: string | null): string[] {
  const warnings: string[] = [];
  const hidden = hiddenCount(request.command);
  if (hidden > 0) {
    warnings.push(`${hidden === 1 ? "One character" : `${hidden} characters`} in this cannot be seen, or ${hidden === 1 ? "changes" : "change"} how the rest looks. ${hidden === 1 ? "It is" : "They are"} marked.`);
  }
  const outside = workspace ? (request.locations ?? []).filter(({ path }) => path && insideWorkspace(path, workspace) === null).length : 0;
  if (outside > 0) {
    warnings.push(outside === 1 ? "It is about a place outside the workspace." : `It is about ${outside} places outside the workspace.`);
  }
  return warnings;
}

function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : bytes < 1 << 20 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / (1 << 20)).toFixed(1)} MB`;
}

/** The request and the change in its tool call, and all of both as soon as somebody wants that. */
function useWhole(request: PermissionRequest, tool: ToolItem | null) {
  const client = useClient();
  const [whole, setWhole] = useState<{ request: PermissionRequest; tool: ToolItem | null; of: string } | null>(null);
  const [isFetching, setFetching] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const refs = [...(request.refs ?? []), ...contentRefsOf(tool)];
  const of = refs.map(({ path, blob }) => `${path} ${blob}`).join(); // a call that goes on may have others then
  const known = whole?.of === of ? whole : null;
  const fetchWhole = async () => {
    setFetching(true);
    setProblem(null);
    try {
      const { sessionId } = request;
      setWhole({
        request: await client.http.complete(sessionId, request),
        tool: tool && (await client.http.complete(sessionId, { ...tool, refs: contentRefsOf(tool) })),
        of,
      });
    } catch (error) {
      setProblem(`It could not be fetched: ${(error as Error).message}`);
    } finally {
      setFetching(false);
    }
  };
  const rest = known ? 0 : refs.reduce((sum, { bytes }) => sum + bytes, 0);
  const isCut = !known && refs.some(({ path }) => /^\/(content|toolInput)\b/.test(path)); // where changes are told
  return { request: known?.request ?? request, tool: known?.tool ?? tool, rest, isCut, fetchWhole, isFetching, problem };
}

const contentRefsOf = (tool: ToolItem | null): Ref[] => (tool?.refs ?? []).filter(({ path }) => path.startsWith("/content/"));
