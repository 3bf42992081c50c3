/* claudecodeui: every event, every message, every answer. */
#include "signalbox/core/event.h"
#include "support/dialect_bench.h"
#include "support/test.h"

static struct dialect_bench *bench;

static void begin(void)
{
    bench = dialect_bench_new("claudecodeui.v1");
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

#define DATA(text) "< {\"type\":\"claude-response\",\"sessionId\":\"s1\",\"data\":{" text "}}\n"
#define OF(id, text) DATA(text ",\"messageId\":\"" id "\"")
#define PARENT ",\"parent_tool_use_id\":\"t2-9\""
#define SAID(text) "< {\"type\":\"claude-response\",\"sessionId\":\"s1\",\"data\":{" text ",\"messageId\":\"m2-1\"" PARENT "}}\n"
#define START(id) "\"type\":\"message_start\",\"message\":{\"id\":\"" id "\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}"
#define STOP "\"type\":\"content_block_stop\",\"index\":0"
#define REQUEST                                                                                    \
    "< {\"type\":\"permission-request\",\"id\":\"p-s1-2-5\",\"sessionId\":\"s1\",\"toolName\":\"bash\",\"input\":{\"command\":\"ls -l\"},"      \
    "\"context\":{\"sessionId\":\"s1\",\"toolUseId\":\"t2-1\",\"description\":\"lists\",\"locations\":[{\"path\":\"/w\"}],\"acpOptions\":"     \
    "[{\"optionId\":\"y\",\"name\":\"Yes\",\"kind\":\"allow_once\"}],\"refs\":[]},\"summary\":\"ls -l\",\"riskLevel\":\"high\","               \
    "\"category\":\"system-command\",\"timestamp\":1700000000000,\"expiresAt\":1700000060000,\"sequenceNumber\":5}\n"
#define QUEUE(pending, at)                                                                         \
    "< {\"type\":\"permission-queue-status\",\"pending\":" pending ",\"processing\":0,\"timestamp\":" at "}\n"
#define STATUS(working) "< {\"type\":\"session-status\",\"sessionId\":\"s1\",\"provider\":\"claude\",\"isProcessing\":" working

static const char *const shown[] = {
    [EVENT_SESSION_CREATED] = "",
    [EVENT_SESSION_CLOSED] = "",
    [EVENT_TURN_STARTED] = "",
    [EVENT_COMMANDS] = "",
    [EVENT_MODE] = "",
    [EVENT_CONFIG_OPTIONS] = "",
    [EVENT_PROMPT_CAPABILITIES] = "",
    [EVENT_TITLE] = "",
    [EVENT_POLICY] = "",
    [EVENT_PERMISSION_REQUEST] = "",
    [EVENT_PERMISSION_RESOLVED] = "",
    [EVENT_PERMISSION_TIMEOUT] = "",
    [EVENT_PERMISSION_CANCELLED] = "",
    [EVENT_STATUS] = STATUS("true") ",\"detail\":\"why\"}\n",
    [EVENT_USER_MESSAGE] = DATA("\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"do it\"}],\"id\":\"u-5\"}"),
    [EVENT_TEXT_DELTA] = SAID("\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo \xc3\xbc\"},\"offset\":3"),
    [EVENT_TEXT_COMPLETE] = SAID(STOP) SAID("\"type\":\"message_stop\""),
    [EVENT_THOUGHT_DELTA] = SAID("\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"lo \xc3\xbc\"},"
                                 "\"offset\":3"),
    [EVENT_THOUGHT_COMPLETE] = SAID(STOP) SAID("\"type\":\"message_stop\""),
    [EVENT_TOOL_START] = OF("t2-1", START("t2-1"))
        OF("t2-1", "\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2-1\",\"name\":\"bash\","
           "\"input\":{\"command\":\"ls\"}}") OF("t2-1", STOP) OF("t2-1", "\"type\":\"message_stop\""),
    [EVENT_TOOL_OUTPUT] = DATA("\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"offset\":0,\"delta\":\"one\""),
    [EVENT_TOOL_UPDATE] = DATA("\"type\":\"tool_progress\",\"tool_use_id\":\"t2-1\",\"status\":\"in_progress\",\"title\":\"ls\",\"kind\":\"execute\","
                               "\"content\":[],\"locations\":[],\"toolInput\":{\"a\":1},\"refs\":[]"),
    [EVENT_TOOL_RESULT] = DATA("\"type\":\"user\",\"message\":{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t2-1\","
                               "\"content\":\"done\",\"is_error\":true,\"acpContent\":[{\"type\":\"diff\",\"path\":\"/a\"}],\"refs\":[]}]}"),
    [EVENT_PLAN] = OF("plan-7", START("plan-7"))
        OF("plan-7", "\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"plan-7\",\"name\":\"TodoWrite\","
           "\"input\":{\"todos\":[{\"content\":\"look\",\"priority\":\"high\",\"status\":\"pending\"}]}}")
        OF("plan-7", STOP) OF("plan-7", "\"type\":\"message_stop\""),
    [EVENT_USAGE] = DATA("\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"used\":10,\"size\":100,\"cost\":{\"amount\":1,\"currency\":\"EUR\"}}"),
    [EVENT_COMPLETE] = "< {\"type\":\"claude-complete\",\"sessionId\":\"s1\",\"exitCode\":0,\"isNewSession\":true,\"stopReason\":\"end_turn\",\"seq\":7}\n",
    [EVENT_ERROR] = "< {\"type\":\"claude-error\",\"error\":\"it broke\",\"sessionId\":\"s1\",\"code\":\"agent_error\",\"seq\":7}\n",
    [EVENT_AGENT_UPDATE] = DATA("\"type\":\"system\",\"subtype\":\"agent_update\",\"update\":{\"sessionUpdate\":\"new\"},\"refs\":[]"),
    [EVENT_KIND_COUNT] = REQUEST QUEUE("1", "1700000000001"),
    "< {\"type\":\"permission-resolved\",\"decision\":\"allow\",\"by\":\"u\",\"requestId\":\"p-s1-2-5\",\"sessionId\":\"s1\"}\n"
    QUEUE("0", "1700000000002"),
};

static void every_event_is_shown(void)
{
    begin();
    for (size_t i = 0; dialect_samples[i]; i++) {
        CU_ASSERT_PTR_NOT_NULL_FATAL(shown[i]);
        comes(dialect_bench_event(bench, dialect_samples[i], false), shown[i]);
    }
    end();
}

static void beginnings_and_replays(void)
{
    static const char start[] = SAID(START("m2-1")) SAID("\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    begin();
    char *first = dialect_bench_event(bench, "{\"type\":\"text_delta\",\"sessionId\":\"s1\",\"messageId\":\"m2-1\",\"offset\":0,\"delta\":\"a\","
                                             "\"parentToolUseId\":\"t2-9\"}", false);
    CU_ASSERT_TRUE(!strncmp(first, start, strlen(start)) && strstr(first, "\"text\":\"a\""));
    free(first);
    char *whole = dialect_bench_event(bench, dialect_samples[EVENT_TEXT_COMPLETE], true);
    CU_ASSERT_TRUE(!strncmp(whole, start, strlen(start)) && strstr(whole, "\"text\":\"hello\"") && strstr(whole, "message_stop"));
    free(whole);
    end();
}

static void risks_and_categories(void)
{
    static const char *const rows[][3] = {
        {"read", "low", "file-read"},      {"search", "low", "file-read"},         {"think", "low", "other"},
        {"edit", "medium", "file-write"},  {"move", "medium", "file-write"},       {"delete", "high", "file-write"},
        {"execute", "high", "system-command"}, {"fetch", "medium", "network"},     {"switch_mode", "low", "other"},
        {"other", "medium", "other"},      {"from the future", "medium", "other"},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[200], expected[100];
        snprintf(event, sizeof(event), "{\"type\":\"permission_waiting\",\"request\":{\"requestId\":\"p\",\"kind\":\"%s\"}}", rows[i][0]);
        snprintf(expected, sizeof(expected), "\"riskLevel\":\"%s\",\"category\":\"%s\"", rows[i][1], rows[i][2]);
        char *got = dialect_bench_event(bench, event, false);
        CU_ASSERT_PTR_NOT_NULL(strstr(got, expected));
        CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"expiresAt\":null"));
        free(got);
    }
    end();
}

static void every_end_of_a_request(void)
{
    static const char *const rows[][2] = {
        {"\"outcome\":\"rejected\",\"by\":{\"rule\":\"r-1\"}", "\"permission-resolved\",\"decision\":\"deny\",\"by\":\"rule\""},
        {"\"outcome\":\"allowed\",\"by\":{\"policy\":\"trust\"}", "\"permission-resolved\",\"decision\":\"allow\",\"by\":\"policy\""},
        {"\"outcome\":\"timeout\",\"toolName\":\"bash\",\"at\":5", "\"permission-timeout\",\"toolName\":\"bash\",\"timestamp\":5"},
        {"\"outcome\":\"cancelled\",\"reason\":\"turn_ended\"", "\"permission-cancelled\",\"reason\":\"turn_ended\""},
        {"\"outcome\":\"from the future\"", "\"permission-cancelled\",\"reason\":\"cancelled\""},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char event[200];
        snprintf(event, sizeof(event), "{\"type\":\"permission_ended\",\"requestId\":\"p\",%s}", rows[i][0]);
        char *got = dialect_bench_event(bench, event, false);
        CU_ASSERT_PTR_NOT_NULL(strstr(got, rows[i][1]));
        CU_ASSERT_PTR_NOT_NULL(strstr(got, "\"requestId\":\"p\""));
        CU_ASSERT_PTR_NOT_NULL(strstr(got, "permission-queue-status"));
        free(got);
    }
    static const char *const reasons[][2] = {{"cancelled", "0"}, {"refusal", "0"}, {"agent_exited", "1"}, {"server_restarted", "1"}, {"error", "1"}};
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        char event[100], expected[40];
        snprintf(event, sizeof(event), "{\"type\":\"complete\",\"stopReason\":\"%s\"}", reasons[i][0]);
        snprintf(expected, sizeof(expected), "\"exitCode\":%s,\"isNewSession\":false", reasons[i][1]);
        char *got = dialect_bench_event(bench, event, false);
        CU_ASSERT_PTR_NOT_NULL(strstr(got, expected));
        free(got);
    }
    end();
}

/* ---- Messages ---- */

static const char *const samples[] = {
    "{\"type\":\"permission-response\",\"requestId\":\"p\",\"decision\":\"allow-session\",\"updatedInput\":{\"a\":1},\"timestamp\":5}",
    "{\"type\":\"claude-permission-response\",\"requestId\":\"p\",\"allow\":true,\"updatedInput\":{\"a\":1},\"message\":\"fine\"}",
    "{\"type\":\"permission-sync-request\",\"sessionId\":\"s1\"}",
    "{\"type\":\"claude-command\",\"command\":\"do\",\"options\":{\"sessionId\":\"s1\",\"cwd\":\"/w\",\"agent\":\"a\",\"images\":[{\"data\":"
    "\"data:image/png;base64,AA==\"}]}}",
    "{\"type\":\"abort-session\",\"sessionId\":\"s1\",\"provider\":\"claude\"}",
    "{\"type\":\"check-session-status\",\"sessionId\":\"s1\",\"provider\":\"claude\"}",
    "{\"type\":\"get-active-sessions\"}",
};

static void every_message_is_a_command(void)
{
    static const char *const expected[] = {
        "> {\"type\":\"permission_response\",\"id\":\"r1:p\",\"requestId\":\"p\",\"decision\":\"allow-session\",\"updatedInput\":{\"a\":1}}\n",
        "> {\"type\":\"permission_response\",\"id\":\"r2:p\",\"requestId\":\"p\",\"allow\":true,\"updatedInput\":{\"a\":1},\"message\":\"fine\"}\n",
        "> {\"type\":\"list_permissions\",\"id\":\"y3:s1\"}\n",
        "> {\"type\":\"subscribe\",\"id\":\"w4:s1\",\"sessionId\":\"s1\",\"history\":\"turn\"}\n"
        "> {\"type\":\"prompt\",\"id\":\"p5:s1\",\"sessionId\":\"s1\",\"text\":\"do\",\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\","
        "\"data\":\"AA==\"}]}\n",
        "> {\"type\":\"cancel\",\"id\":\"a6:s1\",\"sessionId\":\"s1\"}\n",
        "> {\"type\":\"subscribe\",\"id\":\"s7:s1\",\"sessionId\":\"s1\",\"history\":\"full\"}\n",
        "> {\"type\":\"watch_sessions\",\"id\":\"v8:\"}\n",
    };
    begin();
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        comes(dialect_bench_message(bench, samples[i]), expected[i]);
    }
    bench->watching = true;
    comes(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"do\",\"options\":{\"sessionId\":\"s1\"}}"),
          "> {\"type\":\"prompt\",\"id\":\"p9:s1\",\"sessionId\":\"s1\",\"text\":\"do\"}\n");
    end();
}

static void what_is_wrong_is_refused(void)
{
    begin();
    dialect_bench_wrong_messages(bench, samples);
    dialect_bench_wrong_events(bench);
    static const char *const rows[][2] = {
        {"{\"type\":\"permission-response\",\"requestId\":\"p\",\"decision\":\"perhaps\"}",
         "< {\"type\":\"permission-error\",\"requestId\":\"p\",\"error\":\"`decision` is none of the known words\",\"code\":\"bad_message\"}\n"},
        {"{\"type\":\"permission-response\"}",
         "< {\"type\":\"permission-error\",\"requestId\":\"\",\"error\":\"`requestId` is missing\",\"code\":\"bad_message\"}\n"},
        {"{\"type\":\"claude-command\",\"command\":\"x\",\"options\":{\"sessionId\":7}}",
         "< {\"type\":\"claude-error\",\"error\":\"`options.sessionId` must be a string\",\"sessionId\":null,\"code\":\"bad_message\"}\n"},
        {"{\"type\":\"claude-command\",\"command\":\"x\",\"options\":{\"sessionId\":\"s1\",\"images\":[{\"data\":\"x\"}]}}",
         "< {\"type\":\"claude-error\",\"error\":\"`options.images` must have `data` like data:image/png;base64,...\",\"sessionId\":\"s1\","
         "\"code\":\"bad_message\"}\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        comes(dialect_bench_message(bench, rows[i][0]), rows[i][1]);
    }
    end();
}

/* ---- Answers ---- */

static void a_client_comes_and_is_told_what_waits(void)
{
    begin();
    comes(dialect_bench_control(bench, "{\"type\":\"connected\"}"), "> {\"type\":\"watch_sessions\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"sessions\",\"items\":[]}"), "> {\"type\":\"list_permissions\",\"id\":\"l1:\"}\n");
    /* The store fails; it is asked again when that is over. */
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"l1:\",\"code\":\"storage_unavailable\",\"message\":\"no\"}"), "");
    comes(dialect_bench_control(bench, "{\"type\":\"store\",\"ok\":false}"), "");
    comes(dialect_bench_control(bench, "{\"type\":\"store\",\"ok\":true}"), "> {\"type\":\"list_permissions\",\"id\":\"l2:\"}\n");
    char *told = dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"l2:\",\"permissions\":[{\"requestId\":\"p-s1-2-5\"},{\"requestId\":\"q-1\"}]}");
    CU_ASSERT_TRUE(strstr(told, "\"id\":\"p-s1-2-5\"") && strstr(told, "\"id\":\"q-1\"") && strstr(told, "\"pending\":2,\"processing\":0"));
    free(told);
    comes(dialect_bench_control(bench, "{\"type\":\"store\",\"ok\":true}"), "");
    /* It fell behind what is kept of the feed. */
    comes(dialect_bench_control(bench, "{\"type\":\"sessions\",\"items\":[]}"), "x 3001\n");
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"code\":\"storage_unavailable\",\"message\":\"no\"}"), "x 3001\n");
    end();
}

static void every_answer(void)
{
    static const char *const rows[][2] = {
        {"{\"type\":\"ack\",\"id\":\"y3:s1\",\"permissions\":[{\"requestId\":\"p\",\"sessionId\":\"s1\",\"toolName\":\"t\",\"toolInput\":{},\"createdAt\":5,"
         "\"command\":\"c\"},{\"requestId\":\"q\",\"sessionId\":\"s2\"}]}",
         "< {\"type\":\"permission-sync-response\",\"sessionId\":\"s1\",\"pendingRequests\":[{\"requestId\":\"p\",\"toolName\":\"t\",\"input\":{},"
         "\"timestamp\":5,\"sessionId\":\"s1\",\"summary\":\"c\"}]}\n"},
        {"{\"type\":\"ack\",\"id\":\"a3:s1\",\"withdrawn\":[]}",
         "< {\"type\":\"session-aborted\",\"sessionId\":\"s1\",\"provider\":\"claude\",\"success\":true}\n"},
        {"{\"type\":\"nack\",\"id\":\"a3:s1\",\"code\":\"closed\",\"message\":\"no\"}",
         "< {\"type\":\"session-aborted\",\"sessionId\":\"s1\",\"provider\":\"claude\",\"success\":false}\n"
         "< {\"type\":\"claude-error\",\"error\":\"no\",\"sessionId\":\"s1\",\"code\":\"closed\"}\n"},
        {"{\"type\":\"nack\",\"id\":\"r3:p\",\"code\":\"already_resolved\",\"message\":\"no\"}",
         "< {\"type\":\"permission-error\",\"requestId\":\"p\",\"error\":\"no\",\"code\":\"already_resolved\"}\n"},
        {"{\"type\":\"nack\",\"id\":\"p3:s1\",\"code\":\"queue_full\",\"message\":\"no\"}",
         "< {\"type\":\"claude-error\",\"error\":\"no\",\"sessionId\":\"s1\",\"code\":\"queue_full\"}\n"},
        {"{\"type\":\"nack\",\"id\":\"w3:s1\",\"code\":\"not_found\",\"message\":\"no\"}", ""},
        {"{\"type\":\"ack\",\"id\":\"p3:s1\"}", ""},
        {"{\"type\":\"subscribed\",\"id\":\"s3:s1\",\"sessionId\":\"s1\",\"phase\":\"waiting\"}", STATUS("true") "}\n"},
        {"{\"type\":\"subscribed\",\"id\":\"s3:s1\",\"sessionId\":\"s1\",\"phase\":\"idle\"}", STATUS("false") "}\n"},
        {"{\"type\":\"subscribed\",\"id\":\"w3:s1\",\"sessionId\":\"s1\",\"phase\":\"idle\"}", ""},
        {"{\"type\":\"sessions\",\"id\":\"v3:\",\"items\":[{\"sessionId\":\"a\",\"phase\":\"running\"},{\"sessionId\":\"b\",\"phase\":\"idle\"},"
         "{\"sessionId\":\"c\",\"phase\":\"waiting\"}]}",
         "< {\"type\":\"active-sessions\",\"sessions\":{\"claude\":[\"a\",\"c\"]}}\n"},
        {"{\"type\":\"replay_complete\",\"sessionId\":\"s1\"}", ""},
        {"{\"type\":\"lagging\",\"sessionId\":\"s1\"}", ""},
    };
    begin();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        comes(dialect_bench_control(bench, rows[i][0]), rows[i][1]);
    }
    end();
}

static void a_new_session(void)
{
    begin();
    comes(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"do\"}"),
          "> {\"type\":\"create_session\",\"id\":\"c1:\",\"agent\":\"first\",\"workspace\":\"/root\"}\n");
    comes(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"more\"}"),
          "< {\"type\":\"claude-error\",\"error\":\"the session before is not made yet\",\"sessionId\":null,\"code\":\"busy\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"ack\",\"id\":\"c1:\",\"sessionId\":\"new\"}"),
          "< {\"type\":\"session-created\",\"sessionId\":\"new\"}\n"
          "> {\"type\":\"subscribe\",\"id\":\"w2:new\",\"sessionId\":\"new\",\"history\":\"full\"}\n"
          "> {\"type\":\"prompt\",\"id\":\"p3:new\",\"sessionId\":\"new\",\"text\":\"do\"}\n");
    comes(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"do\",\"options\":{\"agent\":\"a\",\"cwd\":\"/w\"}}"),
          "> {\"type\":\"create_session\",\"id\":\"c4:\",\"agent\":\"a\",\"workspace\":\"/w\"}\n");
    comes(dialect_bench_control(bench, "{\"type\":\"nack\",\"id\":\"c4:\",\"code\":\"forbidden\",\"message\":\"no\"}"),
          "< {\"type\":\"claude-error\",\"error\":\"no\",\"sessionId\":null,\"code\":\"forbidden\"}\n");
    bench->client.agent = NULL;
    comes(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"do\"}"),
          "< {\"type\":\"claude-error\",\"error\":\"no agent or no workspace root is configured\",\"sessionId\":null,\"code\":\"not_found\"}\n");
    bench->client.agent = "first"; /* one that is left when the client goes */
    free(dialect_bench_message(bench, "{\"type\":\"claude-command\",\"command\":\"do\"}"));
    end();
}

TEST_MAIN("claudecodeui", TEST(every_event_is_shown), TEST(beginnings_and_replays), TEST(risks_and_categories), TEST(every_end_of_a_request),
          TEST(every_message_is_a_command), TEST(what_is_wrong_is_refused), TEST(a_client_comes_and_is_told_what_waits), TEST(every_answer),
          TEST(a_new_session))
