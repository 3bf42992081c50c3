#include "signalbox/base/heap.h"

#include "support/test.h"

enum { NODES = 2000 };

/* A fixed sequence (xorshift), so that a failure can be repeated. */
static uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void nodes_come_out_in_order(void)
{
    struct heap heap = {0};
    static struct heap_node nodes[NODES];
    uint64_t state = 42;
    memset(nodes, 0, sizeof(nodes));
    CU_ASSERT_PTR_NULL(heap_first(&heap));
    for (size_t index = 0; index < NODES; index++) {
        nodes[index].at.ns = (int64_t)(next_number(&state) % 500); /* with equals */
        CU_ASSERT_EQUAL_FATAL(heap_add(&heap, &nodes[index]), ERR_OK);
    }
    int64_t before = -1;
    size_t count = 0;
    struct heap_node *node;
    while ((node = heap_first(&heap))) {
        CU_ASSERT_TRUE(node->at.ns >= before);
        before = node->at.ns;
        heap_remove(&heap, node);
        CU_ASSERT_EQUAL(node->index, 0);
        count++;
    }
    CU_ASSERT_EQUAL(count, NODES);
    heap_free(&heap);
}

static void any_node_can_be_removed(void)
{
    struct heap heap = {0};
    static struct heap_node nodes[NODES];
    uint64_t state = 7;
    memset(nodes, 0, sizeof(nodes));
    for (int round = 0; round < 20000; round++) {
        struct heap_node *node = &nodes[next_number(&state) % NODES];
        if (node->index) {
            heap_remove(&heap, node);
        } else {
            node->at.ns = (int64_t)(next_number(&state) % 100000);
            CU_ASSERT_EQUAL_FATAL(heap_add(&heap, node), ERR_OK);
        }
    }
    size_t inside = 0, wrong = 0;
    for (size_t index = 0; index < NODES; index++) {
        inside += nodes[index].index > 0;
    }
    for (size_t place = 0; place < heap.count; place++) {
        wrong += heap.nodes[place]->index != place + 1;
        wrong += place > 0 && heap.nodes[(place - 1) / 2]->at.ns > heap.nodes[place]->at.ns;
    }
    CU_ASSERT_EQUAL(inside, heap.count);
    CU_ASSERT_EQUAL(wrong, 0);
    heap_free(&heap);
    CU_ASSERT_EQUAL(nodes[0].index, 0);
}

static void removing_what_is_not_there_is_fine(void)
{
    struct heap heap = {0};
    struct heap_node node = {0};
    heap_remove(&heap, &node);
    CU_ASSERT_EQUAL(heap.count, 0);
    heap_free(&heap);
}

static void reserved_places_are_there(void)
{
    struct heap heap = {0};
    CU_ASSERT_EQUAL_FATAL(heap_reserve(&heap, 100), ERR_OK);
    CU_ASSERT_TRUE(heap.capacity >= 100);
    CU_ASSERT_EQUAL(heap_reserve(&heap, SIZE_MAX / 2), ERR_NOMEM);
    CU_ASSERT_TRUE(heap.capacity >= 100);
    heap_free(&heap);
}

TEST_MAIN("heap", TEST(nodes_come_out_in_order), TEST(any_node_can_be_removed),
          TEST(removing_what_is_not_there_is_fine), TEST(reserved_places_are_there))
