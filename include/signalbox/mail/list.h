#pragma once
/* What reaches the maintenance thread. A question for a page of a list comes back as the same struct. */
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
    MAINTENANCE_FOLDED,   /* struct fold_note (mail/journal.h), on its way back */
};

/*
 * A page of a list as JSON, of what is committed; commas between, or a line each.
 *
 *   LIST_SESSIONS  `{sessionId, title, agent, workspace, phase, pending, oldestPendingAt?, createdAt, updatedAt, head,
 *                  policy, createdBy}` each, newest change first
 *   LIST_RULES     as stored_rule_json writes them, in the order in which they were made
 *   LIST_AUDIT     as audit_entry_json writes them, by number
 *   LIST_FOLDERS   no page: the tail of the whole answer, `path?, parent?, folders, more` (docs/protocol.md)
 *
 * A page of rules or of the audit ends early where it would grow long; `next` says whether there is more. So the same request,
 * with `next` as its new `after`, reads a list of any length in bounded memory.
 */
struct list_request {
    struct mail mail;
    enum list_kind { LIST_SESSIONS, LIST_RULES, LIST_AUDIT, LIST_FOLDERS } kind;
    struct mailbox *reply_to;
    uint32_t reply_kind;
    uint64_t cookie[3];
    void *owner;
    char after[48];  /* the `next` of the page before; empty for the first */
    size_t limit;
    bool open_only;  /* LIST_SESSIONS: leave out closed sessions */
    char *user, *session_id, *workspace, *outcome; /* what is wanted, as in store/audit.h; owned, NULL for any */
    int64_t since, until;                          /* LIST_AUDIT: wall ms; 0 for any */
    bool newest_first;                             /* LIST_AUDIT: the highest number first */
    char *folder;    /* LIST_FOLDERS: beneath it; owned, NULL for the roots */
    bool lines;      /* each ends with a line feed, instead of the commas */

    enum err result; /* ERR_INVAL: `after` is no position of ours */
    char *message;   /* LIST_FOLDERS: why not, for people; NULL where the result says enough */
    struct buffer items;
    size_t count;    /* of rules, or entries, in it */
    char next[48];   /* empty when there is no more */
};
/* A request for LIST_SESSIONS, until it is told otherwise. */
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
