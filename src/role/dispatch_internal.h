#pragma once
/* What the dispatcher's files share. All of it belongs to the dispatcher's thread. */
#include "signalbox/base/buffer.h"
#include "signalbox/base/thread.h"
#include "signalbox/core/breaker.h"
#include "signalbox/core/places.h"
#include "signalbox/core/session.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"
#include "signalbox/role/dispatch.h"

/* A session in memory, with what the core does not know of. */
struct held {
    struct session *session;
    struct topic *topic; /* referenced */
    struct held *next, *previous; /* in the order of use, the last one first */
    struct instant used;          /* when a step of it let something out, or it was found to be in use */
    struct held *touched_next;
    bool touched;
    uint64_t batch;           /* the last one that a step of this session let something out with */
    uint64_t pending_batch;   /* the last one in which a request began or ceased to wait */
    bool counted;             /* its agent is among the running ones */
    bool idle_seen;           /* its agent was idle after the last step */
    struct place_wait place;       /* where it waits to start its agent */
    size_t before_told;       /* how many were before it when that was last told */
    struct breaker *breaker;  /* its own; NULL: its agent has not failed lately */
    bool is_try, is_own_try;  /* its start, or its agent, is the try of the agent's breaker, or of its own */
    bool closed;              /* it is not among the open sessions */
    bool erased;              /* it is not there any more, for whoever asks: dispatch_erase.c */
    size_t pending_told;      /* the pending count of the last JOURNAL_PENDING */
    struct deadline *feed_deadline; /* armed: session_changed was sent less than FEED_PERIOD_MS ago */
    bool feed_due;            /* the next one has something to tell */
    uint64_t head_told;       /* the head of the last session_changed */
    bool checking;            /* history looks whether the blobs of a prompt are there; later prompts wait in `parked` */
    struct dispatch_command *parked, **parked_last;
};
enum { FEED_PERIOD_MS = 250 };

/* A session that is being read back, and the commands that wait for it. */
struct loading {
    struct loading *next;
    char session_id[SESSION_ID_MAX + 1];
    struct dispatch_command *first, **last;
};

struct dispatch {
    struct mailbox *inbox;
    struct thread thread;
    struct dispatch_wiring wiring;
    struct server_note stop_note, drain_note;
    void (*drained)(void *context);
    void *drained_context;
    /* Owned by the dispatcher's thread: */
    const struct config *config; /* the snapshot of the mail in work */
    struct journal_batch *batch; /* what the mail in work lets out; NULL: nothing yet */
    struct held *sessions, *oldest, *touched;
    bool idle_armed;  /* DEADLINE_IDLE */
    uint64_t batches; /* the last number given to a batch */
    int64_t waiting;  /* permission requests, over all sessions */
    bool at_once;     /* what is forwarded reveals committed state only, and does not wait for the journal */
    struct loading *loading;
    struct answers *answers;
    struct rcu_map *clients;
    int64_t next_key, open_sessions;
    size_t agents_running;
    struct places places;   /* who waits because too many run */
    bool places_due;        /* something has changed for them */
    bool room_due;          /* an idle agent may make room when the tick comes */
    struct keeper *keepers; /* of the configured agents */
    struct deadline *keep_deadline; /* DEADLINE_KEEP; NULL: not armed */
    const struct config *config_seen; /* the one that was in force at the last wake-up; referenced */
    struct buffer place_text;
    char place_fields[48];
    bool ending, draining, store_failing;
    char store_reason[160];
    struct session_limits limits;
    struct session_now now; /* with all rules: now.rules */
    bool rule_made; /* in this step: what it answers is to be looked for */
    struct deadline *rules_deadline; /* DEADLINE_RULES; NULL: none is armed */
    struct session_sink sink;
};

/* dispatch_effects.c: what a step lets out. */
void dispatch_effects_init(struct dispatch *dispatch);
struct journal_item *dispatch_out(struct dispatch *dispatch, enum journal_item_kind kind, struct topic *topic);
void dispatch_forward(struct dispatch *dispatch, struct mail *mail, struct mailbox *to, uint32_t kind,
                      void (*refuse)(struct mail *mail, struct mailbox *to, uint32_t kind));
void dispatch_touch(struct dispatch *dispatch, struct held *held);
/* Numbers the event and puts it into the batch; takes the event. */
void dispatch_record(struct dispatch *dispatch, struct held *held, struct event *event, struct credit *credit,
                     uint32_t credit_bytes);
/* Takes the blob, one of this session, to be stored. */
struct journal_item *dispatch_blob(struct dispatch *dispatch, struct held *held, struct blob *blob);
/* Rows, feed and status of the sessions that the step touched; then the batch goes to the journal. */
void dispatch_flush(struct dispatch *dispatch);
/* Tells the feed of all sessions what there is to tell of this one, now. No step of the session: what it tells was let out
 * before, so the session is as settled afterwards as it was. */
void dispatch_feed(struct dispatch *dispatch, struct held *held);
/* Tells the feed that the session is gone. */
void dispatch_feed_removed(struct dispatch *dispatch, struct held *held);
/* An answer after the commit, or, where nothing is assigned and the store fails, at once. */
void dispatch_answer(struct dispatch *dispatch, const struct dispatch_command *command, enum answer_code code,
                     const char *message, const char *fields);
/* As bad_message: its id was another command's. Not remembered. */
void dispatch_answer_reused(struct dispatch *dispatch, const struct dispatch_command *command);
/* Without the journal, by a retryable code; who waits for the same command's answer gets this one too. */
void dispatch_refuse_now(struct dispatch *dispatch, const struct dispatch_command *command, enum answer_code code,
                         const char *message);
/* All that was assigned in this session is committed and visible, and all that was to be sent about it was. */
bool dispatch_settled(const struct dispatch *dispatch, const struct held *held);
void deadline_free(struct deadline *deadline);
/* A reply that was kept and will not be given. */
void dispatch_drop_reply(void *kept);

/* dispatch_session.c: sessions come into memory, and go. */
struct held *dispatch_find(struct dispatch *dispatch, const char *session_id);
/* Reads it back; the command waits. */
void dispatch_load(struct dispatch *dispatch, const char *session_id, struct dispatch_command *command);
void dispatch_loaded(struct dispatch *dispatch, struct history_request *request);
void dispatch_create(struct dispatch *dispatch, struct dispatch_command *command);
void held_free(struct dispatch *dispatch, struct held *held);
/* The session's row as it is now. */
void held_row(const struct held *held, struct session_row *row);

/* dispatch_idle.c: idle sessions leave memory. */
/* It was used now: it is the last to leave. */
void dispatch_use(struct dispatch *dispatch, struct held *held);
/* Nothing goes on in it, and nothing that was begun is to end. */
bool dispatch_at_rest(const struct held *held);
/* Arms DEADLINE_IDLE if it is not. */
void dispatch_idle_arm(struct dispatch *dispatch);
/* DEADLINE_IDLE has passed. */
void dispatch_idle_sweep(struct dispatch *dispatch);

/* dispatch_keep.c: which agents may be started. */
void dispatch_keep_init(struct dispatch *dispatch); /* its part of the sink */
void dispatch_keep_free(struct dispatch *dispatch);
/* PLACE_GIVEN, or PLACE_REFUSED: what the breakers say. `held` may be NULL: a session that is to be created. */
struct place_answer dispatch_breakers_ask(struct dispatch *dispatch, const struct held *held, const char *agent);
/* It wants to start, and was not refused; and it does not start after all, or has ended without telling anything. */
void dispatch_breakers_enter(struct dispatch *dispatch, struct held *held);
void dispatch_breakers_leave(struct dispatch *dispatch, struct held *held);
/* DEADLINE_KEEP comes at this time, or before. */
void dispatch_keep_arm(struct dispatch *dispatch, struct instant at);
/* DEADLINE_KEEP has passed. */
void dispatch_keep_tick(struct dispatch *dispatch);
/* At each wake-up: does what a new configuration demands. */
void dispatch_keep_config(struct dispatch *dispatch);
/* The answer to COMMAND_AGENT_STATES. */
void dispatch_agent_states(struct dispatch *dispatch, struct dispatch_command *command);

/* dispatch_places.c: how many agents run. */
void dispatch_places_init(struct dispatch *dispatch); /* its part of the sink */
/* Whether this session (NULL: a new one) may start this agent now, or must wait, or may not. */
struct place_answer dispatch_may_start(struct dispatch *dispatch, const struct held *held, const char *agent);
/* After a step of the session: whether its agent is among the running ones. */
void dispatch_count_agent(struct dispatch *dispatch, struct held *held);
/* Gives free places to who waits for one. True if any session was touched by it. */
bool dispatch_places_look(struct dispatch *dispatch);

/* dispatch_clients.c: clients that keep their id. */
must_check enum err dispatch_clients_new(struct dispatch *dispatch);
void dispatch_clients_free(struct dispatch *dispatch); /* also where it was not made */
void dispatch_take_client(struct dispatch *dispatch, struct client_note *note);

/* dispatch_command.c */
/* Takes the command, answers it, or parks it. */
void dispatch_take_command(struct dispatch *dispatch, struct dispatch_command *command);

/* Before any step of the core: the limits that hold for this session now, and its flush at the end. */
void dispatch_step(struct dispatch *dispatch, struct held *held);

/* dispatch_permission.c: what requests need of others, and what is recorded of their ends. */
void dispatch_permission_init(struct session_sink *sink);
void dispatch_looked(struct dispatch *dispatch, struct look_request *request);
void dispatch_list_permissions(struct dispatch *dispatch, struct dispatch_command *command);
/* Which of them wait is committed, whatever else is not. */
bool dispatch_permissions_settled(const struct dispatch *dispatch);
/* From where a command came. */
struct caller dispatch_caller(const struct dispatch_command *command);
/* The same, for the audit; NULL: no command was behind it. */
void dispatch_audit_from(struct audit_entry *entry, const struct caller *caller);

/* dispatch_rules.c */
/* Answers what waits in all sessions and is covered by a rule that this step made. */
void dispatch_rules_settle(struct dispatch *dispatch);
void dispatch_rule_delete(struct dispatch *dispatch, struct dispatch_command *command);
/* DEADLINE_RULES has passed. */
void dispatch_rules_expire(struct dispatch *dispatch);
void dispatch_rules_arm(struct dispatch *dispatch);
void dispatch_rule_recorded(struct dispatch *dispatch, const struct held *held, const struct rule *rule);
/* With its entry of the audit; `by` is "user" or "timeout". */
void dispatch_rule_removed(struct dispatch *dispatch, const struct rule *rule, const char *by, const char *reason,
                           const struct caller *caller);
/* dispatch_erase.c */
void dispatch_erase(struct dispatch *dispatch, struct held *held, struct dispatch_command *command);
/* The session is gone from the store. */
void dispatch_erased(struct dispatch *dispatch, struct erased_note *note);

/* dispatch_blobs.c */
void dispatch_store_blob(struct dispatch *dispatch, struct held *held, struct dispatch_command *command);
/* true: it is a prompt that is taken again later, since the blobs that it names, or those of one before it, are looked
 * for. */
bool dispatch_prompt_waits(struct dispatch *dispatch, struct held *held, struct dispatch_command *command);
void dispatch_prompt_checked(struct dispatch *dispatch, struct history_request *request);

/* dispatch_subscribe.c */
void dispatch_subscribe(struct dispatch *dispatch, struct held *held, struct dispatch_command *command);

/* dispatch_answers.c: which commands were answered before, or are in work. */
must_check enum err dispatch_answers_new(struct answers **out);
void dispatch_answers_free(struct answers *answers); /* after discard; NULL is fine */
void dispatch_answers_limit(struct answers *answers, size_t max); /* how many are kept in memory */
/* Frees commands that wait for another one's answer. */
void dispatch_answers_discard(struct dispatch *dispatch, bool tell);
/* For a command with a name. true: it is the first, and `entry` is set: do it. false: it was answered, or waits. */
bool dispatch_answers_enter(struct dispatch *dispatch, struct dispatch_command *command);
void dispatch_answers_read(struct dispatch *dispatch, struct history_request *request);
/* The first one's answer; it is recorded in the batch of the step, unless it is retryable. The entry is not used again
 * by who entered it. */
void dispatch_answers_finish(struct dispatch *dispatch, struct remembered *entry, enum answer_code code,
                             const char *message, const char *fields);
/* It was refused at once. */
void dispatch_answers_drop(struct dispatch *dispatch, struct remembered *entry, enum answer_code code,
                           const char *message);
void dispatch_answers_expire(struct dispatch *dispatch, struct expire_note *note);
