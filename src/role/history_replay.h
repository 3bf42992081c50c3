#pragma once
/* One replay: a fold, in work for who waits for its next piece, or kept for who will ask for it.
 * The history thread's. */
#include "signalbox/base/clock.h"
#include "signalbox/core/fold.h"
#include "signalbox/mail/history.h"

struct replay {
    struct replay *next;
    int64_t session_key;
    uint64_t began, to;
    uint64_t from; /* where its next piece begins, or the one in work */
    bool whole;    /* as asked: what it was made for */
    bool safe;     /* its noting began where it is right for every position */
    struct fold *fold;
    bool applying;    /* the second pass */
    uint64_t reading; /* the first one: the next number to read */
    uint64_t end;     /* the number of the last row that was noted */
    uint64_t whole_from;
    unsigned retries;
    struct instant used;
    /* Who waits, all for the same piece, which is made in the first one. */
    struct history_request *first, **last;
};

/* For what this request asks for; nobody waits for it yet. */
must_check enum err replay_new(struct store_reader *reader, const struct history_request *request,
                               struct replay **out);
void replay_free(struct replay *replay);
/* Whether what it gives next is what the request asks for. */
bool replay_continues(const struct replay *replay, const struct history_request *request);
/* Reads on for a while, for the piece of who waits first. *done: that is full, or the replay is
 * over. When the log was folded meanwhile, it goes on from where it is by a new fold. */
must_check enum err replay_slice(struct store_reader *reader, struct replay *replay, bool *done);
/* The piece was given. False: it was the last one. */
bool replay_next_piece(struct replay *replay);
