/* Modes and options of the agent: changed by command, and kept over its restarts. */
#include "session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/need.h"

enum { ANSWER_MS = 10000 }; /* what an agent has for a change that somebody waits for */

static void setting_clear(struct setting *setting)
{
    free(setting->option_id);
    free(setting->value);
}

void settings_free(struct session *session)
{
    while (session->settings) {
        struct setting *setting = session->settings;
        session->settings = setting->next;
        setting_clear(setting);
        free(setting);
    }
}

static bool same_option(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* The newest is the last; the oldest makes room. */
static void keep(struct session *session, const char *option_id, const char *value)
{
    struct setting **at = &session->settings;
    size_t count = 0;
    while (*at) {
        struct setting *setting = *at;
        if (same_option(setting->option_id, option_id)) {
            *at = setting->next;
            setting_clear(setting);
            free(setting);
        } else {
            at = &setting->next;
            count++;
        }
    }
    struct setting *kept = need_zero(sizeof(*kept));
    kept->option_id = need_copy(option_id);
    kept->value = need_copy(value);
    *at = kept;
    if (count == SETTINGS_MAX) {
        struct setting *oldest = session->settings;
        session->settings = oldest->next;
        setting_clear(oldest);
        free(oldest);
    }
    session->changed = true;
}

static struct setting_waiter **find_waiter(struct session *session, const char *token)
{
    struct setting_waiter **at = &session->setting_waiters;
    while (*at && strcmp((*at)->token, token)) {
        at = &(*at)->next;
    }
    return at;
}

/* Takes it out and answers it. */
static void finish(struct step *step, struct setting_waiter **at, enum answer_code code, const char *message,
                   const char *fields)
{
    struct setting_waiter *waiter = *at;
    *at = waiter->next;
    if (waiter->deadline) {
        step->sink->disarm(step->sink->context, waiter->deadline);
    }
    step->sink->answer_kept(step->sink->context, waiter->reply, code, message, fields);
    setting_clear(&waiter->setting);
    free(waiter->token);
    free(waiter);
}

static void tell_agent(struct step *step, struct setting_waiter *waiter)
{
    waiter->deadline = step->sink->arm(step->sink->context, step->session, ARM_SETTING, ANSWER_MS, waiter->token);
    step->sink->order(step->sink->context, step->session, ORDER_SETTING, NULL, waiter->setting.value, waiter->token,
                      waiter->setting.option_id);
}

void session_set(struct session *session, const struct session_sink *sink, const struct session_now *now,
                 const struct caller *caller, const char *option_id, const char *value)
{
    struct step step = STEP(session, sink, now);
    size_t waiting = 0;
    struct setting_waiter **last = &session->setting_waiters;
    for (; *last; last = &(*last)->next) {
        waiting++;
    }
    const char *closed = session_refusal(session);
    if (closed) {
        answer_refuse(&step, caller, ANSWER_CLOSED, closed);
        return;
    }
    if (waiting == SETTING_WAITERS_MAX) {
        answer_refuse(&step, caller, ANSWER_BUSY, "the agent has not answered earlier changes yet");
        return;
    }
    const struct place_answer place = step_ask_place(&step, caller->user);
    if (place.kind == PLACE_REFUSED) {
        answer_refuse_place(&step, caller, &place);
        return;
    }
    char token[32];
    snprintf(token, sizeof(token), "set-%llu", (unsigned long long)++session->setting_count);
    struct setting_waiter *waiter = need_zero(sizeof(*waiter));
    *waiter = (struct setting_waiter){.token = need_copy(token),
                                      .setting = {.option_id = need_copy(option_id), .value = need_copy(value)},
                                      .reply = sink->keep_reply(sink->context, caller)};
    *last = waiter;
    if (session->life == AGENT_READY) {
        tell_agent(&step, waiter);
    } else {
        step_start_agent(&step, &place); /* of one that is ending, its end answers, or has it started again */
    }
    step_end(&step);
}

void step_settings_ready(struct step *step)
{
    struct session *session = step->session;
    for (const struct setting *setting = session->settings; setting; setting = setting->next) {
        step->sink->order(step->sink->context, session, ORDER_SETTING, NULL, setting->value, NULL, setting->option_id);
    }
    for (struct setting_waiter *waiter = session->setting_waiters; waiter; waiter = waiter->next) {
        tell_agent(step, waiter);
    }
}

void step_setting_answered(struct step *step, const struct agent_notice *notice)
{
    if (!notice->request_id) {
        struct buffer text = {0};
        buffer_text(&text, "the agent was started anew and refused a setting that it had before: ");
        buffer_text(&text, notice->message ? notice->message : "");
        char *message = buffer_take(&text);
        need_ok(message ? ERR_OK : ERR_NOMEM);
        step_error(step, NULL, message, "setting_lost", false);
        free(message);
        return;
    }
    struct setting_waiter **at = find_waiter(step->session, notice->request_id);
    if (!*at) {
        return; /* its time was over */
    }
    enum answer_code code = ANSWER_OK;
    if (notice->code && !answer_code_parse(notice->code, &code)) {
        code = ANSWER_AGENT_FAILED;
    }
    if (code == ANSWER_OK) {
        keep(step->session, (*at)->setting.option_id, (*at)->setting.value);
        finish(step, at, ANSWER_OK, NULL, NULL);
        return;
    }
    const char *field = !(*at)->setting.option_id      ? ",\"field\":\"modeId\""
                        : code == ANSWER_NOT_FOUND     ? ",\"field\":\"configId\""
                                                       : ",\"field\":\"value\"";
    bool has_field = code == ANSWER_BAD_MESSAGE || code == ANSWER_NOT_FOUND;
    finish(step, at, code, notice->message, has_field ? field : NULL);
}

void step_settings_lost(struct step *step, enum answer_code code, const char *message)
{
    while (step->session->setting_waiters) {
        finish(step, &step->session->setting_waiters, code, message ? message : "the agent ended", NULL);
    }
}

void session_setting_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                             const char *token)
{
    struct step step = STEP(session, sink, now);
    struct setting_waiter **at = find_waiter(session, token);
    if (*at) {
        (*at)->deadline = NULL; /* it has fired */
        sink->order(sink->context, session, ORDER_SETTING_LATE, NULL, NULL, token, NULL);
        finish(&step, at, ANSWER_AGENT_FAILED, "the agent did not answer in time", NULL);
    }
    step_end(&step);
}

/* ---- Kept ---- */

char *session_state_text(const struct session *session)
{
    struct buffer out = {0};
    buffer_byte(&out, '{');
    json_field_bool(&out, "titled", session->titled);
    json_field_bool(&out, "hadTurns", session->had_turns);
    json_field_string(&out, "acpSession", session->agent_session);
    if (session->damaged) {
        json_field_bool(&out, "damaged", true);
    }
    if (session->uploads) {
        json_field_i64(&out, "uploads", (int64_t)session->uploads);
        json_field_i64(&out, "uploadBytes", session->upload_bytes);
    }
    if (session->can_known) {
        json_field_i64(&out, "can", session->can);
        json_field_bool(&out, "canTold", session->can_told);
    }
    if (session->settings) {
        json_key(&out, "settings");
        buffer_byte(&out, '[');
        for (const struct setting *setting = session->settings; setting; setting = setting->next) {
            buffer_text(&out, setting == session->settings ? "{" : ",{");
            json_field_string(&out, "optionId", setting->option_id);
            json_field_string(&out, "value", setting->value);
            buffer_byte(&out, '}');
        }
        buffer_byte(&out, ']');
    }
    buffer_byte(&out, '}');
    char *text = buffer_take(&out);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    return text;
}

void session_state_restore(struct session *session, const char *text)
{
    struct json_object *state = NULL;
    need_ok(text && json_parse_own(text, &state) == ERR_NOMEM ? ERR_NOMEM : ERR_OK);
    int64_t can;
    session->titled = json_get_bool(state, "titled", false);
    session->had_turns = json_get_bool(state, "hadTurns", true);
    session->damaged = json_get_bool(state, "damaged", false);
    session->agent_session = need_copy(json_get_string(state, "acpSession"));
    session->can_known = json_get_i64(state, "can", &can);
    session->can = session->can_known ? (unsigned)can : 0;
    session->can_told = session->can_known && json_get_bool(state, "canTold", false); /* not of an older store */
    int64_t uploads;
    session->uploads = json_get_i64(state, "uploads", &uploads) && uploads > 0 ? (size_t)uploads : 0;
    if (!json_get_i64(state, "uploadBytes", &session->upload_bytes)) {
        session->upload_bytes = 0;
    }
    struct json_object *list = json_get(state, "settings");
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        const char *value = json_get_string(item, "value");
        if (value) {
            keep(session, json_get_string(item, "optionId"), value);
        }
    }
    session->changed = false;
    json_object_put(state);
}

char *session_state_damaged(const char *text)
{
    struct json_object *state = NULL;
    struct buffer out = {0};
    enum err err = text ? json_parse_own(text, &state) : ERR_OK;
    if (err == ERR_NOMEM) {
        return NULL;
    }
    buffer_text(&out, "{\"damaged\":true");
    if (json_object_is_type(state, json_type_object)) {
        json_object_object_foreach(state, key, value)
        {
            if (strcmp(key, "damaged") != 0) {
                json_key(&out, key);
                json_put_object(&out, value);
            }
        }
    }
    buffer_byte(&out, '}');
    json_object_put(state);
    return buffer_take(&out);
}
