import { useEffect, useState } from "preact/hooks";
import { useClient } from "signalbox-client/preact";
import { visibleText } from "../ui/visible";
import { VisibleText } from "../ui/visible-text";
import { CloseIcon, FileIcon, ImageIcon } from "../ui/icons";
import { sizeWords, typeOf } from "./attachments";
import type { Attachment, Desk } from "./desk";

/** What goes with the prompt. */
export function AttachmentList({ sessionId, attachments, desk }: { sessionId: string; attachments: readonly Attachment[]; desk: Desk }) {
  if (attachments.length === 0) {
    return null;
  }
  return (
    <ul class="attachments" aria-label="Attached">
      {attachments.map((each) => <One key={each.key} sessionId={sessionId} attachment={each} desk={desk} />)}
    </ul>
  );
}

const MOST_INSERTED = 100_000; // bytes

function One({ sessionId, attachment, desk }: { sessionId: string; attachment: Attachment; desk: Desk }) {
  const { key, name, bytes, kind, progress, block, failure, problem, canRetry, file } = attachment;
  const picture = usePicture(sessionId, attachment);
  const isUploading = block === null && problem === null;
  const isText = file !== null && kind === "resource" && typeOf(file).startsWith("text/") && bytes > 0 && bytes <= MOST_INSERTED;
  const state = problem ? "failed" : isUploading ? "uploading" : "ready";
  return (
    <li class="attachment" data-testid="attachment" data-state={state} data-kind={kind}>
      <span class="attachment__picture">{picture ? <img src={picture} alt="" /> : kind === "image" ? <ImageIcon /> : <FileIcon />}</span>
      <span class="attachment__words">
        <span class="attachment__name" title={visibleText(name)}><VisibleText text={name} /></span>
        <span class="attachment__about">
          {problem ?? (isUploading ? `${Math.round(progress * 100)} %${bytes ? ` of ${sizeWords(bytes)}` : ""}` : bytes ? sizeWords(bytes) : "attached")}
          {problem && problem === failure && canRetry && <button type="button" class="attachment__action" onClick={() => desk.retry(key)}>Try again</button>}
          {problem && isText && <button type="button" class="attachment__action" onClick={() => void desk.insertAsText(key)}>Put it into the text</button>}
        </span>
      </span>
      <button type="button" class="attachment__remove" aria-label={`Take away ${visibleText(name)}`} onClick={() => desk.detach(key)}><CloseIcon size={14} /></button>
      {isUploading && <progress class="attachment__progress" max={1} value={progress} aria-label={`Sending ${visibleText(name)}`} />}
    </li>
  );
}

function usePicture(sessionId: string, { kind, file, block }: Attachment): string | null {
  const client = useClient();
  const [url, setUrl] = useState<string | null>(null);
  const blob = typeof block?.blob === "string" ? block.blob : null;
  useEffect(() => {
    if (kind !== "image" || !file) {
      return undefined;
    }
    const made = URL.createObjectURL(file);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url ?? (kind === "image" && blob ? client.http.blobUrl(sessionId, blob) : null);
}
