/*
 * Clients with permessage-deflate (RFC 7692). Events that are long enough are compressed by the deflate thread, once for all of
 * them, beside the tail's own frames (share/topic.h); what is short, or gains nothing, they get as everybody does. A
 * subscription that comes to an event that is not compressed yet asks, and waits for the poke; nobody else waits with it.
 */
#include <stdatomic.h>

#include "signalbox/base/deflate.h"
#include "signalbox/base/utf8.h"
#include "signalbox/mail/deflate.h"
#include "socket_internal.h"

enum fate { AS_IT_IS, COMPRESSED, NOT_YET };

static enum fate fate_of(struct subscription *subscription, const struct client_turn *turn, uint64_t seq, const char **bytes,
                         size_t *length)
{
    const struct config *config = subscription->client->thread->config;
    size_t plain;
    (void)topic_run_frame(&turn->run, seq, &plain);
    if (plain < (size_t)config->compression_min_bytes) {
        return AS_IT_IS;
    }
    if (topic_form_look(&turn->run, seq, TOPIC_FORM_DEFLATE, bytes, length)) {
        return *length ? COMPRESSED : AS_IT_IS;
    }
    /* Where the thread has passed and nothing is there, it had no memory for it. */
    bool was_asked = subscription->squeezed >= seq;
    return was_asked && atomic_load(&subscription->watched->topic->squeeze.to) >= seq ? AS_IT_IS : NOT_YET;
}

static void ask(struct subscription *subscription, uint64_t seq)
{
    struct topic *topic = subscription->watched->topic;
    if (subscription->squeezed < seq) {
        subscription->squeezed = atomic_load(&topic->head);
        topic_squeeze(topic, seq, subscription->client->thread->wiring.deflate);
    }
}

bool deflate_next(struct subscription *subscription, struct client_turn *turn)
{
    struct topic_run *run = &turn->run;
    const char *bytes;
    size_t length;
    uint64_t first = run->from, seq = first;
    enum fate fate = fate_of(subscription, turn, seq, &bytes, &length);
    if (fate == COMPRESSED) {
        topic_run_cut(run, first, first);
        turn->bytes = bytes;
        turn->length = length;
        turn->form = true;
        return true;
    }
    while (fate == AS_IT_IS && seq < run->last) {
        fate = fate_of(subscription, turn, ++seq, &bytes, &length);
    }
    if (fate == NOT_YET) {
        ask(subscription, seq); /* in good time, also where something goes before it */
    }
    if (fate == NOT_YET && seq == first) {
        topic_chunk_put(run->chunk);
        return false;
    }
    topic_run_cut(run, first, fate == AS_IT_IS ? seq : seq - 1);
    return true;
}

bool deflate_piece(struct client *client, struct history_request *request)
{
    struct socket_thread *thread = client->thread;
    if (!client->deflates || request->squeezed || request->bytes.length < (size_t)thread->config->compression_min_bytes) {
        return false;
    }
    request->mail.kind = DEFLATE_PIECE;
    mailbox_push(thread->wiring.deflate, &request->mail);
    return true;
}

bool inflate_for(struct client *client, const void *payload, size_t length, struct buffer *out)
{
    struct socket_thread *thread = client->thread;
    enum err err = thread->inflater ? ERR_OK : inflater_new(&thread->inflater);
    if (!err) {
        err = inflate_message(thread->inflater, payload, length, client->max_message_bytes, out);
    }
    if (err == ERR_NOMEM) {
        client_drop(client);
    } else if (err == ERR_TOOBIG) {
        client_close(client, WSLAY_CODE_MESSAGE_TOO_BIG, "longer than max-message-bytes");
    } else if (err) {
        client_close(client, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, "not a compressed message of RFC 7692");
    } else if (!utf8_valid(out->data, out->length)) {
        client_close(client, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA, "not UTF-8");
    } else {
        return true;
    }
    return false;
}
