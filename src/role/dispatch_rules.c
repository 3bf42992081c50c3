/* All rules are the dispatcher's: read from the store before it starts, recorded with what makes and ends them. */
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/mail/timer.h"

enum { EXPIRY_MAX_MS = 3600000 }; /* looked at again: the wall clock may be set forward meanwhile */

/* Borrowed. */
static struct stored_rule stored(const struct rule *rule, int64_t session_key)
{
    return (struct stored_rule){
        .id = rule->id,
        .user = rule->user,
        .scope = (char *)(uintptr_t)rule_scope_name(rule->scope),
        .session_key = session_key,
        .session_id = rule->session_id,
        .workspace = rule->workspace,
        .match = (char *)(uintptr_t)(rule->command ? "command" : "path"),
        .command = rule->command,
        .tool_kind = rule->kind,
        .path = rule->path,
        .label = rule->label,
        .created_at = rule->created_at,
        .expires_at = rule->expires_at,
        .request_id = rule->request_id,
    };
}

static enum err copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? ERR_NOMEM : ERR_OK;
}

enum err dispatch_note_rule(struct dispatch *dispatch, const struct stored_rule *from)
{
    struct rule *rule = calloc(1, sizeof(*rule));
    if (!rule) {
        return ERR_NOMEM;
    }
    bool whole = from->id && from->user && from->scope && rule_scope_parse(from->scope, &rule->scope) &&
                 (from->command || (from->tool_kind && from->path)) && from->label &&
                 (rule->scope != RULE_SESSION || from->session_id) && (rule->scope == RULE_USER || from->workspace);
    if (!whole) {
        log_error("a rule of the store is not understood, and answers nothing", "rule", "%s", from->id ? from->id : "",
                  NULL);
        free(rule);
        return ERR_OK;
    }
    struct {
        char **to;
        const char *from;
    } texts[] = {{&rule->id, from->id},
                 {&rule->user, from->user},
                 {&rule->session_id, from->session_id},
                 {&rule->workspace, from->workspace},
                 {&rule->command, from->command},
                 {&rule->kind, from->tool_kind},
                 {&rule->path, from->path},
                 {&rule->label, from->label},
                 {&rule->request_id, from->request_id}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (copy(texts[i].to, texts[i].from)) {
            rule_free(rule);
            return ERR_NOMEM;
        }
    }
    rule->created_at = from->created_at;
    rule->expires_at = from->expires_at;
    rule_begins(rule, clock_now(), clock_wall_ms());
    rule_set_add(dispatch->now.rules, rule);
    metric_add(METRIC_RULES, 1);
    return ERR_OK;
}

void dispatch_rule_recorded(struct dispatch *dispatch, const struct held *held, const struct rule *rule)
{
    const struct stored_rule row = stored(rule, rule->scope == RULE_SESSION ? held->session->key : 0);
    need_ok(stored_rule_copy(&dispatch_out(dispatch, JOURNAL_RULE, NULL)->rule, &row));
    metric_add(METRIC_RULES, 1);
    log_info("rule made", "rule", "%s", rule->id, "label", "%s", rule->label, "user", "%s", rule->user, NULL);
    dispatch->rule_made = true;
    dispatch_rules_arm(dispatch);
}

void dispatch_rule_removed(struct dispatch *dispatch, const struct rule *rule, const char *by, const char *reason,
                           const struct caller *caller)
{
    struct buffer json = {0};
    const struct stored_rule row = stored(rule, 0);
    stored_rule_json(&json, &row);
    char *text = buffer_take(&json);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    dispatch_out(dispatch, JOURNAL_RULE_REMOVE, NULL)->rule_id = need_copy(rule->id);
    struct audit_entry *entry = &dispatch_out(dispatch, JOURNAL_AUDIT, NULL)->audit;
    *entry = (struct audit_entry){
        .at = dispatch->now.wall_ms,
        .action = need_copy("rule_removed"),
        .session_id = need_copy(rule->session_id),
        .workspace = need_copy(rule->workspace),
        .by = need_copy(by),
        .user = need_copy(caller ? caller->user : NULL),
        .rule_id = need_copy(rule->id),
        .rule = text,
        .reason = need_copy(reason),
    };
    dispatch_audit_from(entry, caller);
    metric_add(METRIC_RULES, -1);
    log_info("rule removed", "rule", "%s", rule->id, "label", "%s", rule->label, "by", "%s", by, "user", "%s",
             caller ? caller->user : "", NULL);
}

void dispatch_rule_delete(struct dispatch *dispatch, struct dispatch_command *command)
{
    struct rule *rule = rule_set_remove(dispatch->now.rules, command->command->rule_id);
    if (!rule) {
        dispatch_answer(dispatch, command, ANSWER_NOT_FOUND, "there is no such rule", NULL);
        return;
    }
    const struct caller caller = dispatch_caller(command);
    dispatch_rule_removed(dispatch, rule, "user", NULL, &caller);
    struct buffer fields = {0};
    json_field_string(&fields, "ruleId", rule->id);
    char *text = buffer_take(&fields);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    dispatch_answer(dispatch, command, ANSWER_OK, NULL, text);
    free(text);
    rule_free(rule);
}

void dispatch_rules_settle(struct dispatch *dispatch)
{
    if (!dispatch->rule_made) {
        return;
    }
    dispatch->rule_made = false;
    /* A step moves its session in the list of sessions, but only at the flush. */
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        if (held->session->pending) {
            dispatch_step(dispatch, held);
            session_judge_pending(held->session, &dispatch->sink, &dispatch->now);
        }
    }
}

/* ---- Expiry ---- */

void dispatch_rules_arm(struct dispatch *dispatch)
{
    struct instant next = rule_set_next_end(dispatch->now.rules);
    if (next.ns == INSTANT_NEVER.ns) {
        return;
    }
    struct instant at = instant_earlier(next, instant_after_ms(dispatch->now.at, EXPIRY_MAX_MS));
    if (dispatch->rules_deadline) {
        if (!instant_reached(at, dispatch->rules_deadline->at)) {
            return; /* it comes early enough */
        }
        dispatch->sink.disarm(dispatch, dispatch->rules_deadline);
    }
    struct deadline *deadline = need_zero(sizeof(*deadline));
    deadline->at = at;
    deadline->what = DEADLINE_RULES;
    deadline->mail.kind = TIMER_ARM;
    dispatch->rules_deadline = deadline;
    mailbox_push(dispatch->wiring.timer, &deadline->mail);
}

static bool has_expired(const struct rule *rule, const void *context)
{
    const struct session_now *now = context;
    return rule_expired(rule, now->wall_ms) || (rule->ends_at.ns != 0 && instant_reached(rule->ends_at, now->at));
}

void dispatch_rules_expire(struct dispatch *dispatch)
{
    const struct rule *found;
    while ((found = rule_set_search(dispatch->now.rules, has_expired, &dispatch->now))) {
        struct rule *rule = rule_set_remove(dispatch->now.rules, found->id);
        dispatch_rule_removed(dispatch, rule, "timeout", NULL, NULL);
        rule_free(rule);
    }
    dispatch_rules_arm(dispatch);
}
