#include "signalbox/core/coding.h"

#include <stddef.h>
#include <string.h>

#include "support/test.h"

static enum coding choose(const char *first, const char *second, const char *there)
{
    struct coding_wishes wishes;
    const bool has[CODING_COUNT] = {strchr(there, 'b') != NULL, strchr(there, 'g') != NULL, true};
    coding_wishes_init(&wishes);
    if (first) {
        coding_wishes_read(&wishes, first);
    }
    if (second) {
        coding_wishes_read(&wishes, second);
    }
    return coding_choose(&wishes, has);
}

static void the_best_that_is_there(void)
{
    static const struct {
        const char *accepted, *there;
        enum coding wanted;
    } cases[] = {
        {NULL, "bg", CODING_IDENTITY},
        {"", "bg", CODING_IDENTITY},
        {"gzip, deflate, br, zstd", "bg", CODING_BROTLI},
        {"gzip, deflate, br, zstd", "g", CODING_GZIP},
        {"gzip, deflate, br, zstd", "", CODING_IDENTITY},
        {"gzip,deflate", "bg", CODING_GZIP},
        {"x-GZip", "bg", CODING_GZIP},
        {"deflate", "bg", CODING_IDENTITY},
        {"bro", "bg", CODING_IDENTITY},
        {"*", "bg", CODING_BROTLI},
        {"*", "", CODING_IDENTITY},
        {"br;q=0, *", "bg", CODING_GZIP},
        {"br;q=0.5, gzip;q=0.8", "bg", CODING_GZIP},
        {"br;q=0.501, gzip;q=0.5", "bg", CODING_BROTLI},
        {" br ; q=0.2 ,\tgzip; q=0.1 ", "bg", CODING_BROTLI},
        {"br;Q=0.2, gzip", "bg", CODING_GZIP},
        {"identity, gzip;q=0.5", "bg", CODING_IDENTITY},
        {"identity;q=0.2, gzip;q=0.2", "bg", CODING_GZIP},
        {"gzip;q=0.001", "bg", CODING_GZIP},
        {"gzip;q=0", "bg", CODING_IDENTITY},
        {"gzip;q=0.0, br;q=0.000", "bg", CODING_IDENTITY},
        {"identity;q=0, gzip", "bg", CODING_GZIP},
        {"identity;q=0, gzip", "b", CODING_COUNT},
        {"identity;q=0", "bg", CODING_COUNT},
        {"*;q=0", "bg", CODING_COUNT},
        {"*;q=0, br", "bg", CODING_BROTLI},
        {"*;q=0, br", "g", CODING_COUNT},
        {"*;q=0.5, identity;q=0", "", CODING_COUNT},
        {"*;q=0, identity", "bg", CODING_IDENTITY},
        /* What cannot be read is not named. */
        {"br;q=2, gzip;q=0.5", "bg", CODING_GZIP},
        {"br;q=1.001", "bg", CODING_IDENTITY},
        {"br;q=0.5555", "bg", CODING_IDENTITY},
        {"br;q=-1", "bg", CODING_IDENTITY},
        {"br;q=", "bg", CODING_IDENTITY},
        {"br;level=11", "bg", CODING_IDENTITY},
        {"br;", "bg", CODING_IDENTITY},
        {"br q=1", "bg", CODING_IDENTITY},
        {",,;q=1,gzip,", "bg", CODING_GZIP},
        {",", "bg", CODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum coding got = choose(cases[i].accepted, NULL, cases[i].there);
        CU_ASSERT_EQUAL(got, cases[i].wanted);
        if (got != cases[i].wanted) {
            printf("\n    %s of %s: %d\n", cases[i].accepted, cases[i].there, (int)got);
        }
    }
}

static void several_headers_are_one_list(void)
{
    CU_ASSERT_EQUAL(choose("gzip", "br", "bg"), CODING_BROTLI);
    CU_ASSERT_EQUAL(choose("br;q=0.5", "gzip", "bg"), CODING_GZIP);
    CU_ASSERT_EQUAL(choose("br", "br;q=0", "bg"), CODING_IDENTITY);
}

TEST_MAIN("coding", TEST(the_best_that_is_there), TEST(several_headers_are_one_list))
