/* Objects that are kept short: whatever is in them, what is cut is whole in its blob, and no character is split. */
#define _GNU_SOURCE
#include "core/cut.h"

#include <stdio.h>

#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/event.h"
#include "signalbox/base/check.h"
#include "support/oom.h"
#include "support/pointer.h"
#include "support/test.h"

static const char *find(const struct buffer *text, const char *what)
{
    return memmem(text->data, text->length, what, strlen(what));
}

static uint32_t state = 1;
static uint32_t below(uint32_t limit)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % limit;
}

static void put_random_text(struct buffer *out, size_t bytes)
{
    static const char *const symbols[] = {"a", "b", "\"", "\\", "\n", "\x01", "/", "\xC3\xA9", "\xE6\xBC\xA2",
                                          "\xF0\x9F\x98\x80", "\x7f", "\t"};
    struct buffer text = {0};
    while (text.length < bytes) {
        buffer_text(&text, symbols[below(array_size(symbols))]);
    }
    json_put_string(out, text.data ? text.data : "", text.length);
    buffer_free(&text);
}

static void put_random(struct buffer *out, int depth, size_t most)
{
    uint32_t kind = below(depth > 0 ? 6 : 4);
    if (kind < 2) {
        put_random_text(out, below((uint32_t)most));
    } else if (kind < 4) {
        buffer_text(out, kind == 2 ? "-12.5e3" : "null");
    } else {
        uint32_t count = below(6);
        buffer_byte(out, kind == 4 ? '{' : '[');
        for (uint32_t i = 0; i < count; i++) {
            static const char *const keys[] = {"key", "a/b", "m~n", "\xC3\xA9", "q\\\"", "new\\nline"};
            buffer_text(out, i ? "," : "");
            if (kind == 4) {
                buffer_format(out, "\"%s%u\":", keys[below(array_size(keys))], i);
            }
            put_random(out, depth - 1, most);
        }
        buffer_byte(out, kind == 4 ? '}' : ']');
    }
}

static struct json_object *parse(const char *text, size_t length)
{
    struct json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    char *copy = strndup(text, length);
    struct json_object *value = json_tokener_parse_ex(tokener, copy, (int)length);
    json_tokener_free(tokener);
    free(copy);
    return value;
}

/* Puts back what was cut, as a client does. */
static void restore(struct json_object **value, const struct blob *blobs)
{
    struct json_object *refs = json_object_get(json_object_object_get(*value, "refs"));
    json_object_object_del(*value, "refs");
    for (size_t i = 0; refs && i < json_object_array_length(refs); i++) {
        struct json_object *ref = json_object_array_get_idx(refs, i), *there = NULL;
        struct digest name;
        CU_ASSERT_TRUE_FATAL(blob_id_parse(json_get_string(ref, "blob"), &name));
        const struct blob *blob = blobs;
        while (blob && !digest_equal(&blob->name, &name)) {
            blob = blob->next;
        }
        CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
        CU_ASSERT_EQUAL(json_object_get_int64(json_object_object_get(ref, "bytes")), (int64_t)blob->length);
        CU_ASSERT_EQUAL_FATAL(json_pointer_get(*value, json_get_string(ref, "path"), &there), 0);
        struct json_object *whole;
        if (json_object_is_type(there, json_type_string)) {
            size_t shown = (size_t)json_object_get_string_len(there);
            CU_ASSERT_TRUE(shown < blob->length && !memcmp(json_object_get_string(there), blob->data, shown));
            CU_ASSERT_TRUE(utf8_valid(json_object_get_string(there), shown));
            CU_ASSERT_TRUE(utf8_valid(blob->data, blob->length));
            whole = json_object_new_string_len(blob->data, (int)blob->length);
        } else {
            TEST_TEXT(blob->type, BLOB_JSON);
            whole = parse(blob->data, blob->length);
        }
        CU_ASSERT_EQUAL(pointer_put(*value, json_get_string(ref, "path"), whole), 0);
    }
    json_object_put(refs);
}

static void check_event(struct buffer *event, size_t max_bytes, struct cut_known *known, struct blob **kept)
{
    struct buffer before = {0};
    buffer_byte(&before, '{');
    buffer_append(&before, event->data + 1, event->length - 1);
    buffer_byte(&before, '}');
    struct json_object *wanted = parse(before.data, before.length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(wanted);
    struct blob *blobs = NULL;
    CU_ASSERT_EQUAL_FATAL(cut_event(event, max_bytes, known, &blobs), ERR_OK);
    while (blobs) {
        struct blob *blob = blobs;
        blobs = blob->next;
        blob->next = *kept;
        *kept = blob;
    }
    struct event made;
    CU_ASSERT_EQUAL_FATAL(event_close(event, EVENT_AGENT_UPDATE, 1700000000000, &made), ERR_OK);
    event_number(&made, UINT64_MAX, INT64_MIN);
    CU_ASSERT_TRUE(frame_json_length(made.frame) <= max_bytes);
    struct json_object *got = parse(frame_json(made.frame), frame_json_length(made.frame));
    CU_ASSERT_PTR_NOT_NULL_FATAL(got);
    json_object_object_del(got, "seq");
    json_object_object_del(got, "ts");
    restore(&got, *kept);
    CU_ASSERT_TRUE(json_object_equal(got, wanted));
    json_object_put(got);
    json_object_put(wanted);
    event_discard(&made);
    buffer_free(&before);
}

static void any_event_fits_and_nothing_is_lost(void)
{
    for (int round = 0; round < 150; round++) {
        struct cut_known known = {.count = 0};
        struct blob *kept = NULL;
        struct buffer event = {0};
        uint32_t members = 1 + below(8);
        event_open(&event, EVENT_AGENT_UPDATE, "session", "turn-1");
        for (uint32_t i = 0; i < members; i++) {
            buffer_format(&event, ",\"m%u\":", i);
            put_random(&event, 4, round % 3 ? 9000 : 60000);
        }
        check_event(&event, 16384, round % 2 ? &known : NULL, &kept);
        buffer_free(&event);
        blobs_free(kept);
    }
}

static void a_short_event_stays_as_it_is(void)
{
    struct buffer event = {0};
    struct blob *blobs;
    event_open(&event, EVENT_TOOL_RESULT, "session", NULL);
    buffer_text(&event, ",\"result\":");
    put_random_text(&event, 9000); /* longer than a string that is cut, but the event is not too long */
    CU_ASSERT_TRUE(event.length > CUT_KEEP && event.length < 30000);
    size_t length = event.length;
    char *before = strndup(event.data, length);
    CU_ASSERT_EQUAL(cut_event(&event, 65536, NULL, &blobs), ERR_OK);
    CU_ASSERT_PTR_NULL(blobs);
    CU_ASSERT_TRUE(event.length == length && !memcmp(before, event.data, length));
    free(before);
    buffer_free(&event);
}

static void what_was_handed_out_is_not_again(void)
{
    struct cut_known known = {.count = 0};
    struct buffer text = {0};
    struct blob *blobs = NULL;
    put_random_text(&text, 50000);
    for (int i = 0; i < 3; i++) {
        struct buffer event = {0};
        event_open(&event, EVENT_TOOL_RESULT, "session", NULL);
        buffer_text(&event, ",\"result\":");
        buffer_append(&event, text.data, text.length);
        CU_ASSERT_EQUAL(cut_event(&event, 16384, &known, &blobs), ERR_OK);
        CU_ASSERT_EQUAL(blobs != NULL, i == 0);
        CU_ASSERT_TRUE(event.length < CUT_PREVIEW + 300);
        CU_ASSERT_PTR_NOT_NULL(find(&event, "\"refs\":[{\"path\":\"/result\""));
        blobs_free(blobs);
        buffer_free(&event);
    }
    buffer_free(&text);
}

/* Characters of every length, and escapes, at every place where a cut may fall. */
static void no_character_is_split(void)
{
    static const char *const units[] = {"\\u0001", "\\ud83d\\ude00", "\xC3\xA9", "\xE6\xBC\xA2", "\xF0\x9F\x98\x80", "\\\""};
    for (size_t unit = 0; unit < array_size(units); unit++) {
        for (size_t shift = 0; shift < 12; shift++) {
            struct buffer event = {0};
            struct blob *kept = NULL;
            event_open(&event, EVENT_TOOL_RESULT, "session", NULL);
            buffer_text(&event, ",\"result\":\"");
            for (size_t i = 0; i < shift; i++) {
                buffer_byte(&event, 'x');
            }
            for (size_t i = 0; i < 6000; i++) {
                buffer_text(&event, units[unit]);
            }
            buffer_byte(&event, '"');
            check_event(&event, 16384, NULL, &kept);
            blobs_free(kept);
            buffer_free(&event);
        }
    }
}

static void members_are_replaced_where_strings_do_not_do(void)
{
    struct buffer event = {0};
    struct blob *kept = NULL;
    event_open(&event, EVENT_COMMANDS, "session", NULL);
    buffer_text(&event, ",\"commands\":[");
    for (int i = 0; i < 3000; i++) {
        buffer_format(&event, "%s{\"name\":\"n%d\"}", i ? "," : "", i);
    }
    buffer_text(&event, "],\"input\":{\"");
    for (int i = 0; i < 20000; i++) {
        buffer_byte(&event, 'k'); /* a name can be too long as well */
    }
    buffer_text(&event, "\":1},\"short\":true");
    check_event(&event, 16384, NULL, &kept);
    CU_ASSERT_PTR_NOT_NULL(find(&event, "\"commands\":[],\"input\":{},\"short\":true"));
    blobs_free(kept);
    buffer_free(&event);
}

static bool cut_once(void)
{
    struct buffer event = {0};
    struct blob *blobs = NULL;
    static char text[40000];
    memset(text, 'x', sizeof(text));
    event_open(&event, EVENT_TOOL_START, "session", "turn");
    json_field_text(&event, "title", text, 5000);
    buffer_text(&event, ",\"toolInput\":{\"deep\":[");
    json_put_string(&event, text, sizeof(text));
    buffer_text(&event, "]},\"commands\":[0");
    for (int i = 0; i < 9000 && buffer_ok(&event); i++) {
        buffer_text(&event, ",1");
    }
    buffer_byte(&event, ']');
    enum err err = cut_event(&event, 16384, NULL, &blobs);
    bool fine = err == ERR_NOMEM || (err == ERR_OK && blobs && event.length < 16384);
    blobs_free(blobs);
    buffer_free(&event);

    struct buffer shown = {0};
    struct digest name;
    struct blob *blob = NULL;
    err = cut_text(text, sizeof(text), 1000, NULL, &shown, &name, &blob);
    fine = fine && (err == ERR_NOMEM || (err == ERR_OK && shown.length == 1000 && blob->length == sizeof(text)));
    blobs_free(blob);
    buffer_free(&shown);
    return fine;
}

static void each_allocation_may_fail(void)
{
    bool all_fine;
    CU_ASSERT_TRUE(oom_each(cut_once, &all_fine) > 15);
    CU_ASSERT_TRUE(all_fine);
}

static void names_and_types(void)
{
    struct digest one, other, back;
    char id[BLOB_ID_SIZE];
    blob_name(BLOB_TEXT, "a\0b", 3, &one);
    blob_name(BLOB_TEXT, "a\0c", 3, &other);
    CU_ASSERT_FALSE(digest_equal(&one, &other));
    blob_name(BLOB_JSON, "a\0b", 3, &other);
    CU_ASSERT_FALSE(digest_equal(&one, &other)); /* another type is another blob */
    blob_id(&one, id);
    CU_ASSERT_EQUAL(strlen(id), BLOB_ID_LENGTH);
    CU_ASSERT_TRUE(blob_id_parse(id, &back) && digest_equal(&one, &back));
    static const char *const bad[] = {"", "AAAA", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAA+A",
                                      "AAAAAAAAAAAAAAAAAAAAA="};
    for (size_t i = 0; i < array_size(bad); i++) {
        CU_ASSERT_FALSE(blob_id_parse(bad[i], &back));
    }
    static const char *const types[] = {"text/plain", "image/svg+xml", "text/plain; charset=utf-8", "a/b;c=\"d\""};
    static const char *const not_types[] = {"", "text", "text/", "/plain", "text/plain x", "te xt/plain", "text/plain;\r\nX: y",
                                            "text/plain;\x7f", "text/pl\xC3\xA9"};
    for (size_t i = 0; i < array_size(types); i++) {
        CU_ASSERT_TRUE(blob_type_valid(types[i]));
    }
    for (size_t i = 0; i < array_size(not_types); i++) {
        CU_ASSERT_FALSE(blob_type_valid(not_types[i]));
    }
    char longest[BLOB_TYPE_MAX + 2] = "a/";
    memset(longest + 2, 'b', sizeof(longest) - 3);
    CU_ASSERT_FALSE(blob_type_valid(longest));
    longest[BLOB_TYPE_MAX] = '\0';
    CU_ASSERT_TRUE(blob_type_valid(longest));
}

TEST_MAIN("cut", TEST(any_event_fits_and_nothing_is_lost), TEST(a_short_event_stays_as_it_is),
          TEST(what_was_handed_out_is_not_again), TEST(no_character_is_split),
          TEST(members_are_replaced_where_strings_do_not_do), TEST(each_allocation_may_fail), TEST(names_and_types))
