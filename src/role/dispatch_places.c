/* How many agents run: a limit, a fair queue before it (core/places.c), and idle agents that make room. */
#include "dispatch_internal.h"

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"

enum {
    NEAR = 3,
    LOOK_MS = 5000, /* while somebody waits: nobody tells of a configuration with more places */
};

void dispatch_count_agent(struct dispatch *dispatch, struct held *held)
{
    bool running = session_has_agent(held->session);
    if (running != held->counted) {
        held->counted = running;
        dispatch->agents_running += running ? 1 : (size_t)-1;
        dispatch->places_due |= !running;
    }
    if (held->session->idle && !held->idle_seen) {
        dispatch->places_due = true; /* it may make room */
    }
    held->idle_seen = held->session->idle;
}

static bool place_is_free(const struct dispatch *dispatch)
{
    return dispatch->agents_running < (size_t)dispatch->config->max_agents;
}

struct place_answer dispatch_may_start(struct dispatch *dispatch, const struct held *held, const char *agent)
{
    struct place_answer answer = dispatch_breakers_ask(dispatch, held, agent);
    if (answer.kind == PLACE_REFUSED || place_is_free(dispatch)) {
        return answer;
    }
    size_t most = (size_t)dispatch->config->max_waiting_agents;
    if (dispatch->places.count >= most) {
        return (struct place_answer){.kind = PLACE_REFUSED, .code = ANSWER_LIMIT_REACHED,
                                     .message = most ? "too many agents run already (max-agents), and too many "
                                                       "sessions wait for them (max-waiting-agents)"
                                                     : "too many agents run already (max-agents)"};
    }
    answer.kind = PLACE_WAITS;
    return answer;
}

static struct place_answer sink_take_place(void *context, struct session *session, const char *user)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    struct place_answer answer = dispatch_may_start(dispatch, held, session->agent);
    if (answer.kind == PLACE_REFUSED) {
        return answer;
    }
    dispatch_breakers_enter(dispatch, held);
    if (answer.kind == PLACE_GIVEN) {
        held->counted = true;
        dispatch->agents_running++;
        return answer;
    }
    places_add(&dispatch->places, &held->place, user);
    dispatch->places_due = true; /* an idle agent may make room */
    answer.before = held->before_told = places_before(&dispatch->places, &held->place);
    metric_set(METRIC_AGENTS_WAITING, (int64_t)dispatch->places.count);
    return answer;
}

static void sink_leave_place(void *context, struct session *session)
{
    struct dispatch *dispatch = context;
    struct held *held = session->owner;
    places_remove(&dispatch->places, &held->place);
    dispatch_breakers_leave(dispatch, held);
    dispatch->places_due = true; /* others move up */
    metric_set(METRIC_AGENTS_WAITING, (int64_t)dispatch->places.count);
}

static void give_place(struct dispatch *dispatch, struct held *held)
{
    dispatch_step(dispatch, held);
    struct place_answer answer = dispatch_breakers_ask(dispatch, held, held->session->agent);
    if (answer.kind == PLACE_REFUSED) {
        dispatch_breakers_leave(dispatch, held);
        session_place_refused(held->session, &dispatch->sink, &dispatch->now, &answer);
        return;
    }
    dispatch_breakers_enter(dispatch, held);
    held->counted = true;
    dispatch->agents_running++;
    session_place_given(held->session, &dispatch->sink, &dispatch->now);
}

/* Not each step of a long way is told, or a queue of n would cost n * n events: each half of it, and the last ones. */
static void tell_place(struct place_wait *place, size_t before, void *context)
{
    struct dispatch *dispatch = context;
    struct held *held = container_of(place, struct held, place);
    if (before < held->before_told && (before <= NEAR || before <= held->before_told / 2)) {
        held->before_told = before;
        dispatch_step(dispatch, held);
        session_place_moved(held->session, &dispatch->sink, &dispatch->now, before);
    }
}

static struct held *longest_idle(struct dispatch *dispatch)
{
    struct held *found = NULL;
    for (struct held *held = dispatch->sessions; held; held = held->next) {
        if (held->session->idle && (!found || held->session->idle_since.ns < found->session->idle_since.ns)) {
            found = held;
        }
    }
    return found;
}

/* For each session that waits one idle agent is stopped, but for those that are ending anyway. */
static void make_room(struct dispatch *dispatch)
{
    int64_t room_ms = dispatch->config->agent_room_idle_ms;
    size_t ending = 0;
    for (const struct held *held = dispatch->sessions; held; held = held->next) {
        ending += held->session->life == AGENT_ENDING;
    }
    for (; room_ms && ending < dispatch->places.count; ending++) {
        struct held *held = longest_idle(dispatch);
        if (!held) {
            return;
        }
        struct instant due = instant_after_ms(held->session->idle_since, room_ms);
        if (!instant_reached(due, dispatch->now.at)) {
            dispatch_keep_arm(dispatch, due);
            dispatch->room_due = true;
            return;
        }
        dispatch_step(dispatch, held);
        session_idle_stop(held->session, &dispatch->sink, &dispatch->now,
                          "the agent was idle and was stopped to make room for another session (agent-room-idle-ms)");
    }
}

bool dispatch_places_look(struct dispatch *dispatch)
{
    if (!dispatch->places_due || !dispatch->places.count || dispatch->draining) {
        return false;
    }
    dispatch->places_due = false;
    while (dispatch->places.count && place_is_free(dispatch)) {
        give_place(dispatch, container_of(places_take(&dispatch->places), struct held, place));
    }
    metric_set(METRIC_AGENTS_WAITING, (int64_t)dispatch->places.count);
    places_each(&dispatch->places, tell_place, dispatch);
    make_room(dispatch);
    if (dispatch->places.count) {
        dispatch_keep_arm(dispatch, instant_after_ms(dispatch->now.at, LOOK_MS));
    }
    return true;
}

void dispatch_places_init(struct dispatch *dispatch)
{
    dispatch->sink.take_place = sink_take_place;
    dispatch->sink.leave_place = sink_leave_place;
}
