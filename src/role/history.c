#include "signalbox/role/history.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "history_blobs.h"
#include "signalbox/base/check.h"
#include "signalbox/base/frame.h"
#include "signalbox/base/log.h"
#include "signalbox/base/pause.h"
#include "signalbox/base/thread.h"

enum { WAITING_MAX = 64, OPCODE_TEXT = 1 };

struct history {
    /* shared */
    struct mailbox *box;
    atomic_bool stopping;

    /* the history thread's; main's before it starts and after it has ended */
    struct store_reader *reader;
    struct history_request *waiting[WAITING_MAX]; /* in order of asking */
    size_t count;
    struct log_limit failures;

    struct thread thread;
};

static void reply(struct history_request *request, enum err result)
{
    request->result = result;
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

static bool add_event(void *context, uint64_t seq, const char *json, size_t length)
{
    struct history_request *request = context;
    if (request->kind == HISTORY_FRAMES) {
        char room[FRAME_HEADER_MAX];
        size_t header = frame_header(room + sizeof(room), OPCODE_TEXT, length);
        buffer_append(&request->bytes, room + sizeof(room) - header, header);
    } else if (request->bytes.length > 0) {
        buffer_byte(&request->bytes, ',');
    }
    buffer_append(&request->bytes, json, length);
    request->last = seq;
    request->events++;
    return buffer_ok(&request->bytes) && request->bytes.length < request->max_bytes &&
           (request->max_events == 0 || request->events < request->max_events);
}

static enum err read_events(struct history *history, struct history_request *request)
{
    buffer_reset(&request->bytes);
    request->events = 0;
    request->last = request->from > 0 ? request->from - 1 : 0;
    if (request->from > request->to) {
        return ERR_OK;
    }
    enum err err = history->reader->operations->read_events(
        history->reader, request->session_key, request->from, request->to, add_event, request);
    if (err == ERR_OK && !buffer_ok(&request->bytes)) {
        err = ERR_NOMEM;
    }
    return err;
}

static enum err read_session(struct history *history, struct history_request *request)
{
    session_row_clear(&request->row);
    return history->reader->operations->read_session(history->reader, request->session_id,
                                                     &request->row);
}

static enum err read_one(struct history *history, struct history_request *request)
{
    switch (request->kind) {
    case HISTORY_SESSION:
        return read_session(history, request);
    case HISTORY_ANSWER:
        stored_answer_clear(&request->answer);
        return history->reader->operations->read_answer(history->reader, &request->answer_name, &request->answer);
    case HISTORY_BLOB:
        buffer_reset(&request->bytes);
        return history->reader->operations->read_blob(history->reader, request->session_key, &request->blob,
                                                      request->from, request->max_bytes, &request->blob_info,
                                                      &request->bytes);
    case HISTORY_CHECK:
        return history_check_blobs(history->reader, request);
    case HISTORY_PROMPT:
        return history_fill_prompt(history->reader, request);
    case HISTORY_FRAMES:
    case HISTORY_JSON:
        break;
    }
    return read_events(history, request);
}

/* Whether an answer to `first` answers `other` as well: the log does not change under a number. */
static bool same_range(const struct history_request *first, const struct history_request *other)
{
    if ((first->kind != HISTORY_FRAMES && first->kind != HISTORY_JSON) || first->kind != other->kind ||
        first->session_key != other->session_key || first->from != other->from ||
        first->max_bytes != other->max_bytes || first->max_events != other->max_events) {
        return false;
    }
    bool ended_by_bound = first->last < first->to && first->last <= other->to &&
                          first->events > 0 &&
                          (first->bytes.length >= first->max_bytes ||
                           (first->max_events > 0 && first->events >= first->max_events));
    return first->to == other->to || ended_by_bound;
}

static void copy_answer(const struct history_request *from, struct history_request *to)
{
    buffer_reset(&to->bytes);
    buffer_append(&to->bytes, from->bytes.data, from->bytes.length);
    to->last = from->last;
    to->events = from->events;
    reply(to, buffer_ok(&to->bytes) ? ERR_OK : ERR_NOMEM);
}

static void answer_first(struct history *history)
{
    struct history_request *first = history->waiting[0];
    bool session = first->kind == HISTORY_SESSION;
    enum err err = read_one(history, first);
    pause_at(PAUSE_HISTORY_READ);
    if (err != ERR_OK && err != ERR_NOENT && err != ERR_NOMEM && err != ERR_TOOBIG) {
        uint32_t left_out;
        if (log_limit_pass(&history->failures, 6, &left_out)) {
            log_error("store not readable", "error", "%s", err_text(err), "key", "%lld",
                      (long long)first->session_key, "session", "%s",
                      session ? first->session_id : NULL, "left_out", "%u", left_out, NULL);
        }
        err = ERR_IO;
    }
    if (err != ERR_OK) {
        buffer_free(&first->bytes);
        first->events = 0;
        first->last = first->kind == HISTORY_CHECK ? first->last : first->from > 0 ? first->from - 1 : 0;
    }
    size_t kept = 0;
    for (size_t i = 1; i < history->count; i++) {
        struct history_request *other = history->waiting[i];
        if (err == ERR_OK && same_range(first, other)) {
            copy_answer(first, other);
        } else {
            history->waiting[kept++] = other;
        }
    }
    history->count = kept;
    reply(first, err);
}

static void take(struct history *history)
{
    struct mail *mail;
    while (history->count < WAITING_MAX && (mail = mailbox_take(history->box)) != NULL) {
        history->waiting[history->count++] = container_of(mail, struct history_request, mail);
    }
}

static void refuse_all(struct history *history)
{
    for (take(history); history->count > 0; take(history)) {
        for (size_t i = 0; i < history->count; i++) {
            reply(history->waiting[i], ERR_STOPPING);
        }
        history->count = 0;
    }
}

static void run(void *context)
{
    struct history *history = context;
    thread_check(THREAD_HISTORY);
    while (!atomic_load(&history->stopping)) {
        take(history);
        if (history->count > 0) {
            answer_first(history);
        } else {
            mailbox_wait(history->box, INSTANT_NEVER);
        }
    }
    refuse_all(history);
}

static void history_free(struct history *history)
{
    if (history->reader) {
        history->reader->operations->reader_close(history->reader);
    }
    mailbox_free(history->box);
    free(history);
}

enum err history_start(struct history **out, struct store *store)
{
    struct history *history = calloc(1, sizeof(*history));
    if (!history) {
        return ERR_NOMEM;
    }
    enum err err = mailbox_new(&history->box, "history", 0);
    if (err == ERR_OK) {
        err = store->operations->reader_open(store, &history->reader);
    }
    if (err == ERR_OK) {
        err = thread_start(&history->thread, THREAD_HISTORY, -1, false, run, history);
    }
    if (err != ERR_OK) {
        history_free(history);
        return err;
    }
    *out = history;
    return ERR_OK;
}

void history_ask(struct history *history, struct history_request *request)
{
    CHECK(request->reply_to != NULL);
    mailbox_push(history->box, &request->mail);
}

void history_stop(struct history *history)
{
    if (!history) {
        return;
    }
    atomic_store(&history->stopping, true);
    mailbox_poke(history->box);
    thread_join(&history->thread);
    /* Asked while the thread was ending. */
    refuse_all(history);
    history_free(history);
}

struct mailbox *history_mailbox(struct history *history)
{
    return history->box;
}
