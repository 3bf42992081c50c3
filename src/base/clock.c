#include "signalbox/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static _Atomic(bool) fake;
static _Atomic(int64_t) fake_ns, fake_wall_ms;
static pthread_mutex_t hooks_lock = PTHREAD_MUTEX_INITIALIZER;
static struct clock_hook *hooks; /* under hooks_lock */

static int64_t read_ns(clockid_t id)
{
    struct timespec at;
    clock_gettime(id, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

struct instant clock_now(void)
{
    /* Relaxed: outside of tests it never changes, and a test moves the clock before it wakes
     * anybody. */
    if (atomic_load_explicit(&fake, memory_order_relaxed)) {
        return (struct instant){atomic_load(&fake_ns)};
    }
    return (struct instant){read_ns(CLOCK_MONOTONIC)};
}

int64_t clock_wall_ms(void)
{
    if (atomic_load_explicit(&fake, memory_order_relaxed)) { /* as in clock_now */
        return atomic_load(&fake_wall_ms);
    }
    return read_ns(CLOCK_REALTIME) / 1000000;
}

int clock_poll_timeout(struct instant deadline)
{
    struct instant now = clock_now();
    if (instant_reached(deadline, now)) {
        return 0;
    }
    if (deadline.ns == INT64_MAX || clock_is_fake()) {
        return -1;
    }
    int64_t ms = (deadline.ns - now.ns - 1) / 1000000 + 1;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

void clock_pause_until(struct instant at)
{
    const struct timespec until = {.tv_sec = (time_t)(at.ns / 1000000000), .tv_nsec = (long)(at.ns % 1000000000)};
    while (!clock_is_fake() && !instant_reached(at, clock_now()) &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

/* Under the lock, so that a hook that was removed is not running any more. */
static void call_hooks(void)
{
    pthread_mutex_lock(&hooks_lock);
    for (struct clock_hook *hook = hooks; hook; hook = hook->next) {
        hook->advanced(hook);
    }
    pthread_mutex_unlock(&hooks_lock);
}

void clock_fake_start(void)
{
    atomic_store(&fake_ns, read_ns(CLOCK_MONOTONIC));
    atomic_store(&fake_wall_ms, read_ns(CLOCK_REALTIME) / 1000000);
    atomic_store(&fake, true);
    call_hooks();
}

void clock_fake_advance(int64_t ms)
{
    atomic_fetch_add(&fake_wall_ms, ms);
    atomic_fetch_add(&fake_ns, ms * 1000000);
    call_hooks();
}

void clock_fake_set_wall(int64_t ms)
{
    atomic_fetch_add(&fake_wall_ms, ms);
}

void clock_fake_stop(void)
{
    atomic_store(&fake, false);
    call_hooks(); /* who waits without a limit now computes a real one */
}

bool clock_is_fake(void)
{
    return atomic_load_explicit(&fake, memory_order_relaxed); /* as in clock_now */
}

void clock_hook_add(struct clock_hook *hook)
{
    pthread_mutex_lock(&hooks_lock);
    hook->next = hooks;
    hook->link = &hooks;
    if (hooks) {
        hooks->link = &hook->next;
    }
    hooks = hook;
    pthread_mutex_unlock(&hooks_lock);
}

void clock_hook_remove(struct clock_hook *hook)
{
    pthread_mutex_lock(&hooks_lock);
    *hook->link = hook->next;
    if (hook->next) {
        hook->next->link = hook->link;
    }
    pthread_mutex_unlock(&hooks_lock);
}
