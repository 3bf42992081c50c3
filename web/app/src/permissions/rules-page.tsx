import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { HttpError } from "signalbox-client";
import type { Rule } from "signalbox-client";
import { useClient, useConnection, useSessions } from "signalbox-client/preact";
import { useNames } from "../sessions/names";
import { Page } from "../shell/page";
import { hrefOf } from "../shell/router";
import { RefreshIcon, ShieldCheckIcon } from "../ui/icons";
import { ago, clock, useNow } from "../ui/time";
import { Announcer, useAnnouncer } from "./announcer";
import { AuditList } from "./audit-list";
import { plainPhrases, ruleWhat, ruleWhere } from "./words";
import { visibleText } from "../ui/visible";
import { Phrases, VisibleText } from "../ui/visible-text";
import "./rules-page.css";

const PAGE = 100;

/** The rules that answer requests in people's place, and what was decided by whom. */
export function RulesPage() {
  const [tab, setTab] = useState<"rules" | "audit">("rules");
  const { text, announce } = useAnnouncer();
  const tabs = (
    <span class="segmented" role="radiogroup" aria-label="Shown">
      {(["rules", "audit"] as const).map((each) => (
        <label key={each} class="segmented__item">
          <input type="radio" name="rules-tab" checked={tab === each} onChange={() => setTab(each)} data-testid={`tab-${each}`} />
          <span>{each === "rules" ? "Rules" : "Decisions"}</span>
        </label>
      ))}
    </span>
  );
  return (
    <Page title="Rules" testId="rules-page">
      <div class="rules-page">
        <Announcer text={text} />
        {tabs}
        {tab === "rules" ? <RuleList announce={announce} /> : <AuditList />}
      </div>
    </Page>
  );
}

function RuleList({ announce }: { announce(text: string): void }) {
  const { rules, next, isLoading, problem, load, more, forget } = useRules();
  return (
    <>
      <p class="rules-page__about">
        A rule answers yes in a person's place. It is made with an answer to a request, and allows nothing that it does not name.
        <button type="button" class="icon-button" aria-label="Read the rules again" title="Read again" onClick={load} disabled={isLoading}><RefreshIcon /></button>
      </p>
      {problem && <p class="rules-page__problem" role="alert">The rules could not be read: {problem}</p>}
      {rules === null && !problem && <p class="rules-page__none" role="status">Reading…</p>}
      {rules?.length === 0 && (
        <div class="rules-page__none">
          <ShieldCheckIcon size={28} />
          <p>There are no rules.</p>
          <p class="rules-page__hint">When you allow a request, you can say that such requests are not to be asked again.</p>
        </div>
      )}
      {rules && rules.length > 0 && (
        <ul class="rule-list">{rules.map((rule) => <RuleRow key={rule.ruleId} rule={rule} announce={announce} onGone={() => forget(rule.ruleId)} />)}</ul>
      )}
      {next !== null && <button type="button" class="button" onClick={more} disabled={isLoading}>Show more</button>}
    </>
  );
}

/** Read when the page is opened, when one comes back to it, and when the connection is back; nothing tells of changes. */
function useRules() {
  const client = useClient();
  const isLive = useConnection().name === "live";
  const [rules, setRules] = useState<readonly Rule[] | null>(null);
  const [next, setNext] = useState<string | null>(null);
  const [isLoading, setLoading] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const read = async (after?: string) => {
    setLoading(true);
    try {
      const page = await client.http.rules({ limit: PAGE, after });
      setRules((before) => (after === undefined ? page.items : [...(before ?? []), ...page.items]));
      setNext(page.next ?? null);
      setProblem(null);
    } catch (error) {
      setProblem(error instanceof HttpError ? error.message : "the server cannot be reached.");
    } finally {
      setLoading(false);
    }
  };
  const load = useCallback(() => void read(), [client]);
  useEffect(load, [isLive]);
  useEffect(() => {
    const visible = () => document.visibilityState === "visible" && load();
    document.addEventListener("visibilitychange", visible);
    return () => document.removeEventListener("visibilitychange", visible);
  }, [load]);
  const forget = (ruleId: string) => setRules((before) => before?.filter((rule) => rule.ruleId !== ruleId) ?? null);
  return { rules, next, isLoading, problem, load, more: () => void read(next ?? undefined), forget };
}

function RuleRow({ rule, announce, onGone }: { rule: Rule; announce(text: string): void; onGone(): void }) {
  const client = useClient();
  const now = useNow(30_000);
  const sessions = useSessions();
  const [step, setStep] = useState<"idle" | "sure" | "revoking">("idle");
  const [problem, setProblem] = useState<string | null>(null);
  const row = useRef<HTMLLIElement>(null);
  const names = useNames();
  const name = rule.sessionId ? sessions.items.get(rule.sessionId)?.title || names.get(rule.sessionId) || null : null;
  const what = ruleWhat(rule);
  const isOver = rule.expiresAt !== null && rule.expiresAt <= now;
  const revoke = async () => {
    setStep("revoking");
    try {
      await client.http.revokeRule(rule.ruleId);
    } catch (error) {
      if (!(error instanceof HttpError) || error.status !== 404) { // gone is what was wanted
        setStep("sure");
        setProblem(error instanceof HttpError ? error.message : "the server cannot be reached.");
        return;
      }
    }
    announce(`Revoked: ${visibleText(plainPhrases(what))}.`);
    const near = row.current?.nextElementSibling ?? row.current?.previousElementSibling;
    near?.querySelector<HTMLElement>("button")?.focus();
    onGone();
  };
  return (
    <li ref={row} class="rule-row" data-testid="rule-row" data-rule-id={rule.ruleId} data-scope={rule.scope}>
      <div class="rule-row__words">
        <p class="rule-row__what"><Phrases of={what} /></p>
        <p class="rule-row__where">
          <Phrases of={ruleWhere(rule, name)} />
          {rule.sessionId && !name && <> · <a href={hrefOf({ name: "session", sessionId: rule.sessionId })}>open it</a></>}
          {rule.scope === "session" && rule.workspace && <> · <code class="quoted"><VisibleText text={rule.workspace} /></code></>}
        </p>
        <p class="rule-row__meta">
          made by <b><VisibleText text={rule.user} /></b>{" "}
          <time dateTime={new Date(rule.createdAt).toISOString()} title={new Date(rule.createdAt).toLocaleString()}>{agoWords(rule.createdAt, now)}</time>
          {rule.expiresAt !== null && <span class="rule-row__expiry"> · {isOver ? "has ended" : `until ${clock(rule.expiresAt, now)}`}</span>}
        </p>
        {problem && <p class="rules-page__problem" role="alert">It could not be revoked: {problem}</p>}
      </div>
      {step === "idle" ? (
        <button type="button" class="button" data-testid="rule-revoke" aria-label={`Revoke: ${visibleText(plainPhrases(what))}`} onClick={() => setStep("sure")}>Revoke</button>
      ) : (
        <div class="rule-row__sure" role="group" aria-label="Revoke it?">
          <span>People are asked again.</span>
          <button type="button" class="button button--quiet" disabled={step === "revoking"} onClick={() => setStep("idle")}>Keep it</button>
          <button ref={focusOnce} type="button" class="button button--danger" data-testid="rule-revoke-confirm" disabled={step === "revoking"} onClick={revoke}>
            {step === "revoking" ? "Revoking…" : "Revoke"}
          </button>
        </div>
      )}
    </li>
  );
}

const focusOnce = (node: HTMLElement | null) => node?.focus();

const agoWords = (at: number, now: number): string => {
  const words = ago(at, now);
  return words === "now" ? "just now" : /(min|h)$/.test(words) ? `${words} ago` : words === "yesterday" ? words : `on ${words}`;
};
