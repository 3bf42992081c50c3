#pragma once
/*
 * Makes the n-th allocation fail, to see that running out of memory is returned and leaks nothing.
 * For a test program of one source file: tests/CMakeLists.txt gives every one that includes this
 * file the linker's
 * --wrap options, so that all allocations of our own objects come by here (those inside of shared
 * libraries do not).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

static _Atomic(long) oom_countdown = -1; /* the allocation that gets 0 fails; negative: none does */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static inline bool oom_now(void)
{
    return atomic_load(&oom_countdown) >= 0 && atomic_fetch_sub(&oom_countdown, 1) == 0;
}

void *__wrap_malloc(size_t size)
{
    return oom_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return oom_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return oom_now() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return oom_now() ? NULL : __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return oom_now() ? NULL : __real_aligned_alloc(alignment, size);
}

/*
 * Calls `run` again and again, with the first, the second, the third ... allocation failing, until
 * one passes without a failure; returns how many failed. `run` must return true if it saw ERR_NOMEM
 * or all went well, and must free whatever it got.
 */
static inline size_t oom_each(bool (*run)(void), bool *all_fine)
{
    *all_fine = true;
    for (long failing = 0;; failing++) {
        atomic_store(&oom_countdown, failing);
        *all_fine &= run();
        bool reached = atomic_exchange(&oom_countdown, -1) < 0;
        if (!reached) {
            return (size_t)failing;
        }
    }
}
