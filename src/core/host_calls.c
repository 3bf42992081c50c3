#include "signalbox/core/host_calls.h"

#include <stdlib.h>

void file_call_clear(struct file_call *call)
{
    free(call->workspace);
    free(call->path);
    free(call->content);
    *call = (struct file_call){0};
}
