#include "signalbox/mail/history.h"

#include <stdlib.h>

enum err history_request_new(struct history_request **out)
{
    struct history_request *request = calloc(1, sizeof(*request));
    if (!request) {
        return ERR_NOMEM;
    }
    *out = request;
    return ERR_OK;
}

void history_request_free(struct history_request *request)
{
    if (request) {
        buffer_free(&request->bytes);
        free(request->blobs);
        free(request->content);
        session_row_clear(&request->row);
        stored_answer_clear(&request->answer);
        free(request);
    }
}
