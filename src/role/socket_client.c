/* Clients come and go. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "signalbox/base/check.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"
#include "socket_internal.h"

/* ---- Names by value: a slot and how often it was used ---- */

static enum err slot_take(struct socket_thread *thread, struct client *client)
{
    if (!thread->free_count) {
        size_t slots = thread->client_slots ? thread->client_slots * 2 : 64;
        struct client **clients = realloc(thread->clients, slots * sizeof(*clients));
        thread->clients = clients ? clients : thread->clients;
        uint32_t *generations = realloc(thread->generations, slots * sizeof(*generations));
        thread->generations = generations ? generations : thread->generations;
        uint32_t *free_slots = realloc(thread->free_slots, slots * sizeof(*free_slots));
        thread->free_slots = free_slots ? free_slots : thread->free_slots;
        if (!clients || !generations || !free_slots) {
            return ERR_NOMEM;
        }
        for (size_t i = slots; i-- > thread->client_slots;) {
            thread->clients[i] = NULL;
            thread->generations[i] = 0;
            thread->free_slots[thread->free_count++] = (uint32_t)i;
        }
        thread->client_slots = slots;
    }
    uint32_t slot = thread->free_slots[--thread->free_count];
    thread->clients[slot] = client;
    client->serial = (uint64_t)++thread->generations[slot] << 32 | slot;
    thread->client_count++;
    return ERR_OK;
}

static void slot_give(struct socket_thread *thread, struct client *client)
{
    uint32_t slot = (uint32_t)client->serial;
    thread->clients[slot] = NULL;
    thread->free_slots[thread->free_count++] = slot;
    thread->client_count--;
}

struct client *client_find(struct socket_thread *thread, uint64_t serial)
{
    uint32_t slot = (uint32_t)serial;
    struct client *client = slot < thread->client_slots ? thread->clients[slot] : NULL;
    return client && client->serial == serial && client->state != CLIENT_DEAD ? client : NULL;
}

/* ---- Coming ---- */

static void note_to_dispatch(struct client *client, bool gone)
{
    if (!client->keeps_id) {
        return;
    }
    struct client_note *note = calloc(1, sizeof(*note));
    if (note) {
        *note = (struct client_note){.mail.kind = DISPATCH_CLIENT, .identity = client->identity,
                                     .box = client->thread->box, .serial = client->serial, .arrived = client->arrived,
                                     .gone = gone};
        mailbox_push(client->thread->wiring.dispatch, &note->mail);
    }
}

static void send_connected(struct client *client)
{
    const struct config *config = client->thread->config;
    struct buffer *text = &client->thread->scratch;
    buffer_reset(text);
    buffer_text(text, "{\"type\":\"connected\",\"protocol\":\"signalbox.v1\"");
    json_field_string(text, "clientId", client->identity.client_id);
    json_field_string(text, "user", client->identity.user);
    buffer_text(text, ",\"server\":{\"name\":\"signalbox\"");
    json_field_string(text, "version", client->thread->wiring.version);
    json_field_string(text, "instance", client->thread->wiring.instance);
    buffer_byte(text, '}');
    json_field_i64(text, "heartbeatMs", config->ping_interval_ms);
    buffer_text(text, ",\"limits\":{");
    json_field_i64(text, "maxMessageBytes", config->max_message_bytes);
    json_field_i64(text, "maxCommandsInFlight", config->max_commands_in_flight);
    json_field_i64(text, "maxSubscriptions", config->max_subscriptions);
    json_field_i64(text, "maxBlobBytes", config->max_blob_bytes);
    buffer_byte(text, '}');
    json_field_i64(text, "timestamp", clock_wall_ms());
    buffer_byte(text, '}');
    client_send(client, text);
}

static enum err client_new(struct socket_thread *thread, struct client_take *take)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client) {
        return ERR_NOMEM;
    }
    client->thread = thread;
    client->fd = take->fd;
    client->identity = take->identity;
    client->history_none = take->history_none;
    client->keeps_id = take->keeps_id;
    client->arrived = take->arrived;
    client->stream = take->stream;
    client->deflates = take->deflates;
    client->seen = client->progress = clock_now();
    client->close_deadline = INSTANT_NEVER;
    client->due_last = &client->due;
    client->waiting_last = &client->waiting;
    client->max_message_bytes = (uint64_t)thread->config->max_message_bytes;
    enum err err = take->dialect ? speech_new(client, take) : ERR_OK;
    if (!err) {
        err = slot_take(thread, client);
    }
    if (err) {
        speech_free(client);
        free(client);
        return err;
    }
    int on = 1;
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    /* RFC 5482. Without it the kernel goes on for many minutes to send to a peer that is gone. */
    unsigned int patience = (unsigned int)(thread->config->stall_timeout_ms + KERNEL_LATER_MS);
    (void)setsockopt(client->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
    client->interest = EPOLLIN | EPOLLRDHUP;
    struct epoll_event event = {.events = client->interest, .data.ptr = client};
    if (epoll_ctl(thread->epoll, EPOLL_CTL_ADD, client->fd, &event)) {
        err = err_from_errno(errno);
        slot_give(thread, client);
        speech_free(client);
        free(client);
        return err;
    }
    metric_add(METRIC_CONNECTIONS_OPENED, 1);
    metric_add(METRIC_CONNECTIONS, 1);
    metric_add(METRIC_DEFLATE_CLIENTS, client->deflates);
    note_to_dispatch(client, false);
    if (client->stream) {
        stream_begin(client, take);
    } else {
        send_connected(client);
    }
    for (int slot = 0; slot < BROADCAST_SLOTS; slot++) {
        if (thread->lasting[slot]) {
            client_send_frame(client, thread->lasting[slot]);
        }
    }
    if (thread->stopping) {
        client_close(client, 3000, "server is stopping");
    }
    return ERR_OK;
}

void client_take(struct socket_thread *thread, struct client_take *take)
{
    enum err err = fd_nonblocking(take->fd);
    if (!err) {
        err = client_new(thread, take);
    }
    if (err) {
        log_error("a connection could not be taken over", "reason", "%s", err_text(err), NULL);
        fd_close(take->fd);
    }
    free(take);
}

/* ---- Going ---- */

void client_ready(struct client *client)
{
    if (client->ready_link || client->in_turn || client->blocked || client->state == CLIENT_DEAD) {
        return;
    }
    struct socket_thread *thread = client->thread;
    client->ready_next = NULL;
    client->ready_link = thread->ready_last;
    *thread->ready_last = client;
    thread->ready_last = &client->ready_next;
}

void client_close(struct client *client, uint16_t code, const char *reason)
{
    if (client->state != CLIENT_OPEN) {
        return;
    }
    client->state = CLIENT_CLOSING;
    client->close_deadline = instant_after_ms(clock_now(), CLOSE_WAIT_MS);
    while (client->subscriptions) {
        subscription_end(client->subscriptions);
    }
    if (client->stream) {
        client_ready(client); /* it has no close frame: what is written goes out, then the connection ends */
        return;
    }
    /* RFC 6455, 5.5.1. Not by wslay, which sends no code of ours once a broken frame has made it queue a bare close. */
    size_t length = 2 + strlen(reason);
    CHECK(length <= 125);
    char frame[FRAME_HEADER_MAX + 125];
    char *payload = frame + FRAME_HEADER_MAX; /* the header is written in front of it */
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    memcpy(payload + 2, reason, length - 2);
    size_t header_length = frame_header(payload, WSLAY_CONNECTION_CLOSE, length);
    buffer_append(&client->control, payload - header_length, header_length + length);
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}

void client_drop(struct client *client)
{
    if (client->state == CLIENT_DEAD) {
        return;
    }
    client->state = CLIENT_DEAD;
    while (client->subscriptions) {
        subscription_end(client->subscriptions);
    }
    /* Closing does not do it: a process that is being started has a copy of the descriptor until its exec, and as long
     * as there is one the set goes on to report events, for a client that is freed. */
    (void)epoll_ctl(client->thread->epoll, EPOLL_CTL_DEL, client->fd, NULL);
    fd_close(client->fd);
    note_to_dispatch(client, true);
    metric_add(METRIC_CONNECTIONS_CLOSED, 1);
    metric_add(METRIC_CONNECTIONS, -1);
    metric_add(METRIC_DEFLATE_CLIENTS, -client->deflates);
    slot_give(client->thread, client);
    client->dead_next = client->thread->dead;
    client->thread->dead = client;
}

static void client_free(struct client *client)
{
    partial_release(&client->partial);
    for (int slot = 0; slot < BROADCAST_SLOTS; slot++) {
        frame_put(client->slots[slot]);
    }
    while (client->expected) {
        struct expected *expected = client->expected;
        client->expected = expected->next;
        free(expected);
    }
    reader_free(client->reader);
    speech_free(client);
    buffer_free(&client->control);
    free(client);
}

void client_bury_dead(struct socket_thread *thread)
{
    /* The ready list is walked by rounds, so the dead leave it here, in one pass. */
    struct client **at = &thread->ready;
    while (thread->dead && *at) {
        struct client *client = *at;
        if (client->state == CLIENT_DEAD) {
            *at = client->ready_next;
            continue;
        }
        at = &client->ready_next;
    }
    if (thread->dead) {
        thread->ready_last = at;
    }
    while (thread->dead) {
        struct client *client = thread->dead;
        thread->dead = client->dead_next;
        client_free(client);
    }
}

void client_update_interest(struct client *client)
{
    if (client->state == CLIENT_DEAD) {
        return;
    }
    size_t unsent = client->control.length - client->control_sent;
    bool hold_reads = client->in_flight >= (size_t)client->thread->config->max_commands_in_flight ||
                      unsent > CONTROL_BYTES_MAX;
    uint32_t interest = EPOLLRDHUP | (hold_reads ? 0 : EPOLLIN) | (client->blocked ? EPOLLOUT : 0);
    if (interest != client->interest) {
        client->interest = interest;
        struct epoll_event event = {.events = interest, .data.ptr = client};
        (void)epoll_ctl(client->thread->epoll, EPOLL_CTL_MOD, client->fd, &event);
    }
}

/* ---- Liveness (docs/protocol.md, "Transport") ---- */

/* Whether the peer has taken bytes since the last look. A full socket is writable again only when a third of it is
 * free, which is long after that for a slow peer. */
static bool peer_takes(struct client *client)
{
    int before = client->unacknowledged;
    return !ioctl(client->fd, SIOCOUTQ, &client->unacknowledged) && client->unacknowledged < before;
}

void client_tick(struct client *client, struct instant now)
{
    const struct config *config = client->thread->config;
    if (instant_reached(client->close_deadline, now)) {
        client_drop(client);
        return;
    }
    if (client->blocked) {
        if (peer_takes(client)) {
            client->progress = now;
        } else if (instant_diff_ms(now, client->progress) >= config->stall_timeout_ms) {
            /* The frame goes out if the peer reads again before the close is over. */
            client_close(client, 3001, "no progress on the socket");
        }
        return;
    }
    if (client->stream && client->state == CLIENT_OPEN) {
        stream_tick(client, now);
        return;
    }
    if (client->state != CLIENT_OPEN ||
        instant_diff_ms(now, client->seen) < config->ping_interval_ms * (client->pings + 1)) {
        return;
    }
    if (client->pings == PINGS_MAX) {
        client_close(client, 3002, "no answer to pings");
        return;
    }
    client->pings++;
    char ping[FRAME_HEADER_MAX]; /* it has no payload */
    size_t length = frame_header(ping + sizeof(ping), WSLAY_PING, 0);
    buffer_append(&client->control, ping + sizeof(ping) - length, length);
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}
