#pragma once
/* JSON-RPC 2.0 (jsonrpc.org/specification), as ACP uses it: one message a line, no batches. */
#include <json-c/json.h>
#include <stdbool.h>

#include "signalbox/base/buffer.h"
#include "signalbox/base/err.h"

struct acp_peer;
struct acp_outstanding;
enum acp_call;

enum {
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_CANCELLED = -32800,     /* ACP: request cancelled */
    RPC_AUTH_REQUIRED = -32000, /* ACP: authentication required */
    RPC_NOT_FOUND = -32002,     /* ACP: resource not found */
    RPC_FORBIDDEN = -32003,     /* ours: not in this session, by its policy */
};

/* Opens a request of ours, or a notification, up to the brace of its params; the caller adds
 * members and calls acp_rpc_send. There must be a free place among the outstanding ones. `token`
 * and `what` are copied, and may be NULL. */
struct buffer *acp_rpc_call(struct acp_peer *peer, enum acp_call call, const char *method);
struct buffer *acp_rpc_call_for(struct acp_peer *peer, enum acp_call call, const char *method,
                                const char *token, const char *what);
/* How many of our requests have no answer. */
size_t acp_rpc_outstanding(const struct acp_peer *peer);
void acp_outstanding_clear(struct acp_outstanding *call);
struct buffer *acp_rpc_notify(struct acp_peer *peer, const char *method);
void acp_rpc_send(struct acp_peer *peer);

/* Answers to the agent's request `id` (NULL is JSON's null). `result` is JSON text; `method` is
 * named in the error's data, or NULL. */
void acp_rpc_result(struct acp_peer *peer, struct json_object *id, const char *result);
void acp_rpc_error(struct acp_peer *peer, struct json_object *id, int code, const char *message,
                   const char *method);

/* Opens the answer to the agent's request up to the brace of its result; the caller adds members
 * and calls acp_rpc_send. */
struct buffer *acp_rpc_answer(struct acp_peer *peer, struct json_object *id);
/* True if the request is about the one session that there is; not yet while it is being loaded. */
bool acp_rpc_our_session(const struct acp_peer *peer, struct json_object *params);

/* Type and value: 1 and "1" are two ids. */
bool acp_rpc_same_id(struct json_object *a, struct json_object *b);

/* Takes one message apart and hands it to whom it is for; acp_peer_message without its guards. */
enum err acp_rpc_take(struct acp_peer *peer, struct json_object *message);
