#include "signalbox/role/timer.h"

#include <stdlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/heap.h"
#include "signalbox/base/log.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/timer.h"

struct timer {
    struct mailbox *box;
    struct mailbox *fired;
    struct thread thread;
    struct mail stop;
    /* Owned by the timer thread: */
    struct heap heap;
};

static void fire(struct timer *timer, struct deadline *deadline)
{
    deadline->mail.kind = DISPATCH_DEADLINE;
    mailbox_push(timer->fired, &deadline->mail);
}

static void take_arm(struct timer *timer, struct deadline *deadline)
{
    deadline->node.at = deadline->at;
    if (heap_add(&timer->heap, &deadline->node)) {
        /* Without memory a deadline is early rather than forgotten. */
        log_error("no memory for a deadline: it fires at once", NULL);
        fire(timer, deadline);
    }
}

/* It may have fired already and be on its way by `mail`; so a cancelled one goes back by its other mail, behind it. */
static void take_cancel(struct timer *timer, struct deadline *deadline)
{
    heap_remove(&timer->heap, &deadline->node);
    deadline->cancel_mail.kind = DISPATCH_DEADLINE_CANCELLED;
    mailbox_push(timer->fired, &deadline->cancel_mail);
}

static void timer_run(void *context)
{
    struct timer *timer = context;
    thread_check(THREAD_TIMER);
    for (bool stop = false; !stop;) {
        struct heap_node *first = heap_first(&timer->heap);
        mailbox_wait(timer->box, first ? first->at : INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(timer->box));) {
            switch (mail->kind) {
            case TIMER_ARM:
                take_arm(timer, container_of(mail, struct deadline, mail));
                break;
            case TIMER_CANCEL:
                take_cancel(timer, container_of(mail, struct deadline, cancel_mail));
                break;
            default:
                CHECK(mail->kind == TIMER_STOP);
                stop = true;
            }
        }
        struct instant now = clock_now();
        while ((first = heap_first(&timer->heap)) && instant_reached(first->at, now)) {
            heap_remove(&timer->heap, first);
            fire(timer, container_of(first, struct deadline, node));
        }
    }
    for (struct heap_node *first; (first = heap_first(&timer->heap));) {
        heap_remove(&timer->heap, first);
        fire(timer, container_of(first, struct deadline, node));
    }
}

enum err timer_start(struct timer **out, struct mailbox *fired)
{
    struct timer *timer = calloc(1, sizeof(*timer));
    if (!timer) {
        return ERR_NOMEM;
    }
    timer->fired = fired;
    enum err err = mailbox_new(&timer->box, "timer", 0);
    if (!err) {
        err = thread_start(&timer->thread, THREAD_TIMER, -1, false, timer_run, timer);
    }
    if (err) {
        mailbox_free(timer->box);
        free(timer);
        return err;
    }
    *out = timer;
    return ERR_OK;
}

void timer_stop(struct timer *timer)
{
    if (!timer) {
        return;
    }
    timer->stop.kind = TIMER_STOP;
    mailbox_push(timer->box, &timer->stop);
    thread_join(&timer->thread);
    heap_free(&timer->heap);
    mailbox_free(timer->box);
    free(timer);
}

struct mailbox *timer_mailbox(struct timer *timer)
{
    return timer->box;
}
