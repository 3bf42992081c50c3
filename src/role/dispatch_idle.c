/*
 * Idle sessions leave memory, and come back when somebody asks for them.
 *
 * A session may leave when its topic has two references only, the map's and its own. Everybody else who has to do with
 * it (a client that watches, a `subscribed` or a poke on its way, an agent with its mail, a deadline, a batch in the
 * journal) holds one; and a new one is given by who has one, or by this thread, which alone looks into the map. So two
 * stay two until this thread gives out another, and no second topic of a session is ever made while somebody still has
 * the first. (A handler thread that answers a page looks as well, for the moment in which it raises whole_from, which
 * means nothing to a topic that leaves.)
 */
#include "dispatch_internal.h"

#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/mail/timer.h"

enum { SWEEP_MAX = 256, PERIOD_MIN_MS = 10, PERIOD_MAX_MS = 60000, REFERENCES = 2 };

void dispatch_use(struct dispatch *dispatch, struct held *held)
{
    held->used = dispatch->now.at;
    if (dispatch->sessions == held) {
        return;
    }
    held->previous->next = held->next;
    *(held->next ? &held->next->previous : &dispatch->oldest) = held->previous;
    held->previous = NULL;
    held->next = dispatch->sessions;
    held->next->previous = held;
    dispatch->sessions = held;
}

static void arm(struct dispatch *dispatch, int64_t after_ms)
{
    struct deadline *deadline = need_zero(sizeof(*deadline));
    deadline->at = instant_after_ms(dispatch->now.at, after_ms);
    deadline->what = DEADLINE_IDLE;
    deadline->mail.kind = TIMER_ARM;
    mailbox_push(dispatch->wiring.timer, &deadline->mail);
    dispatch->idle_armed = true;
}

void dispatch_idle_arm(struct dispatch *dispatch)
{
    if (dispatch->idle_armed) {
        return;
    }
    int64_t period = dispatch->config->session_idle_ms / 4;
    period = period < PERIOD_MIN_MS ? PERIOD_MIN_MS : period;
    if (!dispatch->config->session_idle_ms || period > PERIOD_MAX_MS) {
        period = PERIOD_MAX_MS; /* also where none leaves: the option may change */
    }
    arm(dispatch, period);
}

bool dispatch_at_rest(const struct held *held)
{
    const struct session *session = held->session;
    bool ended = session->phase == PHASE_STOPPED || session->phase == PHASE_FAILED || session->phase == PHASE_CLOSED;
    return ended && session->life == AGENT_NONE && !session->turn.id && !session->pending && !session->looking &&
           !session->outside_from && !session->close_waiters && !session->start_deadline && !session->changed &&
           (!session->queue || session->queue_paused) && !held->checking;
}

/* What comes back from the store is what is here now. */
static bool may_leave(const struct dispatch *dispatch, const struct held *held)
{
    return dispatch_at_rest(held) && !held->erased && !held->feed_deadline && !held->feed_due &&
           dispatch_settled(dispatch, held) && ref_count(&held->topic->ref) == REFERENCES;
}

static void leave(struct dispatch *dispatch, struct held *held)
{
    /* The journal may have its tail among the others; it is the last to hold it. */
    (void)dispatch_out(dispatch, JOURNAL_FORGET, held->topic);
    topic_map_remove(dispatch->wiring.topics, held->topic);
    held_free(dispatch, held);
    metric_add(METRIC_SESSIONS_LEFT, 1);
}

void dispatch_idle_sweep(struct dispatch *dispatch)
{
    if (dispatch->draining || dispatch->ending) {
        return;
    }
    int64_t idle_ms = dispatch->config->session_idle_ms;
    int looked = 0;
    struct held *held = dispatch->oldest;
    while (idle_ms && held && looked < SWEEP_MAX && instant_diff_ms(dispatch->now.at, held->used) >= idle_ms) {
        struct held *newer = held->previous;
        if (may_leave(dispatch, held)) {
            leave(dispatch, held);
        } else {
            dispatch_use(dispatch, held); /* looked at again after another such time */
        }
        held = newer;
        looked++;
    }
    if (looked == SWEEP_MAX) {
        arm(dispatch, 1); /* others have their turn first */
    } else if (dispatch->sessions) {
        dispatch_idle_arm(dispatch);
    }
}
