#pragma once
/*
 * A topic is what a session looks like to the threads that send: its head number and its tail of recent events, as
 * the bytes that go out (WebSocket frames, one behind the other).
 *
 * One writer, the journal thread, appends; socket threads read. The tail is a list of chunks that are appended to and
 * never changed; a whole chunk is retired by call_rcu, and who still writes from it holds a reference.
 *
 * An event may have other *forms* beside its bytes: what it is for clients of another kind. A form is made by the socket
 * thread that is the first to need it, stands beside the event from then on, and goes with its chunk. So whoever needs
 * none pays nothing, and each is made once.
 *
 * The map from session ids to topics is an RCU hash table whose one writer is the dispatcher.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/err.h"
#include "signalbox/base/frame.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/base/rcu.h"

enum { SESSION_ID_MAX = 40, EPOCH_MAX = 48, SOCKET_THREADS_MAX = 256, TOPIC_FORMS_MAX = 6 };
/* One for each kind of client that hears something else, and then one more: compressed (role/deflate.h). */
enum { TOPIC_FORM_DEFLATE = TOPIC_FORMS_MAX, TOPIC_FORMS };

struct topic_chunk;

/* The kind that a poke has in a socket thread's mailbox (mail/client.h has the others). */
enum { TOPIC_POKE_MAIL = 4 };
/* And the one that a topic has in the deflate thread's (mail/deflate.h). */
enum { TOPIC_SQUEEZE_MAIL = 1 };

/* One a topic and socket thread. `flagged` is exchanged to 1 by who pokes, who pushes the mail only if it was 0; the
 * socket thread exchanges it to 0 before it loads the head. */
struct topic_poke {
    struct mail mail;
    struct topic *topic;
    _Atomic(uint32_t) flagged;
    /* The socket thread's own: */
    void *watched;
    /* How many watchers it has: written by it, read by the journal. */
    _Atomic(uint32_t) watchers;
};

/* Events of the topic are to be compressed: asked for by socket threads, as a poke is by the journal. */
struct topic_squeeze {
    struct mail mail;
    _Atomic(uint32_t) flagged;
    _Atomic(uint64_t) from; /* the lowest number that is wanted; UINT64_MAX: none since the thread looked last */
    _Atomic(uint64_t) to;   /* the thread has looked at what was in the tail up to here */
};

struct topic {
    struct ref ref;
    struct rcu_map_node node;      /* key: session_id */
    char session_id[SESSION_ID_MAX + 1];
    char epoch[EPOCH_MAX + 1];     /* whole: the log's and the store's generation */
    int64_t session_key;
    void *session;                 /* the dispatcher's */
    _Atomic(bool) erased;          /* by the journal: the session is gone from the store, and its watchers are to go */
    _Atomic(uint64_t) head;        /* visible: committed and in the tail */
    _Atomic(uint64_t) first;       /* the first number in the tail; head + 1 when it is empty */
    /* The lowest position that is surely whole (core/fold.h): a client that comes with a lower one may have it from a
     * folded replay that broke off, and gets folded events again. It only grows. Of a session that was not in memory
     * it is the head: all that was sent before was read from the store, and nothing below is in the tail. */
    _Atomic(uint64_t) whole_from;
    /* The end of the last turn that the store folded. Only that takes away what a client that came to the head of its own
     * replay has: others' replays, which whole_from knows as well, are nothing to it. It only grows. */
    _Atomic(uint64_t) folded_to;
    _Atomic(struct topic_chunk *) oldest;
    struct topic_chunk *newest;    /* the journal's */
    size_t tail_bytes, tail_events; /* the journal's */
    size_t tail_memory;             /* the journal's: what its chunks take, used or not */
    size_t tail_counted;            /* the journal's: the same with the forms, when it was looked at last */
    _Atomic(bool) has_forms;        /* one was made at some time */
    struct topic *tails_newer, *tails_older; /* the journal's: among the topics with a tail */
    struct topic *unpublished_next; /* the journal's list of topics whose head is to be moved */
    uint64_t appended;              /* the journal's: what head becomes when it is published */
    bool unpublished;
    /* permission_queue_status, as of `head`: pending count, and the version that says that it changed. */
    _Atomic(uint32_t) pending_version, pending;
    _Atomic(int64_t) pending_oldest;
    struct rcu_head rcu;
    struct topic_squeeze squeeze;
    uint32_t poke_count;
    struct topic_poke pokes[];     /* one a socket thread */
};

struct topic_limits {
    size_t tail_bytes, tail_events;
    size_t tails_total_bytes; /* memory of all tails together; 0 for no bound */
    uint32_t socket_threads;
};

/* One reference, the caller's. `head` is what the store has. */
must_check enum err topic_new(struct topic **out, const char *session_id, const char *epoch, int64_t session_key,
                              uint64_t head, const struct topic_limits *limits);
struct topic *topic_get(struct topic *topic);
void topic_put(struct topic *topic); /* NULL is fine; the last one frees after a grace period */

/* Journal only. Appends one sealed frame as number head + 1; it is visible when topic_publish is called. ERR_NOMEM:
 * nothing was appended; the tail is cut instead (topic_skip), and watchers read that number from the store. */
must_check enum err topic_append(struct topic *topic, uint64_t seq, const struct frame *frame,
                                 struct instant line_at, const struct topic_limits *limits);
void topic_skip(struct topic *topic, uint64_t seq);
/* Journal only. Forgets the whole tail; watchers read from the store. */
void topic_trim(struct topic *topic);
/* Moves the head and pokes the socket threads with watchers. */
void topic_publish(struct topic *topic, uint64_t head, struct mailbox *const *socket_boxes);
/* Pokes without moving the head: something else of the topic changed. Any thread. */
void topic_poke_all(struct topic *topic, struct mailbox *const *socket_boxes);

/*
 * Socket threads, inside an RCU read section: a run of whole frames that begins with number `from`, of at most
 * `max_bytes` but at least one frame, none later than `to`. The chunk gets a reference that the caller puts.
 * false: `from` is not in the tail (any more); read it from the store.
 */
struct topic_run {
    struct topic_chunk *chunk;
    const char *bytes;
    size_t length;
    uint64_t from, last;
};
must_check bool topic_read(struct topic *topic, uint64_t from, uint64_t to, size_t max_bytes, struct topic_run *run);
void topic_chunk_put(struct topic_chunk *chunk);
/* Which number the frame that holds byte `offset` of the run has, and where that frame begins and ends in the run. */
uint64_t topic_run_locate(const struct topic_run *run, size_t offset, size_t *frame_start, size_t *frame_end);
/* When the agent's line behind this number of the run was read, for the latency metric; ns 0 if there was none. */
struct instant topic_run_line_at(const struct topic_run *run, uint64_t seq);
/* The bytes of this number of the run. */
const char *topic_run_frame(const struct topic_run *run, uint64_t seq, size_t *length);

/*
 * The form of one event of a run, in the socket thread that needs it. TOPIC_FORM_THERE: *bytes, good as long as the run's
 * chunk is held; there may be none (*length 0). TOPIC_FORM_YOURS: nobody has made it, the caller makes it and gives it with
 * topic_form_give, or gives up with topic_form_give_up: until then nobody else does. TOPIC_FORM_BUSY: another thread makes
 * it at this moment; ask again in the next round. TOPIC_FORM_NOMEM.
 */
enum topic_form_state { TOPIC_FORM_THERE, TOPIC_FORM_YOURS, TOPIC_FORM_BUSY, TOPIC_FORM_NOMEM };
must_check enum topic_form_state topic_form_find(struct topic *topic, const struct topic_run *run, uint64_t seq,
                                                 unsigned form, const char **bytes, size_t *length);
/* Copies the bytes. ERR_NOMEM: it was given up. */
must_check enum err topic_form_give(const struct topic_run *run, uint64_t seq, unsigned form, const char *bytes,
                                    size_t length);
void topic_form_give_up(const struct topic_run *run, uint64_t seq, unsigned form);
/* The same for who makes none: false when it is not there (yet). *length 0: it is nothing in this form. */
must_check bool topic_form_look(const struct topic_run *run, uint64_t seq, unsigned form, const char **bytes, size_t *length);
/* Leaves the numbers `first` to `last` of the run. */
void topic_run_cut(struct topic_run *run, uint64_t first, uint64_t last);
/* Asks for the numbers from `from` on to be compressed. Any thread, while somebody holds the topic. */
void topic_squeeze(struct topic *topic, uint64_t from, struct mailbox *deflate);
/* Journal only: what the tail takes with its forms. */
size_t topic_memory(const struct topic *topic);

/* How many bytes the frames `from` to `to` take. Inside an RCU read section. false: they are not all in the tail. */
must_check bool topic_measure(struct topic *topic, uint64_t from, uint64_t to, size_t *bytes);
/* Raises whole_from. Any thread, before what makes lower positions unsafe is sent. */
void topic_whole_from(struct topic *topic, uint64_t position);
/* Raises folded_to, and whole_from. Any thread, before the store folds. */
void topic_folded_to(struct topic *topic, uint64_t position);

/* The map. Writes by the dispatcher only; finding takes a reference, any registered thread. */
struct topic_map;
must_check enum err topic_map_new(struct topic_map **out, size_t buckets);
void topic_map_free(struct topic_map *map);
must_check enum err topic_map_add(struct topic_map *map, struct topic *topic); /* takes a reference of its own */
void topic_map_remove(struct topic_map *map, struct topic *topic);
struct topic *topic_map_find(struct topic_map *map, const char *session_id);   /* NULL if not in memory */
