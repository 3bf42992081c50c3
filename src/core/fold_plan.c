/*
 * The first pass. The rows of one message, or of one call's output or updates, are a chain: each
 * mark names the next, so that a *_complete can drop the chain and nothing is kept for a row beside
 * its mark.
 */
#include <stdlib.h>
#include <string.h>

#include "core/fold_internal.h"
#include "signalbox/base/check.h"

/*
 * Every kind of EVENT_KINDS has its rule: a row without a third column does not expand (the macro
 * wants three arguments), and one with an unknown word names a FOLD_ constant that does not exist.
 * A rule that is not handled below is an error of -Wswitch.
 */
static const enum fold_rule rules[] = {
#define X(symbol, name, fold) [EVENT_##symbol] = FOLD_##fold,
    EVENT_KINDS(X)
#undef X
};
_Static_assert(array_size(rules) == EVENT_KIND_COUNT, "a rule for each kind");

enum fold_rule fold_rule(enum event_kind kind)
{
    CHECK((size_t)kind < array_size(rules));
    return rules[kind];
}

/* Rows that may be joined, in order of their numbers. */
struct chain {
    uint32_t first, last; /* FOLD_NOWHERE: there is none */
    uint32_t segment;     /* of the last */
    uint64_t end;         /* deltas: where the last one ends */
    uint64_t window;      /* deltas: in which they are joined */
};

struct open {
    struct open *next;
    uint64_t hash;
    struct chain deltas, updates;
    uint32_t class;
    uint32_t id_length;
    char id[];
};

enum class { CLASS_USER, CLASS_TEXT, CLASS_THOUGHT, CLASS_TOOL };

static const uint64_t NO_WINDOW = UINT64_MAX;

void fold_plan_init(struct fold_plan *plan)
{
    *plan = (struct fold_plan){0};
    for (size_t kind = 0; kind < array_size(plan->last); kind++) {
        plan->last[kind] = FOLD_NOWHERE;
    }
}

static void forget_open(struct fold_plan *plan)
{
    for (size_t index = 0; index < plan->bucket_count; index++) {
        struct open *open = plan->buckets[index];
        while (open) {
            struct open *next = open->next;
            free(open);
            open = next;
        }
    }
    free(plan->buckets);
    plan->buckets = NULL;
    plan->bucket_count = plan->open_count = 0;
    plan->recent = NULL;
}

void fold_plan_clear(struct fold_plan *plan)
{
    forget_open(plan);
    free(plan->marks);
    plan->marks = NULL;
    plan->count = plan->capacity = 0;
}

size_t fold_plan_memory(const struct fold_plan *plan)
{
    return plan->capacity * sizeof(*plan->marks) + plan->bucket_count * sizeof(struct open *) +
           plan->open_count * (sizeof(struct open) + 32);
}

/* ---- What is open ---- */

/* Ids are the server's own, so it need not withstand anybody. */
static uint64_t hash_of(uint32_t class, const char *id, size_t length)
{
    uint64_t hash = (length ^ class) * UINT64_C(0x9e3779b97f4a7c15);
    while (length > 0) {
        uint64_t word = 0;
        size_t part = length < sizeof(word) ? length : sizeof(word);
        memcpy(&word, id, part);
        hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
        hash ^= hash >> 29;
        id += part;
        length -= part;
    }
    return hash;
}

static bool is_open(const struct open *open, uint32_t class, const struct fold_row *row)
{
    return open->class == class && open->id_length == row->id_length &&
           memcmp(open->id, row->id, row->id_length) == 0;
}

/* Where the pointer to it is; NULL if it is not there. */
static struct open **find(struct fold_plan *plan, uint32_t class, const struct fold_row *row,
                          uint64_t hash)
{
    if (plan->bucket_count == 0) {
        return NULL;
    }
    struct open **at = &plan->buckets[hash & (plan->bucket_count - 1)];
    while (*at && ((*at)->hash != hash || !is_open(*at, class, row))) {
        at = &(*at)->next;
    }
    return *at ? at : NULL;
}

static bool grow_buckets(struct fold_plan *plan)
{
    if (plan->open_count < plan->bucket_count) {
        return true;
    }
    size_t count = plan->bucket_count ? plan->bucket_count * 2 : 16;
    struct open **buckets = calloc(count, sizeof(struct open *));
    if (!buckets) {
        return false;
    }
    for (size_t index = 0; index < plan->bucket_count; index++) {
        struct open *open = plan->buckets[index];
        while (open) {
            struct open *next = open->next;
            struct open **to = &buckets[open->hash & (count - 1)];
            open->next = *to;
            *to = open;
            open = next;
        }
    }
    free(plan->buckets);
    plan->buckets = buckets;
    plan->bucket_count = count;
    return true;
}

/* NULL when out of memory. */
static struct open *get_open(struct fold_plan *plan, uint32_t class, const struct fold_row *row)
{
    if (plan->recent && is_open(plan->recent, class, row)) {
        return plan->recent;
    }
    uint64_t hash = hash_of(class, row->id, row->id_length);
    struct open **found = find(plan, class, row, hash);
    if (found) {
        return plan->recent = *found;
    }
    struct open *open = grow_buckets(plan) ? malloc(sizeof(*open) + row->id_length) : NULL;
    if (!open) {
        return NULL;
    }
    struct chain none = {.first = FOLD_NOWHERE, .last = FOLD_NOWHERE};
    struct open **bucket = &plan->buckets[hash & (plan->bucket_count - 1)];
    *open = (struct open){.next = *bucket,
                          .hash = hash,
                          .deltas = none,
                          .updates = none,
                          .class = class,
                          .id_length = (uint32_t)row->id_length};
    memcpy(open->id, row->id, row->id_length);
    *bucket = open;
    plan->open_count++;
    return plan->recent = open;
}

/* What is added to chains. */

static void follow(struct fold_plan *plan, struct chain *chain, bool joins)
{
    uint32_t row = (uint32_t)plan->count - 1;
    if (chain->last == FOLD_NOWHERE) {
        chain->first = row;
    } else {
        plan->marks[chain->last].fate =
            joins && chain->segment == plan->segment ? FATE_HOLD : FATE_LINK;
        plan->marks[chain->last].index = row & FOLD_NOWHERE;
    }
    chain->last = row;
    chain->segment = plan->segment;
}

/* Messages are joined whole; they have a limit of their own (max-message-text). */
static uint64_t window_of(const struct fold_row *row, bool windows)
{
    if (row->alone) {
        return NO_WINDOW;
    }
    if (!windows) {
        return 0;
    }
    uint64_t last = row->offset + (row->units > 0 ? row->units - 1 : 0);
    uint64_t window = row->offset / FOLD_OUTPUT_UNITS;
    return last / FOLD_OUTPUT_UNITS == window ? window : NO_WINDOW;
}

static void follow_delta(struct fold_plan *plan, struct chain *chain, const struct fold_row *row,
                         bool windows)
{
    uint64_t window = window_of(row, windows);
    follow(plan, chain,
           window != NO_WINDOW && window == chain->window && row->offset == chain->end);
    chain->window = window;
    chain->end = row->offset + row->units;
}

static void drop(struct fold_plan *plan, uint32_t row)
{
    if (row != FOLD_NOWHERE) {
        plan->marks[row].fate = FATE_DROP;
    }
}

static void drop_chain(struct fold_plan *plan, const struct chain *chain)
{
    for (uint32_t row = chain->first; row != FOLD_NOWHERE;) {
        uint32_t next = row == chain->last ? FOLD_NOWHERE : plan->marks[row].index;
        drop(plan, row);
        row = next;
    }
}

/* Nothing that comes later belongs to it. */
static void close_open(struct fold_plan *plan, uint32_t class, const struct fold_row *row,
                       bool drops)
{
    struct open **at = find(plan, class, row, hash_of(class, row->id, row->id_length));
    if (!at) {
        return;
    }
    struct open *open = *at;
    if (drops) {
        drop_chain(plan, &open->deltas);
        plan->marks[plan->count - 1].index = open->deltas.first & FOLD_NOWHERE;
    }
    *at = open->next;
    plan->open_count--;
    if (plan->recent == open) {
        plan->recent = NULL;
    }
    free(open);
}

/* ---- Rows ---- */

static enum err add_mark(struct fold_plan *plan, uint64_t seq)
{
    uint64_t at = seq - plan->base;
    if (at > UINT32_MAX || plan->count == FOLD_ROWS_MAX) {
        return ERR_TOOBIG;
    }
    if (plan->count == plan->capacity) {
        size_t capacity = plan->capacity ? plan->capacity * 2 : 64;
        struct fold_mark *marks = reallocarray(plan->marks, capacity, sizeof(*marks));
        if (!marks) {
            return ERR_NOMEM;
        }
        plan->marks = marks;
        plan->capacity = capacity;
    }
    plan->marks[plan->count++] =
        (struct fold_mark){.at = (uint32_t)at, .fate = FATE_STAY, .index = FOLD_NOWHERE};
    return ERR_OK;
}

static uint32_t class_of(int kind)
{
    switch (rules[kind]) {
    case FOLD_MESSAGE:
        return CLASS_USER;
    case FOLD_DELTA:
    case FOLD_WHOLE:
        return kind == EVENT_THOUGHT_DELTA || kind == EVENT_THOUGHT_COMPLETE ? CLASS_THOUGHT
                                                                             : CLASS_TEXT;
    default:
        return CLASS_TOOL;
    }
}

enum err fold_plan_add(struct fold_plan *plan, const struct fold_row *row)
{
    if (plan->count == 0) {
        plan->base = row->seq;
    }
    enum err err = add_mark(plan, row->seq);
    if (err || row->kind < 0) {
        return err;
    }
    CHECK((size_t)row->kind < array_size(rules));
    enum fold_rule rule = rules[row->kind];
    uint32_t class = class_of(row->kind);
    struct open *open = NULL;
    CHECK(rule == FOLD_KEEP || rule == FOLD_LAST || row->id);
    if (rule == FOLD_MESSAGE || rule == FOLD_DELTA || rule == FOLD_TOOL_OUTPUT ||
        rule == FOLD_TOOL_UPDATE) {
        open = get_open(plan, class, row);
        if (!open) {
            return ERR_NOMEM;
        }
    }
    switch (rule) {
    case FOLD_KEEP:
        plan->segment += row->kind == EVENT_TURN_STARTED;
        break;
    case FOLD_LAST:
        drop(plan, plan->last[row->kind]);
        plan->last[row->kind] = (uint32_t)plan->count - 1;
        break;
    case FOLD_MESSAGE:
        drop(plan, open->updates.last);
        open->updates.last = (uint32_t)plan->count - 1;
        break;
    case FOLD_DELTA:
        follow_delta(plan, &open->deltas, row, false);
        break;
    case FOLD_TOOL_OUTPUT:
        follow_delta(plan, &open->deltas, row, true);
        break;
    case FOLD_TOOL_UPDATE:
        follow(plan, &open->updates, true);
        break;
    case FOLD_WHOLE:
    case FOLD_TOOL_RESULT:
        close_open(plan, class, row, true);
        break;
    case FOLD_TOOL_START:
        close_open(plan, class, row, false);
        break;
    }
    return ERR_OK;
}

/* What the client has already is not needed, unless it goes into something that it has not. */
static void drop_known(struct fold_plan *plan, uint64_t after)
{
    for (size_t row = 0; row < plan->count && plan->base + plan->marks[row].at <= after; row++) {
        struct fold_mark *mark = &plan->marks[row];
        uint64_t end = mark->fate == FATE_HOLD ? plan->marks[mark->index].at : mark->at;
        if (plan->base + end <= after) {
            mark->fate = FATE_DROP;
        }
    }
}

static bool comes_out(const struct fold_mark *mark)
{
    return mark->fate == FATE_STAY || mark->fate == FATE_EMIT;
}

/* The last row that comes out between what is withheld and the row that makes up for it. */
static void find_unsafe(struct fold_plan *plan)
{
    size_t unsafe = FOLD_NOWHERE;
    size_t held_to = 0;
    for (size_t row = 0; row < plan->count; row++) {
        const struct fold_mark *mark = &plan->marks[row];
        if (mark->fate == FATE_HOLD) {
            held_to = mark->index > held_to ? mark->index : held_to;
        } else if (comes_out(mark) && held_to > row) {
            unsafe = row;
        }
    }
    size_t dropped_from = FOLD_NOWHERE;
    for (size_t row = plan->count; row-- > 0;) {
        const struct fold_mark *mark = &plan->marks[row];
        if (comes_out(mark) && dropped_from <= row) {
            unsafe = unsafe == FOLD_NOWHERE || row > unsafe ? row : unsafe;
            break;
        }
        if (mark->fate == FATE_STAY && mark->index < dropped_from) {
            dropped_from = mark->index;
        }
    }
    plan->unsafe = unsafe == FOLD_NOWHERE ? 0 : plan->base + plan->marks[unsafe].at;
}

void fold_plan_settle(struct fold_plan *plan, uint64_t after)
{
    forget_open(plan);
    /* From the last to the first: the next row of a chain already knows the chain's end. */
    for (size_t row = plan->count; row-- > 0;) {
        struct fold_mark *mark = &plan->marks[row];
        if (mark->fate == FATE_LINK) {
            mark->fate = FATE_STAY;
            mark->index = FOLD_NOWHERE;
        } else if (mark->fate == FATE_HOLD) {
            const struct fold_mark *next = &plan->marks[mark->index];
            uint32_t end = next->fate == FATE_HOLD ? next->index : mark->index;
            plan->marks[end].fate = FATE_EMIT;
            plan->marks[end].index = FOLD_NOWHERE;
            mark->index = end & FOLD_NOWHERE;
        }
    }
    drop_known(plan, after);
    find_unsafe(plan);
}
