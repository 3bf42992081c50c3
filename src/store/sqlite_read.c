#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "sqlite.h"

/* One transaction reads at most this; a longer one would hold back checkpoints, and the log would
 * grow. */
enum { STEP_EVENTS = 512, STEP_BYTES = 256 << 10, STEP_ROWS = 256, STEP_ANSWERS = 8192 };

/* The row of a session is not written with each of its events, so its head is looked up in the log.
 */
#define ROW_COLUMNS                                                                                \
    "key, id, agent, workspace, title, policy, phase, epoch, created_by, created_at, updated_at, " \
    "max(head, coalesce((SELECT max(seq) FROM events WHERE session = key), 0)), "                  \
    "open_from, run, pending, oldest_pending_at, closed, queue, agent_state"
#define LIST_ORDER " (updated_at, key) < (?1, ?2) ORDER BY updated_at DESC, key DESC LIMIT ?3"

static const char *const sql[READER_COUNT] = {
    [READER_EVENTS] =
        "SELECT seq, body FROM events WHERE session = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq",
    [READER_KEY] = "SELECT 1 FROM sessions WHERE key = ?1",
    [READER_TURN] = "SELECT max(seq) FROM events WHERE session = ?1 AND seq <= ?2"
                    " AND kind = 'turn_started'",
    [READER_UNFOLDED] = "SELECT f.session, coalesce(s.id, ''), f.upto,"
                        " (SELECT min(e.seq) FROM events e WHERE e.session = f.session"
                        "  AND e.seq > f.upto AND e.kind = 'complete')"
                        " FROM folds f LEFT JOIN sessions s ON s.key = f.session"
                        " WHERE f.due <= ?1 ORDER BY f.due LIMIT 1",
    [READER_SESSION] = "SELECT " ROW_COLUMNS " FROM sessions WHERE id = ?1",
    [READER_LIVE] =
        "SELECT " ROW_COLUMNS " FROM sessions WHERE live = 1 AND key > ?1 ORDER BY key LIMIT ?2",
    [READER_LIST] = "SELECT " ROW_COLUMNS " FROM sessions WHERE" LIST_ORDER,
    [READER_LIST_OPEN] = "SELECT " ROW_COLUMNS " FROM sessions WHERE closed = 0 AND" LIST_ORDER,
    [READER_ANSWER] = "SELECT body, at, code, message, fields FROM answers WHERE name = ?1",
    [READER_ANSWERS] =
        "SELECT at, name FROM answers WHERE (at, name) > (?1, ?2) ORDER BY at, name LIMIT ?3",
    [READER_BLOB] = "SELECT key, type, bytes FROM blobs WHERE session = ?1 AND name = ?2",
    [READER_PARTS] =
        "SELECT part, data FROM blob_parts WHERE blob = ?1 AND part >= ?2 ORDER BY part",
};

static struct sqlite_reader *reader_of(struct store_reader *reader)
{
    return container_of(reader, struct sqlite_reader, reader);
}

enum err sqlite_reader_open(struct store *base, struct store_reader **out)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    struct sqlite_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        return ERR_NOMEM;
    }
    reader->reader.operations = &sqlite_operations;
    reader->store = store;
    /* The first one looks: a killed server may have left a log. */
    reader->checkpointed = UINT64_MAX;
    /* Read-write, since readers of a write-ahead log write their marks into its shared memory. */
    enum err err = sqlite_connect(store->path, SQLITE_OPEN_READWRITE, &reader->db);
    if (err == ERR_OK) {
        err = sqlite_run(
            reader->db,
            "PRAGMA query_only = 1; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -4096;");
    }
    for (size_t i = 0; i < READER_COUNT && err == ERR_OK; i++) {
        err = sqlite_err(reader->db,
                         sqlite3_prepare_v3(reader->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                            &reader->statements[i], NULL));
    }
    if (err == ERR_OK) {
        err = sqlite_audit_prepare(reader);
    }
    if (err != ERR_OK) {
        log_error("store reader not opened", "file", "%s", store->path, "error", "%s",
                  err_text(err), "detail", "%s", sqlite_why(reader->db), NULL);
        sqlite_reader_close(&reader->reader);
        return err;
    }
    *out = &reader->reader;
    return ERR_OK;
}

void sqlite_reader_close(struct store_reader *base)
{
    if (base == NULL) {
        return;
    }
    struct sqlite_reader *reader = reader_of(base);
    for (size_t i = 0; i < READER_COUNT; i++) {
        sqlite3_finalize(reader->statements[i]);
    }
    sqlite_audit_finish(reader);
    sqlite3_close_v2(reader->db);
    free(reader);
}

static int64_t clamp(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

enum err sqlite_read_events(struct store_reader *base, int64_t session_key, uint64_t from,
                            uint64_t to, store_event_visit *visit, void *context)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_EVENTS];
    int code = SQLITE_ROW;
    bool wanted = true;
    while (wanted && code == SQLITE_ROW && from <= to) {
        code = sqlite3_bind_int64(statement, 1, session_key);
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 2, clamp(from));
        }
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 3, clamp(to));
        }
        size_t events = 0;
        size_t bytes = 0;
        while (wanted && (code == SQLITE_OK || code == SQLITE_ROW) && events < STEP_EVENTS &&
               bytes < STEP_BYTES) {
            code = sqlite3_step(statement);
            if (code != SQLITE_ROW) {
                break;
            }
            uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 0);
            const char *body = (const char *)sqlite3_column_text(statement, 1);
            size_t length = (size_t)sqlite3_column_bytes(statement, 1);
            if (body == NULL) {
                code = SQLITE_NOMEM;
                break;
            }
            wanted = visit(context, seq, body, length);
            from = seq + 1;
            events++;
            bytes += length;
        }
        sqlite3_reset(statement);
    }
    return sqlite_err(reader->db, code);
}

enum err sqlite_find_session(struct store_reader *base, int64_t session_key)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_KEY];
    int code = sqlite3_bind_int64(statement, 1, session_key);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = code == SQLITE_DONE ? ERR_NOENT : sqlite_err(reader->db, code);
    sqlite3_reset(statement);
    return err;
}

enum err sqlite_find_turn(struct store_reader *base, int64_t session_key, uint64_t seq,
                          uint64_t *out)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_TURN];
    int code = sqlite3_bind_int64(statement, 1, session_key);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(statement, 2, clamp(seq));
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        *out = (uint64_t)sqlite3_column_int64(statement, 0);
        err = sqlite3_column_type(statement, 0) == SQLITE_NULL ? ERR_NOENT : ERR_OK;
    }
    sqlite3_reset(statement);
    return err;
}

enum err sqlite_find_unfolded(struct store_reader *base, int64_t ended_by,
                              struct store_unfolded *out)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_UNFOLDED];
    int code = sqlite3_bind_int64(statement, 1, ended_by);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = code == SQLITE_DONE ? ERR_NOENT : sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        *out = (struct store_unfolded){
            .session_key = sqlite3_column_int64(statement, 0),
            .from = (uint64_t)sqlite3_column_int64(statement, 2) + 1,
            .to = (uint64_t)sqlite3_column_int64(statement, 3),
        };
        const char *id = (const char *)sqlite3_column_text(statement, 1);
        snprintf(out->session_id, sizeof(out->session_id), "%s", id ? id : "");
        err = id == NULL ? ERR_NOMEM : out->to < out->from ? ERR_CORRUPT : ERR_OK;
    }
    sqlite3_reset(statement);
    return err;
}

bool sqlite_text_column(sqlite3_stmt *statement, int at, char **out)
{
    if (sqlite3_column_type(statement, at) == SQLITE_NULL) {
        *out = NULL;
        return true;
    }
    *out = (char *)(uintptr_t)sqlite3_column_text(statement, at);
    return *out != NULL;
}

/* Its texts are the statement's, until the next step. False: out of memory. */
static bool row_columns(sqlite3_stmt *statement, struct session_row *row)
{
    *row = (struct session_row){
        .key = sqlite3_column_int64(statement, 0),
        .created_at = sqlite3_column_int64(statement, 9),
        .updated_at = sqlite3_column_int64(statement, 10),
        .head = (uint64_t)sqlite3_column_int64(statement, 11),
        .open_from = (uint64_t)sqlite3_column_int64(statement, 12),
        .run = (uint64_t)sqlite3_column_int64(statement, 13),
        .pending = (uint32_t)sqlite3_column_int64(statement, 14),
        .oldest_pending_at = sqlite3_column_int64(statement, 15),
        .closed = sqlite3_column_int(statement, 16) != 0,
    };
    return sqlite_text_column(statement, 1, &row->id) && sqlite_text_column(statement, 2, &row->agent) &&
           sqlite_text_column(statement, 3, &row->workspace) && sqlite_text_column(statement, 4, &row->title) &&
           sqlite_text_column(statement, 5, &row->policy) && sqlite_text_column(statement, 6, &row->phase) &&
           sqlite_text_column(statement, 7, &row->epoch) && sqlite_text_column(statement, 8, &row->created_by) &&
           sqlite_text_column(statement, 17, &row->queue) && sqlite_text_column(statement, 18, &row->agent_state);
}

enum err sqlite_read_session(struct store_reader *base, const char *id, struct session_row *out)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_SESSION];
    int code = sqlite3_bind_text(statement, 1, id, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        struct session_row row;
        struct session_row copy;
        err = row_columns(statement, &row) ? session_row_copy(&copy, &row) : ERR_NOMEM;
        if (err == ERR_OK) {
            *out = copy;
        }
    } else if (code == SQLITE_DONE) {
        err = ERR_NOENT;
    }
    sqlite3_reset(statement);
    return err;
}

/* Steps a bound statement over at most STEP_ROWS rows. *visited: how many, 0 when the
 * visitor had enough. */
static enum err visit_rows(struct sqlite_reader *reader, sqlite3_stmt *statement, size_t limit,
                           store_row_visit *visit, void *context, struct session_row *last,
                           size_t *visited)
{
    enum err err = ERR_OK;
    *visited = 0;
    while (*visited < limit) {
        int code = sqlite3_step(statement);
        struct session_row row;
        if (code != SQLITE_ROW) {
            err = sqlite_err(reader->db, code);
            break;
        }
        if (!row_columns(statement, &row)) {
            err = ERR_NOMEM;
            break;
        }
        last->key = row.key;
        last->updated_at = row.updated_at;
        (*visited)++;
        if (!visit(context, &row)) {
            *visited = 0;
            break;
        }
    }
    sqlite3_reset(statement);
    return err;
}

enum err sqlite_read_open(struct store_reader *base, store_row_visit *visit, void *context)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_LIVE];
    struct session_row last = {0};
    size_t visited = STEP_ROWS;
    enum err err = ERR_OK;
    while (err == ERR_OK && visited == STEP_ROWS) {
        int code = sqlite3_bind_int64(statement, 1, last.key);
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 2, STEP_ROWS);
        }
        err = sqlite_err(reader->db, code);
        if (err == ERR_OK) {
            err = visit_rows(reader, statement, STEP_ROWS, visit, context, &last, &visited);
        }
    }
    return err;
}

enum err sqlite_list_sessions(struct store_reader *base, int64_t before_updated_at,
                              int64_t before_key, size_t limit, bool open_only,
                              store_row_visit *visit, void *context)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[open_only ? READER_LIST_OPEN : READER_LIST];
    bool first = before_updated_at == 0 && before_key == 0;
    struct session_row last = {
        .updated_at = first ? INT64_MAX : before_updated_at,
        .key = first ? INT64_MAX : before_key,
    };
    enum err err = ERR_OK;
    while (err == ERR_OK && limit > 0) {
        size_t step = limit < STEP_ROWS ? limit : STEP_ROWS;
        int code = sqlite3_bind_int64(statement, 1, last.updated_at);
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 2, last.key);
        }
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 3, (int64_t)step);
        }
        size_t visited = 0;
        err = sqlite_err(reader->db, code);
        if (err == ERR_OK) {
            err = visit_rows(reader, statement, step, visit, context, &last, &visited);
        }
        limit = visited == step ? limit - step : 0;
    }
    return err;
}

/* False: it is not one of ours. */
static bool digest_column(sqlite3_stmt *statement, int at, struct digest *out)
{
    const void *bytes = sqlite3_column_blob(statement, at);
    if (bytes == NULL || sqlite3_column_bytes(statement, at) != DIGEST_SIZE) {
        return false;
    }
    memcpy(out->bytes, bytes, DIGEST_SIZE);
    return true;
}

enum err sqlite_read_answer(struct store_reader *base, const struct digest *name,
                            struct stored_answer *out)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_ANSWER];
    int code = sqlite3_bind_blob(statement, 1, name->bytes, DIGEST_SIZE, SQLITE_STATIC);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        struct stored_answer answer = {.name = *name, .at = sqlite3_column_int64(statement, 1)};
        struct stored_answer copy;
        err = ERR_CORRUPT;
        if (digest_column(statement, 0, &answer.body)) {
            bool fits = sqlite_text_column(statement, 2, &answer.code) &&
                        sqlite_text_column(statement, 3, &answer.message) &&
                        sqlite_text_column(statement, 4, &answer.fields);
            err = fits ? stored_answer_copy(&copy, &answer) : ERR_NOMEM;
        }
        if (err == ERR_OK) {
            *out = copy;
        }
    } else if (code == SQLITE_DONE) {
        err = ERR_NOENT;
    }
    sqlite3_reset(statement);
    return err;
}

enum err sqlite_list_answers(struct store_reader *base, int64_t since, store_answer_visit *visit,
                             void *context)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->statements[READER_ANSWERS];
    struct digest name;
    int64_t at = since > INT64_MIN ? since - 1 : since;
    memset(&name, 0xff, sizeof(name)); /* so the first step begins with `since` */
    int code = SQLITE_ROW;
    bool wanted = true;
    while (wanted && code == SQLITE_ROW) {
        struct digest after = name;
        code = sqlite3_bind_int64(statement, 1, at);
        if (code == SQLITE_OK) {
            code = sqlite3_bind_blob(statement, 2, after.bytes, DIGEST_SIZE, SQLITE_STATIC);
        }
        if (code == SQLITE_OK) {
            code = sqlite3_bind_int64(statement, 3, STEP_ANSWERS);
        }
        size_t rows = 0;
        while (wanted && (code == SQLITE_OK || code == SQLITE_ROW) && rows < STEP_ANSWERS) {
            code = sqlite3_step(statement);
            if (code != SQLITE_ROW) {
                break;
            }
            at = sqlite3_column_int64(statement, 0);
            if (!digest_column(statement, 1, &name)) {
                sqlite3_reset(statement);
                return ERR_CORRUPT;
            }
            wanted = visit(context, &name, at);
            rows++;
        }
        sqlite3_reset(statement);
    }
    return sqlite_err(reader->db, code);
}

/*
 * A checkpoint that was overtaken by commits has written pages that nobody has synced. The one that begins the log anew
 * syncs both files, while commits wait; so as much of it as can be is done here, when that is near.
 */
static int sync_files(sqlite3 *db)
{
    static const int which[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};
    int code = SQLITE_OK;
    for (size_t i = 0; i < array_size(which) && code == SQLITE_OK; i++) {
        sqlite3_file *file = NULL;
        code = sqlite3_file_control(db, "main", which[i], &file);
        if (code == SQLITE_OK && file != NULL && file->pMethods != NULL) {
            code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
        }
    }
    return code;
}

enum err sqlite_maintain(struct store_reader *base)
{
    struct sqlite_reader *reader = reader_of(base);
    /* Relaxed: a commit that is not seen now is seen a second later. */
    uint64_t commits = atomic_load_explicit(&reader->store->commits, memory_order_relaxed);
    if (commits == reader->checkpointed) {
        return ERR_OK;
    }
    int in_log = 0;
    int moved = 0;
    atomic_store(&reader->store->checkpointing, true);
    int code = SQLITE_BUSY;
    if (!atomic_load(&reader->store->restart_due)) {
        code =
            sqlite3_wal_checkpoint_v2(reader->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    }
    /* Relaxed, as above. */
    bool more = atomic_load_explicit(&reader->store->commits, memory_order_relaxed) != commits;
    if (code == SQLITE_OK && more && moved >= reader->store->log_pages_max / 2) {
        code = sync_files(reader->db);
    }
    if (code == SQLITE_OK) {
        atomic_store(&reader->store->moved, moved);
    }
    atomic_store(&reader->store->checkpointing, false);
    if ((code & 0xff) == SQLITE_BUSY) {
        return ERR_OK; /* the journal is at it */
    }
    if (code == SQLITE_OK && in_log == moved) {
        reader->checkpointed = commits;
    }
    return sqlite_err(reader->db, code);
}
