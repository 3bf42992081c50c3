/* Terminals: commands that an agent has us run (ACP terminal/create), each under a signalbox-guard of its own. */
#define _GNU_SOURCE
#include "agent_internal.h"
#include "agent_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

enum {
    /* Of an agent, those on their way out too. */
    TERMINALS_MAX = 40,
    GUARD_MS = 4000,      /* in which a guard ends the tree and itself: its second between two signals, and slack */
    GUARD_STOP_MS = 1500, /* the same while the server stops: it kills at once */
    RETRY_MS = 20,        /* where there are no pidfds */
    ROUND_MS = 200,       /* between two looks at what lives below a guard that hangs */
    LIFELINE = 3,         /* its number in the guard */
    GUARD_WORDS = 7,      /* before its limits and the command */
};

struct agent_terminal {
    struct agent_terminal *next; /* of its agent's, or of the dead */
    struct agent *agent;
    uint64_t number;
    struct agent_source output, lifeline, guard;
    pid_t pid;
    char line[AGENT_LIFELINE_LINE_BYTES];
    size_t line_length;
    struct heap_node end; /* what is to be done about a guard that does not end */
    bool paused;          /* no credit: its output is not read */
    bool over;            /* the agent knows how it ended, or that it never ran */
    bool gone;            /* the guard's lifeline has ended */
    bool killed;          /* the guard, by us: it hung */
    unsigned rounds;      /* of agent_guard_kill */
};

/* ---- Starting ---- */

static struct agent_terminal *terminal_of(struct agent_source *source)
{
    switch (source->kind) {
    case AGENT_SOURCE_TERMINAL_OUTPUT:
        return container_of(source, struct agent_terminal, output);
    case AGENT_SOURCE_TERMINAL_LIFELINE:
        return container_of(source, struct agent_terminal, lifeline);
    default:
        CHECK(source->kind == AGENT_SOURCE_TERMINAL_GUARD);
        return container_of(source, struct agent_terminal, guard);
    }
}

static bool same_key(const char *a, const char *b)
{
    size_t length = strcspn(a, "=");
    return strncmp(a, b, length) == 0 && b[length] == '=';
}

/* The agent's environment with `over` laid over it: an array of borrowed texts. */
static char **lay_over(char *const *base, const char *const *over)
{
    size_t count = 1;
    for (size_t i = 0; base[i]; i++) {
        count++;
    }
    for (size_t i = 0; over[i]; i++) {
        count++;
    }
    char **all = calloc(count, sizeof(*all));
    if (!all) {
        return NULL;
    }
    size_t used = 0;
    for (size_t i = 0; over[i]; i++) {
        all[used++] = (char *)(uintptr_t)over[i]; /* posix_spawn does not change them, whatever its type says */
    }
    for (size_t i = 0; base[i]; i++) {
        bool hidden = false;
        for (size_t j = 0; !hidden && over[j]; j++) {
            hidden = same_key(over[j], base[i]);
        }
        if (!hidden) {
            all[used++] = base[i];
        }
    }
    return all;
}

static enum err open_null(int *fd)
{
    int opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int lifted = opened < 0 ? -errno : fd_lift(opened);
    if (lifted < 0) {
        return err_from_errno(-lifted);
    }
    *fd = lifted;
    return ERR_OK;
}

/* What limits the agent limits its commands. */
static enum err spawn_guard(struct agent_terminal *terminal, const struct terminal_command *command,
                            const struct config_agent *about, char **environment)
{
    struct agent *agent = terminal->agent;
    const char *guard = agent->stream->wiring.guard_path;
    struct agent_limits_text limits;
    size_t limit_count = agent_limits_arguments(&about->limits, &limits);
    size_t before = GUARD_WORDS + limit_count + 1;
    const char **arguments = calloc(before + command->argument_count + 1, sizeof(*arguments));
    if (!arguments) {
        return ERR_NOMEM;
    }
    const char *const first[GUARD_WORDS] = {guard,      "--lifeline",    "3", "--cwd", agent->workspace,
                                            "--inside", command->folder};
    memcpy(arguments, first, sizeof(first));
    memcpy(arguments + GUARD_WORDS, limits.arguments, limit_count * sizeof(*arguments));
    arguments[before - 1] = "--";
    memcpy(arguments + before, command->arguments, command->argument_count * sizeof(*arguments));
    int theirs[LIFELINE + 1] = {-1, -1, -1, -1};
    enum err err = open_null(&theirs[0]);
    if (!err) {
        err = agent_channel_open(agent->stream, &terminal->output, &theirs[1]);
    }
    if (!err) {
        err = agent_channel_open(agent->stream, &terminal->lifeline, &theirs[LIFELINE]);
    }
    theirs[2] = theirs[1];
    if (!err) {
        /* posix_spawn does not change them, whatever its type says. */
        err = agent_guard_spawn(&terminal->pid, guard, (char **)(uintptr_t)arguments, environment, theirs);
    }
    fd_close(theirs[0]);
    fd_close(theirs[1]);
    fd_close(theirs[LIFELINE]);
    free(arguments);
    return err;
}

static enum err spawn(struct agent_terminal *terminal, const struct terminal_command *command)
{
    struct agent *agent = terminal->agent;
    const struct config *config = agent->stream->config;
    const struct config_agent *about = config_agent(config, agent->name);
    char **base = NULL;
    enum err err = about ? config_agent_environment(config, about, &base) : ERR_NOENT;
    if (err) {
        return err;
    }
    char **all = lay_over(base, command->environment);
    err = all ? spawn_guard(terminal, command, about, all) : ERR_NOMEM;
    free(all);
    free(base);
    return err;
}

static void terminal_free(struct agent_terminal *terminal)
{
    struct agent_stream *stream = terminal->agent->stream;
    agent_source_close(stream, &terminal->output);
    agent_source_close(stream, &terminal->lifeline);
    agent_source_close(stream, &terminal->guard);
    heap_remove(&stream->terminal_ends, &terminal->end);
    free(terminal);
}

static void watch_guard(struct agent_terminal *terminal)
{
    struct agent_stream *stream = terminal->agent->stream;
    int fd = pidfd_open(terminal->pid, 0);
    terminal->guard.fd = fd < 0 ? -1 : fd_lift(fd);
    if (terminal->guard.fd >= 0 && agent_source_add(stream, &terminal->guard, EPOLLIN) != ERR_OK) {
        fd_close(terminal->guard.fd);
        terminal->guard.fd = -1;
    }
}

enum err agent_terminal_start(struct agent *agent, uint64_t number, const struct terminal_command *command, char *why)
{
    struct agent_stream *stream = agent->stream;
    if (stream->stopping || agent->stop_told || agent->gone) {
        snprintf(why, TERMINAL_WHY_SIZE, "The agent is being stopped");
        return ERR_STOPPING;
    }
    if (agent->terminal_count == TERMINALS_MAX) {
        snprintf(why, TERMINAL_WHY_SIZE, "There are too many terminals that have not ended yet");
        return ERR_AGAIN;
    }
    struct agent_terminal *terminal = calloc(1, sizeof(*terminal));
    if (!terminal) {
        return ERR_NOMEM;
    }
    *terminal = (struct agent_terminal){
        .agent = agent,
        .number = number,
        .output = {AGENT_SOURCE_TERMINAL_OUTPUT, -1, agent},
        .lifeline = {AGENT_SOURCE_TERMINAL_LIFELINE, -1, agent},
        .guard = {AGENT_SOURCE_TERMINAL_GUARD, -1, agent},
    };
    enum err err = heap_reserve(&stream->terminal_ends, stream->terminal_count + 1 - stream->terminal_ends.count);
    if (!err) {
        err = spawn(terminal, command);
    }
    if (err) {
        snprintf(why, TERMINAL_WHY_SIZE, "The command could not be started: %s", err_text(err));
        terminal_free(terminal);
        return err;
    }
    watch_guard(terminal);
    terminal->next = agent->terminals;
    agent->terminals = terminal;
    agent->terminal_count++;
    stream->terminal_count++;
    metric_add(METRIC_TERMINALS_STARTED, 1);
    metric_add(METRIC_TERMINALS_RUNNING, 1);
    return ERR_OK;
}

/* ---- Output ---- */

static void set_paused(struct agent_terminal *terminal, bool paused)
{
    if (terminal->paused != paused) {
        terminal->paused = paused;
        terminal->agent->stream->paused += paused ? 1 : (size_t)-1;
        if (terminal->output.fd >= 0) {
            agent_source_watch(terminal->agent->stream, &terminal->output, paused ? 0 : EPOLLIN);
        }
    }
}

static void close_output(struct agent_terminal *terminal)
{
    set_paused(terminal, false);
    agent_source_close(terminal->agent->stream, &terminal->output);
}

/* True if there was something; closes it at its end. */
static bool read_some(struct agent_terminal *terminal)
{
    if (terminal->output.fd < 0) {
        return false;
    }
    struct agent *agent = terminal->agent;
    ssize_t got = read(terminal->output.fd, agent->stream->scratch, AGENT_READ_BYTES);
    if (got > 0) {
        agent_stream_clock(agent->stream);
        agent_heard(agent); /* its command is alive, and so is what waits for it */
        acp_peer_time(agent->peer, agent->stream->now, agent->stream->wall_ms);
        acp_peer_terminal_output(agent->peer, terminal->number, agent->stream->scratch, (size_t)got);
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_output(terminal);
    }
    return false;
}

/* One piece a wake-up, so that a flood does not hold up others. */
static void read_output(struct agent_terminal *terminal)
{
    struct agent *agent = terminal->agent;
    bool wait = !agent->stream->stopping && !agent->peer_ended && credit_exhausted(agent->credit, 0);
    if (wait && !terminal->paused) {
        metric_add(METRIC_AGENT_STALLS, 1);
    }
    set_paused(terminal, wait);
    if (!wait) {
        read_some(terminal);
    }
}

void agent_terminals_resume(struct agent *agent)
{
    for (struct agent_terminal *terminal = agent->terminals; terminal; terminal = terminal->next) {
        if (terminal->paused) {
            read_output(terminal);
        }
    }
}

/* What its own process wrote is in the pipe, which holds no more than this. */
static void drain(struct agent_terminal *terminal)
{
    for (size_t rounds = 0; rounds < AGENT_LATE_BYTES_MAX / AGENT_READ_BYTES && read_some(terminal); rounds++) {
    }
}

/* ---- The guard ---- */

static void end_by(struct agent_terminal *terminal, int64_t after_ms)
{
    struct agent_stream *stream = terminal->agent->stream;
    struct instant at = instant_after_ms(stream->now, after_ms);
    if (terminal->end.index != 0 && terminal->end.at.ns <= at.ns) {
        return;
    }
    heap_remove(&stream->terminal_ends, &terminal->end);
    terminal->end.at = at;
    CHECK(heap_add(&stream->terminal_ends, &terminal->end) == ERR_OK); /* reserved at its start */
}

static void tell_guard(struct agent_terminal *terminal, const char *line)
{
    if (terminal->lifeline.fd >= 0) {
        ssize_t ignored = send(terminal->lifeline.fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)ignored; /* one that does not read its few lines hangs, and is overdue soon */
    }
    end_by(terminal, terminal->agent->stream->stopping ? GUARD_STOP_MS : GUARD_MS);
}

void agent_terminal_end(struct agent *agent, uint64_t number, bool at_once)
{
    for (struct agent_terminal *terminal = agent->terminals; terminal; terminal = terminal->next) {
        if (terminal->number == number) {
            terminal->over = terminal->over || at_once;
            tell_guard(terminal, at_once ? "kill\n" : "stop 0\n");
        }
    }
}

void agent_terminals_end(struct agent *agent)
{
    for (struct agent_terminal *terminal = agent->terminals; terminal; terminal = terminal->next) {
        tell_guard(terminal, "kill\n");
    }
}

static void exited(struct agent_terminal *terminal, int code, int signal)
{
    if (terminal->over) {
        return;
    }
    drain(terminal);
    terminal->over = true;
    acp_peer_time(terminal->agent->peer, terminal->agent->stream->now, terminal->agent->stream->wall_ms);
    acp_peer_terminal_exited(terminal->agent->peer, terminal->number, code, signal);
    end_by(terminal, GUARD_MS); /* the guard ends what is left of the tree, and itself */
}

static void take_line(struct agent_terminal *terminal, const char *line)
{
    struct acp_peer *peer = terminal->agent->peer;
    if (strncmp(line, "started ", 8) == 0) {
        acp_peer_terminal_started(peer, terminal->number, NULL);
    } else if (strncmp(line, "failed ", 7) == 0) {
        const char *text = strchr(line + 7, ' ');
        terminal->over = true;
        acp_peer_terminal_started(peer, terminal->number, text ? text + 1 : line);
        end_by(terminal, GUARD_MS);
    } else if (strncmp(line, "exited ", 7) == 0) {
        exited(terminal, (int)strtol(line + 7, NULL, 10), 0);
    } else if (strncmp(line, "killed ", 7) == 0) {
        exited(terminal, -1, (int)strtol(line + 7, NULL, 10));
    }
}

static void lifeline_ended(struct agent_terminal *terminal)
{
    terminal->gone = true;
    agent_source_close(terminal->agent->stream, &terminal->lifeline);
    if (terminal->guard.fd < 0) {
        end_by(terminal, 0);
    }
}

static void read_lifeline(struct agent_terminal *terminal)
{
    while (terminal->lifeline.fd >= 0) {
        char bytes[256];
        ssize_t got = recv(terminal->lifeline.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            lifeline_ended(terminal);
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] == '\n') {
                terminal->line[terminal->line_length] = '\0';
                terminal->line_length = 0;
                take_line(terminal, terminal->line);
            } else if (terminal->line_length + 1 < sizeof(terminal->line)) {
                terminal->line[terminal->line_length++] = bytes[i];
            }
        }
    }
}

/* Nothing of it runs any more. */
static void bury(struct agent_terminal *terminal)
{
    struct agent *agent = terminal->agent;
    struct agent_stream *stream = agent->stream;
    struct agent_terminal **link = &agent->terminals;
    while (*link != terminal) {
        link = &(*link)->next;
    }
    *link = terminal->next;
    close_output(terminal); /* counts it out of the paused ones */
    heap_remove(&stream->terminal_ends, &terminal->end);
    agent->terminal_count--;
    stream->terminal_count--;
    metric_add(METRIC_TERMINALS_RUNNING, -1);
    terminal->next = stream->dead_terminals;
    stream->dead_terminals = terminal;
}

static void reap(struct agent_terminal *terminal)
{
    int status;
    pid_t got = waitpid(terminal->pid, &status, WNOHANG);
    if (got != terminal->pid && !(got < 0 && errno == ECHILD)) {
        return;
    }
    agent_source_close(terminal->agent->stream, &terminal->guard);
    read_lifeline(terminal); /* its last words, which may not have been read yet */
    drain(terminal);
    /* Where the guard was killed nobody knows more than that; and its end may be all that is to be told. */
    acp_peer_terminal_started(terminal->agent->peer, terminal->number, "signalbox-guard ended unexpectedly");
    exited(terminal, -1, SIGKILL);
    bury(terminal);
}

void agent_terminal_overdue(struct heap_node *node)
{
    struct agent_terminal *terminal = container_of(node, struct agent_terminal, end);
    struct agent *agent = terminal->agent;
    heap_remove(&agent->stream->terminal_ends, &terminal->end);
    bool hangs = !terminal->gone || terminal->guard.fd >= 0;
    if (hangs && !terminal->killed) {
        terminal->killed = agent_guard_kill(agent, terminal->pid, &terminal->rounds);
    }
    bool again = hangs && !terminal->killed;
    end_by(terminal, again ? ROUND_MS : terminal->guard.fd >= 0 ? GUARD_MS : RETRY_MS);
    reap(terminal);
    agent_settle(agent);
}

void agent_terminal_event(struct agent_source *source)
{
    struct agent_terminal *terminal = terminal_of(source);
    switch (source->kind) {
    case AGENT_SOURCE_TERMINAL_OUTPUT:
        read_output(terminal);
        break;
    case AGENT_SOURCE_TERMINAL_LIFELINE:
        read_lifeline(terminal);
        break;
    default:
        reap(terminal);
    }
}

void agent_terminals_abandon(struct agent *agent)
{
    while (agent->terminals) {
        log_error("a terminal's guard did not end and is left", "session", "%s", agent->topic->session_id, "pid", "%d",
                  (int)agent->terminals->pid, NULL);
        bury(agent->terminals);
    }
}

void agent_terminals_free_dead(struct agent_stream *stream)
{
    while (stream->dead_terminals) {
        struct agent_terminal *terminal = stream->dead_terminals;
        stream->dead_terminals = terminal->next;
        terminal_free(terminal);
    }
}
