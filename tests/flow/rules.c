/* Rules end by the clock that nobody can set. */
#define _GNU_SOURCE
#include "ids_world.h"

enum { MANY = 1000, LIFE_MS = 60000 };

static bool count(void *context, const struct stored_rule *rule)
{
    (void)rule;
    ++*(size_t *)context;
    return true;
}

static size_t rules_stored(void)
{
    struct store_reader *reader;
    size_t rules = 0;
    CU_ASSERT_EQUAL_FATAL(world.store->operations->reader_open(world.store, &reader), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->list_rules(reader, 0, SIZE_MAX, NULL, count, &rules), ERR_OK);
    reader->operations->reader_close(reader);
    return rules;
}

/* What is answered from here on was committed behind what the dispatcher did before. */
static void pass(void)
{
    answer_free(answer_of(send(NULL, "{'type':'prompt','sessionId':'nowhere','text':'x'}")));
}

static void keep_rule(const char *id, int64_t life_ms)
{
    const struct stored_rule rule = {.id = (char *)(uintptr_t)id,
                                     .user = (char *)(uintptr_t) "local",
                                     .scope = (char *)(uintptr_t) "user",
                                     .match = (char *)(uintptr_t) "command",
                                     .command = (char *)(uintptr_t) "make",
                                     .label = (char *)(uintptr_t) "make",
                                     .created_at = clock_wall_ms(),
                                     .expires_at = clock_wall_ms() + life_ms};
    const struct store_write write = {.kind = STORE_RULE, .rule = &rule};
    CU_ASSERT_EQUAL_FATAL(world.store->operations->append(world.store, &write), ERR_OK);
}

/* The timer's thread takes its time: it is asked until it has fired, and only more time would be wrong. */
static void expect_rules(size_t expected)
{
    for (int i = 0; i < 2000 && rules_stored() != expected; i++) {
        pass();
    }
    CU_ASSERT_EQUAL(rules_stored(), expected);
}

static void a_clock_that_is_set_back_lengthens_nothing(void)
{
    world_begin(MANY);
    keep_rule("short", LIFE_MS);
    keep_rule("long", 2 * LIFE_MS);
    world_restart();
    clock_fake_set_wall(-10 * LIFE_MS);
    clock_fake_advance(LIFE_MS - 1);
    pass();
    CU_ASSERT_EQUAL(rules_stored(), 2);
    clock_fake_advance(1);
    expect_rules(1);
    clock_fake_set_wall(-10 * LIFE_MS);
    clock_fake_advance(LIFE_MS);
    expect_rules(0);
    world_end();
}

TEST_MAIN("rules", TEST(a_clock_that_is_set_back_lengthens_nothing))
