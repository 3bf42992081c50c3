#include "signalbox/role/wirelog.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/wirelog.h"
#include "wirelog_files.h"

enum {
    CLEAN_EVERY_MS = 60000,
    RETRY_MS = 10000,      /* after a failure of the disk */
    STOP_MS = 1000,        /* for what waits at the end */
    KEEP_BYTES = 1 << 20,  /* a larger buffer is not kept */
};

/* What is kept of one run. */
struct record {
    struct wirelog_file file;
    uint64_t missing; /* lines that could not be written since the last one that was */
    bool is_purged;
    struct record *next, **link;
};

struct wirelog {
    /* shared */
    struct mailbox *box;
    atomic_bool stopping;
    struct config_store *config;
    const char *version;

    /* the wirelog thread's; main's before it starts and after it has ended */
    struct wirelog_files files;
    struct wirelog_limits limits;
    struct record *records;
    bool failing; /* said once */
    struct instant retry_at;
    struct buffer line;

    struct thread thread;
};

/* ---- The disk ---- */

static bool waits_for_disk(const struct wirelog *wirelog)
{
    return wirelog->failing && !instant_reached(wirelog->retry_at, clock_now());
}

static void note_result(struct wirelog *wirelog, const char *what, enum err err)
{
    if (err) {
        if (!wirelog->failing) {
            log_error("the wire log cannot be kept; it is tried again", "what", "%s", what, "folder", "%s",
                      wirelog->files.path, "error", "%s", err_text(err), NULL);
        }
        wirelog->failing = true;
        wirelog->retry_at = instant_after_ms(clock_now(), RETRY_MS);
    } else if (wirelog->failing) {
        log_info("the wire log is kept again", NULL);
        wirelog->failing = false;
    }
}

static void clean(struct wirelog *wirelog)
{
    enum err err = wirelog_files_clean(&wirelog->files, &wirelog->limits, clock_wall_ms());
    if (err) {
        log_error("the wire log's old files cannot be removed", "folder", "%s", wirelog->files.path, "error", "%s",
                  err_text(err), NULL);
    }
}

/* ---- Lines ---- */

static void open_line(struct buffer *out, const char *direction, int64_t ms)
{
    buffer_byte(out, '{');
    json_field_string(out, "dir", direction);
    json_field_i64(out, "t", ms);
}

static void put_head(struct wirelog *wirelog, const struct wirelog_run *run, const struct record *record, int64_t ms)
{
    struct buffer *out = &wirelog->line;
    open_line(out, "note", ms);
    json_field_string(out, "text", "A wire log of Signalbox. Secrets were replaced as far as they were recognized.");
    json_field_string(out, "version", wirelog->version);
    json_field_string(out, "agent", run->agent);
    json_field_string(out, "sessionId", run->session_id);
    json_field_i64(out, "run", (int64_t)run->run);
    json_field_i64(out, "part", record->file.part);
    json_field_i64(out, "startedAt", run->started_at);
    buffer_text(out, "}\n");
}

static void put_note(struct buffer *out, int64_t ms, const char *text)
{
    open_line(out, "note", ms);
    json_field_string(out, "text", text);
    buffer_text(out, "}\n");
}

static void put_missing(struct buffer *out, int64_t ms, uint64_t count)
{
    open_line(out, "note", ms);
    buffer_format(out, ",\"missing\":%llu,\"text\":\"%llu line%s missing here\"}\n", (unsigned long long)count,
                  (unsigned long long)count, count == 1 ? " is" : "s are");
}

static void put_line(struct buffer *out, const struct wirelog_line *line)
{
    static const char *const directions[] = {[WIRELOG_OUT] = "out", [WIRELOG_IN] = "in", [WIRELOG_ERR] = "err"};
    const struct redact_secrets *secrets = &line->run->secrets;
    open_line(out, directions[line->direction], line->ms);
    size_t before = out->length;
    buffer_text(out, ",\"msg\":");
    if (!line->is_json || redact_json(out, secrets, line->text, line->length)) {
        struct buffer text = {0};
        out->length = before;
        redact_text(&text, secrets, line->text, line->length);
        json_field_text(out, "text", text.data ? text.data : "", text.length);
        out->failed = out->failed || text.failed;
        buffer_free(&text);
    }
    buffer_text(out, "}\n");
}

/* Writes what wirelog->line says, behind the head of a file that it begins. */
static enum err write_out(struct wirelog *wirelog, const struct wirelog_run *run, struct record *record, int64_t ms)
{
    struct buffer *line = &wirelog->line;
    if (!buffer_ok(line)) {
        return ERR_NOMEM;
    }
    bool fresh = false;
    enum err err = wirelog_file_open(&wirelog->files, &record->file, line->length, &wirelog->limits, &fresh);
    if (!err && fresh) {
        struct buffer body = *line;
        wirelog->line = (struct buffer){0};
        put_head(wirelog, run, record, ms);
        err = buffer_ok(&wirelog->line)
                  ? wirelog_file_append(&wirelog->files, &record->file, wirelog->line.data, wirelog->line.length)
                  : ERR_NOMEM;
        buffer_free(&wirelog->line);
        wirelog->line = body;
    }
    if (!err) {
        err = wirelog_file_append(&wirelog->files, &record->file, line->data, line->length);
        metric_add(METRIC_WIRELOG_BYTES, err ? 0 : (int64_t)line->length);
    }
    note_result(wirelog, "write", err);
    if (!err && wirelog->files.total > wirelog->limits.total_bytes) {
        clean(wirelog);
    }
    return err;
}

static void begin_line(struct wirelog *wirelog)
{
    if (wirelog->line.capacity > KEEP_BYTES) {
        buffer_free(&wirelog->line);
    }
    buffer_reset(&wirelog->line);
}

static void take_line(struct wirelog *wirelog, const struct wirelog_line *line)
{
    struct record *record = line->run->state;
    if (record && record->is_purged) {
        return;
    }
    if (!record || waits_for_disk(wirelog)) {
        metric_add(METRIC_WIRELOG_LOST, 1);
        if (record) {
            record->missing += line->missing + 1;
        }
        return;
    }
    begin_line(wirelog);
    if (line->resumed) {
        put_note(&wirelog->line, line->ms, "The wire log was off before this line");
    }
    uint64_t missing = record->missing + line->missing;
    if (missing) {
        put_missing(&wirelog->line, line->ms, missing);
    }
    put_line(&wirelog->line, line);
    bool lost = write_out(wirelog, line->run, record, line->ms) != ERR_OK;
    record->missing = lost ? missing + 1 : 0;
    metric_add(METRIC_WIRELOG_LOST, lost);
}

/* The last line: replay-agent ends as the agent did. */
static void put_ending(struct buffer *out, const struct wirelog_run *run)
{
    open_line(out, "note", run->ended_ms);
    if (run->ending == WIRELOG_ENDING_BY_SERVER) {
        buffer_text(out, ",\"text\":\"The agent was told to end, and did\",\"ended\":{\"byServer\":true}}\n");
        return;
    }
    bool exited = run->ending == WIRELOG_ENDING_EXITED;
    buffer_format(out, ",\"text\":\"The agent ended by itself: %s %d\",\"ended\":{\"%s\":%d}}\n",
                  exited ? "exit status" : "signal", run->ending_code, exited ? "exitStatus" : "signal",
                  run->ending_code);
}

static void take_end(struct wirelog *wirelog, struct wirelog_run *run)
{
    struct record *record = run->state;
    if (record) {
        uint64_t missing = record->missing + run->missing;
        bool ending = run->ending != WIRELOG_ENDING_UNKNOWN;
        if ((missing || ending) && !record->is_purged && !waits_for_disk(wirelog)) {
            begin_line(wirelog);
            if (missing) {
                put_missing(&wirelog->line, run->ended_ms, missing);
            }
            if (ending) {
                put_ending(&wirelog->line, run);
            }
            enum err ignored = write_out(wirelog, run, record, run->ended_ms);
            (void)ignored; /* it was logged */
        }
        wirelog_file_close(&record->file);
        *record->link = record->next;
        if (record->next) {
            record->next->link = record->link;
        }
        free(record);
    }
    wirelog_run_free(run);
}

static void take_begin(struct wirelog *wirelog, struct wirelog_run *run)
{
    struct record *record = calloc(1, sizeof(*record));
    run->state = record;
    if (!record) {
        log_error("out of memory: this run has no wire log", "session", "%s", run->session_id, NULL);
        return;
    }
    record->file = (struct wirelog_file){.session_id = run->session_id, .run = run->run, .fd = -1};
    record->next = wirelog->records;
    record->link = &wirelog->records;
    if (record->next) {
        record->next->link = &record->next;
    }
    wirelog->records = record;
}

static void take_purge(struct wirelog *wirelog, struct wirelog_purge *purge)
{
    for (struct record *record = wirelog->records; record; record = record->next) {
        record->is_purged = record->is_purged || strcmp(record->file.session_id, purge->session_id) == 0;
    }
    enum err err = wirelog_files_purge(&wirelog->files, purge->session_id);
    if (err) {
        log_error("the wire log of a session cannot be removed", "session", "%s", purge->session_id, "error", "%s",
                  err_text(err), NULL);
    }
    free(purge);
}

/* `drop`: there is no time to write lines any more. */
static void take_mail(struct wirelog *wirelog, struct mail *mail, bool drop)
{
    switch (mail->kind) {
    case WIRELOG_BEGIN:
        take_begin(wirelog, container_of(mail, struct wirelog_run, begin));
        break;
    case WIRELOG_LINE: {
        struct wirelog_line *line = container_of(mail, struct wirelog_line, mail);
        if (!drop) {
            take_line(wirelog, line);
        }
        wirelog_line_free(wirelog->box, line);
        break;
    }
    case WIRELOG_END:
        take_end(wirelog, container_of(mail, struct wirelog_run, end));
        break;
    default:
        CHECK(mail->kind == WIRELOG_PURGE);
        take_purge(wirelog, container_of(mail, struct wirelog_purge, mail));
    }
}

/* ---- The thread ---- */

/* True if they have changed. */
static bool read_limits(struct wirelog *wirelog)
{
    const struct config *config = config_current_get(wirelog->config);
    const struct wirelog_limits limits = {.file_bytes = config->wire_log_file_bytes,
                                          .total_bytes = config->wire_log_total_bytes,
                                          .keep_ms = config->wire_log_keep_ms};
    config_put(config);
    const struct wirelog_limits *before = &wirelog->limits;
    bool same = limits.file_bytes == before->file_bytes && limits.total_bytes == before->total_bytes &&
                limits.keep_ms == before->keep_ms;
    wirelog->limits = limits;
    return !same;
}

static void run(void *context)
{
    struct wirelog *wirelog = context;
    thread_check(THREAD_WIRELOG);
    (void)read_limits(wirelog);
    struct instant due = clock_now(); /* what an earlier server left is looked at first */
    while (!atomic_load(&wirelog->stopping)) {
        if (read_limits(wirelog) || instant_reached(due, clock_now())) {
            clean(wirelog);
            due = instant_after_ms(clock_now(), CLEAN_EVERY_MS);
        }
        for (struct mail *mail; (mail = mailbox_take(wirelog->box));) {
            take_mail(wirelog, mail, false);
            if (atomic_load(&wirelog->stopping)) {
                break;
            }
        }
        if (!atomic_load(&wirelog->stopping)) {
            mailbox_wait(wirelog->box, due);
        }
    }
    struct instant stop_by = instant_after_ms(clock_now(), STOP_MS);
    for (struct mail *mail; (mail = mailbox_take(wirelog->box));) {
        take_mail(wirelog, mail, instant_reached(stop_by, clock_now()));
    }
}

static void wirelog_free(struct wirelog *wirelog)
{
    wirelog_files_free(&wirelog->files);
    buffer_free(&wirelog->line);
    mailbox_free(wirelog->box);
    free(wirelog);
}

enum err wirelog_start(struct wirelog **out, struct config_store *store, const char *version)
{
    struct wirelog *wirelog = calloc(1, sizeof(*wirelog));
    if (!wirelog) {
        return ERR_NOMEM;
    }
    wirelog->config = store;
    wirelog->version = version;
    const struct config *config = config_current_get(store);
    enum err err = wirelog_files_init(&wirelog->files, config->data);
    config_put(config);
    if (!err) {
        err = mailbox_new(&wirelog->box, "wirelog", WIRELOG_BYTES_MAX);
    }
    if (!err) {
        err = thread_start(&wirelog->thread, THREAD_WIRELOG, -1, true, run, wirelog);
    }
    if (err) {
        wirelog_free(wirelog);
        return err;
    }
    *out = wirelog;
    return ERR_OK;
}

struct mailbox *wirelog_mailbox(struct wirelog *wirelog)
{
    return wirelog->box;
}

enum err wirelog_purge(struct wirelog *wirelog, const char *session_id)
{
    struct wirelog_purge *purge;
    enum err err = wirelog_purge_new(&purge, session_id);
    if (!err) {
        mailbox_push(wirelog->box, &purge->mail);
    }
    return err;
}

void wirelog_stop(struct wirelog *wirelog)
{
    if (!wirelog) {
        return;
    }
    atomic_store(&wirelog->stopping, true);
    mailbox_poke(wirelog->box);
    thread_join(&wirelog->thread);
    wirelog_free(wirelog);
}
