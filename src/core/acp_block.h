#pragma once
/* The open message or thought of a session (docs/protocol.md, "Messages are blocks"). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/delta.h"

struct acp_peer;

enum { ACP_USE_ID_SIZE = 48 }; /* of our toolUseId, t<run>-<number> */

enum acp_block_kind { ACP_BLOCK_NONE, ACP_BLOCK_TEXT, ACP_BLOCK_THOUGHT };

struct acp_block {
    enum acp_block_kind kind;
    uint64_t number; /* of its messageId, m<run>-<number> */
    char *agent_id;  /* the agent's own message id, or NULL */
    char parent[ACP_USE_ID_SIZE]; /* the tool call of the sub-agent that says it; empty for none */
    struct delta_text text;
};

void acp_block_free(struct acp_block *block);
/* A chunk of text; an empty one does nothing. `agent_id` and `parent` may be NULL. */
void acp_block_chunk(struct acp_peer *peer, enum acp_block_kind kind, const char *text,
                     size_t length, const char *agent_id, const char *parent);
/* Completes the open block, if there is one. */
void acp_block_end(struct acp_peer *peer, bool intermediate);
/* The block's part of a flush. */
void acp_block_flush(struct acp_peer *peer, struct instant line_at);
