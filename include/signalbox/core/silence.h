#pragma once
/*
 * An agent that says nothing in a turn: noticed, told once, and taken back with its next sign of life. Pure; the time is
 * passed in.
 */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/clock.h"

struct silence {
    bool expected;       /* to say something: it is in a turn, nobody is asked, and it is read */
    bool told;           /* that it is silent */
    bool hang_told;
    struct instant since; /* its last sign of life, or when it began to be expected */
};
/* All zero: nothing is expected. */

enum silence_news { SILENCE_NONE, SILENCE_BEGAN, SILENCE_HANGS, SILENCE_ENDED };

/* What is expected of it from now on. SILENCE_ENDED if it was told to be silent and is in a turn no more, or waits for
 * somebody: then nothing is wrong with it. */
enum silence_news silence_expect(struct silence *silence, bool expected, struct instant now);
/* A line of it: SILENCE_ENDED if it was told to be silent. */
enum silence_news silence_heard(struct silence *silence, struct instant now);
/* When silence_look wants to be called; INSTANT_NEVER: not at all. A time of 0 is never. */
struct instant silence_deadline(const struct silence *silence, int64_t silence_ms, int64_t hang_ms);
/* What the time has brought. SILENCE_HANGS once a silence, and SILENCE_BEGAN before it where both are due. */
enum silence_news silence_look(struct silence *silence, struct instant now, int64_t silence_ms, int64_t hang_ms);
