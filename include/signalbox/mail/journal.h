#pragma once
/*
 * What reaches the journal: batches. A batch is what one step of the dispatcher lets out; it is committed whole, in a
 * group with its neighbours, and only then released: its events become visible, in order, and its mail goes on.
 */
#include <stdbool.h>
#include <stdint.h>

#include "signalbox/base/mailbox.h"
#include "signalbox/core/blob.h"
#include "signalbox/core/event.h"
#include "signalbox/share/credit.h"
#include "signalbox/share/topic.h"
#include "signalbox/store/store.h"

enum journal_mail_kind {
    JOURNAL_BATCH = 1, /* struct journal_batch */
    JOURNAL_STOP,
    JOURNAL_FOLD,      /* struct fold_note */
};

/*
 * Maintenance's: a part of a closed turn, folded, to be written between two groups. It goes to the dispatcher first, who
 * has the session's topic in memory if anybody has, then to the journal, and comes back to `reply_to` as `reply_kind`,
 * unless the server stops. It is a part of who sends it, and nobody else frees it; one at a time.
 */
struct fold_note {
    struct mail mail;
    struct mailbox *reply_to;
    uint32_t reply_kind;
    char session_id[64];
    uint64_t whole_from; /* the end of the turn: once a part of it is folded, lower positions may not be whole */
    struct store_fold fold;
    enum err result;     /* nothing was written: ERR_AGAIN while the store does not record, or what it says */
};

struct journal_item {
    enum journal_item_kind {
        JOURNAL_EVENT,   /* a numbered event of `topic` */
        JOURNAL_BLOB,    /* a blob of `topic`, stored with, or before, what refers to it */
        JOURNAL_FEED,    /* an event of the feed of all sessions: sent, not recorded */
        JOURNAL_ROW,     /* a session's row */
        JOURNAL_FORWARD, /* mail for somebody, released after the commit */
        JOURNAL_PENDING, /* the topic's permission_queue_status */
        JOURNAL_PURGE,   /* everything of the session of `topic` goes, and its watchers are told */
        JOURNAL_ANSWER,  /* of a command that had an id: remembered with what the command did */
        JOURNAL_EXPIRE,  /* answers that are old enough to be forgotten */
        JOURNAL_RULE,    /* a rule that is made */
        JOURNAL_RULE_REMOVE, /* a rule that is revoked or has expired */
        JOURNAL_AUDIT,   /* an entry of the audit, recorded with what it tells of */
        JOURNAL_FORGET,  /* `topic` has left the map, and nobody watches it: the journal is its last holder */
    } kind;
    struct journal_item *next;
    struct topic *topic; /* referenced, or NULL */
    union {
        struct {
            struct event event;
            uint64_t seq;
            int64_t ts;
            struct credit *credit; /* referenced, or NULL */
            uint32_t credit_bytes;
        } event;
        struct {
            struct blob *blob; /* one, owned */
            int64_t at;        /* wall ms */
            struct credit *credit; /* referenced, or NULL */
            uint32_t credit_bytes;
        } blob;
        struct session_row row; /* owned */
        struct {
            struct mail *mail;
            struct mailbox *to;
            uint32_t kind;
            /* When the server stops and the store still fails, what would have told of success is not sent: this
             * frees the mail, or turns it into a refusal and sends that. */
            void (*refuse)(struct mail *mail, struct mailbox *to, uint32_t kind);
        } forward;
        struct {
            uint32_t count;
            int64_t oldest_created_at;
        } pending;
        int64_t purge_key;
        struct stored_answer answer; /* owned */
        struct {
            int64_t before;
            uint32_t limit;
        } expire;
        struct stored_rule rule;  /* owned */
        char *rule_id;            /* JOURNAL_RULE_REMOVE; owned */
        struct audit_entry audit; /* owned */
    };
};

struct journal_batch {
    struct mail mail;
    uint64_t number; /* the dispatcher's: 1, 2, 3 ... in the order of pushing */
    struct journal_item *first, **last;
    size_t items;
    struct journal_batch *next; /* the journal's */
};

/* For the dispatcher, which must not go on half: both end the process when memory is out (base/need.h). */
struct journal_batch *journal_batch_new(void);
struct journal_item *journal_batch_add(struct journal_batch *batch, enum journal_item_kind kind);
/* With its items and what they own; mail that was to be forwarded is refused. NULL is fine. */
void journal_batch_free(struct journal_batch *batch);
