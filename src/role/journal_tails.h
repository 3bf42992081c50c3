#pragma once
/* All tails together, the one that was quiet longest first to go. The journal thread's. */
#include "signalbox/share/topic.h"

/* Without references: a topic leaves by tails_forget before its last holder, the journal, lets it go. */
struct tails {
    struct topic *newest, *oldest;
    size_t bytes;
};

/* The topic was appended to. Trims others while all take more than `most` (0: no bound). What was made of its events for
 * dialects since the last time is counted now, too. */
void tails_changed(struct tails *tails, struct topic *topic, size_t most);
/* The topic's tail is not counted any more. */
void tails_forget(struct tails *tails, struct topic *topic);
