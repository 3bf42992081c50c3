#include "signalbox/core/places.h"

#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/need.h"

struct place_user {
    struct place_user *next, *previous; /* the ring */
    char *name;
    struct place_wait *first, **last; /* by age */
    size_t count;
    struct place_wait *at; /* of places_each */
};

static struct place_user *user_of(struct places *places, const char *name)
{
    struct place_user *user = places->turn;
    while (user) {
        if (!strcmp(user->name, name)) {
            return user;
        }
        user = user->next == places->turn ? NULL : user->next;
    }
    user = need_zero(sizeof(*user));
    user->name = need_copy(name);
    user->last = &user->first;
    struct place_user *turn = places->turn;
    if (turn) {
        user->next = turn;
        user->previous = turn->previous;
        turn->previous->next = user;
        turn->previous = user;
    } else {
        user->next = user->previous = user;
        places->turn = user;
    }
    return user;
}

static void leave_ring(struct places *places, struct place_user *user)
{
    if (places->turn == user) {
        places->turn = user->next == user ? NULL : user->next;
    }
    user->previous->next = user->next;
    user->next->previous = user->previous;
    free(user->name);
    free(user);
}

void places_add(struct places *places, struct place_wait *place, const char *user)
{
    CHECK(!place_waits(place));
    place->user = user_of(places, user);
    place->next = NULL;
    *place->user->last = place;
    place->user->last = &place->next;
    place->user->count++;
    places->count++;
}

void places_remove(struct places *places, struct place_wait *place)
{
    struct place_user *user = place->user;
    if (!user) {
        return;
    }
    struct place_wait **at = &user->first;
    while (*at != place) {
        at = &(*at)->next;
    }
    *at = place->next;
    if (!place->next) {
        user->last = at;
    }
    user->count--;
    places->count--;
    *place = (struct place_wait){0};
    if (!user->count) {
        leave_ring(places, user);
    }
}

struct place_wait *places_take(struct places *places)
{
    struct place_user *user = places->turn;
    if (!user) {
        return NULL;
    }
    struct place_wait *place = user->first;
    places->turn = user->next;
    places_remove(places, place);
    return place;
}

size_t places_before(const struct places *places, const struct place_wait *place)
{
    size_t index = 0; /* of those of its own user */
    for (const struct place_wait *other = place->user->first; other != place; other = other->next) {
        index++;
    }
    size_t before = index;
    bool passed = false; /* its own user, in the ring */
    const struct place_user *user = places->turn;
    do {
        if (user == place->user) {
            passed = true;
        } else {
            size_t rounds = index + (passed ? 0 : 1);
            before += user->count < rounds ? user->count : rounds;
        }
        user = user->next;
    } while (user != places->turn);
    return before;
}

void places_each(struct places *places, void (*visit)(struct place_wait *place, size_t before, void *context), void *context)
{
    struct place_user *user = places->turn;
    while (user) {
        user->at = user->first;
        user = user->next == places->turn ? NULL : user->next;
    }
    user = places->turn;
    for (size_t before = 0; before < places->count; user = user->next) {
        struct place_wait *place = user->at;
        if (place) {
            user->at = place->next;
            visit(place, before++, context);
        }
    }
}
