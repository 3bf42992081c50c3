#include "signalbox/role/history.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "history_blobs.h"
#include "history_fold.h"
#include "signalbox/base/check.h"
#include "signalbox/base/log.h"
#include "signalbox/base/thread.h"

struct history {
    /* shared */
    struct mailbox *box;
    atomic_bool stopping;

    /* the history thread's; main's before it starts and after it has ended */
    struct store_reader *reader;
    struct folds *folds;
    struct log_limit failures;

    struct thread thread;
};

static void reply(struct history_request *request, enum err result)
{
    request->result = result;
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

static enum err read_one(struct history *history, struct history_request *request)
{
    const struct store_operations *operations = history->reader->operations;
    switch (request->kind) {
    case HISTORY_SESSION:
        session_row_clear(&request->row);
        return operations->read_session(history->reader, request->session_id, &request->row);
    case HISTORY_ANSWER:
        stored_answer_clear(&request->answer);
        return operations->read_answer(history->reader, &request->answer_name, &request->answer);
    case HISTORY_BLOB:
        buffer_reset(&request->bytes);
        return operations->read_blob(history->reader, request->session_key, &request->blob, request->from,
                                     request->max_bytes, &request->blob_info, &request->bytes);
    case HISTORY_CHECK:
        return history_check_blobs(history->reader, request);
    case HISTORY_PROMPT:
        return history_fill_prompt(history->reader, request);
    case HISTORY_FRAMES:
    case HISTORY_JSON:
        break;
    }
    CHECK(0); /* replays are history_fold.c's */
    return ERR_IO;
}

static void answer(struct history *history, struct history_request *request)
{
    enum err err = read_one(history, request);
    if (err != ERR_OK && err != ERR_NOENT && err != ERR_NOMEM && err != ERR_TOOBIG) {
        uint32_t left_out;
        if (log_limit_pass(&history->failures, 6, &left_out)) {
            log_error("store not readable", "error", "%s", err_text(err), "session", "%s",
                      request->kind == HISTORY_SESSION ? request->session_id : NULL, "left_out",
                      "%u", left_out, NULL);
        }
        err = ERR_IO;
    }
    if (err != ERR_OK) {
        buffer_free(&request->bytes);
    }
    reply(request, err);
}

/* Replays are long, and wait; all else is short: a row, a piece of a blob, a prompt's blobs. */
static void take(struct history *history)
{
    for (struct mail *mail; (mail = mailbox_take(history->box));) {
        struct history_request *request = container_of(mail, struct history_request, mail);
        bool replay = request->kind == HISTORY_FRAMES || request->kind == HISTORY_JSON;
        if (replay) {
            folds_ask(history->folds, request);
        } else if (atomic_load(&history->stopping)) {
            reply(request, ERR_STOPPING);
        } else {
            answer(history, request);
        }
    }
}

static void refuse_all(struct history *history)
{
    take(history);
    folds_refuse(history->folds, ERR_STOPPING);
}

static void run(void *context)
{
    struct history *history = context;
    thread_check(THREAD_HISTORY);
    while (!atomic_load(&history->stopping)) {
        take(history);
        struct instant now = clock_now();
        if (instant_reached(folds_due(history->folds), now)) {
            folds_expire(history->folds, now);
        }
        if (!folds_step(history->folds)) {
            mailbox_wait(history->box, folds_due(history->folds));
        }
    }
    refuse_all(history);
}

static void history_free(struct history *history)
{
    folds_free(history->folds);
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
        err = folds_new(&history->folds, history->reader);
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
