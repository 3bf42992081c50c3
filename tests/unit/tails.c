/* All tails together have a bound, and the one that was quiet longest goes first. */
#include "role/journal_tails.h"

#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "support/test.h"

enum { TOPICS = 20, FRAME_BYTES = 1000, MOST = 60000 };

static const struct topic_limits limits = {.tail_bytes = 1 << 20, .tail_events = 1000, .socket_threads = 1};
static struct topic *topics[TOPICS];
static struct tails tails;

static void begin(void)
{
    CHECK(rcu_thread_enter() == ERR_OK);
    tails = (struct tails){0};
    for (int i = 0; i < TOPICS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "t%d", i);
        CHECK(topic_new(&topics[i], id, "e", i, 0, &limits) == ERR_OK);
    }
}

static void append(struct topic *topic, size_t most)
{
    char text[FRAME_BYTES];
    memset(text, 'x', sizeof(text));
    struct frame *frame;
    uint64_t seq = atomic_load(&topic->head) + 1;
    CHECK(frame_text(&frame, text, sizeof(text)) == ERR_OK);
    CHECK(topic_append(topic, seq, frame, (struct instant){0}, &limits) == ERR_OK);
    frame_put(frame);
    tails_changed(&tails, topic, most);
    atomic_store(&topic->head, seq);
}

static size_t all_memory(void)
{
    size_t all = 0;
    for (int i = 0; i < TOPICS; i++) {
        all += topics[i]->tail_memory;
    }
    return all;
}

static bool has_tail(struct topic *topic)
{
    struct topic_run run;
    uint64_t head = atomic_load(&topic->head);
    rcu_read_lock();
    bool found = topic_read(topic, head, head, 1, &run);
    rcu_read_unlock();
    if (found) {
        topic_chunk_put(run.chunk);
    }
    return found;
}

static void end(void)
{
    for (int i = 0; i < TOPICS; i++) {
        tails_forget(&tails, topics[i]);
        topic_put(topics[i]);
    }
    CU_ASSERT_EQUAL(tails.bytes, 0);
    CU_ASSERT_PTR_NULL(tails.newest);
    CU_ASSERT_PTR_NULL(tails.oldest);
    rcu_barrier();
}

static void the_quiet_ones_go_first(void)
{
    begin();
    for (int i = 0; i < TOPICS; i++) {
        append(topics[i], MOST);
        append(topics[0], MOST); /* never quiet */
        CU_ASSERT_EQUAL(tails.bytes, all_memory());
        CU_ASSERT_TRUE(tails.bytes <= MOST);
        CU_ASSERT_TRUE(has_tail(topics[i]));
        CU_ASSERT_TRUE(has_tail(topics[0]));
    }
    CU_ASSERT_FALSE(has_tail(topics[1]));
    CU_ASSERT_FALSE(has_tail(topics[2]));
    CU_ASSERT_EQUAL(topics[1]->tail_memory, 0);
    append(topics[1], MOST); /* it begins anew behind what it has lost */
    CU_ASSERT_TRUE(has_tail(topics[1]));
    CU_ASSERT_EQUAL(atomic_load(&topics[1]->first), 2);
    end();
}

static void one_that_is_larger_than_all_keeps_its_own(void)
{
    begin();
    append(topics[1], MOST);
    for (int i = 0; i < 200; i++) {
        append(topics[0], MOST);
        CU_ASSERT_TRUE(has_tail(topics[0]));
    }
    CU_ASSERT_EQUAL(atomic_load(&topics[0]->first), 1);
    CU_ASSERT_TRUE(tails.bytes > MOST);
    CU_ASSERT_FALSE(has_tail(topics[1]));
    end();
}

static void without_a_bound_all_stay(void)
{
    begin();
    for (int i = 0; i < TOPICS; i++) {
        append(topics[i], 0);
    }
    for (int i = 0; i < TOPICS; i++) {
        CU_ASSERT_TRUE(has_tail(topics[i]));
    }
    CU_ASSERT_EQUAL(tails.bytes, all_memory());
    end();
}

/* Committed, appended, not yet published: it must not come back as a hole. */
static void a_tail_is_trimmed_behind_what_is_appended(void)
{
    begin();
    struct topic *topic = topics[0];
    append(topic, 0);
    char text[] = "x";
    struct frame *frame;
    CHECK(frame_text(&frame, text, 1) == ERR_OK);
    CHECK(topic_append(topic, 2, frame, (struct instant){0}, &limits) == ERR_OK);
    frame_put(frame);
    topic->unpublished = true;
    topic->appended = 2;
    tails_changed(&tails, topic, 0);
    append(topics[1], 1);
    CU_ASSERT_EQUAL(topic->tail_memory, 0);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 3);
    topic->unpublished = false;
    atomic_store(&topic->head, 2);
    append(topic, 0);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 3);
    CU_ASSERT_TRUE(has_tail(topic));
    end();
}

/* What dialects made of a tail's events counts, and goes with it. */
static void forms_are_counted(void)
{
    static char form[20000];
    begin();
    append(topics[0], 0);
    struct topic_run run;
    const char *bytes;
    size_t length, before = tails.bytes;
    rcu_read_lock();
    CHECK(topic_read(topics[0], 1, 1, 1, &run));
    rcu_read_unlock();
    CU_ASSERT_EQUAL_FATAL(topic_form_find(topics[0], &run, 1, 2, &bytes, &length), TOPIC_FORM_YOURS);
    CHECK(topic_form_give(&run, 1, 2, form, sizeof(form)) == ERR_OK);
    topic_chunk_put(run.chunk);
    append(topics[0], 0);
    CU_ASSERT_TRUE(tails.bytes > before + sizeof(form));
    append(topics[1], before + 10000); /* the quiet one goes, with all that was counted */
    CU_ASSERT_FALSE(has_tail(topics[0]));
    CU_ASSERT_EQUAL(tails.bytes, topics[1]->tail_memory);
    end();
}

TEST_MAIN("tails", TEST(forms_are_counted), TEST(the_quiet_ones_go_first), TEST(one_that_is_larger_than_all_keeps_its_own),
          TEST(without_a_bound_all_stay), TEST(a_tail_is_trimmed_behind_what_is_appended))
