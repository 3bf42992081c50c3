#pragma once
/*
 * A question to the history thread. It comes back to who asked, as the same struct, exactly once, also when the
 * server stops.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/core/dialect.h"
#include "signalbox/store/store.h"

enum history_request_kind {
    HISTORY_FRAMES,  /* folded events as WebSocket frames, one behind the other, in `bytes` */
    HISTORY_JSON,    /* folded events as the elements of a JSON array, commas between them, in `bytes` */
    HISTORY_SESSION, /* the session's row */
    HISTORY_ANSWER,  /* a remembered answer */
    HISTORY_BLOB,    /* what is known of a blob, and a piece of it */
    HISTORY_CHECK,   /* whether blobs are there */
    HISTORY_PROMPT,  /* a prompt's content with the data of the blobs that it names, as the agent is to get it */
};

struct history_request {
    struct mail mail;          /* on its way back its kind is `reply_kind` */
    struct mailbox *reply_to;
    uint32_t reply_kind;
    enum history_request_kind kind;
    struct history_request *next; /* history's */
    /* Whose question it was; history does not look at it. */
    uint64_t cookie[3];
    void *owner;

    char session_id[48];       /* HISTORY_SESSION */
    struct digest answer_name; /* HISTORY_ANSWER */
    int64_t session_key;       /* the others */
    /*
     * A replay up to `to` for a client that had everything up to `began` when it began, `whole` or not (core/fold.h),
     * and has got all that comes out up to `from` - 1 since. Who asks for the next piece changes `from` only. The last
     * event may have a higher number than `to`, where the log was folded meanwhile.
     * HISTORY_BLOB: `from` is a byte, from 0.
     */
    uint64_t began, from, to;
    bool whole;
    /* Stops behind the event that reaches it: at least one event. HISTORY_BLOB: of the piece; 0 for none.
     * HISTORY_CHECK: of all blobs together. */
    size_t max_bytes;
    size_t max_events;         /* 0: no limit */
    /* HISTORY_FRAMES: what the events are in this dialect; NULL: as they are. `max_bytes` is of them as they are. */
    const struct dialect *dialect;
    struct digest blob;        /* HISTORY_BLOB */
    struct digest *blobs;      /* HISTORY_CHECK: so many; owned */
    size_t blob_count;
    char *content;             /* HISTORY_PROMPT: the JSON text of an array of content blocks; owned */

    /* The answer. */
    /* ERR_OK, ERR_NOENT, ERR_IO, ERR_NOMEM, ERR_STOPPING; of a replay ERR_CORRUPT (this log is damaged: no other is
     * touched by it), of HISTORY_CHECK ERR_TOOBIG too */
    enum err result;
    /* The last number in `bytes`, at least `to` at the end; from - 1 if there was none. HISTORY_CHECK: which of the blobs
     * it is that is not there, or with which they become too much. */
    uint64_t last;
    size_t events;             /* how many are in `bytes` */
    uint64_t whole_from;       /* a position below this one that is in `bytes` may not be whole; see topic.h */
    struct buffer bytes;       /* HISTORY_PROMPT: the content, with data. Of a replay: to be read only */
    bool squeezed;             /* `bytes` have been to the deflate thread */
    struct history_shared *shared; /* NULL, or whose the memory of `bytes` is: several were given the same piece */
    struct blob_info blob_info; /* HISTORY_BLOB */
    struct session_row row;
    struct stored_answer answer;
};

must_check enum err history_request_new(struct history_request **out);
void history_request_free(struct history_request *request); /* with what was answered */
/* Gives `to` the bytes of `from`, the same memory, which nobody writes to any more. ERR_NOMEM: `to` has none. */
must_check enum err history_bytes_share(struct history_request *from, struct history_request *to);
void history_bytes_free(struct history_request *request);
/*
 * The deflate thread's. Whether the piece was compressed for somebody else who was given it: then the request has that one.
 * Else history_bytes_replace gives it another one, of which the caller's buffer is taken, for all who ask later, too.
 */
must_check bool history_bytes_squeezed(struct history_request *request);
void history_bytes_replace(struct history_request *request, struct buffer *squeezed);
