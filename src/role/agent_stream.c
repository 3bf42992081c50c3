/* An agent's stdin and stdout. */
#include "agent_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "signalbox/base/metrics.h"

enum {
    /* What one agent may have processed at a time, while others wait for their turn: at most half a millisecond or so,
     * unless one line is longer. Lines cost by themselves, too; reading costs little. */
    SLICE_COST = 16 * 1024,
    LINE_COST = 64,
    READ_COST_DIVISOR = 8,
    KEEP_BYTES = 1024 * 1024,    /* a larger buffer is not kept */
    ANSWERS_MAX = 1024 * 1024,   /* answers that the agent does not read, before it is not read */
    EXCERPT_BYTES = 120,
    GARBAGE_PER_MINUTE = 10,
};

static const char memory_why[] = "The server ran out of memory for what the agent sent, and ended it.";

static void shrink(struct buffer *buffer)
{
    if (buffer->capacity <= KEEP_BYTES || buffer->length > AGENT_READ_BYTES) {
        return;
    }
    struct buffer small = {0};
    buffer_append(&small, buffer->data, buffer->length);
    if (buffer_ok(&small)) {
        buffer_free(buffer);
        *buffer = small;
    }
}

/* ---- stdin ---- */

static void input_closed(struct agent *agent)
{
    agent_source_close(agent->stream, &agent->input);
    buffer_free(&agent->queue);
    agent->written = 0;
    agent->unread_answers = 0;
    agent_output_resume(agent); /* it may have waited for its answers to be read */
}

/* Writes what the pipe takes; -1 when the other end is closed. */
static ssize_t write_some(struct agent *agent, const char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        /* SIGPIPE is blocked in this thread, and one that stays pending in it harms nobody. */
        ssize_t put = write(agent->input.fd, bytes + done, length - done);
        if (put > 0) {
            done += (size_t)put;
        } else if (put < 0 && errno == EAGAIN) {
            break;
        } else if (put < 0 && errno != EINTR) {
            return -1;
        }
    }
    return (ssize_t)done;
}

/* It does not hear us any more. Mostly it has ended, and its guard is about to say so. */
static void input_broken(struct agent *agent)
{
    input_closed(agent);
    agent->given_up = true;
    agent->quit = true;
}

void agent_input_send(struct agent *agent, const char *line, size_t length)
{
    if (agent->input.fd < 0 || agent->input_closing) {
        return;
    }
    agent_wirelog_line(agent, WIRELOG_OUT, line, length, true);
    size_t done = 0;
    bool waited = agent->queue.length > agent->written;
    if (!waited) {
        ssize_t put = write_some(agent, line, length);
        if (put < 0) {
            input_broken(agent);
            return;
        }
        done = (size_t)put;
    }
    if (done == length) {
        return;
    }
    buffer_append(&agent->queue, line + done, length - done);
    if (!buffer_ok(&agent->queue)) {
        agent->out_of_memory = true;
        return;
    }
    if (agent->answering) {
        agent->unread_answers += length - done;
    }
    if (!waited) {
        agent_source_watch(agent->stream, &agent->input, EPOLLOUT);
    }
}

void agent_input_write(struct agent *agent)
{
    size_t waiting = agent->queue.length - agent->written;
    if (agent->input.fd < 0 || waiting == 0) {
        return;
    }
    ssize_t put = write_some(agent, agent->queue.data + agent->written, waiting);
    if (put < 0) {
        input_broken(agent);
        return;
    }
    agent->written += (size_t)put;
    if ((size_t)put < waiting) {
        if (agent->written > agent->queue.length / 2) {
            buffer_consume(&agent->queue, agent->written);
            agent->written = 0;
        }
        return;
    }
    buffer_reset(&agent->queue);
    shrink(&agent->queue);
    agent->written = 0;
    agent->unread_answers = 0;
    if (agent->input_closing) {
        input_closed(agent);
        return;
    }
    agent_source_watch(agent->stream, &agent->input, 0);
    agent_output_resume(agent);
}

void agent_input_close(struct agent *agent)
{
    agent->input_closing = true;
    if (agent->queue.length == agent->written) {
        input_closed(agent);
    }
}

/* ---- stdout ---- */

static void garbage(struct agent *agent, const char *line, size_t length, const char *reason)
{
    metric_add(METRIC_AGENT_GARBAGE, 1);
    uint32_t suppressed;
    if (!log_limit_pass(&agent->garbage_limit, GARBAGE_PER_MINUTE, &suppressed)) {
        return;
    }
    char excerpt[EXCERPT_BYTES + 1];
    size_t shown = length < EXCERPT_BYTES ? length : EXCERPT_BYTES;
    memcpy(excerpt, line, shown);
    excerpt[shown] = '\0';
    log_warn("an agent wrote a line that is no JSON-RPC message", "session", "%s", agent->topic->session_id, "reason",
             "%s", reason, "length", "%zu", length, "begins", "%s", excerpt, "left_out", "%u", suppressed, NULL);
}

bool agent_is_blank(const char *line, size_t length)
{
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t' || line[length - 1] == '\r')) {
        length--;
    }
    return length == 0;
}

static void take_line(struct agent *agent, const char *line, size_t length)
{
    struct agent_stream *stream = agent->stream;
    if (agent_is_blank(line, length)) {
        return;
    }
    metric_add(METRIC_AGENT_LINES, 1);
    agent_heard(agent);
    struct json_object *message = NULL;
    enum err err = json_parse(stream->parser, line, length, &message);
    if (err == ERR_NOMEM) {
        /* It may have been the answer that a turn waits for. */
        agent_doom(agent, memory_why);
        return;
    }
    agent_wirelog_line(agent, WIRELOG_IN, line, length, err == ERR_OK); /* before what it leads to */
    if (err != ERR_OK) {
        garbage(agent, line, length, json_parser_message(stream->parser));
        return;
    }
    acp_peer_time(agent->peer, stream->now, stream->wall_ms);
    agent->answering = true;
    err = acp_peer_message(agent->peer, message);
    agent->answering = false;
    json_object_put(message);
    if (err == ERR_SYNTAX) {
        garbage(agent, line, length, "neither a request nor a response");
    }
    if (agent->out_of_memory || acp_peer_error(agent->peer) != ERR_OK) {
        agent_doom(agent, memory_why);
    }
}

static bool too_long(struct agent *agent, size_t length)
{
    size_t limit = (size_t)agent->stream->config->max_agent_line_bytes;
    if (length <= limit) {
        return false;
    }
    char why[sizeof(agent->why)];
    snprintf(why, sizeof(why), "The agent sent a line of more than %zu bytes (max-agent-line-bytes) and was ended.",
             limit);
    agent_doom(agent, why);
    return true;
}

/* How long the next whole line is, without its end; -1 when there is none. Looks at every byte once. */
static ssize_t find_line(struct agent *agent)
{
    struct buffer *pending = &agent->pending;
    if (agent->scanned < pending->length && !agent->line_found) {
        const char *end = memchr(pending->data + agent->scanned, '\n', pending->length - agent->scanned);
        agent->line_found = end != NULL;
        agent->scanned = end ? (size_t)(end - pending->data) : pending->length;
    }
    return agent->line_found ? (ssize_t)(agent->scanned - agent->line_start) : -1;
}

static void next_line(struct agent *agent, size_t length)
{
    const char *line = agent->pending.data + agent->line_start;
    agent->line_start += length + 1;
    agent->scanned = agent->line_start;
    agent->line_found = false;
    if (!too_long(agent, length)) {
        take_line(agent, line, length);
    }
}

/* What is there is the beginning of a line, at most. */
static void wait_for_line_end(struct agent *agent)
{
    struct buffer *pending = &agent->pending;
    buffer_consume(pending, agent->line_start);
    agent->line_start = 0;
    agent->scanned = pending->length;
    shrink(pending);
    too_long(agent, pending->length);
}

/* What has no line end is the last line. */
static void output_ended(struct agent *agent)
{
    size_t rest = agent->pending.length - agent->line_start;
    if (rest > 0) {
        take_line(agent, agent->pending.data + agent->line_start, rest);
    }
    agent_output_close(agent);
}

/* Epoll watches it while it may have something to say, and may say it. */
static void watch_output(struct agent *agent)
{
    bool wanted = !agent->paused && !agent->in_line;
    if (agent->output.fd >= 0 && wanted == agent->unwatched) {
        agent->unwatched = !wanted;
        agent_source_watch(agent->stream, &agent->output, wanted ? EPOLLIN : 0);
    }
}

static void set_paused(struct agent *agent, bool paused)
{
    if (agent->paused != paused) {
        agent->paused = paused;
        agent->stream->paused += paused ? 1 : (size_t)-1;
    }
}

/* ---- Those that have more to say than their slice, one behind the other ---- */

static void stand_in_line(struct agent *agent)
{
    struct agent_stream *stream = agent->stream;
    if (agent->in_line) {
        return;
    }
    agent->in_line = true;
    agent->after = NULL;
    agent->before = stream->line_last;
    *(stream->line_last ? &stream->line_last->after : &stream->line_first) = agent;
    stream->line_last = agent;
}

static void leave_line(struct agent *agent)
{
    struct agent_stream *stream = agent->stream;
    if (!agent->in_line) {
        return;
    }
    agent->in_line = false;
    *(agent->before ? &agent->before->after : &stream->line_first) = agent->after;
    *(agent->after ? &agent->after->before : &stream->line_last) = agent->before;
}

/* Before it processes about so many bytes more. */
static bool must_pause(struct agent *agent, size_t bytes)
{
    if (agent->stream->stopping) {
        return false; /* what is left is little, and nobody will give credit back */
    }
    if (agent->unread_answers > ANSWERS_MAX || (!agent->gone && acp_peer_is_full(agent->peer))) {
        return true;
    }
    if (!credit_exhausted(agent->credit, (int64_t)bytes)) {
        return false;
    }
    if (!agent->paused) {
        metric_add(METRIC_AGENT_STALLS, 1);
    }
    return true;
}

void agent_output_close(struct agent *agent)
{
    set_paused(agent, false);
    leave_line(agent);
    agent_source_close(agent->stream, &agent->output);
    buffer_free(&agent->pending);
    agent->line_start = 0;
    agent->scanned = 0;
    agent->line_found = false;
}

/* False when there is nothing to be had now, or no more at all. */
static bool read_more(struct agent *agent, size_t *spent)
{
    char *room = buffer_reserve(&agent->pending, AGENT_READ_BYTES);
    if (!room) {
        agent_doom(agent, memory_why);
        return false;
    }
    ssize_t got = read(agent->output.fd, room, AGENT_READ_BYTES);
    if (got > 0) {
        agent_stream_clock(agent->stream);
        agent->pending.length += (size_t)got;
        *spent += (size_t)got / READ_COST_DIVISOR;
        agent->late_bytes += agent->gone ? (size_t)got : 0;
        return true;
    }
    if (got < 0 && errno == EINTR) {
        return true;
    }
    if (got == 0 || errno != EAGAIN || agent->gone) {
        output_ended(agent);
    }
    return false;
}

/* True: it has had its slice, and there may be more. */
static bool read_slice(struct agent *agent)
{
    size_t spent = 0;
    while (agent->output.fd >= 0 && !agent->doomed) {
        if (spent >= SLICE_COST) {
            return true;
        }
        ssize_t length = find_line(agent);
        set_paused(agent, must_pause(agent, length > 0 ? (size_t)length : 0));
        if (agent->paused) {
            return false;
        }
        if (length >= 0) {
            spent += (size_t)length + LINE_COST;
            next_line(agent, (size_t)length);
            continue;
        }
        wait_for_line_end(agent);
        if (agent->doomed) {
            break;
        }
        if (agent->late_bytes > AGENT_LATE_BYTES_MAX) {
            output_ended(agent);
        } else if (!read_more(agent, &spent)) {
            break;
        }
    }
    return false;
}

void agent_output_read(struct agent *agent)
{
    leave_line(agent);
    if (read_slice(agent)) {
        stand_in_line(agent);
    }
    watch_output(agent);
}

void agent_output_resume(struct agent *agent)
{
    ssize_t length = agent->paused ? find_line(agent) : -1;
    if (agent->paused && !must_pause(agent, length > 0 ? (size_t)length : 0)) {
        set_paused(agent, false);
        stand_in_line(agent); /* many may wait for the same credit */
    }
}
