#define _GNU_SOURCE
#include "maintenance_folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "signalbox/base/fd.h"
#include "signalbox/base/json.h"
#include "signalbox/base/path.h"
#include "signalbox/base/utf8.h"

struct folder {
    char *name;
    char *path; /* with links resolved */
};

struct listing {
    const struct config *config;
    const char *path;
    struct folder *folders;
    size_t count, room;
    bool more; /* there are some that are not in it */
};

static void clear(struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->folders[i].name);
        free(listing->folders[i].path);
    }
    free(listing->folders);
}

/* Takes the path. */
static enum err add(struct listing *listing, const char *name, char *path)
{
    if (listing->count == listing->room) {
        size_t room = listing->room ? listing->room * 2 : 64;
        struct folder *folders = reallocarray(listing->folders, room, sizeof(*folders));
        if (!folders) {
            free(path);
            return ERR_NOMEM;
        }
        listing->folders = folders;
        listing->room = room;
    }
    struct folder *folder = &listing->folders[listing->count];
    folder->path = path;
    folder->name = strdup(name);
    if (!folder->name) {
        free(path);
        return ERR_NOMEM;
    }
    listing->count++;
    return ERR_OK;
}

/* The folder's path, as a session would have it; NULL: it is none, or not one in which an agent may work (ERR_OK). */
static enum err find(const struct listing *listing, int fd, const struct dirent *entry, char **out)
{
    unsigned char type = entry->d_type;
    struct stat status;
    *out = NULL;
    if (type == DT_UNKNOWN && !fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW)) {
        type = (unsigned char)IFTODT(status.st_mode);
    }
    if (type != DT_DIR && type != DT_LNK) {
        return ERR_OK;
    }
    char *path = path_join(listing->path, entry->d_name);
    if (!path) {
        return ERR_NOMEM;
    }
    if (type == DT_DIR) {
        *out = path;
        return ERR_OK;
    }
    /* A link counts as what it leads to, if that lies in the roots. */
    char reason[CONFIG_REASON_SIZE];
    enum err err = config_workspace_resolve(listing->config, path, out, reason);
    free(path);
    return err == ERR_NOMEM ? err : ERR_OK;
}

static enum err read_entries(struct listing *listing, DIR *folder)
{
    enum err err = ERR_OK;
    for (size_t looked = 0; err == ERR_OK; looked++) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry) {
            return errno ? err_from_errno(errno) : ERR_OK;
        }
        if (listing->count == FOLDERS_MAX || looked == FOLDER_ENTRIES_MAX) {
            listing->more = true;
            return ERR_OK;
        }
        const char *name = entry->d_name;
        char *path;
        /* A name that is no UTF-8 cannot be said in JSON, so no session can be asked for there. */
        if (!strcmp(name, ".") || !strcmp(name, "..") || !utf8_valid(name, strlen(name))) {
            continue;
        }
        err = find(listing, dirfd(folder), entry, &path);
        if (err == ERR_OK && path) {
            err = add(listing, name, path);
        }
    }
    return err;
}

static bool is_hidden(const struct folder *folder)
{
    return folder->name[0] == '.';
}

static int compare(const void *a, const void *b)
{
    const struct folder *left = a, *right = b;
    if (is_hidden(left) != is_hidden(right)) {
        return is_hidden(left) - is_hidden(right);
    }
    int by_letters = strcasecmp(left->name, right->name);
    return by_letters ? by_letters : strcmp(left->name, right->name);
}

static void write_folder(struct buffer *out, const char *comma, const struct folder *folder)
{
    buffer_text(out, comma);
    buffer_byte(out, '{');
    json_field_string(out, "name", folder->name);
    json_field_string(out, "path", folder->path);
    json_field_bool(out, "hidden", is_hidden(folder));
    buffer_byte(out, '}');
}

/* The folder above, where an agent may work as well; NULL: there is none (ERR_OK). */
static enum err find_parent(const struct config *config, const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    char reason[CONFIG_REASON_SIZE];
    *out = NULL;
    if (!slash[1]) {
        return ERR_OK; /* the root of all */
    }
    char *above = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!above) {
        return ERR_NOMEM;
    }
    enum err err = config_workspace_resolve(config, above, out, reason);
    free(above);
    return err == ERR_NOMEM ? err : ERR_OK;
}

static enum err write_listing(struct listing *listing, struct list_request *request)
{
    struct buffer *out = &request->items;
    char *parent;
    enum err err = find_parent(listing->config, listing->path, &parent);
    if (err) {
        return err;
    }
    qsort(listing->folders, listing->count, sizeof(*listing->folders), compare);
    json_field_string(out, "path", listing->path);
    json_field_string(out, "parent", parent);
    json_key(out, "folders");
    buffer_byte(out, '[');
    for (size_t i = 0; i < listing->count; i++) {
        write_folder(out, i ? "," : "", &listing->folders[i]);
    }
    buffer_byte(out, ']');
    json_field_bool(out, "more", listing->more);
    free(parent);
    return ERR_OK;
}

static void write_roots(const struct config *config, struct buffer *out)
{
    json_key(out, "folders");
    buffer_byte(out, '[');
    for (size_t i = 0; i < config->workspace_roots.count; i++) {
        char *path = config->workspace_roots.items[i];
        write_folder(out, i ? "," : "", &(struct folder){.name = path, .path = path});
    }
    buffer_byte(out, ']');
    json_field_bool(out, "more", false);
}

static enum err refuse(struct list_request *request, enum err err, const char *message)
{
    request->message = strdup(message);
    return request->message ? err : ERR_NOMEM;
}

static enum err list_beneath(const struct config *config, struct list_request *request, const char *path)
{
    /* It was resolved a moment ago: a link that stands there by now is not followed. */
    int fd = fd_open_resolved(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder) {
        enum err err = err_from_errno(errno);
        fd_close(fd);
        return refuse(request, err, err == ERR_ACCES ? "this folder cannot be read" : "this folder cannot be opened");
    }
    struct listing listing = {.config = config, .path = path};
    enum err err = read_entries(&listing, folder);
    closedir(folder);
    if (err == ERR_OK) {
        err = write_listing(&listing, request);
    }
    clear(&listing);
    return err;
}

enum err maintenance_list_folders(const struct config *config, struct list_request *request)
{
    char reason[CONFIG_REASON_SIZE];
    char *path;
    if (!request->folder) {
        write_roots(config, &request->items);
        return ERR_OK;
    }
    enum err err = config_workspace_resolve(config, request->folder, &path, reason);
    if (err) {
        return refuse(request, err, reason);
    }
    err = list_beneath(config, request, path);
    free(path);
    return err;
}
