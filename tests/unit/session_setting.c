/* Modes and options of the agent, as a session keeps them. */
#include "support/session_fixture.h"

static struct record *set(struct fixture *fixture, const char *option_id, const char *value)
{
    struct caller caller = fixture_caller(fixture, "alice");
    session_set(fixture->session, &fixture->sink, &fixture->now, &caller, option_id, value);
    return fixture_answer_of(fixture, fixture->call_count);
}

static void answered(struct fixture *fixture, const char *token, const char *code)
{
    struct agent_notice notice = {.kind = NOTICE_SETTING,
                                  .request_id = token ? strdup(token) : NULL,
                                  .code = code ? strdup(code) : NULL,
                                  .message = code ? strdup("no") : NULL};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
}

static void ready_taking(struct fixture *fixture, enum agent_memory memory, const char *why, unsigned can)
{
    struct agent_notice notice = {.kind = NOTICE_READY,
                                  .acp_session_id = strdup("agents-own"),
                                  .memory = memory,
                                  .message = why ? strdup(why) : NULL,
                                  .can = can};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
}

/* Of the agent that fixture_ready had, or of one that begins: it takes images now. */
static void ready(struct fixture *fixture, enum agent_memory memory, const char *why)
{
    ready_taking(fixture, memory, why, AGENT_CAN_IMAGE);
}

static void a_change_is_answered_when_the_agent_has_answered(void)
{
    struct fixture *fixture = fixture_ready();
    CU_ASSERT_PTR_NULL(set(fixture, NULL, "\"code\""));
    TEST_TRACE(fixture, "keep +setting !setting");
    struct record *order = fixture_last_order(fixture, ORDER_SETTING);
    TEST_TEXT(order->content, "\"code\"");
    CU_ASSERT_PTR_NULL(order->option_id);
    CU_ASSERT_PTR_NULL(set(fixture, "web", "true"));
    fixture_trace(fixture);
    answered(fixture, "set-2", NULL);
    answered(fixture, "set-1", NULL);
    TEST_TRACE(fixture, "-setting =ok -setting =ok");
    answered(fixture, "set-1", NULL); /* nobody waits any more */
    TEST_TRACE(fixture, "");
    char *text = session_state_text(fixture->session);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "[{\"optionId\":\"web\",\"value\":\"true\"},{\"value\":\"\\\"code\\\"\"}]"));
    free(text);
    fixture_free(fixture);
}

static void refusals_say_which_field(void)
{
    static const struct {
        const char *option, *code;
        enum answer_code answer;
        const char *field;
    } cases[] = {{NULL, "bad_message", ANSWER_BAD_MESSAGE, "modeId"},
                 {"web", "bad_message", ANSWER_BAD_MESSAGE, "value"},
                 {"web", "not_found", ANSWER_NOT_FOUND, "configId"},
                 {"web", "unsupported", ANSWER_UNSUPPORTED, NULL},
                 {"web", "no code of ours", ANSWER_AGENT_FAILED, NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *fixture = fixture_ready();
        set(fixture, cases[i].option, "\"x\"");
        answered(fixture, "set-1", cases[i].code);
        struct record *answer = fixture_answer_of(fixture, fixture->call_count);
        CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
        CU_ASSERT_EQUAL(answer->code, cases[i].answer);
        const char *field = json_get_string(answer->fields, "field");
        CU_ASSERT_EQUAL_FATAL(field == NULL, cases[i].field == NULL);
        if (field) {
            TEST_TEXT(field, cases[i].field);
        }
        CU_ASSERT_PTR_NULL(fixture->session->settings);
        fixture_free(fixture);
    }
}

static void without_an_agent_one_is_started(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    fixture_trace(fixture);
    set(fixture, NULL, "\"code\"");
    TEST_TRACE(fixture, "keep +start status(starting) !start");
    ready(fixture, MEMORY_KEPT, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle) +setting !setting");
    answered(fixture, "set-1", NULL);
    TEST_TRACE(fixture, "-setting =ok");
    fixture_free(fixture);
}

static void whatever_ends_the_agent_answers(void)
{
    for (int how = 0; how < 3; how++) {
        struct fixture *fixture = how == 1 ? fixture_new() : fixture_ready();
        fixture_trace(fixture);
        set(fixture, NULL, "\"code\"");
        if (how == 0) {
            fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
            TEST_TRACE(fixture, "keep +setting !setting -setting =agent_failed status(stopped)");
        } else if (how == 1) {
            fixture_notice(fixture, NOTICE_FAILED, "agent_failed", "it did not start");
            TEST_TRACE(fixture, "keep -start =agent_failed error(agent_failed) status(failed)");
        } else {
            fixture_expire(fixture, ARM_SETTING);
            TEST_TEXT(fixture_last_order(fixture, ORDER_SETTING_LATE)->request_id, "set-1");
            TEST_TRACE(fixture, "keep +setting !setting !late =agent_failed");
            answered(fixture, "set-1", NULL); /* too late: it is not kept */
            TEST_TRACE(fixture, "");
            CU_ASSERT_PTR_NULL(fixture->session->settings);
        }
        fixture_free(fixture);
    }
}

static void closing_answers_and_nothing_comes_after(void)
{
    struct fixture *fixture = fixture_ready();
    set(fixture, NULL, "\"code\"");
    fixture_close(fixture, "bob");
    CU_ASSERT_EQUAL(set(fixture, NULL, "\"ask\"")->code, ANSWER_CLOSED);
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    TEST_TRACE(fixture, "-setting =agent_failed session_closed status(closed) =ok");
    fixture_free(fixture);
}

static void too_many_at_once_are_refused(void)
{
    struct fixture *fixture = fixture_ready();
    for (int i = 0; i < SETTING_WAITERS_MAX; i++) {
        CU_ASSERT_PTR_NULL(set(fixture, "web", "true"));
    }
    CU_ASSERT_EQUAL(set(fixture, "web", "true")->code, ANSWER_BUSY);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    fixture_free(fixture);
}

static void what_was_set_is_set_again_when_the_agent_is_started_anew(void)
{
    struct fixture *fixture = fixture_ready();
    set(fixture, NULL, "\"code\"");
    answered(fixture, "set-1", NULL);
    set(fixture, "web", "false");
    answered(fixture, "set-2", NULL);
    set(fixture, "web", "true");
    answered(fixture, "set-3", NULL);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    fixture_prompt(fixture, "alice", "go on");
    fixture_trace(fixture);
    size_t before = fixture_orders(fixture, ORDER_SETTING);
    ready(fixture, MEMORY_KEPT, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle) !setting !setting user_message(processing) turn_started "
                        "status(running) !prompt");
    CU_ASSERT_EQUAL(fixture_orders(fixture, ORDER_SETTING), before + 2);
    TEST_TEXT(fixture_last_order(fixture, ORDER_SETTING)->content, "true");
    CU_ASSERT_PTR_NULL(fixture_last_order(fixture, ORDER_SETTING)->request_id);
    answered(fixture, NULL, "bad_message");
    TEST_TRACE(fixture, "error(setting_lost)");
    fixture_free(fixture);
}

static void what_is_known_of_the_agent_survives_as_text(void)
{
    struct fixture *fixture = fixture_ready();
    fixture->session->life = AGENT_STARTING;
    ready(fixture, MEMORY_NEW, NULL);
    set(fixture, NULL, "\"a \\\"mode\\\"\"");
    answered(fixture, "set-1", NULL);
    set(fixture, "web", "true");
    answered(fixture, "set-2", NULL);
    char *text = session_state_text(fixture->session);
    struct session *copy = session_new("s1");
    session_state_restore(copy, text);
    TEST_TEXT(copy->agent_session, "agents-own");
    CU_ASSERT_TRUE(copy->can_known);
    CU_ASSERT_EQUAL(copy->can, AGENT_CAN_IMAGE);
    CU_ASSERT_FALSE(copy->changed);
    char *again = session_state_text(copy);
    TEST_TEXT(again, text);
    free(text);
    free(again);
    session_free(copy);
    copy = session_new("s2");
    session_state_restore(copy, NULL); /* of an older store: what it has seen is not known */
    CU_ASSERT_TRUE(copy->had_turns);
    CU_ASSERT_FALSE(copy->can_known);
    session_free(copy);
    fixture_free(fixture);
}

static void an_agent_that_remembers_says_nothing_of_it(void)
{
    static const struct {
        enum agent_memory memory;
        const char *why, *error;
    } cases[] = {
        {MEMORY_KEPT, NULL, NULL},
        {MEMORY_NEW, NULL, "the agent was started anew and does not remember what was said before"},
        {MEMORY_LOST, "It cannot load sessions.",
         "the agent was started anew and does not remember what was said before: It cannot load sessions."},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *fixture = fixture_ready();
        fixture_prompt(fixture, "alice", "one");
        fixture_turn_ended(fixture, "end_turn");
        fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
        fixture_prompt(fixture, "alice", "two");
        ready(fixture, cases[i].memory, cases[i].why);
        struct json_object *error = fixture_last_event(fixture, "error");
        CU_ASSERT_EQUAL_FATAL(error == NULL, cases[i].error == NULL);
        if (error) {
            TEST_TEXT(json_get_string(error, "error"), cases[i].error);
            TEST_TEXT(json_get_string(error, "code"), "agent_memory_lost");
        }
        fixture_free(fixture);
    }
}

static void failed_on_the_way_back(struct fixture *fixture, bool coming_back)
{
    fixture_resume(fixture, "alice"); /* which starts it */
    struct agent_notice notice = {.kind = NOTICE_FAILED, .message = strdup("crashed"), .coming_back = coming_back};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
}

/* A turn is over, the agent is gone, and the next one, which is to go on with its session, fails of something else. */
static void turn_and_failure(struct fixture *fixture, const char *prompt)
{
    fixture_turn_ended(fixture, "end_turn");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    free(fixture->session->agent_session);
    fixture->session->agent_session = strdup("old");
    fixture_prompt(fixture, "alice", prompt);
    fixture_notice(fixture, NOTICE_FAILED, NULL, "of something else");
}

static void a_session_that_an_agent_dies_of_is_begun_anew(void)
{
    struct fixture *fixture = fixture_new();
    ready(fixture, MEMORY_NEW, NULL);
    fixture_prompt(fixture, "alice", "one");
    turn_and_failure(fixture, "two");
    failed_on_the_way_back(fixture, false);
    failed_on_the_way_back(fixture, true);
    TEST_TEXT(fixture->session->agent_session, "old");
    fixture_resume(fixture, "alice");
    ready(fixture, MEMORY_KEPT, NULL); /* only in a row it counts */
    CU_ASSERT_EQUAL(fixture->session->lost_returns, 0);
    turn_and_failure(fixture, "three");
    failed_on_the_way_back(fixture, true);
    TEST_TEXT(fixture->session->agent_session, "old");
    fixture->session->changed = false;
    failed_on_the_way_back(fixture, true);
    CU_ASSERT_PTR_NULL(fixture->session->agent_session);
    CU_ASSERT_TRUE(fixture->session->changed);
    fixture_resume(fixture, "alice");
    ready(fixture, MEMORY_NEW, NULL);
    TEST_TEXT(json_get_string(fixture_last_event(fixture, "error"), "error"),
              "the agent was started anew and does not remember what was said before: It ended twice while it was to go on with its "
              "session.");
    fixture_free(fixture);
}

static void what_the_agent_cannot_take_is_refused(void)
{
    struct fixture *fixture = fixture_new();
    struct caller caller = fixture_caller(fixture, "alice");
    char content[] = "[{\"type\":\"audio\"}]";
    struct command command = {.type = COMMAND_PROMPT, .content = content, .content_needs = AGENT_CAN_AUDIO};
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    CU_ASSERT_EQUAL(fixture_answer_of(fixture, fixture->call_count)->code, ANSWER_OK); /* not known yet */
    ready(fixture, MEMORY_NEW, NULL);
    fixture_turn_ended(fixture, "error");
    caller = fixture_caller(fixture, "alice");
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    struct record *answer = fixture_answer_of(fixture, fixture->call_count);
    CU_ASSERT_EQUAL(answer->code, ANSWER_UNSUPPORTED);
    TEST_TEXT(json_get_string(answer->fields, "field"), "content");
    caller = fixture_caller(fixture, "alice");
    command.content_needs = AGENT_CAN_IMAGE;
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    CU_ASSERT_EQUAL(fixture_answer_of(fixture, fixture->call_count)->code, ANSWER_OK);
    fixture_free(fixture);
}

/* The member of what a subscriber is told: "image audio embeddedContext" where it is true of each; NULL: not there. */
static const char *described(const struct session *session)
{
    static char words[64];
    struct buffer out = {0};
    buffer_byte(&out, '{');
    session_describe(session, &out);
    buffer_byte(&out, '}');
    char *text = buffer_take(&out);
    struct json_object *shown = json_tokener_parse(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(shown);
    struct json_object *can = json_get(shown, "promptCapabilities");
    snprintf(words, sizeof(words), "%s%s%s", json_get_bool(can, "image", false) ? "image " : "",
             json_get_bool(can, "audio", false) ? "audio " : "",
             json_get_bool(can, "embeddedContext", false) ? "embeddedContext " : "");
    bool is_there = can && json_object_object_length(can) == 3;
    json_object_put(shown);
    free(text);
    return is_there ? words : NULL;
}

static void start_again(struct fixture *fixture, unsigned can)
{
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    fixture_prompt(fixture, "alice", "more");
    fixture_trace(fixture);
    ready_taking(fixture, MEMORY_KEPT, NULL, can);
}

static void what_the_agent_takes_is_told_where_it_is_news(void)
{
    struct fixture *fixture = fixture_new();
    CU_ASSERT_PTR_NULL(described(fixture->session)); /* nobody has said anything yet */
    fixture_trace(fixture);
    ready_taking(fixture, MEMORY_NEW, NULL, AGENT_CAN_IMAGE | AGENT_CAN_EMBED);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle)");
    TEST_TEXT(described(fixture->session), "image embeddedContext ");
    struct json_object *event = fixture_last_event(fixture, "prompt_capabilities");
    CU_ASSERT_TRUE(json_get_bool(event, "image", false));
    CU_ASSERT_FALSE(json_get_bool(event, "audio", true));
    CU_ASSERT_TRUE(json_get_bool(event, "embeddedContext", false));
    CU_ASSERT_PTR_NULL(json_get(event, "turnId"));

    static const char said_before[] = "-start status(idle) user_message(processing) turn_started status(running) !prompt";
    static const char news[] =
        "-start prompt_capabilities status(idle) user_message(processing) turn_started status(running) !prompt";
    start_again(fixture, AGENT_CAN_IMAGE | AGENT_CAN_EMBED);
    TEST_TRACE(fixture, said_before);
    start_again(fixture, AGENT_CAN_AUDIO);
    TEST_TRACE(fixture, news);
    TEST_TEXT(described(fixture->session), "audio ");
    start_again(fixture, 0); /* it takes nothing, which is known */
    TEST_TRACE(fixture, news);
    TEST_TEXT(described(fixture->session), "");
    fixture_free(fixture);
}

static void what_the_agent_takes_outlives_the_server(void)
{
    static const struct {
        const char *state, *described;
        unsigned can;
        bool told; /* the next run says the same: there is nothing to tell */
    } cases[] = {
        {"{\"can\":4,\"canTold\":true}", "embeddedContext ", AGENT_CAN_EMBED, true},
        {"{\"can\":0,\"canTold\":true}", "", 0, true},
        {"{\"can\":4}", "embeddedContext ", AGENT_CAN_EMBED, false}, /* of an older store, whose log does not say it */
        {"{}", NULL, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *fixture = fixture_new();
        free(fixture->session->agent_session);
        session_state_restore(fixture->session, cases[i].state);
        const char *shown = described(fixture->session);
        CU_ASSERT_EQUAL_FATAL(shown == NULL, cases[i].described == NULL);
        if (shown) {
            TEST_TEXT(shown, cases[i].described);
        }
        fixture_trace(fixture);
        fixture->session->had_turns = false;
        ready_taking(fixture, MEMORY_NEW, NULL, cases[i].can);
        TEST_TRACE(fixture, cases[i].told ? "-start status(idle)" : "-start prompt_capabilities status(idle)");
        fixture_free(fixture);
    }
}

TEST_MAIN("session_setting", TEST(a_change_is_answered_when_the_agent_has_answered), TEST(refusals_say_which_field),
          TEST(without_an_agent_one_is_started), TEST(whatever_ends_the_agent_answers),
          TEST(closing_answers_and_nothing_comes_after), TEST(too_many_at_once_are_refused),
          TEST(what_was_set_is_set_again_when_the_agent_is_started_anew),
          TEST(what_is_known_of_the_agent_survives_as_text), TEST(an_agent_that_remembers_says_nothing_of_it),
          TEST(a_session_that_an_agent_dies_of_is_begun_anew),
          TEST(what_the_agent_cannot_take_is_refused), TEST(what_the_agent_takes_is_told_where_it_is_news),
          TEST(what_the_agent_takes_outlives_the_server))
