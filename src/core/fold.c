/* What was decided, as runs of rows that share a fate, and the second pass. The first is fold_plan.c. */
#include "signalbox/core/fold.h"

#include <stdlib.h>
#include <string.h>

#include "core/fold_internal.h"
#include "signalbox/base/check.h"

/* Rows side by side with the same fate and, where they are held, the same slot. */
struct run {
    uint32_t end; /* the last one's number, counted from the plan's base */
    uint32_t rows;
    uint32_t slot; /* held in it, or taken out of it */
    enum fate fate;
};

struct fold {
    struct fold_plan plan;
    uint64_t after, noted; /* `noted`: the number of the last row that was noted */

    bool decided;
    struct run *runs;
    size_t run_count;
    struct fold_merge *slots;
    size_t slot_count;

    size_t run;        /* where the second pass is */
    uint32_t run_fed;  /* rows of it that came */
    uint64_t fed;      /* the number of the last row that came */
    uint64_t position; /* of the last event that came out */
    struct buffer out;
};

enum err fold_new(struct fold **out, uint64_t after)
{
    struct fold *fold = calloc(1, sizeof(*fold));
    if (!fold) {
        return ERR_NOMEM;
    }
    fold_plan_init(&fold->plan);
    fold->after = fold->position = after;
    *out = fold;
    return ERR_OK;
}

void fold_free(struct fold *fold)
{
    if (!fold) {
        return;
    }
    fold_plan_clear(&fold->plan);
    for (size_t index = 0; index < fold->slot_count; index++) {
        fold_merge_clear(&fold->slots[index]);
    }
    free(fold->slots);
    free(fold->runs);
    buffer_free(&fold->out);
    free(fold);
}

size_t fold_memory(const struct fold *fold)
{
    size_t bytes = sizeof(*fold) + fold_plan_memory(&fold->plan) +
                   fold->run_count * sizeof(*fold->runs) +
                   fold->slot_count * sizeof(*fold->slots) + fold->out.capacity;
    for (size_t index = 0; index < fold->slot_count; index++) {
        bytes += fold_merge_memory(&fold->slots[index]);
    }
    return bytes;
}

uint64_t fold_position(const struct fold *fold)
{
    return fold->position;
}

/* ---- Reading an event ---- */

bool fold_stamps_read(struct scan *scan, struct span json, struct fold_stamps *stamps)
{
    struct scan_member member;
    *stamps = (struct fold_stamps){0};
    scan_open(scan, json, '{');
    while (scan_member(scan, &member)) {
        if (span_is(member.name, "seq")) {
            if (!span_u64(member.value, &stamps->seq)) {
                return false;
            }
        } else if (span_is(member.name, "from")) {
            stamps->from_value = member.value;
            if (!span_u64(member.value, &stamps->from)) {
                return false;
            }
        } else if (span_is(member.name, "type")) {
            stamps->type_at = (size_t)(member.begin - json.text);
            stamps->from = stamps->from_value.text ? stamps->from : stamps->seq;
            return span_string(member.value, &stamps->type) && stamps->from > 0 &&
                   stamps->from <= stamps->seq;
        }
    }
    return false;
}

static int kind_of(struct span type)
{
    char name[32];
    if (type.length >= sizeof(name)) {
        return -1;
    }
    memcpy(name, type.text, type.length);
    name[type.length] = '\0';
    return event_kind_of(name);
}

/* Reads the members that the rule needs. False if one is missing. */
static bool read_rest(struct scan *scan, enum fold_rule rule, struct fold_row *row)
{
    bool is_delta = rule == FOLD_DELTA || rule == FOLD_TOOL_OUTPUT;
    bool is_message = rule == FOLD_DELTA || rule == FOLD_WHOLE || rule == FOLD_MESSAGE;
    const char *id_name = is_message ? "messageId" : "toolUseId";
    struct scan_member member;
    struct span id = {0};
    struct span delta = {0};
    bool has_offset = false;
    while ((is_delta || !id.text) && scan_member(scan, &member)) {
        if (span_is(member.name, id_name)) {
            if (!span_string(member.value, &id)) {
                return false;
            }
        } else if (is_delta && span_is(member.name, "offset")) {
            has_offset = span_u64(member.value, &row->offset);
        } else if (is_delta && span_is(member.name, "delta")) {
            if (!span_string(member.value, &delta)) {
                return false;
            }
        } else if (is_delta && span_is(member.name, "refs")) {
            row->alone = true;
        }
    }
    row->id = id.text;
    row->id_length = id.length;
    if (!is_delta) {
        return id.text != NULL;
    }
    row->units = delta.text ? span_units(delta) : 0;
    return id.text && delta.text && has_offset && row->offset <= UINT64_MAX / 2;
}

enum err fold_read(const char *json, size_t length, struct fold_row *row)
{
    struct scan scan;
    struct fold_stamps stamps;
    if (!fold_stamps_read(&scan, (struct span){json, length}, &stamps)) {
        return ERR_CORRUPT;
    }
    *row = (struct fold_row){.kind = kind_of(stamps.type), .from = stamps.from, .seq = stamps.seq};
    if (row->kind < 0) {
        return ERR_OK;
    }
    enum fold_rule rule = fold_rule((enum event_kind)row->kind);
    if (rule != FOLD_KEEP && rule != FOLD_LAST && !read_rest(&scan, rule, row)) {
        row->kind = -1;
    }
    return scan.failed ? ERR_CORRUPT : ERR_OK;
}

/* ---- The first pass ---- */

enum err fold_note(struct fold *fold, const struct fold_row *row)
{
    CHECK(!fold->decided);
    uint64_t expected = fold->plan.count > 0 ? fold->noted + 1 : row->from;
    if (row->from != expected || row->from > row->seq ||
        (fold->plan.count == 0 && row->from > fold->after + 1)) {
        return ERR_CORRUPT;
    }
    fold->noted = row->seq;
    return fold_plan_add(&fold->plan, row);
}

/* Slots that nothing is held in, to be used again. */
struct slots {
    uint32_t *free;
    size_t free_count, capacity;
    uint32_t count;
};

static bool take_slot(struct slots *slots, struct fold_mark *end)
{
    if (slots->free_count > 0) {
        end->index = slots->free[--slots->free_count] & FOLD_NOWHERE;
        return true;
    }
    if (slots->count == slots->capacity) {
        /* Room to give back all that there are. */
        size_t capacity = slots->capacity ? slots->capacity * 2 : 8;
        uint32_t *list = reallocarray(slots->free, capacity, sizeof(*list));
        if (!list) {
            return false;
        }
        slots->free = list;
        slots->capacity = capacity;
    }
    end->index = slots->count++ & FOLD_NOWHERE;
    return true;
}

/* Replaces chains' ends by slots, and tells how many there are. */
static bool give_slots(struct fold_plan *plan, uint32_t *count)
{
    struct slots slots = {0};
    bool fits = true;
    for (size_t row = 0; fits && row < plan->count; row++) {
        struct fold_mark *mark = &plan->marks[row];
        if (mark->fate == FATE_HOLD) {
            struct fold_mark *end = &plan->marks[mark->index];
            fits = end->index != FOLD_NOWHERE || take_slot(&slots, end);
            mark->index = end->index;
        } else if (mark->fate == FATE_EMIT) {
            slots.free[slots.free_count++] = mark->index;
        }
    }
    free(slots.free);
    *count = slots.count;
    return fits;
}

static bool continues(const struct run *run, const struct fold_mark *mark)
{
    return run->fate == mark->fate && mark->fate != FATE_EMIT &&
           (mark->fate != FATE_HOLD || run->slot == mark->index);
}

/* Writes the runs, or only counts them where `runs` is NULL. */
static size_t make_runs(const struct fold_plan *plan, struct run *runs)
{
    struct run run = {.fate = FATE_EMIT};
    size_t count = 0;
    for (size_t row = 0; row < plan->count; row++) {
        const struct fold_mark *mark = &plan->marks[row];
        if (row == 0 || !continues(&run, mark)) {
            run = (struct run){.slot = mark->index, .fate = (enum fate)mark->fate};
            count++;
        }
        run.end = mark->at;
        run.rows++;
        if (runs) {
            runs[count - 1] = run;
        }
    }
    return count;
}

enum err fold_decide(struct fold *fold)
{
    CHECK(!fold->decided);
    struct fold_plan *plan = &fold->plan;
    if (!fold->slots) {
        fold_plan_settle(plan);
        uint32_t slots = 0;
        fold->slots = NULL;
        if (!give_slots(plan, &slots)) {
            return ERR_NOMEM;
        }
        fold->slot_count = slots;
    }
    return ERR_OK;
}
