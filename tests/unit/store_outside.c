/* The audit read by another program than the server: whatever the server does meanwhile, and without a trace. */
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "signalbox/base/check.h"
#include "store/sqlite.h"
#include "support/folder.h"
#include "support/test.h"

static char *folder;
static char why[1024];

/*
 * The server is a process of its own, which does what it is told: SQLite shares what it knows of a file between all
 * connections of a process, so within this one there would be no outside.
 */
static pid_t server;
static int orders[2], done[2];
static struct store *store; /* the server's */

enum order { OPEN = 1, CLOSE, CHECKPOINT, ADD /* and how many */ };

static bool add(size_t count)
{
    struct audit_entry entry = {.at = 1000, .action = (char *)(uintptr_t) "decision",
                                .session_id = (char *)(uintptr_t) "s", .outcome = (char *)(uintptr_t) "allowed"};
    bool fine = true;
    for (size_t i = 0; i < count && fine; i++) {
        struct store_write write = {.kind = STORE_AUDIT, .audit = &entry};
        fine = store->operations->append(store, &write) == ERR_OK;
    }
    return fine;
}

static bool checkpoint(void)
{
    struct store_reader *reader;
    if (store->operations->reader_open(store, &reader) != ERR_OK) {
        return false;
    }
    bool fine = reader->operations->maintain(reader) == ERR_OK;
    reader->operations->reader_close(reader);
    return fine;
}

static bool follow(int order)
{
    switch (order) {
    case OPEN:
        return store_sqlite_open(&store, folder, why, sizeof(why)) == ERR_OK;
    case CLOSE:
        store->operations->close(store);
        return true;
    case CHECKPOINT:
        return checkpoint();
    default:
        return add((size_t)(order - ADD));
    }
}

static void serve(void)
{
    for (int order; read(orders[0], &order, sizeof(order)) == sizeof(order);) {
        char fine = (char)follow(order);
        if (!fine) {
            fprintf(stderr, "\n    the server: %s\n", why);
        }
        if (write(done[1], &fine, 1) != 1) {
            break;
        }
    }
    _exit(0);
}

static void begin_server(void)
{
    fflush(stdout);
    if (pipe(orders) != 0 || pipe(done) != 0 || (server = fork()) < 0) {
        abort();
    }
    if (server == 0) {
        close(orders[1]);
        close(done[0]);
        serve();
    }
    close(orders[0]);
    close(done[1]);
}

static void end_server(void)
{
    close(orders[1]);
    close(done[0]);
    if (waitpid(server, NULL, 0) != server) {
        abort();
    }
}

static void kill_server(void)
{
    kill(server, SIGKILL);
    end_server();
    begin_server();
}

static void tell(int order)
{
    char fine = 0;
    if (write(orders[1], &order, sizeof(order)) != sizeof(order) || read(done[0], &fine, 1) != 1) {
        abort();
    }
    CU_ASSERT_TRUE(fine);
}

static void begin(void)
{
    folder = folder_new();
    begin_server();
}

static void end(void)
{
    end_server();
    folder_remove(folder);
}

struct walk {
    int64_t last;
    size_t count;
    bool jumped;
    void (*meanwhile)(void);
};

static bool walk_on(void *context, const struct audit_entry *entry)
{
    struct walk *walk = context;
    walk->jumped |= walk->count > 0 && entry->number != walk->last + 1;
    walk->last = entry->number;
    walk->count++;
    if (walk->meanwhile != NULL) {
        walk->meanwhile();
        walk->meanwhile = NULL;
    }
    return true;
}

/* How many entries there are, from outside; -1 where they cannot be read. */
static long look(void (*meanwhile)(void))
{
    struct store_reader *reader;
    struct walk walk = {.meanwhile = meanwhile};
    why[0] = '\0';
    if (store_sqlite_look(&reader, folder, why, sizeof(why)) != ERR_OK) {
        return -1;
    }
    enum err err = reader->operations->list_audit(reader, 0, false, SIZE_MAX, NULL, walk_on, &walk);
    reader->operations->reader_close(reader);
    CU_ASSERT_FALSE(walk.jumped);
    return err == ERR_OK ? (long)walk.count : -1;
}

static void cannot_look(const char *part)
{
    CU_ASSERT_EQUAL(look(NULL), -1);
    if (strstr(why, part) == NULL) {
        printf("\n    \"%s\" does not say \"%s\"\n", why, part);
        CU_FAIL("what is wrong is not said");
    }
}

/* The folder's files: sizes, modes, owners, the time of the last change, and what is in them. */
static char *trace(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct stat file;
        const char *path = folder_path(folder, names[i]->d_name);
        uint64_t sum = 0;
        if (strcmp(names[i]->d_name, "..") != 0 && stat(path, &file) == 0) {
            FILE *in = S_ISREG(file.st_mode) ? fopen(path, "r") : NULL;
            for (int byte; in != NULL && (byte = getc(in)) != EOF;) {
                sum = sum * 31 + (uint64_t)byte;
            }
            if (in != NULL) {
                fclose(in);
            }
            fprintf(out, "%s %ld %o %u %ld.%09ld %016lx\n", names[i]->d_name, (long)file.st_size, file.st_mode,
                    file.st_uid, (long)file.st_mtim.tv_sec, file.st_mtim.tv_nsec, (unsigned long)sum);
        }
        free(names[i]);
    }
    free(names);
    fclose(out);
    return text;
}

static void leaves_no_trace(long expected)
{
    char *before = trace();
    CU_ASSERT_EQUAL(look(NULL), expected);
    char *after = trace();
    TEST_TEXT(after, before);
    free(before);
    free(after);
}

static bool there(const char *name)
{
    return access(folder_path(folder, name), F_OK) == 0;
}

static void nothing_is_made_or_changed(void)
{
    begin();
    tell(OPEN);
    leaves_no_trace(0);
    tell(ADD + 3);
    leaves_no_trace(3);
    tell(ADD + 2);
    leaves_no_trace(5);
    tell(CHECKPOINT);
    leaves_no_trace(5);
    tell(ADD + 1); /* begins the log anew */
    leaves_no_trace(6);
    tell(CLOSE);
    CU_ASSERT_FALSE(there("signalbox.db-wal") || there("signalbox.db-shm"));
    leaves_no_trace(6);
    tell(OPEN);
    leaves_no_trace(6);
    tell(ADD + 300); /* more than one batch */
    kill_server();
    CU_ASSERT_TRUE(there("signalbox.db-wal") && there("signalbox.db-shm"));
    leaves_no_trace(306);
    CU_ASSERT_EQUAL(unlink(folder_path(folder, "signalbox.db-shm")), 0);
    cannot_look("its newest part is in its log, which cannot be read without");
    CU_ASSERT_FALSE(there("signalbox.db-shm"));
    tell(OPEN);
    leaves_no_trace(306);
    tell(CLOSE);
    leaves_no_trace(306);
    end();
}

static void stop_the_server(void)
{
    tell(CLOSE);
    /* It could move the last of its log, since nobody held it. */
    CU_ASSERT_FALSE(there("signalbox.db-wal"));
}

static void start_the_server(void)
{
    tell(OPEN);
    tell(ADD + 10);
}

static void who_reads_slowly_holds_nobody_up(void)
{
    begin();
    tell(OPEN);
    tell(ADD + 600); /* three batches */
    CU_ASSERT_EQUAL(look(stop_the_server), 600);
    CU_ASSERT_EQUAL(look(start_the_server), 610);
    CU_ASSERT_EQUAL(look(NULL), 610);
    tell(CLOSE);
    end();
}

enum { RUNS = 40 };

/* A server that starts, records, stops, or is killed, again and again: in a child, while this process looks. */
static void run_servers(void)
{
    for (int i = 0; i < RUNS; i++) {
        begin_server();
        tell(OPEN);
        tell(ADD + 10);
        tell(CHECKPOINT);
        if (i % 3 == 2) {
            kill(server, SIGKILL);
        } else {
            tell(CLOSE);
        }
        end_server();
    }
    _exit(CU_get_number_of_failures() > 0);
}

static void starts_and_stops_are_not_noticed(void)
{
    begin();
    tell(OPEN);
    tell(CLOSE);
    fflush(stdout);
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        run_servers();
    }
    long least = 0;
    int status = 0;
    bool fine = true;
    while (waitpid(child, &status, WNOHANG) == 0) {
        long now = look(NULL);
        if (now < least) {
            printf("\n    %ld after %ld: %s\n", now, least, why);
            fine = false;
        }
        least = now;
    }
    CU_ASSERT_TRUE(fine);
    CU_ASSERT_EQUAL(status, 0);
    CU_ASSERT_EQUAL(look(NULL), RUNS * 10);
    end();
}

/* ---- Between the look at the files and their opening ---- */

static sqlite3_vfs hooked;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static void (*at_open)(void); /* once */

static int open_hooked(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    void (*now)(void) = at_open;
    int code = real_open(vfs, name, file, flags, out);
    at_open = NULL;
    if (now != NULL) {
        now();
    }
    return code;
}

/* Before the first look, whose VFS is made from this one. */
static void hook_opening(void)
{
    sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    hooked = *system;
    hooked.pNext = NULL;
    hooked.zName = "hooked";
    real_open = system->xOpen;
    hooked.xOpen = open_hooked;
    CU_ASSERT_EQUAL(sqlite3_vfs_register(&hooked, 1), SQLITE_OK);
}

static void just_stop(void)
{
    tell(CLOSE);
}

static void start_and_stop(void)
{
    start_the_server();
    tell(CLOSE);
}

/* The log that was seen is gone, or one is there that was not: it is looked at again. */
static void what_changes_while_it_is_opened_is_looked_at_again(void)
{
    begin();
    hook_opening();
    tell(OPEN);
    tell(ADD + 3);
    at_open = just_stop;
    CU_ASSERT_EQUAL(look(NULL), 3);
    CU_ASSERT_FALSE(there("signalbox.db-shm") || there("signalbox.db-wal"));
    at_open = start_the_server;
    CU_ASSERT_EQUAL(look(NULL), 13);
    CU_ASSERT_TRUE(there("signalbox.db-wal"));
    tell(CLOSE);
    at_open = start_and_stop;
    CU_ASSERT_EQUAL(look(NULL), 23);
    end();
}

static void change(const char *sql)
{
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(folder_path(folder, "signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void what_cannot_be_read_is_said(void)
{
    begin();
    cannot_look("there is no store that can be read: ");
    CU_ASSERT_FALSE(there("signalbox.db"));
    folder_write(folder, "signalbox.db", "something else that is no database");
    cannot_look("signalbox.db is no SQLite database, or its beginning is damaged");
    CU_ASSERT_EQUAL(unlink(folder_path(folder, "signalbox.db")), 0);
    folder_write(folder, "signalbox.db", ""); /* a server is just beginning one */
    leaves_no_trace(0);

    tell(OPEN);
    tell(ADD + 3);
    tell(CLOSE);
    change("PRAGMA user_version = 99");
    cannot_look("it was written by a newer signalbox (schema 99");
    change("PRAGMA user_version = 3; PRAGMA application_id = 5");
    cannot_look("it is a database of another program");
    char *data = folder;
    folder = (char *)(uintptr_t) "/nowhere/at all";
    cannot_look("there is no store in /nowhere/at all");
    folder = data;
    end();
}

static void an_older_one_has_no_audit(void)
{
    folder = folder_new();
    sqlite3 *db;
    CU_ASSERT_EQUAL(sqlite3_open(folder_path(folder, "signalbox.db"), &db), SQLITE_OK);
    CU_ASSERT_EQUAL(sqlite_schema_create(db), ERR_OK);
    sqlite3_close(db);
    leaves_no_trace(0);
    folder_remove(folder);
}

static void a_path_is_a_path(void)
{
    char *parent = folder_new();
    folder = strdup(folder_path(parent, "a?b#c%64&vfs=unix"));
    begin_server();
    tell(OPEN);
    tell(ADD + 2);
    leaves_no_trace(2);
    tell(CLOSE);
    leaves_no_trace(2);
    end_server();
    free(folder);
    folder_remove(parent);
}

static void damage_is_said(void)
{
    begin();
    tell(OPEN);
    tell(ADD + 2000);
    tell(CLOSE);
    FILE *file = fopen(folder_path(folder, "signalbox.db"), "r+");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 30 * 4096L; at < size; at += 4096) {
        fseek(file, at, SEEK_SET);
        for (int i = 0; i < 200; i++) {
            fputc(0xa5, file);
        }
    }
    fclose(file);
    cannot_look("signalbox.db cannot be used: ");
    end();
}

TEST_MAIN("store_outside", TEST(what_changes_while_it_is_opened_is_looked_at_again), TEST(nothing_is_made_or_changed), TEST(who_reads_slowly_holds_nobody_up),
          TEST(starts_and_stops_are_not_noticed), TEST(what_cannot_be_read_is_said), TEST(an_older_one_has_no_audit),
          TEST(a_path_is_a_path), TEST(damage_is_said))
