#include "signalbox/base/log.h"

#include <errno.h>
#include <unistd.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/thread.h"
#include "support/test.h"

static int kept_stderr;
static FILE *capture;

static void capture_begin(void)
{
    fflush(stderr);
    capture = tmpfile();
    CU_ASSERT_PTR_NOT_NULL_FATAL(capture);
    kept_stderr = dup(STDERR_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
}

/* What was written since, from " level=" on (the time before it differs); the caller frees. */
static char *capture_end(size_t *whole_length)
{
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    long size = lseek(fileno(capture), 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(pread(fileno(capture), text, (size_t)size, 0), size);
    fclose(capture);
    *whole_length = (size_t)size;
    return text;
}

static void expect(const char *expected)
{
    size_t length;
    char *text = capture_end(&length);
    char *level = strstr(text, " level=");
    CU_ASSERT_EQUAL(strncmp(text, "ts=20", length > 5 ? 5 : length), 0);
    CU_ASSERT_TRUE(!level || level - text == (ptrdiff_t)strlen("ts=2026-01-02T03:04:05.678Z"));
    TEST_TEXT(level ? level : text, expected);
    free(text);
}

static void values_are_quoted_when_they_need_it(void)
{
    capture_begin();
    log_info("session created", "id", "%s", "abc-1", "empty", "%s", "", "eq", "%s", "a=b", "nul",
             "%s", (char *)NULL, "quote", "%s", "say \"hi\"\\", NULL);
    expect(" level=info thread=none msg=\"session created\" id=abc-1 empty=\"\" eq=\"a=b\" nul=- "
           "quote=\"say \\\"hi\\\"\\\\\"\n");
}

static void control_bytes_do_not_reach_the_terminal(void)
{
    capture_begin();
    log_error("x", "c", "%s", "a\nb\r\t\x1b[0m\x7f", "c1", "%s", "\xc2\x9b", "bad", "%s", "\xff",
              "good", "%s", "\xc3\xa9\xf0\x9f\x98\x80", NULL);
    expect(" level=error thread=none msg=x c=\"a\\nb\\r\\t\\x1b[0m\\x7f\" c1=\"\\xc2\\x9b\" "
           "bad=\"\\xff\" "
           "good=\xc3\xa9\xf0\x9f\x98\x80\n");
}

static void numbers_have_their_types(void)
{
    capture_begin();
    log_warn("n", "d", "%d", -1, "u", "%u", 4000000000u, "ld", "%ld", -5000000000L, "lu", "%lu",
             5000000000UL, "lld", "%lld", -6000000000LL, "llu", "%llu", 6000000000ULL, "z", "%zu",
             (size_t)7, "f", "%.2f", 1.5, "unit", "%d ms", 3, "s", "%s", "last", NULL);
    expect(" level=warn thread=none msg=n d=-1 u=4000000000 ld=-5000000000 lu=5000000000 "
           "lld=-6000000000 "
           "llu=6000000000 z=7 f=1.50 unit=\"3 ms\" s=last\n");
}

static void the_level_decides(void)
{
    enum log_level level;
    CU_ASSERT_TRUE_FATAL(log_level_parse("warn", &level));
    CU_ASSERT_FALSE(log_level_parse("loud", &level));
    log_set_level(level);
    capture_begin();
    log_info("hidden", NULL);
    log_warn("shown", NULL);
    log_set_level(LOG_LEVEL_INFO);
    log_debug("hidden", NULL);
    expect(" level=warn thread=none msg=shown\n");
}

static void a_long_line_is_cut_and_ends(void)
{
    static char huge[100000];
    memset(huge, 'x', sizeof(huge) - 1);
    capture_begin();
    log_info("long", "value", "%s", huge, "after", "%s", "dropped", NULL);
    size_t length;
    char *text = capture_end(&length);
    CU_ASSERT_TRUE(length > 4000 && length <= 4096);
    CU_ASSERT_TRUE(length > 6 && strcmp(text + length - 6, "x...\"\n") == 0);
    CU_ASSERT_PTR_NULL(strstr(text, "after="));
    free(text);
}

static void errno_is_kept(void)
{
    capture_begin();
    errno = ENOSPC;
    log_info("x", NULL);
    CU_ASSERT_EQUAL(errno, ENOSPC);
    expect(" level=info thread=none msg=x\n");
}

static void write_many(size_t number, void *context)
{
    (void)context;
    thread_adopt(THREAD_SOCKET, (int)number);
    for (int round = 0; round < 500; round++) {
        log_info("same words in every line", "round", "%d", round, NULL);
    }
}

static void lines_of_threads_do_not_mix(void)
{
    size_t length, lines = 0, wrong = 0;
    capture_begin();
    struct test_threads threads = test_threads_start(4, write_many, NULL);
    test_threads_join(&threads);
    char *text = capture_end(&length);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        lines++;
        wrong += strncmp(line, "ts=", 3) != 0 || !strstr(line, " thread=socket/") ||
                 !strstr(line, " msg=\"same words in every line\" round=");
    }
    CU_ASSERT_EQUAL(lines, 2000);
    CU_ASSERT_EQUAL(wrong, 0);
    free(text);
}

static void a_limit_counts_what_it_leaves_out(void)
{
    struct log_limit limit = {0};
    uint32_t suppressed = 99;
    clock_fake_start();
    CU_ASSERT_TRUE(log_limit_pass(&limit, 2, &suppressed));
    CU_ASSERT_EQUAL(suppressed, 0);
    CU_ASSERT_TRUE(log_limit_pass(&limit, 2, &suppressed));
    for (int line = 0; line < 5; line++) {
        CU_ASSERT_FALSE(log_limit_pass(&limit, 2, &suppressed));
    }
    clock_fake_advance(60000);
    CU_ASSERT_TRUE(log_limit_pass(&limit, 2, &suppressed));
    CU_ASSERT_EQUAL(suppressed, 5);
    CU_ASSERT_TRUE(log_limit_pass(&limit, 2, &suppressed));
    CU_ASSERT_EQUAL(suppressed, 0);
    CU_ASSERT_FALSE(log_limit_pass(&limit, 2, &suppressed));
    clock_fake_stop();
}

TEST_MAIN("log", TEST(values_are_quoted_when_they_need_it),
          TEST(control_bytes_do_not_reach_the_terminal), TEST(numbers_have_their_types),
          TEST(the_level_decides), TEST(a_long_line_is_cut_and_ends), TEST(errno_is_kept),
          TEST(lines_of_threads_do_not_mix), TEST(a_limit_counts_what_it_leaves_out))
