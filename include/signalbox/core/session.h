#pragma once
/*
 * A session: one conversation with one agent. Pure: (state, what happened, now) -> effects, which leave by the sink.
 * Everything here belongs to the dispatcher; what is interesting is tested without threads.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/clock.h"
#include "signalbox/core/agent.h"
#include "signalbox/core/command.h"
#include "signalbox/core/rule.h"

/* The phases, by the names that clients see, and which may follow which. */
#define SESSION_PHASES(X)                                                                          \
    X(STARTING, "starting")                                                                        \
    X(IDLE, "idle")                                                                                \
    X(RUNNING, "running")                                                                          \
    X(WAITING, "waiting")                                                                          \
    X(STOPPED, "stopped")                                                                          \
    X(FAILED, "failed")                                                                            \
    X(CLOSED, "closed")
enum session_phase {
#define X(symbol, name) PHASE_##symbol,
    SESSION_PHASES(X)
#undef X
        PHASE_COUNT
};
const char *session_phase_name(enum session_phase phase);
/* false if it is none of ours. */
bool session_phase_parse(const char *name, enum session_phase *out);
bool session_phase_may_follow(enum session_phase from, enum session_phase to);

/* What happens to permission requests, by the names that clients see. */
#define SESSION_POLICIES(X)                                                                        \
    X(ASK, "ask")             /* a person is asked */                                              \
    X(READ_ONLY, "read-only") /* what only looks passes, all else is rejected */                   \
    X(TRUST, "trust")         /* everything passes, and is recorded */
enum session_policy {
#define X(symbol, name) POLICY_##symbol,
    SESSION_POLICIES(X)
#undef X
        POLICY_COUNT
};
const char *session_policy_name(enum session_policy policy);
/* false if it is none of ours. */
bool session_policy_parse(const char *name, enum session_policy *out);

/* The process behind the session, as far as the dispatcher has heard. */
enum agent_life {
    AGENT_NONE,
    AGENT_WAITING, /* for a place: there is no process yet */
    AGENT_STARTING,
    AGENT_READY,
    AGENT_ENDING,
};

/* What became of a run, for who decides whether the agent may be started again. Of each start exactly one of the last
 * four is told; before it, RUN_PROVEN at most once. */
enum agent_run {
    RUN_PROVEN,  /* it works: it has ended a turn, or was ready for proof_ms */
    RUN_FAILED,  /* it did not become ready */
    RUN_CRASHED, /* it ended by itself in a turn, or before it had proved anything */
    RUN_MISSING, /* what it needs is not there: its program, a login */
    RUN_OVER,    /* it was ended, or never started, for reasons that are not its own */
};

/* The answer to who wants to start an agent. */
struct place_answer {
    enum { PLACE_GIVEN, PLACE_WAITS, PLACE_REFUSED } kind;
    size_t before;         /* PLACE_WAITS: how many get one before it */
    enum answer_code code; /* PLACE_REFUSED, with what a nack adds; texts are good until the next call */
    const char *message, *fields;
};

/* Who asked for something. Borrowed for the call. */
struct caller {
    const char *user, *client_id;
    const char *id;      /* of the command; NULL for none */
    const char *address, *transport; /* from where: of the peer; "websocket" or "http" */
    const void *reply;   /* where answers go; the sink knows what it is */
};

/* A prompt that waits for its turn, or is in it. */
struct prompt {
    struct prompt *next;
    char *message_id, *text, *content; /* content: JSON text, the user's blocks */
    char *user, *client_id, *cause_id;
    bool names_blobs; /* its content does */
};

enum permission_outcome { OUTCOME_PENDING, OUTCOME_ALLOWED, OUTCOME_REJECTED, OUTCOME_TIMEOUT, OUTCOME_CANCELLED };

/* A permission request: open, or one of the last that were ended, so that a late answer is told how. */
struct permission {
    struct permission *next;
    struct permission_ask *ask;
    char *request_json;    /* the `request` object as clients see it */
    int64_t created_at, expires_at; /* wall ms; expires_at 0 for never */
    void *deadline;        /* the sink's handle; NULL for none */
    struct rule_option remember[RULE_OPTIONS_MAX]; /* its `rememberOptions` */
    size_t remember_count;
    bool looking_again; /* what it names is being looked up once more, for a rule */
    enum permission_outcome outcome;
    char *option_id;
    char *by_user, *by_rule, *by_policy; /* who or what answered: one of them */
    const char *cancel_reason; /* OUTCOME_CANCELLED: why; static */
    int64_t ended_at;
};
enum { PERMISSIONS_REMEMBERED = 64 };

struct turn {
    char *id; /* NULL: no turn is open */
    char *message_id;
    uint64_t from; /* number of its turn_started */
    bool first;    /* of the session */
    struct instant started;
    bool cancelling;
    void *cancel_deadline;
};

/* A mode (`option_id` NULL) or an option of the agent, as somebody wants it: set again when the agent is started anew. */
struct setting {
    struct setting *next;
    char *option_id, *value; /* value: a JSON text */
};
/* A change that somebody waits for. */
struct setting_waiter {
    struct setting_waiter *next;
    char *token;
    struct setting setting;
    void *reply;    /* the sink's, by `keep_reply` */
    void *deadline; /* armed once the agent was told; NULL before */
};
enum { SETTING_WAITERS_MAX = 16, SETTINGS_MAX = 64 };

/* Who waits for the session to be closed. */
struct close_waiter {
    struct close_waiter *next;
    void *reply; /* the sink's, by `keep_reply` */
};

struct session {
    char *id, *agent, *workspace, *title, *policy, *epoch, *created_by;
    int64_t key, created_at, updated_at;
    uint64_t head;     /* the last number assigned */
    int64_t last_ts;
    uint64_t block_from; /* the number that began the text or thought that is open; 0: none */
    uint64_t run;      /* of the agent process: grows with each start */
    uint64_t past_run; /* the last one before the session came into memory: its requests have all ended */
    enum session_phase phase;
    enum agent_life life;
    bool titled;       /* its title was given by who created it */
    bool had_turns;    /* so that an agent started anew is known to have forgotten something */
    bool closing;
    bool stopping;     /* the server stops: the agent's end says so */
    bool damaged;      /* set apart by a start of the server, since its log could not be read: nothing new is begun in it */
    char *closed_by, *closed_client_id, *closed_id; /* whose command closes it */
    void *start_deadline, *idle_deadline, *proof_deadline;
    bool start_expired; /* it was not ready in time */
    bool proven;        /* RUN_PROVEN was told of this run */
    bool silent;        /* the watchers were told that the agent gives no sign of life */
    bool idle;          /* the agent is ready and has nothing to do, since: */
    struct instant idle_since;
    char *stop_detail;  /* why an idle agent is being stopped */
    struct turn turn;
    struct prompt *queue, **queue_last;
    size_t queued;
    bool queue_paused;
    struct permission *pending, *ended; /* pending: oldest first; ended: newest first, PERMISSIONS_REMEMBERED at most */
    struct permission *looking; /* asked, and not shown yet: what they name is being looked up on the disk; oldest first */
    size_t pending_count;
    uint64_t said_from;    /* what the agent has begun outside a turn, and may not have ended: its number; 0 for none */
    uint64_t outside_from; /* the oldest permission request outside a turn that is open: its number; 0 for none */
    struct close_waiter *close_waiters;
    size_t uploads;    /* blobs that clients sent up */
    int64_t upload_bytes;
    char *agent_session; /* the agent's own id of the session; NULL: it never had one, or does not come back with it */
    unsigned lost_returns; /* how often in a row it ended while it was to come back with that */
    bool can_known;      /* `can` is what an agent said */
    bool can_told;       /* the log's last prompt_capabilities says it, too */
    unsigned can;        /* enum agent_can */
    struct setting *settings; /* SETTINGS_MAX at most */
    struct setting_waiter *setting_waiters; /* oldest first, SETTING_WAITERS_MAX at most */
    uint64_t setting_count; /* of tokens given */
    bool changed;      /* the row is to be written */
    void *owner;       /* the dispatcher's */
};

/* What the session may use; from the configuration, at each call. */
struct session_words {
    char *const *items;
    size_t count;
};
struct session_limits {
    int64_t permission_timeout_ms, cancel_timeout_ms, start_timeout_ms;
    int64_t idle_ms, proof_ms; /* 0: never */
    struct session_words timeout_kinds; /* kinds of tool that have a deadline of their own, */
    const int64_t *timeouts_ms;         /* and how long it is; 0 for ever */
    bool timeout_cancels;               /* the agent is answered `cancelled` then, instead of no */
    size_t max_queued, max_pending, max_rules, max_event_bytes;
    /* What is rejected, whoever says yes: patterns of commands, kinds of tool, folders. */
    struct session_words deny_commands, deny_kinds, deny_paths;
    bool (*knows_user)(const void *users, const char *user); /* as in struct rule_place */
    const void *users;
    bool policy_forbidden[POLICY_COUNT];
    enum session_policy default_policy;
};

struct session_now {
    struct instant at;
    int64_t wall_ms;
    const struct session_limits *limits;
    struct rule_set *rules; /* all of them; the session adds what is to be remembered */
};

/* For the audit: how a request ended, that a service was refused, or that the policy was changed. Borrowed for the call. */
struct session_decision {
    const struct permission *permission; /* with its outcome; NULL: see `service` */
    bool service;        /* what the agent wanted done for it was refused, by `policy`; else the policy was changed */
    const char *by;      /* "user", "rule", "policy", "timeout", "limit", "cancellation" */
    const char *user;    /* the person behind it; NULL: nobody */
    const char *rule_id, *policy;
    const char *policy_before;
    const char *reason;  /* of a cancellation; else why, for people */
    const char *message; /* of the person */
    const char *made_rule_id;
    bool always_allow;
    const struct caller *caller; /* whose command it was; NULL: nobody's */
};

enum rule_change { RULE_MADE, RULE_REMOVED };

/* Where effects go, within the call that caused them, in order. All of them are released after the commit, but for
 * `arm`, which is at once: a deadline is armed before its request is visible. */
struct session_sink {
    void *context;
    /* Numbers and records; the event passes to the callee, who raises session->head. */
    void (*event)(void *context, struct session *session, struct event *event);
    /* Borrowed texts. */
    void (*order)(void *context, struct session *session, enum agent_order_kind kind, const char *turn_id,
                  const char *content, const char *request_id, const char *option_id);
    void (*start_agent)(void *context, struct session *session); /* with session->run */
    /* The session wants to start its agent, for this user: nothing happened yet if it is refused. Who waits is told by
     * session_place_given, _moved or _refused, or leaves by leave_place. */
    struct place_answer (*take_place)(void *context, struct session *session, const char *user);
    void (*leave_place)(void *context, struct session *session);
    /* What became of the run; `message` (may be NULL) is for people. Returns what is to be added to the session's
     * status: why the agent will not be started again for a while; NULL for nothing. Good until the next call. */
    const char *(*run)(void *context, struct session *session, enum agent_run what, const char *message);
    void (*answer)(void *context, const struct caller *caller, enum answer_code code, const char *message,
                   const char *fields);
    /* `what` is one of ARM_*; `request_id` names the request, or the token of a setting. Returns a handle. */
    void *(*arm)(void *context, struct session *session, int what, int64_t after_ms, const char *request_id);
    void (*disarm)(void *context, void *handle);
    /* A reply that is answered later than its call; and its answer. */
    void *(*keep_reply)(void *context, const struct caller *caller);
    void (*answer_kept)(void *context, void *kept, enum answer_code code, const char *message, const char *fields);
    /* The feed of all sessions: permission_waiting and permission_ended; the latter when the permission says how it ended. */
    void (*permission_feed)(void *context, struct session *session, const struct permission *permission, bool waiting);
    /* What the request names is to be looked up on the disk; then session_permission_looked, at some time. */
    void (*look)(void *context, struct session *session, const struct permission_ask *ask);
    /* An entry of the audit, in the same transaction. */
    void (*decided)(void *context, struct session *session, const struct session_decision *decision);
    /* A rule is in the set, or is not any more and freed after the call; `reason`: why it went. */
    void (*rule)(void *context, struct session *session, const struct rule *rule, enum rule_change change,
                 const char *reason, const struct caller *caller);
};
enum { ARM_PERMISSION = 1, ARM_CANCEL, ARM_START, ARM_SETTING, ARM_AGENT_IDLE, ARM_PROOF, ARM_LOOK };

/* ---- Life ---- */
struct session *session_new(const char *id);
void session_free(struct session *session); /* kept replies must be answered before; NULL is fine */

/* All texts set, head 0: emits session_created and status, and starts the agent, which may wait for a place but not be
 * refused one: that was asked before. */
void session_begin(struct session *session, const struct session_sink *sink, const struct session_now *now,
                   const struct caller *caller);
void session_close(struct session *session, const struct session_sink *sink, const struct session_now *now,
                   const struct caller *caller);

/* ---- Turns ---- */
void session_prompt(struct session *session, const struct session_sink *sink, const struct session_now *now,
                    const struct caller *caller, const struct command *command);
void session_withdraw(struct session *session, const struct session_sink *sink, const struct session_now *now,
                      const struct caller *caller, const char *message_id);
void session_resume_queue(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          const struct caller *caller);
/* `turn_id`: the turn that is meant; when it is over nothing is done, not to a later one either. NULL: whichever runs. */
void session_cancel(struct session *session, const struct session_sink *sink, const struct session_now *now,
                    const struct caller *caller, const char *turn_id, bool all);

/* ---- Settings ---- */
/* `option_id` NULL: the mode. Answered when the agent has answered; starts it if none runs. */
void session_set(struct session *session, const struct session_sink *sink, const struct session_now *now,
                 const struct caller *caller, const char *option_id, const char *value);
void session_setting_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                             const char *token);

/* ---- Permissions ---- */
void session_permission_response(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                 const struct caller *caller, const struct command *command);
void session_set_policy(struct session *session, const struct session_sink *sink, const struct session_now *now,
                        const struct caller *caller, const char *policy);
/* Answers what waits and is answered by now: after a rule was made. */
void session_judge_pending(struct session *session, const struct session_sink *sink, const struct session_now *now);
/* What the disk says of a request's paths: `real_paths` has one for each path, NULL for what cannot be resolved. It is
 * taken, with its texts, if this is true: else nobody waits for it any more. */
bool session_permission_looked(struct session *session, const struct session_sink *sink, const struct session_now *now,
                               const char *request_id, char **real_paths, bool workspace_real);

/* ---- What agents and the clock say ---- */
/* Takes the notice's contents. */
void session_agent_notice(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          struct agent_notice *notice);
void session_permission_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                                const char *request_id);
void session_look_expired(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          const char *request_id);
void session_cancel_expired(struct session *session, const struct session_sink *sink, const struct session_now *now);
void session_start_expired(struct session *session, const struct session_sink *sink, const struct session_now *now);
void session_idle_expired(struct session *session, const struct session_sink *sink, const struct session_now *now);
void session_proof_expired(struct session *session, const struct session_sink *sink, const struct session_now *now);
/* The limits are others: what hangs on them is armed anew. */
void session_limits_changed(struct session *session, const struct session_sink *sink, const struct session_now *now);
/* The server stops: the turn's end, and what is pending, will say so; the agent is told to end. */
void session_stop(struct session *session, const struct session_sink *sink, const struct session_now *now);

/* ---- Places ---- */
/* Of a session that waits (AGENT_WAITING): it may start now; how many are before it; it may not start after all. */
void session_place_given(struct session *session, const struct session_sink *sink, const struct session_now *now);
void session_place_moved(struct session *session, const struct session_sink *sink, const struct session_now *now,
                         size_t before);
void session_place_refused(struct session *session, const struct session_sink *sink, const struct session_now *now,
                           const struct place_answer *why);
/* There is a process, as far as is known. */
static inline bool session_has_agent(const struct session *session)
{
    return session->life != AGENT_NONE && session->life != AGENT_WAITING;
}
/* Stops the agent of a session that is `idle`; the next prompt starts it again. `detail` is for the watchers. */
void session_idle_stop(struct session *session, const struct session_sink *sink, const struct session_now *now,
                       const char *detail);

/* ---- To be shown ---- */
/* JSON members (each with its leading comma) of `subscribed` beside its position: phase, agent, title, policy,
 * pending, and promptCapabilities once they are known. */
void session_describe(const struct session *session, struct buffer *out);
/* The object of lists and `session_changed`: {sessionId, title, agent, phase, pending, oldestPendingAt?, updatedAt, ...}. */
void session_summary(const struct session *session, struct buffer *out);
/* The queue as kept in the row, and back. NULL when it is empty. */
char *session_queue_text(const struct session *session);
/* The same of what is to be known of it later and has no column of its own: never NULL. */
char *session_state_text(const struct session *session);
void session_state_restore(struct session *session, const char *text);
/* The same state (NULL, or damaged itself: an empty one), of a session that is set apart. malloc'd; NULL: out of memory. */
char *session_state_damaged(const char *text);
/* Why nothing new is begun in the session (ANSWER_CLOSED), for people; NULL: it is. Static storage. */
const char *session_refusal(const struct session *session);
void session_queue_restore(struct session *session, const char *text);
