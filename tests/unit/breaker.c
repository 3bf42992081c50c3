/* The circuit breaker: a table of what happens, and what it is afterwards. */
#include "signalbox/core/breaker.h"

#include "signalbox/base/check.h"
#include "support/test.h"

enum what { PASS, LOOK, START, FAIL, FAIL_OTHER, SUCCEED, TRY_OVER };
struct move {
    enum what what;
    int64_t number; /* ms to pass; who fails */
    const char *after;
    bool allows;
};

static const struct breaker_rules rules = {.failures = 3, .window_ms = 1000, .pause_ms = 100, .pause_max_ms = 300};

static void play(const struct breaker_rules *with, const struct move *moves, size_t count)
{
    struct breaker breaker = {0};
    struct instant now = {1000000000};
    bool trying = false;
    for (size_t i = 0; i < count; i++) {
        const struct move *move = &moves[i];
        uint64_t who = (uint64_t)move->number;
        enum breaker_state before = breaker.state;
        bool opened = false, closed = false;
        switch (move->what) {
        case PASS:
            now = instant_after_ms(now, move->number);
            break;
        case LOOK:
            CU_ASSERT_EQUAL(breaker_look(&breaker, now), before == BREAKER_OPEN && breaker.state == BREAKER_HALF_OPEN);
            break;
        case START:
            trying = breaker_start(&breaker);
            break;
        case FAIL:
            opened = breaker_failed(&breaker, now, who, trying, with);
            CU_ASSERT_EQUAL(opened, breaker.state == BREAKER_OPEN && before != BREAKER_OPEN);
            trying = false;
            break;
        case FAIL_OTHER:
            (void)breaker_failed(&breaker, now, who, false, with);
            break;
        case SUCCEED:
            closed = breaker_succeeded(&breaker);
            CU_ASSERT_EQUAL(closed, before != BREAKER_CLOSED);
            trying = false;
            break;
        case TRY_OVER:
            breaker_try_over(&breaker);
            trying = false;
            break;
        }
        if (strcmp(breaker_state_name(breaker.state), move->after) || breaker_allows(&breaker) != move->allows) {
            printf("\n    move %zu: it is %s", i, breaker_state_name(breaker.state));
            CU_FAIL("the state is another");
        }
    }
}
#define PLAY(...) \
    play(&rules, (const struct move[]){__VA_ARGS__}, array_size(((const struct move[]){__VA_ARGS__})))

static void failures_within_the_window_open_it(void)
{
    PLAY({START, 0, "closed", true}, {FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {PASS, 999, "closed", true},
         {FAIL, 3, "open", false});
}

static void old_failures_do_not_count(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {PASS, 1000, "closed", true}, {FAIL, 3, "closed", true},
         {FAIL, 4, "closed", true}, {FAIL, 5, "open", false});
}

static void one_who_fails_again_and_again_counts_once(void)
{
    PLAY({FAIL, 7, "closed", true}, {FAIL, 7, "closed", true}, {FAIL, 7, "closed", true}, {FAIL, 7, "closed", true},
         {FAIL, 8, "closed", true}, {FAIL, 7, "closed", true}, {FAIL, 9, "open", false});
}

static void a_success_is_a_clean_slate(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {SUCCEED, 0, "closed", true}, {FAIL, 3, "closed", true},
         {FAIL, 4, "closed", true}, {FAIL, 5, "open", false});
}

static void half_open_lets_one_try_through(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {PASS, 99, "open", false},
         {LOOK, 0, "open", false}, {PASS, 1, "open", false}, {LOOK, 0, "half_open", true},
         {START, 0, "half_open", false}, {LOOK, 0, "half_open", false}, {SUCCEED, 0, "closed", true},
         {FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false});
}

static void the_pause_grows_to_its_bound(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {PASS, 100, "open", false},
         {LOOK, 0, "half_open", true}, {START, 0, "half_open", false}, {FAIL, 1, "open", false},
         {PASS, 199, "open", false}, {LOOK, 0, "open", false}, {PASS, 1, "open", false}, {LOOK, 0, "half_open", true},
         {START, 0, "half_open", false}, {FAIL, 1, "open", false}, {PASS, 299, "open", false}, {LOOK, 0, "open", false},
         {PASS, 1, "open", false}, {LOOK, 0, "half_open", true}, {START, 0, "half_open", false}, {FAIL, 1, "open", false},
         {PASS, 300, "open", false}, {LOOK, 0, "half_open", true},
         /* a success: the next pause is the first one again */
         {START, 0, "half_open", false}, {SUCCEED, 0, "closed", true}, {FAIL, 1, "closed", true},
         {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {PASS, 100, "open", false}, {LOOK, 0, "half_open", true});
}

static void a_try_that_tells_nothing_makes_room_for_another(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {PASS, 100, "open", false},
         {LOOK, 0, "half_open", true}, {START, 0, "half_open", false}, {TRY_OVER, 0, "half_open", true},
         {START, 0, "half_open", false}, {FAIL, 4, "open", false});
}

static void what_began_before_does_not_end_the_try(void)
{
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {FAIL_OTHER, 4, "open", false},
         {PASS, 100, "open", false}, {LOOK, 0, "half_open", true}, {START, 0, "half_open", false},
         {FAIL_OTHER, 5, "half_open", false}, {SUCCEED, 0, "closed", true});
    /* But that it works is good news, whoever brings it. */
    PLAY({FAIL, 1, "closed", true}, {FAIL, 2, "closed", true}, {FAIL, 3, "open", false}, {SUCCEED, 0, "closed", true});
}

static void without_a_number_it_never_opens(void)
{
    struct breaker_rules never = rules;
    never.failures = 0;
    struct breaker breaker = {0};
    for (uint64_t i = 0; i < 3 * BREAKER_FAILURES_MAX; i++) {
        CU_ASSERT_FALSE(breaker_failed(&breaker, (struct instant){1}, i, false, &never));
    }
    CU_ASSERT_EQUAL(breaker.state, BREAKER_CLOSED);
    CU_ASSERT_EQUAL(breaker.count, BREAKER_FAILURES_MAX);
}

TEST_MAIN("breaker", TEST(failures_within_the_window_open_it), TEST(old_failures_do_not_count),
          TEST(one_who_fails_again_and_again_counts_once), TEST(a_success_is_a_clean_slate),
          TEST(half_open_lets_one_try_through), TEST(the_pause_grows_to_its_bound),
          TEST(a_try_that_tells_nothing_makes_room_for_another), TEST(what_began_before_does_not_end_the_try),
          TEST(without_a_number_it_never_opens))
