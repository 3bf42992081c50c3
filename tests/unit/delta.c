#include "core/delta.h"

#include <stdint.h>

#include "signalbox/base/utf8.h"
#include "support/test.h"

static const struct instant start = {5000000000};

static struct instant after(int64_t ms)
{
    return instant_after_ms(start, ms);
}

/* A window of 50 ms is free again after 53: see delta_window_flushed. */
static void the_first_goes_out_at_once(void)
{
    struct delta_window window;
    delta_window_init(&window, 50);
    CU_ASSERT_FALSE(delta_window_waits(&window));
    CU_ASSERT_TRUE(delta_window_add(&window, start));
    CU_ASSERT_TRUE(delta_window_waits(&window));
    delta_window_flushed(&window, start);
    CU_ASSERT_FALSE(delta_window_waits(&window));
    CU_ASSERT_FALSE(delta_window_add(&window, after(1)));
    CU_ASSERT_FALSE(delta_window_add(&window, after(52)));
    CU_ASSERT_EQUAL(window.line_at.ns, after(1).ns);
    CU_ASSERT_EQUAL(window.due.ns, after(53).ns);
    CU_ASSERT_TRUE(delta_window_add(&window, after(53)));
}

static void the_next_window_counts_from_the_real_flush(void)
{
    struct delta_window window;
    delta_window_init(&window, 50);
    CU_ASSERT_TRUE(delta_window_add(&window, start));
    delta_window_flushed(&window, start);
    CU_ASSERT_FALSE(delta_window_add(&window, after(10)));
    delta_window_flushed(&window, after(90)); /* a tick that came late */
    CU_ASSERT_FALSE(delta_window_add(&window, after(101)));
    CU_ASSERT_EQUAL(window.due.ns, after(143).ns);
}

static void a_quiet_time_opens_it(void)
{
    struct delta_window window;
    delta_window_init(&window, 50);
    CU_ASSERT_TRUE(delta_window_add(&window, start));
    delta_window_flushed(&window, start);
    CU_ASSERT_TRUE(delta_window_add(&window, after(53)));
    delta_window_flushed(&window, after(53));
    delta_window_open(&window);
    CU_ASSERT_TRUE(delta_window_add(&window, after(53)));
}

static void a_window_of_nothing_never_waits(void)
{
    struct delta_window window;
    delta_window_init(&window, 0);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_TRUE(delta_window_add(&window, start));
        delta_window_flushed(&window, start);
    }
}

static void what_waited_in_vain_is_late(void)
{
    struct delta_window window;
    int64_t late_ns = -1;
    delta_window_init(&window, 50);
    CU_ASSERT_FALSE(delta_window_late(&window, start, &late_ns));
    CU_ASSERT_TRUE(delta_window_add(&window, start));
    CU_ASSERT_FALSE(
        delta_window_late(&window, after(3), &late_ns)); /* the first waits for nothing */
    delta_window_flushed(&window, start);
    CU_ASSERT_FALSE(delta_window_add(&window, after(10)));
    CU_ASSERT_FALSE(
        delta_window_late(&window, after(52), &late_ns)); /* another event takes it along */
    CU_ASSERT_EQUAL(late_ns, -1);
    CU_ASSERT_TRUE(delta_window_late(&window, after(53), &late_ns));
    CU_ASSERT_EQUAL(late_ns, 0);
    CU_ASSERT_TRUE(delta_window_late(&window, after(60), &late_ns));
    CU_ASSERT_EQUAL(late_ns, 7000000);
    delta_window_flushed(&window, after(60));
    CU_ASSERT_FALSE(delta_window_late(&window, after(200), &late_ns));
}

/* xorshift64; the seed is fixed, so that a failure comes again. */
static uint64_t state = 88172645463325252u;
static size_t below(size_t bound)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % bound);
}

enum { TEXT_MAX = 4096 };

static size_t random_text(char *out)
{
    static const char *const pieces[] = {
        "a",
        "word ",
        "\n",
        "\xC3\xA9",
        "e\xCC\x81",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
        "\xEF\xBF\xBD",
        /* ill-formed: alone, too long, surrogate, cut */
        "\x80",
        "\xC0\xAF",
        "\xED\xA0\x80",
        "\xF0\x9F\x98",
        "\xE2\x82",
        "\xFF",
        "\xF4\x90\x80\x80",
    };
    size_t length = 0;
    for (size_t count = below(200); count > 0; count--) {
        const char *piece = pieces[below(sizeof pieces / sizeof pieces[0])];
        size_t more = strlen(piece);
        memcpy(out + length, piece, more);
        length += more;
    }
    return length;
}

/* What the text is to become, made independently of delta.c. */
static size_t mend(const char *text, size_t length, char *out)
{
    size_t at = 0;
    size_t written = 0;
    while (at < length) {
        size_t bad;
        size_t good = utf8_valid_prefix(text + at, length - at, &bad);
        memcpy(out + written, text + at, good);
        written += good;
        if (bad > 0) {
            memcpy(out + written, "\xEF\xBF\xBD", 3);
            written += 3;
        }
        at += good + bad;
    }
    return written;
}

static void texts_do_not_depend_on_where_chunks_are_cut(void)
{
    static char text[TEXT_MAX];
    static char whole[3 * TEXT_MAX];
    for (int round = 0; round < 3000; round++) {
        size_t length = random_text(text);
        size_t expected = mend(text, length, whole);
        struct delta_text delta = {0};
        size_t units = 0;
        for (size_t at = 0; at < length;) {
            size_t chunk = 1 + below(below(2) ? 3 : 60);
            chunk = chunk < length - at ? chunk : length - at;
            CU_ASSERT_EQUAL(delta_text_add(&delta, text + at, chunk, SIZE_MAX), chunk);
            at += chunk;
            if (below(3) == 0) {
                size_t waiting;
                const char *rest = delta_text_rest(&delta, &waiting);
                CU_ASSERT_TRUE(utf8_valid(rest, waiting));
                CU_ASSERT_EQUAL(delta.sent_units, units);
                units += utf8_utf16_length(rest, waiting);
                delta_text_mark_sent(&delta);
            }
        }
        delta_text_end(&delta);
        CU_ASSERT_EQUAL(delta.text.length, expected);
        CU_ASSERT_TRUE(expected == 0 || memcmp(delta.text.data, whole, expected) == 0);
        delta_text_mark_sent(&delta);
        CU_ASSERT_EQUAL(delta.sent_units, utf8_utf16_length(whole, expected));
        delta_text_free(&delta);
    }
}

static void a_limit_cuts_between_characters_and_loses_nothing(void)
{
    static char text[TEXT_MAX];
    static char whole[3 * TEXT_MAX];
    static char joined[3 * TEXT_MAX];
    for (int round = 0; round < 3000; round++) {
        size_t length = random_text(text);
        size_t expected = mend(text, length, whole);
        size_t limit = 4 + below(40);
        size_t written = 0;
        struct delta_text delta = {0};
        for (size_t at = 0; at < length;) {
            size_t chunk = 1 + below(30);
            chunk = chunk < length - at ? chunk : length - at;
            for (size_t used = 0;;) {
                used += delta_text_add(&delta, text + at + used, chunk - used, limit);
                CU_ASSERT_FATAL(delta.text.length <= limit && used <= chunk);
                if (used == chunk) {
                    break;
                }
                CU_ASSERT_FATAL(delta.text.length > limit - 4);
                CU_ASSERT_TRUE(utf8_valid(delta.text.data, delta.text.length));
                memcpy(joined + written, delta.text.data, delta.text.length);
                written += delta.text.length;
                delta_text_restart(&delta);
            }
            at += chunk;
        }
        delta_text_end(&delta);
        if (delta.text.length > 0) {
            memcpy(joined + written, delta.text.data, delta.text.length);
        }
        written += delta.text.length;
        CU_ASSERT_EQUAL(written, expected);
        CU_ASSERT_EQUAL(memcmp(joined, whole, expected), 0);
        delta_text_free(&delta);
    }
}

static void a_held_sequence_is_not_lost(void)
{
    struct delta_text delta = {0};
    size_t waiting;
    CU_ASSERT_EQUAL(delta_text_add(&delta, "\xF0", 1, 100), 1);
    CU_ASSERT_EQUAL(delta_text_add(&delta, "\x9F", 1, 100), 1);
    delta_text_rest(&delta, &waiting);
    CU_ASSERT_EQUAL(waiting, 0);
    CU_ASSERT_EQUAL(delta_text_add(&delta, "\x98\x80!", 3, 100), 3);
    delta_text_mark_sent(&delta);
    CU_ASSERT_EQUAL(delta.sent_units, 3);
    CU_ASSERT_EQUAL(delta_text_add(&delta, "\xE2\x82", 2, 100), 2);
    delta_text_end(&delta);
    const char *rest = delta_text_rest(&delta, &waiting);
    CU_ASSERT_EQUAL(waiting, 3);
    CU_ASSERT_EQUAL(memcmp(rest, "\xEF\xBF\xBD", 3), 0);
    delta_text_free(&delta);
}

static void what_went_out_is_trimmed_at_a_character(void)
{
    struct delta_text delta = {0};
    for (int i = 0; i < 100; i++) {
        delta_text_add(&delta, "\xF0\x9F\x98\x80", 4, SIZE_MAX);
    }
    CU_ASSERT_EQUAL(delta_text_trim(&delta, 10), 0); /* nothing went out yet */
    delta_text_mark_sent(&delta);
    delta_text_add(&delta, "end", 3, SIZE_MAX);
    CU_ASSERT_EQUAL(delta_text_trim(&delta, 1000), 0);
    size_t dropped = delta_text_trim(&delta, 10);
    CU_ASSERT_EQUAL(dropped % 4, 0);
    CU_ASSERT_EQUAL(delta.text.length, 403 - dropped);
    CU_ASSERT_TRUE(utf8_valid(delta.text.data, delta.text.length));
    CU_ASSERT_EQUAL(delta.sent_units, 200);
    size_t waiting;
    CU_ASSERT_EQUAL(memcmp(delta_text_rest(&delta, &waiting), "end", 3), 0);
    CU_ASSERT_EQUAL(waiting, 3);
    delta_text_free(&delta);
}

TEST_MAIN("delta", TEST(the_first_goes_out_at_once),
          TEST(the_next_window_counts_from_the_real_flush), TEST(a_quiet_time_opens_it),
          TEST(what_waited_in_vain_is_late), TEST(a_window_of_nothing_never_waits),
          TEST(texts_do_not_depend_on_where_chunks_are_cut),
          TEST(a_limit_cuts_between_characters_and_loses_nothing),
          TEST(a_held_sequence_is_not_lost), TEST(what_went_out_is_trimmed_at_a_character))
