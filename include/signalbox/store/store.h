#pragma once
/*
 * Durability behind one table of functions. One writer (the journal thread), any number of readers, each with a
 * handle of its own (history, maintenance). A group is appended whole or not at all.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/digest.h"
#include "signalbox/base/err.h"
#include "signalbox/base/mailbox.h"
#include "signalbox/store/audit.h"

/* A session's row: what must be known without reading its log. Texts are borrowed when writing, malloc'd when read. */
struct session_row {
    int64_t key;   /* the store's short name for it, from 1; never reused, also not after a purge and a restart */
    char *id;
    char *agent, *workspace, *title; /* title may be NULL */
    char *policy, *phase;
    char *epoch;   /* of its log, without the store's generation */
    char *created_by;
    int64_t created_at, updated_at; /* wall ms */
    uint64_t head; /* when read: at least the highest number in the log, also where the row was written earlier */
    uint64_t open_from; /* number of the turn_started of a turn that has not ended, or of an open permission request
                           outside one; 0: nothing is open */
    uint64_t run;       /* the last run number given to an agent */
    uint32_t pending;   /* permission requests that wait for an answer */
    int64_t oldest_pending_at;
    bool closed;
    char *queue;        /* JSON text: queued prompts; NULL for none */
    char *agent_state;  /* JSON text: what is needed to bring the agent back; NULL for none */
};
/* Frees the texts of a row that was read or copied; all zero afterwards. */
void session_row_clear(struct session_row *row);
/* A copy with texts of its own. ERR_NOMEM leaves `to` all zero. */
must_check enum err session_row_copy(struct session_row *to, const struct session_row *from);
/* What store_operations.read_open looks for: something is open, or the phase says that an agent was there
 * (starting, idle, running, waiting). */
bool session_row_live(const struct session_row *row);

/* The answer to a command that had an id, kept so that the command is not done twice (docs/protocol.md, "Ids"). Texts are
 * borrowed when writing, malloc'd when read. */
struct stored_answer {
    struct digest name; /* whose command it was, and its id */
    struct digest body; /* what it asked for */
    int64_t at;         /* wall ms */
    char *code;         /* "ok", or a nack's */
    char *message, *fields; /* as in struct answer; NULL for none */
};
/* Frees the texts of one that was read or copied; all zero afterwards. */
void stored_answer_clear(struct stored_answer *answer);
/* A copy with texts of its own. ERR_NOMEM leaves `to` all zero. */
must_check enum err stored_answer_copy(struct stored_answer *to, const struct stored_answer *from);

/* Content that is kept beside a session's log (core/blob.h). Texts are borrowed when writing. */
struct stored_blob {
    struct digest name; /* of type and bytes */
    const char *type;   /* for Content-Type */
    const char *data;
    size_t length;
    int64_t at; /* wall ms */
};
enum { STORED_TYPE_MAX = 127 };
/* What is known of one without its bytes. */
struct blob_info {
    char type[STORED_TYPE_MAX + 1];
    uint64_t bytes;
};

/* One write of a group. Everything in it is borrowed for the call. */
struct store_write {
    enum {
        STORE_EVENT,
        STORE_SESSION, /* the row, inserted or replaced, by its key */
        STORE_BLOB,    /* the blob of session_key; nothing if there is one of its name */
        STORE_PURGE,   /* removes the row and the rules of session_key, and its events and blobs as far as they are few;
                          `tidy` removes the rest. Its audit stays */
        STORE_ANSWER,  /* the answer, inserted, or in the place of an older one with its name */
        STORE_EXPIRE,  /* removes at most `limit` answers from before `before`, the oldest first */
        STORE_RULE,        /* a new rule; its key is the store's to give */
        STORE_RULE_REMOVE, /* removes the rule rule_id; where there is none, nothing */
        STORE_AUDIT,       /* a new entry, for ever; its number is the store's to give */
    } kind;
    int64_t session_key;
    /* STORE_EVENT */
    uint64_t seq;
    const char *event_kind; /* its name ("text_delta"): numbers of kinds may change, names do not */
    int64_t ts;
    const char *json; /* the whole event object, without NULs */
    size_t json_length;
    /* STORE_SESSION */
    const struct session_row *row;
    /* STORE_BLOB */
    struct stored_blob blob;
    /* STORE_ANSWER */
    const struct stored_answer *answer;
    /* STORE_EXPIRE */
    int64_t before; /* wall ms */
    uint32_t limit;
    /* STORE_RULE */
    const struct stored_rule *rule;
    /* STORE_RULE_REMOVE */
    const char *rule_id;
    /* STORE_AUDIT */
    const struct audit_entry *audit;
    struct store_write *next;
};

/*
 * A part of a log, folded (core/fold.h): rows with these numbers get other JSON, rows in these ranges go. What is not
 * there any more (a session that was purged) is left out. Everything in it is borrowed for the call.
 */
struct store_fold {
    int64_t session_key;
    struct store_fold_event {
        uint64_t seq;
        const char *json;
        size_t json_length;
    } *events;
    size_t event_count;
    struct store_fold_range {
        uint64_t from, to; /* both included */
    } *gone;
    size_t gone_count;
    uint64_t done_to; /* the log is folded up to here, and is not looked at again; 0: that stays as it was */
};

/* What is to be folded next: a session, and its numbers from behind what is folded to the end of its oldest turn that is
 * not. */
struct store_unfolded {
    int64_t session_key;
    char session_id[64];
    uint64_t from, to;
};

/* Readers lend what they found for the length of the callback. Return false to stop. It must not call the store. */
typedef bool store_event_visit(void *context, uint64_t seq, const char *json, size_t length);
typedef bool store_row_visit(void *context, const struct session_row *row);
typedef bool store_answer_visit(void *context, const struct digest *name, int64_t at);
typedef bool store_rule_visit(void *context, const struct stored_rule *rule);
typedef bool store_audit_visit(void *context, const struct audit_entry *entry);

struct store;
struct store_reader;

/*
 * All of them block. A store has one thread that appends and closes; a reader belongs to one thread at a time, which
 * may be another. Reading returns ERR_IO, ERR_CORRUPT, ERR_NOMEM or ERR_AGAIN when it fails; what was visited until
 * then was right.
 */
struct store_operations {
    const char *name;
    /* Applies the list as one transaction; visible to readers and safe from the death of the process on return.
     * Numbers of a session must ascend. On any error nothing of it was stored, and the same list may be tried again:
     * ERR_NOSPC, ERR_IO, ERR_NOMEM, ERR_AGAIN (another program holds the file), ERR_CORRUPT; ERR_EXIST (a number, a
     * session's id or a rule's is there already) is the caller's mistake and will not pass by itself. */
    enum err (*append)(struct store *store, const struct store_write *writes);
    /* Applies it as one transaction, by the thread that appends. On any error nothing of it was stored. */
    enum err (*fold)(struct store *store, const struct store_fold *fold);
    /* By the thread that appends, between two appends; brief. Whether more is appended than can be kept up with, so that
     * who floods should be slowed down. May be NULL. */
    bool (*is_behind)(struct store *store);
    /* By the thread that appends, between two appends. Removes a piece of what STORE_PURGE has left, also in an earlier run,
     * as one transaction of some milliseconds. *more: it is to be called again. On any error nothing was removed, and it may
     * be called again. May be NULL: nothing is ever left. */
    enum err (*tidy)(struct store *store, bool *more);
    /* Any thread. */
    enum err (*reader_open)(struct store *store, struct store_reader **out);
    /* A clean stop: marks it and frees the store. All readers are closed before. */
    void (*close)(struct store *store);

    void (*reader_close)(struct store_reader *reader);
    /* Events from `from` to `to`, both included, in order, in short transactions, between which the log may be folded. */
    enum err (*read_events)(struct store_reader *reader, int64_t session_key, uint64_t from, uint64_t to,
                            store_event_visit *visit, void *context);
    /* ERR_OK while the session has its row; ERR_NOENT: there is none, or it was purged. */
    enum err (*find_session)(struct store_reader *reader, int64_t session_key);
    /* The number of the last turn_started at or before `seq`; ERR_NOENT if there is none. */
    enum err (*find_turn)(struct store_reader *reader, int64_t session_key, uint64_t seq, uint64_t *out);
    /* The session whose oldest turn that is not folded ended first, if it ended at or before `ended_by` (wall ms); else
     * ERR_NOENT. */
    enum err (*find_unfolded)(struct store_reader *reader, int64_t ended_by, struct store_unfolded *out);
    /* ERR_NOENT if there is none. The caller clears *out. */
    enum err (*read_session)(struct store_reader *reader, const char *id, struct session_row *out);
    /* Sessions for which session_row_live holds, by key. */
    enum err (*read_open)(struct store_reader *reader, store_row_visit *visit, void *context);
    /* Newest change first, at most `limit`; `before_updated_at`/`before_key` continue a page (0,0: the first). Closed
     * ones too, unless `open_only`. */
    enum err (*list_sessions)(struct store_reader *reader, int64_t before_updated_at, int64_t before_key, size_t limit,
                              bool open_only, store_row_visit *visit, void *context);
    /* The answer with this name. ERR_NOENT if there is none. The caller clears *out. */
    enum err (*read_answer)(struct store_reader *reader, const struct digest *name, struct stored_answer *out);
    /* Names of answers not older than `since` (wall ms), the oldest first. */
    enum err (*list_answers)(struct store_reader *reader, int64_t since, store_answer_visit *visit, void *context);
    /* Rules by key, those behind `after_key`, at most `limit`; 0 and SIZE_MAX give all. `filter`: NULL for none. */
    enum err (*list_rules)(struct store_reader *reader, int64_t after_key, size_t limit, const struct rule_filter *filter,
                           store_rule_visit *visit, void *context);
    /* Entries of the audit by number, ascending those above `after` (0: from the first), or, `newest_first`, descending
     * those below it (0: from the last); at most `limit`. In short transactions; what is committed meanwhile is not
     * among them. A page that begins where the one before ended neither skips nor repeats an entry. */
    enum err (*list_audit)(struct store_reader *reader, int64_t after, bool newest_first, size_t limit,
                           const struct audit_filter *filter, store_audit_visit *visit, void *context);
    /* What is known of the session's blob of this name, and its bytes from `from` on, at most `most` of them, appended
     * to `bytes` (which may be NULL where `most` is 0). Reads no more of it than that. ERR_NOENT if there is none. */
    enum err (*read_blob)(struct store_reader *reader, int64_t session_key, const struct digest *name, uint64_t from,
                          size_t most, struct blob_info *info, struct buffer *bytes);
    /* PASSIVE checkpoint and the like; delays no append. Nothing to do costs nothing. */
    enum err (*maintain)(struct store_reader *reader);
};

struct store {
    const struct store_operations *operations;
    /* Shared: who calls `maintain` is woken by a poke when that should not wait for the next second. NULL: nobody. */
    _Atomic(struct mailbox *) keeper;
    _Atomic(bool) keeper_called; /* until the keeper takes it back */
    int64_t next_key;        /* the first free session key, at open */
    int64_t open_sessions;   /* not closed, at open */
    char *generation;        /* changes when the newest commits may be gone (see docs/architecture.md) */
};
struct store_reader {
    const struct store_operations *operations;
};

/* The store's own, by the thread that appends: `maintain` is to be called at once. */
void store_call_keeper(struct store *store);
/*
 * Opens DATA/signalbox.db, makes what is missing (the folder with mode 0700), and holds an exclusive lock on DATA/lock
 * until close: a second server on the same folder gets ERR_AGAIN. A torn or foreign database is ERR_CORRUPT, one of a
 * newer signalbox ERR_UNSUPPORTED; both are left as they are. `why` gets a sentence for the log on failure (`why_size`
 * bytes). Blocks.
 */
must_check enum err store_sqlite_open(struct store **out, const char *data_directory, char *why, size_t why_size);
/* What `append` survives when it has returned: any death of the process (so after store_sqlite_open), or the loss of
 * power too, for an fsync with each group. */
enum store_durability { STORE_SURVIVES_PROCESS, STORE_SURVIVES_POWER };
/* An SQLite store only, by the thread that appends. Blocks. A store that ran with STORE_SURVIVES_POWER to its end keeps
 * its generation over a loss of power. On failure it is as it was. */
must_check enum err store_sqlite_durability(struct store *store, enum store_durability durability);
/*
 * For operators, without a server: both hold DATA/lock, and return ERR_AGAIN while somebody else does, ERR_NOENT where
 * no store is, and what store_sqlite_open returns for a file that is not ours. `why` gets a sentence on failure. Block,
 * for as long as it takes to read the whole file.
 */
struct store_sizes {
    int64_t sessions, events;
    int64_t bytes; /* of the database and its log */
};
/* Looks at everything: pages, schema, that each session's numbers are without holes, that its row and its log agree,
 * that no entry of the audit is missing. Each thing found wrong is told in a sentence (borrowed), STORE_PROBLEMS_MAX at
 * most, and *problems is how many there are. Changes nothing. */
enum { STORE_PROBLEMS_MAX = 100 };
must_check enum err store_sqlite_check(const char *data_directory, void (*tell)(void *context, const char *problem),
                                       void *context, struct store_sizes *sizes, size_t *problems, char *why,
                                       size_t why_size);
/* Moves the log into the database and gives what is free in it back to the file system; what is stored stays the same.
 * On failure the database is as it was. */
must_check enum err store_sqlite_compact(const char *data_directory, struct store_sizes *before,
                                         struct store_sizes *after, char *why, size_t why_size);
/*
 * A reader of the audit beside a server, running or not: it needs no DATA/lock, and makes, changes and removes no file.
 * Of the operations it has list_audit and reader_close; an older store has no entries. Entries are lent when nothing of
 * the store is held any more, so a visitor may take his time. ERR_NOENT, ERR_CORRUPT, ERR_UNSUPPORTED (a newer one)
 * and so on: `why`, which must live as long as the reader, has a sentence, also when a list fails later on. One thread of
 * the process. Blocks; a second where files stay in between a server's start or stop.
 */
must_check enum err store_sqlite_look(struct store_reader **out, const char *data_directory, char *why,
                                      size_t why_size);
/* For tests; any number of threads. */
must_check enum err store_memory_open(struct store **out);
/* Makes appends fail with this error until set back to ERR_OK; any thread. */
void store_memory_fail(struct store *store, enum err fail);
