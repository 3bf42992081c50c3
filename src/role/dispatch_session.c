/* Sessions come into memory: created, or read back from the store. */
#include "dispatch_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/id.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"

struct held *dispatch_find(struct dispatch *dispatch, const char *session_id)
{
    struct topic *topic = topic_map_find(dispatch->wiring.topics, session_id);
    struct held *held = topic ? topic->session : NULL;
    topic_put(topic); /* the held session keeps its own */
    return held;
}

static struct held *hold(struct dispatch *dispatch, struct session *session)
{
    char epoch[EPOCH_MAX + 1];
    snprintf(epoch, sizeof(epoch), "%s.%s", session->epoch, dispatch->wiring.generation);
    struct held *held = need_zero(sizeof(*held));
    held->session = session;
    held->parked_last = &held->parked;
    held->closed = session->phase == PHASE_CLOSED;
    need_ok(topic_new(&held->topic, session->id, epoch, session->key, session->head, dispatch->wiring.limits));
    held->topic->session = held;
    need_ok(topic_map_add(dispatch->wiring.topics, held->topic));
    session->owner = held;
    held->next = dispatch->sessions;
    *(held->next ? &held->next->previous : &dispatch->oldest) = held;
    dispatch->sessions = held;
    held->used = dispatch->now.at;
    metric_add(METRIC_SESSIONS, 1);
    dispatch_idle_arm(dispatch);
    return held;
}

void held_free(struct dispatch *dispatch, struct held *held)
{
    *(held->previous ? &held->previous->next : &dispatch->sessions) = held->next;
    *(held->next ? &held->next->previous : &dispatch->oldest) = held->previous;
    held->topic->session = NULL;
    places_remove(&dispatch->places, &held->place);
    free(held->breaker);
    topic_put(held->topic);
    session_free(held->session);
    free(held);
    metric_add(METRIC_SESSIONS, -1);
}

void held_row(const struct held *held, struct session_row *row)
{
    const struct session *session = held->session;
    *row = (struct session_row){
        .key = session->key,
        .id = need_copy(session->id),
        .agent = need_copy(session->agent),
        .workspace = need_copy(session->workspace),
        .title = need_copy(session->title),
        .policy = need_copy(session->policy),
        .phase = need_copy(session_phase_name(session->phase)),
        .epoch = need_copy(session->epoch),
        .created_by = need_copy(session->created_by),
        .created_at = session->created_at,
        .updated_at = session->updated_at,
        .head = session->head,
        .open_from = session->turn.id ? session->turn.from : session->outside_from,
        .run = session->run,
        .pending = (uint32_t)session->pending_count,
        .oldest_pending_at = session->pending ? session->pending->created_at : 0,
        .closed = session->phase == PHASE_CLOSED,
        .queue = session_queue_text(session),
        .agent_state = session_state_text(session),
    };
    if (session->outside_from && session->turn.id && session->outside_from < row->open_from) {
        row->open_from = session->outside_from;
    }
}

/* ---- Created ---- */

void dispatch_create(struct dispatch *dispatch, struct dispatch_command *command)
{
    const struct command *given = command->command;
    const struct answer *refusal = &command->refusal;
    if (refusal->code != ANSWER_OK) {
        dispatch_answer(dispatch, command, refusal->code, refusal->message, refusal->fields);
        return;
    }
    const struct config_agent *agent = config_agent(dispatch->config, given->agent);
    if (!agent) {
        dispatch_answer(dispatch, command, ANSWER_NOT_FOUND, "there is no agent of this name", ",\"field\":\"agent\"");
        return;
    }
    if (dispatch->open_sessions >= dispatch->config->max_sessions) {
        dispatch_answer(dispatch, command, ANSWER_LIMIT_REACHED, "too many sessions are open already (max-sessions)", NULL);
        return;
    }
    const struct place_answer place = dispatch_may_start(dispatch, NULL, given->agent);
    if (place.kind == PLACE_REFUSED) {
        dispatch_answer(dispatch, command, place.code, place.message, place.fields);
        return;
    }
    char id[ID_SIZE], epoch[ID_SIZE];
    id_random(id);
    id_random(epoch);
    epoch[8] = 0; /* names one log among those of the same session id, of which there is one or, after a loss, a few */

    struct session *session = session_new(id);
    session->key = dispatch->next_key++;
    session->agent = need_copy(given->agent);
    session->workspace = need_copy(given->workspace);
    session->title = need_copy(given->title);
    session->titled = given->title && *given->title;
    session->policy = need_copy(config_policy_names[dispatch->config->default_policy]);
    session->epoch = need_copy(epoch);
    session->created_by = need_copy(command->identity.user);
    session->created_at = session->updated_at = dispatch->now.wall_ms;
    dispatch_step(dispatch, hold(dispatch, session));
    dispatch->open_sessions++;
    log_info("session created", "session", "%s", session->id, "agent", "%s", session->agent, "workspace", "%s",
             session->workspace, "user", "%s", session->created_by, NULL);

    const struct caller caller = dispatch_caller(command);
    session_begin(session, &dispatch->sink, &dispatch->now, &caller);
}

/* ---- Read back ---- */

/* In order with other answers, or at once where they would wait for the store. */
static void answer_unassigned(struct dispatch *dispatch, const struct dispatch_command *command, enum answer_code code,
                              const char *message)
{
    dispatch->at_once = dispatch->store_failing;
    dispatch_answer(dispatch, command, code, message, NULL);
    dispatch->at_once = false;
}

void dispatch_load(struct dispatch *dispatch, const char *session_id, struct dispatch_command *command)
{
    if (strlen(session_id) > SESSION_ID_MAX) {
        answer_unassigned(dispatch, command, ANSWER_NOT_FOUND, "there is no such session");
        dispatch_command_free(command);
        return;
    }
    struct loading *loading = dispatch->loading;
    while (loading && strcmp(loading->session_id, session_id)) {
        loading = loading->next;
    }
    if (!loading) {
        struct history_request *request;
        need_ok(history_request_new(&request));
        request->kind = HISTORY_SESSION;
        request->reply_to = dispatch->inbox;
        request->reply_kind = DISPATCH_SESSION;
        snprintf(request->session_id, sizeof(request->session_id), "%s", session_id);
        loading = need_zero(sizeof(*loading));
        snprintf(loading->session_id, sizeof(loading->session_id), "%s", session_id);
        loading->last = &loading->first;
        loading->next = dispatch->loading;
        dispatch->loading = loading;
        mailbox_push(dispatch->wiring.history, &request->mail);
    }
    command->parked_next = NULL;
    *loading->last = command;
    loading->last = &command->parked_next;
}

static struct session *session_of_row(struct session_row *row)
{
    struct session *session = session_new(row->id);
    session->key = row->key;
    session->agent = need_copy(row->agent);
    session->workspace = need_copy(row->workspace);
    session->title = need_copy(row->title);
    session->policy = need_copy(row->policy);
    session->epoch = need_copy(row->epoch);
    session->created_by = need_copy(row->created_by);
    session->created_at = row->created_at;
    session->updated_at = session->last_ts = row->updated_at;
    session->head = row->head;
    session->run = session->past_run = row->run;
    session_state_restore(session, row->agent_state);
    if (!session_phase_parse(row->phase, &session->phase) ||
        (session->phase != PHASE_CLOSED && session->phase != PHASE_FAILED)) {
        session->phase = PHASE_STOPPED; /* no process outlives the memory that knew it */
    }
    session_queue_restore(session, row->queue);
    return session;
}

void dispatch_loaded(struct dispatch *dispatch, struct history_request *request)
{
    struct loading **at = &dispatch->loading;
    while (strcmp((*at)->session_id, request->session_id)) {
        at = &(*at)->next;
    }
    struct loading *loading = *at;
    *at = loading->next;

    if (request->result == ERR_OK) {
        hold(dispatch, session_of_row(&request->row));
    } else if (request->result != ERR_NOENT) {
        log_error("a session could not be read", "session", "%s", request->session_id, "reason", "%s",
                  err_text(request->result), NULL);
    }
    while (loading->first) {
        struct dispatch_command *command = loading->first;
        loading->first = command->parked_next;
        if (request->result == ERR_OK) {
            dispatch_take_command(dispatch, command);
            continue;
        }
        bool missing = request->result == ERR_NOENT;
        answer_unassigned(dispatch, command, missing ? ANSWER_NOT_FOUND : ANSWER_STORAGE_UNAVAILABLE,
                          missing ? "there is no such session" : "the session could not be read");
        dispatch_command_free(command);
    }
    free(loading);
    history_request_free(request);
}
