/* What operators do to a store that no server uses: look at all of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/base64.h"
#include "signalbox/base/check.h"
#include "sqlite.h"

struct look {
    sqlite3 *db;
    sqlite3_stmt *purged; /* whether a session is being erased; NULL: an older store knows of none */
    void (*tell)(void *context, const char *problem);
    void *context;
    size_t problems;
};

static void found(struct look *look, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void found(struct look *look, const char *format, ...)
{
    if (look->problems++ >= STORE_PROBLEMS_MAX) {
        return;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    look->tell(look->context, text);
}

static const char *text_at(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL ? text : "";
}

/* Calls `row` for each row. A page that cannot be read is a problem that was found, not a failure
 * to look. */
static enum err each(struct look *look, const char *sql,
                     void (*row)(struct look *look, sqlite3_stmt *statement, void *context),
                     void *context)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(look->db, sql, -1, &statement, NULL);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            row(look, statement, context);
        }
    }
    enum err err = sqlite_err(look->db, code);
    if (err == ERR_CORRUPT) {
        found(look, "it cannot be read to its end: %s", sqlite_why(look->db));
        err = ERR_OK;
    }
    sqlite3_finalize(statement);
    return err;
}

/* Of one that is being erased some of the log and the blobs is still there, and the rest is not. */
static bool is_purged(const struct look *look, int64_t session)
{
    if (look->purged == NULL) {
        return false;
    }
    sqlite3_bind_int64(look->purged, 1, session);
    bool purged = sqlite3_step(look->purged) == SQLITE_ROW;
    sqlite3_reset(look->purged);
    return purged;
}

static void page_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    const char *text = text_at(statement, 0);
    if (strcmp(text, "ok") != 0) {
        found(look, "%s", text);
    }
}

#define SCHEMA_PARTS                                                                               \
    "SELECT type || ' ' || name AS part FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE" \
    " '~' UNION ALL SELECT 'column ' || m.name || '.' || c.name FROM sqlite_schema m,"             \
    " pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite~_%' ESCAPE "  \
    "'~'"

struct parts {
    sqlite3 *db; /* the store's */
    size_t missing;
    enum err err;
};

static void part_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    struct parts *parts = context;
    const char *part = text_at(statement, 0);
    char *there = NULL;
    enum err err = sqlite_text(
        parts->db, "SELECT part FROM (" SCHEMA_PARTS ") WHERE part = ?1", part, &there);
    free(there);
    if (err == ERR_NOENT) {
        found(look, "the schema lacks the %s", part);
        parts->missing++;
    } else if (err != ERR_OK) {
        parts->err = err;
    }
}

static void trigger_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    struct parts *parts = context;
    const char *name = text_at(statement, 0);
    char *there = NULL;
    enum err err = sqlite_text(parts->db, "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1",
                               name, &there);
    if (err == ERR_OK && strcmp(there, text_at(statement, 1)) != 0) {
        found(look, "the trigger %s is not the one that was made", name);
    } else if (err != ERR_OK && err != ERR_NOENT) { /* one that is missing was found already */
        parts->err = err;
    }
    free(there);
}

/* Compares with a new one in memory. */
static enum err look_at_schema(struct look *look, bool *whole)
{
    struct look model = *look;
    struct parts parts = {.db = look->db};
    enum err err = sqlite_connect(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &model.db);
    int64_t version = 0;
    if (err == ERR_OK) {
        err = sqlite_number(look->db, "PRAGMA user_version", &version);
    }
    if (err == ERR_OK) {
        err = sqlite_schema_create(model.db);
    }
    if (err == ERR_OK) { /* an older one is whole as it is: the next start upgrades it */
        err = sqlite_schema_upgrade(model.db, version);
    }
    if (err == ERR_OK) {
        err = each(&model, SCHEMA_PARTS, part_row, &parts);
    }
    if (err == ERR_OK) {
        err = each(&model, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'", trigger_row, &parts);
    }
    sqlite3_close_v2(model.db);
    look->problems = model.problems;
    *whole = parts.missing == 0;
    return err != ERR_OK ? err : parts.err;
}

/* An event of a log may cover a range of numbers, which ends at its own: then it says `from`. */
static const char events_in_order[] =
    "SELECT coalesce(s.id, 'with the key ' || e.session), e.session, e.seq,"
    " CASE WHEN json_valid(e.body) THEN coalesce(json_extract(e.body, '$.from'), e.seq) END,"
    " CASE WHEN json_valid(e.body) THEN json_extract(e.body, '$.seq') END, s.key IS NULL"
    " FROM events e LEFT JOIN sessions s ON s.key = e.session ORDER BY e.session, e.seq";

struct numbering {
    int64_t session, last;
    bool purged;
};

static void event_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    struct numbering *numbering = context;
    const char *name = text_at(statement, 0);
    int64_t session = sqlite3_column_int64(statement, 1);
    int64_t seq = sqlite3_column_int64(statement, 2);
    bool valid = sqlite3_column_type(statement, 3) != SQLITE_NULL;
    int64_t from = valid ? sqlite3_column_int64(statement, 3) : seq;
    if (session != numbering->session) {
        *numbering = (struct numbering){.session = session, .purged = is_purged(look, session)};
        if (sqlite3_column_int(statement, 5) != 0 && !numbering->purged) {
            found(look, "there are events of a session %s, which is not there", name);
        }
    }
    if (numbering->purged) {
        return;
    }
    if (!valid) {
        found(look, "session %s: event %lld is no JSON", name, (long long)seq);
    } else if (sqlite3_column_int64(statement, 4) != seq) {
        found(look, "session %s: event %lld says that it is number %lld", name, (long long)seq,
              (long long)sqlite3_column_int64(statement, 4));
    }
    if (from > numbering->last + 1) {
        found(look, "session %s: numbers %lld to %lld are missing", name,
              (long long)numbering->last + 1, (long long)from - 1);
    } else if (from <= numbering->last) {
        found(look, "session %s: event %lld covers number %lld a second time", name, (long long)seq,
              (long long)from);
    }
    numbering->last = seq;
}

static const char heads[] =
    "SELECT s.id, s.head, s.open_from, coalesce((SELECT max(seq) FROM events WHERE session ="
    " s.key), 0) AS last FROM sessions s WHERE s.head > last OR s.open_from > last";

static void head_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    long long last = sqlite3_column_int64(statement, 3);
    if (sqlite3_column_int64(statement, 1) > last) {
        found(look, "session %s: its row knows of event %lld, its log ends at %lld",
              text_at(statement, 0), (long long)sqlite3_column_int64(statement, 1), last);
    } else {
        found(look, "session %s: its row says that something is open since event %lld, its log ends at "
                    "%lld",
              text_at(statement, 0), (long long)sqlite3_column_int64(statement, 2), last);
    }
}

/* Of these the rest of the log may be fine by now, and its end tells of what was lost. */
static const char set_apart[] =
    "SELECT id FROM sessions WHERE CASE WHEN json_valid(agent_state) THEN json_extract(agent_state,"
    " '$.damaged') END";

static void set_apart_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    found(look, "session %s: its log was damaged when the server started, and it is set apart",
          text_at(statement, 0));
}

/* The parts of a blob are without holes, all but the last of one length, and as long together as it says. */
static const char blobs_in_parts[] =
    "SELECT coalesce(s.id, 'with the key ' || b.session), hex(b.name), b.bytes, s.key IS NULL,"
    " coalesce(sum(length(p.data)), 0), count(p.part), coalesce(max(p.part), -1), b.session FROM blobs b"
    " LEFT JOIN sessions s ON s.key = b.session LEFT JOIN blob_parts p ON p.blob = b.key"
    " GROUP BY b.key";

static void blob_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    const char *session = text_at(statement, 0);
    long long bytes = sqlite3_column_int64(statement, 2);
    long long there = sqlite3_column_int64(statement, 4);
    long long parts = sqlite3_column_int64(statement, 5);
    long long wanted = (bytes + SQLITE_BLOB_PART - 1) / SQLITE_BLOB_PART;
    if (is_purged(look, sqlite3_column_int64(statement, 7))) {
        return;
    }
    if (sqlite3_column_int(statement, 3) != 0) {
        found(look, "there is a blob of a session %s, which is not there", session);
    }
    if (there != bytes || parts != wanted || sqlite3_column_int64(statement, 6) != parts - 1) {
        found(look, "session %s: of the %lld bytes of a blob (%s) %lld are there, in %lld parts", session,
              bytes, text_at(statement, 1), there, parts);
    }
}

static const char parts_of_none[] =
    "SELECT count(*) FROM blob_parts WHERE blob NOT IN (SELECT key FROM blobs)";

static void lost_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    long long parts = sqlite3_column_int64(statement, 0);
    if (parts > 0) {
        found(look, "there are %lld parts of blobs that are not there", parts);
    }
}

/* What events refer to. Their `refs` alone say so: what is named in a prompt may be of any shape. */
static const char refs_in_events[] =
    "SELECT coalesce(s.id, 'with the key ' || e.session), e.session, e.seq,"
    " json_extract(r.value, '$.blob'), json_extract(r.value, '$.bytes')"
    " FROM events e LEFT JOIN sessions s ON s.key = e.session,"
    " json_each(CASE WHEN json_valid(e.body) THEN e.body END, '$.refs') r"
    " WHERE instr(e.body, '\"refs\":[') > 0";

static void ref_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    sqlite3_stmt *find = context;
    uint8_t name[DIGEST_SIZE];
    const char *session = text_at(statement, 0);
    long long seq = sqlite3_column_int64(statement, 2);
    bool there = base64url_read(text_at(statement, 3), name, sizeof(name));
    if (there) {
        sqlite3_bind_int64(find, 1, sqlite3_column_int64(statement, 1));
        sqlite3_bind_blob(find, 2, name, sizeof(name), SQLITE_STATIC);
        there = sqlite3_step(find) == SQLITE_ROW &&
                sqlite3_column_int64(find, 0) == sqlite3_column_int64(statement, 4);
        sqlite3_reset(find);
    }
    if (!there) {
        found(look, "session %s: event %lld refers to a blob (%s) that is not there, or of another length",
              session, seq, text_at(statement, 3));
    }
}

static enum err look_at_blobs(struct look *look)
{
    sqlite3_stmt *find = NULL;
    int64_t tables = 0;
    /* A store of an older version has none yet. */
    enum err err = sqlite_number(look->db, "SELECT count(*) FROM sqlite_schema WHERE name IN ('blobs', 'blob_parts')",
                                 &tables);
    if (err != ERR_OK || tables != 2) {
        return err;
    }
    err = each(look, blobs_in_parts, blob_row, NULL);
    if (err == ERR_OK) {
        err = each(look, parts_of_none, lost_row, NULL);
    }
    if (err == ERR_OK) {
        int code = sqlite3_prepare_v2(look->db, "SELECT bytes FROM blobs WHERE session = ?1 AND name = ?2", -1, &find,
                                      NULL);
        err = sqlite_err(look->db, code);
    }
    if (err == ERR_OK) {
        err = each(look, refs_in_events, ref_row, find);
    }
    sqlite3_finalize(find);
    return err;
}

/* Entries are only added, and a number is never given again: so none may be missing, between others or behind the last. */
static const char audit_counts[] =
    "SELECT count(*), coalesce(max(number), 0), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0)"
    " FROM audit";
static const char audit_texts[] =
    "SELECT number FROM audit WHERE (request IS NOT NULL AND NOT json_valid(request)) OR"
    " (rule IS NOT NULL AND NOT json_valid(rule))";

static void audit_count_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    long long count = sqlite3_column_int64(statement, 0);
    long long last = sqlite3_column_int64(statement, 1);
    long long given = sqlite3_column_int64(statement, 2);
    if (count != last || given != last) {
        found(look, "the audit has %lld entries of %lld", count, given > last ? given : last);
    }
}

static void audit_text_row(struct look *look, sqlite3_stmt *statement, void *context)
{
    (void)context;
    found(look, "entry %lld of the audit has a text that is no JSON", (long long)sqlite3_column_int64(statement, 0));
}

static enum err look_at_audit(struct look *look)
{
    int64_t tables = 0; /* an older store has none */
    enum err err = sqlite_number(look->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit'", &tables);
    if (err == ERR_OK && tables > 0) {
        err = each(look, audit_counts, audit_count_row, NULL);
    }
    if (err == ERR_OK && tables > 0) {
        err = each(look, audit_texts, audit_text_row, NULL);
    }
    return err;
}

static enum err prepare_purged(struct look *look)
{
    int64_t tables = 0;
    enum err err = sqlite_number(look->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'purges'", &tables);
    if (err == ERR_OK && tables > 0) {
        int code = sqlite3_prepare_v2(look->db, "SELECT 1 FROM purges WHERE session = ?1", -1, &look->purged, NULL);
        err = sqlite_err(look->db, code);
    }
    return err;
}

static enum err look_at_all(struct look *look)
{
    bool whole = false;
    struct numbering numbering = {0};
    enum err err = sqlite_run(look->db, "PRAGMA query_only = 1");
    if (err == ERR_OK) {
        err = prepare_purged(look);
    }
    if (err == ERR_OK) {
        err = each(look, "PRAGMA integrity_check(100)", page_row, NULL);
    }
    if (err == ERR_OK) {
        err = look_at_schema(look, &whole);
    }
    if (err == ERR_OK && whole) {
        err = each(look, events_in_order, event_row, &numbering);
    }
    if (err == ERR_OK && whole) {
        err = each(look, heads, head_row, NULL);
    }
    if (err == ERR_OK && whole) {
        err = each(look, set_apart, set_apart_row, NULL);
    }
    if (err == ERR_OK && whole) {
        err = look_at_audit(look);
    }
    if (err == ERR_OK && whole) {
        err = look_at_blobs(look);
    }
    return err;
}

enum err store_sqlite_check(const char *data_directory,
                            void (*tell)(void *context, const char *problem), void *context,
                            struct store_sizes *sizes, size_t *problems, char *why_text,
                            size_t why_size)
{
    struct sqlite_reason why = {why_text, why_size};
    struct sqlite_held held;
    enum err err = sqlite_hold(&held, data_directory, why);
    if (err != ERR_OK) {
        return err;
    }
    struct look look = {.db = held.db, .tell = tell, .context = context};
    if (!held.is_new) {
        err = look_at_all(&look);
        sqlite3_finalize(look.purged);
    }
    if (err == ERR_OK) {
        err = sqlite_measure(&held, sizes);
        if (err != ERR_OK && look.problems > 0) {
            err = ERR_OK; /* as far as it can be counted */
        }
    }
    if (err == ERR_OK) {
        *problems = look.problems;
    } else {
        err = sqlite_explain(held.path, err, sqlite_why(held.db), why);
    }
    sqlite_let_go(&held);
    return err;
}
