/* `signalbox store check` and `compact`, from their functions down to the file. */
#define _GNU_SOURCE
#include "store/sqlite.h"

#include <stdarg.h>
#include <sys/resource.h>
#include <signal.h>

#include "signalbox/base/check.h"
#include "support/folder.h"
#include "support/test.h"

static char why[1024], told[8192];
static char *folder;

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

enum { BLOB_LENGTH = 70000 };
static const struct digest blob_of_first = {"AAAAAAAAAAAAAAA"}; /* and a NUL */

/* Event 50 of the first session refers to its blob. */
static void append_event(struct store *store, int64_t key, uint64_t seq)
{
    char json[2200];
    int length = snprintf(json, sizeof(json), "{\"seq\":%d,\"ts\":1,\"text\":\"%01900d\"%s}", (int)seq, 7,
                          key == 1 && seq == 50
                              ? ",\"refs\":[{\"path\":\"/text\",\"blob\":\"QUFBQUFBQUFBQUFBQUFBAA\",\"bytes\":70000}]"
                              : "");
    struct store_write write = {.kind = STORE_EVENT,
                                .session_key = key,
                                .seq = seq,
                                .event_kind = "text_delta",
                                .ts = 1,
                                .json = json,
                                .json_length = (size_t)length};
    CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
}

/* Two sessions of some events, and an audit of five entries. */
static void begin(void)
{
    folder = folder_new();
    struct store *store = open_store();
    for (int64_t key = 1; key <= 2; key++) {
        char id[16];
        snprintf(id, sizeof(id), "session-%d", (int)key);
        struct session_row row = {.key = key, .id = id, .phase = (char *)(uintptr_t) "stopped", .head = 50};
        for (uint64_t seq = 1; seq <= 50; seq++) {
            append_event(store, key, seq);
        }
        struct store_write write = {.kind = STORE_SESSION, .session_key = key, .row = &row};
        CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
    }
    static char bytes[BLOB_LENGTH];
    struct store_write blob = {.kind = STORE_BLOB,
                               .session_key = 1,
                               .blob = {.name = blob_of_first, .type = "text/plain", .data = bytes, .length = BLOB_LENGTH}};
    CU_ASSERT_EQUAL(store->operations->append(store, &blob), ERR_OK);
    struct audit_entry entry = {.at = 1, .action = (char *)(uintptr_t) "decision",
                                .request = (char *)(uintptr_t) "{}"};
    for (int i = 0; i < 5; i++) {
        struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
        CU_ASSERT_EQUAL(store->operations->append(store, &write), ERR_OK);
    }
    store->operations->close(store);
}

static void change(const char *sql)
{
    sqlite3 *db;
    char *message = NULL;
    CU_ASSERT_EQUAL(sqlite3_open(folder_path(folder, "signalbox.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) {
        printf("\n    %s: %s\n", sql, message);
        CU_FAIL("the test's own statement");
    }
    sqlite3_free(message);
    sqlite3_close(db);
}

static void tell(void *context, const char *problem)
{
    (void)context;
    strncat(told, problem, sizeof(told) - strlen(told) - 2);
    strcat(told, "\n");
}

static enum err check(size_t *problems)
{
    struct store_sizes sizes = {0};
    told[0] = why[0] = '\0';
    enum err err = store_sqlite_check(folder, tell, NULL, &sizes, problems, why, sizeof(why));
    if (err == ERR_OK && *problems == 0) {
        CU_ASSERT_EQUAL(sizes.sessions, 2);
        CU_ASSERT_EQUAL(sizes.events, 100);
        CU_ASSERT_TRUE(sizes.bytes > 100000);
    }
    return err;
}

static void a_whole_store_is_fine(void)
{
    begin();
    size_t problems = 99;
    CU_ASSERT_EQUAL(check(&problems), ERR_OK);
    CU_ASSERT_EQUAL(problems, 0);
    TEST_TEXT(told, "");
    folder_remove(folder);
}

static void what_is_wrong_is_told(void)
{
    static const struct {
        const char *sql, *told;
        size_t problems;
    } wrongs[] = {
        {"DELETE FROM events WHERE session = 2 AND seq IN (7, 8)",
         "session session-2: numbers 7 to 8 are missing\n", 1},
        {"DELETE FROM events WHERE session = 1 AND seq = 1",
         "session session-1: numbers 1 to 1 are missing\n", 1},
        {"DELETE FROM events WHERE session = 1 AND seq = 50",
         "session session-1: its row knows of event 50, its log ends at 49\n", 1},
        {"UPDATE sessions SET open_from = 51 WHERE key = 2",
         "session session-2: its row says that something is open since event 51, its log ends at 50\n", 1},
        {"UPDATE events SET body = '{\"seq\":3' WHERE session = 1 AND seq = 3",
         "session session-1: event 3 is no JSON\n", 1},
        {"UPDATE events SET body = '{\"seq\":4}' WHERE session = 1 AND seq = 3",
         "session session-1: event 3 says that it is number 4\n", 1},
        {"DELETE FROM sessions WHERE key = 2",
         "there are events of a session with the key 2, which is not there\n", 1},
        {"DROP INDEX sessions_live", "the schema lacks the index sessions_live\n", 1},
        {"ALTER TABLE sessions DROP COLUMN queue", "the schema lacks the column sessions.queue\n", 1},
        {"DROP INDEX answers_by_age", "the schema lacks the index answers_by_age\n", 1},
        {"DELETE FROM blob_parts WHERE part = 1",
         "session session-1: of the 70000 bytes of a blob (41414141414141414141414141414100) 37232 are there, in 2 parts\n",
         1},
        {"UPDATE blob_parts SET data = zeroblob(5) WHERE part = 2",
         "session session-1: of the 70000 bytes of a blob (41414141414141414141414141414100) 65541 are there, in 3 parts\n",
         1},
        {"DELETE FROM blobs",
         "there are 3 parts of blobs that are not there\n"
         "session session-1: event 50 refers to a blob (QUFBQUFBQUFBQUFBQUFBAA) that is not there, or of another length\n",
         2},
        {"UPDATE events SET body = replace(body, '70000', '70001')",
         "session session-1: event 50 refers to a blob (QUFBQUFBQUFBQUFBQUFBAA) that is not there, or of another length\n",
         1},
        {"UPDATE blobs SET session = 9",
         "there is a blob of a session with the key 9, which is not there\n"
         "session session-1: event 50 refers to a blob (QUFBQUFBQUFBQUFBQUFBAA) that is not there, or of another length\n",
         2},
        {"DROP TRIGGER audit_refuses_delete", "the schema lacks the trigger audit_refuses_delete\n", 1},
        {"DROP TRIGGER audit_refuses_delete;"
         "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit BEGIN SELECT 1; END",
         "the trigger audit_refuses_delete is not the one that was made\n", 1},
        {"DROP TRIGGER audit_refuses_delete; DELETE FROM audit WHERE number = 2;"
         "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit BEGIN"
         " SELECT RAISE(ABORT, 'the audit is append-only'); END",
         "the audit has 4 entries of 5\n", 1},
        {"DROP TRIGGER audit_refuses_delete; DELETE FROM audit WHERE number = 5;"
         "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit BEGIN"
         " SELECT RAISE(ABORT, 'the audit is append-only'); END",
         "the audit has 4 entries of 5\n", 1},
        {"INSERT INTO audit (at, action, always_allow, request) VALUES (1, 'decision', 0, '{')",
         "entry 6 of the audit has a text that is no JSON\n", 1},
        /* One of an older version is whole as it is. */
        {"DROP TABLE blobs; DROP TABLE blob_parts; PRAGMA user_version = 3", "", 0},
        {"DROP TABLE blobs; DROP TABLE blob_parts; DROP TABLE audit; DROP TABLE rules; PRAGMA user_version = 2", "", 0},
        {"DROP TABLE blobs; DROP TABLE blob_parts; DROP TABLE audit; DROP TABLE rules; DROP TABLE answers;"
         "PRAGMA user_version = 1",
         "", 0},
        /* What folds a range says so. */
        {"DELETE FROM events WHERE session = 1 AND seq IN (11, 12, 13);"
         "UPDATE events SET body = '{\"from\":11,\"seq\":14}' WHERE session = 1 AND seq = 14",
         "", 0},
        {"UPDATE events SET body = '{\"from\":11,\"seq\":14}' WHERE session = 1 AND seq = 14",
         "session session-1: event 14 covers number 11 a second time\n", 1},
    };
    for (size_t i = 0; i < array_size(wrongs); i++) {
        begin();
        change(wrongs[i].sql);
        size_t problems = 99;
        struct store_sizes sizes;
        told[0] = '\0';
        CU_ASSERT_EQUAL(store_sqlite_check(folder, tell, NULL, &sizes, &problems, why, sizeof(why)),
                        ERR_OK);
        CU_ASSERT_EQUAL(problems, wrongs[i].problems);
        TEST_TEXT(told, wrongs[i].told);
        folder_remove(folder);
    }
}

static void damage_is_found_and_nothing_changed(void)
{
    begin();
    const char *path = folder_path(folder, "signalbox.db");
    struct stat before, after;
    CU_ASSERT_EQUAL(stat(path, &before), 0);
    FILE *file = fopen(path, "r+");
    for (long page = 6; page < 40; page += 7) { /* some of the events' */
        fseek(file, page * 4096 + 100, SEEK_SET);
        for (int i = 0; i < 700; i++) {
            fputc(0xa5, file);
        }
    }
    fclose(file);
    size_t problems = 0;
    enum err err = check(&problems);
    CU_ASSERT_TRUE(err == ERR_CORRUPT || (err == ERR_OK && problems > 0));
    CU_ASSERT_EQUAL(stat(path, &after), 0);
    CU_ASSERT_EQUAL(before.st_size, after.st_size);
    folder_remove(folder);
}

static void what_is_not_ours_is_refused(void)
{
    size_t problems;
    struct store_sizes before, after;
    folder = folder_new();
    CU_ASSERT_EQUAL(check(&problems), ERR_NOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "there is no store in"));
    struct stat there;
    CU_ASSERT_NOT_EQUAL(stat(folder_path(folder, "signalbox.db"), &there), 0); /* nor is one made */
    folder_write(folder, "signalbox.db", "something else that is longer than one hundred bytes: "
                                         "something else that is longer than one hundred bytes");
    CU_ASSERT_EQUAL(check(&problems), ERR_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "is no SQLite database"));
    CU_ASSERT_EQUAL(store_sqlite_compact(folder, &before, &after, why, sizeof(why)), ERR_CORRUPT);
    folder_remove(folder);
}

static void while_a_server_runs_both_are_refused(void)
{
    begin();
    struct store *store = open_store();
    size_t problems;
    struct store_sizes before, after;
    CU_ASSERT_EQUAL(check(&problems), ERR_AGAIN);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "in use by another signalbox, process"));
    CU_ASSERT_EQUAL(store_sqlite_compact(folder, &before, &after, why, sizeof(why)), ERR_AGAIN);
    store->operations->close(store);
    CU_ASSERT_EQUAL(check(&problems), ERR_OK);
    folder_remove(folder);
}

static void compacting_gives_room_back_and_keeps_the_rest(void)
{
    begin();
    struct store *store = open_store();
    for (uint64_t seq = 1; seq <= 1000; seq++) {
        append_event(store, 3, seq);
    }
    struct store_write purge = {.kind = STORE_PURGE, .session_key = 3};
    CU_ASSERT_EQUAL(store->operations->append(store, &purge), ERR_OK);
    for (bool more = true; more;) {
        CU_ASSERT_EQUAL_FATAL(store->operations->tidy(store, &more), ERR_OK);
    }
    char generation[64];
    snprintf(generation, sizeof(generation), "%s", store->generation);
    store->operations->close(store);
    struct store_sizes before, after;
    CU_ASSERT_EQUAL(store_sqlite_compact(folder, &before, &after, why, sizeof(why)), ERR_OK);
    CU_ASSERT_TRUE(before.bytes > 2000000);
    CU_ASSERT_TRUE(after.bytes < 400000);
    CU_ASSERT_EQUAL(after.events, 100);
    size_t problems = 99;
    CU_ASSERT_EQUAL(check(&problems), ERR_OK);
    CU_ASSERT_EQUAL(problems, 0);
    store = open_store();
    TEST_TEXT(store->generation, generation);
    CU_ASSERT_EQUAL(store->next_key, 3);
    store->operations->close(store);
    folder_remove(folder);
}

static void without_room_it_stays_as_it_was(void)
{
    begin();
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    rlim_t most = limit.rlim_cur;
    limit.rlim_cur = 50000;
    setrlimit(RLIMIT_FSIZE, &limit);
    struct store_sizes before, after;
    enum err err = store_sqlite_compact(folder, &before, &after, why, sizeof(why));
    limit.rlim_cur = most;
    setrlimit(RLIMIT_FSIZE, &limit);
    CU_ASSERT_NOT_EQUAL(err, ERR_OK);
    CU_ASSERT_PTR_NOT_NULL(strstr(why, "stays as it is"));
    size_t problems = 99;
    CU_ASSERT_EQUAL(check(&problems), ERR_OK);
    CU_ASSERT_EQUAL(problems, 0);
    folder_remove(folder);
}

TEST_MAIN("store_check", TEST(a_whole_store_is_fine), TEST(what_is_wrong_is_told),
          TEST(damage_is_found_and_nothing_changed), TEST(what_is_not_ours_is_refused),
          TEST(while_a_server_runs_both_are_refused),
          TEST(compacting_gives_room_back_and_keeps_the_rest), TEST(without_room_it_stays_as_it_was))
