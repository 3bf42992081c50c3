#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/fd.h"
#include "signalbox/base/id.h"
#include "sqlite.h"

/*
 * Events are in the order in which they were committed, not clustered by session: appending to a
 * clustered table costs three times as much. AUTOINCREMENT keeps the key of a purged session from
 * being given again. `live` is what session_row_live says, so that a start looks at those few
 * sessions only.
 */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE events ("
    " session INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " ts INTEGER NOT NULL,"
    " body TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_by_number ON events (session, seq);"
    "CREATE TABLE sessions ("
    " key INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " agent TEXT,"
    " workspace TEXT,"
    " title TEXT,"
    " policy TEXT,"
    " phase TEXT,"
    " epoch TEXT,"
    " created_by TEXT,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " head INTEGER NOT NULL,"
    " open_from INTEGER NOT NULL,"
    " run INTEGER NOT NULL,"
    " pending INTEGER NOT NULL,"
    " oldest_pending_at INTEGER NOT NULL,"
    " closed INTEGER NOT NULL,"
    " live INTEGER NOT NULL,"
    " queue TEXT,"
    " agent_state TEXT);"
    "CREATE INDEX sessions_by_change ON sessions (updated_at, key);"
    "CREATE INDEX sessions_open_by_change ON sessions (updated_at, key) WHERE closed = 0;"
    "CREATE INDEX sessions_live ON sessions (key) WHERE live = 1;"
    "PRAGMA application_id = 0x53676278;"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/*
 * What brings a file of version N to N + 1, at [N]. A new file takes the same way, so both end alike.
 *
 * 1: Answers stand in the order in which they were given, which is the order in which they are
 * removed; a start reads all names of a day from answers_by_age alone.
 *
 * 2: Rules are few, all are read at a start, so they have no index but their id's.
 *
 * The audit is read by number, and may be asked for one session, one user, or a time: each of these
 * indexes also has the number, so that a page comes in order without a sort, and a time finds its
 * first and last number without the entries. Outcomes are four words; an index would not pick out
 * much. `request` stands last, since it is the long one: what is filtered out does not read it.
 * AUTOINCREMENT keeps a number from being given again, so that entries which somebody took out of
 * the file leave a hole. The triggers also hold for whoever opens the file with another program.
 * REPLACE deletes without telling a trigger of deletions, so one looks at insertions; it sees a
 * number that is not given as one below zero, which the CHECK keeps free.
 *
 * 3: A blob's bytes are in rows of SQLITE_BLOB_PART bytes, so that reading a piece of a large one
 * reads those rows only.
 *
 * 4: Of a session whose turns end, how far its log is folded, and when the first turn behind that
 * ended (NULL: there is none).
 *
 * 5: Sessions that are erased, of whose log or blobs something is left.
 */
static const char *const upgrades[SQLITE_SCHEMA_VERSION] = {
    [1] = "BEGIN IMMEDIATE;"
          "CREATE TABLE answers ("
          " name BLOB NOT NULL,"
          " body BLOB NOT NULL,"
          " at INTEGER NOT NULL,"
          " code TEXT NOT NULL,"
          " message TEXT,"
          " fields TEXT);"
          "CREATE UNIQUE INDEX answers_by_name ON answers (name);"
          "CREATE INDEX answers_by_age ON answers (at, name);"
          "PRAGMA user_version = 2;"
          "COMMIT;",
    [2] = "BEGIN IMMEDIATE;"
          "CREATE TABLE rules ("
          " key INTEGER PRIMARY KEY AUTOINCREMENT,"
          " id TEXT NOT NULL UNIQUE,"
          " user TEXT,"
          " scope TEXT,"
          " session INTEGER NOT NULL,"
          " session_id TEXT,"
          " workspace TEXT,"
          " matches TEXT,"
          " command TEXT,"
          " tool_kind TEXT,"
          " path TEXT,"
          " label TEXT,"
          " created_at INTEGER NOT NULL,"
          " expires_at INTEGER NOT NULL,"
          " request_id TEXT);"
          "CREATE TABLE audit ("
          " number INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number > 0),"
          " at INTEGER NOT NULL,"
          " action TEXT NOT NULL,"
          " session_id TEXT,"
          " workspace TEXT,"
          " agent TEXT,"
          " request_id TEXT,"
          " outcome TEXT,"
          " option_id TEXT,"
          " always_allow INTEGER NOT NULL,"
          " decided_by TEXT,"
          " user TEXT,"
          " rule_id TEXT,"
          " policy TEXT,"
          " policy_before TEXT,"
          " reason TEXT,"
          " message TEXT,"
          " made_rule_id TEXT,"
          " rule TEXT,"
          " address TEXT,"
          " client_id TEXT,"
          " transport TEXT,"
          " command_id TEXT,"
          " request TEXT);"
          "CREATE INDEX audit_by_session ON audit (session_id);"
          "CREATE INDEX audit_by_user ON audit (user);"
          "CREATE INDEX audit_by_time ON audit (at);"
          "CREATE TRIGGER audit_refuses_update BEFORE UPDATE ON audit BEGIN"
          " SELECT RAISE(ABORT, 'the audit is append-only'); END;"
          "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit BEGIN"
          " SELECT RAISE(ABORT, 'the audit is append-only'); END;"
          "CREATE TRIGGER audit_refuses_replace BEFORE INSERT ON audit"
          " WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number) BEGIN"
          " SELECT RAISE(ABORT, 'the audit is append-only'); END;"
          "PRAGMA user_version = 3;"
          "COMMIT;",
    [3] = "BEGIN IMMEDIATE;"
          "CREATE TABLE blobs ("
          " key INTEGER PRIMARY KEY,"
          " session INTEGER NOT NULL,"
          " name BLOB NOT NULL,"
          " type TEXT NOT NULL,"
          " bytes INTEGER NOT NULL,"
          " at INTEGER NOT NULL);"
          "CREATE UNIQUE INDEX blobs_by_name ON blobs (session, name);"
          "CREATE TABLE blob_parts ("
          " blob INTEGER NOT NULL,"
          " part INTEGER NOT NULL,"
          " data BLOB NOT NULL);"
          "CREATE UNIQUE INDEX blob_parts_by_number ON blob_parts (blob, part);"
          "PRAGMA user_version = 4;"
          "COMMIT;",
    [4] = "BEGIN IMMEDIATE;"
          "CREATE INDEX events_turns ON events (session, seq)"
          " WHERE kind = 'turn_started' OR kind = 'complete';"
          "CREATE TABLE folds ("
          " session INTEGER PRIMARY KEY,"
          " upto INTEGER NOT NULL,"
          " due INTEGER);"
          "CREATE INDEX folds_due ON folds (due) WHERE due IS NOT NULL;"
          "INSERT INTO folds SELECT session, 0, min(ts) FROM events WHERE kind = 'complete'"
          " GROUP BY session;"
          "PRAGMA user_version = 5;"
          "COMMIT;",
    [5] = "BEGIN IMMEDIATE;"
          "CREATE TABLE purges (session INTEGER PRIMARY KEY);"
          "PRAGMA user_version = 6;"
          "COMMIT;",
};

_Static_assert(SQLITE_APPLICATION == 0x53676278 && SQLITE_SCHEMA_VERSION == 6,
               "the numbers in the texts above");

enum err sqlite_schema_identify(sqlite3 *db, bool *is_new, char *why, size_t why_size)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;
    enum err err = sqlite_number(db, "PRAGMA application_id", &application);
    if (err == ERR_OK) {
        err = sqlite_number(db, "PRAGMA user_version", &version);
    }
    if (err == ERR_OK) {
        err = sqlite_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (err != ERR_OK) {
        snprintf(why, why_size, "%s", sqlite_why(db));
        return err;
    }
    /* A server that was killed between making the file and making its tables leaves an empty
     * database. */
    *is_new = application == 0 && version == 0 && tables == 0;
    if (*is_new) {
        return ERR_OK;
    }
    if (application != SQLITE_APPLICATION) {
        snprintf(why, why_size, "it is a database of another program");
        return ERR_CORRUPT;
    }
    if (version > SQLITE_SCHEMA_VERSION) {
        snprintf(why, why_size,
                 "it was written by a newer signalbox (schema %lld, this one knows %d)",
                 (long long)version, SQLITE_SCHEMA_VERSION);
        return ERR_UNSUPPORTED;
    }
    if (version < 1) {
        snprintf(why, why_size, "its schema has the unknown version %lld", (long long)version);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

/* Statements from BEGIN to COMMIT. */
static enum err run_whole(sqlite3 *db, const char *sql)
{
    enum err err = sqlite_run(db, sql);
    if (err != ERR_OK && sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

enum err sqlite_schema_create(sqlite3 *db)
{
    return run_whole(db, schema);
}

enum err sqlite_schema_upgrade(sqlite3 *db, int64_t to)
{
    int64_t version = 0;
    enum err err = sqlite_number(db, "PRAGMA user_version", &version);
    for (; err == ERR_OK && version < to; version++) {
        err = run_whole(db, upgrades[version]);
    }
    return err;
}

static enum err meta_get(sqlite3 *db, const char *name, char **out)
{
    return sqlite_text(db, "SELECT value FROM meta WHERE name = ?1", name, out);
}

static enum err meta_set(sqlite3 *db, const char *name, const char *value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(db, code);
    sqlite3_finalize(statement);
    return err;
}

/* Two unreadable boot ids are never the same boot: then a loss cannot be excluded. */
static char *boot_id(void)
{
    char *text = NULL;
    size_t length = 0;
    if (file_read("/proc/sys/kernel/random/boot_id", 256, &text, &length) == ERR_OK) {
        text[strcspn(text, "\n")] = '\0';
        if (text[0] != '\0') {
            return text;
        }
        free(text);
    }
    char random[ID_SIZE];
    id_random(random);
    return strdup(random);
}

enum err sqlite_schema_was_clean(sqlite3 *db, bool *clean)
{
    char *text = NULL;
    enum err err = meta_get(db, "clean", &text);
    if (err == ERR_NOENT) {
        *clean = false;
        return ERR_OK;
    }
    if (err == ERR_OK) {
        *clean = strcmp(text, "1") == 0;
        free(text);
    }
    return err;
}

/* Runs `step` between BEGIN and COMMIT. The caller has set synchronous = FULL: what is said here
 * must not be lost with the power while what came after it is seen by others. */
static enum err durable(sqlite3 *db, enum err (*step)(sqlite3 *db, void *context), void *context)
{
    enum err err = sqlite_run(db, "BEGIN IMMEDIATE");
    if (err == ERR_OK) {
        err = step(db, context);
    }
    if (err == ERR_OK) {
        err = sqlite_run(db, "COMMIT");
    }
    if (err != ERR_OK && sqlite3_get_autocommit(db) == 0) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

struct beginning {
    bool clean;
    bool synced; /* the run before synced each of its commits */
    char *generation, *boot;
};

static const char *const durability_names[] = {
    [STORE_SURVIVES_PROCESS] = "process",
    [STORE_SURVIVES_POWER] = "power",
};

static enum err was_synced(sqlite3 *db, bool *synced)
{
    char *text = NULL;
    enum err err = meta_get(db, "durability", &text);
    *synced = err == ERR_OK && strcmp(text, durability_names[STORE_SURVIVES_POWER]) == 0;
    free(text);
    return err == ERR_NOENT ? ERR_OK : err;
}

static enum err begin_step(sqlite3 *db, void *context)
{
    struct beginning *beginning = context;
    char *last_boot = NULL;
    enum err err = was_synced(db, &beginning->synced);
    if (err == ERR_OK) {
        err = meta_get(db, "generation", &beginning->generation);
    }
    if (err == ERR_OK) {
        err = meta_get(db, "boot_id", &last_boot);
    }
    if (err != ERR_OK && err != ERR_NOENT) {
        return err;
    }
    /* synchronous = NORMAL survives any death of the process, but not of the machine: the newest
     * commits may have been in the page cache only. Then numbers may be given a second time, to
     * other events. */
    bool keeps = err == ERR_OK && (beginning->clean || beginning->synced ||
                                   strcmp(last_boot, beginning->boot) == 0);
    free(last_boot);
    if (!keeps) {
        free(beginning->generation);
        char random[ID_SIZE];
        id_random(random);
        beginning->generation = strdup(random);
        if (beginning->generation == NULL) {
            return ERR_NOMEM;
        }
    }
    err = meta_set(db, "generation", beginning->generation);
    if (err == ERR_OK) {
        err = meta_set(db, "boot_id", beginning->boot);
    }
    if (err == ERR_OK) {
        err = meta_set(db, "durability", durability_names[STORE_SURVIVES_PROCESS]);
    }
    return err == ERR_OK ? meta_set(db, "clean", "0") : err;
}

enum err sqlite_schema_begin(sqlite3 *db, bool clean, char **generation)
{
    struct beginning beginning = {.clean = clean, .boot = boot_id()};
    enum err err = beginning.boot != NULL ? durable(db, begin_step, &beginning) : ERR_NOMEM;
    free(beginning.boot);
    if (err == ERR_OK) {
        *generation = beginning.generation;
    } else {
        free(beginning.generation);
    }
    return err;
}

static enum err durability_step(sqlite3 *db, void *context)
{
    const enum store_durability *durability = context;
    return meta_set(db, "durability", durability_names[*durability]);
}

enum err sqlite_schema_durability(sqlite3 *db, enum store_durability durability)
{
    return durable(db, durability_step, &durability);
}

static enum err end_step(sqlite3 *db, void *context)
{
    (void)context;
    return meta_set(db, "clean", "1");
}

enum err sqlite_schema_end(sqlite3 *db)
{
    return durable(db, end_step, NULL);
}
