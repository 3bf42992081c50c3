#pragma once
/* What the files of a socket thread share. All of it belongs to that thread. */
#include <stddef.h>
#include <wslay/wslay.h>

#include "signalbox/base/json.h"
#include "signalbox/base/thread.h"
#include "signalbox/base/writer.h"
#include "signalbox/core/command.h"
#include "signalbox/core/dialect.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"
#include "signalbox/role/socket.h"

enum {
    TURN_BYTES = 64 * 1024,       /* what a client may be sent in a round, over all its sessions */
    HISTORY_BYTES = 128 * 1024,   /* what is read back at a time */
    READS_MAX = 2,                /* pieces that history reads for a client, or that it holds and has not begun to send */
    CONTROL_BYTES_MAX = 256 * 1024, /* unsent answers past which a client is not read */
    READ_BYTES = 64 * 1024,       /* what a client may send in a round */
    CLOSE_WAIT_MS = 2000,         /* for the peer's half of the closing handshake */
    KERNEL_LATER_MS = 5000,       /* so much later than we do the kernel gives a silent peer up */
    PINGS_MAX = 2,
    NEAR_EVENTS = 256,            /* who is behind by more than one of these gets folded events */
    NEAR_BYTES = 64 * 1024,
    LAG_EVENTS = 1024,            /* a live one that is behind by more than one of these is told that it lags */
    LAG_BYTES = 256 * 1024,
};

struct client;
struct reader;

/* A topic that this thread has watchers of. */
struct watched {
    struct topic *topic; /* referenced */
    struct watcher {
        struct subscription *subscription;
        struct client *client;
    } *watchers;
    size_t count, capacity;
};

/* A cursor: a client, a session, and the number that it gets next. What every event needs stands first: of thousands of
 * these the cache has none. */
struct subscription {
    struct client *client;
    struct watched *watched;
    struct subscription *due_next, **due_link;         /* among the client's with something to send */
    uint64_t cursor;   /* the next number to send */
    uint64_t head;     /* of its `subscribed` */
    uint32_t pending_version;
    bool replay;       /* `replay_complete` is due behind `head` */
    bool asked;        /* history reads, or the list is made; nothing is sent until it is back */
    bool feed;         /* of all sessions: what falls off the tail is replaced by a fresh list */
    bool list_due;     /* feed: a list is to be asked for */
    bool level;        /* it has been near the head since it subscribed: from here on it may be told that it lags */
    bool lagging;      /* it was told */
    bool began_whole;  /* see `began` */
    /* It gets folded events up to here, read from the store, and is at a whole position (core/fold.h) only then; 0: it
     * gets them as they are. `began` is where it was when that began, and whether that was a whole position. */
    uint64_t fold_to, began;
    uint32_t stalls;   /* the client's, when it was near the head last */
    struct history_request *read_back; /* what history read, not yet begun to be sent */
    uint64_t squeezed; /* what the tail has up to here was asked to be compressed */
    uint64_t serial;   /* tells a late answer for an earlier subscription */
    size_t place;                                      /* among the topic's watchers */
    struct subscription *next, **link;                 /* among the client's */
    struct subscription *wait_next, **wait_link;       /* among the client's that wait until they may ask history */
    struct list_id *list_ids; /* feed: the ids of the watch_sessions that lists answer, one each, in order */
};

struct list_id {
    struct list_id *next;
    char id[];
};

/* A subscribe that the dispatcher has not answered. */
struct expected {
    struct expected *next;
    bool dropped; /* unsubscribed meanwhile */
    char session_id[SESSION_ID_MAX + 1];
};

/* Bytes that are being sent, from the middle of a frame on: nothing else may come between. */
struct partial {
    const char *bytes;
    size_t length;
    struct topic_chunk *chunk;        /* one of these three holds them */
    struct history_request *history;
    char *text;
};

/* What a client of a dialect has more than others. */
struct speech {
    const struct dialect *dialect;
    unsigned form;  /* of events in tails (share/topic.h) */
    size_t lists;   /* of what waits, asked for and not here yet: until then no event goes out */
    char session_id[SESSION_ID_MAX + 1]; /* that its URL names */
    _Alignas(max_align_t) char state[];  /* the dialect's */
};

enum client_state { CLIENT_OPEN, CLIENT_CLOSING, CLIENT_DEAD };

/* What every write needs stands first, as in struct subscription. */
struct client {
    struct socket_thread *thread;
    struct client *ready_next, **ready_link; /* has something to send */
    struct subscription *due, **due_last;
    int fd;
    enum client_state state;
    bool blocked;          /* its socket is full: wait for EPOLLOUT */
    bool in_turn;          /* it is ready again when its turn is over, if it has more then */
    bool stream;           /* server-sent events: only written to, and never has a reader */
    bool deflates;         /* longer events are sent compressed, and it may send such messages */
    int pings;
    uint32_t stalls;       /* how often it was blocked */
    uint32_t interest;     /* what epoll was told */
    struct speech *speech; /* in a dialect; NULL: in the native protocol */
    size_t in_flight;
    struct subscription *waiting, **waiting_last;
    size_t reads;          /* at most READS_MAX, also of subscriptions that have ended since */
    struct frame *slots[BROADCAST_SLOTS];
    struct buffer control; /* whole frames, sent in order, between those of events */
    size_t control_sent;
    struct partial partial;
    struct instant seen, progress;
    struct subscription *subscriptions;
    size_t subscription_count;
    struct instant close_deadline;
    uint64_t serial;
    struct reader *reader; /* of frames, while something is half read or the connection closes; else NULL */
    uint64_t max_message_bytes; /* as `connected` said */
    size_t read_left;      /* of this round */
    bool read_failed;      /* end-of-file or an error of the socket, not of what came over it */
    bool close_received;   /* its close frame */
    bool history_none, keeps_id;
    uint64_t arrived;      /* as in struct client_take */
    struct expected *expected;
    int unacknowledged;    /* bytes in the kernel when it was last looked at while blocked */
    struct client *dead_next;
    struct identity identity;
};

/* A client's turn in a round, and the write of it that has been gathered: a run of a subscription's events, or of the
 * client's control messages, or its partial. */
struct client_turn {
    struct client *client;
    size_t budget; /* bytes of events that it may still be sent */
    struct subscription *subscription;
    struct topic_run run;   /* of it: what is written, */
    const char *bytes;      /* as these bytes, */
    size_t length;
    bool form;              /* which are another form of one event */
    bool control;
};

/* Counted here, and added to the metrics now and then: a write costs less than two atomics of all threads. */
struct written {
    int64_t bytes, events, saved;
    int64_t latency_ns, latency_count; /* so many times the same */
};

struct socket_thread {
    struct socket_wiring wiring;
    struct mailbox *box;
    struct thread thread;
    struct gate_mail gate;
    int64_t stop_grace_ms;
    /* Owned by the thread: */
    const struct config *config; /* the snapshot of this round */
    int epoll;
    struct json_parser *parser;
    struct json_parser *event_parser; /* of our own messages, for dialects; made when the first client of one comes */
    int parser_depth;
    struct client **clients;
    uint32_t *generations;
    size_t client_slots, client_count;
    uint32_t *free_slots;
    size_t free_count;
    struct client *ready, **ready_last, *dead;
    struct reader *spare_reader; /* NULL, or between two messages */
    struct inflater *inflater;   /* NULL until a client sends a compressed message */
    struct writer *writer;
    struct write_io writes[WRITES_MAX];
    struct client_turn turns[WRITES_MAX]; /* of these writes */
    size_t gathered;
    struct instant written_at; /* the last of them */
    struct written written;
    uint64_t next_subscription;
    struct frame *lasting[BROADCAST_SLOTS]; /* what new clients are told after `connected`; NULL: nothing */
    struct instant next_tick, stop_deadline;
    bool stopping;
    struct buffer scratch;
};

/* socket_client.c */
void client_take(struct socket_thread *thread, struct client_take *take);
struct client *client_find(struct socket_thread *thread, uint64_t serial);
void client_ready(struct client *client);
/* Ends it with this close code (RFC 6455, 7.4): the close frame is sent if the socket takes it. */
void client_close(struct client *client, uint16_t code, const char *reason);
/* Ends it at once. Memory is freed at the end of the round. */
void client_drop(struct client *client);
void client_bury_dead(struct socket_thread *thread);
/* Tells epoll what is wanted now. */
void client_update_interest(struct client *client);
/* Pings, stalls, closing handshakes that take too long. */
void client_tick(struct client *client, struct instant now);

/* socket_read.c */
void client_read(struct client *client);
void reader_free(struct reader *reader); /* NULL is fine */

/* socket_write.c */
/* A control message: a whole JSON text. */
void client_send(struct client *client, const struct buffer *text);
void client_send_frame(struct client *client, const struct frame *frame);
/* A turn for everybody who is ready: sends until the turn is used up, the socket is full, or there is nothing more. */
void write_round(struct socket_thread *thread);
void partial_release(struct partial *partial);

/* socket_deflate.c: clients with permessage-deflate */
/* What is written of the run to one of them: as much as goes as it is, or one event compressed. False: what follows is being
 * compressed, and the run was let go. */
must_check bool deflate_next(struct subscription *subscription, struct client_turn *turn);
/* Whether the piece has gone to be compressed first; it comes back the way that it came from history. */
must_check bool deflate_piece(struct client *client, struct history_request *request);
/* The message behind a compressed one; false: it was none, and the client is closed. Until the next one of the thread. */
must_check bool inflate_for(struct client *client, const void *payload, size_t length, struct buffer *out);

/* socket_stream.c: server-sent events */
/* Subscribes to the one session of a stream. */
void stream_begin(struct client *client, const struct client_take *take);
/* What came from the client: nothing that matters, or its end. */
void stream_read(struct client *client);
/* Says something after a silence, so that who stands between does not end an idle connection. */
void stream_tick(struct client *client, struct instant now);
/* A control message, which carries no id. */
void stream_control(struct client *client, const char *json, size_t length);
/* WebSocket frames of events, rewritten as server-sent events, become the client's partial. ERR_NOMEM: nothing was done. */
must_check enum err stream_events(struct client *client, const char *epoch, const char *frames, size_t length);

/* socket_command.c */
/* Takes the command. `by_key`: its id is as good as an Idempotency-Key. */
void client_command(struct client *client, struct command *command, bool by_key);
/* What a native message, or one that a dialect has made, asks for. */
void client_parsed(struct client *client, struct json_object *message, bool by_key);
void client_message(struct client *client, const char *text, size_t length);
void client_answer(struct client *client, const struct answer *answer, const char *id);

/* socket_dialect.c: clients of other systems */
must_check enum err speech_new(struct client *client, const struct client_take *take);
void speech_free(struct client *client);
/* What the client said. */
void speech_message(struct client *client, const char *text, size_t length);
/* A native control message: the client gets what it is in its dialect, if anything. It may be gone afterwards. */
void speech_control(struct client *client, const char *json, size_t length);
/* The turn's run is cut to its next event that is something in the client's dialect, and what that is becomes the turn's
 * bytes. False: there is none, or it cannot be had at this moment; the client may be gone. */
bool speech_next(struct subscription *subscription, struct client_turn *turn);
/* Who gets no history, as craft's clients, is told of each request that waits. */
void speech_say_pending(struct client *client, const struct frame *subscribed);
/* An answer to `list_permissions` is here. */
void speech_listed(struct client *client);

/* socket_subscription.c */
void subscription_begin(struct socket_thread *thread, struct subscribed_mail *mail);
/* It watches the topic from here on; NULL: out of memory. */
struct subscription *subscription_new(struct client *client, struct topic *topic);
void subscription_end(struct subscription *subscription);
/* Its session is gone: the client is told, and it ends. The client may be gone after it. */
void subscription_erased(struct subscription *subscription);
/* The dispatcher refused one: it is no longer expected. */
void subscription_refused(struct client *client, const char *session_id);
struct subscription *subscription_find(struct client *client, const char *session_id);
/* Whose question this cookie is of, if it still waits for the answer; else NULL. */
struct subscription *subscription_find_asked(struct socket_thread *thread, const uint64_t cookie[2]);
/* Has, or no longer has, something to send. */
void subscription_due(struct subscription *subscription);
void subscription_not_due(struct subscription *subscription);
void subscription_poked(struct socket_thread *thread, struct topic_poke *poke);
void subscription_history(struct socket_thread *thread, struct history_request *request);
/* Asks history for what follows the cursor; where it reads enough for this client already, when that is sent. */
void subscription_ask(struct subscription *subscription);
/* One of the client's reads is over. */
void subscription_read_over(struct client *client);
/* Who waits longest may look again whether it needs history, if there is room. */
void subscription_wake(struct client *client);

/* socket_feed.c: who watches all sessions */
/* `id`: NULL, or what the list is to be answered by. */
void subscription_watch_all(struct client *client, const char *id);
/* Its oldest id, for the caller to free; NULL: there is none. */
struct list_id *subscription_list_id(struct subscription *feed);
void subscription_list(struct socket_thread *thread, struct list_request *request);
/* Asks for a list, from which the feed goes on. */
void subscription_ask_list(struct subscription *feed);

/* socket_catch_up.c: who is behind */
/* How the replay of a subscription that begins is to be sent: `came_back` with a position, or from a beginning. */
void catch_up_replay(struct subscription *subscription, bool came_back);
/* Looks how far a live one is behind `head` before it is sent more. True: it is told first, and the client may be gone. */
must_check bool catch_up_look(struct subscription *subscription, uint64_t head);
/* What follows the cursor is not in the tail: it is folded up to `to`. */
void catch_up_fold(struct subscription *subscription, uint64_t to);
/* It has got all up to its cursor: whether that was the end of what is folded. */
void catch_up_sent(struct subscription *subscription);
