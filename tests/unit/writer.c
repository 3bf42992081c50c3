#define _GNU_SOURCE
#include "signalbox/base/writer.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signalbox/base/metrics.h"
#include "support/test.h"

/* All of this holds for both. Where the kernel has no io_uring for us, only `send` is looked at, and said so. */
static const bool ways[] = {false, true};

static struct writer *writer_of(bool together)
{
    char why[WRITER_WHY_SIZE];
    struct writer *writer = NULL;
    enum err err = writer_new(&writer, together, why);
    if (err) {
        printf("(not by io_uring: %s) ", why);
        CU_ASSERT_EQUAL(err, ERR_UNSUPPORTED);
        return NULL;
    }
    CU_ASSERT_EQUAL(writer_uses_uring(writer), together);
    return writer;
}

static void with_both(void (*check)(struct writer *writer))
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct writer *writer = writer_of(ways[i]);
        if (writer) {
            check(writer);
            CU_ASSERT_EQUAL(writer_uses_uring(writer), ways[i]);
            writer_free(writer);
        }
    }
    CU_ASSERT_EQUAL(metric_read(METRIC_SOCKET_URINGS), 0);
}

enum { FULL = 16 * 1024 * 1024 }; /* more than any socket takes */

struct pairs {
    int ours[WRITES_MAX], theirs[WRITES_MAX];
};

static void open_pairs(struct pairs *pairs)
{
    for (int i = 0; i < WRITES_MAX; i++) {
        int pair[2];
        CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        pairs->ours[i] = pair[0]; /* blocking ones: it must not matter */
        pairs->theirs[i] = pair[1];
    }
}

static void close_pairs(struct pairs *pairs)
{
    for (int i = 0; i < WRITES_MAX; i++) {
        close(pairs->ours[i]);
        close(pairs->theirs[i]);
    }
}

static void expect_to_read(int fd, const char *text)
{
    char got[64] = "";
    ssize_t length = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
    CU_ASSERT_EQUAL(length, (ssize_t)strlen(text));
    got[length > 0 ? length : 0] = '\0';
    TEST_TEXT(got, text);
}

static void each_socket_gets_its_own(struct writer *writer)
{
    struct pairs pairs;
    struct write_io writes[WRITES_MAX];
    char texts[WRITES_MAX][32], both[64];
    open_pairs(&pairs);
    for (int round = 0; round < 50; round++) {
        size_t count = 1 + (size_t)round * 7 % WRITES_MAX;
        for (size_t i = 0; i < count; i++) {
            snprintf(texts[i], sizeof(texts[i]), "round %d, client %zu", round, i);
            writes[i] = (struct write_io){.fd = pairs.ours[i], .bytes = texts[i], .length = strlen(texts[i]), .result = 77};
        }
        writer_write(writer, writes, count);
        for (size_t i = 0; i < count; i++) {
            CU_ASSERT_EQUAL(writes[i].result, (ssize_t)strlen(texts[i]));
            memset(texts[i], '#', sizeof(texts[i]) - 1); /* the kernel has no more to do with them */
            snprintf(both, sizeof(both), "round %d, client %zu", round, i);
            expect_to_read(pairs.theirs[i], both);
        }
    }
    close_pairs(&pairs);
}

static void every_client_has_its_own_text(void)
{
    with_both(each_socket_gets_its_own);
}

static void full_broken_and_well(struct writer *writer)
{
    static char much[FULL];
    struct pairs pairs;
    open_pairs(&pairs);
    struct write_io writes[WRITES_MAX];
    for (int i = 0; i < 4; i++) {
        writes[i] = (struct write_io){.fd = pairs.ours[i], .bytes = much, .length = FULL};
    }
    close(pairs.theirs[1]);
    pairs.theirs[1] = -1;
    close(pairs.ours[2]);
    writes[3].bytes = "well";
    writes[3].length = 4;
    writer_write(writer, writes, 4);
    CU_ASSERT_TRUE(writes[0].result > 0 && writes[0].result < FULL); /* a short one */
    CU_ASSERT_EQUAL(writes[1].result, -EPIPE); /* and no SIGPIPE */
    CU_ASSERT_EQUAL(writes[2].result, -EBADF);
    CU_ASSERT_EQUAL(writes[3].result, 4);
    expect_to_read(pairs.theirs[3], "well");
    writes[1] = (struct write_io){.fd = pairs.ours[3], .bytes = "again", .length = 5};
    ssize_t first = writes[0].result;
    for (int tries = 0; tries < 3 && writes[0].result != -EAGAIN; tries++) { /* what is left of a page may go, too */
        writer_write(writer, writes, 2);
        expect_to_read(pairs.theirs[3], "again");
    }
    CU_ASSERT_EQUAL(writes[0].result, -EAGAIN);
    CU_ASSERT_TRUE(first > 0);
    pairs.ours[2] = -1;
    close_pairs(&pairs);
}

static void who_is_full_or_gone_does_not_matter_to_others(void)
{
    with_both(full_broken_and_well);
}

/* As containers do it. */
static int forbid_io_uring(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In a process of its own, since it stays forbidden. Its exit status is the step that failed. */
static int without_io_uring(void)
{
    char why[WRITER_WHY_SIZE];
    struct writer *writer = NULL;
    int pair[2], other[2];
    if (forbid_io_uring()) {
        return 1;
    }
    if (writer_new(&writer, true, why) != ERR_UNSUPPORTED || !strstr(why, "not permitted")) {
        return 2;
    }
    if (writer_new(&writer, false, why) || writer_uses_uring(writer)) {
        return 3;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || socketpair(AF_UNIX, SOCK_STREAM, 0, other)) {
        return 4;
    }
    struct write_io writes[] = {{.fd = pair[0], .bytes = "ab", .length = 2}, {.fd = other[0], .bytes = "c", .length = 1}};
    writer_write(writer, writes, 2);
    writer_free(writer);
    return writes[0].result == 2 && writes[1].result == 1 && metric_read(METRIC_SOCKET_URINGS) == 0 ? 0 : 5;
}

static void where_it_is_forbidden_sockets_are_written_all_the_same(void)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(without_io_uring());
    }
    CU_ASSERT_TRUE_FATAL(child > 0);
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
}

TEST_MAIN("writer", TEST(every_client_has_its_own_text), TEST(who_is_full_or_gone_does_not_matter_to_others),
          TEST(where_it_is_forbidden_sockets_are_written_all_the_same))
