// Lines to the server:   started PID | failed ERRNO TEXT | exited CODE | killed SIGNAL
// Lines from the server: stop MILLISECONDS | kill
// The end of the lifeline means that the server is gone, and is taken as "stop 1500".
#define _GNU_SOURCE
#include "guard.h"
#include "signalbox/base/process_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ORPHANED_STOP_MS = 1500, // the server is gone: time for the agent to end by end-of-file
    TERM_MS = 1000,          // from SIGTERM to SIGKILL
    KILL_AGAIN_MS = 20,      // between two rounds of SIGKILL, when a round did not reach everybody
    KILL_BURST = 200, // steps of the short loop against processes that fork and exit in a row
    STOP_MS_MAX = 3600 * 1000,
};

// The order is the order of the end: a phase is only ever left for a later one.
enum phase { PHASE_RUN, PHASE_STOP, PHASE_TERM, PHASE_KILL };

struct guard {
    const struct spawn *spawn;
    int lifeline; // -1 after its end
    int signals;
    int report; // -1 once the exec is known to have succeeded or failed
    pid_t agent;
    bool failed;
    enum phase phase;
    int64_t deadline; // of the phase, monotonic milliseconds; none in PHASE_RUN
    char line[128];
    size_t line_length;
    bool line_too_long;
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 3))) static void say(struct guard *g, const char *format, ...)
{
    if (g->lifeline < 0) {
        return;
    }
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    if (length > (int)sizeof line - 2) {
        length = (int)sizeof line - 2;
    }
    for (int i = 0; i < length; i++) {
        if (line[i] == '\n') {
            line[i] = ' ';
        }
    }
    line[length] = '\n';
    // A server that does not read its few lines is as good as gone, and must not hold up the end.
    ssize_t ignored = send(g->lifeline, line, (size_t)length + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored;
}

static void enter(struct guard *g, enum phase phase, int64_t ms)
{
    if (phase < g->phase) {
        return;
    }
    int64_t deadline = now_ms() + ms;
    if (phase == g->phase && deadline >= g->deadline) {
        return;
    }
    bool fresh = phase != g->phase;
    g->phase = phase;
    g->deadline = deadline;
    if (phase == PHASE_TERM && fresh) {
        process_tree_signal(getpid(), SIGTERM);
        process_tree_signal(getpid(), SIGCONT); // a stopped process takes its SIGTERM only when it goes on
    }
}

static void command(struct guard *g, const char *line)
{
    if (strcmp(line, "kill") == 0) {
        enter(g, PHASE_KILL, 0);
    } else if (strncmp(line, "stop ", 5) == 0) {
        long ms = strtol(line + 5, NULL, 10);
        enter(g, PHASE_STOP, ms < 0 ? 0 : ms > STOP_MS_MAX ? STOP_MS_MAX : ms);
    }
}

static void read_lifeline(struct guard *g)
{
    char bytes[256];
    ssize_t got = recv(g->lifeline, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close(g->lifeline);
        g->lifeline = -1;
        enter(g, PHASE_STOP, ORPHANED_STOP_MS);
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != '\n') {
            if (g->line_length + 1 < sizeof g->line) {
                g->line[g->line_length++] = bytes[i];
            } else {
                g->line_too_long = true;
            }
            continue;
        }
        g->line[g->line_length] = '\0';
        if (!g->line_too_long) {
            command(g, g->line);
        }
        g->line_length = 0;
        g->line_too_long = false;
    }
}

static void let_go_of_stdio(void)
{
    // The numbers stay taken, so that nothing that is opened later becomes a standard stream.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; fd++) {
        if (null >= 0) {
            dup2(null, fd);
        } else {
            close(fd);
        }
    }
    if (null > 2) {
        close(null);
    }
}

static void say_failure(struct guard *g, const struct spawn_failure *failure)
{
    const char *what = g->spawn->command[0];
    if (failure->stage == SPAWN_STAGE_DIRECTORY) {
        what = g->spawn->inside != NULL ? g->spawn->inside : g->spawn->directory;
    } else if (failure->stage == SPAWN_STAGE_LIMIT) {
        what = g->spawn->limits[failure->limit].name;
    } else if (failure->stage == SPAWN_STAGE_NICE) {
        what = "nice";
    } else if (failure->stage == SPAWN_STAGE_OOM_SCORE) {
        what = "oom_score_adj";
    }
    const char *why = strerror(failure->error);
    if (failure->stage == SPAWN_STAGE_PROGRAM && failure->error == ENOENT && access(what, F_OK) == 0) {
        why = "What runs it was not found (the interpreter in its first line, or its loader)";
    }
    if (failure->stage == SPAWN_STAGE_DIRECTORY && failure->error == EXDEV) {
        why = "It leads out of the workspace (absolute links do)"; // spawn.h: inside
    }
    g->failed = true;
    say(g, "failed %d %s: %s", failure->error, why, what);
    dprintf(2, "signalbox-guard: %s: %s\n", what, why);
}

static void read_report(struct guard *g)
{
    struct spawn_failure failure;
    ssize_t got = read(g->report, &failure, sizeof failure);
    if (got < 0 && errno == EINTR) {
        return;
    }
    close(g->report);
    g->report = -1;
    if (got == (ssize_t)sizeof failure) {
        say_failure(g, &failure);
    } else {
        say(g, "started %d", (int)g->agent);
    }
    let_go_of_stdio();
}

static void agent_ended(struct guard *g, int status)
{
    if (g->report >= 0) {
        read_report(g); // exec or death has closed the other end: this does not block
    }
    if (g->failed) {
        return;
    }
    if (WIFEXITED(status)) {
        say(g, "exited %d", WEXITSTATUS(status));
    } else {
        say(g, "killed %d", WTERMSIG(status));
    }
}

// Returns false when no child is left.
static bool reap(struct guard *g)
{
    struct signalfd_siginfo taken;
    while (read(g->signals, &taken, sizeof taken) > 0) {
    }
    int status;
    int pid;
    bool ended = false;
    while ((pid = process_tree_reap(&status)) > 0) {
        if (pid == g->agent) {
            agent_ended(g, status);
            ended = !g->failed;
        }
    }
    // Most leave nothing behind, and who is below us is found by looking at every process of the machine: where many
    // agents end at once, nobody should do that for nothing.
    if (ended && pid == 0) {
        enter(g, PHASE_TERM, TERM_MS);
    }
    return pid == 0;
}

// One round of the hard end. What a killed process leaves behind becomes a child of ours, so in the
// end everything is within reach of the short loop, whatever forks in the meantime.
static void kill_round(struct guard *g)
{
    process_tree_signal(getpid(), SIGKILL);
    for (int i = 0; i < KILL_BURST && process_tree_kill_children() > 0; i++) {
        reap(g);
    }
    g->deadline = now_ms() + KILL_AGAIN_MS;
}

static void wait_for_something(struct guard *g)
{
    struct pollfd fds[3] = {
        {.fd = g->signals, .events = POLLIN},
        {.fd = g->lifeline, .events = POLLIN},
        {.fd = g->report, .events = POLLIN},
    };
    struct timespec limit;
    struct timespec *timeout = NULL;
    if (g->phase != PHASE_RUN) {
        int64_t left = g->deadline - now_ms();
        left = left < 0 ? 0 : left;
        limit = (struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        timeout = &limit;
    }
    if (ppoll(fds, 3, timeout, NULL) <= 0) {
        return;
    }
    if (fds[2].revents != 0 && g->report >= 0) {
        read_report(g);
    }
    if (fds[1].revents != 0 && g->lifeline >= 0) {
        read_lifeline(g);
    }
}

static void pass_deadline(struct guard *g)
{
    if (g->phase == PHASE_RUN || now_ms() < g->deadline) {
        return;
    }
    switch (g->phase) {
    case PHASE_STOP:
        enter(g, PHASE_TERM, TERM_MS);
        break;
    case PHASE_TERM:
        enter(g, PHASE_KILL, 0);
        break;
    default:
        kill_round(g);
    }
}

static int watch_signals(void)
{
    // The end of the agent is the server's decision: a Ctrl-C at its terminal reaches the guard
    // too.
    static const int ignored[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE,
                                  SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
    // An inherited "ignore" would let the kernel reap the children before we see how they ended.
    signal(SIGCHLD, SIG_DFL);
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    if (sigprocmask(SIG_SETMASK, &chld, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
}

int guard_run(const struct spawn *s, int lifeline)
{
    struct guard g = {.spawn = s, .lifeline = lifeline, .report = -1};
    setsid(); // fails harmlessly where the server has done it already
    g.signals = watch_signals();
    if (g.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
        say(&g, "failed %d %s: signalbox-guard", errno, strerror(errno));
        return 1;
    }
    g.agent = spawn_start(s, &g.report);
    if (g.agent < 0) {
        say(&g, "failed %d %s: fork", errno, strerror(errno));
        return 1;
    }
    while (reap(&g)) {
        wait_for_something(&g);
        pass_deadline(&g);
    }
    return g.failed ? 1 : 0;
}
