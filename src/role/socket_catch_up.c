/*
 * Who is behind: from the tail, event by event, or folded, from the store.
 *
 * A live client that reads gets every event as it is, however many come at once. One whose socket
 * was full, and that is more than NEAR_EVENTS or NEAR_BYTES behind when it takes bytes again, gets
 * what it missed folded up to the head, and again if the head has gone as far away meanwhile. Near
 * the head it goes on with events as they are. It is told that it lags when it is much farther
 * behind, or behind the tail, and that it has caught up when it is near: between the two it is told
 * nothing, so it is not told again and again.
 */
#include <stdatomic.h>

#include "signalbox/base/metrics.h"
#include "socket_internal.h"

struct distance {
    uint64_t events;
    size_t bytes; /* of what is in the tail: at least so many */
    bool in_tail;
};

static struct distance distance_to(struct subscription *subscription, uint64_t head)
{
    struct topic *topic = subscription->watched->topic;
    uint64_t cursor = subscription->cursor;
    struct distance distance = {.events = head + 1 - cursor, .in_tail = true};
    if (cursor > head) {
        return (struct distance){.in_tail = true};
    }
    rcu_read_lock();
    if (!topic_measure(topic, cursor, head, &distance.bytes)) {
        distance.in_tail = false;
        uint64_t first = atomic_load(&topic->first);
        if (first > head || first < cursor || !topic_measure(topic, first, head, &distance.bytes)) {
            distance.bytes = 0;
        }
    }
    rcu_read_unlock();
    return distance;
}

static bool is_near(const struct distance *distance)
{
    return distance->events <= NEAR_EVENTS && distance->bytes <= NEAR_BYTES;
}

static bool is_far(const struct distance *distance)
{
    return !distance->in_tail || distance->events > LAG_EVENTS || distance->bytes > LAG_BYTES;
}

static bool is_whole(const struct subscription *subscription)
{
    return subscription->cursor > atomic_load(&subscription->watched->topic->whole_from);
}

static void fold(struct subscription *subscription, uint64_t to, bool whole)
{
    subscription->fold_to = to;
    subscription->began = subscription->cursor - 1;
    subscription->began_whole = whole;
}

void catch_up_replay(struct subscription *subscription, bool came_back)
{
    /* Who comes without a position has nothing, and so nothing by halves. */
    bool whole = !came_back || is_whole(subscription);
    struct distance distance = distance_to(subscription, subscription->head);
    if (!came_back || !whole || !distance.in_tail || !is_near(&distance)) {
        fold(subscription, subscription->head, whole);
    }
}

void catch_up_fold(struct subscription *subscription, uint64_t to)
{
    /* It got all events as they were up to its cursor, or folded ones up to a head. */
    fold(subscription, to, true);
}

void catch_up_sent(struct subscription *subscription)
{
    if (subscription->cursor <= subscription->fold_to) {
        return;
    }
    /* A turn that was open when this began may have been folded in the store since, and the head
     * that this went to lie in the midst of it: then what it lacks comes with the rest of the turn,
     * folded. */
    const struct topic *topic = subscription->watched->topic;
    uint64_t head = atomic_load(&topic->head);
    subscription->fold_to = 0;
    if (subscription->cursor <= head && subscription->cursor <= atomic_load(&topic->folded_to)) {
        fold(subscription, head, false);
    }
}

/* The client may be gone afterwards, and the subscription with it. */
static void tell(struct subscription *subscription, const char *type,
                 const struct distance *distance)
{
    subscription_due(subscription);
    struct buffer *text = &subscription->client->thread->scratch;
    buffer_reset(text);
    buffer_format(text, "{\"type\":\"%s\"", type);
    json_field_string(text, "sessionId", subscription->watched->topic->session_id);
    json_field_i64(text, "behindEvents", (int64_t)distance->events);
    json_field_i64(text, "behindBytes", (int64_t)distance->bytes);
    buffer_byte(text, '}');
    client_send(subscription->client, text);
}

bool catch_up_look(struct subscription *subscription, uint64_t head)
{
    struct client *client = subscription->client;
    bool stalled = subscription->stalls != client->stalls;
    if (subscription->fold_to) {
        return false; /* first to the head that it had when this began */
    }
    if (subscription->level && !stalled && !subscription->lagging &&
        head < subscription->cursor + NEAR_EVENTS) {
        return false; /* as almost always */
    }
    struct distance distance = distance_to(subscription, head);
    if (distance.in_tail && is_near(&distance)) {
        subscription->level = true;
        subscription->stalls = client->stalls;
        if (subscription->lagging) {
            subscription->lagging = false;
            tell(subscription, "caught_up", &distance);
            return true;
        }
        return false;
    }
    if (distance.in_tail && !stalled) {
        return false; /* it takes what it is given: much came at once */
    }
    fold(subscription, head, true);
    if (subscription->level && !subscription->lagging && is_far(&distance)) {
        subscription->lagging = true;
        metric_add(METRIC_LAGGING, 1);
        tell(subscription, "lagging", &distance);
        return true;
    }
    return false;
}
