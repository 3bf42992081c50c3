/* A person's answer to a permission request, and what of it is to be remembered. */
#include "session_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/need.h"
#include "signalbox/core/permission_answer.h"

/* ---- Too late ---- */

void put_answerer(struct buffer *out, const struct permission *permission)
{
    json_key(out, "by");
    buffer_byte(out, '{');
    json_field_string(out, "user", permission->by_user);
    json_field_string(out, "rule", permission->by_rule);
    json_field_string(out, "policy", permission->by_policy);
    buffer_byte(out, '}');
}

static void put_resolved(struct buffer *out, const struct permission *permission)
{
    json_key(out, "resolved");
    buffer_byte(out, '{');
    json_field_string(out, "outcome", permission->outcome == OUTCOME_ALLOWED ? "allowed" : "rejected");
    json_field_string(out, "optionId", permission->option_id);
    put_answerer(out, permission);
    json_field_i64(out, "at", permission->ended_at);
    buffer_byte(out, '}');
}

/* A request of a run that this memory has not seen ("p-SESSION-RUN-N"): whatever became of it, it is over. */
static bool is_past(const struct session *session, const char *request_id)
{
    const char *run = request_id + strlen("p-") + strlen(session->id) + 1;
    if (strlen(request_id) < (size_t)(run - request_id)) {
        return false;
    }
    char *end = NULL;
    unsigned long long number = strtoull(run, &end, 10);
    return end > run && *end == '-' && number > 0 && number <= session->past_run;
}

static void refuse_ended(struct step *step, const struct caller *caller, const struct command *command)
{
    const struct permission *permission = step->session->ended;
    while (permission && strcmp(permission->ask->request_id, command->request_id)) {
        permission = permission->next;
    }
    struct buffer fields = {0};
    json_field_string(&fields, "requestId", command->request_id);
    json_field_string(&fields, "sessionId", step->session->id);
    enum answer_code code = ANSWER_NOT_FOUND;
    const char *message = "there is no such permission request";
    if (permission && (permission->outcome == OUTCOME_ALLOWED || permission->outcome == OUTCOME_REJECTED)) {
        code = ANSWER_ALREADY_RESOLVED;
        message = "the request was answered already";
        put_resolved(&fields, permission);
    } else if (permission && permission->outcome == OUTCOME_TIMEOUT) {
        code = ANSWER_EXPIRED;
        message = "the request was not answered in time";
    } else if (permission || is_past(step->session, command->request_id)) {
        code = ANSWER_CANCELLED;
        message = "the request is no longer open: its turn, session or agent ended";
    }
    char *text = buffer_take(&fields);
    step->sink->answer(step->sink->context, caller, code, message, text);
    free(text);
}

/* ---- What is to be remembered ---- */

struct memory {
    const struct rule_option *option; /* NULL: nothing */
    struct rule *rule;                /* to be made; NULL: one is there already */
    const char *rule_id;              /* of either */
};

/* A rule of somebody who is no longer there answers nothing. */
static bool knows_user_of(const struct session_limits *limits, const struct rule *rule)
{
    return !limits->knows_user || limits->knows_user(limits->users, rule->user);
}

static bool lasts_as_long(const struct rule *rule, int64_t expires_at)
{
    return !rule->expires_at || (expires_at && rule->expires_at >= expires_at);
}

static const struct rule_option *wanted_option(const struct permission *permission, const struct command *answer,
                                               const struct permission_verdict *verdict)
{
    for (size_t i = 0; i < permission->remember_count; i++) {
        const struct rule_option *option = &permission->remember[i];
        bool named = answer->remember_scope && !strcmp(rule_scope_name(option->scope), answer->remember_scope) &&
                     !strcmp(option->match, answer->remember_match);
        if (named || (!answer->remember_scope && verdict->wants_session_rule && option->scope == RULE_SESSION)) {
            return option;
        }
    }
    return NULL;
}

static enum answer_code remember(const struct step *step, const struct caller *caller, const struct permission *permission,
                                 const struct command *answer, const struct permission_verdict *verdict,
                                 struct memory *out, const char **field, const char **message)
{
    struct session *session = step->session;
    *out = (struct memory){.option = wanted_option(permission, answer, verdict)};
    if (!answer->remember_scope && !out->option) {
        return ANSWER_OK;
    }
    *field = answer->remember_scope ? "remember" : "decision";
    if (!verdict->allowed) {
        *message = "only a yes can be remembered";
        return ANSWER_BAD_MESSAGE;
    }
    if (!out->option) {
        *message = "the request has no such `rememberOptions`";
        return ANSWER_UNKNOWN_OPTION;
    }
    if (out->option->scope == RULE_USER && strcmp(caller->user, session->created_by)) {
        *message = "a rule for all sessions of a user is that user's to make";
        return ANSWER_FORBIDDEN;
    }
    int64_t expires_at = answer->remember_scope ? answer->remember_expires_at : 0;
    if (expires_at && expires_at <= step->now->wall_ms) {
        *field = "remember.expiresAt";
        *message = "the rule would have expired already";
        return ANSWER_BAD_MESSAGE;
    }
    const struct rule_place place = session_place(session);
    struct rule *rule = rule_of_option(out->option, &place);
    char id[96];
    /* As unique as the number of the event that will tell of it. */
    snprintf(id, sizeof(id), "r-%s-%" PRIu64, session->id, session->head + 1);
    rule->id = need_copy(id);
    rule->user = need_copy(caller->user);
    rule->request_id = need_copy(answer->request_id);
    rule->created_at = step->now->wall_ms;
    rule->expires_at = expires_at;
    rule_begins(rule, step->now->at, step->now->wall_ms);
    const struct rule *same = rule_set_same(step->now->rules, rule);
    if (same && !rule_expired(same, step->now->wall_ms) && lasts_as_long(same, expires_at) &&
        knows_user_of(step->now->limits, same)) {
        rule_free(rule);
        out->rule_id = same->id;
        return ANSWER_OK;
    }
    if (!same && rule_set_count(step->now->rules) >= step->now->limits->max_rules) {
        rule_free(rule);
        *message = "there are as many rules as may be (max-rules): revoke some, or answer without one";
        return ANSWER_LIMIT_REACHED;
    }
    out->rule = rule;
    out->rule_id = rule->id;
    return ANSWER_OK;
}

static void keep_rule(struct step *step, const struct caller *caller, struct rule *rule)
{
    const struct session_sink *sink = step->sink;
    const struct rule *same = rule_set_same(step->now->rules, rule);
    if (same) { /* it ends earlier */
        struct rule *old = rule_set_remove(step->now->rules, same->id);
        sink->rule(sink->context, step->session, old, RULE_REMOVED, "replaced by one that lasts longer", caller);
        rule_free(old);
    }
    rule_set_add(step->now->rules, rule);
    sink->rule(sink->context, step->session, rule, RULE_MADE, NULL, caller);
}

static bool is_of_session(const struct rule *rule, const void *session_id)
{
    return rule->scope == RULE_SESSION && !strcmp(rule->session_id, session_id);
}

void step_forget_rules(struct step *step)
{
    const struct session_sink *sink = step->sink;
    const struct rule *found;
    while ((found = rule_set_search(step->now->rules, is_of_session, step->session->id))) {
        struct rule *rule = rule_set_remove(step->now->rules, found->id);
        sink->rule(sink->context, step->session, rule, RULE_REMOVED, "its session is closed", NULL);
        rule_free(rule);
    }
}

/* ---- The answer ---- */

static void refuse(struct step *step, const struct caller *caller, const struct command *command, enum answer_code code,
                   const char *field, const char *message)
{
    struct buffer refused = {0};
    json_field_string(&refused, "requestId", command->request_id);
    json_field_string(&refused, "sessionId", step->session->id);
    json_field_string(&refused, "field", field);
    char *why = buffer_take(&refused);
    step->sink->answer(step->sink->context, caller, code, message, why);
    free(why);
}

void session_permission_response(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                 const struct caller *caller, const struct command *command)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = step_find_pending(session, command->request_id);
    if (!*at) {
        refuse_ended(&step, caller, command);
        return;
    }
    const struct permission_ask *ask = (*at)->ask;
    const struct permission_question question = {.options = ask->options,
                                                 .option_count = ask->option_count,
                                                 .tool_input = ask->tool_input,
                                                 .has_session_rule = (*at)->remember_count &&
                                                                     (*at)->remember[0].scope == RULE_SESSION};
    struct permission_verdict verdict;
    struct memory memory = {0};
    const char *field = NULL, *message = NULL;
    enum answer_code code = permission_verdict(command, &question, &verdict, &field, &message);
    if (code == ANSWER_OK) {
        code = remember(&step, caller, *at, command, &verdict, &memory, &field, &message);
    }
    if (code != ANSWER_OK) {
        refuse(&step, caller, command, code, field, message);
        return;
    }
    (*at)->option_id = need_copy(verdict.option_id);
    (*at)->by_user = need_copy(caller->user);
    struct permission *permission =
        step_take_pending(&step, at, verdict.allowed ? OUTCOME_ALLOWED : OUTCOME_REJECTED);
    step.cause = caller;
    step_emit_resolved(&step, permission, verdict.always_allow, command->message, memory.rule_id);
    sink->order(sink->context, session, ORDER_PERMISSION, NULL, NULL, ask->request_id, verdict.option_id);
    step_decided(&step, (struct session_decision){.permission = permission,
                                                  .by = "user",
                                                  .message = command->message,
                                                  .made_rule_id = memory.rule ? memory.rule_id : NULL,
                                                  .always_allow = verdict.always_allow});
    if (memory.rule) {
        keep_rule(&step, caller, memory.rule);
    }
    step_settle_phase(&step);

    struct buffer fields = {0};
    json_field_string(&fields, "requestId", command->request_id);
    json_field_string(&fields, "outcome", verdict.allowed ? "allowed" : "rejected");
    json_field_string(&fields, "optionId", verdict.option_id);
    json_field_string(&fields, "ruleId", memory.rule_id);
    char *text = buffer_take(&fields);
    answer_ok(&step, caller, text);
    free(text);
    step_end(&step);
}
