import { useEffect, useState } from "preact/hooks";
import { HttpError } from "signalbox-client";
import type { AuditEntry } from "signalbox-client";
import { useClient, useSessions } from "signalbox-client/preact";
import { useNames } from "../sessions/names";
import { hrefOf } from "../shell/router";
import { clock, useNow } from "../ui/time";
import { auditAction, auditBy, policyOf, questionOf, ruleWhat } from "./words";
import type { Phrase } from "../ui/visible";
import { visibleText } from "../ui/visible";
import { Phrases, VisibleText } from "../ui/visible-text";
import "./audit-list.css";

const PAGE = 50;
const OUTCOMES = [["", "Everything"], ["allowed", "Allowed"], ["rejected", "Rejected"], ["timeout", "Ran out"], ["cancelled", "Ended"]] as const;

/** Who decided what, the newest first: of all sessions, or of one. */
export function AuditList({ sessionId }: { sessionId?: string }) {
  const client = useClient();
  const [outcome, setOutcome] = useState("");
  const [session, setSession] = useState(sessionId ?? "");
  const [page, setPage] = useState<{ items: readonly AuditEntry[]; next: string | null } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isLoading, setLoading] = useState(false);
  const sessions = useSessions();
  const names = useNames();
  const query = { session: session || undefined, outcome: outcome || undefined, order: "desc", limit: PAGE };

  const read = async (after: string | undefined, isWanted: () => boolean) => {
    setLoading(true);
    try {
      const { items, next } = await client.http.audit({ ...query, after });
      if (isWanted()) {
        setPage((before) => ({ items: after === undefined ? items : [...(before?.items ?? []), ...items], next: next ?? null }));
        setProblem(null);
      }
    } catch (error) {
      if (isWanted()) {
        setProblem(error instanceof HttpError ? error.message : "the server cannot be reached.");
      }
    } finally {
      setLoading(false);
    }
  };
  useEffect(() => {
    let isWanted = true;
    setPage(null);
    void read(undefined, () => isWanted);
    return () => {
      isWanted = false;
    };
  }, [session, outcome]);

  const lines = new URLSearchParams({ format: "jsonl", ...(session ? { session } : {}), ...(outcome ? { outcome } : {}) });
  return (
    <section class="audit" aria-label="Decisions">
      <div class="audit__filters">
        <label>
          Outcome <select class="audit__select" value={outcome} onChange={(event) => setOutcome(event.currentTarget.value)}>
            {OUTCOMES.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
          </select>
        </label>
        {sessionId === undefined && (
          <label>
            Session <select class="audit__select" value={session} onChange={(event) => setSession(event.currentTarget.value)}>
              <option value="">All of them</option>
              {[...sessions.items.values()].sort((a, b) => b.updatedAt - a.updatedAt).map((each) => (
                <option key={each.sessionId} value={each.sessionId}>{visibleText(each.title || names.get(each.sessionId) || each.sessionId)}</option>
              ))}
            </select>
          </label>
        )}
        <a class="audit__export" href={`/v1/audit?${lines}`} download="audit.jsonl">Download as JSON lines</a>
      </div>
      {problem && <p class="rules-page__problem" role="alert">The audit could not be read: {problem}</p>}
      {page === null && !problem && <p class="rules-page__none" role="status">Reading…</p>}
      {page?.items.length === 0 && <p class="rules-page__none">Nothing was decided yet.</p>}
      <ol class="audit__list">{page?.items.map((entry) => <Entry key={entry.number} entry={entry} isOfAll={sessionId === undefined} />)}</ol>
      {page && page.next !== null && (
        <button type="button" class="button" disabled={isLoading} onClick={() => void read(page.next!, () => true)}>Show older ones</button>
      )}
    </section>
  );
}

function whatOf(entry: AuditEntry): Phrase[] {
  if (entry.request) {
    return [`${questionOf(entry.request)}: `, { code: entry.request.command }];
  }
  if (entry.rule) {
    return ruleWhat(entry.rule);
  }
  if (entry.action === "policy_changed") {
    return [`from ${policyOf(entry.policyBefore ?? "?").name} to ${policyOf(entry.policy ?? "?").name}`];
  }
  return entry.reason ? [entry.reason] : [];
}

/** Where in its session it was asked. */
const itemOf = ({ action, requestId }: AuditEntry): string | undefined => (action === "decision" && requestId ? `permission:${requestId}` : undefined);

function Entry({ entry, isOfAll }: { entry: AuditEntry; isOfAll: boolean }) {
  const now = useNow(null);
  const sessions = useSessions();
  const by = auditBy(entry);
  const names = useNames();
  const name = entry.sessionId ? sessions.items.get(entry.sessionId)?.title || names.get(entry.sessionId) || "the session" : null;
  return (
    <li class="audit__entry" data-testid="audit-entry" data-number={entry.number} data-action={entry.action} data-outcome={entry.outcome ?? ""}>
      <time class="audit__time" dateTime={new Date(entry.at).toISOString()} title={new Date(entry.at).toLocaleString()}>{clock(entry.at, now)}</time>
      <span class="audit__action">{auditAction(entry)}</span>
      <div class="audit__words">
        <p class="audit__what"><Phrases of={whatOf(entry)} /></p>
        <p class="audit__by">
          {by && <VisibleText text={by} />}
          {entry.madeRuleId && " · made a rule"}
          {entry.from?.address && <> · from <VisibleText text={entry.from.address} /></>}
          {isOfAll && entry.sessionId && name && <> · <a href={hrefOf({ name: "session", sessionId: entry.sessionId, item: itemOf(entry) })}><VisibleText text={name} /></a></>}
        </p>
        {entry.message && <p class="audit__message">“<VisibleText text={entry.message} />”</p>}
      </div>
    </li>
  );
}
