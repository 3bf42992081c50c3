/* Who waits for a free place, and in which order they get it. */
#include "signalbox/core/places.h"

#include <stdlib.h>

#include "signalbox/base/check.h"
#include "support/test.h"

enum { MANY = 64 };
static struct places places;
static struct place_wait waiting[MANY];

static void begin(void)
{
    places = (struct places){0};
    memset(waiting, 0, sizeof(waiting));
}

static void add(size_t index, const char *user)
{
    places_add(&places, &waiting[index], user);
}

/* They are given out in this order, and each was told so before. */
static void expect_order(const size_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(places_before(&places, &waiting[order[i]]), i);
    }
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_EQUAL(places.count, count - i);
        struct place_wait *place = places_take(&places);
        CU_ASSERT_EQUAL(place - waiting, (ptrdiff_t)order[i]);
        CU_ASSERT_FALSE(place_waits(place));
    }
    CU_ASSERT_PTR_NULL(places_take(&places));
    CU_ASSERT_EQUAL(places.count, 0);
}
#define ORDER(...) expect_order((const size_t[]){__VA_ARGS__}, array_size(((const size_t[]){__VA_ARGS__})))

static void one_user_by_age(void)
{
    begin();
    for (size_t i = 0; i < 4; i++) {
        add(i, "ada");
    }
    ORDER(0, 1, 2, 3);
}

static void users_take_turns(void)
{
    begin();
    for (size_t i = 0; i < 5; i++) {
        add(i, "ada");
    }
    add(5, "bob");
    add(6, "cyd");
    add(7, "bob");
    ORDER(0, 5, 6, 1, 7, 2, 3, 4);
}

static void who_had_a_turn_waits_for_the_others(void)
{
    begin();
    add(0, "ada");
    add(1, "ada");
    add(2, "bob");
    CU_ASSERT_PTR_EQUAL(places_take(&places), &waiting[0]);
    add(3, "bob");
    add(4, "cyd");
    /* It is bob's turn, and ada's one has been there longest all the same. */
    ORDER(2, 1, 4, 3);
}

static void who_leaves_makes_room(void)
{
    begin();
    add(0, "ada");
    add(1, "ada");
    add(2, "bob");
    add(3, "ada");
    places_remove(&places, &waiting[1]);
    places_remove(&places, &waiting[1]); /* it is gone already */
    places_remove(&places, &waiting[2]); /* with it all of bob's */
    add(4, "ada"); /* the end of the list is right after a removal */
    places_remove(&places, &waiting[4]);
    add(5, "ada");
    ORDER(0, 3, 5);
    add(6, "ada");
    places_remove(&places, &waiting[6]);
    CU_ASSERT_PTR_NULL(places_take(&places));
}

static void visit(struct place_wait *place, size_t before, void *context)
{
    size_t *seen = context;
    CU_ASSERT_EQUAL(before, *seen);
    CU_ASSERT_EQUAL(places_before(&places, place), before);
    ++*seen;
}

/* Whatever comes and goes: between two turns of a user who waits, nobody else has two. */
static void nobody_has_two_turns_before_another_has_one(void)
{
    static const char *const users[] = {"ada", "bob", "cyd", "dan"};
    size_t of[MANY];
    srand(7);
    for (int round = 0; round < 200; round++) {
        begin();
        size_t count = 0;
        for (; count < MANY; count++) {
            of[count] = (size_t)rand() % array_size(users);
            add(count, users[of[count]]);
            if (rand() % 4 == 0) {
                places_remove(&places, &waiting[(size_t)rand() % (count + 1)]);
            }
        }
        size_t seen = 0;
        places_each(&places, visit, &seen);
        CU_ASSERT_EQUAL(seen, places.count);
        size_t turns[array_size(users)][array_size(users)] = {{0}}; /* [a][b]: of b since the last of a */
        for (struct place_wait *place; (place = places_take(&places));) {
            size_t user = of[place - waiting];
            bool waits[array_size(users)] = {false};
            for (size_t i = 0; i < count; i++) {
                waits[of[i]] |= place_waits(&waiting[i]);
            }
            for (size_t other = 0; other < array_size(users); other++) {
                turns[other][user]++;
                CU_ASSERT_TRUE(other == user || !waits[other] || turns[other][user] <= 1);
            }
            memset(turns[user], 0, sizeof(turns[user]));
        }
    }
}

TEST_MAIN("places", TEST(one_user_by_age), TEST(users_take_turns), TEST(who_had_a_turn_waits_for_the_others),
          TEST(who_leaves_makes_room), TEST(nobody_has_two_turns_before_another_has_one))
