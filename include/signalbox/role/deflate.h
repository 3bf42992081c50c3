#pragma once
/*
 * The deflate thread compresses what is sent to clients that negotiated permessage-deflate (base/deflate.h): each event of a
 * tail once for all of them, when the first one wants it, and pieces of replays, once for all who share one. It is a
 * thread of its own so that who does without is not delayed by it.
 */
#include "signalbox/base/mailbox.h"

struct deflate_wiring {
    size_t min_bytes;                    /* shorter frames are left as they are */
    struct mailbox *const *socket_boxes; /* poked when events of a topic are there */
};

struct deflate;
must_check enum err deflate_start(struct deflate **out, const struct deflate_wiring *wiring);
struct mailbox *deflate_mailbox(struct deflate *deflate);
/* Ends the thread; what is asked for until deflate_free stays without answer. NULL is fine. Main. */
void deflate_stop(struct deflate *deflate);
/* Lets go what came after the end. The socket threads must have ended. NULL is fine. Main. */
void deflate_free(struct deflate *deflate);
