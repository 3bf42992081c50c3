/*
 * What clients send: frames by wslay (RFC 6455), messages from them.
 *
 * wslay's context is 9 KB, and a client that watches says nothing for hours. So a client has one only
 * while something of it is half read; between whole messages it has none, and the thread keeps one
 * for whoever speaks next.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "signalbox/base/metrics.h"
#include "socket_internal.h"

enum { MASK_BYTES = 4 };

struct reader {
    wslay_event_context_ptr frames;
    struct client *client; /* whose bytes it reads now */
    /* wslay does not tell whether it is between two messages, so it is counted: what it was given, and
     * what the frames take that it has begun. They are equal where no frame is half read. */
    uint64_t given, taken;
    bool in_message; /* a fragment was read that is not the last one */
};

static ssize_t recv_bytes(wslay_event_context_ptr frames, uint8_t *into, size_t length, int flags, void *context)
{
    (void)flags;
    struct reader *reader = context;
    struct client *client = reader->client;
    if (!client->read_left || client->state == CLIENT_DEAD) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK); /* the rest of it is for the next round */
        return -1;
    }
    ssize_t got = recv(client->fd, into, length < client->read_left ? length : client->read_left, MSG_DONTWAIT);
    if (got > 0) {
        reader->given += (uint64_t)got;
        client->read_left -= (size_t)got;
        client->seen = clock_now();
        client->pings = 0;
        return got;
    }
    bool later = got < 0 && (errno == EAGAIN || errno == EINTR);
    client->read_failed = !later;
    wslay_event_set_error(frames, later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* wslay's own frames (pongs, closes) join the other control messages; they are few and small. */
static ssize_t send_bytes(wslay_event_context_ptr frames, const uint8_t *bytes, size_t length, int flags, void *context)
{
    (void)flags;
    struct client *client = ((struct reader *)context)->client;
    buffer_append(&client->control, bytes, length);
    if (!buffer_ok(&client->control)) {
        wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    return (ssize_t)length;
}

static void on_frame_start(wslay_event_context_ptr frames, const struct wslay_event_on_frame_recv_start_arg *frame,
                           void *context)
{
    (void)frames;
    struct reader *reader = context;
    char header[FRAME_HEADER_MAX];
    reader->taken += frame_header(header + sizeof(header), frame->opcode, frame->payload_length) + MASK_BYTES +
                     frame->payload_length;
    if (!wslay_is_ctrl_frame(frame->opcode)) {
        reader->in_message = !frame->fin;
    }
    if (frame->opcode == WSLAY_BINARY_FRAME) {
        client_close(reader->client, WSLAY_CODE_UNSUPPORTED_DATA, "text frames only");
    }
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    (void)frames;
    struct client *client = ((struct reader *)context)->client;
    if (client->state != CLIENT_OPEN || message->opcode != WSLAY_TEXT_FRAME) {
        return;
    }
    if (wslay_get_rsv1(message->rsv)) {
        struct buffer text = {0};
        if (inflate_for(client, message->msg, message->msg_length, &text)) {
            client_message(client, text.data ? text.data : "", text.length);
        }
        buffer_free(&text);
        return;
    }
    client_message(client, (const char *)message->msg, message->msg_length);
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = recv_bytes,
    .send_callback = send_bytes,
    .on_frame_recv_start_callback = on_frame_start,
    .on_msg_recv_callback = on_message,
};

void reader_free(struct reader *reader)
{
    if (reader) {
        wslay_event_context_free(reader->frames);
        free(reader);
    }
}

static struct reader *reader_new(void)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader && wslay_event_context_server_init(&reader->frames, &callbacks, reader)) {
        free(reader);
        return NULL;
    }
    return reader;
}

static enum err reader_take(struct client *client)
{
    struct socket_thread *thread = client->thread;
    if (client->reader) {
        return ERR_OK;
    }
    struct reader *reader = thread->spare_reader ? thread->spare_reader : reader_new();
    if (!reader) {
        return ERR_NOMEM;
    }
    thread->spare_reader = NULL;
    reader->client = client;
    wslay_event_config_set_allowed_rsv_bits(reader->frames, client->deflates ? WSLAY_RSV1_BIT : WSLAY_RSV_NONE);
    wslay_event_config_set_max_recv_msg_length(reader->frames, client->max_message_bytes);
    client->reader = reader;
    return ERR_OK;
}

/* Gives it back, if nothing is half read and no close frame has passed: then it is as good as new. */
static void reader_give(struct client *client)
{
    struct socket_thread *thread = client->thread;
    struct reader *reader = client->reader;
    if (client->state != CLIENT_OPEN || reader->given != reader->taken || reader->in_message ||
        wslay_event_want_write(reader->frames) || !wslay_event_want_read(reader->frames)) {
        return;
    }
    client->reader = NULL;
    reader->client = NULL;
    if (thread->spare_reader) {
        reader_free(reader);
    } else {
        thread->spare_reader = reader;
    }
}

void client_read(struct client *client)
{
    if (client->stream) {
        stream_read(client);
        return;
    }
    if (reader_take(client)) {
        client_drop(client);
        return;
    }
    wslay_event_context_ptr frames = client->reader->frames;
    client->read_left = READ_BYTES;
    int result = wslay_event_recv(frames);
    client->close_received = wslay_event_get_close_received(frames);
    if (client->read_failed || result == WSLAY_ERR_NOMEM) {
        client_drop(client);
        return;
    }
    if (result) { /* wslay tells a broken frame by the same error as a broken socket */
        client_close(client, WSLAY_CODE_PROTOCOL_ERROR, "not a frame of RFC 6455");
        return;
    }
    if (client->state == CLIENT_DEAD) {
        return;
    }
    if (client->state == CLIENT_CLOSING) {
        client_ready(client); /* the close frame has been written: its answer ends the connection */
        return;
    }
    if (wslay_event_want_write(frames) && wslay_event_send(frames)) {
        client_drop(client);
        return;
    }
    if (client->state == CLIENT_OPEN && wslay_event_get_close_sent(frames)) {
        /* It said goodbye, or broke the protocol: wslay has put the close frame into the control messages. */
        client->state = CLIENT_CLOSING;
        client->close_deadline = instant_after_ms(clock_now(), CLOSE_WAIT_MS);
        while (client->subscriptions) {
            subscription_end(client->subscriptions);
        }
    }
    reader_give(client);
    client_ready(client);
    client_update_interest(client);
}
