#pragma once
/*
 * The history thread: the store's read side. It reads old events for replay, sessions that are not in memory, and
 * pages for REST. What it is asked stands in mail/history.h.
 *
 * Replays take turns, a slice of a long log at a time, and everything else goes before them; so a log of a million
 * events holds nobody up. What several ask for is read and folded once (history_fold.h has the bounds).
 */
#include "signalbox/mail/history.h"

struct history;
/* `store` must outlive it. Main. */
must_check enum err history_start(struct history **out, struct store *store);
/* Any thread, never blocks. The request belongs to history until it comes back to request->reply_to as
 * request->reply_kind. Who asks has one request under way at a time for each of its clients: that is the bound. */
void history_ask(struct history *history, struct history_request *request);
/* Answers what is left with ERR_STOPPING, ends the thread and frees all. Mailboxes of askers must still be there, and
 * nobody may ask from here on. NULL is fine. Main. */
void history_stop(struct history *history);
struct mailbox *history_mailbox(struct history *history); /* for metrics */
