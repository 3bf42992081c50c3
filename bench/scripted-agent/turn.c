#define _GNU_SOURCE
#include "turn.h"
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void turn_free(struct turn *t)
{
    if (t == NULL) {
        return;
    }
    for (int i = 0; i < t->question_count; i++) {
        json_object_put(t->questions[i].options);
    }
    json_object_put(t->prompt);
    json_object_put(t->blocks);
    json_object_put(t->prefix_id);
    json_object_put(t->script);
    json_object_put(t->work);
    free(t->stream.text);
    free(t->tool.output);
    free(t->prefix);
    free(t);
}

static json_object *leave(struct turn *t)
{
    json_object *prompt = t->prompt;
    t->prompt = NULL;
    state_flush(t->session);
    t->session->turn = NULL;
    turn_free(t);
    return prompt;
}

enum progress turn_result(struct turn *t, json_object *result)
{
    struct rpc *rpc = t->session->agent->rpc;
    rpc_result(rpc, leave(t), result);
    return TURN_ENDED;
}

enum progress turn_stop(struct turn *t, const char *reason)
{
    json_object *result = json_object_new_object();
    json_object_object_add(result, "stopReason", json_object_new_string(reason));
    return turn_result(t, result);
}

enum progress turn_fail(struct turn *t, json_object *error)
{
    struct rpc *rpc = t->session->agent->rpc;
    rpc_error_object(rpc, leave(t), error);
    return TURN_ENDED;
}

enum progress turn_bad(struct turn *t, const char *problem)
{
    snprintf(t->problem, sizeof t->problem, "Bad script: %s", problem);
    return TURN_BAD;
}

bool turn_push(struct turn *t, json_object *steps, int64_t times)
{
    if (t->depth == TURN_DEPTH) {
        return false;
    }
    t->stack[t->depth++] = (struct frame){.steps = steps, .times = times};
    return true;
}

void turn_begin(struct session *s, json_object *id, json_object *blocks, const char *text,
                size_t length)
{
    struct turn *t = calloc(1, sizeof *t);
    if (t == NULL) {
        rpc_error(s->agent->rpc, id, RPC_INTERNAL_ERROR, "Out of memory");
        return;
    }
    s->turn = t;
    s->turns++;
    t->session = s;
    t->prompt = id;
    t->blocks = json_object_get(blocks);
    state_text(s, "user_message_chunk", text, length);
    t->script = json_tokener_parse(text);
    json_object *steps = NULL;
    if (json_object_is_type(t->script, json_type_array)) {
        steps = t->script;
    } else if (json_object_is_type(t->script, json_type_object)) {
        steps = rpc_member(t->script, "steps", json_type_array);
        t->message_id = rpc_member(t->script, "messageId", json_type_string);
        if (steps == NULL) {
            // A script of one step may be written as that step.
            steps = json_object_new_array();
            json_object_array_add(steps, json_object_get(t->script));
            json_object_put(t->script);
            t->script = steps;
        }
    }
    if (steps == NULL) {
        turn_text(t, "agent_message_chunk", NULL, text, length);
        turn_stop(t, "end_turn");
        return;
    }
    json_object *seed = rpc_member(t->script, "seed", json_type_int);
    generator_seed(&t->generator, seed == NULL ? 1 : (uint32_t)json_object_get_int64(seed));
    turn_push(t, steps, 1);
}

static json_object *next_step(struct turn *t)
{
    while (t->depth > 0) {
        struct frame *f = &t->stack[t->depth - 1];
        size_t count = json_object_array_length(f->steps);
        if (f->times > 0 && f->index < count) {
            return json_object_array_get_idx(f->steps, f->index++);
        }
        f->times--;
        f->index = 0;
        if (f->times <= 0 || count == 0) {
            t->depth--;
        }
    }
    return NULL;
}

static enum progress go_on(struct turn *t, int64_t now)
{
    if (t->cancelled && !t->ignore_cancel) {
        // ACP lets the client answer its open permission requests first.
        return t->question_count > 0 ? TURN_WAITS : turn_stop(t, "cancelled");
    }
    if (wire_pending(t->session->agent->wire) >= AGENT_BATCH) {
        t->wake = now;
        return TURN_WAITS;
    }
    if (t->activity != NULL) {
        enum progress progress = t->activity(t, now);
        if (progress == TURN_NEXT) {
            t->activity = NULL;
        }
        return progress;
    }
    json_object *step = next_step(t);
    return step == NULL ? turn_stop(t, "end_turn") : steps_play(t, step, now);
}

int64_t turn_run(struct session *s, int64_t now)
{
    while (s->turn != NULL) {
        s->turn->wake = INT64_MAX;
        enum progress progress = go_on(s->turn, now);
        if (progress == TURN_WAITS) {
            return s->turn->wake;
        }
        if (progress == TURN_BAD) {
            json_object *error = json_object_new_object();
            json_object_object_add(error, "code", json_object_new_int(RPC_INVALID_PARAMS));
            json_object_object_add(error, "message", json_object_new_string(s->turn->problem));
            turn_fail(s->turn, error);
        }
    }
    return INT64_MAX;
}

void turn_cancel(struct session *s)
{
    if (s->turn != NULL) {
        s->turn->cancelled = true;
    }
}

enum progress turn_ask(struct turn *t, const char *method, json_object *params,
                       json_object *options, int index)
{
    if (t->question_count == TURN_QUESTIONS) {
        json_object_put(params);
        json_object_put(options);
        return turn_bad(t, "too many open requests");
    }
    struct question *q = &t->questions[t->question_count++];
    q->options = options;
    q->index = index;
    q->number = rpc_request(t->session->agent->rpc, method, params, t->string_ids);
    return TURN_NEXT;
}

enum progress turn_wait_answers(struct turn *t, int64_t now)
{
    (void)now;
    if (t->question_count > 0) {
        return TURN_WAITS;
    }
    return t->rejected && t->end_on_reject ? turn_stop(t, "end_turn") : TURN_NEXT;
}

static bool is_rejection(json_object *options, const char *chosen)
{
    size_t count = json_object_array_length(options);
    for (size_t i = 0; i < count; i++) {
        json_object *option = json_object_array_get_idx(options, i);
        const char *id = rpc_text(option, "optionId", NULL);
        const char *kind = rpc_text(option, "kind", NULL);
        if (id != NULL && strcmp(id, chosen) == 0) {
            return kind != NULL && strncmp(kind, "reject", 6) == 0;
        }
    }
    return true;
}

static void take_permission(struct turn *t, const struct question *q, json_object *result)
{
    json_object *outcome = rpc_member(result, "outcome", json_type_object);
    const char *kind = rpc_text(outcome, "outcome", NULL);
    const char *chosen = rpc_text(outcome, "optionId", NULL);
    if (kind == NULL) {
        chosen = "error"; // an error instead of an answer
    } else if (strcmp(kind, "selected") != 0 || chosen == NULL) {
        chosen = "cancelled";
    }
    t->rejected = t->rejected || is_rejection(q->options, chosen);
    char text[256];
    if (q->index > 0) {
        snprintf(text, sizeof text, "answer:%d=%s", q->index, chosen);
    } else {
        snprintf(text, sizeof text, "answer:%s", chosen);
    }
    turn_say(t, text);
}

static void take_reply(struct turn *t, json_object *result, json_object *error)
{
    json_object *shown = json_object_get(result);
    if (error != NULL) {
        shown = json_object_new_object();
        json_object_object_add(shown, "error", json_object_get(error));
    }
    char *text = NULL;
    if (asprintf(&text, "reply:%s",
                 json_object_to_json_string_ext(shown, JSON_C_TO_STRING_PLAIN |
                                                           JSON_C_TO_STRING_NOSLASHESCAPE)) >= 0) {
        turn_say(t, text);
        free(text);
    }
    json_object_put(shown);
}

bool turn_answer(struct session *s, int64_t number, json_object *result, json_object *error)
{
    struct turn *t = s->turn;
    for (int i = 0; t != NULL && i < t->question_count; i++) {
        struct question q = t->questions[i];
        if (q.number != number) {
            continue;
        }
        t->question_count--;
        memmove(&t->questions[i], &t->questions[i + 1],
                (size_t)(t->question_count - i) * sizeof t->questions[0]);
        if (q.options != NULL) {
            take_permission(t, &q, result);
            json_object_put(q.options);
        } else {
            take_reply(t, result, error);
        }
        return true;
    }
    return false;
}
