/* Rows that become one event: deltas are joined, updates are merged. Works on the JSON as it
 * stands. */
#include <string.h>

#include "core/fold_internal.h"
#include "signalbox/base/json.h"

void fold_merge_clear(struct fold_merge *merge)
{
    buffer_free(&merge->head);
    buffer_free(&merge->body);
    buffer_free(&merge->scratch);
    buffer_free(&merge->refs);
    buffer_free(&merge->old_refs);
    *merge = (struct fold_merge){0};
}

size_t fold_merge_memory(const struct fold_merge *merge)
{
    return merge->head.capacity + merge->body.capacity + merge->scratch.capacity +
           merge->refs.capacity + merge->old_refs.capacity;
}

static struct span whole(const struct buffer *buffer)
{
    return (struct span){buffer->length > 0 ? buffer->data : "", buffer->length};
}

static void put_member(struct buffer *out, const struct scan_member *member)
{
    if (out->length > 0 && out->data[out->length - 1] != '{') {
        buffer_byte(out, ',');
    }
    /* From the quote before the name on; white space around the colon is not kept. */
    buffer_append(out, member->begin, member->name.length + 2);
    buffer_byte(out, ':');
    buffer_append(out, member->value.text, member->value.length);
}

/* Says whose update it is and when; all else in a tool_update is a field of the call. */
static bool is_stamp(struct span name)
{
    static const char *const stamps[] = {"seq",    "ts",        "type", "sessionId",
                                         "turnId", "toolUseId", "cause"};
    for (size_t index = 0; index < sizeof(stamps) / sizeof(stamps[0]); index++) {
        if (span_is(name, stamps[index])) {
            return true;
        }
    }
    return false;
}

static void open_head(struct fold_merge *merge)
{
    buffer_reset(&merge->head);
    buffer_byte(&merge->head, '{');
}

static void put_head(struct fold_merge *merge, const struct scan_member *member)
{
    if (span_is(member->name, "type")) {
        merge->type_at = merge->head.length + (merge->head.length > 1);
    }
    put_member(&merge->head, member);
}

/* ---- Deltas ---- */

static enum err join(struct fold_merge *merge, struct span json)
{
    struct scan scan;
    struct scan_member member;
    struct span delta = {0};
    uint64_t offset = 0;
    bool has_offset = false;
    open_head(merge);
    scan_open(&scan, json, '{');
    while (scan_member(&scan, &member)) {
        if (span_is(member.name, "offset")) {
            has_offset = span_u64(member.value, &offset);
        } else if (span_is(member.name, "delta")) {
            if (!span_string(member.value, &delta)) {
                return ERR_CORRUPT;
            }
        } else if (!span_is(member.name, "from")) {
            put_head(merge, &member);
        }
    }
    if (scan.failed || !has_offset || !delta.text) {
        return ERR_CORRUPT;
    }
    uint64_t end = offset + span_units(delta);
    if (!merge->any || offset <= merge->offset) {
        /* The first; or the log was folded meanwhile, and this one already has what is held. */
        if (merge->any && end < merge->end) {
            return ERR_AGAIN;
        }
        buffer_reset(&merge->body);
        merge->offset = offset;
    } else if (offset != merge->end) {
        return ERR_AGAIN;
    }
    merge->end = end;
    buffer_append(&merge->body, delta.text, delta.length);
    return ERR_OK;
}

/* ---- Updates ---- */

/* The value of the field; NULL text if the object has none. `object` may be any event or the fields
 * so far. */
static struct span field_of(struct span object, struct span name)
{
    struct scan scan;
    struct scan_member member;
    scan_open(&scan, object, '{');
    while (scan_member(&scan, &member)) {
        if (span_equal(member.name, name)) {
            return member.value;
        }
    }
    return (struct span){0};
}

static bool is_field(struct span name)
{
    return !is_stamp(name) && !span_is(name, "from") && !span_is(name, "refs");
}

/* The field that a JSON Pointer (RFC 6901) points into. Our names have nothing that it escapes. */
static struct span pointed_field(struct span ref)
{
    struct span path = field_of(ref, (struct span){"path", 4});
    struct span inside;
    if (!path.text || !span_string(path, &inside) || inside.length == 0 || inside.text[0] != '/') {
        return (struct span){0};
    }
    const char *begin = inside.text + 1;
    const char *slash = memchr(begin, '/', inside.length - 1);
    return (struct span){begin, slash ? (size_t)(slash - begin) : inside.length - 1};
}

static void add_refs(struct buffer *to, struct span refs, struct span replaced_by)
{
    struct scan scan;
    struct span ref;
    scan_open(&scan, refs, '[');
    while (scan_element(&scan, &ref)) {
        struct span field = pointed_field(ref);
        if (field.text && replaced_by.text && field_of(replaced_by, field).text) {
            continue;
        }
        buffer_text(to, to->length > 1 ? "," : "");
        buffer_append(to, ref.text, ref.length);
    }
}

static void swap(struct buffer *one, struct buffer *other)
{
    struct buffer kept = *one;
    *one = *other;
    *other = kept;
}

/*
 * A field keeps the place where it first came, whichever rows are merged first: so a log that is
 * folded in steps has the same bytes in the end.
 */
static void merge_fields(struct fold_merge *merge, struct span event)
{
    struct scan scan;
    struct scan_member member;
    swap(&merge->body, &merge->scratch);
    buffer_reset(&merge->body);
    buffer_byte(&merge->body, '{');
    struct span old = whole(&merge->scratch);
    if (merge->any) {
        scan_open(&scan, old, '{');
        while (scan_member(&scan, &member)) {
            struct span newer = field_of(event, member.name);
            member.value = newer.text ? newer : member.value;
            put_member(&merge->body, &member);
        }
    }
    scan_open(&scan, event, '{');
    while (scan_member(&scan, &member)) {
        if (is_field(member.name) && (!merge->any || !field_of(old, member.name).text)) {
            put_member(&merge->body, &member);
        }
    }
    buffer_byte(&merge->body, '}');
}

static void merge_refs(struct fold_merge *merge, struct span event, struct span refs)
{
    if (!refs.text && merge->refs.length == 0) {
        return;
    }
    swap(&merge->refs, &merge->old_refs);
    buffer_reset(&merge->refs);
    buffer_byte(&merge->refs, '[');
    if (merge->old_refs.length > 0) {
        add_refs(&merge->refs, whole(&merge->old_refs), event);
    }
    if (refs.text) {
        add_refs(&merge->refs, refs, (struct span){0});
    }
    buffer_byte(&merge->refs, ']');
}

static enum err update(struct fold_merge *merge, struct span json)
{
    struct scan scan;
    struct scan_member member;
    struct span refs = {0};
    open_head(merge);
    scan_open(&scan, json, '{');
    while (scan_member(&scan, &member)) {
        if (is_stamp(member.name)) {
            put_head(merge, &member);
        } else if (span_is(member.name, "refs")) {
            refs = member.value;
        }
    }
    if (scan.failed) {
        return ERR_CORRUPT;
    }
    merge_fields(merge, json);
    merge_refs(merge, json, refs);
    return ERR_OK;
}

/* ---- Both ---- */

enum err fold_merge_add(struct fold_merge *merge, struct span json)
{
    struct scan scan;
    struct fold_stamps stamps;
    if (!fold_stamps_read(&scan, json, &stamps)) {
        return ERR_CORRUPT;
    }
    merge->joins = !span_is(stamps.type, "tool_update");
    enum err err = merge->joins ? join(merge, json) : update(merge, json);
    merge->any = true;
    bool fits = buffer_ok(&merge->head) && buffer_ok(&merge->body) && buffer_ok(&merge->scratch) &&
                buffer_ok(&merge->refs) && buffer_ok(&merge->old_refs);
    return err || fits ? err : ERR_NOMEM;
}

void fold_merge_write(const struct fold_merge *merge, uint64_t from, struct buffer *out)
{
    buffer_append(out, merge->head.data, merge->type_at);
    if (from > 0) {
        buffer_format(out, "\"from\":%llu,", (unsigned long long)from);
    }
    buffer_append(out, merge->head.data + merge->type_at, merge->head.length - merge->type_at);
    if (merge->joins) {
        buffer_format(out, ",\"offset\":%llu,\"delta\":\"", (unsigned long long)merge->offset);
        buffer_append(out, merge->body.data, merge->body.length);
        buffer_byte(out, '"');
    } else if (merge->body.length > 2) {
        buffer_byte(out, ',');
        buffer_append(out, merge->body.data + 1, merge->body.length - 2);
    }
    if (!merge->joins && merge->refs.length > 2) {
        buffer_text(out, ",\"refs\":");
        buffer_append(out, merge->refs.data, merge->refs.length);
    }
    buffer_byte(out, '}');
}
