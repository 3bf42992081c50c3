#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/content.h"
#include "signalbox/base/check.h"
#include "signalbox/base/need.h"

static const char *const phase_names[] = {
#define X(symbol, name) [PHASE_##symbol] = name,
    SESSION_PHASES(X)
#undef X
};

#define P(phase) (1u << PHASE_##phase)
/* By row: what may follow. A phase may always be said again, with another detail. */
static const unsigned phase_next[PHASE_COUNT] = {
    [PHASE_STARTING] = P(IDLE) | P(RUNNING) | P(STOPPED) | P(FAILED) | P(CLOSED),
    [PHASE_IDLE] = P(RUNNING) | P(WAITING) | P(STARTING) | P(STOPPED) | P(FAILED) | P(CLOSED),
    [PHASE_RUNNING] = P(WAITING) | P(IDLE) | P(STOPPED) | P(FAILED) | P(CLOSED),
    [PHASE_WAITING] = P(RUNNING) | P(IDLE) | P(STOPPED) | P(FAILED) | P(CLOSED),
    [PHASE_STOPPED] = P(STARTING) | P(FAILED) | P(CLOSED),
    [PHASE_FAILED] = P(STARTING) | P(STOPPED) | P(CLOSED),
    [PHASE_CLOSED] = 0,
};

const char *session_phase_name(enum session_phase phase)
{
    return phase_names[phase];
}

bool session_phase_parse(const char *name, enum session_phase *out)
{
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
        if (!strcmp(phase_names[phase], name)) {
            *out = (enum session_phase)phase;
            return true;
        }
    }
    return false;
}

bool session_phase_may_follow(enum session_phase from, enum session_phase to)
{
    return from == to || (phase_next[from] & (1u << to));
}

/* ---- Steps ---- */

struct buffer *step_event(struct step *step, enum event_kind kind, const char *turn_id)
{
    event_open(&step->text, kind, step->session->id, turn_id);
    return &step->text;
}

void step_emit(struct step *step, enum event_kind kind)
{
    struct event event;
    need_ok(event_close(&step->text, kind, step->now->wall_ms, &event));
    step->session->changed = true;
    step->sink->event(step->sink->context, step->session, &event);
}

void step_end(struct step *step)
{
    step_settle_idle(step);
    buffer_free(&step->text);
}

void put_by(struct buffer *out, const char *user)
{
    json_key(out, "by");
    buffer_text(out, "{\"user\":");
    json_put_string(out, user, strlen(user));
    buffer_byte(out, '}');
}

void put_cause(struct buffer *out, const char *client_id, const char *id)
{
    if (!client_id || !*client_id) {
        return; /* REST: nobody waits for the echo of a connection */
    }
    json_key(out, "cause");
    buffer_byte(out, '{');
    json_field_string(out, "clientId", client_id);
    json_field_string(out, "id", id);
    buffer_byte(out, '}');
}

void answer_ok(struct step *step, const struct caller *caller, const char *fields)
{
    step->sink->answer(step->sink->context, caller, ANSWER_OK, NULL, fields);
}

void answer_refuse(struct step *step, const struct caller *caller, enum answer_code code, const char *message)
{
    step->sink->answer(step->sink->context, caller, code, message, NULL);
}

void step_phase(struct step *step, enum session_phase phase, const char *detail)
{
    struct session *session = step->session;
    if (session->phase == phase && !detail) {
        return;
    }
    CHECK(session_phase_may_follow(session->phase, phase));
    session->phase = phase;
    step_say_phase(step, detail);
}

void step_say_phase(struct step *step, const char *detail)
{
    struct buffer *out = step_event(step, EVENT_STATUS, NULL);
    json_field_string(out, "phase", phase_names[step->session->phase]);
    json_field_string(out, "detail", detail);
    step_emit(step, EVENT_STATUS);
}

void step_error(struct step *step, const char *turn_id, const char *message, const char *code, bool fatal)
{
    struct buffer *out = step_event(step, EVENT_ERROR, turn_id);
    json_field_string(out, "error", message ? message : "unknown error");
    json_field_string(out, "code", code ? code : "internal");
    json_field_bool(out, "fatal", fatal);
    step_emit(step, EVENT_ERROR);
}

void step_settle_phase(struct step *step)
{
    struct session *session = step->session;
    if (session->life != AGENT_READY) {
        return;
    }
    if (session->pending_count) {
        step_phase(step, PHASE_WAITING, NULL);
    } else {
        step_phase(step, session->turn.id ? PHASE_RUNNING : PHASE_IDLE, NULL);
    }
}

/* ---- Life ---- */

struct session *session_new(const char *id)
{
    struct session *session = need_zero(sizeof(*session));
    session->id = need_copy(id);
    session->queue_last = &session->queue;
    session->phase = PHASE_STARTING;
    return session;
}

void prompt_free(struct prompt *prompt)
{
    if (prompt) {
        free(prompt->message_id);
        free(prompt->text);
        free(prompt->content);
        free(prompt->user);
        free(prompt->client_id);
        free(prompt->cause_id);
        free(prompt);
    }
}

void permission_free(struct permission *permission)
{
    if (permission) {
        permission_ask_free(permission->ask);
        free(permission->request_json);
        free(permission->option_id);
        free(permission->by_user);
        free(permission->by_rule);
        free(permission->by_policy);
        rule_options_clear(permission->remember, permission->remember_count);
        free(permission);
    }
}

static void permissions_free(struct permission *list)
{
    while (list) {
        struct permission *next = list->next;
        permission_free(list);
        list = next;
    }
}

void session_free(struct session *session)
{
    if (!session) {
        return;
    }
    CHECK(!session->close_waiters);
    while (session->queue) {
        struct prompt *prompt = session->queue;
        session->queue = prompt->next;
        prompt_free(prompt);
    }
    permissions_free(session->pending);
    permissions_free(session->looking);
    permissions_free(session->ended);
    free(session->turn.id);
    free(session->turn.message_id);
    free(session->id);
    free(session->agent);
    free(session->workspace);
    free(session->title);
    free(session->policy);
    free(session->epoch);
    free(session->created_by);
    free(session->stop_detail);
    free(session->closed_by);
    free(session->closed_client_id);
    free(session->closed_id);
    free(session->agent_session);
    settings_free(session);
    free(session);
}

void session_begin(struct session *session, const struct session_sink *sink, const struct session_now *now,
                   const struct caller *caller)
{
    struct step step = STEP(session, sink, now);
    struct buffer *out = step_event(&step, EVENT_SESSION_CREATED, NULL);
    json_field_string(out, "agent", session->agent);
    json_field_string(out, "workspace", session->workspace);
    json_field_string(out, "title", session->title);
    json_field_string(out, "createdBy", session->created_by);
    put_cause(out, caller->client_id, caller->id);
    step_emit(&step, EVENT_SESSION_CREATED);

    out = step_event(&step, EVENT_STATUS, NULL);
    json_field_string(out, "phase", phase_names[PHASE_STARTING]);
    step_emit(&step, EVENT_STATUS);
    const struct place_answer place = step_ask_place(&step, caller->user);
    CHECK(place.kind != PLACE_REFUSED);
    step_start_agent(&step, &place);

    struct buffer fields = {0};
    json_field_string(&fields, "sessionId", session->id);
    char *text = buffer_take(&fields);
    answer_ok(&step, caller, text);
    free(text);
    step_end(&step);
}

void step_closed(struct step *step)
{
    struct session *session = step->session;
    step_withdraw_queue(step);
    struct buffer *out = step_event(step, EVENT_SESSION_CLOSED, NULL);
    put_by(out, session->closed_by);
    put_cause(out, session->closed_client_id, session->closed_id);
    step_emit(step, EVENT_SESSION_CLOSED);
    step_phase(step, PHASE_CLOSED, NULL);
    step_forget_rules(step);
    while (session->close_waiters) {
        struct close_waiter *waiter = session->close_waiters;
        session->close_waiters = waiter->next;
        step->sink->answer_kept(step->sink->context, waiter->reply, ANSWER_OK, NULL, NULL);
        free(waiter);
    }
}

void session_close(struct session *session, const struct session_sink *sink, const struct session_now *now,
                   const struct caller *caller)
{
    struct step step = STEP(session, sink, now);
    if (session->phase == PHASE_CLOSED) {
        answer_ok(&step, caller, NULL); /* it is what was asked for */
        step_end(&step);
        return;
    }
    struct close_waiter *waiter = need_zero(sizeof(*waiter));
    waiter->reply = sink->keep_reply(sink->context, caller);
    waiter->next = session->close_waiters;
    session->close_waiters = waiter;
    if (!session->closing) {
        session->closing = true;
        session->closed_by = need_copy(caller->user);
        session->closed_client_id = need_copy(caller->client_id);
        session->closed_id = need_copy(caller->id);
        step.cause = caller;
        if (session->turn.id && !session->turn.cancelling) {
            sink->order(sink->context, session, ORDER_CANCEL, session->turn.id, NULL, NULL, NULL);
        }
        step_cancel_pending(&step, "session_closed", true);
        step_leave_place(&step);
        if (session->life == AGENT_NONE) {
            step_settings_lost(&step, ANSWER_CLOSED, "the session is closed");
            step_closed(&step);
        } else {
            /* The agent says what it has left to say, and its NOTICE_EXITED closes the session. */
            session->life = AGENT_ENDING;
            sink->order(sink->context, session, ORDER_CLOSE, NULL, NULL, NULL, NULL);
        }
    }
    step_end(&step);
}

void session_stop(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    if (session->life == AGENT_WAITING) {
        step_leave_place(&step);
        session->queue_paused = session->queue != NULL;
        step_settings_lost(&step, ANSWER_SHUTTING_DOWN, "the server is stopping");
        step_phase(&step, PHASE_STOPPED, "the server is stopping");
    } else if (session->life != AGENT_NONE && session->life != AGENT_ENDING) {
        if (session->turn.id && !session->turn.cancelling) {
            sink->order(sink->context, session, ORDER_CANCEL, session->turn.id, NULL, NULL, NULL);
        }
        step_cancel_pending(&step, "server_stopped", true);
        session->stopping = true;
        session->life = AGENT_ENDING;
        sink->order(sink->context, session, ORDER_STOP, NULL, NULL, NULL, NULL);
    }
    step_end(&step);
}

const char *session_refusal(const struct session *session)
{
    if (session->closing || session->phase == PHASE_CLOSED) {
        return "the session is closed";
    }
    return session->damaged ? "the session's log is damaged: it was set apart, and nothing new is begun in it" : NULL;
}

/* ---- To be shown ---- */

void session_describe(const struct session *session, struct buffer *out)
{
    json_field_string(out, "phase", phase_names[session->phase]);
    json_field_string(out, "agent", session->agent);
    json_field_string(out, "title", session->title ? session->title : "");
    json_field_string(out, "workspace", session->workspace);
    json_field_string(out, "policy", session->policy);
    if (session->can_known) {
        json_key(out, "promptCapabilities");
        buffer_byte(out, '{');
        content_put_can(out, session->can);
        buffer_byte(out, '}');
    }
    json_key(out, "pending");
    buffer_byte(out, '[');
    for (const struct permission *p = session->pending; p; p = p->next) {
        if (p != session->pending) {
            buffer_byte(out, ',');
        }
        buffer_text(out, p->request_json);
    }
    buffer_byte(out, ']');
}

void session_summary(const struct session *session, struct buffer *out)
{
    json_field_string(out, "sessionId", session->id);
    json_field_string(out, "title", session->title ? session->title : "");
    json_field_string(out, "agent", session->agent);
    json_field_string(out, "workspace", session->workspace);
    json_field_string(out, "phase", phase_names[session->phase]);
    json_field_i64(out, "pending", (int64_t)session->pending_count);
    if (session->pending) {
        json_field_i64(out, "oldestPendingAt", session->pending->created_at);
    }
    json_field_i64(out, "createdAt", session->created_at);
    json_field_i64(out, "updatedAt", session->updated_at);
    json_field_i64(out, "head", (int64_t)session->head);
    json_field_string(out, "policy", session->policy);
    json_field_string(out, "createdBy", session->created_by);
}
