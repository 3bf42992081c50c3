#include "signalbox/base/utf8.h"

#include "support/test.h"

#define LITERAL(text) text, sizeof(text) - 1

static void well_formed_text_is_valid(void)
{
    CU_ASSERT_TRUE(utf8_valid(LITERAL("")));
    CU_ASSERT_TRUE(utf8_valid(LITERAL("plain ascii, long enough for the fast way")));
    CU_ASSERT_TRUE(utf8_valid(LITERAL("\xc2\x80 \xdf\xbf")));
    CU_ASSERT_TRUE(utf8_valid(LITERAL("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf")));
    CU_ASSERT_TRUE(utf8_valid(LITERAL("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf")));
    CU_ASSERT_TRUE(utf8_valid(LITERAL("nul \0 inside")));
}

static void ill_formed_text_is_not(void)
{
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\x80")));
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xc0\x80")));         /* overlong */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xc1\xbf")));         /* overlong */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xe0\x9f\xbf")));     /* overlong */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xf0\x8f\xbf\xbf"))); /* overlong */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xed\xa0\x80")));     /* a surrogate */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xf4\x90\x80\x80"))); /* over U+10FFFF */
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xf5\x80\x80\x80")));
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xff")));
    CU_ASSERT_FALSE(utf8_valid(LITERAL("eight by\xe2\x82")));
    CU_ASSERT_FALSE(utf8_valid(LITERAL("\xe2\x82"
                                       "A")));
}

static void the_prefix_ends_before_the_maximal_bad_part(void)
{
    size_t bad = 9;
    CU_ASSERT_EQUAL(utf8_valid_prefix(LITERAL("ab"), &bad), 2);
    CU_ASSERT_EQUAL(bad, 0);
    CU_ASSERT_EQUAL(utf8_valid_prefix(LITERAL("ab\xff\xff"), &bad), 2);
    CU_ASSERT_EQUAL(bad, 1);
    CU_ASSERT_EQUAL(utf8_valid_prefix(LITERAL("\xf0\x9f\x98x"), &bad), 0);
    CU_ASSERT_EQUAL(bad, 3);
    CU_ASSERT_EQUAL(utf8_valid_prefix(LITERAL("\xed\xa0\x80"), &bad), 0);
    CU_ASSERT_EQUAL(bad, 1);
    CU_ASSERT_EQUAL(utf8_valid_prefix(LITERAL("a\xe2\x82"), &bad), 1);
    CU_ASSERT_EQUAL(bad, 2);
}

static void an_incomplete_tail_is_kept_for_later(void)
{
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("")), 0);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("abc")), 0);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xc3")), 1);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("\xe2")), 1);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xe2\x82")), 2);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xf0\x9f\x98")), 3);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xf0\x9f\x98\x80")), 0);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xe2\x82\xac")), 0);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\x80\x80\x80")),
                    0); /* never to become anything */
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xed\xa0")), 0);
    CU_ASSERT_EQUAL(utf8_incomplete_tail(LITERAL("a\xff")), 0);
}

static void lengths_are_counted_as_browsers_count(void)
{
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("")), 0);
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("twelve bytes")), 12);
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("\xc3\xa9\xe2\x82\xac")), 2);
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("\xf0\x9f\x98\x80")), 2);
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("a\xff\xffz")), 4);
    CU_ASSERT_EQUAL(utf8_utf16_length(LITERAL("a\xf0\x9f\x98")), 2); /* one U+FFFD for the part */
}

static void blanks_of_all_kinds_are_blank(void)
{
    CU_ASSERT_TRUE(utf8_blank(LITERAL("")));
    CU_ASSERT_TRUE(utf8_blank(LITERAL(" \t\n\v\f\r")));
    CU_ASSERT_TRUE(utf8_blank(LITERAL("\xc2\xa0\xe1\x9a\x80\xe2\x80\x80\xe2\x80\x8a\xe2\x80\xa8\xe2\x80\xa9")));
    CU_ASSERT_TRUE(utf8_blank(LITERAL("\xe2\x80\xaf\xe2\x81\x9f\xe3\x80\x80\xef\xbb\xbf")));
    CU_ASSERT_FALSE(utf8_blank(LITERAL("  .")));
    CU_ASSERT_FALSE(utf8_blank(LITERAL(" \0")));
    CU_ASSERT_FALSE(utf8_blank(LITERAL("\xe2\x80\x8b"))); /* of no width, and no blank */
    CU_ASSERT_FALSE(utf8_blank(LITERAL(" \xe2\x80")));
    CU_ASSERT_FALSE(utf8_blank(LITERAL("\xc2\xa9")));
}

static void a_cut_splits_no_character(void)
{
    static const char text[] = "a\xe2\x82\xac\xf0\x9f\x98\x80z"; /* starts at 0, 1, 4, 8 */
    static const size_t expected[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};
    for (size_t limit = 0; limit < sizeof(expected) / sizeof(expected[0]); limit++) {
        CU_ASSERT_EQUAL(utf8_cut(text, sizeof(text) - 1, limit), expected[limit]);
    }
    CU_ASSERT_EQUAL(utf8_cut(LITERAL("\x80\x80\x80\x80\x80\x80"), 5),
                    5); /* nothing to keep whole */
    CU_ASSERT_EQUAL(utf8_cut(LITERAL("\xc3\xa9\xa9\xa9"), 3), 3);
}

TEST_MAIN("utf8", TEST(well_formed_text_is_valid), TEST(ill_formed_text_is_not),
          TEST(the_prefix_ends_before_the_maximal_bad_part),
          TEST(an_incomplete_tail_is_kept_for_later), TEST(lengths_are_counted_as_browsers_count),
          TEST(blanks_of_all_kinds_are_blank), TEST(a_cut_splits_no_character))
