#include <string.h>

#include "signalbox/base/check.h"
#include "sqlite.h"

/* Of the write-ahead log, in pages of 4 KiB: */
enum {
    LOG_PAGES_MAX = 128 << 8,  /* from here on it is begun anew when little of it is left to be moved */
    LOG_LITTLE = 32,           /* "little" is such a part of the log; more than that is for maintenance, at once */
    LOG_LEFT_MAX = 16 << 8,    /* more than that is for maintenance, too, however long the log is */
    LOG_BEHIND = 4,            /* such a part more than LOG_PAGES_MAX: it does not come to little by itself */
    LOG_PAGES_FORCED = 2,      /* times LOG_PAGES_MAX: it is begun anew however much is left */
    LOG_PAGES_STEP = 4 << 8,   /* how much more before a RESTART that found readers is tried again */
};

#define SESSION_COLUMNS                                                                            \
    "id, agent, workspace, title, policy, phase, epoch, created_by, created_at, updated_at, "      \
    "head, "                                                                                       \
    "open_from, run, pending, oldest_pending_at, closed, live, queue, agent_state"

/* Rows are updated far more often than made, and an UPDATE does not touch AUTOINCREMENT's table. */
static const char *const sql[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_INSERT_EVENT] =
        "INSERT INTO events (session, seq, kind, ts, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_UPDATE_SESSION] = "UPDATE sessions SET (" SESSION_COLUMNS ") ="
                                 " (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                 "?16, ?17, ?18, ?19, ?20) WHERE key = ?1",
    [STATEMENT_INSERT_SESSION] = "INSERT INTO sessions (key, " SESSION_COLUMNS ") VALUES"
                                 " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
                                 "?15, ?16, ?17, ?18, ?19, ?20)",
    [STATEMENT_INSERT_BLOB] = "INSERT OR IGNORE INTO blobs (session, name, type, bytes, at) VALUES"
                              " (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_INSERT_PART] = "INSERT INTO blob_parts (blob, part, data) VALUES (?1, ?2, ?3)",
    [STATEMENT_PURGE] = "INSERT OR IGNORE INTO purges (session) VALUES (?1)",
    [STATEMENT_NEXT_PURGE] = "SELECT session FROM purges ORDER BY session LIMIT 1",
    [STATEMENT_PURGE_EVENTS] = "SELECT seq, body FROM events WHERE session = ?1 ORDER BY seq",
    [STATEMENT_PURGE_BLOBS] = "SELECT key FROM blobs WHERE session = ?1 LIMIT 1",
    [STATEMENT_PURGE_PARTS] = "DELETE FROM blob_parts WHERE rowid IN"
                              " (SELECT rowid FROM blob_parts WHERE blob = ?1 LIMIT ?2)",
    [STATEMENT_PURGE_BLOB] = "DELETE FROM blobs WHERE key = ?1",
    [STATEMENT_PURGED] = "DELETE FROM purges WHERE session = ?1",
    [STATEMENT_DELETE_SESSION] = "DELETE FROM sessions WHERE key = ?1",
    [STATEMENT_INSERT_ANSWER] = "INSERT OR REPLACE INTO answers (name, body, at, code, message,"
                                " fields) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_EXPIRE_ANSWERS] = "DELETE FROM answers WHERE rowid IN"
                                 " (SELECT rowid FROM answers WHERE at < ?1 ORDER BY at LIMIT ?2)",
    [STATEMENT_TURN_ENDED] = "INSERT INTO folds (session, upto, due) VALUES (?1, 0, ?2)"
                             " ON CONFLICT (session) DO UPDATE SET due = coalesce(due, excluded.due)",
    [STATEMENT_FOLD_EVENT] = "UPDATE events SET body = ?3 WHERE session = ?1 AND seq = ?2",
    [STATEMENT_FOLD_RANGE] = "DELETE FROM events WHERE session = ?1 AND seq BETWEEN ?2 AND ?3",
    [STATEMENT_FOLDED] = "UPDATE folds SET upto = ?2, due = (SELECT ts FROM events WHERE session = ?1"
                         " AND seq > ?2 AND kind = 'complete' ORDER BY seq LIMIT 1)"
                         " WHERE session = ?1",
    [STATEMENT_DELETE_FOLD] = "DELETE FROM folds WHERE session = ?1",
    [STATEMENT_INSERT_RULE] =
        "INSERT INTO rules (session, created_at, expires_at, id, user, scope, session_id,"
        " workspace, matches, command, tool_kind, path, label, request_id) VALUES"
        " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STATEMENT_DELETE_RULE] = "DELETE FROM rules WHERE id = ?1",
    [STATEMENT_DELETE_SESSION_RULES] = "DELETE FROM rules WHERE session = ?1",
    [STATEMENT_INSERT_AUDIT] =
        "INSERT INTO audit (at, always_allow, action, session_id, workspace, agent, request_id,"
        " outcome, option_id, decided_by, user, rule_id, policy, policy_before, reason, message,"
        " made_rule_id, rule, address, client_id, transport, command_id, request) VALUES"
        " (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,"
        " ?20, ?21, ?22, ?23)",
};

enum err sqlite_append_prepare(struct sqlite_store *store)
{
    store->log_pages_max = store->restart_pages = LOG_PAGES_MAX;
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int code = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &store->statements[i], NULL);
        if (code != SQLITE_OK) {
            /* The schema's number is ours, so a missing column is damage. */
            return (code & 0xff) == SQLITE_ERROR ? ERR_CORRUPT : sqlite_err(store->db, code);
        }
    }
    return ERR_OK;
}

void sqlite_append_finish(struct sqlite_store *store)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
}

static int write_event(struct sqlite_store *store, const struct store_write *write)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INSERT_EVENT];
    int code = sqlite3_bind_int64(statement, 1, write->session_key);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)write->seq));
    sqlite_also(&code, sqlite_bind(statement, 3, write->event_kind));
    sqlite_also(&code, sqlite3_bind_int64(statement, 4, write->ts));
    sqlite_also(&code, sqlite3_bind_text64(statement, 5, write->json, write->json_length, SQLITE_STATIC,
                                    SQLITE_UTF8));
    sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(statement) : code);
    if (code == SQLITE_OK && strcmp(write->event_kind, "complete") == 0) {
        statement = store->statements[STATEMENT_TURN_ENDED];
        code = sqlite3_bind_int64(statement, 1, write->session_key);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, write->ts));
        sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(statement) : code);
    }
    return code;
}

static int write_row(sqlite3_stmt *statement, const struct session_row *row)
{
    int code = sqlite3_bind_int64(statement, 1, row->key);
    sqlite_also(&code, sqlite_bind(statement, 2, row->id));
    sqlite_also(&code, sqlite_bind(statement, 3, row->agent));
    sqlite_also(&code, sqlite_bind(statement, 4, row->workspace));
    sqlite_also(&code, sqlite_bind(statement, 5, row->title));
    sqlite_also(&code, sqlite_bind(statement, 6, row->policy));
    sqlite_also(&code, sqlite_bind(statement, 7, row->phase));
    sqlite_also(&code, sqlite_bind(statement, 8, row->epoch));
    sqlite_also(&code, sqlite_bind(statement, 9, row->created_by));
    sqlite_also(&code, sqlite3_bind_int64(statement, 10, row->created_at));
    sqlite_also(&code, sqlite3_bind_int64(statement, 11, row->updated_at));
    sqlite_also(&code, sqlite3_bind_int64(statement, 12, (int64_t)row->head));
    sqlite_also(&code, sqlite3_bind_int64(statement, 13, (int64_t)row->open_from));
    sqlite_also(&code, sqlite3_bind_int64(statement, 14, (int64_t)row->run));
    sqlite_also(&code, sqlite3_bind_int64(statement, 15, row->pending));
    sqlite_also(&code, sqlite3_bind_int64(statement, 16, row->oldest_pending_at));
    sqlite_also(&code, sqlite3_bind_int(statement, 17, row->closed));
    sqlite_also(&code, sqlite3_bind_int(statement, 18, session_row_live(row)));
    sqlite_also(&code, sqlite_bind(statement, 19, row->queue));
    sqlite_also(&code, sqlite_bind(statement, 20, row->agent_state));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int write_session(struct sqlite_store *store, const struct session_row *row)
{
    int code = write_row(store->statements[STATEMENT_UPDATE_SESSION], row);
    if (code == SQLITE_OK && sqlite3_changes(store->db) == 0) {
        code = write_row(store->statements[STATEMENT_INSERT_SESSION], row);
    }
    return code;
}

static int write_answer(struct sqlite_store *store, const struct stored_answer *answer)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INSERT_ANSWER];
    int code =
        sqlite3_bind_blob(statement, 1, answer->name.bytes, sizeof(answer->name), SQLITE_STATIC);
    sqlite_also(&code,
         sqlite3_bind_blob(statement, 2, answer->body.bytes, sizeof(answer->body), SQLITE_STATIC));
    sqlite_also(&code, sqlite3_bind_int64(statement, 3, answer->at));
    sqlite_also(&code, sqlite_bind(statement, 4, answer->code));
    sqlite_also(&code, sqlite_bind(statement, 5, answer->message));
    sqlite_also(&code, sqlite_bind(statement, 6, answer->fields));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int expire_answers(struct sqlite_store *store, int64_t before, uint32_t limit)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_EXPIRE_ANSWERS];
    int code = sqlite3_bind_int64(statement, 1, before);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, limit));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int bind_texts(sqlite3_stmt *statement, int at, const char *const *texts, size_t count)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < count; i++) {
        sqlite_also(&code, sqlite_bind(statement, at + (int)i, texts[i]));
    }
    return code;
}

static int write_rule(struct sqlite_store *store, const struct stored_rule *rule)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INSERT_RULE];
    const char *const texts[] = {
        rule->id,      rule->user,      rule->scope, rule->session_id, rule->workspace, rule->match,
        rule->command, rule->tool_kind, rule->path,  rule->label,      rule->request_id,
    };
    int code = sqlite3_bind_int64(statement, 1, rule->session_key);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, rule->created_at));
    sqlite_also(&code, sqlite3_bind_int64(statement, 3, rule->expires_at));
    sqlite_also(&code, bind_texts(statement, 4, texts, array_size(texts)));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int remove_rule(struct sqlite_store *store, const char *id)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_DELETE_RULE];
    int code = sqlite_bind(statement, 1, id);
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int write_audit(struct sqlite_store *store, const struct audit_entry *entry)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INSERT_AUDIT];
    const char *const texts[] = {
        entry->action,       entry->session_id, entry->workspace, entry->agent,
        entry->request_id,   entry->outcome,    entry->option_id, entry->by,
        entry->user,         entry->rule_id,    entry->policy,    entry->policy_before,
        entry->reason,       entry->message,    entry->made_rule_id, entry->rule,
        entry->address,      entry->client_id,  entry->transport, entry->command_id,
        entry->request,
    };
    int code = sqlite3_bind_int64(statement, 1, entry->at);
    sqlite_also(&code, sqlite3_bind_int(statement, 2, entry->always_allow));
    sqlite_also(&code, bind_texts(statement, 3, texts, array_size(texts)));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

static int write_one(struct sqlite_store *store, const struct store_write *write)
{
    switch (write->kind) {
    case STORE_EVENT:
        return write_event(store, write);
    case STORE_SESSION:
        return write_session(store, write->row);
    case STORE_BLOB:
        return sqlite_write_blob(store, write->session_key, &write->blob);
    case STORE_PURGE:
        return sqlite_purge(store, write->session_key);
    case STORE_ANSWER:
        return write_answer(store, write->answer);
    case STORE_EXPIRE:
        return expire_answers(store, write->before, write->limit);
    case STORE_RULE:
        return write_rule(store, write->rule);
    case STORE_RULE_REMOVE:
        return remove_rule(store, write->rule_id);
    case STORE_AUDIT:
        return write_audit(store, write->audit);
    }
    return SQLITE_MISUSE;
}

/*
 * Under a load that never pauses the checkpoints of maintenance never reach the log's end, so it
 * grows. Then this thread moves what is left (little, since maintenance did the rest) while nothing
 * is being written, and the next group begins the log anew. It is no part of the group: a failure
 * only puts it off. A checkpoint of maintenance that is under way is let end first, so that little
 * is left; new readers need the log no more once all of it is moved, so those in it are few.
 */
static void restart_log(struct sqlite_store *store)
{
    atomic_store(&store->restart_due, true);
    if (atomic_load(&store->checkpointing)) {
        return;
    }
    sqlite3_busy_timeout(store->db, SQLITE_RESTART_BUSY_MS);
    int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite3_busy_timeout(store->db, SQLITE_BUSY_MS);
    atomic_store(&store->restart_due, false);
    if (code == SQLITE_OK) {
        store->restart_pages = store->log_pages_max;
        store->log_pages = 0; /* the next commit is its first */
        atomic_store(&store->moved, 0);
        return;
    }
    store->restart_pages = store->log_pages + LOG_PAGES_STEP;
    uint32_t left_out;
    if (log_limit_pass(&store->restart_limit, 6, &left_out)) {
        log_warn("store log not restarted", "pages", "%d", store->log_pages, "reason", "%s",
                 sqlite_why(store->db), NULL);
    }
}

static bool keep_log_short(struct sqlite_store *store)
{
    if (store->log_pages < store->log_pages_max) {
        store->restart_pages = store->log_pages_max; /* it began anew by itself */
    }
    /* What maintenance says may be of the log before this one, which only puts its next turn off. */
    int moved = atomic_load(&store->moved);
    int left = store->log_pages - (moved <= store->log_pages ? moved : 0);
    bool is_long = store->log_pages >= store->restart_pages;
    bool is_little = left <= store->log_pages / LOG_LITTLE;
    if (left > LOG_LEFT_MAX || (is_long && !is_little)) {
        store_call_keeper(&store->store);
    }
    if (is_long && (is_little || store->log_pages >= LOG_PAGES_FORCED * store->log_pages_max)) {
        restart_log(store);
    } else {
        atomic_store(&store->restart_due, false);
    }
    return !is_little && store->log_pages >= store->log_pages_max + store->log_pages_max / LOG_BEHIND;
}

static int write_all(struct sqlite_store *store, const struct store_write *writes)
{
    int code = SQLITE_OK;
    for (const struct store_write *write = writes; write != NULL && code == SQLITE_OK;
         write = write->next) {
        code = write_one(store, write);
    }
    return code;
}

enum err sqlite_commit(struct sqlite_store *store, int code)
{
    sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(store->statements[STATEMENT_COMMIT]) : code);
    if (code != SQLITE_OK) {
        enum err err = sqlite_err(store->db, code);
        /* A full disk may have rolled it back already. */
        if (sqlite3_get_autocommit(store->db) == 0) {
            (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        }
        return err;
    }
    atomic_fetch_add_explicit(&store->commits, 1, memory_order_relaxed);
    (void)keep_log_short(store);
    return ERR_OK;
}

enum err sqlite_append(struct store *base, const struct store_write *writes)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    int code = sqlite_finish(store->statements[STATEMENT_BEGIN]);
    if (code != SQLITE_OK) {
        return sqlite_err(store->db, code);
    }
    return sqlite_commit(store, write_all(store, writes));
}

bool sqlite_is_behind(struct store *base)
{
    return keep_log_short(container_of(base, struct sqlite_store, store));
}

/* Rows keep their place (rowid), so that events stay in the order of their commit. */
static int fold_rows(struct sqlite_store *store, const struct store_fold *fold)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < fold->gone_count && code == SQLITE_OK; i++) {
        sqlite3_stmt *statement = store->statements[STATEMENT_FOLD_RANGE];
        code = sqlite3_bind_int64(statement, 1, fold->session_key);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)fold->gone[i].from));
        sqlite_also(&code, sqlite3_bind_int64(statement, 3, (int64_t)fold->gone[i].to));
        sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(statement) : code);
    }
    for (size_t i = 0; i < fold->event_count && code == SQLITE_OK; i++) {
        const struct store_fold_event *event = &fold->events[i];
        sqlite3_stmt *statement = store->statements[STATEMENT_FOLD_EVENT];
        code = sqlite3_bind_int64(statement, 1, fold->session_key);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)event->seq));
        sqlite_also(&code, sqlite3_bind_text64(statement, 3, event->json, event->json_length,
                                        SQLITE_STATIC, SQLITE_UTF8));
        sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(statement) : code);
    }
    if (fold->done_to > 0 && code == SQLITE_OK) {
        sqlite3_stmt *statement = store->statements[STATEMENT_FOLDED];
        code = sqlite3_bind_int64(statement, 1, fold->session_key);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)fold->done_to));
        sqlite_also(&code, code == SQLITE_OK ? sqlite_finish(statement) : code);
    }
    return code;
}

enum err sqlite_fold(struct store *base, const struct store_fold *fold)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    int code = sqlite_finish(store->statements[STATEMENT_BEGIN]);
    if (code != SQLITE_OK) {
        return sqlite_err(store->db, code);
    }
    return sqlite_commit(store, fold_rows(store, fold));
}
