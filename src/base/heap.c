#include "signalbox/base/heap.h"

#include <stdint.h>
#include <stdlib.h>

#include "signalbox/base/check.h"

void heap_free(struct heap *heap)
{
    for (size_t place = 0; place < heap->count; place++) {
        heap->nodes[place]->index = 0;
    }
    free(heap->nodes);
    *heap = (struct heap){0};
}

enum err heap_reserve(struct heap *heap, size_t more)
{
    size_t needed;
    if (__builtin_add_overflow(heap->count, more, &needed) || needed > SIZE_MAX / 16) {
        return ERR_NOMEM;
    }
    if (needed <= heap->capacity) {
        return ERR_OK;
    }
    size_t capacity = heap->capacity ? heap->capacity : 64;
    while (capacity < needed) {
        capacity *= 2;
    }
    struct heap_node **nodes = reallocarray(heap->nodes, capacity, sizeof(*nodes));
    if (!nodes) {
        return ERR_NOMEM;
    }
    heap->nodes = nodes;
    heap->capacity = capacity;
    return ERR_OK;
}

static void put(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place] = node;
    node->index = place + 1;
}

static void sift_up(struct heap *heap, size_t place, struct heap_node *node)
{
    while (place > 0) {
        size_t parent = (place - 1) / 2;
        if (heap->nodes[parent]->at.ns <= node->at.ns) {
            break;
        }
        put(heap, place, heap->nodes[parent]);
        place = parent;
    }
    put(heap, place, node);
}

static void sift_down(struct heap *heap, size_t place, struct heap_node *node)
{
    for (;;) {
        size_t child = place * 2 + 1;
        if (child >= heap->count) {
            break;
        }
        if (child + 1 < heap->count && heap->nodes[child + 1]->at.ns < heap->nodes[child]->at.ns) {
            child++;
        }
        if (node->at.ns <= heap->nodes[child]->at.ns) {
            break;
        }
        put(heap, place, heap->nodes[child]);
        place = child;
    }
    put(heap, place, node);
}

enum err heap_add(struct heap *heap, struct heap_node *node)
{
    CHECK(node->index == 0);
    enum err err = heap_reserve(heap, 1);
    if (err) {
        return err;
    }
    sift_up(heap, heap->count++, node);
    return ERR_OK;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->index == 0) {
        return;
    }
    size_t place = node->index - 1;
    CHECK(place < heap->count && heap->nodes[place] == node);
    node->index = 0;
    struct heap_node *last = heap->nodes[--heap->count];
    if (last == node) {
        return;
    }
    /* The last one comes from another branch: it may belong above this place as well as below. */
    if (place > 0 && last->at.ns < heap->nodes[(place - 1) / 2]->at.ns) {
        sift_up(heap, place, last);
    } else {
        sift_down(heap, place, last);
    }
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
