/* The deflate thread: what is asked of it, in the tails of topics and in pieces of replays. */
#include "signalbox/role/deflate.h"

#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "signalbox/base/deflate.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/deflate.h"
#include "support/test.h"

static const struct topic_limits limits = {.tail_bytes = 1 << 20, .tail_events = 1000, .socket_threads = 2};
enum { MIN_BYTES = 300, PIECE_BACK = 42 };

static struct world {
    struct deflate *deflate;
    struct mailbox *boxes[2];
    struct topic *topic;
    struct inflater *inflater;
} world;

static void begin(void)
{
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    CHECK(mailbox_new(&world.boxes[0], "a", 0) == ERR_OK && mailbox_new(&world.boxes[1], "b", 0) == ERR_OK);
    const struct deflate_wiring wiring = {.min_bytes = MIN_BYTES, .socket_boxes = world.boxes};
    CU_ASSERT_EQUAL_FATAL(deflate_start(&world.deflate, &wiring), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(topic_new(&world.topic, "session", "epoch", 1, 0, &limits), ERR_OK);
    atomic_fetch_add(&world.topic->pokes[1].watchers, 1);
    CU_ASSERT_EQUAL_FATAL(inflater_new(&world.inflater), ERR_OK);
}

static void finish(void)
{
    deflate_stop(world.deflate);
    deflate_free(world.deflate);
    while (mailbox_take(world.boxes[1])) { /* pokes that nobody waited for */
        topic_put(world.topic);
    }
    topic_put(world.topic);
    inflater_free(world.inflater);
    mailbox_free(world.boxes[0]);
    mailbox_free(world.boxes[1]);
    rcu_barrier();
    rcu_thread_unregister();
}

/* `words` of text that pays, or as many bytes of noise, that does not. */
static struct frame *frame_of(uint64_t seq, size_t words, bool noise)
{
    struct buffer text = {0};
    struct frame *frame = NULL;
    uint32_t state = (uint32_t)seq;
    buffer_format(&text, "{\"seq\":%llu,\"text\":\"", (unsigned long long)seq);
    for (size_t i = 0; i < words; i++) {
        state = state * 1664525 + 1013904223;
        if (noise) {
            buffer_byte(&text, (char)(state >> 24));
        } else {
            buffer_format(&text, "word %zu of many, ", i);
        }
    }
    CHECK(buffer_ok(&text) && frame_text(&frame, text.data, text.length) == ERR_OK);
    buffer_free(&text);
    return frame;
}

static void append(uint64_t seq, size_t words, bool noise)
{
    struct frame *frame = frame_of(seq, words, noise);
    CHECK(topic_append(world.topic, seq, frame, (struct instant){0}, &limits) == ERR_OK);
    frame_put(frame);
    atomic_store(&world.topic->head, seq);
}

static void await_poke(void)
{
    struct mail *mail;
    while (!(mail = mailbox_take(world.boxes[1]))) {
        mailbox_wait(world.boxes[1], INSTANT_NEVER);
    }
    struct topic_poke *poke = container_of(mail, struct topic_poke, mail);
    CU_ASSERT_PTR_EQUAL(poke->topic, world.topic);
    atomic_exchange(&poke->flagged, 0);
    topic_put(world.topic);
}

static void await_squeezed(uint64_t to)
{
    while (atomic_load(&world.topic->squeeze.to) < to) {
        await_poke();
    }
}

static bool is_same(const char *squeezed, const char *plain)
{
    const char *payload, *text;
    size_t length, text_length;
    struct buffer back = {0};
    CU_ASSERT_EQUAL((unsigned char)squeezed[0], 0xc1);
    (void)frame_read(squeezed, &payload, &length);
    (void)frame_read(plain, &text, &text_length);
    bool same = inflate_message(world.inflater, payload, length, 1 << 20, &back) == ERR_OK && back.length == text_length &&
                !memcmp(back.data, text, text_length);
    buffer_free(&back);
    return same;
}

/* What there is of this number: 'c' compressed, 'e' empty (it does not pay), '-' nothing. */
static char form_of(uint64_t seq)
{
    struct topic_run run;
    const char *bytes;
    size_t length, plain_length;
    rcu_read_lock();
    CHECK(topic_read(world.topic, seq, seq, 1, &run));
    rcu_read_unlock();
    char is = '-';
    if (topic_form_look(&run, seq, TOPIC_FORM_DEFLATE, &bytes, &length)) {
        is = length ? 'c' : 'e';
        CU_ASSERT_TRUE(!length || is_same(bytes, topic_run_frame(&run, seq, &plain_length)));
    }
    topic_chunk_put(run.chunk);
    return is;
}

static void events_are_compressed_from_where_it_was_asked(void)
{
    begin();
    append(1, 100, false);
    append(2, 100, false);
    append(3, 2, false);
    append(4, 1000, true);
    append(5, 6000, false); /* longer than a chunk */
    topic_squeeze(world.topic, 2, deflate_mailbox(world.deflate));
    await_squeezed(5);
    CU_ASSERT_EQUAL(form_of(1), '-'); /* nobody wants it */
    CU_ASSERT_EQUAL(form_of(2), 'c');
    CU_ASSERT_EQUAL(form_of(3), '-'); /* too short */
    CU_ASSERT_EQUAL(form_of(4), 'e');
    CU_ASSERT_EQUAL(form_of(5), 'c');
    int64_t made = metric_read(METRIC_DEFLATE_IN);
    append(6, 200, false);
    topic_squeeze(world.topic, 1, deflate_mailbox(world.deflate));
    await_squeezed(6);
    CU_ASSERT_EQUAL(form_of(1), 'c');
    CU_ASSERT_EQUAL(form_of(6), 'c');
    struct frame *first = frame_of(1, 100, false), *last = frame_of(6, 200, false);
    CU_ASSERT_EQUAL(metric_read(METRIC_DEFLATE_IN) - made, /* nothing is made twice */
                    (int64_t)(frame_wire_length(first) + frame_wire_length(last)));
    frame_put(first);
    frame_put(last);
    finish();
}

static void who_asks_for_what_has_left_the_tail_is_woken(void)
{
    begin();
    append(1, 100, false);
    append(2, 100, false);
    topic_trim(world.topic);
    topic_squeeze(world.topic, 1, deflate_mailbox(world.deflate));
    await_squeezed(2);
    append(3, 100, false);
    topic_squeeze(world.topic, 2, deflate_mailbox(world.deflate)); /* the tail begins behind it */
    await_squeezed(3);
    CU_ASSERT_EQUAL(form_of(3), 'c');
    finish();
}

static struct history_request *piece(void)
{
    struct history_request *request = NULL;
    CHECK(history_request_new(&request) == ERR_OK);
    request->reply_to = world.boxes[0];
    request->reply_kind = PIECE_BACK;
    request->mail.kind = DEFLATE_PIECE;
    return request;
}

static struct history_request *await_piece(void)
{
    struct mail *mail;
    while (!(mail = mailbox_take(world.boxes[0]))) {
        mailbox_wait(world.boxes[0], INSTANT_NEVER);
    }
    CU_ASSERT_EQUAL(mail->kind, PIECE_BACK);
    struct history_request *request = container_of(mail, struct history_request, mail);
    CU_ASSERT_TRUE(request->squeezed);
    return request;
}

static void put_frame(struct buffer *out, uint64_t seq, size_t words)
{
    struct frame *frame = frame_of(seq, words, false);
    buffer_append(out, frame_wire(frame), frame_wire_length(frame));
    frame_put(frame);
}

static void a_piece_is_compressed_once_for_all_who_share_it(void)
{
    begin();
    struct history_request *one = piece(), *other = piece(), *kept = piece();
    put_frame(&one->bytes, 1, 100);
    put_frame(&one->bytes, 2, 1); /* stays as it is */
    put_frame(&one->bytes, 3, 300);
    CHECK(history_bytes_share(one, other) == ERR_OK && history_bytes_share(one, kept) == ERR_OK);
    size_t plain = one->bytes.length;
    int64_t made = metric_read(METRIC_DEFLATE_IN);
    mailbox_push(deflate_mailbox(world.deflate), &one->mail);
    CU_ASSERT_PTR_EQUAL(await_piece(), one);
    int64_t first = metric_read(METRIC_DEFLATE_IN) - made;
    mailbox_push(deflate_mailbox(world.deflate), &other->mail);
    CU_ASSERT_PTR_EQUAL(await_piece(), other);
    CU_ASSERT_EQUAL(metric_read(METRIC_DEFLATE_IN) - made, first);
    CU_ASSERT_PTR_EQUAL(one->bytes.data, other->bytes.data);
    CU_ASSERT_TRUE(one->bytes.length < plain / 2);
    CU_ASSERT_EQUAL(kept->bytes.length, plain); /* for who does without */
    const char *at = one->bytes.data, *before = kept->bytes.data, *text;
    size_t length;
    for (int i = 0; i < 3; i++) {
        size_t taken = frame_read(at, &text, &length), was = frame_read(before, &text, &length);
        CU_ASSERT_TRUE(i == 1 ? taken == was && !memcmp(at, before, was) : is_same(at, before));
        at += taken;
        before += was;
    }
    CU_ASSERT_PTR_EQUAL(at, one->bytes.data + one->bytes.length);
    history_request_free(one);
    history_request_free(kept);
    history_request_free(other);
    finish();
}

static void a_piece_of_its_own_is_replaced_or_left(void)
{
    begin();
    struct history_request *long_one = piece(), *short_one = piece();
    put_frame(&long_one->bytes, 1, 100);
    put_frame(&short_one->bytes, 2, 1);
    size_t plain = short_one->bytes.length;
    mailbox_push(deflate_mailbox(world.deflate), &long_one->mail);
    mailbox_push(deflate_mailbox(world.deflate), &short_one->mail);
    CU_ASSERT_PTR_EQUAL(await_piece(), long_one);
    CU_ASSERT_PTR_EQUAL(await_piece(), short_one);
    CU_ASSERT_EQUAL((unsigned char)long_one->bytes.data[0], 0xc1);
    CU_ASSERT_EQUAL(short_one->bytes.length, plain);
    CU_ASSERT_EQUAL((unsigned char)short_one->bytes.data[0], 0x81);
    history_request_free(long_one);
    history_request_free(short_one);
    finish();
}

static void what_comes_after_its_end_is_let_go(void)
{
    begin();
    append(1, 100, false);
    deflate_stop(world.deflate);
    topic_squeeze(world.topic, 1, deflate_mailbox(world.deflate));
    struct history_request *late = piece();
    put_frame(&late->bytes, 1, 100);
    mailbox_push(deflate_mailbox(world.deflate), &late->mail);
    finish(); /* the leak checker sees what is not */
}

TEST_MAIN("deflate", TEST(events_are_compressed_from_where_it_was_asked), TEST(who_asks_for_what_has_left_the_tail_is_woken),
          TEST(a_piece_is_compressed_once_for_all_who_share_it), TEST(a_piece_of_its_own_is_replaced_or_left),
          TEST(what_comes_after_its_end_is_let_go))
