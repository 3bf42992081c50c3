/* What an agent's guard is told of its limits, and what its end is said to have to do with them. */
#define _GNU_SOURCE
#include "role/agent_limits.h"

#include <signal.h>
#include <sys/resource.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "support/test.h"

#define NONE {.memory_bytes = -1, .cpu_seconds = -1, .open_files = -1, .file_bytes = -1, .nice = -1, .oom_score_adj = -1}

static void only_what_is_set_is_told(void)
{
    struct config_limits limits = NONE;
    struct agent_limits_text text;
    CU_ASSERT_EQUAL(agent_limits_arguments(&limits, &text), 0);
    limits.cpu_seconds = 60;
    limits.nice = 0;
    CU_ASSERT_EQUAL_FATAL(agent_limits_arguments(&limits, &text), 4);
    TEST_TEXT(text.arguments[0], "--rlimit");
    TEST_TEXT(text.arguments[1], "cpu=60");
    TEST_TEXT(text.arguments[2], "--nice");
    TEST_TEXT(text.arguments[3], "0");
    limits = (struct config_limits){INT64_C(1) << 40, 31536000, 1048576, INT64_C(1) << 40, 19, 1000};
    CU_ASSERT_EQUAL_FATAL(agent_limits_arguments(&limits, &text), AGENT_LIMITS_ARGUMENTS);
    TEST_TEXT(text.arguments[1], "as=1099511627776");
    TEST_TEXT(text.arguments[11], "1000");
}

static void ends_are_explained_as_far_as_can_be_known(void)
{
    static const struct {
        int64_t memory, cpu, files, size;
        int signal;
        const char *errors, *expected;
    } rows[] = {
        {-1, 5, -1, -1, SIGXCPU, NULL, " It used more processor time than its limit allows (cpu-limit-seconds = 5)."},
        {-1, 5, -1, -1, SIGKILL, NULL, " It may have used more processor time than its limit allows (cpu-limit-seconds = 5)."},
        {-1, -1, -1, 9, SIGXFSZ, NULL, " It wrote a longer file than its limit allows (file-size-limit = 9)."},
        {-1, -1, -1, 9, 0, "write: File too large", " It wrote a longer file than its limit allows (file-size-limit = 9)."},
        {-1, -1, 7, -1, 0, "Error: EMFILE: too many", " It opened more files than its limit allows (open-files-limit = 7)."},
        {8, -1, -1, -1, SIGABRT, "FATAL ERROR: JavaScript heap out of memory",
         " It wanted more memory than its limit allows (memory-limit = 8)."},
        {8, -1, -1, -1, 0, "malloc: Cannot allocate memory",
         " It wanted more memory than its limit allows (memory-limit = 8)."},
        {8, -1, -1, -1, SIGSEGV, NULL, " It may have wanted more memory than its limit allows (memory-limit = 8)."},
        {8, -1, -1, -1, SIGTRAP, "boom", " It may have wanted more memory than its limit allows (memory-limit = 8)."},
        {8, -1, 7, -1, 0, "Too many open files", " It opened more files than its limit allows (open-files-limit = 7)."},
        {-1, -1, -1, -1, SIGKILL, NULL, " If nobody killed it, the machine was out of memory."},
        /* What has no limit, or another reason, is not explained by one. */
        {-1, -1, -1, -1, SIGSEGV, "out of memory", ""},
        {-1, -1, -1, -1, 0, "Too many open files", ""},
        {8, 5, 7, 9, 0, "no licence", ""},
        {8, 5, 7, 9, SIGTERM, NULL, ""},
        {8, 5, 7, 9, 0, NULL, ""},
    };
    for (size_t i = 0; i < array_size(rows); i++) {
        struct config_limits limits = NONE;
        limits.memory_bytes = rows[i].memory;
        limits.cpu_seconds = rows[i].cpu;
        limits.open_files = rows[i].files;
        limits.file_bytes = rows[i].size;
        struct buffer out = {0};
        agent_limits_explain(&out, &limits, rows[i].signal, rows[i].errors);
        char *text = buffer_take(&out);
        TEST_TEXT(text, rows[i].expected);
        free(text);
    }
}

/* The server raises its own limit of descriptors; programs that use select(2) do not stand that. */
static void the_limit_of_files_is_the_one_before(void)
{
    struct rlimit limit;
    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 200;
    CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CU_ASSERT_TRUE(fd_limit_raise() > 200);
    CU_ASSERT_TRUE(fd_limit_raise() > 200);
    struct config_limits limits = NONE;
    struct agent_limits_text text;
    CU_ASSERT_EQUAL_FATAL(agent_limits_arguments(&limits, &text), 2);
    TEST_TEXT(text.arguments[1], "soft-nofile=200");
    limits.open_files = 77;
    CU_ASSERT_EQUAL_FATAL(agent_limits_arguments(&limits, &text), 2);
    TEST_TEXT(text.arguments[1], "nofile=77");
}

TEST_MAIN("agent_limits", TEST(only_what_is_set_is_told), TEST(the_limit_of_files_is_the_one_before),
          TEST(ends_are_explained_as_far_as_can_be_known))
