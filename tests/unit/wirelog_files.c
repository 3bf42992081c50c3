#define _GNU_SOURCE
#include "role/wirelog_files.h"

#include <dirent.h>
#include <sys/resource.h>
#include <signal.h>

#include "signalbox/base/check.h"
#include "signalbox/base/clock.h"
#include "signalbox/base/fd.h"
#include "support/folder.h"
#include "support/test.h"

static char *folder;
static struct wirelog_files files;
static const struct wirelog_limits limits = {.file_bytes = 100, .total_bytes = 1000, .keep_ms = 60000};

static void begin(void)
{
    folder = folder_new();
    CHECK(wirelog_files_init(&files, folder) == ERR_OK);
}

static void end(void)
{
    wirelog_files_free(&files);
    folder_remove(folder);
}

static struct wirelog_file new_file(const char *session, uint64_t run)
{
    return (struct wirelog_file){.session_id = session, .run = run, .fd = -1};
}

static bool append(struct wirelog_file *file, size_t length)
{
    char bytes[2000];
    bool fresh;
    memset(bytes, 'x', sizeof(bytes));
    bytes[length - 1] = '\n';
    CU_ASSERT_EQUAL_FATAL(wirelog_file_open(&files, file, length, &limits, &fresh), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(wirelog_file_append(&files, file, bytes, length), ERR_OK);
    return fresh;
}

static int64_t size_of(const char *name)
{
    struct stat status;
    return stat(folder_path(folder, name), &status) == 0 ? status.st_size : -1;
}

static void age(const char *name, int64_t ms)
{
    int64_t at = clock_wall_ms() - ms;
    struct timespec times[2] = {{.tv_sec = at / 1000}, {.tv_sec = at / 1000}};
    CHECK(utimensat(AT_FDCWD, folder_path(folder, name), times, 0) == 0);
}

static void a_file_grows_and_goes_on_in_another(void)
{
    begin();
    struct wirelog_file file = new_file("s", 7);
    CU_ASSERT(append(&file, 60));
    CU_ASSERT_FALSE(append(&file, 40));
    CU_ASSERT(append(&file, 1));
    CU_ASSERT(append(&file, 500)); /* longer than a file: one of its own */
    CU_ASSERT(append(&file, 1));
    CU_ASSERT_EQUAL(size_of("wire/s/7-001.jsonl"), 100);
    CU_ASSERT_EQUAL(size_of("wire/s/7-002.jsonl"), 1);
    CU_ASSERT_EQUAL(size_of("wire/s/7-003.jsonl"), 500);
    CU_ASSERT_EQUAL(size_of("wire/s/7-004.jsonl"), 1);
    CU_ASSERT_EQUAL(files.total, 602);
    wirelog_file_close(&file);
    /* A run whose number was given before does not write over what is there. */
    struct wirelog_file again = new_file("s", 7);
    CU_ASSERT(append(&again, 5));
    CU_ASSERT_EQUAL(size_of("wire/s/7-005.jsonl"), 5);
    CU_ASSERT_EQUAL(size_of("wire/s/7-001.jsonl"), 100);
    end();
}

static void names_do_not_escape(void)
{
    static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc", "a.b", "a b", "\xc3\xa9"};
    begin();
    bool fresh;
    for (size_t i = 0; i < array_size(bad); i++) {
        struct wirelog_file file = new_file(bad[i], 1);
        CU_ASSERT_EQUAL(wirelog_file_open(&files, &file, 1, &limits, &fresh), ERR_INVAL);
        CU_ASSERT_EQUAL(wirelog_files_purge(&files, bad[i]), ERR_INVAL);
    }
    CU_ASSERT_EQUAL(size_of("wire"), -1);
    char long_name[200];
    memset(long_name, 'a', 199);
    long_name[199] = '\0';
    struct wirelog_file file = new_file(long_name, 1);
    CU_ASSERT_EQUAL(wirelog_file_open(&files, &file, 1, &limits, &fresh), ERR_INVAL);
    /* Links that somebody put there are not followed. */
    struct wirelog_file first = new_file("s", 1);
    append(&first, 10);
    CHECK(mkdir(folder_path(folder, "outside"), 0700) == 0);
    folder_write(folder, "outside/1-001.jsonl", "mine");
    age("outside/1-001.jsonl", 1000000);
    CHECK(symlink(folder_path(folder, "outside"), folder_path(folder, "wire/link")) == 0);
    struct wirelog_file through = new_file("link", 2);
    CU_ASSERT_NOT_EQUAL(wirelog_file_open(&files, &through, 1, &limits, &fresh), ERR_OK);
    CU_ASSERT_EQUAL(wirelog_files_clean(&files, &limits, clock_wall_ms()), ERR_OK);
    CU_ASSERT_EQUAL(wirelog_files_purge(&files, "link"), ERR_OK);
    CU_ASSERT_EQUAL(size_of("outside/1-001.jsonl"), 4);
    end();
}

static void the_old_go(void)
{
    begin();
    CU_ASSERT_EQUAL(wirelog_files_clean(&files, &limits, clock_wall_ms()), ERR_OK); /* nothing is there */
    struct wirelog_file old = new_file("old", 1), young = new_file("young", 1);
    append(&old, 10);
    wirelog_file_close(&old);
    append(&young, 10);
    age("wire/old/1-001.jsonl", 70000);
    folder_write(folder, "wire/young/notes.txt", "mine");
    age("wire/young/notes.txt", 70000);
    CU_ASSERT_EQUAL(wirelog_files_clean(&files, &limits, clock_wall_ms()), ERR_OK);
    CU_ASSERT_EQUAL(size_of("wire/old"), -1); /* with its folder */
    CU_ASSERT_EQUAL(size_of("wire/young/1-001.jsonl"), 10);
    CU_ASSERT_EQUAL(size_of("wire/young/notes.txt"), 4);
    CU_ASSERT_EQUAL(files.total, 10);
    end();
}

static void too_much_lets_the_oldest_go(void)
{
    begin();
    static const char *const sessions[] = {"a", "b", "c", "d"};
    struct wirelog_file all[4];
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        all[i] = new_file(sessions[i], 1);
        append(&all[i], 300);
        snprintf(name, sizeof(name), "wire/%s/1-001.jsonl", sessions[i]);
        age(name, 40000 - (int64_t)i * 1000);
    }
    CU_ASSERT_EQUAL(files.total, 1200);
    CU_ASSERT_EQUAL(wirelog_files_clean(&files, &limits, clock_wall_ms()), ERR_OK);
    CU_ASSERT_EQUAL(files.total, 900);
    CU_ASSERT_EQUAL(size_of("wire/a"), -1);
    CU_ASSERT_EQUAL(all[0].fd, -1); /* though it was being written to: it goes on in another one */
    CU_ASSERT(append(&all[0], 10));
    CU_ASSERT_EQUAL(size_of("wire/a/1-002.jsonl"), 10);
    CU_ASSERT_EQUAL(size_of("wire/b/1-001.jsonl"), 300);
    end();
}

static void a_session_is_erased(void)
{
    begin();
    struct wirelog_file one = new_file("s", 1), other = new_file("t", 1);
    append(&one, 60);
    append(&one, 60);
    append(&other, 60);
    CU_ASSERT_EQUAL(wirelog_files_purge(&files, "s"), ERR_OK);
    CU_ASSERT_EQUAL(size_of("wire/s"), -1);
    CU_ASSERT_EQUAL(one.fd, -1);
    CU_ASSERT_EQUAL(size_of("wire/t/1-001.jsonl"), 60);
    CU_ASSERT_EQUAL(files.total, 60);
    CU_ASSERT_EQUAL(wirelog_files_purge(&files, "s"), ERR_OK);
    /* As a server leaves it that dies behind the last file, or before the first. */
    CHECK(mkdir(folder_path(folder, "wire/u"), 0700) == 0);
    CU_ASSERT_EQUAL(wirelog_files_purge(&files, "u"), ERR_OK);
    CU_ASSERT_EQUAL(size_of("wire/u"), -1);
    end();
}

static void what_does_not_fit_is_taken_back(void)
{
    begin();
    struct wirelog_file file = new_file("s", 1);
    append(&file, 50);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 70;
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    char bytes[40];
    memset(bytes, 'x', sizeof(bytes));
    bool fresh;
    CU_ASSERT_EQUAL(wirelog_file_open(&files, &file, sizeof(bytes), &limits, &fresh), ERR_OK);
    CU_ASSERT_NOT_EQUAL(wirelog_file_append(&files, &file, bytes, sizeof(bytes)), ERR_OK);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CU_ASSERT_EQUAL(size_of("wire/s/1-001.jsonl"), 50);
    CU_ASSERT_EQUAL(file.fd, -1);
    CU_ASSERT_EQUAL(files.total, 50);
    CU_ASSERT(append(&file, 10));
    CU_ASSERT_EQUAL(size_of("wire/s/1-002.jsonl"), 10);
    end();
}

TEST_MAIN("wirelog_files", TEST(a_file_grows_and_goes_on_in_another), TEST(names_do_not_escape), TEST(the_old_go),
          TEST(too_much_lets_the_oldest_go), TEST(a_session_is_erased), TEST(what_does_not_fit_is_taken_back))
