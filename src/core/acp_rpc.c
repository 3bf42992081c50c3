#include "core/acp_rpc.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_update.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

enum { LINE_KEPT = 1024 * 1024 }; /* a larger buffer is not kept */

static struct buffer *open_line(struct acp_peer *peer)
{
    buffer_reset(&peer->line);
    buffer_text(&peer->line, "{\"jsonrpc\":\"2.0\"");
    return &peer->line;
}

static void send_line(struct acp_peer *peer)
{
    buffer_text(&peer->line, "}\n");
    if (!buffer_ok(&peer->line)) {
        peer->error = ERR_NOMEM;
        return;
    }
    peer->sink.send(peer->sink.context, peer->line.data, peer->line.length);
    if (peer->line.capacity > LINE_KEPT) {
        buffer_free(&peer->line);
    }
}

void acp_outstanding_clear(struct acp_outstanding *call)
{
    free(call->token);
    free(call->what);
    *call = (struct acp_outstanding){0};
}

size_t acp_rpc_outstanding(const struct acp_peer *peer)
{
    size_t count = 0;
    for (size_t i = 0; i < ACP_CALLS_MAX; i++) {
        count += peer->calls[i].call != ACP_CALL_NONE;
    }
    return count;
}

struct buffer *acp_rpc_call(struct acp_peer *peer, enum acp_call call, const char *method)
{
    return acp_rpc_call_for(peer, call, method, NULL, NULL);
}

struct buffer *acp_rpc_call_for(struct acp_peer *peer, enum acp_call call, const char *method,
                                const char *token, const char *what)
{
    struct acp_outstanding *place = peer->calls;
    while (place < peer->calls + ACP_CALLS_MAX && place->call != ACP_CALL_NONE) {
        place++;
    }
    CHECK(place < peer->calls + ACP_CALLS_MAX);
    *place = (struct acp_outstanding){
        .call = call,
        .method = method,
        .id = peer->next_id++,
        .token = token != NULL ? strdup(token) : NULL,
        .what = what != NULL ? strdup(what) : NULL,
    };
    if ((token != NULL && place->token == NULL) || (what != NULL && place->what == NULL)) {
        peer->error = ERR_NOMEM;
    }
    struct buffer *out = open_line(peer);
    json_field_i64(out, "id", place->id);
    json_field_string(out, "method", method);
    buffer_text(out, ",\"params\":{");
    return out;
}

struct buffer *acp_rpc_notify(struct acp_peer *peer, const char *method)
{
    struct buffer *out = open_line(peer);
    json_field_string(out, "method", method);
    buffer_text(out, ",\"params\":{");
    return out;
}

void acp_rpc_send(struct acp_peer *peer)
{
    buffer_byte(&peer->line, '}');
    send_line(peer);
}

static void put_id(struct buffer *out, struct json_object *id)
{
    json_key(out, "id");
    json_put_object(out, id);
}

void acp_rpc_result(struct acp_peer *peer, struct json_object *id, const char *result)
{
    struct buffer *out = open_line(peer);
    put_id(out, id);
    json_field_raw(out, "result", result);
    send_line(peer);
}

struct buffer *acp_rpc_answer(struct acp_peer *peer, struct json_object *id)
{
    struct buffer *out = open_line(peer);
    put_id(out, id);
    buffer_text(out, ",\"result\":{");
    return out;
}

void acp_rpc_error(struct acp_peer *peer, struct json_object *id, int code, const char *message,
                   const char *method)
{
    struct buffer *out = open_line(peer);
    put_id(out, id);
    buffer_text(out, ",\"error\":{");
    json_field_i64(out, "code", code);
    json_field_string(out, "message", message);
    if (method != NULL) {
        buffer_text(out, ",\"data\":{");
        json_field_string(out, "method", method);
        buffer_byte(out, '}');
    }
    buffer_byte(out, '}');
    send_line(peer);
}

bool acp_rpc_same_id(struct json_object *a, struct json_object *b)
{
    return json_object_get_type(a) == json_object_get_type(b) && json_object_equal(a, b) == 1;
}

/* ACP's RequestId: null, a whole number or a string. */
static bool is_id(struct json_object *id)
{
    enum json_type type = json_object_get_type(id);
    return type == json_type_null || type == json_type_int || type == json_type_string;
}

bool acp_rpc_our_session(const struct acp_peer *peer, struct json_object *params)
{
    const char *session = json_get_string(params, "sessionId");
    return session != NULL && peer->state == ACP_READY &&
           strcmp(session, peer->agent_session) == 0;
}

/* $/cancel_request: the agent does not want the answer any more, but gets one, as ACP demands. One
 * that was answered, or is about to be, is not found. */
static void withdraw(struct acp_peer *peer, struct json_object *params)
{
    struct json_object *id;
    if (json_object_is_type(params, json_type_object) &&
        json_object_object_get_ex(params, "requestId", &id) &&
        !acp_permission_withdraw(peer, id) && !acp_files_withdraw(peer, id)) {
        acp_terminal_withdraw(peer, id);
    }
}

struct handler {
    const char *method;
    unsigned offer; /* enum acp_offer; 0: always there */
    void (*request)(struct acp_peer *peer, struct json_object *id, struct json_object *params);
    void (*notification)(struct acp_peer *peer, struct json_object *params);
};

/* What is not advertised (fs and terminal for most agents, elicitation) is asked for all the same
 * by some, and gets "method not found"; they go on without it. */
static const struct handler handlers[] = {
    {"session/request_permission", .request = acp_permission_request},
    {"session/update", .notification = acp_update},
    {"$/cancel_request", .notification = withdraw},
    {"fs/read_text_file", ACP_OFFER_FS, .request = acp_files_read},
    {"fs/write_text_file", ACP_OFFER_FS, .request = acp_files_write},
    {"terminal/create", ACP_OFFER_TERMINAL, .request = acp_terminal_create},
    {"terminal/output", ACP_OFFER_TERMINAL, .request = acp_terminal_output},
    {"terminal/wait_for_exit", ACP_OFFER_TERMINAL, .request = acp_terminal_wait},
    {"terminal/kill", ACP_OFFER_TERMINAL, .request = acp_terminal_kill},
    {"terminal/release", ACP_OFFER_TERMINAL, .request = acp_terminal_release},
};

static const struct handler *find(const char *method)
{
    for (size_t i = 0; i < array_size(handlers); i++) {
        if (strcmp(handlers[i].method, method) == 0) {
            return &handlers[i];
        }
    }
    return NULL;
}

static void take_request(struct acp_peer *peer, const char *method, struct json_object *id,
                         struct json_object *params)
{
    const struct handler *handler = find(method);
    if (!is_id(id)) {
        acp_rpc_error(peer, NULL, RPC_INVALID_REQUEST,
                      "Invalid request: an id is null, a whole number or a string", NULL);
    } else if (handler == NULL || handler->request == NULL ||
               (handler->offer & ~peer->offers) != 0) {
        acp_rpc_error(peer, id, RPC_METHOD_NOT_FOUND, "Method not found", method);
    } else {
        handler->request(peer, id, params);
    }
}

/* Whether it is the answer to something that was asked. */
static bool take_response(struct acp_peer *peer, struct json_object *message,
                          struct json_object *id)
{
    /* Only our numbers count: an answer to nothing is nobody's. */
    if (!json_object_is_type(id, json_type_int)) {
        return false;
    }
    for (size_t i = 0; i < ACP_CALLS_MAX; i++) {
        struct acp_outstanding *place = &peer->calls[i];
        if (place->call != ACP_CALL_NONE && place->id == json_object_get_int64(id)) {
            struct acp_outstanding call = *place;
            *place = (struct acp_outstanding){0};
            acp_answered(peer, &call, json_get(message, "result"), json_get(message, "error"));
            acp_outstanding_clear(&call);
            return true;
        }
    }
    return false;
}

enum err acp_rpc_take(struct acp_peer *peer, struct json_object *message)
{
    if (!json_object_is_type(message, json_type_object)) {
        return ERR_SYNTAX;
    }
    struct json_object *id = NULL;
    struct json_object *method = NULL;
    struct json_object *result;
    bool has_id = json_object_object_get_ex(message, "id", &id);
    bool has_method = json_object_object_get_ex(message, "method", &method);
    if (json_object_is_type(method, json_type_string)) {
        const char *name = json_object_get_string(method);
        struct json_object *params = json_get(message, "params");
        if (has_id) {
            take_request(peer, name, id, params);
        } else {
            const struct handler *handler = find(name);
            if (handler != NULL && handler->notification != NULL) {
                handler->notification(peer, params);
            }
        }
        return ERR_OK;
    }
    /* A `result` that is missing counts as null where something was asked: JavaScript's JSON leaves
     * an undefined one out, and whoever waits for it would wait for ever. */
    if (!has_method && has_id &&
        (take_response(peer, message, id) || json_object_object_get_ex(message, "result", &result) ||
         json_object_object_get_ex(message, "error", &result))) {
        return ERR_OK;
    }
    if (has_id) {
        acp_rpc_error(peer, is_id(id) ? id : NULL, RPC_INVALID_REQUEST,
                      "Invalid request: neither a method nor a response", NULL);
        return ERR_OK;
    }
    return ERR_SYNTAX;
}
