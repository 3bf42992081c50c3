/* From JSON to a command, row by row of its table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/content.h"
#include "core/field.h"
#include "signalbox/base/check.h"
#include "signalbox/base/json.h"
#include "signalbox/base/utf8.h"
#include "signalbox/core/prompt.h"

static void *place(struct command *command, size_t offset)
{
    return (char *)command + offset;
}

__attribute__((format(printf, 3, 4))) static enum err
refuse(struct command_error *error, const char *field, const char *format, ...)
{
    error->code = ANSWER_BAD_MESSAGE;
    snprintf(error->field, sizeof(error->field), "%s", field);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return ERR_SYNTAX;
}

static enum err copy_text(char **out, const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    if (!copy) {
        return ERR_NOMEM;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    *out = copy;
    return ERR_OK;
}

static enum err copy_json(char **out, struct json_object *value)
{
    struct buffer buffer = {0};
    json_put_object(&buffer, value);
    char *text = buffer_take(&buffer);
    buffer_free(&buffer);
    if (!text) {
        return ERR_NOMEM;
    }
    *out = text;
    return ERR_OK;
}

/* The place of `word` among words separated by single spaces, from 1; 0 if it is none of them. */
static unsigned word_index(const char *words, const char *word)
{
    size_t length = strlen(word);
    unsigned index = 1;
    for (const char *at = words; *at; index++) {
        size_t span = strcspn(at, " ");
        if (span == length && !memcmp(at, word, span)) {
            return index;
        }
        at += span + (at[span] == ' ');
    }
    return 0;
}

static enum err parse_string(const struct field *field, const char *path, struct json_object *value,
                             struct command *command, struct command_error *error)
{
    if (!json_object_is_type(value, json_type_string)) {
        return refuse(error, path, "`%s` must be a string", path);
    }
    const char *text = json_object_get_string(value);
    size_t length = (size_t)json_object_get_string_len(value);
    if (memchr(text, '\0', length)) {
        return refuse(error, path, "`%s` must not contain NUL characters", path);
    }
    if (!length && (field->flags & FIELD_EMPTY)) {
        return ERR_OK;
    }
    if (length < field->minimum) {
        return refuse(error, path, "`%s` must not be empty", path);
    }
    if (field->maximum && length > field->maximum) {
        return refuse(error, path, "`%s` is longer than %zu bytes", path, field->maximum);
    }
    return copy_text(place(command, field->offset), text, length);
}

static enum err parse_word(const struct field *field, const char *path, struct json_object *value,
                           struct command *command, struct command_error *error)
{
    unsigned index = 0;
    if (json_object_is_type(value, json_type_string)) {
        index = word_index(field->words, json_object_get_string(value));
    }
    if (!index) {
        return refuse(error, path, "`%s` must be one of: %s", path, field->words);
    }
    if (field->kind == FIELD_CHOICE) {
        memcpy(place(command, field->offset), &index, sizeof(index));
        return ERR_OK;
    }
    return copy_text(place(command, field->offset), json_object_get_string(value),
                     (size_t)json_object_get_string_len(value));
}

static enum err parse_content(const struct field *field, const char *path,
                              struct json_object *value, struct command *command,
                              struct command_error *error)
{
    if (!json_object_is_type(value, json_type_array)) {
        return refuse(error, path, "`%s` must be an array of content blocks", path);
    }
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        struct json_object *block = json_object_array_get_idx(value, i);
        const char *type = json_get_string(block, "type");
        size_t length = 0;
        const char *text = json_get_text(block, "text", &length);
        if (!type) {
            return refuse(error, path, "`%s[%zu]` must be an object with a `type`", path, i);
        }
        if (!strcmp(type, "text") && !text) {
            return refuse(error, path, "`%s[%zu]` is a text block and has no `text`", path, i);
        }
        if (text && memchr(text, '\0', length)) {
            return refuse(error, path, "`%s[%zu].text` must not contain NUL characters", path, i);
        }
    }
    command->content_needs = content_needs(value);
    return copy_json(place(command, field->offset), value);
}

static enum err parse_count(const struct field *field, const char *path, struct json_object *object,
                            struct command *command, struct command_error *error)
{
    int64_t number;
    if (!json_get_i64(object, field->name, &number) || number < (int64_t)field->minimum) {
        return refuse(error, path, "`%s` must be a whole number >= %zu", path, field->minimum);
    }
    memcpy(place(command, field->offset), &number, sizeof(number));
    return ERR_OK;
}

static enum err parse_fields(const struct field *fields, const char *prefix, bool from_path,
                             struct json_object *object, struct command *command,
                             struct command_error *error);

static enum err parse_field(const struct field *field, const char *path, struct json_object *object,
                            struct command *command, struct command_error *error)
{
    struct json_object *value = json_get(object, field->name);
    switch (field->kind) {
    case FIELD_STRING:
        return parse_string(field, path, value, command, error);
    case FIELD_WORD:
    case FIELD_CHOICE:
        return parse_word(field, path, value, command, error);
    case FIELD_COUNT:
        return parse_count(field, path, object, command, error);
    case FIELD_CONTENT:
        return parse_content(field, path, value, command, error);
    case FIELD_ANY:
        return copy_json(place(command, field->offset), value);
    case FIELD_BOOL:
        if (!json_object_is_type(value, json_type_boolean)) {
            return refuse(error, path, "`%s` must be true or false", path);
        }
        *(enum flag *)place(command, field->offset) =
            json_object_get_boolean(value) ? FLAG_YES : FLAG_NO;
        return ERR_OK;
    case FIELD_OBJECT:
        if (!json_object_is_type(value, json_type_object)) {
            return refuse(error, path, "`%s` must be an object", path);
        }
        if (field->present) {
            *(bool *)place(command, field->present) = true;
        }
        return parse_fields(field->members, path, false, value, command, error);
    case FIELD_NUMBER:
    case FIELD_ARRAY:
        break;
    }
    CHECK(false && "a kind of field that is only sent");
    return ERR_INVAL;
}

static enum err parse_fields(const struct field *fields, const char *prefix, bool from_path,
                             struct json_object *object, struct command *command,
                             struct command_error *error)
{
    for (const struct field *field = fields; field->name; field++) {
        if (from_path && (field->flags & FIELD_PATH)) {
            continue;
        }
        char path[64];
        snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", field->name);
        if (!json_get(object, field->name)) {
            if (field->flags & FIELD_REQUIRED) {
                return refuse(error, path, "`%s` is missing", path);
            }
            continue;
        }
        enum err err = parse_field(field, path, object, command, error);
        if (err) {
            return err;
        }
    }
    return ERR_OK;
}

/* `content` is what the agent gets: `text` becomes its first block. `text` is what people see: all
 * its text blocks. */
static enum err finish_prompt(struct json_object *object, struct command *command,
                              struct command_error *error)
{
    struct json_object *blocks = json_get(object, "content");
    size_t count = blocks ? json_object_array_length(blocks) : 0;
    if (!command->text && !count) {
        return refuse(error, "text", "a prompt needs a `text` or `content`");
    }
    struct buffer content = {0}, text = {0};
    buffer_byte(&content, '[');
    if (command->text) {
        buffer_text(&content, "{\"type\":\"text\",\"text\":");
        json_put_string(&content, command->text, strlen(command->text));
        buffer_byte(&content, '}');
        buffer_text(&text, command->text);
    }
    enum err err = prompt_take_blocks(blocks, &content, command, error);
    if (err) {
        buffer_free(&content);
        buffer_free(&text);
        return err;
    }
    bool says = false;
    for (size_t i = 0; i < count; i++) {
        struct json_object *block = json_object_array_get_idx(blocks, i);
        if (strcmp(json_get_string(block, "type"), "text")) {
            says = true;
            continue;
        }
        if (text.length) {
            buffer_byte(&text, '\n');
        }
        buffer_text(&text, json_get_string(block, "text"));
    }
    if (!says && buffer_ok(&text) && utf8_blank(text.data, text.length)) {
        buffer_free(&content);
        buffer_free(&text);
        return refuse(error, command->text ? "text" : "content", "there is nothing in this prompt but blanks");
    }
    buffer_byte(&content, ']');
    char *whole = buffer_take(&content);
    char *shown = text.length || !buffer_ok(&text) ? buffer_take(&text) : strdup("");
    buffer_free(&content);
    buffer_free(&text);
    if (!whole || !shown) {
        free(whole);
        free(shown);
        return ERR_NOMEM;
    }
    free(command->content);
    free(command->text);
    command->content = whole;
    command->text = shown;
    return ERR_OK;
}

static enum err parse_as(enum command_type type, struct json_object *object, bool from_path,
                         struct command **out, struct command_error *error)
{
    struct command *command = calloc(1, sizeof(*command));
    if (!command) {
        return ERR_NOMEM;
    }
    command->type = type;
    command->allowed = command->allow = command->always_allow = command->all = FLAG_ABSENT;
    enum err err = from_path
                       ? ERR_OK
                       : parse_fields((const struct field[]){command_id_field, {.name = NULL}}, "",
                                      false, object, command, error);
    if (!err) {
        err = parse_fields(command_shape(type)->fields, "", from_path, object, command, error);
    }
    if (!err && type == COMMAND_PROMPT) {
        err = finish_prompt(object, command, error);
    }
    if (err) {
        command_free(command);
        return err;
    }
    if (command->has_after) {
        command->history = HISTORY_DEFAULT;
    }
    *out = command;
    return ERR_OK;
}

/* What the answer to a refused command is to name, as far as it is one. */
static enum err keep_id(struct json_object *message, struct command_error *error)
{
    size_t length = 0;
    const char *id = json_get_text(message, command_id_field.name, &length);
    if (!id || length < command_id_field.minimum || length > command_id_field.maximum ||
        memchr(id, '\0', length)) {
        return ERR_OK;
    }
    return copy_text(&error->id, id, length);
}

enum err command_parse(struct json_object *message, struct command **out,
                       struct command_error *error)
{
    memset(error, 0, sizeof(*error));
    if (!json_object_is_type(message, json_type_object)) {
        return refuse(error, "", "a message must be a JSON object");
    }
    enum err err = ERR_OK;
    struct json_object *name = json_get(message, "type");
    if (!name) {
        err = refuse(error, "type", "`type` is missing");
    } else if (!json_object_is_type(name, json_type_string)) {
        err = refuse(error, "type", "`type` must be a string");
    } else {
        err = ERR_NOENT;
        for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
            const char *known = command_shape(type)->name;
            if (known && !strcmp(known, json_object_get_string(name))) {
                err = parse_as(type, message, false, out, error);
                break;
            }
        }
        if (err == ERR_NOENT) {
            error->code = ANSWER_UNKNOWN_TYPE;
            snprintf(error->message, sizeof(error->message), "there is no command of this `type`");
            snprintf(error->field, sizeof(error->field), "type");
            err = ERR_SYNTAX;
        }
    }
    if (err == ERR_SYNTAX && keep_id(message, error)) {
        return ERR_NOMEM;
    }
    return err;
}

enum err command_parse_body(enum command_type type, struct json_object *body, struct command **out,
                            struct command_error *error)
{
    memset(error, 0, sizeof(*error));
    if (body && !json_object_is_type(body, json_type_object)) {
        return refuse(error, "", "the body must be a JSON object");
    }
    return parse_as(type, body, true, out, error);
}
