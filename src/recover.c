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
#include "signalbox/core/session.h"

/* The session in work, and what is to be written of it as one group. */
struct ended {
    struct session_row row;
    int64_t last_ts;
    struct recovery *recovery;
    struct json_parser *parser;
    enum err err;
    enum err damage;     /* the log could not be read, or not be ended: the session is set apart; ERR_OK: it is whole */
    uint64_t damaged_at; /* the first number at which that showed; 0: unknown */
    char detail[160];    /* for people, of the damage */
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

/* Memory and the disk are everybody's trouble, and another start may do better. What else is wrong is wrong with this log. */
static bool is_of_the_log(enum err err)
{
    return err == ERR_SYNTAX || err == ERR_DEPTH || err == ERR_CORRUPT || err == ERR_TOOBIG || err == ERR_INVAL;
}

static void note_damage(struct ended *ended, enum err err, uint64_t seq)
{
    if (!ended->damage) {
        ended->damage = err;
        ended->damaged_at = seq;
    }
}

/* A damaged event is left out: what is open behind it is to be ended, too. */
static bool read_event(void *context, uint64_t seq, const char *json, size_t length)
{
    struct ended *ended = context;
    struct json_object *event = NULL;
    ended->err = json_parse(ended->parser, json, length, &event);
    if (!ended->err) {
        int64_t ts, number;
        if (json_get_i64(event, "ts", &ts) && ts > ended->last_ts) {
            ended->last_ts = ts;
        }
        bool is_it = json_get_i64(event, "seq", &number) && number >= 0 && (uint64_t)number == seq;
        ended->err = is_it ? recovery_read(ended->recovery, event) : ERR_CORRUPT;
    }
    json_object_put(event);
    if (is_of_the_log(ended->err)) {
        note_damage(ended, ended->err, seq);
        ended->err = ERR_OK;
    }
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

static void forget_ends(struct ended *ended)
{
    for (size_t i = 0; i < ended->count; i++) {
        event_discard(&ended->events[i]);
    }
    ended->row.head -= ended->count;
    ended->count = 0;
    for (size_t i = 0; i < ended->decided; i++) {
        audit_entry_clear(&ended->decisions[i]);
    }
    ended->decided = 0;
    blobs_free(ended->blobs);
    ended->blobs = NULL;
}

static enum err read_log(struct store_reader *reader, struct ended *ended)
{
    enum err err = recovery_new(&ended->recovery, ended->row.id);
    if (!err) {
        err = json_parser_new(&ended->parser, JSON_OWN_DEPTH); /* what was stored was within the limits of its time */
    }
    if (!err && ended->row.open_from) {
        err = reader->operations->read_events(reader, ended->row.key, ended->row.open_from, ended->row.head, read_event,
                                              ended);
        if (is_of_the_log(err)) { /* a part of the file; whether the rest of it is good shows when it is written to */
            note_damage(ended, err, 0);
            err = ERR_OK;
        }
        err = err ? err : ended->err;
    }
    return err;
}

static enum err make_ends(struct ended *ended, size_t max_event_bytes)
{
    if (ended->damage) {
        char at[32] = "";
        if (ended->damaged_at) {
            snprintf(at, sizeof(at), " (event %llu)", (unsigned long long)ended->damaged_at);
        }
        snprintf(ended->detail, sizeof(ended->detail),
                 "the session's log is damaged%s: it was set apart, and nothing new is begun in it", at);
        recovery_set_apart(ended->recovery, ended->detail);
    }
    const struct recovery_sink sink = {.context = ended, .event = keep, .blob = keep_blob};
    enum err err = recovery_permissions(ended->recovery, decide, ended);
    return err ? err : recovery_finish(ended->recovery, clock_wall_ms(), max_event_bytes, &sink);
}

/* What could be read cannot be ended: then the session is only marked. */
static enum err make_mark(struct ended *ended, size_t max_event_bytes, enum err cause)
{
    note_damage(ended, cause, 0);
    forget_ends(ended);
    recovery_free(ended->recovery);
    ended->recovery = NULL;
    enum err err = recovery_new(&ended->recovery, ended->row.id);
    return err ? err : make_ends(ended, max_event_bytes);
}

static enum err mark_row(struct ended *ended)
{
    free(ended->row.phase);
    ended->row.phase = strdup(ended->damage ? "failed" : "stopped");
    ended->row.open_from = 0;
    ended->row.pending = 0;
    ended->row.oldest_pending_at = 0;
    ended->row.updated_at = ended->last_ts;
    if (ended->damage) {
        char *state = session_state_damaged(ended->row.agent_state);
        if (!state) {
            return ERR_NOMEM;
        }
        free(ended->row.agent_state);
        ended->row.agent_state = state;
    }
    return ended->row.phase ? ERR_OK : ERR_NOMEM;
}

static enum err write_ends(struct store *store, struct ended *ended)
{
    enum err err = mark_row(ended);
    return err ? err : write_group(store, ended);
}

static void say_what_became(const struct ended *ended, enum err err)
{
    if (err) {
        log_error("a session could not be brought to an end", "session", "%s", ended->row.id, "reason", "%s",
                  err_text(err), NULL);
    } else if (ended->damage) {
        log_error("a session's log is damaged: it is set apart", "session", "%s", ended->row.id, "event", "%llu",
                  (unsigned long long)ended->damaged_at, "reason", "%s", err_text(ended->damage), NULL);
    }
}

/* Takes the row. A session whose own log is damaged keeps nobody else from being served. */
static enum err end_session(struct store *store, struct store_reader *reader, struct session_row *row,
                            size_t max_event_bytes)
{
    struct ended ended = {.row = *row, .last_ts = row->updated_at};
    enum err err = read_log(reader, &ended);
    if (!err) {
        err = make_ends(&ended, max_event_bytes);
        if (is_of_the_log(err)) {
            err = make_mark(&ended, max_event_bytes, err);
        }
    }
    if (!err) {
        err = write_ends(store, &ended);
        if (err == ERR_EXIST || (err == ERR_CORRUPT && ended.damage)) { /* numbers that are there, or no place for new ones */
            note_damage(&ended, err, 0);
            forget_ends(&ended);
            err = write_ends(store, &ended);
        }
    }
    say_what_became(&ended, err);
    forget_ends(&ended);
    free(ended.events);
    free(ended.decisions);
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
