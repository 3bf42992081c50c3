/* An agent's guard: starting it, what it says, and ending it. */
#define _GNU_SOURCE
#include "agent_internal.h"
#include "agent_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/process_tree.h"

enum {
    GUARD_TERM_MS = 1000,    /* a guard's own time between SIGTERM and SIGKILL */
    GUARD_SLACK_MS = 3000,   /* then it should be gone */
    GUARD_RETRY_MS = 20,     /* where there are no pidfds */
    GUARD_ROUND_MS = 200,    /* between two looks at what lives below one that hangs */
    GUARD_ROUNDS = 8,        /* so many, also when something goes on living there */
    GUARD_LIFELINE = 3,      /* its number in the guard */
    GUARD_ARGUMENTS = 5,     /* before those of its limits, "--", and the agent's own */
};

/* ---- The four channels ---- */

/* Both ends above the floor: there they are in nobody's way, also not in that of the numbers 0 to 3 in the guard. */
static enum err lift(int ends[2])
{
    int first = fd_lift(ends[0]);
    int second = fd_lift(ends[1]);
    ends[0] = first;
    ends[1] = second;
    if (first >= 0 && second >= 0) {
        return ERR_OK;
    }
    fd_close(first);
    fd_close(second);
    return err_from_errno(first < 0 ? -first : -second);
}

enum err agent_channel_open(struct agent_stream *stream, struct agent_source *source, int *theirs)
{
    int ends[2];
    bool is_pipe = source->kind != AGENT_SOURCE_LIFELINE && source->kind != AGENT_SOURCE_TERMINAL_LIFELINE;
    int failed = is_pipe ? pipe2(ends, O_CLOEXEC) : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    enum err err = failed ? err_from_errno(errno) : lift(ends);
    if (err) {
        return err;
    }
    int ours = source->kind == AGENT_SOURCE_INPUT ? 1 : 0;
    source->fd = ends[ours];
    *theirs = ends[1 - ours];
    err = fd_nonblocking(source->fd);
    return err ? err : agent_source_add(stream, source, source->kind == AGENT_SOURCE_INPUT ? 0 : EPOLLIN);
}

static enum err open_channels(struct agent *agent, int theirs[4])
{
    enum err err = agent_channel_open(agent->stream, &agent->input, &theirs[0]);
    if (!err) {
        err = agent_channel_open(agent->stream, &agent->output, &theirs[1]);
    }
    if (!err) {
        err = agent_channel_open(agent->stream, &agent->errors, &theirs[2]);
    }
    if (!err) {
        err = agent_channel_open(agent->stream, &agent->lifeline, &theirs[GUARD_LIFELINE]);
    }
    return err;
}

/* ---- Starting ---- */

static enum err describe_child(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, const int theirs[4])
{
    int failed = 0;
    for (int fd = 0; fd <= GUARD_LIFELINE && !failed; fd++) {
        failed = posix_spawn_file_actions_adddup2(actions, theirs[fd], fd);
    }
    /* Ours are close-on-exec; libraries' need not be, and a client's socket in a guard would never close. */
    if (!failed) {
        failed = posix_spawn_file_actions_addclosefrom_np(actions, GUARD_LIFELINE + 1);
    }
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    if (!failed) {
        failed = posix_spawnattr_setsigmask(attributes, &none);
    }
    if (!failed) {
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    }
    if (!failed) {
        failed = posix_spawnattr_setflags(attributes,
                                          POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    }
    return failed ? err_from_errno(failed) : ERR_OK;
}

enum err agent_guard_spawn(pid_t *pid, const char *path, char **arguments, char **environment, const int theirs[4])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ERR_NOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ERR_NOMEM;
    }
    enum err err = describe_child(&actions, &attributes, theirs);
    if (!err) {
        int failed = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
        err = failed ? err_from_errno(failed) : ERR_OK;
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

static void watch_guard(struct agent *agent)
{
    int fd = pidfd_open(agent->guard_pid, 0);
    agent->guard.fd = fd < 0 ? -1 : fd_lift(fd);
    if (agent->guard.fd >= 0 && agent_source_add(agent->stream, &agent->guard, EPOLLIN) != ERR_OK) {
        fd_close(agent->guard.fd);
        agent->guard.fd = -1;
    }
}

static enum err spawn_guard(struct agent *agent, const struct config_agent *config, char *program, char **environment,
                            const char *workspace)
{
    const char *guard = agent->stream->wiring.guard_path;
    const struct config_list *command = &config->command;
    struct agent_limits_text limits;
    size_t limit_count = agent_limits_arguments(&config->limits, &limits);
    size_t before = GUARD_ARGUMENTS + limit_count + 1;
    /* program, the guard's own, the agent's without its first, NULL */
    const char **arguments = calloc(before + command->count + 1, sizeof(*arguments));
    if (!arguments) {
        return ERR_NOMEM;
    }
    const char *const first[GUARD_ARGUMENTS] = {guard, "--lifeline", "3", "--cwd", workspace};
    memcpy(arguments, first, sizeof(first));
    memcpy(arguments + GUARD_ARGUMENTS, limits.arguments, limit_count * sizeof(*arguments));
    arguments[before - 1] = "--";
    arguments[before] = program;
    for (size_t i = 1; i < command->count; i++) {
        arguments[before + i] = command->items[i];
    }
    int theirs[4] = {-1, -1, -1, -1};
    enum err err = open_channels(agent, theirs);
    if (!err) {
        /* posix_spawn does not change them, whatever its type says. */
        err = agent_guard_spawn(&agent->guard_pid, guard, (char **)(uintptr_t)arguments, environment, theirs);
    }
    for (int i = 0; i <= GUARD_LIFELINE; i++) {
        fd_close(theirs[i]);
    }
    free(arguments);
    return err;
}

static void close_channels(struct agent *agent)
{
    struct agent_source *sources[] = {&agent->input, &agent->output, &agent->errors, &agent->lifeline};
    for (size_t i = 0; i < array_size(sources); i++) {
        agent_source_close(agent->stream, sources[i]);
    }
}

static enum err not_found(struct agent_failure *failure, const struct config_agent *config, enum err err,
                          const char *reason)
{
    failure->code = "agent_unavailable";
    if (err != ERR_NOENT) {
        snprintf(failure->text, sizeof(failure->text), "The agent could not be started: %s.", reason);
    } else if (config->install) {
        snprintf(failure->text, sizeof(failure->text), "The program was not found: %s. Install it with: %s",
                 config->command.items[0], config->install);
    } else {
        snprintf(failure->text, sizeof(failure->text), "The program was not found: %s.", config->command.items[0]);
    }
    return err;
}

enum err agent_process_start(struct agent *agent, const struct agent_start *start, struct agent_failure *failure)
{
    const struct config *config = agent->stream->config;
    const struct config_agent *wanted = config_agent(config, start->agent);
    if (!wanted) {
        failure->code = "agent_unavailable";
        snprintf(failure->text, sizeof(failure->text), "No agent of the name %s is configured (any more).",
                 start->agent);
        return ERR_NOENT;
    }
    char reason[CONFIG_REASON_SIZE];
    char *program;
    enum err err = config_agent_program(config, wanted, &program, reason);
    if (err) {
        return not_found(failure, wanted, err, reason);
    }
    char **environment = NULL;
    err = config_agent_environment(config, wanted, &environment);
    if (!err) {
        agent_wirelog_begin(agent, wanted, environment);
        err = spawn_guard(agent, wanted, program, environment, start->workspace);
    }
    free(environment);
    free(program);
    if (err) {
        close_channels(agent);
        failure->code = "agent_failed";
        snprintf(failure->text, sizeof(failure->text), "The agent could not be started: %s (signalbox-guard).",
                 err_text(err));
        return err;
    }
    agent->limits = wanted->limits;
    watch_guard(agent);
    metric_add(METRIC_AGENTS_STARTED, 1);
    metric_add(METRIC_AGENTS_RUNNING, 1);
    return ERR_OK;
}

/* ---- Ending ---- */

static void end_by(struct agent *agent, int64_t after_ms)
{
    struct instant at = instant_after_ms(agent->stream->now, after_ms);
    if (agent->end.index != 0 && agent->end.at.ns <= at.ns) {
        return;
    }
    heap_remove(&agent->stream->ends, &agent->end);
    agent->end.at = at;
    CHECK(heap_add(&agent->stream->ends, &agent->end) == ERR_OK); /* reserved at the agent's start */
}

/* A guard that does not read its few lines hangs, and agent_process_overdue ends it. */
static void tell_guard(struct agent *agent, const char *line)
{
    if (agent->lifeline.fd >= 0) {
        ssize_t ignored = send(agent->lifeline.fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)ignored;
    }
}

void agent_process_stop(struct agent *agent, int64_t grace_ms)
{
    char line[40];
    snprintf(line, sizeof(line), "stop %lld\n", (long long)grace_ms);
    tell_guard(agent, line);
    agent->kills_at = instant_after_ms(agent->stream->now, grace_ms + GUARD_TERM_MS);
    end_by(agent, grace_ms + GUARD_TERM_MS + GUARD_SLACK_MS);
    agent->stop_told = true;
}

void agent_process_kill(struct agent *agent)
{
    tell_guard(agent, "kill\n");
    agent->kills_at = agent->stream->now;
    end_by(agent, agent->stream->stopping ? GUARD_SLACK_MS / 2 : GUARD_SLACK_MS);
    agent->stop_told = true;
}

bool agent_guard_kill(const struct agent *agent, pid_t guard, unsigned *rounds)
{
    if (*rounds == 0) {
        log_error("a guard did not end in time: what runs below it is killed, and then the guard", "session", "%s",
                  agent->topic->session_id, "pid", "%d", (int)guard, NULL);
    }
    int living = process_tree_signal(guard, SIGKILL);
    if (living > 0 && ++*rounds < GUARD_ROUNDS) {
        return false;
    }
    if (living != 0) {
        log_error("what ran below a guard that is killed may be left", "session", "%s", agent->topic->session_id, "pid",
                  "%d", (int)guard, NULL);
    }
    kill(guard, SIGKILL); /* not reaped yet, so the number is still its own */
    return true;
}

void agent_process_overdue(struct agent *agent)
{
    heap_remove(&agent->stream->ends, &agent->end);
    if (agent->gone && !agent->reaped) {
        agent_reap(agent);
    }
    if (agent->reaped) {
        return;
    }
    if (agent->gone && !agent->guard_killed) {
        end_by(agent, GUARD_RETRY_MS);
        return;
    }
    if (!agent->guard_killed) {
        agent->guard_killed = agent_guard_kill(agent, agent->guard_pid, &agent->guard_rounds);
    }
    end_by(agent, agent->guard_killed ? GUARD_SLACK_MS : GUARD_ROUND_MS);
}

static void guard_gone(struct agent *agent)
{
    if (!agent->gone) {
        agent->gone = true;
        agent_source_close(agent->stream, &agent->lifeline);
        agent_output_read(agent);
    }
}

void agent_reap(struct agent *agent)
{
    int status;
    pid_t got = agent->reaped ? 0 : waitpid(agent->guard_pid, &status, WNOHANG);
    if (got != agent->guard_pid && !(got < 0 && errno == ECHILD)) {
        return;
    }
    agent->reaped = true;
    agent_source_close(agent->stream, &agent->guard);
    heap_remove(&agent->stream->ends, &agent->end);
    agent_lifeline_read(agent); /* its last words, which may not have been read yet */
    guard_gone(agent);
}

/* ---- The lifeline ---- */

/* Whether it ended without having been told: then also its stdout, or its stdin, may have been seen to end first. */
static bool is_own(const struct agent *agent, enum agent_fate fate)
{
    if (agent->why[0] != '\0' || (agent->stop_told && !agent->quit)) {
        return false;
    }
    bool guards = agent->stop_told && (agent->fate_code == SIGTERM ||
                                       instant_reached(agent->kills_at, agent->stream->now));
    return fate == FATE_EXITED || !guards;
}

static void set_fate(struct agent *agent, enum agent_fate fate, const char *number)
{
    if (agent->fate != FATE_RUNNING) {
        return;
    }
    char *rest;
    agent->fate = fate;
    agent->fate_code = (int)strtol(number, &rest, 10);
    agent->fate_own = is_own(agent, fate);
    if (fate == FATE_NOT_STARTED) {
        agent->fate_text = strdup(*rest == ' ' ? rest + 1 : rest);
    }
    end_by(agent, GUARD_TERM_MS + GUARD_SLACK_MS); /* the guard ends what is left of the tree, and itself */
}

static void take_guard_line(struct agent *agent, const char *line)
{
    static const struct {
        const char *word;
        enum agent_fate fate;
    } fates[] = {{"failed ", FATE_NOT_STARTED}, {"exited ", FATE_EXITED}, {"killed ", FATE_KILLED}};
    for (size_t i = 0; i < array_size(fates); i++) {
        size_t length = strlen(fates[i].word);
        if (strncmp(line, fates[i].word, length) == 0) {
            set_fate(agent, fates[i].fate, line + length);
            return;
        }
    }
    if (strncmp(line, "started ", 8) == 0) {
        log_info("agent started", "session", "%s", agent->topic->session_id, "run", "%llu",
                 (unsigned long long)agent->run, "pid", "%s", line + 8, NULL);
    }
}

void agent_lifeline_read(struct agent *agent)
{
    while (agent->lifeline.fd >= 0) {
        char bytes[256];
        ssize_t got = recv(agent->lifeline.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            guard_gone(agent);
            if (agent->guard.fd < 0 && !agent->reaped) {
                end_by(agent, 0);
            }
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\n') {
                agent->line[agent->line_length] = '\0';
                agent->line_length = 0;
                take_guard_line(agent, agent->line);
            } else if (agent->line_length + 1 < sizeof(agent->line)) {
                agent->line[agent->line_length++] = bytes[i];
            }
        }
    }
}

char *agent_last_words(const struct agent *agent)
{
    struct buffer text = {0};
    char line[AGENT_LOG_LINE_BYTES];
    const char *errors = agent_errors_last(agent, line);
    if (agent->why[0] != '\0') {
        buffer_text(&text, agent->why);
        return buffer_take(&text);
    }
    const char *signal_name = NULL;
    switch (agent->fate) {
    case FATE_NOT_STARTED:
        buffer_format(&text, "The agent could not be started: %s", agent->fate_text ? agent->fate_text : "");
        return buffer_take(&text);
    case FATE_EXITED:
        buffer_format(&text, "The agent exited with status %d", agent->fate_code);
        break;
    case FATE_KILLED:
        signal_name = sigdescr_np(agent->fate_code);
        buffer_format(&text, "The agent was ended by signal %d (%s)", agent->fate_code,
                      signal_name ? signal_name : "unknown");
        break;
    case FATE_RUNNING:
        buffer_text(&text, agent->guard_killed ? "The agent's guard hung and was killed"
                                               : "The agent's guard (signalbox-guard) ended unexpectedly");
    }
    buffer_text(&text, errors ? ": " : ".");
    buffer_text(&text, errors ? errors : "");
    if (agent->fate == FATE_KILLED || (agent->fate == FATE_EXITED && agent->fate_code != 0)) {
        struct buffer hint = {0};
        agent_limits_explain(&hint, &agent->limits, agent->fate == FATE_KILLED ? agent->fate_code : 0, errors);
        char last = text.length ? text.data[text.length - 1] : '.';
        buffer_text(&text, hint.length && last != '.' ? "." : "");
        buffer_append(&text, hint.data, hint.length);
        buffer_free(&hint);
    }
    return buffer_take(&text);
}
