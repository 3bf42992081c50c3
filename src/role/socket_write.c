/*
 * What clients are sent. There is no queue per client: events go out of the topics' tails, the same bytes to all.
 *
 * In a round everybody who has something gets a turn. A turn is a sequence of writes, each of which depends on what became of the
 * one before; so the next write of each of up to WRITES_MAX clients is gathered, all are handed to the kernel together
 * (base/writer.h), and then each client's turn goes on. Between gathering and writing nothing else happens to a client.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "signalbox/base/check.h"
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
    if (client->speech) {
        speech_control(client, text->data, text->length);
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
    if (client->speech) {
        speech_control(client, frame_json(frame), frame_json_length(frame));
        return;
    }
    buffer_append(&client->control, frame_wire(frame), frame_wire_length(frame));
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}

/* ---- What a write has become ---- */

/* The result of a write: returns what the socket took, 0 when it is full, and marks the client blocked or drops it. */
static size_t account(struct client *client, const struct write_io *io)
{
    struct socket_thread *thread = client->thread;
    ssize_t sent = io->result;
    if (sent < 0) {
        if (sent == -EAGAIN || sent == -EINTR) {
            sent = 0;
        } else {
            client_drop(client);
            return 0;
        }
    }
    if (sent > 0) {
        client->progress = thread->written_at;
        /* A byte accepted counts as life, too; but once a ping is out, only an answer does: the kernel takes bytes for a
         * peer that is gone as well. */
        client->seen = client->pings ? client->seen : client->progress;
        thread->written.bytes += sent;
    }
    if ((size_t)sent < io->length) {
        client->blocked = true;
        client->stalls++;
        client->progress = thread->written_at; /* from here on, or from the last byte that it takes, the stall counts */
    }
    return (size_t)sent;
}

static void partial_written(struct client *client, size_t sent)
{
    struct partial *partial = &client->partial;
    partial->bytes += sent;
    partial->length -= sent;
    if (!partial->length) {
        partial_release(partial);
    }
}

static void control_written(struct client *client, size_t sent)
{
    struct buffer *control = &client->control;
    client->control_sent += sent;
    if (client->control_sent == control->length) {
        client->control_sent = 0;
        /* Idle clients keep no memory for answers. */
        buffer_free(control);
    }
}

static void flush_latency(struct written *written)
{
    if (written->latency_count) {
        metric_observe_many_ns(METRIC_LINE_TO_SOCKET_SECONDS, written->latency_ns, written->latency_count);
        written->latency_count = 0;
    }
}

/* Watchers of one topic come one after the other, so most are like the one before. */
static void observe_latency(struct socket_thread *thread, const struct topic_run *run)
{
    struct written *written = &thread->written;
    struct instant line_at = topic_run_line_at(run, run->from);
    if (line_at.ns) {
        int64_t ns = thread->written_at.ns - line_at.ns;
        if (ns != written->latency_ns) {
            flush_latency(written);
        }
        written->latency_ns = ns;
        written->latency_count++;
    }
}

static void flush_counts(struct socket_thread *thread)
{
    struct written *written = &thread->written;
    flush_latency(written);
    if (written->bytes) {
        metric_add(METRIC_DELIVERY_BYTES, written->bytes);
    }
    if (written->saved) {
        metric_add(METRIC_DEFLATE_SAVED, written->saved);
    }
    if (written->events) {
        metric_add(METRIC_DELIVERIES, written->events);
    }
    *written = (struct written){0};
}

/* A run out of the tail was written. What the socket did not take of a frame that it began stays as the partial. */
static void run_written(struct subscription *subscription, struct topic_run *run, size_t sent)
{
    struct client *client = subscription->client;
    struct socket_thread *thread = client->thread;
    if (sent) {
        observe_latency(thread, run);
    }
    subscription_due(subscription);
    if (sent == run->length) {
        thread->written.events += (int64_t)(run->last - run->from + 1);
        subscription->cursor = run->last + 1;
        topic_chunk_put(run->chunk);
        return;
    }
    size_t frame_start, frame_end;
    uint64_t seq = topic_run_locate(run, sent, &frame_start, &frame_end);
    thread->written.events += (int64_t)(seq - run->from);
    if (sent == frame_start) { /* between frames: nothing was begun */
        subscription->cursor = seq;
        topic_chunk_put(run->chunk);
        return;
    }
    client->partial = (struct partial){.bytes = run->bytes + sent, .length = frame_end - sent, .chunk = run->chunk};
    subscription->cursor = seq + 1;
}

/* One event was written in another form. */
static void form_written(struct client_turn *turn, size_t sent)
{
    struct subscription *subscription = turn->subscription;
    struct client *client = subscription->client;
    struct topic_run *run = &turn->run;
    subscription_due(subscription);
    if (!sent) {
        topic_chunk_put(run->chunk);
        return;
    }
    observe_latency(client->thread, run);
    subscription->cursor = run->from + 1;
    client->thread->written.events++;
    client->thread->written.saved += client->deflates ? (int64_t)run->length - (int64_t)turn->length : 0;
    if (sent < turn->length) {
        client->partial = (struct partial){.bytes = turn->bytes + sent, .length = turn->length - sent, .chunk = run->chunk};
    } else {
        topic_chunk_put(run->chunk);
    }
}

static void after_write(struct client_turn *turn, const struct write_io *io)
{
    struct client *client = turn->client;
    size_t sent = account(client, io);
    if (turn->subscription) {
        if (client->state == CLIENT_DEAD) { /* and with it the subscription */
            topic_chunk_put(turn->run.chunk);
            return;
        }
        if (turn->form) {
            form_written(turn, sent);
        } else {
            run_written(turn->subscription, &turn->run, sent);
        }
        subscription_wake(client); /* this one may have needed history no longer */
        turn->budget -= sent < turn->budget ? sent : turn->budget;
    } else if (turn->control) {
        control_written(client, sent);
    } else {
        partial_written(client, sent);
    }
}

/* ---- What is to be written ---- */

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

/* Of what is not written by itself, but becomes the client's partial. */
static void spend(struct client_turn *turn, size_t length)
{
    turn->budget -= length < turn->budget ? length : turn->budget;
}

/* A run for a stream of server-sent events is written as another text. */
static void stream_run(struct subscription *subscription, struct topic_run *run, struct client_turn *turn)
{
    struct client *client = subscription->client;
    if (stream_events(client, subscription->watched->topic->epoch, run->bytes, run->length)) {
        client_drop(client);
    } else {
        observe_latency(client->thread, run);
        client->thread->written.events += (int64_t)(run->last - run->from + 1);
        subscription->cursor = run->last + 1;
        subscription_due(subscription);
    }
    spend(turn, run->length);
    topic_chunk_put(run->chunk);
}

/* What history read, sent whole before anything else of this client, as if it were one half-written frame. */
static void take_read_back(struct subscription *subscription, struct client_turn *turn)
{
    struct history_request *read_back = subscription->read_back;
    struct client *client = subscription->client;
    size_t length = read_back->bytes.length;
    subscription->read_back = NULL;
    subscription->cursor = read_back->last + 1;
    subscription_read_over(client);
    pause_at(PAUSE_READ_SPLICE);
    catch_up_sent(subscription);
    client->thread->written.events += (int64_t)read_back->events;
    spend(turn, length);
    if (client->stream) {
        const char *epoch = subscription->watched->topic->epoch;
        enum err err = stream_events(client, epoch, read_back->bytes.data, length);
        history_request_free(read_back);
        if (err) {
            client_drop(client);
            return;
        }
    } else if (!length) { /* what its events are in a dialect: nothing */
        history_request_free(read_back);
    } else {
        client->partial =
            (struct partial){.bytes = read_back->bytes.data, .length = length, .history = read_back};
    }
    subscription_due(subscription);
}

/* Out of the tail, or history is asked. True: there is a run to be written. */
static bool next_events(struct subscription *subscription, uint64_t to, struct client_turn *turn)
{
    struct topic *topic = subscription->watched->topic;
    struct topic_run *run = &turn->run;
    bool found = false;
    if (!subscription->fold_to) {
        rcu_read_lock();
        found = topic_read(topic, subscription->cursor, to, turn->budget, run);
        rcu_read_unlock();
    }
    if (found && subscription->client->stream) {
        stream_run(subscription, run, turn);
        return false;
    }
    turn->form = false;
    if (found && subscription->client->speech && !speech_next(subscription, turn)) {
        return false;
    }
    if (found && subscription->client->deflates && !deflate_next(subscription, turn)) {
        return false;
    }
    if (found) {
        turn->subscription = subscription;
        turn->bytes = turn->form ? turn->bytes : run->bytes;
        turn->length = turn->form ? turn->length : run->length;
        return true;
    }
    if (!subscription->feed && !subscription->fold_to) {
        catch_up_fold(subscription, to);
    }
    subscription_ask(subscription);
    return false;
}

/* One step of one subscription: at most a run of what is left of the turn. True: that is to be written. The subscription
 * is due again if it was not all. */
static bool next_of(struct subscription *subscription, struct client_turn *turn)
{
    struct topic *topic = subscription->watched->topic;
    if (atomic_load(&topic->erased)) {
        subscription_erased(subscription);
        return false;
    }
    if (subscription->client->speech && subscription->client->speech->lists) {
        return false; /* due again when they are here: what ended later comes behind them */
    }
    if (subscription->read_back) {
        take_read_back(subscription, turn);
        return false;
    }
    if (subscription->list_due && !subscription->asked) {
        subscription_ask(subscription);
        return false;
    }
    if (subscription->replay && subscription->cursor > subscription->head) {
        send_replay_complete(subscription);
        return false;
    }
    uint64_t head = atomic_load(&topic->head);
    if (!subscription->replay && !subscription->asked && !subscription->feed && catch_up_look(subscription, head)) {
        return false;
    }
    uint64_t to = subscription->replay && subscription->head < head ? subscription->head : head;
    if (!subscription->asked && subscription->cursor <= to) {
        return next_events(subscription, to, turn);
    }
    uint32_t version = atomic_load(&topic->pending_version);
    if (version != subscription->pending_version && !subscription->replay) {
        send_pending(subscription, version);
    }
    return false;
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

/* What the client writes next. False: nothing, its turn is over. */
static bool next(struct client_turn *turn, struct write_io *io)
{
    struct client *client = turn->client;
    while (!client->blocked && client->state != CLIENT_DEAD) {
        turn->subscription = NULL;
        turn->control = false;
        if (client->partial.length) {
            *io = (struct write_io){.fd = client->fd, .bytes = client->partial.bytes, .length = client->partial.length};
            return true;
        }
        take_slots(client);
        if (client->control.length > client->control_sent) {
            turn->control = true;
            *io = (struct write_io){.fd = client->fd, .bytes = client->control.data + client->control_sent,
                                    .length = client->control.length - client->control_sent};
            return true;
        }
        if (client->state == CLIENT_CLOSING) {
            if (client->stream || client->close_received) {
                client_drop(client); /* both halves of the handshake are done */
            } else {
                shutdown(client->fd, SHUT_WR);
            }
            break;
        }
        struct subscription *subscription = turn->budget ? client->due : NULL;
        if (!subscription) {
            break;
        }
        /* Who was served goes to the end of the line, so a busy session of a client does not starve its others. */
        subscription_not_due(subscription);
        if (next_of(subscription, turn)) {
            *io = (struct write_io){.fd = client->fd, .bytes = turn->bytes, .length = turn->length};
            return true;
        }
        subscription_wake(client); /* this one may have needed history no longer */
    }
    client->in_turn = false;
    client_update_interest(client);
    if (!client->blocked && client_has_output(client)) {
        client_ready(client);
    }
    return false;
}

/* ---- The round ---- */

static void gather(struct socket_thread *thread, const struct client_turn *turn)
{
    size_t place = thread->gathered;
    CHECK(place < WRITES_MAX);
    thread->turns[place] = *turn;
    if (next(&thread->turns[place], &thread->writes[place])) {
        thread->gathered++;
    }
}

/* Writes what has been gathered; who has more is gathered again. */
static void write_gathered(struct socket_thread *thread)
{
    size_t count = thread->gathered;
    writer_write(thread->writer, thread->writes, count);
    thread->written_at = clock_now();
    thread->gathered = 0;
    for (size_t i = 0; i < count; i++) {
        /* The places from 0 on are used again, those behind this one are still to be looked at. */
        struct client_turn turn = thread->turns[i];
        struct write_io io = thread->writes[i];
        after_write(&turn, &io);
        gather(thread, &turn);
    }
    flush_counts(thread);
}

/* What the next one's turn will look at; it comes from memory while this one has its turn. (The first line of each is in the
 * cache: the client was made ready just now.) */
static void prefetch(const struct client *client)
{
    if (client) {
        __builtin_prefetch(&client->slots);
        __builtin_prefetch(&client->partial);
        __builtin_prefetch(&client->progress);
        if (client->due) {
            __builtin_prefetch(&client->due->fold_to);
        }
    }
}

void write_round(struct socket_thread *thread)
{
    /* Who becomes ready again in its turn is served in the next round, behind everybody else. */
    struct client *round = thread->ready;
    thread->ready = NULL;
    thread->ready_last = &thread->ready;
    thread->written_at = clock_now();
    while (round) {
        struct client *client = round;
        round = client->ready_next;
        prefetch(round);
        client->ready_link = NULL;
        client->ready_next = NULL;
        if (client->state != CLIENT_DEAD) {
            client->in_turn = true;
            gather(thread, &(struct client_turn){.client = client, .budget = TURN_BYTES});
        }
        while (thread->gathered == WRITES_MAX) { /* also when all of them have more */
            write_gathered(thread);
        }
    }
    while (thread->gathered) {
        write_gathered(thread);
    }
    flush_counts(thread);
}
