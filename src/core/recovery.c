#include "signalbox/core/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_shape.h"
#include "core/cut.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

/* Something open: a message, a tool call, a permission request. */
struct open_item {
    struct open_item *next;
    char *id, *turn_id, *name, *parent;
    struct buffer text; /* of a message, the output of a tool, or the request as it was shown */
    bool thought;
    uint64_t began; /* the number of the event that began a message */
    /* of a tool: what its updates said last, for a result replaces all of it */
    struct json_object *content, *raw_output, *refs; /* the last: those into the others, an array */
};

static const char *const result_fields[] = {"content", "rawOutput"};

struct recovery {
    char *session_id;
    char *turn_id; /* of the open turn; NULL for none */
    int64_t turn_ts;
    const char *damage; /* why the session is set apart; NULL: it is not */
    struct open_item *messages, *tools, *permissions;
};

enum err recovery_new(struct recovery **out, const char *session_id)
{
    struct recovery *recovery = calloc(1, sizeof(*recovery));
    if (recovery) {
        recovery->session_id = strdup(session_id);
    }
    if (!recovery || !recovery->session_id) {
        recovery_free(recovery);
        return ERR_NOMEM;
    }
    *out = recovery;
    return ERR_OK;
}

static void item_free(struct open_item *item)
{
    free(item->id);
    free(item->turn_id);
    free(item->name);
    free(item->parent);
    buffer_free(&item->text);
    json_object_put(item->content);
    json_object_put(item->raw_output);
    json_object_put(item->refs);
    free(item);
}

static void list_free(struct open_item **list)
{
    while (*list) {
        struct open_item *item = *list;
        *list = item->next;
        item_free(item);
    }
}

void recovery_free(struct recovery *recovery)
{
    if (recovery) {
        list_free(&recovery->messages);
        list_free(&recovery->tools);
        list_free(&recovery->permissions);
        free(recovery->session_id);
        free(recovery->turn_id);
        free(recovery);
    }
}

static struct open_item **find(struct open_item **list, const char *id)
{
    while (*list && strcmp((*list)->id, id)) {
        list = &(*list)->next;
    }
    return list;
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* The item of this id, made at the end of the list if it is not there. NULL when out of memory. */
static struct open_item *open_item(struct open_item **list, const char *id, struct json_object *event)
{
    struct open_item **at = find(list, id);
    if (!*at) {
        struct open_item *item = calloc(1, sizeof(*item));
        if (!item) {
            return NULL;
        }
        item->id = strdup(id);
        item->turn_id = copy(json_get_string(event, "turnId"));
        item->name = copy(json_get_string(event, "toolName"));
        item->parent = copy(json_get_string(event, "parentToolUseId"));
        int64_t began;
        if (json_get_i64(event, "began", &began) || json_get_i64(event, "seq", &began)) {
            item->began = began > 0 ? (uint64_t)began : 0;
        }
        if (!item->id) {
            item_free(item);
            return NULL;
        }
        *at = item;
    }
    return *at;
}

static void close_item(struct open_item **list, const char *id)
{
    struct open_item **at = id ? find(list, id) : NULL;
    if (at && *at) {
        struct open_item *item = *at;
        *at = item->next;
        item_free(item);
    }
}

static enum err read_delta(struct open_item **list, const char *id, struct json_object *event, bool thought)
{
    if (!id) {
        return ERR_OK;
    }
    struct open_item *item = open_item(list, id, event);
    size_t length = 0;
    const char *delta = json_get_text(event, "delta", &length);
    if (item && delta) {
        item->thought = thought;
        buffer_append(&item->text, delta, length);
    }
    return item && buffer_ok(&item->text) ? ERR_OK : ERR_NOMEM;
}

/* The field that a reference's path begins with, if a result may have it; else NULL. */
static const char *field_of(struct json_object *ref)
{
    const char *path = json_get_string(ref, "path");
    for (size_t i = 0; path && path[0] == '/' && i < array_size(result_fields); i++) {
        size_t length = strlen(result_fields[i]);
        if (!strncmp(path + 1, result_fields[i], length) && (path[1 + length] == '/' || path[1 + length] == '\0')) {
            return result_fields[i];
        }
    }
    return NULL;
}

/* Adds those of `refs` to the array whose field is one (`wanted`), or is none, that the event has. */
static enum err add_refs(struct json_object *to, struct json_object *refs, struct json_object *event, bool wanted)
{
    size_t count = json_object_is_type(refs, json_type_array) ? json_object_array_length(refs) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *ref = json_object_array_get_idx(refs, i);
        const char *field = field_of(ref);
        if (field && (json_get(event, field) != NULL) == wanted) {
            if (json_object_array_add(to, json_object_get(ref)) != 0) {
                json_object_put(ref);
                return ERR_NOMEM;
            }
        }
    }
    return ERR_OK;
}

static void replace(struct json_object **field, struct json_object *value)
{
    if (value) {
        json_object_put(*field);
        *field = json_object_get(value);
    }
}

static enum err read_update(struct open_item *item, struct json_object *event)
{
    struct json_object *content = json_get(event, "content");
    struct json_object *refs = json_object_new_array();
    enum err err = refs ? add_refs(refs, item->refs, event, false) : ERR_NOMEM;
    if (!err) {
        err = add_refs(refs, json_get(event, "refs"), event, true);
    }
    if (err) {
        json_object_put(refs);
        return err;
    }
    json_object_put(item->refs);
    item->refs = refs;
    replace(&item->content, json_object_is_type(content, json_type_array) ? content : NULL);
    replace(&item->raw_output, json_get(event, "rawOutput"));
    return ERR_OK;
}

static enum err read_turn(struct recovery *recovery, struct json_object *event)
{
    const char *id = json_get_string(event, "turnId");
    if (!id) {
        return ERR_CORRUPT;
    }
    free(recovery->turn_id);
    recovery->turn_id = copy(id);
    if (!json_get_i64(event, "ts", &recovery->turn_ts)) {
        recovery->turn_ts = 0;
    }
    return recovery->turn_id ? ERR_OK : ERR_NOMEM;
}

enum err recovery_read(struct recovery *recovery, struct json_object *event)
{
    const char *type = json_get_string(event, "type");
    const char *message_id = json_get_string(event, "messageId");
    const char *tool = json_get_string(event, "toolUseId");
    if (!type) {
        return ERR_CORRUPT;
    }
    switch (event_kind_of(type)) {
    case EVENT_TURN_STARTED:
        return read_turn(recovery, event);
    case EVENT_COMPLETE:
        free(recovery->turn_id);
        recovery->turn_id = NULL;
        return ERR_OK;
    case EVENT_TEXT_DELTA:
        return read_delta(&recovery->messages, message_id, event, false);
    case EVENT_THOUGHT_DELTA:
        return read_delta(&recovery->messages, message_id, event, true);
    case EVENT_TEXT_COMPLETE:
    case EVENT_THOUGHT_COMPLETE:
        close_item(&recovery->messages, message_id);
        return ERR_OK;
    case EVENT_TOOL_START:
        return tool && !open_item(&recovery->tools, tool, event) ? ERR_NOMEM : ERR_OK;
    case EVENT_TOOL_OUTPUT:
        /* Only of an open call: what comes behind its result does not open it again. */
        return tool && *find(&recovery->tools, tool) ? read_delta(&recovery->tools, tool, event, false) : ERR_OK;
    case EVENT_TOOL_UPDATE: {
        struct open_item *item = tool ? *find(&recovery->tools, tool) : NULL;
        return item ? read_update(item, event) : ERR_OK;
    }
    case EVENT_TOOL_RESULT:
        close_item(&recovery->tools, tool);
        return ERR_OK;
    case EVENT_PERMISSION_REQUEST: {
        struct json_object *request = json_get(event, "request");
        const char *id = json_get_string(request, "requestId");
        struct open_item *item = id ? open_item(&recovery->permissions, id, event) : NULL;
        if (item) {
            buffer_reset(&item->text);
            json_put_object(&item->text, request);
        }
        return !id || (item && buffer_ok(&item->text)) ? ERR_OK : ERR_NOMEM;
    }
    case EVENT_PERMISSION_RESOLVED:
    case EVENT_PERMISSION_TIMEOUT:
    case EVENT_PERMISSION_CANCELLED:
        close_item(&recovery->permissions, json_get_string(event, "requestId"));
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

void recovery_set_apart(struct recovery *recovery, const char *detail)
{
    recovery->damage = detail;
}

enum err recovery_permissions(const struct recovery *recovery,
                              enum err (*visit)(void *context, const char *request_id, const char *request), void *context)
{
    for (struct open_item *item = recovery->permissions; item; item = item->next) {
        buffer_byte(&item->text, '\0');
        enum err err = buffer_ok(&item->text) ? visit(context, item->id, item->text.data) : ERR_NOMEM;
        if (err) {
            return err;
        }
        item->text.length--; /* what was there before */
    }
    return ERR_OK;
}

/* ---- Ending ---- */

struct ending {
    struct recovery *recovery;
    int64_t wall_ms;
    size_t max_event_bytes;
    const struct recovery_sink *sink;
    struct buffer text;
};

static enum err emit_blobs(struct ending *ending, struct blob *blobs)
{
    enum err err = ERR_OK;
    while (blobs) {
        struct blob *blob = blobs;
        blobs = blob->next;
        blob->next = NULL;
        if (err) {
            blobs_free(blob);
        } else {
            err = ending->sink->blob(ending->sink->context, blob);
        }
    }
    return err;
}

static enum err emit(struct ending *ending, enum event_kind kind, uint64_t began)
{
    struct event event;
    enum err err = event_close(&ending->text, kind, ending->wall_ms, &event);
    if (err) {
        return err;
    }
    event.began = began;
    return ending->sink->event(ending->sink->context, &event);
}

static enum err end_message(struct ending *ending, const struct open_item *item)
{
    enum event_kind kind = item->thought ? EVENT_THOUGHT_COMPLETE : EVENT_TEXT_COMPLETE;
    event_open(&ending->text, kind, ending->recovery->session_id, item->turn_id);
    json_field_string(&ending->text, "messageId", item->id);
    json_field_text(&ending->text, "text", item->text.data ? item->text.data : "", item->text.length);
    json_field_bool(&ending->text, "isIntermediate", false);
    json_field_string(&ending->text, "parentToolUseId", item->parent);
    return emit(ending, kind, item->began);
}

/* Those of the item's references that are still true, as elements with commas. Where the event had to be cut once more,
 * a field may have been replaced by one reference, at the event's end, to the whole of it. */
static void put_kept(struct buffer *out, const struct open_item *item, const char *cut_refs)
{
    size_t count = item->refs ? json_object_array_length(item->refs) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *ref = json_object_array_get_idx(item->refs, i);
        char whole[32];
        snprintf(whole, sizeof(whole), "\"path\":\"/%s\"", field_of(ref));
        if (!cut_refs || !strstr(cut_refs, whole)) {
            buffer_text(out, out->length ? "," : "");
            json_put_object(out, ref);
        }
    }
}

/* The event's own references, if it was cut, are its last member. */
static void join_refs(struct buffer *event, const struct open_item *item, bool was_cut)
{
    static const char name[] = ",\"refs\":[";
    const char *own = NULL;
    if (was_cut) {
        buffer_byte(event, '\0');
        if (!buffer_ok(event)) {
            return;
        }
        event->length--;
        for (const char *at = event->data; (at = strstr(at, name)); at += strlen(name)) {
            own = at;
        }
    }
    struct buffer kept = {0};
    put_kept(&kept, item, own);
    if (kept.length > 0) {
        event->length -= own ? 1 : 0;
        buffer_text(event, own ? "," : name);
        buffer_append(event, kept.data, kept.length);
        buffer_byte(event, ']');
    }
    event->failed |= kept.failed;
    buffer_free(&kept);
}

static enum err emit_result(struct ending *ending, const struct open_item *item)
{
    struct buffer refs = {0};
    put_kept(&refs, item, NULL);
    size_t room = refs.length < ending->max_event_bytes / 2 ? ending->max_event_bytes - refs.length : 0;
    buffer_free(&refs);
    struct blob *blobs = NULL;
    enum err err = cut_event(&ending->text, room, NULL, &blobs);
    if (!err) {
        join_refs(&ending->text, item, blobs != NULL);
        err = emit_blobs(ending, blobs);
    }
    return err ? err : emit(ending, EVENT_TOOL_RESULT, 0);
}

/* As a live one that its turn leaves open: see acp_tool_result. */
static void put_result(struct buffer *out, const struct open_item *item)
{
    struct buffer text = {0};
    if (!acp_shape_join_text(&text, item->content) && item->text.length > 0) {
        buffer_append(&text, item->text.data, item->text.length);
    }
    if (text.length == 0) {
        buffer_text(&text, "Not finished when the server was restarted.");
    }
    json_field_text(out, "result", text.data ? text.data : "", text.length);
    out->failed |= text.failed;
    buffer_free(&text);
}

static bool has_ref(const struct open_item *item, const char *field)
{
    for (size_t i = 0; item->refs && i < json_object_array_length(item->refs); i++) {
        if (!strcmp(field_of(json_object_array_get_idx(item->refs, i)), field)) {
            return true;
        }
    }
    return false;
}

static enum err end_tool(struct ending *ending, const struct open_item *item)
{
    struct buffer *out = &ending->text;
    event_open(out, EVENT_TOOL_RESULT, ending->recovery->session_id, item->turn_id);
    json_field_string(out, "toolUseId", item->id);
    json_field_string(out, "toolName", item->name ? item->name : "tool");
    put_result(out, item);
    /* Text that was cut is more than what the result has of it. */
    if (item->content && (!acp_shape_only_text(item->content) || has_ref(item, "content"))) {
        json_field_object(out, "content", item->content);
    }
    json_field_object(out, "rawOutput", item->raw_output);
    json_field_bool(out, "isError", true);
    return emit_result(ending, item);
}

static enum err end_permission(struct ending *ending, const struct open_item *item)
{
    event_open(&ending->text, EVENT_PERMISSION_CANCELLED, ending->recovery->session_id, item->turn_id);
    json_field_string(&ending->text, "requestId", item->id);
    json_field_string(&ending->text, "reason", "server_restarted");
    return emit(ending, EVENT_PERMISSION_CANCELLED, 0);
}

static enum err end_all(struct ending *ending, struct open_item **list,
                        enum err (*end)(struct ending *ending, const struct open_item *item))
{
    while (*list) {
        enum err err = end(ending, *list);
        if (err) {
            return err;
        }
        struct open_item *item = *list;
        *list = item->next;
        item_free(item);
    }
    return ERR_OK;
}

static enum err end_turn(struct ending *ending)
{
    struct recovery *recovery = ending->recovery;
    if (!recovery->turn_id) {
        return ERR_OK;
    }
    event_open(&ending->text, EVENT_ERROR, recovery->session_id, recovery->turn_id);
    json_field_string(&ending->text, "error", "the server was restarted in the middle of this turn");
    json_field_string(&ending->text, "code", "server_restarted");
    json_field_bool(&ending->text, "fatal", true);
    enum err err = emit(ending, EVENT_ERROR, 0);
    if (err) {
        return err;
    }
    event_open(&ending->text, EVENT_COMPLETE, recovery->session_id, recovery->turn_id);
    json_field_string(&ending->text, "stopReason", "server_restarted");
    int64_t duration = ending->wall_ms - recovery->turn_ts;
    json_field_i64(&ending->text, "durationMs", duration > 0 ? duration : 0);
    return emit(ending, EVENT_COMPLETE, 0);
}

enum err recovery_finish(struct recovery *recovery, int64_t wall_ms, size_t max_event_bytes,
                         const struct recovery_sink *sink)
{
    struct ending ending = {
        .recovery = recovery, .wall_ms = wall_ms, .max_event_bytes = max_event_bytes, .sink = sink};
    enum err err = end_all(&ending, &recovery->messages, end_message);
    if (!err) {
        err = end_all(&ending, &recovery->tools, end_tool);
    }
    if (!err) {
        err = end_all(&ending, &recovery->permissions, end_permission);
    }
    if (!err) {
        err = end_turn(&ending);
    }
    if (!err) {
        event_open(&ending.text, EVENT_STATUS, recovery->session_id, NULL);
        json_field_string(&ending.text, "phase", recovery->damage ? "failed" : "stopped");
        json_field_string(&ending.text, "detail", recovery->damage ? recovery->damage : "the server was restarted");
        err = emit(&ending, EVENT_STATUS, 0);
    }
    buffer_free(&ending.text);
    return err;
}
