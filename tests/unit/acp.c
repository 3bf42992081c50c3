/* The life of an ACP peer and its JSON-RPC. */
#include "signalbox/core/acp.h"

#include "support/acp_host.h"
#include "support/test.h"

static void it_introduces_itself_and_opens_a_session(void)
{
    struct host host;
    host_open(&host, NULL);
    CU_ASSERT_EQUAL(host.sent_count, 0);
    acp_peer_start(host.peer);
    TEST_TEXT(json_object_to_json_string_ext(host_last_sent(&host), JSON_C_TO_STRING_PLAIN),
              "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":"
              "{\"protocolVersion\":1,\"clientCapabilities\":{\"fs\":{\"readTextFile\":false,"
              "\"writeTextFile\":false},\"terminal\":false,\"session\":{\"configOptions\":{\"boolean\":{}}}},"
              "\"clientInfo\":{\"name\":\"signalbox\","
              "\"title\":\"Signalbox\",\"version\":\"1.2.3\"}}}");
    host_say(&host, "{\"result\":{\"protocolVersion\":1,\"agentInfo\":{}},\"id\":0}");
    TEST_TEXT(json_object_to_json_string_ext(
                  host_last_sent(&host), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
              "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session/new\",\"params\":"
              "{\"cwd\":\"/w\",\"mcpServers\":[]}}");
    CU_ASSERT_EQUAL(host.notice_count, 0);
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"sessionId\":\"abc\"}}");
    CU_ASSERT_EQUAL(host.notice_count, 1);
    CU_ASSERT_EQUAL(host.notices[0].kind, NOTICE_READY);
    TEST_TEXT(host.notices[0].acp_session_id, "abc");
    CU_ASSERT_EQUAL(host.event_count, 0);
    host_close(&host);
}

static void modes_options_and_models_follow_ready(void)
{
    struct host host;
    host_open_ready(&host, NULL,
                    "{\"sessionId\":\"s\",\"modes\":{\"currentModeId\":\"ask\",\"availableModes\":"
                    "[{\"id\":\"ask\",\"name\":\"Ask\",\"_meta\":{\"x\":1}}]},"
                    "\"configOptions\":[{\"id\":\"web\",\"_meta\":1}],"
                    "\"models\":{\"currentModelId\":\"m\",\"availableModels\":"
                    "[{\"modelId\":\"m\",\"name\":\"M\"}]}}");
    TEST_TEXT(host_kinds(&host), "mode config_options");
    TEST_TEXT(at(host.events[0].json, "currentModeId"), "ask");
    TEST_TEXT(at(host.events[0].json, "availableModes"), "[{\"id\":\"ask\",\"name\":\"Ask\"}]");
    TEST_TEXT(at(host.events[1].json, "options"),
              "[{\"id\":\"web\"},{\"id\":\"model\",\"name\":\"Model\",\"category\":\"model\","
              "\"type\":\"select\",\"currentValue\":\"m\",\"options\":"
              "[{\"value\":\"m\",\"name\":\"M\"}]}]");
    host_update(&host, "{\"sessionUpdate\":\"current_mode_update\",\"currentModeId\":\"code\"}");
    TEST_TEXT(at(host.events[2].json, "currentModeId"), "code");
    TEST_TEXT(at(host.events[2].json, "availableModes/0/id"), "ask");
    host_close(&host);
}

static void failed(const char *initialize, const char *session_new, const char *expected, bool auth)
{
    struct host host;
    host_open(&host, NULL);
    acp_peer_start(host.peer);
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":0,%s}", initialize);
    if (session_new != NULL) {
        host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":1,%s}", session_new);
    }
    CU_ASSERT_EQUAL_FATAL(host.notice_count, 1);
    CU_ASSERT_EQUAL(host.notices[0].kind, NOTICE_FAILED);
    CU_ASSERT_EQUAL(host.notices[0].auth_required, auth);
    TEST_TEXT(host.notices[0].code, "agent_failed");
    TEST_TEXT(host.notices[0].message, expected);
    /* Nothing more is heard from it, but that it ends. */
    host_update(&host, "{\"sessionUpdate\":\"plan\",\"entries\":[]}");
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"sessionId\":\"abc\"}}");
    CU_ASSERT_EQUAL(host.event_count, 0);
    acp_peer_end(host.peer, "exited");
    CU_ASSERT_EQUAL(host.notice_count, 2);
    CU_ASSERT_EQUAL(host.notices[1].kind, NOTICE_EXITED);
    host_close(&host);
}

static void what_cannot_begin_says_why(void)
{
    static const char *const fine = "\"result\":{\"protocolVersion\":1}";
    failed("\"result\":{\"protocolVersion\":2}", NULL,
           "The agent speaks version 2 of the Agent Client Protocol; only version 1 is supported.",
           false);
    failed("\"result\":null", NULL, "The agent answered initialize without a protocolVersion.",
           false);
    failed("\"error\":{\"code\":1001,\"message\":\"Codex process has exited\"}", NULL,
           "The agent refused initialize: Codex process has exited", false);
    failed("\"error\":7", NULL, "The agent refused initialize: an error without a message", false);
    failed(fine, "\"result\":{}", "The agent answered session/new without a sessionId.", false);
    failed(fine,
           "\"error\":{\"code\":-32603,\"message\":\"Internal error\","
           "\"data\":{\"details\":\"Directory does not exist: /w\"}}",
           "The agent refused session/new: Internal error: Directory does not exist: /w", false);
    failed(fine, "\"error\":{\"code\":-32000,\"message\":\"Authentication required\"}",
           "The agent needs a login: Authentication required\nIt names no way to log in.", true);
    failed(
        "\"result\":{\"protocolVersion\":1,\"authMethods\":[{\"id\":\"oauth\",\"name\":\"Log in\","
        "\"description\":\"With a browser\"},{\"id\":\"key\",\"name\":\"API key\"}]}",
        "\"error\":{\"code\":-32000,\"message\":\"Authentication required\"}",
        "The agent needs a login: Authentication required\nIts ways to log in:\n"
        "- oauth: Log in (With a browser)\n- key: API key",
        true);
}

static void an_agent_that_dies_early_has_failed(void)
{
    for (int steps = 0; steps < 3; steps++) {
        struct host host;
        host_open(&host, NULL);
        if (steps > 0) {
            acp_peer_start(host.peer);
        }
        if (steps > 1) {
            host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":1}}");
        }
        acp_peer_end(host.peer, "exit status 127");
        CU_ASSERT_EQUAL_FATAL(host.notice_count, 1);
        CU_ASSERT_EQUAL(host.notices[0].kind, NOTICE_FAILED);
        TEST_TEXT(host.notices[0].code, "agent_failed");
        TEST_TEXT(host.notices[0].message, "exit status 127");
        host_close(&host);
    }
}

static void a_turn(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    CU_ASSERT_FALSE(acp_peer_in_turn(host.peer));
    host_prompt(&host);
    CU_ASSERT_TRUE(acp_peer_in_turn(host.peer));
    TEST_TEXT(at(host_last_sent(&host), "method"), "session/prompt");
    TEST_TEXT(at(host_last_sent(&host), "params/sessionId"), "s");
    TEST_TEXT(at(host_last_sent(&host), "params/prompt/0/text"), "hello");
    host_text(&host, "Hi.");
    host_answer_prompt(&host, "{\"stopReason\":\"refusal\",\"usage\":{\"totalTokens\":5,"
                              "\"_meta\":{}}}");
    CU_ASSERT_FALSE(acp_peer_in_turn(host.peer));
    TEST_TEXT(host_kinds(&host), "text_delta text_complete");
    struct agent_notice *notice = host_last_notice(&host, NOTICE_TURN_ENDED);
    TEST_TEXT(notice->turn_id, "turn-0");
    TEST_TEXT(notice->stop_reason, "refusal");
    TEST_TEXT(notice->usage, "{\"totalTokens\":5}");
    CU_ASSERT_PTR_NULL(notice->message);
    host_prompt(&host);
    host_answer_prompt(&host, "{\"stopReason\":\"end_turn\",\"_meta\":{\"quota\":{\"token_count\":"
                              "{\"input_tokens\":3,\"output_tokens\":4}}}}");
    notice = host_last_notice(&host, NOTICE_TURN_ENDED);
    TEST_TEXT(notice->usage, "{\"inputTokens\":3,\"outputTokens\":4}");
    TEST_TEXT(notice->turn_id, "turn-1");
    host_prompt(&host);
    host_answer_prompt(&host, "null");
    TEST_TEXT(host_last_notice(&host, NOTICE_TURN_ENDED)->stop_reason, "end_turn");
    /* JSON.stringify leaves a `result` out that is undefined. */
    host_prompt(&host);
    size_t sent = host.sent_count;
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":%s}", at(host_last_sent(&host), "id"));
    CU_ASSERT_FALSE(acp_peer_in_turn(host.peer));
    CU_ASSERT_EQUAL(host.sent_count, sent);
    TEST_TEXT(host_last_notice(&host, NOTICE_TURN_ENDED)->turn_id, "turn-3");
    host_close(&host);
}

static void ended_by_error(const char *error, bool cancel, const char *reason, const char *message)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    if (cancel) {
        acp_peer_cancel(host.peer);
        TEST_TEXT(at(host_last_sent(&host), "method"), "session/cancel");
        TEST_TEXT(at(host_last_sent(&host), "params/sessionId"), "s");
        TEST_TEXT(at(host_last_sent(&host), "id"), "");
    }
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":%s}", error);
    struct agent_notice *notice = host_last_notice(&host, NOTICE_TURN_ENDED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    TEST_TEXT(notice->stop_reason, reason);
    if (message != NULL) {
        TEST_TEXT(notice->code, "agent_error");
        TEST_TEXT(notice->message, message);
    } else {
        CU_ASSERT_PTR_NULL(notice->message);
    }
    host_close(&host);
}

static void errors_end_a_turn_readably(void)
{
    ended_by_error("{\"code\":-32603,\"message\":\"Internal error: fake error 400\",\"data\":{}}",
                   false, "error", "Internal error: fake error 400");
    ended_by_error("{\"code\":400,\"message\":\"{\\\"error\\\":{\\\"code\\\":400,\\\"message\\\":"
                   "\\\"fake error 400\\\"}}\"}",
                   false, "error", "fake error 400");
    ended_by_error("{\"code\":5,\"message\":\"{not json\"}", false, "error", "{not json");
    ended_by_error("{\"code\":-32603}", false, "error", "error -32603");
    ended_by_error("{\"code\":-32800,\"message\":\"cancelled\"}", true, "cancelled", NULL);
    ended_by_error("{\"code\":-32800,\"message\":\"odd\"}", false, "error", "odd");
    ended_by_error("{\"code\":-32603,\"message\":\"late\"}", true, "error", "late");
}

static void a_long_message_is_cut(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    char *message = calloc(1, 10000);
    for (int i = 0; i < 3000; i++) {
        strcat(message + i * 3, "\xE2\x82\xAC");
    }
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":1,\"message\":\"%s\"}}",
              message);
    struct agent_notice *notice = host_last_notice(&host, NOTICE_TURN_ENDED);
    CU_ASSERT_EQUAL(strlen(notice->message), 4095 + 3);
    free(message);
    host_close(&host);
}

static void requests_that_were_not_offered_are_refused(void)
{
    static const char *const methods[] = {"fs/write_text_file",
                                          "terminal/create",
                                          "elicitation/create",
                                          "craft/drainMidTurnQueue",
                                          "_x/y",
                                          "session/update"};
    struct host host;
    host_open_ready(&host, NULL, NULL);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"%s\",\"params\":{}}",
                  methods[i]);
        TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32601");
        TEST_TEXT(at(host_last_sent(&host), "error/message"), "Method not found");
        TEST_TEXT(at(host_last_sent(&host), "error/data/method"), methods[i]);
        TEST_TEXT(at(host_last_sent(&host), "id"), "7");
    }
    host_close(&host);
}

static void ids_come_back_in_their_type(void)
{
    static const char *const ids[] = {
        "0", "\"0\"", "null", "-5", "9223372036854775807", "\"str-id \\\"1\\\"\""};
    struct host host;
    host_open_ready(&host, NULL, NULL);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"nope\"}", ids[i]);
        struct json_object *id = NULL;
        CU_ASSERT_TRUE(json_object_object_get_ex(host_last_sent(&host), "id", &id));
        TEST_TEXT(json_object_to_json_string(id), ids[i]);
    }
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"nope\"}");
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32600");
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"session/request_permission\"}");
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32600");
    host_close(&host);
}

static void answers_to_nothing_are_ignored(void)
{
    static const char *const answers[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"stopReason\":\"end_turn\"}}", /* before */
        "{\"jsonrpc\":\"2.0\",\"id\":\"2\",\"result\":{\"stopReason\":\"end_turn\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"error\":{\"code\":1,\"message\":\"x\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,\"message\":\"Parse error\"}}",
    };
    struct host host;
    host_open_ready(&host, NULL, NULL);
    size_t sent = host.sent_count;
    for (size_t i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(host_say(&host, answers[i]), ERR_OK);
    }
    host_prompt(&host);
    for (size_t i = 1; i < 4; i++) {
        CU_ASSERT_EQUAL(host_say(&host, answers[i]), ERR_OK);
    }
    CU_ASSERT_TRUE(acp_peer_in_turn(host.peer));
    CU_ASSERT_EQUAL(host.sent_count, sent + 1);
    CU_ASSERT_EQUAL(host.notice_count, 1);
    host_say(&host, answers[0]);
    CU_ASSERT_FALSE(acp_peer_in_turn(host.peer));
    host_say(&host, answers[0]); /* twice */
    CU_ASSERT_EQUAL(host.notice_count, 2);
    host_close(&host);
}

static void what_is_no_message_is_said_to_be_none(void)
{
    static const char *const texts[] = {"[]",
                                        "7",
                                        "\"x\"",
                                        "null",
                                        "{}",
                                        "{\"method\":5}",
                                        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}]"};
    struct host host;
    host_open_ready(&host, NULL, NULL);
    size_t sent = host.sent_count;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CU_ASSERT_EQUAL(host_say(&host, texts[i]), ERR_SYNTAX);
    }
    CU_ASSERT_EQUAL(host.sent_count, sent);
    CU_ASSERT_EQUAL(host_say(&host, "{\"id\":3}"), ERR_OK);
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32600");
    CU_ASSERT_EQUAL(host_say(&host, "{\"id\":3,\"method\":[]}"), ERR_OK);
    TEST_TEXT(at(host_last_sent(&host), "id"), "3");
    host_close(&host);
}

static void odd_notifications_do_nothing(void)
{
    static const char *const texts[] = {
        "{\"method\":\"qwen/notify\"}",
        "{\"method\":\"session/update\"}",
        "{\"method\":\"session/update\",\"params\":[]}",
        "{\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\"}}",
        "{\"method\":\"session/update\",\"params\":{\"sessionId\":\"s\",\"update\":null}}",
        ("{\"method\":\"session/update\",\"params\":{\"sessionId\":\"child\",\"update\":"
         "{\"sessionUpdate\":\"plan\",\"entries\":[]}}}"),
        "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":5}}",
        "{\"method\":\"$/cancel_request\"}",
        "{\"method\":\"session/request_permission\"}",
    };
    struct host host;
    host_open_ready(&host, NULL, NULL);
    size_t sent = host.sent_count;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CU_ASSERT_EQUAL(host_say(&host, texts[i]), ERR_OK);
    }
    CU_ASSERT_EQUAL(host.sent_count, sent);
    CU_ASSERT_EQUAL(host.event_count, 0);
    host_close(&host);
}

static void updates_come_before_the_session_is_named(void)
{
    struct host host;
    host_open(&host, NULL);
    acp_peer_start(host.peer);
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":1}}");
    host_update(&host,
                "{\"sessionUpdate\":\"available_commands_update\",\"availableCommands\":[]}");
    TEST_TEXT(host_kinds(&host), "commands");
    host_close(&host);
}

static void every_kind_of_update_has_its_event(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_update(&host, "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"a\","
                       "\"priority\":\"high\",\"status\":\"pending\",\"_meta\":null}]}");
    TEST_TEXT(at(host_last_event(&host, EVENT_PLAN), "entries"),
              "[{\"content\":\"a\",\"priority\":\"high\",\"status\":\"pending\"}]");
    host_update(&host, "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"a\",\"priority\":null},"
                       "{\"content\":\"b\",\"priority\":\"urgent\",\"status\":\"paused\"}]}");
    TEST_TEXT(at(host_last_event(&host, EVENT_PLAN), "entries"),
              "[{\"content\":\"a\",\"priority\":\"medium\",\"status\":\"pending\"},"
              "{\"content\":\"b\",\"priority\":\"urgent\",\"status\":\"paused\"}]");
    host_update(&host, "{\"sessionUpdate\":\"available_commands_update\",\"availableCommands\":["
                       "{\"name\":\"a\",\"description\":\"b\",\"input\":{\"hint\":\"c\"},"
                       "\"_meta\":{\"big\":1}},{\"name\":\"d\",\"input\":null},{}],\"_meta\":{}}");
    TEST_TEXT(at(host_last_event(&host, EVENT_COMMANDS), "commands"),
              "[{\"name\":\"a\",\"description\":\"b\",\"hint\":\"c\"},"
              "{\"name\":\"d\",\"description\":\"\"}]");
    host_update(&host, "{\"sessionUpdate\":\"current_mode_update\",\"modeId\":\"x\"}");
    TEST_TEXT(at(host_last_event(&host, EVENT_MODE), "currentModeId"), "x");
    TEST_TEXT(at(host_last_event(&host, EVENT_MODE), "availableModes"), "[]");
    host_update(&host, "{\"sessionUpdate\":\"config_option_update\",\"configOptions\":[{}]}");
    TEST_TEXT(at(host_last_event(&host, EVENT_CONFIG_OPTIONS), "options"), "[{}]");
    host_update(&host, "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":2,\"cost\":"
                       "{\"amount\":0.03748499999999999,\"currency\":\"USD\"},\"_meta\":{}}");
    TEST_TEXT(at(host_last_event(&host, EVENT_USAGE), "used"), "1");
    TEST_TEXT(at(host_last_event(&host, EVENT_USAGE), "size"), "2");
    TEST_TEXT(at(host_last_event(&host, EVENT_USAGE), "cost/amount"), "0.03748499999999999");
    TEST_TEXT(host_kinds(&host), "plan plan commands mode config_options usage");
    host_close(&host);
}

static void titles(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_update(&host, "{\"sessionUpdate\":\"session_info_update\",\"_meta\":{\"codex\":1}}");
    CU_ASSERT_EQUAL(host.event_count, 0);
    host_update(&host, "{\"sessionUpdate\":\"session_info_update\",\"title\":\"A title\"}");
    TEST_TEXT(at(host_last_event(&host, EVENT_TITLE), "title"), "A title");
    TEST_TEXT(host_last_notice(&host, NOTICE_TITLE)->title, "A title");
    host_update(&host, "{\"sessionUpdate\":\"session_info_update\",\"title\":null}");
    struct json_object *title;
    CU_ASSERT_TRUE(json_object_object_get_ex(host_last_event(&host, EVENT_TITLE), "title", &title));
    CU_ASSERT_PTR_NULL(title);
    CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_TITLE)->title);
    host_close(&host);
}

static void what_has_no_name_goes_out_as_it_is(void)
{
    static const char *const updates[] = {
        "{\"sessionUpdate\":\"notice\",\"severity\":\"info\",\"title\":\"x\"}",
        "{\"sessionUpdate\":\"compaction_update\",\"compactionId\":\"c\",\"n\":[1,2.5,null,true]}",
        "{\"sessionUpdate\":\"user_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"u\"}}",
        ("{\"sessionUpdate\":\"agent_message_chunk\","
         "\"content\":{\"type\":\"image\",\"data\":\"\"}}"),
        "{\"sessionUpdate\":\"agent_thought_chunk\",\"content\":{\"type\":\"text\",\"text\":5}}",
        "{\"sessionUpdate\":\"tool_call\",\"title\":\"no id\"}",
        "{\"sessionUpdate\":\"plan\",\"entries\":{}}",
        "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":\"a\"},null]}",
        "{\"sessionUpdate\":\"plan\",\"entries\":[{\"content\":5,\"status\":\"pending\"}]}",
        "{\"sessionUpdate\":\"usage_update\",\"used\":\"many\"}",
        "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":-1}",
        "{\"sessionUpdate\":\"usage_update\",\"size\":1.5}",
        "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"cost\":3}",
        "{\"sessionUpdate\":\"available_commands_update\"}",
        "{\"sessionUpdate\":\"current_mode_update\"}",
        "{\"sessionUpdate\":\"config_option_update\",\"configOptions\":null}",
        "{\"sessionUpdate\":\"session_info_update\",\"title\":[]}",
        "{\"sessionUpdate\":\"made \\\"up\\\"\",\"a\\\"b\":{\"c\":\"\\u0001\\ud83d\\ude00\"}}",
        "{\"sessionUpdate\":7}",
        "{}",
    };
    struct host host;
    host_open_ready(&host, NULL, NULL);
    for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++) {
        struct json_object *sent = json_tokener_parse(updates[i]);
        struct json_object *update = NULL;
        host_update(&host, updates[i]);
        CU_ASSERT_EQUAL_FATAL(host.event_count, i + 1);
        CU_ASSERT_EQUAL(host.events[i].kind, EVENT_AGENT_UPDATE);
        json_object_object_get_ex(host.events[i].json, "update", &update);
        CU_ASSERT_EQUAL(json_object_equal(update, sent), 1);
        json_object_put(sent);
    }
    host_update(&host, "{\"sessionUpdate\":\"new\",\"_meta\":{\"a\":1},\"in\":{\"_meta\":1}}");
    TEST_TEXT(at(host_last_event(&host, EVENT_AGENT_UPDATE), "update"),
              "{\"sessionUpdate\":\"new\",\"in\":{}}");
    host_close(&host);
}

static void the_end_in_a_turn_ends_what_is_open(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    host_prompt(&host);
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"t\",\"title\":\"x\"}");
    host_text(&host, "half a");
    host_text(&host, " sentence");
    size_t sent = host.sent_count;
    acp_peer_end(host.peer, "killed by signal 9");
    TEST_TEXT(host_kinds(&host), "tool_start text_delta text_delta text_complete tool_result");
    CU_ASSERT_FALSE(host.blocks[0].intermediate);
    CU_ASSERT_EQUAL(host.notices[1].kind, NOTICE_EXITED);
    TEST_TEXT(host.notices[1].message, "killed by signal 9");
    /* Nothing is said or heard any more. */
    acp_peer_cancel(host.peer);
    acp_peer_prompt(host.peer, "late", "[]");
    acp_peer_permission(host.peer, "p-signal-1-1", NULL);
    host_say(&host, "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}");
    host_advance(&host, 1000);
    host_tick(&host);
    CU_ASSERT_EQUAL(acp_peer_deadline(host.peer).ns, INSTANT_NEVER.ns);
    CU_ASSERT_EQUAL(host.sent_count, sent);
    CU_ASSERT_EQUAL(host.event_count, 5);
    CU_ASSERT_EQUAL(host.notice_count, 2);
    CU_ASSERT_EQUAL(acp_peer_error(host.peer), ERR_OK);
    host_close(&host);
}

TEST_MAIN("acp", TEST(it_introduces_itself_and_opens_a_session),
          TEST(modes_options_and_models_follow_ready), TEST(what_cannot_begin_says_why),
          TEST(an_agent_that_dies_early_has_failed), TEST(a_turn), TEST(errors_end_a_turn_readably),
          TEST(a_long_message_is_cut), TEST(requests_that_were_not_offered_are_refused),
          TEST(ids_come_back_in_their_type), TEST(answers_to_nothing_are_ignored),
          TEST(what_is_no_message_is_said_to_be_none), TEST(odd_notifications_do_nothing),
          TEST(updates_come_before_the_session_is_named), TEST(every_kind_of_update_has_its_event),
          TEST(titles), TEST(what_has_no_name_goes_out_as_it_is),
          TEST(the_end_in_a_turn_ends_what_is_open))
