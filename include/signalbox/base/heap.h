#pragma once
/* A binary min-heap of embedded nodes, ordered by instant. Owned by one thread. */
#include <stdbool.h>
#include <stddef.h>

#include "signalbox/base/clock.h"
#include "signalbox/base/err.h"

struct heap_node {
    struct instant at;
    size_t index; /* its place plus 1; 0 while it is in no heap */
};
struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
};
void heap_free(struct heap *heap);
/* ERR_NOMEM leaves the heap as it was. `node->at` is set by the caller. */
must_check enum err heap_add(struct heap *heap, struct heap_node *node);
/* Makes sure that `more` adds will not fail. */
must_check enum err heap_reserve(struct heap *heap, size_t more);
void heap_remove(struct heap *heap, struct heap_node *node); /* one that is in no heap is fine */
struct heap_node *heap_first(const struct heap *heap);       /* NULL when empty */
