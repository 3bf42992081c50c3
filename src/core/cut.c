#include "core/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/event.h"

enum {
    PATH_MAX_BYTES = 512,
    REFS_KEY = 16,  /* `,"refs":[` and its end */
    PREFIX_MAX = 8, /* of cut_write_refs: `/request` */
};

/* ---- Strings as they stand in JSON ---- */

static unsigned hex4(const char *digits)
{
    unsigned number = 0;
    for (size_t i = 0; i < 4; i++) {
        char digit = digits[i];
        unsigned value = digit <= '9' ? (unsigned)(digit - '0') : ((unsigned)digit | 0x20u) - 'a' + 10;
        number = number << 4 | (value & 15);
    }
    return number;
}

/* How many bytes the character at `at` has, an escape being one; a pair of escaped surrogates too. */
static size_t unit_length(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);
    if (*at != '\\') {
        size_t bad;
        size_t most = left < 4 ? left : 4;
        size_t length = (unsigned char)*at < 0x80 ? 1 : (unsigned char)*at < 0xe0 ? 2 : (unsigned char)*at < 0xf0 ? 3 : 4;
        length = length < most ? length : most;
        return utf8_valid_prefix(at, length, &bad) == length ? length : 1;
    }
    if (left < 6 || at[1] != 'u') {
        return left < 2 ? left : 2;
    }
    bool pair = left >= 12 && (hex4(at + 2) & 0xfc00) == 0xd800 && at[6] == '\\' && at[7] == 'u' &&
                (hex4(at + 8) & 0xfc00) == 0xdc00;
    return pair ? 12 : 6;
}

/* The largest cut of a string's inside, at most `limit`, that splits no character. */
static size_t cut_place(struct span inside, size_t limit)
{
    const char *end = inside.text + inside.length;
    size_t at = 0;
    while (at < inside.length) {
        size_t length = unit_length(inside.text + at, end);
        if (at + length > limit) {
            break;
        }
        at += length;
    }
    return at;
}

static void put_code(struct buffer *out, unsigned code)
{
    char bytes[4];
    if (code < 0x80) {
        buffer_byte(out, (char)code);
        return;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; code >>= 6) {
        bytes[i] = (char)(0x80 | (code & 0x3f));
    }
    bytes[0] = (char)(marks[length] | code);
    buffer_append(out, bytes, length);
}

void cut_decode(struct buffer *out, struct span inside)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *at = inside.text;
    const char *end = at + inside.length;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        buffer_append(out, at, (size_t)((escape ? escape : end) - at));
        if (!escape || end - escape < 2) {
            return;
        }
        size_t length = unit_length(escape, end);
        if (length >= 6) {
            unsigned code = hex4(escape + 2);
            bool half = (code & 0xf800) == 0xd800;
            if (length == 12) {
                code = 0x10000 + ((code & 0x3ff) << 10) + (hex4(escape + 8) & 0x3ff);
            }
            put_code(out, length == 6 && half ? 0xfffd : code);
        } else {
            const char *found = strchr(from, escape[1]);
            buffer_byte(out, found ? to[found - from] : escape[1]);
        }
        at = escape + length;
    }
}

/* ---- Blobs and references ---- */

static bool is_known(const struct cut_known *known, const struct digest *name)
{
    for (size_t i = 0; known && i < known->count; i++) {
        if (digest_equal(&known->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void remember(struct cut_known *known, const struct digest *name)
{
    if (known) {
        known->names[known->next] = *name;
        known->next = (known->next + 1) % CUT_KNOWN_MAX;
        known->count += known->count < CUT_KNOWN_MAX;
    }
}

/* *out NULL: it is there already. */
static enum err keep(const char *text, size_t length, const char *type, const struct cut_known *known,
                     struct digest *name, struct blob **out)
{
    blob_name(type, text, length, name);
    *out = NULL;
    if (is_known(known, name)) {
        return ERR_OK;
    }
    char *copy = malloc(length ? length : 1);
    if (!copy) {
        return ERR_NOMEM;
    }
    memcpy(copy, text, length);
    enum err err = blob_new(out, type, name, copy, length);
    if (err) {
        free(copy);
    }
    return err;
}

static void put_ref(struct cut *cut, struct cut_member *member, const char *path, const char *text, size_t length,
                    const char *type)
{
    struct digest name;
    struct blob *blob = NULL;
    char id[BLOB_ID_SIZE];
    enum err err = keep(text, length, type, cut->known, &name, &blob);
    if (err) {
        cut->err = err;
        return;
    }
    if (blob) {
        blob->next = member->blobs;
        member->blobs = blob;
    }
    blob_id(&name, id);
    buffer_text(&member->refs, member->ref_count ? ",{" : "{");
    json_field_string(&member->refs, "path", path);
    json_field_string(&member->refs, "blob", id);
    json_field_i64(&member->refs, "bytes", (int64_t)length);
    buffer_byte(&member->refs, '}');
    member->ref_count++;
}

/* ---- Members ---- */

/* The path to a value, as a JSON Pointer (RFC 6901). One that is too long gets no further: then the member is replaced
 * as a whole. */
struct path {
    char text[PATH_MAX_BYTES];
    size_t length;
};

static bool path_add(struct cut *cut, struct path *path, struct span name)
{
    struct buffer decoded = {0};
    cut_decode(&decoded, name);
    bool fits = buffer_ok(&decoded) && path->length + 1 < sizeof(path->text);
    if (fits) {
        path->text[path->length++] = '/';
    }
    for (size_t i = 0; fits && i < decoded.length; i++) {
        char byte = decoded.data[i];
        bool special = byte == '~' || byte == '/';
        fits = byte != '\0' && path->length + 2 < sizeof(path->text);
        if (fits) {
            path->text[path->length++] = special ? '~' : byte;
        }
        if (fits && special) {
            path->text[path->length++] = byte == '~' ? '0' : '1';
        }
    }
    path->text[path->length] = '\0';
    cut->err = buffer_ok(&decoded) ? cut->err : ERR_NOMEM;
    buffer_free(&decoded);
    return fits;
}

static void cut_value_into(struct cut *cut, struct cut_member *member, struct span value, struct path *path,
                           bool reachable);

static void cut_members(struct cut *cut, struct cut_member *member, struct span value, struct path *path, bool reachable)
{
    struct scan scan;
    struct scan_member each;
    bool first = true;
    size_t length = path->length;
    scan_open(&scan, value, '{');
    buffer_byte(&member->out, '{');
    while (scan_member(&scan, &each)) {
        if (!first) {
            buffer_byte(&member->out, ',');
        }
        first = false;
        buffer_byte(&member->out, '"');
        buffer_append(&member->out, each.name.text, each.name.length);
        buffer_append(&member->out, "\":", 2);
        bool below = reachable && (each.value.length <= CUT_KEEP || path_add(cut, path, each.name));
        cut_value_into(cut, member, each.value, path, below);
        path->length = length;
        path->text[length] = '\0';
    }
    buffer_byte(&member->out, '}');
}

static void cut_elements(struct cut *cut, struct cut_member *member, struct span value, struct path *path,
                         bool reachable)
{
    struct scan scan;
    struct span each;
    size_t index = 0;
    size_t length = path->length;
    scan_open(&scan, value, '[');
    buffer_byte(&member->out, '[');
    while (scan_element(&scan, &each)) {
        char number[24];
        int digits = snprintf(number, sizeof(number), "%zu", index);
        if (index++ > 0) {
            buffer_byte(&member->out, ',');
        }
        bool below =
            reachable && (each.length <= CUT_KEEP || path_add(cut, path, (struct span){number, (size_t)digits}));
        cut_value_into(cut, member, each, path, below);
        path->length = length;
        path->text[length] = '\0';
    }
    buffer_byte(&member->out, ']');
}

/* Recursive; what agents may nest was bounded when it was parsed. */
static void cut_value_into(struct cut *cut, struct cut_member *member, struct span value, struct path *path,
                           bool reachable)
{
    struct span inside;
    if (value.length <= CUT_KEEP || !reachable || cut->err || member->ref_count > CUT_REFS_MAX) {
        buffer_append(&member->out, value.text, value.length);
    } else if (span_string(value, &inside)) {
        buffer_byte(&member->out, '"');
        buffer_append(&member->out, inside.text, cut_place(inside, CUT_PREVIEW));
        buffer_byte(&member->out, '"');
        buffer_reset(&cut->text);
        cut_decode(&cut->text, inside);
        if (buffer_ok(&cut->text)) {
            put_ref(cut, member, path->text, cut->text.data ? cut->text.data : "", cut->text.length, BLOB_TEXT);
        } else {
            cut->err = ERR_NOMEM;
        }
    } else if (value.text[0] == '{') {
        cut_members(cut, member, value, path, true);
    } else if (value.text[0] == '[') {
        cut_elements(cut, member, value, path, true);
    } else {
        buffer_append(&member->out, value.text, value.length);
    }
}

static void clear(struct cut_member *member)
{
    buffer_reset(&member->out);
    buffer_reset(&member->refs);
    blobs_free(member->blobs);
    member->blobs = NULL;
    member->ref_count = 0;
    member->changed = true;
}

static void cut_strings(struct cut *cut, struct cut_member *member)
{
    struct path path = {.length = 0};
    clear(member);
    bool reachable = path_add(cut, &path, member->name);
    cut_value_into(cut, member, member->value, &path, reachable);
}

/* An object stays an object, and a list a list, so that clients find what they expect. */
static void replace_whole(struct cut *cut, struct cut_member *member)
{
    struct path path = {.length = 0};
    char kind = member->value.text[0];
    clear(member);
    member->whole = true;
    (void)path_add(cut, &path, member->name);
    buffer_text(&member->out, kind == '{' ? "{}" : kind == '[' ? "[]" : "null");
    put_ref(cut, member, path.text, member->value.text, member->value.length, BLOB_JSON);
}

static size_t member_length(const struct cut *cut, const struct cut_member *member)
{
    size_t refs = member->ref_count > 0 ? member->refs.length + 1 + member->ref_count * PREFIX_MAX : 0;
    return (member->changed ? member->out.length : member->value.length) + refs * cut->copies;
}

static size_t count_refs(const struct cut *cut)
{
    size_t count = 0;
    for (size_t i = 0; i < cut->count; i++) {
        count += cut->members[i].ref_count;
    }
    return count;
}

size_t cut_length(const struct cut *cut)
{
    size_t length = 2 + REFS_KEY * cut->copies;
    for (size_t i = 0; i < cut->count; i++) {
        length += cut->members[i].name.length + 4 + member_length(cut, &cut->members[i]);
    }
    return length;
}

/* The one by whose replacement most is won; NULL when there is none. A string is short already. */
static struct cut_member *largest(struct cut *cut)
{
    struct cut_member *found = NULL;
    for (size_t i = 0; i < cut->count; i++) {
        struct cut_member *member = &cut->members[i];
        size_t length = member_length(cut, member);
        if (!member->whole && member->value.text[0] != '"' && length > 256 &&
            (!found || length > member_length(cut, found))) {
            found = member;
        }
    }
    return found;
}

static bool failed(const struct cut *cut)
{
    bool fine = !cut->err && buffer_ok(&cut->text);
    for (size_t i = 0; i < cut->count; i++) {
        fine = fine && buffer_ok(&cut->members[i].out) && buffer_ok(&cut->members[i].refs);
    }
    return !fine;
}

enum err cut_begin(struct cut *cut, struct span object, size_t max_bytes, size_t copies, struct cut_known *known)
{
    struct scan scan;
    struct scan_member each;
    *cut = (struct cut){.copies = copies, .known = known};
    scan_open(&scan, object, '{');
    while (scan_member(&scan, &each)) {
        CHECK(cut->count < CUT_MEMBERS_MAX); /* members are ours, only what is in them is not */
        cut->members[cut->count++] = (struct cut_member){.name = each.name, .value = each.value};
    }
    CHECK(!scan.failed);
    if (object.length <= max_bytes) {
        return ERR_OK;
    }
    for (size_t i = 0; i < cut->count && !cut->err; i++) {
        if (cut->members[i].value.length > CUT_KEEP) {
            cut_strings(cut, &cut->members[i]);
        }
    }
    struct cut_member *member;
    while (!failed(cut) && (cut_length(cut) > max_bytes || count_refs(cut) > CUT_REFS_MAX) &&
           (member = largest(cut))) {
        replace_whole(cut, member);
    }
    return failed(cut) ? ERR_NOMEM : ERR_OK;
}

bool cut_has_refs(const struct cut *cut)
{
    return count_refs(cut) > 0;
}

static struct span value_of(const struct cut_member *member)
{
    return member->changed ? (struct span){member->out.data, member->out.length} : member->value;
}

struct span cut_value(const struct cut *cut, const char *name)
{
    for (size_t i = 0; i < cut->count; i++) {
        if (span_is(cut->members[i].name, name)) {
            return value_of(&cut->members[i]);
        }
    }
    return (struct span){0};
}

void cut_write(const struct cut *cut, struct buffer *out)
{
    for (size_t i = 0; i < cut->count; i++) {
        struct span value = value_of(&cut->members[i]);
        buffer_text(out, ",\"");
        buffer_append(out, cut->members[i].name.text, cut->members[i].name.length);
        buffer_append(out, "\":", 2);
        buffer_append(out, value.text, value.length);
    }
}

void cut_write_refs(const struct cut *cut, const char *prefix, struct buffer *out)
{
    static const char begin[] = "{\"path\":\"";
    bool first = true;
    for (size_t i = 0; i < cut->count; i++) {
        const struct cut_member *member = &cut->members[i];
        struct buffer list = {0};
        buffer_byte(&list, '[');
        buffer_append(&list, member->refs.data, member->refs.length);
        buffer_byte(&list, ']');
        struct scan scan;
        struct span each;
        for (bool more = buffer_ok(&list) && scan_open(&scan, (struct span){list.data, list.length}, '[');
             more && scan_element(&scan, &each); first = false) {
            buffer_text(out, first ? "" : ",");
            buffer_text(out, begin);
            buffer_text(out, prefix);
            buffer_append(out, each.text + sizeof(begin) - 1, each.length - (sizeof(begin) - 1));
        }
        out->failed |= list.failed;
        buffer_free(&list);
    }
}

struct blob *cut_take_blobs(struct cut *cut)
{
    struct blob *all = NULL;
    for (size_t i = 0; i < cut->count; i++) {
        while (cut->members[i].blobs) {
            struct blob *blob = cut->members[i].blobs;
            cut->members[i].blobs = blob->next;
            blob->next = all;
            all = blob;
            remember(cut->known, &blob->name);
        }
    }
    return all;
}

void cut_free(struct cut *cut)
{
    for (size_t i = 0; i < cut->count; i++) {
        buffer_free(&cut->members[i].out);
        buffer_free(&cut->members[i].refs);
        blobs_free(cut->members[i].blobs);
    }
    buffer_free(&cut->text);
    cut->count = 0;
}

enum err cut_text(const char *whole, size_t length, size_t room, struct cut_known *known, struct buffer *text,
                  struct digest *name, struct blob **blob)
{
    struct buffer json = {0};
    json_put_string(&json, whole, length);
    enum err err = buffer_ok(&json) ? keep(whole, length, BLOB_TEXT, known, name, blob) : ERR_NOMEM;
    if (!err) {
        const struct span inside = {json.data + 1, json.length - 2};
        cut_decode(text, (struct span){inside.text, cut_place(inside, room)});
        if (*blob) {
            remember(known, name);
        }
        if (!buffer_ok(text)) {
            blobs_free(*blob);
            *blob = NULL;
            err = ERR_NOMEM;
        }
    }
    buffer_free(&json);
    return err;
}

enum err cut_event(struct buffer *event, size_t max_bytes, struct cut_known *known, struct blob **blobs)
{
    /* The number and the time are written in front of it later. */
    size_t room = EVENT_STAMPS_MAX;
    *blobs = NULL;
    if (!buffer_ok(event) || event->length + 1 + room <= max_bytes) {
        return buffer_ok(event) ? ERR_OK : ERR_NOMEM;
    }
    buffer_byte(event, '}');
    if (!buffer_ok(event)) {
        return ERR_NOMEM;
    }
    event->data[0] = '{';
    struct cut cut;
    struct buffer out = {0};
    enum err err = cut_begin(&cut, (struct span){event->data, event->length}, max_bytes - room, 1, known);
    if (!err) {
        cut_write(&cut, &out);
        if (cut_has_refs(&cut)) {
            buffer_text(&out, ",\"refs\":[");
            cut_write_refs(&cut, "", &out);
            buffer_byte(&out, ']');
        }
        err = buffer_ok(&out) ? ERR_OK : ERR_NOMEM;
    }
    if (!err) {
        *blobs = cut_take_blobs(&cut);
        buffer_free(event);
        *event = out;
    } else {
        buffer_free(&out);
    }
    cut_free(&cut);
    return err;
}
