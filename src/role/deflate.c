#include "signalbox/role/deflate.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "signalbox/base/check.h"
#include "signalbox/base/deflate.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/deflate.h"

enum { RUN_BYTES = 64 * 1024 }; /* between two pokes */

struct deflate {
    struct deflate_wiring wiring;
    struct mailbox *box;
    struct mail stop;
    bool stopped;
    struct thread thread;
    /* The thread's: */
    struct deflater *deflater;
    struct buffer scratch;
};

/* The frame compressed, behind what is in `out`. False: it stays as it is. */
static bool squeeze(struct deflate *deflate, const char *frame, size_t length, struct buffer *out)
{
    const char *text;
    size_t text_length;
    if (length < deflate->wiring.min_bytes) {
        return false;
    }
    (void)frame_read(frame, &text, &text_length);
    metric_add(METRIC_DEFLATE_IN, (int64_t)length);
    size_t before = out->length;
    bool pays = deflate_frame(deflate->deflater, text, text_length, out);
    metric_add(METRIC_DEFLATE_OUT, (int64_t)(pays ? out->length - before : length));
    return pays;
}

/* ---- Events ---- */

static void squeeze_event(struct deflate *deflate, struct topic *topic, const struct topic_run *run, uint64_t seq)
{
    size_t length, have;
    const char *bytes;
    const char *frame = topic_run_frame(run, seq, &length);
    /* Without memory for it nothing is there, and it is sent as it is, like what does not pay. */
    if (length < deflate->wiring.min_bytes ||
        topic_form_find(topic, run, seq, TOPIC_FORM_DEFLATE, &bytes, &have) != TOPIC_FORM_YOURS) {
        return;
    }
    buffer_reset(&deflate->scratch);
    (void)squeeze(deflate, frame, length, &deflate->scratch);
    (void)!topic_form_give(run, seq, TOPIC_FORM_DEFLATE, deflate->scratch.data, deflate->scratch.length);
}

static void take_topic(struct deflate *deflate, struct topic *topic)
{
    struct topic_squeeze *asked = &topic->squeeze;
    atomic_exchange(&asked->flagged, 0);
    uint64_t from = atomic_exchange(&asked->from, UINT64_MAX);
    uint64_t head = atomic_load(&topic->head);
    while (from <= head) {
        struct topic_run run;
        uint64_t first = atomic_load(&topic->first); /* what has left the tail is read from the store by who wants it */
        from = from < first ? first : from;
        rcu_read_lock();
        bool found = from <= head && topic_read(topic, from, head, RUN_BYTES, &run);
        rcu_read_unlock();
        if (!found) {
            break;
        }
        for (uint64_t seq = run.from; seq <= run.last; seq++) {
            squeeze_event(deflate, topic, &run, seq);
        }
        from = run.last + 1;
        topic_chunk_put(run.chunk);
        /* First what has been looked at, then the poke: who waits finds one or the other. */
        atomic_store(&asked->to, from - 1);
        topic_poke_all(topic, deflate->wiring.socket_boxes);
    }
    if (atomic_load(&asked->to) < head) {
        atomic_store(&asked->to, head);
        topic_poke_all(topic, deflate->wiring.socket_boxes);
    }
    topic_put(topic); /* the mail's */
}

/* ---- Pieces of replays ---- */

static bool squeeze_all(struct deflate *deflate, const struct buffer *frames, struct buffer *out)
{
    bool any = false;
    for (size_t at = 0; at < frames->length;) {
        const char *text;
        size_t text_length;
        size_t length = frame_read(frames->data + at, &text, &text_length);
        if (squeeze(deflate, frames->data + at, length, out)) {
            any = true;
        } else {
            buffer_append(out, frames->data + at, length);
        }
        at += length;
    }
    return any && buffer_ok(out);
}

static void take_piece(struct deflate *deflate, struct history_request *request)
{
    struct buffer out = {0};
    if (!history_bytes_squeezed(request)) {
        if (squeeze_all(deflate, &request->bytes, &out)) {
            history_bytes_replace(request, &out);
        } else {
            buffer_free(&out); /* without memory for it, too: then it goes as it is */
        }
    }
    request->mail.kind = request->reply_kind;
    mailbox_push(request->reply_to, &request->mail);
}

/* ---- Life ---- */

static void run(void *context)
{
    struct deflate *deflate = context;
    thread_check(THREAD_DEFLATE);
    for (bool going = true; going;) {
        mailbox_wait(deflate->box, INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(deflate->box));) {
            switch (mail->kind) {
            case DEFLATE_TOPIC:
                take_topic(deflate, container_of(mail, struct topic, squeeze.mail));
                break;
            case DEFLATE_PIECE:
                take_piece(deflate, container_of(mail, struct history_request, mail));
                break;
            default:
                CHECK(mail->kind == DEFLATE_STOP);
                going = false;
            }
        }
    }
}

enum err deflate_start(struct deflate **out, const struct deflate_wiring *wiring)
{
    struct deflate *deflate = calloc(1, sizeof(*deflate));
    if (!deflate) {
        return ERR_NOMEM;
    }
    deflate->wiring = *wiring;
    deflate->stop.kind = DEFLATE_STOP;
    enum err err = mailbox_new(&deflate->box, "deflate", 0);
    if (!err) {
        err = deflater_new(&deflate->deflater);
    }
    if (!err) {
        err = thread_start(&deflate->thread, THREAD_DEFLATE, -1, true, run, deflate);
    }
    if (err) {
        deflate->stopped = true;
        deflate_free(deflate);
        return err;
    }
    *out = deflate;
    return ERR_OK;
}

struct mailbox *deflate_mailbox(struct deflate *deflate)
{
    return deflate->box;
}

void deflate_stop(struct deflate *deflate)
{
    if (deflate && !deflate->stopped) {
        deflate->stopped = true;
        mailbox_push(deflate->box, &deflate->stop);
        thread_join(&deflate->thread);
    }
}

void deflate_free(struct deflate *deflate)
{
    if (!deflate) {
        return;
    }
    CHECK(deflate->stopped);
    for (struct mail *mail; deflate->box && (mail = mailbox_take(deflate->box));) {
        if (mail->kind == DEFLATE_TOPIC) {
            topic_put(container_of(mail, struct topic, squeeze.mail));
        } else if (mail->kind == DEFLATE_PIECE) {
            history_request_free(container_of(mail, struct history_request, mail));
        }
    }
    mailbox_free(deflate->box);
    deflater_free(deflate->deflater);
    buffer_free(&deflate->scratch);
    free(deflate);
}
