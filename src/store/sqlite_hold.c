/* Holding a store that no server uses, for what operators do to it. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "signalbox/base/fd.h"
#include "sqlite.h"

void sqlite_let_go(struct sqlite_held *held)
{
    sqlite3_close_v2(held->db);
    fd_close(held->lock_fd);
    free(held->path);
}

static enum err find_store(const char *data_directory, const char *path, struct sqlite_reason why)
{
    struct stat there;
    if (stat(path, &there) == 0) {
        return ERR_OK;
    }
    int cause = errno;
    snprintf(why.text, why.size, "there is no store in %s: %s: %s", data_directory, path,
             strerror(cause));
    return err_from_errno(cause);
}

enum err sqlite_hold(struct sqlite_held *held, const char *data_directory, struct sqlite_reason why)
{
    *held = (struct sqlite_held){.lock_fd = -1};
    char cause[256] = "";
    enum err err = ERR_OK;
    if (asprintf(&held->path, "%s/signalbox.db", data_directory) < 0) {
        held->path = NULL;
        snprintf(why.text, why.size, "out of memory");
        return ERR_NOMEM;
    }
    bool empty = false;
    off_t bytes = 0;
    err = find_store(data_directory, held->path, why);
    if (err == ERR_OK) {
        err = sqlite_lock(data_directory, &held->lock_fd, why);
    }
    if (err == ERR_OK) {
        err = sqlite_check_file(held->path, &empty, &bytes, why);
    }
    if (err == ERR_OK) {
        err = sqlite_connect(held->path, SQLITE_OPEN_READWRITE, &held->db);
        if (err == ERR_OK) {
            /* A look changes nothing: also not where the newest part of the store is. */
            sqlite3_db_config(held->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
            err = sqlite_schema_identify(held->db, &held->is_new, cause, sizeof(cause));
        }
        if (err != ERR_OK) {
            err = sqlite_explain(held->path, err, cause[0] ? cause : sqlite_why(held->db), why);
        }
    }
    if (err != ERR_OK) {
        sqlite_let_go(held);
    }
    return err;
}

static int64_t file_bytes(const char *path, const char *ending)
{
    char name[4096];
    struct stat there;
    snprintf(name, sizeof(name), "%s%s", path, ending);
    return stat(name, &there) == 0 ? there.st_size : 0;
}

enum err sqlite_measure(const struct sqlite_held *held, struct store_sizes *sizes)
{
    *sizes = (struct store_sizes){
        .bytes = file_bytes(held->path, "") + file_bytes(held->path, "-wal"),
    };
    if (held->is_new) {
        return ERR_OK;
    }
    enum err err = sqlite_number(held->db, "SELECT count(*) FROM sessions", &sizes->sessions);
    return err != ERR_OK ? err
                         : sqlite_number(held->db, "SELECT count(*) FROM events", &sizes->events);
}
