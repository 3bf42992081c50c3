/* What a session makes of its agent's notices. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/content.h"
#include "signalbox/base/need.h"
#include "signalbox/base/metrics.h"

static void disarm_start(struct step *step)
{
    if (step->session->start_deadline) {
        step->sink->disarm(step->sink->context, step->session->start_deadline);
        step->session->start_deadline = NULL;
    }
}

/* Told only where it is news: the event is never folded away, and most runs of an agent say the same. */
static void take_can(struct step *step, unsigned can)
{
    struct session *session = step->session;
    bool news = !session->can_told || session->can != can;
    session->can_known = true;
    session->can_told = true;
    session->can = can;
    if (news) {
        content_put_can(step_event(step, EVENT_PROMPT_CAPABILITIES, NULL), can);
        step_emit(step, EVENT_PROMPT_CAPABILITIES);
    }
}

/* A conversation that its agent cannot take up again, since it dies or hangs of it, would be lost for people, too. After the
 * second time it is begun anew, as where the agent refuses it. */
enum { RETURNS_MAX = 2 };

static void count_return(struct session *session, const struct agent_notice *notice)
{
    if (notice->coming_back && ++session->lost_returns >= RETURNS_MAX) {
        free(session->agent_session);
        session->agent_session = NULL;
        session->changed = true;
    }
}

static void take_ready(struct step *step, const struct agent_notice *notice)
{
    struct session *session = step->session;
    disarm_start(step);
    if (session->life != AGENT_STARTING) {
        return; /* it is being ended already */
    }
    session->life = AGENT_READY;
    free(session->agent_session);
    session->agent_session = need_copy(notice->acp_session_id);
    session->changed = true;
    take_can(step, notice->can);
    if (session->had_turns && notice->memory != MEMORY_KEPT) {
        struct buffer text = {0};
        buffer_text(&text, "the agent was started anew and does not remember what was said before");
        bool gave_up = session->lost_returns >= RETURNS_MAX;
        if (notice->message || gave_up) {
            buffer_text(&text, ": ");
            buffer_text(&text, notice->message ? notice->message : "It ended twice while it was to go on with its session.");
        }
        char *message = buffer_take(&text);
        need_ok(message ? ERR_OK : ERR_NOMEM);
        step_error(step, NULL, message, "agent_memory_lost", false);
        free(message);
    }
    session->lost_returns = 0;
    step_settle_phase(step);
    step_settings_ready(step);
    step_next_turn(step);
}

/* What the watchers are told of an agent that did not start or died: `message`, and whether it will be tried again. */
static void step_phase_noting(struct step *step, enum session_phase phase, const char *message, const char *note)
{
    if (!note) {
        step_phase(step, phase, message);
        return;
    }
    struct buffer text = {0};
    buffer_format(&text, "%s%s%s", message ? message : "", message ? " " : "", note);
    char *detail = buffer_take(&text);
    need_ok(detail ? ERR_OK : ERR_NOMEM);
    step_phase(step, PHASE_FAILED, detail);
    free(detail);
}

/* The process never became an agent with a session. Its NOTICE_EXITED may still follow, and finds no agent. */
static void take_failed(struct step *step, struct agent_notice *notice)
{
    struct session *session = step->session;
    disarm_start(step);
    bool told = session->life == AGENT_ENDING; /* by whoever is ending it: closing, stopping, the start's deadline */
    /* A program or a login that is missing is for a person to mend, who is not to wait for it to be tried. */
    bool missing = notice->auth_required || (notice->code && !strcmp(notice->code, "agent_unavailable"));
    enum agent_run run = session->closing || session->stopping ? RUN_OVER : missing ? RUN_MISSING : RUN_FAILED;
    session->life = AGENT_NONE;
    session->said_from = 0;
    metric_add(METRIC_AGENTS_FAILED, 1);
    const char *note = step->sink->run(step->sink->context, session, run, notice->message);
    step_settings_lost(step, ANSWER_AGENT_FAILED, notice->message);
    if (session->closing) {
        step_closed(step);
        return;
    }
    session->queue_paused = session->queue != NULL;
    if (!session->stopping) {
        count_return(session, notice);
    }
    if (!told) {
        step_error(step, NULL, notice->message, notice->code ? notice->code : "agent_failed", true);
    }
    if (session->stopping) {
        step_phase(step, PHASE_STOPPED, "the server is stopping");
    } else {
        step_phase_noting(step, PHASE_FAILED, notice->message, note);
    }
}

static void take_turn_ended(struct step *step, struct agent_notice *notice)
{
    struct session *session = step->session;
    if (!session->turn.id || !notice->turn_id || strcmp(session->turn.id, notice->turn_id)) {
        return;
    }
    step_cancel_pending(step, "turn_ended", true);
    if (notice->message) {
        step_error(step, session->turn.id, notice->message, notice->code ? notice->code : "agent_error", false);
    }
    step_complete(step, notice->stop_reason ? notice->stop_reason : "end_turn", notice->usage);
    session->said_from = 0; /* all that it had open ends with a turn */
    step_proven(step);
    step_next_turn(step);
}

/* What came while an idle agent was being stopped is worth a new one. */
static void start_again(struct step *step, bool queue_goes_on)
{
    struct session *session = step->session;
    struct place_answer place = step_ask_place(step, queue_goes_on ? session->queue->user : session->created_by);
    if (place.kind != PLACE_REFUSED) {
        session->queue_paused = session->queue && !queue_goes_on;
        step_start_agent(step, &place);
        return;
    }
    step_settings_lost(step, place.code, place.message);
    step_error(step, NULL, place.message, answer_code_name(place.code), true);
    step_phase(step, PHASE_FAILED, place.message);
}

static void take_exited(struct step *step, struct agent_notice *notice)
{
    struct session *session = step->session;
    disarm_start(step);
    if (!session_has_agent(session)) {
        return; /* NOTICE_FAILED has said it, and more cannot come of it */
    }
    bool in_turn = session->turn.id != NULL;
    bool crashed = session->life != AGENT_ENDING && (in_turn || !session->proven);
    bool queue_goes_on = session->queue && !session->queue_paused;
    bool goes_on = session->stop_detail && (queue_goes_on || session->setting_waiters) && !session->closing &&
                   !session->stopping;
    session->life = AGENT_NONE;
    session->said_from = 0;
    const char *note = step->sink->run(step->sink->context, session,
                                       session->start_expired ? RUN_FAILED : crashed ? RUN_CRASHED : RUN_OVER,
                                       notice->message);
    if (!goes_on) {
        step_settings_lost(step, ANSWER_AGENT_FAILED, notice->message);
    }
    step_cancel_pending(step, session->closing ? "session_closed" : "agent_exited", false);
    if (session->closing) {
        step_complete(step, "cancelled", NULL);
        step_closed(step);
        return;
    }
    session->queue_paused = session->queue != NULL;
    if (in_turn) {
        if (session->stopping) {
            step_error(step, session->turn.id, "the server is stopping", "server_stopped", true);
            step_complete(step, "server_restarted", NULL);
        } else {
            step_error(step, session->turn.id, notice->message, "agent_exited", true);
            step_complete(step, "agent_exited", NULL);
            metric_add(METRIC_AGENTS_FAILED, 1);
        }
    }
    const char *why = session->stopping      ? "the server is stopping"
                      : session->stop_detail ? session->stop_detail
                                             : notice->message;
    step_phase_noting(step, PHASE_STOPPED, why, session->stopping ? NULL : note);
    free(session->stop_detail);
    session->stop_detail = NULL;
    if (goes_on) {
        start_again(step, queue_goes_on);
    }
}

/* ---- Silence ---- */

static void take_silent(struct step *step, const struct agent_notice *notice)
{
    struct session *session = step->session;
    if (session->life != AGENT_READY || session->phase != PHASE_RUNNING) {
        return; /* it is another's turn to say something by now */
    }
    metric_add(METRIC_AGENT_SILENCES, 1);
    session->silent = true;
    struct buffer text = {0};
    buffer_text(&text, "no sign of life from the agent for ");
    put_duration(&text, notice->silent_ms);
    char *detail = buffer_take(&text);
    need_ok(detail ? ERR_OK : ERR_NOMEM);
    step_say_phase(step, detail);
    free(detail);
}

static void take_heard(struct step *step)
{
    struct session *session = step->session;
    if (session->silent && session->life == AGENT_READY && session->turn.id) {
        step_say_phase(step, NULL);
    }
    session->silent = false;
}

static void take_hangs(struct step *step, const struct agent_notice *notice)
{
    struct session *session = step->session;
    if (session->life != AGENT_READY || !session->turn.id || session->turn.cancelling || session->pending) {
        return;
    }
    metric_add(METRIC_AGENT_HANGS, 1);
    struct buffer text = {0};
    buffer_text(&text, "the agent gave no sign of life for ");
    put_duration(&text, notice->silent_ms);
    buffer_text(&text, ", and its turn is cancelled (agent-hang-ms)");
    char *message = buffer_take(&text);
    need_ok(message ? ERR_OK : ERR_NOMEM);
    step_error(step, session->turn.id, message, "agent_hangs", false);
    free(message);
    step_cancel_turn(step);
}

void session_agent_notice(struct session *session, const struct session_sink *sink, const struct session_now *now,
                          struct agent_notice *notice)
{
    struct step step = STEP(session, sink, now);
    switch (notice->kind) {
    case NOTICE_READY:
        take_ready(&step, notice);
        break;
    case NOTICE_FAILED:
        take_failed(&step, notice);
        break;
    case NOTICE_PERMISSION:
        step_permission_ask(&step, notice->ask);
        notice->ask = NULL;
        break;
    case NOTICE_PERMISSION_WITHDRAWN:
        step_permission_withdrawn(&step, notice->request_id);
        break;
    case NOTICE_TURN_ENDED:
        take_turn_ended(&step, notice);
        break;
    case NOTICE_TITLE:
        free(session->title);
        session->title = need_copy(notice->title);
        session->changed = true;
        break;
    case NOTICE_SILENT:
        take_silent(&step, notice);
        break;
    case NOTICE_HANGS:
        take_hangs(&step, notice);
        break;
    case NOTICE_HEARD:
        take_heard(&step);
        break;
    case NOTICE_SETTING:
        step_setting_answered(&step, notice);
        break;
    case NOTICE_SERVICE_REFUSED:
        step_service_refused(&step, notice);
        break;
    case NOTICE_EXITED:
        take_exited(&step, notice);
        break;
    }
    agent_notice_clear(notice);
    step_end(&step);
}
