/* Permission requests: one end each, whatever races with it, and the same truth for agent, watchers and whoever asks. */
#include "support/session_fixture.h"

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

static struct fixture *in_turn(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "go");
    fixture_trace(fixture);
    return fixture;
}

/* ---- One request ---- */

static void a_request_is_armed_and_then_shown(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask(fixture, "p1");
    TEST_TRACE(fixture, "+permission permission_request feed+ status(waiting)");
    struct json_object *event = fixture_last_event(fixture, "permission_request");
    TEST_TEXT(text_of(event, "turnId"), fixture->session->turn.id);
    struct json_object *request = json_get(event, "request");
    TEST_TEXT(text_of(request, "requestId"), "p1");
    TEST_TEXT(text_of(request, "toolName"), "execute");
    TEST_TEXT(text_of(request, "command"), "ls -la");
    TEST_TEXT(text_of(request, "description"), "list the folder");
    TEST_TEXT(text_of(request, "toolUseId"), "tool-1");
    TEST_TEXT(text_of(request, "kind"), "execute");
    TEST_TEXT(text_of(json_get(request, "toolInput"), "command"), "ls -la");
    CU_ASSERT_TRUE(json_object_object_get_ex(request, "planContent", NULL));
    CU_ASSERT_EQUAL(number_of(request, "createdAt"), 1700000000000);
    CU_ASSERT_EQUAL(number_of(request, "expiresAt"), 1700000060000);
    TEST_TEXT(json_object_to_json_string_ext(json_get(request, "acpOptions"), JSON_C_TO_STRING_PLAIN),
              "[{\"optionId\":\"yes\",\"name\":\"Name\",\"kind\":\"allow_once\"},"
              "{\"optionId\":\"ever\",\"name\":\"Name\",\"kind\":\"allow_always\"},"
              "{\"optionId\":\"no\",\"name\":\"Name\",\"kind\":\"reject_once\"}]");
    fixture_choose(fixture, "bob", "p1", "yes");
    TEST_TRACE(fixture, "-permission feed- permission_resolved(allowed) !permission(p1=yes) status(running) =ok");
    struct json_object *resolved = fixture_last_event(fixture, "permission_resolved");
    TEST_TEXT(text_of(resolved, "optionId"), "yes");
    CU_ASSERT_FALSE(json_get_bool(resolved, "alwaysAllow", true));
    TEST_TEXT(text_of(json_get(resolved, "by"), "user"), "bob");
    TEST_TEXT(text_of(json_get(resolved, "cause"), "id"), "c3");
    TEST_TEXT(text_of(resolved, "turnId"), fixture->session->turn.id);
    fixture_free(fixture);
}

static void without_a_timeout_it_waits_for_ever(void)
{
    struct fixture *fixture = in_turn();
    fixture->limits.permission_timeout_ms = 0;
    fixture_ask(fixture, "p1");
    TEST_TRACE(fixture, "permission_request feed+ status(waiting)");
    struct json_object *request = json_get(fixture_last_event(fixture, "permission_request"), "request");
    struct json_object *expires = NULL;
    CU_ASSERT_TRUE(json_object_object_get_ex(request, "expiresAt", &expires));
    CU_ASSERT_PTR_NULL(expires);
    fixture_choose(fixture, "bob", "p1", "no");
    TEST_TRACE(fixture, "feed- permission_resolved(rejected) !permission(p1=no) status(running) =ok");
    fixture_free(fixture);
}

static void an_answer_that_does_not_fit_leaves_it_open(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    struct record *answer = fixture_choose(fixture, "bob", "p1", "maybe");
    CU_ASSERT_EQUAL(answer->code, ANSWER_UNKNOWN_OPTION);
    TEST_TEXT(text_of(answer->fields, "requestId"), "p1");
    TEST_TEXT(text_of(answer->fields, "sessionId"), "s1");
    TEST_TEXT(text_of(answer->fields, "field"), "optionId");
    char id[] = "p1", decision[] = "deny", other[] = "{\"command\":\"rm\"}", same[] = "{ \"command\" : \"ls -la\" }";
    struct command both = {.request_id = id, .allowed = FLAG_YES, .allow = FLAG_ABSENT, .always_allow = FLAG_ABSENT,
                           .decision = decision};
    CU_ASSERT_EQUAL(fixture_answer(fixture, "bob", &both)->code, ANSWER_BAD_MESSAGE);
    struct command changed = {.request_id = id, .allowed = FLAG_YES, .allow = FLAG_ABSENT, .always_allow = FLAG_ABSENT,
                              .updated_input = other};
    CU_ASSERT_EQUAL(fixture_answer(fixture, "bob", &changed)->code, ANSWER_UNSUPPORTED);
    TEST_TRACE(fixture, "=unknown_option =bad_message =unsupported");
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    CU_ASSERT_TRUE(fixture_is_armed(fixture, ARM_PERMISSION));
    changed.updated_input = same;
    char why[] = "looks fine";
    changed.message = why;
    CU_ASSERT_EQUAL(fixture_answer(fixture, "bob", &changed)->code, ANSWER_OK);
    TEST_TEXT(text_of(fixture_last_event(fixture, "permission_resolved"), "message"), "looks fine");
    fixture_free(fixture);
}

static void always_is_told_to_agent_and_watchers(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask(fixture, "p1");
    char id[] = "p1";
    struct command always = {.request_id = id, .allowed = FLAG_YES, .allow = FLAG_ABSENT, .always_allow = FLAG_YES};
    fixture_answer(fixture, "bob", &always);
    CU_ASSERT_TRUE(json_get_bool(fixture_last_event(fixture, "permission_resolved"), "alwaysAllow", false));
    TEST_TEXT(fixture_last_order(fixture, ORDER_PERMISSION)->option_id, "ever");
    fixture_free(fixture);
}

/* What an agent is told that offers no way to say no, or only one for ever. */
static void a_rejection_uses_the_agents_own_words(void)
{
    char ok[] = "ok", never[] = "never", no[] = "no";
    const struct permission_option options[] = {{.option_id = ok, .kind = OPTION_ALLOW_ONCE},
                                                {.option_id = never, .kind = OPTION_REJECT_ALWAYS},
                                                {.option_id = no, .kind = OPTION_REJECT_ONCE}};
    static const char *const told[] = {NULL, "never", "no"};
    for (size_t count = 1; count <= 3; count++) {
        for (int by_answer = 0; by_answer < 2; by_answer++) {
            struct fixture *fixture = in_turn();
            fixture_ask_with(fixture, "p1", options, count);
            char id[] = "p1";
            if (by_answer) {
                struct command answer = {.request_id = id, .allowed = FLAG_NO, .allow = FLAG_ABSENT,
                                         .always_allow = FLAG_ABSENT};
                fixture_answer(fixture, "bob", &answer);
                TEST_TEXT(text_of(fixture_last_event(fixture, "permission_resolved"), "outcome"), "rejected");
            } else {
                fixture_expire_permission(fixture, "p1");
                CU_ASSERT_EQUAL(fixture_events(fixture, "permission_timeout"), 1);
            }
            const char *option = fixture_last_order(fixture, ORDER_PERMISSION)->option_id;
            CU_ASSERT_TRUE(told[count - 1] ? option && !strcmp(option, told[count - 1]) : !option);
            fixture_free(fixture);
        }
    }
}

static void nothing_is_known_of_a_request_that_never_was(void)
{
    struct fixture *fixture = in_turn();
    CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", "p9", "yes")->code, ANSWER_NOT_FOUND);
    session_permission_expired(fixture->session, &fixture->sink, &fixture->now, "p9");
    TEST_TRACE(fixture, "=not_found");
    fixture_free(fixture);
}

/* ---- Races: every pair, in both orders ---- */

enum ender { ALLOW, REJECT, SECOND, DEADLINE, CANCEL, CLOSE, EXIT, TURN_END, WITHDRAWN, STOP, ENDERS };
static const struct {
    const char *name;
    const char *event, *reason;  /* what watchers see if it is the first */
    const char *order;           /* what the agent is told; NULL: nothing */
    enum answer_code late;       /* what a later answer gets */
    const char *user;            /* of an answer */
    const char *option;
} enders[ENDERS] = {
    [ALLOW] = {"allow", "permission_resolved", NULL, "yes", ANSWER_ALREADY_RESOLVED, "alice", "yes"},
    [REJECT] = {"reject", "permission_resolved", NULL, "no", ANSWER_ALREADY_RESOLVED, "alice", "no"},
    [SECOND] = {"another's answer", "permission_resolved", NULL, "ever", ANSWER_ALREADY_RESOLVED, "bob", "ever"},
    [DEADLINE] = {"deadline", "permission_timeout", NULL, "no", ANSWER_EXPIRED, NULL, NULL},
    [CANCEL] = {"cancel", "permission_cancelled", "turn_cancelled", "cancelled", ANSWER_CANCELLED, NULL, NULL},
    [CLOSE] = {"close", "permission_cancelled", "session_closed", "cancelled", ANSWER_CANCELLED, NULL, NULL},
    [EXIT] = {"exit", "permission_cancelled", "agent_exited", NULL, ANSWER_CANCELLED, NULL, NULL},
    [TURN_END] = {"turn's end", "permission_cancelled", "turn_ended", "cancelled", ANSWER_CANCELLED, NULL, NULL},
    [WITHDRAWN] = {"withdrawn", "permission_cancelled", "withdrawn_by_agent", NULL, ANSWER_CANCELLED, NULL, NULL},
    [STOP] = {"stop", "permission_cancelled", "server_stopped", "cancelled", ANSWER_CANCELLED, NULL, NULL},
};

static struct record *end_by(struct fixture *fixture, enum ender ender)
{
    switch (ender) {
    case ALLOW:
    case REJECT:
    case SECOND:
        return fixture_choose(fixture, enders[ender].user, "p1", enders[ender].option);
    case DEADLINE:
        /* May have fired before it was disarmed, so it must do no harm when it comes late. */
        if (fixture_is_armed(fixture, ARM_PERMISSION)) {
            fixture_expire_permission(fixture, "p1");
        } else {
            session_permission_expired(fixture->session, &fixture->sink, &fixture->now, "p1");
        }
        break;
    case CANCEL:
        fixture_cancel(fixture, "carol", false);
        break;
    case CLOSE:
        fixture_close(fixture, "carol");
        break;
    case EXIT:
        fixture_notice(fixture, NOTICE_EXITED, NULL, "ended by signal 9");
        break;
    case TURN_END:
        if (fixture->session->turn.id) {
            fixture_turn_ended(fixture, "end_turn");
        }
        break;
    case WITHDRAWN: {
        struct agent_notice notice = {.kind = NOTICE_PERMISSION_WITHDRAWN, .request_id = strdup("p1")};
        session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
        break;
    }
    default:
        session_stop(fixture->session, &fixture->sink, &fixture->now);
    }
    return NULL;
}

static void check_first(const struct fixture *fixture, enum ender first)
{
    struct json_object *event = fixture_last_event(fixture, enders[first].event);
    CU_ASSERT_PTR_NOT_NULL_FATAL(event);
    TEST_TEXT(text_of(event, "requestId"), "p1");
    if (enders[first].reason) {
        TEST_TEXT(text_of(event, "reason"), enders[first].reason);
    }
    struct record *order = fixture_last_order(fixture, ORDER_PERMISSION);
    CU_ASSERT_EQUAL(fixture_orders(fixture, ORDER_PERMISSION), enders[first].order ? 1 : 0);
    if (order && enders[first].order) {
        TEST_TEXT(order->option_id ? order->option_id : "cancelled", enders[first].order);
    }
}

static void a_late_answer_is_told_how_it_ended(const struct record *answer, enum ender first)
{
    CU_ASSERT_EQUAL(answer->code, enders[first].late);
    TEST_TEXT(text_of(answer->fields, "requestId"), "p1");
    TEST_TEXT(text_of(answer->fields, "sessionId"), "s1");
    struct json_object *resolved = json_get(answer->fields, "resolved");
    if (enders[first].late != ANSWER_ALREADY_RESOLVED) {
        CU_ASSERT_PTR_NULL(resolved);
        return;
    }
    TEST_TEXT(text_of(resolved, "outcome"), first == REJECT ? "rejected" : "allowed");
    TEST_TEXT(text_of(resolved, "optionId"), enders[first].option);
    TEST_TEXT(text_of(json_get(resolved, "by"), "user"), enders[first].user);
    CU_ASSERT_EQUAL(number_of(resolved, "at"), 1700000000111);
}

static size_t ended_events(const struct fixture *fixture)
{
    return fixture_events(fixture, "permission_resolved") + fixture_events(fixture, "permission_timeout") +
           fixture_events(fixture, "permission_cancelled");
}

static void the_first_end_wins(void)
{
    for (int first = 0; first < ENDERS; first++) {
        for (int second = 0; second < ENDERS; second++) {
            unsigned failed = CU_get_number_of_failures();
            struct fixture *fixture = in_turn();
            fixture_ask(fixture, "p1");
            fixture_pass(fixture, 111);
            struct record *answer = end_by(fixture, (enum ender)first);
            if (answer) {
                CU_ASSERT_EQUAL(answer->code, ANSWER_OK);
                TEST_TEXT(text_of(answer->fields, "optionId"), enders[first].option);
            }
            CU_ASSERT_EQUAL(fixture->session->pending_count, 0);
            CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_PERMISSION));
            fixture_pass(fixture, 222);
            answer = end_by(fixture, (enum ender)second);
            if (answer) {
                a_late_answer_is_told_how_it_ended(answer, (enum ender)first);
            }
            CU_ASSERT_EQUAL(ended_events(fixture), 1);
            check_first(fixture, (enum ender)first);

            /* Also when all is over. */
            end_by(fixture, CLOSE);
            end_by(fixture, EXIT);
            a_late_answer_is_told_how_it_ended(end_by(fixture, SECOND), (enum ender)first);
            CU_ASSERT_EQUAL(ended_events(fixture), 1);
            CU_ASSERT_EQUAL(fixture_events(fixture, "complete"), 1);
            fixture_free(fixture);
            if (CU_get_number_of_failures() != failed) {
                printf("\n    first %s, then %s", enders[first].name, enders[second].name);
            }
        }
    }
}

/* A request outside a turn: the same, but that there is no turn to cancel or to end. */
static void the_first_end_wins_outside_a_turn(void)
{
    static const enum ender outside[] = {ALLOW, REJECT, SECOND, DEADLINE, CLOSE, EXIT, WITHDRAWN, STOP};
    for (size_t first = 0; first < array_size(outside); first++) {
        for (size_t second = 0; second < array_size(outside); second++) {
            struct fixture *fixture = fixture_ready();
            fixture_ask(fixture, "p1");
            TEST_TRACE(fixture, "+permission permission_request feed+ status(waiting)");
            CU_ASSERT_EQUAL(fixture->session->outside_from, 5);
            CU_ASSERT_PTR_NULL(json_get(fixture_last_event(fixture, "permission_request"), "turnId"));
            fixture_pass(fixture, 111);
            end_by(fixture, outside[first]);
            CU_ASSERT_EQUAL(fixture->session->outside_from, 0);
            end_by(fixture, outside[second]);
            CU_ASSERT_EQUAL(ended_events(fixture), 1);
            check_first(fixture, outside[first]);
            fixture_free(fixture);
        }
    }
}

static void cancel_without_a_turn_leaves_requests_open(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    fixture_cancel(fixture, "alice", true);
    TEST_TRACE(fixture, "=ok");
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

/* ---- Several ---- */

static void several_wait_each_with_its_deadline(void)
{
    struct fixture *fixture = in_turn();
    static const char *const ids[] = {"p1", "p2", "p3", "p4"};
    for (size_t i = 0; i < 4; i++) {
        fixture_ask(fixture, ids[i]);
        fixture_pass(fixture, 10);
    }
    fixture_trace(fixture);
    fixture_expire_permission(fixture, "p2");
    TEST_TRACE(fixture, "feed- permission_timeout !permission(p2=no)");
    fixture_choose(fixture, "alice", "p4", "yes");
    TEST_TRACE(fixture, "-permission feed- permission_resolved(allowed) !permission(p4=yes) =ok");
    TEST_TEXT(fixture->session->pending->ask->request_id, "p1");
    TEST_TEXT(fixture->session->pending->next->ask->request_id, "p3");
    CU_ASSERT_EQUAL(fixture->session->pending->next->expires_at - fixture->session->pending->expires_at, 20);
    fixture_cancel(fixture, "alice", false);
    TEST_TRACE(fixture, "+cancel !cancel -permission feed- permission_cancelled(turn_cancelled) "
                        "!permission(p1=cancelled) -permission feed- permission_cancelled(turn_cancelled) "
                        "!permission(p3=cancelled) status(running) =ok");
    CU_ASSERT_EQUAL(fixture_orders(fixture, ORDER_PERMISSION), 4);
    fixture_free(fixture);
}

static void past_the_limit_the_answer_is_no(void)
{
    struct fixture *fixture = in_turn();
    fixture->limits.max_pending = 2;
    fixture_ask(fixture, "p1");
    fixture_ask(fixture, "p2");
    fixture_trace(fixture);
    fixture_ask(fixture, "p3");
    TEST_TRACE(fixture, "error(limit_reached) !permission(p3=no)");
    struct json_object *error = fixture_last_event(fixture, "error");
    CU_ASSERT_FALSE(json_get_bool(error, "fatal", true));
    TEST_TEXT(text_of(error, "turnId"), fixture->session->turn.id);
    fixture_choose(fixture, "alice", "p1", "yes");
    fixture_ask(fixture, "p4");
    CU_ASSERT_EQUAL(fixture->session->pending_count, 2);
    fixture_free(fixture);
}

static void who_cannot_be_asked_any_more_is_answered_cancelled(void)
{
    static const enum ender over[] = {CANCEL, CLOSE, STOP};
    for (size_t i = 0; i < array_size(over); i++) {
        struct fixture *fixture = in_turn();
        end_by(fixture, over[i]);
        fixture_trace(fixture);
        fixture_ask(fixture, "p2");
        TEST_TRACE(fixture, "!permission(p2=cancelled)");
        fixture_free(fixture);
    }
    /* In the next turn it is asked again. */
    struct fixture *fixture = in_turn();
    fixture_cancel(fixture, "alice", false);
    fixture_turn_ended(fixture, "cancelled");
    fixture_prompt(fixture, "alice", "again");
    fixture_ask(fixture, "p2");
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

static void a_turn_that_follows_sees_no_old_request(void)
{
    struct fixture *fixture = in_turn();
    fixture_prompt(fixture, "alice", "next");
    fixture_ask(fixture, "p1");
    fixture_trace(fixture);
    fixture_turn_ended(fixture, "end_turn");
    TEST_TRACE(fixture, "-permission feed- permission_cancelled(turn_ended) !permission(p1=cancelled) "
                        "complete(end_turn) user_message(processing) turn_started status(running) !prompt");
    fixture_free(fixture);
}

static void the_ended_ones_are_remembered_for_a_while(void)
{
    struct fixture *fixture = in_turn();
    char id[32];
    for (int i = 0; i < PERMISSIONS_REMEMBERED + 20; i++) {
        snprintf(id, sizeof(id), "p%d", i);
        fixture_ask(fixture, id);
        fixture_choose(fixture, "alice", id, "yes");
    }
    size_t remembered = 0;
    for (const struct permission *p = fixture->session->ended; p; p = p->next) {
        remembered++;
    }
    CU_ASSERT_EQUAL(remembered, PERMISSIONS_REMEMBERED);
    CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", id, "yes")->code, ANSWER_ALREADY_RESOLVED);
    CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", "p20", "yes")->code, ANSWER_ALREADY_RESOLVED);
    CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", "p19", "yes")->code, ANSWER_NOT_FOUND);
    fixture_free(fixture);
}

TEST_MAIN("permission", TEST(a_request_is_armed_and_then_shown), TEST(without_a_timeout_it_waits_for_ever),
          TEST(an_answer_that_does_not_fit_leaves_it_open), TEST(always_is_told_to_agent_and_watchers),
          TEST(a_rejection_uses_the_agents_own_words), TEST(nothing_is_known_of_a_request_that_never_was),
          TEST(the_first_end_wins), TEST(the_first_end_wins_outside_a_turn),
          TEST(cancel_without_a_turn_leaves_requests_open), TEST(several_wait_each_with_its_deadline),
          TEST(past_the_limit_the_answer_is_no), TEST(who_cannot_be_asked_any_more_is_answered_cancelled),
          TEST(a_turn_that_follows_sees_no_old_request), TEST(the_ended_ones_are_remembered_for_a_while))
