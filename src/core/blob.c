#include "signalbox/core/blob.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/base64.h"
#include "signalbox/base/check.h"

bool blob_type_valid(const char *type)
{
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    size_t first = strspn(type, token);
    size_t second = type[first] == '/' ? strspn(type + first + 1, token) : 0;
    size_t length = first + 1 + second;
    if (first == 0 || second == 0 || strlen(type) > BLOB_TYPE_MAX) {
        return false;
    }
    for (const char *at = type + length; *at; at++) {
        if (*at < ' ' || *at > '~') {
            return false;
        }
    }
    length += strspn(type + length, " ");
    return type[length] == ';' || type[length] == '\0';
}

void blob_name(const char *type, const char *data, size_t length, struct digest *out)
{
    struct digest_work work;
    digest_begin(&work);
    digest_text(&work, type);
    digest_bytes(&work, data, length);
    digest_end(&work, out);
}

enum err blob_new(struct blob **out, const char *type, const struct digest *name, char *data, size_t length)
{
    struct blob *blob = calloc(1, sizeof(*blob));
    if (!blob) {
        return ERR_NOMEM;
    }
    CHECK(strlen(type) <= BLOB_TYPE_MAX);
    memcpy(blob->type, type, strlen(type) + 1);
    blob->name = *name;
    blob->data = data;
    blob->length = length;
    *out = blob;
    return ERR_OK;
}

void blobs_free(struct blob *blobs)
{
    while (blobs) {
        struct blob *next = blobs->next;
        free(blobs->data);
        free(blobs);
        blobs = next;
    }
}

size_t blobs_bytes(const struct blob *blobs)
{
    size_t bytes = 0;
    for (; blobs; blobs = blobs->next) {
        bytes += blobs->length;
    }
    return bytes;
}

void blob_id(const struct digest *name, char id[BLOB_ID_SIZE])
{
    base64url_write(id, name->bytes, sizeof(name->bytes));
}

bool blob_id_parse(const char *id, struct digest *out)
{
    return base64url_read(id, out->bytes, sizeof(out->bytes));
}
