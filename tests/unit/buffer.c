#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/id.h"
#include "support/test.h"

static void text_is_built(void)
{
    struct buffer buffer = {0};
    buffer_text(&buffer, "one");
    buffer_byte(&buffer, ' ');
    buffer_append(&buffer, "two!", 3);
    buffer_format(&buffer, " %d-%s", 3, "four");
    buffer_append(&buffer, NULL, 0);
    CU_ASSERT_TRUE(buffer_ok(&buffer));
    char *text = buffer_take(&buffer);
    TEST_TEXT(text, "one two 3-four");
    free(text);
    CU_ASSERT_PTR_NULL(buffer.data);
    CU_ASSERT_EQUAL(buffer.length, 0);
}

static void an_empty_one_is_an_empty_string(void)
{
    struct buffer buffer = {0};
    char *text = buffer_take(&buffer);
    TEST_TEXT(text, "");
    free(text);
}

static void numbers_of_every_size(void)
{
    static const int64_t numbers[] = {0, 7, -1, 10, 1234567890123, INT64_MAX, INT64_MIN};
    for (size_t index = 0; index < sizeof(numbers) / sizeof(numbers[0]); index++) {
        struct buffer buffer = {0};
        char expected[32];
        snprintf(expected, sizeof(expected), "%lld", (long long)numbers[index]);
        buffer_i64(&buffer, numbers[index]);
        char *text = buffer_take(&buffer);
        TEST_TEXT(text, expected);
        free(text);
    }
}

static void it_grows_and_keeps_what_it_has(void)
{
    struct buffer buffer = {0};
    for (int index = 0; index < 100000; index++) {
        buffer_byte(&buffer, (char)('a' + index % 26));
    }
    CU_ASSERT_EQUAL(buffer.length, 100000);
    int wrong = 0;
    for (int index = 0; index < 100000; index++) {
        wrong += buffer.data[index] != (char)('a' + index % 26);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    buffer_free(&buffer);
}

static void the_front_is_consumed(void)
{
    struct buffer buffer = {0};
    buffer_consume(&buffer, 0);
    buffer_text(&buffer, "line one\nline two\n");
    buffer_consume(&buffer, 9);
    CU_ASSERT_EQUAL(buffer.length, 9);
    CU_ASSERT_EQUAL(memcmp(buffer.data, "line two\n", 9), 0);
    buffer_consume(&buffer, 9);
    CU_ASSERT_EQUAL(buffer.length, 0);
    buffer_free(&buffer);
}

static void a_failure_sticks_until_reset(void)
{
    struct buffer buffer = {0};
    buffer_text(&buffer, "x");
    CU_ASSERT_PTR_NULL(buffer_reserve(&buffer, SIZE_MAX)); /* the sum overflows */
    CU_ASSERT_FALSE(buffer_ok(&buffer));
    buffer_text(&buffer, "y");
    buffer_format(&buffer, "%d", 1);
    CU_ASSERT_EQUAL(buffer.length, 1);
    buffer_reset(&buffer);
    CU_ASSERT_TRUE(buffer_ok(&buffer));
    CU_ASSERT_PTR_NULL(buffer_reserve(&buffer, SIZE_MAX / 2 + 1));
    CU_ASSERT_PTR_NULL(buffer_take(&buffer));
    CU_ASSERT_TRUE(buffer_ok(&buffer)); /* taken, so it is a new one */
    CU_ASSERT_PTR_NULL(buffer.data);
}

static void ids_are_22_letters_and_differ(void)
{
    char ids[64][ID_SIZE];
    for (size_t index = 0; index < 64; index++) {
        id_random(ids[index]);
        CU_ASSERT_EQUAL(strlen(ids[index]), ID_LENGTH);
        CU_ASSERT_EQUAL(
            strspn(ids[index], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
            ID_LENGTH);
        for (size_t other = 0; other < index; other++) {
            CU_ASSERT_STRING_NOT_EQUAL(ids[other], ids[index]);
        }
    }
}

TEST_MAIN("buffer", TEST(text_is_built), TEST(an_empty_one_is_an_empty_string),
          TEST(numbers_of_every_size), TEST(it_grows_and_keeps_what_it_has),
          TEST(the_front_is_consumed), TEST(a_failure_sticks_until_reset),
          TEST(ids_are_22_letters_and_differ))
