/* bench/generator/histogram.h: what the percentiles of every report come from. */
#include "generator/histogram.h"

#include "support/test.h"

static struct histogram *fresh(void)
{
    static struct histogram h;
    memset(&h, 0, sizeof h);
    return &h;
}

static void small_values_are_exact(void)
{
    struct histogram *h = fresh();
    for (uint64_t value = 0; value < 128; value++) {
        histogram_add(h, value);
    }
    for (uint64_t value = 0; value < 128; value++) {
        CU_ASSERT_EQUAL(histogram_at(h, (double)value / 128), value);
    }
    CU_ASSERT_EQUAL(h->count, 128);
    CU_ASSERT_EQUAL(h->max, 127);
}

/* For every power of two, its neighbours and its middle: never less than the value, never more
 * than 1.6 % above. */
static void a_value_is_known_to_one_part_in_64(void)
{
    for (unsigned bit = 7; bit < 40; bit++) {
        uint64_t power = 1ULL << bit;
        uint64_t values[] = {power - 1, power, power + 1, power + power / 2, power + power / 3};
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            struct histogram *h = fresh();
            histogram_add(h, values[i]);
            histogram_add(h, 1ULL << 39); /* so that it is not the maximum that is answered */
            if (values[i] > 1ULL << 39) {
                continue;
            }
            uint64_t seen = histogram_at(h, 0);
            CU_ASSERT_TRUE(seen >= values[i]);
            CU_ASSERT_TRUE((double)seen <= (double)values[i] * (1 + 1.0 / 64));
        }
    }
}

static void shares_count_values(void)
{
    struct histogram *h = fresh();
    for (int i = 0; i < 989; i++) {
        histogram_add(h, 10);
    }
    for (int i = 0; i < 10; i++) {
        histogram_add(h, 100);
    }
    histogram_add(h, 5000);
    CU_ASSERT_EQUAL(histogram_at(h, 0.5), 10);
    CU_ASSERT_EQUAL(histogram_at(h, 0.988), 10);
    CU_ASSERT_EQUAL(histogram_at(h, 0.99), 100);
    CU_ASSERT_EQUAL(histogram_at(h, 0.998), 100);
    CU_ASSERT_EQUAL(histogram_at(h, 0.999), 5000);
    CU_ASSERT_EQUAL(histogram_at(h, 1), 5000);
}

static void nothing_exceeds_the_maximum(void)
{
    struct histogram *h = fresh();
    CU_ASSERT_EQUAL(histogram_at(h, 0.99), 0);
    histogram_add(h, 1001);
    CU_ASSERT_EQUAL(histogram_at(h, 0.5), 1001);
    histogram_add(h, UINT64_MAX); /* kept as the largest that it can, and as the maximum */
    CU_ASSERT_EQUAL(h->max, UINT64_MAX);
    CU_ASSERT_EQUAL(h->count, 2);
    CU_ASSERT_TRUE(histogram_at(h, 0.75) >= (1ULL << 40) - 1);
}

TEST_MAIN("bench_histogram", TEST(small_values_are_exact), TEST(a_value_is_known_to_one_part_in_64),
          TEST(shares_count_values), TEST(nothing_exceeds_the_maximum))
