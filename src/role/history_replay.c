#include "history_replay.h"

#include <stdlib.h>

#include "signalbox/base/frame.h"
#include "signalbox/base/metrics.h"

enum {
    SLICE_ROWS = 2048,
    SLICE_BYTES = 1 << 20,
    RETRIES_MAX = 30, /* without a piece: so often a log may be folded while it is read */
    GAP_ROWS = 64,    /* rows that are skipped rather than read */
    OPCODE_TEXT = 1,
};

void replay_free(struct replay *replay)
{
    fold_free(replay->fold);
    free(replay);
}

bool replay_continues(const struct replay *replay, const struct history_request *request)
{
    return replay->session_key == request->session_key && replay->to == request->to &&
           replay->from == request->from &&
           (replay->safe || (replay->whole && request->whole && replay->began == request->began));
}

/* ---- Beginning ---- */

/* Where noting begins, for a position that is whole or not. */
static enum err find_beginning(struct store_reader *reader, struct replay *replay, uint64_t after,
                               bool whole)
{
    replay->reading = after + 1;
    replay->safe = after == 0;
    if (whole || after == 0) {
        return ERR_OK;
    }
    replay->safe = true;
    enum err err =
        reader->operations->find_turn(reader, replay->session_key, after, &replay->reading);
    if (err == ERR_NOENT) {
        replay->reading = 1;
        err = ERR_OK;
    }
    return err;
}

static enum err begin(struct store_reader *reader, struct replay *replay, uint64_t after,
                      bool whole)
{
    fold_free(replay->fold);
    replay->fold = NULL;
    replay->applying = false;
    replay->end = 0;
    enum err err = fold_new(&replay->fold, after);
    return err ? err : find_beginning(reader, replay, after, whole);
}

/* The log was folded while it was read: from where it is, as one that does not know. */
static enum err begin_again(struct store_reader *reader, struct replay *replay)
{
    if (++replay->retries > RETRIES_MAX) {
        return ERR_CORRUPT;
    }
    return begin(reader, replay, fold_position(replay->fold), false);
}

enum err replay_new(struct store_reader *reader, const struct history_request *request,
                    struct replay **out)
{
    struct replay *replay = calloc(1, sizeof(*replay));
    if (!replay) {
        return ERR_NOMEM;
    }
    replay->session_key = request->session_key;
    replay->began = request->began;
    replay->to = request->to;
    replay->from = request->from;
    replay->whole = request->whole;
    replay->last = &replay->first;
    bool at_beginning = request->from == request->began + 1;
    enum err err = begin(reader, replay, request->from - 1, request->whole && at_beginning);
    if (err) {
        replay_free(replay);
        return err;
    }
    *out = replay;
    return ERR_OK;
}

/* ---- Slices ---- */

struct slice {
    struct replay *replay;
    struct history_request *request; /* gets the piece */
    size_t rows, bytes;
    uint64_t next; /* the number behind the last row */
    bool full;     /* the piece is */
    bool stopped;  /* there may be more */
    enum err err;
};

static bool slice_goes_on(struct slice *slice, uint64_t seq, size_t length)
{
    slice->rows++;
    slice->bytes += length;
    slice->next = seq + 1;
    slice->stopped = slice->rows >= SLICE_ROWS || slice->bytes >= SLICE_BYTES;
    return !slice->stopped;
}

static bool note_row(void *context, uint64_t seq, const char *json, size_t length)
{
    struct slice *slice = context;
    struct fold_row row;
    slice->err = fold_read(json, length, &row);
    if (slice->err == ERR_OK && row.seq != seq) {
        slice->err = ERR_CORRUPT;
    }
    if (slice->err == ERR_OK) {
        slice->err = fold_note(slice->replay->fold, &row);
        /* Not what follows the row before: perhaps it was folded since. */
        slice->err = slice->err == ERR_CORRUPT ? ERR_AGAIN : slice->err;
    }
    slice->replay->end = seq;
    return slice_goes_on(slice, seq, length) && slice->err == ERR_OK && seq < slice->replay->to;
}

/* All that comes out is known: the second pass may begin. */
static enum err decide(struct replay *replay)
{
    enum err err = fold_decide(replay->fold);
    if (err == ERR_OK) {
        uint64_t unsafe = fold_unsafe(replay->fold);
        /* The highest one of the whole piece, which may have begun before the log changed. */
        replay->whole_from =
            unsafe >= replay->whole_from ? unsafe + (unsafe > 0) : replay->whole_from;
        replay->applying = true;
    }
    return err;
}

static enum err note_slice(struct store_reader *reader, struct slice *slice)
{
    struct replay *replay = slice->replay;
    const struct store_operations *operations = reader->operations;
    enum err err = operations->read_events(reader, replay->session_key, replay->reading, replay->to,
                                           note_row, slice);
    replay->reading = slice->next > replay->reading ? slice->next : replay->reading;
    if (err != ERR_OK || slice->err != ERR_OK || slice->stopped) {
        return err ? err : slice->err;
    }
    if (replay->end <
        replay->to) { /* the row that covers it has a higher number, and is the head then */
        err = operations->read_events(reader, replay->session_key, replay->reading, UINT64_MAX,
                                      note_row, slice);
    }
    if (err != ERR_OK || slice->err != ERR_OK) {
        return err ? err : slice->err;
    }
    return replay->end < replay->to ? ERR_NOENT : decide(replay);
}

static bool add_event(struct history_request *request, const struct fold_event *event)
{
    if (request->kind == HISTORY_FRAMES) {
        char room[FRAME_HEADER_MAX];
        size_t header = frame_header(room + sizeof(room), OPCODE_TEXT, event->length);
        buffer_append(&request->bytes, room + sizeof(room) - header, header);
    } else if (request->bytes.length > 0) {
        buffer_byte(&request->bytes, ',');
    }
    buffer_append(&request->bytes, event->json, event->length);
    request->last = event->seq;
    request->events++;
    metric_add(METRIC_FOLD_EVENTS, 1);
    return request->bytes.length < request->max_bytes &&
           (request->max_events == 0 || request->events < request->max_events);
}

static bool apply_row(void *context, uint64_t seq, const char *json, size_t length)
{
    struct slice *slice = context;
    struct replay *replay = slice->replay;
    struct fold_event event;
    slice->err = fold_apply(replay->fold, seq, json, length, &event);
    if (slice->err != ERR_OK) {
        return false;
    }
    if (event.json && !add_event(slice->request, &event)) {
        slice->full = true;
    }
    bool goes_on = slice_goes_on(slice, seq, length);
    uint64_t wanted = fold_wants(replay->fold);
    if (wanted > seq + GAP_ROWS) {
        slice->stopped = true; /* what lies between is not read at all */
    }
    return goes_on && wanted != 0 && !slice->stopped && !slice->full;
}

/* ERR_AGAIN: the log changed. */
static enum err apply_slice(struct store_reader *reader, struct slice *slice)
{
    struct replay *replay = slice->replay;
    uint64_t wanted = fold_wants(replay->fold);
    if (wanted == 0) {
        return ERR_OK;
    }
    enum err err = reader->operations->read_events(reader, replay->session_key, wanted, replay->end,
                                                   apply_row, slice);
    if (err != ERR_OK || slice->err != ERR_OK) {
        return err ? err : slice->err;
    }
    /* Read to the end, and rows that were noted did not come. */
    return !slice->stopped && !slice->full && fold_wants(replay->fold) != 0 ? ERR_AGAIN : ERR_OK;
}

enum err replay_slice(struct store_reader *reader, struct replay *replay, bool *done)
{
    struct slice slice = {.replay = replay, .request = replay->first};
    bool applying = replay->applying;
    enum err err = applying ? apply_slice(reader, &slice) : note_slice(reader, &slice);
    metric_add(METRIC_FOLD_ROWS, (int64_t)slice.rows);
    *done = false;
    if (err == ERR_AGAIN) {
        return begin_again(reader, replay); /* what came out before is right */
    }
    if (err == ERR_OK && replay->applying) {
        *done = slice.full || fold_wants(replay->fold) == 0;
    }
    return err;
}

bool replay_next_piece(struct replay *replay)
{
    replay->first = NULL;
    replay->last = &replay->first;
    replay->retries = 0;
    replay->from = fold_position(replay->fold) + 1;
    return fold_wants(replay->fold) != 0;
}
