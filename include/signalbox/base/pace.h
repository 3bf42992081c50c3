#pragma once
/*
 * Interrupt moderation, as network cards have it, for a thread that is woken by what comes: as long as little comes it
 * takes each thing at once; where more comes than PACE_PER_SECOND it works in rounds, each with all that came meanwhile. A wake-up costs the thread and everyone behind it (a mailbox each, a commit, a write for each watcher) more
 * than a thing does, so many things at a time cost a fraction of as many one by one.
 *
 * A bucket that fills with time: short bursts pass at once. Belongs to one thread; never blocks.
 */
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"

enum {
    PACE_PER_SECOND = 4000,
    PACE_BURST = 64, /* so many pass at once after a quiet time */
};

/* All zero: a full bucket. */
struct pace {
    struct instant round; /* when the last round began */
    int64_t spent_ns;     /* of the bucket: what was taken, as the time in which it may come */
};

/* A round begins at `now`, and takes `count` things. */
void pace_round(struct pace *pace, size_t count, struct instant now);
/* When the next round may begin: long ago while little comes, else `round_ms` behind the last, which is the most that
 * anything waits for it. */
struct instant pace_next(const struct pace *pace, int64_t round_ms);
