/* What is SQLite's alone: files, locks, crashes, full disks. */
#define _GNU_SOURCE
#include "store/sqlite.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "support/test.h"

static char parent[256];
static char folder[300];
static char why[512];

static void begin(void)
{
    snprintf(parent, sizeof(parent), "%s/sqlite-test-XXXXXX", TEST_BINARY_DIR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(parent));
    snprintf(folder, sizeof(folder), "%s/data", parent);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static void end(void)
{
    nftw(parent, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *file(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static struct store *open_store(void)
{
    struct store *store = NULL;
    enum err err = store_sqlite_open(&store, folder, why, sizeof(why));
    if (err != ERR_OK) {
        printf("\n    %s\n", why);
    }
    CU_ASSERT_EQUAL_FATAL(err, ERR_OK);
    return store;
}

static void close_store(struct store *store)
{
    store->operations->close(store);
}

/* As a killed server leaves it: the lock ends, nothing is written any more. */
static void abandon(struct store *base)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    sqlite_append_finish(store);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_close(store->db);
    close(store->lock_fd);
    free(store->store.generation);
    free(store->path);
    free(store);
}

static void refused(enum err expected, const char *part)
{
    struct store *store = NULL;
    why[0] = '\0';
    CU_ASSERT_EQUAL(store_sqlite_open(&store, folder, why, sizeof(why)), expected);
    CU_ASSERT_PTR_NULL(store);
    if (!strstr(why, part)) {
        printf("\n    \"%s\" does not say \"%s\"\n", why, part);
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(why, part));
}

static enum err append(struct store *store, int64_t key, uint64_t seq, const char *json,
                       size_t length)
{
    struct store_write write = {
        .kind = STORE_EVENT,
        .session_key = key,
        .seq = seq,
        .event_kind = "text_delta",
        .ts = 1,
        .json = json,
        .json_length = length,
    };
    return store->operations->append(store, &write);
}

struct seen {
    size_t count;
    uint64_t last;
    bool holes;
};

static bool see_event(void *context, uint64_t seq, const char *json, size_t length)
{
    (void)json;
    (void)length;
    struct seen *seen = context;
    seen->holes = seen->holes || seq != seen->last + 1;
    seen->last = seq;
    seen->count++;
    return true;
}

static struct seen read_all(struct store *store, int64_t key)
{
    struct seen seen = {0};
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->read_events(reader, key, 1, UINT64_MAX, see_event, &seen),
                    ERR_OK);
    reader->operations->reader_close(reader);
    CU_ASSERT_FALSE(seen.holes);
    return seen;
}

static struct session_row row_of(int64_t key, const char *id)
{
    return (struct session_row){
        .key = key,
        .id = (char *)(uintptr_t)id,
        .phase = (char *)(uintptr_t) "stopped",
    };
}

static void append_row(struct store *store, int64_t key, const char *id, bool closed)
{
    struct session_row row = row_of(key, id);
    row.closed = closed;
    struct store_write write = {.kind = STORE_SESSION, .session_key = key, .row = &row};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
}

static void the_folder_is_made_and_closed_to_others(void)
{
    begin();
    snprintf(folder, sizeof(folder), "%s/a/b/data/", parent);
    close_store(open_store());
    struct stat status;
    CU_ASSERT_EQUAL(stat(folder, &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0700);
    CU_ASSERT_EQUAL(stat(file("signalbox.db"), &status), 0);
    CU_ASSERT_EQUAL(status.st_mode & 0777, 0600);
    /* A clean stop leaves one file and the lock. */
    CU_ASSERT_NOT_EQUAL(access(file("signalbox.db-wal"), F_OK), 0);
    end();
}

static void a_folder_that_cannot_be_made_is_an_error(void)
{
    begin();
    close(open(folder, O_CREAT | O_WRONLY, 0600));
    refused((enum err) - ENOTDIR, folder);
    end();
}

static void it_is_there_after_a_restart(void)
{
    begin();
    struct store *store = open_store();
    append_row(store, 1, "one", false);
    append_row(store, 2, "two", true);
    append_row(store, 3, "three", false);
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_OK);
    struct store_write purge = {.kind = STORE_PURGE, .session_key = 3};
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
    close_store(store);
    store = open_store();
    CU_ASSERT_EQUAL(store->next_key, 4); /* 3 was purged, and is not given again */
    CU_ASSERT_EQUAL(store->open_sessions, 1);
    CU_ASSERT_EQUAL(read_all(store, 1).count, 1);
    close_store(store);
    end();
}

static void a_second_server_is_refused(void)
{
    begin();
    struct store *store = open_store();
    char pid[64];
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    refused(ERR_AGAIN, pid);
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_OK);
    close_store(store);
    close_store(open_store());
    end();
}

static void write_file(const char *name, const void *bytes, size_t length)
{
    int fd = open(file(name), O_CREAT | O_WRONLY | O_TRUNC, 0600);
    CU_ASSERT_EQUAL(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

static uint64_t content_sum(const char *name)
{
    uint64_t sum = 14695981039346656037u;
    FILE *stream = fopen(file(name), "rb");
    for (int byte; stream && (byte = getc(stream)) != EOF;) {
        sum = (sum ^ (uint64_t)byte) * 1099511628211u;
    }
    if (stream) {
        fclose(stream);
    }
    return sum;
}

static void let_go(size_t number, void *context)
{
    (void)number;
    const struct timespec moment = {.tv_nsec = 50000000};
    nanosleep(&moment, NULL);
    close(*(int *)context);
}

/* As a server that was killed while it started an agent: the lock is held by who is no server. */
static void a_lock_without_its_owner_is_waited_for(void)
{
    begin();
    CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
    pid_t gone = fork();
    if (gone == 0) {
        _exit(0);
    }
    CU_ASSERT_EQUAL(waitpid(gone, NULL, 0), gone);
    int held = open(file("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CU_ASSERT_EQUAL_FATAL(flock(held, LOCK_EX), 0);
    CU_ASSERT_TRUE(dprintf(held, "%ld\n", (long)gone) > 0);
    struct test_threads threads = test_threads_start(1, let_go, &held);
    close_store(open_store());
    test_threads_join(&threads);
    end();
}

static void a_foreign_file_is_left_as_it_is(void)
{
    begin();
    CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
    static const char text[] =
        "These are somebody's notes, which are longer than the header of a database would be, "
        "and nobody wants to lose them.";
    write_file("signalbox.db", text, sizeof(text));
    uint64_t before = content_sum("signalbox.db");
    refused(ERR_CORRUPT, "no SQLite database");
    CU_ASSERT_EQUAL(content_sum("signalbox.db"), before);
    write_file("signalbox.db", "short", 5);
    refused(ERR_CORRUPT, "no SQLite database");
    CU_ASSERT_EQUAL(unlink(file("signalbox.db")), 0);

    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "CREATE TABLE notes (text)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    before = content_sum("signalbox.db");
    refused(ERR_CORRUPT, "another program");
    CU_ASSERT_EQUAL(content_sum("signalbox.db"), before);
    end();
}

/* The tables as the first version made them, with a session, its event and what a stop left behind. */
static const char first_version[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE events (session INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,"
    " ts INTEGER NOT NULL, body TEXT NOT NULL);"
    "CREATE UNIQUE INDEX events_by_number ON events (session, seq);"
    "CREATE TABLE sessions (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " agent TEXT, workspace TEXT, title TEXT, policy TEXT, phase TEXT, epoch TEXT, created_by TEXT,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, head INTEGER NOT NULL,"
    " open_from INTEGER NOT NULL, run INTEGER NOT NULL, pending INTEGER NOT NULL,"
    " oldest_pending_at INTEGER NOT NULL, closed INTEGER NOT NULL, live INTEGER NOT NULL,"
    " queue TEXT, agent_state TEXT);"
    "CREATE INDEX sessions_by_change ON sessions (updated_at, key);"
    "CREATE INDEX sessions_open_by_change ON sessions (updated_at, key) WHERE closed = 0;"
    "CREATE INDEX sessions_live ON sessions (key) WHERE live = 1;"
    "INSERT INTO meta VALUES ('generation', 'g-of-old'), ('boot_id', 'b'), ('clean', '1');"
    "INSERT INTO sessions VALUES (1, 's1', 'shell', '/srv', NULL, 'ask', 'stopped', 'e1', 'ann',"
    " 1, 2, 1, 0, 1, 0, 0, 0, 0, NULL, NULL);"
    "INSERT INTO events VALUES (1, 1, 'session_created', 1, '{old}');"
    "INSERT INTO events VALUES (1, 2, 'complete', 70, '{old}'), (1, 3, 'complete', 60, '{old}');"
    "PRAGMA application_id = 0x53676278;"
    "PRAGMA user_version = 1;"
    "COMMIT;";

static void one_of_the_first_version_goes_on(void)
{
    begin();
    CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, first_version, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);

    struct store *store = open_store();
    CU_ASSERT_STRING_EQUAL(store->generation, "g-of-old");
    CU_ASSERT_EQUAL(store->next_key, 2);
    CU_ASSERT_EQUAL(append(store, 1, 4, "{new}", 5), ERR_OK);
    struct stored_answer answer = {.name = {.bytes = {1}}, .at = 5, .code = (char *)(uintptr_t) "ok"};
    struct store_write write = {.kind = STORE_ANSWER, .answer = &answer};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
    close_store(store);

    store = open_store();
    struct store_reader *reader;
    struct stored_answer got;
    struct session_row row;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_answer(reader, &answer.name, &got), ERR_OK);
    CU_ASSERT_EQUAL(got.at, 5);
    stored_answer_clear(&got);
    CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "s1", &row), ERR_OK);
    CU_ASSERT_EQUAL(row.head, 4);
    session_row_clear(&row);
    struct store_unfolded unfolded; /* its turns are folded, too */
    CU_ASSERT_EQUAL_FATAL(reader->operations->find_unfolded(reader, 60, &unfolded), ERR_OK);
    CU_ASSERT_EQUAL(unfolded.from, 1);
    CU_ASSERT_EQUAL(unfolded.to, 2);
    reader->operations->reader_close(reader);
    close_store(store);
    end();
}

/* A file of each version that there was is brought to the last one, and keeps what was in it. */
static void each_old_version_gets_an_audit(void)
{
    for (int64_t version = 1; version < SQLITE_SCHEMA_VERSION; version++) {
        begin();
        CU_ASSERT_EQUAL(mkdir(folder, 0700), 0);
        sqlite3 *db;
        CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
        CU_ASSERT_EQUAL(sqlite3_exec(db, first_version, NULL, NULL, NULL), SQLITE_OK);
        CU_ASSERT_EQUAL(sqlite_schema_upgrade(db, version), ERR_OK);
        sqlite3_close(db);

        struct store *store = open_store();
        CU_ASSERT_STRING_EQUAL(store->generation, "g-of-old");
        struct stored_rule rule = {.id = (char *)(uintptr_t) "r1"};
        struct audit_entry entry = {.at = 5, .action = (char *)(uintptr_t) "decision"};
        struct store_write writes[] = {{.kind = STORE_RULE, .rule = &rule, .next = &writes[1]},
                                       {.kind = STORE_AUDIT, .audit = &entry}};
        CU_ASSERT_EQUAL(store->operations->append(store, writes), ERR_OK);
        CU_ASSERT_EQUAL(read_all(store, 1).count, 3);
        close_store(store);
        end();
    }
}

static bool count_entry(void *context, const struct audit_entry *entry)
{
    (void)entry;
    ++*(size_t *)context;
    return true;
}

/* Also not by who opens the file with a program of his own. */
static void entries_of_the_audit_cannot_be_changed(void)
{
    static const char *const refused[] = {
        "UPDATE audit SET user = 'eve' WHERE number = 1",
        "UPDATE audit SET number = 9 WHERE number = 1",
        "UPDATE OR IGNORE audit SET number = 9 WHERE number = 1",
        "UPDATE OR REPLACE audit SET number = 2 WHERE number = 1",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE number = 1",
        "INSERT OR REPLACE INTO audit (number, at, action, always_allow) VALUES (1, 1, 'x', 0)",
        "REPLACE INTO audit (rowid, at, action, always_allow) VALUES (2, 1, 'x', 0)",
        "INSERT INTO audit (number, at, action, always_allow) VALUES (1, 1, 'x', 0)"
        " ON CONFLICT (number) DO UPDATE SET action = 'x'",
        "INSERT INTO audit (number, at, action, always_allow) VALUES (-1, 1, 'x', 0)",
        "INSERT INTO audit (number, at, action, always_allow) VALUES (0, 1, 'x', 0)",
    };
    begin();
    struct store *store = open_store();
    struct audit_entry entry = {.at = 5, .action = (char *)(uintptr_t) "decision",
                                .user = (char *)(uintptr_t) "ann"};
    struct store_write writes[] = {{.kind = STORE_AUDIT, .audit = &entry, .next = &writes[1]},
                                   {.kind = STORE_AUDIT, .audit = &entry}};
    CU_ASSERT_EQUAL(store->operations->append(store, writes), ERR_OK);
    close_store(store);

    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
    for (size_t i = 0; i < array_size(refused); i++) {
        for (int recursive = 0; recursive < 2; recursive++) {
            CU_ASSERT_EQUAL(sqlite_run(db, recursive ? "PRAGMA recursive_triggers = 1" : "PRAGMA recursive_triggers = 0"),
                            ERR_OK);
            int code = sqlite3_exec(db, refused[i], NULL, NULL, NULL);
            if (code != SQLITE_CONSTRAINT) {
                printf("\n    %s: %s\n", refused[i], sqlite3_errmsg(db));
            }
            CU_ASSERT_EQUAL(code, SQLITE_CONSTRAINT);
        }
    }
    int64_t kept = 0;
    CU_ASSERT_EQUAL(sqlite_number(db, "SELECT count(*) FROM audit WHERE user = 'ann' AND at = 5", &kept), ERR_OK);
    CU_ASSERT_EQUAL(kept, 2);
    sqlite3_close(db);

    store = open_store(); /* and goes on */
    CU_ASSERT_EQUAL(store->operations->append(store, writes), ERR_OK);
    struct store_reader *reader;
    size_t count = 0;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    CU_ASSERT_EQUAL(reader->operations->list_audit(reader, 0, false, 9, NULL, count_entry, &count), ERR_OK);
    CU_ASSERT_EQUAL(count, 4);
    reader->operations->reader_close(reader);
    close_store(store);
    end();
}

/* The statements find their way by the index that they name, and need no sort. */
static void pages_of_the_audit_need_no_sort(void)
{
    begin();
    struct store *base = open_store();
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(base->operations->reader_open(base, &reader), ERR_OK);
    struct sqlite_reader *sqlite = container_of(reader, struct sqlite_reader, reader);
    static const char *const ways[] = {"INTEGER PRIMARY KEY", "INDEX audit_by_session", "INDEX audit_by_user"};
    for (size_t i = AUDIT_PAGE; i < AUDIT_STATEMENT_COUNT; i++) {
        const char *way = ways[(i - AUDIT_PAGE) / 2];
        char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sqlite3_sql(sqlite->audit[i]));
        sqlite3_stmt *plan = NULL;
        CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(sqlite->db, sql, -1, &plan, NULL), SQLITE_OK);
        size_t rows = 0;
        while (sqlite3_step(plan) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(plan, 3);
            if (strncmp(detail, "SEARCH audit", strlen("SEARCH audit")) != 0 || strstr(detail, way) == NULL) {
                printf("\n    %s, and not by %s\n", detail, way);
                CU_FAIL("another way");
            }
            rows++;
        }
        CU_ASSERT_EQUAL(rows, 1);
        sqlite3_finalize(plan);
        sqlite3_free(sql);
    }
    reader->operations->reader_close(reader);
    close_store(base);
    end();
}

static void a_newer_one_is_left_as_it_is(void)
{
    begin();
    close_store(open_store());
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    refused(ERR_UNSUPPORTED, "newer signalbox");
    end();
}

static void fill(struct store *store, uint64_t events)
{
    char text[500];
    memset(text, 'x', sizeof(text));
    for (uint64_t seq = 1; seq <= events; seq++) {
        CU_ASSERT_EQUAL(append(store, 1, seq, text, sizeof(text)), ERR_OK);
    }
}

static void a_damaged_one_is_refused(void)
{
    begin();
    struct store *store = open_store();
    fill(store, 400);
    close_store(store);
    char whole[16];
    int fd = open(file("signalbox.db"), O_RDWR);
    CU_ASSERT_EQUAL(pread(fd, whole, sizeof(whole), 0), sizeof(whole));
    CU_ASSERT_EQUAL(pwrite(fd, "\0\0\0\0", 4, 0), 4);
    close(fd);
    uint64_t before = content_sum("signalbox.db");
    refused(ERR_CORRUPT, "beginning is damaged");
    CU_ASSERT_EQUAL(content_sum("signalbox.db"), before);
    fd = open(file("signalbox.db"), O_RDWR);
    CU_ASSERT_EQUAL(pwrite(fd, whole, sizeof(whole), 0), sizeof(whole));
    close(fd);
    close_store(open_store());

    /* Cut off, as by a copy that was not finished. */
    CU_ASSERT_EQUAL(truncate(file("signalbox.db"), 4096 * 7), 0);
    refused(ERR_CORRUPT, "left as it is");
    struct stat status;
    CU_ASSERT_EQUAL(stat(file("signalbox.db"), &status), 0);
    CU_ASSERT_EQUAL(status.st_size, 4096 * 7);
    end();
}

static void damage_inside_is_found_after_a_crash(void)
{
    begin();
    struct store *store = open_store();
    fill(store, 400);
    close_store(store);
    abandon(open_store());
    int fd = open(file("signalbox.db"), O_RDWR);
    char noise[4096 * 4];
    memset(noise, 0xa5, sizeof(noise));
    CU_ASSERT_EQUAL(pwrite(fd, noise, sizeof(noise), 4096 * 20), sizeof(noise));
    close(fd);
    refused(ERR_CORRUPT, "sqlite3");
    end();
}

static void a_log_without_its_database_is_not_thrown_away(void)
{
    begin();
    struct store *store = open_store();
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_OK);
    abandon(store);
    CU_ASSERT_EQUAL(unlink(file("signalbox.db")), 0);
    uint64_t before = content_sum("signalbox.db-wal");
    refused(ERR_CORRUPT, "-wal");
    CU_ASSERT_EQUAL(content_sum("signalbox.db-wal"), before);
    end();
}

static void set_meta(const char *sql)
{
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void the_generation_changes_only_when_commits_may_be_gone(void)
{
    begin();
    struct store *store = open_store();
    char first[64];
    snprintf(first, sizeof(first), "%s", store->generation);
    abandon(store);
    store = open_store(); /* killed, the machine went on */
    TEST_TEXT(store->generation, first);
    close_store(store);
    set_meta("UPDATE meta SET value = 'another boot' WHERE name = 'boot_id'");
    store = open_store(); /* clean, then a reboot */
    TEST_TEXT(store->generation, first);
    abandon(store);
    set_meta("UPDATE meta SET value = 'another boot' WHERE name = 'boot_id'");
    store = open_store(); /* killed, and a reboot: the power may have gone */
    CU_ASSERT_STRING_NOT_EQUAL(store->generation, first);
    char second[64];
    snprintf(second, sizeof(second), "%s", store->generation);
    close_store(store);
    store = open_store();
    TEST_TEXT(store->generation, second);
    close_store(store);
    end();
}

enum { GROUP_EVENTS = 7 };

/* Appends groups until it is killed, and says how many were committed. */
static void append_until_killed(int tell)
{
    struct store *store;
    if (store_sqlite_open(&store, folder, why, sizeof(why)) != ERR_OK) {
        _exit(1);
    }
    struct store_reader *reader;
    if (store->operations->reader_open(store, &reader) != ERR_OK) {
        _exit(1);
    }
    struct seen seen = {0};
    if (reader->operations->read_events(reader, 1, 1, UINT64_MAX, see_event, &seen) != ERR_OK) {
        _exit(1);
    }
    char text[2000];
    memset(text, 'x', sizeof(text));
    for (uint64_t seq = seen.last;;) {
        struct store_write writes[GROUP_EVENTS + 1];
        for (size_t i = 0; i < GROUP_EVENTS; i++) {
            writes[i] = (struct store_write){
                .kind = STORE_EVENT,
                .session_key = 1,
                .seq = ++seq,
                .event_kind = "text_delta",
                .json = text,
                .json_length = sizeof(text),
                .next = &writes[i + 1],
            };
        }
        struct session_row row = row_of(1, "one");
        row.run = seq;
        writes[GROUP_EVENTS] =
            (struct store_write){.kind = STORE_SESSION, .session_key = 1, .row = &row};
        if (store->operations->append(store, writes) != ERR_OK ||
            write(tell, &seq, sizeof(seq)) != sizeof(seq)) {
            _exit(1);
        }
        if (seq % (GROUP_EVENTS * 8) == 0 && reader->operations->maintain(reader) != ERR_OK) {
            _exit(1);
        }
    }
}

static void what_was_committed_survives_a_kill(void)
{
    begin();
    for (int round = 0; round < 6; round++) {
        int pipes[2];
        CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
        fflush(NULL);
        pid_t child = fork();
        CU_ASSERT_FATAL(child >= 0);
        if (child == 0) {
            close(pipes[0]);
            append_until_killed(pipes[1]);
        }
        close(pipes[1]);
        uint64_t told = 0;
        for (int groups = 0; groups < 20 + round * 7; groups++) {
            uint64_t seq;
            CU_ASSERT_EQUAL_FATAL(read(pipes[0], &seq, sizeof(seq)), sizeof(seq));
            told = seq;
        }
        CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
        CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
        for (uint64_t seq; read(pipes[0], &seq, sizeof(seq)) == sizeof(seq);) {
            told = seq;
        }
        close(pipes[0]);
        struct store *store = open_store();
        struct seen seen = read_all(store, 1);
        CU_ASSERT_TRUE(seen.last >= told);
        CU_ASSERT_EQUAL(seen.last % GROUP_EVENTS, 0);
        struct store_reader *reader;
        struct session_row row;
        CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
        CU_ASSERT_EQUAL_FATAL(reader->operations->read_session(reader, "one", &row), ERR_OK);
        CU_ASSERT_EQUAL(row.run, seen.last);
        session_row_clear(&row);
        reader->operations->reader_close(reader);
        if (round % 2 == 0) {
            abandon(store);
        } else {
            close_store(store);
        }
    }
    end();
}

static void a_full_disk_is_an_error_and_then_not(struct store *store,
                                                 void (*squeeze)(struct store *, bool))
{
    size_t large = 200 << 10;
    char *text = malloc(large);
    memset(text, 'x', large);
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_OK);
    squeeze(store, true);
    enum err err = ERR_OK;
    uint64_t seq = 1;
    for (int tries = 0; tries < 10 && err == ERR_OK; tries++) {
        err = append(store, 1, ++seq, text, large);
    }
    CU_ASSERT_EQUAL(err, ERR_NOSPC);
    CU_ASSERT_EQUAL(append(store, 1, seq, text, large), ERR_NOSPC);
    CU_ASSERT_EQUAL(read_all(store, 1).last, seq - 1);
    squeeze(store, false);
    CU_ASSERT_EQUAL(append(store, 1, seq, text, large), ERR_OK);
    CU_ASSERT_EQUAL(append(store, 1, seq + 1, text, large), ERR_OK);
    CU_ASSERT_EQUAL(read_all(store, 1).last, seq + 1);
    free(text);
}

static void limit_files(struct store *store, bool limited)
{
    (void)store;
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    struct stat log;
    CU_ASSERT_EQUAL(stat(file("signalbox.db-wal"), &log), 0);
    limit.rlim_cur = limited ? (rlim_t)log.st_size + (100 << 10) : limit.rlim_max;
    CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void limit_pages(struct store *base, bool limited)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    CU_ASSERT_EQUAL(sqlite_run(store->db, limited ? "PRAGMA max_page_count = 120"
                                                  : "PRAGMA max_page_count = 1000000"),
                    ERR_OK);
}

static void a_full_disk(void)
{
    signal(SIGXFSZ, SIG_IGN);
    static void (*const squeezes[])(struct store *, bool) = {limit_files, limit_pages};
    for (size_t i = 0; i < array_size(squeezes); i++) {
        begin();
        struct store *store = open_store();
        a_full_disk_is_an_error_and_then_not(store, squeezes[i]);
        close_store(store);
        store = open_store();
        CU_ASSERT_TRUE(read_all(store, 1).last > 1);
        close_store(store);
        end();
    }
}

static int64_t rows_of(struct store *base)
{
    int64_t rows = 0;
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    CU_ASSERT_EQUAL(sqlite_number(store->db, "SELECT count(*) FROM events", &rows), ERR_OK);
    return rows;
}

/* A part of a turn goes whole or not at all, and the store goes on. */
static void what_does_not_fit_is_not_folded(void)
{
    signal(SIGXFSZ, SIG_IGN);
    begin();
    struct store *store = open_store();
    for (uint64_t seq = 1; seq <= 20; seq++) {
        CU_ASSERT_EQUAL(append(store, 1, seq, "{}", 2), ERR_OK);
    }
    size_t large = 400 << 10;
    char *text = malloc(large);
    memset(text, 'x', large);
    struct store_fold_range gone = {.from = 2, .to = 9};
    struct store_fold_event event = {.seq = 10, .json = text, .json_length = large};
    struct store_fold fold = {
        .session_key = 1, .events = &event, .event_count = 1, .gone = &gone, .gone_count = 1};
    limit_files(store, true);
    CU_ASSERT_EQUAL(store->operations->fold(store, &fold), ERR_NOSPC);
    CU_ASSERT_EQUAL(rows_of(store), 20);
    CU_ASSERT_EQUAL(append(store, 1, 21, "{}", 2), ERR_OK);
    limit_files(store, false);
    CU_ASSERT_EQUAL(store->operations->fold(store, &fold), ERR_OK);
    CU_ASSERT_EQUAL(rows_of(store), 13);
    free(text);
    close_store(store);
    store = open_store();
    CU_ASSERT_EQUAL(rows_of(store), 13);
    close_store(store);
    end();
}

/* Both look-ups have an index of their own: a log of a million events is not gone through. */
static void turns_are_found_by_their_index(void)
{
    static const char *const questions[] = {
        "EXPLAIN QUERY PLAN SELECT max(seq) FROM events WHERE session = 1 AND seq <= 9 AND kind ="
        " 'turn_started'",
        "EXPLAIN QUERY PLAN SELECT min(seq) FROM events WHERE session = 1 AND seq > 9 AND kind ="
        " 'complete'",
    };
    begin();
    struct store *store = open_store();
    struct sqlite_store *sqlite = container_of(store, struct sqlite_store, store);
    for (size_t i = 0; i < array_size(questions); i++) {
        sqlite3_stmt *statement;
        CU_ASSERT_EQUAL_FATAL(sqlite3_prepare_v2(sqlite->db, questions[i], -1, &statement, NULL), SQLITE_OK);
        CU_ASSERT_EQUAL_FATAL(sqlite3_step(statement), SQLITE_ROW);
        CU_ASSERT_PTR_NOT_NULL(strstr((const char *)sqlite3_column_text(statement, 3), "events_turns"));
        sqlite3_finalize(statement);
    }
    close_store(store);
    end();
}

static struct sqlite_store *inside(struct store *store)
{
    return container_of(store, struct sqlite_store, store);
}

static void limit_log(struct store *store, int pages)
{
    inside(store)->log_pages_max = inside(store)->restart_pages = pages;
}

/* Until the log has so many pages at least. */
static void fill_log(struct store *store, uint64_t *seq, int pages)
{
    char text[4096];
    memset(text, 'x', sizeof(text));
    while (inside(store)->log_pages < pages) {
        CU_ASSERT_EQUAL_FATAL(append(store, 1, ++*seq, text, sizeof(text)), ERR_OK);
    }
}

/*
 * A checkpoint of maintenance moves what is there when it begins, and what comes meanwhile is left: here it is played by
 * somebody who reads. While much is left the keeper is called and credit is held back; when it is little, the log begins
 * anew with the next commit.
 */
static void the_log_begins_anew_when_little_is_left(void)
{
    enum { PAGES = 640 };
    begin();
    struct store *store = open_store();
    struct store_reader *reader;
    struct mailbox *keeper;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&keeper, "keeper", 0), ERR_OK);
    atomic_store(&store->keeper, keeper);
    limit_log(store, PAGES);
    uint64_t seq = 0;
    fill_log(store, &seq, PAGES - 20);
    CU_ASSERT_FALSE(atomic_load(&store->keeper_called)); /* it is short */
    fill_log(store, &seq, PAGES + 1);
    CU_ASSERT_TRUE(atomic_load(&store->keeper_called));
    CU_ASSERT_FALSE(store->operations->is_behind(store));
    fill_log(store, &seq, PAGES + PAGES / 4);
    CU_ASSERT_TRUE(store->operations->is_behind(store));

    sqlite3 *other;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &other), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL), SQLITE_OK);
    int before = inside(store)->log_pages;
    fill_log(store, &seq, before + 8);
    CU_ASSERT_EQUAL(reader->operations->maintain(reader), ERR_OK);
    CU_ASSERT_EQUAL(atomic_load(&inside(store)->moved), before);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    CU_ASSERT_FALSE(store->operations->is_behind(store)); /* here, without a commit */
    CU_ASSERT_EQUAL(append(store, 1, ++seq, "{}", 2), ERR_OK);
    CU_ASSERT_TRUE(inside(store)->log_pages < 16);
    CU_ASSERT_FALSE(store->operations->is_behind(store));
    CU_ASSERT_EQUAL(read_all(store, 1).count, seq);

    atomic_store(&store->keeper, NULL);
    mailbox_free(keeper);
    reader->operations->reader_close(reader);
    close_store(store);
    end();
}

static void the_log_does_not_grow_without_bound(void)
{
    begin();
    struct store *store = open_store();
    limit_log(store, 8 << 8);
    size_t large = 1 << 20;
    char *text = malloc(large);
    memset(text, 'x', large);
    /* Nobody does checkpoints here, as when they never come to an end. */
    for (uint64_t seq = 1; seq <= 150; seq++) {
        CU_ASSERT_EQUAL(append(store, 1, seq, text, large), ERR_OK);
    }
    free(text);
    struct stat log;
    CU_ASSERT_EQUAL(stat(file("signalbox.db-wal"), &log), 0);
    CU_ASSERT_TRUE(log.st_size < 18 << 20); /* twice that, and a group */
    CU_ASSERT_EQUAL(read_all(store, 1).count, 150);
    close_store(store);
    end();
}

static void checkpoints_empty_the_log(void)
{
    begin();
    struct store *store = open_store();
    struct store_reader *reader;
    CU_ASSERT_EQUAL_FATAL(store->operations->reader_open(store, &reader), ERR_OK);
    uint64_t seq = 0;
    struct stat log = {0};
    for (int round = 0; round < 20; round++) {
        char text[8192];
        memset(text, 'x', sizeof(text));
        for (int i = 0; i < 20; i++) {
            CU_ASSERT_EQUAL(append(store, 1, ++seq, text, sizeof(text)), ERR_OK);
        }
        CU_ASSERT_EQUAL(reader->operations->maintain(reader), ERR_OK);
        CU_ASSERT_EQUAL(reader->operations->maintain(reader), ERR_OK);
    }
    CU_ASSERT_EQUAL(stat(file("signalbox.db-wal"), &log), 0);
    CU_ASSERT_TRUE(log.st_size < 2 << 20);
    reader->operations->reader_close(reader);
    CU_ASSERT_EQUAL(read_all(store, 1).last, seq);
    close_store(store);
    end();
}

static void a_file_held_by_another_program_is_tried_again(void)
{
    begin();
    struct store *store = open_store();
    sqlite3 *other;
    CU_ASSERT_EQUAL(sqlite3_open(file("signalbox.db"), &other), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_busy_timeout(container_of(store, struct sqlite_store, store)->db, 1);
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_AGAIN);
    CU_ASSERT_EQUAL(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    CU_ASSERT_EQUAL(append(store, 1, 1, "{}", 2), ERR_OK);
    sqlite3_close(other);
    close_store(store);
    end();
}

/* SQLite's memory, of which the n-th request from now fails (0: none). */
static sqlite3_mem_methods memory;
static int until_failure;

static bool fails(void)
{
    return until_failure > 0 && --until_failure == 0;
}

static void *fail_malloc(int size)
{
    return fails() ? NULL : memory.xMalloc(size);
}

static void *fail_realloc(void *old, int size)
{
    return fails() ? NULL : memory.xRealloc(old, size);
}

static void without_memory_nothing_is_half(void)
{
    begin();
    struct store *store = open_store();
    char text[6000];
    memset(text, 'x', sizeof(text));
    uint64_t seq = 0;
    unsigned failed = 0;
    for (int nth = 1; nth <= 60; nth++) {
        until_failure = nth;
        enum err err = append(store, 1, seq + 1, text, sizeof(text));
        bool happened = until_failure == 0;
        until_failure = 0;
        CU_ASSERT_TRUE(err == ERR_OK || (err == ERR_NOMEM && happened));
        if (err != ERR_OK) {
            failed++;
            CU_ASSERT_EQUAL(append(store, 1, seq + 1, text, sizeof(text)), ERR_OK);
        }
        seq++;
    }
    CU_ASSERT_TRUE(failed > 0);
    CU_ASSERT_EQUAL(read_all(store, 1).last, seq);
    close_store(store);

    failed = 0;
    for (int nth = 1; nth < 2000; nth++) {
        store = NULL;
        until_failure = nth;
        enum err err = store_sqlite_open(&store, folder, why, sizeof(why));
        bool happened = until_failure == 0;
        until_failure = 0;
        if (err != ERR_OK) {
            CU_ASSERT_PTR_NULL(store);
            CU_ASSERT_EQUAL(err, ERR_NOMEM);
            failed++;
        } else {
            abandon(store);
        }
        if (!happened) {
            break;
        }
    }
    CU_ASSERT_TRUE(failed > 10);
    store = open_store();
    CU_ASSERT_EQUAL(read_all(store, 1).last, seq);
    close_store(store);
    end();
}

int main(void)
{
    /* Before anything of SQLite is used. */
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK) {
        return 2;
    }
    sqlite3_mem_methods failing = memory;
    failing.xMalloc = fail_malloc;
    failing.xRealloc = fail_realloc;
    /* Without lookaside every request of a connection is seen. */
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &failing) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK) {
        return 2;
    }
    static const struct test_case cases[] = {
        TEST(what_was_committed_survives_a_kill),
        TEST(the_folder_is_made_and_closed_to_others),
        TEST(a_folder_that_cannot_be_made_is_an_error),
        TEST(it_is_there_after_a_restart),
        TEST(a_second_server_is_refused),
        TEST(a_lock_without_its_owner_is_waited_for),
        TEST(a_foreign_file_is_left_as_it_is),
        TEST(one_of_the_first_version_goes_on),
        TEST(each_old_version_gets_an_audit),
        TEST(entries_of_the_audit_cannot_be_changed),
        TEST(pages_of_the_audit_need_no_sort),
        TEST(a_newer_one_is_left_as_it_is),
        TEST(a_damaged_one_is_refused),
        TEST(damage_inside_is_found_after_a_crash),
        TEST(a_log_without_its_database_is_not_thrown_away),
        TEST(the_generation_changes_only_when_commits_may_be_gone),
        TEST(a_full_disk),
        TEST(what_does_not_fit_is_not_folded),
        TEST(turns_are_found_by_their_index),
        TEST(the_log_begins_anew_when_little_is_left),
        TEST(the_log_does_not_grow_without_bound),
        TEST(checkpoints_empty_the_log),
        TEST(a_file_held_by_another_program_is_tried_again),
        TEST(without_memory_nothing_is_half),
    };
    return test_run("store_sqlite", cases, array_size(cases));
}
