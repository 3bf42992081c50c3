#include "topic_private.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/check.h"
#include "signalbox/base/thread.h"

/* Small sessions are many, so a tail begins small and its chunks grow. */
enum { CHUNK_BYTES_FIRST = 4096, CHUNK_BYTES_MAX = 65536, CHUNK_BYTES_PER_EVENT = 96 };

static size_t chunk_memory(size_t events, size_t bytes)
{
    return sizeof(struct topic_chunk) + events * (sizeof(int64_t) + sizeof(uint32_t)) + bytes;
}

static struct topic_chunk *chunk_new(uint64_t first, size_t bytes)
{
    size_t events = bytes / CHUNK_BYTES_PER_EVENT + 1;
    struct topic_chunk *chunk = malloc(chunk_memory(events, bytes));
    if (!chunk) {
        return NULL;
    }
    ref_init(&chunk->ref);
    atomic_init(&chunk->next, NULL);
    atomic_init(&chunk->count, 0);
    atomic_init(&chunk->form_bytes, 0);
    for (size_t form = 0; form < TOPIC_FORMS; form++) {
        atomic_init(&chunk->forms[form], NULL);
    }
    chunk->first = first;
    chunk->event_capacity = (uint32_t)events;
    chunk->byte_capacity = (uint32_t)bytes;
    chunk->line_at = (int64_t *)(void *)(chunk + 1);
    chunk->ends = (uint32_t *)(void *)(chunk->line_at + events);
    chunk->bytes = (char *)(chunk->ends + events);
    return chunk;
}

void topic_chunk_put(struct topic_chunk *chunk)
{
    if (chunk && ref_put(&chunk->ref)) {
        for (size_t form = 0; form < TOPIC_FORMS; form++) {
            topic_forms_free(atomic_load_explicit(&chunk->forms[form], memory_order_relaxed));
        }
        free(chunk);
    }
}

static void chunk_unlinked(struct rcu_head *head)
{
    topic_chunk_put(container_of(head, struct topic_chunk, rcu));
}

/* The writer's own look: nobody else changes count. */
static uint32_t chunk_count(const struct topic_chunk *chunk)
{
    return atomic_load_explicit(&chunk->count, memory_order_relaxed);
}

static uint32_t chunk_used(const struct topic_chunk *chunk)
{
    uint32_t count = chunk_count(chunk);
    return count ? chunk->ends[count - 1] : 0;
}

enum err topic_new(struct topic **out, const char *session_id, const char *epoch, int64_t session_key,
                   uint64_t head, const struct topic_limits *limits)
{
    if (strlen(session_id) > SESSION_ID_MAX || strlen(epoch) > EPOCH_MAX) {
        return ERR_INVAL;
    }
    struct topic *topic = calloc(1, sizeof(*topic) + limits->socket_threads * sizeof(topic->pokes[0]));
    if (!topic) {
        return ERR_NOMEM;
    }
    ref_init(&topic->ref);
    memcpy(topic->session_id, session_id, strlen(session_id) + 1);
    memcpy(topic->epoch, epoch, strlen(epoch) + 1);
    topic->node.key = topic->session_id;
    topic->session_key = session_key;
    atomic_init(&topic->head, head);
    atomic_init(&topic->first, head + 1);
    atomic_init(&topic->whole_from, head);
    atomic_init(&topic->folded_to, head);
    topic->squeeze.mail.kind = TOPIC_SQUEEZE_MAIL;
    atomic_init(&topic->squeeze.from, UINT64_MAX);
    topic->poke_count = limits->socket_threads;
    for (uint32_t i = 0; i < topic->poke_count; i++) {
        topic->pokes[i].mail.kind = TOPIC_POKE_MAIL;
        topic->pokes[i].topic = topic;
    }
    *out = topic;
    return ERR_OK;
}

struct topic *topic_get(struct topic *topic)
{
    ref_get(&topic->ref);
    return topic;
}

static void topic_free(struct rcu_head *head)
{
    struct topic *topic = container_of(head, struct topic, rcu);
    struct topic_chunk *chunk = atomic_load(&topic->oldest);
    while (chunk) {
        struct topic_chunk *next = atomic_load(&chunk->next);
        topic_chunk_put(chunk);
        chunk = next;
    }
    free(topic);
}

void topic_put(struct topic *topic)
{
    if (topic && ref_put(&topic->ref)) {
        rcu_retire(&topic->rcu, topic_free);
    }
}

static void tail_drop_oldest(struct topic *topic)
{
    struct topic_chunk *chunk = atomic_load_explicit(&topic->oldest, memory_order_relaxed);
    struct topic_chunk *next = atomic_load_explicit(&chunk->next, memory_order_relaxed);
    topic->tail_bytes -= chunk_used(chunk);
    topic->tail_events -= chunk_count(chunk);
    topic->tail_memory -= chunk_memory(chunk->event_capacity, chunk->byte_capacity);
    /* `first` moves before the chunk goes: a reader that still finds it by the old one has it until its section ends. */
    atomic_store(&topic->first, chunk->first + chunk_count(chunk));
    atomic_store_explicit(&topic->oldest, next, memory_order_release);
    if (!next) {
        topic->newest = NULL;
    }
    rcu_retire(&chunk->rcu, chunk_unlinked);
}

enum err topic_append(struct topic *topic, uint64_t seq, const struct frame *frame, struct instant line_at,
                      const struct topic_limits *limits)
{
    size_t length = frame_wire_length(frame);
    struct topic_chunk *chunk = topic->newest;

    if (!chunk || chunk_count(chunk) == chunk->event_capacity || chunk->byte_capacity - chunk_used(chunk) < length) {
        size_t bytes = chunk ? (size_t)chunk->byte_capacity * 2 : CHUNK_BYTES_FIRST;
        bytes = bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : bytes;
        struct topic_chunk *fresh = chunk_new(seq, bytes > length ? bytes : length);
        if (!fresh) {
            return ERR_NOMEM;
        }
        if (chunk) {
            atomic_store_explicit(&chunk->next, fresh, memory_order_release);
        } else {
            atomic_store(&topic->first, seq);
            atomic_store_explicit(&topic->oldest, fresh, memory_order_release);
        }
        topic->newest = chunk = fresh;
        topic->tail_memory += chunk_memory(fresh->event_capacity, fresh->byte_capacity);
    }
    uint32_t count = chunk_count(chunk);
    uint32_t used = chunk_used(chunk);
    CHECK(chunk->first + count == seq);
    memcpy(chunk->bytes + used, frame_wire(frame), length);
    chunk->ends[count] = used + (uint32_t)length;
    chunk->line_at[count] = line_at.ns;
    atomic_store_explicit(&chunk->count, count + 1, memory_order_release);
    topic->tail_bytes += length;
    topic->tail_events++;

    /* Never the newest: what was just appended stays readable, however large it is. */
    while ((topic->tail_bytes > limits->tail_bytes || topic->tail_events > limits->tail_events) &&
           atomic_load_explicit(&topic->oldest, memory_order_relaxed) != topic->newest) {
        tail_drop_oldest(topic);
    }
    return ERR_OK;
}

void topic_skip(struct topic *topic, uint64_t seq)
{
    while (topic->newest) {
        tail_drop_oldest(topic);
    }
    atomic_store(&topic->first, seq + 1);
}

void topic_trim(struct topic *topic)
{
    /* What was appended and is not published yet is committed, so it is in the store as well. */
    topic_skip(topic, topic->unpublished ? topic->appended
                                         : atomic_load_explicit(&topic->head, memory_order_relaxed));
}

void topic_poke_all(struct topic *topic, struct mailbox *const *socket_boxes)
{
    for (uint32_t i = 0; i < topic->poke_count; i++) {
        struct topic_poke *poke = &topic->pokes[i];
        /* seq_cst, like the watcher's count and its look at the head: either this sees the watcher, or the watcher
         * that has just been counted sees the new head. */
        if (atomic_load(&poke->watchers) && !atomic_exchange(&poke->flagged, 1)) {
            topic_get(topic); /* the mail's; the receiver puts it */
            mailbox_push(socket_boxes[i], &poke->mail);
        }
    }
}

void topic_publish(struct topic *topic, uint64_t head, struct mailbox *const *socket_boxes)
{
    atomic_store(&topic->head, head);
    topic_poke_all(topic, socket_boxes);
}

void topic_squeeze(struct topic *topic, uint64_t from, struct mailbox *deflate)
{
    struct topic_squeeze *squeeze = &topic->squeeze;
    uint64_t lowest = atomic_load(&squeeze->from);
    while (from < lowest && !atomic_compare_exchange_weak(&squeeze->from, &lowest, from)) {
    }
    /* The flag last, so that who takes the mail finds the number. */
    if (!atomic_exchange(&squeeze->flagged, 1)) {
        topic_get(topic); /* the mail's; the receiver puts it */
        mailbox_push(deflate, &squeeze->mail);
    }
}

bool topic_read(struct topic *topic, uint64_t from, uint64_t to, size_t max_bytes, struct topic_run *run)
{
    struct topic_chunk *chunk = atomic_load_explicit(&topic->oldest, memory_order_acquire);
    uint32_t count = 0;
    while (chunk) {
        count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        if (from < chunk->first) {
            return false;
        }
        if (from < chunk->first + count) {
            break;
        }
        chunk = atomic_load_explicit(&chunk->next, memory_order_acquire);
    }
    if (!chunk || !ref_get_unless_zero(&chunk->ref)) {
        return false;
    }
    uint32_t begin = (uint32_t)(from - chunk->first);
    uint32_t start = begin ? chunk->ends[begin - 1] : 0;
    uint64_t available = chunk->first + count - 1;
    uint32_t stop = (uint32_t)((to < available ? to : available) - chunk->first);

    /* The last frame that still fits, by bisection over the ends. */
    uint32_t low = begin, high = stop;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (chunk->ends[middle] - start <= max_bytes) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *run = (struct topic_run){.chunk = chunk, .bytes = chunk->bytes + start, .length = chunk->ends[low] - start,
                              .from = from, .last = chunk->first + low};
    return true;
}

uint64_t topic_run_locate(const struct topic_run *run, size_t offset, size_t *frame_start, size_t *frame_end)
{
    const struct topic_chunk *chunk = run->chunk;
    size_t start = (size_t)(run->bytes - chunk->bytes);
    uint32_t low = (uint32_t)(run->from - chunk->first), high = (uint32_t)(run->last - chunk->first);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (chunk->ends[middle] - start > offset) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *frame_start = (low ? chunk->ends[low - 1] : 0) - start;
    *frame_end = chunk->ends[low] - start;
    return chunk->first + low;
}

struct instant topic_run_line_at(const struct topic_run *run, uint64_t seq)
{
    return (struct instant){run->chunk->line_at[seq - run->chunk->first]};
}

const char *topic_run_frame(const struct topic_run *run, uint64_t seq, size_t *length)
{
    const struct topic_chunk *chunk = run->chunk;
    uint32_t index = (uint32_t)(seq - chunk->first);
    uint32_t start = index ? chunk->ends[index - 1] : 0;
    *length = chunk->ends[index] - start;
    return chunk->bytes + start;
}

void topic_run_cut(struct topic_run *run, uint64_t first, uint64_t last)
{
    const struct topic_chunk *chunk = run->chunk;
    uint32_t begin = (uint32_t)(first - chunk->first);
    uint32_t start = begin ? chunk->ends[begin - 1] : 0;
    run->bytes = chunk->bytes + start;
    run->length = chunk->ends[last - chunk->first] - start;
    run->from = first;
    run->last = last;
}

size_t topic_memory(const struct topic *topic)
{
    size_t bytes = topic->tail_memory;
    if (!atomic_load_explicit(&topic->has_forms, memory_order_relaxed)) {
        return bytes;
    }
    struct topic_chunk *chunk = atomic_load_explicit(&topic->oldest, memory_order_relaxed);
    for (; chunk; chunk = atomic_load_explicit(&chunk->next, memory_order_relaxed)) {
        bytes += atomic_load_explicit(&chunk->form_bytes, memory_order_relaxed);
    }
    return bytes;
}

bool topic_measure(struct topic *topic, uint64_t from, uint64_t to, size_t *bytes)
{
    size_t sum = 0;
    struct topic_chunk *chunk = atomic_load_explicit(&topic->oldest, memory_order_acquire);
    for (; chunk; chunk = atomic_load_explicit(&chunk->next, memory_order_acquire)) {
        uint32_t count = atomic_load_explicit(&chunk->count, memory_order_acquire);
        if (from < chunk->first) {
            return false;
        }
        if (from >= chunk->first + count) {
            continue;
        }
        uint32_t begin = (uint32_t)(from - chunk->first);
        uint64_t last = chunk->first + count - 1;
        uint32_t stop = (uint32_t)((to < last ? to : last) - chunk->first);
        sum += chunk->ends[stop] - (begin ? chunk->ends[begin - 1] : 0);
        if (to <= last) {
            *bytes = sum;
            return true;
        }
        from = last + 1;
    }
    return false;
}

static void lift(_Atomic(uint64_t) *known_to, uint64_t position)
{
    uint64_t known = atomic_load(known_to);
    while (known < position && !atomic_compare_exchange_weak(known_to, &known, position)) {
    }
}

void topic_whole_from(struct topic *topic, uint64_t position)
{
    lift(&topic->whole_from, position);
}

void topic_folded_to(struct topic *topic, uint64_t position)
{
    lift(&topic->folded_to, position);
    lift(&topic->whole_from, position);
}

/* ---- The map ---- */

struct topic_map {
    struct rcu_map *map;
};

enum err topic_map_new(struct topic_map **out, size_t buckets)
{
    struct topic_map *map = calloc(1, sizeof(*map));
    if (!map) {
        return ERR_NOMEM;
    }
    enum err err = rcu_map_new(&map->map, buckets);
    if (err) {
        free(map);
        return err;
    }
    *out = map;
    return ERR_OK;
}

void topic_map_free(struct topic_map *map)
{
    if (map) {
        rcu_map_free(map->map);
        free(map);
    }
}

enum err topic_map_add(struct topic_map *map, struct topic *topic)
{
    enum err err = rcu_map_add(map->map, &topic->node);
    if (!err) {
        topic_get(topic);
    }
    return err;
}

void topic_map_remove(struct topic_map *map, struct topic *topic)
{
    rcu_map_remove(map->map, &topic->node);
    topic_put(topic); /* frees after a grace period at the earliest, so a finder in its section may still look */
}

struct topic *topic_map_find(struct topic_map *map, const char *session_id)
{
    rcu_read_lock();
    struct rcu_map_node *node = rcu_map_find(map->map, session_id);
    struct topic *topic = node ? container_of(node, struct topic, node) : NULL;
    if (topic && !ref_get_unless_zero(&topic->ref)) {
        topic = NULL;
    }
    rcu_read_unlock();
    return topic;
}
