/* terminal/create, output, wait_for_exit, kill, release, and terminals that tool calls show. */
#include "signalbox/core/acp.h"

#include <signal.h>

#include "core/acp_terminal.h"
#include "core/acp_tool.h"
#include "signalbox/base/json.h"
#include "signalbox/core/blob.h"
#include "support/acp_host.h"
#include "support/test.h"

static const struct host_options offered = {50, 256 * 1024, 3, NULL, NULL, 0, ACP_OFFER_TERMINAL};

static void ask(struct host *host, int id, const char *method, const char *members)
{
    enum err err = host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"terminal/%s\",\"params\":{\"sessionId\":\"s\",%s}}",
                             id, method, members);
    CU_ASSERT_EQUAL(err, ERR_OK);
}

static void ask_of(struct host *host, int id, const char *method, int number)
{
    char members[64];
    snprintf(members, sizeof members, "\"terminalId\":\"term-3-%d\"", number);
    ask(host, id, method, members);
}

/* Terminal 1 runs; its request was 1. */
static void open_running(struct host *host, const char *members)
{
    host_open_ready(host, &offered, NULL);
    ask(host, 1, "create", members);
    CU_ASSERT_EQUAL_FATAL(host->command_count, 1);
    acp_peer_terminal_started(host->peer, 1, NULL);
    TEST_TEXT(at(host_answer(host, 1), "result/terminalId"), "term-3-1");
}

static void out(struct host *host, const char *text)
{
    acp_peer_terminal_output(host->peer, 1, text, strlen(text));
}

static void nothing_is_run_read_only(void)
{
    struct host host;
    open_running(&host, "\"command\":\"sleep\"");
    acp_peer_read_only(host.peer, true);
    ask(&host, 2, "create", "\"command\":\"rm\",\"args\":[\"-r\",\"x\"]");
    CU_ASSERT_EQUAL(host.command_count, 1);
    struct agent_notice *notice = host_last_notice(&host, NOTICE_SERVICE_REFUSED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
    TEST_TEXT(notice->message, "the session is read-only, and the agent was refused to run rm -r x");
    CU_ASSERT_EQUAL(host_answers(&host, 2), 0);
    acp_peer_refuse(host.peer, notice->request_id);
    TEST_TEXT(at(host_answer(&host, 2), "error/code"), "-32003");
    ask_of(&host, 3, "kill", 1); /* what runs can be ended */
    CU_ASSERT_EQUAL(host.commands[0].killed, 1);
    host_close(&host);
}

static void what_is_run(void)
{
    static const struct {
        const char *members, *words;
    } cases[] = {
        {"\"command\":\"ls\"", "ls|in ."},
        {"\"command\":\"ls\",\"args\":[]", "ls|in ."},
        {"\"command\":\"ls -l | wc\"", "/bin/sh|-c|ls -l | wc|in ."},
        {"\"command\":\"a b\",\"args\":[\"c d\",\"\"]", "a b|c d||in ."},
        {"\"command\":\"x\",\"cwd\":\"/w/d/../e\"", "x|in e"},
        {"\"command\":\"x\",\"cwd\":null,\"env\":[{\"name\":\"A\",\"value\":\"b=c\"},{\"name\":\"E\",\"value\":\"\"}]",
         "A=b=c|E=|x|in ."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        open_running(&host, cases[i].members);
        TEST_TEXT(host.commands[0].words, cases[i].words);
        host_close(&host);
    }
}

static void what_is_wrong_is_said(void)
{
    static const struct {
        const char *method, *members, *code, *words;
    } cases[] = {
        {"create", "\"x\":1", "-32602", "no command"},
        {"create", "\"command\":\"\"", "-32602", "no command"},
        {"create", "\"command\":\"a\\u0000b\"", "-32602", "no command"},
        {"create", "\"command\":\"a\",\"args\":\"b\"", "-32602", "args"},
        {"create", "\"command\":\"a\",\"args\":[1]", "-32602", "argument"},
        {"create", "\"command\":\"a\",\"env\":{}", "-32602", "env"},
        {"create", "\"command\":\"a\",\"env\":[{\"name\":\"A=B\",\"value\":\"c\"}]", "-32602", "env"},
        {"create", "\"command\":\"a\",\"env\":[{\"name\":\"A\",\"value\":\"c\"},{\"name\":\"\",\"value\":\"c\"}]", "-32602", "env"},
        {"create", "\"command\":\"a\",\"cwd\":\"/etc\"", "-32602", "outside"},
        {"create", "\"command\":\"a\",\"cwd\":\"d\"", "-32602", "not absolute"},
        {"create", "\"command\":\"a\",\"outputByteLimit\":-1", "-32602", "outputByteLimit"},
        {"output", "\"x\":1", "-32602", "no terminalId"},
        {"output", "\"terminalId\":\"term-3-9\"", "-32002", "no such terminal"},
        {"kill", "\"terminalId\":\"nothing\"", "-32002", "no such terminal"},
        {"release", "\"terminalId\":\"\"", "-32002", "no such terminal"},
        {"wait_for_exit", "\"terminalId\":\"term-1-1\"", "-32002", "no such terminal"},
    };
    struct host host;
    host_open_ready(&host, &offered, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&host, (int)i, cases[i].method, cases[i].members);
        TEST_TEXT(at(host_answer(&host, (int)i), "error/code"), cases[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(at(host_answer(&host, (int)i), "error/message"), cases[i].words));
    }
    host_say(&host, "{\"id\":99,\"method\":\"terminal/create\",\"params\":{\"sessionId\":\"x\",\"command\":\"a\"}}");
    TEST_TEXT(at(host_answer(&host, 99), "error/message"), "Invalid params: unknown session");
    CU_ASSERT_EQUAL(host.command_count, 0);
    host_close(&host);
}

static void one_that_cannot_start(void)
{
    struct host host;
    host_open_ready(&host, &offered, NULL);
    ask(&host, 1, "create", "\"command\":\"nothing\"");
    CU_ASSERT_EQUAL(host_answers(&host, 1), 0);
    acp_peer_terminal_started(host.peer, 1, "No such file or directory: nothing");
    TEST_TEXT(at(host_answer(&host, 1), "error/message"),
              "The command could not be started: No such file or directory: nothing");
    acp_peer_terminal_exited(host.peer, 1, 127, 0); /* of nothing that is known */
    host.refusal = ERR_AGAIN;
    ask(&host, 2, "create", "\"command\":\"nothing\"");
    TEST_TEXT(at(host_answer(&host, 2), "error/message"), "refused");
    host.refusal = ERR_OK;
    for (int i = 0; i < ACP_TERMINALS_MAX; i++) {
        ask(&host, 10 + i, "create", "\"command\":\"x\"");
    }
    ask(&host, 100, "create", "\"command\":\"x\"");
    CU_ASSERT_PTR_NOT_NULL(strstr(at(host_answer(&host, 100), "error/message"), "too many"));
    acp_peer_terminal_started(host.peer, 3, NULL);
    ask_of(&host, 101, "release", 3);
    ask(&host, 102, "create", "\"command\":\"x\"");
    CU_ASSERT_EQUAL(host_answers(&host, 102), 0); /* it is being started */
    host_close(&host);
}

static void output_while_it_runs_and_after(void)
{
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    ask_of(&host, 2, "output", 1);
    TEST_TEXT(at(host_answer(&host, 2), "result"), "{\"output\":\"\",\"truncated\":false}");
    out(&host, "one\xe2\x82");
    out(&host, "\xac\xff");
    ask_of(&host, 3, "output", 1);
    TEST_TEXT(at(host_answer(&host, 3), "result/output"), "one\xe2\x82\xac\xef\xbf\xbd");
    out(&host, "\xf0\x9f"); /* the half of a character, and then the end */
    acp_peer_terminal_exited(host.peer, 1, 3, 0);
    ask_of(&host, 4, "output", 1);
    TEST_TEXT(at(host_answer(&host, 4), "result/output"), "one\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd");
    TEST_TEXT(at(host_answer(&host, 4), "result/exitStatus"), "{\"exitCode\":3,\"signal\":null}");
    ask_of(&host, 5, "release", 1);
    TEST_TEXT(at(host_answer(&host, 5), "result"), "{}");
    CU_ASSERT_EQUAL(host.commands[0].released, 1);
    ask_of(&host, 6, "output", 1);
    TEST_TEXT(at(host_answer(&host, 6), "error/code"), "-32002");
    out(&host, "late");
    host_close(&host);
}

static void the_limit_cuts_the_beginning(void)
{
    static const struct {
        const char *limit, *output, *truncated;
    } cases[] = {
        {"0", "", "true"},    {"1", "d", "true"},           {"3", "bcd", "true"},
        {"4", "bcd", "true"}, {"5", "\xc3\xa9" "bcd", "true"}, {"6", "a\xc3\xa9" "bcd", "false"},
        {"null", "a\xc3\xa9" "bcd", "false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char members[64];
        struct host host;
        snprintf(members, sizeof members, "\"command\":\"x\",\"outputByteLimit\":%s", cases[i].limit);
        open_running(&host, members);
        out(&host, "a\xc3\xa9");
        out(&host, "bcd");
        ask_of(&host, 2, "output", 1);
        TEST_TEXT(at(host_answer(&host, 2), "result/output"), cases[i].output);
        TEST_TEXT(at(host_answer(&host, 2), "result/truncated"), cases[i].truncated);
        host_close(&host);
    }
}

static void a_flood_is_bounded(void)
{
    enum { PIECE = 64 * 1024 };
    struct host host;
    open_running(&host, "\"command\":\"x\",\"outputByteLimit\":999999999");
    char *piece = malloc(PIECE);
    for (int i = 0; i < 100; i++) {
        memset(piece, 'a' + i % 26, PIECE);
        acp_peer_terminal_output(host.peer, 1, piece, PIECE);
    }
    free(piece);
    ask_of(&host, 2, "output", 1);
    struct json_object *answer = host_answer(&host, 2);
    const char *output = json_get_string(json_get(answer, "result"), "output");
    CU_ASSERT_EQUAL(strlen(output), ACP_TERMINAL_OUTPUT_MAX);
    CU_ASSERT_EQUAL(output[ACP_TERMINAL_OUTPUT_MAX - 1], 'a' + 99 % 26);
    TEST_TEXT(at(answer, "result/truncated"), "true");
    host_close(&host);
}

static void who_waits_is_told(void)
{
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    ask_of(&host, 2, "wait_for_exit", 1);
    ask_of(&host, 3, "wait_for_exit", 1);
    ask_of(&host, 4, "wait_for_exit", 1);
    host_say(&host, "{\"method\":\"$/cancel_request\",\"params\":{\"requestId\":3}}");
    TEST_TEXT(at(host_answer(&host, 3), "error/code"), "-32800");
    CU_ASSERT_EQUAL(host_answers(&host, 2), 0);
    ask_of(&host, 5, "kill", 1);
    TEST_TEXT(at(host_answer(&host, 5), "result"), "{}");
    CU_ASSERT_EQUAL(host.commands[0].killed, 1);
    acp_peer_terminal_exited(host.peer, 1, -1, SIGTERM);
    acp_peer_terminal_exited(host.peer, 1, 0, 0); /* once */
    for (int id = 2; id <= 4; id += 2) {
        TEST_TEXT(at(host_answer(&host, id), "result"), "{\"exitCode\":null,\"signal\":\"SIGTERM\"}");
    }
    ask_of(&host, 6, "wait_for_exit", 1);
    TEST_TEXT(at(host_answer(&host, 6), "result/signal"), "SIGTERM");
    ask_of(&host, 7, "kill", 1); /* there is nothing to be killed */
    TEST_TEXT(at(host_answer(&host, 7), "result"), "{}");
    CU_ASSERT_EQUAL(host.commands[0].killed, 1);
    CU_ASSERT_EQUAL(host_answers(&host, 3), 1);
    host_close(&host);
}

static void a_release_answers_who_waits(void)
{
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    for (int i = 0; i < ACP_TERMINAL_WAITERS_MAX; i++) {
        ask_of(&host, 10 + i, "wait_for_exit", 1);
    }
    ask_of(&host, 200, "wait_for_exit", 1);
    TEST_TEXT(at(host_answer(&host, 200), "error/code"), "-32603");
    ask_of(&host, 201, "release", 1);
    for (int i = 0; i < ACP_TERMINAL_WAITERS_MAX; i++) {
        TEST_TEXT(at(host_answer(&host, 10 + i), "error/code"), "-32800");
    }
    host_close(&host);
}

#define SHOWN(more)                                                                                \
    "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"run\",\"content\":[{\"type\":\"terminal\"," \
    "\"terminalId\":\"term-3-1\"}]" more "}"

static void a_tool_call_shows_it(void)
{
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    host_prompt(&host);
    out(&host, "before ");
    host_update(&host, SHOWN(""));
    out(&host, "and \xe2\x82");
    out(&host, "\xac after");
    host_advance(&host, 60);
    host_tick(&host);
    TEST_TEXT(host.tools[0].output, "before and \xe2\x82\xac after");
    TEST_TEXT(at(host.tools[0].fields, "content/0/terminalId"), "term-3-1");
    acp_peer_terminal_exited(host.peer, 1, 0, 0);
    ask_of(&host, 2, "release", 1);
    host_update(&host, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"completed\"}");
    TEST_TEXT(at(host.tools[0].result, "result"), "before and \xe2\x82\xac after");
    TEST_TEXT(at(host.tools[0].result, "isError"), "false");
    host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
    host_close(&host);
}

/* The agent says nothing more of it: its end decides how the call ended. */
static void a_call_that_is_left_ends_as_its_command(void)
{
    static const struct {
        int code;
        const char *is_error;
    } cases[] = {{0, "false"}, {2, "true"}, {-1, "true"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        open_running(&host, "\"command\":\"x\"");
        host_prompt(&host);
        if (i % 2) {
            host_update(&host, SHOWN(""));
        }
        out(&host, "text");
        acp_peer_terminal_exited(host.peer, 1, cases[i].code, 9);
        if (i % 2 == 0) {
            host_update(&host, SHOWN("")); /* after its end */
        }
        host_answer_prompt(&host, "{\"stopReason\":\"end_turn\"}");
        TEST_TEXT(at(host.tools[0].result, "isError"), cases[i].is_error);
        TEST_TEXT(at(host.tools[0].result, "result"), "text");
        host_close(&host);
    }
}

static void what_is_shown_live_has_an_end(void)
{
    enum { PIECE = 64 * 1024, PIECES = 200 };
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    host_prompt(&host);
    host_update(&host, SHOWN(""));
    char *piece = malloc(PIECE);
    memset(piece, 'x', PIECE);
    for (int i = 0; i < PIECES; i++) {
        acp_peer_terminal_output(host.peer, 1, piece, PIECE);
        /* No window passes, and still no event grows without bound. */
        CU_ASSERT(host.events[host.event_count - 1].length < PIECE);
    }
    out(&host, "the end\xe2\x82");
    acp_peer_terminal_exited(host.peer, 1, 0, 0);
    host_update(&host, "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"completed\"}");
    CU_ASSERT(host.tools[0].output_units < ACP_TOOL_OUTPUT_SHOWN + 3 * ACP_TOOL_DELTA_MAX);
    CU_ASSERT_PTR_NOT_NULL(strstr(host.tools[0].output, "more output than is shown"));
    const char *result = json_get_string(host.tools[0].result, "result");
    CU_ASSERT_PTR_NOT_NULL(strstr(result, "bytes before this are left out"));
    TEST_TEXT(at(host.tools[0].result, "refs/0/path"), "/result");
    const struct blob *whole = host_blob(&host, at(host.tools[0].result, "refs/0/blob"));
    CU_ASSERT_PTR_NOT_NULL_FATAL(whole);
    CU_ASSERT(whole->length <= 2 * (size_t)ACP_TOOL_OUTPUT_KEPT + PIECE + 100);
    CU_ASSERT_EQUAL(memcmp(whole->data + whole->length - 10, "the end\xef\xbf\xbd", 10), 0);
    free(piece);
    host_close(&host);
}

static void ids_of_others_are_left_alone(void)
{
    struct host host;
    open_running(&host, "\"command\":\"x\"");
    host_prompt(&host);
    host_update(&host, "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"run\",\"content\":[{\"type\":"
                       "\"terminal\",\"terminalId\":\"mine\"},{\"type\":\"terminal\"},7]}");
    out(&host, "text");
    host_advance(&host, 60);
    host_tick(&host);
    TEST_TEXT(host.tools[0].output, "");
    acp_peer_end(host.peer, "over");
    out(&host, "text");
    acp_peer_terminal_exited(host.peer, 1, 0, 0);
    host_close(&host);
}

TEST_MAIN("acp_terminal", TEST(nothing_is_run_read_only), TEST(what_is_run), TEST(what_is_wrong_is_said), TEST(one_that_cannot_start),
          TEST(output_while_it_runs_and_after), TEST(the_limit_cuts_the_beginning), TEST(a_flood_is_bounded),
          TEST(who_waits_is_told), TEST(a_release_answers_who_waits), TEST(a_tool_call_shows_it),
          TEST(a_call_that_is_left_ends_as_its_command), TEST(what_is_shown_live_has_an_end),
          TEST(ids_of_others_are_left_alone))
