#pragma once
/*
 * Who waits for a free place, in a fair order: users take turns (round-robin), and of one user's the one that has
 * waited longest is next. So a user who wants a hundred at once makes nobody else wait for more than one of them.
 * Pure, of one thread.
 */
#include <stdbool.h>
#include <stddef.h>

/* Part of what waits. All zero: it does not wait. */
struct place_wait {
    struct place_wait *next;
    struct place_user *user; /* NULL: it does not wait */
};

struct places {
    struct place_user *turn; /* a ring, by whose turn is next; NULL: nobody waits */
    size_t count;
};

/* It waits; the user's name is copied. A user who had none waiting is the last in the ring. */
void places_add(struct places *places, struct place_wait *place, const char *user);
static inline bool place_waits(const struct place_wait *place)
{
    return place->user != NULL;
}
/* It waits no more; fine if it did not. The turn stays whose it was. */
void places_remove(struct places *places, struct place_wait *place);
/* Who is next, who then waits no more, and whose user's turn is over. NULL: nobody waits. */
struct place_wait *places_take(struct places *places);
/* How many are before this one, as things stand. */
size_t places_before(const struct places *places, const struct place_wait *place);
/* Each one that waits, in the order in which they will get a place, as things stand. `visit` may not change who waits. */
void places_each(struct places *places, void (*visit)(struct place_wait *place, size_t before, void *context), void *context);
