#define _GNU_SOURCE
#include "signalbox/base/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "signalbox/base/buffer.h"

enum {
    READ_AT_ONCE = 64 * 1024,
    /* The kernel gives up, to be on the safe side, when something is renamed while it looks; and it may again. */
    TRIES_MAX = 64,
};

static int64_t limit_before = -1;

int64_t fd_limit_before(void)
{
    return limit_before;
}

long fd_limit_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return sysconf(_SC_OPEN_MAX);
    }
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit_before = (int64_t)limit.rlim_cur;
            limit = raised;
        }
    }
    return limit.rlim_cur > LONG_MAX ? LONG_MAX : (long)limit.rlim_cur;
}

int fd_lift(int fd)
{
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);
    if (lifted < 0) {
        lifted = -errno;
    }
    fd_close(fd);
    return lifted;
}

enum err fd_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return err_from_errno(errno);
    }
    return ERR_OK;
}

int fd_open_resolved(int folder, const char *path, int flags, unsigned long long resolve)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = resolve};
    int fd = -1;
    for (int tries = 0; tries < TRIES_MAX; tries++) {
        fd = (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        }
    }
    return fd;
}

void fd_close(int fd)
{
    if (fd < 0) {
        return;
    }
    int kept = errno;
    close(fd); /* on Linux the number is free again even after EINTR */
    errno = kept;
}

static enum err read_all(int fd, size_t limit, struct buffer *into)
{
    for (;;) {
        char *room = buffer_reserve(into, READ_AT_ONCE);
        if (!room) {
            return ERR_NOMEM;
        }
        ssize_t got = read(fd, room, READ_AT_ONCE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_from_errno(errno);
        }
        if (got == 0) {
            return ERR_OK;
        }
        into->length += (size_t)got;
        if (into->length > limit) {
            return ERR_TOOBIG;
        }
    }
}

enum err file_read(const char *path, size_t limit, char **text, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    struct buffer buffer = {0};
    enum err err = read_all(fd, limit, &buffer);
    fd_close(fd);
    if (err) {
        buffer_free(&buffer);
        return err;
    }
    size_t size = buffer.length;
    char *taken = buffer_take(&buffer);
    if (!taken) {
        return ERR_NOMEM;
    }
    *text = taken;
    *length = size;
    return ERR_OK;
}

static enum err write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return err_from_errno(errno);
        }
        bytes += put;
        length -= (size_t)put;
    }
    return ERR_OK;
}

static enum err write_new(const char *path, const void *bytes, size_t length, unsigned mode)
{
    /* What an earlier try left behind may have another mode, or be a link. */
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_from_errno(errno);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    enum err err = write_all(fd, bytes, length);
    if (!err && fsync(fd) != 0) {
        err = err_from_errno(errno);
    }
    if (close(fd) != 0 && !err && errno != EINTR) {
        err = err_from_errno(errno);
    }
    return err;
}

/* A rename is on the disk only when its folder is. */
static enum err sync_folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    const char *folder = ".";
    if (slash == path) {
        folder = "/";
    } else if (slash) {
        *slash = '\0';
        folder = path;
    }
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    enum err err = ERR_OK;
    /* Some file systems do not sync folders and say EINVAL: then there is nothing more to do. */
    if (fsync(fd) != 0 && errno != EINVAL) {
        err = err_from_errno(errno);
    }
    fd_close(fd);
    return err;
}

enum err file_write_atomic(const char *path, const void *bytes, size_t length, unsigned mode)
{
    struct buffer name = {0};
    buffer_text(&name, path);
    buffer_text(&name, ".tmp");
    char *temporary = buffer_take(&name);
    if (!temporary) {
        return ERR_NOMEM;
    }
    enum err err = write_new(temporary, bytes, length, mode);
    if (!err && rename(temporary, path) != 0) {
        err = err_from_errno(errno);
    }
    if (err) {
        unlink(temporary);
    } else {
        err = sync_folder_of(temporary);
    }
    free(temporary);
    return err;
}
