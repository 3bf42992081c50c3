/* The agent-stream thread and its mail. */
#define _GNU_SOURCE
#include "agent_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/need.h"
#include "signalbox/core/session.h"

enum {
    EVENTS_AT_ONCE = 32, /* so that mail and ticks do not wait long behind many busy agents */
    REST_EVERY_MS = 9,   /* so long it may be at work without a rest while some say more than their slice */
    REST_MS = 1,
    STOP_MS = 3500,      /* then the thread ends without those guards that are left */
};

/* ---- What epoll watches ---- */

static struct epoll_event event_of(struct agent_source *source, uint32_t events)
{
    return (struct epoll_event){.events = events ? events : (uint32_t)EPOLLET, .data.ptr = source};
}

enum err agent_source_add(struct agent_stream *stream, struct agent_source *source, uint32_t events)
{
    struct epoll_event event = event_of(source, events);
    return epoll_ctl(stream->epoll, EPOLL_CTL_ADD, source->fd, &event) ? err_from_errno(errno) : ERR_OK;
}

void agent_source_watch(struct agent_stream *stream, struct agent_source *source, uint32_t events)
{
    struct epoll_event event = event_of(source, events);
    CHECK(epoll_ctl(stream->epoll, EPOLL_CTL_MOD, source->fd, &event) == 0); /* needs no memory */
}

void agent_source_close(struct agent_stream *stream, struct agent_source *source)
{
    if (source->fd >= 0) {
        /* Fails for one that was never added, which is as good. */
        (void)epoll_ctl(stream->epoll, EPOLL_CTL_DEL, source->fd, NULL);
        fd_close(source->fd);
        source->fd = -1;
    }
}

void agent_stream_clock(struct agent_stream *stream)
{
    stream->now = clock_now();
    stream->wall_ms = clock_wall_ms();
}

/* ---- Agents by topic ---- */

static struct agent *find(struct agent_stream *stream, const struct topic *topic, uint64_t run)
{
    struct agent *agent = *agent_bucket(stream, topic);
    while (agent && (agent->topic != topic || agent->run != run)) {
        agent = agent->next;
    }
    return agent;
}

/* `visit` may bury the agent, and none but that. */
static void each(struct agent_stream *stream, void (*visit)(struct agent *agent))
{
    for (size_t i = 0; i < AGENT_BUCKETS; i++) {
        struct agent *next;
        for (struct agent *agent = stream->buckets[i]; agent; agent = next) {
            next = agent->next;
            visit(agent);
        }
    }
}

/* ---- Mail ---- */

static void refuse_start(struct agent_stream *stream, const struct agent_start *start, struct agent_notice_mail *mail,
                         const char *code, const char *text)
{
    log_warn("agent not started", "session", "%s", start->topic->session_id, "agent", "%s", start->agent, "reason", "%s",
             text, NULL);
    /* Small, and without it the session would wait for ever. */
    mail = mail ? mail : need_zero(sizeof(*mail));
    struct agent_notice notice = {.kind = NOTICE_FAILED, .code = strdup(code), .message = strdup(text)};
    agent_push_notice(stream, mail, start->topic, start->run, &notice);
}

/* A session has at most one: what an earlier start left is on its way out, or is sent there. */
static void end_earlier(struct agent_stream *stream, const struct topic *topic)
{
    for (struct agent *agent = *agent_bucket(stream, topic); agent; agent = agent->next) {
        if (agent->topic == topic && !agent->stop_told) {
            agent_process_kill(agent);
        }
    }
}

static void take_start(struct agent_stream *stream, const struct agent_start *start)
{
    if (stream->stopping) {
        refuse_start(stream, start, NULL, "shutting_down", "The server is stopping.");
        return;
    }
    end_earlier(stream, start->topic);
    struct agent_failure failure = {.code = "agent_failed",
                                    .text = "The agent could not be started: the server is out of memory."};
    struct agent *agent = NULL;
    enum err err = agent_new(&agent, stream, start);
    if (!err) {
        err = agent_process_start(agent, start, &failure);
    }
    if (err) {
        struct agent_notice_mail *mail = NULL;
        if (agent) {
            mail = agent->last;
            agent->last = NULL;
        }
        refuse_start(stream, start, mail, failure.code, failure.text);
        agent_free(agent);
        return;
    }
    struct agent **bucket = agent_bucket(stream, agent->topic);
    agent->next = *bucket;
    *bucket = agent;
    stream->count++;
    acp_peer_time(agent->peer, stream->now, stream->wall_ms);
    acp_peer_start(agent->peer);
    agent_settle(agent);
}

/* What it was waited for in vain. */
static void killed_why(const struct agent *agent, char *out, size_t size)
{
    const char *method = acp_peer_waits_for(agent->peer);
    if (method && acp_peer_in_turn(agent->peer)) {
        snprintf(out, size, "The agent did not end its cancelled turn in time and was killed.");
    } else if (method) {
        snprintf(out, size, "The agent did not answer %s in time and was killed.", method);
    } else {
        snprintf(out, size, "The agent did not react in time and was killed.");
    }
}

/* How it ends is known already if it ended by itself before. */
static void ended_by_order(struct agent *agent, const char *why)
{
    if (agent->fate == FATE_RUNNING && agent->why[0] == '\0') {
        snprintf(agent->why, sizeof(agent->why), "%s", why);
    }
    agent_terminals_end(agent);
    agent_input_close(agent);
}

static void take_order(struct agent_stream *stream, const struct agent_order *order)
{
    struct agent *agent = find(stream, order->topic, order->run);
    if (!agent) {
        return; /* it has ended, and the dispatcher will hear or has heard so */
    }
    acp_peer_time(agent->peer, stream->now, stream->wall_ms);
    switch (order->kind) {
    case ORDER_PROMPT:
    case ORDER_PROMPT_BLOBS: /* filled: see take_filled */
        acp_peer_prompt(agent->peer, order->turn_id, order->content);
        break;
    case ORDER_CANCEL:
        acp_peer_cancel(agent->peer);
        /* It may overtake a prompt that is still being filled. */
        free(agent->cancelled_turn);
        agent->cancelled_turn = order->turn_id ? strdup(order->turn_id) : NULL;
        agent->out_of_memory |= order->turn_id && !agent->cancelled_turn;
        break;
    case ORDER_PERMISSION:
        acp_peer_permission(agent->peer, order->request_id, order->option_id);
        break;
    case ORDER_POLICY:
        acp_peer_read_only(agent->peer, !strcmp(order->content, session_policy_name(POLICY_READ_ONLY)));
        break;
    case ORDER_REFUSAL:
        acp_peer_refuse(agent->peer, order->request_id);
        break;
    case ORDER_SETTING:
        acp_peer_set(agent->peer, order->request_id, order->option_id, order->content);
        break;
    case ORDER_SETTING_LATE:
        acp_peer_set_late(agent->peer, order->request_id);
        break;
    case ORDER_CLOSE:
        acp_peer_close(agent->peer);
        ended_by_order(agent, "The agent was stopped.");
        agent_process_stop(agent, stream->config->agent_stop_grace_ms);
        break;
    case ORDER_STOP:
        ended_by_order(agent, "The agent was stopped.");
        agent_process_stop(agent, stream->config->agent_stop_grace_ms);
        break;
    case ORDER_KILL: {
        char why[sizeof(agent->why)];
        killed_why(agent, why, sizeof(why));
        ended_by_order(agent, why);
        agent_process_kill(agent);
        break;
    }
    }
    agent_settle(agent);
}

static void take_filled(struct agent_stream *stream, struct history_request *request)
{
    struct agent_order *order = request->owner;
    struct agent *agent = find(stream, order->topic, order->run);
    enum err result = request->result;
    if (!result) {
        order->content = buffer_take(&request->bytes);
        result = order->content ? ERR_OK : ERR_NOMEM;
    }
    if (agent) {
        acp_peer_time(agent->peer, stream->now, stream->wall_ms);
        if (agent->cancelled_turn && !strcmp(agent->cancelled_turn, order->turn_id)) {
            acp_peer_prompt_refused(agent->peer, order->turn_id, "cancelled", NULL, NULL);
        } else if (result == ERR_NOENT) {
            acp_peer_prompt_refused(agent->peer, order->turn_id, "error", "not_found",
                                    "A blob that the prompt names is no longer there; the agent did not get the prompt.");
        } else if (result) {
            acp_peer_prompt_refused(agent->peer, order->turn_id, "error", "storage_unavailable",
                                    "The blobs that the prompt names cannot be read; the agent did not get the prompt.");
        } else {
            acp_peer_prompt(agent->peer, order->turn_id, order->content);
        }
        agent_settle(agent);
    }
    agent_filling_free(request);
}

static void end_now(struct agent *agent)
{
    ended_by_order(agent, "The server is stopping.");
    agent_process_kill(agent);
    agent_output_read(agent);
    agent_settle(agent);
}

static void take_stop(struct agent_stream *stream)
{
    stream->stopping = true;
    stream->stop_by = instant_after_ms(stream->now, STOP_MS);
    each(stream, end_now);
}

static void take_mail(struct agent_stream *stream)
{
    for (struct mail *mail; (mail = mailbox_take(stream->box));) {
        agent_stream_clock(stream);
        switch (mail->kind) {
        case AGENT_MAIL_START: {
            struct agent_start *start = container_of(mail, struct agent_start, mail);
            take_start(stream, start);
            agent_start_free(start);
            break;
        }
        case AGENT_MAIL_ORDER: {
            struct agent_order *order = container_of(mail, struct agent_order, mail);
            take_order(stream, order);
            agent_order_free(order);
            break;
        }
        case AGENT_MAIL_FILE: {
            struct file_request *request = container_of(mail, struct file_request, mail);
            agent_file_answered(find(stream, request->topic, request->run), request);
            break;
        }
        case AGENT_MAIL_FILLED:
            take_filled(stream, container_of(mail, struct history_request, mail));
            break;
        default:
            CHECK(mail->kind == AGENT_MAIL_STOP);
            take_stop(stream);
        }
    }
}

/* ---- The thread ---- */

static void resume(struct agent *agent)
{
    if (agent->paused) {
        agent_output_resume(agent);
    }
    agent_terminals_resume(agent);
    agent_settle(agent);
}

static void take_event(struct agent_stream *stream, struct agent_source *source)
{
    struct agent *agent = source->agent;
    if (source->kind == AGENT_SOURCE_MAILBOX) {
        mailbox_clear(stream->box);
        if (stream->paused > 0) {
            each(stream, resume); /* it may have been the poke of credit */
        }
        return;
    }
    if (source->fd < 0) {
        return; /* closed by an earlier event of this wake-up */
    }
    agent_stream_clock(stream);
    switch (source->kind) {
    case AGENT_SOURCE_INPUT:
        agent_input_write(agent);
        break;
    case AGENT_SOURCE_OUTPUT:
        agent_output_read(agent);
        break;
    case AGENT_SOURCE_ERRORS:
        agent_errors_read(agent);
        break;
    case AGENT_SOURCE_LIFELINE:
        agent_lifeline_read(agent);
        break;
    case AGENT_SOURCE_GUARD:
        agent_reap(agent);
        break;
    case AGENT_SOURCE_TERMINAL_OUTPUT:
    case AGENT_SOURCE_TERMINAL_LIFELINE:
    case AGENT_SOURCE_TERMINAL_GUARD:
        agent_terminal_event(source);
        break;
    case AGENT_SOURCE_MAILBOX:
        break;
    }
    agent_settle(agent);
}

static struct heap_node *due(const struct heap *heap, struct instant now)
{
    struct heap_node *first = heap_first(heap);
    return first && instant_reached(first->at, now) ? first : NULL;
}

static void take_deadlines(struct agent_stream *stream)
{
    struct heap_node *node;
    agent_stream_clock(stream);
    while ((node = due(&stream->ticks, stream->now))) {
        struct agent *agent = container_of(node, struct agent, tick);
        heap_remove(&stream->ticks, node);
        agent_stream_clock(stream); /* each is as late as it is, however many are due at once */
        acp_peer_time(agent->peer, stream->now, stream->wall_ms);
        acp_peer_tick(agent->peer);
        agent_settle(agent);
    }
    while ((node = due(&stream->ends, stream->now))) {
        struct agent *agent = container_of(node, struct agent, end);
        agent_process_overdue(agent);
        agent_settle(agent);
    }
    while ((node = due(&stream->terminal_ends, stream->now))) {
        agent_terminal_overdue(node);
    }
    while ((node = due(&stream->hushes, stream->now))) {
        struct agent *agent = container_of(node, struct agent, hush);
        heap_remove(&stream->hushes, node);
        agent_silent(agent);
        agent_settle(agent);
    }
}

static void free_dead(struct agent_stream *stream)
{
    agent_terminals_free_dead(stream);
    while (stream->dead) {
        struct agent *agent = stream->dead;
        stream->dead = agent->next;
        agent_free(agent);
    }
}

static int timeout(const struct agent_stream *stream)
{
    struct instant at = stream->stopping ? stream->stop_by : INSTANT_NEVER;
    const struct heap_node *nodes[] = {heap_first(&stream->ticks), heap_first(&stream->ends),
                                       heap_first(&stream->terminal_ends), heap_first(&stream->hushes)};
    for (size_t i = 0; i < array_size(nodes); i++) {
        at = nodes[i] ? instant_earlier(at, nodes[i]->at) : at;
    }
    return clock_poll_timeout(at);
}

static bool is_over(const struct agent_stream *stream)
{
    return stream->stopping && (stream->count == 0 || instant_reached(stream->stop_by, stream->now));
}

static void abandon(struct agent *agent)
{
    log_error("a guard did not end and is left", "session", "%s", agent->topic->session_id, "pid", "%d",
              (int)agent->guard_pid, NULL);
    if (!agent->peer_ended) {
        agent_end_peer(agent);
    }
    agent_terminals_abandon(agent);
    agent_bury(agent);
}

/* One slice for one of those that have more to say; so whoever says little waits for that at most. */
static void take_line_turn(struct agent_stream *stream)
{
    struct agent *agent = stream->line_first;
    if (agent) {
        agent_stream_clock(stream);
        agent_output_read(agent);
        agent_settle(agent);
    }
}

/*
 * How long it may wait for what happens next. While some stand in line it need not wait at all; but a thread that takes a
 * processor whole is stopped by the kernel sooner or later (for 50 ms of a second where it has a real-time priority), and
 * who has little to say then waits for that. A rest now and then, which ends when anything happens, comes first.
 */
static int wait_ms(struct agent_stream *stream)
{
    struct instant now = clock_now();
    int ms = timeout(stream);
    if (stream->line_first && ms != 0) {
        ms = instant_reached(stream->rest_at, now) ? REST_MS : 0;
    }
    if (ms != 0) {
        stream->rest_at = instant_after_ms(now, REST_EVERY_MS + REST_MS);
    }
    return ms;
}

/* Where much comes from many, they are taken in rounds. Where some stand in line there is no wake-up to be saved, and who
 * waits for credit has waited already. */
static void keep_pace(const struct agent_stream *stream)
{
    if (!stream->line_first && !stream->paused && !stream->stopping) {
        /* Deadlines wait as well: they are no more exact than a round, since epoll_wait counts milliseconds. */
        clock_pause_until(pace_next(&stream->pace, stream->round_ms));
    }
}

static void agent_stream_run(void *context)
{
    struct agent_stream *stream = context;
    thread_check(THREAD_AGENT);
    while (!is_over(stream)) {
        struct epoll_event events[EVENTS_AT_ONCE];
        keep_pace(stream);
        int count = epoll_wait(stream->epoll, events, EVENTS_AT_ONCE, wait_ms(stream));
        pace_round(&stream->pace, (size_t)(count > 0 ? count : 0), EVENTS_AT_ONCE, clock_now());
        stream->config = config_current_get(stream->wiring.config);
        stream->round_ms = stream->config->round_ms;
        mailbox_cork();
        for (int i = 0; i < count; i++) {
            take_event(stream, events[i].data.ptr);
            take_deadlines(stream); /* text that is due does not wait for all of them */
        }
        take_mail(stream);
        take_line_turn(stream);
        take_deadlines(stream);
        mailbox_uncork();
        free_dead(stream);
        config_put(stream->config);
        stream->config = NULL;
    }
    each(stream, abandon);
    free_dead(stream);
}

/* ---- Life ---- */

static void stream_free(struct agent_stream *stream)
{
    heap_free(&stream->ticks);
    heap_free(&stream->ends);
    heap_free(&stream->terminal_ends);
    heap_free(&stream->hushes);
    json_parser_free(stream->parser);
    fd_close(stream->epoll);
    mailbox_free(stream->box);
    free(stream);
}

static enum err open_epoll(struct agent_stream *stream)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int lifted = fd < 0 ? -errno : fd_lift(fd);
    if (lifted < 0) {
        return err_from_errno(-lifted);
    }
    stream->epoll = lifted;
    stream->mail_source = (struct agent_source){AGENT_SOURCE_MAILBOX, mailbox_fd(stream->box), NULL};
    return agent_source_add(stream, &stream->mail_source, EPOLLIN);
}

enum err agent_stream_start(struct agent_stream **out, const struct agent_wiring *wiring)
{
    struct agent_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        return ERR_NOMEM;
    }
    stream->wiring = *wiring;
    stream->epoll = -1;
    const struct config *config = config_current_get(wiring->config);
    int depth = (int)config->max_json_depth;
    stream->credit_bytes = config->credit_session_bytes;
    config_put(config);
    enum err err = mailbox_new(&stream->box, "agent", 0);
    if (!err) {
        err = json_parser_new(&stream->parser, depth);
    }
    if (!err) {
        err = open_epoll(stream);
    }
    if (!err) {
        err = thread_start(&stream->thread, THREAD_AGENT, -1, true, agent_stream_run, stream);
    }
    if (err) {
        stream_free(stream);
        return err;
    }
    *out = stream;
    return ERR_OK;
}

struct mailbox *agent_stream_mailbox(struct agent_stream *stream)
{
    return stream->box;
}

void agent_stream_stop(struct agent_stream *stream)
{
    if (!stream) {
        return;
    }
    stream->stop.kind = AGENT_MAIL_STOP;
    mailbox_push(stream->box, &stream->stop);
    thread_join(&stream->thread);
}

void agent_stream_free(struct agent_stream *stream)
{
    if (!stream) {
        return;
    }
    for (struct mail *mail; (mail = mailbox_take(stream->box));) {
        if (mail->kind == AGENT_MAIL_START) {
            agent_start_free(container_of(mail, struct agent_start, mail));
        } else if (mail->kind == AGENT_MAIL_FILE) {
            file_request_free(container_of(mail, struct file_request, mail));
        } else if (mail->kind == AGENT_MAIL_FILLED) {
            agent_filling_free(container_of(mail, struct history_request, mail));
        } else {
            CHECK(mail->kind == AGENT_MAIL_ORDER);
            agent_order_free(container_of(mail, struct agent_order, mail));
        }
    }
    stream_free(stream);
}
