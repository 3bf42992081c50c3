/* Opening beneath a workspace. */
#define _GNU_SOURCE
#include "files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    /* The kernel gives up, to be on the safe side, when something is renamed while it looks; and it may again. */
    TRIES_MAX = 64,
};

static int open_how(int folder, const char *path, int flags, unsigned long long resolve)
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

int files_open_workspace(const char *path)
{
    return open_how(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int files_open_beneath(int workspace, const char *path, int flags)
{
    return open_how(workspace, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
}

int files_reopen(int fd, int flags)
{
    char name[48];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    return open(name, flags | O_CLOEXEC);
}

void files_fail(struct file_call *call, int error)
{
    static const struct {
        int error;
        enum file_outcome outcome;
    } outcomes[] = {
        {ENOENT, FILE_MISSING},     {ENOTDIR, FILE_MISSING},    {EXDEV, FILE_OUTSIDE},
        {EISDIR, FILE_NOT_REGULAR}, {ENXIO, FILE_NOT_REGULAR},  {ENOSYS, FILE_UNSUPPORTED},
        {EFBIG, FILE_TOO_LARGE},    {EILSEQ, FILE_NOT_TEXT},
    };
    call->outcome = FILE_FAILED;
    call->error = error;
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        if (outcomes[i].error == error) {
            call->outcome = outcomes[i].outcome;
        }
    }
}
