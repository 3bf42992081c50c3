/*
 * A session is erased: its row, its rules and what is known of its folding at once, its log and its blobs piece by piece, so
 * that nobody's commit waits for a long log. What is short goes at once as well. Until nothing is left the session's key
 * stands in `purges`, by which a later start goes on. Nobody finds what is left by then: all who look for a session find its
 * row first, and no key is given again.
 *
 * All that is removed is overwritten (sqlite_open.c: secure_delete).
 */
#include "signalbox/base/check.h"
#include "sqlite.h"

/* Of one piece, which is one transaction: some 2 ms. An event may be longer than this; then it goes alone. */
enum { PIECE_BYTES = 256 << 10, PIECE_EVENTS = 256, PIECE_PARTS = PIECE_BYTES / SQLITE_BLOB_PART };

static int by_key(struct sqlite_store *store, enum sqlite_statement which, int64_t key)
{
    sqlite3_stmt *statement = store->statements[which];
    int code = sqlite3_bind_int64(statement, 1, key);
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

/* How far a piece goes; *last is 0 where nothing is left. */
static int measure(struct sqlite_store *store, int64_t session_key, int64_t *last, bool *more)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_PURGE_EVENTS];
    size_t events = 0;
    size_t bytes = 0;
    *last = 0;
    int code = sqlite3_bind_int64(statement, 1, session_key);
    while ((code == SQLITE_OK || code == SQLITE_ROW) && events < PIECE_EVENTS && bytes < PIECE_BYTES) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            *last = sqlite3_column_int64(statement, 0);
            bytes += (size_t)sqlite3_column_bytes(statement, 1);
            events++;
        }
    }
    *more = code == SQLITE_ROW;
    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int remove_events(struct sqlite_store *store, int64_t session_key, bool *more)
{
    int64_t last;
    int code = measure(store, session_key, &last, more);
    if (code != SQLITE_OK || last == 0) {
        return code;
    }
    sqlite3_stmt *statement = store->statements[STATEMENT_FOLD_RANGE];
    code = sqlite3_bind_int64(statement, 1, session_key);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, 0));
    sqlite_also(&code, sqlite3_bind_int64(statement, 3, last));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

/* Parts of one blob, at most *room of them, and the blob when it has none left. */
static int remove_parts(struct sqlite_store *store, int64_t blob, int *room)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_PURGE_PARTS];
    int code = sqlite3_bind_int64(statement, 1, blob);
    sqlite_also(&code, sqlite3_bind_int(statement, 2, *room));
    code = code == SQLITE_OK ? sqlite_finish(statement) : code;
    if (code != SQLITE_OK) {
        return code;
    }
    int removed = sqlite3_changes(store->db);
    bool whole = removed < *room;
    *room -= whole ? removed + 1 : removed; /* one that is short costs something, too */
    return whole ? by_key(store, STATEMENT_PURGE_BLOB, blob) : SQLITE_OK;
}

static int remove_blobs(struct sqlite_store *store, int64_t session_key, bool *more)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_PURGE_BLOBS];
    int room = PIECE_PARTS;
    int code = SQLITE_OK;
    *more = true;
    while (code == SQLITE_OK && room > 0 && *more) {
        code = sqlite3_bind_int64(statement, 1, session_key);
        code = code == SQLITE_OK ? sqlite3_step(statement) : code;
        int64_t blob = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
        sqlite3_reset(statement);
        *more = code != SQLITE_DONE;
        code = code == SQLITE_ROW ? remove_parts(store, blob, &room) : code == SQLITE_DONE ? SQLITE_OK : code;
    }
    return code;
}

/* Within a transaction. */
static int remove_piece(struct sqlite_store *store, int64_t session_key)
{
    bool more = false;
    int code = remove_events(store, session_key, &more);
    if (code == SQLITE_OK && !more) {
        code = remove_blobs(store, session_key, &more);
    }
    return code == SQLITE_OK && !more ? by_key(store, STATEMENT_PURGED, session_key) : code;
}

int sqlite_purge(struct sqlite_store *store, int64_t session_key)
{
    static const enum sqlite_statement at_once[] = {STATEMENT_PURGE, STATEMENT_DELETE_SESSION, STATEMENT_DELETE_FOLD,
                                                    STATEMENT_DELETE_SESSION_RULES};
    int code = SQLITE_OK;
    for (size_t i = 0; i < array_size(at_once) && code == SQLITE_OK; i++) {
        code = by_key(store, at_once[i], session_key);
    }
    return code == SQLITE_OK ? remove_piece(store, session_key) : code;
}

/* The session whose turn it is; 0: none is left. */
static int next_purge(struct sqlite_store *store, int64_t *session_key)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_NEXT_PURGE];
    int code = sqlite3_step(statement);
    *session_key = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

enum err sqlite_tidy(struct store *base, bool *more)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    int64_t session_key = 0;
    int code = next_purge(store, &session_key);
    if (code == SQLITE_OK && session_key == 0) {
        *more = false;
        return ERR_OK;
    }
    code = code == SQLITE_OK ? sqlite_finish(store->statements[STATEMENT_BEGIN]) : code;
    if (code != SQLITE_OK) {
        return sqlite_err(store->db, code);
    }
    enum err err = sqlite_commit(store, remove_piece(store, session_key));
    if (err == ERR_OK) {
        *more = true;
    }
    return err;
}
