#pragma once
/* What reaches the files thread: a file of a workspace is to be read or written for an agent. The request comes back
 * to who asked, as the same struct, exactly once, unless the server stops. */
#include <stdint.h>

#include "signalbox/base/mailbox.h"
#include "signalbox/core/host_calls.h"
#include "signalbox/share/topic.h"

enum files_mail_kind {
    FILES_REQUEST = 1, /* struct file_request */
    FILES_STOP,
};

struct file_request {
    struct mail mail; /* on its way back its kind is `reply_kind` */
    struct mailbox *reply_to;
    uint32_t reply_kind;
    /* Whose it is; the files thread does not look at it. */
    struct topic *topic; /* referenced */
    uint64_t run, serial;
    struct file_call call;
};

/* With what it holds; NULL is fine. */
void file_request_free(struct file_request *request);
