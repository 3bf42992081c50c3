/* factory-factory: every event, every message, every answer. */
#include "signalbox/core/event.h"
#include "signalbox/base/frame.h"
#include "support/dialect_bench.h"
#include "support/test.h"

static struct dialect_bench *bench;

static void begin(void)
{
    bench = dialect_bench_new("factory-factory.v1");
}

static void end(void)
{
    dialect_bench_free(bench);
}

static void comes(char *got, const char *expected)
{
    TEST_TEXT(got, expected);
    free(got);
}

#define PART(text) "< {\"type\":\"session_delta\",\"data\":" text "}\n"
#define MESSAGE(id, text) PART("{\"type\":\"agent_message\"" id ",\"order\":7,\"data\":{" text "}}")
#define RUNTIME(phase, process, activity, more)                                                    \
    "{\"type\":\"session_runtime_updated\",\"sessionRuntime\":{\"phase\":\"" phase "\",\"processState\":\"" process           \
    "\",\"activity\":\"" activity "\"" more ",\"updatedAt\":\"2023-11-14T22:13:20.123Z\"}}"
#define STREAM(text) "\"type\":\"stream_event\",\"event\":{" text "},\"parent_tool_use_id\":\"t2-9\""

/* By enum event_kind: live. */
static const char *const shown[EVENT_KIND_COUNT] = {
    [EVENT_SESSION_CREATED] = "",
    [EVENT_SESSION_CLOSED] = "",
    [EVENT_MODE] = "",
    [EVENT_PROMPT_CAPABILITIES] = "",
    [EVENT_TITLE] = "",
    [EVENT_POLICY] = "",
    [EVENT_STATUS] = PART(RUNTIME("running", "alive", "WORKING", "")),
    [EVENT_USER_MESSAGE] = PART("{\"type\":\"message_state_changed\",\"id\":\"u-5\",\"newState\":\"DISPATCHED\",\"queuePosition\":2,"
                                "\"userMessage\":{\"text\":\"do it\",\"timestamp\":\"2023-11-14T22:13:20.123Z\",\"order\":7,"
                                "\"content\":[{\"type\":\"text\",\"text\":\"do it\"}]}}"),
    [EVENT_TURN_STARTED] = PART("{\"type\":\"message_state_changed\",\"id\":\"u-5\",\"newState\":\"COMMITTED\"}"),
    [EVENT_TEXT_DELTA] = PART("{\"type\":\"assistant_text_delta\",\"messageId\":\"m2-1\",\"order\":7,\"offset\":3,\"text\":\"lo \xc3\xbc\","
                              "\"parent_tool_use_id\":\"t2-9\"}"),
    [EVENT_TEXT_COMPLETE] = "",
    [EVENT_THOUGHT_DELTA] = MESSAGE(",\"messageId\":\"m2-1\"",
                                    STREAM("\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
                                           "\"thinking\":\"lo \xc3\xbc\"},\"offset\":3")),
    [EVENT_THOUGHT_COMPLETE] = MESSAGE(",\"messageId\":\"m2-1\"", STREAM("\"type\":\"content_block_stop\",\"index\":0")),
    [EVENT_TOOL_START] =
        MESSAGE(",\"messageId\":\"t2-1\"", "\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_start\",\"index\":0,"
                "\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2-1\",\"name\":\"bash\",\"input\":{\"command\":\"ls\"}}}")
        MESSAGE(",\"messageId\":\"t2-1\"", "\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_stop\",\"index\":0}")
        PART("{\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"tool_name\":\"bash\",\"acpStatus\":\"pending\",\"acpKind\":"
             "\"execute\",\"acpLocations\":[]}"),
    [EVENT_TOOL_OUTPUT] = PART("{\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"acpStatus\":\"in_progress\",\"offset\":0,"
                               "\"delta\":\"one\"}"),
    [EVENT_TOOL_UPDATE] = PART("{\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"acpStatus\":\"in_progress\",\"title\":\"ls\","
                               "\"toolInput\":{\"a\":1},\"acpKind\":\"execute\",\"acpLocations\":[],\"acpContent\":[],\"refs\":[]}"),
    [EVENT_TOOL_RESULT] =
        PART("{\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"tool_name\":\"bash\",\"acpStatus\":\"failed\",\"acpContent\":"
             "[{\"type\":\"diff\",\"path\":\"/a\"}],\"refs\":[]}")
        MESSAGE("", "\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t2-1\","
                "\"content\":\"done\",\"is_error\":true,\"acpContent\":[{\"type\":\"diff\",\"path\":\"/a\"}],\"refs\":[]}]}"),
    [EVENT_PLAN] = PART("{\"type\":\"task_notification\",\"message\":\"{\\\"type\\\":\\\"acp_plan\\\",\\\"entries\\\":[{\\\"content\\\":"
                        "\\\"look\\\",\\\"priority\\\":\\\"high\\\",\\\"status\\\":\\\"pending\\\"}]}\"}"),
    [EVENT_COMMANDS] = PART("{\"type\":\"slash_commands\",\"slashCommands\":[{\"name\":\"init\",\"description\":\"begins\","
                            "\"argumentHint\":\"what\"},{\"name\":\"x\",\"description\":\"\"}]}"),
    [EVENT_CONFIG_OPTIONS] = PART("{\"type\":\"config_options_update\",\"configOptions\":[{\"id\":\"model\"}]}"),
    [EVENT_USAGE] = MESSAGE("", "\"type\":\"result\",\"result\":{\"used\":10,\"size\":100,\"cost\":{\"amount\":1,\"currency\":\"EUR\"}}"),
    [EVENT_PERMISSION_REQUEST] =
        PART("{\"type\":\"permission_request\",\"requestId\":\"p-s1-2-5\",\"toolName\":\"bash\",\"toolUseId\":\"t2-1\",\"toolInput\":"
             "{\"command\":\"ls -l\"},\"planContent\":null,\"acpOptions\":[{\"optionId\":\"y\",\"name\":\"Yes\",\"kind\":\"allow_once\"}],"
             "\"command\":\"ls -l\",\"refs\":[]}"),
    [EVENT_PERMISSION_RESOLVED] = PART("{\"type\":\"permission_cancelled\",\"requestId\":\"p-s1-2-5\",\"outcome\":\"allowed\",\"by\":"
                                       "{\"user\":\"u\"}}"),
    [EVENT_PERMISSION_TIMEOUT] = PART("{\"type\":\"permission_cancelled\",\"requestId\":\"p-s1-2-5\"}"),
    [EVENT_PERMISSION_CANCELLED] = PART("{\"type\":\"permission_cancelled\",\"requestId\":\"p-s1-2-5\",\"reason\":\"turn_cancelled\"}"),
    [EVENT_COMPLETE] = MESSAGE("", "\"type\":\"result\",\"result\":{\"stopReason\":\"end_turn\",\"durationMs\":5,\"usage\":{\"inputTokens\":1}}"),
    [EVENT_ERROR] = "< {\"type\":\"error\",\"message\":\"it broke\",\"code\":\"agent_error\"}\n",
    [EVENT_AGENT_UPDATE] = MESSAGE("", "\"type\":\"system\",\"subtype\":\"agent_update\",\"update\":{\"sessionUpdate\":\"new\"},\"refs\":[]"),
};

static void every_event_is_shown(void)
{
    begin();
    for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(dialect_samples[kind]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(shown[kind]);
        comes(dialect_bench_event(bench, dialect_samples[kind], false), shown[kind]);
    }
    for (size_t i = EVENT_KIND_COUNT; dialect_samples[i]; i++) { /* the feed is not for it */
        comes(dialect_bench_event(bench, dialect_samples[i], false), "");
    }
    comes(dialect_bench_event(bench, "{\"type\":\"from the future\",\"sessionId\":\"s1\"}", false), "");
    end();
}

static void phases_and_states(void)
{
    static const struct {
        const char *event, *expected;
    } rows[] = {
        {"\"status\",\"phase\":\"starting\"", RUNTIME("starting", "unknown", "IDLE", "")},
        {"\"status\",\"phase\":\"idle\"", RUNTIME("idle", "alive", "IDLE", "")},
        {"\"status\",\"phase\":\"waiting\"", RUNTIME("running", "alive", "WORKING", "")},
        {"\"status\",\"phase\":\"stopped\"", RUNTIME("idle", "stopped", "IDLE", "")},
        {"\"status\",\"phase\":\"failed\",\"detail\":\"no\"", RUNTIME("error", "stopped", "IDLE", ",\"errorMessage\":\"no\"")},
        {"\"status\",\"phase\":\"closed\"", RUNTIME("idle", "stopped", "IDLE", "")},
        {"\"turn_started\",\"messageId\":\"u-1\",\"cause\":{\"id\":\"ff:s1:a:b\"}",
         "{\"type\":\"message_state_changed\",\"id\":\"a:b\",\"newState\":\"COMMITTED\"}"},
        {"\"turn_started\",\"messageId\":\"u-1\",\"cause\":{\"id\":\"ff:s2:a\"}", /* another session's */
         "{\"type\":\"message_state_changed\",\"id\":\"u-1\",\"newState\":\"COMMITTED\"}"},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[256], expected[512];
        snprintf(event, sizeof(event), "{\"seq\":7,\"ts\":1700000000123,\"sessionId\":\"s1\",\"type\":%s}", rows[i].event);
        snprintf(expected, sizeof(expected), PART("%s"), rows[i].expected);
        comes(dialect_bench_event(bench, event, false), expected);
    }
    static const char *const states[][2] = {
        {"accepted", "ACCEPTED"}, {"queued", "ACCEPTED"}, {"processing", "DISPATCHED"}, {"withdrawn", "CANCELLED"}};
    for (size_t i = 0; i < 4; i++) {
        char event[256], expected[256];
        snprintf(event, sizeof(event), "{\"type\":\"user_message\",\"sessionId\":\"s1\",\"status\":\"%s\",\"promptId\":\"ff:s1:mine\","
                 "\"cause\":{\"id\":\"ff:s1:other\"}}", states[i][0]);
        snprintf(expected, sizeof(expected), PART("{\"type\":\"message_state_changed\",\"id\":\"mine\",\"newState\":\"%s\",\"userMessage\":"
                 "{\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"order\":0}}"), states[i][1]);
        comes(dialect_bench_event(bench, event, false), expected);
    }
    end();
}

#define STATE(state)                                                                               \
    "{\"type\":\"message_state_changed\",\"id\":\"u-1\",\"newState\":\"" state "\",\"userMessage\":{\"text\":\"do\",\"timestamp\":" \
    "\"1970-01-01T00:00:00.000Z\",\"order\":3}}"
#define BATCH(text) "< {\"type\":\"session_replay_batch\",\"replayEvents\":[" text "]}\n"

static void a_replay_is_batches_with_whole_texts(void)
{
    begin();
    comes(dialect_bench_event(bench, dialect_samples[EVENT_TEXT_COMPLETE], true),
          BATCH("{\"type\":\"assistant_text_delta\",\"messageId\":\"m2-1\",\"order\":7,\"offset\":0,\"text\":\"hello\","
                "\"parent_tool_use_id\":\"t2-9\"}"));
    comes(dialect_bench_event(bench, dialect_samples[EVENT_ERROR], true),
          "< {\"type\":\"error\",\"message\":\"it broke\",\"code\":\"agent_error\"}\n");
    char *thought = dialect_bench_event(bench, dialect_samples[EVENT_THOUGHT_COMPLETE], true);
    const char *start = strstr(thought, "\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}");
    const char *delta = strstr(thought, "\"thinking\":\"hello\"");
    CU_ASSERT_TRUE(start && delta && start < delta && !strncmp(thought, "< {\"type\":\"session_replay_batch\"", 31));
    CU_ASSERT_EQUAL(strchr(thought, '\n')[1], '\0'); /* one frame */
    free(thought);
    end();
}

/* Their client finds a text by its order; and what a replay tells of a message begins with its acceptance. */
static void a_message_keeps_its_order(void)
{
    static const char delta[] = "{\"seq\":9,\"began\":7,\"type\":\"text_delta\",\"messageId\":\"m\",\"offset\":2,\"delta\":\"c\"}",
                      whole[] = "{\"seq\":12,\"began\":7,\"type\":\"text_complete\",\"messageId\":\"m\",\"text\":\"abc\"}",
                      thought[] = "{\"seq\":9,\"began\":7,\"type\":\"thought_delta\",\"messageId\":\"m\",\"offset\":2,\"delta\":\"c\"}";
    begin();
    comes(dialect_bench_event(bench, delta, false),
          PART("{\"type\":\"assistant_text_delta\",\"messageId\":\"m\",\"order\":7,\"offset\":2,\"text\":\"c\"}"));
    comes(dialect_bench_event(bench, whole, true),
          BATCH("{\"type\":\"assistant_text_delta\",\"messageId\":\"m\",\"order\":7,\"offset\":0,\"text\":\"abc\"}"));
    comes(dialect_bench_event(bench, thought, false),
          MESSAGE(",\"messageId\":\"m\"", "\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
                  "{\"type\":\"thinking_delta\",\"thinking\":\"c\"},\"offset\":2}"));
    static const char *const states[][2] = {{"processing", "DISPATCHED"}, {"withdrawn", "CANCELLED"}};
    for (size_t i = 0; i < 2; i++) {
        char event[256], expected[512];
        snprintf(event, sizeof(event), "{\"seq\":3,\"type\":\"user_message\",\"messageId\":\"u-1\",\"status\":\"%s\",\"text\":\"do\"}", states[i][0]);
        snprintf(expected, sizeof(expected), BATCH(STATE("ACCEPTED") "," STATE("%s")), states[i][1]);
        comes(dialect_bench_event(bench, event, true), expected);
    }
    comes(dialect_bench_event(bench, "{\"seq\":3,\"type\":\"user_message\",\"messageId\":\"u-1\",\"status\":\"queued\",\"text\":\"do\"}", true),
          BATCH(STATE("ACCEPTED")));
    end();
}

static void parts_join_and_errors_stand_between(void)
{
    begin();
    static const int kinds[] = {EVENT_TURN_STARTED, EVENT_PERMISSION_TIMEOUT, EVENT_ERROR, EVENT_TITLE, EVENT_PERMISSION_TIMEOUT};
    struct buffer native = {0}, frames = {0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct frame *frame;
        const char *text = dialect_samples[kinds[i]];
        CU_ASSERT_EQUAL_FATAL(frame_text(&frame, text, strlen(text)), ERR_OK);
        buffer_append(&native, frame_wire(frame), frame_wire_length(frame));
        frame_put(frame);
    }
    CU_ASSERT_EQUAL(dialect_events(bench->dialect, bench->parser, native.data, native.length, true, &frames), ERR_OK);
    static const char *const expected[] = {
        "{\"type\":\"session_replay_batch\",\"replayEvents\":[{\"type\":\"message_state_changed\",\"id\":\"u-5\",\"newState\":"
        "\"COMMITTED\"},{\"type\":\"permission_cancelled\",\"requestId\":\"p-s1-2-5\"}]}",
        "{\"type\":\"error\",\"message\":\"it broke\",\"code\":\"agent_error\"}",
        "{\"type\":\"session_replay_batch\",\"replayEvents\":[{\"type\":\"permission_cancelled\",\"requestId\":\"p-s1-2-5\"}]}"};
    size_t count = 0;
    for (size_t at = 0; at < frames.length; count++) {
        const char *json;
        size_t length;
        at += frame_read(frames.data + at, &json, &length);
        char *text = strndup(json, length);
        TEST_TEXT(text, count < 3 ? expected[count] : "nothing");
        free(text);
    }
    CU_ASSERT_EQUAL(count, 3);
    buffer_free(&native);
    buffer_free(&frames);
    end();
}

/* ---- Messages ---- */

static const char *const samples[] = {
    "{\"type\":\"load_session\",\"loadRequestId\":\"r1\"}",
    "{\"type\":\"queue_message\",\"id\":\"mine\",\"text\":\"do\",\"attachments\":[{\"type\":\"image/png\",\"data\":\"AA==\"},{\"name\":"
    "\"a/b\",\"type\":\"text/x\",\"contentType\":\"text\",\"data\":\"hi\"}],\"settings\":{}}",
    "{\"type\":\"remove_queued_message\",\"messageId\":\"mine\"}",
    "{\"type\":\"user_input\",\"text\":\"do\"}",
    "{\"type\":\"stop\"}",
    "{\"type\":\"start\"}",
    "{\"type\":\"resume_queued_messages\"}",
    "{\"type\":\"permission_response\",\"requestId\":\"p-s1-2-5\",\"optionId\":\"y\",\"allow\":false,\"answers\":{}}",
    "{\"type\":\"set_config_option\",\"configId\":\"c\",\"value\":\"v\"}",
    "{\"type\":\"set_model\",\"model\":\"m\"}",
    "{\"type\":\"set_thinking_budget\",\"max_tokens\":9}",
};

static void every_message_is_a_command(void)
{
    static const char *const expected[] = {
        "> {\"type\":\"subscribe\",\"id\":\"l1:\",\"sessionId\":\"s1\",\"history\":\"full\"}\n",
        "> {\"type\":\"subscribe\",\"id\":\"w2:\",\"sessionId\":\"s1\",\"history\":\"turn\"}\n"
        ">> {\"type\":\"prompt\",\"id\":\"ff:s1:mine\",\"sessionId\":\"s1\",\"text\":\"do\",\"content\":[{\"type\":\"image\",\"mimeType\":"
        "\"image/png\",\"data\":\"AA==\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"attachment:///a%2Fb\",\"mimeType\":\"text/x\","
        "\"text\":\"hi\"}}]}\n",
        "> {\"type\":\"withdraw\",\"id\":\"o3:\",\"sessionId\":\"s1\",\"messageId\":\"ff:s1:mine\"}\n",
        "> {\"type\":\"subscribe\",\"id\":\"w4:\",\"sessionId\":\"s1\",\"history\":\"turn\"}\n"
        "> {\"type\":\"prompt\",\"id\":\"o5:\",\"sessionId\":\"s1\",\"text\":\"do\"}\n",
        "> {\"type\":\"cancel\",\"id\":\"o6:\",\"sessionId\":\"s1\"}\n",
        "> {\"type\":\"resume_queue\",\"id\":\"o7:\",\"sessionId\":\"s1\"}\n",
        "> {\"type\":\"resume_queue\",\"id\":\"o8:\",\"sessionId\":\"s1\"}\n",
        "> {\"type\":\"permission_response\",\"id\":\"r9:\",\"sessionId\":\"s1\",\"requestId\":\"p-s1-2-5\",\"optionId\":\"y\"}\n",
        "> {\"type\":\"set_config_option\",\"id\":\"o10:\",\"sessionId\":\"s1\",\"configId\":\"c\",\"value\":\"v\"}\n",
        "> {\"type\":\"set_config_option\",\"id\":\"o11:\",\"sessionId\":\"s1\",\"configId\":\"model\",\"value\":\"m\"}\n",
        "> {\"type\":\"set_config_option\",\"id\":\"o12:\",\"sessionId\":\"s1\",\"configId\":\"thought_level\",\"value\":9}\n",
    };
    begin();
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        comes(dialect_bench_message(bench, samples[i]), expected[i]);
    }
    bench->watching = true;
    comes(dialect_bench_message(bench, "{\"type\":\"user_input\",\"text\":\"more\"}"),
          "> {\"type\":\"prompt\",\"id\":\"o13:\",\"sessionId\":\"s1\",\"text\":\"more\"}\n");
    comes(dialect_bench_message(bench, "{\"type\":\"remove_queued_message\",\"messageId\":\"u-12\"}"),
          "> {\"type\":\"withdraw\",\"id\":\"o14:\",\"sessionId\":\"s1\",\"messageId\":\"u-12\"}\n");
    comes(dialect_bench_message(bench, "{\"type\":\"permission_response\",\"requestId\":\"p\",\"allow\":true}"),
          "> {\"type\":\"permission_response\",\"id\":\"r15:\",\"sessionId\":\"s1\",\"requestId\":\"p\",\"allow\":true}\n");
    end();
}

static void what_is_wrong_is_refused(void)
{
    begin();
    dialect_bench_wrong_messages(bench, samples);
    dialect_bench_wrong_events(bench);
    comes(dialect_bench_message(bench, "{\"type\":\"permission_response\",\"requestId\":\"p\",\"answers\":{}}"),
          "< {\"type\":\"error\",\"message\":\"an answer needs `optionId` or `allow`\",\"code\":\"bad_message\"}\n");
    comes(dialect_bench_message(bench, "{\"type\":\"queue_message\",\"id\":\"mine\",\"text\":\"\"}"),
          PART("{\"type\":\"message_state_changed\",\"id\":\"mine\",\"newState\":\"REJECTED\",\"errorMessage\":\"a message needs a `text` "
               "or `attachments`\",\"code\":\"bad_message\"}"));
    comes(dialect_bench_message(bench, "{\"type\":\"queue_message\",\"id\":\"mine\",\"attachments\":[{\"type\":\"x\"}]}"),
          PART("{\"type\":\"message_state_changed\",\"id\":\"mine\",\"newState\":\"REJECTED\",\"errorMessage\":\"an attachment needs its "
               "`type` and `data`\",\"code\":\"bad_message\"}"));
    comes(dialect_bench_message(bench, "{\"type\":\"queue_message\",\"id\":\"mine\",\"text\":7}"),
          PART("{\"type\":\"message_state_changed\",\"id\":\"mine\",\"newState\":\"REJECTED\",\"errorMessage\":\"`text` must be a string\","
               "\"code\":\"bad_message\"}"));
    end();
}

static void answers_and_the_snapshot(void)
{
    begin();
    static const char *const silent[] = {"connected", "ack", "replay_complete", "store", "lagging", "sessions", "pong", "unsubscribed"};
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        char control[64];
        snprintf(control, sizeof(control), "{\"type\":\"%s\",\"id\":\"o1:\"}", silent[i]);
        comes(dialect_bench_control(bench, control), "");
    }
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"ff:s1:mine\",\"code\":\"queue_full\",\"message\":\"full\"}"),
          PART("{\"type\":\"message_state_changed\",\"id\":\"mine\",\"newState\":\"REJECTED\",\"errorMessage\":\"full\",\"code\":\"queue_full\"}"));
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"o1:\",\"code\":\"not_found\",\"message\":\"no\"}"),
          "< {\"type\":\"error\",\"message\":\"no\",\"code\":\"not_found\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"w1:\",\"code\":\"not_found\",\"message\":\"no\"}"), "");
    free(dialect_bench_message(bench, samples[0]));
    free(dialect_bench_message(bench, "{\"type\":\"load_session\",\"loadRequestId\":\"r2\"}"));
    comes(dialect_bench_control(bench, "{\"type\":\"subscribed\",\"id\":\"l1:\",\"phase\":\"idle\",\"pending\":[]}"), "");
    comes(dialect_bench_control(bench, "{\"type\":\"subscribed\",\"id\":\"l2:\",\"phase\":\"waiting\",\"pending\":[{\"requestId\":\"p\","
                                       "\"toolName\":\"t\",\"toolInput\":{\"a\":1},\"createdAt\":1700000000000},{\"requestId\":\"q\"}]}"),
          "< {\"type\":\"session_snapshot\",\"messages\":[],\"queuedMessages\":[],\"sessionRuntime\":{\"phase\":\"running\",\"processState\":"
          "\"alive\",\"activity\":\"WORKING\",\"updatedAt\":\"2023-11-14T22:13:20.999Z\"},\"pendingInteractiveRequest\":{\"requestId\":\"p\","
          "\"toolName\":\"t\",\"toolInput\":{\"a\":1},\"planContent\":null,\"input\":{\"a\":1},\"timestamp\":\"2023-11-14T22:13:20.000Z\"},"
          "\"loadRequestId\":\"r2\"}\n");
    end();
}

static void a_prompt_that_is_sent_again_is_shown_by_all_that_there_is(void)
{
    begin();
    comes(dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"ff:s1:mine\",\"messageId\":\"u-5\"}"), "");
    comes(dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"o1:\",\"again\":true}"), "");
    comes(dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"ff:s1:mine\",\"messageId\":\"u-5\",\"again\":true}"),
          "> {\"type\":\"subscribe\",\"id\":\"l1:\",\"sessionId\":\"s1\",\"history\":\"full\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"subscribed\",\"id\":\"l1:\",\"phase\":\"idle\",\"pending\":[]}"),
          "< {\"type\":\"session_snapshot\",\"messages\":[],\"queuedMessages\":[],\"sessionRuntime\":{\"phase\":\"idle\",\"processState\":"
          "\"alive\",\"activity\":\"IDLE\",\"updatedAt\":\"2023-11-14T22:13:20.999Z\"}}\n");
    end();
}

/* Their page shows the last request that came; when it is over, those that wait come again, the oldest last. */
static void what_still_waits_comes_again(void)
{
#define WAITS(id) PART("{\"type\":\"permission_request\",\"requestId\":\"" id "\",\"planContent\":null}")
#define STATUS(count) "{\"type\":\"permission_queue_status\",\"sessionId\":\"s1\",\"pending\":" count "}"
    begin();
    comes(dialect_bench_control(bench, STATUS("2")), "");
    comes(dialect_bench_control(bench, STATUS("2")), "");
    comes(dialect_bench_control(bench, STATUS("1")), "> {\"type\":\"list_permissions\",\"id\":\"p1:\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"p1:\",\"permissions\":[{\"requestId\":\"a\",\"sessionId\":\"s1\"},{\"requestId\":"
                                       "\"x\",\"sessionId\":\"s2\"},{\"requestId\":\"b\",\"sessionId\":\"s1\"}]}"),
          WAITS("b") WAITS("a"));
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"p1:\",\"code\":\"storage_unavailable\",\"message\":\"no\"}"), "");
    comes(dialect_bench_control(bench, STATUS("0")), "");
    comes(dialect_bench_control(bench, "{\"type\":\"replay_complete\"}"), "");
    free(dialect_bench_message(bench, samples[0]));
    free(dialect_bench_control(bench, "{\"type\":\"subscribed\",\"id\":\"l2:\",\"phase\":\"waiting\",\"pending\":[{\"requestId\":\"p\"}]}"));
    comes(dialect_bench_control(bench, "{\"type\":\"replay_complete\"}"), "> {\"type\":\"list_permissions\",\"id\":\"p3:\"}\n");
    end();
}

TEST_MAIN("factory-factory", TEST(every_event_is_shown), TEST(phases_and_states), TEST(a_replay_is_batches_with_whole_texts),
          TEST(parts_join_and_errors_stand_between), TEST(every_message_is_a_command), TEST(what_is_wrong_is_refused),
          TEST(answers_and_the_snapshot), TEST(a_prompt_that_is_sent_again_is_shown_by_all_that_there_is),
          TEST(a_message_keeps_its_order), TEST(what_still_waits_comes_again))
