#include "signalbox/base/writer.h"

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"

enum { FLAGS = MSG_DONTWAIT | MSG_NOSIGNAL };

struct writer {
    struct io_uring ring;
    bool has_ring;
};

/* ---- One by one ---- */

static void send_one(struct write_io *write)
{
    ssize_t sent = send(write->fd, write->bytes, write->length, FLAGS);
    write->result = sent < 0 ? -errno : sent;
}

/* ---- Together ---- */

static void ring_close(struct writer *writer)
{
    if (writer->has_ring) {
        io_uring_queue_exit(&writer->ring);
        writer->has_ring = false;
        metric_add(METRIC_SOCKET_URINGS, -1);
    }
}

/* What came back from the kernel. False: nothing has. */
static bool take_completion(struct writer *writer)
{
    struct io_uring_cqe *completion;
    if (io_uring_peek_cqe(&writer->ring, &completion)) {
        return false;
    }
    struct write_io *write = io_uring_cqe_get_data(completion);
    write->result = completion->res;
    io_uring_cqe_seen(&writer->ring, completion);
    return true;
}

/*
 * MSG_DONTWAIT makes a send end at once, with -EAGAIN where the socket is full, so the completions of what was submitted are
 * there when the call returns; waiting for them is for a kernel that thinks otherwise. Returns how many are done, in order:
 * less than `count` when the kernel took no more.
 */
static size_t submit(struct writer *writer, struct write_io *writes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&writer->ring);
        CHECK(entry); /* the ring has WRITES_MAX, and all of the last call were submitted */
        io_uring_prep_send(entry, writes[i].fd, writes[i].bytes, writes[i].length, FLAGS);
        io_uring_sqe_set_data(entry, &writes[i]);
    }
    size_t submitted = 0, done = 0;
    bool refused = false;
    while (done < count) {
        if (submitted < count && !refused) {
            int more = io_uring_submit(&writer->ring);
            submitted += more > 0 ? (size_t)more : 0;
            refused = more <= 0 && more != -EINTR;
        }
        while (done < submitted && take_completion(writer)) {
            done++;
        }
        if (done == submitted && refused) {
            break;
        }
        if (done < submitted) {
            struct io_uring_cqe *completion;
            (void)io_uring_wait_cqe(&writer->ring, &completion);
        }
    }
    return done;
}

/* Whether this kernel ends a send that way: a socket takes a byte, and one that is full says so at once. */
static int try_out(struct writer *writer)
{
    int pair[2], full = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        return -errno;
    }
    char bytes[4096] = {0};
    struct write_io write = {.fd = pair[0], .bytes = bytes, .length = 1};
    int error = submit(writer, &write, 1) == 1 ? 0 : -EIO;
    if (!error && write.result != 1) {
        error = write.result < 0 ? (int)write.result : -EIO;
    }
    while (!error && full > 0) {
        full = (int)send(pair[0], bytes, sizeof(bytes), FLAGS);
    }
    if (!error) {
        error = submit(writer, &write, 1) == 1 ? 0 : -EIO;
    }
    if (!error && write.result != -EAGAIN) {
        error = -ENOTSUP;
    }
    close(pair[0]);
    close(pair[1]);
    return error;
}

static int ring_open(struct writer *writer)
{
    int error = io_uring_queue_init(WRITES_MAX, &writer->ring, 0);
    if (error) {
        return error;
    }
    writer->has_ring = true;
    metric_add(METRIC_SOCKET_URINGS, 1);
    /* Where it cannot be lifted it is closed all the same, and -1 keeps liburing from closing a number once more that may be
     * somebody else's by then. */
    int lifted = fd_lift(writer->ring.ring_fd);
    writer->ring.ring_fd = writer->ring.enter_ring_fd = lifted < 0 ? -1 : lifted;
    error = lifted < 0 ? lifted : try_out(writer);
    if (error) {
        ring_close(writer);
    }
    return error;
}

/* ---- Either ---- */

enum err writer_new(struct writer **out, bool together, char why[WRITER_WHY_SIZE])
{
    struct writer *writer = calloc(1, sizeof(*writer));
    if (!writer) {
        snprintf(why, WRITER_WHY_SIZE, "out of memory");
        return ERR_NOMEM;
    }
    int error = together ? ring_open(writer) : 0;
    if (error) {
        bool forbidden = error == -EPERM || error == -ENOSYS;
        snprintf(why, WRITER_WHY_SIZE, "io_uring: %s%s", strerror(-error),
                 forbidden ? " (containers and the sysctl kernel.io_uring_disabled forbid it)" : "");
        free(writer);
        return ERR_UNSUPPORTED;
    }
    *out = writer;
    return ERR_OK;
}

void writer_free(struct writer *writer)
{
    if (writer) {
        ring_close(writer);
        free(writer);
    }
}

bool writer_uses_uring(const struct writer *writer)
{
    return writer->has_ring;
}

void writer_write(struct writer *writer, struct write_io *writes, size_t count)
{
    CHECK(count <= WRITES_MAX);
    size_t done = 0;
    if (writer->has_ring && count > 1) { /* one by itself is one call either way, and `send` is the shorter one */
        done = submit(writer, writes, count);
        if (done < count) {
            log_error("io_uring takes no more: sockets are written one by one from here on", NULL);
            ring_close(writer);
        }
    }
    for (; done < count; done++) {
        send_one(&writes[done]);
    }
}
