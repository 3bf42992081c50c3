#include "signalbox/base/mailbox.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
/* The queue's own ordering is invisible to ThreadSanitizer. */
#define handed_over(mail) __tsan_release(mail)
#define taken_over(mail)  __tsan_acquire(mail)
#else
#define handed_over(mail) ((void)(mail))
#define taken_over(mail)  ((void)(mail))
#endif

enum { CACHE_LINE = 64, SPINS = 100 };

struct mailbox {
    /* shared: senders append to the tail, the receiver cuts everything off at the head */
    _Alignas(CACHE_LINE) struct cds_wfcq_tail tail;
    _Atomic(uint64_t) pushed, refused;
    _Atomic(size_t) reserved;
    _Alignas(CACHE_LINE) struct __cds_wfcq_head head;

    /* fixed */
    _Alignas(CACHE_LINE) const char *name;
    size_t places;
    int fd;
    struct clock_hook hook;

    /* the receiver's: the batch that it is walking */
    _Alignas(CACHE_LINE) struct __cds_wfcq_head batch_head;
    struct cds_wfcq_tail batch_tail;
    _Atomic(uint64_t) taken; /* others read it for metrics */
};

/* Whom this thread's round has to wake. Few: a round writes to a few threads. */
enum { CORK_BOXES = 16, CORK_PUSHES = 64 };
static _Thread_local struct {
    bool on;
    size_t pushes, count;
    struct mailbox *boxes[CORK_BOXES];
} cork;

static void clock_moved(struct clock_hook *hook)
{
    mailbox_poke(container_of(hook, struct mailbox, hook));
}

enum err mailbox_new(struct mailbox **out, const char *name, size_t places)
{
    struct mailbox *box = aligned_alloc(CACHE_LINE, sizeof(*box));
    if (!box) {
        return ERR_NOMEM;
    }
    *box = (struct mailbox){.name = name, .places = places, .hook.advanced = clock_moved};
    __cds_wfcq_init(&box->head, &box->tail);
    __cds_wfcq_init(&box->batch_head, &box->batch_tail);
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int failure = errno;
    if (fd >= 0) {
        box->fd = fd_lift(fd);
        failure = -box->fd;
    }
    if (fd < 0 || box->fd < 0) {
        free(box);
        return err_from_errno(failure);
    }
    clock_hook_add(&box->hook);
    *out = box;
    return ERR_OK;
}

void mailbox_free(struct mailbox *box)
{
    if (!box) {
        return;
    }
    clock_hook_remove(&box->hook);
    fd_close(box->fd);
    free(box);
}

static void wake_owed(void)
{
    for (size_t i = 0; i < cork.count; i++) {
        mailbox_poke(cork.boxes[i]);
    }
    cork.count = 0;
    cork.pushes = 0;
}

static void owe(struct mailbox *box)
{
    for (size_t i = 0; i < cork.count; i++) {
        if (cork.boxes[i] == box) {
            return;
        }
    }
    if (cork.count == CORK_BOXES) {
        wake_owed();
    }
    cork.boxes[cork.count++] = box;
}

void mailbox_push(struct mailbox *box, struct mail *mail)
{
    /* Relaxed: a number for people; counted first, so that it is never behind `taken`. */
    atomic_fetch_add_explicit(&box->pushed, 1, memory_order_relaxed);
    cds_wfcq_node_init(&mail->node);
    handed_over(mail);
    bool was_empty = !cds_wfcq_enqueue(&box->head, &box->tail, &mail->node);
    if (!cork.on) {
        if (was_empty) {
            mailbox_poke(box);
        }
        return;
    }
    if (was_empty) {
        owe(box);
    }
    if (++cork.pushes >= CORK_PUSHES) {
        wake_owed();
    }
}

void mailbox_cork(void)
{
    CHECK(!cork.on);
    cork.on = true;
}

void mailbox_uncork(void)
{
    CHECK(cork.on);
    wake_owed();
    cork.on = false;
}

void mailbox_poke(struct mailbox *box)
{
    int kept = errno;
    uint64_t one = 1;
    /* It fails only when the counter is full, and then the receiver is awake anyway. */
    ssize_t ignored = write(box->fd, &one, sizeof(one));
    (void)ignored;
    errno = kept;
}

bool mailbox_reserve(struct mailbox *box, size_t count)
{
    /* Relaxed throughout: places are a count and guard no other memory. */
    size_t reserved = atomic_load_explicit(&box->reserved, memory_order_relaxed);
    do {
        if (box->places > 0 && (count > box->places || reserved > box->places - count)) {
            atomic_fetch_add_explicit(&box->refused, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&box->reserved, &reserved, reserved + count,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void mailbox_release(struct mailbox *box, size_t count)
{
    /* Relaxed: as in mailbox_reserve. */
    CHECK(atomic_fetch_sub_explicit(&box->reserved, count, memory_order_relaxed) >= count);
}

/*
 * Moves everything that has arrived into the batch. When the sender that found the queue empty is
 * still in the middle of its push there is nothing to be had yet (WOULDBLOCK), and its wake-up is
 * still to come.
 */
static bool fetch(struct mailbox *box)
{
    enum cds_wfcq_ret result =
        __cds_wfcq_splice_nonblocking(&box->batch_head, &box->batch_tail, &box->head, &box->tail);
    return result == CDS_WFCQ_RET_DEST_EMPTY || result == CDS_WFCQ_RET_DEST_NON_EMPTY;
}

static bool batch_is_empty(struct mailbox *box)
{
    return cds_wfcq_empty(&box->batch_head, &box->batch_tail);
}

struct mail *mailbox_take(struct mailbox *box)
{
    if (batch_is_empty(box) && !fetch(box)) {
        return NULL;
    }
    struct cds_wfcq_node *node;
    /*
     * Within a batch a sender may not have linked its mail to the one before yet. Nobody wakes us
     * for that, so it is waited for: it takes a store, unless the sender was preempted just there.
     */
    for (int spins = 0;; spins++) {
        node = __cds_wfcq_dequeue_nonblocking(&box->batch_head, &box->batch_tail);
        if (node != CDS_WFCQ_WOULDBLOCK) {
            break;
        }
        if (spins < SPINS) {
            caa_cpu_relax();
        } else {
            sched_yield();
        }
    }
    struct mail *mail = container_of(node, struct mail, node);
    taken_over(mail);
    /* Relaxed: written by us only. */
    atomic_store_explicit(&box->taken, atomic_load_explicit(&box->taken, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    return mail;
}

void mailbox_wait(struct mailbox *box, struct instant deadline)
{
    /*
     * Looking before sleeping makes up for wake-ups that an earlier mailbox_clear or this one took
     * away: what is pushed after the look finds the queue empty, and wakes.
     */
    if (batch_is_empty(box) && !fetch(box)) {
        struct pollfd waited = {.fd = box->fd, .events = POLLIN};
        while (poll(&waited, 1, clock_poll_timeout(deadline)) < 0) {
            CHECK(errno == EINTR || errno == ENOMEM || errno == EAGAIN);
        }
    }
    mailbox_clear(box);
}

int mailbox_fd(const struct mailbox *box)
{
    return box->fd;
}

void mailbox_clear(struct mailbox *box)
{
    uint64_t count;
    ssize_t ignored = read(box->fd, &count, sizeof(count));
    (void)ignored; /* EAGAIN: nobody woke us */
}

struct mailbox_stats mailbox_stats(const struct mailbox *box)
{
    /* Relaxed: numbers for people. */
    uint64_t taken = atomic_load_explicit(&box->taken, memory_order_relaxed);
    uint64_t pushed = atomic_load_explicit(&box->pushed, memory_order_relaxed);
    return (struct mailbox_stats){
        .name = box->name,
        .pushed = pushed,
        .taken = taken,
        .refused = atomic_load_explicit(&box->refused, memory_order_relaxed),
        .depth = pushed > taken ? (size_t)(pushed - taken) : 0,
        .reserved = atomic_load_explicit(&box->reserved, memory_order_relaxed),
        .places = box->places,
    };
}
