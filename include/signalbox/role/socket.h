#pragma once
/*
 * The socket threads: each owns its clients, their cursors, and its share of each topic's watchers. They block on
 * nobody and read no disk.
 */
#include "signalbox/base/mailbox.h"
#include "signalbox/mail/client.h"
#include "signalbox/share/config.h"
#include "signalbox/share/topic.h"

struct socket_wiring {
    struct config_store *config;
    struct mailbox *dispatch, *history, *maintenance, *deflate;
    struct topic *feed; /* of all sessions */
    const char *instance, *version;
    uint32_t index;     /* of this thread; its place in every topic's pokes */
};

struct socket_thread;
/* The mailbox is made first, since others push into it; the thread starts when all are there. */
must_check enum err socket_new(struct socket_thread **out, uint32_t index);
struct mailbox *socket_mailbox(struct socket_thread *socket);
must_check enum err socket_start(struct socket_thread *socket, const struct socket_wiring *wiring);
/* Sends what is left to everybody who takes it (for `grace_ms` at most), closes with 3000, ends the thread. */
void socket_stop(struct socket_thread *socket, int64_t grace_ms);
void socket_free(struct socket_thread *socket); /* NULL is fine */
