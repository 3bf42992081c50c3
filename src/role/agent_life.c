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
    uint32_t bytes = (uint32_t)frame_json_length(event->frame) + CREDIT_EVENT_COST;
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

/* Each by a mail of its own, so that they are let go one by one. */
static void sink_blobs(void *context, struct blob *blobs)
{
    struct agent *agent = context;
    while (blobs) {
        struct agent_blobs_mail *mail = malloc(sizeof(*mail));
        if (!mail) {
            blobs_free(blobs);
            agent->out_of_memory = true;
            return;
        }
        struct blob *blob = blobs;
        blobs = blob->next;
        blob->next = NULL;
        uint32_t bytes = (uint32_t)blob->length;
        *mail = (struct agent_blobs_mail){.mail.kind = DISPATCH_AGENT_BLOBS,
                                          .topic = topic_get(agent->topic),
                                          .run = agent->run,
                                          .blob = blob,
                                          .credit = credit_get(agent->credit),
                                          .credit_bytes = bytes};
        credit_take(agent->credit, bytes);
        mailbox_push(agent->stream->wiring.dispatch, &mail->mail);
    }
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
    agent_wirelog_end(agent);
    heap_remove(&agent->stream->ticks, &agent->tick);
    heap_remove(&agent->stream->ends, &agent->end);
    heap_remove(&agent->stream->hushes, &agent->hush);
    free(agent->name);
    acp_peer_free(agent->peer);
    buffer_free(&agent->queue);
    buffer_free(&agent->pending);
    free(agent->fate_text);
    free(agent->workspace);
    free(agent->cancelled_turn);
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
        .max_event_bytes = (size_t)config->max_event_bytes,
        .version = agent->stream->wiring.version,
        .keep_title = start->titled,
        .resume = start->resume,
        .login = about != NULL ? about->login : NULL,
        .read_only = start->read_only,
        .offers = (about != NULL && about->offers_fs ? (unsigned)ACP_OFFER_FS : 0u) |
                  (about != NULL && about->offers_terminal ? (unsigned)ACP_OFFER_TERMINAL : 0u),
    };
    const struct acp_sink sink = {.context = agent, .send = sink_send, .event = sink_event, .blobs = sink_blobs,
                                  .notice = sink_notice, .file = sink_file, .terminal_start = sink_terminal_start,
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
    if (!err) {
        err = heap_reserve(&stream->hushes, stream->count + 1 - stream->hushes.count);
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
    heap_remove(&stream->hushes, &agent->hush);
    agent->buried = true;
    agent->next = stream->dead;
    stream->dead = agent;
    stream->count--;
    metric_add(METRIC_AGENTS_RUNNING, -1);
}

static void schedule(struct heap *heap, struct heap_node *node, struct instant at)
{
    bool armed = node->index != 0;
    if (armed && node->at.ns == at.ns) {
        return;
    }
    heap_remove(heap, node);
    node->at = at;
    if (at.ns != INSTANT_NEVER.ns) {
        CHECK(heap_add(heap, node) == ERR_OK); /* reserved in agent_new */
    }
}

/* ---- Silence ---- */

static void tell_silence(struct agent *agent, enum silence_news news, int64_t ms)
{
    static const enum agent_notice_kind kinds[] = {
        [SILENCE_BEGAN] = NOTICE_SILENT, [SILENCE_HANGS] = NOTICE_HANGS, [SILENCE_ENDED] = NOTICE_HEARD};
    if (news == SILENCE_NONE) {
        return;
    }
    struct agent_notice notice = {.kind = kinds[news], .silent_ms = ms};
    sink_notice(agent, &notice);
}

/* What its configuration says now. */
static void silence_times(const struct agent *agent, int64_t *silence_ms, int64_t *hang_ms)
{
    const struct config *config = agent->stream->config;
    const struct config_agent *own = config_agent(config, agent->name);
    *silence_ms = own ? own->silence_ms : config->agent_silence_ms;
    *hang_ms = own ? own->hang_ms : config->agent_hang_ms;
}

void agent_heard(struct agent *agent)
{
    tell_silence(agent, silence_heard(&agent->silence, agent->stream->now), 0);
}

void agent_silent(struct agent *agent)
{
    int64_t silence_ms, hang_ms;
    silence_times(agent, &silence_ms, &hang_ms);
    enum silence_news news = silence_look(&agent->silence, agent->stream->now, silence_ms, hang_ms);
    tell_silence(agent, news, news == SILENCE_HANGS ? hang_ms : silence_ms);
}

static void watch_silence(struct agent *agent)
{
    int64_t silence_ms, hang_ms;
    /* One that is not read cannot be heard, and one that waits for a person or for a disk has nothing to say. */
    bool expected = !agent->peer_ended && !agent->doomed && !agent->paused && acp_peer_in_turn(agent->peer) &&
                    !acp_peer_asks(agent->peer) && !acp_peer_has_files(agent->peer);
    tell_silence(agent, silence_expect(&agent->silence, expected, agent->stream->now), 0);
    silence_times(agent, &silence_ms, &hang_ms);
    schedule(&agent->stream->hushes, &agent->hush, silence_deadline(&agent->silence, silence_ms, hang_ms));
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
            agent->quit = agent->quit || agent->output.fd < 0;
            agent_process_stop(agent, agent->stream->config->agent_stop_grace_ms);
        }
        if (ended && agent->output.fd < 0) {
            agent_end_peer(agent);
        }
    }
    schedule(&agent->stream->ticks, &agent->tick, acp_peer_deadline(agent->peer));
    watch_silence(agent);
    if (agent->peer_ended && agent->gone && agent->reaped && !agent->terminals) {
        agent_bury(agent);
    }
}
