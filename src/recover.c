#define _GNU_SOURCE
#include "recover.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/core/recovery.h"

/* The session in work, and what is to be written of it as one group. */
struct ended {
    struct session_row row;
    int64_t last_ts;
    struct recovery *recovery;
    struct json_parser *parser;
    enum err err;
    struct event *events;
    size_t count, capacity;
    struct audit_entry *decisions; /* one for each request that is ended */
    size_t decided;
    struct blob *blobs; /* by `next` */
};

static enum err keep_blob(void *context, struct blob *blob)
{
    struct ended *ended = context;
    blob->next = ended->blobs;
    ended->blobs = blob;
    return ERR_OK;
}

static enum err keep(void *context, struct event *event)
{
    struct ended *ended = context;
    if (ended->count == ended->capacity) {
        size_t capacity = ended->capacity ? ended->capacity * 2 : 16;
        struct event *events = realloc(ended->events, capacity * sizeof(*events));
        if (!events) {
            event_discard(event);
            return ERR_NOMEM;
        }
        ended->events = events;
        ended->capacity = capacity;
    }
    ended->row.head++;
    ended->last_ts = event->at_wall_ms > ended->last_ts ? event->at_wall_ms : ended->last_ts;
    event_number(event, ended->row.head, ended->last_ts);
    event->at_wall_ms = ended->last_ts;
    ended->events[ended->count++] = *event;
    return ERR_OK;
}

static enum err decide(void *context, const char *request_id, const char *request)
{
    struct ended *ended = context;
    struct audit_entry *decisions = realloc(ended->decisions, (ended->decided + 1) * sizeof(*decisions));
    if (!decisions) {
        return ERR_NOMEM;
    }
    ended->decisions = decisions;
    static char action[] = "decision", outcome[] = "cancelled", by[] = "cancellation", reason[] = "server_restarted";
    const struct audit_entry entry = {.at = clock_wall_ms(),
                                      .action = action,
                                      .session_id = ended->row.id,
                                      .workspace = ended->row.workspace,
                                      .agent = ended->row.agent,
                                      .request_id = (char *)(uintptr_t)request_id,
                                      .request = (char *)(uintptr_t)request,
                                      .outcome = outcome,
                                      .by = by,
                                      .reason = reason};
    enum err err = audit_entry_copy(&decisions[ended->decided], &entry);
    if (!err) {
        log_info("permission decided", "session", "%s", ended->row.id, "request", "%s", request_id, "outcome", "%s",
                 outcome, "by", "%s", by, NULL);
        ended->decided++;
    }
    return err;
}

static bool read_event(void *context, uint64_t seq, const char *json, size_t length)
{
    struct ended *ended = context;
    struct json_object *event = NULL;
    (void)seq;
    ended->err = json_parse(ended->parser, json, length, &event);
    if (!ended->err) {
        int64_t ts;
        if (json_get_i64(event, "ts", &ts) && ts > ended->last_ts) {
            ended->last_ts = ts;
        }
        ended->err = recovery_read(ended->recovery, event);
    }
    json_object_put(event);
    return ended->err == ERR_OK;
}

static enum err write_group(struct store *store, struct ended *ended)
{
    size_t blobs = 0;
    for (const struct blob *blob = ended->blobs; blob; blob = blob->next) {
        blobs++;
    }
    struct store_write *all = calloc(blobs + ended->count + ended->decided + 1, sizeof(*all));
    if (!all) {
        return ERR_NOMEM;
    }
    struct store_write *writes = all;
    for (const struct blob *blob = ended->blobs; blob; blob = blob->next, writes++) {
        *writes = (struct store_write){.kind = STORE_BLOB,
                                       .session_key = ended->row.key,
                                       .blob = {.name = blob->name, .type = blob->type, .data = blob->data,
                                                .length = blob->length, .at = ended->last_ts},
                                       .next = writes + 1};
    }
    for (size_t i = 0; i < ended->count; i++) {
        const struct event *event = &ended->events[i];
        writes[i] = (struct store_write){.kind = STORE_EVENT,
                                         .session_key = ended->row.key,
                                         .seq = ended->row.head - ended->count + 1 + i,
                                         .event_kind = event_name(event->kind),
                                         .ts = event->at_wall_ms,
                                         .json = frame_json(event->frame),
                                         .json_length = frame_json_length(event->frame),
                                         .next = &writes[i + 1]};
    }
    for (size_t i = 0; i < ended->decided; i++) {
        struct store_write *write = &writes[ended->count + i];
        *write = (struct store_write){.kind = STORE_AUDIT, .audit = &ended->decisions[i], .next = write + 1};
    }
    writes[ended->count + ended->decided] =
        (struct store_write){.kind = STORE_SESSION, .session_key = ended->row.key, .row = &ended->row};
    enum err err = store->operations->append(store, all);
    free(all);
    return err;
}

/* Takes the row. */
static enum err end_session(struct store *store, struct store_reader *reader, struct session_row *row,
                            size_t max_event_bytes)
{
    struct ended ended = {.row = *row, .last_ts = row->updated_at};
    enum err err = recovery_new(&ended.recovery, ended.row.id);
    if (!err) {
        err = json_parser_new(&ended.parser, 1024); /* what was stored was within the limits of its time */
    }
    if (!err && ended.row.open_from) {
        err = reader->operations->read_events(reader, ended.row.key, ended.row.open_from, ended.row.head, read_event,
                                              &ended);
        err = err ? err : ended.err;
    }
    if (!err) {
        err = recovery_permissions(ended.recovery, decide, &ended);
    }
    if (!err) {
        const struct recovery_sink sink = {.context = &ended, .event = keep, .blob = keep_blob};
        err = recovery_finish(ended.recovery, clock_wall_ms(), max_event_bytes, &sink);
    }
    if (!err) {
        free(ended.row.phase);
        ended.row.phase = strdup("stopped");
        ended.row.open_from = 0;
        ended.row.pending = 0;
        ended.row.oldest_pending_at = 0;
        ended.row.updated_at = ended.last_ts;
        err = ended.row.phase ? write_group(store, &ended) : ERR_NOMEM;
    }
    if (err) {
        log_error("a session could not be brought to an end", "session", "%s", ended.row.id, "reason", "%s",
                  err_text(err), NULL);
    }
    for (size_t i = 0; i < ended.count; i++) {
        event_discard(&ended.events[i]);
    }
    free(ended.events);
    for (size_t i = 0; i < ended.decided; i++) {
        audit_entry_clear(&ended.decisions[i]);
    }
    free(ended.decisions);
    blobs_free(ended.blobs);
    recovery_free(ended.recovery);
    json_parser_free(ended.parser);
    session_row_clear(&ended.row);
    return err;
}

/* The open rows, first all read, then each ended: the reader's statement is not held over writes. */
struct open_rows {
    struct session_row *rows;
    size_t count, capacity;
    enum err err;
};

static bool keep_row(void *context, const struct session_row *row)
{
    struct open_rows *open = context;
    if (open->count == open->capacity) {
        size_t capacity = open->capacity ? open->capacity * 2 : 64;
        struct session_row *rows = realloc(open->rows, capacity * sizeof(*rows));
        if (!rows) {
            open->err = ERR_NOMEM;
            return false;
        }
        open->rows = rows;
        open->capacity = capacity;
    }
    open->err = session_row_copy(&open->rows[open->count], row);
    open->count += !open->err;
    return !open->err;
}

enum err recover_sessions(struct store *store, size_t max_event_bytes, size_t *ended)
{
    struct store_reader *reader = NULL;
    struct open_rows open = {0};
    enum err err = store->operations->reader_open(store, &reader);
    if (!err) {
        err = reader->operations->read_open(reader, keep_row, &open);
        err = err ? err : open.err;
    }
    size_t done = 0;
    for (size_t i = 0; i < open.count; i++) {
        if (err) {
            session_row_clear(&open.rows[i]);
            continue;
        }
        err = end_session(store, reader, &open.rows[i], max_event_bytes);
        done += !err;
    }
    free(open.rows);
    if (reader) {
        reader->operations->reader_close(reader);
    }
    if (!err) {
        *ended = done;
    }
    return err;
}

/* ---- What was being erased ---- */

static enum err look_for_erased(struct store_reader *reader, DIR *folder,
                                void (*visit)(void *context, const char *session_id), void *context)
{
    enum err err = ERR_OK;
    for (struct dirent *entry; !err && (entry = readdir(folder));) {
        struct session_row row;
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)) {
            continue; /* none of ours */
        }
        err = reader->operations->read_session(reader, entry->d_name, &row);
        if (!err) {
            session_row_clear(&row);
        } else if (err == ERR_NOENT) {
            visit(context, entry->d_name);
            err = ERR_OK;
        }
    }
    return err;
}

enum err recover_erased(struct store *store, const char *data_directory,
                        void (*visit)(void *context, const char *session_id), void *context)
{
    char *path;
    if (asprintf(&path, "%s/wire", data_directory) < 0) {
        return ERR_NOMEM;
    }
    DIR *folder = opendir(path);
    int cause = errno;
    free(path);
    if (!folder) {
        return cause == ENOENT ? ERR_OK : err_from_errno(cause);
    }
    struct store_reader *reader = NULL;
    enum err err = store->operations->reader_open(store, &reader);
    if (!err) {
        err = look_for_erased(reader, folder, visit, context);
        reader->operations->reader_close(reader);
    }
    closedir(folder);
    return err;
}
