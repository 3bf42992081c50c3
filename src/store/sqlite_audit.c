/* Reading rules and the audit. */
#include "signalbox/base/check.h"
#include "sqlite.h"

/*
 * One transaction looks at this many numbers of the audit, and lends so many entries and bytes: a longer one would hold
 * back checkpoints, and what a filter leaves out takes its time as well.
 */
enum { STEP_NUMBERS = 4096, STEP_ENTRIES = 256, STEP_BYTES = 256 << 10, STEP_RULES = 256 };

#define AUDIT_COLUMNS                                                                              \
    "number, at, always_allow, action, session_id, workspace, agent, request_id, outcome, "        \
    "option_id, decided_by, user, rule_id, policy, policy_before, reason, message, "               \
    "made_rule_id, rule, address, client_id, transport, command_id, request"
#define AUDIT_WHERE                                                                                \
    " number BETWEEN ?1 AND ?2 AND (?5 IS NULL OR outcome = ?5) AND at >= ?6 AND at < ?7"
/* `from` says by which way the entries are found, which the planner would guess at. */
#define AUDIT_SELECT(from, order)                                                                  \
    "SELECT " AUDIT_COLUMNS " FROM audit " from AUDIT_WHERE " ORDER BY number " order
#define ALL     "NOT INDEXED WHERE (?3 IS NULL OR session_id = ?3) AND (?4 IS NULL OR user = ?4) AND"
#define SESSION "INDEXED BY audit_by_session WHERE session_id = ?3 AND (?4 IS NULL OR user = ?4) AND"
#define USER    "INDEXED BY audit_by_user WHERE user = ?4 AND (?3 IS NULL OR session_id = ?3) AND"

static const char *const sql[AUDIT_STATEMENT_COUNT] = {
    [AUDIT_RULES] =
        "SELECT key, session, created_at, expires_at, id, user, scope, session_id, workspace,"
        " matches, command, tool_kind, path, label, request_id FROM rules WHERE key > ?1 AND"
        " (?3 IS NULL OR user = ?3) AND (?4 IS NULL OR session_id = ?4) AND"
        " (?5 IS NULL OR workspace = ?5) ORDER BY key LIMIT ?2",
    [AUDIT_LAST] = "SELECT coalesce(max(number), 0) FROM audit",
    [AUDIT_SPAN] = "SELECT min(number), max(number) FROM audit INDEXED BY audit_by_time"
                   " WHERE at >= ?1 AND at < ?2",
    [AUDIT_PAGE] = AUDIT_SELECT(ALL, "ASC"),
    [AUDIT_PAGE + 1] = AUDIT_SELECT(ALL, "DESC"),
    [AUDIT_PAGE + 2] = AUDIT_SELECT(SESSION, "ASC"),
    [AUDIT_PAGE + 3] = AUDIT_SELECT(SESSION, "DESC"),
    [AUDIT_PAGE + 4] = AUDIT_SELECT(USER, "ASC"),
    [AUDIT_PAGE + 5] = AUDIT_SELECT(USER, "DESC"),
};

static struct sqlite_reader *reader_of(struct store_reader *reader)
{
    return container_of(reader, struct sqlite_reader, reader);
}

enum err sqlite_audit_prepare(struct sqlite_reader *reader)
{
    enum err err = ERR_OK;
    for (size_t i = 0; i < AUDIT_STATEMENT_COUNT && err == ERR_OK; i++) {
        err = sqlite_err(reader->db,
                         sqlite3_prepare_v3(reader->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                            &reader->audit[i], NULL));
    }
    return err;
}

void sqlite_audit_finish(struct sqlite_reader *reader)
{
    for (size_t i = 0; i < AUDIT_STATEMENT_COUNT; i++) {
        sqlite3_finalize(reader->audit[i]);
    }
}

/* Texts of a row, from column `at` on; they are the statement's, until the next step. */
static bool text_columns(sqlite3_stmt *statement, int at, char **const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!sqlite_text_column(statement, at + (int)i, texts[i])) {
            return false;
        }
    }
    return true;
}

static bool rule_columns(sqlite3_stmt *statement, struct stored_rule *rule)
{
    *rule = (struct stored_rule){
        .key = sqlite3_column_int64(statement, 0),
        .session_key = sqlite3_column_int64(statement, 1),
        .created_at = sqlite3_column_int64(statement, 2),
        .expires_at = sqlite3_column_int64(statement, 3),
    };
    char **const texts[] = {
        &rule->id,      &rule->user,      &rule->scope, &rule->session_id, &rule->workspace, &rule->match,
        &rule->command, &rule->tool_kind, &rule->path,  &rule->label,      &rule->request_id,
    };
    return text_columns(statement, 4, texts, array_size(texts));
}

enum err sqlite_list_rules(struct store_reader *base, int64_t after_key, size_t limit,
                           const struct rule_filter *filter, store_rule_visit *visit, void *context)
{
    static const struct rule_filter all = {0};
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt *statement = reader->audit[AUDIT_RULES];
    filter = filter != NULL ? filter : &all;
    int code = SQLITE_ROW; /* the step was full, and there may be more */
    bool wanted = true;
    while (wanted && limit > 0 && code == SQLITE_ROW) {
        size_t step = limit < STEP_RULES ? limit : STEP_RULES;
        code = sqlite3_bind_int64(statement, 1, after_key);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)step));
        sqlite_also(&code, sqlite_bind(statement, 3, filter->user));
        sqlite_also(&code, sqlite_bind(statement, 4, filter->session_id));
        sqlite_also(&code, sqlite_bind(statement, 5, filter->workspace));
        for (size_t rows = 0; wanted && rows < step && (code == SQLITE_OK || code == SQLITE_ROW); rows++) {
            code = sqlite3_step(statement);
            if (code != SQLITE_ROW) {
                break;
            }
            struct stored_rule rule;
            if (!rule_columns(statement, &rule)) {
                code = SQLITE_NOMEM;
                break;
            }
            after_key = rule.key;
            limit--;
            wanted = visit(context, &rule);
        }
        sqlite3_reset(statement);
    }
    return sqlite_err(reader->db, code);
}

static bool entry_columns(sqlite3_stmt *statement, struct audit_entry *entry)
{
    *entry = (struct audit_entry){
        .number = sqlite3_column_int64(statement, 0),
        .at = sqlite3_column_int64(statement, 1),
        .always_allow = sqlite3_column_int(statement, 2) != 0,
    };
    char **const texts[] = {
        &entry->action,     &entry->session_id, &entry->workspace,    &entry->agent,
        &entry->request_id, &entry->outcome,    &entry->option_id,    &entry->by,
        &entry->user,       &entry->rule_id,    &entry->policy,       &entry->policy_before,
        &entry->reason,     &entry->message,    &entry->made_rule_id, &entry->rule,
        &entry->address,    &entry->client_id,  &entry->transport,    &entry->command_id,
        &entry->request,
    };
    return text_columns(statement, 3, texts, array_size(texts));
}

/* Numbers that are still to be looked at, both included. */
struct span {
    int64_t first, last;
};

/*
 * Numbers follow the commits, and time mostly does, but a clock can be set: so the span of a time is looked up, from an
 * index that has nothing else in it. The bound behind a page is known to lie behind the rest of the list as well.
 */
static enum err narrow(struct sqlite_reader *reader, const struct audit_filter *filter, bool first_page,
                       bool newest_first, struct span *span)
{
    bool bounded_ahead = newest_first ? filter->since != 0 : filter->until != 0;
    bool bounded_behind = newest_first ? filter->until != 0 : filter->since != 0;
    if (!bounded_ahead && !(bounded_behind && first_page)) {
        return ERR_OK;
    }
    sqlite3_stmt *statement = reader->audit[AUDIT_SPAN];
    int code = sqlite3_bind_int64(statement, 1, filter->since != 0 ? filter->since : INT64_MIN);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, filter->until != 0 ? filter->until : INT64_MAX));
    sqlite_also(&code, code == SQLITE_OK ? sqlite3_step(statement) : code);
    enum err err = sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(statement, 0); /* 0 and 0: there is none */
        int64_t last = sqlite3_column_int64(statement, 1);
        span->first = first > span->first ? first : span->first;
        span->last = last < span->last ? last : span->last;
    }
    sqlite3_reset(statement);
    return err;
}

static enum err last_number(struct sqlite_reader *reader, int64_t *out)
{
    sqlite3_stmt *statement = reader->audit[AUDIT_LAST];
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return sqlite_err(reader->db, code);
}

struct walk {
    struct span rest;
    bool newest_first, wanted;
    size_t limit;
    store_audit_visit *visit;
    void *context;
};

static size_t bytes_of(sqlite3_stmt *statement)
{
    size_t bytes = 0;
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        bytes += (size_t)sqlite3_column_bytes(statement, i);
    }
    return bytes;
}

/* What is left once everything up to `number` in the walk's order was looked at. */
static void walked(struct walk *walk, int64_t number)
{
    if (walk->newest_first) {
        walk->rest.last = number - 1;
    } else {
        walk->rest.first = number + 1;
    }
}

/* One transaction. Its numbers are bound. */
static int step(sqlite3_stmt *statement, struct walk *walk, int64_t end)
{
    size_t entries = 0;
    size_t bytes = 0;
    int code = SQLITE_ROW;
    while (walk->wanted && walk->limit > 0 && entries < STEP_ENTRIES && bytes < STEP_BYTES) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            break;
        }
        struct audit_entry entry;
        if (!entry_columns(statement, &entry)) {
            code = SQLITE_NOMEM;
            break;
        }
        bytes += bytes_of(statement);
        entries++;
        walk->limit--;
        walk->wanted = walk->visit(walk->context, &entry);
        walked(walk, entry.number);
    }
    if (code == SQLITE_DONE) {
        walked(walk, end);
    }
    return code;
}

enum err sqlite_list_audit(struct store_reader *base, int64_t after, bool newest_first, size_t limit,
                           const struct audit_filter *filter, store_audit_visit *visit, void *context)
{
    static const struct audit_filter all = {0};
    struct sqlite_reader *reader = reader_of(base);
    filter = filter != NULL ? filter : &all;
    struct walk walk = {.rest = {.first = 1}, .newest_first = newest_first, .wanted = true, .limit = limit,
                        .visit = visit, .context = context};
    enum err err = last_number(reader, &walk.rest.last);
    if (err == ERR_OK && after > 0) {
        if (newest_first && after <= walk.rest.last) {
            walk.rest.last = after - 1;
        } else if (!newest_first) {
            walk.rest.first = after < INT64_MAX ? after + 1 : after;
        }
    }
    if (err == ERR_OK) {
        err = narrow(reader, filter, after == 0, newest_first, &walk.rest);
    }
    int by = filter->session_id != NULL ? 2 : filter->user != NULL ? 4 : 0;
    sqlite3_stmt *statement = reader->audit[AUDIT_PAGE + by + newest_first];
    while (err == ERR_OK && walk.wanted && walk.limit > 0 && walk.rest.first <= walk.rest.last) {
        struct span now = walk.rest;
        if (now.last - now.first >= STEP_NUMBERS && newest_first) {
            now.first = now.last - STEP_NUMBERS + 1;
        } else if (now.last - now.first >= STEP_NUMBERS) {
            now.last = now.first + STEP_NUMBERS - 1;
        }
        int code = sqlite3_bind_int64(statement, 1, now.first);
        sqlite_also(&code, sqlite3_bind_int64(statement, 2, now.last));
        sqlite_also(&code, sqlite_bind(statement, 3, filter->session_id));
        sqlite_also(&code, sqlite_bind(statement, 4, filter->user));
        sqlite_also(&code, sqlite_bind(statement, 5, filter->outcome));
        sqlite_also(&code, sqlite3_bind_int64(statement, 6, filter->since != 0 ? filter->since : INT64_MIN));
        sqlite_also(&code, sqlite3_bind_int64(statement, 7, filter->until != 0 ? filter->until : INT64_MAX));
        if (code == SQLITE_OK) {
            code = step(statement, &walk, newest_first ? now.first : now.last);
        }
        err = sqlite_err(reader->db, code);
        sqlite3_reset(statement);
    }
    return err;
}
