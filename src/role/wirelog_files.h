#pragma once
/* The files of the wire log, DATA/wire/SESSION/RUN-PART.jsonl: the wirelog thread's alone. Everything here may wait for
 * the disk. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/err.h"

struct wirelog_limits {
    int64_t file_bytes, total_bytes, keep_ms;
};

/* What one run writes to; one that has not written anything has no file. */
struct wirelog_file {
    const char *session_id; /* borrowed */
    uint64_t run;
    unsigned part; /* of the file that is open, or was last */
    int fd;        /* -1: none is open */
    int64_t size;
    struct wirelog_file *next, **link; /* among the open ones */
};

struct wirelog_files {
    char *path;    /* DATA/wire */
    int64_t total; /* bytes in it, as far as they are known */
    struct wirelog_file *open;
};

must_check enum err wirelog_files_init(struct wirelog_files *files, const char *data);
void wirelog_files_free(struct wirelog_files *files);

/* Sees to it that a file is open in which `more` bytes have room (a longer line has one of its own); *fresh tells
 * whether it is a new one. ERR_INVAL: the session's name is no name for a folder. */
must_check enum err wirelog_file_open(struct wirelog_files *files, struct wirelog_file *file, size_t more,
                                      const struct wirelog_limits *limits, bool *fresh);
/* Appends to the open file, whole or not at all. On failure the file is closed. */
must_check enum err wirelog_file_append(struct wirelog_files *files, struct wirelog_file *file, const char *bytes,
                                        size_t length);
void wirelog_file_close(struct wirelog_file *file);

/* Removes what is too old, and, if all is more than total_bytes, the oldest; also a file that is being written to (its
 * run begins another). Folders that are empty then go too. */
must_check enum err wirelog_files_clean(struct wirelog_files *files, const struct wirelog_limits *limits,
                                        int64_t wall_ms);
/* Removes everything of a session; fine if there is nothing. */
must_check enum err wirelog_files_purge(struct wirelog_files *files, const char *session_id);
