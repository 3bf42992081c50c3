#include "signalbox/base/clock.h"

#include "signalbox/base/check.h"
#include "support/test.h"

static void instants_are_compared_and_moved(void)
{
    struct instant zero = {0};
    CU_ASSERT_EQUAL(instant_after_ms(zero, 3).ns, 3000000);
    CU_ASSERT_EQUAL(instant_after_ms(INSTANT_NEVER, 3).ns, INT64_MAX);
    CU_ASSERT_EQUAL(instant_after_ms(zero, INT64_MAX).ns, INT64_MAX);
    CU_ASSERT_TRUE(instant_reached(zero, zero));
    CU_ASSERT_FALSE(instant_reached(INSTANT_NEVER, clock_now()));
    CU_ASSERT_EQUAL(instant_diff_ms(instant_after_ms(zero, 7), zero), 7);
    CU_ASSERT_EQUAL(instant_earlier(zero, INSTANT_NEVER).ns, 0);
}

static void timeouts_are_rounded_up(void)
{
    clock_fake_stop();
    struct instant now = clock_now();
    CU_ASSERT_EQUAL(clock_poll_timeout(now), 0);
    CU_ASSERT_EQUAL(clock_poll_timeout((struct instant){0}), 0);
    CU_ASSERT_EQUAL(clock_poll_timeout(INSTANT_NEVER), -1);
    /* An hour away, so that the time this takes does not matter: never earlier than the deadline.
     */
    struct instant hour = {now.ns + INT64_C(3600000000000) + 1};
    int timeout = clock_poll_timeout(hour);
    CU_ASSERT_TRUE(timeout > 0 && timeout <= 3600001);
    CU_ASSERT_TRUE(clock_now().ns + timeout * INT64_C(1000000) >= hour.ns);
    CU_ASSERT_TRUE(clock_poll_timeout((struct instant){INT64_MAX - 1}) > 0);
}

static void a_fake_clock_stands_until_it_is_moved(void)
{
    clock_fake_start();
    CU_ASSERT_TRUE(clock_is_fake());
    struct instant start = clock_now();
    int64_t wall = clock_wall_ms();
    struct instant deadline = instant_after_ms(start, 10);
    CU_ASSERT_EQUAL(clock_now().ns, start.ns);
    CU_ASSERT_EQUAL(clock_poll_timeout(deadline), -1);
    clock_fake_advance(9);
    CU_ASSERT_EQUAL(clock_poll_timeout(deadline), -1);
    clock_fake_advance(1);
    CU_ASSERT_EQUAL(instant_diff_ms(clock_now(), start), 10);
    CU_ASSERT_EQUAL(clock_wall_ms(), wall + 10);
    CU_ASSERT_EQUAL(clock_poll_timeout(deadline), 0);
    clock_fake_stop();
    CU_ASSERT_FALSE(clock_is_fake());
    CU_ASSERT_TRUE(clock_wall_ms() > 1600000000000);
}

struct counted {
    struct clock_hook hook;
    int calls;
};

static void count_call(struct clock_hook *hook)
{
    container_of(hook, struct counted, hook)->calls++;
}

static void hooks_are_called_until_removed(void)
{
    struct counted counted[3] = {{.hook.advanced = count_call},
                                 {.hook.advanced = count_call},
                                 {.hook.advanced = count_call}};
    clock_fake_start();
    for (int index = 0; index < 3; index++) {
        clock_hook_add(&counted[index].hook);
    }
    clock_fake_advance(1);
    clock_hook_remove(&counted[1].hook); /* in the middle */
    clock_fake_advance(1);
    clock_hook_remove(&counted[2].hook); /* the first of the list */
    clock_fake_advance(1);
    clock_hook_remove(&counted[0].hook);
    clock_fake_advance(1);
    CU_ASSERT_EQUAL(counted[0].calls, 3);
    CU_ASSERT_EQUAL(counted[1].calls, 1);
    CU_ASSERT_EQUAL(counted[2].calls, 2);
    clock_fake_stop();
}

TEST_MAIN("clock", TEST(instants_are_compared_and_moved), TEST(timeouts_are_rounded_up),
          TEST(a_fake_clock_stands_until_it_is_moved), TEST(hooks_are_called_until_removed))
