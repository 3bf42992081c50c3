/* Prompts, their queue, and the turns that they become. */
#include "core/content.h"
#include "session_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/need.h"

enum { QUEUE_BYTES_MAX = 8 << 20 };

/* A prompt that is one text has that in `text` already, and may be a megabyte of it. */
static bool says_more(const struct prompt *prompt)
{
    if (!prompt->content) {
        return false;
    }
    struct buffer plain = {0};
    buffer_text(&plain, "[{\"type\":\"text\",\"text\":");
    json_put_string(&plain, prompt->text, strlen(prompt->text));
    buffer_text(&plain, "}]");
    bool same = buffer_ok(&plain) && plain.length == strlen(prompt->content) && !memcmp(plain.data, prompt->content, plain.length);
    buffer_free(&plain);
    return !same;
}

static void emit_user_message_for(struct step *step, const struct prompt *prompt, const char *status, size_t position,
                                  const char *client_id, const char *cause_id)
{
    struct buffer *out = step_event(step, EVENT_USER_MESSAGE, NULL);
    json_field_string(out, "messageId", prompt->message_id);
    json_field_string(out, "text", prompt->text);
    if (says_more(prompt)) {
        json_field_raw(out, "content", prompt->content);
    }
    put_by(out, prompt->user);
    json_field_string(out, "status", status);
    if (position) {
        json_field_i64(out, "position", (int64_t)position);
    }
    if (!strcmp(status, "withdrawn")) { /* else the cause says it */
        json_field_string(out, "promptId", prompt->cause_id);
    }
    put_cause(out, client_id, cause_id);
    step_emit(step, EVENT_USER_MESSAGE);
}

static void emit_user_message(struct step *step, const struct prompt *prompt, const char *status, size_t position)
{
    emit_user_message_for(step, prompt, status, position, prompt->client_id, prompt->cause_id);
}

/* The cause is whose command takes it back, not who sent the prompt. Frees the prompt. */
static void withdrawn(struct step *step, struct prompt *prompt, const char *client_id, const char *cause_id)
{
    emit_user_message_for(step, prompt, "withdrawn", 0, client_id, cause_id);
    prompt_free(prompt);
}

void step_withdraw_queue(struct step *step)
{
    struct session *session = step->session;
    while (session->queue) {
        struct prompt *prompt = session->queue;
        session->queue = prompt->next;
        session->queued--;
        withdrawn(step, prompt, NULL, NULL);
    }
    session->queue_last = &session->queue;
}

static size_t length_of(const char *text, const char *content)
{
    return (text ? strlen(text) : 0) + (content ? strlen(content) : 0);
}

/* The session's row has the queue, and is written with each change of its state. One prompt may be of any length. */
static bool queue_is_long(const struct session *session, const struct command *command)
{
    size_t bytes = length_of(command->text, command->content);
    for (const struct prompt *prompt = session->queue; prompt; prompt = prompt->next) {
        bytes += length_of(prompt->text, prompt->content);
    }
    return session->queue && bytes > QUEUE_BYTES_MAX;
}

static bool agent_is_free(const struct session *session)
{
    return session->life == AGENT_READY && !session->turn.id && !session->closing;
}

static void begin_turn(struct step *step, struct prompt *prompt)
{
    struct session *session = step->session;
    char id[32];
    snprintf(id, sizeof(id), "turn-%llu", (unsigned long long)(session->head + 1));
    session->turn = (struct turn){.id = need_copy(id),
                                  .message_id = need_copy(prompt->message_id),
                                  .from = session->head + 1,
                                  .first = !session->had_turns,
                                  .started = step->now->at};
    struct buffer *out = step_event(step, EVENT_TURN_STARTED, session->turn.id);
    put_by(out, prompt->user);
    json_field_string(out, "messageId", prompt->message_id);
    put_cause(out, prompt->client_id, prompt->cause_id);
    step_emit(step, EVENT_TURN_STARTED);
    session->had_turns = true;
    step_settle_phase(step);
    step->sink->order(step->sink->context, session,
                      prompt->names_blobs ? ORDER_PROMPT_BLOBS : ORDER_PROMPT, session->turn.id, prompt->content, NULL, NULL);
    prompt_free(prompt);
}

void step_next_turn(struct step *step)
{
    struct session *session = step->session;
    if (!agent_is_free(session) || session->queue_paused || !session->queue) {
        step_settle_phase(step);
        return;
    }
    struct prompt *prompt = session->queue;
    session->queue = prompt->next;
    if (!session->queue) {
        session->queue_last = &session->queue;
    }
    session->queued--;
    emit_user_message(step, prompt, "processing", 0);
    begin_turn(step, prompt);
}

void session_prompt(struct session *session, const struct session_sink *sink, const struct session_now *now,
                    const struct caller *caller, const struct command *command)
{
    struct step step = STEP(session, sink, now);
    const char *closed = session_refusal(session);
    if (closed) {
        answer_refuse(&step, caller, ANSWER_CLOSED, closed);
        return;
    }
    const char *refusal = session->can_known ? content_refusal(command->content_needs, session->can) : NULL;
    if (refusal) {
        sink->answer(sink->context, caller, ANSWER_UNSUPPORTED, refusal, ",\"field\":\"content\"");
        return;
    }
    bool at_once = agent_is_free(session) && !session->queue;
    if (!at_once && session->queued >= now->limits->max_queued) {
        answer_refuse(&step, caller, ANSWER_QUEUE_FULL, "too many prompts of this session wait already");
        return;
    }
    if (!at_once && queue_is_long(session, command)) {
        answer_refuse(&step, caller, ANSWER_QUEUE_FULL, "the prompts of this session that wait are too long together (8 MiB)");
        return;
    }
    const struct place_answer place = step_ask_place(&step, caller->user);
    if (place.kind == PLACE_REFUSED) {
        answer_refuse_place(&step, caller, &place);
        return;
    }
    char message_id[32];
    snprintf(message_id, sizeof(message_id), "u-%llu", (unsigned long long)(session->head + 1));
    struct prompt *prompt = need_zero(sizeof(*prompt));
    *prompt = (struct prompt){.message_id = need_copy(message_id), .text = need_copy(command->text ? command->text : ""),
                              .content = need_copy(command->content), .user = need_copy(caller->user),
                              .client_id = need_copy(caller->client_id), .cause_id = need_copy(caller->id),
                              .names_blobs = command->blobs || command->use_count};
    struct buffer fields = {0};
    json_field_string(&fields, "messageId", message_id);
    json_field_string(&fields, "status", at_once ? "accepted" : "queued");
    if (at_once) {
        session->queue_paused = false;
        emit_user_message(&step, prompt, "accepted", 0);
        emit_user_message(&step, prompt, "processing", 0);
        begin_turn(&step, prompt);
    } else {
        *session->queue_last = prompt;
        session->queue_last = &prompt->next;
        session->queued++;
        json_field_i64(&fields, "position", (int64_t)session->queued);
        emit_user_message(&step, prompt, "queued", session->queued);
        session->queue_paused = false; /* the next prompt sets a paused queue going */
        step_start_agent(&step, &place);
        if (agent_is_free(session)) {
            step_next_turn(&step);
        }
    }
    char *text = buffer_take(&fields);
    answer_ok(&step, caller, text);
    free(text);
    step_end(&step);
}

/* By its messageId, or by the id of the command that gave it. */
static struct prompt **find_queued(struct session *session, const char *name)
{
    struct prompt **at = &session->queue;
    while (*at && strcmp((*at)->message_id, name)) {
        at = &(*at)->next;
    }
    if (!*at) {
        at = &session->queue;
        while (*at && !((*at)->cause_id && !strcmp((*at)->cause_id, name))) {
            at = &(*at)->next;
        }
    }
    return at;
}

void session_withdraw(struct session *session, const struct session_sink *sink, const struct session_now *now,
                      const struct caller *caller, const char *message_id)
{
    struct step step = STEP(session, sink, now);
    struct prompt **at = find_queued(session, message_id);
    struct prompt *prompt = *at;
    if (!prompt) {
        answer_refuse(&step, caller, ANSWER_NOT_FOUND, "no such prompt waits; it may have been given to the agent already");
        return;
    }
    *at = prompt->next;
    if (!prompt->next) {
        session->queue_last = at;
    }
    session->queued--;
    withdrawn(&step, prompt, caller->client_id, caller->id);
    step_nothing_waits(&step);
    answer_ok(&step, caller, NULL);
    step_end(&step);
}

void session_resume_queue(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          const struct caller *caller)
{
    struct step step = STEP(session, sink, now);
    const char *closed = session_refusal(session);
    if (closed) {
        answer_refuse(&step, caller, ANSWER_CLOSED, closed);
        return;
    }
    struct place_answer place = {.kind = PLACE_GIVEN};
    if (session->queue) {
        place = step_ask_place(&step, caller->user);
    }
    if (place.kind == PLACE_REFUSED) {
        answer_refuse_place(&step, caller, &place);
        return;
    }
    session->queue_paused = false;
    session->changed = true;
    if (session->queue) {
        step_start_agent(&step, &place);
        if (agent_is_free(session)) {
            step_next_turn(&step);
        }
    }
    answer_ok(&step, caller, NULL);
    step_end(&step);
}

/* Takes the caller's prompts (or everybody's) out of the queue; their texts go into `fields`. */
static void withdraw_all(struct step *step, const struct caller *caller, bool all, struct buffer *fields)
{
    struct session *session = step->session;
    json_key(fields, "withdrawn");
    buffer_byte(fields, '[');
    bool first = true;
    struct prompt **at = &session->queue;
    while (*at) {
        struct prompt *prompt = *at;
        if (!all && strcmp(prompt->user, caller->user)) {
            at = &prompt->next;
            continue;
        }
        *at = prompt->next;
        session->queued--;
        if (!first) {
            buffer_byte(fields, ',');
        }
        first = false;
        json_put_string(fields, prompt->text, strlen(prompt->text));
        withdrawn(step, prompt, caller->client_id, caller->id);
    }
    session->queue_last = at;
    buffer_byte(fields, ']');
}

void step_cancel_turn(struct step *step)
{
    struct session *session = step->session;
    if (!session->turn.id || session->turn.cancelling) {
        return;
    }
    session->turn.cancelling = true;
    session->turn.cancel_deadline = step->sink->arm(step->sink->context, session, ARM_CANCEL,
                                                    step->now->limits->cancel_timeout_ms, NULL);
    /* ACP: first session/cancel, then `cancelled` to everything that is pending. */
    step->sink->order(step->sink->context, session, ORDER_CANCEL, session->turn.id, NULL, NULL, NULL);
    step_cancel_pending(step, "turn_cancelled", true);
    step_settle_phase(step);
}

void session_cancel(struct session *session, const struct session_sink *sink, const struct session_now *now,
                    const struct caller *caller, const char *turn_id, bool all)
{
    struct step step = STEP(session, sink, now);
    if (session->closing || session->phase == PHASE_CLOSED) {
        answer_refuse(&step, caller, ANSWER_CLOSED, "the session is closed");
        return;
    }
    /* Said while the client was offline, it may come when that turn is long over: what runs and waits now was not meant. */
    bool is_over = turn_id && (!session->turn.id || strcmp(turn_id, session->turn.id));
    struct buffer fields = {0};
    if (is_over) {
        json_key(&fields, "withdrawn");
        buffer_text(&fields, "[]");
    } else {
        withdraw_all(&step, caller, all, &fields);
        step.cause = caller;
        step_cancel_turn(&step);
        step.cause = NULL;
        step_nothing_waits(&step);
    }
    char *text = buffer_take(&fields);
    answer_ok(&step, caller, text);
    free(text);
    step_end(&step);
}

void step_complete(struct step *step, const char *stop_reason, const char *usage)
{
    struct session *session = step->session;
    if (!session->turn.id) {
        return;
    }
    struct buffer *out = step_event(step, EVENT_COMPLETE, session->turn.id);
    json_field_string(out, "stopReason", stop_reason);
    json_field_i64(out, "durationMs", instant_diff_ms(step->now->at, session->turn.started));
    json_field_raw(out, "usage", usage);
    if (session->turn.first) {
        json_field_bool(out, "first", true);
    }
    step_emit(step, EVENT_COMPLETE);
    if (session->turn.cancel_deadline) {
        step->sink->disarm(step->sink->context, session->turn.cancel_deadline);
    }
    free(session->turn.id);
    free(session->turn.message_id);
    session->turn = (struct turn){0};
    session->silent = false;
}

void session_cancel_expired(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    session->turn.cancel_deadline = NULL;
    if (session->turn.id && session->turn.cancelling) {
        step_error(&step, session->turn.id, "the agent did not end the cancelled turn in time and is ended itself",
                   "cancel_ignored", false);
        session->life = AGENT_ENDING;
        sink->order(sink->context, session, ORDER_KILL, NULL, NULL, NULL, NULL);
    }
    step_end(&step);
}

void session_start_expired(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    session->start_deadline = NULL;
    if (session->life == AGENT_STARTING) {
        struct buffer text = {0};
        buffer_text(&text, "the agent was started, but had no session within ");
        put_duration(&text, now->limits->start_timeout_ms);
        buffer_text(&text, " (agent-start-timeout-ms)");
        char *message = buffer_take(&text);
        need_ok(message ? ERR_OK : ERR_NOMEM);
        step_error(&step, NULL, message, "agent_failed", true);
        free(message);
        session->start_expired = true;
        session->life = AGENT_ENDING;
        sink->order(sink->context, session, ORDER_KILL, NULL, NULL, NULL, NULL);
    }
    step_end(&step);
}

/* ---- The queue in the session's row ---- */

char *session_queue_text(const struct session *session)
{
    if (!session->queue) {
        return NULL;
    }
    struct buffer out = {0};
    for (const struct prompt *prompt = session->queue; prompt; prompt = prompt->next) {
        buffer_text(&out, prompt == session->queue ? "[{" : ",{");
        json_field_string(&out, "messageId", prompt->message_id);
        json_field_string(&out, "text", prompt->text);
        json_field_raw(&out, "content", prompt->content);
        json_field_string(&out, "user", prompt->user);
        json_field_string(&out, "clientId", prompt->client_id);
        json_field_string(&out, "id", prompt->cause_id);
        if (prompt->names_blobs) {
            json_field_bool(&out, "namesBlobs", true);
        }
        buffer_byte(&out, '}');
    }
    buffer_byte(&out, ']');
    char *text = buffer_take(&out);
    need_ok(text ? ERR_OK : ERR_NOMEM);
    return text;
}

void session_queue_restore(struct session *session, const char *text)
{
    struct json_object *list = NULL;
    if (text && json_parse_own(text, &list) == ERR_NOMEM) {
        need_ok(ERR_NOMEM); /* the next change would write a row without its prompts */
    }
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        struct json_object *content = json_get(item, "content");
        const char *message_id = json_get_string(item, "messageId");
        if (!message_id) {
            continue;
        }
        struct prompt *prompt = need_zero(sizeof(*prompt));
        const char *user = json_get_string(item, "user");
        const char *words = json_get_string(item, "text");
        *prompt = (struct prompt){
            .message_id = need_copy(message_id), .text = need_copy(words ? words : ""),
            .content = need_copy(content ? json_object_to_json_string_ext(content, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE) : "[]"),
            .user = need_copy(user ? user : "local"), .client_id = need_copy(json_get_string(item, "clientId")),
            .cause_id = need_copy(json_get_string(item, "id")),
            .names_blobs = json_get_bool(item, "namesBlobs", false)};
        *session->queue_last = prompt;
        session->queue_last = &prompt->next;
        session->queued++;
    }
    session->queue_paused = session->queued > 0;
    json_object_put(list);
}
