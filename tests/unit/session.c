/* Sessions, turns and the queue: what happens in which order, and what everybody is told. */
#include "support/session_fixture.h"

#include <inttypes.h>

#include "signalbox/base/check.h"

static const char *text_of(struct json_object *object, const char *key)
{
    return json_get_string(object, key);
}

static int64_t number_of(struct json_object *object, const char *key)
{
    int64_t value;
    return json_get_i64(object, key, &value) ? value : -1;
}

static void check_by(struct json_object *event, const char *user)
{
    TEST_TEXT(text_of(json_get(event, "by"), "user"), user);
}

/* Of the n-th command of the test; each has an id of its own. */
static void check_cause(struct json_object *event, const char *id)
{
    struct json_object *cause = json_get(event, "cause");
    TEST_TEXT(text_of(cause, "clientId"), "client");
    TEST_TEXT(text_of(cause, "id"), id);
}

static struct caller rest_caller(struct fixture *fixture)
{
    struct caller caller = fixture_caller(fixture, "rest");
    caller.client_id = "";
    return caller;
}

/* ---- Life ---- */

static void a_session_begins_with_its_creation(void)
{
    struct fixture *fixture = fixture_new();
    TEST_TRACE(fixture, "session_created status(starting) +start !start =ok");
    struct json_object *created = fixture_last_event(fixture, "session_created");
    CU_ASSERT_EQUAL(number_of(created, "seq"), 1);
    CU_ASSERT_EQUAL(number_of(created, "ts"), 1700000000000);
    TEST_TEXT(text_of(created, "agent"), "shell");
    TEST_TEXT(text_of(created, "workspace"), "/srv/work");
    TEST_TEXT(text_of(created, "title"), "a title");
    TEST_TEXT(text_of(created, "createdBy"), "alice");
    CU_ASSERT_PTR_NULL(json_get(created, "turnId"));
    check_cause(created, "c1");
    TEST_TEXT(text_of(fixture_answer_of(fixture, 1)->fields, "sessionId"), "s1");
    CU_ASSERT_EQUAL(fixture->session->life, AGENT_STARTING);

    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle)");
    CU_ASSERT_EQUAL(number_of(fixture_last_event(fixture, "status"), "seq"), 4);
    fixture_free(fixture);
}

static void phases_follow_their_table(void)
{
    /* Rows: from; columns in the order of SESSION_PHASES; a phase may always be said again. */
    static const char *const may[PHASE_COUNT] = {
        [PHASE_STARTING] = "sIR-SFC", [PHASE_IDLE] = "siRWSFC",    [PHASE_RUNNING] = "-IrWSFC",
        [PHASE_WAITING] = "-IRwSFC",  [PHASE_STOPPED] = "S---sFC", [PHASE_FAILED] = "S---SfC",
        [PHASE_CLOSED] = "------c"};
    for (int from = 0; from < PHASE_COUNT; from++) {
        for (int to = 0; to < PHASE_COUNT; to++) {
            bool expected = may[from][to] != '-';
            if (session_phase_may_follow((enum session_phase)from, (enum session_phase)to) != expected) {
                printf("\n    %s -> %s", session_phase_name((enum session_phase)from),
                       session_phase_name((enum session_phase)to));
                CU_FAIL("the table of phases is another");
            }
        }
        enum session_phase parsed;
        CU_ASSERT_TRUE(session_phase_parse(session_phase_name((enum session_phase)from), &parsed));
        CU_ASSERT_EQUAL((int)parsed, from);
    }
    enum session_phase untouched = PHASE_WAITING;
    CU_ASSERT_FALSE(session_phase_parse("sleeping", &untouched));
    CU_ASSERT_EQUAL(untouched, PHASE_WAITING);
}

static void an_agent_that_does_not_start_is_said(void)
{
    struct fixture *fixture = fixture_new();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_FAILED, "agent_unavailable", "the circuit breaker is open");
    TEST_TRACE(fixture, "-start error(agent_unavailable) status(failed)");
    struct json_object *error = fixture_last_event(fixture, "error");
    TEST_TEXT(text_of(error, "error"), "the circuit breaker is open");
    CU_ASSERT_TRUE(json_get_bool(error, "fatal", false));
    TEST_TEXT(text_of(fixture_last_event(fixture, "status"), "detail"), "the circuit breaker is open");

    /* Its process ends later; that is no news. */
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 1");
    TEST_TRACE(fixture, "");
    /* The queue is kept, and goes on at the next prompt, in order. */
    CU_ASSERT_EQUAL(fixture->session->queued, 1);
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    fixture_prompt(fixture, "bob", "two");
    TEST_TRACE(fixture, "user_message(queued) +start status(starting) !start =ok");
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle) user_message(processing) turn_started status(running) !prompt");
    TEST_TEXT(text_of(fixture_last_event(fixture, "user_message"), "text"), "one");
    fixture_free(fixture);
}

static void an_agent_that_says_nothing_is_ended(void)
{
    struct fixture *fixture = fixture_new();
    fixture_trace(fixture);
    fixture_expire(fixture, ARM_START);
    TEST_TRACE(fixture, "error(agent_failed) !kill");
    /* One that is ready too late is not taken. */
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "");
    fixture_notice(fixture, NOTICE_FAILED, "agent_failed", "ended by signal 9");
    TEST_TRACE(fixture, "status(failed)");
    fixture_free(fixture);
}

static void an_agent_started_anew_has_forgotten(void)
{
    struct fixture *fixture = fixture_ready();
    uint64_t run = fixture->session->run;
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "status(stopped)");
    /* Nothing was said yet, so nothing is forgotten. */
    fixture_prompt(fixture, "alice", "one");
    CU_ASSERT_TRUE(fixture->session->run > run);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "user_message(queued) +start status(starting) !start =ok -start status(idle) "
                        "user_message(processing) turn_started status(running) !prompt");
    fixture_turn_ended(fixture, "end_turn");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_prompt(fixture, "alice", "two");
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start error(agent_memory_lost) status(idle) user_message(processing) turn_started "
                        "status(running) !prompt");
    CU_ASSERT_FALSE(json_get_bool(fixture_last_event(fixture, "error"), "fatal", true));
    fixture_free(fixture);
}

static void a_title_is_kept(void)
{
    struct fixture *fixture = fixture_ready();
    fixture->session->changed = false;
    struct agent_notice notice = {.kind = NOTICE_TITLE, .title = strdup("better")};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
    TEST_TEXT(fixture->session->title, "better");
    CU_ASSERT_TRUE(fixture->session->changed);
    TEST_TRACE(fixture, "");
    fixture_notice(fixture, NOTICE_TITLE, NULL, NULL);
    CU_ASSERT_PTR_NULL(fixture->session->title);
    fixture_free(fixture);
}

/* ---- Turns ---- */

static void a_prompt_at_once_is_accepted(void)
{
    struct fixture *fixture = fixture_ready();
    struct record *answer = fixture_prompt(fixture, "bob", "hello");
    TEST_TEXT(text_of(answer->fields, "status"), "accepted");
    CU_ASSERT_PTR_NULL(json_get(answer->fields, "position"));
    char *message_id = strdup(text_of(answer->fields, "messageId"));
    TEST_TRACE(fixture, "user_message(accepted) user_message(processing) turn_started status(running) !prompt =ok");

    struct json_object *message = fixture_last_event(fixture, "user_message");
    TEST_TEXT(text_of(message, "messageId"), message_id);
    TEST_TEXT(text_of(message, "text"), "hello");
    CU_ASSERT_PTR_NULL(json_get(message, "content")); /* it would be the text once more */
    check_by(message, "bob");
    check_cause(message, "c2");
    struct json_object *started = fixture_last_event(fixture, "turn_started");
    TEST_TEXT(text_of(started, "messageId"), message_id);
    TEST_TEXT(text_of(started, "turnId"), fixture->session->turn.id);
    check_by(started, "bob");
    check_cause(started, "c2");
    CU_ASSERT_EQUAL(number_of(started, "seq"), (int64_t)fixture->session->turn.from);
    TEST_TEXT(fixture_last_order(fixture, ORDER_PROMPT)->content, "[{\"type\":\"text\",\"text\":\"hello\"}]");

    fixture_pass(fixture, 1234);
    struct agent_notice ended = {.kind = NOTICE_TURN_ENDED, .turn_id = strdup(fixture->session->turn.id),
                                 .stop_reason = strdup("max_tokens"), .usage = strdup("{\"used\":7}")};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &ended);
    TEST_TRACE(fixture, "complete(max_tokens) status(idle)");
    struct json_object *complete = fixture_last_event(fixture, "complete");
    CU_ASSERT_EQUAL(number_of(complete, "durationMs"), 1234);
    CU_ASSERT_EQUAL(number_of(complete, "ts"), 1700000001234);
    CU_ASSERT_EQUAL(number_of(json_get(complete, "usage"), "used"), 7);
    free(message_id);
    fixture_free(fixture);
}

static void rest_callers_have_no_cause(void)
{
    struct fixture *fixture = fixture_ready();
    struct caller caller = rest_caller(fixture);
    char text[] = "hi", content[] = "[]";
    struct command command = {.type = COMMAND_PROMPT, .text = text, .content = content};
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    CU_ASSERT_PTR_NULL(json_get(fixture_last_event(fixture, "user_message"), "cause"));
    CU_ASSERT_PTR_NULL(json_get(fixture_last_event(fixture, "turn_started"), "cause"));
    fixture_free(fixture);
}

static void prompts_while_starting_wait_in_order(void)
{
    struct fixture *fixture = fixture_new();
    fixture_trace(fixture);
    struct record *answer = fixture_prompt(fixture, "alice", "one");
    TEST_TEXT(text_of(answer->fields, "status"), "queued");
    CU_ASSERT_EQUAL(number_of(answer->fields, "position"), 1);
    CU_ASSERT_EQUAL(number_of(fixture_prompt(fixture, "bob", "two")->fields, "position"), 2);
    CU_ASSERT_EQUAL(number_of(fixture_prompt(fixture, "alice", "three")->fields, "position"), 3);
    TEST_TRACE(fixture, "user_message(queued) =ok user_message(queued) =ok user_message(queued) =ok");
    CU_ASSERT_EQUAL(number_of(fixture_last_event(fixture, "user_message"), "position"), 3);

    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start prompt_capabilities status(idle) user_message(processing) turn_started status(running) !prompt");
    static const char *const texts[] = {"one", "two", "three"};
    static const char *const causes[] = {"c2", "c3", "c4"};
    for (size_t i = 0; i < 3; i++) {
        struct json_object *message = fixture_last_event(fixture, "user_message");
        TEST_TEXT(text_of(message, "text"), texts[i]);
        check_cause(message, causes[i]);
        TEST_TEXT(text_of(fixture_last_event(fixture, "turn_started"), "messageId"), text_of(message, "messageId"));
        fixture_turn_ended(fixture, "end_turn");
        TEST_TRACE(fixture, i < 2 ? "complete(end_turn) user_message(processing) turn_started !prompt"
                                  : "complete(end_turn) status(idle)");
    }
    CU_ASSERT_EQUAL(fixture_events(fixture, "turn_started"), 3);
    CU_ASSERT_EQUAL(fixture_events(fixture, "complete"), 3);
    fixture_free(fixture);
}

static void a_prompt_in_a_turn_is_queued(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    struct record *answer = fixture_prompt(fixture, "alice", "two");
    TEST_TEXT(text_of(answer->fields, "status"), "queued");
    CU_ASSERT_EQUAL(number_of(answer->fields, "position"), 1);
    fixture_turn_ended(fixture, "end_turn");
    CU_ASSERT_EQUAL(fixture_events(fixture, "turn_started"), 2);
    fixture_free(fixture);
}

static void the_queue_has_a_limit(void)
{
    struct fixture *fixture = fixture_ready();
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "again")->code, ANSWER_OK);
    }
    fixture_trace(fixture);
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "too many")->code, ANSWER_QUEUE_FULL);
    TEST_TRACE(fixture, "=queue_full");
    fixture_turn_ended(fixture, "end_turn");
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "fits")->code, ANSWER_OK);
    fixture_free(fixture);
}

/* Whatever the limit on how many: each change of the session writes them all. */
static void the_queue_has_a_limit_in_bytes(void)
{
    struct fixture *fixture = fixture_ready();
    size_t length = 9 << 20;
    char *text = malloc(length + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    memset(text, 'x', length);
    text[length] = '\0';
    fixture_prompt(fixture, "alice", "runs");
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", text)->code, ANSWER_OK); /* one alone may be of any length */
    fixture_trace(fixture);
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "short")->code, ANSWER_QUEUE_FULL);
    TEST_TRACE(fixture, "=queue_full");
    fixture_turn_ended(fixture, "end_turn"); /* it is given to the agent */
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "short")->code, ANSWER_OK);
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", text)->code, ANSWER_QUEUE_FULL);
    free(text);
    fixture_free(fixture);
}

static void an_agent_over_the_limit_is_not_started(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_trace(fixture);
    fixture->place = (struct place_answer){.kind = PLACE_REFUSED, .code = ANSWER_LIMIT_REACHED, .message = "full"};
    fixture_prompt(fixture, "alice", "one");
    TEST_TRACE(fixture, "=limit_reached");
    CU_ASSERT_PTR_NULL(fixture->session->queue);
    fixture_free(fixture);
}

static void a_turn_that_the_agent_refuses_ends_with_its_error(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    struct agent_notice notice = {.kind = NOTICE_TURN_ENDED, .turn_id = strdup(fixture->session->turn.id),
                                  .stop_reason = strdup("error"), .code = strdup("agent_error"),
                                  .message = strdup("no credits left")};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
    TEST_TRACE(fixture, "error(agent_error) complete(error) status(idle)");
    struct json_object *error = fixture_last_event(fixture, "error");
    TEST_TEXT(text_of(error, "error"), "no credits left");
    TEST_TEXT(text_of(error, "turnId"), text_of(fixture_last_event(fixture, "complete"), "turnId"));
    CU_ASSERT_FALSE(json_get_bool(error, "fatal", true));
    fixture_free(fixture);
}

static void the_end_of_another_turn_is_none(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_trace(fixture);
    struct agent_notice notice = {.kind = NOTICE_TURN_ENDED, .turn_id = strdup("turn-0"),
                                  .stop_reason = strdup("end_turn")};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
    TEST_TRACE(fixture, "");
    fixture_turn_ended(fixture, "end_turn");
    fixture_turn_ended(fixture, "end_turn"); /* without a turn */
    CU_ASSERT_EQUAL(fixture_events(fixture, "complete"), 1);
    fixture_free(fixture);
}

static void an_agent_that_exits_in_a_turn_ends_it(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_prompt(fixture, "alice", "two");
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "ended by signal 9");
    TEST_TRACE(fixture, "-permission feed- permission_cancelled(agent_exited) error(agent_exited) "
                        "complete(agent_exited) status(stopped)");
    struct json_object *error = fixture_last_event(fixture, "error");
    TEST_TEXT(text_of(error, "error"), "ended by signal 9");
    CU_ASSERT_TRUE(json_get_bool(error, "fatal", false));

    /* What was given to the agent is never given again; what waits, waits until it is asked for. */
    CU_ASSERT_EQUAL(fixture->session->queued, 1);
    CU_ASSERT_EQUAL(fixture_resume(fixture, "bob")->code, ANSWER_OK);
    TEST_TRACE(fixture, "+start status(starting) !start =ok");
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TRACE(fixture, "-start error(agent_memory_lost) status(idle) user_message(processing) turn_started "
                        "status(running) !prompt");
    TEST_TEXT(text_of(fixture_last_event(fixture, "user_message"), "text"), "two");
    fixture_free(fixture);
}

static void resuming_an_empty_queue_starts_nothing(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_trace(fixture);
    fixture_resume(fixture, "alice");
    TEST_TRACE(fixture, "=ok");
    fixture_free(fixture);
}

/* ---- Taking back ---- */

static void a_queued_prompt_can_be_withdrawn(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    char *ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = strdup(text_of(fixture_prompt(fixture, "alice", "more")->fields, "messageId"));
    }
    fixture_trace(fixture);
    CU_ASSERT_EQUAL(fixture_withdraw(fixture, "bob", ids[2])->code, ANSWER_OK); /* the last one: the tail moves */
    TEST_TRACE(fixture, "user_message(withdrawn) =ok");
    struct json_object *message = fixture_last_event(fixture, "user_message");
    TEST_TEXT(text_of(message, "messageId"), ids[2]);
    check_by(message, "alice");
    check_cause(message, "c6"); /* the withdraw's, not the prompt's */
    CU_ASSERT_EQUAL(fixture_withdraw(fixture, "bob", ids[2])->code, ANSWER_NOT_FOUND);
    CU_ASSERT_EQUAL(fixture_withdraw(fixture, "bob", ids[0])->code, ANSWER_OK);
    char *fourth = strdup(text_of(fixture_prompt(fixture, "alice", "fourth")->fields, "messageId"));
    CU_ASSERT_EQUAL(fixture->session->queued, 2);
    fixture_turn_ended(fixture, "end_turn");
    TEST_TEXT(text_of(fixture_last_event(fixture, "turn_started"), "messageId"), ids[1]);
    CU_ASSERT_EQUAL(fixture_withdraw(fixture, "alice", ids[1])->code, ANSWER_NOT_FOUND); /* the agent has it */
    fixture_turn_ended(fixture, "end_turn");
    TEST_TEXT(text_of(fixture_last_event(fixture, "turn_started"), "messageId"), fourth);
    for (int i = 0; i < 3; i++) {
        free(ids[i]);
    }
    free(fourth);
    fixture_free(fixture);
}

static void cancel_withdraws_the_callers_own(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "running");
    fixture_prompt(fixture, "alice", "a");
    fixture_prompt(fixture, "bob", "b");
    fixture_prompt(fixture, "alice", "c");
    fixture_trace(fixture);
    struct record *answer = fixture_cancel(fixture, "alice", false);
    TEST_TEXT(json_object_to_json_string_ext(json_get(answer->fields, "withdrawn"), JSON_C_TO_STRING_PLAIN),
              "[\"a\",\"c\"]");
    TEST_TRACE(fixture, "user_message(withdrawn) user_message(withdrawn) +cancel !cancel =ok");
    check_cause(fixture_last_event(fixture, "user_message"), "c6");
    TEST_TEXT(fixture_last_order(fixture, ORDER_CANCEL)->turn_id, fixture->session->turn.id);

    /* A second one does not tell the agent again, and takes what is left. */
    answer = fixture_cancel(fixture, "alice", true);
    TEST_TEXT(json_object_to_json_string_ext(json_get(answer->fields, "withdrawn"), JSON_C_TO_STRING_PLAIN), "[\"b\"]");
    TEST_TRACE(fixture, "user_message(withdrawn) =ok");
    fixture_turn_ended(fixture, "cancelled");
    TEST_TRACE(fixture, "complete(cancelled) -cancel status(idle)");
    answer = fixture_cancel(fixture, "alice", true);
    CU_ASSERT_EQUAL(json_object_array_length(json_get(answer->fields, "withdrawn")), 0);
    TEST_TRACE(fixture, "=ok");
    /* The queue's end is where it belongs. */
    fixture_prompt(fixture, "alice", "d");
    TEST_TRACE(fixture, "user_message(accepted) user_message(processing) turn_started status(running) !prompt =ok");
    fixture_free(fixture);
}

static void a_late_cancel_stops_no_later_turn(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "first");
    char *first = strdup(fixture->session->turn.id);
    fixture_prompt(fixture, "alice", "second");
    fixture_prompt(fixture, "alice", "third");
    fixture_turn_ended(fixture, "end_turn");
    fixture_trace(fixture);
    struct record *answer = fixture_cancel_turn(fixture, "alice", first);
    CU_ASSERT_EQUAL(json_object_array_length(json_get(answer->fields, "withdrawn")), 0);
    TEST_TRACE(fixture, "=ok");
    CU_ASSERT_FALSE(fixture->session->turn.cancelling);
    /* The turn that runs is cancelled by its own name, and what waits behind it is taken back. */
    answer = fixture_cancel_turn(fixture, "alice", fixture->session->turn.id);
    TEST_TEXT(json_object_to_json_string_ext(json_get(answer->fields, "withdrawn"), JSON_C_TO_STRING_PLAIN),
              "[\"third\"]");
    TEST_TRACE(fixture, "user_message(withdrawn) +cancel !cancel =ok");
    fixture_turn_ended(fixture, "cancelled");
    fixture_trace(fixture);
    /* Without a turn there is none to mean. */
    fixture_cancel_turn(fixture, "alice", first);
    TEST_TRACE(fixture, "=ok");
    free(first);
    fixture_free(fixture);
}

static void cancel_leaves_other_peoples_prompts_to_go_on(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "running");
    fixture_prompt(fixture, "bob", "b");
    fixture_prompt(fixture, "alice", "a");
    fixture_cancel(fixture, "alice", false);
    CU_ASSERT_EQUAL(number_of(fixture_prompt(fixture, "alice", "later")->fields, "position"), 2);
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "cancelled");
    TEST_TRACE(fixture, "complete(cancelled) -cancel user_message(processing) turn_started !prompt");
    check_by(fixture_last_event(fixture, "turn_started"), "bob");
    fixture_free(fixture);
}

static void a_cancel_that_is_ignored_ends_the_agent(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "running");
    fixture_cancel(fixture, "alice", false);
    fixture_trace(fixture);
    fixture_expire(fixture, ARM_CANCEL);
    TEST_TRACE(fixture, "error(cancel_ignored) !kill");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "ended by signal 9");
    TEST_TRACE(fixture, "error(agent_exited) complete(agent_exited) status(stopped)");
    CU_ASSERT_EQUAL(fixture_events(fixture, "complete"), 1);
    fixture_free(fixture);
}

static void an_agent_that_exits_while_cancelled_leaves_no_deadline(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "running");
    fixture_cancel(fixture, "alice", false);
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "error(agent_exited) complete(agent_exited) -cancel status(stopped)");
    CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_CANCEL));
    fixture_free(fixture);
}

/* ---- Closing and stopping ---- */

static void closing_waits_for_the_agent(void)
{
    struct fixture *fixture = fixture_ready();
    CU_ASSERT_PTR_NULL(fixture_close(fixture, "alice"));
    TEST_TRACE(fixture, "keep !close");
    CU_ASSERT_PTR_NULL(fixture_close(fixture, "bob"));
    TEST_TRACE(fixture, "keep");
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "too late")->code, ANSWER_CLOSED);
    CU_ASSERT_EQUAL(fixture_resume(fixture, "alice")->code, ANSWER_CLOSED);
    CU_ASSERT_EQUAL(fixture_cancel(fixture, "alice", false)->code, ANSWER_CLOSED);
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "session_closed status(closed) =ok =ok");
    check_by(fixture_last_event(fixture, "session_closed"), "alice");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "again");
    TEST_TRACE(fixture, "");
    CU_ASSERT_EQUAL(fixture_close(fixture, "carol")->code, ANSWER_OK);
    CU_ASSERT_EQUAL(fixture_prompt(fixture, "alice", "too late")->code, ANSWER_CLOSED);
    CU_ASSERT_EQUAL(fixture_resume(fixture, "alice")->code, ANSWER_CLOSED);
    CU_ASSERT_EQUAL(fixture_cancel(fixture, "alice", false)->code, ANSWER_CLOSED);
    CU_ASSERT_EQUAL(fixture_events(fixture, "session_closed"), 1);
    fixture_free(fixture);
}

static void closing_without_an_agent_is_at_once(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    fixture_trace(fixture);
    CU_ASSERT_EQUAL(fixture_close(fixture, "alice")->code, ANSWER_OK);
    TEST_TRACE(fixture, "keep session_closed status(closed) =ok");
    fixture_free(fixture);
}

static void closing_in_a_turn_ends_it_once(void)
{
    for (int answered = 0; answered < 2; answered++) {
        struct fixture *fixture = fixture_ready();
        fixture_prompt(fixture, "alice", "one");
        fixture_prompt(fixture, "alice", "two");
        fixture_ask(fixture, "p1");
        fixture_trace(fixture);
        fixture_close(fixture, "bob");
        TEST_TRACE(fixture, "keep !cancel -permission feed- permission_cancelled(session_closed) "
                            "!permission(p1=cancelled) !close");
        if (answered) {
            fixture_turn_ended(fixture, "cancelled");
            TEST_TRACE(fixture, "complete(cancelled)");
        }
        fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
        TEST_TRACE(fixture, answered ? "user_message(withdrawn) session_closed status(closed) =ok"
                                     : "complete(cancelled) user_message(withdrawn) session_closed status(closed) =ok");
        CU_ASSERT_EQUAL(fixture_events(fixture, "complete"), 1);
        fixture_free(fixture);
    }
}

static void closing_while_the_agent_starts(void)
{
    static const enum agent_notice_kind ends[] = {NOTICE_EXITED, NOTICE_FAILED};
    for (size_t i = 0; i < array_size(ends); i++) {
        struct fixture *fixture = fixture_new();
        fixture_trace(fixture);
        fixture_close(fixture, "alice");
        TEST_TRACE(fixture, "keep !close");
        fixture_notice(fixture, NOTICE_READY, NULL, NULL); /* it was on its way */
        fixture_notice(fixture, ends[i], "agent_failed", "ended");
        TEST_TRACE(fixture, "-start session_closed status(closed) =ok");
        fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 1"); /* of one that had failed */
        TEST_TRACE(fixture, "");
        fixture_free(fixture);
    }
}

static void closing_while_cancelled(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_cancel(fixture, "alice", false);
    fixture_close(fixture, "alice");
    CU_ASSERT_EQUAL(fixture_orders(fixture, ORDER_CANCEL), 1);
    fixture_expire(fixture, ARM_CANCEL); /* it also ignores that it is to end */
    fixture_trace(fixture);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "ended by signal 9");
    TEST_TRACE(fixture, "complete(cancelled) session_closed status(closed) =ok");
    fixture_free(fixture);
}

static void the_server_stops(void)
{
    /* In a turn that the agent does not end, in one that it ends, without one, and while it starts. */
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_prompt(fixture, "alice", "two");
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "!cancel -permission feed- permission_cancelled(server_stopped) !permission(p1=cancelled) !stop");
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "error(server_stopped) complete(server_restarted) status(stopped)");
    CU_ASSERT_EQUAL(fixture->session->queued, 1);
    CU_ASSERT_TRUE(fixture->session->queue_paused);
    fixture_free(fixture);

    fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "one");
    fixture_prompt(fixture, "alice", "two");
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "cancelled");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "complete(cancelled) status(stopped)");
    fixture_free(fixture);

    fixture = fixture_ready();
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    TEST_TRACE(fixture, "!stop status(stopped)");
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "");
    fixture_free(fixture);

    fixture = fixture_new();
    fixture_trace(fixture);
    session_stop(fixture->session, &fixture->sink, &fixture->now);
    fixture_notice(fixture, NOTICE_FAILED, "agent_failed", "ended");
    TEST_TRACE(fixture, "!stop -start status(stopped)");
    fixture_free(fixture);
}

/* ---- To be shown ---- */

static struct json_object *object_of(void (*write)(const struct session *, struct buffer *), const struct session *session)
{
    struct buffer out = {0};
    buffer_text(&out, "{\"_\":0");
    write(session, &out);
    buffer_byte(&out, '}');
    char *text = buffer_take(&out);
    struct json_object *object = json_tokener_parse(text);
    free(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    return object;
}

static void a_session_describes_itself(void)
{
    struct fixture *fixture = fixture_ready();
    struct json_object *shown = object_of(session_describe, fixture->session);
    TEST_TEXT(text_of(shown, "phase"), "idle");
    TEST_TEXT(text_of(shown, "agent"), "shell");
    TEST_TEXT(text_of(shown, "title"), "a title");
    TEST_TEXT(text_of(shown, "policy"), "ask");
    CU_ASSERT_EQUAL(json_object_array_length(json_get(shown, "pending")), 0);
    json_object_put(shown);
    shown = object_of(session_summary, fixture->session);
    CU_ASSERT_EQUAL(number_of(shown, "pending"), 0);
    CU_ASSERT_PTR_NULL(json_get(shown, "oldestPendingAt"));
    json_object_put(shown);

    fixture_prompt(fixture, "alice", "one");
    fixture_pass(fixture, 5);
    fixture_ask(fixture, "p1");
    fixture_pass(fixture, 5);
    fixture_ask(fixture, "p2");
    shown = object_of(session_describe, fixture->session);
    TEST_TEXT(text_of(shown, "phase"), "waiting");
    CU_ASSERT_EQUAL(json_object_array_length(json_get(shown, "pending")), 2);
    TEST_TEXT(text_of(json_object_array_get_idx(json_get(shown, "pending"), 0), "requestId"), "p1");
    json_object_put(shown);
    shown = object_of(session_summary, fixture->session);
    TEST_TEXT(text_of(shown, "sessionId"), "s1");
    TEST_TEXT(text_of(shown, "phase"), "waiting");
    CU_ASSERT_EQUAL(number_of(shown, "pending"), 2);
    CU_ASSERT_EQUAL(number_of(shown, "oldestPendingAt"), 1700000000005);
    CU_ASSERT_EQUAL(number_of(shown, "updatedAt"), 1700000000010);
    json_object_put(shown);
    fixture_free(fixture);
}

static void the_queue_survives_as_text(void)
{
    struct fixture *fixture = fixture_new();
    CU_ASSERT_PTR_NULL(session_queue_text(fixture->session));
    static const char text[] = "say \"hi\"\n\t\\ \xc3\xa4 \xf0\x9f\x98\x80";
    /* As deep as clients may nest, and deeper than json-c takes by itself. */
    char content[400] = "[{\"type\":\"image\",\"blob\":\"b1\",\"n\":1.5,\"_meta\":";
    memset(content + strlen(content), '[', 60);
    memset(content + strlen(content), ']', 60);
    strcat(content, "}]");
    struct caller caller = fixture_caller(fixture, "alice");
    struct command command = {.type = COMMAND_PROMPT, .text = strdup(text),
                              .content = strdup(content)};
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    free(command.text);
    free(command.content);
    caller = rest_caller(fixture);
    caller.client_id = NULL;
    caller.id = NULL;
    command = (struct command){.type = COMMAND_PROMPT, .text = strdup(""), .content = strdup("[]")};
    session_prompt(fixture->session, &fixture->sink, &fixture->now, &caller, &command);
    free(command.text);
    free(command.content);
    char *kept = session_queue_text(fixture->session);

    struct session *other = session_new("s2");
    session_queue_restore(other, kept);
    CU_ASSERT_EQUAL(other->queued, 2);
    CU_ASSERT_TRUE(other->queue_paused);
    TEST_TEXT(other->queue->text, text);
    TEST_TEXT(other->queue->content, content);
    TEST_TEXT(other->queue->user, "alice");
    TEST_TEXT(other->queue->client_id, "client");
    TEST_TEXT(other->queue->cause_id, "c2");
    TEST_TEXT(other->queue->message_id, fixture->session->queue->message_id);
    CU_ASSERT_PTR_NULL(other->queue->next->client_id);
    CU_ASSERT_PTR_NULL(other->queue->next->cause_id);
    char *again = session_queue_text(other);
    TEST_TEXT(again, kept);
    free(again);
    session_free(other);

    /* What is no queue of ours is none. */
    static const char *const odd[] = {NULL, "", "null", "{}", "[", "[1,{},{\"messageId\":3}]"};
    for (size_t i = 0; i < array_size(odd); i++) {
        other = session_new("s3");
        session_queue_restore(other, odd[i]);
        CU_ASSERT_EQUAL(other->queued, 0);
        CU_ASSERT_FALSE(other->queue_paused);
        session_free(other);
    }
    free(kept);
    fixture_free(fixture);
}

static void a_restored_queue_waits_for_a_word(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_notice(fixture, NOTICE_EXITED, NULL, "exit status 0");
    session_queue_restore(fixture->session, "[{\"messageId\":\"u-1\",\"text\":\"old\",\"content\":[],\"user\":\"bob\"}]");
    json_object_object_add(fixture->prompts, "u-1", json_object_new_string("queued"));
    fixture_trace(fixture);
    struct record *answer = fixture_prompt(fixture, "alice", "new");
    CU_ASSERT_EQUAL(number_of(answer->fields, "position"), 2);
    fixture_notice(fixture, NOTICE_READY, NULL, NULL);
    TEST_TEXT(text_of(fixture_last_event(fixture, "user_message"), "text"), "old");
    fixture_turn_ended(fixture, "end_turn");
    TEST_TEXT(text_of(fixture_last_event(fixture, "user_message"), "text"), "new");
    fixture_free(fixture);
}

/* ---- Anything, in any order ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

static const char *random_request(char *id, size_t size, int made)
{
    snprintf(id, size, "p%u", made ? random_below((uint32_t)made) : 0);
    return id;
}

static struct armed *random_armed(struct fixture *fixture)
{
    size_t live = 0;
    struct armed *chosen = NULL;
    for (struct armed *armed = fixture->armed; armed; armed = armed->next) {
        if (!armed->over && random_below((uint32_t)++live) == 0) {
            chosen = armed;
        }
    }
    return chosen;
}

/* One step that may happen now. An agent's process says what processes say: FAILED before it is ready, EXITED last. */
static void random_step(struct fixture *fixture, int *made, bool *process, bool *was_ready)
{
    struct session *session = fixture->session;
    char id[32];
    const char *user = random_below(2) ? "alice" : "bob";
    fixture->place.kind = random_below(3) ? PLACE_GIVEN : random_below(2) ? PLACE_WAITS : PLACE_REFUSED;
    fixture->place.code = ANSWER_LIMIT_REACHED;
    fixture->place.message = "full";
    fixture->note = random_below(2) ? "It is not tried again." : NULL;
    if (!*process && session_has_agent(session)) {
        *process = true;
        *was_ready = false;
    }
    fixture_pass(fixture, random_below(50));
    switch (random_below(20)) {
    case 0:
    case 1:
    case 2:
        fixture_prompt(fixture, user, "text");
        break;
    case 3:
        snprintf(id, sizeof(id), "%s", session->queue ? session->queue->message_id : "u-0");
        fixture_withdraw(fixture, user, id);
        break;
    case 4:
        fixture_cancel(fixture, user, random_below(2));
        break;
    case 5:
        fixture_resume(fixture, user);
        break;
    case 6:
    case 7:
        fixture_choose(fixture, user, random_request(id, sizeof(id), *made),
                       (const char *[]){"yes", "no", "ever", "what"}[random_below(4)]);
        break;
    case 8:
    case 9:
        if (*process && *was_ready) {
            snprintf(id, sizeof(id), "p%d", (*made)++);
            fixture_ask(fixture, id);
        }
        break;
    case 10: {
        struct agent_notice notice = {.kind = NOTICE_PERMISSION_WITHDRAWN,
                                      .request_id = strdup(random_request(id, sizeof(id), *made))};
        session_agent_notice(session, &fixture->sink, &fixture->now, &notice);
        break;
    }
    case 11:
        if (*process && !*was_ready) {
            *was_ready = true;
            fixture_notice(fixture, NOTICE_READY, NULL, NULL);
        }
        break;
    case 12:
        if (*process && session->turn.id) {
            fixture_turn_ended(fixture, session->turn.cancelling ? "cancelled" : "end_turn");
        }
        break;
    case 13:
        if (*process && random_below(3) == 0) {
            *process = false;
            bool failed = !*was_ready;
            fixture_notice(fixture, failed ? NOTICE_FAILED : NOTICE_EXITED, "agent_failed", "ended");
            if (failed && !session_has_agent(session)) {
                fixture_notice(fixture, NOTICE_EXITED, NULL, "and its process");
            }
        }
        break;
    case 14: {
        struct armed *armed = random_armed(fixture);
        if (armed && armed->what == ARM_PERMISSION) {
            fixture_expire_permission(fixture, armed->request_id);
        } else if (armed && random_below(4) == 0) {
            fixture_expire(fixture, armed->what);
        }
        break;
    }
    case 16:
        if (fixture->waits) {
            if (random_below(4)) {
                fixture_give_place(fixture);
            } else {
                fixture_refuse_place(fixture, ANSWER_AGENT_UNAVAILABLE, "not now");
            }
        }
        break;
    case 17: {
        static const enum agent_notice_kind kinds[] = {NOTICE_SILENT, NOTICE_HANGS, NOTICE_HEARD};
        struct agent_notice notice = {.kind = kinds[random_below(3)], .silent_ms = 1000};
        if (*process && *was_ready) {
            session_agent_notice(session, &fixture->sink, &fixture->now, &notice);
        }
        break;
    }
    case 18:
        if (session->idle && random_below(4) == 0) {
            session_idle_stop(session, &fixture->sink, &fixture->now, "to make room");
        }
        break;
    default:
        if (random_below(40) == 0) {
            fixture_close(fixture, user);
        }
    }
    CU_ASSERT_EQUAL(fixture->waits, session->life == AGENT_WAITING);
    CU_ASSERT_EQUAL(fixture->running, session_has_agent(session));
    CU_ASSERT_EQUAL(session->idle, session->idle_deadline != NULL);
    size_t pending = 0;
    for (const struct permission *p = session->pending; p; p = p->next) {
        pending++;
    }
    CU_ASSERT_EQUAL(pending, session->pending_count);
    size_t queued = 0;
    for (const struct prompt *p = session->queue; p; p = p->next) {
        queued++;
    }
    CU_ASSERT_EQUAL(queued, session->queued);
    if (session->life == AGENT_READY) {
        enum session_phase expected = pending ? PHASE_WAITING : session->turn.id ? PHASE_RUNNING : PHASE_IDLE;
        CU_ASSERT_EQUAL(session->phase, expected);
        CU_ASSERT_TRUE(session->turn.id || !session->queue || session->queue_paused);
    }
}

static void whatever_happens_everything_ends_once(void)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    uint64_t rounds = given && *given ? 20000 : 1000;
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        unsigned before = CU_get_number_of_failures();
        random_state = seed * 7919;
        struct fixture *fixture = fixture_new();
        fixture->limits.idle_ms = 40;
        fixture->limits.proof_ms = 30;
        int made = 0;
        bool process = true, was_ready = false;
        for (int i = 0; i < 80; i++) {
            random_step(fixture, &made, &process, &was_ready);
        }
        if (seed % 4 == 0) {
            /* First the server stops, and is started again: so much for what only its end would have ended. */
            session_stop(fixture->session, &fixture->sink, &fixture->now);
            CU_ASSERT_PTR_NULL(fixture->session->pending);
            if (fixture->session->life != AGENT_NONE) {
                fixture_notice(fixture, NOTICE_EXITED, NULL, "ended");
            }
            CU_ASSERT_PTR_NULL(fixture->open_turn);
        }
        fixture_close(fixture, "carol");
        if (fixture->session->life != AGENT_NONE) {
            fixture_notice(fixture, NOTICE_EXITED, NULL, "ended");
        }
        CU_ASSERT_TRUE(fixture->closed_shown);
        CU_ASSERT_EQUAL(fixture->session->phase, PHASE_CLOSED);
        CU_ASSERT_PTR_NULL(fixture->open_turn);
        CU_ASSERT_PTR_NULL(fixture->session->close_waiters);
        json_object_object_foreach(fixture->requests, request, ended) {
            CU_ASSERT_STRING_EQUAL(json_object_get_string(ended), "ended");
            (void)request;
        }
        json_object_object_foreach(fixture->prompts, prompt, status) {
            const char *last = json_object_get_string(status); /* the agent got it, or somebody took it back */
            CU_ASSERT_TRUE(!strcmp(last, "processing") || !strcmp(last, "withdrawn"));
            (void)prompt;
        }
        fixture_free(fixture);
        if (CU_get_number_of_failures() != before) {
            printf("\n    broken by seed %" PRIu64, seed);
            break;
        }
    }
}

TEST_MAIN("session", TEST(a_session_begins_with_its_creation), TEST(phases_follow_their_table),
          TEST(an_agent_that_does_not_start_is_said), TEST(an_agent_that_says_nothing_is_ended),
          TEST(an_agent_started_anew_has_forgotten), TEST(a_title_is_kept), TEST(a_prompt_at_once_is_accepted),
          TEST(rest_callers_have_no_cause), TEST(prompts_while_starting_wait_in_order), TEST(a_prompt_in_a_turn_is_queued),
          TEST(the_queue_has_a_limit), TEST(the_queue_has_a_limit_in_bytes),
          TEST(an_agent_over_the_limit_is_not_started),
          TEST(a_turn_that_the_agent_refuses_ends_with_its_error), TEST(the_end_of_another_turn_is_none),
          TEST(an_agent_that_exits_in_a_turn_ends_it), TEST(resuming_an_empty_queue_starts_nothing),
          TEST(a_queued_prompt_can_be_withdrawn), TEST(cancel_withdraws_the_callers_own), TEST(a_late_cancel_stops_no_later_turn),
          TEST(cancel_leaves_other_peoples_prompts_to_go_on), TEST(a_cancel_that_is_ignored_ends_the_agent),
          TEST(an_agent_that_exits_while_cancelled_leaves_no_deadline), TEST(closing_waits_for_the_agent),
          TEST(closing_without_an_agent_is_at_once), TEST(closing_in_a_turn_ends_it_once),
          TEST(closing_while_the_agent_starts), TEST(closing_while_cancelled), TEST(the_server_stops),
          TEST(a_session_describes_itself), TEST(the_queue_survives_as_text), TEST(a_restored_queue_waits_for_a_word),
          TEST(whatever_happens_everything_ends_once))
