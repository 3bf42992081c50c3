#pragma once
/*
 * Folding: which events of a log a client that was away still needs (docs/protocol.md, "Positions,
 * replay, folding"). One pure place for replay, REST pages and the store's background folding of
 * closed turns. No thread, no clock, no I/O; one `struct fold` belongs to one thread at a time.
 *
 * Two passes over the same rows, in order, read from the store by the caller:
 *   1. fold_note for each row: 8 bytes a row are kept, and no JSON. Then fold_decide: 16 bytes for
 *      each stretch of rows that share a fate, so a plan that waits for a slow client is small.
 *   2. fold_apply for each row: gives the event to send, if any. The caller stops where its chunk
 *      is full and goes on later with the row that fold_wants names. Only what is being joined is
 *      held: an open message, the open calls' last window of output and their merged updates.
 *      Instead of keeping a fold for a client that has stalled, the caller may free it and make
 *      another one later, with `after` = fold_position.
 *
 * ## The rules
 *
 * - An event is dropped only for a later one, so the last row always stays, at its place and with
 *   its number.
 * - What stays is the stored JSON, byte by byte, but for `from`, which stands before `type` where
 *   the event covers more than itself. It is one more than the number that came out before (at
 *   first: `after` + 1, or what the stored row itself covers, if that begins earlier).
 * - text_delta, thought_delta: dropped when the message's *_complete is among the rows; else joined
 *   to one, at the place of the last, with the offset of the first.
 * - tool_output: dropped when the call's tool_result is among the rows; else joined like text, but
 *   only within windows of FOLD_OUTPUT_UNITS, so that an event stays under max-event-bytes and
 *   memory has a bound. An output that crosses a window's edge, or that has `refs`, stays as it is.
 *   Windows are counted from the output's beginning and not from where the fold began, so every
 *   fold makes the same pieces.
 * - tool_update: merged to one, at the place of the last, each field with its last value; a ref
 *   (`refs`) into a field that is replaced goes with it. All fields stay, also those that the
 *   tool_result makes meaningless (status, content): so the end state is the same whatever a
 *   client makes of a result. Updates on the two sides of a tool_start or a tool_result are never
 *   merged: an earlier `content` must not come after the result.
 * - user_message: the last of its messageId. plan, usage, commands, mode, config_options, title,
 *   policy, status: the last of their kind.
 * - Everything else, an unknown type, and an event that has not what its rule needs (no id, no
 *   offset) is kept.
 * - Nothing is joined or merged across a turn_started (only dropped), see below.
 * - Folding what was folded changes nothing, and folding a log of which parts were folded gives
 *   what folding the raw one gives.
 *
 * ## Where to begin
 *
 * `after` is the client's position. Rows up to it are looked at, but do not come out. There are two
 * kinds of position:
 * - A *whole* one: the client has seen everything up to it, live, or by a fold that came to its
 *   head. Noting may begin with the first row whose number is above it.
 * - Any other: the client lost its connection in the middle of a folded replay, or asks for the
 *   next REST page. What was to be joined into an event that had not been sent yet lies before its
 *   position. Noting begins at the last turn_started at or before `after` (or at any earlier row):
 *   then what is joined or merged has its beginning again, and a client that gets a part of it
 *   twice is not harmed.
 * The second is right for both, so it is what a replay does that does not know. But behind a
 * position that is not whole a client must not be given raw events (from a tail, say): offsets
 * would have holes, and merged fields would be missing. So whoever sends folded events goes to the
 * head before he goes on with raw ones, and remembers for each session the highest fold_unsafe of
 * what was sent: up to it, a client that comes with a position gets folded events. That a replay
 * was written to its end says nothing: its last part may be lost with the connection.
 *
 * A client's position may lie inside the range of a stored folded event. Its row has a higher
 * number and is noted like any other; the event comes out whole and says by its `from` that it
 * begins earlier. The client applies it as it is: a finished message, a user_message and the last
 * of a kind replace what it has; a delta overwrites the same units with the same text; the fields
 * of an update are the newest.
 *
 * The head must be a row. When a closed turn was folded meanwhile, the row that covers the head may
 * have a higher number: then the fold goes on to the session's present head.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"
#include "signalbox/core/event.h"

/* The names of the third column of EVENT_KINDS. */
enum fold_rule {
    FOLD_KEEP,
    FOLD_LAST,
    FOLD_MESSAGE,
    FOLD_DELTA,
    FOLD_WHOLE,
    FOLD_TOOL_START,
    FOLD_TOOL_OUTPUT,
    FOLD_TOOL_UPDATE,
    FOLD_TOOL_RESULT,
};
enum fold_rule fold_rule(enum event_kind kind);

/* UTF-16 units. One unit is at most 6 bytes of JSON, so a joined output is well under 64 KiB. */
enum { FOLD_OUTPUT_UNITS = 10240 };

/* What pass 1 has to know of a row. */
struct fold_row {
    int kind;           /* enum event_kind; -1: stays, whatever it is */
    uint64_t from, seq; /* from == seq where the event covers itself only */
    const char *id;     /* messageId or toolUseId, as it stands in the JSON; borrowed. NULL where
                           the rule needs none */
    size_t id_length;
    uint64_t offset, units; /* deltas: where they begin and how long they are, in UTF-16 units */
    bool alone;             /* a delta that is not joined */
};
/*
 * Fills it from a stored event without parsing all of it: `seq`, `from` and `type` stand first, as
 * the server writes them (event.h). `row->id` points into `json`. ERR_CORRUPT if it is not such an
 * event.
 */
must_check enum err fold_read(const char *json, size_t length, struct fold_row *row);

struct fold;
must_check enum err fold_new(struct fold **out, uint64_t after);
void fold_free(struct fold *fold); /* NULL is fine */

/*
 * Pass 1. The rows tile: each `from` is one more than the `seq` before, and the first is at most
 * `after` + 1; else ERR_CORRUPT. ERR_NOMEM; ERR_TOOBIG beyond a thousand million rows. After an
 * error only fold_free.
 */
must_check enum err fold_note(struct fold *fold, const struct fold_row *row);
/* Ends pass 1. ERR_NOMEM; then only fold_free. */
must_check enum err fold_decide(struct fold *fold);

struct fold_event {
    uint64_t from, seq;
    const char *json; /* NULL: nothing comes out at this row. Good until the next call on the fold,
                         and no longer than the row's JSON */
    size_t length;
    bool changed;     /* not the row's own bytes: a store that folds writes it */
};
/*
 * Pass 2, with the same rows; those that fold_wants skips may be left out. ERR_CORRUPT if the JSON
 * cannot be read, ERR_NOMEM, and ERR_AGAIN if these are not the rows that were noted: the log was
 * folded between the passes. What came out before is right also then, and the caller begins anew
 * with `after` = fold_position, which is not a whole position, and the session's present head.
 * After an error only fold_position and fold_free.
 */
must_check enum err fold_apply(struct fold *fold, uint64_t seq, const char *json, size_t length,
                               struct fold_event *out);
/* The first number whose row fold_apply needs next; 0: the head is out. Only after fold_decide. */
uint64_t fold_wants(const struct fold *fold);
/* The number of the last event that came out, `after` before the first. Whole once fold_wants is
 * 0. */
uint64_t fold_position(const struct fold *fold);
/*
 * The highest number that comes out while something is withheld for a later one: at it, or below,
 * a position may not be whole. 0: each is. Only after fold_decide. Most folds have none near their
 * head, since what an agent does comes one after the other.
 */
uint64_t fold_unsafe(const struct fold *fold);
/* Bytes that it holds. */
size_t fold_memory(const struct fold *fold);
