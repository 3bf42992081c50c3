/* Messages and thoughts of an ACP peer: blocks, the delta window, and text of every kind. */
#include "signalbox/base/utf8.h"
#include "support/acp_host.h"
#include "support/test.h"

static void chunk(struct host *host, const char *kind, const char *message_id, const char *text)
{
    char update[512];
    snprintf(update, sizeof update,
             "{\"sessionUpdate\":\"%s\",\"messageId\":%s,\"content\":{\"type\":\"text\","
             "\"text\":\"%s\"}}",
             kind, message_id, text);
    host_update(host, update);
}

static void the_first_text_is_out_while_the_clock_stands_still(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    for (int turn = 0; turn < 3; turn++) {
        host_prompt(&host);
        host_kinds(&host);
        host_text(&host, "one");
        TEST_TEXT(host_kinds(&host), "text_delta");
        host_text(&host, " two");
        host_text(&host, " three");
        TEST_TEXT(host_kinds(&host), "");
        host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
        TEST_TEXT(host_kinds(&host), "text_delta text_complete");
        TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "text"), "one two three");
        TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "isIntermediate"), "false");
        TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_DELTA), "offset"), "3");
    }
    host_close(&host);
}

static void what_is_no_text_stands_between_texts(void)
{
    static const char *const blocks[] = {
        "{\"type\":\"image\",\"data\":\"AAAA\",\"mimeType\":\"image/png\"}",
        "{\"type\":\"audio\",\"data\":\"AAAA\",\"mimeType\":\"audio/wav\"}",
        "{\"type\":\"resource_link\",\"uri\":\"file:///w/a\",\"name\":\"a\"}",
        "{\"type\":\"resource\",\"resource\":{\"uri\":\"file:///w/a\",\"text\":\"b\"}}",
        "{\"type\":\"unheard-of\"}",
    };
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        for (int thought = 0; thought < 2; thought++) {
            const char *kind = thought ? "agent_thought_chunk" : "agent_message_chunk";
            char update[256];
            struct host host;
            host_open_ready(&host, NULL, NULL);
            host_prompt(&host);
            host_kinds(&host);
            (thought ? host_thought : host_text)(&host, "before");
            snprintf(update, sizeof update, "{\"sessionUpdate\":\"%s\",\"content\":%s}", kind,
                     blocks[i]);
            host_update(&host, update);
            (thought ? host_thought : host_text)(&host, "after");
            host_advance(&host, 60);
            host_tick(&host);
            TEST_TEXT(host_kinds(&host),
                      thought ? "thought_delta thought_complete agent_update thought_delta"
                              : "text_delta text_complete agent_update text_delta");
            struct json_object *shown = host_last_event(&host, EVENT_AGENT_UPDATE);
            TEST_TEXT(at(shown, "update/sessionUpdate"), kind);
            TEST_TEXT(at(shown, "update/content"), blocks[i]);
            host_close(&host);
        }
    }
}

static void what_a_sub_agent_says_is_apart_and_names_its_call(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_update(&host,
                "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"task\",\"title\":\"Task\"}");
    host_kinds(&host);
    host_text(&host, "mine");
    host_update(&host, "{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\","
                       "\"text\":\"its\"},"
                       "\"_meta\":{\"claudeCode\":{\"parentToolUseId\":\"task\"}}}");
    host_advance(&host, 60);
    host_tick(&host);
    TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_DELTA), "parentToolUseId"), "t1-1");
    host_text(&host, "mine again");
    TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "text"), "its");
    TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "parentToolUseId"), "t1-1");
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"inner\",\"title\":\"ls\","
                       "\"_meta\":{\"parentToolCallId\":\"task\"}}");
    TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "text"), "mine again");
    TEST_TEXT(at(host_last_event(&host, EVENT_TEXT_COMPLETE), "parentToolUseId"), "");
    TEST_TEXT(at(host_last_event(&host, EVENT_TOOL_START), "parentToolUseId"), "t1-1");
    host_close(&host);
}

static void a_flood_is_twenty_one_events_a_second(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_kinds(&host);
    for (int i = 0; i < 5000; i++) {
        char word[32];
        snprintf(word, sizeof word, "w%d ", i);
        host_text(&host, word);
        host_advance(&host, 1);
        struct instant due = acp_peer_deadline(host.peer);
        if (i % 7 != 0 && instant_reached(due, host.now)) { /* some ticks come late */
            host_tick(&host);
        }
    }
    host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
    for (size_t first = 0; first < host.event_count; first++) {
        size_t within = 0;
        for (size_t i = first; i < host.event_count; i++) {
            within += host.events[i].kind == EVENT_TEXT_DELTA &&
                      host.events[i].at_wall_ms < host.events[first].at_wall_ms + 1000;
        }
        CU_ASSERT_FATAL(within <= 21);
    }
    CU_ASSERT_TRUE(host.event_count > 80);
    host_close(&host);
}

static void a_batch_carries_its_first_line_and_its_real_time(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_text(&host, "a");
    host_advance(&host, 10);
    struct instant first = host.now;
    host_text(&host, "b");
    host_advance(&host, 10);
    host_text(&host, "c");
    CU_ASSERT_EQUAL(acp_peer_deadline(host.peer).ns, first.ns + 43 * 1000000);
    host_advance(&host, 25);
    host_tick(&host); /* too early */
    CU_ASSERT_EQUAL(host.event_count, 1);
    host_advance(&host, 30);
    host_tick(&host);
    CU_ASSERT_EQUAL(host.event_count, 2);
    CU_ASSERT_EQUAL(host.events[1].line_at.ns, first.ns);
    CU_ASSERT_EQUAL(host.events[1].at_wall_ms, host.wall_ms);
    TEST_TEXT(at(host.events[1].json, "delta"), "bc");
    CU_ASSERT_EQUAL(acp_peer_deadline(host.peer).ns, INSTANT_NEVER.ns);
    host_close(&host);
}

static void text_goes_out_before_what_comes_after_it(void)
{
    static const char *const updates[] = {
        "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":2}",
        "{\"sessionUpdate\":\"available_commands_update\",\"availableCommands\":[]}",
        "{\"sessionUpdate\":\"session_info_update\",\"title\":\"t\"}",
        "{\"sessionUpdate\":\"unheard of\"}",
    };
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_text(&host, "first");
    for (size_t i = 0; i < 4; i++) {
        host_text(&host, "more");
        host_kinds(&host);
        host_text(&host, "and more");
        host_update(&host, updates[i]);
        const char *kinds = host_kinds(&host);
        CU_ASSERT_EQUAL(strncmp(kinds, "text_delta ", 11), 0);
        CU_ASSERT_PTR_NULL(strstr(kinds, "complete")); /* none of these ends a message */
    }
    host_close(&host);
}

static void blocks_follow_one_another(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_thought(&host, "hm");
    host_text(&host, "I see.");
    TEST_TEXT(host_kinds(&host), "thought_delta thought_complete");
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"t\",\"title\":\"x\"}");
    TEST_TEXT(host_kinds(&host), "text_delta text_complete tool_start");
    host_text(&host, "Now a plan.");
    host_update(&host, "{\"sessionUpdate\":\"plan\",\"entries\":[]}");
    TEST_TEXT(host_kinds(&host), "text_delta text_complete plan");
    host_thought(&host, "still");
    host_update(&host, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"t\","
                       "\"status\":\"in_progress\"}");
    host_thought(&host, " thinking");
    host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
    TEST_TEXT(host_kinds(&host),
              "thought_delta tool_update thought_delta thought_complete tool_result");
    CU_ASSERT_EQUAL(host.block_count, 4);
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(host.blocks[i].intermediate, i < 3);
    }
    TEST_TEXT(host.blocks[3].text, "still thinking");
    TEST_TEXT(host.blocks[0].id, "m1-1");
    TEST_TEXT(host.blocks[3].id, "m1-4");
    host_close(&host);
}

static void the_agents_message_id_ends_a_block_when_it_changes(void)
{
    static const char *const message = "agent_message_chunk";
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    chunk(&host, message, "null", "a");
    chunk(&host, message, "\"1\"", "b"); /* the first that is told */
    chunk(&host, message, "null", "c");  /* not told: the same */
    chunk(&host, message, "\"2\"", "");  /* empty: neither ends nor begins one */
    chunk(&host, message, "\"1\"", "d");
    chunk(&host, message, "\"2\"", "e");
    chunk(&host, "agent_thought_chunk", "\"2\"", "f");
    host_answer_prompt(&host, "{}");
    CU_ASSERT_EQUAL_FATAL(host.block_count, 3);
    TEST_TEXT(host.blocks[0].text, "abcd");
    TEST_TEXT(host.blocks[1].text, "e");
    TEST_TEXT(host.blocks[2].text, "f");
    host_close(&host);
}

static void empty_chunks_are_nothing(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_text(&host, "");
    host_thought(&host, "");
    CU_ASSERT_EQUAL(acp_peer_deadline(host.peer).ns, INSTANT_NEVER.ns);
    host_text(&host, "a");
    host_thought(&host, "");
    host_text(&host, "b");
    host_answer_prompt(&host, "{}");
    TEST_TEXT(host_kinds(&host), "text_delta text_delta text_complete");
    CU_ASSERT_EQUAL(host.block_count, 1);
    host_close(&host);
}

static void text_between_turns_belongs_to_none(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_text(&host, "unasked");
    host_prompt(&host);
    CU_ASSERT_TRUE(host.blocks[0].intermediate);
    host_text(&host, "asked");
    host_answer_prompt(&host, "{}");
    host_text(&host, "late");
    acp_peer_end(host.peer, "over");
    CU_ASSERT_EQUAL(host.block_count, 3);
    CU_ASSERT_EQUAL(host.blocks[0].turn, -1);
    CU_ASSERT_EQUAL(host.blocks[1].turn, 0);
    CU_ASSERT_EQUAL(host.blocks[2].turn, -1);
    CU_ASSERT_FALSE(host.blocks[2].open);
    host_close(&host);
}

static void a_long_message_is_several(void)
{
    struct host host;
    host_open_ready(&host, &(struct host_options){50, 100, 9, NULL, NULL, 0, 0}, NULL);
    host_prompt(&host);
    char text[1024] = "";
    for (int i = 0; i < 250; i++) {
        strcat(text, "\xE2\x82\xAC");
    }
    host_text(&host, text); /* 750 bytes: seven of 99 and one of 57 */
    host_text(&host, "end");
    host_answer_prompt(&host, "{}");
    CU_ASSERT_EQUAL(host.block_count, 8);
    char joined[1024] = "";
    for (size_t i = 0; i < host.block_count; i++) {
        CU_ASSERT_TRUE(strlen(host.blocks[i].text) <= 100);
        CU_ASSERT_EQUAL(host.blocks[i].intermediate, i < 7);
        strcat(joined, host.blocks[i].text);
    }
    TEST_TEXT(joined, strcat(text, "end"));
    TEST_TEXT(host.blocks[0].id, "m9-1");
    host_close(&host);
}

static void a_message_of_exactly_the_limit_is_one(void)
{
    struct host host;
    host_open_ready(&host, &(struct host_options){50, 100, 1, NULL, NULL, 0, 0}, NULL);
    host_prompt(&host);
    for (int i = 0; i < 10; i++) {
        host_text(&host, "0123456789");
    }
    host_answer_prompt(&host, "{}");
    CU_ASSERT_EQUAL(host.block_count, 1);
    CU_ASSERT_FALSE(host.blocks[0].intermediate);
    host_close(&host);
}

/* Random texts in random chunks, cut anywhere, with the clock and the limit in the way; what a
 * watcher puts together is the text that was sent. The watcher in support/acp_host.c checks offsets
 * and completed texts. */
static uint64_t state = 2463534242u;
static size_t below(size_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % bound);
}

static size_t random_text(char *text, size_t size)
{
    static const char *const pieces[] = {
        "a",
        "word ",
        "\n",
        "\"q\" \\",
        "\xC3\xA9",
        "e\xCC\x81",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
        "\xEF\xBF\xBD",
    };
    size_t length = 0;
    while (length + 16 < size && below(100) > 0) {
        const char *piece = pieces[below(sizeof pieces / sizeof pieces[0])];
        memcpy(text + length, piece, strlen(piece));
        length += strlen(piece);
    }
    text[length] = '\0';
    return length;
}

static void all_texts_arrive_however_they_are_cut(void)
{
    static char text[4096];
    static char joined[8192];
    for (int round = 0; round < 400; round++) {
        struct host host;
        size_t length = random_text(text, sizeof text);
        host_open_ready(&host, &(struct host_options){50, 64 + below(400), 1, NULL, NULL, 0, 0}, NULL);
        host_prompt(&host);
        for (size_t at_byte = 0; at_byte < length;) {
            char part[64];
            size_t size = 1 + below(below(2) ? 2 : 40);
            size = size < length - at_byte ? size : length - at_byte;
            memcpy(part, text + at_byte, size);
            part[size] = '\0';
            host_text(&host, part);
            at_byte += size;
            host_advance(&host, (int64_t)below(30));
            if (below(2) == 0) {
                host_tick(&host);
            }
            if (below(20) == 0) {
                host_update(&host, "{\"sessionUpdate\":\"usage_update\",\"used\":1}");
            }
        }
        host_answer_prompt(&host, "{}");
        joined[0] = '\0';
        for (size_t i = 0; i < host.block_count; i++) {
            strcat(joined, host.blocks[i].text);
        }
        TEST_TEXT(joined, text);
        host_close(&host);
    }
}

static void ill_formed_bytes_are_mended(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_text(&host, "a\xFF\xF0\x9F\x98");
    TEST_TEXT(at(host.events[0].json, "delta"), "a\xEF\xBF\xBD");
    host_advance(&host, 60);
    host_text(&host, "\x80");
    TEST_TEXT(at(host.events[1].json, "delta"), "\xF0\x9F\x98\x80");
    TEST_TEXT(at(host.events[1].json, "offset"), "2");
    host_advance(&host, 60);
    host_text(&host, "b\xE2\x82");
    TEST_TEXT(at(host.events[2].json, "offset"), "4");
    host_thought(&host, "next"); /* the message ends within a character */
    TEST_TEXT(host.blocks[0].text, "a\xEF\xBF\xBD\xF0\x9F\x98\x80"
                                   "b\xEF\xBF\xBD");
    host_text(&host, "\xE2"); /* nothing but a part of one */
    host_answer_prompt(&host, "{}");
    TEST_TEXT(host.blocks[2].text, "\xEF\xBF\xBD");
    host_close(&host);
}

TEST_MAIN("acp_text", TEST(the_first_text_is_out_while_the_clock_stands_still),
          TEST(what_is_no_text_stands_between_texts),
          TEST(what_a_sub_agent_says_is_apart_and_names_its_call),
          TEST(a_flood_is_twenty_one_events_a_second),
          TEST(a_batch_carries_its_first_line_and_its_real_time),
          TEST(text_goes_out_before_what_comes_after_it), TEST(blocks_follow_one_another),
          TEST(the_agents_message_id_ends_a_block_when_it_changes), TEST(empty_chunks_are_nothing),
          TEST(text_between_turns_belongs_to_none), TEST(a_long_message_is_several),
          TEST(a_message_of_exactly_the_limit_is_one), TEST(all_texts_arrive_however_they_are_cut),
          TEST(ill_formed_bytes_are_mended))
