#include "core/acp_setting.h"

#include <stdlib.h>
#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "core/acp_rpc.h"
#include "core/acp_trouble.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"

static const char model_id[] = "model"; /* the option that stands for `models` */

enum {
    RESERVED_CALLS = 2, /* for a prompt, and for session/close */
    VALUE_DEPTH = 8,
};

void acp_settings_free(struct acp_peer *peer)
{
    json_object_put(peer->modes);
    json_object_put(peer->options);
    json_object_put(peer->models);
    free(peer->mode);
}

static struct json_object *get_array(struct json_object *object, const char *key)
{
    struct json_object *value = json_get(object, key);
    return json_object_is_type(value, json_type_array) ? value : NULL;
}

static size_t length_of(struct json_object *array)
{
    return array != NULL ? json_object_array_length(array) : 0;
}

/* The member of `array` whose `key` is `id`; NULL if there is none. */
static struct json_object *find(struct json_object *array, const char *key, const char *id)
{
    for (size_t i = 0; i < length_of(array); i++) {
        struct json_object *item = json_object_array_get_idx(array, i);
        const char *name = json_get_string(item, key);
        if (name != NULL && strcmp(name, id) == 0) {
            return item;
        }
    }
    return NULL;
}

/* ---- Shown ---- */

static void show_mode(struct acp_peer *peer, const char *current)
{
    char *copy = strdup(current);
    if (copy == NULL) {
        peer->error = ERR_NOMEM;
        return;
    }
    free(peer->mode);
    peer->mode = copy;
    struct buffer *out = acp_event_open(peer, EVENT_MODE);
    json_field_string(out, "currentModeId", current);
    if (peer->modes != NULL) {
        acp_field_clean(out, "availableModes", peer->modes);
    } else {
        json_field_raw(out, "availableModes", "[]");
    }
    acp_event_send(peer, EVENT_MODE);
}

/* An agent that has its models among its options needs no other. */
static bool models_are_apart(const struct acp_peer *peer)
{
    return peer->models != NULL && find(peer->options, "id", model_id) == NULL &&
           find(peer->options, "category", model_id) == NULL;
}

static void put_models(struct buffer *out, struct json_object *models)
{
    struct json_object *available = get_array(models, "availableModels");
    buffer_text(out,
                "{\"id\":\"model\",\"name\":\"Model\",\"category\":\"model\",\"type\":\"select\"");
    json_field_string(out, "currentValue", json_get_string(models, "currentModelId"));
    buffer_text(out, ",\"options\":[");
    for (size_t i = 0; i < length_of(available); i++) {
        struct json_object *model = json_object_array_get_idx(available, i);
        const char *id = json_get_string(model, "modelId");
        const char *name = json_get_string(model, "name");
        buffer_text(out, i == 0 ? "{" : ",{");
        json_field_string(out, "value", id != NULL ? id : "");
        json_field_string(out, "name", name != NULL ? name : id);
        json_field_string(out, "description", json_get_string(model, "description"));
        buffer_byte(out, '}');
    }
    buffer_text(out, "]}");
}

static void show_options(struct acp_peer *peer)
{
    struct buffer *out = acp_event_open(peer, EVENT_CONFIG_OPTIONS);
    buffer_text(out, ",\"options\":[");
    size_t count = length_of(peer->options);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buffer_byte(out, ',');
        }
        acp_put_clean(out, json_object_array_get_idx(peer->options, i));
    }
    if (models_are_apart(peer)) {
        if (count > 0) {
            buffer_byte(out, ',');
        }
        put_models(out, peer->models);
    }
    buffer_byte(out, ']');
    acp_event_send(peer, EVENT_CONFIG_OPTIONS);
}

static void keep(struct json_object **place, struct json_object *value)
{
    json_object_put(*place);
    *place = json_object_get(value);
}

void acp_settings_opened(struct acp_peer *peer, struct json_object *result)
{
    struct json_object *modes = json_get(result, "modes");
    const char *current = json_get_string(modes, "currentModeId");
    struct json_object *models = json_get(result, "models");
    keep(&peer->modes, get_array(modes, "availableModes"));
    keep(&peer->options, get_array(result, "configOptions"));
    keep(&peer->models, json_object_is_type(models, json_type_object) ? models : NULL);
    if (current != NULL) {
        show_mode(peer, current);
    }
    if (peer->options != NULL || models_are_apart(peer)) {
        show_options(peer);
    }
}

bool acp_setting_mode_update(struct acp_peer *peer, struct json_object *update)
{
    const char *current = json_get_string(update, "currentModeId");
    if (current == NULL) {
        current = json_get_string(update, "modeId"); /* as an example in ACP's docs has it */
    }
    if (current == NULL) {
        return false;
    }
    show_mode(peer, current);
    return true;
}

bool acp_setting_options_update(struct acp_peer *peer, struct json_object *update)
{
    struct json_object *options = get_array(update, "configOptions");
    if (options == NULL) {
        return false;
    }
    keep(&peer->options, options);
    show_options(peer);
    return true;
}

/* ---- Changed ---- */

/* A change that nobody waits for tells only of its failure. `message` is malloc'd, and passes on.
 */
static void tell(struct acp_peer *peer, const char *token, const char *code, char *message)
{
    if (token == NULL && code == NULL) {
        free(message);
        return;
    }
    struct agent_notice notice = {
        .kind = NOTICE_SETTING,
        .request_id = acp_copy(peer, token, SIZE_MAX),
        .code = acp_copy(peer, code, ACP_TEXT_MAX),
        .message = message,
    };
    acp_notice(peer, &notice);
}

static void refuse(struct acp_peer *peer, const char *token, const char *code, const char *text)
{
    tell(peer, token, code, acp_trouble(peer, text));
}

static void set_mode(struct acp_peer *peer, const char *token, const char *mode)
{
    if (peer->mode == NULL && peer->modes == NULL) {
        refuse(peer, token, "unsupported", "this agent has no modes");
    } else if (mode == NULL ||
               (length_of(peer->modes) > 0 && find(peer->modes, "id", mode) == NULL)) {
        refuse(peer, token, "bad_message", "this agent has no such mode");
    } else if (peer->mode != NULL && strcmp(peer->mode, mode) == 0) {
        tell(peer, token, NULL, NULL); /* it is so already */
    } else {
        struct buffer *out =
            acp_rpc_call_for(peer, ACP_CALL_SET_MODE, "session/set_mode", token, mode);
        json_field_string(out, "sessionId", peer->agent_session);
        json_field_string(out, "modeId", mode);
        acp_rpc_send(peer);
    }
}

static void set_model(struct acp_peer *peer, const char *token, const char *model)
{
    const char *current = json_get_string(peer->models, "currentModelId");
    struct json_object *available = get_array(peer->models, "availableModels");
    if (model == NULL || (length_of(available) > 0 && find(available, "modelId", model) == NULL)) {
        refuse(peer, token, "bad_message", "this agent has no such model");
    } else if (current != NULL && strcmp(current, model) == 0) {
        tell(peer, token, NULL, NULL);
    } else {
        struct buffer *out =
            acp_rpc_call_for(peer, ACP_CALL_SET_MODEL, "session/set_model", token, model);
        json_field_string(out, "sessionId", peer->agent_session);
        json_field_string(out, "modelId", model);
        acp_rpc_send(peer);
    }
}

static void set_option(struct acp_peer *peer, const char *token, struct json_object *option,
                       const char *option_id, struct json_object *value)
{
    const char *type = json_get_string(option, "type");
    bool is_switch = type != NULL && strcmp(type, "boolean") == 0;
    if (!json_object_is_type(value, is_switch ? json_type_boolean : json_type_string)) {
        refuse(peer, token, "bad_message",
               is_switch ? "this option is true or false" : "this option's value is a string");
    } else if (json_object_equal(json_get(option, "currentValue"), value) == 1) {
        tell(peer, token, NULL, NULL);
    } else {
        struct buffer *out =
            acp_rpc_call_for(peer, ACP_CALL_SET_OPTION, "session/set_config_option", token, NULL);
        json_field_string(out, "sessionId", peer->agent_session);
        json_field_string(out, "configId", option_id);
        if (is_switch) {
            json_field_string(out, "type", "boolean");
        }
        json_field_object(out, "value", value);
        acp_rpc_send(peer);
    }
}

static void set(struct acp_peer *peer, const char *token, const char *option_id,
                struct json_object *value)
{
    const char *text =
        json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
    if (option_id == NULL) {
        set_mode(peer, token, text);
        return;
    }
    struct json_object *option = find(peer->options, "id", option_id);
    if (option == NULL && (option = find(peer->options, "category", option_id)) != NULL) {
        option_id = json_get_string(option, "id"); /* who wants "the model" need not know what it is called */
    }
    if (option != NULL) {
        set_option(peer, token, option, option_id, value);
    } else if (strcmp(option_id, model_id) == 0 && peer->models != NULL) {
        set_model(peer, token, text);
    } else {
        refuse(peer, token, "not_found", "this agent has no such option");
    }
}

void acp_peer_set(struct acp_peer *peer, const char *token, const char *option_id,
                  const char *value)
{
    if (peer->state == ACP_ENDED || peer->error != ERR_OK) {
        return;
    }
    CHECK(peer->state == ACP_READY);
    if (acp_rpc_outstanding(peer) >= ACP_CALLS_MAX - RESERVED_CALLS) {
        refuse(peer, token, "busy", "the agent has not answered earlier changes yet");
        return;
    }
    struct json_parser *parser = NULL;
    struct json_object *parsed = NULL;
    enum err err = json_parser_new(&parser, VALUE_DEPTH);
    if (err == ERR_OK) {
        err = json_parse(parser, value, strlen(value), &parsed);
    }
    json_parser_free(parser);
    if (err == ERR_NOMEM) {
        peer->error = ERR_NOMEM;
    } else if (err != ERR_OK) {
        refuse(peer, token, "bad_message", "this is no value of an option");
    } else {
        set(peer, token, option_id, parsed);
    }
    json_object_put(parsed);
}

void acp_peer_set_late(struct acp_peer *peer, const char *token)
{
    for (size_t i = 0; i < ACP_CALLS_MAX && peer->state == ACP_READY; i++) {
        const struct acp_outstanding *call = &peer->calls[i];
        if (call->call != ACP_CALL_NONE && call->token != NULL && strcmp(call->token, token) == 0) {
            struct buffer *out = acp_rpc_notify(peer, "$/cancel_request");
            json_field_i64(out, "requestId", call->id);
            acp_rpc_send(peer);
            return;
        }
    }
}

static const char *code_of(struct json_object *error)
{
    int64_t code;
    if (!json_get_i64(error, "code", &code)) {
        code = 0;
    }
    return code == RPC_METHOD_NOT_FOUND ? "unsupported"
           : code == RPC_INVALID_PARAMS ? "bad_message"
                                        : "agent_failed";
}

void acp_setting_answered(struct acp_peer *peer, const struct acp_outstanding *call,
                          struct json_object *result, struct json_object *error)
{
    if (error != NULL) {
        tell(peer, call->token, code_of(error), acp_trouble_error(peer, NULL, error));
        return;
    }
    struct json_object *options = get_array(result, "configOptions");
    if (call->call == ACP_CALL_SET_MODE &&
        (peer->mode == NULL || strcmp(peer->mode, call->what) != 0)) {
        show_mode(peer, call->what); /* unless the agent has said so itself */
    } else if (call->call == ACP_CALL_SET_MODEL && peer->models != NULL) {
        json_object_object_add(peer->models, "currentModelId", json_object_new_string(call->what));
        show_options(peer);
    } else if (options != NULL && json_object_equal(options, peer->options) != 1) {
        keep(&peer->options, options);
        show_options(peer);
    }
    tell(peer, call->token, NULL, NULL);
}
