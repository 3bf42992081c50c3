#pragma once
/*
 * One error type for the whole house: errno, negated, where errno has a word for it, and a few of our own.
 * 0 is fine. Results go out through pointers and are written only on success.
 */
#include <errno.h>

#define must_check __attribute__((warn_unused_result))

enum err {
    ERR_OK = 0,
    ERR_NOMEM = -ENOMEM,
    ERR_INVAL = -EINVAL,
    ERR_NOENT = -ENOENT,
    ERR_EXIST = -EEXIST,
    ERR_AGAIN = -EAGAIN,     /* try again later: would block, or a bound is reached */
    ERR_IO = -EIO,
    ERR_NOSPC = -ENOSPC,     /* the disk, or a quota on it, is full */
    ERR_TOOBIG = -E2BIG,     /* over a limit of ours */
    ERR_PERM = -EPERM,
    ERR_ACCES = -EACCES,
    ERR_PIPE = -EPIPE,       /* the other side is gone */
    ERR_TIMEDOUT = -ETIMEDOUT,
    ERR_SYNTAX = -2001,      /* text that does not parse */
    ERR_DEPTH = -2002,       /* text that nests deeper than allowed */
    ERR_CORRUPT = -2003,     /* a file that is not what we wrote */
    ERR_STOPPING = -2004,    /* the server is stopping */
    ERR_UNSUPPORTED = -2005,
};

/* The negated errno as an enum err; 0 (a caller's mistake) becomes ERR_IO, so that a failure stays one. */
enum err err_from_errno(int number);

/* A sentence part for logs, such as "no space left on device"; static storage, never NULL. Any thread. */
const char *err_text(enum err err);
