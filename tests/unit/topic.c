/* Tails of topics: what is read is what was written, whatever is retired meanwhile, and no poke is lost. */
#include "signalbox/share/topic.h"

#include <sched.h>
#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "signalbox/base/thread.h"
#include "support/test.h"

static const struct topic_limits roomy = {.tail_bytes = 1 << 30, .tail_events = 1 << 30, .socket_threads = 2};

static struct topic *topic_at(uint64_t head, const struct topic_limits *limits)
{
    struct topic *topic = NULL;
    CU_ASSERT_EQUAL_FATAL(topic_new(&topic, "session", "epoch", 7, head, limits), ERR_OK);
    return topic;
}

/* ---- Frames that say which they are ---- */

/* Small ones, and now and then one that is larger than any chunk. */
static size_t length_of(uint64_t seq)
{
    uint64_t mixed = seq * UINT64_C(0x9E3779B97F4A7C15) >> 40;
    if (mixed % 997 == 0) {
        return 66000 + mixed % 90000;
    }
    return mixed % 53 == 0 ? 100 + mixed % 5000 : 16 + mixed % 200;
}

static char byte_of(uint64_t seq, size_t at)
{
    return (char)('a' + (seq * 31 + at * 7 + (at >> 8)) % 26);
}

static struct frame *frame_of(uint64_t seq, size_t length)
{
    char *text = malloc(length + 1);
    struct frame *frame = NULL;
    CHECK(text);
    for (size_t at = 0; at < length; at++) {
        text[at] = byte_of(seq, at);
    }
    CHECK(frame_text(&frame, text, length) == ERR_OK);
    free(text);
    return frame;
}

static struct instant line_of(uint64_t seq)
{
    return (struct instant){(int64_t)seq * 3 + 1};
}

static bool is_frame(const char *wire, size_t wire_length, uint64_t seq, size_t length)
{
    char header[FRAME_HEADER_MAX];
    size_t header_length = frame_header(header + FRAME_HEADER_MAX, 1, length);
    if (wire_length != header_length + length ||
        memcmp(wire, header + FRAME_HEADER_MAX - header_length, header_length) != 0) {
        return false;
    }
    for (size_t at = 0; at < length; at++) {
        if (wire[header_length + at] != byte_of(seq, at)) {
            return false;
        }
    }
    return true;
}

/* Every frame of the run, by its number, bounds and bytes. */
static bool is_run(const struct topic_run *run)
{
    size_t at = 0;
    for (uint64_t seq = run->from; seq <= run->last; seq++) {
        size_t start, end;
        if (topic_run_locate(run, at, &start, &end) != seq || start != at || end <= start || end > run->length ||
            topic_run_locate(run, end - 1, &start, &end) != seq || start != at ||
            topic_run_locate(run, at + (end - at) / 2, &start, &end) != seq || start != at ||
            topic_run_line_at(run, seq).ns != line_of(seq).ns ||
            !is_frame(run->bytes + start, end - start, seq, length_of(seq))) {
            return false;
        }
        at = end;
    }
    return at == run->length;
}

static void append(struct topic *topic, uint64_t seq, const struct topic_limits *limits)
{
    struct frame *frame = frame_of(seq, length_of(seq));
    CHECK(topic_append(topic, seq, frame, line_of(seq), limits) == ERR_OK);
    frame_put(frame);
}

static bool read_run(struct topic *topic, uint64_t from, uint64_t to, size_t max_bytes, struct topic_run *run)
{
    rcu_read_lock();
    bool found = topic_read(topic, from, to, max_bytes, run);
    rcu_read_unlock();
    return found;
}

/* ---- One thread ---- */

static void a_new_topic_is_empty(void)
{
    struct topic *topic = topic_at(41, &roomy);
    TEST_TEXT(topic->session_id, "session");
    TEST_TEXT(topic->epoch, "epoch");
    CU_ASSERT_EQUAL(topic->session_key, 7);
    CU_ASSERT_EQUAL(atomic_load(&topic->head), 41);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 42);
    CU_ASSERT_EQUAL(topic->poke_count, 2);
    struct topic_run run;
    CU_ASSERT_FALSE(read_run(topic, 41, 41, 1000, &run));
    CU_ASSERT_FALSE(read_run(topic, 1, 41, 1000, &run));
    topic_put(topic);
    topic_put(NULL);

    char long_id[SESSION_ID_MAX + 2], long_epoch[EPOCH_MAX + 2];
    memset(long_id, 'x', sizeof(long_id));
    memset(long_epoch, 'x', sizeof(long_epoch));
    long_id[SESSION_ID_MAX + 1] = long_epoch[EPOCH_MAX + 1] = 0;
    CU_ASSERT_EQUAL(topic_new(&topic, long_id, "e", 1, 0, &roomy), ERR_INVAL);
    CU_ASSERT_EQUAL(topic_new(&topic, "s", long_epoch, 1, 0, &roomy), ERR_INVAL);
    long_id[SESSION_ID_MAX] = 0;
    long_epoch[EPOCH_MAX] = 0;
    CU_ASSERT_EQUAL_FATAL(topic_new(&topic, long_id, long_epoch, 1, 0, &roomy), ERR_OK);
    topic_put(topic);
}

static void what_is_appended_is_read(void)
{
    enum { COUNT = 3000, BASE = 10 };
    struct topic *topic = topic_at(BASE, &roomy);
    for (uint64_t seq = BASE + 1; seq <= BASE + COUNT; seq++) {
        append(topic, seq, &roomy);
    }
    CU_ASSERT_EQUAL(atomic_load(&topic->first), BASE + 1);
    CU_ASSERT_EQUAL(atomic_load(&topic->head), BASE); /* nothing is published yet */
    topic_publish(topic, BASE + COUNT, NULL);
    CU_ASSERT_EQUAL(atomic_load(&topic->head), BASE + COUNT);
    CU_ASSERT_EQUAL(topic->tail_events, COUNT);

    static const size_t sizes[] = {1, 100, 4096, 65536, SIZE_MAX};
    for (size_t i = 0; i < array_size(sizes); i++) {
        struct topic_run run;
        size_t bytes = 0;
        for (uint64_t at = BASE + 1; at <= BASE + COUNT; at = run.last + 1) {
            CU_ASSERT_TRUE_FATAL(read_run(topic, at, BASE + COUNT, sizes[i], &run));
            CU_ASSERT_EQUAL(run.from, at);
            CU_ASSERT_TRUE(run.last >= at && run.last <= BASE + COUNT);
            CU_ASSERT_TRUE(run.length <= sizes[i] || run.last == at); /* whole frames, at least one */
            CU_ASSERT_TRUE(is_run(&run));
            bytes += run.length;
            topic_chunk_put(run.chunk);
        }
        CU_ASSERT_EQUAL(bytes, topic->tail_bytes);
    }
    struct topic_run run;
    CU_ASSERT_FALSE(read_run(topic, BASE, BASE + COUNT, 1000, &run));
    CU_ASSERT_FALSE(read_run(topic, BASE + COUNT + 1, BASE + COUNT + 1, 1000, &run));
    topic_put(topic);
}

static void a_run_has_nothing_later_than_asked_for(void)
{
    struct topic *topic = topic_at(0, &roomy);
    for (uint64_t seq = 1; seq <= 200; seq++) {
        append(topic, seq, &roomy);
    }
    for (uint64_t from = 1; from <= 200; from += 13) {
        for (uint64_t to = from; to <= 200; to += 7) {
            struct topic_run run;
            CU_ASSERT_TRUE_FATAL(read_run(topic, from, to, SIZE_MAX, &run));
            CU_ASSERT_TRUE(run.last <= to && is_run(&run));
            topic_chunk_put(run.chunk);
        }
    }
    topic_put(topic);
}

/* A tail holds what its bounds say, but for the chunk in use (64 KiB, or one event that is larger). */
static void a_part_of_a_tail_is_measured(void)
{
    enum { FIRST = 101, LAST = 900 };
    static const struct topic_limits bound = {.tail_bytes = 200000, .tail_events = 500, .socket_threads = 2};
    struct topic *topic = topic_at(FIRST - 1, &roomy);
    size_t bytes = 1;
    for (uint64_t seq = FIRST; seq <= LAST; seq++) {
        append(topic, seq, &bound);
    }
    uint64_t first = atomic_load(&topic->first);
    CU_ASSERT_TRUE(first > FIRST);
    rcu_read_lock();
    CU_ASSERT_FALSE(topic_measure(topic, first - 1, LAST, &bytes));
    CU_ASSERT_FALSE(topic_measure(topic, first, LAST + 1, &bytes));
    CU_ASSERT_FALSE(topic_measure(topic, LAST + 1, LAST + 1, &bytes));
    rcu_read_unlock();
    for (uint64_t from = first; from <= LAST; from += 7) {
        for (uint64_t to = from; to <= LAST; to += 31) {
            size_t expected = 0;
            for (uint64_t seq = from; seq <= to; seq++) {
                size_t length = length_of(seq);
                expected += length + (length < 126 ? 2 : length < 65536 ? 4 : 10);
            }
            rcu_read_lock();
            CU_ASSERT_TRUE(topic_measure(topic, from, to, &bytes));
            rcu_read_unlock();
            CU_ASSERT_EQUAL(bytes, expected);
        }
    }
    topic_put(topic);
}

static void whole_positions_only_move_up(void)
{
    struct topic *topic = topic_at(50, &roomy);
    CU_ASSERT_EQUAL(atomic_load(&topic->whole_from), 50); /* nothing is known of what was sent before */
    topic_whole_from(topic, 60);
    topic_whole_from(topic, 55);
    CU_ASSERT_EQUAL(atomic_load(&topic->whole_from), 60);
    CU_ASSERT_EQUAL(atomic_load(&topic->folded_to), 50); /* a replay takes nothing away from others */
    topic_folded_to(topic, 58);
    CU_ASSERT_EQUAL(atomic_load(&topic->folded_to), 58);
    CU_ASSERT_EQUAL(atomic_load(&topic->whole_from), 60);
    topic_folded_to(topic, 70);
    CU_ASSERT_EQUAL(atomic_load(&topic->folded_to), 70);
    CU_ASSERT_EQUAL(atomic_load(&topic->whole_from), 70);
    topic_put(topic);
}

static void a_tail_is_bounded(void)
{
    static const struct topic_limits bounds[] = {
        {.tail_bytes = 200000, .tail_events = 1 << 30}, {.tail_bytes = 1 << 30, .tail_events = 1000}};
    for (size_t i = 0; i < array_size(bounds); i++) {
        struct topic *topic = topic_at(0, &bounds[i]);
        bool bytes_bound = bounds[i].tail_bytes < bounds[i].tail_events;
        for (uint64_t seq = 1; seq <= 20000; seq++) {
            append(topic, seq, &bounds[i]);
            struct topic_run run;
            uint64_t first = atomic_load(&topic->first);
            CU_ASSERT_TRUE(first <= seq && topic->tail_events == seq - first + 1);
            if (bytes_bound) {
                CU_ASSERT_TRUE(topic->tail_bytes <= bounds[i].tail_bytes || topic->newest == atomic_load(&topic->oldest));
            } else {
                CU_ASSERT_TRUE(topic->tail_events <= bounds[i].tail_events ||
                               topic->newest == atomic_load(&topic->oldest));
            }
            if (seq % 97 == 0) {
                CU_ASSERT_TRUE_FATAL(read_run(topic, first, seq, SIZE_MAX, &run));
                CU_ASSERT_TRUE(is_run(&run));
                topic_chunk_put(run.chunk);
                CU_ASSERT_FALSE(first > 1 && read_run(topic, first - 1, seq, SIZE_MAX, &run));
                CU_ASSERT_TRUE_FATAL(read_run(topic, seq, seq, 1, &run)); /* the newest always */
                CU_ASSERT_TRUE(is_run(&run));
                topic_chunk_put(run.chunk);
            }
        }
        topic_put(topic);
    }
}

static void a_frame_larger_than_the_tail_is_still_there(void)
{
    struct topic_limits limits = {.tail_bytes = 1000, .tail_events = 10};
    struct topic *topic = topic_at(0, &limits);
    enum { LENGTH = 3000000 };
    struct frame *frame = frame_of(1, LENGTH);
    CU_ASSERT_EQUAL(topic_append(topic, 1, frame, line_of(1), &limits), ERR_OK);
    frame_put(frame);
    struct topic_run run;
    CU_ASSERT_TRUE_FATAL(read_run(topic, 1, 1, 100, &run));
    CU_ASSERT_TRUE(is_frame(run.bytes, run.length, 1, LENGTH));
    append(topic, 2, &limits);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 2);
    /* Who is in the middle of writing it has it for as long as it takes. */
    rcu_barrier();
    CU_ASSERT_TRUE(is_frame(run.bytes, run.length, 1, LENGTH));
    topic_chunk_put(run.chunk);
    CU_ASSERT_FALSE(read_run(topic, 1, 2, SIZE_MAX, &run));
    topic_put(topic);
}

static void drop_the_tail(size_t number, void *context)
{
    (void)number;
    CHECK(rcu_thread_enter() == ERR_OK);
    topic_skip(context, 101);
}

/* Who looks, in its read section, at what is being retired, sees it until the section ends. */
static void a_chunk_outlives_the_sections_that_saw_it(void)
{
    struct topic *topic = topic_at(0, &roomy);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        append(topic, seq, &roomy);
    }
    struct topic_run run;
    rcu_read_lock();
    bool found = topic_read(topic, 1, 100, SIZE_MAX, &run);
    if (found) {
        topic_chunk_put(run.chunk); /* only the tail's reference is left */
    }
    struct test_threads other = test_threads_start(1, drop_the_tail, topic);
    test_threads_join(&other);
    bool whole = found && is_run(&run);
    rcu_read_unlock();
    CU_ASSERT_TRUE(whole);
    CU_ASSERT_EQUAL(topic->tail_bytes, 0);
    topic_put(topic);
}

/* What could not be kept is read from the store, and what follows is in the tail again. */
static void a_skipped_number_is_not_in_the_tail(void)
{
    struct topic *topic = topic_at(0, &roomy);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        append(topic, seq, &roomy);
    }
    topic_skip(topic, 101);
    topic_publish(topic, 101, NULL);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 102);
    CU_ASSERT_EQUAL(atomic_load(&topic->head), 101);
    CU_ASSERT_EQUAL(topic->tail_bytes, 0);
    CU_ASSERT_EQUAL(topic->tail_events, 0);
    struct topic_run run;
    CU_ASSERT_FALSE(read_run(topic, 100, 101, SIZE_MAX, &run));
    CU_ASSERT_FALSE(read_run(topic, 101, 101, SIZE_MAX, &run));
    topic_skip(topic, 102); /* twice in a row */
    append(topic, 103, &roomy);
    append(topic, 104, &roomy);
    CU_ASSERT_EQUAL(atomic_load(&topic->first), 103);
    CU_ASSERT_FALSE(read_run(topic, 102, 104, SIZE_MAX, &run));
    CU_ASSERT_TRUE_FATAL(read_run(topic, 103, 104, SIZE_MAX, &run));
    CU_ASSERT_TRUE(run.last == 104 && is_run(&run));
    topic_chunk_put(run.chunk);
    topic_put(topic);
}

/* ---- Pokes ---- */

static struct topic_poke *take_poke(struct mailbox *box)
{
    struct mail *mail = mailbox_take(box);
    CHECK(!mail || mail->kind == TOPIC_POKE_MAIL);
    return mail ? container_of(mail, struct topic_poke, mail) : NULL;
}

static void only_watchers_are_poked_and_once(void)
{
    struct mailbox *boxes[2];
    CHECK(mailbox_new(&boxes[0], "a", 0) == ERR_OK && mailbox_new(&boxes[1], "b", 0) == ERR_OK);
    struct topic *topic = topic_at(0, &roomy);
    append(topic, 1, &roomy);
    topic_publish(topic, 1, boxes);
    CU_ASSERT_PTR_NULL(take_poke(boxes[0]));
    atomic_fetch_add(&topic->pokes[1].watchers, 1);
    append(topic, 2, &roomy);
    topic_publish(topic, 2, boxes);
    append(topic, 3, &roomy);
    topic_publish(topic, 3, boxes);
    topic_poke_all(topic, boxes);
    CU_ASSERT_PTR_NULL(take_poke(boxes[0]));
    struct topic_poke *poke = take_poke(boxes[1]);
    CU_ASSERT_PTR_EQUAL_FATAL(poke, &topic->pokes[1]);
    CU_ASSERT_PTR_EQUAL(poke->topic, topic);
    CU_ASSERT_PTR_NULL(take_poke(boxes[1]));
    CU_ASSERT_EQUAL(atomic_load(&topic->ref.count), 2); /* the mail has one of its own */
    atomic_exchange(&poke->flagged, 0);
    topic_put(topic);
    topic_poke_all(topic, boxes);
    CU_ASSERT_PTR_NOT_NULL(take_poke(boxes[1]));
    topic_put(topic);
    topic_put(topic);
    mailbox_free(boxes[0]);
    mailbox_free(boxes[1]);
}

/* ---- Forms ---- */

static void a_form_is_made_once_and_goes_with_its_chunk(void)
{
    struct topic *topic = topic_at(0, &roomy);
    struct topic_run run;
    const char *bytes = "none";
    size_t length = 77;
    append(topic, 1, &roomy);
    append(topic, 2, &roomy);
    append(topic, 3, &roomy);
    CU_ASSERT_TRUE_FATAL(read_run(topic, 1, 3, 1 << 20, &run));
    size_t plain = topic_memory(topic);
    for (unsigned form = 0; form < TOPIC_FORMS; form++) {
        CU_ASSERT_FALSE(topic_form_look(&run, 2, form, &bytes, &length));
        CU_ASSERT_EQUAL(topic_form_find(topic, &run, 2, form, &bytes, &length), TOPIC_FORM_YOURS);
        CU_ASSERT_EQUAL(topic_form_find(topic, &run, 2, form, &bytes, &length), TOPIC_FORM_BUSY);
        CU_ASSERT_FALSE(topic_form_look(&run, 2, form, &bytes, &length));
        topic_form_give_up(&run, 2, form);
        CU_ASSERT_EQUAL(topic_form_find(topic, &run, 2, form, &bytes, &length), TOPIC_FORM_YOURS);
        char text[16];
        snprintf(text, sizeof(text), "form %u", form);
        CU_ASSERT_EQUAL(topic_form_give(&run, 2, form, text, strlen(text)), ERR_OK);
    }
    for (unsigned form = 0; form < TOPIC_FORMS; form++) {
        CU_ASSERT_EQUAL(topic_form_find(topic, &run, 2, form, &bytes, &length), TOPIC_FORM_THERE);
        CU_ASSERT_EQUAL(length, 6);
        CU_ASSERT_TRUE(topic_form_look(&run, 2, form, &bytes, &length));
        CU_ASSERT_EQUAL_FATAL(length, 6);
        CU_ASSERT_TRUE(!memcmp(bytes, "form ", 5) && bytes[5] == (char)('0' + form));
        CU_ASSERT_FALSE(topic_form_look(&run, 1, form, &bytes, &length));
    }
    CU_ASSERT_EQUAL(topic_form_find(topic, &run, 3, 0, &bytes, &length), TOPIC_FORM_YOURS);
    CU_ASSERT_EQUAL(topic_form_give(&run, 3, 0, NULL, 0), ERR_OK); /* it is nothing in this form */
    CU_ASSERT_TRUE(topic_form_look(&run, 3, 0, &bytes, &length));
    CU_ASSERT_EQUAL(length, 0);
    CU_ASSERT_TRUE(topic_memory(topic) > plain + TOPIC_FORMS * 6);
    topic_put(topic); /* the run outlives it, and its forms do, too */
    rcu_barrier();
    CU_ASSERT_TRUE(topic_form_look(&run, 2, 1, &bytes, &length));
    CU_ASSERT_TRUE(!memcmp(bytes, "form 1", 6));
    topic_chunk_put(run.chunk);
}

static void a_run_is_cut(void)
{
    struct topic *topic = topic_at(0, &roomy);
    struct topic_run whole, run;
    for (uint64_t seq = 1; seq <= 5; seq++) {
        append(topic, seq, &roomy);
    }
    CU_ASSERT_TRUE_FATAL(read_run(topic, 1, 5, 1 << 20, &whole));
    for (uint64_t first = 1; first <= 5; first++) {
        for (uint64_t last = first; last <= 5; last++) {
            run = whole;
            topic_run_cut(&run, first, last);
            CU_ASSERT_TRUE(run.from == first && run.last == last && is_run(&run));
            size_t length;
            const char *frame = topic_run_frame(&run, last, &length);
            CU_ASSERT_TRUE(is_frame(frame, length, last, length_of(last)));
        }
    }
    topic_chunk_put(whole.chunk);
    topic_put(topic);
}

static void compression_is_asked_for_once(void)
{
    struct mailbox *box;
    CHECK(mailbox_new(&box, "deflate", 0) == ERR_OK);
    struct topic *topic = topic_at(10, &roomy);
    topic_squeeze(topic, 7, box);
    topic_squeeze(topic, 9, box);
    topic_squeeze(topic, 5, box);
    struct mail *mail = mailbox_take(box);
    CU_ASSERT_PTR_EQUAL_FATAL(mail, &topic->squeeze.mail);
    CU_ASSERT_EQUAL(mail->kind, TOPIC_SQUEEZE_MAIL);
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    CU_ASSERT_EQUAL(atomic_load(&topic->squeeze.from), 5);
    CU_ASSERT_EQUAL(atomic_load(&topic->ref.count), 2); /* the mail has one of its own */
    atomic_store(&topic->squeeze.flagged, 0);
    topic_squeeze(topic, 8, box);
    CU_ASSERT_PTR_EQUAL(mailbox_take(box), &topic->squeeze.mail);
    topic_put(topic);
    topic_put(topic);
    topic_put(topic);
    mailbox_free(box);
}

/* ---- The map ---- */

static void the_map_finds_and_forgets(void)
{
    enum { COUNT = 500 };
    struct topic_map *map = NULL;
    CU_ASSERT_EQUAL_FATAL(topic_map_new(&map, 64), ERR_OK);
    struct topic *topics[COUNT];
    char id[32];
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "session-%d", i);
        CU_ASSERT_EQUAL_FATAL(topic_new(&topics[i], id, "e", i, 0, &roomy), ERR_OK);
        CU_ASSERT_EQUAL(topic_map_add(map, topics[i]), ERR_OK);
    }
    struct topic *twin;
    CU_ASSERT_EQUAL_FATAL(topic_new(&twin, "session-0", "e", 9, 0, &roomy), ERR_OK);
    CU_ASSERT_EQUAL(topic_map_add(map, twin), ERR_EXIST);
    CU_ASSERT_EQUAL(atomic_load(&twin->ref.count), 1);
    topic_put(twin);
    for (int i = 0; i < COUNT; i++) {
        snprintf(id, sizeof(id), "session-%d", i);
        struct topic *found = topic_map_find(map, id);
        CU_ASSERT_PTR_EQUAL(found, topics[i]);
        topic_put(found);
    }
    CU_ASSERT_PTR_NULL(topic_map_find(map, "session-500"));
    CU_ASSERT_PTR_NULL(topic_map_find(map, ""));
    for (int i = 0; i < COUNT; i++) {
        topic_map_remove(map, topics[i]);
        snprintf(id, sizeof(id), "session-%d", i);
        CU_ASSERT_PTR_NULL(topic_map_find(map, id));
        TEST_TEXT(topics[i]->session_id, id); /* who has a reference keeps it */
        topic_put(topics[i]);
    }
    rcu_barrier();
    topic_map_free(map);
    topic_map_free(NULL);
}

/* ---- Under stress: more readers than cores ---- */

enum { READERS = 6, POKERS = 2, PATIENCE_MS = 60000 };

struct stress {
    struct topic *topic;
    struct topic_limits limits;
    struct mailbox *boxes[READERS];
    uint64_t events;
    _Atomic(uint64_t) broken, lost, frames, jumps;
    _Atomic(size_t) waiting;
    _Atomic(bool) written;
};

static void take_pokes(struct mailbox *box)
{
    for (struct topic_poke *poke; (poke = take_poke(box));) {
        atomic_exchange(&poke->flagged, 0); /* before the head is looked at, as socket threads do */
        topic_put(poke->topic);
    }
}

struct reader {
    struct stress *stress;
    struct topic_poke *poke;
    uint64_t cursor, state;
    bool watching;
    struct topic_run held; /* half written, as it were */
    bool holds;
};

static uint32_t dice(struct reader *reader, uint32_t sides)
{
    reader->state = reader->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(reader->state >> 33) % sides;
}

static void check_held(struct reader *reader)
{
    if (reader->holds) {
        if (!is_run(&reader->held)) {
            atomic_fetch_add(&reader->stress->broken, 1);
        }
        topic_chunk_put(reader->held.chunk);
        reader->holds = false;
    }
}

/* One run towards `head`. */
static void step(struct reader *reader, uint64_t head)
{
    struct stress *stress = reader->stress;
    struct topic_run run;
    if (!read_run(stress->topic, reader->cursor + 1, head, 1 + dice(reader, 20000), &run)) {
        /* Fallen off the tail. A server reads the store; here that part is left out. */
        uint64_t first = atomic_load(&stress->topic->first);
        if (first <= reader->cursor + 1) {
            atomic_fetch_add(&stress->broken, 1); /* it should have been there */
        }
        reader->cursor = first - 1 < head ? first - 1 : head;
        atomic_fetch_add(&stress->jumps, 1);
        return;
    }
    if (run.from != reader->cursor + 1 || run.last > head || !is_run(&run)) {
        atomic_fetch_add(&stress->broken, 1);
    }
    atomic_fetch_add(&stress->frames, run.last - run.from + 1);
    reader->cursor = run.last;
    if (!reader->holds && dice(reader, 8) == 0) {
        reader->held = run;
        reader->holds = true;
    } else {
        topic_chunk_put(run.chunk);
    }
    if (dice(reader, 16) == 0) {
        check_held(reader);
    }
}

static void read_topic(size_t number, void *context)
{
    struct stress *stress = context;
    struct reader reader = {.stress = stress, .poke = &stress->topic->pokes[number], .state = number * 77 + 5};
    CHECK(rcu_thread_enter() == ERR_OK);
    while (reader.cursor < stress->events) {
        if (!reader.watching) {
            reader.watching = true;
            atomic_fetch_add(&reader.poke->watchers, 1); /* and then the look at the head */
        }
        uint64_t head = atomic_load(&stress->topic->head);
        if (reader.cursor < head) {
            step(&reader, head);
            if (dice(&reader, 64) == 0) { /* gone, and back soon, with its poke possibly on its way */
                atomic_fetch_sub(&reader.poke->watchers, 1);
                reader.watching = false;
            }
            if (dice(&reader, 4) == 0) {
                take_pokes(stress->boxes[number]);
            }
            continue;
        }
        struct instant deadline = instant_after_ms(clock_now(), PATIENCE_MS);
        atomic_fetch_add(&stress->waiting, 1);
        mailbox_wait(stress->boxes[number], deadline);
        atomic_fetch_sub(&stress->waiting, 1);
        if (instant_reached(deadline, clock_now())) {
            atomic_fetch_add(&stress->lost, 1);
            break;
        }
        take_pokes(stress->boxes[number]);
    }
    check_held(&reader);
}

static void write_topic(struct stress *stress)
{
    uint64_t seq = 0, round = 0;
    while (seq < stress->events) {
        uint64_t group = 1 + round * 7 % 40;
        for (; group && seq < stress->events; group--) {
            seq++;
            if (seq % 5003 == 0) {
                topic_skip(stress->topic, seq);
            } else {
                append(stress->topic, seq, &stress->limits);
            }
        }
        topic_publish(stress->topic, seq, stress->boxes);
        /* Sometimes until all sleep: a poke that is lost then is lost for good. */
        if (++round % 8 == 0) {
            while (atomic_load(&stress->waiting) < READERS && !atomic_load(&stress->lost) &&
                   seq < stress->events) {
                sched_yield();
            }
        }
    }
}

/* Something else of the topic changes all the time: others than the writer poke too. */
static void poke_topic(size_t number, void *context)
{
    struct stress *stress = context;
    (void)number;
    while (!atomic_load(&stress->written)) {
        topic_poke_all(stress->topic, stress->boxes);
        sched_yield();
    }
}

static void run_stress(size_t poking)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    struct stress stress = {.limits = {.tail_bytes = 150000, .tail_events = 400, .socket_threads = READERS},
                            .events = given && *given ? 400000 : 40000};
    stress.topic = topic_at(0, &stress.limits);
    for (int i = 0; i < READERS; i++) {
        CHECK(mailbox_new(&stress.boxes[i], "reader", 0) == ERR_OK);
    }
    struct test_threads readers = test_threads_start(READERS, read_topic, &stress);
    struct test_threads pokers = test_threads_start(poking, poke_topic, &stress);
    write_topic(&stress);
    atomic_store(&stress.written, true);
    test_threads_join(&pokers);
    test_threads_join(&readers);
    CU_ASSERT_EQUAL(atomic_load(&stress.broken), 0);
    CU_ASSERT_EQUAL(atomic_load(&stress.lost), 0);
    CU_ASSERT_TRUE(atomic_load(&stress.frames) > 0); /* how many come in time is the scheduler's business */
    CU_ASSERT_TRUE(atomic_load(&stress.jumps) > 0);
    for (int i = 0; i < READERS; i++) {
        take_pokes(stress.boxes[i]);
        mailbox_free(stress.boxes[i]);
    }
    CU_ASSERT_EQUAL(atomic_load(&stress.topic->ref.count), 1);
    topic_put(stress.topic);
    rcu_barrier();
}

static void readers_see_every_byte_and_no_poke_is_lost(void)
{
    run_stress(0); /* alone: another's poke would make up for a lost one */
}

static void several_may_poke(void)
{
    run_stress(POKERS);
}

/* Topics that are found, appended to and let go of, while others do the same. */
struct churn {
    struct topic_map *map;
    _Atomic(bool) done;
    _Atomic(uint64_t) broken, found;
};

static void look_up(size_t number, void *context)
{
    struct churn *churn = context;
    CHECK(rcu_thread_enter() == ERR_OK);
    char id[32];
    for (uint64_t i = number; !atomic_load(&churn->done); i++) {
        snprintf(id, sizeof(id), "session-%d", (int)(i % 8));
        struct topic *topic = topic_map_find(churn->map, id);
        if (topic) {
            struct topic_run run;
            atomic_fetch_add(&churn->found, 1);
            if (strcmp(topic->session_id, id)) {
                atomic_fetch_add(&churn->broken, 1);
            }
            if (read_run(topic, 1, 1, 100, &run)) {
                if (!is_run(&run)) {
                    atomic_fetch_add(&churn->broken, 1);
                }
                topic_put(topic); /* the bytes outlive it */
                if (!is_run(&run)) {
                    atomic_fetch_add(&churn->broken, 1);
                }
                topic_chunk_put(run.chunk);
                continue;
            }
            topic_put(topic);
        }
    }
}

static void topics_come_and_go_under_their_finders(void)
{
    struct churn churn = {0};
    CU_ASSERT_EQUAL_FATAL(topic_map_new(&churn.map, 8), ERR_OK);
    struct test_threads finders = test_threads_start(4, look_up, &churn);
    struct topic *topics[8] = {NULL};
    char id[32];
    for (int round = 0; round < 5000; round++) {
        int i = round % 8;
        if (topics[i]) {
            topic_map_remove(churn.map, topics[i]);
            topic_put(topics[i]);
        }
        snprintf(id, sizeof(id), "session-%d", i);
        CHECK(topic_new(&topics[i], id, "e", i, 0, &roomy) == ERR_OK);
        append(topics[i], 1, &roomy);
        CHECK(topic_map_add(churn.map, topics[i]) == ERR_OK);
        if (round % 64 == 0) {
            sched_yield();
        }
    }
    while (!atomic_load(&churn.found)) {
        sched_yield();
    }
    atomic_store(&churn.done, true);
    test_threads_join(&finders);
    CU_ASSERT_EQUAL(atomic_load(&churn.broken), 0);
    for (int i = 0; i < 8; i++) {
        topic_map_remove(churn.map, topics[i]);
        topic_put(topics[i]);
    }
    rcu_barrier();
    topic_map_free(churn.map);
}

/* ---- Forms ---- */

enum { FORM_EVENTS = 400, FORM_THREADS = 4, FORM_KINDS = 2 };

struct forming {
    struct topic *topic;
    atomic_uint made[FORM_KINDS][FORM_EVENTS + 1], given_up, broken;
};

/* Takes its time over a form, so that others come meanwhile; now and then it has no memory. */
static void make(struct forming *forming, const struct topic_run *run, uint64_t seq, unsigned form, unsigned *tries)
{
    char text[24];
    int length = seq % 3 ? snprintf(text, sizeof(text), "%u:%llu", form, (unsigned long long)seq) : 0;
    sched_yield();
    if (seq % 50 == 7 && ++*tries % 2) {
        atomic_fetch_add(&forming->given_up, 1);
        topic_form_give_up(run, seq, form);
        return;
    }
    atomic_fetch_add(&forming->made[form][seq], 1);
    CHECK(topic_form_give(run, seq, form, text, (size_t)length) == ERR_OK);
}

static bool is_form(uint64_t seq, unsigned form, const char *bytes, size_t length)
{
    char text[24];
    int expected = seq % 3 ? snprintf(text, sizeof(text), "%u:%llu", form, (unsigned long long)seq) : 0;
    return length == (size_t)expected && !memcmp(bytes, text, length);
}

static void take_forms(size_t number, void *context)
{
    struct forming *forming = context;
    unsigned tries = (unsigned)number;
    CHECK(rcu_thread_enter() == ERR_OK);
    for (uint64_t seq = 1; seq <= FORM_EVENTS;) {
        struct topic_run run;
        rcu_read_lock();
        bool found = topic_read(forming->topic, seq, FORM_EVENTS, 1000, &run);
        rcu_read_unlock();
        CHECK(found);
        for (bool busy = false; seq <= run.last && !busy;) {
            unsigned done = 0;
            for (unsigned form = 0; form < FORM_KINDS; form++) {
                const char *bytes = NULL;
                size_t length = 0;
                switch (topic_form_find(forming->topic, &run, seq, form, &bytes, &length)) {
                case TOPIC_FORM_THERE:
                    done++;
                    atomic_fetch_add(&forming->broken, !is_form(seq, form, bytes, length));
                    break;
                case TOPIC_FORM_YOURS:
                    make(forming, &run, seq, form, &tries);
                    break;
                case TOPIC_FORM_BUSY:
                    busy = true;
                    break;
                default:
                    CHECK(false);
                }
            }
            seq += done == FORM_KINDS;
        }
        topic_chunk_put(run.chunk);
    }
}

static void a_form_is_made_once_whoever_needs_it(void)
{
    static struct forming forming;
    forming.topic = topic_at(0, &roomy);
    for (uint64_t seq = 1; seq <= FORM_EVENTS; seq++) {
        append(forming.topic, seq, &roomy);
    }
    size_t before = topic_memory(forming.topic);
    CU_ASSERT_EQUAL(before, forming.topic->tail_memory);
    struct test_threads threads = test_threads_start(FORM_THREADS, take_forms, &forming);
    test_threads_join(&threads);
    CU_ASSERT_EQUAL(atomic_load(&forming.broken), 0);
    CU_ASSERT_TRUE(atomic_load(&forming.given_up) > 0);
    for (unsigned form = 0; form < FORM_KINDS; form++) {
        for (uint64_t seq = 1; seq <= FORM_EVENTS; seq++) {
            CU_ASSERT_EQUAL(atomic_load(&forming.made[form][seq]), 1);
        }
    }
    CU_ASSERT_TRUE(topic_memory(forming.topic) > before + FORM_EVENTS * 8);
    CU_ASSERT_EQUAL(forming.topic->tail_memory, before); /* what the events take by themselves */
    topic_put(forming.topic);
}

static void enter(void)
{
    CU_ASSERT_EQUAL(rcu_thread_enter(), ERR_OK); /* this thread reads and writes tails in every test */
}

static void all_is_given_back(void)
{
    rcu_barrier(); /* so that the leak checker sees what was not retired */
}

TEST_MAIN("topic", TEST(enter), TEST(a_new_topic_is_empty), TEST(what_is_appended_is_read),
          TEST(a_run_has_nothing_later_than_asked_for), TEST(a_part_of_a_tail_is_measured),
          TEST(whole_positions_only_move_up), TEST(a_tail_is_bounded),
          TEST(a_frame_larger_than_the_tail_is_still_there),
          TEST(a_chunk_outlives_the_sections_that_saw_it), TEST(a_skipped_number_is_not_in_the_tail),
          TEST(only_watchers_are_poked_and_once),
          TEST(a_form_is_made_once_and_goes_with_its_chunk), TEST(a_run_is_cut), TEST(compression_is_asked_for_once),
          TEST(the_map_finds_and_forgets),
          TEST(readers_see_every_byte_and_no_poke_is_lost), TEST(several_may_poke),
          TEST(topics_come_and_go_under_their_finders), TEST(a_form_is_made_once_whoever_needs_it),
          TEST(all_is_given_back))
