#include "signalbox/base/pace.h"

enum {
    THING_NS = 1000000000 / PACE_PER_SECOND,
    BUCKET_NS = PACE_BURST * THING_NS,
    /* What is owed beyond the bucket: so long it goes on in rounds after it has become quiet again. */
    OWED_NS_MAX = 20000000,
};

void pace_round(struct pace *pace, size_t count, size_t most, struct instant now)
{
    int64_t spent = pace->spent_ns - (now.ns - pace->round.ns);
    spent = spent < 0 ? 0 : spent;
    /* Before it is multiplied: the count may be anything. */
    spent += count > PACE_BURST * 2 ? BUCKET_NS * 2 : (int64_t)count * THING_NS;
    pace->spent_ns = spent > BUCKET_NS + OWED_NS_MAX ? BUCKET_NS + OWED_NS_MAX : spent;
    pace->round = now;
    pace->cut = count >= most;
}

struct instant pace_next(const struct pace *pace, int64_t round_ms)
{
    return pace->spent_ns > BUCKET_NS && !pace->cut ? instant_after_ms(pace->round, round_ms)
                                      : (struct instant){0};
}
