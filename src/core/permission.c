/* Permission requests are state: each is open until exactly one of four events ends it. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/core/permission_answer.h"

/* ---- What clients are shown ---- */

static char *request_json(const struct permission *permission, const struct session *session)
{
    const struct permission_ask *ask = permission->ask;
    struct buffer out = {0};
    buffer_byte(&out, '{');
    json_field_string(&out, "requestId", ask->request_id);
    json_field_string(&out, "sessionId", session->id);
    json_field_string(&out, "toolName", ask->tool_name);
    json_field_string(&out, "command", ask->command);
    json_field_string(&out, "description", ask->description);
    json_field_string(&out, "toolUseId", ask->tool_use_id);
    json_field_raw(&out, "toolInput", ask->tool_input ? ask->tool_input : "{}");
    json_field_string(&out, "kind", ask->kind);
    json_field_raw(&out, "locations", ask->locations);
    json_field_raw(&out, "planContent", ask->plan_content ? ask->plan_content : "null");
    if (ask->refs) {
        json_key(&out, "refs");
        buffer_format(&out, "[%s]", ask->refs);
    }
    json_key(&out, "acpOptions");
    buffer_byte(&out, '[');
    for (size_t i = 0; i < ask->option_count; i++) {
        buffer_text(&out, i ? ",{" : "{");
        json_field_string(&out, "optionId", ask->options[i].option_id);
        json_field_string(&out, "name", ask->options[i].name);
        json_field_string(&out, "kind", ask->options[i].kind_name);
        buffer_byte(&out, '}');
    }
    buffer_byte(&out, ']');
    json_field_i64(&out, "createdAt", permission->created_at);
    if (permission->expires_at) {
        json_field_i64(&out, "expiresAt", permission->expires_at);
    } else {
        json_field_raw(&out, "expiresAt", "null");
    }
    buffer_byte(&out, '}');
    char *text = buffer_take(&out);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    return text;
}

static const struct permission_option *option_of_kind(const struct permission_ask *ask, enum option_kind kind)
{
    for (size_t i = 0; i < ask->option_count; i++) {
        if (ask->options[i].kind == kind) {
            return &ask->options[i];
        }
    }
    return NULL;
}

/* How a refusal is said to this agent: its own words for no, else NULL, the outcome `cancelled`. */
static const char *rejection_of(const struct permission_ask *ask)
{
    const struct permission_option *option = option_of_kind(ask, OPTION_REJECT_ONCE);
    if (!option) {
        option = option_of_kind(ask, OPTION_REJECT_ALWAYS);
    }
    return option ? option->option_id : NULL;
}

/* ---- Beginning ---- */

void step_permission_ask(struct step *step, struct permission_ask *ask)
{
    struct session *session = step->session;
    const struct session_sink *sink = step->sink;
    metric_add(METRIC_PERMISSIONS_ASKED, 1);
    if (session->closing || session->life != AGENT_READY || session->turn.cancelling) {
        /* Nobody can be asked any more: ACP wants `cancelled` for what comes after a cancel. */
        sink->order(sink->context, session, ORDER_PERMISSION, NULL, NULL, ask->request_id, NULL);
        metric_add(METRIC_PERMISSIONS_CANCELLED, 1);
        permission_ask_free(ask);
        return;
    }
    if (session->pending_count >= step->now->limits->max_pending) {
        step_error(step, ask->turn_id, "the agent asks for more at once than may be open (max-pending-permissions): "
                   "the request was rejected", "limit_reached", false);
        sink->order(sink->context, session, ORDER_PERMISSION, NULL, NULL, ask->request_id, rejection_of(ask));
        metric_add(METRIC_PERMISSIONS_REJECTED, 1);
        permission_ask_free(ask);
        return;
    }
    struct permission *permission = need_zero(sizeof(*permission));
    permission->ask = ask;
    permission->created_at = step->now->wall_ms;
    int64_t timeout = step->now->limits->permission_timeout_ms;
    permission->expires_at = timeout ? step->now->wall_ms + timeout : 0;
    permission->request_json = request_json(permission, session);
    if (timeout) {
        permission->deadline =
            sink->arm(sink->context, session, ARM_PERMISSION, timeout, permission->ask->request_id);
    }
    struct permission **last = &session->pending;
    while (*last) {
        last = &(*last)->next;
    }
    *last = permission;
    session->pending_count++;
    metric_add(METRIC_PERMISSIONS_PENDING, 1);
    if (!session->turn.id && !session->outside_from) {
        session->outside_from = session->head + 1;
    }
    struct buffer *out = step_event(step, EVENT_PERMISSION_REQUEST, permission->ask->turn_id);
    json_field_raw(out, "request", permission->request_json);
    if (permission->ask->event_refs) {
        json_key(out, "refs");
        buffer_format(out, "[%s]", permission->ask->event_refs);
    }
    step_emit(step, EVENT_PERMISSION_REQUEST);
    sink->permission_feed(sink->context, session, permission, true);
    step_settle_phase(step);
}

/* ---- Ending ---- */

static struct permission **find_pending(struct session *session, const char *request_id)
{
    for (struct permission **at = &session->pending; *at; at = &(*at)->next) {
        if (!strcmp((*at)->ask->request_id, request_id)) {
            return at;
        }
    }
    return NULL;
}

static const enum metric outcome_metric[] = {
    [OUTCOME_ALLOWED] = METRIC_PERMISSIONS_ALLOWED,
    [OUTCOME_REJECTED] = METRIC_PERMISSIONS_REJECTED,
    [OUTCOME_TIMEOUT] = METRIC_PERMISSIONS_TIMEOUT,
    [OUTCOME_CANCELLED] = METRIC_PERMISSIONS_CANCELLED,
};

/* Takes it out of the pending ones and remembers how it ended. The event follows by the caller. */
static struct permission *take_pending(struct step *step, struct permission **at, enum permission_outcome outcome)
{
    struct session *session = step->session;
    struct permission *permission = *at;
    *at = permission->next;
    session->pending_count--;
    if (!session->pending) {
        session->outside_from = 0;
    }
    permission->outcome = outcome;
    permission->ended_at = step->now->wall_ms;
    if (permission->deadline) {
        step->sink->disarm(step->sink->context, permission->deadline);
        permission->deadline = NULL;
    }
    permission->next = session->ended;
    session->ended = permission;
    size_t kept = 1;
    for (struct permission *old = permission; old->next; old = old->next) {
        if (++kept > PERMISSIONS_REMEMBERED) {
            permission_free(old->next); /* the list was at its limit, so this is its last */
            old->next = NULL;
            break;
        }
    }
    metric_add(METRIC_PERMISSIONS_PENDING, -1);
    metric_add(outcome_metric[outcome], 1);
    step->sink->permission_feed(step->sink->context, session, permission, false);
    return permission;
}

static void emit_ended(struct step *step, const struct permission *permission, enum event_kind kind, const char *reason)
{
    struct buffer *out = step_event(step, kind, permission->ask->turn_id);
    json_field_string(out, "requestId", permission->ask->request_id);
    json_field_string(out, "reason", reason);
    if (step->cause) {
        put_cause(out, step->cause->client_id, step->cause->id);
    }
    step_emit(step, kind);
}

void step_cancel_pending(struct step *step, const char *reason, bool tell_agent)
{
    struct session *session = step->session;
    while (session->pending) {
        struct permission *permission = take_pending(step, &session->pending, OUTCOME_CANCELLED);
        emit_ended(step, permission, EVENT_PERMISSION_CANCELLED, reason);
        if (tell_agent) {
            step->sink->order(step->sink->context, session, ORDER_PERMISSION, NULL, NULL, permission->ask->request_id,
                              NULL);
        }
    }
}

void step_permission_withdrawn(struct step *step, const char *request_id)
{
    struct permission **at = find_pending(step->session, request_id);
    if (at) {
        /* The agent has its answer already: it was given when it gave the request up. */
        emit_ended(step, take_pending(step, at, OUTCOME_CANCELLED), EVENT_PERMISSION_CANCELLED, "withdrawn_by_agent");
        step_settle_phase(step);
    }
}

void session_permission_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                const char *request_id)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = find_pending(session, request_id);
    if (at) {
        (*at)->deadline = NULL; /* it has fired */
        struct permission *permission = take_pending(&step, at, OUTCOME_TIMEOUT);
        emit_ended(&step, permission, EVENT_PERMISSION_TIMEOUT, NULL);
        sink->order(sink->context, session, ORDER_PERMISSION, NULL, NULL, request_id, rejection_of(permission->ask));
        step_settle_phase(&step);
    }
    step_end(&step);
}

/* ---- Answers ---- */

static void put_resolved(struct buffer *out, const struct permission *permission)
{
    json_key(out, "resolved");
    buffer_byte(out, '{');
    json_field_string(out, "outcome", permission->outcome == OUTCOME_ALLOWED ? "allowed" : "rejected");
    json_field_string(out, "optionId", permission->option_id);
    put_by(out, permission->by_user);
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

void session_permission_response(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                 const struct caller *caller, const struct command *command)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = find_pending(session, command->request_id);
    if (!at) {
        refuse_ended(&step, caller, command);
        return;
    }
    const struct permission_ask *ask = (*at)->ask;
    const struct permission_question question = {
        .options = ask->options, .option_count = ask->option_count, .tool_input = ask->tool_input};
    struct permission_verdict verdict;
    const char *field = NULL, *message = NULL;
    enum answer_code code = permission_verdict(command, &question, &verdict, &field, &message);
    if (code != ANSWER_OK) {
        struct buffer refused = {0};
        json_field_string(&refused, "requestId", command->request_id);
        json_field_string(&refused, "sessionId", session->id);
        json_field_string(&refused, "field", field);
        char *why = buffer_take(&refused);
        sink->answer(sink->context, caller, code, message, why);
        free(why);
        return;
    }
    struct permission *permission =
        take_pending(&step, at, verdict.allowed ? OUTCOME_ALLOWED : OUTCOME_REJECTED);
    permission->option_id = need_copy(verdict.option_id);
    permission->by_user = need_copy(caller->user);

    struct buffer *out = step_event(&step, EVENT_PERMISSION_RESOLVED, permission->ask->turn_id);
    json_field_string(out, "requestId", permission->ask->request_id);
    json_field_string(out, "outcome", verdict.allowed ? "allowed" : "rejected");
    json_field_string(out, "optionId", verdict.option_id);
    json_field_bool(out, "alwaysAllow", verdict.always_allow);
    put_by(out, caller->user);
    json_field_string(out, "message", command->message);
    put_cause(out, caller->client_id, caller->id);
    step_emit(&step, EVENT_PERMISSION_RESOLVED);
    sink->order(sink->context, session, ORDER_PERMISSION, NULL, NULL, permission->ask->request_id, verdict.option_id);
    step_settle_phase(&step);

    struct buffer fields = {0};
    json_field_string(&fields, "requestId", command->request_id);
    json_field_string(&fields, "outcome", verdict.allowed ? "allowed" : "rejected");
    json_field_string(&fields, "optionId", verdict.option_id);
    char *text = buffer_take(&fields);
    answer_ok(&step, caller, text);
    free(text);
    step_end(&step);
}
