#include "signalbox/base/rcu.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "signalbox/base/check.h"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#include <semaphore.h>
/*
 * ThreadSanitizer does not see into liburcu. What it must know: a node's content is written before
 * the node is found (by the node's address); all that was read in read sections is read before
 * anything is reclaimed; all that was reclaimed is so before rcu_barrier returns.
 */
static char sections_ended, reclaimed;

#define handed_over(address) __tsan_release((void *)(address))
#define taken_over(address)  __tsan_acquire((void *)(address))

void rcu_annotated_read_unlock(void)
{
    handed_over(&sections_ended);
    urcu_memb_read_unlock();
}

void rcu_annotated_synchronize(void)
{
    urcu_memb_synchronize_rcu();
    taken_over(&sections_ended);
}

/* liburcu's own barrier hands a small allocation to the thread that frees it, ordered by inline
 * assembly. Callbacks run in order, in one thread, so one of ours is a barrier as well. */
struct barrier {
    struct rcu_head head;
    sem_t passed;
};

static void pass(struct rcu_head *head)
{
    taken_over(head);
    sem_post(&container_of(head, struct barrier, head)->passed);
}

void rcu_annotated_barrier(void)
{
    struct barrier barrier;
    CHECK(sem_init(&barrier.passed, 0, 0) == 0);
    handed_over(&barrier.head);
    call_rcu(&barrier.head, pass);
    while (sem_wait(&barrier.passed) != 0) {
        CHECK(errno == EINTR);
    }
    sem_destroy(&barrier.passed);
    taken_over(&reclaimed);
}

/* liburcu calls back with the head that it was given, so the annotation needs a head of its own. */
struct retired {
    struct rcu_head head;
    struct rcu_head *target;
    void (*free_it)(struct rcu_head *);
};

static void reclaim(struct rcu_head *head)
{
    taken_over(head);
    taken_over(&sections_ended);
    struct retired *retired = container_of(head, struct retired, head);
    retired->free_it(retired->target);
    free(retired);
    handed_over(&reclaimed);
}

void rcu_retire(struct rcu_head *head, void (*free_it)(struct rcu_head *))
{
    struct retired *retired = malloc(sizeof(*retired));
    CHECK(retired); /* this build only */
    retired->target = head;
    retired->free_it = free_it;
    handed_over(&retired->head);
    call_rcu(&retired->head, reclaim);
}
#else
#define handed_over(address) ((void)(address))
#define taken_over(address)  ((void)(address))

void rcu_retire(struct rcu_head *head, void (*free_it)(struct rcu_head *))
{
    call_rcu(head, free_it);
}
#endif

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;
static _Thread_local bool registered;

void rcu_thread_register(void)
{
    CHECK(!registered);
    rcu_register_thread();
    registered = true;
}

void rcu_thread_unregister(void)
{
    CHECK(registered);
    rcu_unregister_thread();
    registered = false;
}

static void thread_ends(void *unused)
{
    (void)unused;
    rcu_thread_unregister();
}

static void make_key(void)
{
    key_made = pthread_key_create(&key, thread_ends) == 0;
}

enum err rcu_thread_enter(void)
{
    if (registered) {
        return ERR_OK;
    }
    pthread_once(&key_once, make_key);
    if (!key_made || pthread_setspecific(key, &registered) != 0) {
        return ERR_NOMEM;
    }
    rcu_thread_register();
    return ERR_OK;
}

void ref_init(struct ref *ref)
{
    atomic_init(&ref->count, 1);
}

void ref_get(struct ref *ref)
{
    /* Relaxed: who copies a reference has one already, so the object cannot go meanwhile. */
    CHECK(atomic_fetch_add_explicit(&ref->count, 1, memory_order_relaxed) > 0);
}

uint32_t ref_count(const struct ref *ref)
{
    return atomic_load_explicit(&ref->count, memory_order_acquire);
}

bool ref_get_unless_zero(struct ref *ref)
{
    /* Relaxed: what the reader sees of the object was ordered by finding it. */
    uint32_t count = atomic_load_explicit(&ref->count, memory_order_relaxed);
    while (count > 0) {
        if (atomic_compare_exchange_weak_explicit(&ref->count, &count, count + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

bool ref_put(struct ref *ref)
{
    /* Release our use of the object, and acquire everybody's before it is freed. */
    uint32_t before = atomic_fetch_sub_explicit(&ref->count, 1, memory_order_acq_rel);
    CHECK(before > 0);
    return before == 1;
}

struct rcu_map {
    struct cds_lfht *table;
    _Atomic(size_t) count;
    uint64_t seed[2];
};

enum err rcu_map_new(struct rcu_map **out, size_t buckets)
{
    unsigned long size = 1;
    while (size < buckets && size < 1UL << 30) {
        size *= 2;
    }
    struct rcu_map *map = calloc(1, sizeof(*map));
    if (!map) {
        return ERR_NOMEM;
    }
    ssize_t got;
    do {
        got = getrandom(map->seed, sizeof(map->seed), 0);
    } while (got < 0 && errno == EINTR);
    CHECK(got == (ssize_t)sizeof(map->seed));
    /* Flags 0: AUTO_RESIZE adds a hidden reader thread and, in 0.13.2, a deadlock in destroy. */
    map->table = cds_lfht_new(size, size, size, 0, NULL);
    if (!map->table) {
        free(map);
        return ERR_NOMEM;
    }
    *out = map;
    return ERR_OK;
}

void rcu_map_free(struct rcu_map *map)
{
    if (!map) {
        return;
    }
    CHECK(cds_lfht_destroy(map->table, NULL) == 0);
    free(map);
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012, with fewer rounds): keys come from clients, who must
 * not be able to choose them so that they collide. */
static unsigned long hash_of(const struct rcu_map *map, const char *text)
{
    uint64_t v[4] = {
        map->seed[0] ^ UINT64_C(0x736f6d6570736575), map->seed[1] ^ UINT64_C(0x646f72616e646f6d),
        map->seed[0] ^ UINT64_C(0x6c7967656e657261), map->seed[1] ^ UINT64_C(0x7465646279746573)};
    size_t length = strlen(text), left = length;
    uint64_t word;

    for (; left >= sizeof(word); left -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, text, left);
    word |= (uint64_t)length << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return (unsigned long)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static int match(struct cds_lfht_node *node, const void *wanted)
{
    taken_over(node);
    return strcmp(container_of(node, struct rcu_map_node, node)->key, wanted) == 0;
}

enum err rcu_map_add(struct rcu_map *map, struct rcu_map_node *node)
{
    cds_lfht_node_init(&node->node);
    handed_over(&node->node);
    rcu_read_lock();
    struct cds_lfht_node *there =
        cds_lfht_add_unique(map->table, hash_of(map, node->key), match, node->key, &node->node);
    rcu_read_unlock();
    if (there != &node->node) {
        return ERR_EXIST;
    }
    /* Relaxed: a number for people, orders nothing. */
    atomic_fetch_add_explicit(&map->count, 1, memory_order_relaxed);
    return ERR_OK;
}

void rcu_map_remove(struct rcu_map *map, struct rcu_map_node *node)
{
    rcu_read_lock();
    int failure = cds_lfht_del(map->table, &node->node);
    rcu_read_unlock();
    CHECK(failure == 0);
    atomic_fetch_sub_explicit(&map->count, 1, memory_order_relaxed); /* as in rcu_map_add */
}

struct rcu_map_node *rcu_map_find(struct rcu_map *map, const char *wanted)
{
    struct cds_lfht_iter iterator;
    cds_lfht_lookup(map->table, hash_of(map, wanted), match, wanted, &iterator);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iterator);
    return node ? container_of(node, struct rcu_map_node, node) : NULL;
}

void rcu_map_each(struct rcu_map *map, void (*visit)(struct rcu_map_node *, void *), void *context)
{
    struct cds_lfht_iter iterator;
    struct cds_lfht_node *node;
    cds_lfht_for_each(map->table, &iterator, node) {
        taken_over(node);
        visit(container_of(node, struct rcu_map_node, node), context);
    }
}

size_t rcu_map_count(const struct rcu_map *map)
{
    return atomic_load_explicit(&map->count, memory_order_relaxed); /* as in rcu_map_add */
}
