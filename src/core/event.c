#include "signalbox/core/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

static const char *const names[] = {
#define X(symbol, name, fold) [EVENT_##symbol] = (name),
    EVENT_KINDS(X)
#undef X
};

const char *event_name(enum event_kind kind)
{
    CHECK((size_t)kind < array_size(names));
    return names[kind];
}

int event_kind_of(const char *name)
{
    for (size_t i = 0; i < array_size(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

void event_open(struct buffer *out, enum event_kind kind, const char *session_id,
                const char *turn_id)
{
    buffer_reset(out);
    /* Not json_key: it cannot know that a brace and two members will stand before this. */
    buffer_text(out, ",\"type\":\"");
    buffer_text(out, event_name(kind));
    buffer_text(out, "\",\"sessionId\":");
    json_put_string(out, session_id, strlen(session_id));
    json_field_string(out, "turnId", turn_id);
}

enum err event_close(struct buffer *out, enum event_kind kind, int64_t at_wall_ms,
                     struct event *event)
{
    buffer_byte(out, '}');
    if (!buffer_ok(out)) {
        return ERR_NOMEM;
    }
    struct frame *frame;
    enum err err = frame_new(&frame, out->data, out->length);
    if (err != ERR_OK) {
        return err;
    }
    *event = (struct event){.kind = kind, .frame = frame, .at_wall_ms = at_wall_ms};
    return ERR_OK;
}

void event_discard(struct event *event)
{
    frame_put(event->frame);
    event->frame = NULL;
}

enum event_block event_block(enum event_kind kind)
{
    switch (kind) {
    case EVENT_TEXT_DELTA:
    case EVENT_THOUGHT_DELTA:
        return EVENT_BLOCK_PIECE;
    case EVENT_TEXT_COMPLETE:
    case EVENT_THOUGHT_COMPLETE:
        return EVENT_BLOCK_END;
    default:
        return EVENT_NO_BLOCK;
    }
}

_Static_assert((int)EVENT_STAMPS_MAX <= (int)FRAME_ROOM - (int)FRAME_HEADER_MAX, "a frame has room for the stamps");

void event_number(struct event *event, uint64_t seq, int64_t ts_wall_ms)
{
    /* Three 64-bit numbers of 20 characters at most. */
    char prefix[EVENT_STAMPS_MAX + 1], began[32] = "";
    if (event->began) {
        snprintf(began, sizeof began, ",\"began\":%" PRIu64, event->began);
    }
    int length =
        snprintf(prefix, sizeof prefix, "{\"seq\":%" PRIu64 ",\"ts\":%" PRId64 "%s", seq, ts_wall_ms, began);
    CHECK(length > 0 && (size_t)length < sizeof prefix);
    frame_seal(event->frame, prefix, (size_t)length);
}
