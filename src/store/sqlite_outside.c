/*
 * A look at the audit from outside: by another program than the server, which may run, stop and start meanwhile. It takes
 * no lock on DATA/lock and makes, changes and removes no file. (As root, SQLite gives the log and its shared memory the
 * owner of the database, which they have.)
 *
 * Where there is a log, it is read, with its shared memory: SQLite's own locks keep the two programs apart, and where no
 * server runs, SQLite reads the log without that memory's word. Where there is none, the database is all, and is opened as
 * one that does not change; whether that held is looked at afterwards.
 *
 * SQLite by itself would make a log and its shared memory where they are missing, also for who only reads; so here is a
 * VFS that opens what is there, to be read. What is read is lent when the connection is closed again: a reader who is
 * slow (a pager) must not keep the server's log from beginning anew, nor the last part of it from being moved at a stop.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "sqlite.h"

enum {
    BATCH_ENTRIES = 256,
    BATCH_BYTES = 1 << 20, /* of the requests in it */
    TRIES = 40,            /* while files come and go: a server starts or stops */
    TRY_MS = 25,
};

/* ---- Opening what is there ---- */

static sqlite3_vfs readonly_vfs;
static int (*system_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

static int open_what_is_there(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    flags &= ~(SQLITE_OPEN_CREATE | SQLITE_OPEN_READWRITE);
    return system_open(vfs, name, file, flags | SQLITE_OPEN_READONLY, out);
}

static int remove_nothing(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)name;
    (void)sync;
    return SQLITE_IOERR_DELETE;
}

static enum err register_vfs(void)
{
    if (readonly_vfs.zName != NULL) {
        return ERR_OK;
    }
    const sqlite3_vfs *system = sqlite3_vfs_find(NULL);
    if (system == NULL) {
        return ERR_IO;
    }
    readonly_vfs = *system;
    readonly_vfs.pNext = NULL;
    readonly_vfs.zName = "signalbox-readonly";
    system_open = system->xOpen;
    readonly_vfs.xOpen = open_what_is_there;
    readonly_vfs.xDelete = remove_nothing;
    return sqlite_err(NULL, sqlite3_vfs_register(&readonly_vfs, 0));
}

/* A path as SQLite's URIs want it. NULL: no memory. */
static char *uri_of(const char *path, const char *parameters)
{
    struct buffer out = {0};
    buffer_text(&out, "file:");
    for (const char *at = path; *at != '\0'; at++) {
        if (strchr("?#%", *at) != NULL) {
            buffer_format(&out, "%%%02X", (unsigned char)*at);
        } else {
            buffer_byte(&out, *at);
        }
    }
    buffer_format(&out, "?vfs=%s&%s", readonly_vfs.zName, parameters);
    return buffer_take(&out);
}

/* ---- Which files there are ---- */

struct outside {
    struct store_reader reader;
    char *path;      /* of the database, absolute */
    char *why;       /* the caller's */
    size_t why_size;
};

struct files {
    struct stat database;
    bool has_log;    /* with something in it */
    bool has_memory; /* the log's shared memory */
};

static bool stat_beside(const char *path, const char *ending, struct stat *out)
{
    char *name;
    bool there = asprintf(&name, "%s%s", path, ending) >= 0;
    if (there) {
        there = stat(name, out) == 0;
        free(name);
    }
    return there;
}

static enum err look_at_files(const struct outside *outside, struct files *out)
{
    struct stat beside;
    *out = (struct files){0};
    if (stat(outside->path, &out->database) != 0) {
        int cause = errno;
        snprintf(outside->why, outside->why_size, "there is no store that can be read: %s: %s", outside->path,
                 strerror(cause));
        return err_from_errno(cause);
    }
    out->has_log = stat_beside(outside->path, "-wal", &beside) && beside.st_size > 0;
    out->has_memory = stat_beside(outside->path, "-shm", &beside);
    return ERR_OK;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* What was read without a look at a log is right if nobody wrote: whoever writes makes a log before he changes the
 * database. */
static bool untouched(const struct outside *outside, const struct files *before)
{
    struct files now;
    return look_at_files(outside, &now) == ERR_OK && !now.has_log &&
           now.database.st_ino == before->database.st_ino && now.database.st_size == before->database.st_size &&
           same_time(now.database.st_mtim, before->database.st_mtim) &&
           same_time(now.database.st_ctim, before->database.st_ctim);
}

/* ---- A batch ---- */

struct batch {
    struct audit_entry entries[BATCH_ENTRIES];
    size_t count, bytes;
    bool full;
    enum err err;
};

static void batch_clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        audit_entry_clear(&batch->entries[i]);
    }
    *batch = (struct batch){.count = 0};
}

static bool keep_entry(void *context, const struct audit_entry *entry)
{
    struct batch *batch = context;
    batch->err = audit_entry_copy(&batch->entries[batch->count], entry);
    if (batch->err != ERR_OK) {
        return false;
    }
    batch->count++;
    batch->bytes += entry->request != NULL ? strlen(entry->request) : 0;
    batch->full = batch->count == BATCH_ENTRIES || batch->bytes >= BATCH_BYTES;
    return !batch->full;
}

struct question {
    int64_t after;
    bool newest_first;
    size_t limit;
    const struct audit_filter *filter;
};

static enum err read_entries(struct sqlite_reader *reader, const struct question *question, struct batch *batch,
                             char *cause, size_t size)
{
    bool is_new = false;
    int64_t tables = 0;
    enum err err = sqlite_schema_identify(reader->db, &is_new, cause, size);
    if (err == ERR_OK) {
        err = sqlite_number(reader->db, "SELECT count(*) FROM sqlite_schema WHERE name = 'audit'", &tables);
    }
    if (err != ERR_OK || tables == 0) { /* an older one has no audit yet */
        return err;
    }
    err = sqlite_audit_prepare(reader);
    if (err == ERR_OK) {
        err = sqlite_list_audit(&reader->reader, question->after, question->newest_first, question->limit,
                                question->filter, keep_entry, batch);
    }
    return err != ERR_OK ? err : batch->err;
}

/* One connection, from its beginning to its end. On failure `cause` says why. */
static enum err read_once(const struct outside *outside, const struct files *files, const struct question *question,
                          struct batch *batch, char *cause, size_t size)
{
    struct sqlite_reader reader = {.reader = outside->reader};
    char *uri = uri_of(outside->path, files->has_log ? "readonly_shm=1" : "immutable=1");
    if (uri == NULL) {
        snprintf(cause, size, "out of memory");
        return ERR_NOMEM;
    }
    enum err err = sqlite_connect(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &reader.db);
    if (err == ERR_OK) {
        sqlite3_db_config(reader.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
        err = read_entries(&reader, question, batch, cause, size);
    }
    if (err != ERR_OK && cause[0] == '\0') {
        snprintf(cause, size, "%s", sqlite_why(reader.db));
    }
    sqlite_audit_finish(&reader);
    sqlite3_close_v2(reader.db);
    free(uri);
    return err;
}

static enum err explain(const struct outside *outside, enum err err, const char *cause)
{
    struct sqlite_reason why = {outside->why, outside->why_size};
    return sqlite_explain(outside->path, err, cause, why);
}

static enum err read_batch(const struct outside *outside, const struct question *question, struct batch *batch)
{
    enum err err = ERR_OK;
    char cause[512] = "";
    for (int tries = 0; tries < TRIES; tries++) {
        if (tries > 0) {
            nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
        }
        struct files files;
        batch_clear(batch);
        cause[0] = '\0';
        err = look_at_files(outside, &files);
        if (err != ERR_OK) {
            return err;
        }
        if (files.has_log && !files.has_memory) {
            err = ERR_AGAIN; /* for a moment, while a server stops */
            snprintf(cause, sizeof(cause),
                     "its newest part is in its log, which cannot be read without %s-shm: start the server, or move the "
                     "log into the database with `signalbox store compact`", outside->path);
            continue;
        }
        err = read_once(outside, &files, question, batch, cause, sizeof(cause));
        bool moved = !files.has_log && !untouched(outside, &files);
        if (err == ERR_OK && !moved) {
            return ERR_OK;
        }
        /* A log that is there now and gone when it is opened, one that is just being begun, or a page that was read
         * while it was written. What stays wrong is wrong. */
        if (err == ERR_NOMEM || err == ERR_UNSUPPORTED) {
            break;
        }
        err = err == ERR_OK ? ERR_AGAIN : err;
    }
    batch_clear(batch);
    if (err == ERR_AGAIN && cause[0] != '\0') {
        snprintf(outside->why, outside->why_size, "%s cannot be read: %s", outside->path, cause);
        return err;
    }
    return explain(outside, err, cause);
}

/* ---- As a reader ---- */

static struct outside *outside_of(struct store_reader *reader)
{
    return container_of(reader, struct outside, reader);
}

static void outside_close(struct store_reader *reader)
{
    if (reader != NULL) {
        free(outside_of(reader)->path);
        free(outside_of(reader));
    }
}

static enum err outside_list_audit(struct store_reader *reader, int64_t after, bool newest_first, size_t limit,
                                   const struct audit_filter *filter, store_audit_visit *visit, void *context)
{
    const struct outside *outside = outside_of(reader);
    struct question question = {.after = after, .newest_first = newest_first, .limit = limit, .filter = filter};
    struct batch *batch = calloc(1, sizeof(*batch));
    if (batch == NULL) {
        snprintf(outside->why, outside->why_size, "out of memory");
        return ERR_NOMEM;
    }
    enum err err = ERR_OK;
    for (bool more = true; err == ERR_OK && more && question.limit > 0;) {
        err = read_batch(outside, &question, batch);
        more = batch->full;
        for (size_t i = 0; err == ERR_OK && i < batch->count; i++) {
            question.after = batch->entries[i].number;
            question.limit--;
            if (!visit(context, &batch->entries[i])) {
                more = false;
                break;
            }
        }
        batch_clear(batch);
    }
    free(batch);
    return err;
}

static const struct store_operations outside_operations = {
    .name = "sqlite, from outside",
    .reader_close = outside_close,
    .list_audit = outside_list_audit,
};

/* Before SQLite opens it: whether it can be ours, for a clear word. An empty file is one that a server has just begun. */
static enum err check_head(const struct outside *outside)
{
    static const char magic[16] = "SQLite format 3";
    char head[sizeof(magic)];
    int fd = open(outside->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int cause = errno;
        snprintf(outside->why, outside->why_size, "cannot open %s: %s", outside->path, strerror(cause));
        return err_from_errno(cause);
    }
    ssize_t got = pread(fd, head, sizeof(head), 0);
    int cause = errno;
    close(fd);
    if (got < 0) {
        snprintf(outside->why, outside->why_size, "cannot read %s: %s", outside->path, strerror(cause));
        return err_from_errno(cause);
    }
    if (got != 0 && (got != (ssize_t)sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0)) {
        snprintf(outside->why, outside->why_size, "%s is no SQLite database, or its beginning is damaged",
                 outside->path);
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

enum err store_sqlite_look(struct store_reader **out, const char *data_directory, char *why, size_t why_size)
{
    char *folder = realpath(data_directory, NULL); /* a URI takes no path that begins with two slashes */
    if (folder == NULL) {
        int cause = errno;
        snprintf(why, why_size, "there is no store in %s: %s", data_directory, strerror(cause));
        return err_from_errno(cause);
    }
    struct outside *outside = calloc(1, sizeof(*outside));
    if (outside == NULL || asprintf(&outside->path, "%s/signalbox.db", folder) < 0) {
        free(outside);
        free(folder);
        snprintf(why, why_size, "out of memory");
        return ERR_NOMEM;
    }
    free(folder);
    outside->reader.operations = &outside_operations;
    outside->why = why;
    outside->why_size = why_size;
    struct files files;
    enum err err = look_at_files(outside, &files);
    if (err == ERR_OK) {
        err = check_head(outside);
    }
    if (err == ERR_OK) {
        err = register_vfs();
    }
    if (err != ERR_OK) {
        outside_close(&outside->reader);
        return err;
    }
    *out = &outside->reader;
    return ERR_OK;
}
