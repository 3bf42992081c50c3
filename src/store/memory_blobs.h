#pragma once
/* The blobs of a session in the memory store. Behind the store's mutex. */
#include "signalbox/store/store.h"

struct memory_blob {
    struct memory_blob *next;
    struct digest name;
    struct blob_info info;
    char data[];
};

/* A copy; ERR_NOMEM. */
must_check enum err memory_blob_new(struct memory_blob **out, const struct stored_blob *from);
/* Takes `blob`; one that is there already is freed. */
void memory_blobs_put(struct memory_blob **list, struct memory_blob *blob);
void memory_blobs_free(struct memory_blob **list);
/* As store_operations.read_blob. */
enum err memory_blobs_read(const struct memory_blob *list, const struct digest *name, uint64_t from, size_t most,
                           struct blob_info *info, struct buffer *bytes);
