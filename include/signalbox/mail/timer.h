#pragma once
/* What reaches the timer thread. */
enum timer_mail_kind {
    TIMER_ARM = 1, /* struct deadline, by `mail` */
    TIMER_CANCEL,  /* struct deadline, by `cancel_mail` */
    TIMER_STOP,
};
