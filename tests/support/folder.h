#pragma once
/* A folder of a test's own, and files in it. Every failure aborts: a test without its files says
 * nothing. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_PATH_SIZE = 512 };

static inline void folder_check(int fine, const char *what)
{
    if (!fine) {
        perror(what);
        abort();
    }
}

/* Its path without links; the caller gives it to folder_remove. */
static inline char *folder_new(void)
{
    char name[] = "/tmp/signalbox-test-XXXXXX";
    folder_check(mkdtemp(name) != NULL, "mkdtemp");
    char *path = realpath(name, NULL);
    folder_check(path != NULL, "realpath");
    return path;
}

static inline int folder_remove_entry(const char *path, const struct stat *status, int kind,
                                      struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void folder_remove(char *folder)
{
    folder_check(nftw(folder, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0, folder);
    free(folder);
}

/* FOLDER/NAME, in one of several buffers that are used in turn. */
static inline const char *folder_path(const char *folder, const char *name)
{
    static char paths[8][FOLDER_PATH_SIZE];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, FOLDER_PATH_SIZE, "%s/%s", folder, name);
    return path;
}

static inline void folder_write_mode(const char *folder, const char *name, const char *text,
                                     mode_t mode)
{
    const char *path = folder_path(folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    folder_check(fd >= 0 && fchmod(fd, mode) == 0, path);
    folder_check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

static inline void folder_write(const char *folder, const char *name, const char *text)
{
    folder_write_mode(folder, name, text, 0600);
}

/* As editors do it: beside, and then renamed over. */
static inline void folder_replace(const char *folder, const char *name, const char *text)
{
    folder_write(folder, ".new", text);
    folder_check(rename(folder_path(folder, ".new"), folder_path(folder, name)) == 0, name);
}
