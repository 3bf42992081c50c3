#pragma once
/* The remembered answers of the store in memory; guarded by its mutex. */
#include "signalbox/store/store.h"

struct memory_answers {
    struct stored_answer *items; /* in the order in which they came */
    size_t count, capacity;
    size_t staged; /* of the group that is being tried: they have room */
};

/* A copy of what is to be put, and the room for it. ERR_NOMEM. */
must_check enum err memory_answers_stage(struct memory_answers *answers, const struct stored_answer *from,
                                         struct stored_answer *copy);
/* Takes the staged copy, in the place of one with its name. */
void memory_answers_put(struct memory_answers *answers, const struct stored_answer *answer);
void memory_answers_expire(struct memory_answers *answers, int64_t before, uint32_t limit);
/* NULL if there is none. */
const struct stored_answer *memory_answers_find(const struct memory_answers *answers, const struct digest *name);
void memory_answers_clear(struct memory_answers *answers);
