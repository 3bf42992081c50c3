#pragma once
/* The last pieces of replays, for others who want the same: many join one session at a time. The
 * history thread's. */
#include "signalbox/base/clock.h"
#include "signalbox/mail/history.h"

struct piece;
struct pieces {
    struct piece *newest, *oldest;
    size_t count, bytes;
};
/* What was made for this request, whose bytes are shared from now on. `safe`: it is right for every position, and not only
 * for who began as this one did. Without memory nothing is kept. */
void pieces_add(struct pieces *pieces, struct history_request *made, bool safe);
/* NULL: there is none that is right for it. Good until the next call. */
struct history_request *pieces_find(struct pieces *pieces, const struct history_request *request);
/* When the oldest one will be older than this. */
struct instant pieces_due(const struct pieces *pieces, int64_t keep_ms);
void pieces_expire(struct pieces *pieces, struct instant now, int64_t keep_ms);
void pieces_clear(struct pieces *pieces);
