#include "signalbox/base/pace.h"

#include "support/test.h"

enum { SECOND_NS = 1000000000, ROUND_MS = 2, ROUND_NS = ROUND_MS * 1000000 };

static bool has_to_wait(const struct pace *pace, struct instant now)
{
    return !instant_reached(pace_next(pace, ROUND_MS), now);
}

/* Things that come every `every_ns`, each with a round of its own while the pace lets it: how many
 * rounds had to wait, and how many there were. */
static size_t rounds_that_waited(int64_t every_ns, size_t things, size_t *rounds)
{
    struct pace pace = {0};
    struct instant now = {.ns = SECOND_NS};
    size_t waited = 0;
    *rounds = 0;
    for (size_t taken = 0; taken < things;) {
        struct instant next = pace_next(&pace, ROUND_MS);
        int64_t came =
            SECOND_NS + (int64_t)(taken + 1) * every_ns; /* of the first that is not taken */
        now.ns = came > now.ns ? came : now.ns;
        if (next.ns > now.ns) {
            waited++;
            now = next;
        }
        size_t here = (size_t)((now.ns - SECOND_NS) / every_ns) - taken;
        pace_round(&pace, here, SIZE_MAX, now);
        taken += here;
        (*rounds)++;
    }
    return waited;
}

static void little_is_taken_at_once(void)
{
    size_t rounds;
    CU_ASSERT_EQUAL(rounds_that_waited(SECOND_NS / (PACE_PER_SECOND - 100), 100000, &rounds), 0);
    CU_ASSERT_EQUAL(rounds, 100000);
}

static void much_is_taken_in_rounds(void)
{
    size_t rounds;
    size_t things = PACE_PER_SECOND * 8; /* two seconds at four times the pace */
    size_t waited = rounds_that_waited(SECOND_NS / (PACE_PER_SECOND * 4), things, &rounds);
    CU_ASSERT_TRUE(waited > 2 * (SECOND_NS / ROUND_NS) - PACE_BURST);
    CU_ASSERT_TRUE(rounds < 2 * (SECOND_NS / ROUND_NS) + 2 * PACE_BURST);
}

static void without_rounds_each_is_taken_at_once(void)
{
    struct pace pace = {0};
    struct instant now = {.ns = SECOND_NS};
    pace_round(&pace, SIZE_MAX - 1, SIZE_MAX, now);
    CU_ASSERT_TRUE(has_to_wait(&pace, now));
    CU_ASSERT_TRUE(instant_reached(pace_next(&pace, 0), now));
}

static void a_burst_after_a_quiet_time_passes(void)
{
    struct pace pace = {0};
    struct instant now = {.ns = SECOND_NS};
    for (int burst = 0; burst < 3; burst++) {
        for (int i = 0; i < PACE_BURST; i++) {
            CU_ASSERT_FALSE(has_to_wait(&pace, now));
            pace_round(&pace, 1, SIZE_MAX, now);
        }
        CU_ASSERT_FALSE(has_to_wait(&pace, now));
        pace_round(&pace, 1, SIZE_MAX, now);
        CU_ASSERT_TRUE(has_to_wait(&pace, now));
        CU_ASSERT_EQUAL(pace_next(&pace, ROUND_MS).ns, now.ns + ROUND_NS);
        now.ns += SECOND_NS;
    }
}

/* Else a round's length would be a bound on how much can be taken in a second. */
static void what_a_round_left_is_taken_at_once(void)
{
    struct pace pace = {0};
    struct instant now = {.ns = SECOND_NS};
    for (int i = 0; i < 3; i++) {
        pace_round(&pace, PACE_BURST, PACE_BURST, now);
        CU_ASSERT_FALSE(has_to_wait(&pace, now));
    }
    pace_round(&pace, PACE_BURST - 1, PACE_BURST, now);
    CU_ASSERT_TRUE(has_to_wait(&pace, now));
}

/* However much came at once, it is soon forgotten. */
static void what_is_owed_has_a_bound(void)
{
    struct pace pace = {0};
    struct instant now = {.ns = SECOND_NS};
    for (int i = 0; i < 1000; i++) {
        pace_round(&pace, SIZE_MAX - 1, SIZE_MAX, now);
    }
    CU_ASSERT_TRUE(has_to_wait(&pace, now));
    now.ns += 11 * ROUND_NS; /* 20 ms and what one round adds */
    pace_round(&pace, 0, SIZE_MAX, now);
    CU_ASSERT_FALSE(has_to_wait(&pace, now));
}

TEST_MAIN("pace", TEST(little_is_taken_at_once), TEST(much_is_taken_in_rounds),
          TEST(without_rounds_each_is_taken_at_once), TEST(a_burst_after_a_quiet_time_passes),
          TEST(what_a_round_left_is_taken_at_once), TEST(what_is_owed_has_a_bound))
