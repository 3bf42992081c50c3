#include "memory_blobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err memory_blob_new(struct memory_blob **out, const struct stored_blob *from)
{
    struct memory_blob *blob = malloc(sizeof *blob + from->length);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    blob->next = NULL;
    blob->name = from->name;
    blob->info.bytes = from->length;
    snprintf(blob->info.type, sizeof(blob->info.type), "%s", from->type);
    memcpy(blob->data, from->data, from->length);
    *out = blob;
    return ERR_OK;
}

static struct memory_blob *const *find(struct memory_blob *const *list, const struct digest *name)
{
    while (*list != NULL && !digest_equal(&(*list)->name, name)) {
        list = &(*list)->next;
    }
    return list;
}

void memory_blobs_put(struct memory_blob **list, struct memory_blob *blob)
{
    if (*find(list, &blob->name) != NULL) {
        free(blob);
        return;
    }
    blob->next = *list;
    *list = blob;
}

void memory_blobs_free(struct memory_blob **list)
{
    while (*list != NULL) {
        struct memory_blob *blob = *list;
        *list = blob->next;
        free(blob);
    }
}

enum err memory_blobs_read(const struct memory_blob *list, const struct digest *name, uint64_t from, size_t most,
                           struct blob_info *info, struct buffer *bytes)
{
    while (list != NULL && !digest_equal(&list->name, name)) {
        list = list->next;
    }
    if (list == NULL) {
        return ERR_NOENT;
    }
    if (most > 0 && from < list->info.bytes) {
        uint64_t left = list->info.bytes - from;
        buffer_append(bytes, list->data + from, left < most ? (size_t)left : most);
        if (!buffer_ok(bytes)) {
            return ERR_NOMEM;
        }
    }
    *info = list->info;
    return ERR_OK;
}
