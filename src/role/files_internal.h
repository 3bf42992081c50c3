#pragma once
/*
 * What the files of the files thread share:
 *   files.c        the thread and its mail
 *   files_work.c   what is to be done, and reading
 *   files_write.c  writing
 *   files_beneath.c  opening beneath a workspace
 * Everything here belongs to the thread.
 */
#include <sys/stat.h>

#include "signalbox/core/host_calls.h"

/* Does it, and says in it how it went. */
void files_work(struct file_call *call);

/* files_beneath.c: descriptors (the caller closes them), or -1 with errno set. */

/* The workspace itself (O_PATH); fails if a link stands in its path by now. */
int files_open_workspace(const char *path);
/* `path` from the folder `workspace`, links resolved and never out of it: EXDEV. O_CLOEXEC is added. */
int files_open_beneath(int workspace, const char *path, int flags);
/* A file that was opened by O_PATH, and is a regular one: to be read. */
int files_reopen(int fd, int flags);
/* Puts the outcome for this errno into the call. */
void files_fail(struct file_call *call, int error);

/* files_write.c: 0 or -1 with errno set; EISDIR and the like for what is no regular file. */
int files_write(int workspace, const struct file_call *call);
