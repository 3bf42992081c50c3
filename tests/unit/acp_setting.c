/* Modes, config options and models: changed for who asks. */
#include "signalbox/core/acp.h"

#include "support/acp_host.h"
#include "support/test.h"

static const char opened[] =
    "{\"sessionId\":\"s\",\"modes\":{\"currentModeId\":\"ask\",\"availableModes\":"
    "[{\"id\":\"ask\",\"name\":\"Ask\"},{\"id\":\"code\",\"name\":\"Code\"}]},"
    "\"configOptions\":[{\"id\":\"web\",\"name\":\"Web\",\"type\":\"boolean\",\"currentValue\":false},"
    "{\"id\":\"effort\",\"name\":\"Effort\",\"type\":\"select\",\"currentValue\":\"low\",\"options\":[]}],"
    "\"models\":{\"currentModelId\":\"m1\",\"availableModels\":[{\"modelId\":\"m1\",\"name\":\"One\"},"
    "{\"modelId\":\"m2\",\"name\":\"Two\"}]}}";

static void answer(struct host *host, const char *what)
{
    const char *id = at(host_last_sent(host), "id");
    host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":%s,%s}", id, what);
}

static void check_notice(struct host *host, const char *token, const char *code)
{
    struct agent_notice *notice = host_last_notice(host, NOTICE_SETTING);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    CU_ASSERT_EQUAL_FATAL(notice->request_id == NULL, token == NULL);
    if (token != NULL) {
        TEST_TEXT(notice->request_id, token);
    }
    CU_ASSERT_EQUAL_FATAL(notice->code == NULL, code == NULL);
    if (code != NULL) {
        TEST_TEXT(notice->code, code);
        CU_ASSERT_PTR_NOT_NULL(notice->message);
    }
}

static void each_goes_by_its_method(void)
{
    static const struct {
        const char *option, *value, *method, *params, *kind, *path, *after;
    } cases[] = {
        {NULL, "\"code\"", "session/set_mode", "{\"sessionId\":\"s\",\"modeId\":\"code\"}", "mode", "currentModeId", "code"},
        {"effort", "\"high\"", "session/set_config_option",
         "{\"sessionId\":\"s\",\"configId\":\"effort\",\"value\":\"high\"}", "", "", ""},
        {"web", "true", "session/set_config_option",
         "{\"sessionId\":\"s\",\"configId\":\"web\",\"type\":\"boolean\",\"value\":true}", "", "", ""},
        {"model", "\"m2\"", "session/set_model", "{\"sessionId\":\"s\",\"modelId\":\"m2\"}", "config_options",
         "options/2/currentValue", "m2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        host_open_ready(&host, NULL, opened);
        host_kinds(&host);
        acp_peer_set(host.peer, "t", cases[i].option, cases[i].value);
        TEST_TEXT(at(host_last_sent(&host), "method"), cases[i].method);
        TEST_TEXT(at(host_last_sent(&host), "params"), cases[i].params);
        CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_SETTING));
        answer(&host, "\"result\":{}");
        check_notice(&host, "t", NULL);
        TEST_TEXT(host_kinds(&host), cases[i].kind);
        if (cases[i].kind[0] != '\0') {
            TEST_TEXT(at(host.events[host.event_count - 1].json, cases[i].path), cases[i].after);
        }
        host_close(&host);
    }
}

static void the_list_in_the_answer_is_shown_once(void)
{
    struct host host;
    host_open_ready(&host, NULL, opened);
    acp_peer_set(host.peer, "t", "effort", "\"high\"");
    host_kinds(&host);
    host_update(&host, "{\"sessionUpdate\":\"config_option_update\",\"configOptions\":[{\"id\":\"effort\",\"type\":\"select\","
                       "\"currentValue\":\"high\"}]}");
    answer(&host, "\"result\":{\"configOptions\":[{\"id\":\"effort\",\"type\":\"select\",\"currentValue\":\"high\"}]}");
    TEST_TEXT(host_kinds(&host), "config_options");
    acp_peer_set(host.peer, "u", "effort", "\"low\"");
    answer(&host, "\"result\":{\"configOptions\":[{\"id\":\"effort\",\"type\":\"select\",\"currentValue\":\"low\"}]}");
    TEST_TEXT(host_kinds(&host), "config_options");
    TEST_TEXT(at(host_last_event(&host, EVENT_CONFIG_OPTIONS), "options/0/currentValue"), "low");
    TEST_TEXT(at(host_last_event(&host, EVENT_CONFIG_OPTIONS), "options/1/id"), "model");
    host_close(&host);
}

/* The agent is told that nobody waits, once, and may answer as it likes. */
static void a_change_that_nobody_waits_for_is_cancelled(void)
{
    static const char *const answers[] = {"\"result\":{}", "\"error\":{\"code\":-32800,\"message\":\"cancelled\"}"};
    for (size_t i = 0; i < 2; i++) {
        struct host host;
        host_open_ready(&host, NULL, opened);
        acp_peer_set(host.peer, "t", NULL, "\"code\"");
        const char *id = strdup(at(host_last_sent(&host), "id"));
        size_t sent = host.sent_count;
        acp_peer_set_late(host.peer, "another");
        CU_ASSERT_EQUAL(host.sent_count, sent);
        acp_peer_set_late(host.peer, "t");
        TEST_TEXT(at(host_last_sent(&host), "method"), "$/cancel_request");
        TEST_TEXT(at(host_last_sent(&host), "params/requestId"), id);
        host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":%s,%s}", id, answers[i]);
        check_notice(&host, "t", i == 0 ? NULL : "agent_failed");
        sent = host.sent_count;
        acp_peer_set_late(host.peer, "t");
        CU_ASSERT_EQUAL(host.sent_count, sent);
        free((char *)id);
        host_close(&host);
    }
}

static void a_mode_that_the_agent_has_told_is_not_told_again(void)
{
    struct host host;
    host_open_ready(&host, NULL, opened);
    acp_peer_set(host.peer, "t", NULL, "\"code\"");
    host_kinds(&host);
    host_update(&host, "{\"sessionUpdate\":\"current_mode_update\",\"currentModeId\":\"code\"}");
    answer(&host, "\"result\":{}");
    TEST_TEXT(host_kinds(&host), "mode");
    host_close(&host);
}

static void what_is_so_already_is_done(void)
{
    static const char *const same[][2] = {{NULL, "\"ask\""}, {"effort", "\"low\""}, {"web", "false"}, {"model", "\"m1\""}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct host host;
        host_open_ready(&host, NULL, opened);
        size_t sent = host.sent_count;
        acp_peer_set(host.peer, NULL, same[i][0], same[i][1]);
        CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_SETTING));
        acp_peer_set(host.peer, "t", same[i][0], same[i][1]);
        check_notice(&host, "t", NULL);
        CU_ASSERT_EQUAL(host.sent_count, sent);
        host_close(&host);
    }
}

static void what_there_is_not_is_refused(void)
{
    static const struct {
        const char *opened, *option, *value, *code;
    } cases[] = {
        {opened, NULL, "\"fly\"", "bad_message"},      {opened, NULL, "7", "bad_message"},
        {opened, "effort", "true", "bad_message"},     {opened, "web", "\"yes\"", "bad_message"},
        {opened, "model", "\"m3\"", "bad_message"},    {opened, "nothing", "\"x\"", "not_found"},
        {opened, "web", "[[[[[[[[[[1]]]]]]]]]]", "bad_message"},
        {"{\"sessionId\":\"s\"}", NULL, "\"ask\"", "unsupported"},
        {"{\"sessionId\":\"s\"}", "model", "\"m1\"", "not_found"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        host_open_ready(&host, NULL, cases[i].opened);
        size_t sent = host.sent_count;
        acp_peer_set(host.peer, "t", cases[i].option, cases[i].value);
        check_notice(&host, "t", cases[i].code);
        acp_peer_set(host.peer, NULL, cases[i].option, cases[i].value);
        check_notice(&host, NULL, cases[i].code);
        CU_ASSERT_EQUAL(host.sent_count, sent);
        host_close(&host);
    }
}

static void the_agents_refusal_is_passed_on(void)
{
    static const struct {
        const char *error, *code;
    } cases[] = {{"{\"code\":-32601,\"message\":\"x\"}", "unsupported"},
                 {"{\"code\":-32602,\"message\":\"x\"}", "bad_message"},
                 {"{\"code\":-32603,\"message\":\"x\"}", "agent_failed"},
                 {"7", "agent_failed"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        host_open_ready(&host, NULL, opened);
        host_kinds(&host);
        acp_peer_set(host.peer, "t", NULL, "\"code\"");
        char error[64];
        snprintf(error, sizeof error, "\"error\":%s", cases[i].error);
        answer(&host, error);
        check_notice(&host, "t", cases[i].code);
        TEST_TEXT(host_kinds(&host), "");
        host_close(&host);
    }
}

static void changes_and_a_prompt_do_not_hinder_each_other(void)
{
    struct host host;
    host_open_ready(&host, NULL, opened);
    host_prompt(&host);
    char prompt[16];
    snprintf(prompt, sizeof prompt, "%s", at(host_last_sent(&host), "id"));
    size_t asked = 0;
    while (asked < 100) {
        size_t sent = host.sent_count;
        acp_peer_set(host.peer, "t", NULL, asked % 2 == 0 ? "\"code\"" : "\"code\"");
        if (host.sent_count == sent) {
            break;
        }
        asked++;
    }
    CU_ASSERT_TRUE(asked > 16 && asked < 100);
    check_notice(&host, "t", "busy");
    host_sayf(&host, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"stopReason\":\"end_turn\"}}", prompt);
    CU_ASSERT_PTR_NOT_NULL(host_last_notice(&host, NOTICE_TURN_ENDED));
    host_prompt(&host); /* there is always a place for it */
    TEST_TEXT(at(host_last_sent(&host), "method"), "session/prompt");
    host_close(&host);
}

TEST_MAIN("acp_setting", TEST(each_goes_by_its_method), TEST(the_list_in_the_answer_is_shown_once),
          TEST(a_change_that_nobody_waits_for_is_cancelled),
          TEST(a_mode_that_the_agent_has_told_is_not_told_again), TEST(what_is_so_already_is_done),
          TEST(what_there_is_not_is_refused), TEST(the_agents_refusal_is_passed_on),
          TEST(changes_and_a_prompt_do_not_hinder_each_other))
