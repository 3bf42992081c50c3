/*
 * Every form of answer, for every shape of request, against everything else that can end a request, in both orders: the
 * one that comes first counts, and agent, watchers, feed and audit agree about it (the fixture sees to that at each
 * step). A death of the server is one of them: what the log then holds is ended by the recovery.
 */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/core/recovery.h"
#include "support/session_fixture.h"

/* ---- Shapes of requests ---- */

static char once[] = "once", twice[] = "twice", ever[] = "ever", no[] = "no", never[] = "never", odd[] = "odd";
static const struct permission_option all[] = {{.option_id = ever, .kind = OPTION_ALLOW_ALWAYS},
                                               {.option_id = once, .kind = OPTION_ALLOW_ONCE},
                                               {.option_id = never, .kind = OPTION_REJECT_ALWAYS},
                                               {.option_id = no, .kind = OPTION_REJECT_ONCE}};
static const struct permission_option two_once[] = {{.option_id = twice, .kind = OPTION_ALLOW_ONCE},
                                                    {.option_id = once, .kind = OPTION_ALLOW_ONCE},
                                                    {.option_id = no, .kind = OPTION_REJECT_ONCE}};
static const struct permission_option only_ever[] = {{.option_id = ever, .kind = OPTION_ALLOW_ALWAYS}};
static const struct permission_option unknown[] = {{.option_id = odd, .kind = OPTION_OTHER},
                                                   {.option_id = never, .kind = OPTION_REJECT_ALWAYS}};
static const struct shape {
    const char *name;
    const struct permission_option *options;
    size_t count;
    bool ruled;   /* a rule can be made of it */
    bool outside; /* of a turn */
    const char *rejection; /* what the agent is told when nobody answers */
} shapes[] = {
    {"all", all, 4, false, false, "no"},
    {"all, with rules", all, 4, true, false, "no"},
    {"all, outside a turn", all, 4, true, true, "no"},
    {"two allow_once", two_once, 3, true, false, "no"},
    {"only allow_always", only_ever, 1, false, false, NULL},
    {"unknown kinds", unknown, 2, false, false, "never"},
};

/* ---- Forms of answers ---- */

enum { A = FLAG_ABSENT, N = FLAG_NO, Y = FLAG_YES };
/* What comes of a form is an option's id by its shape; "" the outcome `cancelled`, NULL: it is refused, and all stays
 * open. In the order of `shapes`. */
static const struct form {
    const char *option_id;
    int allowed, allow, always;
    const char *decision;
    bool remember;
    const char *chosen[sizeof(shapes) / sizeof(shapes[0])];
    bool yes;
} forms[] = {
    {NULL, Y, A, A, NULL, false, {"once", "once", "once", "twice", NULL, NULL}, true},
    {NULL, A, Y, A, NULL, false, {"once", "once", "once", "twice", NULL, NULL}, true},
    {NULL, A, A, A, "allow", false, {"once", "once", "once", "twice", NULL, NULL}, true},
    {NULL, A, A, A, "allow-session", false, {"once", "once", "once", "twice", NULL, NULL}, true},
    {NULL, A, A, A, "allow-always", false, {"ever", "ever", "ever", "twice", "ever", NULL}, true},
    {NULL, Y, A, Y, NULL, false, {"ever", "ever", "ever", "twice", "ever", NULL}, true},
    {NULL, Y, A, A, NULL, true, {NULL, "once", "once", "twice", NULL, NULL}, true},
    {NULL, N, A, A, NULL, false, {"no", "no", "no", "no", "", "never"}, false},
    {NULL, A, N, A, NULL, false, {"no", "no", "no", "no", "", "never"}, false},
    {NULL, A, A, A, "deny", false, {"no", "no", "no", "no", "", "never"}, false},
    {NULL, A, A, A, NULL, false, {"no", "no", "no", "no", "", "never"}, false},
    {"once", N, A, A, "deny", false, {"once", "once", "once", "once", NULL, NULL}, true},
    {"ever", A, A, A, NULL, false, {"ever", "ever", "ever", NULL, "ever", NULL}, true},
    {"odd", A, A, A, NULL, false, {NULL, NULL, NULL, NULL, NULL, "odd"}, true},
    {"never", Y, A, A, NULL, false, {"never", "never", "never", NULL, NULL, "never"}, false},
    {NULL, Y, N, A, NULL, false, {NULL, NULL, NULL, NULL, NULL, NULL}, false},
    {NULL, N, A, A, NULL, true, {NULL, NULL, NULL, NULL, NULL, NULL}, false},
};

static struct record *answer_by(struct fixture *fixture, const struct form *form)
{
    char id[] = "p-s1-1-1", option[16] = "", decision[16] = "", scope[] = "workspace", match[] = "command:npm test";
    struct command command = {.type = COMMAND_PERMISSION_RESPONSE, .request_id = id, .allowed = (enum flag)form->allowed,
                              .allow = (enum flag)form->allow, .always_allow = (enum flag)form->always,
                              .all = FLAG_ABSENT};
    if (form->option_id) {
        snprintf(option, sizeof(option), "%s", form->option_id);
        command.option_id = option;
    }
    if (form->decision) {
        snprintf(decision, sizeof(decision), "%s", form->decision);
        command.decision = decision;
    }
    if (form->remember) {
        command.remember_scope = scope;
        command.remember_match = match;
    }
    return fixture_answer(fixture, "bob", &command);
}

/* ---- What else ends a request ---- */

enum ender { DEADLINE, CANCEL, CLOSE, EXIT, TURN_END, WITHDRAWN, STOP, POLICY, RULE, SECOND, RESTART, ENDERS };
static const char *const ender_names[] = {"deadline", "cancel", "close", "exit", "turn's end", "withdrawn",
                                          "stop",     "policy", "rule",  "second answer", "restart"};

static bool applies(enum ender ender, const struct shape *shape)
{
    return !shape->outside || (ender != CANCEL && ender != TURN_END);
}

static void end_by(struct fixture *fixture, enum ender ender, const struct shape *shape)
{
    const struct session_sink *sink = &fixture->sink;
    switch (ender) {
    case DEADLINE:
        if (fixture_is_armed(fixture, ARM_PERMISSION)) {
            fixture_expire_permission(fixture, "p-s1-1-1");
        } else {
            session_permission_expired(fixture->session, sink, &fixture->now, "p-s1-1-1");
        }
        break;
    case CANCEL:
        fixture_cancel(fixture, "carol", false);
        break;
    case CLOSE:
        fixture_close(fixture, "carol");
        break;
    case EXIT:
        fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
        break;
    case TURN_END:
        if (fixture->session->turn.id) {
            fixture_turn_ended(fixture, "end_turn");
        }
        break;
    case WITHDRAWN: {
        struct agent_notice notice = {.kind = NOTICE_PERMISSION_WITHDRAWN, .request_id = strdup("p-s1-1-1")};
        session_agent_notice(fixture->session, sink, &fixture->now, &notice);
        break;
    }
    case STOP:
        session_stop(fixture->session, sink, &fixture->now);
        break;
    case POLICY:
        fixture_policy(fixture, "carol", "read-only");
        break;
    case RULE: {
        struct rule *rule = calloc(1, sizeof(*rule));
        CHECK(rule);
        *rule = (struct rule){.id = strdup("r-x"), .scope = RULE_WORKSPACE, .user = strdup("dave"),
                              .workspace = strdup("/srv/work"), .command = strdup("npm test"), .label = strdup("label")};
        rule_set_add(fixture->now.rules, rule);
        session_judge_pending(fixture->session, sink, &fixture->now);
        fixture_looked(fixture, "p-s1-1-1", NULL); /* it may have ended before */
        break;
    }
    case SECOND:
        fixture_choose(fixture, "carol", "p-s1-1-1", shape->options[0].option_id);
        break;
    default:
        break;
    }
}

/* How a request ended that this ender ended; NULL where it may leave it open. */
static const char *outcome_of(enum ender ender, const struct shape *shape)
{
    switch (ender) {
    case DEADLINE:
        return "timeout";
    case POLICY:
        return "rejected";
    case RULE:
        return shape->ruled ? "allowed" : NULL;
    case SECOND:
        return "allowed"; /* the first option of each shape is one */
    default:
        return "cancelled";
    }
}

/* ---- Death ---- */

struct ends {
    size_t events, decisions;
};

static enum err count_event(void *context, struct event *event)
{
    struct ends *ends = context;
    ends->events += event->kind == EVENT_PERMISSION_CANCELLED;
    event_discard(event);
    return ERR_OK;
}

static enum err count_decision(void *context, const char *request_id, const char *request)
{
    struct ends *ends = context;
    ends->decisions++;
    TEST_TEXT(request_id, "p-s1-1-1");
    CU_ASSERT_PTR_NOT_NULL(strstr(request, "\"acpOptions\":[{"));
    return ERR_OK;
}

/* What the next start makes of this log. */
static struct ends recover(const struct fixture *fixture)
{
    struct ends ends = {0};
    struct recovery *recovery;
    CHECK(recovery_new(&recovery, "s1") == ERR_OK);
    for (size_t i = 0; i < fixture->count; i++) {
        if (fixture->records[i].kind == RECORD_EVENT) {
            CU_ASSERT_EQUAL(recovery_read(recovery, fixture->records[i].event), ERR_OK);
        }
    }
    CU_ASSERT_EQUAL(recovery_permissions(recovery, count_decision, &ends), ERR_OK);
    const struct recovery_sink sink = {.context = &ends, .event = count_event}; /* nothing here is long enough for a blob */
    CU_ASSERT_EQUAL(recovery_finish(recovery, 1700000100000, 65536, &sink), ERR_OK);
    recovery_free(recovery);
    return ends;
}

/* ---- The table ---- */

static struct fixture *asked(const struct shape *shape)
{
    struct fixture *fixture = fixture_ready();
    if (!shape->outside) {
        fixture_prompt(fixture, "alice", "go");
    }
    fixture_ask_shape(fixture, "p-s1-1-1", shape->ruled ? "npm test" : NULL, shape->options, shape->count);
    return fixture;
}

static size_t ended_events(const struct fixture *fixture)
{
    return fixture_events(fixture, "permission_resolved") + fixture_events(fixture, "permission_timeout") +
           fixture_events(fixture, "permission_cancelled");
}

static const struct record *the_decision(const struct fixture *fixture)
{
    CU_ASSERT_EQUAL(fixture_decisions(fixture), 1);
    for (size_t i = 0; i < fixture->count; i++) {
        if (fixture->records[i].kind == RECORD_DECIDED && fixture->records[i].request_id) {
            return &fixture->records[i];
        }
    }
    return NULL;
}

/* The answer comes first, or the other does; `restart` after both. */
static bool try(const struct form *form, const struct shape *shape, size_t column, enum ender ender, bool answer_first)
{
    struct fixture *fixture = asked(shape);
    unsigned failed = CU_get_number_of_failures();
    const char *chosen = form->chosen[column];
    struct record *answer = NULL;
    enum answer_code code = ANSWER_OK;
    if (answer_first) {
        code = answer_by(fixture, form)->code;
        CU_ASSERT_EQUAL(code == ANSWER_OK, chosen != NULL);
        end_by(fixture, ender, shape);
    } else {
        end_by(fixture, ender, shape);
        bool open = fixture->session->pending_count > 0;
        answer = answer_by(fixture, form);
        CU_ASSERT_TRUE(open || answer->code == ANSWER_ALREADY_RESOLVED || answer->code == ANSWER_EXPIRED ||
                       answer->code == ANSWER_CANCELLED);
        code = answer->code;
    }
    bool ended = fixture->session->pending_count == 0;
    struct ends restart = recover(fixture);
    /* Exactly one end, over the death of the server too. */
    CU_ASSERT_EQUAL(ended_events(fixture), ended);
    CU_ASSERT_EQUAL(ended_events(fixture) + restart.events, 1);
    CU_ASSERT_EQUAL(fixture_decisions(fixture) + restart.decisions, 1);
    if (ended) {
        const struct record *decision = the_decision(fixture);
        const char *other = outcome_of(ender, shape);
        bool by_answer = code == ANSWER_OK && (answer_first || !other || ender == RESTART);
        TEST_TEXT(decision->outcome, by_answer ? (form->yes ? "allowed" : "rejected") : other ? other : "?");
        TEST_TEXT(decision->option_id ? decision->option_id : "", by_answer            ? chosen
                                                                  : ender == DEADLINE ? (shape->rejection ? shape->rejection : "")
                                                                  : decision->option_id ? decision->option_id
                                                                                        : "");
        struct record *told = fixture_last_order(fixture, ORDER_PERMISSION);
        CU_ASSERT_TRUE(fixture_orders(fixture, ORDER_PERMISSION) <= 1);
        if (by_answer) {
            CU_ASSERT_PTR_NOT_NULL_FATAL(told);
            TEST_TEXT(told->option_id ? told->option_id : "", chosen);
        }
    } else {
        CU_ASSERT_NOT_EQUAL(code, ANSWER_OK);
    }
    fixture_free(fixture);
    return CU_get_number_of_failures() == failed;
}

static void the_first_end_counts_and_all_agree(void)
{
    for (size_t i = 0; i < array_size(forms); i++) {
        for (size_t j = 0; j < array_size(shapes); j++) {
            for (int ender = 0; ender < ENDERS; ender++) {
                for (int first = 0; first < 2 && applies((enum ender)ender, &shapes[j]); first++) {
                    if (!try(&forms[i], &shapes[j], j, (enum ender)ender, first)) {
                        printf("\n    form %zu, %s, %s, %s first", i, shapes[j].name, ender_names[ender],
                               first ? "answer" : "other");
                    }
                }
            }
        }
    }
}

static void every_pair_of_the_others(void)
{
    for (size_t j = 0; j < array_size(shapes); j++) {
        for (int first = 0; first < ENDERS; first++) {
            for (int second = 0; second < ENDERS; second++) {
                if (!applies((enum ender)first, &shapes[j]) || !applies((enum ender)second, &shapes[j])) {
                    continue;
                }
                struct fixture *fixture = asked(&shapes[j]);
                end_by(fixture, (enum ender)first, &shapes[j]);
                const char *outcome = first == RESTART ? NULL : outcome_of((enum ender)first, &shapes[j]);
                bool ended = fixture->session->pending_count == 0;
                CU_ASSERT_EQUAL(ended, outcome != NULL);
                if (!(first == RULE && second == RULE)) {
                    end_by(fixture, (enum ender)second, &shapes[j]);
                }
                struct ends restart = recover(fixture);
                CU_ASSERT_EQUAL(ended_events(fixture) + restart.events, 1);
                CU_ASSERT_EQUAL(fixture_decisions(fixture) + restart.decisions, 1);
                if (outcome) {
                    TEST_TEXT(the_decision(fixture)->outcome, outcome);
                }
                fixture_free(fixture);
            }
        }
    }
}

TEST_MAIN("permission_races", TEST(the_first_end_counts_and_all_agree), TEST(every_pair_of_the_others))
