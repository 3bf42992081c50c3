/* What clients send: frames by wslay (RFC 6455), messages from them. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "signalbox/base/metrics.h"
#include "socket_internal.h"

static ssize_t recv_bytes(wslay_event_context_ptr frames, uint8_t *into, size_t length, int flags, void *context)
{
    (void)flags;
    struct client *client = context;
    if (!client->read_left || client->state == CLIENT_DEAD) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK); /* the rest of it is for the next round */
        return -1;
    }
    ssize_t got = recv(client->fd, into, length < client->read_left ? length : client->read_left, MSG_DONTWAIT);
    if (got > 0) {
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
    struct client *client = context;
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
    struct client *client = context;
    if (frame->opcode == WSLAY_BINARY_FRAME) {
        client_close(client, WSLAY_CODE_UNSUPPORTED_DATA, "text frames only");
    }
}

static void on_message(wslay_event_context_ptr frames, const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    (void)frames;
    struct client *client = context;
    if (client->state == CLIENT_OPEN && message->opcode == WSLAY_TEXT_FRAME) {
        client_message(client, (const char *)message->msg, message->msg_length);
    }
}

static const struct wslay_event_callbacks callbacks = {
    .recv_callback = recv_bytes,
    .send_callback = send_bytes,
    .on_frame_recv_start_callback = on_frame_start,
    .on_msg_recv_callback = on_message,
};

enum err client_frames_new(struct client *client)
{
    if (wslay_event_context_server_init(&client->frames, &callbacks, client)) {
        client->frames = NULL;
        return ERR_NOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(client->frames,
                                               (uint64_t)client->thread->config->max_message_bytes);
    return ERR_OK;
}

void client_frames_free(struct client *client)
{
    if (client->frames) {
        wslay_event_context_free(client->frames);
    }
}

void client_read(struct client *client)
{
    if (client->stream) {
        stream_read(client);
        return;
    }
    client->read_left = READ_BYTES;
    int result = wslay_event_recv(client->frames);
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
    if (wslay_event_want_write(client->frames) && wslay_event_send(client->frames)) {
        client_drop(client);
        return;
    }
    if (client->state == CLIENT_OPEN && wslay_event_get_close_sent(client->frames)) {
        /* It said goodbye, or broke the protocol: wslay has put the close frame into the control messages. */
        client->state = CLIENT_CLOSING;
        client->close_deadline = instant_after_ms(clock_now(), CLOSE_WAIT_MS);
        while (client->subscriptions) {
            subscription_end(client->subscriptions);
        }
    }
    client_ready(client);
    client_update_interest(client);
}
