#pragma once
/*
 * Content that is too large for an event, or that a client has sent up: stored once in a session and named by what it
 * is (docs/protocol.md, "Large content"). Its name is a digest of its type and bytes, so what is sent twice is stored
 * once, and nobody guesses a name without having the content.
 */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/digest.h"
#include "signalbox/base/err.h"

enum { BLOB_ID_LENGTH = 22, BLOB_ID_SIZE = BLOB_ID_LENGTH + 1, BLOB_TYPE_MAX = 127 };
#define BLOB_TEXT "text/plain; charset=utf-8"
#define BLOB_JSON "application/json"
#define BLOB_BYTES "application/octet-stream"

struct blob {
    struct blob *next;
    struct digest name;
    char type[BLOB_TYPE_MAX + 1]; /* a media type, for Content-Type */
    char *data;                   /* owned */
    size_t length;
};

/* Whether it may be a Content-Type: TYPE/SUBTYPE with parameters, printable, at most BLOB_TYPE_MAX bytes. */
bool blob_type_valid(const char *type);
/* Of a valid type. Any thread; takes the time of a hash over the bytes. */
void blob_name(const char *type, const char *data, size_t length, struct digest *out);
/* Takes `data` (malloc'd) on success only. */
must_check enum err blob_new(struct blob **out, const char *type, const struct digest *name, char *data, size_t length);
/* All that hang on it by `next`; NULL is fine. */
void blobs_free(struct blob *blobs);
size_t blobs_bytes(const struct blob *blobs);

/* As clients name it, and back (false: it is no blob's id). */
void blob_id(const struct digest *name, char id[BLOB_ID_SIZE]);
bool blob_id_parse(const char *id, struct digest *out);
