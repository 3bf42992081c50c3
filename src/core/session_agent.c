/* What a session makes of its agent's notices. */
#include "session_internal.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/need.h"
#include "signalbox/base/metrics.h"

static void disarm_start(struct step *step)
{
    if (step->session->start_deadline) {
        step->sink->disarm(step->sink->context, step->session->start_deadline);
        step->session->start_deadline = NULL;
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
    session->can_known = true;
    session->can = notice->can;
    session->changed = true;
    if (session->had_turns && notice->memory != MEMORY_KEPT) {
        struct buffer text = {0};
        buffer_text(&text, "the agent was started anew and does not remember what was said before");
        if (notice->message) {
            buffer_text(&text, ": ");
            buffer_text(&text, notice->message);
        }
        char *message = buffer_take(&text);
        need_ok(message ? ERR_OK : ERR_NOMEM);
        step_error(step, NULL, message, "agent_memory_lost", false);
        free(message);
    }
    step_settle_phase(step);
    step_settings_ready(step);
    step_next_turn(step);
}

/* The process never became an agent with a session. Its NOTICE_EXITED may still follow, and finds life NONE. */
static void take_failed(struct step *step, struct agent_notice *notice)
{
    struct session *session = step->session;
    disarm_start(step);
    bool told = session->life == AGENT_ENDING; /* by whoever is ending it: closing, stopping, the start's deadline */
    session->life = AGENT_NONE;
    metric_add(METRIC_AGENTS_FAILED, 1);
    step_settings_lost(step, ANSWER_AGENT_FAILED, notice->message);
    if (session->closing) {
        step_closed(step);
        return;
    }
    session->queue_paused = session->queue != NULL;
    if (!told) {
        step_error(step, NULL, notice->message, notice->code ? notice->code : "agent_failed", true);
    }
    if (session->stopping) {
        step_phase(step, PHASE_STOPPED, "the server is stopping");
    } else {
        step_phase(step, PHASE_FAILED, notice->message);
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
    step_next_turn(step);
}

static void take_exited(struct step *step, struct agent_notice *notice)
{
    struct session *session = step->session;
    disarm_start(step);
    if (session->life == AGENT_NONE) {
        return; /* NOTICE_FAILED has said it, and more cannot come of it */
    }
    bool in_turn = session->turn.id != NULL;
    session->life = AGENT_NONE;
    step_settings_lost(step, ANSWER_AGENT_FAILED, notice->message);
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
    step_phase(step, PHASE_STOPPED, session->stopping ? "the server is stopping" : notice->message);
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
    case NOTICE_SETTING:
        step_setting_answered(&step, notice);
        break;
    case NOTICE_EXITED:
        take_exited(&step, notice);
        break;
    }
    agent_notice_clear(notice);
    step_end(&step);
}
