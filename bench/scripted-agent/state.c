#define _GNU_SOURCE
#include "state.h"

#include <stdlib.h>
#include <string.h>

static void write_line(const struct session *s, const char *key, json_object *value)
{
    json_object *line = json_object_new_object();
    json_object_object_add(line, "session", json_object_new_string(s->id));
    json_object_object_add(line, key, value);
    FILE *file = fopen(s->agent->options->state, "ae");
    if (file == NULL ||
        fprintf(file, "%s\n", json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN)) < 0) {
        perror(s->agent->options->state);
    }
    if (file != NULL) {
        fclose(file);
    }
    json_object_put(line);
}

void state_new_session(struct session *s, const char *cwd)
{
    if (s->agent->options->state != NULL) {
        write_line(s, "cwd", json_object_new_string(cwd));
    }
}

void state_flush(struct session *s)
{
    if (s->record_kind != NULL) {
        json_object *update = agent_new_update(s->record_kind);
        json_object_object_add(update, "content", agent_text_block(s->record, s->record_length));
        write_line(s, "update", update);
        s->record_kind = NULL;
        s->record_length = 0;
    }
}

void state_text(struct session *s, const char *kind, const char *text, size_t length)
{
    if (s->agent->options->state == NULL) {
        return;
    }
    if (s->record_kind == NULL || strcmp(s->record_kind, kind) != 0) {
        state_flush(s);
        s->record_kind = kind;
    }
    if (s->record_room - s->record_length < length) {
        size_t room = (s->record_length + length) * 2;
        char *record = realloc(s->record, room);
        if (record == NULL) {
            perror("signalbox-scripted-agent");
            return;
        }
        s->record = record;
        s->record_room = room;
    }
    if (length > 0) {
        memcpy(s->record + s->record_length, text, length);
        s->record_length += length;
    }
}

void state_update(struct session *s, json_object *update)
{
    const char *kind = rpc_text(update, "sessionUpdate", NULL);
    const char *status = rpc_text(update, "status", NULL);
    if (s->agent->options->state == NULL || kind == NULL) {
        return;
    }
    bool final =
        status != NULL && (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0);
    if (strcmp(kind, "tool_call") == 0 || strcmp(kind, "plan") == 0 ||
        (strcmp(kind, "tool_call_update") == 0 && final)) {
        state_flush(s);
        write_line(s, "update", json_object_get(update));
    }
}

static void each_line(const struct options *o, void (*take)(void *, json_object *), void *owner)
{
    FILE *file = o->state == NULL ? NULL : fopen(o->state, "re");
    if (file == NULL) {
        return;
    }
    char *text = NULL;
    size_t room = 0;
    while (getline(&text, &room, file) > 0) {
        json_object *line = json_tokener_parse(text);
        if (line != NULL) {
            take(owner, line);
            json_object_put(line);
        }
    }
    free(text);
    fclose(file);
}

struct replay {
    const char *session;
    bool found;
    void (*take)(void *owner, json_object *update);
    void *owner;
};

static void replay_line(void *owner, json_object *line)
{
    struct replay *r = owner;
    const char *session = rpc_text(line, "session", NULL);
    if (session == NULL || strcmp(session, r->session) != 0) {
        return;
    }
    r->found = true;
    json_object *update = rpc_member(line, "update", json_type_object);
    if (update != NULL && r->take != NULL) {
        r->take(r->owner, update);
    }
}

bool state_replay(const struct options *o, const char *session,
                  void (*take)(void *owner, json_object *update), void *owner)
{
    struct replay r = {.session = session, .take = take, .owner = owner};
    each_line(o, replay_line, &r);
    return r.found;
}

static void list_line(void *owner, json_object *line)
{
    const char *cwd = rpc_text(line, "cwd", NULL);
    const char *session = rpc_text(line, "session", NULL);
    if (cwd != NULL && session != NULL) {
        json_object *info = json_object_new_object();
        json_object_object_add(info, "sessionId", json_object_new_string(session));
        json_object_object_add(info, "cwd", json_object_new_string(cwd));
        json_object_array_add(owner, info);
    }
}

json_object *state_list(const struct options *o)
{
    json_object *list = json_object_new_array();
    each_line(o, list_line, list);
    return list;
}
