#define _GNU_SOURCE
#include "wirelog_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signalbox/base/fd.h"

enum {
    NAME_SIZE = 48,
    SESSION_MAX = 128,
    PARTS_TRIED = 1000, /* a name that is taken belongs to a run whose number was lost with the machine's power */
};

enum err wirelog_files_init(struct wirelog_files *files, const char *data)
{
    *files = (struct wirelog_files){0};
    if (asprintf(&files->path, "%s/wire", data) < 0) {
        files->path = NULL;
        return ERR_NOMEM;
    }
    return ERR_OK;
}

void wirelog_files_free(struct wirelog_files *files)
{
    while (files->open) {
        wirelog_file_close(files->open);
    }
    free(files->path);
    files->path = NULL;
}

/* ---- Folders ---- */

static bool is_session(const char *name)
{
    size_t length = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
    return length > 0 && length <= SESSION_MAX && name[length] == '\0';
}

/* A folder of ours; a link in its place is none. A descriptor, or a negative errno. */
static int open_folder(int at, const char *name, bool make)
{
    if (make && mkdirat(at, name, 0700) != 0 && errno != EEXIST) {
        return -errno;
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd_lift(fd);
}

static int open_session(const struct wirelog_files *files, const char *session_id, bool make)
{
    int wire = open_folder(AT_FDCWD, files->path, make);
    if (wire < 0) {
        return wire;
    }
    int folder = open_folder(wire, session_id, make);
    fd_close(wire);
    return folder;
}

/* ---- Writing ---- */

void wirelog_file_close(struct wirelog_file *file)
{
    if (file->fd < 0) {
        return;
    }
    fd_close(file->fd);
    file->fd = -1;
    *file->link = file->next;
    if (file->next) {
        file->next->link = file->link;
    }
}

static enum err open_part(struct wirelog_files *files, struct wirelog_file *file)
{
    int folder = open_session(files, file->session_id, true);
    if (folder < 0) {
        return err_from_errno(-folder);
    }
    int fd = -1;
    int failure = EEXIST;
    for (unsigned tries = 0; fd < 0 && failure == EEXIST && tries < PARTS_TRIED; tries++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof(name), "%llu-%03u.jsonl", (unsigned long long)file->run, ++file->part);
        fd = openat(folder, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        failure = errno;
    }
    fd_close(folder);
    int lifted = fd < 0 ? -failure : fd_lift(fd);
    if (lifted < 0) {
        return err_from_errno(-lifted);
    }
    file->fd = lifted;
    file->size = 0;
    file->next = files->open;
    file->link = &files->open;
    if (file->next) {
        file->next->link = &file->next;
    }
    files->open = file;
    return ERR_OK;
}

enum err wirelog_file_open(struct wirelog_files *files, struct wirelog_file *file, size_t more,
                           const struct wirelog_limits *limits, bool *fresh)
{
    if (!is_session(file->session_id)) {
        return ERR_INVAL;
    }
    if (file->fd >= 0 && file->size > 0 && file->size + (int64_t)more > limits->file_bytes) {
        wirelog_file_close(file);
    }
    *fresh = file->fd < 0;
    return file->fd < 0 ? open_part(files, file) : ERR_OK;
}

enum err wirelog_file_append(struct wirelog_files *files, struct wirelog_file *file, const char *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t put = write(file->fd, bytes + done, length - done);
        if (put > 0) {
            done += (size_t)put;
        } else if (put == 0 || errno != EINTR) {
            enum err err = put == 0 ? ERR_IO : err_from_errno(errno);
            /* What cannot be taken back is a line that breaks off, which readers leave out. */
            int ignored = ftruncate(file->fd, file->size);
            (void)ignored;
            wirelog_file_close(file);
            return err;
        }
    }
    file->size += (int64_t)length;
    files->total += (int64_t)length;
    return ERR_OK;
}

/* ---- Removing ---- */

struct found {
    char session[SESSION_MAX + 1];
    char name[NAME_SIZE];
    int64_t at_ms, size;
};
struct list {
    struct found *items;
    size_t count, room;
};

/* Digits, a dash, digits, .jsonl: what is named otherwise is not ours, and is left alone. */
static bool is_file(const char *name)
{
    size_t run = strspn(name, "0123456789");
    size_t part = name[run] == '-' ? strspn(name + run + 1, "0123456789") : 0;
    return run > 0 && part > 0 && strlen(name) < NAME_SIZE && strcmp(name + run + 1 + part, ".jsonl") == 0;
}

static struct found *add(struct list *list)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        struct found *items = realloc(list->items, room * sizeof(*items));
        if (!items) {
            return NULL;
        }
        list->items = items;
        list->room = room;
    }
    return &list->items[list->count++];
}

static enum err list_session(int wire, const char *session, struct list *list)
{
    int fd = open_folder(wire, session, false);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        fd_close(fd);
        return ERR_OK; /* gone, or no folder */
    }
    enum err err = ERR_OK;
    for (struct dirent *entry; !err && (entry = readdir(folder));) {
        struct stat status;
        if (!is_file(entry->d_name) || fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        struct found *found = add(list);
        if (!found) {
            err = ERR_NOMEM;
            break;
        }
        snprintf(found->session, sizeof(found->session), "%s", session);
        memcpy(found->name, entry->d_name, strlen(entry->d_name) + 1);
        found->at_ms = (int64_t)status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1000000;
        found->size = status.st_size;
    }
    closedir(folder);
    return err;
}

static enum err list_all(int wire, struct list *list)
{
    int fd = fcntl(wire, F_DUPFD_CLOEXEC, 0);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        enum err err = err_from_errno(errno);
        fd_close(fd);
        return err;
    }
    rewinddir(folder);
    enum err err = ERR_OK;
    for (struct dirent *entry; !err && (entry = readdir(folder));) {
        if (is_session(entry->d_name)) {
            err = list_session(wire, entry->d_name, list);
        }
    }
    closedir(folder);
    return err;
}

static int older_first(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->at_ms != y->at_ms) {
        return x->at_ms < y->at_ms ? -1 : 1;
    }
    int order = strcmp(x->session, y->session);
    return order ? order : strcmp(x->name, y->name);
}

static void close_if_open(struct wirelog_files *files, const char *session, const char *name)
{
    for (struct wirelog_file *file = files->open, *next; file; file = next) {
        next = file->next;
        char own[NAME_SIZE];
        snprintf(own, sizeof(own), "%llu-%03u.jsonl", (unsigned long long)file->run, file->part);
        if (strcmp(file->session_id, session) == 0 && (!name || strcmp(own, name) == 0)) {
            wirelog_file_close(file);
        }
    }
}

static enum err remove_found(struct wirelog_files *files, int wire, const struct found *found)
{
    close_if_open(files, found->session, found->name);
    char path[SESSION_MAX + NAME_SIZE + 2];
    snprintf(path, sizeof(path), "%s/%s", found->session, found->name);
    if (unlinkat(wire, path, 0) != 0 && errno != ENOENT) {
        return err_from_errno(errno);
    }
    unlinkat(wire, found->session, AT_REMOVEDIR); /* only if it is empty */
    return ERR_OK;
}

enum err wirelog_files_clean(struct wirelog_files *files, const struct wirelog_limits *limits, int64_t wall_ms)
{
    int wire = open_folder(AT_FDCWD, files->path, false);
    if (wire < 0) {
        files->total = 0;
        return wire == -ENOENT ? ERR_OK : err_from_errno(-wire);
    }
    struct list list = {0};
    enum err err = list_all(wire, &list);
    int64_t total = 0;
    for (size_t i = 0; i < list.count; i++) {
        total += list.items[i].size;
    }
    if (list.count > 1) {
        qsort(list.items, list.count, sizeof(*list.items), older_first);
    }
    /* A tenth more than needed, so that this is not done again with the next line. */
    int64_t goal = total > limits->total_bytes ? limits->total_bytes / 10 * 9 : total;
    enum err failed = ERR_OK;
    for (size_t i = 0; !err && i < list.count; i++) {
        const struct found *found = &list.items[i];
        if (total <= goal && found->at_ms + limits->keep_ms > wall_ms) {
            break;
        }
        enum err removed = remove_found(files, wire, found);
        total -= removed ? 0 : found->size;
        failed = removed ? removed : failed;
    }
    files->total = total;
    free(list.items);
    fd_close(wire);
    return err ? err : failed;
}

enum err wirelog_files_purge(struct wirelog_files *files, const char *session_id)
{
    if (!is_session(session_id)) {
        return ERR_INVAL;
    }
    close_if_open(files, session_id, NULL);
    int wire = open_folder(AT_FDCWD, files->path, false);
    if (wire < 0) {
        return wire == -ENOENT ? ERR_OK : err_from_errno(-wire);
    }
    struct list list = {0};
    enum err err = list_session(wire, session_id, &list);
    for (size_t i = 0; !err && i < list.count; i++) {
        err = remove_found(files, wire, &list.items[i]);
        files->total -= err ? 0 : list.items[i].size;
    }
    unlinkat(wire, session_id, AT_REMOVEDIR); /* a server may have died with it empty */
    free(list.items);
    fd_close(wire);
    return err;
}
