/* What clients are sent. There is no queue per client: events go out of the topics' tails, the same bytes to all. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "signalbox/base/metrics.h"
#include "signalbox/base/pause.h"
#include "socket_internal.h"

void partial_release(struct partial *partial)
{
    topic_chunk_put(partial->chunk);
    history_request_free(partial->history);
    free(partial->text);
    *partial = (struct partial){0};
}

void client_send(struct client *client, const struct buffer *text)
{
    char header[FRAME_HEADER_MAX];
    if (client->state != CLIENT_OPEN) {
        return;
    }
    if (client->stream) {
        stream_control(client, text->data, text->length);
        return;
    }
    char *end = header + sizeof(header); /* it is written backwards */
    size_t header_length = frame_header(end, 0x1, text->length);
    buffer_append(&client->control, end - header_length, header_length);
    buffer_append(&client->control, text->data, text->length);
    if (!buffer_ok(text) || !buffer_ok(&client->control)) {
        client_drop(client); /* without memory for an answer the connection ends, and the client asks again */
        return;
    }
    client_ready(client);
}

void client_send_frame(struct client *client, const struct frame *frame)
{
    if (client->state != CLIENT_OPEN) {
        return;
    }
    if (client->stream) {
        stream_control(client, frame_json(frame), frame_json_length(frame));
        return;
    }
    buffer_append(&client->control, frame_wire(frame), frame_wire_length(frame));
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}

/* Sends what the socket takes; returns how much, 0 when it is full, and marks the client blocked or drops it. */
static size_t send_some(struct client *client, const char *bytes, size_t length)
{
    ssize_t sent = send(client->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) {
            sent = 0;
        } else {
            client_drop(client);
            return 0;
        }
    }
    if (sent > 0) {
        client->progress = clock_now();
        /* A byte accepted counts as life, too; but once a ping is out, only an answer does: the kernel takes bytes for a
         * peer that is gone as well. */
        client->seen = client->pings ? client->seen : client->progress;
        metric_add(METRIC_DELIVERY_BYTES, sent);
    }
    if ((size_t)sent < length) {
        client->blocked = true;
        client->stalls++;
        client->progress = clock_now(); /* from here on, or from the last byte that it takes, the stall counts */
    }
    return (size_t)sent;
}

static bool write_partial(struct client *client)
{
    struct partial *partial = &client->partial;
    size_t sent = send_some(client, partial->bytes, partial->length);
    partial->bytes += sent;
    partial->length -= sent;
    if (!partial->length) {
        partial_release(partial);
    }
    return !client->blocked && client->state != CLIENT_DEAD;
}

static bool write_control(struct client *client)
{
    struct buffer *control = &client->control;
    client->control_sent += send_some(client, control->data + client->control_sent, control->length - client->control_sent);
    if (client->control_sent == control->length) {
        client->control_sent = 0;
        /* Idle clients keep no memory for answers. */
        buffer_free(control);
    }
    return !client->blocked && client->state != CLIENT_DEAD;
}

static void observe_latency(const struct topic_run *run)
{
    struct instant line_at = topic_run_line_at(run, run->from);
    if (line_at.ns) {
        metric_observe_ns(METRIC_LINE_TO_SOCKET_SECONDS, clock_now().ns - line_at.ns);
    }
}

/* Sends a run out of the tail. What the socket did not take of a frame that it began stays as the partial. */
static size_t write_run(struct subscription *subscription, struct topic_run *run)
{
    struct client *client = subscription->client;
    if (client->stream) {
        const struct topic *topic = subscription->watched->topic;
        size_t length = run->length;
        if (stream_events(client, topic->epoch, run->bytes, length)) {
            client_drop(client);
        } else {
            observe_latency(run);
            metric_add(METRIC_DELIVERIES, (int64_t)(run->last - run->from + 1));
            subscription->cursor = run->last + 1;
            subscription_due(subscription);
        }
        topic_chunk_put(run->chunk);
        return length;
    }
    size_t sent = send_some(client, run->bytes, run->length);
    if (client->state == CLIENT_DEAD) { /* and with it the subscription */
        topic_chunk_put(run->chunk);
        return sent;
    }
    if (sent) {
        observe_latency(run);
    }
    subscription_due(subscription);
    if (sent == run->length) {
        metric_add(METRIC_DELIVERIES, (int64_t)(run->last - run->from + 1));
        subscription->cursor = run->last + 1;
        topic_chunk_put(run->chunk);
        return sent;
    }
    size_t frame_start, frame_end;
    uint64_t seq = topic_run_locate(run, sent, &frame_start, &frame_end);
    metric_add(METRIC_DELIVERIES, (int64_t)(seq - run->from));
    if (sent == frame_start) { /* between frames: nothing was begun */
        subscription->cursor = seq;
        topic_chunk_put(run->chunk);
        return sent;
    }
    client->partial = (struct partial){.bytes = run->bytes + sent, .length = frame_end - sent, .chunk = run->chunk};
    subscription->cursor = seq + 1;
    return sent;
}

/* Behind `head` of a replay, before anything later. */
static void send_replay_complete(struct subscription *subscription)
{
    struct buffer *text = &subscription->client->thread->scratch;
    buffer_reset(text);
    buffer_text(text, "{\"type\":\"replay_complete\"");
    json_field_string(text, "sessionId", subscription->watched->topic->session_id);
    json_field_i64(text, "seq", (int64_t)subscription->head);
    buffer_byte(text, '}');
    subscription->replay = false;
    subscription_due(subscription);
    client_send(subscription->client, text);
}

static void send_pending(struct subscription *subscription, uint32_t version)
{
    struct topic *topic = subscription->watched->topic;
    struct buffer *text = &subscription->client->thread->scratch;
    subscription->pending_version = version;
    uint32_t pending = atomic_load(&topic->pending);
    int64_t oldest = atomic_load(&topic->pending_oldest);
    buffer_reset(text);
    buffer_text(text, "{\"type\":\"permission_queue_status\"");
    json_field_string(text, "sessionId", topic->session_id);
    json_field_i64(text, "pending", pending);
    if (pending) {
        json_field_i64(text, "oldestCreatedAt", oldest);
    } else {
        json_field_raw(text, "oldestCreatedAt", "null");
    }
    buffer_byte(text, '}');
    client_send(subscription->client, text);
}

/* What history read, sent whole before anything else of this client, as if it were one half-written frame. */
static size_t write_read_back(struct subscription *subscription)
{
    struct history_request *read_back = subscription->read_back;
    struct client *client = subscription->client;
    size_t length = read_back->bytes.length;
    subscription->read_back = NULL;
    subscription->cursor = read_back->last + 1;
    subscription_read_over(client);
    pause_at(PAUSE_READ_SPLICE);
    catch_up_sent(subscription);
    metric_add(METRIC_DELIVERIES, (int64_t)read_back->events);
    if (client->stream) {
        const char *epoch = subscription->watched->topic->epoch;
        enum err err = stream_events(client, epoch, read_back->bytes.data, length);
        history_request_free(read_back);
        if (err) {
            client_drop(client);
            return length;
        }
    } else {
        client->partial =
            (struct partial){.bytes = read_back->bytes.data, .length = length, .history = read_back};
    }
    subscription_due(subscription);
    return length;
}

/* Out of the tail, or history is asked. */
static size_t write_events(struct subscription *subscription, uint64_t to, size_t budget)
{
    struct topic *topic = subscription->watched->topic;
    struct topic_run run;
    bool found = false;
    if (!subscription->fold_to) {
        rcu_read_lock();
        found = topic_read(topic, subscription->cursor, to, budget, &run);
        rcu_read_unlock();
    }
    if (found) {
        return write_run(subscription, &run);
    }
    if (!subscription->feed && !subscription->fold_to) {
        catch_up_fold(subscription, to);
    }
    subscription_ask(subscription);
    return 0;
}

/* One step of one subscription: at most a run of `budget` bytes. Returns what was sent. The subscription is due again
 * if that was not all. */
static size_t write_subscription(struct subscription *subscription, size_t budget)
{
    struct topic *topic = subscription->watched->topic;
    if (atomic_load(&topic->erased)) {
        subscription_erased(subscription);
        return 0;
    }
    if (subscription->read_back) {
        return write_read_back(subscription);
    }
    if (subscription->list_due && !subscription->asked) {
        subscription_ask(subscription);
        return 0;
    }
    if (subscription->replay && subscription->cursor > subscription->head) {
        send_replay_complete(subscription);
        return 0;
    }
    uint64_t head = atomic_load(&topic->head);
    if (!subscription->replay && !subscription->asked && !subscription->feed && catch_up_look(subscription, head)) {
        return 0;
    }
    uint64_t to = subscription->replay && subscription->head < head ? subscription->head : head;
    if (!subscription->asked && subscription->cursor <= to) {
        return write_events(subscription, to, budget);
    }
    uint32_t version = atomic_load(&topic->pending_version);
    if (version != subscription->pending_version && !subscription->replay) {
        send_pending(subscription, version);
    }
    return 0;
}

static bool client_has_output(const struct client *client)
{
    if (client->partial.length || client->control.length > client->control_sent || client->due) {
        return true;
    }
    for (int slot = 0; slot < BROADCAST_SLOTS; slot++) {
        if (client->slots[slot]) {
            return true;
        }
    }
    return false;
}

static void take_slots(struct client *client)
{
    for (int slot = 0; slot < BROADCAST_SLOTS && client->state == CLIENT_OPEN; slot++) {
        struct frame *frame = client->slots[slot];
        if (frame) {
            client->slots[slot] = NULL;
            client_send_frame(client, frame);
            frame_put(frame);
        }
    }
}

void client_write(struct client *client)
{
    size_t budget = TURN_BYTES;
    while (!client->blocked && client->state != CLIENT_DEAD) {
        if (client->partial.length) {
            if (!write_partial(client)) {
                break;
            }
            continue;
        }
        take_slots(client);
        if (client->control.length > client->control_sent) {
            if (!write_control(client)) {
                break;
            }
            continue;
        }
        if (client->state == CLIENT_CLOSING) {
            if (client->stream || wslay_event_get_close_received(client->frames)) {
                client_drop(client); /* both halves of the handshake are done */
            } else {
                shutdown(client->fd, SHUT_WR);
            }
            break;
        }
        struct subscription *subscription = budget ? client->due : NULL;
        if (!subscription) {
            break;
        }
        /* Who was served goes to the end of the line, so a busy session of a client does not starve its others. */
        subscription_not_due(subscription);
        size_t sent = write_subscription(subscription, budget);
        subscription_wake(client); /* this one may have needed history no longer */
        budget -= sent < budget ? sent : budget;
    }
    client_update_interest(client);
    if (!client->blocked && client_has_output(client)) {
        client_ready(client);
    }
}
