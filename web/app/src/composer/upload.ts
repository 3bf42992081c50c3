// A file on its way to the server. By XMLHttpRequest, since it alone tells how far it is.
import type { SignalboxClient, StoredBlob } from "signalbox-client";

export class UploadError extends Error {
  constructor(message: string, readonly canRetry: boolean) {
    super(message);
  }
}

/** Sends it up; `progress` is told from 0 to 1. Sending the same again is harmless. */
export function upload(
  client: SignalboxClient, sessionId: string, file: Blob, type: string,
  { progress, signal }: { progress(share: number): void; signal: AbortSignal },
): Promise<StoredBlob> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = () => reject(new UploadError("There is no connection.", true));
    request.open("POST", `${client.url}/v1/sessions/${encodeURIComponent(sessionId)}/blobs`);
    request.setRequestHeader("Content-Type", type);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("load", () => {
      const answer = request.response as (StoredBlob & { code?: string; detail?: string; retryable?: boolean }) | null;
      if (request.status === 201 && typeof answer?.blob === "string") {
        resolve(answer);
      } else {
        reject(new UploadError(problemOf(request.status, answer?.code, answer?.detail), answer?.retryable === true || request.status >= 500));
      }
    });
    request.addEventListener("error", lost);
    request.addEventListener("timeout", lost);
    request.addEventListener("abort", () => reject(new UploadError("Taken away.", false)));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function problemOf(status: number, code: string | undefined, detail: string | undefined): string {
  switch (code) {
    case "too_large":
      return "Too large for this server.";
    case "limit_reached":
      return "This session takes no more files.";
    case "closed":
      return "The session is closed.";
    default:
      return detail ?? `The server answered ${status}.`;
  }
}
