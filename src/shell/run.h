// One shell command that runs: its process group, its output, its end.
#pragma once

#include "text.h"

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run {
    pid_t pid; // also the process group
    int out;   // -1 after its end
    int err;
    struct text_capture out_text;
    struct text_capture err_text;
    bool changed; // output has come since the owner last cleared this
    bool ended;   // the shell has ended; it is not reaped before run_finish, so its group's number
                  // cannot be taken by others
    bool cancelled;
    bool killed;
    int64_t kill_at;
    int64_t drain_until;
    int64_t started_at;
};

int64_t run_now(void); // monotonic milliseconds

// Starts `/bin/sh -c command` in a process group of its own, with nothing on its standard input.
// Returns 0, or an errno and nothing runs.
int run_start(struct run *r, const char *command, const char *directory);

// Fills up to two entries for ppoll; returns how many.
nfds_t run_poll(const struct run *r, struct pollfd *fds);

// Reads what the command has written, at most some 64 KiB of each stream.
void run_read(struct run *r);

// Looks whether the command has ended, and goes on with a cancel. Returns true when all is over and
// run_finish is to be called.
bool run_step(struct run *r, int64_t now);

// When run_step must be called at the latest; INT64_MAX when only an event can change anything.
int64_t run_deadline(const struct run *r);

// SIGTERM to the group now, SIGKILL after half a second.
void run_cancel(struct run *r, int64_t now);

// Reaps the shell; returns its wait status. The texts stay until run_release.
int run_finish(struct run *r);
void run_release(struct run *r);
