#include "signalbox/role/journal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/pause.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/client.h"
#include "signalbox/mail/dispatch.h"
#include "journal_tails.h"

enum {
    GROUP_ITEMS_MAX = 4096, /* a group is what waits, up to here: past it a commit takes longer than its share of the latency */
    BUSY_ITEMS = 32,        /* from so many on it shows that more come than one by one */
    BUSY_MS = 2,            /* and the next group begins so long after it, so that it is a larger one */
    HELD_MS = 1000,         /* so long credit is held back at most, while the store is behind */
    HELD_LOOK_MS = 20,
    RETRY_MS = 500,
    TIDY_REST = 3, /* times as long as a piece of what is erased has taken, nothing of it is done */
    TIDY_REST_MIN_MS = 2,
};

struct journal {
    struct journal_wiring wiring;
    struct mailbox *box;
    struct thread thread;
    struct mail stop;
    /* Owned by the journal thread: */
    struct journal_batch *waiting, **waiting_last;
    struct journal_batch *held; /* released; their credit is held back */
    struct instant held_until;
    struct instant next_at; /* when the next group may begin */
    size_t group; /* how many of the waiting batches the group in work has; kept over retries */
    struct instant retry_at; /* of a group that failed; else long ago */
    struct store_write *writes;
    size_t write_capacity;
    const struct store_write *list; /* the group's: into `writes`, or NULL when it records nothing */
    struct topic *unpublished;
    struct tails tails;
    struct fold_note *fold; /* to be written after the next group */
    bool untidy;            /* something that was erased may be left in the store, */
    struct instant tidy_at; /* whose next piece may go then */
    bool tidy_fails;        /* said once */
    bool stopping, failing;
    bool gave_up; /* the group will never be taken: all stands until the end */
    /* Shared: */
    _Atomic(uint64_t) released;
};

/* ---- Making a group visible ---- */

static void mark_unpublished(struct journal *journal, struct topic *topic)
{
    if (!topic->unpublished) {
        topic->unpublished = true;
        topic->appended = atomic_load_explicit(&topic->head, memory_order_relaxed); /* only this thread moves it */
        topic->unpublished_next = journal->unpublished;
        journal->unpublished = topic_get(topic);
    }
}

static void publish(struct journal *journal)
{
    while (journal->unpublished) {
        struct topic *topic = journal->unpublished;
        journal->unpublished = topic->unpublished_next;
        topic->unpublished = false;
        pause_at(PAUSE_TAIL_PUBLISH);
        topic_publish(topic, topic->appended, journal->wiring.socket_boxes);
        topic_put(topic);
    }
}

static void release_event(struct journal *journal, struct journal_item *item)
{
    struct topic *topic = item->topic;
    mark_unpublished(journal, topic);
    uint64_t seq = item->kind == JOURNAL_FEED ? topic->appended + 1 : item->event.seq;
    CHECK(seq == topic->appended + 1);
    const struct event *event = &item->event.event;
    if (topic_append(topic, seq, event->frame, event->line_at, journal->wiring.limits)) {
        topic_skip(topic, seq);
    }
    topic->appended = seq;
    tails_changed(&journal->tails, topic, journal->wiring.limits->tails_total_bytes);
    if (item->kind == JOURNAL_EVENT) {
        metric_add(METRIC_EVENTS, 1);
        metric_add(METRIC_EVENT_BYTES, (int64_t)frame_json_length(event->frame));
    }
}

/* Who watches is told by a subscription's turn in its socket thread, which each gets by this. */
static void release_purge(struct journal *journal, struct journal_item *item)
{
    journal->untidy = true;
    if (item->topic) {
        publish(journal);
        tails_forget(&journal->tails, item->topic);
        atomic_store(&item->topic->erased, true);
        topic_trim(item->topic);
        topic_poke_all(item->topic, journal->wiring.socket_boxes);
    }
}

static void release(struct journal *journal, struct journal_item *item)
{
    switch (item->kind) {
    case JOURNAL_EVENT:
    case JOURNAL_FEED:
        release_event(journal, item);
        break;
    case JOURNAL_PENDING:
        mark_unpublished(journal, item->topic);
        atomic_store(&item->topic->pending, item->pending.count);
        atomic_store(&item->topic->pending_oldest, item->pending.oldest_created_at);
        atomic_fetch_add(&item->topic->pending_version, 1);
        break;
    case JOURNAL_FORWARD:
        /* What the mail tells must be visible before it: a client registered at head H finds H in the tail. */
        publish(journal);
        item->forward.mail->kind = item->forward.kind;
        mailbox_push(item->forward.to, item->forward.mail);
        item->forward.mail = NULL;
        break;
    case JOURNAL_FORGET:
        tails_forget(&journal->tails, item->topic);
        break;
    case JOURNAL_BLOB:
        metric_add(METRIC_BLOBS, 1);
        metric_add(METRIC_BLOB_BYTES, (int64_t)item->blob.blob->length);
        break;
    case JOURNAL_PURGE:
        release_purge(journal, item);
        break;
    case JOURNAL_ROW:
    case JOURNAL_ANSWER:
    case JOURNAL_EXPIRE:
    case JOURNAL_RULE:
    case JOURNAL_RULE_REMOVE:
    case JOURNAL_AUDIT:
        break;
    }
}

/* ---- Committing ---- */

static struct store_write *write_of(struct store_write *write, const struct journal_item *item)
{
    switch (item->kind) {
    case JOURNAL_EVENT:
        *write = (struct store_write){.kind = STORE_EVENT,
                                      .session_key = item->topic->session_key,
                                      .seq = item->event.seq,
                                      .event_kind = event_name(item->event.event.kind),
                                      .ts = item->event.ts,
                                      .json = frame_json(item->event.event.frame),
                                      .json_length = frame_json_length(item->event.event.frame)};
        return write;
    case JOURNAL_BLOB:
        *write = (struct store_write){.kind = STORE_BLOB,
                                      .session_key = item->topic->session_key,
                                      .blob = {.name = item->blob.blob->name,
                                               .type = item->blob.blob->type,
                                               .data = item->blob.blob->data,
                                               .length = item->blob.blob->length,
                                               .at = item->blob.at}};
        return write;
    case JOURNAL_ROW:
        *write = (struct store_write){.kind = STORE_SESSION, .session_key = item->row.key, .row = &item->row};
        return write;
    case JOURNAL_PURGE:
        *write = (struct store_write){.kind = STORE_PURGE, .session_key = item->purge_key};
        return write;
    case JOURNAL_ANSWER:
        *write = (struct store_write){.kind = STORE_ANSWER, .answer = &item->answer};
        return write;
    case JOURNAL_EXPIRE:
        *write = (struct store_write){.kind = STORE_EXPIRE, .before = item->expire.before, .limit = item->expire.limit};
        return write;
    case JOURNAL_RULE:
        *write = (struct store_write){.kind = STORE_RULE, .rule = &item->rule};
        return write;
    case JOURNAL_RULE_REMOVE:
        *write = (struct store_write){.kind = STORE_RULE_REMOVE, .rule_id = item->rule_id};
        return write;
    case JOURNAL_AUDIT:
        *write = (struct store_write){.kind = STORE_AUDIT, .audit = &item->audit};
        return write;
    default:
        return NULL;
    }
}

static void tell(struct journal *journal, bool ok, const char *reason)
{
    metric_set(METRIC_STORE_OK, ok);
    struct server_note *note = calloc(1, sizeof(*note));
    if (note) {
        note->mail.kind = DISPATCH_STORE;
        note->ok = ok;
        snprintf(note->reason, sizeof(note->reason), "%s", reason ? reason : "");
        mailbox_push(journal->wiring.dispatch, &note->mail);
    }
    struct buffer text = {0};
    buffer_text(&text, "{\"type\":\"store\",\"ok\":");
    json_put_bool(&text, ok);
    json_field_string(&text, "reason", reason);
    buffer_byte(&text, '}');
    struct frame *frame = NULL;
    if (buffer_ok(&text) && frame_text(&frame, text.data, text.length) == ERR_OK) {
        for (uint32_t i = 0; i < journal->wiring.limits->socket_threads; i++) {
            struct broadcast_mail *mail = calloc(1, sizeof(*mail));
            if (mail) {
                *mail = (struct broadcast_mail){.mail.kind = CLIENT_MAIL_BROADCAST, .slot = BROADCAST_STORE,
                                                .frame = frame_get(frame), .lasts = !ok};
                mailbox_push(journal->wiring.socket_boxes[i], &mail->mail);
            }
        }
    }
    frame_put(frame);
    buffer_free(&text);
}

static enum err append(struct journal *journal, const struct store_write *writes)
{
    struct instant start = clock_now();
    enum err err = journal->wiring.store->operations->append(journal->wiring.store, writes);
    if (err) {
        metric_add(METRIC_COMMIT_FAILURES, 1);
        if (!journal->failing) {
            journal->failing = true;
            if (err != ERR_EXIST) {
                log_error("the store cannot record: the group is kept and tried again", "reason", "%s", err_text(err), NULL);
            }
            tell(journal, false, err_text(err));
        }
        return err;
    }
    metric_add(METRIC_COMMITS, 1);
    metric_observe_ns(METRIC_COMMIT_SECONDS, clock_now().ns - start.ns);
    if (journal->failing) {
        journal->failing = false;
        log_info("the store records again", NULL);
        tell(journal, true, NULL);
    }
    return ERR_OK;
}

/* Forms the group from what waits: how many batches, and their writes as one list. */
static enum err collect(struct journal *journal)
{
    size_t items = 0;
    size_t batches = 0;
    for (struct journal_batch *batch = journal->waiting; batch; batch = batch->next) {
        if (batches && items + batch->items > GROUP_ITEMS_MAX) {
            break;
        }
        items += batch->items;
        batches++;
    }
    if (items > journal->write_capacity) {
        struct store_write *writes = realloc(journal->writes, items * sizeof(*writes));
        if (!writes) {
            return ERR_NOMEM;
        }
        journal->writes = writes;
        journal->write_capacity = items;
    }
    struct store_write *last = NULL;
    struct journal_batch *batch = journal->waiting;
    for (size_t i = 0; i < batches; i++, batch = batch->next) {
        for (const struct journal_item *item = batch->first; item; item = item->next) {
            struct store_write *write = last ? last + 1 : journal->writes;
            if (write_of(write, item)) {
                if (last) {
                    last->next = write;
                }
                last = write;
            }
        }
    }
    if (items >= BUSY_ITEMS) {
        journal->next_at = instant_after_ms(clock_now(), BUSY_MS);
    }
    journal->group = batches;
    journal->list = last ? journal->writes : NULL;
    return ERR_OK;
}

static struct journal_batch *take_waiting(struct journal *journal)
{
    struct journal_batch *batch = journal->waiting;
    journal->waiting = batch->next;
    if (!journal->waiting) {
        journal->waiting_last = &journal->waiting;
    }
    return batch;
}

/*
 * What was written to the log is to be moved into the database, and a flood can write more than the disk moves meanwhile.
 * Then those who flood are to wait, and not a commit for all: so the credit comes back later, and who has little on its way
 * notices nothing.
 */
static bool is_behind(struct journal *journal)
{
    struct store *store = journal->wiring.store;
    return store->operations->is_behind && store->operations->is_behind(store);
}

static void let_go(struct journal *journal, struct journal_batch *done)
{
    bool hold = !journal->stopping && done && is_behind(journal);
    if (hold && !journal->held) {
        journal->held_until = instant_after_ms(clock_now(), HELD_MS);
    }
    while (done) {
        struct journal_batch *batch = done;
        done = batch->next;
        if (hold) {
            batch->next = journal->held;
            journal->held = batch;
        } else {
            journal_batch_free(batch); /* gives the credit back */
        }
    }
}

static void look_at_held(struct journal *journal)
{
    if (journal->held &&
        (journal->stopping || instant_reached(journal->held_until, clock_now()) || !is_behind(journal))) {
        while (journal->held) {
            struct journal_batch *batch = journal->held;
            journal->held = batch->next;
            journal_batch_free(batch);
        }
    }
}

static void release_group(struct journal *journal)
{
    struct journal_batch *done = NULL;
    uint64_t last = atomic_load_explicit(&journal->released, memory_order_relaxed); /* only this thread writes it */
    for (; journal->group; journal->group--) {
        struct journal_batch *batch = take_waiting(journal);
        for (struct journal_item *item = batch->first; item; item = item->next) {
            release(journal, item);
        }
        last = batch->number;
        batch->next = done;
        done = batch;
    }
    publish(journal);
    atomic_store_explicit(&journal->released, last, memory_order_release);
    let_go(journal, done);
}

/*
 * A number, or an id, that is to be new is there already: another program has written to the store, or the dispatcher is
 * wrong about what it holds. Either way what the memory has and what the store has differ, so no further group can be
 * trusted, none that is shown would be true after a restart, and trying again changes nothing. What was acknowledged is in
 * the store; a start reads all from there. So the server ends, and says why.
 */
static void give_up(struct journal *journal)
{
    if (!journal->gave_up) {
        journal->gave_up = true;
        log_error("the store holds something else than this server has written: nothing more is recorded, and the server ends",
                  "reason", "another program writes to the store, or this is a bug", NULL);
        if (journal->wiring.give_up) {
            journal->wiring.give_up(journal->wiring.context);
        }
    }
    journal->retry_at = INSTANT_NEVER;
}

/* false: the store fails; the group stays first in line and is tried again unchanged. */
static bool commit_group(struct journal *journal)
{
    enum err err = journal->group ? ERR_OK : collect(journal);
    if (!err && journal->list) {
        err = append(journal, journal->list);
    }
    if (err == ERR_EXIST) {
        give_up(journal);
        return false;
    }
    if (err) {
        journal->retry_at = instant_after_ms(clock_now(), RETRY_MS);
        return false;
    }
    journal->retry_at = (struct instant){0};
    pause_at(PAUSE_COMMIT_PUBLISH);
    mailbox_cork();
    release_group(journal);
    mailbox_uncork();
    return true;
}

/* No part of a group: where it cannot be written, it is left out, and no commit waits for it. */
static void write_fold(struct journal *journal)
{
    struct fold_note *note = journal->fold;
    journal->fold = NULL;
    note->result = ERR_AGAIN;
    if (!journal->failing) {
        note->result = journal->wiring.store->operations->fold(journal->wiring.store, &note->fold);
    }
    note->mail.kind = note->reply_kind;
    mailbox_push(note->reply_to, &note->mail);
}

/*
 * A long log is erased piece by piece, so that others' commits go on; and seldom enough that they notice little of it. No
 * part of a group either: where it cannot be written it is tried again later, and in the next run.
 */
static void tidy(struct journal *journal)
{
    struct store *store = journal->wiring.store;
    struct instant begin = clock_now();
    bool more = false;
    enum err err = store->operations->tidy ? store->operations->tidy(store, &more) : ERR_OK;
    int64_t rest_ms = instant_diff_ms(clock_now(), begin) * TIDY_REST;
    if (err && !journal->tidy_fails) {
        log_error("what was erased cannot be removed from the store yet: it is tried again", "reason", "%s", err_text(err),
                  NULL);
    } else if (!err && journal->tidy_fails) {
        log_info("what was erased is removed from the store again", NULL);
    }
    journal->tidy_fails = err != ERR_OK;
    journal->untidy = err || more;
    rest_ms = err ? RETRY_MS : is_behind(journal) ? HELD_LOOK_MS : rest_ms;
    journal->tidy_at = instant_after_ms(clock_now(), rest_ms > TIDY_REST_MIN_MS ? rest_ms : TIDY_REST_MIN_MS);
}

/*
 * Each commit writes the pages again that it adds a row to: one of events, one of the index for each session. So under a
 * flood many small groups make the log many times longer than a few large ones do, and all of it is moved by checkpoints.
 */
static void gather(struct journal *journal)
{
    if (!journal->stopping && !instant_reached(journal->next_at, clock_now())) {
        clock_pause_until(journal->next_at);
    }
}

static void take_mail(struct journal *journal)
{
    for (struct mail *mail; (mail = mailbox_take(journal->box));) {
        if (mail->kind == JOURNAL_STOP) {
            journal->stopping = true;
            continue;
        }
        if (mail->kind == JOURNAL_FOLD) {
            journal->fold = container_of(mail, struct fold_note, mail);
            continue;
        }
        CHECK(mail->kind == JOURNAL_BATCH);
        struct journal_batch *batch = container_of(mail, struct journal_batch, mail);
        *journal->waiting_last = batch;
        journal->waiting_last = &batch->next;
    }
}

static struct instant wake_at(const struct journal *journal)
{
    struct instant at = journal->waiting ? journal->retry_at : INSTANT_NEVER;
    if (journal->untidy) {
        at = instant_earlier(at, journal->tidy_at);
    }
    return journal->held ? instant_earlier(at, instant_after_ms(clock_now(), HELD_LOOK_MS)) : at;
}

static void journal_run(void *context)
{
    struct journal *journal = context;
    thread_check(THREAD_JOURNAL);
    while (!journal->stopping || journal->waiting) {
        look_at_held(journal);
        gather(journal);
        take_mail(journal);
        if (journal->gave_up && journal->stopping) {
            break;
        }
        bool again = journal->stopping || instant_reached(journal->retry_at, clock_now());
        if (journal->waiting && again) {
            if (!commit_group(journal) && journal->stopping) {
                break;
            }
        }
        if (journal->untidy && !journal->stopping && instant_reached(journal->tidy_at, clock_now())) {
            tidy(journal);
        }
        if (journal->fold && !journal->stopping) {
            write_fold(journal);
        } else if (journal->waiting && again) {
            continue;
        } else if (!journal->stopping) {
            mailbox_wait(journal->box, wake_at(journal));
        }
    }
    look_at_held(journal);
    if (journal->waiting) {
        log_error("the store still fails at the end: what was not recorded did not happen", NULL);
    }
    while (journal->waiting) {
        journal_batch_free(take_waiting(journal));
    }
}

enum err journal_start(struct journal **out, const struct journal_wiring *wiring)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal) {
        return ERR_NOMEM;
    }
    journal->wiring = *wiring;
    journal->waiting_last = &journal->waiting;
    journal->stop.kind = JOURNAL_STOP;
    journal->untidy = true; /* an earlier run may have left something */
    enum err err = mailbox_new(&journal->box, "journal", 0);
    if (!err) {
        metric_set(METRIC_STORE_OK, 1);
        /* Registered with RCU: a topic's references may end here, and call_rcu wants a registered thread. */
        err = thread_start(&journal->thread, THREAD_JOURNAL, -1, true, journal_run, journal);
    }
    if (err) {
        mailbox_free(journal->box);
        free(journal);
        return err;
    }
    *out = journal;
    return ERR_OK;
}

void journal_stop(struct journal *journal)
{
    if (!journal) {
        return;
    }
    mailbox_push(journal->box, &journal->stop);
    thread_join(&journal->thread);
    mailbox_free(journal->box);
    free(journal->writes);
    free(journal);
}

const _Atomic(uint64_t) *journal_released(const struct journal *journal)
{
    return &journal->released;
}

struct mailbox *journal_mailbox(struct journal *journal)
{
    return journal->box;
}
