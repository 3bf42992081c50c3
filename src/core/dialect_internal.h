#pragma once
/* What the dialects write with. */
#include "core/field.h"
#include "signalbox/core/dialect.h"
#include "signalbox/core/event.h"

extern const struct dialect dialect_craft, dialect_claudecodeui, dialect_factory_factory;

/* A frame of its own, `{"type":TYPE`, into which fields go; one at a time. */
struct buffer *dialect_frame_open(struct dialect_out *out, const char *type);
void dialect_frame_close(struct dialect_out *out);
/* The same, but a part of what the dialect wraps around it (`part_open`), and of a batch in a replay. */
struct buffer *dialect_part_open(struct dialect_out *out, const char *type);
void dialect_part_close(struct dialect_out *out);
/* A native command; `id` NULL for none. */
struct buffer *dialect_command_open(struct dialect_out *out, const char *type, const char *id);
void dialect_command_close(struct dialect_out *out, bool by_key);
void dialect_close(struct dialect_out *out, uint16_t code, const char *why);

/* Opens and closes an object as the value of a key. */
void dialect_object_open(struct buffer *text, const char *key);
void dialect_object_close(struct buffer *text);

/* A string of a message or an event, "" where there is none. */
const char *dialect_text(struct json_object *object, const char *key);
/* A text as it stands, with its NULs; nothing is written where it is missing. */
void dialect_copy(struct buffer *text, const char *key, struct json_object *object, const char *from);
int64_t dialect_number(struct json_object *object, const char *key, int64_t fallback);
/* `"key":"2026-11-26T20:30:31.123Z"` */
void dialect_put_date(struct buffer *text, const char *key, int64_t wall_ms);
/* The rest of `text` if it begins with this; else NULL. */
const char *dialect_after(const char *text, const char *prefix);

/*
 * Blocks of an Anthropic-like stream (dialect_blocks.c). Each block of text or of thought, and each call of a tool, is a
 * message of one block. A `content_block_start` empties it, so a block may come again, whole: then a replay is right for
 * who has seen a part of it.
 */
struct dialect_stream {
    /* Writes one stream event of the message `id`: `members` is its JSON object without the braces. */
    void (*put)(struct dialect_out *out, struct json_object *event, const char *id, const struct buffer *members);
    bool messages; /* with `message_start` and `message_stop` around each */
};
/* text_delta, text_complete, thought_delta, thought_complete */
void dialect_stream_text(struct dialect_out *out, struct json_object *event, const struct dialect_stream *stream);
/* tool_start, or another event as a call of a tool of this name, with this input */
void dialect_stream_tool(struct dialect_out *out, struct json_object *event, const struct dialect_stream *stream,
                         const char *id, const char *name, struct json_object *input);
/* The `tool_result` block of a tool_result, as an object. */
void dialect_put_tool_result(struct buffer *text, struct json_object *event);
