/* Digests of parts, and the filter that remembers them. */
#include "signalbox/base/digest.h"
#include "signalbox/base/digest_filter.h"
#include "support/test.h"

static struct digest of_two(const char *a, const char *b)
{
    struct digest_work work;
    struct digest digest;
    digest_begin(&work);
    digest_text(&work, a);
    digest_text(&work, b);
    digest_end(&work, &digest);
    return digest;
}

static struct digest of_number(int64_t number)
{
    struct digest_work work;
    struct digest digest;
    digest_begin(&work);
    digest_i64(&work, number);
    digest_end(&work, &digest);
    return digest;
}

static void it_is_the_beginning_of_a_sha256(void)
{
    /* SHA-256 of eight zero bytes; computed with sha256sum(1). */
    static const uint8_t expected[DIGEST_SIZE] = {0xaf, 0x55, 0x70, 0xf5, 0xa1, 0x81, 0x0b, 0x7a,
                                                  0xf7, 0x8c, 0xaf, 0x4b, 0xc7, 0x0a, 0x66, 0x0f};
    struct digest digest = of_number(0);
    CU_ASSERT_EQUAL(memcmp(digest.bytes, expected, DIGEST_SIZE), 0);
}

static void parts_keep_their_bounds(void)
{
    const struct digest lists[] = {
        of_two("ab", "c"), of_two("a", "bc"), of_two("abc", ""), of_two("", "abc"), of_two("abc", NULL),
        of_two(NULL, "abc"), of_two("", ""), of_two(NULL, NULL), of_two("", NULL), of_two(NULL, ""),
    };
    size_t count = sizeof(lists) / sizeof(lists[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            CU_ASSERT_EQUAL(digest_equal(&lists[i], &lists[j]), i == j);
        }
    }
    struct digest again = of_two("ab", "c");
    CU_ASSERT_TRUE(digest_equal(&lists[0], &again));
}

static size_t known(const struct digest_filter *filter, int64_t from, int64_t to)
{
    size_t count = 0;
    for (int64_t i = from; i < to; i++) {
        struct digest digest = of_number(i);
        count += digest_filter_may_have(filter, &digest);
    }
    return count;
}

static void add_range(struct digest_filter *filter, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) {
        struct digest digest = of_number(i);
        digest_filter_add(filter, &digest);
    }
}

static void a_filter_forgets_nothing_by_mistake(void)
{
    struct digest_filter *filter;
    CU_ASSERT_EQUAL_FATAL(digest_filter_new(&filter, 1 << 16), ERR_OK);
    CU_ASSERT_EQUAL(known(filter, 0, 1000), 0);
    add_range(filter, 0, 8192); /* eight bits each, as a million in 2^23 */
    CU_ASSERT_EQUAL(known(filter, 0, 8192), 8192);
    size_t wrong = known(filter, 100000, 120000);
    CU_ASSERT_TRUE(wrong > 0 && wrong < 1000); /* expected: 2.4 in a hundred */
    digest_filter_free(filter);
}

static void a_filter_forgets_at_the_second_turn(void)
{
    struct digest_filter *filter;
    CU_ASSERT_EQUAL_FATAL(digest_filter_new(&filter, 1 << 16), ERR_OK);
    add_range(filter, 0, 100);
    digest_filter_turn(filter);
    add_range(filter, 100, 200);
    CU_ASSERT_EQUAL(known(filter, 0, 200), 200);
    digest_filter_turn(filter);
    CU_ASSERT_EQUAL(known(filter, 100, 200), 100);
    CU_ASSERT_EQUAL(known(filter, 0, 100), 0);
    digest_filter_turn(filter);
    CU_ASSERT_EQUAL(known(filter, 0, 200), 0);
    digest_filter_free(filter);
    digest_filter_free(NULL);
}

TEST_MAIN("digest", TEST(it_is_the_beginning_of_a_sha256), TEST(parts_keep_their_bounds),
          TEST(a_filter_forgets_nothing_by_mistake), TEST(a_filter_forgets_at_the_second_turn))
