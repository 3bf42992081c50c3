#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 128 };

struct rpc {
    struct wire *wire;
    struct json_tokener *tokener;
    struct rpc_handler handler;
    void *owner;
    int64_t next;
};

struct rpc *rpc_new(struct wire *w, const struct rpc_handler *handler, void *owner)
{
    struct rpc *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->tokener = json_tokener_new_ex(DEPTH_MAX);
    if (r->tokener == NULL) {
        free(r);
        return NULL;
    }
    json_tokener_set_flags(r->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    r->wire = w;
    r->handler = *handler;
    r->owner = owner;
    return r;
}

void rpc_free(struct rpc *r)
{
    if (r == NULL) {
        return;
    }
    json_tokener_free(r->tokener);
    free(r);
}

static void send_object(struct rpc *r, json_object *message)
{
    size_t length;
    const char *text = json_object_to_json_string_length(
        message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    char *at = text == NULL ? NULL : wire_reserve(r->wire, length + 1);
    if (at != NULL) {
        memcpy(at, text, length);
        at[length] = '\n';
        wire_commit(r->wire, length + 1);
    }
    json_object_put(message);
}

static json_object *envelope(void)
{
    json_object *message = json_object_new_object();
    json_object_object_add(message, "jsonrpc", json_object_new_string("2.0"));
    return message;
}

void rpc_result(struct rpc *r, json_object *id, json_object *result)
{
    json_object *message = envelope();
    json_object_object_add(message, "id", id);
    json_object_object_add(message, "result", result);
    send_object(r, message);
}

void rpc_error_object(struct rpc *r, json_object *id, json_object *error)
{
    json_object *message = envelope();
    json_object_object_add(message, "id", id);
    json_object_object_add(message, "error", error);
    send_object(r, message);
}

void rpc_error(struct rpc *r, json_object *id, int code, const char *text)
{
    json_object *error = json_object_new_object();
    json_object_object_add(error, "code", json_object_new_int(code));
    json_object_object_add(error, "message", json_object_new_string(text));
    rpc_error_object(r, id, error);
}

void rpc_notify(struct rpc *r, const char *method, json_object *params)
{
    json_object *message = envelope();
    json_object_object_add(message, "method", json_object_new_string(method));
    json_object_object_add(message, "params", params);
    send_object(r, message);
}

int64_t rpc_request(struct rpc *r, const char *method, json_object *params, bool string_id)
{
    int64_t number = r->next++;
    json_object *id;
    if (string_id) {
        char text[32];
        snprintf(text, sizeof text, "req-%lld", (long long)number);
        id = json_object_new_string(text);
    } else {
        id = json_object_new_int64(number);
    }
    json_object *message = envelope();
    json_object_object_add(message, "id", id);
    json_object_object_add(message, "method", json_object_new_string(method));
    json_object_object_add(message, "params", params);
    send_object(r, message);
    return number;
}

int64_t rpc_number(json_object *id)
{
    if (json_object_is_type(id, json_type_int)) {
        return json_object_get_int64(id);
    }
    if (json_object_is_type(id, json_type_string)) {
        const char *text = json_object_get_string(id);
        char *end;
        if (strncmp(text, "req-", 4) == 0 && text[4] >= '0' && text[4] <= '9') {
            long long number = strtoll(text + 4, &end, 10);
            return *end == '\0' ? number : -1;
        }
    }
    return -1;
}

bool rpc_same_id(json_object *a, json_object *b)
{
    return json_object_get_type(a) == json_object_get_type(b) && json_object_equal(a, b) != 0;
}

json_object *rpc_member(json_object *object, const char *name, enum json_type type)
{
    json_object *member;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, type)) {
        return NULL;
    }
    return member;
}

const char *rpc_text(json_object *object, const char *name, size_t *length)
{
    json_object *member = rpc_member(object, name, json_type_string);
    if (member == NULL) {
        return NULL;
    }
    if (length != NULL) {
        *length = (size_t)json_object_get_string_len(member);
    }
    return json_object_get_string(member);
}

static void take_message(struct rpc *r, json_object *message)
{
    if (!json_object_is_type(message, json_type_object)) {
        rpc_error(r, NULL, RPC_INVALID_REQUEST, "A message must be one JSON object");
        return;
    }
    json_object *id = NULL;
    json_object *params = NULL;
    bool has_id = json_object_object_get_ex(message, "id", &id);
    json_object_object_get_ex(message, "params", &params);
    const char *method = rpc_text(message, "method", NULL);
    if (has_id && id != NULL && !json_object_is_type(id, json_type_int) &&
        !json_object_is_type(id, json_type_string)) {
        rpc_error(r, NULL, RPC_INVALID_REQUEST, "An id must be a whole number, a text or null");
    } else if (method != NULL && has_id) {
        r->handler.request(r->owner, method, id, params);
    } else if (method != NULL) {
        r->handler.notification(r->owner, method, params);
    } else if (has_id && (json_object_object_get_ex(message, "result", NULL) ||
                          json_object_object_get_ex(message, "error", NULL))) {
        json_object *result = NULL;
        json_object *error = NULL;
        json_object_object_get_ex(message, "result", &result);
        json_object_object_get_ex(message, "error", &error);
        r->handler.response(r->owner, id, result, error);
    } else {
        rpc_error(r, has_id ? json_object_get(id) : NULL, RPC_INVALID_REQUEST,
                  "Neither a request nor a response");
    }
}

void rpc_take(struct rpc *r)
{
    char *line;
    size_t length;
    bool too_long;
    while ((line = wire_line(r->wire, &length, &too_long)) != NULL) {
        if (too_long) {
            rpc_error(r, NULL, RPC_INVALID_REQUEST, "The message is too long");
            continue;
        }
        // With its NUL the line is complete for the tokener, also when it is a bare number.
        json_tokener_reset(r->tokener);
        json_object *message = json_tokener_parse_ex(r->tokener, line, (int)length + 1);
        if (json_tokener_get_error(r->tokener) != json_tokener_success) {
            rpc_error(r, NULL, RPC_PARSE_ERROR, "Parse error");
        } else {
            take_message(r, message);
        }
        json_object_put(message);
    }
}
