/* Writing: to a new file beside the old one, which then takes its place. Whoever opens it has the old or the new text,
 * and what goes wrong leaves the old one as it was. */
#define _GNU_SOURCE
#include "files_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "signalbox/base/fd.h"
#include "signalbox/base/id.h"

enum { LINKS_MAX = 16 };

/* A file's place: the folder (O_PATH) and the name in it. */
struct place {
    int folder;
    char path[2 * PATH_MAX + 2]; /* from the workspace, `name` behind the last slash */
    char *name;
};

static bool split(struct place *place)
{
    char *slash = strrchr(place->path, '/');
    place->name = slash ? slash + 1 : place->path;
    bool is_name = *place->name != '\0' && strcmp(place->name, ".") != 0 && strcmp(place->name, "..") != 0;
    errno = is_name ? errno : EISDIR;
    return is_name;
}

/* The folder of the path `folders`, of which the last part is made if it is not there. -1 with errno. */
static int open_or_make(int workspace, int above, const char *folders, const char *name)
{
    int fd = files_open_beneath(workspace, folders, O_PATH | O_DIRECTORY);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    /* By one name in a folder that is open: no link is followed. One that leads to nowhere stays an error. */
    if (mkdirat(above, name, 0777) != 0 && errno != EEXIST) {
        return -1;
    }
    return files_open_beneath(workspace, folders, O_PATH | O_DIRECTORY);
}

/* Opens place->folder, and makes what is missing of it. */
static int open_folder(int workspace, struct place *place)
{
    int above = files_open_beneath(workspace, ".", O_PATH | O_DIRECTORY);
    char *part = place->path;
    while (above >= 0 && part != place->name) {
        char *slash = strchr(part, '/');
        *slash = '\0';
        int next = *part == '\0' ? fcntl(above, F_DUPFD_CLOEXEC, 0) : open_or_make(workspace, above, place->path, part);
        *slash = '/';
        int error = errno;
        fd_close(above);
        errno = error;
        above = next;
        part = slash + 1;
    }
    place->folder = above;
    return above < 0 ? -1 : 0;
}

/* If the name is a link, the place becomes that of what it names, so that the link stays. 1: it was one. */
static int follow(struct place *place)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(place->folder, place->name, target, sizeof(target) - 1);
    if (length < 0) {
        return errno == EINVAL || errno == ENOENT ? 0 : -1;
    }
    target[length] = '\0';
    size_t before = (size_t)(place->name - place->path);
    if (target[0] == '/' || length == 0) {
        errno = target[0] == '/' ? EXDEV : ENOENT;
        return -1;
    }
    if (before + (size_t)length >= sizeof(place->path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(place->name, target, (size_t)length + 1);
    fd_close(place->folder);
    place->folder = -1;
    return split(place) ? 1 : -1;
}

static int find_place(int workspace, const char *path, struct place *place)
{
    *place = (struct place){.folder = -1};
    snprintf(place->path, sizeof(place->path), "%s", path);
    if (!split(place)) {
        return -1;
    }
    for (int links = 0; links < LINKS_MAX; links++) {
        if (open_folder(workspace, place) != 0) {
            return -1;
        }
        int was_link = follow(place);
        if (was_link <= 0) {
            return was_link;
        }
    }
    errno = ELOOP;
    return -1;
}

/* What stands there now may be replaced if it could be written. 1: nothing stands there. */
static int look(const struct place *place, struct stat *about)
{
    int fd = openat(place->folder, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 1 : -1;
    }
    char name[48];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    int result = fstat(fd, about);
    if (result == 0 && !S_ISREG(about->st_mode)) {
        errno = EISDIR;
        result = -1;
    } else if (result == 0) {
        result = eaccess(name, W_OK);
    }
    fd_close(fd);
    return result;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            /* This one is the process's limit (RLIMIT_FSIZE), not one of ours. */
            errno = errno == EFBIG ? ENOSPC : errno;
            return -1;
        }
        bytes += put;
        length -= (size_t)put;
    }
    return 0;
}

static int fill(int fd, const struct file_call *call, const struct stat *old)
{
    if (write_all(fd, call->content, call->length) != 0) {
        return -1;
    }
    if (!old) {
        return 0;
    }
    /* The owner stays where we may give files away, else the group, else neither. */
    if (fchown(fd, old->st_uid, old->st_gid) != 0 && fchown(fd, (uid_t)-1, old->st_gid) != 0) {
        errno = 0;
    }
    return fchmod(fd, old->st_mode & 0777);
}

static int replace(const struct place *place, const struct file_call *call, const struct stat *old)
{
    char id[ID_SIZE], beside[ID_SIZE + 24];
    id_random(id);
    snprintf(beside, sizeof(beside), ".signalbox-%s.tmp", id);
    int fd = openat(place->folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, old ? 0600 : 0666);
    if (fd < 0) {
        return -1;
    }
    int failed = fill(fd, call, old);
    int error = errno;
    if (close(fd) != 0 && !failed) { /* some file systems say only now that the disk is full */
        failed = -1;
        error = errno;
    }
    if (!failed) {
        failed = renameat(place->folder, beside, place->folder, place->name);
        error = errno;
    }
    if (failed) {
        unlinkat(place->folder, beside, 0);
        errno = error;
    }
    return failed;
}

int files_write(int workspace, const struct file_call *call)
{
    struct place place;
    struct stat old;
    int failed = find_place(workspace, call->path, &place);
    if (!failed) {
        int nothing = look(&place, &old);
        failed = nothing < 0 ? -1 : replace(&place, call, nothing ? NULL : &old);
    }
    int error = errno;
    fd_close(place.folder);
    errno = error;
    return failed;
}
