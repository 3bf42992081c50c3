/* Byte credit: what may be on its way between agents and the store. */
#include "signalbox/share/credit.h"

#include <poll.h>
#include <sched.h>
#include <stdatomic.h>

#include "signalbox/base/check.h"
#include "support/test.h"

static struct credit_pool *pool_of(int64_t bytes)
{
    struct credit_pool *pool = NULL;
    CU_ASSERT_EQUAL_FATAL(credit_pool_new(&pool, bytes), ERR_OK);
    return pool;
}

static struct credit *credit_of(struct credit_pool *pool, int64_t bytes, struct mailbox *wake)
{
    struct credit *credit = NULL;
    CU_ASSERT_EQUAL_FATAL(credit_new(&credit, pool, bytes, wake), ERR_OK);
    return credit;
}

static struct mailbox *box_new(void)
{
    struct mailbox *box = NULL;
    CU_ASSERT_EQUAL_FATAL(mailbox_new(&box, "agent", 0), ERR_OK);
    return box;
}

/* Without waiting; takes the poke. */
static bool was_poked(struct mailbox *box)
{
    struct pollfd waited = {.fd = mailbox_fd(box), .events = POLLIN};
    bool poked = poll(&waited, 1, 0) == 1;
    mailbox_clear(box);
    return poked;
}

static void a_credit_runs_out_and_comes_back(void)
{
    struct mailbox *wake = box_new();
    struct credit_pool *pool = pool_of(10000);
    struct credit *credit = credit_of(pool, 1000, wake);
    CU_ASSERT_FALSE(credit_exhausted(credit, 0));
    credit_take(credit, 999);
    CU_ASSERT_FALSE(credit_exhausted(credit, 0));
    credit_take(credit, 500); /* below zero by one event: what was read must go somewhere */
    CU_ASSERT_EQUAL(credit_pool_used(pool), 1499);
    CU_ASSERT_FALSE(was_poked(wake));
    CU_ASSERT_TRUE(credit_exhausted(credit, 0));
    credit_give(credit, 999);
    CU_ASSERT_TRUE(was_poked(wake));
    CU_ASSERT_FALSE(credit_exhausted(credit, 0));
    /* Nobody waits: nobody is poked. */
    credit_give(credit, 500);
    CU_ASSERT_FALSE(was_poked(wake));
    CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
    credit_put(credit);
    credit_put(NULL);
    credit_pool_free(pool);
    mailbox_free(wake);
}

static void exactly_nothing_left_is_exhausted(void)
{
    struct mailbox *wake = box_new();
    struct credit_pool *pool = pool_of(10000);
    struct credit *credit = credit_of(pool, 1000, wake);
    credit_take(credit, 1000);
    CU_ASSERT_TRUE(credit_exhausted(credit, 0));
    credit_give(credit, 1);
    CU_ASSERT_TRUE(was_poked(wake));
    CU_ASSERT_FALSE(credit_exhausted(credit, 0));
    credit_give(credit, 999);
    credit_put(credit);
    credit_pool_free(pool);
    mailbox_free(wake);
}

static void the_pool_is_shared(void)
{
    struct mailbox *wake = box_new();
    struct credit_pool *pool = pool_of(1500);
    struct credit *one = credit_of(pool, 1000, wake), *two = credit_of(pool, 1000, wake);
    credit_take(one, 900);
    CU_ASSERT_FALSE(credit_exhausted(two, 0));
    credit_take(two, 700);
    /* Each has some of its own, but there is none left in all. */
    CU_ASSERT_TRUE(credit_exhausted(two, 0));
    credit_give(one, 200); /* which does not wait itself */
    CU_ASSERT_TRUE(was_poked(wake));
    CU_ASSERT_FALSE(credit_exhausted(two, 0));
    CU_ASSERT_FALSE(credit_exhausted(one, 0));
    /* One that is out of its own is not helped by another's. */
    credit_take(two, 300);
    CU_ASSERT_TRUE(credit_exhausted(two, 0));
    credit_give(one, 700);
    CU_ASSERT_TRUE(credit_exhausted(two, 0));
    CU_ASSERT_FALSE(credit_exhausted(one, 0));
    credit_give(two, 1000);
    CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
    credit_put(one);
    credit_put(two);
    credit_pool_free(pool);
    mailbox_free(wake);
}

/* Who says much waits while the queue is long; who says little does not. */
static void a_fair_pool_holds_back_who_has_much_on_its_way(void)
{
    struct mailbox *wake = box_new();
    struct credit_pool *pool = pool_of(100000);
    credit_pool_fair(pool, 1000, 200);
    struct credit *much = credit_of(pool, 50000, wake), *little = credit_of(pool, 50000, wake);
    credit_take(much, 900);
    CU_ASSERT_FALSE(credit_exhausted(much, 5000)); /* nobody is in its way */
    credit_take(much, 150);
    CU_ASSERT_TRUE(credit_exhausted(much, 0));
    CU_ASSERT_FALSE(credit_exhausted(little, 199));
    CU_ASSERT_TRUE(credit_exhausted(little, 200)); /* what it is about to say is much */
    credit_take(little, 199);
    CU_ASSERT_FALSE(credit_exhausted(little, 0));
    credit_give(little, 199);
    CU_ASSERT_TRUE(was_poked(wake));
    CU_ASSERT_TRUE(credit_exhausted(little, 200));
    credit_give(much, 51);
    CU_ASSERT_TRUE(was_poked(wake));
    CU_ASSERT_FALSE(credit_exhausted(little, 200)); /* the queue is short again */
    CU_ASSERT_FALSE(credit_exhausted(much, 0));
    credit_give(much, 999);
    CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
    credit_put(much);
    credit_put(little);
    credit_pool_free(pool);
    mailbox_free(wake);
}

static void a_reference_keeps_it(void)
{
    struct mailbox *wake = box_new();
    struct credit_pool *pool = pool_of(1500);
    struct credit *credit = credit_of(pool, 1000, wake);
    CU_ASSERT_PTR_EQUAL(credit_get(credit), credit);
    credit_take(credit, 10);
    credit_put(credit);
    credit_give(credit, 10);
    CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
    credit_put(credit);
    credit_pool_free(pool);
    mailbox_free(wake);
}

/* ---- Under stress: one who takes, as agent-stream does, and several who give back ---- */

enum { CREDITS = 5, GIVERS = 4, OWN = 4000, ALL = 12000, LARGEST = 1500, PATIENCE_MS = 60000 };

struct parcel {
    struct mail mail;
    struct credit *credit;
    int64_t bytes;
};

struct stress {
    struct credit_pool *pool;
    struct mailbox *wake, *boxes[GIVERS];
    _Atomic(int64_t) given_back;
    int64_t rounds;
};

static void give_back(size_t number, void *context)
{
    struct stress *stress = context;
    for (bool last = false; !last;) {
        mailbox_wait(stress->boxes[number], INSTANT_NEVER);
        for (struct mail *mail; (mail = mailbox_take(stress->boxes[number]));) {
            struct parcel *parcel = container_of(mail, struct parcel, mail);
            if (!parcel->credit) {
                last = true;
            } else {
                atomic_fetch_add(&stress->given_back, parcel->bytes);
                credit_give(parcel->credit, parcel->bytes);
                credit_put(parcel->credit);
            }
            free(parcel);
        }
    }
}

static void send(struct mailbox *box, struct credit *credit, int64_t bytes)
{
    struct parcel *parcel = calloc(1, sizeof(*parcel));
    CHECK(parcel);
    parcel->credit = credit;
    parcel->bytes = bytes;
    mailbox_push(box, &parcel->mail);
}

static void who_waits_is_always_woken(void)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    struct stress stress = {.rounds = given && *given ? 500000 : 100000};
    stress.pool = pool_of(ALL);
    stress.wake = box_new();
    struct credit *credits[CREDITS];
    int64_t own[CREDITS] = {0};
    for (int i = 0; i < CREDITS; i++) {
        credits[i] = credit_of(stress.pool, OWN, stress.wake);
    }
    for (int i = 0; i < GIVERS; i++) {
        stress.boxes[i] = box_new();
    }
    struct test_threads givers = test_threads_start(GIVERS, give_back, &stress);

    int64_t taken = 0, most = 0;
    uint64_t waits = 0, state = 3;
    bool lost = false;
    for (int64_t round = 0; round < stress.rounds && !lost;) {
        int stalled = 0;
        for (int i = 0; i < CREDITS; i++) {
            if (credit_exhausted(credits[i], 0)) {
                stalled++;
                continue;
            }
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            int64_t bytes = 1 + (int64_t)((state >> 33) % LARGEST);
            credit_take(credits[i], bytes);
            taken += bytes;
            own[i] += bytes;
            int64_t under_way = credit_pool_used(stress.pool);
            most = under_way > most ? under_way : most;
            send(stress.boxes[(state >> 50) % GIVERS], credit_get(credits[i]), bytes);
            round++;
        }
        if (stalled == CREDITS) {
            waits++;
            struct instant deadline = instant_after_ms(clock_now(), PATIENCE_MS);
            mailbox_wait(stress.wake, deadline);
            lost = instant_reached(deadline, clock_now());
        }
    }
    for (int i = 0; i < GIVERS; i++) {
        send(stress.boxes[i], NULL, 0);
    }
    test_threads_join(&givers);
    CU_ASSERT_FALSE(lost);
    CU_ASSERT_TRUE(waits > 0);
    CU_ASSERT_TRUE(most < ALL + LARGEST);
    CU_ASSERT_EQUAL(taken, atomic_load(&stress.given_back));
    CU_ASSERT_EQUAL(credit_pool_used(stress.pool), 0);
    for (int i = 0; i < CREDITS; i++) {
        CU_ASSERT_TRUE(own[i] > 0);
        CU_ASSERT_FALSE(credit_exhausted(credits[i], 0));
        credit_put(credits[i]);
    }
    for (int i = 0; i < GIVERS; i++) {
        mailbox_free(stress.boxes[i]);
    }
    credit_pool_free(stress.pool);
    mailbox_free(stress.wake);
}

/* One byte that comes and goes: it comes back just when its taker decides to wait, again and again. */
struct rally {
    struct credit *credit;
    int64_t rounds;
    _Atomic(int64_t) served;
    _Atomic(bool) over;
};

static void return_each(size_t number, void *context)
{
    struct rally *rally = context;
    uint32_t state = (uint32_t)number + 1;
    for (int64_t round = 1; round <= rally->rounds; round++) {
        for (int spins = 0; atomic_load(&rally->served) < round; spins++) {
            if (atomic_load(&rally->over)) {
                return;
            }
            if (spins > 1000) {
                sched_yield();
            }
        }
        state = state * 1664525 + 1013904223;
        for (volatile uint32_t pause = state >> 26; pause; pause--) {
        }
        credit_give(rally->credit, 1);
    }
}

static void a_credit_that_comes_back_meanwhile_is_seen(void)
{
    const char *given = getenv("SIGNALBOX_TEST_LONG");
    struct rally rally = {.rounds = given && *given ? 500000 : 200000};
    struct credit_pool *pool = pool_of(1);
    struct mailbox *wake = box_new();
    rally.credit = credit_of(pool, 1, wake);
    struct test_threads giver = test_threads_start(1, return_each, &rally);
    bool lost = false;
    for (int64_t round = 1; round <= rally.rounds && !lost; round++) {
        credit_take(rally.credit, 1);
        atomic_store(&rally.served, round);
        while (!lost && credit_exhausted(rally.credit, 0)) {
            struct instant deadline = instant_after_ms(clock_now(), PATIENCE_MS);
            mailbox_wait(wake, deadline);
            lost = instant_reached(deadline, clock_now());
        }
    }
    atomic_store(&rally.over, lost);
    test_threads_join(&giver);
    CU_ASSERT_FALSE(lost);
    CU_ASSERT_EQUAL(credit_pool_used(pool), 0);
    credit_put(rally.credit);
    credit_pool_free(pool);
    mailbox_free(wake);
}

TEST_MAIN("credit", TEST(a_credit_runs_out_and_comes_back), TEST(exactly_nothing_left_is_exhausted),
          TEST(the_pool_is_shared), TEST(a_fair_pool_holds_back_who_has_much_on_its_way),
          TEST(a_reference_keeps_it), TEST(who_waits_is_always_woken),
          TEST(a_credit_that_comes_back_meanwhile_is_seen))
