#pragma once
/*
 * What an ACP peer has its host do for the agent, outside of the pure core: read or write a file of
 * the workspace, and run a command in a terminal.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Bytes of a text that is read or written at once. Even where each of them has to be escaped
     * in JSON, the message stays under the 32 MiB that agents made with ACP's SDK take. */
    FILE_TEXT_MAX = 4 * 1024 * 1024,
};

enum file_outcome {
    FILE_DONE,
    FILE_MISSING,     /* the file; of a write a folder above it that cannot be made */
    FILE_OUTSIDE,     /* a link leads out of the workspace */
    FILE_NOT_REGULAR, /* a folder, a pipe, a device, a socket */
    FILE_TOO_LARGE,
    FILE_NOT_TEXT,    /* no UTF-8 */
    FILE_UNSUPPORTED, /* the kernel cannot confine (no openat2) */
    FILE_FAILED,      /* as `error` says */
};

/* Owned by one thread at a time, with all that it holds. */
struct file_call {
    bool write;
    char *workspace; /* absolute, without links */
    char *path;      /* beneath the workspace, relative and normalised; "." for itself */
    char *content;   /* of a write: given; of a read: the answer, well-formed UTF-8 */
    size_t length;
    int64_t line;  /* of a read: the first line, from 1 */
    int64_t limit; /* of a read: how many lines; negative: all */
    enum file_outcome outcome;
    int error; /* errno, of FILE_FAILED */
};

/* Frees what it holds, and resets it. */
void file_call_clear(struct file_call *call);

/* What is to run in a terminal. Borrowed for the call. */
struct terminal_command {
    const char *const *arguments; /* the program first; argument_count of them and a NULL */
    size_t argument_count;
    const char *const *environment; /* NAME=VALUE, laid over the agent's own; ends with a NULL */
    const char *folder;             /* in which it runs: as file_call's path */
};

enum { TERMINAL_WHY_SIZE = 256 };
