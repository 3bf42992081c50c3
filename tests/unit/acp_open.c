/* From initialize to a session: login, resume, load, new. */
#include "signalbox/core/acp.h"

#include "support/acp_host.h"
#include "support/test.h"

#define INITIALIZED(capabilities) "{\"protocolVersion\":1,\"agentCapabilities\":{" capabilities "}}"
static const char can_both[] = INITIALIZED("\"loadSession\":true,\"sessionCapabilities\":{\"resume\":{}}");
static const char can_load[] = INITIALIZED("\"loadSession\":true");
static const char can_resume[] = INITIALIZED("\"sessionCapabilities\":{\"resume\":{}}");
static const char can_neither[] = INITIALIZED("\"loadSession\":false,\"sessionCapabilities\":{\"resume\":null}");

static void begin(struct host *host, const char *resume, const char *login, const char *initialized)
{
    host_open(host, &(struct host_options){50, 256 * 1024, 1, resume, login, 0, 0});
    acp_peer_start(host->peer);
    host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":%s}", initialized);
}

static void answer(struct host *host, const char *what)
{
    const char *id = at(host_last_sent(host), "id");
    host_sayf(host, "{\"jsonrpc\":\"2.0\",\"id\":%s,%s}", id, what);
}

static const char *asked(struct host *host)
{
    return at(host_last_sent(host), "method");
}

/* The replay is over when nothing came for a while. */
static void settle(struct host *host)
{
    for (int ms = 0; ms < 6000 && host_last_notice(host, NOTICE_READY) == NULL; ms++) {
        host_advance(host, 1);
        if (instant_reached(acp_peer_deadline(host->peer), host->now)) {
            host_tick(host);
        }
    }
}

static void check_ready(struct host *host, enum agent_memory memory, const char *session, const char *why)
{
    struct agent_notice *ready = host_last_notice(host, NOTICE_READY);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ready);
    CU_ASSERT_EQUAL(ready->memory, memory);
    TEST_TEXT(ready->acp_session_id, session);
    CU_ASSERT_EQUAL_FATAL(ready->message == NULL, why == NULL);
    if (why != NULL) {
        TEST_TEXT(ready->message, why);
    }
    host_prompt(host);
    TEST_TEXT(at(host_last_sent(host), "method"), "session/prompt");
    TEST_TEXT(at(host_last_sent(host), "params/sessionId"), session);
}

static void a_new_session_has_nothing_to_remember(void)
{
    struct host host;
    begin(&host, NULL, NULL, can_both);
    TEST_TEXT(asked(&host), "session/new");
    answer(&host, "\"result\":{\"sessionId\":\"n\"}");
    check_ready(&host, MEMORY_NEW, "n", NULL);
    host_close(&host);
}

static void resuming_is_tried_before_loading(void)
{
    const char *const capabilities[] = {can_both, can_resume};
    for (size_t i = 0; i < 2; i++) {
        struct host host;
        begin(&host, "old", NULL, capabilities[i]);
        TEST_TEXT(asked(&host), "session/resume");
        TEST_TEXT(at(host_last_sent(&host), "params/sessionId"), "old");
        TEST_TEXT(at(host_last_sent(&host), "params/cwd"), "/w");
        TEST_TEXT(at(host_last_sent(&host), "params/mcpServers"), "[]");
        answer(&host, "\"result\":{}");
        check_ready(&host, MEMORY_KEPT, "old", NULL);
        host_close(&host);
    }
}

static const char said[] = "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"old\",\"update\":%s}}";
static const char *const replay[] = {
    "{\"sessionUpdate\":\"user_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"asked\"}}",
    "{\"sessionUpdate\":\"agent_thought_chunk\",\"content\":{\"type\":\"text\",\"text\":\"hm\"}}",
    "{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"said\"}}",
    "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c\",\"title\":\"t\"}",
    "{\"sessionUpdate\":\"tool_call_update\",\"toolCallId\":\"c\",\"status\":\"completed\"}",
    "{\"sessionUpdate\":\"plan\",\"entries\":[]}",
    "{\"sessionUpdate\":\"never_heard_of\",\"x\":1}",
};

static void say_replay(struct host *host, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        host_sayf(host, said, replay[i]);
    }
}

static void what_is_replayed_is_no_event(void)
{
    enum { COUNT = sizeof replay / sizeof replay[0] };
    /* The answer may come before, in the middle of, and after the replay. */
    for (size_t answered = 0; answered <= COUNT; answered++) {
        struct host host;
        begin(&host, "old", NULL, can_load);
        TEST_TEXT(asked(&host), "session/load");
        say_replay(&host, 0, answered);
        answer(&host, "\"result\":{}");
        CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_READY));
        say_replay(&host, answered, COUNT);
        TEST_TEXT(host_kinds(&host), "");
        settle(&host);
        check_ready(&host, MEMORY_KEPT, "old", NULL);
        host_text(&host, "lost: another session's");
        host_sayf(&host, said, replay[2]);
        answer(&host, "\"result\":{\"stopReason\":\"end_turn\"}");
        TEST_TEXT(host_kinds(&host), "text_delta text_complete");
        host_close(&host);
    }
}

static void what_is_no_conversation_comes_through(void)
{
    struct host host;
    begin(&host, "old", NULL, can_load);
    host_sayf(&host, said, "{\"sessionUpdate\":\"available_commands_update\",\"availableCommands\":[]}");
    host_sayf(&host, said, "{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":2}");
    answer(&host, "\"result\":{\"modes\":{\"currentModeId\":\"ask\",\"availableModes\":[]}}");
    TEST_TEXT(host_kinds(&host), "commands usage mode");
    host_close(&host);
}

static void a_replay_that_goes_on_is_waited_for_but_not_for_ever(void)
{
    struct host host;
    begin(&host, "old", NULL, can_load);
    answer(&host, "\"result\":{}");
    int64_t waited = 0;
    while (host_last_notice(&host, NOTICE_READY) == NULL && waited < 10000) {
        host_advance(&host, 100);
        waited += 100;
        if (instant_reached(acp_peer_deadline(host.peer), host.now)) {
            host_tick(&host);
        }
        host_sayf(&host, said, replay[2]);
        CU_ASSERT_TRUE(host_last_notice(&host, NOTICE_READY) != NULL || waited < 5000);
    }
    CU_ASSERT_EQUAL(waited, 5000);
    host_close(&host);
}

static void what_cannot_be_had_again_is_new(void)
{
    static const struct {
        const char *initialized, *resume_error, *load_error, *why;
    } cases[] = {
        {can_neither, NULL, NULL, "It cannot load sessions."},
        {can_load, NULL, "{\"code\":-32603,\"message\":\"unknown session\"}",
         "The agent refused session/load: unknown session"},
        {can_resume, "{\"code\":-32002,\"message\":\"gone\"}", NULL, "The agent refused session/resume: gone"},
        {can_both, "{\"code\":-32601,\"message\":\"no\"}", "{\"code\":-32602,\"message\":\"bad\"}",
         "The agent refused session/load: bad"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        begin(&host, "old", NULL, cases[i].initialized);
        if (cases[i].resume_error != NULL) {
            TEST_TEXT(asked(&host), "session/resume");
            char error[128];
            snprintf(error, sizeof error, "\"error\":%s", cases[i].resume_error);
            answer(&host, error);
        }
        if (cases[i].load_error != NULL) {
            TEST_TEXT(asked(&host), "session/load");
            char error[128];
            snprintf(error, sizeof error, "\"error\":%s", cases[i].load_error);
            answer(&host, error);
        }
        TEST_TEXT(asked(&host), "session/new");
        answer(&host, "\"result\":{\"sessionId\":\"n\"}");
        check_ready(&host, MEMORY_LOST, "n", cases[i].why);
        host_close(&host);
    }
}

/* The session's id is known before the session is there, and when it never comes to be. */
static void nothing_is_asked_for_before_the_session_is_there(void)
{
    static const char ask[] =
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"session/request_permission\",\"params\":{\"sessionId\":\"old\","
        "\"toolCall\":{\"toolCallId\":\"c\"},\"options\":[{\"optionId\":\"y\",\"name\":\"Y\",\"kind\":\"allow_once\"}]}}";
    for (int stage = 0; stage < 3; stage++) {
        struct host host;
        begin(&host, "old", NULL, stage < 2 ? can_load : "{}");
        if (stage == 1) {
            answer(&host, "\"result\":{}");
        }
        host_say(&host, ask);
        TEST_TEXT(at(host_last_sent(&host), "error/code"), "-32602");
        CU_ASSERT_PTR_NULL(host_last_notice(&host, NOTICE_PERMISSION));
        TEST_TEXT(host_kinds(&host), "");
        host_close(&host);
    }
}

static void an_agent_that_dies_while_it_loads_has_failed(void)
{
    struct host host;
    begin(&host, "old", NULL, can_load);
    answer(&host, "\"result\":{}");
    acp_peer_end(host.peer, "exit status 1");
    CU_ASSERT_EQUAL_FATAL(host.notice_count, 1);
    CU_ASSERT_EQUAL(host.notices[0].kind, NOTICE_FAILED);
    TEST_TEXT(host.notices[0].message, "exit status 1");
    host_close(&host);
}

#define WANTS_LOGIN "\"error\":{\"code\":-32000,\"message\":\"Authentication required\"}"

static void it_logs_in_once_as_configured(void)
{
    static const char *const sessions[] = {NULL, "old"};
    for (size_t i = 0; i < 2; i++) {
        struct host host;
        begin(&host, sessions[i], "key", can_load);
        const char *first = strdup(asked(&host));
        answer(&host, WANTS_LOGIN);
        TEST_TEXT(asked(&host), "authenticate");
        TEST_TEXT(at(host_last_sent(&host), "params"), "{\"methodId\":\"key\"}");
        answer(&host, "\"result\":null");
        TEST_TEXT(asked(&host), first);
        free((char *)first);
        answer(&host, WANTS_LOGIN);
        struct agent_notice *failed = host_last_notice(&host, NOTICE_FAILED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(failed);
        CU_ASSERT_TRUE(failed->auth_required);
        host_close(&host);
    }
}

/* What an agent cannot do by itself is not asked of it, and a person is told what to do. */
static void a_login_that_cannot_help_is_not_tried(void)
{
    static const char ways[] =
        "\"result\":{\"protocolVersion\":1,\"authMethods\":[{\"id\":\"web\",\"name\":\"Web\"},"
        "{\"id\":\"tty\",\"name\":\"Terminal\",\"type\":\"terminal\",\"args\":[\"login\",\"-x\"],\"env\":{\"A\":\"b\",\"C\":7}},"
        "{\"id\":\"key\",\"name\":\"Key\",\"type\":\"env_var\",\"vars\":[{\"name\":\"A_KEY\"},{},\"B_KEY\"]}]}";
    static const char list[] =
        "\nIts ways to log in:\n- web: Web\n"
        "- tty: Terminal - to be done in a terminal, as the server's user: the agent's command, then login -x, with A=b, with C=\n"
        "- key: Key - by the agent's environment: A_KEY B_KEY";
    static const struct {
        const char *login, *why;
    } cases[] = {{"nope", "\nThe login \"nope\" of its configuration is none of its ways to log in."},
                 {"tty", "\nThe login \"tty\" of its configuration is one that the agent cannot do by itself."},
                 {"key", "\nThe login \"key\" of its configuration is one that the agent cannot do by itself."},
                 {"web", "\nThe login \"web\" of its configuration was done, and did not help."},
                 {NULL, ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct host host;
        host_open(&host, &(struct host_options){50, 256 * 1024, 1, NULL, cases[i].login, 0, 0});
        acp_peer_start(host.peer);
        answer(&host, ways);
        answer(&host, WANTS_LOGIN);
        if (cases[i].login && !strcmp(cases[i].login, "web")) {
            TEST_TEXT(asked(&host), "authenticate");
            answer(&host, "\"result\":{}");
            answer(&host, WANTS_LOGIN);
        }
        TEST_TEXT(asked(&host), "session/new");
        struct agent_notice *failed = host_last_notice(&host, NOTICE_FAILED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(failed);
        CU_ASSERT_TRUE(failed->auth_required);
        char expected[1024];
        snprintf(expected, sizeof(expected), "The agent needs a login: Authentication required%s%s", cases[i].why, list);
        TEST_TEXT(failed->message, expected);
        host_close(&host);
    }
}

static void a_login_that_is_refused_says_why(void)
{
    struct host host;
    begin(&host, NULL, "key", can_load);
    answer(&host, WANTS_LOGIN);
    answer(&host, "\"error\":{\"code\":-32602,\"message\":\"no such method\"}");
    struct agent_notice *failed = host_last_notice(&host, NOTICE_FAILED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(failed);
    TEST_TEXT(failed->message, "The agent refused authenticate: no such method");
    host_close(&host);
}

static void a_session_is_closed_where_the_agent_can(void)
{
    static const struct {
        const char *initialized;
        bool sent;
    } cases[] = {{INITIALIZED("\"sessionCapabilities\":{\"close\":{}}"), true}, {can_both, false}};
    for (size_t i = 0; i < 2; i++) {
        struct host host;
        begin(&host, NULL, NULL, cases[i].initialized);
        acp_peer_close(host.peer); /* there is none yet */
        answer(&host, "\"result\":{\"sessionId\":\"n\"}");
        size_t sent = host.sent_count;
        acp_peer_close(host.peer);
        CU_ASSERT_EQUAL(host.sent_count, sent + cases[i].sent);
        if (cases[i].sent) {
            TEST_TEXT(asked(&host), "session/close");
            TEST_TEXT(at(host_last_sent(&host), "params"), "{\"sessionId\":\"n\"}");
            size_t notices = host.notice_count;
            answer(&host, "\"error\":{\"code\":-32603,\"message\":\"no\"}");
            CU_ASSERT_EQUAL(host.notice_count, notices);
        }
        host_close(&host);
    }
}

static void what_the_agent_takes_is_known(void)
{
    struct host host;
    begin(&host, NULL, NULL, INITIALIZED("\"promptCapabilities\":{\"image\":true,\"embeddedContext\":true}"));
    answer(&host, "\"result\":{\"sessionId\":\"n\"}");
    CU_ASSERT_EQUAL(host_last_notice(&host, NOTICE_READY)->can, AGENT_CAN_IMAGE | AGENT_CAN_EMBED);
    size_t sent = host.sent_count;
    acp_peer_prompt(host.peer, "t1", "[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"audio\",\"data\":\"\",\"mimeType\":\"a/b\"}]");
    CU_ASSERT_EQUAL(host.sent_count, sent);
    struct agent_notice *ended = host_last_notice(&host, NOTICE_TURN_ENDED);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ended);
    TEST_TEXT(ended->turn_id, "t1");
    TEST_TEXT(ended->stop_reason, "error");
    TEST_TEXT(ended->code, "unsupported");
    TEST_TEXT(ended->message, "this agent takes no audio");
    acp_peer_prompt(host.peer, "t2", "[{\"type\":\"image\",\"data\":\"\",\"mimeType\":\"a/b\"},{\"type\":\"resource\"},"
                                     "{\"type\":\"resource_link\"}]");
    CU_ASSERT_EQUAL(host.sent_count, sent + 1);
    host_close(&host);
}

static void an_end_on_the_way_back_says_so(void)
{
    static const struct {
        const char *initialized, *answer; /* to what followed; NULL: none yet */
        bool coming_back;
    } cases[] = {
        {can_load, NULL, true},
        {can_resume, NULL, true},
        {can_load, "\"result\":{}", true}, /* what it replays may still be coming */
        {can_load, "\"error\":{\"code\":1,\"message\":\"no\"}", false},
        {can_neither, NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct host host;
        begin(&host, "old", NULL, cases[i].initialized);
        if (cases[i].answer != NULL) {
            answer(&host, cases[i].answer);
        }
        acp_peer_end(host.peer, "killed");
        struct agent_notice *notice = host_last_notice(&host, NOTICE_FAILED);
        CU_ASSERT_PTR_NOT_NULL_FATAL(notice);
        CU_ASSERT_EQUAL(notice->coming_back, cases[i].coming_back);
        host_close(&host);
    }
}

TEST_MAIN("acp_open", TEST(a_new_session_has_nothing_to_remember), TEST(resuming_is_tried_before_loading),
          TEST(what_is_replayed_is_no_event), TEST(what_is_no_conversation_comes_through),
          TEST(a_replay_that_goes_on_is_waited_for_but_not_for_ever), TEST(what_cannot_be_had_again_is_new),
          TEST(nothing_is_asked_for_before_the_session_is_there),
          TEST(an_agent_that_dies_while_it_loads_has_failed), TEST(it_logs_in_once_as_configured),
          TEST(a_login_that_is_refused_says_why), TEST(a_login_that_cannot_help_is_not_tried), TEST(a_session_is_closed_where_the_agent_can),
          TEST(what_the_agent_takes_is_known), TEST(an_end_on_the_way_back_says_so))
