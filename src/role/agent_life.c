/* An agent's way from start to end, and what it has the dispatcher told. */
#include "agent_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"

struct agent **agent_bucket(struct agent_stream *stream, const struct topic *topic)
{
    uint64_t hash = (uint64_t)(uintptr_t)topic * UINT64_C(0x9E3779B97F4A7C15);
    return &stream->buckets[(hash >> 32) % AGENT_BUCKETS];
}

/* ---- To the dispatcher ---- */

void agent_push_notice(struct agent_stream *stream, struct agent_notice_mail *mail, struct topic *topic, uint64_t run,
                       const struct agent_notice *notice)
{
    *mail = (struct agent_notice_mail){
        .mail.kind = DISPATCH_AGENT_NOTICE, .topic = topic_get(topic), .run = run, .notice = *notice};
    mailbox_push(stream->wiring.dispatch, &mail->mail);
}

static void sink_send(void *context, const char *line, size_t length)
{
    agent_input_send(context, line, length);
}

static void sink_event(void *context, struct event *event)
{
    struct agent *agent = context;
    struct agent_event_mail *mail = malloc(sizeof(*mail));
    if (!mail) {
        event_discard(event);
        agent->out_of_memory = true;
        return;
    }
    uint32_t bytes = (uint32_t)frame_json_length(event->frame);
    *mail = (struct agent_event_mail){.mail.kind = DISPATCH_AGENT_EVENT,
                                      .topic = topic_get(agent->topic),
                                      .run = agent->run,
                                      .event = *event,
                                      .credit = credit_get(agent->credit),
                                      .credit_bytes = bytes};
    credit_take(agent->credit, bytes);
    mailbox_push(agent->stream->wiring.dispatch, &mail->mail);
}

static enum err sink_file(void *context, uint64_t serial, struct file_call *call)
{
    return agent_file_ask(context, serial, call);
}

static enum err sink_terminal_start(void *context, uint64_t number, const struct terminal_command *command, char *why)
{
    return agent_terminal_start(context, number, command, why);
}

static void sink_terminal_end(void *context, uint64_t number, bool at_once)
{
    agent_terminal_end(context, number, at_once);
}

static void sink_notice(void *context, struct agent_notice *notice)
{
    struct agent *agent = context;
    bool is_final = notice->kind == NOTICE_FAILED || notice->kind == NOTICE_EXITED;
    struct agent_notice_mail *mail = agent->last;
    if (is_final && agent->peer_ended) {
        agent->last = NULL;
    } else {
        mail = malloc(sizeof(*mail));
        agent->given_up = agent->given_up || is_final;
    }
    if (!mail) {
        agent_notice_clear(notice);
        agent->out_of_memory = true;
        return;
    }
    agent_push_notice(agent->stream, mail, agent->topic, agent->run, notice);
}

/* ---- From start to end ---- */

void agent_free(struct agent *agent)
{
    if (!agent) {
        return;
    }
    struct agent_source *sources[] = {&agent->input, &agent->output, &agent->errors, &agent->lifeline, &agent->guard};
    for (size_t i = 0; i < array_size(sources); i++) {
        agent_source_close(agent->stream, sources[i]);
    }
    heap_remove(&agent->stream->ticks, &agent->tick);
    heap_remove(&agent->stream->ends, &agent->end);
    acp_peer_free(agent->peer);
    buffer_free(&agent->queue);
    buffer_free(&agent->pending);
    free(agent->fate_text);
    free(agent->name);
    free(agent->workspace);
    free(agent->last);
    credit_put(agent->credit);
    topic_put(agent->topic);
    free(agent);
}

static enum err peer_new(struct agent *agent, const struct agent_start *start)
{
    const struct config *config = agent->stream->config;
    const struct config_agent *about = config_agent(config, start->agent);
    const struct acp_options options = {
        .session_id = agent->topic->session_id,
        .cwd = start->workspace,
        .run = start->run,
        .delta_window_ms = config->delta_window_ms,
        .max_message_text = (size_t)config->max_message_text,
        .version = agent->stream->wiring.version,
        .keep_title = start->titled,
        .resume = start->resume,
        .login = about != NULL ? about->login : NULL,
        .offers = (about != NULL && about->offers_fs ? (unsigned)ACP_OFFER_FS : 0u) |
                  (about != NULL && about->offers_terminal ? (unsigned)ACP_OFFER_TERMINAL : 0u),
    };
    const struct acp_sink sink = {.context = agent, .send = sink_send, .event = sink_event, .notice = sink_notice,
                                  .file = sink_file, .terminal_start = sink_terminal_start,
                                  .terminal_end = sink_terminal_end};
    return acp_peer_new(&agent->peer, &options, &sink);
}

enum err agent_new(struct agent **out, struct agent_stream *stream, const struct agent_start *start)
{
    struct agent *agent = calloc(1, sizeof(*agent));
    if (!agent) {
        return ERR_NOMEM;
    }
    agent->stream = stream;
    agent->topic = topic_get(start->topic);
    agent->run = start->run;
    agent->input = (struct agent_source){AGENT_SOURCE_INPUT, -1, agent};
    agent->output = (struct agent_source){AGENT_SOURCE_OUTPUT, -1, agent};
    agent->errors = (struct agent_source){AGENT_SOURCE_ERRORS, -1, agent};
    agent->lifeline = (struct agent_source){AGENT_SOURCE_LIFELINE, -1, agent};
    agent->guard = (struct agent_source){AGENT_SOURCE_GUARD, -1, agent};
    agent->name = strdup(start->agent);
    agent->workspace = strdup(start->workspace);
    agent->last = malloc(sizeof(*agent->last));
    enum err err = agent->last && agent->name && agent->workspace ? peer_new(agent, start) : ERR_NOMEM;
    if (!err) {
        err = credit_new(&agent->credit, stream->wiring.credit, stream->credit_bytes, stream->box);
    }
    /* One node each for all agents, so that no later heap_add can fail. */
    if (!err) {
        err = heap_reserve(&stream->ticks, stream->count + 1 - stream->ticks.count);
    }
    if (!err) {
        err = heap_reserve(&stream->ends, stream->count + 1 - stream->ends.count);
    }
    if (err) {
        agent_free(agent);
        return err;
    }
    *out = agent;
    return ERR_OK;
}

void agent_doom(struct agent *agent, const char *why)
{
    if (agent->why[0] == '\0') {
        snprintf(agent->why, sizeof(agent->why), "%s", why);
    }
    agent->doomed = true;
}

void agent_end_peer(struct agent *agent)
{
    agent_input_close(agent);
    agent_terminals_end(agent);
    agent_errors_drain(agent);
    char *words = agent_last_words(agent);
    const char *why = words ? words : "The agent ended.";
    log_info("agent ended", "session", "%s", agent->topic->session_id, "run", "%llu", (unsigned long long)agent->run,
             "how", "%s", why, NULL);
    agent->peer_ended = true;
    acp_peer_time(agent->peer, agent->stream->now, agent->stream->wall_ms);
    acp_peer_end(agent->peer, why);
    free(words);
}

void agent_bury(struct agent *agent)
{
    struct agent_stream *stream = agent->stream;
    struct agent **link = agent_bucket(stream, agent->topic);
    while (*link != agent) {
        link = &(*link)->next;
    }
    *link = agent->next;
    agent_output_close(agent); /* counts it out of the paused ones */
    heap_remove(&stream->ticks, &agent->tick);
    heap_remove(&stream->ends, &agent->end);
    agent->buried = true;
    agent->next = stream->dead;
    stream->dead = agent;
    stream->count--;
    metric_add(METRIC_AGENTS_RUNNING, -1);
}

static void schedule(struct agent *agent)
{
    struct heap *ticks = &agent->stream->ticks;
    struct instant at = acp_peer_deadline(agent->peer);
    bool armed = agent->tick.index != 0;
    if (armed && agent->tick.at.ns == at.ns) {
        return;
    }
    heap_remove(ticks, &agent->tick);
    agent->tick.at = at;
    if (at.ns != INSTANT_NEVER.ns) {
        CHECK(heap_add(ticks, &agent->tick) == ERR_OK); /* reserved in agent_new */
    }
}

void agent_settle(struct agent *agent)
{
    if (agent->buried) {
        return;
    }
    if (!agent->peer_ended) {
        if (agent->out_of_memory || acp_peer_error(agent->peer) != ERR_OK) {
            agent_doom(agent, "The server ran out of memory for the agent and ended it.");
        }
        if (agent->doomed && agent->output.fd >= 0) {
            agent_output_close(agent);
            agent_input_close(agent);
            agent_process_kill(agent);
        }
        bool ended = agent->fate != FATE_RUNNING || agent->gone;
        /* One that closed its stdout can say nothing any more; most that do are just exiting. */
        if (!ended && !agent->stop_told && (agent->given_up || agent->output.fd < 0)) {
            agent_input_close(agent);
            agent_process_stop(agent, agent->stream->config->agent_stop_grace_ms);
        }
        if (ended && agent->output.fd < 0) {
            agent_end_peer(agent);
        }
    }
    schedule(agent);
    if (agent->peer_ended && agent->gone && agent->reaped && !agent->terminals) {
        agent_bury(agent);
    }
}
