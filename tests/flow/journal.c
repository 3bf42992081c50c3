/* The journal thread: recorded first, then shown and done; and what happens while nothing can be recorded. */
#include "signalbox/role/journal.h"

#include <sched.h>
#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/rcu.h"
#include "signalbox/mail/client.h"
#include "signalbox/mail/dispatch.h"
#include "support/test.h"

enum { SOCKETS = 2, KEY = 3, TRIES_MAX = 64, LETTER = 77 };

static const struct topic_limits limits = {.tail_bytes = 1 << 20, .tail_events = 1 << 20, .socket_threads = SOCKETS};

/* ---- A store that remembers what it was asked to append, and may hold an append back ---- */

struct spy {
    struct store store;
    struct store *memory;
    pthread_mutex_t mutex;
    struct buffer tries[TRIES_MAX]; /* each append as text: "e3:1 e3:2 r3" */
    size_t count, largest;
    _Atomic(bool) held;      /* appends wait until it is false */
    _Atomic(bool) behind;    /* what is_behind answers */
    _Atomic(size_t) waiting; /* how many do */
};

static enum err spy_append(struct store *store, const struct store_write *writes)
{
    struct spy *spy = container_of(store, struct spy, store);
    atomic_fetch_add(&spy->waiting, 1);
    while (atomic_load(&spy->held)) {
        sched_yield();
    }
    atomic_fetch_sub(&spy->waiting, 1);
    pthread_mutex_lock(&spy->mutex);
    size_t length = 0;
    for (const struct store_write *write = writes; write; write = write->next) {
        length++;
        if (spy->count < TRIES_MAX) {
            struct buffer *out = &spy->tries[spy->count];
            buffer_text(out, out->length ? " " : "");
            switch (write->kind) {
            case STORE_RULE:
                buffer_format(out, "+%s", write->rule->id);
                break;
            case STORE_RULE_REMOVE:
                buffer_format(out, "-%s", write->rule_id);
                break;
            case STORE_AUDIT:
                buffer_format(out, "a:%s", write->audit->outcome);
                break;
            case STORE_EVENT:
                buffer_format(out, "e%lld:%llu", (long long)write->session_key, (unsigned long long)write->seq);
                break;
            default:
                buffer_format(out, "%s%lld", write->kind == STORE_SESSION ? "r" : "p", (long long)write->session_key);
            }
        }
    }
    spy->count++;
    spy->largest = length > spy->largest ? length : spy->largest;
    pthread_mutex_unlock(&spy->mutex);
    return spy->memory->operations->append(spy->memory, writes);
}

static enum err spy_fold(struct store *store, const struct store_fold *fold)
{
    struct spy *spy = container_of(store, struct spy, store);
    pthread_mutex_lock(&spy->mutex);
    if (spy->count < TRIES_MAX) {
        buffer_format(&spy->tries[spy->count], "f%lld", (long long)fold->session_key);
    }
    spy->count++;
    pthread_mutex_unlock(&spy->mutex);
    return spy->memory->operations->fold(spy->memory, fold);
}

static bool spy_is_behind(struct store *store)
{
    return atomic_load(&container_of(store, struct spy, store)->behind);
}

static const struct store_operations spy_operations = {
    .name = "spy", .append = spy_append, .fold = spy_fold, .is_behind = spy_is_behind};

static size_t tries(struct spy *spy)
{
    pthread_mutex_lock(&spy->mutex);
    size_t count = spy->count;
    pthread_mutex_unlock(&spy->mutex);
    return count;
}

static void expect_try(struct spy *spy, size_t index, const char *expected)
{
    pthread_mutex_lock(&spy->mutex);
    char text[256];
    const struct buffer *found = &spy->tries[index];
    snprintf(text, sizeof(text), "%.*s", (int)found->length, found->data ? found->data : "");
    pthread_mutex_unlock(&spy->mutex);
    TEST_TEXT(text, expected);
}

/* ---- The world around the thread ---- */

struct world {
    struct spy spy;
    struct mailbox *dispatch, *sockets[SOCKETS], *letters;
    struct store_reader *reader;
    struct topic *topic;
    struct journal *journal;
    uint64_t head; /* assigned */
    _Atomic(int) gave_up;
    struct journal_wiring wiring;
};

static void count_gave_up(void *context)
{
    struct world *world = context;
    atomic_fetch_add(&world->gave_up, 1);
}

static void world_begin(struct world *world)
{
    memset(world, 0, sizeof(*world));
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    clock_fake_start();
    CHECK(store_memory_open(&world->spy.memory) == ERR_OK);
    world->spy.store.operations = &spy_operations;
    CHECK(pthread_mutex_init(&world->spy.mutex, NULL) == 0);
    CHECK(world->spy.memory->operations->reader_open(world->spy.memory, &world->reader) == ERR_OK);
    CHECK(mailbox_new(&world->dispatch, "dispatch", 0) == ERR_OK);
    CHECK(mailbox_new(&world->letters, "letters", 0) == ERR_OK);
    for (int i = 0; i < SOCKETS; i++) {
        CHECK(mailbox_new(&world->sockets[i], "socket", 0) == ERR_OK);
    }
    CHECK(topic_new(&world->topic, "s1", "e", KEY, 0, &limits) == ERR_OK);
    world->wiring = (struct journal_wiring){.store = &world->spy.store, .limits = &limits, .dispatch = world->dispatch,
                                            .socket_boxes = world->sockets, .give_up = count_gave_up,
                                            .context = world};
    CU_ASSERT_EQUAL_FATAL(journal_start(&world->journal, &world->wiring), ERR_OK);
}

static void stop(struct world *world)
{
    journal_stop(world->journal);
    world->journal = NULL;
}

static void world_end(struct world *world)
{
    stop(world);
    for (int i = 0; i < SOCKETS; i++) {
        for (struct mail *mail; (mail = mailbox_take(world->sockets[i]));) {
            CU_ASSERT_EQUAL(mail->kind, TOPIC_POKE_MAIL); /* all else was looked at */
            topic_put(container_of(mail, struct topic_poke, mail)->topic);
        }
        mailbox_free(world->sockets[i]);
    }
    CU_ASSERT_PTR_NULL(mailbox_take(world->dispatch));
    CU_ASSERT_PTR_NULL(mailbox_take(world->letters));
    mailbox_free(world->dispatch);
    mailbox_free(world->letters);
    CU_ASSERT_EQUAL(atomic_load(&world->topic->ref.count), 1);
    topic_put(world->topic);
    rcu_barrier();
    world->reader->operations->reader_close(world->reader);
    world->spy.memory->operations->close(world->spy.memory);
    for (size_t i = 0; i < TRIES_MAX; i++) {
        buffer_free(&world->spy.tries[i]);
    }
    pthread_mutex_destroy(&world->spy.mutex);
    clock_fake_stop();
}

/* What the store has of the session, as "1 2 3". */
static bool write_seq(void *context, uint64_t seq, const char *json, size_t length)
{
    struct json_object *event = json_tokener_parse(json);
    int64_t found = 0;
    CU_ASSERT_TRUE(length == strlen(json) && json_get_i64(event, "seq", &found) && (uint64_t)found == seq);
    json_object_put(event);
    struct buffer *out = context;
    buffer_format(out, "%s%llu", out->length ? " " : "", (unsigned long long)seq);
    return true;
}

static void expect_stored(struct world *world, const char *expected)
{
    struct buffer out = {0};
    CU_ASSERT_EQUAL(world->reader->operations->read_events(world->reader, KEY, 1, UINT64_MAX, write_seq, &out), ERR_OK);
    buffer_byte(&out, 0);
    TEST_TEXT(out.data, expected);
    buffer_free(&out);
}

static bool count_one(void *context, uint64_t seq, const char *json, size_t length)
{
    (void)seq;
    (void)json;
    (void)length;
    ++*(uint64_t *)context;
    return true;
}

static uint64_t stored(struct world *world, uint64_t from)
{
    uint64_t count = 0;
    CU_ASSERT_EQUAL(world->reader->operations->read_events(world->reader, KEY, from, UINT64_MAX, count_one, &count), ERR_OK);
    return count;
}

/* ---- Batches ---- */

static struct event event_of(uint64_t number)
{
    struct buffer out = {0};
    struct event event;
    event_open(&out, EVENT_TEXT_DELTA, "s1", "turn-1");
    json_field_i64(&out, "delta", (int64_t)number);
    CHECK(event_close(&out, EVENT_TEXT_DELTA, 1000, &event) == ERR_OK);
    buffer_free(&out);
    return event;
}

static struct journal_item *add_event(struct world *world, struct journal_batch *batch)
{
    struct journal_item *item = journal_batch_add(batch, JOURNAL_EVENT);
    item->topic = topic_get(world->topic);
    item->event.event = event_of(++world->head);
    item->event.seq = world->head;
    item->event.ts = 1000;
    event_number(&item->event.event, world->head, 1000);
    return item;
}

struct letter {
    struct mail mail;
    uint64_t number;
    bool refused;
};

static void refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    container_of(mail, struct letter, mail)->refused = true;
    mail->kind = kind;
    mailbox_push(to, mail);
}

static void add_letter(struct world *world, struct journal_batch *batch, uint64_t number)
{
    struct letter *letter = calloc(1, sizeof(*letter));
    CHECK(letter);
    letter->number = number;
    struct journal_item *item = journal_batch_add(batch, JOURNAL_FORWARD);
    item->forward.mail = &letter->mail;
    item->forward.to = world->letters;
    item->forward.kind = LETTER;
    item->forward.refuse = refuse;
}

static void push(struct world *world, struct journal_batch *batch)
{
    mailbox_push(journal_mailbox(world->journal), &batch->mail);
}

/* One event and a letter with its number. */
static void push_one(struct world *world)
{
    struct journal_batch *batch = journal_batch_new();
    add_event(world, batch);
    add_letter(world, batch, world->head);
    push(world, batch);
}

static struct mail *next_mail(struct mailbox *box)
{
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        mailbox_wait(box, INSTANT_NEVER);
    }
    return mail;
}

static void expect_letter(struct world *world, uint64_t number, bool refused)
{
    struct mail *mail = next_mail(world->letters);
    CU_ASSERT_EQUAL(mail->kind, LETTER);
    struct letter *letter = container_of(mail, struct letter, mail);
    CU_ASSERT_EQUAL(letter->number, number);
    CU_ASSERT_EQUAL(letter->refused, refused);
    free(letter);
}

static void expect_note(struct world *world, bool ok, const char *reason)
{
    struct mail *mail = next_mail(world->dispatch);
    CU_ASSERT_EQUAL_FATAL(mail->kind, DISPATCH_STORE);
    struct server_note *note = container_of(mail, struct server_note, mail);
    CU_ASSERT_EQUAL(note->ok, ok);
    TEST_TEXT(note->reason, reason);
    free(note);
    for (int i = 0; i < SOCKETS; i++) {
        while ((mail = next_mail(world->sockets[i]))->kind == TOPIC_POKE_MAIL) {
            struct topic_poke *poke = container_of(mail, struct topic_poke, mail);
            atomic_exchange(&poke->flagged, 0);
            topic_put(poke->topic);
        }
        CU_ASSERT_EQUAL_FATAL(mail->kind, CLIENT_MAIL_BROADCAST);
        struct broadcast_mail *broadcast = container_of(mail, struct broadcast_mail, mail);
        CU_ASSERT_EQUAL(broadcast->slot, BROADCAST_STORE);
        struct json_object *message = NULL;
        char *text = strndup(frame_json(broadcast->frame), frame_json_length(broadcast->frame));
        message = json_tokener_parse(text);
        TEST_TEXT(json_get_string(message, "type"), "store");
        CU_ASSERT_EQUAL(json_get_bool(message, "ok", !ok), ok);
        CU_ASSERT_EQUAL(json_get_string(message, "reason") != NULL, !ok);
        json_object_put(message);
        free(text);
        frame_put(broadcast->frame);
        free(broadcast);
    }
}

static void watch(struct world *world, int socket)
{
    atomic_fetch_add(&world->topic->pokes[socket].watchers, 1);
}

static void take_poke(struct world *world, int socket)
{
    struct mail *mail = next_mail(world->sockets[socket]);
    CU_ASSERT_EQUAL_FATAL(mail->kind, TOPIC_POKE_MAIL);
    struct topic_poke *poke = container_of(mail, struct topic_poke, mail);
    CU_ASSERT_PTR_EQUAL(poke->topic, world->topic);
    atomic_exchange(&poke->flagged, 0);
    topic_put(poke->topic);
}

/* Lets time pass until the store was asked once more. */
static void next_try(struct world *world)
{
    size_t before = tries(&world->spy);
    while (tries(&world->spy) == before) {
        clock_fake_advance(500);
        sched_yield();
    }
}

/* ---- Tests ---- */

static void what_is_visible_is_recorded(void)
{
    struct world world;
    world_begin(&world);
    watch(&world, 1);
    uint64_t seen = 0;
    enum { COUNT = 2000 };
    for (uint64_t i = 0; i < COUNT; i++) {
        struct journal_batch *batch = journal_batch_new();
        for (uint64_t n = 0; n <= i % 3; n++) {
            add_event(&world, batch);
        }
        push(&world, batch);
        if (i % 16 == 15) {
            uint64_t head;
            do {
                take_poke(&world, 1); /* may be one for a head that was seen already */
                head = atomic_load(&world.topic->head);
            } while (head == seen);
            CU_ASSERT_TRUE(stored(&world, seen + 1) >= head - seen);
            struct topic_run run;
            rcu_read_lock();
            bool found = topic_read(world.topic, seen + 1, head, 1, &run);
            rcu_read_unlock();
            CU_ASSERT_TRUE_FATAL(found);
            char prefix[64];
            int length = snprintf(prefix, sizeof(prefix), "{\"seq\":%llu,\"ts\":1000,", (unsigned long long)seen + 1);
            CU_ASSERT_TRUE(run.last == seen + 1 && !strncmp(run.bytes + 2, prefix, (size_t)length));
            topic_chunk_put(run.chunk);
            seen = head;
        }
    }
    stop(&world); /* commits what waits */
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), world.head);
    CU_ASSERT_EQUAL(stored(&world, 1), world.head);
    CU_ASSERT_EQUAL(metric_read(METRIC_STORE_OK), 1);
    CU_ASSERT_PTR_NULL(mailbox_take(world.sockets[0]));
    world_end(&world);
}

/* Another thread that looks all the time never sees a head that the store does not have. */
struct looker {
    struct world *world;
    struct store_reader *reader;
    _Atomic(bool) done, broken;
};

static void look(size_t number, void *context)
{
    struct looker *looker = context;
    (void)number;
    while (!atomic_load(&looker->done)) {
        uint64_t head = atomic_load(&looker->world->topic->head), count = 0;
        if (head && (looker->reader->operations->read_events(looker->reader, KEY, head, head, count_one, &count) ||
                     count != 1)) {
            atomic_store(&looker->broken, true);
        }
    }
}

static void nobody_ever_sees_more_than_is_recorded(void)
{
    struct world world;
    world_begin(&world);
    struct looker looker = {.world = &world};
    CHECK(world.spy.memory->operations->reader_open(world.spy.memory, &looker.reader) == ERR_OK);
    struct test_threads lookers = test_threads_start(3, look, &looker);
    for (uint64_t i = 1; i <= 3000; i++) {
        push_one(&world);
        if (i % 5 == 0) {
            for (uint64_t n = i - 4; n <= i; n++) {
                expect_letter(&world, n, false);
                CU_ASSERT_TRUE(atomic_load(&world.topic->head) >= n);
            }
        }
    }
    atomic_store(&looker.done, true);
    test_threads_join(&lookers);
    CU_ASSERT_FALSE(atomic_load(&looker.broken));
    looker.reader->operations->reader_close(looker.reader);
    world_end(&world);
}

static void mail_goes_on_behind_what_it_tells_of(void)
{
    struct world world;
    world_begin(&world);
    watch(&world, 0);
    struct journal_batch *batch = journal_batch_new();
    add_letter(&world, batch, 0); /* nothing before it */
    add_event(&world, batch);
    add_event(&world, batch);
    add_letter(&world, batch, 2);
    add_event(&world, batch);
    add_letter(&world, batch, 3);
    push(&world, batch);
    expect_letter(&world, 0, false);
    CU_ASSERT_EQUAL(stored(&world, 1), 3); /* a batch is recorded whole before anything of it is released */
    expect_letter(&world, 2, false);
    CU_ASSERT_TRUE(atomic_load(&world.topic->head) >= 2);
    expect_letter(&world, 3, false);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 3);
    take_poke(&world, 0);
    expect_try(&world.spy, 0, "e3:1 e3:2 e3:3");

    /* One that records nothing passes in its place, and asks nothing of the store. */
    size_t before = tries(&world.spy);
    batch = journal_batch_new();
    add_letter(&world, batch, 9);
    push(&world, batch);
    expect_letter(&world, 9, false);
    CU_ASSERT_EQUAL(tries(&world.spy), before);
    world_end(&world);
}

static void what_waits_is_one_group(void)
{
    struct world world;
    world_begin(&world);
    atomic_store(&world.spy.held, true);
    push_one(&world);
    while (!atomic_load(&world.spy.waiting)) {
        sched_yield();
    }
    for (int i = 0; i < 3; i++) {
        push_one(&world);
    }
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 0);
    CU_ASSERT_PTR_NULL(mailbox_take(world.letters));
    atomic_store(&world.spy.held, false);
    for (uint64_t n = 1; n <= 4; n++) {
        expect_letter(&world, n, false);
    }
    expect_try(&world.spy, 0, "e3:1");
    expect_try(&world.spy, 1, "e3:2 e3:3 e3:4");
    world_end(&world);
}

static void a_group_has_a_bound(void)
{
    struct world world;
    world_begin(&world);
    atomic_store(&world.spy.held, true);
    push_one(&world);
    while (!atomic_load(&world.spy.waiting)) {
        sched_yield();
    }
    enum { COUNT = 12000 };
    for (int i = 0; i < COUNT; i++) {
        push_one(&world);
    }
    atomic_store(&world.spy.held, false);
    for (uint64_t n = 1; n <= COUNT + 1; n++) {
        expect_letter(&world, n, false);
    }
    CU_ASSERT_TRUE(world.spy.largest <= 4096);
    CU_ASSERT_TRUE(tries(&world.spy) <= 10); /* and is used */
    CU_ASSERT_EQUAL(stored(&world, 1), COUNT + 1);

    /* A batch is never divided, also if it is larger. */
    struct journal_batch *batch = journal_batch_new();
    for (int i = 0; i < 5000; i++) {
        add_event(&world, batch);
    }
    add_letter(&world, batch, 1);
    push(&world, batch);
    expect_letter(&world, 1, false);
    CU_ASSERT_EQUAL(world.spy.largest, 5000);
    world_end(&world);
}

static void a_group_that_fails_is_tried_again_unchanged(void)
{
    struct world world;
    world_begin(&world);
    watch(&world, 0);
    push_one(&world);
    expect_letter(&world, 1, false);
    take_poke(&world, 0);
    int64_t failures = metric_read(METRIC_COMMIT_FAILURES);

    store_memory_fail(world.spy.memory, ERR_NOSPC);
    push_one(&world);
    expect_note(&world, false, err_text(ERR_NOSPC));
    CU_ASSERT_EQUAL(metric_read(METRIC_STORE_OK), 0);
    push_one(&world);
    push_one(&world);
    struct journal_batch *batch = journal_batch_new(); /* has nothing to record, and does not overtake either */
    add_letter(&world, batch, 100);
    push(&world, batch);
    next_try(&world);
    push_one(&world);
    next_try(&world);
    next_try(&world);
    CU_ASSERT_TRUE(metric_read(METRIC_COMMIT_FAILURES) >= failures + 3);
    expect_stored(&world, "1");
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
    CU_ASSERT_PTR_NULL(mailbox_take(world.letters));
    CU_ASSERT_PTR_NULL(mailbox_take(world.sockets[0]));
    CU_ASSERT_PTR_NULL(mailbox_take(world.dispatch)); /* it was told once */
    size_t until = tries(&world.spy);
    for (size_t i = 1; i < until && i < TRIES_MAX; i++) {
        expect_try(&world.spy, i, "e3:2");
    }

    store_memory_fail(world.spy.memory, ERR_OK);
    next_try(&world);
    expect_note(&world, true, "");
    static const uint64_t expected[] = {2, 3, 4, 100, 5};
    for (size_t i = 0; i < array_size(expected); i++) {
        expect_letter(&world, expected[i], false);
    }
    CU_ASSERT_EQUAL(metric_read(METRIC_STORE_OK), 1);
    expect_stored(&world, "1 2 3 4 5");
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 5);

    /* A second failure is told again. */
    store_memory_fail(world.spy.memory, ERR_IO);
    push_one(&world);
    expect_note(&world, false, err_text(ERR_IO));
    store_memory_fail(world.spy.memory, ERR_OK);
    next_try(&world);
    expect_note(&world, true, "");
    expect_letter(&world, 6, false);
    world_end(&world);
}

static void push_fold(struct world *world, struct fold_note *note, struct store_fold_range *gone)
{
    *note = (struct fold_note){.mail.kind = JOURNAL_FOLD, .reply_to = world->letters, .reply_kind = 55,
                               .fold = {.session_key = KEY, .gone = gone, .gone_count = 1}};
    mailbox_push(journal_mailbox(world->journal), &note->mail);
}

static void expect_folded(struct world *world, struct fold_note *note, enum err result)
{
    struct mail *mail = next_mail(world->letters);
    CU_ASSERT_PTR_EQUAL(mail, &note->mail);
    CU_ASSERT_EQUAL(mail->kind, 55);
    CU_ASSERT_EQUAL(note->result, result);
}

/* Between two groups, and a failure of it is nobody else's. */
static void a_part_of_a_turn_is_folded_between_groups(void)
{
    struct world world;
    struct fold_note note;
    struct store_fold_range gone = {.from = 1, .to = 2};
    world_begin(&world);
    atomic_store(&world.spy.held, true);
    push_one(&world);
    while (!atomic_load(&world.spy.waiting)) {
        sched_yield();
    }
    push_fold(&world, &note, &gone); /* comes while a group is written */
    push_one(&world);
    push_one(&world);
    atomic_store(&world.spy.held, false);
    expect_letter(&world, 1, false);
    expect_letter(&world, 2, false);
    expect_letter(&world, 3, false);
    expect_folded(&world, &note, ERR_OK);
    expect_try(&world.spy, 0, "e3:1");
    expect_try(&world.spy, 1, "e3:2 e3:3");
    expect_try(&world.spy, 2, "f3");
    expect_stored(&world, "3");

    /* While nothing can be recorded it is sent back at once, and it is not what is tried again. */
    store_memory_fail(world.spy.memory, ERR_NOSPC);
    push_fold(&world, &note, &gone);
    expect_folded(&world, &note, ERR_NOSPC);
    push_one(&world);
    expect_note(&world, false, err_text(ERR_NOSPC));
    push_fold(&world, &note, &gone);
    expect_folded(&world, &note, ERR_AGAIN);
    store_memory_fail(world.spy.memory, ERR_OK);
    next_try(&world);
    expect_note(&world, true, "");
    expect_letter(&world, 4, false);
    expect_stored(&world, "3 4");

    /* At the end it is left out: who sent it has it. */
    atomic_store(&world.spy.held, true);
    push_one(&world);
    push_fold(&world, &note, &gone);
    atomic_store(&world.spy.held, false);
    expect_letter(&world, 5, false);
    stop(&world);
    while (mailbox_take(world.letters)) {
    }
    world_end(&world);
}

static void new_batches_do_not_hurry_a_retry(void)
{
    struct world world;
    world_begin(&world);
    store_memory_fail(world.spy.memory, ERR_IO);
    push_one(&world);
    expect_note(&world, false, err_text(ERR_IO));
    size_t before = tries(&world.spy);
    for (int i = 0; i < 100; i++) {
        push_one(&world);
    }
    while (mailbox_stats(journal_mailbox(world.journal)).depth) {
        sched_yield();
    }
    CU_ASSERT_EQUAL(tries(&world.spy), before); /* the clock stands still */
    store_memory_fail(world.spy.memory, ERR_OK);
    next_try(&world);
    expect_note(&world, true, "");
    for (uint64_t n = 1; n <= 101; n++) {
        expect_letter(&world, n, false);
    }
    world_end(&world);
}

static void stopping_while_the_store_fails_refuses(void)
{
    struct world world;
    world_begin(&world);
    push_one(&world);
    expect_letter(&world, 1, false);
    store_memory_fail(world.spy.memory, ERR_NOSPC);
    for (int i = 0; i < 3; i++) {
        push_one(&world);
    }
    expect_note(&world, false, err_text(ERR_NOSPC));
    stop(&world);
    for (uint64_t n = 2; n <= 4; n++) {
        expect_letter(&world, n, true);
    }
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
    expect_stored(&world, "1");
    world_end(&world);
}

/* Also if the store took it then: what the memory has is not to be trusted. */
static void a_group_that_the_store_will_never_take_is_the_end(void)
{
    struct world world;
    world_begin(&world);
    push_one(&world);
    expect_letter(&world, 1, false);
    size_t before = tries(&world.spy);
    store_memory_fail(world.spy.memory, ERR_EXIST);
    for (int i = 0; i < 3; i++) {
        push_one(&world);
    }
    expect_note(&world, false, err_text(ERR_EXIST));
    while (!atomic_load(&world.gave_up)) {
        sched_yield();
    }
    store_memory_fail(world.spy.memory, ERR_OK);
    clock_fake_advance(100000);
    push_one(&world);
    stop(&world);
    CU_ASSERT_EQUAL(tries(&world.spy), before + 1);
    CU_ASSERT_EQUAL(atomic_load(&world.gave_up), 1);
    for (uint64_t n = 2; n <= 5; n++) {
        expect_letter(&world, n, true);
    }
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
    expect_stored(&world, "1");
    world_end(&world);
}

static void stopping_tries_once_more(void)
{
    struct world world;
    world_begin(&world);
    store_memory_fail(world.spy.memory, ERR_NOSPC);
    push_one(&world);
    push_one(&world);
    expect_note(&world, false, err_text(ERR_NOSPC));
    store_memory_fail(world.spy.memory, ERR_OK);
    stop(&world); /* without waiting for the time of the retry */
    expect_note(&world, true, "");
    expect_letter(&world, 1, false);
    expect_letter(&world, 2, false);
    expect_stored(&world, "1 2");
    world_end(&world);
    journal_stop(NULL);
}

static void credit_comes_back_after_the_commit(void)
{
    struct world world;
    world_begin(&world);
    struct credit_pool *pool = NULL;
    struct credit *credit = NULL;
    struct mailbox *wake = NULL;
    CHECK(credit_pool_new(&pool, 1000) == ERR_OK && mailbox_new(&wake, "agent", 0) == ERR_OK);
    CHECK(credit_new(&credit, pool, 100, wake) == ERR_OK);

    for (int refused = 0; refused < 2; refused++) {
        store_memory_fail(world.spy.memory, ERR_NOSPC);
        struct journal_batch *batch = journal_batch_new();
        struct journal_item *item = add_event(&world, batch);
        credit_take(credit, 150);
        item->event.credit = credit_get(credit);
        item->event.credit_bytes = 150;
        CU_ASSERT_TRUE(credit_exhausted(credit, 0));
        push(&world, batch);
        expect_note(&world, false, err_text(ERR_NOSPC));
        CU_ASSERT_EQUAL(credit_pool_used(pool), 150);
        if (refused) {
            stop(&world);
        } else {
            store_memory_fail(world.spy.memory, ERR_OK);
            next_try(&world);
            while (credit_exhausted(credit, 0)) { /* the clock wakes as well */
                mailbox_wait(wake, INSTANT_NEVER);
            }
            CU_ASSERT_EQUAL(stored(&world, 1), 1);
            CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
            expect_note(&world, true, "");
        }
        CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
        CU_ASSERT_FALSE(credit_exhausted(credit, 0));
    }
    world_end(&world);
    credit_put(credit);
    credit_pool_free(pool);
    mailbox_free(wake);
}

struct lender {
    struct credit_pool *pool;
    struct credit *credit;
    struct mailbox *wake;
};

static void lender_begin(struct lender *lender)
{
    CHECK(credit_pool_new(&lender->pool, 1000) == ERR_OK && mailbox_new(&lender->wake, "agent", 0) == ERR_OK);
    CHECK(credit_new(&lender->credit, lender->pool, 100, lender->wake) == ERR_OK);
}

static void lender_end(struct lender *lender)
{
    credit_put(lender->credit);
    credit_pool_free(lender->pool);
    mailbox_free(lender->wake);
}

/* It is shown, and when the letter behind it is there, the journal has done with its group. */
static void push_on_credit(struct world *world, struct lender *lender)
{
    struct journal_batch *batch = journal_batch_new();
    struct journal_item *item = add_event(world, batch);
    credit_take(lender->credit, 150);
    item->event.credit = credit_get(lender->credit);
    item->event.credit_bytes = 150;
    add_letter(world, batch, world->head);
    push(world, batch);
    expect_letter(world, world->head, false);
    CU_ASSERT_EQUAL(atomic_load(&world->topic->head), world->head);
    CU_ASSERT_TRUE(credit_exhausted(lender->credit, 0));
}

static void expect_nothing_back(struct world *world, struct lender *lender)
{
    for (int i = 0; i < 3; i++) {
        push_one(world);
        expect_letter(world, world->head, false);
    }
    CU_ASSERT_EQUAL(credit_pool_used(lender->pool), 150);
}

static void expect_back(struct lender *lender)
{
    while (credit_exhausted(lender->credit, 0)) { /* the clock wakes as well */
        mailbox_wait(lender->wake, INSTANT_NEVER);
    }
    CU_ASSERT_EQUAL(credit_pool_used(lender->pool), 0);
}

/* Nobody's event waits then, but who floods has no credit. */
static void credit_is_held_back_while_the_store_is_behind(void)
{
    struct world world;
    struct lender lender;
    world_begin(&world);
    lender_begin(&lender);
    atomic_store(&world.spy.behind, true);
    push_on_credit(&world, &lender);
    expect_nothing_back(&world, &lender);
    atomic_store(&world.spy.behind, false);
    clock_fake_advance(20); /* it looks by itself */
    expect_back(&lender);

    atomic_store(&world.spy.behind, true); /* and stays so: then it is a second */
    push_on_credit(&world, &lender);
    expect_nothing_back(&world, &lender);
    clock_fake_advance(999);
    expect_nothing_back(&world, &lender);
    clock_fake_advance(1);
    expect_back(&lender);

    push_on_credit(&world, &lender);
    expect_nothing_back(&world, &lender);
    stop(&world);
    CU_ASSERT_EQUAL(credit_pool_used(lender.pool), 0);
    world_end(&world);
    lender_end(&lender);
}

static void pending_requests_are_told_as_of_the_head(void)
{
    struct world world;
    world_begin(&world);
    watch(&world, 1);
    struct journal_batch *batch = journal_batch_new();
    add_event(&world, batch);
    struct journal_item *item = journal_batch_add(batch, JOURNAL_PENDING);
    item->topic = topic_get(world.topic);
    item->pending.count = 2;
    item->pending.oldest_created_at = 1234;
    push(&world, batch);
    take_poke(&world, 1);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->pending_version), 1);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->pending), 2);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->pending_oldest), 1234);

    /* Also when no event comes with it. */
    batch = journal_batch_new();
    item = journal_batch_add(batch, JOURNAL_PENDING);
    item->topic = topic_get(world.topic);
    push(&world, batch);
    take_poke(&world, 1);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->head), 1);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->pending_version), 2);
    CU_ASSERT_EQUAL(atomic_load(&world.topic->pending), 0);
    world_end(&world);
}

static void add_row(struct journal_batch *batch, const char *phase)
{
    struct journal_item *item = journal_batch_add(batch, JOURNAL_ROW);
    item->row = (struct session_row){.key = KEY, .id = strdup("s1"), .agent = strdup("shell"), .workspace = strdup("/w"),
                                     .policy = strdup("ask"), .phase = strdup(phase), .epoch = strdup("e"),
                                     .created_by = strdup("alice"), .created_at = 1, .updated_at = 2, .head = 1};
}

static void rows_and_purges_are_recorded_in_their_place(void)
{
    struct world world;
    world_begin(&world);
    struct journal_batch *batch = journal_batch_new();
    add_event(&world, batch);
    add_row(batch, "idle");
    add_letter(&world, batch, 1);
    push(&world, batch);
    expect_letter(&world, 1, false);
    expect_try(&world.spy, 0, "e3:1 r3");
    struct session_row row;
    CU_ASSERT_EQUAL_FATAL(world.reader->operations->read_session(world.reader, "s1", &row), ERR_OK);
    TEST_TEXT(row.phase, "idle");
    session_row_clear(&row);

    batch = journal_batch_new();
    add_event(&world, batch);
    journal_batch_add(batch, JOURNAL_PURGE)->purge_key = KEY;
    add_letter(&world, batch, 2);
    push(&world, batch);
    expect_letter(&world, 2, false);
    expect_try(&world.spy, 1, "e3:2 p3");
    CU_ASSERT_EQUAL(world.reader->operations->read_session(world.reader, "s1", &row), ERR_NOENT);
    CU_ASSERT_EQUAL(stored(&world, 1), 0);
    world_end(&world);
}

/* Its last events are shown, then its watchers are woken once more, and find that it is gone. */
static void watchers_of_what_is_erased_are_woken(void)
{
    struct world world;
    world_begin(&world);
    watch(&world, 1);
    struct journal_batch *batch = journal_batch_new();
    add_event(&world, batch);
    add_letter(&world, batch, 1);
    push(&world, batch);
    expect_letter(&world, 1, false);
    take_poke(&world, 1);
    CU_ASSERT_FALSE(atomic_load(&world.topic->erased));

    batch = journal_batch_new();
    struct journal_item *item = journal_batch_add(batch, JOURNAL_PURGE);
    item->purge_key = KEY;
    item->topic = topic_get(world.topic);
    add_letter(&world, batch, 2);
    push(&world, batch);
    expect_letter(&world, 2, false);
    take_poke(&world, 1);
    CU_ASSERT_TRUE(atomic_load(&world.topic->erased));
    struct topic_run run;
    rcu_read_lock();
    CU_ASSERT_FALSE(topic_read(world.topic, 1, 1, 1, &run));
    rcu_read_unlock();
    CU_ASSERT_EQUAL(stored(&world, 1), 0);
    world_end(&world);
}

static void add_decision(struct world *world, const char *rule_id, const char *gone, const char *outcome)
{
    struct journal_batch *batch = journal_batch_new();
    add_event(world, batch);
    journal_batch_add(batch, JOURNAL_RULE)->rule = (struct stored_rule){.id = strdup(rule_id), .user = strdup("ann")};
    journal_batch_add(batch, JOURNAL_RULE_REMOVE)->rule_id = strdup(gone);
    journal_batch_add(batch, JOURNAL_AUDIT)->audit =
        (struct audit_entry){.action = strdup("decision"), .outcome = strdup(outcome)};
    add_letter(world, batch, world->head);
    push(world, batch);
}

static bool see_rule(void *context, const struct stored_rule *rule)
{
    snprintf(context, 16, "%s", rule->id);
    return true;
}

static bool see_entry(void *context, const struct audit_entry *entry)
{
    *(int64_t *)context = entry->number;
    return true;
}

static void expect_audit(struct world *world, const char *rule_id, int64_t last)
{
    char found[16] = "";
    int64_t number = 0;
    CU_ASSERT_EQUAL(world->reader->operations->list_rules(world->reader, 0, 9, NULL, see_rule, found), ERR_OK);
    CU_ASSERT_EQUAL(world->reader->operations->list_audit(world->reader, 0, false, 9, NULL, see_entry, &number), ERR_OK);
    TEST_TEXT(found, rule_id);
    CU_ASSERT_EQUAL(number, last);
}

/* With the event that tells of them, or not at all; and what is never recorded is freed. */
static void rules_and_the_audit_are_recorded_with_their_event(void)
{
    struct world world;
    world_begin(&world);
    add_decision(&world, "r1", "r0", "allowed");
    expect_letter(&world, 1, false);
    expect_try(&world.spy, 0, "e3:1 +r1 -r0 a:allowed");
    expect_audit(&world, "r1", 1);
    store_memory_fail(world.spy.memory, ERR_NOSPC);
    add_decision(&world, "r2", "r1", "rejected");
    expect_note(&world, false, err_text(ERR_NOSPC));
    expect_audit(&world, "r1", 1);
    store_memory_fail(world.spy.memory, ERR_OK);
    next_try(&world);
    expect_note(&world, true, "");
    expect_letter(&world, 2, false);
    expect_audit(&world, "r2", 2);
    store_memory_fail(world.spy.memory, ERR_NOSPC);
    add_decision(&world, "r3", "r2", "allowed");
    expect_note(&world, false, err_text(ERR_NOSPC));
    stop(&world);
    expect_letter(&world, 3, true);
    expect_audit(&world, "r2", 2);
    world_end(&world);
}

static void the_feed_is_sent_and_not_recorded(void)
{
    struct world world;
    world_begin(&world);
    struct topic *feed = NULL;
    CHECK(topic_new(&feed, "feed", "", 0, 0, &limits) == ERR_OK);
    atomic_fetch_add(&feed->pokes[0].watchers, 1);
    struct journal_batch *batch = journal_batch_new();
    for (int i = 0; i < 3; i++) {
        struct journal_item *item = journal_batch_add(batch, JOURNAL_FEED);
        item->topic = topic_get(feed);
        static const char text[] = "{\"type\":\"session_changed\"}";
        CHECK(frame_text(&item->event.event.frame, text, strlen(text)) == ERR_OK);
        if (i == 1) {
            add_event(&world, batch);
        }
    }
    push(&world, batch);
    struct mail *mail = next_mail(world.sockets[0]);
    CU_ASSERT_PTR_EQUAL(container_of(mail, struct topic_poke, mail)->topic, feed);
    topic_put(feed);
    CU_ASSERT_EQUAL(atomic_load(&feed->head), 3);
    struct topic_run run;
    rcu_read_lock();
    bool found = topic_read(feed, 1, 3, SIZE_MAX, &run);
    rcu_read_unlock();
    CU_ASSERT_TRUE_FATAL(found);
    CU_ASSERT_EQUAL(run.last, 3);
    topic_chunk_put(run.chunk);
    stop(&world);
    expect_try(&world.spy, 0, "e3:1");
    CU_ASSERT_EQUAL(tries(&world.spy), 1);
    topic_put(feed);
    world_end(&world);
}

/* Many topics and many senders: each session's order is kept, and nothing is missing. */
enum { SENDERS = 6, EACH = 800 };

struct crowd {
    struct world *world;
    struct topic *topics[SENDERS];
};

static void send_many(size_t number, void *context)
{
    struct crowd *crowd = context;
    for (uint64_t seq = 1; seq <= EACH; seq++) {
        struct journal_batch *batch = journal_batch_new();
        struct journal_item *item = journal_batch_add(batch, JOURNAL_EVENT);
        item->topic = topic_get(crowd->topics[number]);
        item->event.event = event_of(seq);
        item->event.seq = seq;
        event_number(&item->event.event, seq, 1000);
        add_letter(crowd->world, batch, number * 100000 + seq);
        push(crowd->world, batch);
    }
}

static void many_sessions_keep_their_order(void)
{
    struct world world;
    world_begin(&world);
    struct crowd crowd = {.world = &world};
    char id[16];
    for (int i = 0; i < SENDERS; i++) {
        snprintf(id, sizeof(id), "m%d", i);
        CHECK(topic_new(&crowd.topics[i], id, "e", 100 + i, 0, &limits) == ERR_OK);
        atomic_fetch_add(&crowd.topics[i]->pokes[i % SOCKETS].watchers, 1);
    }
    struct test_threads senders = test_threads_start(SENDERS, send_many, &crowd);
    uint64_t last[SENDERS] = {0};
    for (int i = 0; i < SENDERS * EACH; i++) {
        struct letter *letter = container_of(next_mail(world.letters), struct letter, mail);
        uint64_t sender = letter->number / 100000, seq = letter->number % 100000;
        CU_ASSERT_EQUAL(seq, last[sender] + 1);
        CU_ASSERT_TRUE(atomic_load(&crowd.topics[sender]->head) >= seq);
        last[sender] = seq;
        free(letter);
    }
    test_threads_join(&senders);
    for (int i = 0; i < SOCKETS; i++) {
        for (struct mail *mail; (mail = mailbox_take(world.sockets[i]));) {
            topic_put(container_of(mail, struct topic_poke, mail)->topic);
        }
    }
    stop(&world);
    for (int i = 0; i < SENDERS; i++) {
        uint64_t count = 0;
        CU_ASSERT_EQUAL(world.reader->operations->read_events(world.reader, 100 + i, 1, UINT64_MAX, count_one, &count), ERR_OK);
        CU_ASSERT_EQUAL(count, EACH);
        CU_ASSERT_EQUAL(atomic_load(&crowd.topics[i]->ref.count), 1);
        topic_put(crowd.topics[i]);
    }
    world_end(&world);
}

TEST_MAIN("journal", TEST(what_is_visible_is_recorded), TEST(nobody_ever_sees_more_than_is_recorded),
          TEST(mail_goes_on_behind_what_it_tells_of), TEST(what_waits_is_one_group), TEST(a_group_has_a_bound),
          TEST(a_group_that_fails_is_tried_again_unchanged), TEST(a_part_of_a_turn_is_folded_between_groups),
          TEST(new_batches_do_not_hurry_a_retry),
          TEST(stopping_while_the_store_fails_refuses),
          TEST(a_group_that_the_store_will_never_take_is_the_end), TEST(stopping_tries_once_more),
          TEST(credit_comes_back_after_the_commit), TEST(credit_is_held_back_while_the_store_is_behind),
          TEST(pending_requests_are_told_as_of_the_head),
          TEST(rows_and_purges_are_recorded_in_their_place), TEST(watchers_of_what_is_erased_are_woken),
          TEST(rules_and_the_audit_are_recorded_with_their_event), TEST(the_feed_is_sent_and_not_recorded),
          TEST(many_sessions_keep_their_order))
