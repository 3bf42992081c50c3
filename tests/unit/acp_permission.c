/* Permission requests of an ACP peer. */
#include "signalbox/core/command.h"
#include "support/acp_host.h"
#include "support/test.h"

#define OPTIONS                                                                                    \
    "\"options\":[{\"optionId\":\"always\",\"name\":\"Always\",\"kind\":\"allow_always\"},"        \
    "{\"optionId\":\"once\",\"name\":\"Once\",\"kind\":\"allow_once\"},"                           \
    "{\"optionId\":\"no\",\"name\":\"No\",\"kind\":\"reject_once\"}]"

static void begin(struct host *host)
{
    host_open_ready(host, NULL, NULL);
    host_prompt(host);
}

/* Asks with this id for the call "c" with these further members, and returns the request. */
static struct permission_ask *ask(struct host *host, const char *id, const char *members)
{
    size_t before = host->notice_count;
    host_sayf(host,
              "{\"jsonrpc\":\"2.0\",\"method\":\"session/request_permission\",\"id\":%s,\"params\":"
              "{\"toolCall\":{\"toolCallId\":\"c\"%s},\"sessionId\":\"s\"," OPTIONS "}}",
              id, members);
    CU_ASSERT_EQUAL_FATAL(host->notice_count, before + 1);
    CU_ASSERT_EQUAL(host->notices[before].kind, NOTICE_PERMISSION);
    return host->notices[before].ask;
}

static void a_request_comes_after_its_tool(void)
{
    struct host host;
    begin(&host);
    host_text(&host, "I would");
    host_text(&host, " like to");
    struct permission_ask *given =
        ask(&host, "0",
            ",\"title\":\"touch a\",\"kind\":\"execute\",\"status\":\"pending\","
            "\"locations\":[],\"rawInput\":{\"command\":\"touch a\"}");
    TEST_TEXT(host_kinds(&host), "text_delta text_delta text_complete tool_start");
    TEST_TEXT(given->request_id, "p-signal-1-1");
    TEST_TEXT(given->turn_id, "turn-0");
    TEST_TEXT(given->tool_use_id, "t1-1");
    TEST_TEXT(given->tool_name, "execute");
    TEST_TEXT(given->command, "touch a");
    TEST_TEXT(given->description, "touch a");
    TEST_TEXT(given->kind, "execute");
    TEST_TEXT(given->tool_input, "{\"command\":\"touch a\"}");
    TEST_TEXT(given->plan_content, "null");
    CU_ASSERT_PTR_NULL(given->locations);
    CU_ASSERT_EQUAL_FATAL(given->option_count, 3);
    TEST_TEXT(given->options[0].option_id, "always");
    CU_ASSERT_EQUAL(given->options[0].kind, OPTION_ALLOW_ALWAYS);
    TEST_TEXT(given->options[2].name, "No");
    TEST_TEXT(given->options[2].kind_name, "reject_once");
    CU_ASSERT_EQUAL(given->options[2].kind, OPTION_REJECT_ONCE);
    host_close(&host);
}

static void it_is_answered_once(void)
{
    struct host host;
    begin(&host);
    ask(&host, "0", "");
    ask(&host, "\"two\"", "");
    ask(&host, "0", ""); /* the same id again, as if the first were not open */
    size_t sent = host.sent_count;
    acp_peer_permission(host.peer, "p-signal-1-2", "once");
    TEST_TEXT(at(host_last_sent(&host), ""),
              "{\"jsonrpc\":\"2.0\",\"id\":\"two\",\"result\":{\"outcome\":{\"outcome\":"
              "\"selected\",\"optionId\":\"once\"}}}");
    acp_peer_permission(host.peer, "p-signal-1-1", NULL);
    TEST_TEXT(at(host_last_sent(&host), ""),
              "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"outcome\":{\"outcome\":"
              "\"cancelled\"}}}");
    acp_peer_permission(host.peer, "p-signal-1-1", "once");
    acp_peer_permission(host.peer, "p-signal-1-2", NULL);
    acp_peer_permission(host.peer, "no such", "once");
    CU_ASSERT_EQUAL(host.sent_count, sent + 2);
    acp_peer_permission(host.peer, "p-signal-1-3", "no");
    CU_ASSERT_EQUAL(host.sent_count, sent + 3);
    host_close(&host);
}

static void the_agent_may_withdraw_it(void)
{
    struct host host;
    begin(&host);
    ask(&host, "4", "");
    size_t sent = host.sent_count;
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":\"4\"}}");
    CU_ASSERT_EQUAL(host.sent_count, sent); /* another type, another id */
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":4}}");
    TEST_TEXT(at(host_last_sent(&host), "result/outcome/outcome"), "cancelled");
    TEST_TEXT(host_last_notice(&host, NOTICE_PERMISSION_WITHDRAWN)->request_id, "p-signal-1-1");
    acp_peer_permission(host.peer, "p-signal-1-1", "once");
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":4}}");
    CU_ASSERT_EQUAL(host.sent_count, sent + 1);
    host_close(&host);
}

static void what_cannot_be_answered_is_refused(void)
{
    static const char *const params[] = {
        "{\"sessionId\":\"other\",\"toolCall\":{\"toolCallId\":\"c\"}," OPTIONS "}",
        "{\"toolCall\":{\"toolCallId\":\"c\"}," OPTIONS "}",
        "{\"sessionId\":\"s\"," OPTIONS "}",
        "{\"sessionId\":\"s\",\"toolCall\":{\"title\":\"x\"}," OPTIONS "}",
        "{\"sessionId\":\"s\",\"toolCall\":{\"toolCallId\":\"c\"}}",
        "{\"sessionId\":\"s\",\"toolCall\":{\"toolCallId\":\"c\"},\"options\":[]}",
        ("{\"sessionId\":\"s\",\"toolCall\":{\"toolCallId\":\"c\"},"
         "\"options\":[{\"name\":\"x\"},5]}"),
        "{\"sessionId\":\"s\",\"toolCall\":{\"toolCallId\":\"c\"},\"options\":\"x\"}",
        "null",
    };
    struct host host;
    begin(&host);
    for (size_t i = 0; i < sizeof params / sizeof params[0]; i++) {
        host_sayf(&host, "{\"id\":%zu,\"method\":\"session/request_permission\",\"params\":%s}", i,
                  params[i]);
        TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32602");
    }
    CU_ASSERT_EQUAL(host.event_count, 0);
    CU_ASSERT_EQUAL(host.notice_count, 1);
    host_close(&host);
}

static void odd_options_are_kept_as_they_are(void)
{
    struct host host;
    begin(&host);
    host_say(&host, "{\"id\":1,\"method\":\"session/request_permission\",\"params\":{\"sessionId\":"
                    "\"s\",\"toolCall\":{\"toolCallId\":\"c\"},\"options\":[{\"name\":\"no id\"},"
                    "{\"optionId\":\"\"},{\"optionId\":\"\xff\"},"
                    "{\"optionId\":\"x\",\"kind\":\"allow_forever\"},{\"optionId\":\"y\"}]}}");
    struct permission_ask *given = host_last_notice(&host, NOTICE_PERMISSION)->ask;
    CU_ASSERT_EQUAL_FATAL(given->option_count, 2);
    TEST_TEXT(given->options[0].name, "x");
    TEST_TEXT(given->options[0].kind_name, "allow_forever");
    CU_ASSERT_EQUAL(given->options[0].kind, OPTION_OTHER);
    TEST_TEXT(given->options[1].kind_name, "other");
    size_t notices = host.notice_count;
    char id[COMMAND_AGENT_ID_MAX + 2]; /* longer than what an answer may name */
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    host_sayf(&host, "{\"id\":2,\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"s\","
                     "\"toolCall\":{\"toolCallId\":\"c\"},\"options\":[{\"optionId\":\"%s\"}]}}", id);
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32602");
    CU_ASSERT_EQUAL(host.notice_count, notices);
    host_close(&host);
}

static void worded(const char *members, const char *command, const char *description)
{
    struct host host;
    begin(&host);
    struct permission_ask *given = ask(&host, "1", members);
    TEST_TEXT(given->command, command);
    TEST_TEXT(given->description, description);
    host_close(&host);
}

static void a_person_can_judge_by_the_command(void)
{
    worded(",\"title\":\"Run\",\"rawInput\":{\"command\":\"rm -rf x\"}", "rm -rf x", "Run");
    worded(",\"title\":\"Run\",\"rawInput\":{\"command\":[\"bash\",\"-lc\",\"ls 'a' b\",7]}",
           "bash -lc 'ls '\\''a'\\'' b' 7", "Run");
    worded(",\"title\":\"ls\",\"kind\":\"execute\",\"locations\":[{\"path\":\"/w\"}]", "ls", "ls");
    worded(
        ",\"title\":\"Writing\",\"kind\":\"edit\",\"locations\":[{\"path\":\"/a\"}],\"content\":["
        "{\"type\":\"diff\",\"path\":\"/a\",\"newText\":\"\"},"
        "{\"type\":\"diff\",\"path\":\"/b c\",\"newText\":\"\"}]",
        "edit /a, /b c", "Writing");
    worded(",\"title\":\"x\",\"kind\":\"delete\",\"rawInput\":{\"file_path\":\"/d\"}", "delete /d",
           "x");
    worded(",\"kind\":\"move\",\"locations\":[{\"path\":\"/a\"}],\"rawInput\":{\"source\":\"/a\","
           "\"destination\":\"/b\"}",
           "move /a, /b", "The agent asks to use its tool move.");
    worded(",\"title\":\"Get it\",\"kind\":\"fetch\",\"rawInput\":{\"url\":\"http://x/\"}",
           "fetch http://x/", "Get it");
    worded(",\"title\":\"Think hard\",\"kind\":\"think\"", "Think hard", "Think hard");
    worded(",\"name\":\"mcp__db\",\"rawInput\":{\"path\":\"/db\"}", "mcp__db /db",
           "The agent asks to use its tool mcp__db.");
    worded("", "other", "The agent asks to use its tool other.");
}

static void a_plan_is_shown_as_it_is(void)
{
    struct host host;
    begin(&host);
    struct permission_ask *given =
        ask(&host, "1", ",\"kind\":\"switch_mode\",\"rawInput\":{\"plan\":\"1. \\\"go\\\"\\n\"}");
    TEST_TEXT(given->plan_content, "\"1. \\\"go\\\"\\n\"");
    host_close(&host);
}

static void it_is_an_upsert(void)
{
    struct host host;
    begin(&host);
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"bash\","
                       "\"status\":\"in_progress\",\"rawInput\":{},\"kind\":\"execute\"}");
    host_advance(&host, 100);
    host_kinds(&host);
    struct permission_ask *given =
        ask(&host, "1",
            ",\"status\":\"pending\",\"rawInput\":{\"command\":\"ls\"},\"locations\":["
            "{\"path\":\"/w\"}],\"content\":[{\"type\":\"content\",\"content\":{"
            "\"type\":\"text\",\"text\":\"why\"}}]");
    TEST_TEXT(host_kinds(&host), "tool_update tool_output");
    TEST_TEXT(given->tool_name, "bash");
    TEST_TEXT(given->command, "ls");
    TEST_TEXT(given->locations, "[{\"path\":\"/w\"}]");
    TEST_TEXT(given->tool_use_id, "t1-1");
    /* A call that is over is asked for anew, and what is asked for is not over, whatever it says.
     */
    host_update(&host, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\","
                       "\"status\":\"completed\"}");
    given = ask(&host, "2", ",\"status\":\"completed\"");
    TEST_TEXT(given->tool_use_id, "t1-2");
    CU_ASSERT_PTR_NULL(host.tools[1].result);
    host_close(&host);
}

static void outside_a_turn_it_has_none(void)
{
    struct host host;
    host_open_ready(&host, NULL, NULL);
    CU_ASSERT_PTR_NULL(ask(&host, "1", "")->turn_id);
    host_close(&host);
}

static void there_is_an_end_to_asking(void)
{
    struct host host;
    begin(&host);
    for (int i = 0; i < 1100; i++) {
        host_sayf(&host,
                  "{\"id\":%d,\"method\":\"session/request_permission\",\"params\":{"
                  "\"sessionId\":\"s\",\"toolCall\":{\"toolCallId\":\"c\"}," OPTIONS "}}",
                  i);
    }
    TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32603");
    CU_ASSERT_EQUAL(host.notice_count, 1 + 1024);
    acp_peer_permission(host.peer, "p-signal-1-5", NULL);
    ask(&host, "1", "");
    host_close(&host);
}

TEST_MAIN("acp_permission", TEST(a_request_comes_after_its_tool), TEST(it_is_answered_once),
          TEST(the_agent_may_withdraw_it), TEST(what_cannot_be_answered_is_refused),
          TEST(odd_options_are_kept_as_they_are), TEST(a_person_can_judge_by_the_command),
          TEST(a_plan_is_shown_as_it_is), TEST(it_is_an_upsert), TEST(outside_a_turn_it_has_none),
          TEST(there_is_an_end_to_asking))
