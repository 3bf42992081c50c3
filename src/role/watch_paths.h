#pragma once
/*
 * Which folders have to be watched to notice that a file, named by a path, becomes another: the
 * folder of its last component, and that of every folder and symbolic link on the way there. A
 * watch is of a folder and of names in it, so what else happens in the folder is passed over.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/err.h"

struct watch_path {
    char *folder; /* absolute, without links */
    char *name;   /* in it */
    bool is_file; /* the file itself (or what is missing): its contents matter too */
    int wd;       /* inotify's, or -1 */
};
struct watch_paths {
    struct watch_path *items;
    size_t count;
};

/* Adds what `file` (absolute) needs. Where a component is missing, the folder in which it would
 * appear. */
must_check enum err watch_paths_add(struct watch_paths *paths, const char *file);
void watch_paths_free(struct watch_paths *paths); /* also resets it */
bool watch_paths_equal(const struct watch_paths *a, const struct watch_paths *b);
