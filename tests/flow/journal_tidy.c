/* What was erased goes from the store piece by piece, between the commits of others. */
#include "signalbox/role/journal.h"

#include <stdatomic.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/rcu.h"
#include "support/test.h"

enum { LETTER = 77, KEY = 3 };

static const struct topic_limits limits = {.tail_bytes = 1 << 20, .tail_events = 1 << 20, .socket_threads = 1};

/* A store of which so many pieces are left to be removed. */
struct spy {
    struct store store;
    struct store *memory;
    _Atomic(size_t) left, tidied, appended;
    _Atomic(int) fail; /* enum err */
};

static enum err spy_append(struct store *store, const struct store_write *writes)
{
    struct spy *spy = container_of(store, struct spy, store);
    atomic_fetch_add(&spy->appended, 1);
    return spy->memory->operations->append(spy->memory, writes);
}

static enum err spy_tidy(struct store *store, bool *more)
{
    struct spy *spy = container_of(store, struct spy, store);
    enum err err = (enum err)atomic_load(&spy->fail);
    if (!err) {
        size_t left = atomic_load(&spy->left);
        left -= left > 0;
        atomic_store(&spy->left, left);
        *more = left > 0;
    }
    atomic_fetch_add(&spy->tidied, 1); /* last: whoever has seen it may say how many are left */
    return err;
}

static const struct store_operations spy_operations = {.name = "spy", .append = spy_append, .tidy = spy_tidy};

struct letter {
    struct mail mail;
    uint64_t number;
};

static struct {
    struct spy spy;
    struct mailbox *dispatch, *socket, *letters;
    struct topic *topic;
    struct journal *journal;
} world;

static void begin(size_t left)
{
    memset(&world, 0, sizeof(world));
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    clock_fake_start();
    CHECK(store_memory_open(&world.spy.memory) == ERR_OK);
    world.spy.store.operations = &spy_operations;
    atomic_store(&world.spy.left, left);
    CHECK(mailbox_new(&world.dispatch, "dispatch", 0) == ERR_OK);
    CHECK(mailbox_new(&world.letters, "letters", 0) == ERR_OK);
    CHECK(mailbox_new(&world.socket, "socket", 0) == ERR_OK);
    CHECK(topic_new(&world.topic, "s1", "e", KEY, 0, &limits) == ERR_OK);
    const struct journal_wiring wiring = {.store = &world.spy.store, .limits = &limits, .dispatch = world.dispatch,
                                          .socket_boxes = &world.socket};
    CU_ASSERT_EQUAL_FATAL(journal_start(&world.journal, &wiring), ERR_OK);
}

static void end(void)
{
    journal_stop(world.journal);
    CU_ASSERT_PTR_NULL(mailbox_take(world.dispatch)); /* clients are told of nothing: recording works */
    mailbox_free(world.dispatch);
    mailbox_free(world.letters);
    mailbox_free(world.socket);
    topic_put(world.topic);
    rcu_barrier();
    world.spy.memory->operations->close(world.spy.memory);
    clock_fake_stop();
}

/* So that the journal thread has the core, on a machine where there are few. */
static void breathe(void)
{
    usleep(100);
}

/* Lets time pass until so many pieces were tried. */
static void until_tidied(size_t count)
{
    while (atomic_load(&world.spy.tidied) < count) {
        clock_fake_advance(10);
        breathe();
    }
}

static void refuse(struct mail *mail, struct mailbox *to, uint32_t kind)
{
    (void)to;
    (void)kind;
    free(container_of(mail, struct letter, mail));
}

static void commit(uint64_t number, bool purge)
{
    struct journal_batch *batch = journal_batch_new();
    if (purge) {
        struct journal_item *item = journal_batch_add(batch, JOURNAL_PURGE);
        item->purge_key = KEY;
        item->topic = topic_get(world.topic);
    } else {
        struct journal_item *row = journal_batch_add(batch, JOURNAL_EXPIRE);
        row->expire.limit = 1;
    }
    struct letter *letter = calloc(1, sizeof(*letter));
    CHECK(letter);
    letter->number = number;
    struct journal_item *item = journal_batch_add(batch, JOURNAL_FORWARD);
    item->forward.mail = &letter->mail;
    item->forward.to = world.letters;
    item->forward.kind = LETTER;
    item->forward.refuse = refuse;
    mailbox_push(journal_mailbox(world.journal), &batch->mail);
    struct mail *mail;
    while (!(mail = mailbox_take(world.letters))) {
        breathe();
    }
    CU_ASSERT_EQUAL(container_of(mail, struct letter, mail)->number, number);
    free(container_of(mail, struct letter, mail));
}

static void what_an_earlier_run_left_is_removed(void)
{
    begin(5);
    until_tidied(5);
    CU_ASSERT_EQUAL(atomic_load(&world.spy.left), 0);
    commit(1, false);
    clock_fake_advance(1000);
    commit(2, false);
    CU_ASSERT_EQUAL(atomic_load(&world.spy.tidied), 5); /* and then nobody looks any more */
    end();
}

static void what_is_erased_is_removed_and_others_go_on(void)
{
    begin(0);
    until_tidied(1);
    atomic_store(&world.spy.left, 1000);
    commit(1, true);
    for (uint64_t i = 2; i < 20; i++) { /* time stands still: at most one piece goes meanwhile */
        commit(i, false);
    }
    CU_ASSERT_TRUE(atomic_load(&world.spy.left) >= 999);
    CU_ASSERT_EQUAL(atomic_load(&world.spy.appended), 19);
    until_tidied(1001);
    CU_ASSERT_EQUAL(atomic_load(&world.spy.left), 0);
    end();
}

static void what_cannot_be_removed_is_tried_again(void)
{
    begin(3);
    until_tidied(1);
    atomic_store(&world.spy.fail, ERR_NOSPC);
    until_tidied(4);
    CU_ASSERT_TRUE(atomic_load(&world.spy.left) > 0);
    commit(1, false);
    atomic_store(&world.spy.fail, ERR_OK);
    while (atomic_load(&world.spy.left) > 0) {
        clock_fake_advance(10);
        breathe();
    }
    end();
}

static void a_stop_does_not_wait_for_it(void)
{
    begin(SIZE_MAX);
    until_tidied(2);
    end();
}

TEST_MAIN("journal_tidy", TEST(what_an_earlier_run_left_is_removed), TEST(what_is_erased_is_removed_and_others_go_on),
          TEST(what_cannot_be_removed_is_tried_again), TEST(a_stop_does_not_wait_for_it))
