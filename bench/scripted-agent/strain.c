// What strains the machine, for the limits of agents.
#define _GNU_SOURCE
#include "turn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 1024 * 1024 };

// As programs do that cannot go on: a word on stderr, and out.
static _Noreturn void give_up(struct turn *t, const char *what)
{
    wire_flush_all(t->session->agent->wire);
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    fflush(stderr);
    _exit(1);
}

static void take_memory(struct turn *t, int64_t bytes)
{
    for (int64_t taken = 0; taken < bytes; taken += PIECE) {
        char *piece = malloc(PIECE);
        if (piece == NULL) {
            give_up(t, "malloc");
        }
        memset(piece, 1, PIECE); // kept on purpose
    }
}

static void take_files(struct turn *t, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) {
            give_up(t, "open");
        }
    }
}

static void take_time(int64_t ms)
{
    struct timespec used;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    } while ((int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000 < ms);
}

static void write_file(struct turn *t, int64_t bytes)
{
    static char piece[PIECE];
    char path[] = "/tmp/signalbox-scripted-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0 || unlink(path) != 0) {
        give_up(t, path);
    }
    for (int64_t written = 0; written < bytes; written += PIECE) {
        if (write(fd, piece, PIECE) < 0) {
            give_up(t, "write");
        }
    }
    close(fd);
}

enum progress strain_step(struct turn *t, json_object *value, json_object *step, int64_t now)
{
    (void)step;
    (void)now;
    if (!json_object_is_type(value, json_type_object)) {
        return turn_bad(t, "strain: an object");
    }
    wire_flush_all(t->session->agent->wire);
    json_object_object_foreach(value, name, member)
    {
        int64_t amount = json_object_get_int64(member);
        if (strcmp(name, "memory") == 0) {
            take_memory(t, amount);
        } else if (strcmp(name, "files") == 0) {
            take_files(t, amount);
        } else if (strcmp(name, "cpuMs") == 0) {
            take_time(amount);
        } else if (strcmp(name, "file") == 0) {
            write_file(t, amount);
        } else {
            return turn_bad(t, "strain: memory, files, cpuMs or file");
        }
    }
    return TURN_NEXT;
}
