#pragma once
/* What the files of a session share with each other and nobody else. */
#include "signalbox/base/json.h"
#include "signalbox/core/session.h"

/* The call's context, so that helpers have one argument for it. */
struct step {
    struct session *session;
    const struct session_sink *sink;
    const struct session_now *now;
    const struct caller *cause; /* whose command it is; NULL: nobody's, or not shown */
    struct buffer text;         /* scratch of the event in work */
};
#define STEP(session_, sink_, now_)                                                                \
    {                                                                                              \
        .session = (session_), .sink = (sink_), .now = (now_)                                      \
    }

/* Opens an event of this session; `turn_id` NULL for one outside a turn. Then fields go to
 * &step->text. */
struct buffer *step_event(struct step *step, enum event_kind kind, const char *turn_id);
void step_emit(struct step *step, enum event_kind kind);
void step_end(struct step *step); /* the last of each step that changed something */

void put_by(struct buffer *out, const char *user);
/* Who or what answered. */
void put_answerer(struct buffer *out, const struct permission *permission);
void put_cause(struct buffer *out, const char *client_id, const char *id);

void answer_ok(struct step *step, const struct caller *caller, const char *fields);
void answer_refuse(struct step *step, const struct caller *caller, enum answer_code code,
                   const char *message);

void step_phase(struct step *step, enum session_phase phase, const char *detail);
void step_error(struct step *step, const char *turn_id, const char *message, const char *code,
                bool fatal);
/* The phase as it is, once more, with another detail (or with none any more). */
void step_say_phase(struct step *step, const char *detail);
/* Before anything is recorded: asks for a place if the agent must be started. PLACE_REFUSED: it may not. */
struct place_answer step_ask_place(struct step *step, const char *user);
/* Starts the agent if none runs, with the place that was asked for, or waits. */
void step_start_agent(struct step *step, const struct place_answer *place);
/* Waits for a place no more. */
void step_leave_place(struct step *step);
/* Who withdrew the last prompt of a session that waits for a place has it wait no more. */
void step_nothing_waits(struct step *step);
void answer_refuse_place(struct step *step, const struct caller *caller, const struct place_answer *place);
/* "2 minutes", "90 seconds". */
void put_duration(struct buffer *out, int64_t ms);
/* Cancels the open turn. */
void step_cancel_turn(struct step *step);
/* The run has shown that the agent works. */
void step_proven(struct step *step);
/* Arms and disarms what hangs on the agent being idle. */
void step_settle_idle(struct step *step);
/* Gives the next prompt to the agent, if it may have one. */
void step_next_turn(struct step *step);
/* Takes back what waits, visibly: nobody will do it any more. */
void step_withdraw_queue(struct step *step);
/* The open turn's `complete`; nothing without one. */
void step_complete(struct step *step, const char *stop_reason, const char *usage);
/* Ends every pending request: `cancelled` to the agent (if `tell_agent`) and for the watchers. */
void step_cancel_pending(struct step *step, const char *reason, bool tell_agent);
struct permission **step_find_pending(struct session *session, const char *request_id);
/* Takes it out of the pending ones and remembers how it ended. The event follows by the caller. */
struct permission *step_take_pending(struct step *step, struct permission **at, enum permission_outcome outcome);
/* What the decision of this step was, for the audit and the metrics. */
void step_decided(struct step *step, struct session_decision decision);
/* permission_resolved, with what the permission says of it. */
void step_emit_resolved(struct step *step, const struct permission *permission, bool always_allow, const char *message,
                        const char *made_rule_id);
/* What is pending and is answered by now. */
void step_judge_pending(struct step *step);

/* permission_judge.c: whether a request is answered without a person. */
enum judgement_kind { JUDGEMENT_ASK, JUDGEMENT_ALLOW, JUDGEMENT_REJECT };
struct judgement {
    enum judgement_kind kind;
    const char *option_id;   /* what the agent is told; NULL: the outcome `cancelled` */
    const struct rule *rule; /* by this rule, or */
    const char *policy;      /* by this policy; "operator": a deny rule */
    char why[256];
};
void permission_judge(const struct session *session, const struct permission_ask *ask, const struct session_now *now,
                      struct judgement *out);
struct rule_place session_place(const struct session *session);
/* Whether `*`, which stands for any text, makes the pattern this text. */
bool pattern_matches(const char *pattern, const char *text);
const struct permission_option *option_of_kind(const struct permission_ask *ask, enum option_kind kind);
/* How a refusal is said to this agent: its own words for no, else NULL, the outcome `cancelled`. */
const char *rejection_of(const struct permission_ask *ask);

/* policy.c: a policy that the operator has forbidden meanwhile gives way, visibly. */
void step_lawful_policy(struct step *step);
/* NOTICE_SERVICE_REFUSED. */
void step_service_refused(struct step *step, const struct agent_notice *notice);

/* The rules of this session are no use any more. */
void step_forget_rules(struct step *step);

/* Takes `ask`. */
void step_permission_ask(struct step *step, struct permission_ask *ask);
void step_permission_withdrawn(struct step *step, const char *request_id);
/* Adds the phase that turn and pending requests make. */
void step_settle_phase(struct step *step);
void step_closed(struct step *step);

/* The agent is ready: what was set before is set again, and what waited for it is asked for. */
void step_settings_ready(struct step *step);
/* NOTICE_SETTING. */
void step_setting_answered(struct step *step, const struct agent_notice *notice);
/* The agent is gone, or going: nobody will answer any more. */
void step_settings_lost(struct step *step, enum answer_code code, const char *message);
void settings_free(struct session *session);

void prompt_free(struct prompt *prompt);
void permission_free(struct permission *permission);
