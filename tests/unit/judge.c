/* Requests that are answered without a person: what the operator denies, policies, rules; and how rules are made. */
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "support/session_fixture.h"

#define TEST_IS(fixture, outcome_, by_)                                                     \
    do {                                                                                           \
        const struct record *decision_ = fixture_last_decision(fixture);                           \
        CU_ASSERT_PTR_NOT_NULL_FATAL(decision_);                                                   \
        TEST_TEXT(decision_->outcome, outcome_);                                                   \
        TEST_TEXT(decision_->by, by_);                                                             \
    } while (0)

static struct fixture *in_turn(void)
{
    struct fixture *fixture = fixture_ready();
    fixture_prompt(fixture, "alice", "go");
    fixture_trace(fixture);
    return fixture;
}

static const char *text_of(struct json_object *object, const char *key)
{
    const char *text = json_get_string(object, key);
    return text ? text : "";
}

static struct command yes_to(char *request_id)
{
    return (struct command){.type = COMMAND_PERMISSION_RESPONSE, .request_id = request_id, .allowed = FLAG_YES,
                            .allow = FLAG_ABSENT, .always_allow = FLAG_ABSENT};
}

/* `user` says yes and wants it remembered. */
static struct record *remember(struct fixture *fixture, const char *user, const char *request_id, const char *scope,
                               const char *match, int64_t expires_at)
{
    char id[64], scope_text[64], match_text[128];
    snprintf(id, sizeof(id), "%s", request_id);
    snprintf(scope_text, sizeof(scope_text), "%s", scope);
    snprintf(match_text, sizeof(match_text), "%s", match);
    struct command command = yes_to(id);
    command.remember_scope = scope_text;
    command.remember_match = match_text;
    command.remember_expires_at = expires_at;
    return fixture_answer(fixture, user, &command);
}

/* ---- Policies ---- */

static void each_policy_decides_by_kind(void)
{
    static const char *const kinds[] = {"read",  "edit",  "delete",      "move",  "search", "execute",
                                        "think", "fetch", "switch_mode", "other", "new_one"};
    for (size_t i = 0; i < array_size(kinds); i++) {
        bool looks = !strcmp(kinds[i], "read") || !strcmp(kinds[i], "search") || !strcmp(kinds[i], "think");
        struct fixture *fixture = in_turn();
        fixture_policy(fixture, "bob", "read-only");
        fixture_ask_for(fixture, "p1", kinds[i], "x;y", NULL);
        TEST_IS(fixture, looks ? "allowed" : "rejected", "policy");
        TEST_TEXT(fixture_last_decision(fixture)->policy, "read-only");
        TEST_TEXT(fixture_last_order(fixture, ORDER_PERMISSION)->option_id, looks ? "yes" : "no");
        TEST_TEXT(text_of(json_get(fixture_last_event(fixture, "permission_resolved"), "by"), "policy"), "read-only");
        fixture_policy(fixture, "bob", "trust");
        fixture_ask_for(fixture, "p2", kinds[i], "x;y", NULL);
        TEST_IS(fixture, "allowed", "policy");
        fixture_policy(fixture, "bob", "ask");
        fixture_ask_for(fixture, "p3", kinds[i], "x;y", NULL);
        CU_ASSERT_EQUAL(fixture_decisions(fixture), 2);
        CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
        fixture_free(fixture);
    }
}

static void a_change_of_policy_settles_what_waits(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask_for(fixture, "p1", "read", "x;y", NULL);
    fixture_ask_for(fixture, "p2", "edit", "x;y", NULL);
    fixture_trace(fixture);
    CU_ASSERT_EQUAL(fixture_policy(fixture, "bob", "read-only")->code, ANSWER_OK);
    TEST_TRACE(fixture, "policy(read-only) !policy -permission feed- permission_resolved(allowed) !permission(p1=yes) "
                        "-permission feed- permission_resolved(rejected) !permission(p2=no) status(running) =ok");
    TEST_TEXT(text_of(json_get(fixture_last_event(fixture, "policy"), "by"), "user"), "bob");
    TEST_TEXT(fixture->session->policy, "read-only");
    fixture_policy(fixture, "bob", "read-only"); /* nothing new */
    TEST_TRACE(fixture, "=ok");
    /* An answer now is told what answered. */
    struct record *late = fixture_choose(fixture, "carol", "p2", "yes");
    CU_ASSERT_EQUAL(late->code, ANSWER_ALREADY_RESOLVED);
    TEST_TEXT(text_of(json_get(json_get(late->fields, "resolved"), "by"), "policy"), "read-only");
    fixture_free(fixture);
}

/* What passes without a person is shown all the same: a request, and its end. */
static void what_passes_is_shown(void)
{
    struct fixture *fixture = in_turn();
    fixture_policy(fixture, "bob", "trust");
    fixture_trace(fixture);
    fixture_ask_for(fixture, "p1", "edit", "x;y", NULL);
    TEST_TRACE(fixture, "permission_request permission_resolved(allowed) !permission(p1=yes)");
    struct json_object *event = fixture_last_event(fixture, "permission_resolved");
    CU_ASSERT_FALSE(json_get_bool(event, "alwaysAllow", true));
    TEST_TEXT(text_of(event, "message"), "the session's policy is trust");
    fixture_free(fixture);
}

/* Nobody but a person gives an `allow_always`. */
static void without_an_allow_once_a_person_is_asked(void)
{
    char ever[] = "ever", odd[] = "odd", no[] = "no";
    const struct permission_option options[] = {{.option_id = ever, .kind = OPTION_ALLOW_ALWAYS},
                                                {.option_id = odd, .kind = OPTION_OTHER},
                                                {.option_id = no, .kind = OPTION_REJECT_ONCE}};
    struct fixture *fixture = in_turn();
    fixture_policy(fixture, "bob", "trust");
    fixture_ask_with(fixture, "p1", options, 3);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_policy(fixture, "bob", "read-only"); /* a no needs none */
    TEST_IS(fixture, "rejected", "policy");
    fixture_free(fixture);
}

static void a_policy_can_be_forbidden(void)
{
    struct fixture *fixture = in_turn();
    fixture_policy(fixture, "bob", "trust");
    fixture->limits.policy_forbidden[POLICY_TRUST] = true;
    fixture_trace(fixture);
    fixture_ask_for(fixture, "p1", "edit", "x;y", NULL);
    TEST_TRACE(fixture, "policy(ask) +permission permission_request feed+ status(waiting)");
    TEST_TEXT(text_of(json_get(fixture_last_event(fixture, "policy"), "by"), "policy"), "operator");
    CU_ASSERT_EQUAL(fixture_policy(fixture, "bob", "trust")->code, ANSWER_FORBIDDEN);
    CU_ASSERT_EQUAL(fixture_policy(fixture, "bob", "nonsense")->code, ANSWER_BAD_MESSAGE);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

/* ---- What is done for the agent without a request ---- */

static void a_refused_service_is_shown_and_recorded(void)
{
    struct fixture *fixture = in_turn();
    fixture_policy(fixture, "bob", "trust");
    fixture_trace(fixture);
    fixture_policy(fixture, "bob", "read-only");
    TEST_TRACE(fixture, "policy(read-only) !policy =ok"); /* the agent's side is told */
    TEST_TEXT(fixture_last_order(fixture, ORDER_POLICY)->content, "read-only");
    struct agent_notice notice = {.kind = NOTICE_SERVICE_REFUSED, .request_id = strdup("p9"), .message = strdup("no write")};
    session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
    TEST_TRACE(fixture, "error(forbidden) !refusal");
    TEST_TEXT(text_of(fixture_last_event(fixture, "error"), "error"), "no write");
    TEST_TEXT(fixture_last_order(fixture, ORDER_REFUSAL)->request_id, "p9");
    const struct record *decision = fixture_last_decision(fixture);
    TEST_TEXT(decision->by, "policy");
    TEST_TEXT(decision->policy, "read-only");
    TEST_TEXT(decision->message, "no write");
    fixture_policy(fixture, "bob", "ask");
    TEST_TRACE(fixture, "policy(ask) !policy =ok");
    fixture_policy(fixture, "bob", "trust");
    TEST_TRACE(fixture, "policy(trust) =ok");
    fixture_free(fixture);
    /* Also one that is being started, which was not told at its start. */
    fixture = fixture_new();
    fixture_trace(fixture);
    fixture_policy(fixture, "bob", "read-only");
    TEST_TRACE(fixture, "policy(read-only) !policy =ok");
    fixture_free(fixture);
    fixture = fixture_waiting(1);
    fixture_trace(fixture);
    fixture_policy(fixture, "bob", "read-only");
    TEST_TRACE(fixture, "policy(read-only) =ok");
    fixture_free(fixture);
}

/* ---- What the operator denies ---- */

static void nobody_overrides_the_operator(void)
{
    char *commands[] = {"rm *", "*sudo*"}, *kinds[] = {"fetch"}, *paths[] = {"/etc", ".git"};
    static const struct {
        const char *kind, *command, *path, *real;
        bool denied;
    } cases[] = {
        {"execute", "rm -rf .", NULL, NULL, true},
        {"execute", "rm", NULL, NULL, false},
        {"execute", " rm -rf .", NULL, NULL, true},
        {"execute", "\n\trm -rf .", NULL, NULL, true},
        {"execute", "xrm -rf .", NULL, NULL, false},
        {"execute", "do; sudo; x", NULL, NULL, true},
        {"other", "sudo", NULL, NULL, true},
        {"fetch", "x", NULL, NULL, true},
        {"edit", NULL, "/etc/passwd", NULL, true},
        {"edit", NULL, "/etc", NULL, true},
        {"edit", NULL, "/etcetera", NULL, false},
        {"edit", NULL, "/srv/work/x/../../../etc/y", NULL, true},
        {"edit", NULL, "/srv/work/link", "/etc/passwd", true},
        {"edit", NULL, "/srv/work/link", "/etc/new\nline", true}, /* what has no normal form could be in any folder */
        {"read", NULL, "/srv/work/.git/config", NULL, true},
        {"read", NULL, "/srv/work/.gitignore", NULL, false},
        {"read", NULL, "/srv/other/.git/config", NULL, false},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        for (int policy = 0; policy < 2; policy++) {
            struct fixture *fixture = in_turn();
            fixture->limits.deny_commands = (struct session_words){commands, 2};
            fixture->limits.deny_kinds = (struct session_words){kinds, 1};
            fixture->limits.deny_paths = (struct session_words){paths, 2};
            fixture_policy(fixture, "bob", policy ? "trust" : "ask");
            fixture_ask_for(fixture, "p1", cases[i].kind, cases[i].command, cases[i].path);
            if (fixture->session->looking) {
                fixture_looked(fixture, "p1", cases[i].real);
            }
            const struct record *decision = fixture_last_decision(fixture);
            bool denied = decision && decision->request_id && decision->policy && !strcmp(decision->policy, "operator");
            if (denied != cases[i].denied) {
                printf("\n    %s %s", cases[i].kind, cases[i].command ? cases[i].command : cases[i].path);
                CU_FAIL("what is denied");
            }
            if (denied) {
                TEST_IS(fixture, "rejected", "policy");
                CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", "p1", "yes")->code, ANSWER_ALREADY_RESOLVED);
                CU_ASSERT_PTR_NOT_NULL(strstr(text_of(fixture_last_event(fixture, "permission_resolved"), "message"),
                                              "operator"));
            }
            fixture_free(fixture);
        }
    }
}

/* Who asked before the operator denied it waits for a person, who must not be able to allow it. */
static void what_is_denied_meanwhile_is_rejected(void)
{
    struct fixture *fixture = in_turn();
    fixture_policy(fixture, "bob", "trust");
    fixture_policy(fixture, "bob", "ask");
    fixture_ask_for(fixture, "p1", "edit", "x;y", NULL);
    fixture_ask_for(fixture, "p2", "fetch", "x;y", NULL);
    fixture_trace(fixture);
    char *kinds[] = {"fetch"};
    fixture->limits.deny_kinds = (struct session_words){kinds, 1};
    session_limits_changed(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "-permission feed- permission_resolved(rejected) !permission(p2=no)");
    TEST_IS(fixture, "rejected", "policy");
    TEST_TEXT(fixture_last_decision(fixture)->policy, "operator");
    CU_ASSERT_EQUAL(fixture_choose(fixture, "bob", "p2", "yes")->code, ANSWER_ALREADY_RESOLVED);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture->limits.policy_forbidden[POLICY_ASK] = true;
    fixture->limits.default_policy = POLICY_READ_ONLY;
    fixture_trace(fixture);
    session_limits_changed(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, "policy(read-only) !policy -permission feed- permission_resolved(rejected) !permission(p1=no) "
                        "status(running)");
    fixture_free(fixture);
}

/* Not even a rule that was there before. */
static void a_rule_does_not_override_the_operator(void)
{
    char *commands[] = {"npm *"};
    struct fixture *fixture = in_turn();
    fixture_ask_command(fixture, "p1", "npm test");
    CU_ASSERT_EQUAL(remember(fixture, "alice", "p1", "workspace", "command:npm test", 0)->code, ANSWER_OK);
    fixture->limits.deny_commands = (struct session_words){commands, 1};
    fixture_ask_command(fixture, "p2", "npm test");
    TEST_IS(fixture, "rejected", "policy");
    fixture->limits.deny_commands = (struct session_words){0};
    fixture_policy(fixture, "alice", "read-only"); /* goes before a rule, too */
    fixture_ask_command(fixture, "p3", "npm test");
    TEST_IS(fixture, "rejected", "policy");
    fixture_policy(fixture, "alice", "ask");
    fixture_ask_command(fixture, "p4", "npm test");
    TEST_IS(fixture, "allowed", "rule");
    fixture_free(fixture);
}

/* What cannot be looked up counts as denied, where there is something to be denied. */
static void what_cannot_be_looked_up_is_denied(void)
{
    char *paths[] = {"/etc"};
    struct fixture *fixture = in_turn();
    fixture->limits.deny_paths = (struct session_words){paths, 1};
    fixture_ask_for(fixture, "p1", "edit", NULL, "/srv/work/a");
    fixture_expire(fixture, ARM_LOOK);
    TEST_IS(fixture, "rejected", "policy");
    fixture->limits.deny_paths = (struct session_words){0};
    fixture_ask_for(fixture, "p2", "edit", NULL, "/srv/work/a");
    fixture_expire(fixture, ARM_LOOK);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

/* A command of which a part is missing may have anything in it. */
static void a_command_that_is_cut_is_denied(void)
{
    char *commands[] = {"rm *"};
    for (int cut = 0; cut < 2; cut++) {
        struct fixture *fixture = in_turn();
        fixture->limits.deny_commands = (struct session_words){commands, 1};
        struct permission_ask *ask = calloc(1, sizeof(*ask));
        *ask = (struct permission_ask){.request_id = strdup("p1"), .tool_use_id = strdup("t"), .tool_name = strdup("n"),
                                       .command = strdup("ls"), .description = strdup("d"), .kind = strdup("execute"),
                                       .command_cut = cut};
        struct agent_notice notice = {.kind = NOTICE_PERMISSION, .ask = ask};
        session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
        CU_ASSERT_EQUAL(fixture->session->pending_count, cut ? 0 : 1);
        fixture_free(fixture);
    }
}

/* The event stays as short as it must be: what does not fit is not offered. */
static void rules_that_do_not_fit_are_not_offered(void)
{
    static const size_t rooms[] = {65536, 1100, 600};
    static const size_t offered[] = {3, 1, 0};
    for (size_t i = 0; i < array_size(rooms); i++) {
        struct fixture *fixture = in_turn();
        fixture->limits.max_event_bytes = rooms[i];
        fixture_ask_command(fixture, "p1", "npm test");
        struct json_object *request = json_get(fixture_last_event(fixture, "permission_request"), "request");
        struct json_object *options = json_get(request, "rememberOptions");
        CU_ASSERT_EQUAL(options ? json_object_array_length(options) : 0, offered[i]);
        CU_ASSERT_EQUAL(fixture->session->pending->remember_count, offered[i]);
        fixture_free(fixture);
    }
}

static void patterns(void)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*", "abc", true}, {"a*c", "abc", true},
        {"a*c", "abcd", false}, {"*b*", "abc", true}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxcyyb", false},
        {"**a", "bba", true}, {"abc", "abc", true}, {"abc", "abd", false}, {"*ab", "aab", true}, {"a?c", "abc", false},
    };
    struct fixture *fixture = in_turn();
    for (size_t i = 0; i < array_size(cases); i++) {
        char pattern[16];
        snprintf(pattern, sizeof(pattern), "%s", cases[i].pattern);
        char *list[] = {pattern};
        fixture->limits.deny_commands = (struct session_words){list, 1};
        char id[16];
        snprintf(id, sizeof(id), "p%zu", i);
        fixture->limits.max_pending = 100;
        fixture_ask_for(fixture, id, "other", cases[i].text, NULL);
        if (fixture->session->looking) {
            fixture_looked(fixture, id, NULL);
        }
        const struct record *decision = fixture_last_decision(fixture);
        bool matched = decision && decision->request_id && !strcmp(decision->request_id, id);
        if (matched != cases[i].matches) {
            printf("\n    %s %s", cases[i].pattern, cases[i].text);
            CU_FAIL("a pattern");
        }
    }
    fixture_free(fixture);
}

/* ---- Rules ---- */

static void a_remembered_yes_is_a_rule(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask_for(fixture, "p1", "execute", "npm test", NULL);
    TEST_TRACE(fixture, "+look ?look");
    fixture_looked(fixture, "p1", NULL);
    TEST_TRACE(fixture, "-look +permission permission_request feed+ status(waiting)");
    struct json_object *request = json_get(fixture_last_event(fixture, "permission_request"), "request");
    struct json_object *options = json_get(request, "rememberOptions");
    CU_ASSERT_EQUAL_FATAL(json_object_array_length(options), 3);
    TEST_TEXT(text_of(json_object_array_get_idx(options, 1), "scope"), "workspace");
    TEST_TEXT(text_of(json_object_array_get_idx(options, 1), "match"), "command:npm test");
    TEST_TEXT(text_of(json_object_array_get_idx(options, 1), "label"), "always allow `npm test` in this workspace");

    struct record *answer = remember(fixture, "bob", "p1", "workspace", "command:npm test", 0);
    CU_ASSERT_EQUAL_FATAL(answer->code, ANSWER_OK);
    char rule[96];
    snprintf(rule, sizeof(rule), "%s", text_of(answer->fields, "ruleId"));
    CU_ASSERT_TRUE(!strncmp(rule, "r-s1-", 5));
    TEST_TRACE(fixture, "-permission feed- permission_resolved(allowed) !permission(p1=yes) rule+ status(running) =ok");
    struct json_object *resolved = fixture_last_event(fixture, "permission_resolved");
    TEST_TEXT(text_of(resolved, "ruleId"), rule);
    TEST_TEXT(text_of(json_get(resolved, "by"), "user"), "bob");
    TEST_TEXT(fixture_last_decision(fixture)->made_rule_id, rule);

    fixture_ask_command(fixture, "p2", "npm test");
    TEST_TRACE(fixture, "+look ?look -look permission_request permission_resolved(allowed) !permission(p2=yes)");
    resolved = fixture_last_event(fixture, "permission_resolved");
    TEST_TEXT(text_of(json_get(resolved, "by"), "rule"), rule);
    TEST_TEXT(text_of(resolved, "message"), "always allow `npm test` in this workspace");
    const struct record *decision = fixture_last_decision(fixture);
    TEST_TEXT(decision->by, "rule");
    TEST_TEXT(decision->rule_id, rule);
    TEST_TEXT(decision->user, "bob");
    CU_ASSERT_FALSE(decision->from_command);
    struct record *late = fixture_choose(fixture, "carol", "p2", "no");
    CU_ASSERT_EQUAL(late->code, ANSWER_ALREADY_RESOLVED);
    TEST_TEXT(text_of(json_get(json_get(late->fields, "resolved"), "by"), "rule"), rule);
    fixture_free(fixture);
}

static void allow_session_makes_a_rule_of_the_session(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask_command(fixture, "p1", "npm test");
    char id[] = "p1", decision[] = "allow-session", id2[] = "p2";
    struct command command = yes_to(id);
    command.allowed = FLAG_ABSENT;
    command.decision = decision;
    fixture_answer(fixture, "bob", &command);
    CU_ASSERT_EQUAL(rule_set_count(fixture->now.rules), 1);
    /* Where there is no such option, it is a plain yes. */
    fixture_ask_command(fixture, "p2", "npm test; x");
    command.request_id = id2;
    CU_ASSERT_EQUAL(fixture_answer(fixture, "bob", &command)->code, ANSWER_OK);
    CU_ASSERT_EQUAL(rule_set_count(fixture->now.rules), 1);
    /* It goes with its session. */
    fixture_close(fixture, "bob");
    fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
    CU_ASSERT_EQUAL(rule_set_count(fixture->now.rules), 0);
    fixture_free(fixture);
}

/* In the order of asking; the one that is answered by hand made the rule. */
static void a_new_rule_settles_what_it_covers(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask_command(fixture, "p1", "npm test");
    fixture_ask_command(fixture, "p2", "npm test");
    fixture_ask_command(fixture, "p3", "npm run");
    remember(fixture, "bob", "p2", "session", "command:npm test", 0);
    fixture_trace(fixture);
    session_judge_pending(fixture->session, &fixture->sink, &fixture->now); /* the dispatcher does, for all sessions */
    TEST_TRACE(fixture, "?look");
    session_judge_pending(fixture->session, &fixture->sink, &fixture->now);
    TEST_TRACE(fixture, ""); /* once is enough */
    CU_ASSERT_TRUE(fixture_looked(fixture, "p1", NULL));
    TEST_TRACE(fixture, "-permission feed- permission_resolved(allowed) !permission(p1=yes)");
    CU_ASSERT_FALSE(fixture_looked(fixture, "p1", NULL));
    CU_ASSERT_FALSE(fixture_looked(fixture, "p3", NULL)); /* it was not asked for */
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

/* What has waited is looked up again: its path may have become a link, the rule may be revoked, a person may be faster. */
static void a_new_rule_sees_the_disk_as_it_is(void)
{
    for (int what = 0; what < 4; what++) {
        struct fixture *fixture = in_turn();
        fixture_ask_for(fixture, "p1", "edit", NULL, "/srv/work/src/a");
        fixture_looked(fixture, "p1", NULL);
        fixture_ask_for(fixture, "p2", "edit", NULL, "/srv/work/src/b");
        fixture_looked(fixture, "p2", NULL);
        struct record *made = remember(fixture, "bob", "p2", "workspace", "edit:src", 0);
        char id[96];
        snprintf(id, sizeof(id), "%s", text_of(made->fields, "ruleId"));
        fixture_trace(fixture);
        session_judge_pending(fixture->session, &fixture->sink, &fixture->now);
        TEST_TRACE(fixture, "?look");
        if (what == 1) {
            rule_free(rule_set_remove(fixture->now.rules, id));
        } else if (what == 2) {
            fixture_choose(fixture, "carol", "p1", "no");
            fixture_trace(fixture);
        }
        CU_ASSERT_EQUAL(fixture_looked(fixture, "p1", what == 0 ? "/etc/a" : NULL), what != 2);
        TEST_TRACE(fixture, what == 3 ? "-permission feed- permission_resolved(allowed) !permission(p1=yes) status(running)" : "");
        CU_ASSERT_EQUAL(fixture->session->pending_count, what < 2);
        fixture_free(fixture);
    }
}

static void what_cannot_be_remembered_leaves_it_open(void)
{
    struct fixture *fixture = in_turn();
    fixture->limits.max_rules = 1;
    fixture_ask_command(fixture, "p1", "npm test");
    const int64_t now = fixture->now.wall_ms;
    static const struct {
        const char *user, *scope, *match;
        int64_t expires_in;
        enum answer_code code;
        const char *field;
    } cases[] = {
        {"bob", "session", "command:npm run", 0, ANSWER_UNKNOWN_OPTION, "remember"},
        {"bob", "planet", "command:npm test", 0, ANSWER_UNKNOWN_OPTION, "remember"},
        {"bob", "user", "command:npm test", 0, ANSWER_FORBIDDEN, "remember"}, /* alice's session */
        {"alice", "user", "command:npm test", -1, ANSWER_BAD_MESSAGE, "remember.expiresAt"},
    };
    for (size_t i = 0; i < array_size(cases); i++) {
        struct record *answer = remember(fixture, cases[i].user, "p1", cases[i].scope, cases[i].match,
                                         cases[i].expires_in ? now + cases[i].expires_in : 0);
        CU_ASSERT_EQUAL(answer->code, cases[i].code);
        TEST_TEXT(text_of(answer->fields, "field"), cases[i].field);
    }
    char id[] = "p1", no[] = "no", scope[] = "session", match[] = "command:npm test";
    struct command command = yes_to(id);
    command.option_id = no;
    command.remember_scope = scope;
    command.remember_match = match;
    CU_ASSERT_EQUAL(fixture_answer(fixture, "bob", &command)->code, ANSWER_BAD_MESSAGE);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    CU_ASSERT_EQUAL(rule_set_count(fixture->now.rules), 0);
    CU_ASSERT_EQUAL(remember(fixture, "alice", "p1", "user", "command:npm test", 0)->code, ANSWER_OK);
    fixture_ask_command(fixture, "p2", "npm run");
    CU_ASSERT_EQUAL(remember(fixture, "alice", "p2", "user", "command:npm run", 0)->code, ANSWER_LIMIT_REACHED);
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

static void the_same_rule_is_made_once(void)
{
    struct fixture *fixture = in_turn();
    const int64_t later = fixture->now.wall_ms + 1000;
    fixture->limits.max_rules = 1;
    fixture_ask_command(fixture, "p1", "npm test");
    fixture_ask_command(fixture, "p2", "npm test");
    fixture_ask_command(fixture, "p3", "npm test");
    char first[96], second[96];
    snprintf(first, sizeof(first), "%s",
             text_of(remember(fixture, "alice", "p1", "workspace", "command:npm test", later)->fields, "ruleId"));
    TEST_TEXT(text_of(remember(fixture, "bob", "p2", "workspace", "command:npm test", later - 1)->fields, "ruleId"), first);
    fixture_trace(fixture);
    /* One that lasts longer takes its place. */
    snprintf(second, sizeof(second), "%s",
             text_of(remember(fixture, "bob", "p3", "workspace", "command:npm test", 0)->fields, "ruleId"));
    CU_ASSERT_TRUE(strcmp(first, second) != 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(fixture_trace(fixture), "rule- rule+"));
    CU_ASSERT_EQUAL(rule_set_count(fixture->now.rules), 1);
    fixture_free(fixture);
}

/* ---- Looking: between asking and being shown ---- */

static void what_is_being_looked_up_ends_like_all_else(void)
{
    for (int how = 0; how < 6; how++) {
        struct fixture *fixture = in_turn();
        fixture_ask_for(fixture, "p1", "edit", NULL, "/srv/work/a");
        CU_ASSERT_PTR_NOT_NULL(fixture->session->looking);
        switch (how) {
        case 0:
            fixture_cancel(fixture, "alice", false);
            break;
        case 1:
            fixture_close(fixture, "alice");
            break;
        case 2:
            fixture_turn_ended(fixture, "end_turn");
            break;
        case 3:
            fixture_notice(fixture, NOTICE_EXITED, NULL, "gone");
            break;
        case 4:
            session_stop(fixture->session, &fixture->sink, &fixture->now);
            break;
        default: {
            struct agent_notice notice = {.kind = NOTICE_PERMISSION_WITHDRAWN, .request_id = strdup("p1")};
            session_agent_notice(fixture->session, &fixture->sink, &fixture->now, &notice);
        }
        }
        CU_ASSERT_PTR_NULL(fixture->session->looking);
        CU_ASSERT_FALSE(fixture_is_armed(fixture, ARM_LOOK));
        CU_ASSERT_EQUAL(fixture_orders(fixture, ORDER_PERMISSION), how == 3 || how == 5 ? 0 : 1);
        CU_ASSERT_EQUAL(fixture_events(fixture, "permission_request"), 0);
        CU_ASSERT_EQUAL(fixture_decisions(fixture), 1);
        TEST_IS(fixture, "cancelled", "cancellation");
        CU_ASSERT_FALSE(fixture_looked(fixture, "p1", NULL)); /* the disk's word comes too late */
        CU_ASSERT_EQUAL(fixture_decisions(fixture), 1);
        fixture_free(fixture);
    }
}

static void a_path_is_judged_by_where_it_leads(void)
{
    struct fixture *fixture = in_turn();
    fixture_ask_for(fixture, "p1", "edit", NULL, "/srv/work/src/a");
    fixture_looked(fixture, "p1", NULL);
    CU_ASSERT_EQUAL(remember(fixture, "bob", "p1", "workspace", "edit:src", 0)->code, ANSWER_OK);
    fixture_ask_for(fixture, "p2", "edit", NULL, "/srv/work/src/b");
    fixture_looked(fixture, "p2", NULL);
    TEST_IS(fixture, "allowed", "rule");
    fixture_ask_for(fixture, "p3", "edit", NULL, "/srv/work/src/link/b");
    fixture_looked(fixture, "p3", "/srv/elsewhere/b");
    CU_ASSERT_EQUAL(fixture->session->pending_count, 1);
    fixture_free(fixture);
}

/* ---- Deadlines ---- */

static void a_kind_has_a_deadline_of_its_own(void)
{
    char *kinds[] = {"execute", "edit"};
    const int64_t timeouts[] = {5000, 0};
    struct fixture *fixture = in_turn();
    fixture->limits.timeout_kinds = (struct session_words){kinds, 2};
    fixture->limits.timeouts_ms = timeouts;
    fixture_ask_for(fixture, "p1", "execute", "x;y", NULL);
    fixture_ask_for(fixture, "p2", "edit", "x;y", NULL);
    fixture_ask_for(fixture, "p3", "read", "x;y", NULL);
    const struct permission *pending = fixture->session->pending;
    CU_ASSERT_EQUAL(pending->expires_at - pending->created_at, 5000);
    CU_ASSERT_EQUAL(pending->next->expires_at, 0);
    CU_ASSERT_PTR_NULL(pending->next->deadline);
    CU_ASSERT_EQUAL(pending->next->next->expires_at - pending->created_at, 60000);
    fixture->limits.timeout_cancels = true;
    fixture_expire_permission(fixture, "p1");
    CU_ASSERT_PTR_NULL(fixture_last_order(fixture, ORDER_PERMISSION)->option_id);
    TEST_IS(fixture, "timeout", "timeout");
    fixture->limits.timeout_cancels = false;
    fixture_expire_permission(fixture, "p3");
    TEST_TEXT(fixture_last_order(fixture, ORDER_PERMISSION)->option_id, "no");
    fixture_free(fixture);
}

static void the_limit_is_in_the_audit(void)
{
    struct fixture *fixture = in_turn();
    fixture->limits.max_pending = 1;
    fixture_ask(fixture, "p1");
    fixture_ask(fixture, "p2");
    TEST_IS(fixture, "rejected", "limit");
    fixture_policy(fixture, "bob", "trust"); /* what does not wait is not counted */
    fixture_ask(fixture, "p3");
    TEST_IS(fixture, "allowed", "policy");
    fixture_free(fixture);
}

TEST_MAIN("judge", TEST(each_policy_decides_by_kind), TEST(a_change_of_policy_settles_what_waits),
          TEST(what_passes_is_shown), TEST(without_an_allow_once_a_person_is_asked), TEST(a_policy_can_be_forbidden),
          TEST(a_refused_service_is_shown_and_recorded), TEST(nobody_overrides_the_operator), TEST(what_is_denied_meanwhile_is_rejected), TEST(a_rule_does_not_override_the_operator),
          TEST(what_cannot_be_looked_up_is_denied), TEST(a_command_that_is_cut_is_denied), TEST(rules_that_do_not_fit_are_not_offered), TEST(patterns), TEST(a_remembered_yes_is_a_rule),
          TEST(allow_session_makes_a_rule_of_the_session), TEST(a_new_rule_settles_what_it_covers), TEST(a_new_rule_sees_the_disk_as_it_is),
          TEST(what_cannot_be_remembered_leaves_it_open), TEST(the_same_rule_is_made_once),
          TEST(what_is_being_looked_up_ends_like_all_else), TEST(a_path_is_judged_by_where_it_leads),
          TEST(a_kind_has_a_deadline_of_its_own), TEST(the_limit_is_in_the_audit))
