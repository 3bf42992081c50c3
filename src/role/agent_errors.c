/* An agent's stderr: to the log, and its end to the last notice. */
#define _GNU_SOURCE
#include "agent_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ERRORS_PER_MINUTE = 60 };

static void keep_tail(struct agent *agent, const char *bytes, size_t length)
{
    if (length > AGENT_TAIL_BYTES) {
        bytes += length - AGENT_TAIL_BYTES;
        length = AGENT_TAIL_BYTES;
    }
    size_t kept = agent->tail_length;
    if (kept > AGENT_TAIL_BYTES - length) {
        kept = AGENT_TAIL_BYTES - length;
    }
    memmove(agent->tail, agent->tail + agent->tail_length - kept, kept);
    memcpy(agent->tail + kept, bytes, length);
    agent->tail_length = kept + length;
}

static void log_error_line(struct agent *agent)
{
    size_t length = agent->error_length;
    agent->error_length = 0;
    if (agent_is_blank(agent->error_line, length)) {
        return;
    }
    agent->error_line[length] = '\0';
    agent_wirelog_line(agent, WIRELOG_ERR, agent->error_line, length, false);
    uint32_t suppressed;
    if (log_limit_pass(&agent->errors_limit, ERRORS_PER_MINUTE, &suppressed)) {
        log_info("agent's stderr", "session", "%s", agent->topic->session_id, "line", "%s", agent->error_line,
                 "left_out", "%u", suppressed, NULL);
    }
}

/* A longer line is cut: its beginning says most. */
static void log_errors(struct agent *agent, const char *bytes, size_t length)
{
    while (length > 0) {
        const char *end = memchr(bytes, '\n', length);
        size_t part = end ? (size_t)(end - bytes) : length;
        size_t room = sizeof(agent->error_line) - 1 - agent->error_length;
        size_t taken = part < room ? part : room;
        memcpy(agent->error_line + agent->error_length, bytes, taken);
        agent->error_length += taken;
        part += end ? 1 : 0;
        bytes += part;
        length -= part;
        if (end) {
            log_error_line(agent);
        }
    }
}

static bool read_errors(struct agent *agent)
{
    if (agent->errors.fd < 0) {
        return false;
    }
    char *bytes = agent->stream->scratch;
    ssize_t got = read(agent->errors.fd, bytes, AGENT_READ_BYTES);
    if (got > 0) {
        keep_tail(agent, bytes, (size_t)got);
        log_errors(agent, bytes, (size_t)got);
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        log_error_line(agent);
        agent_source_close(agent->stream, &agent->errors);
    }
    return false;
}

void agent_errors_read(struct agent *agent)
{
    (void)read_errors(agent);
}

void agent_errors_drain(struct agent *agent)
{
    for (size_t rounds = 0; rounds < AGENT_LATE_BYTES_MAX / AGENT_READ_BYTES && read_errors(agent); rounds++) {
    }
}

/* The line before tail[*end], without blanks around it; NULL when there is none. Moves *end to its begin. */
static const char *line_before(const struct agent *agent, size_t *end, size_t *length)
{
    const char *tail = agent->tail;
    size_t stop = *end;
    while (stop > 0 && strchr(" \t\r\n", tail[stop - 1])) { /* NUL is one of them here */
        stop--;
    }
    size_t start = stop;
    while (start > 0 && tail[start - 1] != '\n') {
        start--;
    }
    *end = start;
    *length = stop - start;
    return *length > 0 ? tail + start : NULL;
}

static bool has(const char *line, size_t length, const char *word)
{
    return memmem(line, length, word, strlen(word)) != NULL;
}

const char *agent_errors_last(const struct agent *agent, char out[AGENT_LOG_LINE_BYTES])
{
    size_t end = agent->tail_length, length;
    const char *line = line_before(agent, &end, &length);
    if (!line) {
        return NULL;
    }
    /* Node's last word is its version; what it died of stands above the stack. */
    if (has(line, length, "Node.js v")) {
        size_t other_length;
        const char *other;
        while ((other = line_before(agent, &end, &other_length)) && !has(other, other_length, "Error")) {
        }
        line = other ? other : line;
        length = other ? other_length : length;
    }
    if (length > AGENT_LOG_LINE_BYTES - 1) {
        length = AGENT_LOG_LINE_BYTES - 1;
    }
    memcpy(out, line, length);
    out[length] = '\0';
    return out;
}
