#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "sqlite.h"

/* A whole check reads the whole file, so after a crash only one of moderate size is checked at the
 * start. */
#define CHECK_BYTES_MAX (64 << 20)

enum { LOCK_POLL_MS = 5, LOCK_WAIT_MS = 2000 };

static enum err fail(struct sqlite_reason why, enum err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err fail(struct sqlite_reason why, enum err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why.text, why.size, format, arguments);
    va_end(arguments);
    return err;
}

/* mkdir -p; what is made is for this user only. */
static enum err make_directory(const char *path, struct sqlite_reason why)
{
    char *part = strdup(path);
    if (part == NULL) {
        return fail(why, ERR_NOMEM, "out of memory");
    }
    int cause = 0;
    for (char *at = part; *at != '\0' && cause == 0;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char end = *at;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            cause = errno;
            /* One that may not be made (read-only, no permission) can be there all the same. */
            struct stat there;
            if (stat(part, &there) == 0 && S_ISDIR(there.st_mode)) {
                cause = 0;
            }
        }
        *at = end;
    }
    free(part);
    struct stat made;
    if (cause == 0 && stat(path, &made) != 0) {
        cause = errno;
    } else if (cause == 0 && !S_ISDIR(made.st_mode)) {
        cause = ENOTDIR;
    }
    if (cause != 0) {
        return fail(why, err_from_errno(cause), "cannot make the data folder %s: %s", path,
                    strerror(cause));
    }
    return ERR_OK;
}

static enum err join(char **out, const char *directory, const char *name)
{
    return asprintf(out, "%s/%s", directory, name) < 0 ? ERR_NOMEM : ERR_OK;
}

/* Who holds the lock, as far as the file says; 0 if it does not. */
static long owner_of(int fd)
{
    char owner[32] = "";
    ssize_t got = pread(fd, owner, sizeof owner - 1, 0);
    owner[got > 0 ? got : 0] = '\0';
    return strtol(owner, NULL, 10);
}

/*
 * A server that is killed while it starts an agent leaves a child that has copies of its files
 * until it execs, and with them the lock. So where the owner is gone, this waits for a moment.
 */
static int try_lock(int fd)
{
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_POLL_MS) {
        long pid = errno == EWOULDBLOCK ? owner_of(fd) : 0;
        bool gone = pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
        if (pid > 0) {
            errno = EWOULDBLOCK;
        }
        if (!gone || waited_ms >= LOCK_WAIT_MS) {
            return -1;
        }
        const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

/*
 * flock(2) and not fcntl(2): the lock ends with the last copy of this descriptor, so also when the
 * server is killed, and does not end when somebody in this process closes another descriptor of the
 * file.
 */
enum err sqlite_lock(const char *directory, int *out, struct sqlite_reason why)
{
    char *path;
    if (join(&path, directory, "lock") != ERR_OK) {
        return fail(why, ERR_NOMEM, "out of memory");
    }
    enum err err = ERR_OK;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        fd = fd_lift(fd);
        if (fd < 0) {
            errno = -fd;
        }
    }
    if (fd < 0) {
        int cause = errno;
        err = fail(why, err_from_errno(cause), "cannot open %s: %s", path, strerror(cause));
        goto out;
    }
    if (try_lock(fd) != 0) {
        int cause = errno;
        if (cause != EWOULDBLOCK) {
            err = fail(why, err_from_errno(cause), "cannot lock %s: %s", path, strerror(cause));
            goto out;
        }
        long pid = owner_of(fd);
        if (pid > 0) {
            err =
                fail(why, ERR_AGAIN, "the data folder %s is in use by another signalbox, process %ld",
                     directory, pid);
        } else {
            err = fail(why, ERR_AGAIN, "the data folder %s is in use by another signalbox", directory);
        }
        goto out;
    }
    /* The number is for people only, so a full disk is no reason not to go on. */
    if (ftruncate(fd, 0) == 0) {
        (void)dprintf(fd, "%ld\n", (long)getpid());
    }
    *out = fd;
    fd = -1;
out:
    fd_close(fd);
    free(path);
    return err;
}

static bool has_bytes(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 && there.st_size > 0;
}

/*
 * Before SQLite touches anything. It may not be done while a connection is open: closing any
 * descriptor of the file would end SQLite's locks on it (fcntl(2), "advisory record locking").
 */
enum err sqlite_check_file(const char *path, bool *is_new, off_t *bytes, struct sqlite_reason why)
{
    *bytes = 0;
    *is_new = !has_bytes(path);
    if (*is_new) {
        char *log;
        if (asprintf(&log, "%s-wal", path) < 0) {
            return fail(why, ERR_NOMEM, "out of memory");
        }
        /* SQLite would throw the log away, and with it what was committed last. */
        bool orphan = has_bytes(log);
        free(log);
        if (orphan) {
            return fail(why, ERR_CORRUPT,
                        "%s is missing or empty but its log %s-wal is not: put the database back, "
                        "or move the log "
                        "away to begin an empty one",
                        path, path);
        }
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) {
            int cause = errno;
            return fail(why, err_from_errno(cause), "cannot make %s: %s", path, strerror(cause));
        }
        close(fd);
        return ERR_OK;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int cause = errno;
        return fail(why, err_from_errno(cause), "cannot open %s: %s", path, strerror(cause));
    }
    static const char magic[16] = "SQLite format 3";
    char head[100];
    struct stat file = {0};
    bool ours = fstat(fd, &file) == 0 && S_ISREG(file.st_mode) &&
                pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
                memcmp(head, magic, sizeof magic) == 0;
    close(fd);
    *bytes = file.st_size;
    if (!ours) {
        return fail(why, ERR_CORRUPT,
                    "%s is no SQLite database, or its beginning is damaged; it was left as it is: "
                    "restore it from a "
                    "backup, or move it away to begin an empty one",
                    path);
    }
    return ERR_OK;
}

enum err sqlite_explain(const char *path, enum err err, const char *cause,
                        struct sqlite_reason why)
{
    switch ((int)err) {
    case ERR_CORRUPT:
        return fail(why, err,
                    "%s cannot be used: %s; it was left as it is: restore it from a backup, try "
                    "\"sqlite3 %s "
                    ".recover\", or move it and its -wal file away to begin an empty one",
                    path, cause, path);
    case ERR_UNSUPPORTED:
        return fail(why, err, "%s cannot be used: %s", path, cause);
    case ERR_AGAIN:
        return fail(why, err, "%s is held by another program", path);
    default:
        return fail(why, err, "cannot open %s: %s", path, cause);
    }
}

/*
 * The check also calls a page damaged that it could not read or had no memory for, and says so in
 * words only; so what it finds must be found twice.
 */
static enum err check_whole(sqlite3 *db, char *cause, size_t size)
{
    enum err err = ERR_CORRUPT;
    for (int tries = 0; tries < 2 && err == ERR_CORRUPT; tries++) {
        char *answer = NULL;
        err = sqlite_text(db, "PRAGMA quick_check(1)", NULL, &answer);
        if (err != ERR_OK) {
            snprintf(cause, size, "%s", sqlite_why(db));
        } else if (strcmp(answer, "ok") != 0) {
            /* Its first line only names the database. */
            const char *found = strchr(answer, '\n');
            snprintf(cause, size, "%s", found ? found + 1 : answer);
            err = ERR_CORRUPT;
        }
        free(answer);
    }
    if (err == ERR_OK) {
        cause[0] = '\0';
    }
    return err;
}

static int note_log(void *context, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    struct sqlite_store *store = context;
    store->log_pages = pages;
    return SQLITE_OK;
}

/* From an open connection to a store in use; on failure `cause` gets the words where SQLite has
 * none. */
static enum err begin(struct sqlite_store *store, off_t bytes, char *cause, size_t size)
{
    sqlite3 *db = store->db;
    bool is_new = false;
    enum err err = sqlite_schema_identify(db, &is_new, cause, size);
    if (err != ERR_OK) {
        return err;
    }
    char *mode = NULL;
    err = sqlite_text(db, "PRAGMA journal_mode = WAL", NULL, &mode);
    if (err == ERR_OK && strcmp(mode, "wal") != 0) {
        snprintf(cause, size,
                 "the file system does not allow SQLite's write-ahead log (shared memory)");
        err = ERR_UNSUPPORTED;
    }
    free(mode);
    if (err == ERR_OK) {
        /* Who erases a session must find nothing of it in the file, also not what was folded away or written anew before. */
        err = sqlite_run(db, "PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;"
                             "PRAGMA journal_size_limit = 134217728; PRAGMA secure_delete = ON;");
    }
    if (err == ERR_OK && is_new) {
        err = sqlite_schema_create(db);
    }
    bool clean = is_new;
    if (err == ERR_OK && !is_new) {
        err = sqlite_schema_was_clean(db, &clean);
    }
    if (err == ERR_OK && !clean && bytes <= CHECK_BYTES_MAX) {
        err = check_whole(db, cause, size);
    }
    /* From here on the file is ours, and the last connection may do what SQLite does at a close:
     * move the log into the file and remove it. */
    if (err == ERR_OK) {
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, (int *)NULL);
        err = sqlite_schema_upgrade(db, SQLITE_SCHEMA_VERSION);
    }
    if (err == ERR_OK) {
        err = sqlite_append_prepare(store);
    }
    if (err == ERR_OK) {
        err = sqlite_number(
            db,
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'sessions'), 0),"
            " coalesce((SELECT max(key) FROM sessions), 0)) + 1",
            &store->store.next_key);
    }
    if (err == ERR_OK) {
        err = sqlite_number(db, "SELECT count(*) FROM sessions WHERE closed = 0",
                            &store->store.open_sessions);
    }
    if (err == ERR_OK) {
        err = sqlite_schema_begin(db, clean, &store->store.generation);
    }
    if (err == ERR_OK) {
        err = sqlite_run(db, "PRAGMA synchronous = NORMAL");
    }
    if (err == ERR_OK) {
        sqlite3_wal_hook(db, note_log, store);
    } else if (cause[0] == '\0') {
        snprintf(cause, size, "%s", sqlite_why(db));
    }
    return err;
}

static void sqlite_free(struct sqlite_store *store)
{
    sqlite_append_finish(store);
    sqlite3_close_v2(store->db);
    fd_close(store->lock_fd);
    free(store->store.generation);
    free(store->path);
    free(store);
}

enum err store_sqlite_open(struct store **out, const char *data_directory, char *why_text,
                           size_t why_size)
{
    struct sqlite_reason why = {why_text, why_size};
    if (data_directory[0] == '\0') {
        return fail(why, ERR_INVAL, "the data folder has no name");
    }
    struct sqlite_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return fail(why, ERR_NOMEM, "out of memory");
    }
    store->store.operations = &sqlite_operations;
    store->lock_fd = -1;
    enum err err = make_directory(data_directory, why);
    if (err == ERR_OK && join(&store->path, data_directory, "signalbox.db") != ERR_OK) {
        err = fail(why, ERR_NOMEM, "out of memory");
    }
    if (err == ERR_OK) {
        err = sqlite_lock(data_directory, &store->lock_fd, why);
    }
    bool is_new = false;
    off_t bytes = 0;
    if (err == ERR_OK) {
        err = sqlite_check_file(store->path, &is_new, &bytes, why);
    }
    if (err != ERR_OK) {
        sqlite_free(store);
        return err;
    }
    char cause[256] = "";
    err = sqlite_connect(store->path, SQLITE_OPEN_READWRITE, &store->db);
    if (err == ERR_OK) {
        /* A file that turns out to be somebody else's stays as it is, its log too. */
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
        err = begin(store, bytes, cause, sizeof cause);
    } else {
        snprintf(cause, sizeof cause, "%s", sqlite_why(store->db));
    }
    if (err == ERR_OK && is_new) {
        int fd = open(data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) {
            (void)fsync(fd); /* the names of new files; some file systems refuse it */
            close(fd);
        }
    }
    if (err != ERR_OK) {
        err = sqlite_explain(store->path, err, cause, why);
        sqlite_free(store);
        return err;
    }
    *out = &store->store;
    return ERR_OK;
}

enum err store_sqlite_durability(struct store *base, enum store_durability durability)
{
    CHECK(base->operations == &sqlite_operations);
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    /* What was committed before is synced by this commit; so is the word that what follows is, or is
     * not. */
    enum err err = sqlite_run(store->db, "PRAGMA synchronous = FULL");
    if (err == ERR_OK) {
        err = sqlite_schema_durability(store->db, durability);
    }
    if (err != ERR_OK || durability == STORE_SURVIVES_PROCESS) {
        enum err back = sqlite_run(store->db, "PRAGMA synchronous = NORMAL");
        err = err != ERR_OK ? err : back;
    }
    return err;
}

static void sqlite_close(struct store *base)
{
    struct sqlite_store *store = container_of(base, struct sqlite_store, store);
    sqlite_append_finish(store);
    enum err err = sqlite_run(store->db, "PRAGMA synchronous = FULL");
    if (err == ERR_OK) {
        err = sqlite_schema_end(store->db);
    }
    if (err != ERR_OK) {
        log_error("store not marked as stopped", "file", "%s", store->path, "error", "%s",
                  err_text(err), "detail", "%s", sqlite_why(store->db), NULL);
    }
    sqlite_free(store);
}

const struct store_operations sqlite_operations = {
    .name = "sqlite",
    .append = sqlite_append,
    .fold = sqlite_fold,
    .is_behind = sqlite_is_behind,
    .tidy = sqlite_tidy,
    .reader_open = sqlite_reader_open,
    .close = sqlite_close,
    .reader_close = sqlite_reader_close,
    .read_events = sqlite_read_events,
    .find_session = sqlite_find_session,
    .find_turn = sqlite_find_turn,
    .find_unfolded = sqlite_find_unfolded,
    .read_session = sqlite_read_session,
    .read_open = sqlite_read_open,
    .list_sessions = sqlite_list_sessions,
    .read_answer = sqlite_read_answer,
    .list_answers = sqlite_list_answers,
    .list_rules = sqlite_list_rules,
    .list_audit = sqlite_list_audit,
    .read_blob = sqlite_read_blob,
    .maintain = sqlite_maintain,
};
