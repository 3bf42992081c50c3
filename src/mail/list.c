#include "signalbox/mail/list.h"

#include <stdlib.h>

enum err list_request_new(struct list_request **out)
{
    struct list_request *request = calloc(1, sizeof(*request));
    if (!request) {
        return ERR_NOMEM;
    }
    request->mail.kind = MAINTENANCE_LIST;
    *out = request;
    return ERR_OK;
}

void list_request_free(struct list_request *request)
{
    if (request) {
        buffer_free(&request->items);
        free(request->user);
        free(request->session_id);
        free(request->workspace);
        free(request->outcome);
        free(request->folder);
        free(request->message);
        free(request);
    }
}

void look_request_free(struct look_request *request)
{
    if (!request) {
        return;
    }
    for (size_t i = 0; i < request->count; i++) {
        free(request->paths[i]);
        if (request->real_paths) {
            free(request->real_paths[i]);
        }
    }
    free(request->paths);
    free(request->real_paths);
    free(request->request_id);
    free(request->workspace);
    topic_put(request->topic);
    free(request);
}
