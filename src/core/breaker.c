#include "signalbox/core/breaker.h"

#include <string.h>

#include "signalbox/base/check.h"

/* A bit for each allowed next state. */
static const unsigned next_states[] = {
    [BREAKER_CLOSED] = 1u << BREAKER_OPEN,
    [BREAKER_OPEN] = 1u << BREAKER_HALF_OPEN | 1u << BREAKER_CLOSED, /* a run from before may still succeed */
    [BREAKER_HALF_OPEN] = 1u << BREAKER_OPEN | 1u << BREAKER_CLOSED,
};

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};
    return names[state];
}

static void enter(struct breaker *breaker, enum breaker_state next)
{
    CHECK(next_states[breaker->state] & 1u << next);
    breaker->state = next;
    breaker->trying = false;
}

bool breaker_look(struct breaker *breaker, struct instant now)
{
    if (breaker->state != BREAKER_OPEN || !instant_reached(breaker->until, now)) {
        return false;
    }
    enter(breaker, BREAKER_HALF_OPEN);
    return true;
}

bool breaker_allows(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED || (breaker->state == BREAKER_HALF_OPEN && !breaker->trying);
}

bool breaker_start(struct breaker *breaker)
{
    CHECK(breaker_allows(breaker));
    breaker->trying = breaker->state == BREAKER_HALF_OPEN;
    return breaker->trying;
}

static void drop(struct breaker *breaker, size_t index)
{
    breaker->count--;
    memmove(&breaker->failures[index], &breaker->failures[index + 1],
            (breaker->count - index) * sizeof(breaker->failures[0]));
}

static void note(struct breaker *breaker, struct instant now, uint64_t who, int64_t window_ms)
{
    while (breaker->count && instant_diff_ms(now, breaker->failures[0].at) >= window_ms) {
        drop(breaker, 0);
    }
    for (size_t i = 0; i < breaker->count; i++) {
        if (breaker->failures[i].who == who) {
            drop(breaker, i);
            break;
        }
    }
    if (breaker->count == BREAKER_FAILURES_MAX) {
        drop(breaker, 0);
    }
    breaker->failures[breaker->count++] = (struct breaker_failure){now, who};
}

static void open(struct breaker *breaker, struct instant now, const struct breaker_rules *rules)
{
    int64_t pause = breaker->pause_ms ? breaker->pause_ms * 2 : rules->pause_ms;
    breaker->pause_ms = pause < rules->pause_max_ms ? pause : rules->pause_max_ms;
    breaker->until = instant_after_ms(now, breaker->pause_ms);
    breaker->count = 0;
    enter(breaker, BREAKER_OPEN);
}

bool breaker_failed(struct breaker *breaker, struct instant now, uint64_t who, bool is_try,
                    const struct breaker_rules *rules)
{
    switch (breaker->state) {
    case BREAKER_CLOSED:
        note(breaker, now, who, rules->window_ms);
        if (!rules->failures || breaker->count < (size_t)rules->failures) {
            return false;
        }
        open(breaker, now, rules);
        return true;
    case BREAKER_HALF_OPEN:
        if (!is_try) {
            return false; /* it began before, and the try will tell */
        }
        open(breaker, now, rules);
        return true;
    case BREAKER_OPEN:
        break; /* it is known already */
    }
    return false;
}

bool breaker_succeeded(struct breaker *breaker)
{
    bool was_closed = breaker->state == BREAKER_CLOSED;
    if (!was_closed) {
        enter(breaker, BREAKER_CLOSED);
    }
    breaker->count = 0;
    breaker->pause_ms = 0;
    return !was_closed;
}

void breaker_try_over(struct breaker *breaker)
{
    breaker->trying = false;
}
