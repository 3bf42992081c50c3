#include "signalbox/mail/history.h"

#include <stdlib.h>

#include "signalbox/base/rcu.h"

enum err history_request_new(struct history_request **out)
{
    struct history_request *request = calloc(1, sizeof(*request));
    if (!request) {
        return ERR_NOMEM;
    }
    *out = request;
    return ERR_OK;
}

struct history_shared {
    struct ref ref;
    char *data;
    /* The same, compressed; the deflate thread's, or of who is the last. */
    struct buffer squeezed;
};

static enum err make_shared(struct history_request *request)
{
    struct history_shared *shared = malloc(sizeof(*shared));
    if (!shared) {
        return ERR_NOMEM;
    }
    struct buffer *bytes = &request->bytes;
    /* It stays for as long as the slowest who gets it. */
    char *data = bytes->length ? realloc(bytes->data, bytes->length) : NULL;
    if (data) {
        bytes->data = data;
        bytes->capacity = bytes->length;
    }
    ref_init(&shared->ref);
    shared->squeezed = (struct buffer){0};
    shared->data = bytes->data;
    request->shared = shared;
    return ERR_OK;
}

enum err history_bytes_share(struct history_request *from, struct history_request *to)
{
    history_bytes_free(to);
    if (!from->shared && make_shared(from)) {
        return ERR_NOMEM;
    }
    ref_get(&from->shared->ref);
    to->shared = from->shared;
    to->bytes = from->bytes;
    return ERR_OK;
}

void history_bytes_free(struct history_request *request)
{
    if (!request->shared) {
        buffer_free(&request->bytes);
        return;
    }
    if (ref_put(&request->shared->ref)) {
        free(request->shared->data);
        buffer_free(&request->shared->squeezed);
        free(request->shared);
    }
    request->shared = NULL;
    request->bytes = (struct buffer){0};
}

bool history_bytes_squeezed(struct history_request *request)
{
    request->squeezed = true;
    if (request->shared && request->shared->squeezed.length) {
        request->bytes = request->shared->squeezed;
    }
    return request->shared && request->shared->squeezed.length;
}

void history_bytes_replace(struct history_request *request, struct buffer *squeezed)
{
    if (request->shared) {
        request->shared->squeezed = *squeezed;
    } else {
        buffer_free(&request->bytes);
    }
    request->bytes = *squeezed;
    *squeezed = (struct buffer){0};
}

void history_request_free(struct history_request *request)
{
    if (request) {
        history_bytes_free(request);
        free(request->blobs);
        free(request->content);
        session_row_clear(&request->row);
        stored_answer_clear(&request->answer);
        free(request);
    }
}
