#pragma once
/*
 * Interrupt moderation, as network cards have it, for a thread that is woken by what comes: as long as little comes it
 * takes each thing at once; where more comes than PACE_PER_SECOND it works in rounds, each with all that came meanwhile. A
 * wake-up costs the thread and everyone behind it (a mailbox each, a commit, a write for each watcher) more than a thing
 * does, so many things at a time cost a fraction of as many one by one.
 *
 * A bucket that fills with time: short bursts pass at once. Belongs to one thread; never blocks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"

enum {
    PACE_PER_SECOND = 2500,
    PACE_BURST = 64, /* so many pass at once after a quiet time */
};

/* All zero: a full bucket. */
struct pace {
    struct instant round; /* when the last round began */
    int64_t spent_ns;     /* of the bucket: what was taken, as the time in which it may come */
    bool cut;             /* the last round took as much as it could at a time, and may have left some */
};

/* A round begins at `now`, and takes `count` things, of `most` that it could take. */
void pace_round(struct pace *pace, size_t count, size_t most, struct instant now);
/* When the next round may begin: long ago while little comes, or when the last left some behind; else `round_ms` behind the
 * last, which is the most that anything waits for it. */
struct instant pace_next(const struct pace *pace, int64_t round_ms);
