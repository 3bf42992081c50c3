#pragma once
/* What reaches the maintenance thread. A question for a page of the session list comes back as the same struct. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/mailbox.h"

enum maintenance_mail_kind {
    MAINTENANCE_LIST = 1, /* struct list_request */
    MAINTENANCE_CREATE,   /* struct dispatch_command (mail/dispatch.h), a create_session, from the dispatcher: its workspace
                             and its agent's program are looked up in the file system, then it goes back, `checked` */
    MAINTENANCE_EXPIRED,  /* struct expire_note (mail/dispatch.h), on its way back */
    MAINTENANCE_FOLDED,   /* struct fold_note (mail/journal.h), on its way back */
};

/* A page of sessions as JSON: `{sessionId, title, agent, workspace, phase, pending, oldestPendingAt?, createdAt,
 * updatedAt, head, policy, createdBy}` each, commas between, newest change first. */
struct list_request {
    struct mail mail;
    struct mailbox *reply_to;
    uint32_t reply_kind;
    uint64_t cookie[3];
    void *owner;
    char after[48];  /* the `next` of the page before; empty for the first */
    size_t limit;
    bool open_only;  /* leave out closed sessions */

    enum err result; /* ERR_INVAL: `after` is no position of ours */
    struct buffer items;
    char next[48];   /* empty when there is no more */
};
must_check enum err list_request_new(struct list_request **out);
void list_request_free(struct list_request *request);
