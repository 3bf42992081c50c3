#pragma once
/* Session logs for tests of folding: made at random, folded as replay and store would do it. All of
 * it aborts when out of memory or when folding fails. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fold_log_row {
    uint64_t from, seq;
    char *json;
    size_t length;
};
struct fold_log {
    struct fold_log_row *rows;
    size_t count, capacity;
};

uint64_t fold_random(uint64_t *state);
size_t fold_below(uint64_t *state, size_t limit); /* 0 to limit - 1 */

/* A copy of `json` is added. */
void fold_log_add(struct fold_log *log, uint64_t from, uint64_t seq, const char *json,
                  size_t length);
void fold_log_free(struct fold_log *log);
void fold_log_copy(struct fold_log *to, const struct fold_log *from);

/* At least `length` events; it ends anywhere. `strict`: nothing is open outside of turns. */
void fold_log_make(struct fold_log *log, uint64_t seed, size_t length, bool strict);
/* Every choice is the next byte of `bytes`; it ends with them. */
void fold_log_make_of(struct fold_log *log, const uint8_t *bytes, size_t count);

/* Events up to `head` for a client at `after`, noting from row number `begin` on; the last row read
 * may lie above. Returns fold_unsafe. */
uint64_t fold_log_replay(const struct fold_log *log, uint64_t begin, uint64_t after, uint64_t head,
                         struct fold_log *out);
/* As a store folds: the rows with numbers from `first` to `last`, in place. */
void fold_log_compact(struct fold_log *log, uint64_t first, uint64_t last);
/* The last turn_started at or before `seq`; 1 if there is none. */
uint64_t fold_log_turn(const struct fold_log *log, uint64_t seq);
