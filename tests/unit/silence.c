/* An agent that says nothing: a table of what happens and what is told of it. */
#include "signalbox/core/silence.h"

#include "signalbox/base/check.h"
#include "support/test.h"

enum what { PASS, EXPECT, EXPECT_NOT, HEARD, LOOK };
struct move {
    enum what what;
    int64_t ms;
    enum silence_news news;
    int64_t deadline_ms; /* from now; -1: never */
};

static void play(int64_t silence_ms, int64_t hang_ms, const struct move *moves, size_t count)
{
    struct silence silence = {0};
    struct instant now = {5000000000};
    for (size_t i = 0; i < count; i++) {
        const struct move *move = &moves[i];
        enum silence_news news = SILENCE_NONE;
        switch (move->what) {
        case PASS:
            now = instant_after_ms(now, move->ms);
            break;
        case EXPECT:
        case EXPECT_NOT:
            news = silence_expect(&silence, move->what == EXPECT, now);
            break;
        case HEARD:
            news = silence_heard(&silence, now);
            break;
        case LOOK:
            news = silence_look(&silence, now, silence_ms, hang_ms);
            break;
        }
        struct instant deadline = silence_deadline(&silence, silence_ms, hang_ms);
        int64_t left = deadline.ns == INSTANT_NEVER.ns ? -1 : instant_diff_ms(deadline, now);
        if (news != move->news || left != move->deadline_ms) {
            printf("\n    move %zu: news %d, deadline %lld", i, (int)news, (long long)left);
            CU_FAIL("it is another");
        }
    }
}
#define PLAY(silence_ms, hang_ms, ...)    \
    play(silence_ms, hang_ms, (const struct move[]){__VA_ARGS__}, array_size(((const struct move[]){__VA_ARGS__})))

static void silence_is_told_once_and_taken_back(void)
{
    PLAY(100, 0, {LOOK, 0, SILENCE_NONE, -1}, {EXPECT, 0, SILENCE_NONE, 100}, {PASS, 60, SILENCE_NONE, 40},
         {HEARD, 0, SILENCE_NONE, 100}, {PASS, 99, SILENCE_NONE, 1}, {LOOK, 0, SILENCE_NONE, 1},
         {PASS, 1, SILENCE_NONE, 0}, {LOOK, 0, SILENCE_BEGAN, -1}, {PASS, 500, SILENCE_NONE, -1},
         {LOOK, 0, SILENCE_NONE, -1}, {HEARD, 0, SILENCE_ENDED, 100}, {PASS, 100, SILENCE_NONE, 0},
         {LOOK, 0, SILENCE_BEGAN, -1});
}

static void who_waits_for_a_person_is_not_silent(void)
{
    PLAY(100, 0, {EXPECT, 0, SILENCE_NONE, 100}, {PASS, 90, SILENCE_NONE, 10}, {EXPECT_NOT, 0, SILENCE_NONE, -1},
         {PASS, 1000, SILENCE_NONE, -1}, {LOOK, 0, SILENCE_NONE, -1}, {EXPECT, 0, SILENCE_NONE, 100},
         {EXPECT, 0, SILENCE_NONE, 100}, {PASS, 100, SILENCE_NONE, 0}, {LOOK, 0, SILENCE_BEGAN, -1},
         {EXPECT_NOT, 0, SILENCE_ENDED, -1});
}

static void a_hang_is_told_after_the_silence(void)
{
    PLAY(100, 300, {EXPECT, 0, SILENCE_NONE, 100}, {PASS, 100, SILENCE_NONE, 0}, {LOOK, 0, SILENCE_BEGAN, 200},
         {PASS, 200, SILENCE_NONE, 0}, {LOOK, 0, SILENCE_HANGS, -1}, {LOOK, 0, SILENCE_NONE, -1},
         {HEARD, 0, SILENCE_ENDED, 100}, {PASS, 400, SILENCE_NONE, -300}, {LOOK, 0, SILENCE_BEGAN, -100},
         {LOOK, 0, SILENCE_HANGS, -1});
}

static void zero_is_never(void)
{
    PLAY(0, 0, {EXPECT, 0, SILENCE_NONE, -1}, {PASS, 1000000, SILENCE_NONE, -1}, {LOOK, 0, SILENCE_NONE, -1});
    PLAY(0, 50, {EXPECT, 0, SILENCE_NONE, 50}, {PASS, 50, SILENCE_NONE, 0}, {LOOK, 0, SILENCE_HANGS, -1},
         {HEARD, 0, SILENCE_NONE, 50});
}

TEST_MAIN("silence", TEST(silence_is_told_once_and_taken_back), TEST(who_waits_for_a_person_is_not_silent),
          TEST(a_hang_is_told_after_the_silence), TEST(zero_is_never))
