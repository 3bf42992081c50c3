#include "maintenance_fold.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/core/fold.h"
#include "signalbox/mail/dispatch.h"
#include "signalbox/mail/list.h"

/* So much is written at a time, while commits wait. Of large events two at least, so that it comes
 * to an end. */
enum {
    WINDOW_ROWS = 1024,
    WINDOW_BYTES = 512 << 10,
    WINDOW_ROWS_MIN = 2,
    PAUSE_MS = 10000,
    LOOKS_MAX = 8
};

struct row {
    uint64_t seq;
    size_t at, length; /* in the texts */
};

struct folding {
    struct store_reader *reader;
    struct mailbox *dispatch, *box;
    bool under_way;
    struct store_unfolded turn; /* session_key 0: none */
    uint64_t next;              /* the next window begins at this number */
    bool changed;               /* something, since the turn's beginning */
    int64_t not_before;         /* wall ms: it failed */
    bool failing;               /* said once */

    /* The window. */
    struct row rows[WINDOW_ROWS];
    size_t row_count;
    bool more; /* there is more of the turn behind it */
    struct buffer texts, out;
    struct fold_note note;
    struct store_fold_event events[WINDOW_ROWS];
    size_t event_at[WINDOW_ROWS]; /* where their texts begin in `out`, while it grows */
    struct store_fold_range gone[WINDOW_ROWS];
    int64_t bytes_saved, events_saved;
};

enum err folding_new(struct folding **out, struct store_reader *reader, struct mailbox *dispatch,
                     struct mailbox *box)
{
    struct folding *folding = calloc(1, sizeof(*folding));
    if (!folding) {
        return ERR_NOMEM;
    }
    folding->reader = reader;
    folding->dispatch = dispatch;
    folding->box = box;
    *out = folding;
    return ERR_OK;
}

void folding_free(struct folding *folding)
{
    if (folding) {
        buffer_free(&folding->texts);
        buffer_free(&folding->out);
        free(folding);
    }
}

/* ---- A window ---- */

static bool take_row(void *context, uint64_t seq, const char *json, size_t length)
{
    struct folding *folding = context;
    bool full =
        folding->row_count == WINDOW_ROWS ||
        (folding->row_count >= WINDOW_ROWS_MIN && folding->texts.length + length > WINDOW_BYTES);
    if (full) {
        folding->more = true;
        return false;
    }
    folding->rows[folding->row_count++] =
        (struct row){.seq = seq, .at = folding->texts.length, .length = length};
    buffer_append(&folding->texts, json, length);
    return buffer_ok(&folding->texts);
}

static enum err read_window(struct folding *folding)
{
    folding->row_count = 0;
    folding->more = false;
    buffer_reset(&folding->texts);
    enum err err = folding->reader->operations->read_events(
        folding->reader, folding->turn.session_key, folding->next, folding->turn.to, take_row,
        folding);
    return err == ERR_OK && !buffer_ok(&folding->texts) ? ERR_NOMEM : err;
}

static const char *text_of(const struct folding *folding, const struct row *row)
{
    return folding->texts.data + row->at;
}

static void add_event(struct folding *folding, const struct fold_event *event)
{
    struct store_fold *write = &folding->note.fold;
    folding->event_at[write->event_count] = folding->out.length;
    folding->events[write->event_count++] =
        (struct store_fold_event){.seq = event->seq, .json_length = event->length};
    buffer_append(&folding->out, event->json, event->length);
}

static void add_gone(struct folding *folding, uint64_t seq)
{
    struct store_fold *write = &folding->note.fold;
    struct store_fold_range *last =
        write->gone_count > 0 ? &folding->gone[write->gone_count - 1] : NULL;
    if (last && last->to + 1 == seq) {
        last->to = seq;
    } else {
        folding->gone[write->gone_count++] = (struct store_fold_range){.from = seq, .to = seq};
    }
}

static enum err apply(struct folding *folding, struct fold *fold)
{
    for (size_t i = 0; i < folding->row_count; i++) {
        const struct row *row = &folding->rows[i];
        struct fold_event event;
        enum err err = fold_apply(fold, row->seq, text_of(folding, row), row->length, &event);
        if (err) {
            return err;
        }
        if (!event.json) {
            add_gone(folding, row->seq);
            folding->events_saved++;
            folding->bytes_saved += (int64_t)row->length;
        } else if (event.changed) {
            add_event(folding, &event);
            folding->bytes_saved += (int64_t)row->length - (int64_t)event.length;
        }
    }
    return buffer_ok(&folding->out) ? ERR_OK : ERR_NOMEM;
}

static enum err note(struct folding *folding, struct fold **out)
{
    struct fold *fold = NULL;
    struct fold_row row;
    enum err err = ERR_OK;
    for (size_t i = 0; !err && i < folding->row_count; i++) {
        const struct row *read = &folding->rows[i];
        err = fold_read(text_of(folding, read), read->length, &row);
        err = !err && row.seq != read->seq ? ERR_CORRUPT : err;
        if (!err && i == 0) {
            err = fold_new(&fold, row.from - 1); /* what comes out covers what its first row does */
        }
        err = err ? err : fold_note(fold, &row);
    }
    *out = fold;
    return err ? err : fold_decide(fold);
}

static enum err fold_window(struct folding *folding)
{
    struct fold *fold = NULL;
    struct store_fold *write = &folding->note.fold;
    *write = (struct store_fold){
        .session_key = folding->turn.session_key, .events = folding->events, .gone = folding->gone};
    buffer_reset(&folding->out);
    folding->bytes_saved = folding->events_saved = 0;
    enum err err = folding->row_count > 0 ? note(folding, &fold) : ERR_OK;
    if (!err && folding->row_count > 0) {
        err = apply(folding, fold);
    }
    fold_free(fold);
    for (size_t i = 0; !err && i < write->event_count; i++) {
        folding->events[i].json = folding->out.data + folding->event_at[i];
    }
    return err;
}

/* ---- Going on ---- */

static void failed(struct folding *folding, enum err err, int64_t wall_ms)
{
    if (!folding->failing) {
        log_error("closed turns are not folded in the store", "error", "%s", err_text(err),
                  "session", "%s", folding->turn.session_id, NULL);
    }
    folding->failing = true;
    folding->turn.session_key = 0; /* from the turn's beginning, later */
    folding->not_before = wall_ms + PAUSE_MS;
}

static enum err find_turn(struct folding *folding, int64_t ended_by)
{
    if (folding->turn.session_key) {
        return ERR_OK;
    }
    enum err err =
        folding->reader->operations->find_unfolded(folding->reader, ended_by, &folding->turn);
    if (err) {
        folding->turn.session_key = 0;
        return err;
    }
    folding->next = folding->turn.from;
    folding->changed = false;
    return ERR_OK;
}

/* Behind the window: the next one, the turn's beginning again, or its end. */
static void move_on(struct folding *folding)
{
    struct store_fold *write = &folding->note.fold;
    folding->changed = folding->changed || write->gone_count > 0;
    if (folding->more) {
        folding->next = folding->rows[folding->row_count - 1].seq + 1;
        return;
    }
    bool whole = folding->next == folding->turn.from; /* it was one window */
    if (!whole && folding->changed) {
        folding->next = folding->turn.from;
        folding->changed = false;
        return;
    }
    write->done_to = folding->turn.to;
}

static void send(struct folding *folding)
{
    struct fold_note *note = &folding->note;
    folding->under_way = true;
    note->mail.kind = DISPATCH_FOLD;
    note->reply_to = folding->box;
    note->reply_kind = MAINTENANCE_FOLDED;
    note->whole_from = folding->turn.to;
    snprintf(note->session_id, sizeof(note->session_id), "%s", folding->turn.session_id);
    mailbox_push(folding->dispatch, &note->mail);
}

/* A damaged turn is left as it is: else it would be the first to be tried each time, and no other
 * be folded. */
static void leave_damaged(struct folding *folding)
{
    log_error("a closed turn is damaged and is not folded", "session", "%s",
              folding->turn.session_id, "from", "%llu", (unsigned long long)folding->turn.from,
              "to", "%llu", (unsigned long long)folding->turn.to, NULL);
    folding->note.fold =
        (struct store_fold){.session_key = folding->turn.session_key, .done_to = folding->turn.to};
    folding->bytes_saved = folding->events_saved = 0;
    send(folding);
}

bool folding_go_on(struct folding *folding, int64_t after_ms, int64_t wall_ms)
{
    if (folding->under_way || after_ms == 0 || wall_ms < folding->not_before) {
        return false;
    }
    const struct store_fold *write = &folding->note.fold;
    enum err err = find_turn(folding, wall_ms - after_ms);
    for (int looks = 0; !err && looks < LOOKS_MAX; looks++) {
        err = read_window(folding);
        err = err ? err : fold_window(folding);
        if (!err) {
            move_on(folding);
            if (write->gone_count > 0 || write->event_count > 0 || write->done_to > 0) {
                send(folding);
                return false;
            }
        }
    }
    if (err == ERR_CORRUPT && folding->turn.session_key) {
        leave_damaged(folding);
        return false;
    }
    if (err && err != ERR_NOENT) {
        failed(folding, err, wall_ms);
    }
    return err == ERR_OK;
}

void folding_written(struct folding *folding)
{
    folding->under_way = false;
    if (folding->note.result) {
        failed(folding, folding->note.result, clock_wall_ms());
        return;
    }
    if (folding->failing) {
        log_info("closed turns are folded in the store again", NULL);
        folding->failing = false;
    }
    metric_add(METRIC_STORE_FOLD_EVENTS, folding->events_saved);
    metric_add(METRIC_STORE_FOLD_BYTES, folding->bytes_saved);
    if (folding->note.fold.done_to) {
        folding->turn.session_key = 0;
    }
}
