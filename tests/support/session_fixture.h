#pragma once
/*
 * A session of the core with a sink that records: what it emits, orders, answers, arms. The sink also holds the
 * session to the rules that no step may break (one turn at a time, one end for each permission request, one answer
 * for each caller, no order to an agent that is gone ...), so every test checks them, whatever it is about.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/json.h"
#include "signalbox/core/session.h"
#include "support/test.h"

enum record_kind { RECORD_EVENT, RECORD_ORDER, RECORD_START, RECORD_ANSWER, RECORD_KEEP, RECORD_ARM, RECORD_DISARM,
                   RECORD_FEED, RECORD_LEAVE, RECORD_RUN, RECORD_LOOK, RECORD_RULE, RECORD_DECIDED };

struct record {
    enum record_kind kind;
    struct json_object *event;               /* RECORD_EVENT: the whole event */
    enum agent_order_kind order;             /* RECORD_ORDER, with the four texts */
    char *turn_id, *content, *request_id, *option_id;
    enum answer_code code;                   /* RECORD_ANSWER */
    char *message;
    struct json_object *fields;              /* never NULL for an answer */
    size_t caller;                           /* number of the call that is answered */
    int what;                                /* RECORD_ARM, RECORD_DISARM */
    int64_t after_ms;
    bool waiting;                            /* RECORD_FEED */
    enum rule_change change;                 /* RECORD_RULE, with its label as `message` */
    /* RECORD_DECIDED, with option_id, request_id, reason as `message`; for a change of policy without a request. */
    const char *outcome;                     /* as in the audit */
    char *by, *user, *rule_id, *policy, *made_rule_id;
    bool from_command;
    enum agent_run run;                      /* RECORD_RUN, with `message` */
};

struct armed {
    struct armed *next;
    int what;
    char *request_id;
    bool over; /* disarmed, or fired */
};

/* One command's caller; kept until the end, so that a second answer is seen. */
struct called {
    struct called *next;
    size_t number;
    char id[24];
    bool kept;
    int answers;
};

struct fixture {
    struct session *session;
    struct session_sink sink;
    struct session_limits limits;
    struct session_now now;
    struct record *records;
    size_t count, capacity, traced;
    struct armed *armed;
    struct called *calls;
    size_t call_count;
    struct buffer trace;
    /* What the rules need to know. */
    enum session_phase shown_phase;
    char *open_turn;
    struct json_object *requests; /* requestId: "open", "ended" */
    struct json_object *ordered;  /* requestId: what the agent was told, "" for the outcome `cancelled` */
    struct json_object *ends;     /* requestId: how the watchers saw it end, as in the audit */
    struct json_object *decided;  /* requestId: how the audit has it */
    struct json_object *feed;     /* requestId: "waiting", "ended" */
    struct json_object *prompts;  /* messageId: its last status */
    bool closed_shown;
    bool running, waits;          /* a place was given, or is waited for */
    /* Set by tests: what the session is answered when it wants a place, what is added after a failure, and whether the
     * trace has "run:crashed" and its like. */
    struct place_answer place;
    const char *note;
    bool shows_runs;
};

/* session_begin is done; the trace is empty. Limits: 3 queued, 4 pending, 10 rules, 60 s, 10 s, 30 s. */
struct fixture *fixture_new(void);
/* The same, and its agent waits for a place. */
struct fixture *fixture_waiting(size_t before);
/* The same, and the agent is ready. */
struct fixture *fixture_ready(void);
void fixture_free(struct fixture *fixture); /* checks that every caller was answered, unless a close still waits */
void fixture_pass(struct fixture *fixture, int64_t ms); /* moves the session's clock */

/* Commands: each is of a caller of its own, `user`'s; the record of the answer, good until the next call, NULL while
 * there is none. */
struct record *fixture_prompt(struct fixture *fixture, const char *user, const char *text);
struct record *fixture_withdraw(struct fixture *fixture, const char *user, const char *message_id);
struct record *fixture_resume(struct fixture *fixture, const char *user);
struct record *fixture_cancel(struct fixture *fixture, const char *user, bool all);
struct record *fixture_cancel_turn(struct fixture *fixture, const char *user, const char *turn_id);
struct record *fixture_close(struct fixture *fixture, const char *user);
struct record *fixture_choose(struct fixture *fixture, const char *user, const char *request_id, const char *option_id);
struct record *fixture_answer(struct fixture *fixture, const char *user, const struct command *command);
struct record *fixture_answer_of(struct fixture *fixture, size_t call); /* the call's number, from 1 */
struct caller fixture_caller(struct fixture *fixture, const char *user);

/* What the agent says. */
void fixture_notice(struct fixture *fixture, enum agent_notice_kind kind, const char *code, const char *message);
void fixture_turn_ended(struct fixture *fixture, const char *stop_reason);
/* A request with allow_once "yes", allow_always "ever", reject_once "no"; in the open turn, if there is one. */
void fixture_ask(struct fixture *fixture, const char *request_id);
/* The same with what rules look at: `path` absolute; one of both is NULL. It waits for fixture_looked. */
void fixture_ask_for(struct fixture *fixture, const char *request_id, const char *kind, const char *command,
                     const char *path);
/* What the disk says: all paths lead where they say, but the first leads to `real`, if that is not NULL. */
bool fixture_looked(struct fixture *fixture, const char *request_id, const char *real);
/* Of kind `execute`, with these options; with a command that rules may look at, which is looked up, or without. */
void fixture_ask_shape(struct fixture *fixture, const char *request_id, const char *command,
                       const struct permission_option *options, size_t count);
/* Both: it is asked, and looked up. */
void fixture_ask_command(struct fixture *fixture, const char *request_id, const char *command);
struct record *fixture_policy(struct fixture *fixture, const char *user, const char *policy);
void fixture_ask_with(struct fixture *fixture, const char *request_id, const struct permission_option *options,
                      size_t count);
/* What the clock says: fires the armed deadline, which must be there. */
void fixture_expire_permission(struct fixture *fixture, const char *request_id);
void fixture_expire(struct fixture *fixture, int what);
/* Of a session that waits for a place. */
void fixture_give_place(struct fixture *fixture);
void fixture_refuse_place(struct fixture *fixture, enum answer_code code, const char *message);
bool fixture_is_armed(const struct fixture *fixture, int what);

/* What happened since the last call, in one line; for example:
 *   "user_message(accepted) user_message(processing) turn_started status(running) !prompt =ok"
 * Events by type, with what matters most of each; "!prompt" an order, "=ok" an answer, "+cancel" armed, "-cancel"
 * disarmed, "keep" a reply kept, "feed+" and "feed-" the feed of all sessions, "?look" what the disk is asked, "rule+"
 * and "rule-" a rule. What the audit gets is not in it: the fixture sees to it that it agrees with the events. */
const char *fixture_trace(struct fixture *fixture);
#define TEST_TRACE(fixture, expected) TEST_TEXT(fixture_trace(fixture), expected)

const struct record *fixture_last_decision(const struct fixture *fixture);
size_t fixture_decisions(const struct fixture *fixture);
struct json_object *fixture_last_event(const struct fixture *fixture, const char *type); /* NULL if there is none */
size_t fixture_events(const struct fixture *fixture, const char *type);
struct record *fixture_last_order(const struct fixture *fixture, enum agent_order_kind kind);
size_t fixture_orders(const struct fixture *fixture, enum agent_order_kind kind);
