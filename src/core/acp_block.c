#include "core/acp_block.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "signalbox/base/json.h"

static const struct {
    enum event_kind delta, complete;
} kinds[] = {
    [ACP_BLOCK_TEXT] = {EVENT_TEXT_DELTA, EVENT_TEXT_COMPLETE},
    [ACP_BLOCK_THOUGHT] = {EVENT_THOUGHT_DELTA, EVENT_THOUGHT_COMPLETE},
};

void acp_block_free(struct acp_block *block)
{
    free(block->agent_id);
    delta_text_free(&block->text);
    *block = (struct acp_block){0};
}

static void fields_of_block(const struct acp_peer *peer, struct buffer *out)
{
    const struct acp_block *block = &peer->block;
    json_key(out, "messageId");
    buffer_format(out, "\"m%" PRIu64 "-%" PRIu64 "\"", peer->run, block->number);
    json_field_string(out, "parentToolUseId", block->parent[0] != '\0' ? block->parent : NULL);
}

/* True: what the block holds is to go out now. */
static bool waits(struct acp_peer *peer)
{
    size_t length;
    delta_text_rest(&peer->block.text, &length);
    return length > 0 && delta_window_add(&peer->window, peer->now);
}

static void complete(struct acp_peer *peer, bool intermediate)
{
    struct acp_block *block = &peer->block;
    waits(peer);
    enum event_kind kind = kinds[block->kind].complete;
    struct buffer *out = acp_event_open(peer, kind);
    fields_of_block(peer, out);
    json_field_text(out, "text", block->text.text.data, block->text.text.length);
    json_field_bool(out, "isIntermediate", intermediate);
    acp_event_send(peer, kind);
    delta_text_restart(&block->text);
    free(block->agent_id);
    block->agent_id = NULL;
    block->kind = ACP_BLOCK_NONE;
}

void acp_block_end(struct acp_peer *peer, bool intermediate)
{
    if (peer->block.kind != ACP_BLOCK_NONE) {
        delta_text_end(&peer->block.text);
        complete(peer, intermediate);
    }
}

static void name_block(struct acp_peer *peer, const char *agent_id)
{
    if (peer->block.agent_id == NULL && agent_id != NULL) {
        peer->block.agent_id = strdup(agent_id);
        if (peer->block.agent_id == NULL) {
            peer->error = ERR_NOMEM;
        }
    }
}

void acp_block_chunk(struct acp_peer *peer, enum acp_block_kind kind, const char *text,
                     size_t length, const char *agent_id, const char *parent)
{
    struct acp_block *block = &peer->block;
    parent = parent != NULL ? parent : "";
    if (length == 0) {
        return;
    }
    bool another =
        agent_id != NULL && block->agent_id != NULL && strcmp(agent_id, block->agent_id) != 0;
    if (block->kind != kind || another || strcmp(block->parent, parent) != 0) {
        acp_block_end(peer, true);
    }
    for (size_t used = 0;;) {
        if (block->kind == ACP_BLOCK_NONE) {
            block->kind = kind;
            block->number = ++peer->message_count;
            snprintf(block->parent, sizeof block->parent, "%s", parent);
        }
        name_block(peer, agent_id);
        used += delta_text_add(&block->text, text + used, length - used, peer->max_message_text);
        if (used >= length || peer->error != ERR_OK) {
            break;
        }
        /* Full. What is held back of a character stays for the next message. */
        complete(peer, true);
    }
    if (!buffer_ok(&block->text.text)) {
        peer->error = ERR_NOMEM;
    } else if (waits(peer)) {
        acp_flush(peer);
    }
}

void acp_block_flush(struct acp_peer *peer, struct instant line_at)
{
    struct acp_block *block = &peer->block;
    size_t length;
    const char *rest = delta_text_rest(&block->text, &length);
    if (length == 0) {
        return;
    }
    enum event_kind kind = kinds[block->kind].delta;
    struct buffer *out = acp_delta_open(peer, kind);
    fields_of_block(peer, out);
    json_field_i64(out, "offset", (int64_t)block->text.sent_units);
    json_field_text(out, "delta", rest, length);
    delta_text_mark_sent(&block->text);
    acp_delta_send(peer, kind, line_at);
}
