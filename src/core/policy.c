/* The session's policy: what happens to permission requests that nobody is asked about. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/need.h"

static const char *const policy_names[] = {
#define X(symbol, name) [POLICY_##symbol] = name,
    SESSION_POLICIES(X)
#undef X
};

const char *session_policy_name(enum session_policy policy)
{
    return policy_names[policy];
}

bool session_policy_parse(const char *name, enum session_policy *out)
{
    for (int policy = 0; policy < POLICY_COUNT; policy++) {
        if (!strcmp(policy_names[policy], name)) {
            *out = (enum session_policy)policy;
            return true;
        }
    }
    return false;
}

/* `caller` NULL: the operator's configuration. */
static void change(struct step *step, enum session_policy policy, const struct caller *caller)
{
    struct session *session = step->session;
    char *before = session->policy;
    session->policy = need_copy(policy_names[policy]);
    struct buffer *out = step_event(step, EVENT_POLICY, NULL);
    json_field_string(out, "policy", session->policy);
    if (caller) {
        put_by(out, caller->user);
        put_cause(out, caller->client_id, caller->id);
    } else {
        json_field_raw(out, "by", "{\"policy\":\"operator\"}");
    }
    step_emit(step, EVENT_POLICY);
    /* What is done for the agent without a request hangs on it too (core/acp_files.c, acp_terminal.c). */
    const char *read_only = policy_names[POLICY_READ_ONLY];
    if (session_has_agent(session) && !strcmp(before, read_only) != !strcmp(session->policy, read_only)) {
        step->sink->order(step->sink->context, session, ORDER_POLICY, NULL, session->policy, NULL, NULL);
    }
    step_decided(step, (struct session_decision){.by = caller ? "user" : "policy",
                                                 .user = caller ? caller->user : NULL,
                                                 .policy = session->policy,
                                                 .policy_before = before,
                                                 .reason = caller ? NULL : "the operator has forbidden this policy",
                                                 .caller = caller});
    free(before);
}

void step_lawful_policy(struct step *step)
{
    const struct session_limits *limits = step->now->limits;
    enum session_policy policy;
    bool known = session_policy_parse(step->session->policy, &policy);
    if (!known || (limits->policy_forbidden[policy] && policy != limits->default_policy)) {
        change(step, limits->default_policy, NULL);
    }
}

void step_service_refused(struct step *step, const struct agent_notice *notice)
{
    struct session *session = step->session;
    step_error(step, session->turn.id, notice->message, "forbidden", false);
    if (session_has_agent(session)) {
        step->sink->order(step->sink->context, session, ORDER_REFUSAL, NULL, NULL, notice->request_id, NULL);
    }
    step_decided(step, (struct session_decision){.by = "policy",
                                                 .service = true,
                                                 .policy = policy_names[POLICY_READ_ONLY],
                                                 .reason = notice->message});
}

void session_set_policy(struct session *session, const struct session_sink *sink, const struct session_now *now,
                        const struct caller *caller, const char *policy)
{
    struct step step = STEP(session, sink, now);
    enum session_policy wanted;
    if (session->closing || session->phase == PHASE_CLOSED) {
        answer_refuse(&step, caller, ANSWER_CLOSED, "the session is closed");
        return;
    }
    if (!session_policy_parse(policy, &wanted)) {
        answer_refuse(&step, caller, ANSWER_BAD_MESSAGE, "there is no such policy");
        return;
    }
    if (now->limits->policy_forbidden[wanted]) {
        answer_refuse(&step, caller, ANSWER_FORBIDDEN, "this server's operator has forbidden this policy");
        return;
    }
    if (strcmp(session->policy, policy)) {
        change(&step, wanted, caller);
        step_judge_pending(&step);
        step_settle_phase(&step);
    }
    answer_ok(&step, caller, NULL);
    step_end(&step);
}
