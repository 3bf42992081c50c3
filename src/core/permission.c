/* Permission requests are state: each is open until exactly one of four events ends it. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"

/* How long the disk may take to tell where a request's paths lead. Then people are asked without that. */
enum { LOOK_TIMEOUT_MS = 3000 };
/* Of the event around the request. Rules that do not fit into it, the widest first, are not offered. */
enum { EVENT_ROOM = 512 };

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
    if (permission->remember_count) {
        json_key(&out, "rememberOptions");
        rule_options_write(&out, permission->remember, permission->remember_count);
    }
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

static void append(struct permission **list, struct permission *permission)
{
    while (*list) {
        list = &(*list)->next;
    }
    permission->next = NULL;
    *list = permission;
}

static struct permission **find_in(struct permission **list, const char *request_id)
{
    while (*list && strcmp((*list)->ask->request_id, request_id)) {
        list = &(*list)->next;
    }
    return list;
}

struct permission **step_find_pending(struct session *session, const char *request_id)
{
    return find_in(&session->pending, request_id);
}

/* ---- Deciding ---- */

static enum metric metric_of(enum permission_outcome outcome, const char *by)
{
    static const struct {
        enum permission_outcome outcome;
        const char *by;
        enum metric metric;
    } metrics[] = {
        {OUTCOME_ALLOWED, "user", METRIC_PERMISSIONS_ALLOWED_USER},
        {OUTCOME_ALLOWED, "rule", METRIC_PERMISSIONS_ALLOWED_RULE},
        {OUTCOME_ALLOWED, "policy", METRIC_PERMISSIONS_ALLOWED_POLICY},
        {OUTCOME_REJECTED, "user", METRIC_PERMISSIONS_REJECTED_USER},
        {OUTCOME_REJECTED, "policy", METRIC_PERMISSIONS_REJECTED_POLICY},
        {OUTCOME_REJECTED, "limit", METRIC_PERMISSIONS_REJECTED_LIMIT},
        {OUTCOME_TIMEOUT, "timeout", METRIC_PERMISSIONS_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        if (metrics[i].outcome == outcome && !strcmp(metrics[i].by, by)) {
            return metrics[i].metric;
        }
    }
    return METRIC_PERMISSIONS_CANCELLED;
}

void step_decided(struct step *step, struct session_decision decision)
{
    if (decision.permission) {
        metric_add(metric_of(decision.permission->outcome, decision.by), 1);
    }
    if (!decision.caller) {
        decision.caller = step->cause;
    }
    if (!decision.user && step->cause) {
        decision.user = step->cause->user;
    }
    step->sink->decided(step->sink->context, step->session, &decision);
}

/* It was answered, or came to nothing, without having been open. */
static void remember_ended(struct step *step, struct permission *permission, enum permission_outcome outcome)
{
    struct session *session = step->session;
    permission->outcome = outcome;
    permission->ended_at = step->now->wall_ms;
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
}

struct permission *step_take_pending(struct step *step, struct permission **at, enum permission_outcome outcome)
{
    struct session *session = step->session;
    struct permission *permission = *at;
    *at = permission->next;
    session->pending_count--;
    if (!session->pending) {
        session->outside_from = 0;
    }
    if (permission->deadline) {
        step->sink->disarm(step->sink->context, permission->deadline);
        permission->deadline = NULL;
    }
    remember_ended(step, permission, outcome);
    metric_add(METRIC_PERMISSIONS_PENDING, -1);
    step->sink->permission_feed(step->sink->context, session, permission, false);
    return permission;
}

static void order_permission(struct step *step, const struct permission *permission, const char *option_id)
{
    step->sink->order(step->sink->context, step->session, ORDER_PERMISSION, NULL, NULL, permission->ask->request_id,
                      option_id);
}

void step_emit_resolved(struct step *step, const struct permission *permission, bool always_allow, const char *message,
                        const char *made_rule_id)
{
    struct buffer *out = step_event(step, EVENT_PERMISSION_RESOLVED, permission->ask->turn_id);
    json_field_string(out, "requestId", permission->ask->request_id);
    json_field_string(out, "outcome", permission->outcome == OUTCOME_ALLOWED ? "allowed" : "rejected");
    json_field_string(out, "optionId", permission->option_id);
    json_field_bool(out, "alwaysAllow", always_allow);
    put_answerer(out, permission);
    json_field_string(out, "message", message);
    json_field_string(out, "ruleId", made_rule_id);
    if (step->cause) {
        put_cause(out, step->cause->client_id, step->cause->id);
    }
    step_emit(step, EVENT_PERMISSION_RESOLVED);
}

static void say_who(struct permission *permission, const struct judgement *judgement)
{
    permission->option_id = need_copy(judgement->option_id);
    permission->by_rule = need_copy(judgement->rule ? judgement->rule->id : NULL);
    permission->by_policy = need_copy(judgement->policy);
}

/* A request that has been taken out of where it was, and says who, is answered by this judgement. */
static void resolve_by(struct step *step, struct permission *permission, const struct judgement *judgement)
{
    /* Whose command made the rule or the policy is told by its own event. */
    const struct caller *cause = step->cause;
    step->cause = NULL;
    step_emit_resolved(step, permission, false, judgement->why, NULL);
    order_permission(step, permission, permission->option_id);
    step_decided(step, (struct session_decision){.permission = permission,
                                                 .by = judgement->rule ? "rule" : "policy",
                                                 .user = judgement->rule ? judgement->rule->user : NULL,
                                                 .rule_id = permission->by_rule,
                                                 .policy = permission->by_policy,
                                                 .reason = judgement->why});
    step->cause = cause;
}

static void resolve_judged(struct step *step, struct permission **at, const struct judgement *judgement)
{
    bool allowed = judgement->kind == JUDGEMENT_ALLOW;
    say_who(*at, judgement);
    resolve_by(step, step_take_pending(step, at, allowed ? OUTCOME_ALLOWED : OUTCOME_REJECTED), judgement);
}

void step_judge_pending(struct step *step)
{
    struct permission **at = &step->session->pending;
    while (*at) {
        struct judgement judgement;
        permission_judge(step->session, (*at)->ask, step->now, &judgement);
        /* It may have waited for long, and the disk may be another by now: a rule is to see it as it is. */
        if (judgement.rule && !(*at)->looking_again) {
            (*at)->looking_again = true;
            step->sink->look(step->sink->context, step->session, (*at)->ask);
        }
        if (judgement.kind == JUDGEMENT_ASK || judgement.rule) {
            at = &(*at)->next;
            continue;
        }
        resolve_judged(step, at, &judgement);
    }
}

void session_judge_pending(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    step_judge_pending(&step);
    step_settle_phase(&step);
    step_end(&step);
}

/* ---- Beginning ---- */

/* Nobody can be asked any more: ACP wants `cancelled` for what comes after a cancel. Takes it. */
static void turn_away(struct step *step, struct permission *permission, const char *reason, bool tell_agent)
{
    permission->outcome = OUTCOME_CANCELLED;
    if (permission->deadline) {
        step->sink->disarm(step->sink->context, permission->deadline);
        permission->deadline = NULL;
    }
    if (!permission->request_json) {
        permission->created_at = step->now->wall_ms;
        permission->request_json = request_json(permission, step->session);
    }
    if (tell_agent) {
        order_permission(step, permission, NULL);
    }
    step_decided(step, (struct session_decision){.permission = permission, .by = "cancellation", .reason = reason});
    permission_free(permission);
}

static void emit_request(struct step *step, const struct permission *permission)
{
    struct buffer *out = step_event(step, EVENT_PERMISSION_REQUEST, permission->ask->turn_id);
    json_field_raw(out, "request", permission->request_json);
    if (permission->ask->event_refs) {
        json_key(out, "refs");
        buffer_format(out, "[%s]", permission->ask->event_refs);
    }
    step_emit(step, EVENT_PERMISSION_REQUEST);
}

static int64_t timeout_of(const struct session_limits *limits, const char *kind)
{
    for (size_t i = 0; i < limits->timeout_kinds.count; i++) {
        if (!strcmp(limits->timeout_kinds.items[i], kind)) {
            return limits->timeouts_ms[i];
        }
    }
    return limits->permission_timeout_ms;
}

/* One more than may be open. Takes it. */
static void past_limit(struct step *step, struct permission *permission)
{
    static const char why[] = "the agent asks for more at once than may be open (max-pending-permissions): the request "
                              "was rejected";
    const char *rejection = rejection_of(permission->ask);
    permission->outcome = OUTCOME_REJECTED;
    permission->option_id = need_copy(rejection);
    permission->request_json = request_json(permission, step->session);
    step_error(step, permission->ask->turn_id, why, "limit_reached", false);
    order_permission(step, permission, rejection);
    step_decided(step, (struct session_decision){.permission = permission, .by = "limit", .reason = why});
    permission_free(permission);
}

static void wait_for_person(struct step *step, struct permission *permission)
{
    struct session *session = step->session;
    const struct session_sink *sink = step->sink;
    int64_t timeout = timeout_of(step->now->limits, permission->ask->kind);
    permission->expires_at = timeout ? step->now->wall_ms + timeout : 0;
    permission->request_json = request_json(permission, session);
    while (permission->remember_count && strlen(permission->request_json) + EVENT_ROOM > step->now->limits->max_event_bytes) {
        rule_options_clear(&permission->remember[--permission->remember_count], 1);
        free(permission->request_json);
        permission->request_json = request_json(permission, session);
    }
    if (timeout) {
        permission->deadline =
            sink->arm(sink->context, session, ARM_PERMISSION, timeout, permission->ask->request_id);
    }
    append(&session->pending, permission);
    session->pending_count++;
    metric_add(METRIC_PERMISSIONS_PENDING, 1);
    if (!session->turn.id && !session->outside_from) {
        session->outside_from = session->head + 1;
    }
    emit_request(step, permission);
    sink->permission_feed(sink->context, session, permission, true);
    step_settle_phase(step);
}

/* All that can be known of it is known. Takes it. */
static void open_request(struct step *step, struct permission *permission)
{
    struct session *session = step->session;
    const struct rule_place place = session_place(session);
    struct judgement judgement;
    step_lawful_policy(step);
    permission_judge(session, permission->ask, step->now, &judgement);
    permission->created_at = step->now->wall_ms;
    if (judgement.kind != JUDGEMENT_ASK) {
        permission->request_json = request_json(permission, session);
        remember_ended(step, permission, judgement.kind == JUDGEMENT_ALLOW ? OUTCOME_ALLOWED : OUTCOME_REJECTED);
        emit_request(step, permission);
        say_who(permission, &judgement);
        resolve_by(step, permission, &judgement);
    } else if (session->pending_count >= step->now->limits->max_pending) {
        past_limit(step, permission);
    } else {
        permission->remember_count = rule_options(&place, permission->ask, permission->remember);
        wait_for_person(step, permission);
    }
}

void step_permission_ask(struct step *step, struct permission_ask *ask)
{
    struct session *session = step->session;
    struct permission *permission = need_zero(sizeof(*permission));
    permission->ask = ask;
    metric_add(METRIC_PERMISSIONS_ASKED, 1);
    if (session->closing) {
        turn_away(step, permission, "session_closed", true);
    } else if (session->life != AGENT_READY) {
        turn_away(step, permission, session->stopping ? "server_stopped" : "agent_exited", true);
    } else if (session->turn.cancelling) {
        turn_away(step, permission, "turn_cancelled", true);
    } else if (!ask->looked && (ask->rule_command || ask->path_count)) {
        permission->deadline =
            step->sink->arm(step->sink->context, session, ARM_LOOK, LOOK_TIMEOUT_MS, ask->request_id);
        append(&session->looking, permission);
        step->sink->look(step->sink->context, session, ask);
    } else {
        open_request(step, permission);
    }
}

static void take_paths(struct permission_ask *ask, char **real_paths, bool workspace_real)
{
    for (size_t i = 0; ask->real_paths && i < ask->path_count; i++) {
        free(ask->real_paths[i]);
    }
    free(ask->real_paths);
    ask->looked = true;
    ask->real_paths = real_paths;
    ask->workspace_real = workspace_real;
}

/* One that waits, and that a rule would answer. */
static bool looked_again(struct step *step, const char *request_id, char **real_paths, bool workspace_real)
{
    struct permission **at = step_find_pending(step->session, request_id);
    if (!*at || !(*at)->looking_again) {
        return false; /* it ended meanwhile, or was not waited for any longer */
    }
    (*at)->looking_again = false;
    take_paths((*at)->ask, real_paths, workspace_real);
    struct judgement judgement;
    permission_judge(step->session, (*at)->ask, step->now, &judgement);
    if (judgement.kind != JUDGEMENT_ASK) {
        resolve_judged(step, at, &judgement);
        step_settle_phase(step);
    }
    step_end(step);
    return true;
}

bool session_permission_looked(struct session *session, const struct session_sink *sink, const struct session_now *now,
                               const char *request_id, char **real_paths, bool workspace_real)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = find_in(&session->looking, request_id);
    struct permission *permission = *at;
    if (!permission) {
        return looked_again(&step, request_id, real_paths, workspace_real);
    }
    *at = permission->next;
    sink->disarm(sink->context, permission->deadline);
    permission->deadline = NULL;
    take_paths(permission->ask, real_paths, workspace_real);
    open_request(&step, permission);
    step_end(&step);
    return true;
}

void session_look_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          const char *request_id)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = find_in(&session->looking, request_id);
    struct permission *permission = *at;
    if (permission) {
        *at = permission->next;
        permission->deadline = NULL; /* it has fired */
        open_request(&step, permission);
    }
    step_end(&step);
}

/* ---- Ending ---- */

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

static void cancelled(struct step *step, struct permission *permission, const char *reason)
{
    emit_ended(step, permission, EVENT_PERMISSION_CANCELLED, reason);
    step_decided(step, (struct session_decision){.permission = permission, .by = "cancellation", .reason = reason});
}

void step_cancel_pending(struct step *step, const char *reason, bool tell_agent)
{
    struct session *session = step->session;
    while (session->pending) {
        session->pending->cancel_reason = reason;
        struct permission *permission = step_take_pending(step, &session->pending, OUTCOME_CANCELLED);
        cancelled(step, permission, reason);
        if (tell_agent) {
            order_permission(step, permission, NULL);
        }
    }
    while (session->looking) {
        struct permission *permission = session->looking;
        session->looking = permission->next;
        turn_away(step, permission, reason, tell_agent);
    }
}

void step_permission_withdrawn(struct step *step, const char *request_id)
{
    /* The agent has its answer already: it was given when it gave the request up. */
    struct permission **at = step_find_pending(step->session, request_id);
    if (*at) {
        (*at)->cancel_reason = "withdrawn_by_agent";
        cancelled(step, step_take_pending(step, at, OUTCOME_CANCELLED), "withdrawn_by_agent");
        step_settle_phase(step);
        return;
    }
    at = find_in(&step->session->looking, request_id);
    if (*at) {
        struct permission *permission = *at;
        *at = permission->next;
        turn_away(step, permission, "withdrawn_by_agent", false);
    }
}

void session_permission_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                const char *request_id)
{
    struct step step = STEP(session, sink, now);
    struct permission **at = step_find_pending(session, request_id);
    if (*at) {
        (*at)->deadline = NULL; /* it has fired */
        struct permission *permission = step_take_pending(&step, at, OUTCOME_TIMEOUT);
        const char *rejection = now->limits->timeout_cancels ? NULL : rejection_of(permission->ask);
        permission->option_id = need_copy(rejection);
        emit_ended(&step, permission, EVENT_PERMISSION_TIMEOUT, NULL);
        order_permission(&step, permission, rejection);
        step_decided(&step, (struct session_decision){.permission = permission, .by = "timeout"});
        step_settle_phase(&step);
    }
    step_end(&step);
}
