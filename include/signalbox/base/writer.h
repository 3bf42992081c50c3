#pragma once
/*
 * Writes to many sockets, handed to the kernel together: by io_uring (liburing) where the kernel lets us, else by one `send`
 * each. Both do the same: every write is non-blocking and over when writer_write returns. So no buffer is lent to the
 * kernel beyond the call, nothing is under way when a socket is closed or the server stops, and nobody needs to cancel.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "signalbox/base/err.h"

enum { WRITES_MAX = 64, WRITER_WHY_SIZE = 160 };

struct write_io {
    int fd;
    const char *bytes;
    size_t length;  /* not 0 */
    ssize_t result; /* how many bytes the socket took, or -errno: -EAGAIN when it is full */
};

struct writer;

/* Used by one thread at a time. `together`: by io_uring; where that is not to be had, ERR_UNSUPPORTED, and `why` says why. */
must_check enum err writer_new(struct writer **out, bool together, char why[WRITER_WHY_SIZE]);
void writer_free(struct writer *writer); /* NULL is fine */
/* Not any more after the kernel has refused to go on. */
bool writer_uses_uring(const struct writer *writer);
/* At most WRITES_MAX, each to another socket. Never blocks on a socket, never fails as a whole: every one has its result. */
void writer_write(struct writer *writer, struct write_io *writes, size_t count);
