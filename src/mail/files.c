#include "signalbox/mail/files.h"

#include <stdlib.h>

void file_request_free(struct file_request *request)
{
    if (!request) {
        return;
    }
    file_call_clear(&request->call);
    topic_put(request->topic);
    free(request);
}
