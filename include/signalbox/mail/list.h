#pragma once
/* What reaches the maintenance thread. A question for a page of the session list comes back as the same struct. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/share/topic.h"

enum maintenance_mail_kind {
    MAINTENANCE_LIST = 1, /* struct list_request */
    MAINTENANCE_CREATE,   /* struct dispatch_command (mail/dispatch.h), a create_session, from the dispatcher: its workspace
                             and its agent's program are looked up in the file system, then it goes back, `checked` */
    MAINTENANCE_LOOK,     /* struct look_request */
    MAINTENANCE_EXPIRED,  /* struct expire_note (mail/dispatch.h), on its way back */
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

/* Where the paths lead that a permission request names, from the dispatcher; it comes back as the same struct. */
struct look_request {
    struct mail mail;
    struct mailbox *reply_to;
    uint32_t reply_kind;
    struct topic *topic; /* referenced: whose request it is */
    uint64_t run;        /* of the agent that made it */
    char *request_id, *workspace;
    char **paths; /* absolute */
    size_t count;

    char **real_paths;   /* one for each path, made by who asks; maintenance sets those that can be resolved */
    bool workspace_real; /* the workspace is what it says, and no link */
};
void look_request_free(struct look_request *request); /* NULL is fine */
