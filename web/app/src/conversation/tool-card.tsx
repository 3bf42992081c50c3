// A tool call: one line that says what and how it went, and everything about it when it is opened.
import { memo } from "preact/compat";
import { useMemo } from "preact/hooks";
import type { PermissionItem, ToolItem } from "signalbox-client/state";
import { AlertIcon, CheckIcon, ChevronRightIcon, CloseIcon, FileIcon, ShieldIcon } from "../ui/icons";
import { useNow } from "../ui/time";
import { AnsiText } from "./ansi-text";
import { CodeBlock } from "./code-block";
import { useConversation, useOpen } from "./context";
import { CopyButton } from "./copy-button";
import { diffOfPatch } from "./diff";
import { DiffStat, DiffView } from "./diff-view";
import { ToolIcon } from "./icons";
import { languageOfPath } from "./languages";
import { useWhole } from "./large";
import { Markdown } from "./markdown";
import { ContentBlockView } from "./media";
import { callsInWords, foldedCalls, PARTS_SHOWN } from "./rows";
import type { Call, Part } from "./rows";
import { AgentText, Thought } from "./texts";
import { oneLine, pretty, textOf } from "./visible";
import { durationInWords, permissionInWords, statusInWords, tellingOf, titleOf } from "./words";
import "./tool-card.css";

/** Calls that follow each other. Many that went well are one line, until somebody wants to see them. */
export const CallStack = memo(function CallStack({ rowKey, calls }: { rowKey: string; calls: readonly Call[] }) {
  const folded = foldedCalls(calls);
  const [isOpen, toggle] = useOpen(`stack:${rowKey}`);
  const shown = isOpen ? calls : calls.slice(folded);
  return (
    <div class="call-stack">
      {folded > 0 && (
        <button type="button" class="call-stack__fold" aria-expanded={isOpen} onClick={toggle}>
          <ChevronRightIcon class="chevron" />
          <span class="call-stack__count">{isOpen ? `Hide ${folded} earlier calls` : `${folded} earlier calls`}</span>
          <span class="call-stack__words">{callsInWords(calls.slice(0, folded))}</span>
        </button>
      )}
      {shown.map((call) => <ToolCard key={call.item.key} call={call} />)}
    </div>
  );
});

const ToolCard = memo(function ToolCard({ call }: { call: Call }) {
  const { item, permissions, parts } = call;
  const diffs = useMemo(() => diffsIn(item), [item.content]);
  const [isOpen, toggle] = useOpen(item.key, item.done && isSmallEdit(item, diffs));
  const { title, about, command } = titleOf(item);
  const isAgent = parts.length > 0;
  const preview = isOpen ? "" : previewOf(item);
  return (
    <article class="tool-card" aria-label={title} data-testid="tool-card" data-key={item.key} data-tool-id={item.toolUseId} data-status={item.status} data-kind={item.toolKind}>
      <div class="tool-card__head">
        <button type="button" class="tool-card__toggle" aria-expanded={isOpen} onClick={toggle}>
          <span class="tool-card__icon"><ToolIcon kind={item.toolKind} /></span>
          <span class="tool-card__title">{title}</span>
          {about && <code class="tool-card__about">{about}</code>}
          <span class="tool-card__space" />
          {diffs.length > 0 && !item.refs && <DiffStats diffs={diffs} />}
          <Status item={item} />
          <ChevronRightIcon class="chevron" />
        </button>
      </div>
      {item.toolIntent && <p class="tool-card__intent">{oneLine(item.toolIntent)}</p>}
      {permissions.map((permission) => <PermissionNote key={permission.key} item={permission} isInCard />)}
      {preview && <div class="tool-card__preview"><AnsiText text={preview} maxLines={PREVIEW_LINES} label={`Output of ${title}`} testid="tool-output" /></div>}
      {isOpen && <Body item={item} command={command} isAgent={isAgent} />}
      {isAgent && <Parts parts={parts} item={item} />}
    </article>
  );
});

const PREVIEW_LINES = 6;
const PREVIEW_CHARS = 4_000;

/** The end of what a command says is worth seeing without a click; it is as high as it will be when the command is over. */
function previewOf(item: ToolItem): string {
  if (item.toolKind !== "execute" && !(item.isError && item.done) && item.output === "") {
    return "";
  }
  const text = (item.output || item.result || "").slice(-PREVIEW_CHARS).replace(/\s+$/, "");
  const lines = text.split("\n");
  return lines.slice(-PREVIEW_LINES).join("\n").replace(/^\s*\n/, "");
}

function Status({ item }: { item: ToolItem }) {
  const isRunning = !item.done && item.status === "in_progress";
  const words = statusInWords(item.done && item.isError ? "failed" : item.status);
  const took = item.endedAt !== undefined ? item.endedAt - item.ts : null;
  return (
    <span class="tool-card__status" data-status={item.isError ? "failed" : item.status}>
      {isRunning ? <Elapsed since={item.ts} /> : took !== null && took >= 100 && <span class="tool-card__time">{durationInWords(took)}</span>}
      {item.done && !item.isError ? <CheckIcon /> : item.isError ? <CloseIcon /> : <span class="spinner" data-moving={isRunning} />}
      <span class={item.done && !item.isError ? "visually-hidden" : "tool-card__words"}>{words}</span>
    </span>
  );
}

function Elapsed({ since }: { since: number }) {
  const past = useNow(1_000) - since;
  return past >= 1_000 ? <span class="tool-card__time">{durationInWords(Math.floor(past / 1_000) * 1_000)}</span> : null;
}

// ---- opened ----

interface DiffBlock {
  path: string;
  before: string | null;
  after: string;
}

/** Blocks come plain, or in the wrapping that agents put around content. */
const bareBlock = (block: unknown): { type?: unknown; [name: string]: unknown } => {
  const each = (block ?? {}) as { type?: unknown; content?: unknown };
  return (each.type === "content" && typeof each.content === "object" && each.content !== null ? each.content : each) as { type?: unknown };
};

function diffsIn(item: ToolItem): DiffBlock[] {
  return item.content.map(bareBlock).filter((block) => block.type === "diff").map((block) => ({
    path: textOf(block.path), before: typeof block.oldText === "string" ? block.oldText : null, after: textOf(block.newText),
  }));
}

const lineCount = (text: string): number => text.split("\n").length;

function DiffStats({ diffs }: { diffs: DiffBlock[] }) {
  const stat = useMemo(() => diffs.map(statOf).reduce((sum, each) => ({ added: sum.added + each.added, removed: sum.removed + each.removed }), { added: 0, removed: 0 }), [diffs]);
  return <DiffStat {...stat} />;
}

/** Cheap, and right but for lines that only moved; the difference itself is looked for when it is opened. */
function statOf({ before, after }: DiffBlock): { added: number; removed: number } {
  const lines = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
  const counts = new Map<string, number>();
  for (const line of lines(after)) {
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  for (const line of lines(before ?? "")) {
    counts.set(line, (counts.get(line) ?? 0) - 1);
  }
  let [added, removed] = [0, 0];
  for (const count of counts.values()) {
    added += Math.max(0, count);
    removed += Math.max(0, -count);
  }
  return { added, removed };
}

function isSmallEdit(item: ToolItem, diffs: DiffBlock[]): boolean {
  return diffs.length > 0 && diffs.length <= 2 && !item.refs && diffs.every(({ before, after }) => after.length + (before ?? "").length < 4_000 && lineCount(after) <= 24);
}

function Body({ item: cut, command, isAgent }: { item: ToolItem; command: string; isAgent: boolean }) {
  const { whole: item, note } = useWhole(cut);
  const output = item.output || item.result || "";
  const shown = [item.output, item.result];
  const { field } = tellingOf(item.toolInput);
  const rest = Object.fromEntries(Object.entries(item.toolInput).filter(([name]) => !(command && name === field)));
  const hasMore = Object.keys(rest).length > 0;
  // A path that stands in the head, or above its diff, need not stand here as well.
  const hasPlaces = (item.locations ?? []).some((each) => typeof each.line === "number" || (each.path !== (tellingOf(item.toolInput).text || item.locations![0]!.path)
    && !item.content.some((block) => bareBlock(block).path === each.path)));
  const diffs = item.content.some((block) => bareBlock(block).type === "diff");
  return (
    <div class="tool-card__body">
      {command && (
        <div class="tool-card__command">
          <CodeBlock bare wrap code={command} language="bash" />
          <CopyButton text={() => command} label="Copy the command" />
        </div>
      )}
      {hasMore && !diffs && <Folded id={`${item.key}/input`} name="Input" isOpenByItself={!command && (field === null || Object.keys(rest).length > 1) && pretty(rest).length < 600}><CodeBlock bare wrap code={pretty(rest)} language="json" /></Folded>}
      {hasPlaces && (
        <ul class="tool-card__locations" aria-label="Files">
          {item.locations!.slice(0, 50).map((each, at) => (
            <li key={at}><FileIcon /><bdi>{oneLine(textOf(each.path), 400)}</bdi>{typeof each.line === "number" ? `:${each.line}` : ""}</li>
          ))}
        </ul>
      )}
      {item.content.map((block, at) => <ToolBlock key={at} block={block} item={item} at={at} shown={shown} isCut={item === cut} />)}
      {output !== "" && <Output text={output} item={item} isAgent={isAgent} />}
      {hasMore && diffs && <Folded id={`${item.key}/input`} name="Input"><CodeBlock bare wrap code={pretty(rest)} language="json" /></Folded>}
      {item.rawOutput !== undefined && item.rawOutput !== null && <Folded id={`${item.key}/raw`} name="Raw output"><CodeBlock bare wrap code={pretty(item.rawOutput)} language="json" /></Folded>}
      {output === "" && item.done && item.content.length === 0 && item.rawOutput === undefined && <p class="tool-card__none">No output.</p>}
      {note}
    </div>
  );
}

function Folded({ id, name, children, isOpenByItself = false }: { id: string; name: string; children: preact.ComponentChildren; isOpenByItself?: boolean }) {
  const [isOpen, toggle] = useOpen(id, isOpenByItself);
  return (
    <div class="folded">
      <button type="button" class="folded__toggle" aria-expanded={isOpen} onClick={toggle}><ChevronRightIcon class="chevron" />{name}</button>
      {isOpen && children}
    </div>
  );
}

/** What a tool said, as what it is: a patch, a file, an answer in Markdown, or what a terminal would show. */
function Output({ text, item, isAgent }: { text: string; item: ToolItem; isAgent: boolean }) {
  const patch = useMemo(() => (item.done ? diffOfPatch(text) : null), [text, item.done]);
  const path = item.locations?.length === 1 ? item.locations[0]!.path : tellingOf(item.toolInput).text;
  const language = item.toolKind === "read" && item.done ? languageOfPath(path) : null;
  return (
    <div class="tool-card__output">
      <CopyButton text={() => text} label="Copy the output" />
      {patch
        ? <div data-testid="tool-output">{patch.map((file, at) => <DiffView key={at} path={file.path} result={file.result} />)}</div>
        : isAgent || item.toolKind === "think"
          ? <div data-testid="tool-output"><Markdown text={text} isDone={item.done} /></div>
          : language && !text.includes("\x1b")
            ? <CodeBlock bare code={text} language={language} testid="tool-output" />
            : <AnsiText text={text} testid="tool-output" />}
    </div>
  );
}

function ToolBlock({ block, item, at, shown, isCut }: { block: unknown; item: ToolItem; at: number; shown: (string | undefined)[]; isCut: boolean }) {
  const content = bareBlock(block);
  if (content.type === "diff") {
    const isPart = isCut && (item.refs ?? []).some(({ path }) => path === `/content/${at}` || path.startsWith(`/content/${at}/`));
    return <DiffView isCut={isPart} path={textOf(content.path)} before={typeof content.oldText === "string" ? content.oldText : null} after={textOf(content.newText)} />;
  }
  if (content.type === "terminal") {
    return null; // its output is the call's
  }
  if (content.type === "text") {
    const text = textOf(content.text);
    return text.trim() === "" || shown.some((each) => each?.includes(text.trim())) ? null : <AnsiText text={text} />;
  }
  const isWrapped = content !== block;
  return <ContentBlockView block={content} refs={item.refs} at={`/content/${at}${isWrapped ? "/content" : ""}`} />;
}

// ---- what belongs to it ----

function Parts({ parts, item }: { parts: Part[]; item: ToolItem }) {
  const [isOpen, toggle] = useOpen(`parts:${item.key}`, !item.done);
  const [isWhole, showAll] = useOpen(`all:${item.key}`);
  const shown = isWhole ? parts : parts.slice(-PARTS_SHOWN);
  const calls = parts.filter((part) => part.kind === "call").length;
  return (
    <div class="sub-agent">
      <button type="button" class="sub-agent__toggle" aria-expanded={isOpen} onClick={toggle}>
        <ChevronRightIcon class="chevron" />
        {item.done ? "What its agent did" : "Its agent is at work"}
        <span class="call-stack__words">{calls === 1 ? "1 call" : `${calls} calls`}</span>
      </button>
      {isOpen && (
        <div class="sub-agent__parts">
          {shown.length < parts.length && <button type="button" class="sub-agent__more" onClick={showAll}>Show {parts.length - shown.length} earlier</button>}
          {shown.map((part) => part.kind === "call"
            ? <ToolCard key={part.key} call={part.call} />
            : part.item.kind === "thought" ? <Thought key={part.key} item={part.item} /> : <AgentText key={part.key} item={part.item} />)}
        </div>
      )}
    </div>
  );
}

/** What became of a permission request, where it was asked. */
export function PermissionNote({ item, isInCard = false }: { item: PermissionItem; isInCard?: boolean }) {
  const { me } = useConversation();
  const { verdict, how, isGood } = permissionInWords(item, me);
  const Icon = item.state === "pending" ? AlertIcon : ShieldIcon;
  return (
    <div class={`permission-note${isInCard ? "" : " permission-note--alone"}`} data-testid="permission-note" data-key={item.key} data-state={item.state}
      data-good={item.state === "pending" ? undefined : isGood}>
      <Icon />
      <span><strong>{verdict}</strong>{how && ` ${how}`}{item.message ? <> – <q>{oneLine(item.message, 400)}</q></> : null}</span>
      {!isInCard && <code>{oneLine(item.request.command || item.request.toolName)}</code>}
    </div>
  );
}
