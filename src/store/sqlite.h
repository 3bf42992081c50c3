#pragma once
/*
 * What the files of the SQLite engine share, and the only place that includes SQLite.
 *
 * Connections are opened without SQLite's own mutexes: each belongs to one thread at a time.
 */
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "signalbox/base/log.h"
#include "signalbox/store/store.h"

enum {
    SQLITE_APPLICATION = 0x53676278, /* "Sgbx": application_id of our files */
    SQLITE_SCHEMA_VERSION = 6,       /* user_version */
    SQLITE_BLOB_PART = 32 << 10,     /* bytes of a blob in a row; the last one of each may have fewer */
    SQLITE_BUSY_MS = 1000,
    SQLITE_RESTART_BUSY_MS = 50, /* so long commits may wait for readers of the log */
};

enum sqlite_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_INSERT_EVENT,
    STATEMENT_UPDATE_SESSION,
    STATEMENT_INSERT_SESSION,
    STATEMENT_INSERT_BLOB,
    STATEMENT_INSERT_PART,
    STATEMENT_PURGE,
    STATEMENT_NEXT_PURGE,
    STATEMENT_PURGE_EVENTS,
    STATEMENT_PURGE_BLOBS,
    STATEMENT_PURGE_PARTS,
    STATEMENT_PURGE_BLOB,
    STATEMENT_PURGED,
    STATEMENT_DELETE_SESSION,
    STATEMENT_INSERT_ANSWER,
    STATEMENT_EXPIRE_ANSWERS,
    STATEMENT_TURN_ENDED,
    STATEMENT_FOLD_EVENT,
    STATEMENT_FOLD_RANGE,
    STATEMENT_FOLDED,
    STATEMENT_DELETE_FOLD,
    STATEMENT_INSERT_RULE,
    STATEMENT_DELETE_RULE,
    STATEMENT_DELETE_SESSION_RULES,
    STATEMENT_INSERT_AUDIT,
    STATEMENT_COUNT
};

struct sqlite_store {
    struct store store;
    char *path;  /* of the database */
    int lock_fd; /* holds the lock on DATA/lock */

    /* Of the thread that appends. */
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int log_pages;     /* pages in the write-ahead log after the last commit */
    int log_pages_max; /* from how many on it is to begin anew */
    int restart_pages; /* at how many the next RESTART is tried, for one that failed */
    struct log_limit restart_limit;

    /* Shared: counts commits, so that a checkpoint is tried only when there is something new. */
    _Atomic(uint64_t) commits;
    /* Shared: how many pages of the log the last checkpoint of maintenance has moved. */
    _Atomic(int) moved;
    /* Shared: one checkpoint at a time. Both are seq_cst: of two that begin at once, one sees the
     * other. */
    _Atomic(bool) restart_due;   /* by the appender: maintenance begins no checkpoint of its own */
    _Atomic(bool) checkpointing; /* by maintenance */
};

enum sqlite_reader_statement {
    READER_EVENTS,
    READER_KEY,
    READER_TURN,
    READER_UNFOLDED,
    READER_SESSION,
    READER_LIVE,
    READER_LIST,
    READER_LIST_OPEN,
    READER_ANSWER,
    READER_ANSWERS,
    READER_BLOB,
    READER_PARTS,
    READER_COUNT
};

/* Of rules and the audit; see sqlite_audit.c. The six of the audit's pages stand in the order of their number. */
enum sqlite_audit_statement {
    AUDIT_RULES,
    AUDIT_LAST,
    AUDIT_SPAN,
    AUDIT_PAGE,
    AUDIT_STATEMENT_COUNT = AUDIT_PAGE + 6
};

struct sqlite_reader {
    struct store_reader reader;
    struct sqlite_store *store; /* NULL: a look at the audit from outside (sqlite_outside.c) */
    sqlite3 *db;
    sqlite3_stmt *statements[READER_COUNT];
    sqlite3_stmt *audit[AUDIT_STATEMENT_COUNT];
    uint64_t checkpointed; /* the count of commits that the last whole checkpoint has seen */
};

extern const struct store_operations sqlite_operations;

/* The first code that is not SQLITE_OK, so that a row of bindings reads as one. */
static inline void sqlite_also(int *code, int next)
{
    if (*code == SQLITE_OK) {
        *code = next;
    }
}

/* Borrows the text until the statement is bound anew; NULL is SQL's. */
static inline int sqlite_bind(sqlite3_stmt *statement, int at, const char *text)
{
    return text != NULL ? sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC)
                        : sqlite3_bind_null(statement, at);
}

/* Runs a bound statement that returns no rows. What was bound is the caller's and ends with its call; the next use binds
 * all of it again. */
static inline int sqlite_finish(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* sqlite_error.c: SQLite's result code, with the cause from `db` (NULL: unknown), in our words. */
enum err sqlite_err(sqlite3 *db, int code);
/* The message of the last failure, for logs; borrowed from `db`. */
const char *sqlite_why(sqlite3 *db);
/* Runs statements that return nothing of interest. */
must_check enum err sqlite_run(sqlite3 *db, const char *sql);
/* The first column of the first row; ERR_NOENT without a row. */
must_check enum err sqlite_number(sqlite3 *db, const char *sql, int64_t *out);
/* The same as text, which the caller frees; `bind` (may be NULL) is its first parameter. */
must_check enum err sqlite_text(sqlite3 *db, const char *sql, const char *bind, char **out);
/* Opens a connection with what all connections have in common; *out is set on failure too, for its
 * message. */
must_check enum err sqlite_connect(const char *path, int flags, sqlite3 **out);

/* sqlite_open.c */
/* Where a sentence for people goes. */
struct sqlite_reason {
    char *text;
    size_t size;
};
/* Holds DIRECTORY/lock until *out is closed; the folder must be there. ERR_AGAIN: somebody else has it. */
must_check enum err sqlite_lock(const char *directory, int *out, struct sqlite_reason why);
/* Whether the file can be ours, before SQLite touches it; makes it where it is missing. */
must_check enum err sqlite_check_file(const char *path, bool *is_new, off_t *bytes,
                                      struct sqlite_reason why);
/* Says why the file cannot be used, and what to do; returns `err`. */
must_check enum err sqlite_explain(const char *path, enum err err, const char *cause,
                                   struct sqlite_reason why);

/* sqlite_hold.c */
/* A store that is held by this process. */
struct sqlite_held {
    char *path;
    int lock_fd;
    sqlite3 *db;
    bool is_new; /* without tables: a server was killed at its first start */
};
/* On failure nothing is held. */
must_check enum err sqlite_hold(struct sqlite_held *held, const char *data_directory,
                                struct sqlite_reason why);
must_check enum err sqlite_measure(const struct sqlite_held *held, struct store_sizes *sizes);
void sqlite_let_go(struct sqlite_held *held);

/* sqlite_schema.c */
/* Tells ours (*is_new false), an empty file (true) and a foreign one (ERR_CORRUPT, ERR_UNSUPPORTED)
 * apart. */
must_check enum err sqlite_schema_identify(sqlite3 *db, bool *is_new, char *why, size_t why_size);
/* Makes the tables of the first version. */
must_check enum err sqlite_schema_create(sqlite3 *db);
/* From whatever version of ours to version `to`, a version a transaction; nothing to do costs nothing. */
must_check enum err sqlite_schema_upgrade(sqlite3 *db, int64_t to);
/* Whether the last stop was a clean one. */
must_check enum err sqlite_schema_was_clean(sqlite3 *db, bool *clean);
/* Says in the file that a server runs, and gives the store's generation, a malloc'd text. */
must_check enum err sqlite_schema_begin(sqlite3 *db, bool clean, char **generation);
/* Says in the file what its commits survive from here on. The caller has set synchronous = FULL. */
must_check enum err sqlite_schema_durability(sqlite3 *db, enum store_durability durability);
/* Says that it stopped. */
must_check enum err sqlite_schema_end(sqlite3 *db);

/* sqlite_append.c */
must_check enum err sqlite_append_prepare(struct sqlite_store *store);
void sqlite_append_finish(struct sqlite_store *store);
enum err sqlite_append(struct store *store, const struct store_write *writes);
bool sqlite_is_behind(struct store *store);
enum err sqlite_fold(struct store *store, const struct store_fold *fold);
/* Ends what was begun by STATEMENT_BEGIN; `code` is what came of it so far. */
must_check enum err sqlite_commit(struct sqlite_store *store, int code);

/* sqlite_purge.c */
/* SQLite's code. */
int sqlite_purge(struct sqlite_store *store, int64_t session_key);
enum err sqlite_tidy(struct store *store, bool *more);

/* sqlite_blob.c */
/* SQLite's code. */
int sqlite_write_blob(struct sqlite_store *store, int64_t session_key, const struct stored_blob *blob);
enum err sqlite_read_blob(struct store_reader *reader, int64_t session_key, const struct digest *name,
                          uint64_t from, size_t most, struct blob_info *info, struct buffer *bytes);

/* sqlite_read.c */
enum err sqlite_reader_open(struct store *store, struct store_reader **out);
void sqlite_reader_close(struct store_reader *reader);
enum err sqlite_read_events(struct store_reader *reader, int64_t session_key, uint64_t from,
                            uint64_t to, store_event_visit *visit, void *context);
enum err sqlite_find_session(struct store_reader *reader, int64_t session_key);
enum err sqlite_find_turn(struct store_reader *reader, int64_t session_key, uint64_t seq,
                          uint64_t *out);
enum err sqlite_find_unfolded(struct store_reader *reader, int64_t ended_by,
                              struct store_unfolded *out);
enum err sqlite_read_session(struct store_reader *reader, const char *id, struct session_row *out);
enum err sqlite_read_open(struct store_reader *reader, store_row_visit *visit, void *context);
enum err sqlite_list_sessions(struct store_reader *reader, int64_t before_updated_at,
                              int64_t before_key, size_t limit, bool open_only,
                              store_row_visit *visit, void *context);
enum err sqlite_read_answer(struct store_reader *reader, const struct digest *name,
                            struct stored_answer *out);
enum err sqlite_list_answers(struct store_reader *reader, int64_t since,
                             store_answer_visit *visit, void *context);
enum err sqlite_maintain(struct store_reader *reader);
/* The text in a column, or NULL; the statement's, until its next step. False: out of memory. */
must_check bool sqlite_text_column(sqlite3_stmt *statement, int at, char **out);

/* sqlite_audit.c */
must_check enum err sqlite_audit_prepare(struct sqlite_reader *reader);
void sqlite_audit_finish(struct sqlite_reader *reader);
enum err sqlite_list_rules(struct store_reader *reader, int64_t after_key, size_t limit,
                           const struct rule_filter *filter, store_rule_visit *visit, void *context);
enum err sqlite_list_audit(struct store_reader *reader, int64_t after, bool newest_first,
                           size_t limit, const struct audit_filter *filter,
                           store_audit_visit *visit, void *context);
