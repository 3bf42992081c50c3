#include "core/acp_out.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_peer.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"

void acp_flush(struct acp_peer *peer)
{
    if (!delta_window_waits(&peer->window)) {
        return;
    }
    struct instant line_at = peer->window.line_at;
    int64_t late_ns;
    if (delta_window_late(&peer->window, peer->now, &late_ns)) {
        metric_observe_ns(METRIC_DELTA_LATE_SECONDS, late_ns);
    }
    delta_window_flushed(&peer->window, peer->now);
    acp_block_flush(peer, line_at);
    acp_tools_flush(peer, line_at);
}

struct buffer *acp_delta_open(struct acp_peer *peer, enum event_kind kind)
{
    event_open(&peer->event, kind, peer->session_id, peer->turn_id);
    return &peer->event;
}

/* The text of messages is not cut: acp_block.c ends a message that grows too long. */
static bool is_message(enum event_kind kind)
{
    return kind == EVENT_TEXT_DELTA || kind == EVENT_TEXT_COMPLETE ||
           kind == EVENT_THOUGHT_DELTA || kind == EVENT_THOUGHT_COMPLETE;
}

void acp_blobs(struct acp_peer *peer, struct blob *blobs)
{
    if (blobs != NULL) {
        peer->sink.blobs(peer->sink.context, blobs);
    }
}

void acp_delta_send(struct acp_peer *peer, enum event_kind kind, struct instant line_at)
{
    struct event event;
    if (!is_message(kind)) {
        struct blob *blobs = NULL;
        enum err failed = cut_event(&peer->event, peer->max_event_bytes, &peer->known, &blobs);
        if (failed != ERR_OK) {
            peer->error = failed;
            return;
        }
        acp_blobs(peer, blobs);
    }
    enum err err = event_close(&peer->event, kind, peer->wall_ms, &event);
    if (err != ERR_OK) {
        peer->error = err;
        return;
    }
    event.line_at = line_at;
    peer->sink.event(peer->sink.context, &event);
}

struct buffer *acp_event_open(struct acp_peer *peer, enum event_kind kind)
{
    acp_flush(peer);
    return acp_delta_open(peer, kind);
}

void acp_event_send(struct acp_peer *peer, enum event_kind kind)
{
    acp_delta_send(peer, kind, peer->line_at);
}

void acp_notice(struct acp_peer *peer, struct agent_notice *notice)
{
    bool last = notice->kind == NOTICE_EXITED || notice->kind == NOTICE_FAILED;
    if (peer->error != ERR_OK && !last) {
        agent_notice_clear(notice);
        return;
    }
    peer->sink.notice(peer->sink.context, notice);
}

static char *copy_bytes(struct acp_peer *peer, const char *text, size_t length, size_t limit)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    struct delta_text copy = {0};
    size_t used = 0;
    bool fits = true;
    while (fits && used < length) {
        size_t part = strnlen(text + used, length - used);
        size_t taken = delta_text_add(&copy, text + used, part, limit);
        used += taken;
        fits = taken == part;
        if (fits && used < length) { /* a NUL would end the copy for whoever reads it */
            delta_text_end(&copy);
            used++;
            fits = delta_text_add(&copy, "\xEF\xBF\xBD", 3, limit) == 3;
        }
    }
    delta_text_end(&copy);
    if (!fits) {
        buffer_text(&copy.text, ellipsis);
    }
    char *result = buffer_take(&copy.text);
    delta_text_free(&copy);
    if (result == NULL) {
        peer->error = ERR_NOMEM;
    }
    return result;
}

char *acp_copy(struct acp_peer *peer, const char *text, size_t limit)
{
    return text == NULL ? NULL : copy_bytes(peer, text, strlen(text), limit);
}

char *acp_take(struct acp_peer *peer, struct buffer *text, size_t limit)
{
    char *result = NULL;
    if (buffer_ok(text)) {
        result = copy_bytes(peer, text->length > 0 ? text->data : "", text->length, limit);
    } else {
        peer->error = ERR_NOMEM;
    }
    buffer_reset(text);
    return result;
}

char *acp_take_json(struct acp_peer *peer, struct buffer *json)
{
    char *result = buffer_ok(json) ? strndup(json->data, json->length) : NULL;
    if (result == NULL) {
        peer->error = ERR_NOMEM;
    }
    buffer_reset(json);
    return result;
}

/* Recursive; the parser has bounded how deep a message nests. */
void acp_put_clean(struct buffer *out, struct json_object *value)
{
    if (json_object_is_type(value, json_type_array)) {
        buffer_byte(out, '[');
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            if (i > 0) {
                buffer_byte(out, ',');
            }
            acp_put_clean(out, json_object_array_get_idx(value, i));
        }
        buffer_byte(out, ']');
    } else if (json_object_is_type(value, json_type_object)) {
        buffer_byte(out, '{');
        bool first = true;
        json_object_object_foreach(value, key, member)
        {
            if (strcmp(key, "_meta") == 0) {
                continue;
            }
            if (!first) {
                buffer_byte(out, ',');
            }
            first = false;
            json_put_string(out, key, strlen(key));
            buffer_byte(out, ':');
            acp_put_clean(out, member);
        }
        buffer_byte(out, '}');
    } else if (json_object_is_type(value, json_type_string)) {
        /* Not json_put_object: json-c keeps what it printed with the object, and a diff may have
         * megabytes. */
        json_put_string(out, json_object_get_string(value),
                        (size_t)json_object_get_string_len(value));
    } else {
        json_put_object(out, value);
    }
}

void acp_field_clean(struct buffer *out, const char *key, struct json_object *value)
{
    if (value != NULL) {
        json_key(out, key);
        acp_put_clean(out, value);
    }
}
