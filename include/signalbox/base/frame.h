#pragma once
/*
 * A JSON text that will be sent as one WebSocket text frame, reference-counted and immutable once shared, with
 * room in front for what is only known later: `{"seq":N,"ts":T,"began":B` and the frame's header (RFC 6455, section 5.2;
 * a server's frames are not masked, so every watcher gets the same bytes).
 */
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"
#include "signalbox/base/rcu.h"

enum { FRAME_ROOM = 96, FRAME_HEADER_MAX = 10 };

struct frame {
    struct ref ref;
    uint32_t start;   /* of the frame's header in data, once sealed */
    uint32_t payload; /* of the JSON text in data */
    uint32_t end;     /* one past the JSON text */
    char data[];
};

/* Copies `length` bytes behind the room. One reference, the caller's. */
must_check enum err frame_new(struct frame **out, const void *text, size_t length);
/* Writes `prefix` in front of the text (at most FRAME_ROOM - FRAME_HEADER_MAX bytes in all), then the header.
 * Once, by its only holder. prefix_length 0 for a text that is whole. */
void frame_seal(struct frame *frame, const char *prefix, size_t prefix_length);
/* frame_new and frame_seal of a whole text. */
must_check enum err frame_text(struct frame **out, const void *text, size_t length);
struct frame *frame_get(struct frame *frame); /* another reference; any thread */
void frame_put(struct frame *frame);          /* NULL is fine; any thread */

/* Writes the header of an unmasked, unfragmented frame with this opcode before `payload`, which must have
 * FRAME_HEADER_MAX bytes of room; returns its length (2, 4 or 10). */
size_t frame_header(char *before_payload, uint8_t opcode, uint64_t payload_length);
/* The other way: what such a frame of ours, whole, has as its payload. Returns the length of all of it. */
size_t frame_read(const char *frame, const char **payload, size_t *payload_length);

static inline const char *frame_json(const struct frame *frame)
{
    return frame->data + frame->payload;
}
static inline size_t frame_json_length(const struct frame *frame)
{
    return frame->end - frame->payload;
}
static inline const char *frame_wire(const struct frame *frame)
{
    return frame->data + frame->start;
}
static inline size_t frame_wire_length(const struct frame *frame)
{
    return frame->end - frame->start;
}
