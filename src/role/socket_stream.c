/*
 * Server-sent events (WHATWG HTML, section 9.2): a client that only reads. Its events come out of the same tails as
 * everybody's; only the frame around the JSON is another: `id: EPOCH:SEQ` and `data:`.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "signalbox/base/log.h"
#include "socket_internal.h"

void stream_begin(struct client *client, const struct client_take *take)
{
    struct command *command = calloc(1, sizeof(*command));
    if (command) {
        *command = (struct command){.type = COMMAND_SUBSCRIBE, .allowed = FLAG_ABSENT, .allow = FLAG_ABSENT,
                                    .always_allow = FLAG_ABSENT, .all = FLAG_ABSENT,
                                    .session_id = strdup(take->session_id), .has_after = take->has_after,
                                    .after_epoch = take->has_after ? strdup(take->after_epoch) : NULL,
                                    .after_seq = take->after_seq};
    }
    if (!command || !command->session_id || (take->has_after && !command->after_epoch)) {
        command_free(command);
        client_drop(client);
        return;
    }
    client_command(client, command, false);
}

void stream_read(struct client *client)
{
    char nothing[1024];
    ssize_t got = recv(client->fd, nothing, sizeof(nothing), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        client_drop(client);
    }
}

void stream_tick(struct client *client, struct instant now)
{
    if (instant_diff_ms(now, client->progress) < client->thread->config->ping_interval_ms) {
        return;
    }
    buffer_text(&client->control, ":\n\n"); /* a comment */
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}

void stream_control(struct client *client, const char *json, size_t length)
{
    buffer_text(&client->control, "data: ");
    buffer_append(&client->control, json, length);
    buffer_text(&client->control, "\n\n");
    if (!buffer_ok(&client->control)) {
        client_drop(client);
        return;
    }
    client_ready(client);
}

/* The number that an event's JSON begins with: `{"seq":N,`. */
static const char *seq_of(const char *json, size_t length, size_t *digits)
{
    static const char start[] = "{\"seq\":";
    size_t skip = sizeof(start) - 1;
    if (length <= skip || memcmp(json, start, skip)) {
        return NULL;
    }
    *digits = strspn(json + skip, "0123456789");
    return json + skip;
}

enum err stream_events(struct client *client, const char *epoch, const char *frames, size_t length)
{
    struct buffer text = {0};
    for (size_t at = 0; at < length;) {
        const char *json;
        size_t payload;
        at += frame_read(frames + at, &json, &payload);
        size_t digits = 0;
        const char *seq = seq_of(json, payload, &digits);
        if (seq) {
            buffer_text(&text, "id: ");
            buffer_text(&text, epoch);
            buffer_byte(&text, ':');
            buffer_append(&text, seq, digits);
            buffer_byte(&text, '\n');
        }
        buffer_text(&text, "data: ");
        buffer_append(&text, json, payload);
        buffer_text(&text, "\n\n");
    }
    size_t written = text.length;
    char *owned = buffer_take(&text);
    if (!owned) {
        return ERR_NOMEM;
    }
    client->partial = (struct partial){.bytes = owned, .length = written, .text = owned};
    return ERR_OK;
}
