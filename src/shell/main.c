// signalbox-shell: an ACP agent for which a prompt is a shell command line. It needs no key and no
// network, so that a fresh machine has an agent to try.
#define _GNU_SOURCE
#include "agent.h"
#include "run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    // A client that does not read is not given more output, and then not more answers either.
    OUTPUT_HIGH = 1024 * 1024,
    ANSWERS_HIGH = 4 * 1024 * 1024,
};

static int watch_signals(void)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    // An inherited "ignore" would let the kernel reap the commands before we see how they ended.
    signal(SIGCHLD, SIG_DFL);
    if (sigprocmask(SIG_SETMASK, &watched, NULL) != 0) {
        return -1;
    }
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Returns true when the process was asked to end.
static bool take_signals(int signals)
{
    struct signalfd_siginfo taken;
    bool end = false;
    while (read(signals, &taken, sizeof taken) == (ssize_t)sizeof taken) {
        end = end || taken.ssi_signo != SIGCHLD;
    }
    return end;
}

static void wait_for_something(struct agent *a, int signals, bool ending, int64_t deadline)
{
    static struct pollfd fds[3 + 2 * AGENT_SESSIONS_MAX];
    size_t pending = wire_pending(a->wire);
    fds[0] = (struct pollfd){.fd = signals, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = pending > 0 ? STDOUT_FILENO : -1, .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = ending || pending > ANSWERS_HIGH ? -1 : STDIN_FILENO,
                             .events = POLLIN};
    nfds_t count = 3;
    if (pending <= OUTPUT_HIGH) {
        count += agent_poll(a, fds + count);
    }
    struct timespec limit;
    struct timespec *timeout = NULL;
    if (deadline != INT64_MAX) {
        int64_t left = deadline - run_now();
        left = left < 0 ? 0 : left;
        limit = (struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        timeout = &limit;
    }
    if (ppoll(fds, count, timeout, NULL) <= 0) {
        fds[2].revents = 0;
    }
    if (fds[2].fd < 0) {
        fds[2].revents = 0;
    }
    if (fds[2].revents != 0 && wire_fill(a->wire) == 0) {
        raise(SIGTERM); // end of input ends the agent as the signal does
    }
}

static void serve(struct agent *a, int signals)
{
    bool ending = false;
    int64_t deadline = INT64_MAX;
    while (!ending || agent_busy(a)) {
        if (wire_flush(a->wire) < 0) {
            ending = true;
            agent_cancel_all(a);
        }
        wait_for_something(a, signals, ending, deadline);
        rpc_take(a->rpc);
        if (take_signals(signals)) {
            ending = true;
            agent_cancel_all(a);
        }
        deadline = agent_step(a, wire_pending(a->wire) <= OUTPUT_HIGH, run_now());
    }
    wire_flush(a->wire);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        bool asked = strcmp(argv[1], "--help") == 0;
        fprintf(asked ? stdout : stderr,
                "usage: signalbox-shell\n"
                "  An agent that speaks the Agent Client Protocol on its standard streams.\n"
                "  A prompt is a shell command line, which it asks to run in the workspace.\n");
        return asked ? 0 : 64;
    }
    int signals = watch_signals();
    struct agent a = {.wire = wire_new(STDIN_FILENO, STDOUT_FILENO)};
    if (signals < 0 || a.wire == NULL || (a.rpc = rpc_new(a.wire, &agent_handler, &a)) == NULL) {
        fprintf(stderr, "signalbox-shell: cannot start\n");
        wire_free(a.wire);
        return 1;
    }
    serve(&a, signals);
    agent_release(&a);
    rpc_free(a.rpc);
    wire_free(a.wire);
    close(signals);
    return 0;
}
