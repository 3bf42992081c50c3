// JSON-RPC 2.0 over a wire, as ACP uses it: one message a line, no batches. The agents in bench/
// speak through it too.
#pragma once

#include "wire.h"

#include <json-c/json.h>
#include <stdint.h>

enum {
    RPC_PARSE_ERROR = -32700,
    RPC_INVALID_REQUEST = -32600,
    RPC_METHOD_NOT_FOUND = -32601,
    RPC_INVALID_PARAMS = -32602,
    RPC_INTERNAL_ERROR = -32603,
    RPC_AUTH_REQUIRED = -32000,
    RPC_NOT_FOUND = -32002,
};

struct rpc_handler {
    // A request; it must be answered once, now or later. `id` and `params` (NULL when there are
    // none) are the caller's: take a reference with json_object_get to keep them. `id` may be NULL,
    // which is how json-c says null.
    void (*request)(void *owner, const char *method, json_object *id, json_object *params);
    void (*notification)(void *owner, const char *method, json_object *params);
    // An answer to a request of ours; one of result and error is NULL (both, when the result is
    // null).
    void (*response)(void *owner, json_object *id, json_object *result, json_object *error);
};

struct rpc;

// NULL when memory ran out. The wire stays the caller's and must outlive the rpc.
struct rpc *rpc_new(struct wire *w, const struct rpc_handler *handler, void *owner);
void rpc_free(struct rpc *r);

// Takes all whole lines that the wire has, calls the handler for each message, and answers what is
// not JSON-RPC with the error that belongs to it.
void rpc_take(struct rpc *r);

// Each of these takes over the objects that it is given, also when it fails; NULL is sent as null.
// What cannot be sent for lack of memory or of a reader is dropped.
void rpc_result(struct rpc *r, json_object *id, json_object *result);
void rpc_error(struct rpc *r, json_object *id, int code, const char *message);
void rpc_error_object(struct rpc *r, json_object *id, json_object *error);
void rpc_notify(struct rpc *r, const char *method, json_object *params);

// Sends a request and returns its number; numbers are 0, 1, 2 ... As a string the id is "req-N".
int64_t rpc_request(struct rpc *r, const char *method, json_object *params, bool string_id);

// The number in the id of a response as rpc_request has given it, or -1 when it is none of ours.
int64_t rpc_number(json_object *id);

// Whether two ids are the same: type and value.
bool rpc_same_id(json_object *a, json_object *b);

// A member of an object, of the wanted type; NULL when the object is NULL or has none of that type.
json_object *rpc_member(json_object *object, const char *name, enum json_type type);

// A text member, or NULL; *length is its length in bytes (a JSON text may hold a NUL).
const char *rpc_text(json_object *object, const char *name, size_t *length);
