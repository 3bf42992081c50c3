/*
 * craft's clients speak what the native protocol was made from: their messages are native ones, and so are their events.
 * What is theirs is that `subscribe` means live only, that what waits then is said once more, and the paths under /api
 * (src/role/http_craft.c), whose bodies are made here.
 */
#include "signalbox/core/craft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dialect_internal.h"

const struct dialect dialect_craft = {
    .name = "craft", .subprotocol = "craft.v1", .path = "/ws", .native = true};

/* ---- Sessions ---- */

static bool is_working(const char *phase)
{
    return !strcmp(phase, "running") || !strcmp(phase, "waiting");
}

void craft_session_open(struct buffer *out, struct json_object *session)
{
    static const char *const modes[][2] = {
        {"ask", "ask"}, {"read-only", "safe"}, {"trust", "allow-all"}};
    const char *workspace = dialect_text(session, "workspace");
    const char *slash = strrchr(workspace, '/');
    const char *title = dialect_text(session, "title"), *policy = dialect_text(session, "policy");
    buffer_byte(out, '{');
    dialect_copy(out, "id", session, "sessionId");
    dialect_copy(out, "sessionId", session, "sessionId");
    json_field_string(out, "workspaceId", workspace);
    json_field_string(out, "workspaceName", slash && slash[1] ? slash + 1 : workspace);
    json_field_string(out, "workingDirectory", workspace);
    json_field_string(out, "name", *title ? title : NULL);
    dialect_copy(out, "agent", session, "agent");
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        json_field_string(out, "permissionMode", strcmp(policy, modes[i][0]) ? NULL : modes[i][1]);
    }
    json_field_object(out, "createdAt", json_get(session, "createdAt"));
    json_field_i64(out, "lastMessageAt", dialect_number(session, "updatedAt", 0));
    json_field_bool(out, "isProcessing", is_working(dialect_text(session, "phase")));
    dialect_copy(out, "phase", session, "phase");
    json_key(out, "messages");
    buffer_byte(out, '[');
}

/* ---- Messages ---- */

/*
 * A message is written when it is whole, but a call is whole only when it ends, and stands where it began. So what comes behind an
 * open call is held. `held` is what waits, in its order: each a call that is open, or the messages behind one.
 */
struct held {
    struct held *next;
    char *tool;          /* the toolUseId of a call that is open; NULL: `text` is all that there is */
    struct buffer text;
};

struct craft_reader {
    struct json_object *tools; /* that are open: their starts, with what changed since, by toolUseId */
    struct held *first, **last;
    size_t bytes; /* that are held */
    bool any;
};

/* More is not held: then a call stands where it ends. */
enum { HELD_MAX = 4 * 1024 * 1024 };

enum err craft_reader_new(struct craft_reader **out)
{
    struct craft_reader *reader = calloc(1, sizeof(*reader));
    if (!reader || !(reader->tools = json_object_new_object())) {
        free(reader);
        return ERR_NOMEM;
    }
    reader->last = &reader->first;
    *out = reader;
    return ERR_OK;
}

static void drop_first(struct craft_reader *reader)
{
    struct held *held = reader->first;
    reader->first = held->next;
    if (!held->next) {
        reader->last = &reader->first;
    }
    reader->bytes -= held->text.length;
    free(held->tool);
    buffer_free(&held->text);
    free(held);
}

void craft_reader_free(struct craft_reader *reader)
{
    if (reader) {
        while (reader->first) {
            drop_first(reader);
        }
        json_object_put(reader->tools);
        free(reader);
    }
}

/* Writes messages that are whole, each with its comma in front. */
static void put_whole(struct craft_reader *reader, struct buffer *out, const struct buffer *text)
{
    out->failed |= text->failed;
    if (text->length) {
        size_t skipped = !reader->any;
        buffer_append(out, text->data + skipped, text->length - skipped);
        reader->any = true;
    }
}

/* Everything up to the first call that is open; or, if that is too much, everything. */
static void put_held(struct craft_reader *reader, struct buffer *out)
{
    bool all = reader->bytes > HELD_MAX;
    while (reader->first && (all || !reader->first->tool)) {
        put_whole(reader, out, &reader->first->text);
        drop_first(reader);
    }
}

/* A place behind all others. NULL: out of memory. */
static struct held *hold(struct craft_reader *reader, const char *tool)
{
    struct held *held = calloc(1, sizeof(*held));
    if (!held || (tool && !(held->tool = strdup(tool)))) {
        free(held);
        return NULL;
    }
    *reader->last = held;
    reader->last = &held->next;
    return held;
}

/* Takes the messages in `text`. */
static enum err put_message(struct craft_reader *reader, struct buffer *out, struct buffer *text)
{
    if (!reader->first) {
        put_whole(reader, out, text);
        buffer_free(text);
        return ERR_OK;
    }
    struct held *last = reader->first;
    while (last->next) {
        last = last->next;
    }
    if (last->tool && !(last = hold(reader, NULL))) {
        buffer_free(text);
        return ERR_NOMEM;
    }
    buffer_append(&last->text, text->data, text->length);
    last->text.failed |= text->failed;
    reader->bytes += text->length;
    buffer_free(text);
    put_held(reader, out);
    return ERR_OK;
}

static void message_open(struct buffer *out, struct json_object *event, struct json_object *refs, const char *id,
                         const char *role)
{
    buffer_text(out, ",{");
    json_field_string(out, "id", id);
    json_field_string(out, "role", role);
    json_field_i64(out, "createdAt", dialect_number(event, "ts", 0));
    json_field_i64(out, "timestamp", dialect_number(event, "ts", 0));
    json_field_i64(out, "seq", dialect_number(event, "seq", 0));
    dialect_copy(out, "turnId", event, "turnId");
    json_field_object(out, "refs", refs);
}

static void put_tool(struct buffer *out, struct json_object *start, struct json_object *result)
{
    bool failed = json_get_bool(result, "isError", false);
    message_open(out, start, json_get(result ? result : start, "refs"), dialect_text(start, "toolUseId"), "tool");
    dialect_copy(out, "toolUseId", start, "toolUseId");
    dialect_copy(out, "toolName", start, "toolName");
    json_field_object(out, "toolInput", json_get(start, "toolInput"));
    dialect_copy(out, "toolIntent", start, "toolIntent");
    dialect_copy(out, "toolDisplayName", start, "toolDisplayName");
    json_field_string(out, "toolStatus", !result ? "executing" : failed ? "error" : "completed");
    if (json_get(result, "result")) {
        dialect_copy(out, "content", result, "result");
    } else {
        json_field_string(out, "content", "");
    }
    if (result) {
        dialect_copy(out, "toolResult", result, "result");
        json_field_bool(out, "isError", failed);
    }
    json_field_object(out, "acpContent", json_get(result, "content"));
    buffer_byte(out, '}');
}

/* The call is over: its place is filled, or, where it has none any more, it gets one here. */
static enum err end_tool(struct craft_reader *reader, struct buffer *out, const char *id, struct buffer *text)
{
    struct held *held = reader->first;
    while (held && !(held->tool && !strcmp(held->tool, id))) {
        held = held->next;
    }
    if (!held) {
        return put_message(reader, out, text);
    }
    free(held->tool);
    held->tool = NULL;
    held->text = *text;
    reader->bytes += text->length;
    *text = (struct buffer){0};
    put_held(reader, out);
    return ERR_OK;
}

static enum err tool(struct craft_reader *reader, struct buffer *out, struct json_object *event,
                     const char *type)
{
    const char *id = dialect_text(event, "toolUseId");
    struct json_object *start = json_get(reader->tools, id);
    if (!strcmp(type, "tool_start")) {
        bool failed = json_object_object_add(reader->tools, id, json_object_get(event)) || !hold(reader, id);
        return failed ? ERR_NOMEM : ERR_OK;
    }
    if (!strcmp(type, "tool_update")) {
        struct json_object *input = json_get(event, "toolInput");
        bool failed = start && input &&
                      json_object_object_add(start, "toolInput", json_object_get(input));
        return failed ? ERR_NOMEM : ERR_OK;
    }
    struct buffer text = {0};
    put_tool(&text, start ? start : event, event);
    enum err err = end_tool(reader, out, id, &text);
    json_object_object_del(reader->tools, id);
    return err;
}

static void plan(struct buffer *out, struct json_object *event)
{
    struct json_object *entries = json_get(event, "entries");
    size_t count = json_object_is_type(entries, json_type_array) ? json_object_array_length(entries) : 0;
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        bool done = !strcmp(dialect_text(entry, "status"), "completed");
        buffer_format(&text, "%s- [%c] ", i ? "\n" : "", done ? 'x' : ' ');
        buffer_text(&text, dialect_text(entry, "content"));
    }
    char id[40];
    snprintf(id, sizeof(id), "plan-%lld", (long long)dialect_number(event, "seq", 0));
    message_open(out, event, json_get(event, "refs"), id, "plan");
    json_field_text(out, "content", text.data, text.length);
    json_field_object(out, "entries", entries);
    buffer_byte(out, '}');
    out->failed |= text.failed;
    buffer_free(&text);
}

static void error(struct buffer *out, struct json_object *event)
{
    char id[40];
    snprintf(id, sizeof(id), "error-%lld", (long long)dialect_number(event, "seq", 0));
    message_open(out, event, json_get(event, "refs"), id, "error");
    dialect_copy(out, "content", event, "error");
    dialect_copy(out, "errorCode", event, "code");
    buffer_byte(out, '}');
}

static void assistant(struct buffer *out, struct json_object *event, bool over)
{
    message_open(out, event, json_get(event, "refs"), dialect_text(event, "messageId"), "assistant");
    dialect_copy(out, "content", event, over ? "text" : "delta");
    json_field_bool(out, over ? "isIntermediate" : "isStreaming",
                    !over || json_get_bool(event, "isIntermediate", false));
    buffer_byte(out, '}');
}

static void user(struct buffer *out, struct json_object *event)
{
    const char *status = dialect_text(event, "status");
    if (strcmp(status, "withdrawn")) {
        message_open(out, event, json_get(event, "refs"), dialect_text(event, "messageId"), "user");
        dialect_copy(out, "content", event, "text");
        json_field_bool(out, "isQueued", !strcmp(status, "queued"));
        buffer_byte(out, '}');
    }
}

enum err craft_read(struct craft_reader *reader, struct buffer *out, struct json_object *event)
{
    const char *type = dialect_text(event, "type");
    struct buffer text = {0};
    if (!strcmp(type, "tool_start") || !strcmp(type, "tool_update") || !strcmp(type, "tool_result")) {
        return tool(reader, out, event, type);
    }
    if (!strcmp(type, "text_complete") || !strcmp(type, "text_delta")) {
        assistant(&text, event, !strcmp(type, "text_complete"));
    } else if (!strcmp(type, "user_message")) {
        user(&text, event);
    } else if (!strcmp(type, "plan")) {
        plan(&text, event);
    } else if (!strcmp(type, "error")) {
        error(&text, event);
    }
    return put_message(reader, out, &text);
}

void craft_read_end(struct craft_reader *reader, struct buffer *out)
{
    while (reader->first) {
        struct held *held = reader->first;
        struct json_object *start = held->tool ? json_get(reader->tools, held->tool) : NULL;
        if (start) {
            put_tool(&held->text, start, NULL);
            reader->bytes += held->text.length;
            json_object_object_del(reader->tools, held->tool);
        }
        put_whole(reader, out, &held->text);
        drop_first(reader);
    }
    json_object_object_foreach(reader->tools, id, start)
    {
        (void)id;
        struct buffer text = {0};
        put_tool(&text, start, NULL); /* its place was given up */
        put_whole(reader, out, &text);
        buffer_free(&text);
    }
}

void craft_pending(struct json_object *subscribed,
                   void (*put)(void *context, const struct buffer *text), void *context)
{
    struct json_object *pending = json_get(subscribed, "pending");
    size_t count = json_object_is_type(pending, json_type_array) ? json_object_array_length(pending) : 0;
    struct buffer text = {0};
    for (size_t i = 0; i < count; i++) {
        buffer_reset(&text);
        buffer_text(&text, "{\"type\":\"permission_request\"");
        dialect_copy(&text, "sessionId", subscribed, "sessionId");
        json_field_object(&text, "request", json_object_array_get_idx(pending, i));
        buffer_byte(&text, '}');
        put(context, &text);
    }
    buffer_free(&text);
}
