#include "signalbox/base/base64.h"

#include <string.h>

#include "signalbox/base/check.h"
#include "support/test.h"

static void all_lengths_come_back(void)
{
    static uint8_t bytes[200 * 1024];
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 48 * 1024 - 1, 48 * 1024, 48 * 1024 + 1, sizeof(bytes)};
    for (size_t i = 0; i < array_size(lengths); i++) {
        struct buffer text = {0}, back = {0};
        base64_append(&text, bytes, lengths[i]);
        CU_ASSERT_EQUAL(text.length, (lengths[i] + 2) / 3 * 4);
        CU_ASSERT_TRUE(base64_decode(&back, text.data ? text.data : "", text.length));
        CU_ASSERT_TRUE(back.length == lengths[i] && (!back.length || !memcmp(back.data, bytes, back.length)));
        buffer_free(&text);
        buffer_free(&back);
    }
}

static void known_answers(void)
{
    struct buffer text = {0};
    base64_append(&text, "foob\xff", 5);
    buffer_byte(&text, 0);
    TEST_TEXT(text.data, "Zm9vYv8=");
    buffer_free(&text);
    char url[8];
    base64url_write(url, "\xfb\xff", 2);
    TEST_TEXT(url, "-_8");
}

static void what_is_no_base64(void)
{
    static const char *const bad[] = {"!", "Zm9", "Zm9v=", "Zm9vYg=", "Zm9v Zm9", "Zm-_", "===="};
    for (size_t i = 0; i < array_size(bad); i++) {
        struct buffer out = {0};
        CU_ASSERT_FALSE(base64_decode(&out, bad[i], strlen(bad[i])));
        CU_ASSERT_TRUE(buffer_ok(&out));
        buffer_free(&out);
    }
    struct buffer out = {0};
    CU_ASSERT_TRUE(base64_decode(&out, "Zm9v\r\nYg==\n", 11));
    CU_ASSERT_TRUE(out.length == 4 && !memcmp(out.data, "foob", 4));
    buffer_free(&out);
}

TEST_MAIN("base64", TEST(all_lengths_come_back), TEST(known_answers), TEST(what_is_no_base64))
