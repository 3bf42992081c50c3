/* What was decided, as runs of rows that share a fate, and the second pass. The first is
 * fold_plan.c. */
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
                   fold->run_count * sizeof(*fold->runs) + fold->slot_count * sizeof(*fold->slots) +
                   fold->out.capacity;
    for (size_t index = 0; index < fold->slot_count; index++) {
        bytes += fold_merge_memory(&fold->slots[index]);
    }
    return bytes;
}

uint64_t fold_position(const struct fold *fold)
{
    return fold->position;
}

uint64_t fold_unsafe(const struct fold *fold)
{
    CHECK(fold->decided);
    return fold->plan.unsafe;
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
    fold_plan_settle(plan, fold->after);
    uint32_t slots = 0;
    if (!give_slots(plan, &slots)) {
        return ERR_NOMEM;
    }
    fold->run_count = make_runs(plan, NULL);
    fold->runs = calloc(fold->run_count + 1, sizeof(*fold->runs));
    fold->slots = calloc((size_t)slots + 1, sizeof(*fold->slots));
    if (!fold->runs || !fold->slots) {
        fold->run_count = 0;
        return ERR_NOMEM;
    }
    fold->slot_count = slots;
    make_runs(plan, fold->runs);
    fold_plan_clear(plan);
    fold->decided = true;
    return ERR_OK;
}

/* ---- The second pass ---- */

uint64_t fold_wants(const struct fold *fold)
{
    CHECK(fold->decided);
    uint64_t next = fold->fed > 0 ? fold->fed + 1 : fold->plan.base;
    for (size_t at = fold->run; at < fold->run_count; at++) {
        const struct run *run = &fold->runs[at];
        uint64_t end = fold->plan.base + run->end;
        if (run->fate != FATE_DROP && end >= next) {
            return next;
        }
        next = end >= next ? end + 1 : next;
    }
    return 0;
}

/* Finds the row's run. ERR_AGAIN: a row that was noted and is needed did not come, or one came that
 * was not. */
static enum err find_run(struct fold *fold, uint64_t seq)
{
    if (seq <= fold->fed || seq < fold->plan.base) {
        return ERR_AGAIN;
    }
    fold->fed = seq;
    while (fold->run < fold->run_count && seq > fold->plan.base + fold->runs[fold->run].end) {
        const struct run *run = &fold->runs[fold->run];
        if (run->fate != FATE_DROP && fold->run_fed != run->rows) {
            return ERR_AGAIN;
        }
        fold->run++;
        fold->run_fed = 0;
    }
    return fold->run < fold->run_count && ++fold->run_fed <= fold->runs[fold->run].rows ? ERR_OK
                                                                                        : ERR_AGAIN;
}

/* The row itself, with its range if that is more than what it already says. */
static void send_row(struct fold *fold, const struct fold_stamps *stamps, struct span json,
                     struct fold_event *event)
{
    uint64_t from = fold->position + 1 < stamps->from ? fold->position + 1 : stamps->from;
    *event = (struct fold_event){
        .from = from, .seq = stamps->seq, .json = json.text, .length = json.length};
    if (from == stamps->from) {
        return;
    }
    const char *rest = json.text + stamps->type_at;
    struct buffer *out = &fold->out;
    if (stamps->from_value.text) {
        const char *value = stamps->from_value.text;
        buffer_append(out, json.text, (size_t)(value - json.text));
        buffer_format(out, "%llu", (unsigned long long)from);
        rest = value + stamps->from_value.length;
    } else {
        buffer_append(out, json.text, stamps->type_at);
        buffer_format(out, "\"from\":%llu,", (unsigned long long)from);
    }
    buffer_append(out, rest, (size_t)(json.text + json.length - rest));
    event->changed = true;
}

static void send_merged(struct fold *fold, const struct fold_merge *merge, uint64_t seq,
                        uint64_t row_from, struct fold_event *event)
{
    uint64_t from = fold->position + 1 < row_from ? fold->position + 1 : row_from;
    fold_merge_write(merge, from < seq ? from : 0, &fold->out);
    *event = (struct fold_event){.from = from, .seq = seq, .changed = true};
}

enum err fold_apply(struct fold *fold, uint64_t seq, const char *json, size_t length,
                    struct fold_event *out)
{
    CHECK(fold->decided);
    enum err err = find_run(fold, seq);
    if (err) {
        return err;
    }
    const struct run *run = &fold->runs[fold->run];
    struct fold_event event = {0};
    if (run->fate == FATE_DROP) {
        *out = event;
        return ERR_OK;
    }
    struct span text = {json, length};
    struct fold_stamps stamps;
    struct scan scan;
    if (!fold_stamps_read(&scan, text, &stamps) || stamps.seq != seq) {
        return ERR_CORRUPT;
    }
    struct fold_merge *merge = run->fate == FATE_STAY ? NULL : &fold->slots[run->slot];
    if (merge) {
        err = fold_merge_add(merge, text);
    }
    buffer_reset(&fold->out);
    if (!err && run->fate == FATE_EMIT) {
        send_merged(fold, merge, seq, stamps.from, &event);
    } else if (run->fate == FATE_STAY) {
        send_row(fold, &stamps, text, &event);
    }
    if (merge && run->fate == FATE_EMIT) {
        fold_merge_clear(merge);
    }
    if (!err && !buffer_ok(&fold->out)) {
        err = ERR_NOMEM;
    }
    if (err) {
        return err;
    }
    if (event.changed) {
        event.json = fold->out.data;
        event.length = fold->out.length;
    }
    fold->position = event.json ? seq : fold->position;
    *out = event;
    return ERR_OK;
}
