#include "signalbox/core/event.h"

#include <json-c/json.h>

#include "signalbox/base/json.h"
#include "support/test.h"

static void names_and_kinds_are_one_to_one(void)
{
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        CU_ASSERT_EQUAL(event_kind_of(event_name((enum event_kind)kind)), kind);
    }
    CU_ASSERT_EQUAL(event_kind_of("agent"), -1);
    CU_ASSERT_EQUAL(event_kind_of(""), -1);
    TEST_TEXT(event_name(EVENT_PERMISSION_REQUEST), "permission_request");
}

static void numbered(const char *turn_id, uint64_t seq, int64_t ts, const char *expected)
{
    struct buffer out = {0};
    struct event event;
    event_open(&out, EVENT_TITLE, "s\"1", turn_id);
    json_field_string(&out, "title", "a title");
    CU_ASSERT_EQUAL_FATAL(event_close(&out, EVENT_TITLE, 77, &event), ERR_OK);
    CU_ASSERT_EQUAL(event.kind, EVENT_TITLE);
    CU_ASSERT_EQUAL(event.at_wall_ms, 77);
    CU_ASSERT_EQUAL(event.line_at.ns, 0);
    event_number(&event, seq, ts);
    char *text = strndup(frame_json(event.frame), frame_json_length(event.frame));
    TEST_TEXT(text, expected);
    struct json_object *json = json_tokener_parse(text);
    CU_ASSERT_PTR_NOT_NULL(json);
    json_object_put(json);
    free(text);
    event_discard(&event);
    CU_ASSERT_PTR_NULL(event.frame);
    buffer_free(&out);
}

static void a_number_goes_in_front(void)
{
    numbered(
        NULL, 1, 2,
        "{\"seq\":1,\"ts\":2,\"type\":\"title\",\"sessionId\":\"s\\\"1\",\"title\":\"a title\"}");
    numbered("t-1", 105, 1700000000000,
             "{\"seq\":105,\"ts\":1700000000000,\"type\":\"title\",\"sessionId\":\"s\\\"1\","
             "\"turnId\":\"t-1\",\"title\":\"a title\"}");
}

static void the_longest_numbers_have_room(void)
{
    numbered(NULL, UINT64_MAX, INT64_MIN,
             "{\"seq\":18446744073709551615,\"ts\":-9223372036854775808,\"type\":\"title\","
             "\"sessionId\":\"s\\\"1\",\"title\":\"a title\"}");
}

static void a_piece_of_a_text_says_where_that_began(void)
{
    struct buffer out = {0};
    struct event event;
    event_open(&out, EVENT_TEXT_DELTA, "s", NULL);
    CU_ASSERT_EQUAL_FATAL(event_close(&out, EVENT_TEXT_DELTA, 77, &event), ERR_OK);
    CU_ASSERT_EQUAL(event.began, 0);
    event.began = UINT64_MAX;
    event_number(&event, UINT64_MAX, INT64_MIN); /* the longest numbers have room */
    char *text = strndup(frame_json(event.frame), frame_json_length(event.frame));
    TEST_TEXT(text, "{\"seq\":18446744073709551615,\"ts\":-9223372036854775808,\"began\":18446744073709551615,"
                    "\"type\":\"text_delta\",\"sessionId\":\"s\"}");
    free(text);
    event_discard(&event);
    buffer_free(&out);
    CU_ASSERT_EQUAL(event_block(EVENT_THOUGHT_DELTA), EVENT_BLOCK_PIECE);
    CU_ASSERT_EQUAL(event_block(EVENT_TEXT_COMPLETE), EVENT_BLOCK_END);
    CU_ASSERT_EQUAL(event_block(EVENT_TOOL_OUTPUT), EVENT_NO_BLOCK);
}

static void the_scratch_is_used_again(void)
{
    struct buffer out = {0};
    struct event first;
    struct event second;
    event_open(&out, EVENT_PLAN, "s", NULL);
    CU_ASSERT_EQUAL_FATAL(event_close(&out, EVENT_PLAN, 1, &first), ERR_OK);
    event_open(&out, EVENT_MODE, "s", NULL);
    CU_ASSERT_EQUAL_FATAL(event_close(&out, EVENT_MODE, 2, &second), ERR_OK);
    event_number(&first, 1, 1);
    event_number(&second, 2, 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(frame_json(first.frame), "\"plan\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(frame_json(second.frame), "\"mode\""));
    event_discard(&first);
    event_discard(&second);
    buffer_free(&out);
}

static void a_failed_buffer_makes_no_event(void)
{
    struct buffer out = {0};
    struct event event;
    event_open(&out, EVENT_PLAN, "s", NULL);
    out.failed = true;
    CU_ASSERT_EQUAL(event_close(&out, EVENT_PLAN, 1, &event), ERR_NOMEM);
    buffer_free(&out);
}

TEST_MAIN("event", TEST(names_and_kinds_are_one_to_one), TEST(a_number_goes_in_front),
          TEST(the_longest_numbers_have_room), TEST(a_piece_of_a_text_says_where_that_began), TEST(the_scratch_is_used_again),
          TEST(a_failed_buffer_makes_no_event))
