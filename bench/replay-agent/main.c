// signalbox-replay-agent: plays the agent's side of a recorded session. See README.md.
#define _GNU_SOURCE
#include "player.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 64 };

static int usage(FILE *to)
{
    fputs("usage: signalbox-replay-agent FILE [--speed FACTOR | --no-wait]\n"
          "  Plays the agent of a transcript (JSON lines of dir, t and msg) over the Agent Client\n"
          "  Protocol, at its own pace, FACTOR times as fast, or without waiting.\n",
          to);
    return to == stdout ? 0 : EXIT_USAGE;
}

static void serve(struct player *p)
{
    int64_t wake = player_run(p, player_now());
    for (;;) {
        if (wire_flush(p->wire) < 0) {
            return;
        }
        struct pollfd fds[2] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = wire_pending(p->wire) > 0 ? STDOUT_FILENO : -1, .events = POLLOUT},
        };
        struct timespec limit;
        struct timespec *timeout = NULL;
        if (wake != INT64_MAX) {
            int64_t left = wake - player_now();
            left = left < 0 ? 0 : left;
            limit = (struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
            timeout = &limit;
        }
        if (ppoll(fds, 2, timeout, NULL) > 0 && fds[0].revents != 0 && wire_fill(p->wire) == 0) {
            wire_flush(p->wire);
            return;
        }
        rpc_take(p->rpc);
        wake = player_run(p, player_now());
    }
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    struct player p = {.speed = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return usage(stdout);
        }
        if (strcmp(argv[i], "--no-wait") == 0) {
            p.speed = 0;
        } else if (strcmp(argv[i], "--speed") == 0 && i + 1 < argc) {
            p.speed = strtod(argv[++i], NULL);
            if (!(p.speed > 0)) {
                return usage(stderr);
            }
        } else if (argv[i][0] != '-' && path == NULL) {
            path = argv[i];
        } else {
            return usage(stderr);
        }
    }
    if (path == NULL) {
        return usage(stderr);
    }
    struct tape tape;
    if (tape_read(&tape, path) != 0) {
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    p.tape = &tape;
    p.wire = wire_new(STDIN_FILENO, STDOUT_FILENO);
    p.rpc = p.wire == NULL ? NULL : rpc_new(p.wire, &player_handler, &p);
    int status = 1;
    if (p.rpc != NULL) {
        player_begin(&p);
        serve(&p);
        status = 0;
    }
    player_release(&p);
    rpc_free(p.rpc);
    wire_free(p.wire);
    tape_free(&tape);
    return status;
}
