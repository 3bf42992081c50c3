#include "signalbox/base/rcu.h"

#include "signalbox/base/check.h"
#include "signalbox/base/thread.h"
#include "support/test.h"

struct thing {
    struct ref ref;
    struct rcu_map_node node;
    struct rcu_head retired;
    char key[24];
    uint64_t value, twice;
};

static _Atomic(size_t) freed;

static struct thing *thing_of(struct rcu_map_node *node)
{
    return container_of(node, struct thing, node);
}

static struct thing *thing_new(uint64_t value)
{
    struct thing *thing = calloc(1, sizeof(*thing));
    if (!thing) {
        abort();
    }
    ref_init(&thing->ref);
    thing->value = value;
    thing->twice = value * 2;
    snprintf(thing->key, sizeof(thing->key), "key-%llu", (unsigned long long)value);
    thing->node.key = thing->key;
    return thing;
}

static void thing_free(struct rcu_head *head)
{
    free(container_of(head, struct thing, retired));
    atomic_fetch_add(&freed, 1);
}

static void thing_put(struct thing *thing)
{
    if (ref_put(&thing->ref)) {
        rcu_retire(&thing->retired, thing_free);
    }
}

static struct rcu_map *map_new(size_t buckets)
{
    struct rcu_map *map = NULL;
    CU_ASSERT_EQUAL_FATAL(rcu_thread_enter(), ERR_OK);
    CU_ASSERT_EQUAL_FATAL(rcu_map_new(&map, buckets), ERR_OK);
    return map;
}

static void sum_values(struct rcu_map_node *node, void *context)
{
    *(uint64_t *)context += thing_of(node)->value;
}

static void what_is_added_is_found(void)
{
    enum { THINGS = 500 };
    struct rcu_map *map = map_new(100); /* rounded up; several things a bucket */
    static struct thing *things[THINGS];
    atomic_store(&freed, 0);
    for (uint64_t value = 0; value < THINGS; value++) {
        things[value] = thing_new(value);
        CU_ASSERT_EQUAL(rcu_map_add(map, &things[value]->node), ERR_OK);
    }
    CU_ASSERT_EQUAL(rcu_map_count(map), THINGS);

    struct thing *twin = thing_new(7);
    CU_ASSERT_EQUAL(rcu_map_add(map, &twin->node), ERR_EXIST);
    free(twin);

    uint64_t sum = 0;
    rcu_read_lock();
    for (uint64_t value = 0; value < THINGS; value++) {
        CU_ASSERT_PTR_EQUAL(rcu_map_find(map, things[value]->key), &things[value]->node);
    }
    CU_ASSERT_PTR_NULL(rcu_map_find(map, "key-"));
    CU_ASSERT_PTR_NULL(rcu_map_find(map, ""));
    rcu_map_each(map, sum_values, &sum);
    rcu_read_unlock();
    CU_ASSERT_EQUAL(sum, THINGS * (THINGS - 1) / 2);

    for (size_t index = 0; index < THINGS; index++) {
        rcu_map_remove(map, &things[index]->node);
        thing_put(things[index]);
    }
    rcu_read_lock();
    CU_ASSERT_PTR_NULL(rcu_map_find(map, "key-7"));
    rcu_read_unlock();
    CU_ASSERT_EQUAL(rcu_map_count(map), 0);
    rcu_barrier();
    CU_ASSERT_EQUAL(atomic_load(&freed), THINGS);
    rcu_map_free(map);
    rcu_map_free(NULL);
}

static void references_end_with_the_last(void)
{
    struct ref ref;
    ref_init(&ref);
    ref_get(&ref);
    CU_ASSERT_TRUE(ref_get_unless_zero(&ref));
    CU_ASSERT_FALSE(ref_put(&ref));
    CU_ASSERT_FALSE(ref_put(&ref));
    CU_ASSERT_TRUE(ref_put(&ref));
    CU_ASSERT_FALSE(ref_get_unless_zero(&ref));
}

static void entering_twice_is_fine(void)
{
    CU_ASSERT_EQUAL(rcu_thread_enter(), ERR_OK);
    CU_ASSERT_EQUAL(rcu_thread_enter(), ERR_OK);
}

/* One writer adds and removes; readers look up, take references, and look at what they hold. */
enum { KEYS = 16, ROUNDS = 4000, READERS = 3 };

struct shared {
    struct rcu_map *map;
    _Atomic(bool) stop;
    _Atomic(struct thing *) newest;
    _Atomic(size_t) found, wrong;
};

static void look_at(struct shared *shared, struct thing *thing)
{
    if (thing->twice != thing->value * 2) {
        atomic_fetch_add(&shared->wrong, 1);
    }
    atomic_fetch_add(&shared->found, 1);
    thing_put(thing);
}

static void read_until_stopped(struct shared *shared, size_t number)
{
    char key[24];
    for (uint64_t round = number; !atomic_load(&shared->stop); round++) {
        snprintf(key, sizeof(key), "key-%llu", (unsigned long long)(round % KEYS));
        rcu_read_lock();
        struct rcu_map_node *node = rcu_map_find(shared->map, key);
        struct thing *thing = node ? thing_of(node) : NULL;
        if (thing && !ref_get_unless_zero(&thing->ref)) {
            thing = NULL;
        }
        rcu_read_unlock();
        if (thing) {
            look_at(shared, thing);
        }

        rcu_read_lock();
        struct thing *newest = rcu_subscribe(&shared->newest);
        if (newest && !ref_get_unless_zero(&newest->ref)) {
            newest = NULL;
        }
        rcu_read_unlock();
        if (newest) {
            look_at(shared, newest);
        }
    }
}

static void read_in_foreign_thread(size_t number, void *context)
{
    /* Like CivetWeb's threads: registered here, unregistered when the thread ends. */
    if (rcu_thread_enter() != ERR_OK || rcu_thread_enter() != ERR_OK) {
        abort();
    }
    read_until_stopped(context, number);
}

static void read_in_own_thread(void *context)
{
    thread_check(THREAD_SOCKET);
    if (strcmp(thread_name(), "socket/1") != 0 || rcu_thread_enter() != ERR_OK) {
        abort();
    }
    read_until_stopped(context, 0);
}

static void publish(struct shared *shared, struct thing *thing)
{
    struct thing *before = atomic_load(&shared->newest);
    if (thing) {
        ref_get(&thing->ref);
    }
    rcu_publish(&shared->newest, thing);
    if (before) {
        thing_put(before);
    }
}

static void readers_never_see_what_was_freed(void)
{
    struct shared shared = {.map = map_new(4)};
    struct thing *things[KEYS] = {0};
    struct thread own = {0};
    size_t made = 0;
    atomic_store(&freed, 0);
    CU_ASSERT_EQUAL_FATAL(thread_start(&own, THREAD_SOCKET, 1, true, read_in_own_thread, &shared),
                          ERR_OK);
    struct test_threads readers = test_threads_start(READERS, read_in_foreign_thread, &shared);
    for (size_t round = 0; round < ROUNDS || atomic_load(&shared.found) < 100; round++) {
        size_t key = round * 7 % KEYS;
        if (things[key]) {
            rcu_map_remove(shared.map, &things[key]->node);
            thing_put(things[key]);
        }
        things[key] = thing_new(key);
        made++;
        CU_ASSERT_EQUAL(rcu_map_add(shared.map, &things[key]->node), ERR_OK);
        publish(&shared, things[key]);
    }
    atomic_store(&shared.stop, true);
    test_threads_join(&readers);
    thread_join(&own);
    publish(&shared, NULL);
    for (size_t key = 0; key < KEYS; key++) {
        rcu_map_remove(shared.map, &things[key]->node);
        thing_put(things[key]);
    }
    rcu_barrier();
    CU_ASSERT_EQUAL(atomic_load(&freed), made);
    CU_ASSERT_EQUAL(shared.wrong, 0);
    CU_ASSERT_TRUE(shared.found >= 100);
    rcu_map_free(shared.map);
}

TEST_MAIN("rcu", TEST(references_end_with_the_last), TEST(entering_twice_is_fine),
          TEST(what_is_added_is_found), TEST(readers_never_see_what_was_freed))
