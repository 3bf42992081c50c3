#pragma once
/* The timer thread: a heap of deadlines. It decides nothing: a deadline that has passed goes to the dispatcher. */
#include "signalbox/base/mailbox.h"
#include "signalbox/mail/dispatch.h"

struct timer;
/* `fired` gets every deadline back: one that has passed as DISPATCH_DEADLINE, by `mail`; one that was cancelled as
 * DISPATCH_DEADLINE_CANCELLED, by `cancel_mail`, behind the other if it had fired before. */
must_check enum err timer_start(struct timer **out, struct mailbox *fired);
/* Gives back what is still armed, as if it had fired, and ends the thread. `fired` must still be there; NULL is fine. */
void timer_stop(struct timer *timer);
/* Where TIMER_ARM and TIMER_CANCEL go (mail/timer.h). */
struct mailbox *timer_mailbox(struct timer *timer);
