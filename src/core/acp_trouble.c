#include "core/acp_trouble.h"

#include <string.h>

#include "core/acp_out.h"
#include "core/acp_peer.h"
#include "signalbox/base/json.h"

enum { LAYERS_MAX = 4, DEPTH_MAX = 16 };

char *acp_trouble(struct acp_peer *peer, const char *text)
{
    return acp_copy(peer, text, ACP_TEXT_MAX);
}

/* The `message` of an error document such as {"error":{"message":"..."}}. */
static const char *message_in(struct json_object *document)
{
    const char *message = json_get_string(json_get(document, "error"), "message");
    return message != NULL ? message : json_get_string(document, "message");
}

/* Some agents pass a provider's error on as JSON text within the message, also in several
 * layers. Writes the innermost message. */
static void put_message(struct buffer *out, const char *text, int layers)
{
    struct json_parser *parser;
    struct json_object *document = NULL;
    const char *inner = NULL;
    if (text[0] == '{' && layers > 0 && json_parser_new(&parser, DEPTH_MAX) == ERR_OK) {
        if (json_parse(parser, text, strlen(text), &document) == ERR_OK) {
            inner = message_in(document);
        }
        json_parser_free(parser);
    }
    if (inner != NULL) {
        put_message(out, inner, layers - 1);
    } else {
        buffer_text(out, text);
    }
    json_object_put(document);
}

/* Message, and where `data` has words too, those: "Internal error" alone helps nobody. */
static void put_error(struct buffer *out, struct json_object *error)
{
    static const char *const keys[] = {"details", "message", "reason"};
    const char *message = json_get_string(error, "message");
    struct json_object *data = json_get(error, "data");
    const char *details =
        json_object_is_type(data, json_type_string) ? json_object_get_string(data) : NULL;
    for (size_t i = 0; details == NULL && i < sizeof keys / sizeof keys[0]; i++) {
        details = json_get_string(data, keys[i]);
    }
    int64_t code;
    if (message != NULL && message[0] != '\0') {
        put_message(out, message, LAYERS_MAX);
    } else if (json_get_i64(error, "code", &code)) {
        buffer_format(out, "error %lld", (long long)code);
    } else {
        buffer_text(out, "an error without a message");
    }
    if (details != NULL && details[0] != '\0' &&
        (message == NULL || strstr(message, details) == NULL)) {
        buffer_text(out, ": ");
        put_message(out, details, LAYERS_MAX);
    }
}

char *acp_trouble_error(struct acp_peer *peer, const char *method, struct json_object *error)
{
    struct buffer *out = &peer->text;
    buffer_reset(out);
    if (method != NULL) {
        buffer_format(out, "The agent refused %s: ", method);
    }
    put_error(out, error);
    return acp_take(peer, out, ACP_TEXT_MAX);
}

static bool is_of_type(struct json_object *method, const char *type)
{
    const char *own = json_get_string(method, "type");
    return own != NULL && strcmp(own, type) == 0;
}

/* The members of an array: texts, or objects with a name. */
static void put_names(struct buffer *out, struct json_object *array)
{
    size_t count =
        json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *each = json_object_array_get_idx(array, i);
        const char *name = json_object_is_type(each, json_type_string)
                               ? json_object_get_string(each)
                               : json_get_string(each, "name");
        if (name != NULL) {
            buffer_byte(out, ' ');
            buffer_text(out, name);
        }
    }
}

/* What a person has to do: the agent itself cannot, so `login` is no help here. */
static void put_how(struct buffer *out, struct json_object *method)
{
    if (is_of_type(method, "terminal")) {
        buffer_text(out, " - to be done in a terminal, as the server's user: the agent's command, then");
        put_names(out, json_get(method, "args"));
        struct json_object *environment = json_get(method, "env");
        if (json_object_is_type(environment, json_type_object)) {
            json_object_object_foreach(environment, key, value)
            {
                const char *text = json_object_is_type(value, json_type_string)
                                       ? json_object_get_string(value)
                                       : "";
                buffer_format(out, ", with %s=%s", key, text);
            }
        }
    } else if (is_of_type(method, "env_var")) {
        buffer_text(out, " - by the agent's environment:");
        put_names(out, json_get(method, "vars"));
    }
}

static void put_method(struct buffer *out, struct json_object *method)
{
    const char *id = json_get_string(method, "id");
    const char *name = json_get_string(method, "name");
    const char *description = json_get_string(method, "description");
    buffer_text(out, "\n- ");
    buffer_text(out, id != NULL ? id : "(no id)");
    if (name != NULL) {
        buffer_text(out, ": ");
        buffer_text(out, name);
    }
    if (description != NULL && description[0] != '\0') {
        buffer_text(out, " (");
        buffer_text(out, description);
        buffer_byte(out, ')');
    }
    put_how(out, method);
}

static struct json_object *configured(const struct acp_peer *peer, bool *any)
{
    struct json_object *methods = peer->auth_methods;
    size_t count =
        json_object_is_type(methods, json_type_array) ? json_object_array_length(methods) : 0;
    *any = count > 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *method = json_object_array_get_idx(methods, i);
        const char *id = json_get_string(method, "id");
        if (id != NULL && strcmp(id, peer->login) == 0) {
            return method;
        }
    }
    return NULL;
}

/* Why the configured login does not help; NULL: it may. */
static const char *no_help(const struct acp_peer *peer)
{
    bool any;
    struct json_object *method = configured(peer, &any);
    if (method == NULL) {
        /* Some agents name none and take one all the same. */
        return any ? "is none of its ways to log in" : NULL;
    }
    if (is_of_type(method, "terminal") || is_of_type(method, "env_var")) {
        return "is one that the agent cannot do by itself";
    }
    return peer->logged_in ? "was done, and did not help" : NULL;
}

bool acp_trouble_may_log_in(const struct acp_peer *peer)
{
    return peer->login != NULL && no_help(peer) == NULL;
}

char *acp_trouble_login(struct acp_peer *peer, struct json_object *error)
{
    struct buffer *out = &peer->text;
    buffer_reset(out);
    buffer_text(out, "The agent needs a login: ");
    put_error(out, error);
    const char *why = peer->login != NULL ? no_help(peer) : NULL;
    if (why != NULL) {
        buffer_format(out, "\nThe login \"%s\" of its configuration %s.", peer->login, why);
    }
    struct json_object *methods = peer->auth_methods;
    if (!json_object_is_type(methods, json_type_array) || json_object_array_length(methods) == 0) {
        buffer_text(out, "\nIt names no way to log in.");
        return acp_take(peer, out, ACP_TEXT_MAX);
    }
    buffer_text(out, "\nIts ways to log in:");
    for (size_t i = 0; i < json_object_array_length(methods); i++) {
        put_method(out, json_object_array_get_idx(methods, i));
    }
    return acp_take(peer, out, ACP_TEXT_MAX);
}
