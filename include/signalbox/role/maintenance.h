#pragma once
/*
 * The maintenance thread: what may take long and delays nobody: lists of sessions, checkpoints of the store, and
 * what a new session needs of the file system. What it is asked stands in mail/list.h.
 *
 * The position of a list (`after`, `next`) is the last change and the key of the last session of a page, such as
 * "1700000000000.42"; clients take it for opaque. A session that changes between two pages moves to the front of the
 * list, and is missing on the later page.
 */
#include "signalbox/mail/list.h"
#include "signalbox/share/config.h"
#include "signalbox/store/store.h"

enum { MAINTENANCE_LIST_DEFAULT = 100, MAINTENANCE_LIST_MAX = 1000 }; /* list_request.limit: 0, and at most */

struct maintenance;
/* `store`, `config` and the dispatcher's inbox must outlive it. Without the latter two (NULL: tests) nobody may send it
 * MAINTENANCE_CREATE. Main. */
must_check enum err maintenance_start(struct maintenance **out, struct store *store, struct config_store *config,
                                      struct mailbox *dispatch);
/* Any thread, never blocks. The request belongs to maintenance until it comes back to request->reply_to as
 * request->reply_kind. Results: ERR_OK, ERR_INVAL (`after` is no position), ERR_IO, ERR_NOMEM, ERR_STOPPING. */
void maintenance_ask(struct maintenance *maintenance, struct list_request *request);
/* Answers what is left with ERR_STOPPING and ends the thread. Mailboxes of askers must still be there, and nobody may ask
 * from here on. NULL is fine. Main. */
void maintenance_stop(struct maintenance *maintenance);
/* After maintenance_stop, and when the dispatcher's inbox is freed: notes that lie there are a part of this. NULL is
 * fine. Main. */
void maintenance_free(struct maintenance *maintenance);
struct mailbox *maintenance_mailbox(struct maintenance *maintenance);
