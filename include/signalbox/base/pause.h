#pragma once
/*
 * Pauses at the places where an event could be lost, repeated or shown too early, for tests that make threads meet
 * there. Built with SIGNALBOX_PAUSES only (preset `pauses`); in every other build pause_at() is nothing.
 *
 * The environment's SIGNALBOX_PAUSES="PER_MILLE:MILLISECONDS" says how many of a thousand passages of a point pause, and
 * how long at most; without it none does. The pauses that were made are counted in
 * `signalbox_pauses_total{point="..."}` of /metrics.
 */
#include "signalbox/base/buffer.h"

/*
 * handshake_take    http: the upgrade is answered, the socket is not handed over yet
 * assign_commit     dispatch: a step's events have their numbers, the journal has not got them
 * commit_publish    journal: the group is in the store, nobody is told
 * tail_publish      journal: events are in the tails, the heads do not show them yet
 * register_read     socket: a subscription is registered at its head, and has read nothing
 * history_read      history: events were read back, who asked has not got them
 * read_splice       socket: events that were read back go out, the tail comes next
 */
#define PAUSE_POINTS(X)                                                                            \
    X(HANDSHAKE_TAKE, "handshake_take")                                                            \
    X(ASSIGN_COMMIT, "assign_commit")                                                              \
    X(COMMIT_PUBLISH, "commit_publish")                                                            \
    X(TAIL_PUBLISH, "tail_publish")                                                                \
    X(REGISTER_READ, "register_read")                                                              \
    X(HISTORY_READ, "history_read")                                                                \
    X(READ_SPLICE, "read_splice")

enum pause_point {
#define X(symbol, name) PAUSE_##symbol,
    PAUSE_POINTS(X)
#undef X
        PAUSE_COUNT
};

#ifdef SIGNALBOX_PAUSES
/* Any thread; blocks for the time of the pause. */
void pause_at(enum pause_point point);
/* Appends the counts to the text of /metrics. */
void pauses_write(struct buffer *out);
#else
#define pause_at(point) ((void)0)
#define pauses_write(out) ((void)0)
#endif
