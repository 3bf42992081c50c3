#include "core/delta.h"

#include <string.h>

#include "signalbox/base/utf8.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
enum { REPLACEMENT_LENGTH = sizeof replacement - 1 };

void delta_window_init(struct delta_window *window, int64_t window_ms)
{
    *window = (struct delta_window){.window_ms = window_ms, .due = INSTANT_NEVER};
    delta_window_open(window);
}

bool delta_window_add(struct delta_window *window, struct instant now)
{
    if (!delta_window_waits(window)) {
        window->line_at = now;
        window->due = window->free_at;
    }
    return instant_reached(window->due, now);
}

bool delta_window_waits(const struct delta_window *window)
{
    return window->due.ns != INSTANT_NEVER.ns;
}

bool delta_window_late(const struct delta_window *window, struct instant now, int64_t *late_ns)
{
    if (!delta_window_waits(window) || instant_reached(window->due, window->line_at) ||
        !instant_reached(window->due, now)) {
        return false;
    }
    *late_ns = now.ns - window->due.ns;
    return true;
}

void delta_window_flushed(struct delta_window *window, struct instant now)
{
    window->due = INSTANT_NEVER;
    /* A sixteenth longer than the window: the end of a message brings its last delta and its text_complete at once, and
     * with them a second still has no more events than its windows and the leading edge (50 ms: 21). */
    window->free_at = instant_after_ms(now, window->window_ms + window->window_ms / 16);
}

void delta_window_open(struct delta_window *window)
{
    window->free_at = (struct instant){INT64_MIN};
}

void delta_text_free(struct delta_text *text)
{
    buffer_free(&text->text);
    *text = (struct delta_text){0};
}

static bool incomplete(const char *bytes, size_t length)
{
    return utf8_incomplete_tail(bytes, length) == length;
}

/* Goes on with a held sequence, byte by byte. False: what it became does not fit. */
static bool add_to_held(struct delta_text *text, const char *bytes, size_t length, size_t limit,
                        size_t *used)
{
    while (text->held_length > 0 && *used < length) {
        size_t room = limit - text->text.length;
        char sequence[sizeof text->held + 1];
        memcpy(sequence, text->held, text->held_length);
        sequence[text->held_length] = bytes[*used];
        size_t sequence_length = text->held_length + 1;
        if (utf8_valid(sequence, sequence_length)) {
            if (sequence_length > room) {
                return false;
            }
            buffer_append(&text->text, sequence, sequence_length);
            text->held_length = 0;
            ++*used;
        } else if (incomplete(sequence, sequence_length)) {
            memcpy(text->held, sequence, sequence_length);
            text->held_length = sequence_length;
            ++*used;
        } else {
            /* The byte does not belong to it, and is looked at by itself. */
            if (REPLACEMENT_LENGTH > room) {
                return false;
            }
            buffer_append(&text->text, replacement, REPLACEMENT_LENGTH);
            text->held_length = 0;
        }
    }
    return true;
}

size_t delta_text_add(struct delta_text *text, const char *bytes, size_t length, size_t limit)
{
    size_t used = 0;
    if (text->text.length > limit || !add_to_held(text, bytes, length, limit, &used)) {
        return used;
    }
    while (used < length && buffer_ok(&text->text)) {
        /* Only as much as fits is looked at, so that a huge chunk is not scanned once a message. */
        size_t room = limit - text->text.length;
        size_t rest = length - used;
        size_t slice = rest < room ? rest : room;
        if (slice == 0) {
            break;
        }
        size_t bad = 0;
        size_t good = utf8_valid_prefix(bytes + used, slice, &bad);
        buffer_append(&text->text, bytes + used, good);
        used += good;
        if (bad == 0) {
            continue;
        }
        if (good + bad == slice && incomplete(bytes + used, bad)) {
            if (slice == rest) {
                memcpy(text->held, bytes + used, bad);
                text->held_length = bad;
                used += bad;
            }
            break; /* held, or a character that begins here but does not fit */
        }
        if (REPLACEMENT_LENGTH > room - good) {
            break;
        }
        buffer_append(&text->text, replacement, REPLACEMENT_LENGTH);
        used += bad;
    }
    return buffer_ok(&text->text) ? used : length;
}

void delta_text_end(struct delta_text *text)
{
    if (text->held_length > 0) {
        buffer_append(&text->text, replacement, REPLACEMENT_LENGTH);
        text->held_length = 0;
    }
}

void delta_text_restart(struct delta_text *text)
{
    buffer_reset(&text->text);
    text->sent = 0;
    text->sent_units = 0;
}

const char *delta_text_rest(const struct delta_text *text, size_t *length)
{
    *length = text->text.length - text->sent;
    return *length > 0 ? text->text.data + text->sent : "";
}

void delta_text_mark_sent(struct delta_text *text)
{
    size_t length;
    const char *rest = delta_text_rest(text, &length);
    text->sent_units += utf8_utf16_length(rest, length);
    text->sent = text->text.length;
}

size_t delta_text_trim(struct delta_text *text, size_t keep)
{
    if (text->text.length <= keep) {
        return 0;
    }
    size_t excess = text->text.length - keep;
    size_t drop =
        utf8_cut(text->text.data, text->text.length, excess < text->sent ? excess : text->sent);
    buffer_consume(&text->text, drop);
    text->sent -= drop;
    return drop;
}
