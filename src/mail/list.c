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
        free(request);
    }
}
