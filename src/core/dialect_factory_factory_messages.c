/* What factory-factory's clients say. */
#include "core/dialect_factory_factory.h"

#include <string.h>

enum { REQUEST_MAX = 256, OPTION_MAX = 4096 };

static void load_session(struct dialect_out *out, const struct dialect_client *client,
                         struct json_object *message)
{
    factory_factory_load(out, client, json_get_string(message, "loadRequestId"));
}

/* Who says something without having loaded the session hears what comes of it. */
static void see_to_watch(struct dialect_out *out, const struct dialect_client *client)
{
    if (!client->watches(client, client->session_id)) {
        factory_factory_watch(out, client, FOR_WATCH, "turn");
    }
}

static bool put_attachment(struct buffer *text, struct json_object *attachment)
{
    const char *data = json_get_string(attachment, "data");
    const char *type = json_get_string(attachment, "type");
    const char *name = json_get_string(attachment, "name");
    if (!data || !type) {
        return false;
    }
    bool image = dialect_after(type, "image/");
    buffer_text(text, image ? "{\"type\":\"image\"" : "{\"type\":\"resource\",\"resource\":{");
    if (!image) {
        json_key(text, "uri");
        buffer_text(text, "\"attachment:///");
        for (const char *at = name ? name : "file"; *at; at++) {
            bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                         (*at >= 'A' && *at <= 'Z') || strchr("-._~", *at);
            buffer_format(text, plain ? "%c" : "%%%02X", (unsigned char)*at);
        }
        buffer_byte(text, '"');
    }
    json_field_string(text, "mimeType", type);
    bool is_text = !strcmp(dialect_text(attachment, "contentType"), "text");
    json_field_string(text, image ? "data" : is_text ? "text" : "blob", data);
    buffer_text(text, image ? "}" : "}}");
    return true;
}

static void queue_message(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *own = dialect_text(message, "id");
    struct json_object *attachments = json_get(message, "attachments");
    size_t count = attachments ? json_object_array_length(attachments) : 0;
    struct buffer content = {0};
    bool fine = true;
    for (size_t i = 0; fine && i < count; i++) {
        buffer_text(&content, i ? "," : "");
        fine = put_attachment(&content, json_object_array_get_idx(attachments, i));
    }
    if (!fine || (!count && !*dialect_text(message, "text"))) {
        factory_factory_put_rejected(out, own,
                                     fine ? "a message needs a `text` or `attachments`"
                                          : "an attachment needs its `type` and `data`",
                                     "bad_message");
        buffer_free(&content);
        return;
    }
    see_to_watch(out, client);
    char id[512];
    factory_factory_prompt_id(client->session_id, own, id, sizeof(id));
    struct buffer *text = dialect_command_open(out, "prompt", id);
    json_field_string(text, "sessionId", client->session_id);
    dialect_copy(text, "text", message, "text");
    if (count) {
        json_key(text, "content");
        buffer_byte(text, '[');
        buffer_append(text, content.data, content.length);
        buffer_byte(text, ']');
    }
    text->failed |= content.failed;
    buffer_free(&content);
    dialect_command_close(out, true);
}

static void user_input(struct dialect_out *out, const struct dialect_client *client,
                       struct json_object *message)
{
    see_to_watch(out, client);
    dialect_copy(factory_factory_command_open(out, client, "prompt", FOR_OTHER), "text", message, "text");
    dialect_command_close(out, false);
}

/* By the client's id, or by ours, which prompts of other kinds of clients have. */
static void remove_queued(struct dialect_out *out, const struct dialect_client *client,
                          struct json_object *message)
{
    const char *name = dialect_text(message, "messageId");
    const char *digits = dialect_after(name, "u-");
    bool ours = digits && *digits && strspn(digits, "0123456789") == strlen(digits);
    char id[512];
    factory_factory_prompt_id(client->session_id, name, id, sizeof(id));
    json_field_string(factory_factory_command_open(out, client, "withdraw", FOR_OTHER), "messageId", ours ? name : id);
    dialect_command_close(out, false);
}

static void simple(struct dialect_out *out, const struct dialect_client *client, const char *type)
{
    factory_factory_command_open(out, client, type, FOR_OTHER);
    dialect_command_close(out, false);
}

static void stop(struct dialect_out *out, const struct dialect_client *client,
                 struct json_object *message)
{
    (void)message;
    simple(out, client, "cancel");
}

/* The agent starts with the first prompt; what waits since it ended goes on. */
static void resume(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    (void)message;
    simple(out, client, "resume_queue");
}

static void answer(struct dialect_out *out, const struct dialect_client *client,
                   struct json_object *message)
{
    struct json_object *option = json_get(message, "optionId"), *allow = json_get(message, "allow");
    if (!option && !allow) {
        factory_factory_put_error(out, "an answer needs `optionId` or `allow`", "bad_message");
        return;
    }
    struct buffer *text = factory_factory_command_open(out, client, "permission_response", FOR_ANSWER);
    json_field_object(text, "requestId", json_get(message, "requestId"));
    json_field_object(text, "optionId", option);
    json_field_object(text, "allow", option ? NULL : allow);
    dialect_command_close(out, false);
}

static void set_option(struct dialect_out *out, const struct dialect_client *client,
                       const char *name, struct json_object *value)
{
    struct buffer *text = factory_factory_command_open(out, client, "set_config_option", FOR_OTHER);
    json_field_string(text, "configId", name);
    json_field_object(text, "value", value);
    dialect_command_close(out, false);
}

static void set_config_option(struct dialect_out *out, const struct dialect_client *client,
                              struct json_object *message)
{
    set_option(out, client, dialect_text(message, "configId"), json_get(message, "value"));
}

/* By the category that ACP has for it. */
static void set_model(struct dialect_out *out, const struct dialect_client *client,
                      struct json_object *message)
{
    set_option(out, client, "model", json_get(message, "model"));
}

static void set_thinking_budget(struct dialect_out *out, const struct dialect_client *client,
                                struct json_object *message)
{
    set_option(out, client, "thought_level", json_get(message, "max_tokens"));
}

#define ROW(word, text, function, ...)                                                             \
    {                                                                                              \
        .name = word, .help = text, .take = function,                                              \
        .fields = (const struct field[]){__VA_ARGS__{.name = NULL}}                                \
    }

const struct dialect_message factory_factory_messages[] = {
    ROW("load_session", "Asks for all of the session, and for what comes.", load_session,
        O("loadRequestId", STRING, "Comes back in the snapshot.", .maximum = FACTORY_FACTORY_LOAD_ID_MAX), ),
    ROW("queue_message", "A prompt. With an `id` that was said before it is the same one.",
        queue_message,
        F("id", STRING, "The client's own.", .minimum = 1, .maximum = FACTORY_FACTORY_MESSAGE_ID_MAX),
        O("text", STRING, "What to say."),
        O("attachments", ARRAY, "Objects with `type`, a media type, `data`, and `name`; the data is "
                                "base64, or a text where `contentType` is `text`."),
        O("settings", OBJECT, "Not looked at."), ),
    ROW("remove_queued_message", "Takes a prompt back.", remove_queued,
        F("messageId", STRING, "The prompt.", .minimum = 1, .maximum = FACTORY_FACTORY_MESSAGE_ID_MAX), ),
    ROW("user_input", "A prompt.", user_input, F("text", STRING, "What to say.", .minimum = 1), ),
    ROW("stop", "Cancels what the agent does.", stop, ),
    ROW("start", "Goes on with what is queued.", resume, ),
    ROW("resume_queued_messages", "The same.", resume, ),
    ROW("permission_response", "Answers a request.", answer,
        F("requestId", STRING, "The request.", .minimum = 1, .maximum = REQUEST_MAX),
        O("optionId", STRING, "One of its `acpOptions`; decides alone.", .minimum = 1,
          .maximum = OPTION_MAX),
        O("allow", BOOL, "Yes or no."), O("answers", OBJECT, "Not looked at."), ),
    ROW("set_config_option", "Changes one of the agent's options.", set_config_option,
        F("configId", STRING, "The option.", .minimum = 1, .maximum = OPTION_MAX),
        F("value", ANY, "Its value."), ),
    ROW("set_model", "Changes the agent's option of category `model`.", set_model,
        F("model", STRING, "Its value.", .minimum = 1, .maximum = OPTION_MAX), ),
    ROW("set_thinking_budget", "Changes the agent's option of category `thought_level`.",
        set_thinking_budget, F("max_tokens", ANY, "Its value."), ),
    {.name = NULL},
};
