/* Opening beneath a workspace. */
#define _GNU_SOURCE
#include "files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>

#include "signalbox/base/fd.h"

int files_open_workspace(const char *path)
{
    return fd_open_resolved(AT_FDCWD, path, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

int files_open_beneath(int workspace, const char *path, int flags)
{
    return fd_open_resolved(workspace, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
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
