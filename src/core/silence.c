#include "signalbox/core/silence.h"

static enum silence_news forget(struct silence *silence, struct instant now)
{
    bool told = silence->told;
    silence->told = false;
    silence->hang_told = false;
    silence->since = now;
    return told ? SILENCE_ENDED : SILENCE_NONE;
}

enum silence_news silence_expect(struct silence *silence, bool expected, struct instant now)
{
    if (silence->expected == expected) {
        return SILENCE_NONE;
    }
    silence->expected = expected;
    return forget(silence, now);
}

enum silence_news silence_heard(struct silence *silence, struct instant now)
{
    return forget(silence, now);
}

static struct instant due(const struct silence *silence, bool told, int64_t ms)
{
    return silence->expected && !told && ms ? instant_after_ms(silence->since, ms) : INSTANT_NEVER;
}

struct instant silence_deadline(const struct silence *silence, int64_t silence_ms, int64_t hang_ms)
{
    return instant_earlier(due(silence, silence->told, silence_ms), due(silence, silence->hang_told, hang_ms));
}

enum silence_news silence_look(struct silence *silence, struct instant now, int64_t silence_ms, int64_t hang_ms)
{
    if (instant_reached(due(silence, silence->told, silence_ms), now)) {
        silence->told = true;
        return SILENCE_BEGAN;
    }
    if (instant_reached(due(silence, silence->hang_told, hang_ms), now)) {
        silence->hang_told = true;
        return SILENCE_HANGS;
    }
    return SILENCE_NONE;
}
