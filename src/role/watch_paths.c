#define _GNU_SOURCE
#include "watch_paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40, TARGET_SIZE = 4096 };

/* Takes both over. */
static enum err add(struct watch_paths *paths, char *folder, char *name, bool is_file)
{
    for (size_t i = 0; folder != NULL && name != NULL && i < paths->count; i++) {
        if (strcmp(paths->items[i].folder, folder) == 0 &&
            strcmp(paths->items[i].name, name) == 0) {
            paths->items[i].is_file |= is_file;
            free(folder);
            free(name);
            return ERR_OK;
        }
    }
    struct watch_path *items = realloc(paths->items, (paths->count + 1) * sizeof(*items));
    if (items != NULL) {
        paths->items = items;
    }
    if (items == NULL || folder == NULL || name == NULL) {
        free(folder);
        free(name);
        return ERR_NOMEM;
    }
    items[paths->count++] =
        (struct watch_path){.folder = folder, .name = name, .is_file = is_file, .wd = -1};
    return ERR_OK;
}

/* A walk down a path: `folder` holds no link, `rest` is still to go. */
struct walk {
    char *folder;
    char *rest;
    int links;
};

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    int written = asprintf(&path, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", name);
    return written < 0 ? NULL : path;
}

static enum err replace(char **text, char *by)
{
    if (by == NULL) {
        return ERR_NOMEM;
    }
    free(*text);
    *text = by;
    return ERR_OK;
}

static enum err go_up(struct walk *walk)
{
    char *slash = strrchr(walk->folder, '/');
    slash[slash == walk->folder] = '\0';
    return ERR_OK;
}

static enum err follow(struct walk *walk, const char *link)
{
    char target[TARGET_SIZE];
    ssize_t length = readlink(link, target, sizeof(target) - 1);
    if (length <= 0 || ++walk->links > LINKS_MAX) {
        return ERR_NOENT;
    }
    target[length] = '\0';
    enum err err =
        replace(&walk->rest, *walk->rest != '\0' ? join(target, walk->rest) : strdup(target));
    if (err == ERR_OK && target[0] == '/') {
        err = replace(&walk->folder, strdup("/"));
    }
    return err;
}

/* Takes the next component off `rest`; malloc'd, "" at the end. */
static char *next(struct walk *walk)
{
    const char *begin = walk->rest + strspn(walk->rest, "/");
    size_t length = strcspn(begin, "/");
    char *name = strndup(begin, length);
    const char *after = begin + length + strspn(begin + length, "/");
    memmove(walk->rest, after, strlen(after) + 1);
    return name;
}

/* ERR_NOENT: the walk ends here. */
static enum err step(struct watch_paths *paths, struct walk *walk, const char *name)
{
    if (strcmp(name, "..") == 0) {
        return go_up(walk);
    }
    if (strcmp(name, ".") == 0) {
        return ERR_OK;
    }
    struct stat status;
    char *path = join(walk->folder, name);
    if (path == NULL) {
        return ERR_NOMEM;
    }
    bool there = lstat(path, &status) == 0;
    bool link = there && S_ISLNK(status.st_mode);
    bool folder = there && S_ISDIR(status.st_mode) && *walk->rest != '\0';
    enum err err = add(paths, strdup(walk->folder), strdup(name), !link && !folder);
    if (err == ERR_OK && link) {
        err = follow(walk, path);
    } else if (err == ERR_OK && folder) {
        err = replace(&walk->folder, strdup(path));
    } else if (err == ERR_OK) {
        err = ERR_NOENT;
    }
    free(path);
    return err;
}

enum err watch_paths_add(struct watch_paths *paths, const char *file)
{
    struct walk walk = {.folder = strdup("/"), .rest = strdup(file)};
    enum err err = walk.folder != NULL && walk.rest != NULL ? ERR_OK : ERR_NOMEM;
    while (err == ERR_OK && *walk.rest != '\0') {
        char *name = next(&walk);
        if (name == NULL) {
            err = ERR_NOMEM;
        } else if (*name != '\0') {
            err = step(paths, &walk, name);
        }
        free(name);
    }
    free(walk.folder);
    free(walk.rest);
    return err == ERR_NOENT ? ERR_OK : err;
}

void watch_paths_free(struct watch_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        free(paths->items[i].folder);
        free(paths->items[i].name);
    }
    free(paths->items);
    *paths = (struct watch_paths){0};
}

bool watch_paths_equal(const struct watch_paths *a, const struct watch_paths *b)
{
    bool equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        equal = strcmp(a->items[i].folder, b->items[i].folder) == 0 &&
                strcmp(a->items[i].name, b->items[i].name) == 0;
    }
    return equal;
}
