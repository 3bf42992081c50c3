#pragma once
/*
 * What reaches a socket thread: sockets to take over, answers, subscriptions that may begin, pokes.
 *
 * A client is named by value (thread, serial), never by pointer: one that is gone by the time mail arrives is simply
 * not found.
 */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/frame.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/core/command.h"
#include "signalbox/core/dialect.h"
#include "signalbox/share/topic.h"

enum { USER_MAX = 64, CLIENT_ID_MAX = 64, FINGERPRINT_MAX = 33, ADDRESS_MAX = 63 };

/* Who is asking. */
struct identity {
    char user[USER_MAX + 1];
    char client_id[CLIENT_ID_MAX + 1];
    char fingerprint[FINGERPRINT_MAX]; /* of the token behind the login; empty where none is configured */
    char login[FINGERPRINT_MAX];       /* of the login's id; empty for who came with a token, or needs none */
    char address[ADDRESS_MAX + 1];     /* of the peer, "192.0.2.7:51812"; behind a proxy, the proxy's */
};

/* Kinds of mail of a socket thread. */
enum client_mail_kind {
    CLIENT_MAIL_TAKE = 1,     /* struct client_take */
    CLIENT_MAIL_ANSWER,       /* struct answer_mail */
    CLIENT_MAIL_SUBSCRIBED,   /* struct subscribed_mail */
    CLIENT_MAIL_POKE = TOPIC_POKE_MAIL, /* struct topic_poke (share/topic.h) */
    CLIENT_MAIL_HISTORY,      /* struct history_request, on its way back */
    CLIENT_MAIL_LIST,         /* struct list_request, on its way back */
    CLIENT_MAIL_BROADCAST,    /* struct broadcast_mail */
    CLIENT_MAIL_REPLACED,     /* struct replaced_mail: another connection has this client id now */
    CLIENT_MAIL_GATE,         /* struct gate_mail */
    CLIENT_MAIL_LOGOUT,       /* struct logout_mail */
};

/* An upgraded socket, from a handler thread. The descriptor belongs to the receiver. */
struct client_take {
    struct mail mail;
    int fd;
    struct identity identity;
    bool history_none; /* craft's clients, and who offered no subprotocol: `subscribe` means live only */
    const struct dialect *dialect; /* NULL: it speaks the native protocol */
    /* An event stream (SSE) of one session instead of a WebSocket: only written to, and subscribed from the beginning or
     * from a position. Its response's head has been sent. */
    bool stream, has_after;
    char session_id[SESSION_ID_MAX + 1]; /* also of a dialect whose URL names it */
    char after_epoch[EPOCH_MAX + 1];
    uint64_t after_seq;
    bool deflates;     /* permessage-deflate was agreed on */
    bool keeps_id;     /* the client id is of its own making, and a second connection with it replaces the first */
    uint64_t arrived;  /* counts upgrades in the order of their requests: which connection is the newer one */
};

/* Where an answer goes: a client's socket thread, or a handler thread's mailbox. */
struct reply_address {
    struct mailbox *to;
    uint32_t kind;     /* of the mail that goes back: CLIENT_MAIL_ANSWER, or the handler's own */
    uint64_t serial;   /* the client, or the handler's call */
};

struct answer_mail {
    struct mail mail;
    uint64_t serial;
    struct answer answer;
    char *id; /* of the command, for the ack; NULL for none */
    char *session_id; /* of a subscribe that was refused */
    bool id_reused;   /* refused, because its id was another command's */
    enum command_type command;
};

/* The answer to `subscribe`: the client may be registered at `head` of `topic` (the mail holds a reference). */
struct subscribed_mail {
    struct mail mail;
    uint64_t serial;
    struct topic *topic;
    uint64_t head;         /* committed */
    uint64_t from;         /* the first number that the client gets: head + 1 when nothing is to be replayed */
    bool replay;           /* `replay_complete` follows when `head` was sent */
    bool came_back;        /* with a position of this log: a short gap is filled with the events as they were */
    struct frame *frame;   /* the `subscribed` message */
};

/* To every client of every socket thread: a message without a number, the same for all. A client that cannot take it
 * now gets the newest of each `slot` later, once. */
enum broadcast_slot { BROADCAST_CONFIG, BROADCAST_THEME, BROADCAST_STORE, BROADCAST_SHUTDOWN, BROADCAST_SLOTS };
struct broadcast_mail {
    struct mail mail;
    enum broadcast_slot slot;
    struct frame *frame;  /* NULL for BROADCAST_SHUTDOWN: every client gets its own moment */
    bool lasts;           /* told to everybody who connects, too, until the next one of this slot */
    bool check_logins;    /* tokens may have changed: who is no longer known is closed with 3500 */
};

struct replaced_mail {
    struct mail mail;
    uint64_t serial;
};

/* This login has ended: who came by it is closed with 3500. */
struct logout_mail {
    struct mail mail;
    char login[FINGERPRINT_MAX];
};

/* Stages of stopping, from the wiring: `stage` 1 refuse and tell, 2 send what is left and close. */
struct gate_mail {
    struct mail mail;
    int stage;
};
