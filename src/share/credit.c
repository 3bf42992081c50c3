#include "signalbox/share/credit.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "signalbox/base/metrics.h"

struct credit_pool {
    _Atomic(int64_t) left;
    /* Who waits for the pool's credit is one thread, agent-stream, so one flag is enough. */
    _Atomic(bool) waiting;
    int64_t total, busy, fair;
};

struct credit {
    struct ref ref;
    struct credit_pool *pool;
    struct mailbox *wake;
    _Atomic(int64_t) left;
    _Atomic(bool) waiting;
    int64_t total;
};

enum err credit_pool_new(struct credit_pool **out, int64_t total_bytes)
{
    struct credit_pool *pool = calloc(1, sizeof(*pool));
    if (!pool) {
        return ERR_NOMEM;
    }
    pool->total = total_bytes;
    pool->busy = INT64_MAX;
    atomic_init(&pool->left, total_bytes);
    *out = pool;
    return ERR_OK;
}

void credit_pool_fair(struct credit_pool *pool, int64_t busy_bytes, int64_t fair_bytes)
{
    pool->busy = busy_bytes;
    pool->fair = fair_bytes;
}

void credit_pool_free(struct credit_pool *pool)
{
    free(pool);
}

enum err credit_new(struct credit **out, struct credit_pool *pool, int64_t bytes, struct mailbox *wake)
{
    struct credit *credit = calloc(1, sizeof(*credit));
    if (!credit) {
        return ERR_NOMEM;
    }
    ref_init(&credit->ref);
    credit->pool = pool;
    credit->wake = wake;
    credit->total = bytes;
    atomic_init(&credit->left, bytes);
    *out = credit;
    return ERR_OK;
}

struct credit *credit_get(struct credit *credit)
{
    ref_get(&credit->ref);
    return credit;
}

void credit_put(struct credit *credit)
{
    if (credit && ref_put(&credit->ref)) {
        free(credit);
    }
}

void credit_take(struct credit *credit, int64_t bytes)
{
    atomic_fetch_sub(&credit->left, bytes);
    atomic_fetch_sub(&credit->pool->left, bytes);
    metric_add(METRIC_CREDIT_BYTES, bytes);
}

void credit_give(struct credit *credit, int64_t bytes)
{
    atomic_fetch_add(&credit->left, bytes);
    atomic_fetch_add(&credit->pool->left, bytes);
    metric_add(METRIC_CREDIT_BYTES, -bytes);
    /* seq_cst: either this sees the flag, or credit_exhausted, which sets it first, sees the credit. */
    bool own = atomic_exchange(&credit->waiting, false);
    bool shared = atomic_exchange(&credit->pool->waiting, false);
    if (own || shared) {
        mailbox_poke(credit->wake);
    }
}

static bool is_exhausted(const struct credit *credit, int64_t bytes)
{
    const struct credit_pool *pool = credit->pool;
    int64_t own = atomic_load(&credit->left);
    int64_t all = atomic_load(&pool->left);
    return own <= 0 || all <= 0 ||
           (pool->total - all >= pool->busy && credit->total - own + bytes >= pool->fair);
}

bool credit_exhausted(struct credit *credit, int64_t bytes)
{
    if (!is_exhausted(credit, bytes)) {
        return false;
    }
    atomic_store(&credit->waiting, true);
    atomic_store(&credit->pool->waiting, true);
    return is_exhausted(credit, bytes);
}

int64_t credit_pool_left(const struct credit_pool *pool)
{
    return atomic_load(&pool->left);
}

int64_t credit_pool_used(const struct credit_pool *pool)
{
    return pool->total - atomic_load_explicit(&pool->left, memory_order_relaxed); /* a figure for people */
}
