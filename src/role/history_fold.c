#include "history_fold.h"

#include <stdlib.h>

#include "history_pieces.h"
#include "history_replay.h"
#include "signalbox/base/check.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/pause.h"

/* An event is at most a few brackets deeper than what an agent may send. */
enum { EVENT_DEPTH_MAX = 4096 };
enum { ACTIVE_MAX = 64, KEPT_MAX = 64, FOLDS_MEMORY_MAX = 64 << 20, KEEP_MS = 10000 };

struct folds {
    struct store_reader *reader;
    struct json_parser *parser; /* for dialects: of our own events */
    struct pieces pieces;
    struct history_request *waiting, **waiting_last; /* not looked at yet */
    struct replay *active, **active_last;            /* in turn */
    struct replay *kept;                             /* the last used first */
    size_t active_count, kept_count;
    struct log_limit failures;
};

enum err folds_new(struct folds **out, struct store_reader *reader)
{
    struct folds *folds = calloc(1, sizeof(*folds));
    if (!folds) {
        return ERR_NOMEM;
    }
    if (json_parser_new(&folds->parser, EVENT_DEPTH_MAX)) {
        free(folds);
        return ERR_NOMEM;
    }
    folds->reader = reader;
    folds->waiting_last = &folds->waiting;
    folds->active_last = &folds->active;
    *out = folds;
    return ERR_OK;
}

/* ---- Answering ---- */

static void reply(struct history_request *request, enum err result)
{
    if (result != ERR_OK) {
        history_bytes_free(request);
        request->events = 0;
        request->last = request->from - 1;
    }
    request->result = result;
    request->mail.kind = request->reply_kind;
    pause_at(PAUSE_HISTORY_READ);
    mailbox_push(request->reply_to, &request->mail);
}

static void reply_all(struct replay *replay, enum err err)
{
    while (replay->first) {
        struct history_request *request = replay->first;
        replay->first = request->next;
        reply(request, err);
    }
    replay->last = &replay->first;
}

/* Not a copy: when thousands come back at once, they want the same. */
static void share_piece(struct history_request *from, struct history_request *to)
{
    enum err err = history_bytes_share(from, to);
    to->last = from->last;
    to->events = from->events;
    to->whole_from = from->whole_from;
    metric_add(METRIC_FOLD_SHARED, 1);
    reply(to, err);
}

/* ---- Which replays there are ---- */

static bool same_piece(const struct history_request *one, const struct history_request *other)
{
    return one->kind == other->kind && one->dialect == other->dialect && one->max_bytes == other->max_bytes &&
           one->max_events == other->max_events;
}

static void attach(struct replay *replay, struct history_request *request)
{
    request->next = NULL;
    *replay->last = request;
    replay->last = &request->next;
}

static void put_last(struct folds *folds, struct replay *replay)
{
    replay->next = NULL;
    *folds->active_last = replay;
    folds->active_last = &replay->next;
    folds->active_count++;
}

static struct replay *take_first(struct folds *folds)
{
    struct replay *replay = folds->active;
    folds->active = replay->next;
    folds->active_last = folds->active ? folds->active_last : &folds->active;
    folds->active_count--;
    return replay;
}

static size_t memory_of(const struct replay *list)
{
    size_t bytes = 0;
    for (; list; list = list->next) {
        bytes += fold_memory(list->fold);
    }
    return bytes;
}

/* What was used longest ago goes. */
static void bound_kept(struct folds *folds, struct instant now)
{
    struct replay **at = &folds->kept;
    size_t bytes = memory_of(folds->active);
    size_t count = 0;
    while (*at) {
        struct replay *replay = *at;
        bytes += fold_memory(replay->fold);
        count++;
        if (count > KEPT_MAX || bytes > FOLDS_MEMORY_MAX ||
            instant_diff_ms(now, replay->used) >= KEEP_MS) {
            *at = replay->next;
            folds->kept_count--;
            count--;
            bytes -= fold_memory(replay->fold);
            replay_free(replay);
        } else {
            at = &replay->next;
        }
    }
    metric_set(METRIC_FOLDS, (int64_t)(folds->active_count + folds->kept_count));
}

static void keep(struct folds *folds, struct replay *replay)
{
    replay->used = clock_now();
    replay->next = folds->kept;
    folds->kept = replay;
    folds->kept_count++;
    bound_kept(folds, replay->used);
}

static struct replay *take_kept(struct folds *folds, const struct history_request *request)
{
    struct replay **at = &folds->kept;
    while (*at && !replay_continues(*at, request)) {
        at = &(*at)->next;
    }
    struct replay *replay = *at;
    if (replay) {
        *at = replay->next;
        folds->kept_count--;
    }
    return replay;
}

/* ---- A turn ---- */

/* What was erased while it was read looks torn, and is no fault of the store: who asked learns it by the session's end. */
static bool was_erased(struct folds *folds, const struct replay *replay, enum err err)
{
    return (err == ERR_NOENT || err == ERR_CORRUPT) &&
           folds->reader->operations->find_session(folds->reader, replay->session_key) == ERR_NOENT;
}

static void fail(struct folds *folds, struct replay *replay, enum err err)
{
    if (was_erased(folds, replay, err)) {
        err = ERR_NOENT;
    } else if (err != ERR_NOMEM) {
        uint32_t left_out;
        const char *what = err == ERR_CORRUPT ? "a session's log is damaged" : "store not readable";
        if (log_limit_pass(&folds->failures, 6, &left_out)) {
            log_error(what, "error", "%s", err_text(err), "key", "%lld", (long long)replay->session_key, "left_out", "%u",
                      left_out, NULL);
        }
        err = err == ERR_CORRUPT ? err : ERR_IO;
    }
    reply_all(replay, err);
    replay_free(replay);
}

/* Once for all who get it. */
static enum err translate(struct folds *folds, struct history_request *made)
{
    struct buffer frames = {0};
    enum err err = buffer_ok(&made->bytes) ? ERR_OK : ERR_NOMEM;
    if (err == ERR_OK && made->dialect) {
        err = dialect_events(made->dialect, folds->parser, made->bytes.data, made->bytes.length, true, &frames);
        buffer_free(&made->bytes);
        made->bytes = frames;
    }
    return err;
}

/* Everybody who waits for this piece gets it; who comes later finds it among the last ones. */
static void give(struct folds *folds, struct replay *replay)
{
    struct history_request *made = replay->first;
    made->whole_from = replay->whole_from;
    enum err err = translate(folds, made);
    if (err != ERR_OK) {
        fail(folds, replay, err);
        return;
    }
    for (struct history_request *other = made->next; other;) {
        struct history_request *next = other->next;
        share_piece(made, other);
        other = next;
    }
    pieces_add(&folds->pieces, made, replay->safe);
    bool more = replay_next_piece(replay);
    reply(made, ERR_OK);
    if (more) {
        keep(folds, replay);
    } else {
        replay_free(replay);
        bound_kept(folds, clock_now());
    }
}

static void turn(struct folds *folds, struct replay *replay)
{
    bool done = false;
    enum err err = replay_slice(folds->reader, replay, &done);
    if (err != ERR_OK) {
        fail(folds, replay, err);
    } else if (done) {
        give(folds, replay);
    } else {
        put_last(folds, replay);
    }
}

/* ---- Asking ---- */

void folds_ask(struct folds *folds, struct history_request *request)
{
    history_bytes_free(request);
    request->events = 0;
    request->last = request->from - 1;
    request->whole_from = 0;
    request->next = NULL;
    *folds->waiting_last = request;
    folds->waiting_last = &request->next;
}

static void take_up(struct folds *folds, struct history_request *request)
{
    if (request->from > request->to) {
        reply(request, ERR_OK);
        return;
    }
    struct history_request *piece = pieces_find(&folds->pieces, request);
    if (piece) {
        share_piece(piece, request);
        return;
    }
    struct replay *replay = folds->active;
    while (replay && !(replay_continues(replay, request) && same_piece(replay->first, request))) {
        replay = replay->next;
    }
    if (replay) {
        attach(replay, request);
        return;
    }
    replay = take_kept(folds, request);
    enum err err = replay ? ERR_OK : replay_new(folds->reader, request, &replay);
    if (err != ERR_OK) {
        reply(request, err == ERR_NOMEM ? err : ERR_IO);
        return;
    }
    attach(replay, request);
    put_last(folds, replay);
}

bool folds_step(struct folds *folds)
{
    while (folds->waiting && (!folds->active || (folds->active_count < ACTIVE_MAX &&
                                                 memory_of(folds->active) < FOLDS_MEMORY_MAX))) {
        struct history_request *request = folds->waiting;
        folds->waiting = request->next;
        folds->waiting_last = folds->waiting ? folds->waiting_last : &folds->waiting;
        take_up(folds, request);
    }
    if (!folds->active) {
        return false;
    }
    turn(folds, take_first(folds));
    return true;
}

struct instant folds_due(const struct folds *folds)
{
    const struct replay *oldest = folds->kept;
    while (oldest && oldest->next) {
        oldest = oldest->next;
    }
    struct instant due = pieces_due(&folds->pieces, KEEP_MS);
    struct instant other = oldest ? instant_after_ms(oldest->used, KEEP_MS) : INSTANT_NEVER;
    return instant_earlier(other, due);
}

void folds_expire(struct folds *folds, struct instant now)
{
    bound_kept(folds, now);
    pieces_expire(&folds->pieces, now, KEEP_MS);
}

void folds_refuse(struct folds *folds, enum err err)
{
    while (folds->active) {
        struct replay *replay = take_first(folds);
        reply_all(replay, err);
        replay_free(replay);
    }
    while (folds->waiting) {
        struct history_request *request = folds->waiting;
        folds->waiting = request->next;
        reply(request, err);
    }
    folds->waiting_last = &folds->waiting;
}

void folds_free(struct folds *folds)
{
    if (!folds) {
        return;
    }
    CHECK(!folds->active && !folds->waiting);
    while (folds->kept) {
        struct replay *replay = folds->kept;
        folds->kept = replay->next;
        replay_free(replay);
    }
    pieces_clear(&folds->pieces);
    json_parser_free(folds->parser);
    free(folds);
}
