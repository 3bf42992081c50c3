#include "memory_answers.h"

#include <stdlib.h>
#include <string.h>

enum err memory_answers_stage(struct memory_answers *answers, const struct stored_answer *from,
                              struct stored_answer *copy)
{
    size_t needed = answers->count + answers->staged + 1;
    if (needed > answers->capacity) {
        struct stored_answer *grown = realloc(answers->items, needed * 2 * sizeof(*grown));
        if (grown == NULL) {
            return ERR_NOMEM;
        }
        answers->items = grown;
        answers->capacity = needed * 2;
    }
    answers->staged++;
    return stored_answer_copy(copy, from);
}

static size_t place_of(const struct memory_answers *answers, const struct digest *name)
{
    size_t at = 0;
    while (at < answers->count && !digest_equal(&answers->items[at].name, name)) {
        at++;
    }
    return at;
}

static void remove_at(struct memory_answers *answers, size_t at)
{
    stored_answer_clear(&answers->items[at]);
    answers->count--;
    memmove(&answers->items[at], &answers->items[at + 1],
            (answers->count - at) * sizeof(*answers->items));
}

void memory_answers_put(struct memory_answers *answers, const struct stored_answer *answer)
{
    size_t before = place_of(answers, &answer->name);
    if (before < answers->count) {
        remove_at(answers, before);
    }
    answers->items[answers->count++] = *answer;
}

void memory_answers_expire(struct memory_answers *answers, int64_t before, uint32_t limit)
{
    for (size_t at = 0; at < answers->count && limit > 0;) {
        if (answers->items[at].at < before) {
            remove_at(answers, at);
            limit--;
        } else {
            at++;
        }
    }
}

const struct stored_answer *memory_answers_find(const struct memory_answers *answers,
                                                const struct digest *name)
{
    size_t at = place_of(answers, name);
    return at < answers->count ? &answers->items[at] : NULL;
}

void memory_answers_clear(struct memory_answers *answers)
{
    while (answers->count > 0) {
        remove_at(answers, answers->count - 1);
    }
    free(answers->items);
    *answers = (struct memory_answers){0};
}
