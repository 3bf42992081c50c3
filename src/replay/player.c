#include "player.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t player_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_line(struct player *p, json_object *message)
{
    size_t length;
    const char *text;
    if (json_object_is_type(message, json_type_string)) {
        text = json_object_get_string(message);
        length = (size_t)json_object_get_string_len(message);
    } else {
        text = json_object_to_json_string_length(
            message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    }
    if (text != NULL && wire_put(p->wire, text, length) == 0) {
        wire_put(p->wire, "\n", 1);
    }
}

static void send_answer(struct player *p, struct play *play, json_object *message)
{
    json_object *result = NULL;
    if (play->opened != NULL && json_object_object_get_ex(message, "result", &result)) {
        if (!json_object_is_type(result, json_type_object)) { // ACP's examples answer null
            result = json_object_new_object();
            json_object_object_add(message, "result", result);
        }
        json_object_object_add(result, "sessionId", json_object_new_string(play->opened));
    }
    json_object_object_add(message, "id", json_object_get(play->id));
    send_line(p, message);
    play->answered = true;
}

static bool begin(struct player *p, struct segment *s, json_object *id, const char *opened)
{
    if (p->count == p->room) {
        size_t room = p->room == 0 ? 16 : p->room * 2;
        struct play *plays = realloc(p->plays, room * sizeof *plays);
        if (plays == NULL) {
            return false;
        }
        p->plays = plays;
        p->room = room;
    }
    s->used = true;
    p->plays[p->count++] = (struct play){
        .segment = s, .id = json_object_get(id), .tape_base = s->t, .real_base = player_now(), .opened = opened};
    return true;
}

void player_begin(struct player *p)
{
    begin(p, &p->tape->segments[0], NULL, NULL);
}

// What follows an answer comes at its time, but at the latest before the next request is played.
static void hurry(struct player *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct play *play = &p->plays[i];
        const struct segment *s = play->segment;
        while (play->answered && play->next < s->count) {
            const struct item *item = &s->items[play->next++];
            if (item->kind == ITEM_SEND) {
                send_line(p, item->message);
            } else if (item->kind == ITEM_END) {
                p->ended = item->message;
                return;
            }
        }
    }
}

static struct segment *find(struct player *p, const char *method, const char *session)
{
    for (size_t i = 1; i < p->tape->count; i++) {
        struct segment *s = &p->tape->segments[i];
        if (s->used || strcmp(s->method, method) != 0) {
            continue;
        }
        // Prompts go by session, so that each of several sessions has its own turns.
        if (strcmp(method, "session/prompt") != 0 ||
            (session != NULL && s->session != NULL && strcmp(session, s->session) == 0)) {
            return s;
        }
    }
    return NULL;
}

static void on_request(void *owner, const char *method, json_object *id, json_object *params)
{
    struct player *p = owner;
    struct segment *s = find(p, method, rpc_text(params, "sessionId", NULL));
    const char *opened = NULL;
    if (s == NULL && strcmp(method, "session/new") == 0) {
        // A recording of a process that went on with an earlier session: the client has none, so it begins one.
        s = find(p, "session/load", NULL);
        s = s != NULL ? s : find(p, "session/resume", NULL);
        opened = s != NULL ? s->session : NULL;
    }
    hurry(p);
    if (p->ended != NULL) {
        return;
    }
    if (s == NULL || !begin(p, s, id, opened)) {
        char text[160];
        snprintf(text, sizeof text, "The transcript has no further %.100s", method);
        rpc_error(p->rpc, json_object_get(id), RPC_METHOD_NOT_FOUND, text);
    }
}

static void on_notification(void *owner, const char *method, json_object *params)
{
    struct player *p = owner;
    const char *session = rpc_text(params, "sessionId", NULL);
    if (strcmp(method, "session/cancel") != 0 || session == NULL) {
        return;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct play *play = &p->plays[i];
        const char *own = play->segment->session;
        if (strcmp(play->segment->method, "session/prompt") == 0 && !play->answered &&
            own != NULL && strcmp(own, session) == 0) {
            play->cancelled = true;
        }
    }
}

static void on_response(void *owner, json_object *id, json_object *result, json_object *error)
{
    (void)result; // the tape goes on as recorded, whatever the answer is
    (void)error;
    struct player *p = owner;
    for (size_t i = 0; i < p->count; i++) {
        struct segment *s = p->plays[i].segment;
        for (size_t k = p->plays[i].next; k < s->count; k++) {
            struct item *item = &s->items[k];
            if (item->kind == ITEM_WAIT_ANSWER && item->message != NULL &&
                rpc_same_id(item->message, id)) {
                json_object_put(item->message);
                item->message = NULL; // no longer to be waited for
                return;
            }
        }
    }
}

const struct rpc_handler player_handler = {
    .request = on_request, .notification = on_notification, .response = on_response};

static bool cancel_is_ahead(const struct play *play)
{
    for (size_t i = play->next; i < play->segment->count; i++) {
        if (play->segment->items[i].kind == ITEM_WAIT_CANCEL) {
            return true;
        }
    }
    return false;
}

static void answer_cancelled(struct player *p, struct play *play)
{
    json_object *result = json_object_new_object();
    json_object_object_add(result, "stopReason", json_object_new_string("cancelled"));
    rpc_result(p->rpc, json_object_get(play->id), result);
    play->answered = true;
    play->next = play->segment->count;
}

// Returns when the play goes on: a time, or INT64_MAX when it waits for the client or is over.
static int64_t run(struct player *p, struct play *play, int64_t now)
{
    struct segment *s = play->segment;
    while (play->next < s->count) {
        struct item *item = &s->items[play->next];
        if (item->kind == ITEM_WAIT_ANSWER || item->kind == ITEM_WAIT_CANCEL) {
            if (item->kind == ITEM_WAIT_ANSWER ? item->message != NULL : !play->cancelled) {
                return INT64_MAX;
            }
            if (item->kind == ITEM_WAIT_CANCEL) {
                play->cancel_played = true;
            }
            play->tape_base = item->t;
            play->real_base = now;
            play->next++;
            continue;
        }
        if (p->speed > 0) {
            int64_t due =
                play->real_base + (int64_t)((double)(item->t - play->tape_base) / p->speed);
            if (due > now) {
                return due;
            }
        }
        play->next++;
        if (item->kind == ITEM_END) {
            p->ended = item->message;
            return INT64_MAX;
        }
        if (item->kind == ITEM_ANSWER) {
            send_answer(p, play, item->message);
        } else if (play->opened == NULL || play->answered) { // what a load says again is not of a new session
            send_line(p, item->message);
        }
    }
    return INT64_MAX;
}

int64_t player_run(struct player *p, int64_t now)
{
    int64_t wake = INT64_MAX;
    for (size_t i = 0; i < p->count && p->ended == NULL; i++) {
        struct play *play = &p->plays[i];
        if (play->cancelled && !play->cancel_played && !play->answered && !cancel_is_ahead(play)) {
            answer_cancelled(p, play);
        }
        int64_t next = run(p, play, now);
        wake = next < wake ? next : wake;
    }
    return wake;
}

void player_release(struct player *p)
{
    for (size_t i = 0; i < p->count; i++) {
        json_object_put(p->plays[i].id);
    }
    free(p->plays);
}
