#include "signalbox/base/pause.h"

#ifdef SIGNALBOX_PAUSES

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const names[PAUSE_COUNT] = {
#define X(symbol, name) [PAUSE_##symbol] = name,
    PAUSE_POINTS(X)
#undef X
};

static _Atomic(uint64_t) counts[PAUSE_COUNT];
static unsigned per_mille, longest_ms;

static void read_environment(void)
{
    const char *text = getenv("SIGNALBOX_PAUSES");
    if (text && sscanf(text, "%u:%u", &per_mille, &longest_ms) != 2) {
        fprintf(stderr, "SIGNALBOX_PAUSES=%s: not PER_MILLE:MILLISECONDS\n", text);
        exit(64);
    }
}

/* Of each thread its own: threads that share a generator would pause in step. */
static uint32_t draw(void)
{
    static _Thread_local uint32_t state;
    if (!state) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        state = (uint32_t)now.tv_nsec ^ (uint32_t)(uintptr_t)&state;
        state = state ? state : 1;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void pause_at(enum pause_point point)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_environment);
    if (draw() % 1000 >= per_mille) {
        return;
    }
    atomic_fetch_add_explicit(&counts[point], 1, memory_order_relaxed); /* for people and tests; orders nothing */
    uint32_t us = draw() % (longest_ms * 1000 + 1);
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    nanosleep(&time, NULL);
}

void pauses_write(struct buffer *out)
{
    buffer_text(out, "# HELP signalbox_pauses_total Pauses made for a test\n# TYPE signalbox_pauses_total counter\n");
    for (int point = 0; point < PAUSE_COUNT; point++) {
        buffer_format(out, "signalbox_pauses_total{point=\"%s\"} %" PRIu64 "\n", names[point],
                      atomic_load_explicit(&counts[point], memory_order_relaxed));
    }
}

#else
_Static_assert(PAUSE_COUNT > 0, "nothing else is in this file in other builds");
#endif
