/* What operators do to a store that no server uses: make its file small. */
#include <stdio.h>

#include "sqlite.h"

static const char compact[] = "PRAGMA synchronous = FULL;"
                              /* The copy that VACUUM makes is as large as the store. */
                              "PRAGMA temp_store = FILE;"
                              "PRAGMA wal_checkpoint(TRUNCATE);"
                              "VACUUM;"
                              "PRAGMA wal_checkpoint(TRUNCATE);";

enum err store_sqlite_compact(const char *data_directory, struct store_sizes *before,
                              struct store_sizes *after, char *why_text, size_t why_size)
{
    struct sqlite_reason why = {why_text, why_size};
    struct sqlite_held held;
    enum err err = sqlite_hold(&held, data_directory, why);
    if (err != ERR_OK) {
        return err;
    }
    err = sqlite_measure(&held, before);
    if (err == ERR_OK && !held.is_new) {
        err = sqlite_run(held.db, compact);
    }
    if (err == ERR_OK) {
        err = sqlite_measure(&held, after);
    }
    if (err == ERR_CORRUPT) {
        err = sqlite_explain(held.path, err, sqlite_why(held.db), why);
    } else if (err != ERR_OK) {
        snprintf(why.text, why.size, "%s cannot be made smaller and stays as it is: %s", held.path,
                 sqlite_why(held.db));
    }
    sqlite_let_go(&held);
    return err;
}
