// `signalbox replay-agent`: a recorded session, played as an agent.
#define _GNU_SOURCE
#include "replay.h"

#include "player.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static int usage(FILE *to)
{
    fputs("Usage: signalbox replay-agent FILE... [--speed FACTOR | --no-wait]\n"
          "\n"
          "Plays the agent of a recorded session over the Agent Client Protocol on stdin and stdout, until stdin ends\n"
          "or, where the recorded agent ended by itself, it has come to that. FILE is a wire log of Signalbox\n"
          "(docs/operation.md), the parts of one run in order, or any file of lines with dir, t and msg.\n"
          "\n"
          "  --speed FACTOR  FACTOR times as fast as it was recorded\n"
          "  --no-wait       without waiting for anything but the client\n"
          "  --help          this text\n",
          to);
    return to == stdout ? 0 : EXIT_USAGE;
}

static void serve(struct player *p)
{
    int64_t wake = player_run(p, player_now());
    for (;;) {
        if (wire_flush(p->wire) < 0 || (p->ended != NULL && wire_pending(p->wire) == 0)) {
            return;
        }
        struct pollfd fds[2] = {
            {.fd = p->ended != NULL ? -1 : STDIN_FILENO, .events = POLLIN},
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

// 1: go on; else the exit status is in *status.
static int read_arguments(int argc, char **argv, struct player *p, char **files, int *count, int *status)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            *status = usage(stdout);
            return 0;
        }
        if (strcmp(argv[i], "--no-wait") == 0) {
            p->speed = 0;
        } else if (strcmp(argv[i], "--speed") == 0 && i + 1 < argc) {
            char *end;
            p->speed = strtod(argv[++i], &end);
            if (!(p->speed > 0) || *end != '\0') {
                *status = usage(stderr);
                return 0;
            }
        } else if (argv[i][0] != '-') {
            files[(*count)++] = argv[i];
        } else {
            *status = usage(stderr);
            return 0;
        }
    }
    if (*count == 0) {
        *status = usage(stderr);
        return 0;
    }
    return 1;
}

// Returns the status to exit with, if it returns.
static int end_as(json_object *ended)
{
    json_object *signal_number = rpc_member(ended, "signal", json_type_int);
    if (signal_number == NULL) {
        return json_object_get_int(rpc_member(ended, "exitStatus", json_type_int));
    }
    int number = json_object_get_int(signal_number);
    setrlimit(RLIMIT_CORE, &(const struct rlimit){0}); // it is no failure of this program
    signal(number, SIG_DFL);
    raise(number);
    return EXIT_FAILURE; // one that ends nobody
}

static int play(struct player *p, char **files, int count)
{
    struct tape tape;
    if (tape_read(&tape, files, count) != 0) {
        return EXIT_FAILURE;
    }
    signal(SIGPIPE, SIG_IGN);
    p->tape = &tape;
    p->wire = wire_new(STDIN_FILENO, STDOUT_FILENO);
    p->rpc = p->wire == NULL ? NULL : rpc_new(p->wire, &player_handler, p);
    int status = EXIT_FAILURE;
    if (p->rpc != NULL) {
        player_begin(p);
        serve(p);
        status = p->ended != NULL ? end_as(p->ended) : EXIT_SUCCESS;
    }
    player_release(p);
    rpc_free(p->rpc);
    wire_free(p->wire);
    tape_free(&tape);
    return status;
}

int replay_main(int argc, char **argv)
{
    struct player p = {.speed = 1};
    int count = 0;
    int status = EXIT_FAILURE;
    char **files = calloc((size_t)argc + 1, sizeof *files);
    if (files != NULL && read_arguments(argc, argv, &p, files, &count, &status) == 1) {
        status = play(&p, files, count);
    }
    free(files);
    return status;
}
