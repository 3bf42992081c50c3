#pragma once
/*
 * The journal thread: the store's write side. It takes all batches that wait, commits them as one group, then makes
 * their events visible and releases their mail, in order. Nothing is shown or done that is not recorded.
 */
#include "signalbox/base/mailbox.h"
#include "signalbox/mail/journal.h"
#include "signalbox/share/topic.h"
#include "signalbox/store/store.h"

struct journal_wiring {
    struct store *store;
    const struct topic_limits *limits;
    struct mailbox *dispatch;            /* gets DISPATCH_STORE when recording fails, and when it works again */
    struct mailbox *const *socket_boxes; /* limits->socket_threads of them */
    /* The store holds something else than what the group was made for (ERR_EXIST): it will never take it, and nothing more is
     * committed. Called once, by the journal thread; the server is to end. Nothing of the group, or of what waits behind it,
     * was shown or acknowledged. NULL: nobody is told. */
    void (*give_up)(void *context);
    void *context;
};

struct journal;
must_check enum err journal_start(struct journal **out, const struct journal_wiring *wiring);
/* Commits and releases what waits (once more, if the store fails), then ends the thread. NULL is fine. */
void journal_stop(struct journal *journal);
/* The number of the last batch that was committed, made visible and released, with all before it. Written by the journal
 * thread (release, after everything that the batch let out), read by any (acquire); good until journal_stop. */
const _Atomic(uint64_t) *journal_released(const struct journal *journal);
struct mailbox *journal_mailbox(struct journal *journal);
