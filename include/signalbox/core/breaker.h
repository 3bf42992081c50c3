#pragma once
/*
 * A circuit breaker: who fails again and again is not tried again for a while. Pure; the time is passed in.
 *
 *   CLOSED     starts go out. `failures` of them that failed within `window_ms` open it.
 *   OPEN       none goes out before `until`. Each opening after a failed try makes the pause twice as long, up to
 *              `pause_max_ms`.
 *   HALF_OPEN  the pause is over: one start goes out, the try. If it fails the breaker opens again, if it succeeds
 *              the breaker closes; if it ends without telling anything, another try may go out.
 *
 * What counts as a failure and as a success, and of whom, is for who holds one (docs/architecture.md, "Keeping agents
 * alive"). `who` caused a failure counts once in a window, however often it fails.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_name(enum breaker_state state);

enum { BREAKER_FAILURES_MAX = 20 };
struct breaker_rules {
    int failures; /* BREAKER_FAILURES_MAX at most; 0: it never opens */
    int64_t window_ms, pause_ms, pause_max_ms;
};

struct breaker {
    enum breaker_state state;
    bool trying;          /* HALF_OPEN: the try is under way */
    struct instant until; /* OPEN */
    int64_t pause_ms;     /* the last one; 0: none since it was closed */
    struct breaker_failure {
        struct instant at;
        uint64_t who;
    } failures[BREAKER_FAILURES_MAX]; /* oldest first */
    size_t count;
};
/* A breaker that is all zero is closed. */

/* OPEN becomes HALF_OPEN when its time is over. True if it did. Before any other call that asks for the state. */
bool breaker_look(struct breaker *breaker, struct instant now);
/* Whether a start may go out. */
bool breaker_allows(const struct breaker *breaker);
/* A start goes out, which breaker_allows has allowed. True if it is the try: then exactly one of breaker_failed
 * (with `is_try`), breaker_succeeded and breaker_try_over must follow. */
bool breaker_start(struct breaker *breaker);
/* True if this failure has opened it. */
bool breaker_failed(struct breaker *breaker, struct instant now, uint64_t who, bool is_try,
                    const struct breaker_rules *rules);
/* True if it was not closed before. */
bool breaker_succeeded(struct breaker *breaker);
/* The try ended, and nobody knows how it would have gone. */
void breaker_try_over(struct breaker *breaker);
