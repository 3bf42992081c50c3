// Starting the agent.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

struct spawn_limit {
    int resource;
    const char *name;
    rlim_t value;
    bool soft; // what the program may raise again
};

enum { SPAWN_LIMITS_MAX = 16 };

struct spawn {
    const char *directory;
    const char *inside; // of it: the directory in which the program runs; NULL: `directory` itself
    char **command; // ends with NULL
    struct spawn_limit limits[SPAWN_LIMITS_MAX];
    size_t limit_count;
    int nice;            // 0 to 19; negative: as the guard's own
    int oom_score_adj;   // 0 to 1000; negative: as the guard's own
};

// What the child writes to the report pipe when it could not become the program.
struct spawn_failure {
    int error; // errno
    int stage; // enum spawn_stage
    int limit; // index into limits, for SPAWN_STAGE_LIMIT
};

enum spawn_stage {
    SPAWN_STAGE_DIRECTORY,
    SPAWN_STAGE_LIMIT,
    SPAWN_STAGE_NICE,
    SPAWN_STAGE_OOM_SCORE,
    SPAWN_STAGE_PROGRAM
};

// Reads "NAME=VALUE" (as, nproc, nofile, soft-nofile, cpu, fsize) into the limits. Returns 0, or -1 when the
// text is not such a limit or there are too many. A process that uses up its cpu gets SIGXCPU, which says what for, and
// SIGKILL five seconds later.
int spawn_add_limit(struct spawn *s, const char *text);

// Forks the child, which changes its directory, takes its limits, and becomes the program (found by
// PATH). Its descriptors 0, 1 and 2 are this process's; all others are closed. Does not wait for
// the exec: *report is a pipe that ends without data when the exec succeeded, and otherwise gives
// one struct spawn_failure. Returns the pid, or -1 with errno set; *report is the caller's on
// success.
pid_t spawn_start(const struct spawn *s, int *report);
