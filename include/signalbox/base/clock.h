#pragma once
/*
 * Time. `struct instant` is monotonic and is what deadlines and windows are made of; wall-clock time is a
 * plain count of milliseconds since 1970 and is for people and stamps only.
 *
 * Tests may stop the clock and move it by hand: then no waiting thread wakes by itself when a deadline
 * passes, clock_fake_advance() wakes them all (see clock_on_advance).
 */
#include <stdbool.h>
#include <stdint.h>

struct instant {
    int64_t ns;
};

#define INSTANT_NEVER ((struct instant){INT64_MAX})

/* Any thread, never blocks. */
struct instant clock_now(void);
int64_t clock_wall_ms(void);

static inline struct instant instant_after_ms(struct instant at, int64_t ms)
{
    if (at.ns == INT64_MAX || ms > (INT64_MAX - at.ns) / 1000000) {
        return INSTANT_NEVER;
    }
    return (struct instant){at.ns + ms * 1000000};
}

static inline bool instant_reached(struct instant deadline, struct instant now)
{
    return now.ns >= deadline.ns;
}

/* a - b, in milliseconds, rounded down. */
static inline int64_t instant_diff_ms(struct instant a, struct instant b)
{
    return (a.ns - b.ns) / 1000000;
}

static inline struct instant instant_earlier(struct instant a, struct instant b)
{
    return a.ns < b.ns ? a : b;
}

/*
 * What to give epoll_wait or poll so that the caller wakes at the deadline: milliseconds rounded up, 0 if it
 * has passed, -1 for INSTANT_NEVER, and -1 while the clock is a fake one (its owner wakes the caller).
 */
int clock_poll_timeout(struct instant deadline);

/* Blocks until then, whatever happens meanwhile: for milliseconds, and for who has nobody to hear. At once while the clock
 * is a fake one. */
void clock_pause_until(struct instant at);

/* Tests only. Stops the clock at this monotonic and wall time; advance moves both and calls all hooks. */
void clock_fake_start(void);
void clock_fake_advance(int64_t ms);
/* Somebody sets the wall clock: it moves, forward or back, and nobody is told. */
void clock_fake_set_wall(int64_t ms);
void clock_fake_stop(void);
bool clock_is_fake(void);

/* A hook is called by clock_fake_advance, in its thread, until removed. Used by mailboxes to wake their owner. */
struct clock_hook {
    void (*advanced)(struct clock_hook *hook);
    struct clock_hook *next, **link;
};
void clock_hook_add(struct clock_hook *hook);
void clock_hook_remove(struct clock_hook *hook);
