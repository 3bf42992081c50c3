#include <stdlib.h>
#include <string.h>

#include "sqlite.h"

/*
 * SQLite calls only ENOSPC "full"; a quota and a limit on file sizes are an I/O error to it, and
 * the same to those who must make room. What failed is a write to the log, since nothing else is
 * written in a commit.
 */
static int log_write_errno(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int cause = 0;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (code == SQLITE_OK && log != NULL && log->pMethods != NULL) {
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &cause);
    }
    return cause;
}

enum err sqlite_err(sqlite3 *db, int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_FULL:
        return ERR_NOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_AGAIN;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_CONSTRAINT:
        return ERR_EXIST;
    case SQLITE_TOOBIG:
        return ERR_TOOBIG;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
        return ERR_ACCES;
    default:
        break;
    }
    if (code == SQLITE_IOERR_WRITE && db != NULL) {
        int cause = log_write_errno(db);
        if (cause == EDQUOT || cause == EFBIG) {
            return ERR_NOSPC;
        }
    }
    return ERR_IO;
}

const char *sqlite_why(sqlite3 *db)
{
    return db != NULL ? sqlite3_errmsg(db) : "out of memory";
}

enum err sqlite_run(sqlite3 *db, const char *sql)
{
    return sqlite_err(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

enum err sqlite_number(sqlite3 *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(db, code);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    } else if (code == SQLITE_DONE) {
        err = ERR_NOENT;
    }
    sqlite3_finalize(statement);
    return err;
}

enum err sqlite_text(sqlite3 *db, const char *sql, const char *bind, char **out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && bind != NULL) {
        code = sqlite3_bind_text(statement, 1, bind, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = sqlite_err(db, code);
    if (code == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        char *copy = text != NULL ? strdup((const char *)text) : NULL;
        if (copy != NULL) {
            *out = copy;
        } else {
            err = ERR_NOMEM;
        }
    } else if (code == SQLITE_DONE) {
        err = ERR_NOENT;
    }
    sqlite3_finalize(statement);
    return err;
}

enum err sqlite_connect(const char *path, int flags, sqlite3 **out)
{
    int code = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        return sqlite_err(*out, code);
    }
    sqlite3_extended_result_codes(*out, 1);
    sqlite3_busy_timeout(*out, SQLITE_BUSY_MS);
    /* Checkpoints have their own thread, so no commit and no read may start one. Memory-mapped
     * reads would turn an I/O error into SIGBUS. */
    return sqlite_run(
        *out, "PRAGMA wal_autocheckpoint = 0; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;");
}
