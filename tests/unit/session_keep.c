/* A session's agent waits for its place, is stopped when idle, is shown when silent, and what became of it is told. */
#include "support/session_fixture.h"

#include "signalbox/base/check.h"

static const char *detail(const struct fixture *fixture)
{
    return json_get_string(fixture_last_event(fixture, "status"), "detail");
}

static void silence(struct fixture *fixture, enum agent_notice_kind kind, int64_t ms)
{
    struct agent_notice notice = {.kind = kind, .silent_ms = ms};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
}

/* Its agent has ended, and the next one must wait. */
static struct fixture *waiting(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_trace(fixture);
    fixture->place = (struct place_answer){.kind = PLACE_WAITS, .before = 4};
    return fixture;
}

/* ---- Places ---- */

static void who_must_wait_says_so_and_goes_on_when_there_is_a_place(void)
{
    struct fixture *fixture = waiting();
    fixture_prompt(fixture, "alice", "one");
    TEST_TRACE(fixture, "user_message(queued) status(starting) =ok");
    TEST_TEXT(detail(fixture), "waiting for a free place: 4 before it");
    CU_ASSERT_FALSE(session_has_agent(fixture->session));
    fixture_prompt(fixture, "bob", "two");
    TEST_TRACE(fixture, "user_message(queued) =ok");
    session_place_moved(fixture->session, &fixture->sink, &fixture->now, 1);
    TEST_TRACE(fixture, "status(starting)");
    TEST_TEXT(detail(fixture), "waiting for a free place: 1 before it");
    /* The last one's process may still have something to say. */
    fixture_notice(fixture, NOTICE_EXITED, NULL, "late");
    TEST_TRACE(fixture, "");
    fixture_give_place(fixture);
    TEST_TRACE(fixture, "+start status(starting) !start");
    CU_ASSERT_PTR_NULL(detail(fixture));
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start status(idle) user_message(processing) turn_started status(running) !prompt");
    fixture_free(fixture);
}

static void who_withdraws_the_last_prompt_waits_no_more(void)
{
    struct fixture *fixture = waiting();
    fixture_prompt(fixture, "alice", "one");
    fixture_prompt(fixture, "bob", "two");
    fixture_trace(fixture);
    fixture_withdraw(fixture, "alice", fixture->session->queue->message_id);
    TEST_TRACE(fixture, "user_message(withdrawn) =ok");
    fixture_cancel(fixture, "bob", false);
    TEST_TRACE(fixture, "user_message(withdrawn) leave status(stopped) =ok");
    TEST_TEXT(detail(fixture), "no prompt waits for it any more");
    CU_ASSERT_EQUAL(fixture->session->life, AGENT_NONE);
    fixture_prompt(fixture, "alice", "three");
    fixture_trace(fixture);
    fixture_withdraw(fixture, "alice", fixture->session->queue->message_id);
    TEST_TRACE(fixture, "user_message(withdrawn) leave status(stopped) =ok");
    fixture_free(fixture);
}

/* Its agent is started without any prompt, so it does not wait for its prompts only. */
static void a_new_session_goes_on_waiting(void)
{
    struct fixture *fixture = fixture_waiting(2);
    TEST_TRACE(fixture, "session_created status(starting) status(starting) =ok");
    TEST_TEXT(detail(fixture), "waiting for a free place: 2 before it");
    fixture_prompt(fixture, "alice", "one");
    fixture_cancel(fixture, "alice", true);
    TEST_TRACE(fixture, "user_message(queued) =ok user_message(withdrawn) =ok");
    fixture_give_place(fixture);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "+start status(starting) !start -start prompt_capabilities status(idle)");
    fixture_free(fixture);
}

static void a_session_that_waits_can_be_closed(void)
{
    struct fixture *fixture = waiting();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    fixture_close(fixture, "alice");
    TEST_TRACE(fixture, "keep leave user_message(withdrawn) session_closed status(closed) =ok");
    fixture_free(fixture);
}

static void the_server_stops_who_waits(void)
{
    struct fixture *fixture = waiting();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "leave status(stopped)");
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    CU_ASSERT_EQUAL(fixture->session->queued, 1);
    fixture_free(fixture);
}

static void a_place_can_be_refused_after_all(void)
{
    struct fixture *fixture = waiting();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    fixture_refuse_place(fixture, ANSWER_AGENT_UNAVAILABLE, "it failed too often");
    TEST_TRACE(fixture, "error(agent_unavailable) status(failed)");
    TEST_TEXT(detail(fixture), "it failed too often");
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    CU_ASSERT_EQUAL(fixture->session->queued, 1);
    fixture->place.kind = PLACE_GIVEN;
    fixture_resume(fixture, "bob");
    TEST_TRACE(fixture, "+start status(starting) !start =ok");
    fixture_free(fixture);
}

static void a_refusal_changes_nothing(void)
{
    struct fixture *fixture = waiting();
    fixture->place = (struct place_answer){
        .kind = PLACE_REFUSED, .code = ANSWER_AGENT_UNAVAILABLE, .message = "not yet", .fields = ",\"until\":17"};
    struct record *answer = fixture_prompt(fixture, "alice", "one");
    int64_t until = 0;
    CU_ASSERT_TRUE(json_get_i64(answer->fields, "until", &until) && until == 17);
    TEST_TRACE(fixture, "=agent_unavailable");
    CU_ASSERT_EQUAL(fixture->session->queued, 0);
    session_queue_restore(fixture->session, "[{\"messageId\":\"u-1\",\"text\":\"old\",\"content\":[],\"user\":\"bob\"}]");
    fixture_resume(fixture, "alice");
    TEST_TRACE(fixture, "=agent_unavailable");
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    fixture_free(fixture);
}

/* ---- What became of it ---- */

static void what_counts_as_what(void)
{
    /* before: what happens first; the notice of the end; what is told. */
    enum before { STARTS, IS_READY, IN_TURN, TURN_DONE, IN_SECOND_TURN, IS_PROVEN, IS_STOPPED, CANCEL_IGNORED, TOO_LATE,
                  READY_TOO_LATE };
    static const struct {
        enum before before;
        enum agent_notice_kind end;
        const char *code;
        bool login;
        const char *told;
    } rows[] = {
        {STARTS, NOTICE_FAILED, "agent_failed", false, "run:failed"},
        {STARTS, NOTICE_FAILED, "agent_failed", true, "run:missing"},       /* a person must log in */
        {STARTS, NOTICE_FAILED, "agent_unavailable", false, "run:missing"}, /* a person must install it */
        {TOO_LATE, NOTICE_FAILED, "agent_failed", false, "run:failed"},
        {READY_TOO_LATE, NOTICE_EXITED, NULL, false, "run:failed"},
        {IS_READY, NOTICE_EXITED, NULL, false, "run:crashed"},
        {IN_TURN, NOTICE_EXITED, NULL, false, "run:crashed"},
        {TURN_DONE, NOTICE_EXITED, NULL, false, "run:over"}, /* it may leave when it likes */
        {IS_PROVEN, NOTICE_EXITED, NULL, false, "run:over"},
        {IN_SECOND_TURN, NOTICE_EXITED, NULL, false, "run:crashed"},
        {IS_STOPPED, NOTICE_EXITED, NULL, false, "run:over"},
        {CANCEL_IGNORED, NOTICE_EXITED, NULL, false, "run:over"},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        enum before before = rows[i].before;
        struct fixture *fixture = fixture_new();
        fixture->limits.proof_ms = 1000;
        if (before == TOO_LATE || before == READY_TOO_LATE) {
            fixture_expire(fixture, ARM_START);
        }
        if (before != STARTS && before != TOO_LATE) {
            fixture_notice(fixture, NOTICE_READY, NULL, NULL);
        }
        if (before == IN_TURN || before == TURN_DONE || before == IN_SECOND_TURN || before == CANCEL_IGNORED) {
            fixture_prompt(fixture, "alice", "one");
        }
        if (before == TURN_DONE || before == IN_SECOND_TURN) {
            fixture_turn_ended(fixture, "end_turn");
        }
        if (before == IN_SECOND_TURN) {
            fixture_prompt(fixture, "alice", "two");
        }
        if (before == IS_PROVEN) {
            fixture_expire(fixture, ARM_PROOF);
        }
        if (before == IS_STOPPED) {
            session_idle_stop(fixture->session, &fixture->sink, &fixture->now, "room");
        }
        if (before == CANCEL_IGNORED) {
            fixture_cancel(fixture, "alice", false);
            fixture_expire(fixture, ARM_CANCEL);
        }
        fixture->shows_runs = true;
        fixture_trace(fixture);
        struct agent_notice notice = {.kind = rows[i].end, .code = rows[i].code ? strdup(rows[i].code) : NULL,
                                      .message = strdup("the end"), .auth_required = rows[i].login};
        session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
        const char *trace = fixture_trace(fixture);
        if (!strstr(trace, rows[i].told)) {
            printf("\n    row %zu: %s", i, trace);
            CU_FAIL("another thing was told");
        }
        CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_PROOF));
        fixture_free(fixture);
    }
}

static void a_run_proves_itself_once(void)
{
    struct fixture *fixture = fixture_new();
    fixture->limits.proof_ms = 1000;
    fixture->shows_runs = true;
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle) +proof");
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "end_turn");
    TEST_TRACE(fixture, "complete(end_turn) run:proven status(idle) -proof");
    fixture_prompt(fixture, "alice", "two");
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "end_turn");
    TEST_TRACE(fixture, "complete(end_turn) status(idle)");
    fixture_free(fixture);
}

static void the_watchers_are_told_that_it_is_not_tried_again(void)
{
    struct fixture *fixture = fixture_ready();
    fixture->note = "It failed too often.";
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "It crashed.");
    TEST_TRACE(fixture, "error(agent_exited) complete(agent_exited) status(failed)");
    TEST_TEXT(detail(fixture), "It crashed. It failed too often.");
    fixture_free(fixture);

    fixture = fixture_new();
    fixture->note = "It failed too often.";
    fixture_notice(fixture, NOTICE_FAILED, "agent_failed", "It did not start.");
    TEST_TEXT(detail(fixture), "It did not start. It failed too often.");
    TEST_TEXT(json_get_string(fixture_last_event(fixture, "error"), "error"), "It did not start.");
    fixture_free(fixture);
}

/* ---- Idle ---- */

static struct fixture *with_idle(int64_t idle_ms)
{
    struct fixture *fixture = fixture_new();
    fixture->limits.idle_ms = idle_ms;
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    fixture_trace(fixture);
    return fixture;
}

static void an_idle_agent_is_stopped_and_comes_back(void)
{
    struct fixture *fixture = with_idle(90000);
    CU_ASSERT_TRUE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_prompt(fixture, "alice", "one");
    CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_turn_ended(fixture, "end_turn");
    fixture_trace(fixture);
    fixture_pass(fixture, 90000);
    fixture_expire(fixture, ARM_AGENT_IDLE);
    TEST_TRACE(fixture, "!stop");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "The agent was stopped.");
    TEST_TRACE(fixture, "status(stopped)");
    TEST_TEXT(detail(fixture), "the agent was stopped after 90 seconds without work (agent-idle-ms)");
    fixture_prompt(fixture, "alice", "two");
    TEST_TRACE(fixture, "user_message(queued) +start status(starting) !start =ok");
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start error(agent_memory_lost) status(idle) user_message(processing) turn_started "
                        "status(running) !prompt");
    fixture_free(fixture);
}

static void a_prompt_that_meets_the_stop_is_not_forgotten(void)
{
    struct fixture *fixture = with_idle(0);
    session_idle_stop(fixture->session, &fixture->sink, &fixture->now, "to make room");
    fixture_prompt(fixture, "alice", "one");
    TEST_TRACE(fixture, "!stop user_message(queued) =ok");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "The agent was stopped.");
    TEST_TRACE(fixture, "status(stopped) +start status(starting) !start");
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start status(idle) user_message(processing) turn_started status(running) !prompt");
    fixture_free(fixture);

    fixture = with_idle(0);
    session_idle_stop(fixture->session, &fixture->sink, &fixture->now, "to make room");
    fixture_prompt(fixture, "alice", "one");
    fixture->place = (struct place_answer){.kind = PLACE_REFUSED, .code = ANSWER_LIMIT_REACHED, .message = "full"};
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "The agent was stopped.");
    TEST_TRACE(fixture, "status(stopped) error(limit_reached) status(failed)");
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    fixture_free(fixture);
}

static void set(struct fixture *fixture, const char *user)
{
    struct caller caller = fixture_caller(fixture, user);
    session_set(fixture->session, &fixture->sink, &fixture->now, &caller, NULL, "\"plan\"");
}

/* Whoever changes a setting of an agent that is away waits for it as for a prompt. */
static void a_change_of_settings_waits_too(void)
{
    struct fixture *fixture = with_idle(0);
    session_idle_stop(fixture->session, &fixture->sink, &fixture->now, "to make room");
    set(fixture, "bob");
    fixture->place = (struct place_answer){.kind = PLACE_WAITS, .before = 1};
    fixture_notice(fixture, NOTICE_EXITED, NULL, "The agent was stopped.");
    TEST_TRACE(fixture, "!stop keep status(stopped) status(starting)");
    fixture_prompt(fixture, "alice", "one");
    fixture_cancel(fixture, "alice", true);
    TEST_TRACE(fixture, "user_message(queued) =ok user_message(withdrawn) =ok"); /* bob still waits */
    fixture_give_place(fixture);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "+start status(starting) !start -start status(idle) +setting !setting");
    CU_ASSERT_FALSE(fixture->session->idle);
    fixture_expire(fixture, ARM_SETTING);
    TEST_TRACE(fixture, "!late =agent_failed");
    CU_ASSERT_TRUE(fixture->session->idle);
    fixture_free(fixture);

    /* Whatever ends the waiting answers. */
    static const char *const traces[] = {"leave =closed session_closed status(closed) =ok",
                                         "leave =shutting_down status(stopped)",
                                         "=limit_reached error(limit_reached) status(failed)"};
    for (int i = 0; i < 3; i++) {
        fixture = waiting();
        set(fixture, "bob");
        TEST_TRACE(fixture, "keep status(starting)");
        if (i == 0) {
            fixture_close(fixture, "alice");
            fixture->traced++; /* its "keep" */
        } else if (i == 1) {
            session_stop(fixture->session, &fixture->sink, &fixture->now);
        } else {
            fixture_refuse_place(fixture, ANSWER_LIMIT_REACHED, "full");
        }
        TEST_TRACE(fixture, traces[i]);
        fixture_free(fixture);
    }

    fixture = waiting();
    fixture->place = (struct place_answer){.kind = PLACE_REFUSED, .code = ANSWER_AGENT_UNAVAILABLE, .message = "no"};
    set(fixture, "bob");
    TEST_TRACE(fixture, "=agent_unavailable");
    fixture_free(fixture);
}

static void who_is_not_idle(void)
{
    struct fixture *fixture = with_idle(1000);
    fixture_ask(fixture, "p1"); /* outside a turn */
    CU_ASSERT_FALSE(fixture->session->idle);
    CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_choose(fixture, "alice", "p1", "yes");
    CU_ASSERT_TRUE(fixture->session->idle);
    CU_ASSERT_TRUE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_close(fixture, "alice");
    CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_free(fixture);

    fixture = fixture_new();
    fixture->limits.idle_ms = 1000;
    CU_ASSERT_FALSE(fixture->session->idle); /* it starts */
    fixture_notice(fixture, NOTICE_FAILED, "agent_failed", "no");
    CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_AGENT_IDLE));
    fixture_free(fixture);
}

static void the_time_may_be_changed_meanwhile(void)
{
    struct fixture *fixture = with_idle(1000);
    fixture_pass(fixture, 600);
    fixture->limits.idle_ms = 5000;
    session_limits_changed(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "-idle +idle");
    CU_ASSERT_EQUAL(fixture->records[fixture->count - 1].after_ms, 4400);
    fixture_pass(fixture, 400);
    fixture->limits.idle_ms = 2000;
    fixture_expire(fixture, ARM_AGENT_IDLE); /* as if it had been armed for less */
    TEST_TRACE(fixture, "+idle");
    CU_ASSERT_EQUAL(fixture->records[fixture->count - 1].after_ms, 1000);
    fixture->limits.idle_ms = 0;
    session_limits_changed(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "-idle");
    fixture->limits.idle_ms = 1;
    session_limits_changed(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "+idle");
    CU_ASSERT_EQUAL(fixture->records[fixture->count - 1].after_ms, 1);
    fixture_free(fixture);
}

/* ---- Silence ---- */

static void a_silent_agent_is_shown_until_it_speaks(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    silence(fixture, NOTICE_SILENT, 120000);
    TEST_TRACE(fixture, "status(running)");
    TEST_TEXT(detail(fixture), "no sign of life from the agent for 2 minutes");
    silence(fixture, NOTICE_HEARD, 0);
    TEST_TRACE(fixture, "status(running)");
    CU_ASSERT_PTR_NULL(detail(fixture));
    silence(fixture, NOTICE_SILENT, 1500);
    TEST_TEXT(detail(fixture), "no sign of life from the agent for 1500 milliseconds");
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "end_turn");
    silence(fixture, NOTICE_HEARD, 0); /* the idle phase has taken it back */
    silence(fixture, NOTICE_SILENT, 1000);
    TEST_TRACE(fixture, "complete(end_turn) status(idle)");
    fixture_free(fixture);
}

static void who_is_asked_is_waited_for(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    silence(fixture, NOTICE_SILENT, 1000); /* it was on its way when the request came */
    silence(fixture, NOTICE_HANGS, 1000);
    TEST_TRACE(fixture, "");
    fixture_free(fixture);
}

static void a_turn_that_hangs_is_cancelled(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    silence(fixture, NOTICE_SILENT, 1000);
    fixture_trace(fixture);
    silence(fixture, NOTICE_HANGS, 3600000);
    TEST_TRACE(fixture, "error(agent_hangs) +cancel !cancel");
    TEST_TEXT(json_get_string(fixture_last_event(fixture, "error"), "error"),
              "the agent gave no sign of life for 1 hour, and its turn is cancelled (agent-hang-ms)");
    silence(fixture, NOTICE_HANGS, 3600000);
    TEST_TRACE(fixture, "");
    fixture_expire(fixture, ARM_CANCEL);
    TEST_TRACE(fixture, "error(cancel_ignored) !kill");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "killed");
    TEST_TRACE(fixture, "error(agent_exited) complete(agent_exited) status(stopped)");
    fixture_free(fixture);
}

TEST_MAIN("session_keep", TEST(who_must_wait_says_so_and_goes_on_when_there_is_a_place),
          TEST(who_withdraws_the_last_prompt_waits_no_more), TEST(a_new_session_goes_on_waiting),
          TEST(a_session_that_waits_can_be_closed),
          TEST(the_server_stops_who_waits), TEST(a_place_can_be_refused_after_all), TEST(a_refusal_changes_nothing),
          TEST(what_counts_as_what), TEST(a_run_proves_itself_once),
          TEST(the_watchers_are_told_that_it_is_not_tried_again), TEST(an_idle_agent_is_stopped_and_comes_back),
          TEST(a_prompt_that_meets_the_stop_is_not_forgotten), TEST(a_change_of_settings_waits_too),
          TEST(who_is_not_idle),
          TEST(the_time_may_be_changed_meanwhile), TEST(a_silent_agent_is_shown_until_it_speaks),
          TEST(who_is_asked_is_waited_for), TEST(a_turn_that_hangs_is_cancelled))
