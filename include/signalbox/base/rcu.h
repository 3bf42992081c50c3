#pragma once
/*
 * Everything of liburcu but the queue (mailbox.h): the default flavour (memb), its hash table, and their
 * quirks. No other file includes liburcu.
 *
 * A reader must be registered (thread_start does it for roles that say so, rcu_thread_enter for threads that
 * others made), and so must a writer of a map. A read section looks something up, takes a reference and
 * leaves; no I/O, no lock, one exit.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu.h>
#include <urcu/rculfhash.h>

#include "signalbox/base/err.h"

/* Registers the calling thread, once, until it ends (unregistered by a pthread-key destructor). For threads
 * that are not ours, such as CivetWeb's. Idempotent. */
must_check enum err rcu_thread_enter(void);
/* The same for a thread that ends by itself what it began: thread.c's. */
void rcu_thread_register(void);
void rcu_thread_unregister(void);

/* In a ThreadSanitizer build these tell it what liburcu guarantees. */
#ifdef __SANITIZE_THREAD__
void rcu_annotated_read_unlock(void);
void rcu_annotated_synchronize(void);
void rcu_annotated_barrier(void);
#undef rcu_read_unlock
#undef synchronize_rcu
#undef rcu_barrier
#define rcu_read_unlock rcu_annotated_read_unlock
#define synchronize_rcu rcu_annotated_synchronize
#define rcu_barrier     rcu_annotated_barrier
#endif

/* A reference count whose last holder frees. ref_get_unless_zero is what a read section uses. */
struct ref {
    _Atomic(uint32_t) count;
};
void ref_init(struct ref *ref);
void ref_get(struct ref *ref);
must_check bool ref_get_unless_zero(struct ref *ref);
/* How many there are. Good for longer than the call only to who knows that nobody else can add one; what holders that
 * are gone did with the object is then seen. */
uint32_t ref_count(const struct ref *ref);
/* true: that was the last one, and the caller retires the object. */
must_check bool ref_put(struct ref *ref);

/* A map of fixed size from strings to embedded nodes. One writer thread; readers anywhere, inside a read
 * section. The key string belongs to the object and must not change while it is in the map. */
struct rcu_map;
struct rcu_map_node {
    struct cds_lfht_node node;
    const char *key;
};
/* `buckets` is rounded up to a power of two; the table never resizes itself. */
must_check enum err rcu_map_new(struct rcu_map **out, size_t buckets);
/* Only when empty and when no reader is left (after rcu_barrier). NULL is fine. */
void rcu_map_free(struct rcu_map *map);
/* ERR_EXIST if the key is there. */
must_check enum err rcu_map_add(struct rcu_map *map, struct rcu_map_node *node);
/* The node may be freed only by call_rcu from here on. */
void rcu_map_remove(struct rcu_map *map, struct rcu_map_node *node);
/* NULL if not there. Good until the read section ends. */
struct rcu_map_node *rcu_map_find(struct rcu_map *map, const char *key);
/* Calls `visit` for each node; the calling thread must be in a read section. */
void rcu_map_each(struct rcu_map *map, void (*visit)(struct rcu_map_node *, void *), void *context);
size_t rcu_map_count(const struct rcu_map *map);

/* call_rcu and rcu_assign_pointer/rcu_dereference with the annotations ThreadSanitizer needs. `publish`
 * stores so that a reader of `subscribe` sees what was written before. */
void rcu_retire(struct rcu_head *head, void (*free_it)(struct rcu_head *));
#define rcu_publish(pointer_to_atomic, value) atomic_store_explicit((pointer_to_atomic), (value), memory_order_release)
#define rcu_subscribe(pointer_to_atomic) atomic_load_explicit((pointer_to_atomic), memory_order_acquire)
