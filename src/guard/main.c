// signalbox-guard: holds one agent of the server, and leaves nothing of it behind.
#define _GNU_SOURCE
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { EXIT_USAGE = 64 };

static void usage(FILE *to)
{
    fprintf(to, "usage: signalbox-guard --lifeline FD --cwd DIR [--inside PATH] [--rlimit NAME=VALUE]...\n"
                "       [--nice N] [--oom-score-adj N] [--] PROGRAM [ARGUMENT]...\n"
                "  FD is a connected stream socket; NAME is as, nproc, nofile, soft-nofile, cpu or fsize.\n"
                "  PROGRAM runs in DIR, or in PATH beneath it, which no link may lead out of.\n"
                "  It is found by the environment's PATH; a name with a slash is relative to where it runs.\n");
}

static int socket_number(const char *text)
{
    char *end;
    long fd = strtol(text, &end, 10);
    int type;
    socklen_t size = sizeof type;
    if (*text == '\0' || *end != '\0' || fd < 3 || fd > 1 << 20 ||
        getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) {
        return -1;
    }
    return (int)fd;
}

// A whole number from 0 to `most`, or -1.
static int number(const char *text, long most)
{
    char *end;
    long value = strtol(text, &end, 10);
    return *text < '0' || *text > '9' || *end != '\0' || value > most ? -1 : (int)value;
}

int main(int argc, char **argv)
{
    struct spawn s = {.nice = -1, .oom_score_adj = -1};
    int lifeline = -1;
    int i = 1;
    while (i < argc && strncmp(argv[i], "--", 2) == 0) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--help") == 0) {
            usage(stdout);
            return 0;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        int good = 0;
        if (strcmp(argv[i], "--lifeline") == 0) {
            lifeline = socket_number(value);
            good = lifeline >= 0;
        } else if (strcmp(argv[i], "--cwd") == 0) {
            s.directory = value;
            good = *value != '\0';
        } else if (strcmp(argv[i], "--inside") == 0) {
            s.inside = value;
            good = *value != '\0';
        } else if (strcmp(argv[i], "--rlimit") == 0) {
            good = spawn_add_limit(&s, value) == 0;
        } else if (strcmp(argv[i], "--nice") == 0) {
            s.nice = number(value, 19);
            good = s.nice >= 0;
        } else if (strcmp(argv[i], "--oom-score-adj") == 0) {
            s.oom_score_adj = number(value, 1000);
            good = s.oom_score_adj >= 0;
        }
        if (!good) {
            fprintf(stderr, "signalbox-guard: bad option or value: %s %s\n", argv[i], value);
            return EXIT_USAGE;
        }
        i += 2;
    }
    if (lifeline < 0 || s.directory == NULL || i >= argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    s.command = argv + i;
    if (fcntl(lifeline, F_SETFD, FD_CLOEXEC) != 0) {
        fprintf(stderr, "signalbox-guard: lifeline: %s\n", strerror(errno));
        return EXIT_USAGE;
    }
    return guard_run(&s, lifeline);
}
