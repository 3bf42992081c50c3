#pragma once
/*
 * The delta window and the texts that pass through it. Pure; the caller gives the time.
 *
 * A window belongs to a session: one timeline for its message text, its thoughts and the output of
 * its tools. The first text after a quiet time goes out at once, then at most one batch each
 * `window_ms`, counted from when the last batch really went out, so that a late tick does not bring
 * two batches close together.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"

struct delta_window {
    int64_t window_ms;
    struct instant free_at; /* no batch before this, unless something else has to go out */
    struct instant due;     /* INSTANT_NEVER while nothing waits */
    struct instant line_at; /* when the oldest of what waits was read */
};

void delta_window_init(struct delta_window *window, int64_t window_ms);
/* Something was added. True: it is to go out now. */
bool delta_window_add(struct delta_window *window, struct instant now);
bool delta_window_waits(const struct delta_window *window);
/* What waits would go out at `now`. False when it is not late at all: it never waited for its time, or something else
 * takes it along before. */
bool delta_window_late(const struct delta_window *window, struct instant now, int64_t *late_ns);
/* All that waited went out at `now`. */
void delta_window_flushed(struct delta_window *window, struct instant now);
/* The quiet time counts as over: what comes next goes out at once. */
void delta_window_open(struct delta_window *window);

/*
 * A text that arrives in chunks and goes out in deltas. It is mended as it grows: ill-formed bytes
 * become U+FFFD, and a chunk's end inside a UTF-8 sequence is held back until the rest of the
 * sequence comes. So the text does not depend on where chunks were cut, and every delta is
 * well-formed by itself.
 */
struct delta_text {
    struct buffer text;  /* mended */
    size_t sent;         /* bytes of it that went out */
    uint64_t sent_units; /* UTF-16 units that went out: the next delta's offset */
    char held[4];
    size_t held_length;
};

void delta_text_free(struct delta_text *text);
/* Appends what leaves the text at most `limit` bytes long (at least 4); returns how many bytes
 * were taken. */
size_t delta_text_add(struct delta_text *text, const char *bytes, size_t length, size_t limit);
/* No more will come: a sequence that was held back becomes U+FFFD. */
void delta_text_end(struct delta_text *text);
/* Empty again and from offset 0; what is held back stays, it belongs to what comes. */
void delta_text_restart(struct delta_text *text);
/* What has not gone out yet. */
const char *delta_text_rest(const struct delta_text *text, size_t *length);
void delta_text_mark_sent(struct delta_text *text);
/* Drops bytes that went out from the front, so that about `keep` bytes stay; returns how many
 * were dropped. */
size_t delta_text_trim(struct delta_text *text, size_t keep);
