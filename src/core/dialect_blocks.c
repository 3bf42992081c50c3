/* Events as an Anthropic-like stream of content blocks, for the dialects that have one. */
#include "core/dialect_internal.h"

#include <string.h>

static void put(struct dialect_out *out, struct json_object *event,
                const struct dialect_stream *stream, const char *id, struct buffer *members)
{
    stream->put(out, event, id, members);
    out->text.failed |= members->failed;
    buffer_reset(members);
}

/* ---- The pieces of a message ---- */

static void start_message(struct dialect_out *out, struct json_object *event,
                          const struct dialect_stream *stream, const char *id,
                          struct buffer *members)
{
    if (!stream->messages) {
        return;
    }
    buffer_text(members, "\"type\":\"message_start\"");
    dialect_object_open(members, "message");
    json_field_string(members, "id", id);
    buffer_text(members, ",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]");
    dialect_object_close(members);
    put(out, event, stream, id, members);
}

static void start_block(struct dialect_out *out, struct json_object *event,
                        const struct dialect_stream *stream, const char *id, struct buffer *members,
                        const char *field)
{
    start_message(out, event, stream, id, members);
    buffer_text(members, "\"type\":\"content_block_start\",\"index\":0");
    dialect_object_open(members, "content_block");
    json_field_string(members, "type", field);
    json_field_string(members, field, "");
    dialect_object_close(members);
    put(out, event, stream, id, members);
}

/* `offset` is beside what the stream has: who knows it needs no order. */
static void add(struct dialect_out *out, struct json_object *event,
                const struct dialect_stream *stream, const char *id, struct buffer *members,
                const char *field, const char *from, int64_t offset)
{
    buffer_text(members, "\"type\":\"content_block_delta\",\"index\":0");
    dialect_object_open(members, "delta");
    json_field_string(members, "type", strcmp(field, "text") ? "thinking_delta" : "text_delta");
    dialect_copy(members, field, event, from);
    dialect_object_close(members);
    json_field_i64(members, "offset", offset);
    put(out, event, stream, id, members);
}

static void stop(struct dialect_out *out, struct json_object *event,
                 const struct dialect_stream *stream, const char *id, struct buffer *members)
{
    buffer_text(members, "\"type\":\"content_block_stop\",\"index\":0");
    put(out, event, stream, id, members);
    if (stream->messages) {
        buffer_text(members, "\"type\":\"message_stop\"");
        put(out, event, stream, id, members);
    }
}

/* ---- Events ---- */

void dialect_stream_text(struct dialect_out *out, struct json_object *event,
                         const struct dialect_stream *stream)
{
    struct buffer members = {0};
    const char *type = dialect_text(event, "type");
    const char *field = dialect_after(type, "thought") ? "thinking" : "text";
    const char *id = dialect_text(event, "messageId");
    if (!strcmp(type, "text_delta") || !strcmp(type, "thought_delta")) {
        int64_t offset = dialect_number(event, "offset", 0);
        if (!offset) {
            start_block(out, event, stream, id, &members, field);
        }
        add(out, event, stream, id, &members, field, "delta", offset);
    } else {
        if (out->replay) {
            start_block(out, event, stream, id, &members, field);
            add(out, event, stream, id, &members, field, "text", 0);
        }
        stop(out, event, stream, id, &members);
    }
    buffer_free(&members);
}

void dialect_stream_tool(struct dialect_out *out, struct json_object *event,
                         const struct dialect_stream *stream, const char *id, const char *name,
                         struct json_object *input)
{
    struct buffer members = {0};
    start_message(out, event, stream, id, &members);
    buffer_text(&members, "\"type\":\"content_block_start\",\"index\":0");
    dialect_object_open(&members, "content_block");
    json_field_string(&members, "type", "tool_use");
    json_field_string(&members, "id", id);
    json_field_string(&members, "name", name);
    if (input) {
        json_field_object(&members, "input", input);
    } else {
        json_field_raw(&members, "input", "{}");
    }
    dialect_object_close(&members);
    put(out, event, stream, id, &members);
    stop(out, event, stream, id, &members);
    buffer_free(&members);
}

/* A diff and whatever else is no text stand beside, as ACP has them: `acpContent`. */
void dialect_put_tool_result(struct buffer *text, struct json_object *event)
{
    buffer_text(text, "{\"type\":\"tool_result\"");
    dialect_copy(text, "tool_use_id", event, "toolUseId");
    dialect_copy(text, "content", event, "result");
    if (json_get_bool(event, "isError", false)) {
        json_field_bool(text, "is_error", true);
    }
    json_field_object(text, "acpContent", json_get(event, "content"));
    json_field_object(text, "refs", json_get(event, "refs"));
    buffer_byte(text, '}');
}
