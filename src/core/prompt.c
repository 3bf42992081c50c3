#include "signalbox/core/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "signalbox/base/base64.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"

/* ---- Blocks ---- */

enum block_kind { BLOCK_OTHER, BLOCK_TEXT, BLOCK_MEDIA, BLOCK_RESOURCE, BLOCK_LINK };

static enum block_kind kind_of(struct json_object *block)
{
    const char *type = json_get_string(block, "type");
    if (type && !strcmp(type, "text")) {
        return BLOCK_TEXT;
    }
    if (type && (!strcmp(type, "image") || !strcmp(type, "audio"))) {
        return BLOCK_MEDIA;
    }
    if (type && !strcmp(type, "resource_link")) {
        return BLOCK_LINK;
    }
    return type && !strcmp(type, "resource") ? BLOCK_RESOURCE : BLOCK_OTHER;
}

bool prompt_block_blob(struct json_object *block, struct digest *name)
{
    enum block_kind kind = kind_of(block);
    const char *id = json_get_string(block, "blob");
    return (kind == BLOCK_MEDIA || kind == BLOCK_RESOURCE) && id && blob_id_parse(id, name);
}

static bool is_one_of(const char *key, const char *const *names)
{
    while (*names && strcmp(*names, key)) {
        names++;
    }
    return *names != NULL;
}

/* The members of an object, but those of the names (a NULL ends them), each with a comma in front. */
static void put_others(struct buffer *out, struct json_object *object, const char *const *names)
{
    if (!json_object_is_type(object, json_type_object)) {
        return;
    }
    json_object_object_foreach(object, key, value)
    {
        if (!is_one_of(key, names)) {
            buffer_byte(out, ',');
            json_put_string(out, key, strlen(key));
            buffer_byte(out, ':');
            json_put_object(out, value);
        }
    }
}
#define BUT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void put_base64(struct buffer *out, const char *key, const char *data, size_t length)
{
    buffer_format(out, ",\"%s\":\"", key);
    base64_append(out, data, length);
    buffer_byte(out, '"');
}

static bool is_text(const char *type, const char *data, size_t length)
{
    bool named = !strncmp(type, "text/", 5) || !strncmp(type, BLOB_JSON, strlen(BLOB_JSON));
    return named && utf8_valid(data, length) && !memchr(data, '\0', length);
}

static void fill_resource(struct buffer *out, struct json_object *resource, const char *type, const char *data,
                          size_t length)
{
    const char *uri = json_get_string(resource, "uri");
    const char *own_type = json_get_string(resource, "mimeType");
    buffer_text(out, ",\"resource\":{");
    json_field_string(out, "uri", uri ? uri : "");
    json_field_string(out, "mimeType", own_type ? own_type : type);
    put_others(out, resource, BUT("uri", "mimeType"));
    if (is_text(type, data, length)) {
        json_field_text(out, "text", data, length);
    } else {
        put_base64(out, "blob", data, length);
    }
    buffer_byte(out, '}');
}

void prompt_block_fill(struct buffer *out, struct json_object *block, const char *type, const char *data, size_t length)
{
    buffer_text(out, "{\"type\":");
    json_put_object(out, json_get(block, "type"));
    put_others(out, block, BUT("type", "blob", "resource"));
    if (kind_of(block) == BLOCK_RESOURCE) {
        fill_resource(out, json_get(block, "resource"), type, data, length);
    } else {
        if (!json_get(block, "mimeType")) {
            json_field_string(out, "mimeType", type);
        }
        put_base64(out, "data", data, length);
    }
    buffer_byte(out, '}');
}

/* ---- From clients ---- */

__attribute__((format(printf, 5, 6))) static enum err refuse(struct command_error *error, enum answer_code code,
                                                             size_t index, const char *member, const char *format, ...)
{
    error->code = code;
    snprintf(error->field, sizeof(error->field), "content[%zu]%s", index, member);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return ERR_SYNTAX;
}

static enum err note_use(struct command *command, const struct digest *name, size_t index, struct command_error *error)
{
    if (command->use_count == PROMPT_BLOBS_MAX) {
        return refuse(error, ANSWER_BAD_MESSAGE, index, "", "a prompt can name %d blobs", PROMPT_BLOBS_MAX);
    }
    if (!command->uses) {
        command->uses = calloc(PROMPT_BLOBS_MAX, sizeof(*command->uses));
        if (!command->uses) {
            return ERR_NOMEM;
        }
    }
    command->uses[command->use_count++] = (struct blob_use){.name = *name, .index = index};
    return ERR_OK;
}

/* A blob of `data` (taken) hung on the command; its id. */
static enum err add_blob(struct command *command, const char *type, char *data, size_t length, char id[BLOB_ID_SIZE])
{
    struct digest name;
    struct blob *blob;
    blob_name(type, data, length, &name);
    enum err err = blob_new(&blob, type, &name, data, length);
    if (err) {
        free(data);
        return err;
    }
    blob->next = command->blobs;
    command->blobs = blob;
    blob_id(&name, id);
    return ERR_OK;
}

/* Base64 of a client's. */
static enum err take_data(const char *text, size_t length, const char *type, struct command *command, size_t index,
                          const char *member, char id[BLOB_ID_SIZE], struct command_error *error)
{
    struct buffer data = {0};
    bool fine = base64_decode(&data, text, length);
    bool memory = buffer_ok(&data);
    if (!fine || !memory) {
        buffer_free(&data);
        return memory ? refuse(error, ANSWER_BAD_MESSAGE, index, member, "the data is not base64") : ERR_NOMEM;
    }
    size_t bytes = data.length;
    char *taken = buffer_take(&data);
    return taken ? add_blob(command, type && blob_type_valid(type) ? type : BLOB_BYTES, taken, bytes, id) : ERR_NOMEM;
}

/* Data that stays in its block is not decoded for a blob, so it is looked at here. */
static enum err check_base64(const char *text, size_t length, size_t index, const char *member,
                             struct command_error *error)
{
    struct buffer data = {0};
    bool fine = base64_decode(&data, text, length);
    bool memory = buffer_ok(&data);
    buffer_free(&data);
    if (!memory) {
        return ERR_NOMEM;
    }
    return fine ? ERR_OK : refuse(error, ANSWER_BAD_MESSAGE, index, member, "the data is not base64");
}

/* What ACP demands of a block that has its data itself: an agent that gets less refuses the whole prompt, or fails. */
static enum err check_form(struct json_object *block, enum block_kind kind, size_t index, struct command_error *error)
{
    struct json_object *resource = json_get(block, "resource");
    switch (kind) {
    case BLOCK_TEXT:  /* checked with the command's form */
    case BLOCK_OTHER: /* of a later version: the agent may know what it must have */
        break;
    case BLOCK_MEDIA: {
        size_t length = 0;
        if (!json_get_text(block, "data", &length) || length == 0) {
            return refuse(error, ANSWER_BAD_MESSAGE, index, ".data", "it has neither `data` in base64 nor a `blob`");
        }
        return json_get_string(block, "mimeType") ? ERR_OK
                                                  : refuse(error, ANSWER_BAD_MESSAGE, index, ".mimeType",
                                                           "data needs its `mimeType`");
    }
    case BLOCK_RESOURCE:
        if (!json_get_string(resource, "uri")) {
            return refuse(error, ANSWER_BAD_MESSAGE, index, ".resource", "a resource needs a `resource` with a `uri`");
        }
        return !json_get_string(resource, "text") != !json_get_string(resource, "blob")
                   ? ERR_OK
                   : refuse(error, ANSWER_BAD_MESSAGE, index, ".resource",
                            "a resource has either a `text` or a `blob` in base64");
    case BLOCK_LINK: {
        const char *uri = json_get_string(block, "uri");
        const char *name = json_get_string(block, "name");
        return uri && *uri && name && *name ? ERR_OK
                                            : refuse(error, ANSWER_BAD_MESSAGE, index, "",
                                                     "a resource_link needs a `uri` and a `name`");
    }
    }
    return ERR_OK;
}

static enum err take_media(struct json_object *block, size_t room, struct buffer *out, struct command *command,
                           size_t index, struct command_error *error)
{
    size_t length = 0;
    const char *data = json_get_text(block, "data", &length);
    char id[BLOB_ID_SIZE];
    if (!data || length <= room) {
        json_put_object(out, block);
        return check_base64(data ? data : "", length, index, ".data", error);
    }
    enum err err =
        take_data(data, length, json_get_string(block, "mimeType"), command, index, ".data", id, error);
    if (err) {
        return err;
    }
    buffer_text(out, "{\"type\":");
    json_put_object(out, json_get(block, "type"));
    put_others(out, block, BUT("type", "data"));
    json_field_string(out, "blob", id);
    buffer_byte(out, '}');
    return ERR_OK;
}

/* Base64 of what looks like a text is kept as bytes, so that it comes to the agent as it came from the client. */
static const char *bytes_type(const char *type)
{
    bool text = type && (!strncmp(type, "text/", 5) || !strncmp(type, BLOB_JSON, strlen(BLOB_JSON)));
    return text ? BLOB_BYTES : type;
}

static enum err take_resource(struct json_object *block, size_t room, struct buffer *out, struct command *command,
                              size_t index, struct command_error *error)
{
    struct json_object *resource = json_get(block, "resource");
    size_t text_length = 0, data_length = 0;
    const char *text = json_get_text(resource, "text", &text_length);
    const char *data = json_get_text(resource, "blob", &data_length);
    char id[BLOB_ID_SIZE];
    enum err err;
    if (text && text_length > room) {
        char *copy = malloc(text_length);
        if (!copy) {
            return ERR_NOMEM;
        }
        memcpy(copy, text, text_length);
        err = add_blob(command, BLOB_TEXT, copy, text_length, id);
    } else if (data && data_length > room) {
        err = take_data(data, data_length, bytes_type(json_get_string(resource, "mimeType")), command, index,
                        ".resource.blob", id, error);
    } else {
        json_put_object(out, block);
        return data ? check_base64(data, data_length, index, ".resource.blob", error) : ERR_OK;
    }
    if (err) {
        return err;
    }
    buffer_text(out, "{\"type\":\"resource\"");
    put_others(out, block, BUT("type", "resource"));
    json_field_string(out, "blob", id);
    buffer_text(out, ",\"resource\":{");
    struct buffer members = {0};
    put_others(&members, resource, BUT("text", "blob"));
    buffer_append(out, members.data + (members.length > 0), members.length - (members.length > 0));
    out->failed |= members.failed;
    buffer_free(&members);
    buffer_text(out, "}}");
    return ERR_OK;
}

/* A block with a `blob` of its own names one; it must not have data beside it. */
static enum err take_name(struct json_object *block, enum block_kind kind, struct buffer *out, struct command *command,
                          size_t index, struct command_error *error)
{
    struct digest name;
    const char *id = json_get_string(block, "blob");
    struct json_object *resource = json_get(block, "resource");
    bool doubled = kind == BLOCK_MEDIA ? json_get(block, "data") != NULL
                                       : json_get(resource, "text") || json_get(resource, "blob");
    if (doubled) {
        return refuse(error, ANSWER_BAD_MESSAGE, index, ".blob", "a block has either data or a `blob`");
    }
    if (kind == BLOCK_RESOURCE && !json_get_string(resource, "uri")) {
        return refuse(error, ANSWER_BAD_MESSAGE, index, ".resource", "a resource needs a `resource` with a `uri`");
    }
    struct json_object *type = json_get(kind == BLOCK_MEDIA ? block : resource, "mimeType");
    if (type && !json_object_is_type(type, json_type_string)) {
        return refuse(error, ANSWER_BAD_MESSAGE, index, kind == BLOCK_MEDIA ? ".mimeType" : ".resource.mimeType",
                      "a `mimeType` is a string");
    }
    if (!id || !blob_id_parse(id, &name)) {
        return refuse(error, id ? ANSWER_NOT_FOUND : ANSWER_BAD_MESSAGE, index, ".blob",
                      id ? "there is no such blob in this session" : "a `blob` is named by a string");
    }
    json_put_object(out, block);
    return note_use(command, &name, index, error);
}

/* What of a block is no message text: all of it, or what a text block has beside its text. */
static size_t other_bytes(struct json_object *block, enum block_kind kind, size_t length)
{
    if (kind != BLOCK_TEXT) {
        return length;
    }
    struct buffer others = {0};
    put_others(&others, block, BUT("type", "text"));
    length = buffer_ok(&others) ? others.length : length;
    buffer_free(&others);
    return length;
}

static enum err take_block(struct json_object *block, enum block_kind kind, size_t room, struct buffer *out,
                           struct command *command, size_t index, struct command_error *error)
{
    bool has_data = kind == BLOCK_MEDIA || kind == BLOCK_RESOURCE;
    if (has_data && json_get(block, "blob")) {
        return take_name(block, kind, out, command, index, error);
    }
    enum err err = check_form(block, kind, index, error);
    if (err) {
        return err;
    }
    if (has_data) {
        return kind == BLOCK_MEDIA ? take_media(block, room, out, command, index, error)
                                   : take_resource(block, room, out, command, index, error);
    }
    json_put_object(out, block);
    return ERR_OK;
}

enum err prompt_take_blocks(struct json_object *blocks, struct buffer *out, struct command *command,
                            struct command_error *error)
{
    size_t count = blocks ? json_object_array_length(blocks) : 0;
    size_t others = 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *block = json_object_array_get_idx(blocks, i);
        enum block_kind kind = kind_of(block);
        if (out->length > 1) {
            buffer_byte(out, ',');
        }
        size_t before = out->length;
        size_t room = others < PROMPT_INLINE_TOTAL ? PROMPT_INLINE_TOTAL - others : 0;
        enum err err = take_block(block, kind, room < PROMPT_INLINE_MAX ? room : PROMPT_INLINE_MAX, out, command, i,
                                  error);
        if (err) {
            return err;
        }
        others += other_bytes(block, kind, out->length - before);
        if (others > PROMPT_OTHER_MAX) {
            return refuse(error, ANSWER_TOO_LARGE, i, "",
                          "what is no text in a prompt may have %d bytes beside its data", PROMPT_OTHER_MAX);
        }
    }
    return ERR_OK;
}
