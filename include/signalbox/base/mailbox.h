#pragma once
/*
 * The one arrow between threads: a liburcu wait-free queue and an eventfd. Many threads push, one takes.
 *
 * A push never blocks, never allocates and never fails. A bound is therefore a reservation: who may fill a
 * mailbox takes a place before it pushes (mailbox_reserve) and the taker gives it back (mailbox_release);
 * mail that must always get through (cancel, close, shutdown, fired deadlines) is pushed without one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/wfcqueue.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/err.h"

/* Embedded as any member of a message. `kind` belongs to the receiving mailbox's own enumeration. */
struct mail {
    struct cds_wfcq_node node;
    uint32_t kind;
};

struct mailbox;

/* `name` must outlive the mailbox (a literal); it is the label of its metrics. `places` bounds the
 * reservations, 0: they have no bound. */
must_check enum err mailbox_new(struct mailbox **out, const char *name, size_t places);
/* Only when no thread uses it any more. Mail still inside is not freed: the owner drains it first. NULL is fine. */
void mailbox_free(struct mailbox *box);

/* Any thread. From here on `mail` belongs to the receiver, who may already have freed it on return. */
void mailbox_push(struct mailbox *box, struct mail *mail);
/* Wakes the receiver without mail. Any thread, async-signal-safe. */
void mailbox_poke(struct mailbox *box);

/*
 * A round of the calling thread: from mailbox_cork to mailbox_uncork its pushes wake nobody; who sleeps is woken once, by
 * mailbox_uncork or by the 64th push, and finds all of the round. A receiver that is awake takes mail as it comes. Waking
 * costs a processor several times what a push does, and receivers that are woken for each mail work in groups of one.
 * Not nested. Nothing that was pushed in the round may be waited for in it.
 */
void mailbox_cork(void);
void mailbox_uncork(void);

/* Takes `count` places; false (counted as a refusal) when there are not so many. Any thread. */
must_check bool mailbox_reserve(struct mailbox *box, size_t count);
void mailbox_release(struct mailbox *box, size_t count);

/* The receiver's: the next mail in order of arrival, or NULL when there is none now. Never blocks. Takes a
 * batch from the shared queue at a time, so a sender and the receiver seldom meet. */
struct mail *mailbox_take(struct mailbox *box);
/* The receiver's: blocks until there is mail, a poke, or the deadline has passed (INSTANT_NEVER: no deadline). */
void mailbox_wait(struct mailbox *box, struct instant deadline);

/* For a receiver that waits in epoll instead: readable when there may be mail. Call mailbox_clear before
 * taking until NULL, else a wake-up is lost. */
int mailbox_fd(const struct mailbox *box);
void mailbox_clear(struct mailbox *box);

/* For metrics, any thread; approximate while others push. */
struct mailbox_stats {
    const char *name;
    uint64_t pushed, taken, refused;
    size_t depth, reserved, places;
};
struct mailbox_stats mailbox_stats(const struct mailbox *box);
