// The threads that send, and what they send to.
#pragma once

#include "plan.h"

#include <stdatomic.h>
#include <stdbool.h>

struct watcher {
    struct watcher *next; // of the same session and thread
    int fd;
    size_t frame;  // the next one
    size_t offset; // in it, where a send took a part only
    atomic_bool gone;
};

// Starts so many threads. They wait for `senders_begin`.
void senders_open(size_t threads);
// Session `plan` (an index of what senders_begin is given) is watched; spread over the threads in
// turn. Before senders_begin only.
void senders_add(size_t plan, struct watcher *w);
// Sends all that the plans say, when it is due. They have one rate, and their first chunks lie
// within one period, in their order. Returns at once.
void senders_begin(const struct plan *plans, size_t count);
