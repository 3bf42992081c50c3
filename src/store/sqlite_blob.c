/* Blobs, in rows of SQLITE_BLOB_PART bytes. */
#include <stdio.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "sqlite.h"

static int write_part(sqlite3_stmt *statement, int64_t blob, size_t part, const char *data, size_t length)
{
    int code = sqlite3_bind_int64(statement, 1, blob);
    sqlite_also(&code, sqlite3_bind_int64(statement, 2, (int64_t)part));
    sqlite_also(&code, sqlite3_bind_blob64(statement, 3, data, length, SQLITE_STATIC));
    return code == SQLITE_OK ? sqlite_finish(statement) : code;
}

int sqlite_write_blob(struct sqlite_store *store, int64_t session_key, const struct stored_blob *blob)
{
    sqlite3_stmt *statement = store->statements[STATEMENT_INSERT_BLOB];
    int code = sqlite3_bind_int64(statement, 1, session_key);
    sqlite_also(&code, sqlite3_bind_blob(statement, 2, blob->name.bytes, DIGEST_SIZE, SQLITE_STATIC));
    sqlite_also(&code, sqlite_bind(statement, 3, blob->type));
    sqlite_also(&code, sqlite3_bind_int64(statement, 4, (int64_t)blob->length));
    sqlite_also(&code, sqlite3_bind_int64(statement, 5, blob->at));
    code = code == SQLITE_OK ? sqlite_finish(statement) : code;
    if (code != SQLITE_OK || sqlite3_changes(store->db) == 0) {
        return code; /* it is there already */
    }
    int64_t key = sqlite3_last_insert_rowid(store->db);
    for (size_t at = 0, part = 0; code == SQLITE_OK && at < blob->length; part++) {
        size_t length = blob->length - at < SQLITE_BLOB_PART ? blob->length - at : SQLITE_BLOB_PART;
        code = write_part(store->statements[STATEMENT_INSERT_PART], key, part, blob->data + at, length);
        at += length;
    }
    return code;
}

static enum err find_blob(struct sqlite_reader *reader, int64_t session_key, const struct digest *name, int64_t *key,
                          struct blob_info *info)
{
    sqlite3_stmt *statement = reader->statements[READER_BLOB];
    int code = sqlite3_bind_int64(statement, 1, session_key);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_blob(statement, 2, name->bytes, DIGEST_SIZE, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    enum err err = code == SQLITE_DONE ? ERR_NOENT : sqlite_err(reader->db, code);
    if (code == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(statement, 1);
        *key = sqlite3_column_int64(statement, 0);
        info->bytes = (uint64_t)sqlite3_column_int64(statement, 2);
        snprintf(info->type, sizeof(info->type), "%s", type != NULL ? type : "");
        err = type != NULL ? ERR_OK : ERR_NOMEM;
    }
    sqlite3_reset(statement);
    return err;
}

/* Bytes `from` to `to` (not included) of the blob, which has them. */
static enum err read_parts(struct sqlite_reader *reader, int64_t key, uint64_t from, uint64_t to, struct buffer *bytes)
{
    sqlite3_stmt *statement = reader->statements[READER_PARTS];
    int64_t part = (int64_t)(from / SQLITE_BLOB_PART);
    enum err err = ERR_OK;
    int code = sqlite3_bind_int64(statement, 1, key);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_int64(statement, 2, part);
    }
    err = sqlite_err(reader->db, code);
    for (; err == ERR_OK && from < to; part++) {
        code = sqlite3_step(statement);
        if (code != SQLITE_ROW) {
            err = code == SQLITE_DONE ? ERR_CORRUPT : sqlite_err(reader->db, code);
            break;
        }
        const char *data = sqlite3_column_blob(statement, 1);
        size_t length = (size_t)sqlite3_column_bytes(statement, 1);
        size_t skip = (size_t)(from % SQLITE_BLOB_PART);
        if (data == NULL || sqlite3_column_int64(statement, 0) != part || length <= skip ||
            (length < SQLITE_BLOB_PART && from - skip + length < to)) {
            err = ERR_CORRUPT;
            break;
        }
        size_t take = to - from < length - skip ? (size_t)(to - from) : length - skip;
        buffer_append(bytes, data + skip, take);
        from += take;
        err = buffer_ok(bytes) ? ERR_OK : ERR_NOMEM;
    }
    sqlite3_reset(statement);
    return err;
}

enum err sqlite_read_blob(struct store_reader *base, int64_t session_key, const struct digest *name, uint64_t from,
                          size_t most, struct blob_info *info, struct buffer *bytes)
{
    struct sqlite_reader *reader = container_of(base, struct sqlite_reader, reader);
    struct blob_info found = {.bytes = 0};
    int64_t key = 0;
    enum err err = find_blob(reader, session_key, name, &key, &found);
    if (err == ERR_OK && most > 0 && from < found.bytes) {
        uint64_t to = found.bytes - from < most ? found.bytes : from + most;
        err = read_parts(reader, key, from, to, bytes);
    }
    if (err == ERR_OK) {
        *info = found;
    }
    return err;
}
