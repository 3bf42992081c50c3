/* The timer thread: every deadline comes back, in order, by the mail that says what became of it. */
#include "signalbox/role/timer.h"

#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "signalbox/mail/timer.h"
#include "support/test.h"

static struct mailbox *fired;
static struct timer *timer;

static void begin(bool fake)
{
    if (fake) {
        clock_fake_start();
    }
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&fired, "fired", 0), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(timer_start(&timer, fired), ERR_OK);
}

static void end(void)
{
    timer_stop(timer);
    CU_ASSERT_PTR_NULL(mailbox_take(fired));
    mailbox_free(fired);
    if (clock_is_fake()) {
        clock_fake_stop();
    }
}

static void arm_at(struct deadline *deadline, struct instant at)
{
    deadline->at = at;
    deadline->mail.kind = TIMER_ARM;
    mailbox_push(timer_mailbox(timer), &deadline->mail);
}

static void arm(struct deadline *deadline, int64_t after_ms)
{
    arm_at(deadline, instant_after_ms(clock_now(), after_ms));
}

static void cancel(struct deadline *deadline)
{
    deadline->cancel_mail.kind = TIMER_CANCEL;
    mailbox_push(timer_mailbox(timer), &deadline->cancel_mail);
}

static struct mail *next_mail(void)
{
    struct mail *mail;
    while (!(mail = mailbox_take(fired))) {
        mailbox_wait(fired, INSTANT_NEVER);
    }
    return mail;
}

static void expect_fired(struct deadline *deadline)
{
    struct mail *mail = next_mail();
    CU_ASSERT_EQUAL(mail->kind, DISPATCH_DEADLINE);
    CU_ASSERT_PTR_EQUAL(mail, &deadline->mail);
}

static void expect_cancelled(struct deadline *deadline)
{
    struct mail *mail = next_mail();
    CU_ASSERT_EQUAL(mail->kind, DISPATCH_DEADLINE_CANCELLED);
    CU_ASSERT_PTR_EQUAL(mail, &deadline->cancel_mail);
}

/* When this returns, the thread has taken what was pushed before, and nothing else came back. */
static void nothing_else(void)
{
    struct deadline sentinel = {0};
    arm(&sentinel, 0);
    expect_fired(&sentinel);
}

static void deadlines_fire_in_order(void)
{
    begin(true);
    struct deadline first = {0}, second = {0}, third = {0}, never = {0};
    arm(&third, 300);
    arm(&first, 100);
    arm(&second, 200);
    arm_at(&never, INSTANT_NEVER);
    nothing_else();
    clock_fake_advance(99);
    nothing_else();
    clock_fake_advance(1);
    expect_fired(&first);
    nothing_else();
    clock_fake_advance(1000);
    expect_fired(&second);
    expect_fired(&third);
    nothing_else();
    timer_stop(timer);
    timer = NULL;
    expect_fired(&never);
    end();
}

static void one_that_has_passed_fires_at_once(void)
{
    begin(true);
    struct deadline deadline = {0};
    arm(&deadline, -5);
    expect_fired(&deadline);
    arm(&deadline, 50); /* the same one again */
    nothing_else();
    clock_fake_advance(50);
    expect_fired(&deadline);
    end();
}

static void a_cancelled_one_comes_back_by_its_other_mail(void)
{
    begin(true);
    struct deadline deadline = {0}, other = {0};
    arm(&deadline, 100);
    arm(&other, 100);
    cancel(&deadline);
    expect_cancelled(&deadline);
    clock_fake_advance(100);
    expect_fired(&other);
    nothing_else();
    end();
}

static void one_that_has_fired_comes_back_twice(void)
{
    begin(true);
    struct deadline deadline = {0};
    arm(&deadline, 100);
    nothing_else();
    clock_fake_advance(100);
    expect_fired(&deadline);
    cancel(&deadline);
    expect_cancelled(&deadline);
    nothing_else();
    end();
}

static void stopping_gives_back_the_rest(void)
{
    begin(true);
    struct deadline armed[5] = {0}, cancelled = {0};
    for (int i = 0; i < 5; i++) {
        arm(&armed[i], 5000 - i * 1000);
    }
    arm(&cancelled, 10);
    cancel(&cancelled);
    timer_stop(timer);
    timer = NULL;
    expect_cancelled(&cancelled);
    for (int i = 5; i-- > 0;) {
        expect_fired(&armed[i]);
    }
    end();
    timer_stop(NULL);
}

/* Without a fake clock: it wakes by itself, also for one that is earlier than what it sleeps for. */
static void it_wakes_by_itself(void)
{
    begin(false);
    struct deadline late = {0}, soon = {0};
    arm(&late, 3600000);
    nothing_else();
    arm(&soon, 20);
    expect_fired(&soon);
    CU_ASSERT_TRUE(instant_reached(soon.at, clock_now()));
    cancel(&late);
    expect_cancelled(&late);
    end();
}

enum { MANY = 10000 };

static void ten_thousand_of_them(void)
{
    begin(true);
    struct deadline *deadlines = calloc(MANY, sizeof(*deadlines));
    CU_ASSERT_PTR_NOT_NULL_FATAL(deadlines);
    uint64_t state = 1;
    size_t cancelled = 0, arrived = 0;
    for (size_t i = 0; i < MANY; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        arm(&deadlines[i], 1 + 2 * (int64_t)((state >> 33) % 2500)); /* never when a sentinel is */
    }
    for (size_t i = 0; i < MANY; i += 3) {
        cancel(&deadlines[i]);
        cancelled++;
    }
    for (size_t i = 0; i < MANY; i += 3) {
        expect_cancelled(&deadlines[i]);
    }
    nothing_else();
    struct instant last = {0};
    for (int step = 0; step < 10; step++) {
        clock_fake_advance(500);
        struct deadline sentinel = {0};
        arm(&sentinel, 0);
        for (struct mail *mail; (mail = next_mail()) != &sentinel.mail; arrived++) {
            struct deadline *deadline = container_of(mail, struct deadline, mail);
            CU_ASSERT_EQUAL(mail->kind, DISPATCH_DEADLINE);
            CU_ASSERT_TRUE(deadline->at.ns >= last.ns && instant_reached(deadline->at, clock_now()));
            CU_ASSERT_NOT_EQUAL((deadline - deadlines) % 3, 0);
            last = deadline->at;
        }
    }
    CU_ASSERT_EQUAL(arrived, MANY - cancelled);
    end();
    free(deadlines);
}

/* ---- Firing and cancelling at the same time ---- */

static void turn_the_clock(size_t number, void *context)
{
    (void)number;
    for (int i = 0; i < 2000; i++) {
        clock_fake_advance(1);
        if (atomic_load((_Atomic(bool) *)context)) {
            break;
        }
    }
}

static void a_cancel_that_races_loses_nothing(void)
{
    begin(true);
    _Atomic(bool) done = false;
    struct test_threads clock = test_threads_start(1, turn_the_clock, &done);
    struct deadline *deadlines = calloc(MANY, sizeof(*deadlines));
    uint8_t *seen = calloc(MANY, 1);
    CU_ASSERT_TRUE_FATAL(deadlines && seen);
    size_t returned = 0;
    for (size_t i = 0; i < MANY; i++) {
        arm(&deadlines[i], (int64_t)(i % 4));
        if (i >= 20) {
            cancel(&deadlines[i - 20]);
        }
    }
    for (size_t i = MANY - 20; i < MANY; i++) {
        cancel(&deadlines[i]);
    }
    while (returned < MANY) {
        struct mail *mail = next_mail();
        bool is_fired = mail->kind == DISPATCH_DEADLINE;
        struct deadline *deadline =
            is_fired ? container_of(mail, struct deadline, mail) : container_of(mail, struct deadline, cancel_mail);
        size_t index = (size_t)(deadline - deadlines);
        CU_ASSERT_TRUE_FATAL(index < MANY);
        /* Fired at most once, and never behind its cancellation, after which its memory may be gone. */
        CU_ASSERT_EQUAL(seen[index] & (is_fired ? 3 : 2), 0);
        seen[index] |= is_fired ? 1 : 2;
        returned += !is_fired;
    }
    atomic_store(&done, true);
    test_threads_join(&clock);
    end();
    free(deadlines);
    free(seen);
}

TEST_MAIN("timer", TEST(deadlines_fire_in_order), TEST(one_that_has_passed_fires_at_once),
          TEST(a_cancelled_one_comes_back_by_its_other_mail), TEST(one_that_has_fired_comes_back_twice),
          TEST(stopping_gives_back_the_rest), TEST(it_wakes_by_itself), TEST(ten_thousand_of_them),
          TEST(a_cancel_that_races_loses_nothing))
