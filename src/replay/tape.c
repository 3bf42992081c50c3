#define _GNU_SOURCE
#include "tape.h"

#include "shell/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_DEPTH_MAX = 4096 };

static struct segment *add_segment(struct tape *tape)
{
    if (tape->count == tape->room) {
        size_t room = tape->room == 0 ? 64 : tape->room * 2;
        struct segment *segments = realloc(tape->segments, room * sizeof *segments);
        if (segments == NULL) {
            return NULL;
        }
        tape->segments = segments;
        tape->room = room;
    }
    tape->segments[tape->count] = (struct segment){.method = ""};
    return &tape->segments[tape->count++];
}

static bool add_item(struct segment *s, enum item_kind kind, int64_t t, json_object *message)
{
    if (s->count == s->room) {
        size_t room = s->room == 0 ? 16 : s->room * 2;
        struct item *items = realloc(s->items, room * sizeof *items);
        if (items == NULL) {
            return false;
        }
        s->items = items;
        s->room = room;
    }
    s->items[s->count++] = (struct item){.kind = kind, .t = t, .message = json_object_get(message)};
    return true;
}

static bool is_prompt(const struct segment *s)
{
    return strcmp(s->method, "session/prompt") == 0;
}

// The oldest prompt of the session that is not answered yet: where prompts overlap, everything goes
// to the earlier one until its answer.
static struct segment *open_prompt(struct tape *tape, const char *session)
{
    for (size_t i = 0; i < tape->count && session != NULL; i++) {
        struct segment *s = &tape->segments[i];
        if (is_prompt(s) && !s->answered && s->session != NULL &&
            strcmp(s->session, session) == 0) {
            return s;
        }
    }
    return NULL;
}

// What the agent said by itself: it belongs to the session's open prompt, else to the request that
// is open, else to what was asked last: of this session, if it can be told, or of any.
static struct segment *place(struct tape *tape, const char *session)
{
    struct segment *found = open_prompt(tape, session);
    for (size_t i = tape->count; i-- > 1 && found == NULL;) {
        struct segment *s = &tape->segments[i];
        found = !s->answered && !is_prompt(s) ? s : NULL;
    }
    for (size_t i = tape->count; i-- > 1 && found == NULL && session != NULL;) {
        struct segment *s = &tape->segments[i];
        found = s->session != NULL && strcmp(s->session, session) == 0 ? s : NULL;
    }
    return found != NULL ? found : &tape->segments[tape->count - 1];
}

static bool take_out(struct tape *tape, int64_t t, json_object *message)
{
    const char *method = rpc_text(message, "method", NULL);
    json_object *params = rpc_member(message, "params", json_type_object);
    const char *session = rpc_text(params, "sessionId", NULL);
    json_object *id = NULL;
    bool has_id = json_object_object_get_ex(message, "id", &id);
    if (method != NULL && has_id) {
        struct segment *s = add_segment(tape);
        if (s == NULL) {
            return false;
        }
        s->method = method;
        s->session = session;
        s->request = json_object_get(message);
        s->t = t;
        return true;
    }
    if (method != NULL) {
        struct segment *s = open_prompt(tape, session);
        return strcmp(method, "session/cancel") != 0 || s == NULL ||
               add_item(s, ITEM_WAIT_CANCEL, t, NULL);
    }
    for (size_t i = tape->count; i-- > 0;) {
        struct segment *s = &tape->segments[i];
        for (size_t k = s->count; k-- > 0;) {
            json_object *asked = NULL;
            if (s->items[k].kind == ITEM_SEND &&
                json_object_object_get_ex(s->items[k].message, "id", &asked) &&
                rpc_same_id(asked, id)) {
                return add_item(s, ITEM_WAIT_ANSWER, t, id);
            }
        }
    }
    return true;
}

static bool take_in(struct tape *tape, int64_t t, json_object *message)
{
    json_object *params = rpc_member(message, "params", json_type_object);
    json_object *id = NULL;
    if (rpc_text(message, "method", NULL) != NULL) {
        return add_item(place(tape, rpc_text(params, "sessionId", NULL)), ITEM_SEND, t, message);
    }
    json_object_object_get_ex(message, "id", &id);
    for (size_t i = 1; i < tape->count; i++) {
        struct segment *s = &tape->segments[i];
        json_object *asked = NULL;
        json_object_object_get_ex(s->request, "id", &asked);
        if (!s->answered && rpc_same_id(asked, id)) {
            const char *made =
                rpc_text(rpc_member(message, "result", json_type_object), "sessionId", NULL);
            s->answered = true;
            s->session = made != NULL ? made : s->session; // session/new and its like
            return add_item(s, ITEM_ANSWER, t, message);
        }
    }
    // An answer to nothing, as the one to a line that was not JSON.
    return add_item(place(tape, NULL), ITEM_SEND, t, message);
}

// A line of the agent that was no JSON is played as it was: its text.
static bool take_text(struct tape *tape, int64_t t, json_object *text)
{
    return add_item(place(tape, NULL), ITEM_SEND, t, text);
}

// The end of a process of the agent that nobody had asked for. One that died in a turn did so before its answer.
static bool take_note(struct tape *tape, int64_t t, json_object *line)
{
    json_object *ended = rpc_member(line, "ended", json_type_object);
    bool by_itself = rpc_member(ended, "exitStatus", json_type_int) != NULL ||
                     rpc_member(ended, "signal", json_type_int) != NULL;
    if (!by_itself) {
        return true;
    }
    struct segment *s = NULL;
    for (size_t i = 1; i < tape->count && s == NULL; i++) {
        s = is_prompt(&tape->segments[i]) && !tape->segments[i].answered ? &tape->segments[i] : NULL;
    }
    return add_item(s != NULL ? s : place(tape, NULL), ITEM_END, t, ended);
}

// False where the line is none of a transcript's. What else a wire log holds (notes, stderr) is no message.
static bool take_line(struct tape *tape, json_object *line)
{
    const char *direction = rpc_text(line, "dir", NULL);
    json_object *message = NULL;
    json_object *time = NULL;
    if (direction == NULL) {
        return false;
    }
    json_object_object_get_ex(line, "t", &time);
    int64_t t = json_object_get_int64(time);
    bool out = strcmp(direction, "out") == 0;
    if (!out && strcmp(direction, "in") != 0) {
        return strcmp(direction, "note") != 0 || take_note(tape, t, line);
    }
    if (json_object_object_get_ex(line, "msg", &message)) {
        bool is_object = json_object_is_type(message, json_type_object);
        return !is_object || (out ? take_out(tape, t, message) : take_in(tape, t, message));
    }
    json_object *text = rpc_member(line, "text", json_type_string);
    return text != NULL && (out || take_text(tape, t, text));
}

/* What an agent may nest is more than json-c takes by itself. NULL: it is no JSON, or there is no memory. */
static json_object *parse(const char *text, size_t length)
{
    json_tokener *tokener = json_tokener_new_ex(LINE_DEPTH_MAX);
    json_object *line = tokener != NULL ? json_tokener_parse_ex(tokener, text, (int)length) : NULL;
    json_tokener_free(tokener);
    return line;
}

static int read_file(struct tape *tape, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int number = 0;
    bool good = true;
    while (good && (length = getline(&text, &room, file)) > 0) {
        number++;
        json_object *line = parse(text, (size_t)length);
        good = take_line(tape, line);
        json_object_put(line);
        if (!good && number > 1 && text[length - 1] != '\n') {
            fprintf(stderr, "%s: line %d breaks off and is left out\n", path, number);
            good = true;
        }
    }
    if (!good) {
        fprintf(stderr, "%s: line %d: not a line of a transcript\n", path, number);
    } else if (ferror(file)) {
        perror(path);
        good = false;
    }
    free(text);
    fclose(file);
    return good ? 0 : -1;
}

int tape_read(struct tape *tape, char *const *paths, int count)
{
    *tape = (struct tape){0};
    int failed = add_segment(tape) == NULL ? -1 : 0;
    for (int i = 0; failed == 0 && i < count; i++) {
        failed = read_file(tape, paths[i]);
    }
    if (failed != 0) {
        tape_free(tape);
    }
    return failed;
}

void tape_free(struct tape *tape)
{
    for (size_t i = 0; i < tape->count; i++) {
        struct segment *s = &tape->segments[i];
        for (size_t k = 0; k < s->count; k++) {
            json_object_put(s->items[k].message);
        }
        free(s->items);
        json_object_put(s->request);
    }
    free(tape->segments);
    *tape = (struct tape){0};
}
