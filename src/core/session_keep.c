/* A session's agent is kept alive, and not for nothing: it is started when there is a place, stopped when it is idle, and
 * shown when it is silent. */
#include "session_internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"

void put_duration(struct buffer *out, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{3600000, "hour"}, {60000, "minute"}, {1000, "second"}, {1, "millisecond"}};
    size_t unit = 0;
    while (unit + 1 < array_size(units) && (ms < units[unit].ms || ms % units[unit].ms)) {
        unit++;
    }
    int64_t count = ms / units[unit].ms;
    buffer_format(out, "%" PRId64 " %s%s", count, units[unit].name, count == 1 ? "" : "s");
}

static char *take_text(struct buffer *text)
{
    char *taken = buffer_take(text);
    need_ok(taken ? ERR_OK : ERR_NOMEM);
    return taken;
}

/* ---- Places ---- */

struct place_answer step_ask_place(struct step *step, const char *user)
{
    if (step->session->life != AGENT_NONE) {
        return (struct place_answer){.kind = PLACE_GIVEN};
    }
    return step->sink->take_place(step->sink->context, step->session, user);
}

void answer_refuse_place(struct step *step, const struct caller *caller, const struct place_answer *place)
{
    step->sink->answer(step->sink->context, caller, place->code, place->message, place->fields);
}

static void spawn(struct step *step)
{
    struct session *session = step->session;
    bool waited = session->life == AGENT_WAITING;
    step_lawful_policy(step); /* the agent is started with it */
    /* A number that no event of this session has had: ids made from it cannot come again. */
    session->run = session->run > session->head ? session->run + 1 : session->head + 1;
    session->life = AGENT_STARTING;
    session->start_expired = false;
    session->proven = false;
    session->start_deadline = step->sink->arm(step->sink->context, session, ARM_START,
                                              step->now->limits->start_timeout_ms, NULL);
    if (waited) {
        step_say_phase(step, NULL);
    } else if (session->head && session->phase != PHASE_STARTING) {
        step_phase(step, PHASE_STARTING, NULL);
    }
    session->changed = true;
    step->sink->start_agent(step->sink->context, session);
}

static void say_waiting(struct step *step, size_t before)
{
    struct buffer text = {0};
    buffer_format(&text, "waiting for a free place: %zu before it", before);
    char *detail = take_text(&text);
    step_phase(step, PHASE_STARTING, detail);
    free(detail);
}

void step_start_agent(struct step *step, const struct place_answer *place)
{
    struct session *session = step->session;
    if (session->life != AGENT_NONE) {
        return;
    }
    CHECK(place->kind != PLACE_REFUSED);
    if (place->kind == PLACE_GIVEN) {
        spawn(step);
    } else {
        session->life = AGENT_WAITING;
        say_waiting(step, place->before);
    }
}

void step_leave_place(struct step *step)
{
    struct session *session = step->session;
    if (session->life == AGENT_WAITING) {
        session->life = AGENT_NONE;
        session->changed = true;
        step->sink->leave_place(step->sink->context, session);
    }
}

void step_nothing_waits(struct step *step)
{
    struct session *session = step->session;
    /* A new session has its agent started without any prompt. */
    if (session->life == AGENT_WAITING && !session->queue && !session->setting_waiters && session->run) {
        step_leave_place(step);
        step_phase(step, PHASE_STOPPED, "no prompt waits for it any more");
    }
}

void session_place_given(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    CHECK(session->life == AGENT_WAITING);
    spawn(&step);
    step_end(&step);
}

void session_place_moved(struct session *session, const struct session_sink *sink, const struct session_now *now,
                         size_t before)
{
    struct step step = STEP(session, sink, now);
    CHECK(session->life == AGENT_WAITING);
    say_waiting(&step, before);
    step_end(&step);
}

static void refused(struct step *step, const struct place_answer *why)
{
    struct session *session = step->session;
    session->life = AGENT_NONE;
    session->queue_paused = session->queue != NULL;
    step_settings_lost(step, why->code, why->message);
    step_error(step, NULL, why->message, answer_code_name(why->code), true);
    step_phase(step, PHASE_FAILED, why->message);
}

void session_place_refused(struct session *session, const struct session_sink *sink, const struct session_now *now,
                           const struct place_answer *why)
{
    struct step step = STEP(session, sink, now);
    CHECK(session->life == AGENT_WAITING);
    refused(&step, why);
    step_end(&step);
}

/* ---- Whether it works ---- */

static void disarm(struct step *step, void **deadline)
{
    if (*deadline) {
        step->sink->disarm(step->sink->context, *deadline);
        *deadline = NULL;
    }
}

void step_proven(struct step *step)
{
    struct session *session = step->session;
    if (session->life == AGENT_READY && !session->proven) {
        session->proven = true;
        (void)step->sink->run(step->sink->context, session, RUN_PROVEN, NULL);
    }
}

void session_proof_expired(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    session->proof_deadline = NULL;
    step_proven(&step);
    step_end(&step);
}

/* ---- Idle ---- */

static bool is_idle(const struct session *session)
{
    return session->life == AGENT_READY && !session->turn.id && !session->pending && !session->looking && !session->closing &&
           !session->setting_waiters && (!session->queue || session->queue_paused);
}

static void arm_idle(struct step *step, int64_t after_ms)
{
    step->session->idle_deadline = step->sink->arm(step->sink->context, step->session, ARM_AGENT_IDLE,
                                                   after_ms > 0 ? after_ms : 1, NULL);
}

void step_settle_idle(struct step *step)
{
    struct session *session = step->session;
    bool idle = is_idle(session);
    if (idle && !session->idle) {
        session->idle_since = step->now->at;
    }
    session->idle = idle;
    int64_t idle_ms = step->now->limits->idle_ms;
    if (!idle || !idle_ms) {
        disarm(step, &session->idle_deadline);
    } else if (!session->idle_deadline) {
        arm_idle(step, idle_ms - instant_diff_ms(step->now->at, session->idle_since));
    }
    if (session->life != AGENT_READY || session->proven) {
        disarm(step, &session->proof_deadline);
    } else if (!session->proof_deadline && step->now->limits->proof_ms) {
        session->proof_deadline = step->sink->arm(step->sink->context, session, ARM_PROOF,
                                                  step->now->limits->proof_ms, NULL);
    }
}

static void idle_stop(struct step *step, const char *detail)
{
    struct session *session = step->session;
    free(session->stop_detail);
    session->stop_detail = need_copy(detail);
    session->life = AGENT_ENDING;
    metric_add(METRIC_AGENTS_STOPPED_IDLE, 1);
    step->sink->order(step->sink->context, session, ORDER_STOP, NULL, NULL, NULL, NULL);
}

void session_idle_stop(struct session *session, const struct session_sink *sink, const struct session_now *now,
                       const char *detail)
{
    struct step step = STEP(session, sink, now);
    CHECK(is_idle(session));
    idle_stop(&step, detail);
    step_end(&step);
}

void session_idle_expired(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    session->idle_deadline = NULL;
    int64_t idle_ms = now->limits->idle_ms;
    /* It may be another time by now; then step_end arms the rest of it. */
    if (is_idle(session) && idle_ms && instant_diff_ms(now->at, session->idle_since) >= idle_ms) {
        struct buffer text = {0};
        buffer_text(&text, "the agent was stopped after ");
        put_duration(&text, idle_ms);
        buffer_text(&text, " without work (agent-idle-ms)");
        char *detail = take_text(&text);
        idle_stop(&step, detail);
        free(detail);
    }
    step_end(&step);
}

void session_limits_changed(struct session *session, const struct session_sink *sink, const struct session_now *now)
{
    struct step step = STEP(session, sink, now);
    disarm(&step, &session->idle_deadline);
    /* What the operator denies by now, nobody is to say yes to, also where it was asked before. */
    step_lawful_policy(&step);
    step_judge_pending(&step);
    step_settle_phase(&step);
    step_end(&step);
}
