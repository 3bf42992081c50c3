#define _GNU_SOURCE
/* What is too long in an event is cut there, and comes as a blob before it, once. tests/support/acp_host.c checks of every
 * event of every test that it is short enough, and puts back what was cut. */

#include <stdio.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "support/acp_host.h"
#include "support/test.h"

static size_t blobs_of(const struct host *host)
{
    size_t count = 0;
    for (const struct blob *blob = host->blobs; blob; blob = blob->next) {
        count++;
    }
    return count;
}

/* Of characters of four bytes, after so many single ones. */
static char *long_text(size_t bytes, size_t shift)
{
    struct buffer text = {0};
    for (size_t i = 0; i < shift; i++) {
        buffer_byte(&text, 'x');
    }
    while (text.length < bytes) {
        buffer_text(&text, "\xF0\x9F\x98\x80");
    }
    return buffer_take(&text);
}

static void output_with(struct host *host, const char *text, const char *more)
{
    struct buffer update = {0};
    buffer_text(&update, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"content\":[{\"type\":\"content\","
                         "\"content\":{\"type\":\"text\",\"text\":\"");
    buffer_text(&update, text);
    buffer_text(&update, "\"}}],\"rawOutput\":\"");
    buffer_text(&update, text);
    buffer_text(&update, more);
    char *json = buffer_take(&update);
    host_update(host, json);
    free(json);
}

static void an_output_that_comes_again_and_again_is_stored_once(void)
{
    struct host host;
    char *text = long_text(1000000, 1);
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"t\"}");
    for (int i = 0; i < 3; i++) {
        output_with(&host, text, "\"}");
        host_advance(&host, 100);
        host_tick(&host);
    }
    output_with(&host, text, "\",\"status\":\"completed\"}");
    CU_ASSERT_EQUAL(blobs_of(&host), 1);
    const struct seen_event *result = &host.events[host.event_count - 1];
    CU_ASSERT_EQUAL(result->kind, EVENT_TOOL_RESULT);
    CU_ASSERT_TRUE(result->length < 3000);
    TEST_TEXT(json_get_string(result->json, "result"), text);
    static const char note[] = "[997956 bytes are left out here]\n";
    const char *output = host.tools[0].output;
    CU_ASSERT_TRUE(strlen(output) > sizeof(note) && !strcmp(output + strlen(output) - strlen(note), note));
    host_close(&host);
    free(text);
}

static void text_messages_are_not_cut(void)
{
    struct host host;
    char *text = long_text(200000, 0);
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_text(&host, text);
    host_thought(&host, text);
    host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
    CU_ASSERT_EQUAL(blobs_of(&host), 0);
    TEST_TEXT(host.blocks[0].text, text);
    TEST_TEXT(host.blocks[1].text, text);
    host_close(&host);
    free(text);
}

static const struct permission_ask *ask_for(struct host *host, const char *input)
{
    struct buffer line = {0};
    buffer_format(&line,
                  "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"s\","
                  "\"toolCall\":{\"toolCallId\":\"p%zu\",\"kind\":\"execute\",\"rawInput\":",
                  host->notice_count);
    buffer_text(&line, input);
    buffer_text(&line, "},\"options\":[{\"optionId\":\"o\",\"name\":\"n\",\"kind\":\"allow_once\"}]}}");
    char *text = buffer_take(&line);
    CU_ASSERT_EQUAL(host_say(host, text), ERR_OK);
    free(text);
    return host_last_notice(host, NOTICE_PERMISSION)->ask;
}

static const struct blob *ref_blob(const struct host *host, const char *refs, const char *path)
{
    struct buffer list = {0};
    buffer_format(&list, "[%s]", refs ? refs : "");
    char *text = buffer_take(&list);
    struct json_object *all = json_tokener_parse(text);
    const struct blob *found = NULL;
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        struct json_object *ref = json_object_array_get_idx(all, i);
        if (!strcmp(json_get_string(ref, "path"), path)) {
            found = host_blob(host, json_get_string(ref, "blob"));
        }
    }
    json_object_put(all);
    free(text);
    return found;
}

static void a_request_stays_judgeable(void)
{
    struct host host;
    char *text = long_text(100000, 3), *input = NULL;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);

    /* Much beside the command: the command stays. */
    char command[30001];
    memset(command, 'c', sizeof(command) - 1);
    command[sizeof(command) - 1] = '\0';
    CU_ASSERT_TRUE(asprintf(&input, "{\"command\":\"%s\",\"file\":\"%s\"}", command, text) > 0);
    const struct permission_ask *ask = ask_for(&host, input);
    TEST_TEXT(ask->command, command);
    CU_ASSERT_TRUE(strlen(ask->tool_input) < 10000);
    const struct blob *blob = ref_blob(&host, ask->refs, "/toolInput/file");
    CU_ASSERT_PTR_NOT_NULL_FATAL(blob);
    CU_ASSERT_TRUE(blob->length == strlen(text) && !memcmp(blob->data, text, blob->length));
    CU_ASSERT_PTR_EQUAL(ref_blob(&host, ask->event_refs, "/request/toolInput/file"), blob);
    free(input);

    /* Also where the rest would fit, but not beside it. */
    struct buffer list = {0};
    buffer_format(&list, "{\"command\":\"%s\",\"list\":[1", command);
    for (int i = 0; i < 20000; i++) {
        buffer_text(&list, ",1");
    }
    buffer_text(&list, "]}");
    input = buffer_take(&list);
    ask = ask_for(&host, input);
    TEST_TEXT(ask->command, command);
    TEST_TEXT(ask->tool_input, "{}");
    CU_ASSERT_PTR_NOT_NULL(ref_blob(&host, ask->refs, "/toolInput"));
    free(input);

    /* A command that does not fit at all says so. */
    CU_ASSERT_TRUE(asprintf(&input, "{\"command\":\"%s\"}", text) > 0);
    ask = ask_for(&host, input);
    size_t shown = strlen(ask->command);
    CU_ASSERT_TRUE(shown > 30000 && shown < 64 * 1024);
    char note[100];
    snprintf(note, sizeof(note), "\n\xE2\x80\xA6 [cut here: the whole command has %zu bytes]", strlen(text));
    TEST_TEXT(ask->command + shown - strlen(note), note);
    CU_ASSERT_TRUE(!memcmp(ask->command, text, shown - strlen(note)));
    CU_ASSERT_EQUAL((shown - strlen(note) - 3) % 4, 0); /* whole characters */
    blob = ref_blob(&host, ask->refs, "/command");
    CU_ASSERT_TRUE(blob && blob->length == strlen(text));
    free(input);

    /* What is short is whole. */
    ask = ask_for(&host, "{\"command\":\"ls\"}");
    CU_ASSERT_TRUE(!ask->refs && !ask->event_refs);
    TEST_TEXT(ask->command, "ls");
    host_close(&host);
    free(text);
}

static void options_that_cannot_be_shown_are_refused(void)
{
    struct host host;
    struct buffer line = {0};
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    size_t notices = host.notice_count;
    buffer_text(&line, "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"session/request_permission\",\"params\":{\"sessionId\":"
                       "\"s\",\"toolCall\":{\"toolCallId\":\"c\"},\"options\":[");
    for (int i = 0; i < 1000; i++) {
        buffer_format(&line, "%s{\"optionId\":\"option-%d\",\"name\":\"n\",\"kind\":\"allow_once\"}", i ? "," : "", i);
    }
    buffer_text(&line, "]}}");
    char *text = buffer_take(&line);
    CU_ASSERT_EQUAL(host_say(&host, text), ERR_OK);
    CU_ASSERT_EQUAL(host.notice_count, notices);
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32602");
    free(text);
    host_close(&host);
}

static void a_prompt_that_cannot_be_given_ends_its_turn(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    size_t sent = host.sent_count;
    acp_peer_prompt_refused(host.peer, "turn-7", "error", "not_found", "gone");
    const struct agent_notice *notice = host_last_notice(&host, NOTICE_TURN_ENDED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    TEST_TEXT(notice->turn_id, "turn-7");
    TEST_TEXT(notice->stop_reason, "error");
    TEST_TEXT(notice->code, "not_found");
    TEST_TEXT(notice->message, "gone");
    CU_ASSERT_EQUAL(host.sent_count, sent); /* the agent hears nothing of it */
    CU_ASSERT_FALSE(acp_peer_in_turn(host.peer));
    host_prompt(&host); /* and can be given the next one */
    host_close(&host);
}

static void usage_that_is_none_is_an_update(void)
{
    struct host host;
    char *text = long_text(50000, 0), *result = NULL;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    CU_ASSERT_TRUE(asprintf(&result, "{\"stopReason\":\"end_turn\",\"usage\":{\"words\":\"%s\"}}", text) > 0);
    host_answer_prompt(&host, result);
    CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_TURN_ENDED)->usage);
    struct json_object *update = json_get(host_last_event(&host, EVENT_AGENT_UPDATE), "update");
    TEST_TEXT(json_get_string(json_get(update, "usage"), "words"), text);
    free(result);
    free(text);
    host_close(&host);
}

TEST_MAIN("acp_blob", TEST(an_output_that_comes_again_and_again_is_stored_once), TEST(text_messages_are_not_cut),
          TEST(a_request_stays_judgeable), TEST(options_that_cannot_be_shown_are_refused),
          TEST(a_prompt_that_cannot_be_given_ends_its_turn), TEST(usage_that_is_none_is_an_update))
