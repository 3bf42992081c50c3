#pragma once
/* Shared by fold.c (the second pass), fold_plan.c (the first) and fold_merge.c. */
#include "core/fold_scan.h"
#include "signalbox/base/buffer.h"
#include "signalbox/core/fold.h"

/* ---- fold_plan.c ---- */

enum fate {
    FATE_STAY,
    FATE_DROP,
    /* Goes into a later row. `index`: the next row of its chain; once decided, the last one; in
     * the end, the slot in which it is held. FATE_STAY: the first of the rows that were dropped for
     * this one. */
    FATE_HOLD,
    /* While noting: stays, but `index` is a later part of the same thing, to be dropped with it. */
    FATE_LINK,
    /* Once decided: stays, and takes in what was held. `index`: the slot. */
    FATE_EMIT = FATE_LINK,
};

enum { FOLD_NOWHERE = (1 << 30) - 1, FOLD_ROWS_MAX = FOLD_NOWHERE };

struct fold_mark {
    uint32_t at; /* its number, counted from the first row's */
    unsigned fate : 2;
    unsigned index : 30;
};

struct open; /* a message or a tool call of which something may still be joined or dropped */

struct fold_plan {
    struct fold_mark *marks;
    size_t count, capacity;
    uint64_t base; /* the first row's number */
    uint64_t unsafe; /* once settled: fold_unsafe */
    uint32_t last[EVENT_KIND_COUNT];
    uint32_t segment; /* turn_started seen */
    struct open **buckets;
    size_t bucket_count, open_count;
    struct open *recent;
};

void fold_plan_init(struct fold_plan *plan);
void fold_plan_clear(struct fold_plan *plan);
enum err fold_plan_add(struct fold_plan *plan, const struct fold_row *row);
/* Gives every mark its last fate; FATE_EMIT gets FOLD_NOWHERE for a slot. Frees what only noting
 * needed. */
void fold_plan_settle(struct fold_plan *plan, uint64_t after);
size_t fold_plan_memory(const struct fold_plan *plan);

/* ---- fold_scan of a whole event ---- */

/* What stands before its `type`. */
struct fold_stamps {
    uint64_t from, seq;
    struct span from_value; /* NULL text: it has none */
    struct span type;       /* the inside of the string */
    size_t type_at;         /* where the member begins */
};
/* Leaves `scan` behind `type`. False if it is no event. */
bool fold_stamps_read(struct scan *scan, struct span json, struct fold_stamps *stamps);

/* ---- fold_merge.c ---- */

/* Several rows on the way to be one: deltas to be joined, or updates to be merged. */
struct fold_merge {
    struct buffer head; /* of the newest, without its content and its closing brace */
    size_t type_at;     /* where `type` begins in it */
    bool joins, any;
    uint64_t offset, end;         /* deltas: of the first, and behind the last */
    struct buffer body, scratch;  /* deltas: the text, escaped. Updates: an object of the fields */
    struct buffer refs, old_refs; /* updates: elements, commas between them */
};

void fold_merge_clear(struct fold_merge *merge);
/* ERR_CORRUPT, ERR_NOMEM; ERR_AGAIN if it does not continue what is there. */
enum err fold_merge_add(struct fold_merge *merge, struct span json);
/* Writes the event of all that was added; without `from` where it is 0. */
void fold_merge_write(const struct fold_merge *merge, uint64_t from, struct buffer *out);
size_t fold_merge_memory(const struct fold_merge *merge);
