#pragma once
/*
 * Descriptors. Ours live above a floor, so that the search for CivetWeb's connection walks a few low ones only
 * (docs/architecture.md, "CivetWeb, and why a WebSocket does not stay on its thread").
 */
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"

enum { FD_FLOOR = 512 };

/* Raises the soft limit of descriptors to the hard one and returns the limit. Main, at start. */
long fd_limit_raise(void);
/* The soft limit before it was raised, for programs that are started; -1 if it was not. Those that use select(2), or close
 * all that could be open, rely on a low one. */
int64_t fd_limit_before(void);
/* Moves `fd` above the floor, close-on-exec, closes the old number, and returns the new one; a negative errno
 * (and `fd` closed) on failure. */
int fd_lift(int fd);
must_check enum err fd_nonblocking(int fd);
/* As openat2(2) with O_CLOEXEC, again where the kernel could not tell; -1 with errno set. `resolve` has its RESOLVE_ flags. */
int fd_open_resolved(int folder, const char *path, int flags, unsigned long long resolve);
void fd_close(int fd); /* negative is fine; keeps errno */
/* Opens a file, whole, into a malloc'd NUL-terminated text of at most `limit` bytes (ERR_TOOBIG). */
must_check enum err file_read(const char *path, size_t limit, char **text, size_t *length);
/* Writes to PATH.tmp, fsyncs, renames: the file is the old one or the new one. `mode` as in open(2). */
must_check enum err file_write_atomic(const char *path, const void *bytes, size_t length, unsigned mode);
