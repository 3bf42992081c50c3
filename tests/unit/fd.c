#include "signalbox/base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/test.h"

static char folder[256];

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "%s/fd-test-XXXXXX", TEST_BINARY_DIR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
}

static void path_of(char out[512], const char *name)
{
    snprintf(out, 512, "%s/%s", folder, name);
}

static void the_limit_is_raised(void)
{
    long limit = fd_limit_raise();
    CU_ASSERT_TRUE(limit > FD_FLOOR);
    CU_ASSERT_EQUAL(fd_limit_raise(), limit);
}

static void a_descriptor_is_lifted(void)
{
    int ends[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    int old = ends[0];
    int lifted = fd_lift(old);
    CU_ASSERT_TRUE_FATAL(lifted >= FD_FLOOR);
    CU_ASSERT_EQUAL(fcntl(old, F_GETFD), -1);
    CU_ASSERT_TRUE(fcntl(lifted, F_GETFD) & FD_CLOEXEC);
    CU_ASSERT_EQUAL(fd_nonblocking(lifted), ERR_OK);
    char byte;
    CU_ASSERT_EQUAL(read(lifted, &byte, 1), -1);
    CU_ASSERT_EQUAL(errno, EAGAIN);
    errno = ENOSPC;
    fd_close(lifted);
    fd_close(-1);
    CU_ASSERT_EQUAL(errno, ENOSPC);
    fd_close(ends[1]);
    CU_ASSERT_EQUAL(fd_lift(old), -EBADF);
    CU_ASSERT_EQUAL(fd_nonblocking(old), err_from_errno(EBADF));
}

static void a_file_is_written_whole_and_read_back(void)
{
    char path[512];
    char *text = NULL;
    size_t length = 0;
    make_folder();
    path_of(path, "file");
    CU_ASSERT_EQUAL(file_read(path, 10, &text, &length), ERR_NOENT);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, "old", 3, 0600), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, "new\0text", 8, 0600), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(path, 8, &text, &length), ERR_OK);
    CU_ASSERT_EQUAL(length, 8);
    CU_ASSERT_EQUAL(memcmp(text, "new\0text", 9), 0);
    free(text);
    struct stat status;
    CU_ASSERT_EQUAL(stat(path, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    text = NULL;
    CU_ASSERT_EQUAL(file_read(path, 7, &text, &length), ERR_TOOBIG);
    CU_ASSERT_PTR_NULL(text);
    CU_ASSERT_EQUAL(file_read(folder, 7, &text, &length), err_from_errno(EISDIR));
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0); /* so nothing else was left behind */
}

static void what_an_earlier_try_left_is_replaced(void)
{
    char path[512], temporary[512], target[512];
    char *text = NULL;
    size_t length = 0;
    make_folder();
    path_of(path, "file");
    path_of(temporary, "file.tmp");
    path_of(target, "target");
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(target, "kept", 4, 0600), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(symlink(target, temporary), 0);
    CU_ASSERT_EQUAL_FATAL(file_write_atomic(path, "fresh", 5, 0600), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(target, 100, &text, &length), ERR_OK);
    TEST_TEXT(text, "kept");
    free(text);
    unlink(path);
    unlink(target);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void a_failed_write_leaves_nothing(void)
{
    char path[512];
    make_folder();
    path_of(path, "missing/file");
    CU_ASSERT_EQUAL(file_write_atomic(path, "x", 1, 0600), ERR_NOENT);
    path_of(path, "taken");
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    CU_ASSERT_NOT_EQUAL(file_write_atomic(path, "x", 1, 0600),
                        ERR_OK); /* a file cannot replace a folder */
    CU_ASSERT_EQUAL(rmdir(path), 0);
    CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static void errors_have_texts(void)
{
    CU_ASSERT_EQUAL(err_from_errno(ENOENT), ERR_NOENT);
    CU_ASSERT_EQUAL(err_from_errno(EDQUOT), ERR_NOSPC);
    CU_ASSERT_EQUAL(err_from_errno(0), ERR_IO);
    TEST_TEXT(err_text(ERR_NOSPC), "no space left on device");
    CU_ASSERT_PTR_NOT_NULL(err_text(err_from_errno(EISDIR)));
    TEST_TEXT(err_text((enum err) - 9999), "unknown error");
}

TEST_MAIN("fd", TEST(the_limit_is_raised), TEST(a_descriptor_is_lifted),
          TEST(a_file_is_written_whole_and_read_back), TEST(what_an_earlier_try_left_is_replaced),
          TEST(a_failed_write_leaves_nothing), TEST(errors_have_texts))
