#include "signalbox/base/mailbox.h"

#include <poll.h>
#include <stdatomic.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/thread.h"
#include "support/test.h"

enum kind { LETTER, LAST };

struct letter {
    uint64_t sender, number;
    struct mail mail;
};

static struct letter *letter_new(uint64_t sender, uint64_t number)
{
    struct letter *letter = calloc(1, sizeof(*letter));
    if (!letter) {
        abort();
    }
    letter->sender = sender;
    letter->number = number;
    letter->mail.kind = LETTER;
    return letter;
}

static struct letter *letter_of(struct mail *mail)
{
    return container_of(mail, struct letter, mail);
}

static struct mailbox *box_new(size_t places)
{
    struct mailbox *box = NULL;
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "test", places), ERR_OK);
    return box;
}

static bool is_readable(struct mailbox *box)
{
    struct pollfd waited = {.fd = mailbox_fd(box), .events = POLLIN};
    return poll(&waited, 1, 0) == 1;
}

static void mail_comes_out_in_order(void)
{
    struct mailbox *box = box_new(0);
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    for (uint64_t number = 0; number < 10; number++) {
        mailbox_push(box, &letter_new(0, number)->mail);
    }
    struct mailbox_stats stats = mailbox_stats(box);
    CU_ASSERT_EQUAL(stats.pushed, 10);
    CU_ASSERT_EQUAL(stats.depth, 10);
    TEST_TEXT(stats.name, "test");
    for (uint64_t number = 0; number < 10; number++) {
        struct mail *mail = mailbox_take(box);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mail);
        CU_ASSERT_EQUAL(mail->kind, LETTER);
        CU_ASSERT_EQUAL(letter_of(mail)->number, number);
        free(letter_of(mail));
        if (number == 4) { /* while a batch is being walked */
            mailbox_push(box, &letter_new(0, 10)->mail);
        }
    }
    struct mail *last = mailbox_take(box);
    CU_ASSERT_PTR_NOT_NULL_FATAL(last);
    CU_ASSERT_EQUAL(letter_of(last)->number, 10);
    free(letter_of(last));
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    CU_ASSERT_EQUAL(mailbox_stats(box).taken, 11);
    CU_ASSERT_EQUAL(mailbox_stats(box).depth, 0);
    mailbox_free(box);
    mailbox_free(NULL);
}

static void only_the_first_mail_wakes(void)
{
    struct mailbox *box = box_new(0);
    CU_ASSERT_FALSE(is_readable(box));
    mailbox_push(box, &letter_new(0, 0)->mail);
    CU_ASSERT_TRUE(is_readable(box));
    mailbox_clear(box);
    mailbox_push(box,
                 &letter_new(0, 1)->mail); /* not empty before: the receiver was told already */
    CU_ASSERT_FALSE(is_readable(box));
    for (int count = 0; count < 2; count++) {
        struct mail *mail = mailbox_take(box);
        CU_ASSERT_PTR_NOT_NULL_FATAL(mail);
        free(letter_of(mail));
    }
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    mailbox_push(box, &letter_new(0, 2)->mail);
    CU_ASSERT_TRUE(is_readable(box));
    free(letter_of(mailbox_take(box)));
    mailbox_free(box);
}

static void a_round_wakes_each_once_at_its_end(void)
{
    struct mailbox *first = box_new(0);
    struct mailbox *second = box_new(0);
    mailbox_cork();
    for (uint64_t number = 0; number < 3; number++) {
        mailbox_push(first, &letter_new(0, number)->mail);
        mailbox_push(second, &letter_new(0, number)->mail);
    }
    CU_ASSERT_FALSE(is_readable(first));
    CU_ASSERT_FALSE(is_readable(second));
    free(letter_of(mailbox_take(first))); /* who is awake need not wait for the end */
    mailbox_uncork();
    for (struct mailbox **box = (struct mailbox *[]){first, second, NULL}; *box; box++) {
        CU_ASSERT_TRUE(is_readable(*box));
        mailbox_clear(*box);
        for (struct mail *mail; (mail = mailbox_take(*box));) {
            free(letter_of(mail));
        }
        mailbox_cork();
        mailbox_uncork();
        CU_ASSERT_FALSE(is_readable(*box)); /* nothing is owed twice */
        mailbox_push(*box, &letter_new(0, 3)->mail);
        CU_ASSERT_TRUE(is_readable(*box)); /* as without a round */
        free(letter_of(mailbox_take(*box)));
        mailbox_free(*box);
    }
}

static void a_long_round_wakes_now_and_then(void)
{
    enum { BOXES = 40 };
    struct mailbox *boxes[BOXES];
    mailbox_cork();
    for (size_t i = 0; i < BOXES; i++) { /* more than a round remembers */
        boxes[i] = box_new(0);
        mailbox_push(boxes[i], &letter_new(0, i)->mail);
    }
    for (uint64_t number = 1; number < 64; number++) {
        mailbox_push(boxes[BOXES - 1], &letter_new(0, number)->mail);
    }
    for (size_t i = 0; i < BOXES; i++) {
        CU_ASSERT_TRUE(is_readable(boxes[i]));
    }
    mailbox_uncork();
    for (size_t i = 0; i < BOXES; i++) {
        for (struct mail *mail; (mail = mailbox_take(boxes[i]));) {
            free(letter_of(mail));
        }
        mailbox_free(boxes[i]);
    }
}

static void a_wait_never_sleeps_over_mail(void)
{
    struct mailbox *box = box_new(0);
    mailbox_push(box, &letter_new(0, 0)->mail);
    mailbox_push(box, &letter_new(0, 1)->mail);
    mailbox_wait(box, INSTANT_NEVER); /* this takes the wake-up; the mail stays */
    mailbox_wait(box, INSTANT_NEVER);
    free(letter_of(mailbox_take(box)));
    mailbox_wait(box, INSTANT_NEVER); /* the second one is in the batch */
    free(letter_of(mailbox_take(box)));
    mailbox_clear(box);
    mailbox_push(box, &letter_new(0, 2)->mail);
    mailbox_clear(box); /* lost on purpose */
    mailbox_wait(box, INSTANT_NEVER);
    free(letter_of(mailbox_take(box)));
    mailbox_free(box);
}

static void pokes_and_deadlines_end_a_wait(void)
{
    struct mailbox *box = box_new(0);
    mailbox_poke(box);
    mailbox_wait(box, INSTANT_NEVER);
    CU_ASSERT_FALSE(is_readable(box));
    mailbox_wait(box, clock_now());
    mailbox_wait(box, (struct instant){0});
    mailbox_wait(box, instant_after_ms(clock_now(), 1));
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    mailbox_free(box);
}

static void reservations_are_bounded(void)
{
    struct mailbox *box = box_new(3);
    CU_ASSERT_TRUE(mailbox_reserve(box, 2));
    CU_ASSERT_FALSE(mailbox_reserve(box, 2));
    CU_ASSERT_FALSE(mailbox_reserve(box, SIZE_MAX));
    CU_ASSERT_TRUE(mailbox_reserve(box, 1));
    CU_ASSERT_FALSE(mailbox_reserve(box, 1));
    struct mailbox_stats stats = mailbox_stats(box);
    CU_ASSERT_EQUAL(stats.refused, 3);
    CU_ASSERT_EQUAL(stats.reserved, 3);
    CU_ASSERT_EQUAL(stats.places, 3);
    mailbox_push(box, &letter_new(0, 0)->mail); /* what must get through does */
    free(letter_of(mailbox_take(box)));
    mailbox_release(box, 3);
    CU_ASSERT_TRUE(mailbox_reserve(box, 3));
    mailbox_release(box, 3);
    mailbox_free(box);
    box = box_new(0);
    CU_ASSERT_TRUE(mailbox_reserve(box, 1000000));
    mailbox_release(box, 1000000);
    mailbox_free(box);
}

struct crowd {
    struct mailbox *box;
    _Atomic(size_t) inside, most;
};

enum { PLACES = 5 };

static void reserve_and_release(size_t number, void *context)
{
    struct crowd *crowd = context;
    (void)number;
    for (int round = 0; round < 20000; round++) {
        if (!mailbox_reserve(crowd->box, 2)) {
            continue;
        }
        size_t inside = atomic_fetch_add(&crowd->inside, 2) + 2;
        size_t most = atomic_load(&crowd->most);
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside)) {
        }
        atomic_fetch_sub(&crowd->inside, 2);
        mailbox_release(crowd->box, 2);
    }
}

static void threads_never_reserve_too_much(void)
{
    struct crowd crowd = {.box = box_new(PLACES)};
    struct test_threads threads = test_threads_start(6, reserve_and_release, &crowd);
    test_threads_join(&threads);
    CU_ASSERT_TRUE(crowd.most <= PLACES);
    CU_ASSERT_EQUAL(mailbox_stats(crowd.box).reserved, 0);
    mailbox_free(crowd.box);
}

/* Many senders, one receiver. A lost wake-up shows as a test that never ends. */
enum { SENDERS = 8, LETTERS = 20000 };

static void send_many(size_t sender, void *context)
{
    struct mailbox *box = context;
    for (uint64_t number = 0; number < LETTERS; number++) {
        mailbox_push(box, &letter_new(sender, number)->mail);
        /* Now and then let the queue run empty, since that is where wake-ups could be lost. */
        if (number % 97 == sender) {
            sched_yield();
        }
    }
}

struct receipt {
    uint64_t next[SENDERS];
    size_t count, wrong;
};

static void receive_all_there_is(struct mailbox *box, struct receipt *receipt)
{
    struct mail *mail;
    while ((mail = mailbox_take(box))) {
        struct letter *letter = letter_of(mail);
        receipt->wrong +=
            letter->sender >= SENDERS || letter->number != receipt->next[letter->sender];
        receipt->next[letter->sender % SENDERS] = letter->number + 1;
        receipt->count++;
        free(letter);
    }
}

static void check_receipt(struct mailbox *box, const struct receipt *receipt)
{
    CU_ASSERT_EQUAL(receipt->count, SENDERS * LETTERS);
    CU_ASSERT_EQUAL(receipt->wrong, 0);
    CU_ASSERT_PTR_NULL(mailbox_take(box));
    CU_ASSERT_EQUAL(mailbox_stats(box).taken, SENDERS * LETTERS);
}

static void nothing_is_lost_by_wait(void)
{
    struct mailbox *box = box_new(0);
    struct receipt receipt = {0};
    struct test_threads threads = test_threads_start(SENDERS, send_many, box);
    while (receipt.count < SENDERS * LETTERS) {
        mailbox_wait(box, INSTANT_NEVER);
        receive_all_there_is(box, &receipt);
    }
    test_threads_join(&threads);
    check_receipt(box, &receipt);
    mailbox_free(box);
}

static void nothing_is_lost_by_descriptor(void)
{
    struct mailbox *box = box_new(0);
    struct receipt receipt = {0};
    struct test_threads threads = test_threads_start(SENDERS, send_many, box);
    while (receipt.count < SENDERS * LETTERS) {
        struct pollfd waited = {.fd = mailbox_fd(box), .events = POLLIN};
        CU_ASSERT_EQUAL(poll(&waited, 1, -1), 1);
        mailbox_clear(box);
        receive_all_there_is(box, &receipt);
    }
    test_threads_join(&threads);
    check_receipt(box, &receipt);
    mailbox_free(box);
}

static void nothing_is_lost_one_at_a_time(void)
{
    struct mailbox *box = box_new(0);
    struct receipt receipt = {0};
    struct test_threads threads = test_threads_start(SENDERS, send_many, box);
    while (receipt.count < SENDERS * LETTERS) {
        mailbox_wait(box, INSTANT_NEVER); /* must return as long as there is mail */
        struct mail *mail = mailbox_take(box);
        if (mail) {
            struct letter *letter = letter_of(mail);
            receipt.wrong += letter->number != receipt.next[letter->sender];
            receipt.next[letter->sender] = letter->number + 1;
            receipt.count++;
            free(letter);
        }
    }
    test_threads_join(&threads);
    check_receipt(box, &receipt);
    mailbox_free(box);
}

/* Two threads that answer each other: every letter finds the other's box empty. */
struct table {
    struct mailbox *boxes[2];
};

static struct mail *wait_for_one(struct mailbox *box)
{
    struct mail *mail;
    while (!(mail = mailbox_take(box))) {
        mailbox_wait(box, INSTANT_NEVER);
    }
    return mail;
}

static void play(size_t side, void *context)
{
    struct table *table = context;
    for (;;) {
        struct mail *mail = wait_for_one(table->boxes[side]);
        bool last = mail->kind == LAST;
        if (!last && ++letter_of(mail)->number == 20000) {
            mail->kind = LAST;
        }
        if (last) {
            if (letter_of(mail)->sender++ == 1) { /* both have seen it */
                free(letter_of(mail));
            } else {
                mailbox_push(table->boxes[1 - side], mail);
            }
            return;
        }
        mailbox_push(table->boxes[1 - side], mail);
    }
}

static void a_letter_goes_to_and_fro(void)
{
    struct table table = {{box_new(0), box_new(0)}};
    mailbox_push(table.boxes[0], &letter_new(0, 0)->mail);
    struct test_threads threads = test_threads_start(2, play, &table);
    test_threads_join(&threads);
    CU_ASSERT_EQUAL(mailbox_stats(table.boxes[0]).pushed + mailbox_stats(table.boxes[1]).pushed,
                    20002);
    mailbox_free(table.boxes[0]);
    mailbox_free(table.boxes[1]);
}

/* A thread that sleeps until a deadline of the fake clock, and says so. */
struct sleeper {
    struct mailbox *own, *answers;
    struct instant deadline;
    struct letter answer;
};

static void sleep_until(void *context)
{
    struct sleeper *sleeper = context;
    thread_check(THREAD_TIMER);
    while (!instant_reached(sleeper->deadline, clock_now())) {
        mailbox_wait(sleeper->own, sleeper->deadline);
    }
    mailbox_push(sleeper->answers, &sleeper->answer.mail);
}

static void a_fake_clock_wakes_sleepers(void)
{
    clock_fake_start();
    struct sleeper sleeper = {.own = box_new(0), .answers = box_new(0)};
    sleeper.deadline = instant_after_ms(clock_now(), 3600000);
    struct thread thread = {0};
    CU_ASSERT_EQUAL_FATAL(thread_start(&thread, THREAD_TIMER, 0, false, sleep_until, &sleeper),
                          ERR_OK);
    clock_fake_advance(3599999);
    CU_ASSERT_PTR_NULL(mailbox_take(sleeper.answers));
    clock_fake_advance(1);
    CU_ASSERT_PTR_EQUAL(wait_for_one(sleeper.answers), &sleeper.answer.mail);
    thread_join(&thread);
    thread_join(&thread);
    CU_ASSERT_FALSE(thread.started);
    clock_fake_stop();
    mailbox_free(sleeper.own);
    mailbox_free(sleeper.answers);
}

TEST_MAIN("mailbox", TEST(mail_comes_out_in_order), TEST(only_the_first_mail_wakes), TEST(a_round_wakes_each_once_at_its_end),
          TEST(a_long_round_wakes_now_and_then),
          TEST(a_wait_never_sleeps_over_mail), TEST(pokes_and_deadlines_end_a_wait),
          TEST(reservations_are_bounded), TEST(threads_never_reserve_too_much),
          TEST(nothing_is_lost_by_wait), TEST(nothing_is_lost_by_descriptor),
          TEST(nothing_is_lost_one_at_a_time), TEST(a_letter_goes_to_and_fro),
          TEST(a_fake_clock_wakes_sleepers))
