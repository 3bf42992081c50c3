#include "signalbox/base/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_check.h"
#include "signalbox/base/check.h"

struct json_parser {
    struct json_tokener *tokener;
    size_t max_depth;
    char message[96];
    uint8_t stack[]; /* max_depth bytes */
};

enum err json_parser_new(struct json_parser **out, int max_depth)
{
    CHECK(max_depth > 0 && max_depth < 100000);
    struct json_parser *parser = calloc(1, sizeof(*parser) + (size_t)max_depth);
    if (!parser) {
        return ERR_NOMEM;
    }
    /* json-c counts the value within the innermost brackets as a level, and we are the ones who
     * refuse. */
    parser->tokener = json_tokener_new_ex(max_depth + 2);
    if (!parser->tokener) {
        free(parser);
        return ERR_NOMEM;
    }
    json_tokener_set_flags(parser->tokener, JSON_TOKENER_STRICT);
    parser->max_depth = (size_t)max_depth;
    *out = parser;
    return ERR_OK;
}

void json_parser_free(struct json_parser *parser)
{
    if (!parser) {
        return;
    }
    json_tokener_free(parser->tokener);
    free(parser);
}

static enum err say(struct json_parser *parser, enum err err, const char *what)
{
    snprintf(parser->message, sizeof(parser->message), "%s", what);
    return err;
}

/* `text` is known to be one value of RFC 8259, without white space around it. */
static enum err build(struct json_parser *parser, const char *text, int length,
                      struct json_object **out)
{
    json_tokener_reset(parser->tokener);
    struct json_object *object = json_tokener_parse_ex(parser->tokener, text, length);
    enum json_tokener_error result = json_tokener_get_error(parser->tokener);
    if (result == json_tokener_continue) {
        /* A number or a word at the end of the text is over only when something else follows. */
        object = json_tokener_parse_ex(parser->tokener, "\n", 1);
        result = json_tokener_get_error(parser->tokener);
    }
    bool null = length == 4 && text[0] == 'n';
    if (result != json_tokener_success || (!object && !null)) {
        /* json-c 0.16 has no word of its own for this. */
        json_tokener_reset(parser->tokener);
        return say(parser, ERR_NOMEM, err_text(ERR_NOMEM));
    }
    *out = object;
    return ERR_OK;
}

enum err json_parse(struct json_parser *parser, const char *text, size_t length,
                    struct json_object **out)
{
    parser->message[0] = '\0';
    if (length > INT_MAX) {
        return say(parser, ERR_TOOBIG, err_text(ERR_TOOBIG));
    }
    struct json_check check;
    enum err err = json_check(&check, text, length, parser->stack, parser->max_depth);
    if (err) {
        snprintf(parser->message, sizeof(parser->message), "%s at byte %zu", check.what, check.at);
        return err;
    }
    return build(parser, text + check.start, (int)(check.end - check.start), out);
}

enum err json_parse_own(const char *text, struct json_object **out)
{
    struct json_parser *parser;
    enum err err = json_parser_new(&parser, JSON_OWN_DEPTH);
    if (err) {
        return err;
    }
    err = json_parse(parser, text, strlen(text), out);
    json_parser_free(parser);
    return err;
}

const char *json_parser_message(const struct json_parser *parser)
{
    return parser->message;
}

struct json_object *json_get(struct json_object *object, const char *key)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object) ||
        !json_object_object_get_ex(object, key, &value)) {
        return NULL;
    }
    return value;
}

const char *json_get_text(struct json_object *object, const char *key, size_t *length)
{
    struct json_object *value = json_get(object, key);
    if (!json_object_is_type(value, json_type_string)) {
        return NULL;
    }
    *length = (size_t)json_object_get_string_len(value);
    return json_object_get_string(value);
}

const char *json_get_string(struct json_object *object, const char *key)
{
    size_t length;
    return json_get_text(object, key, &length);
}

bool json_get_bool(struct json_object *object, const char *key, bool fallback)
{
    struct json_object *value = json_get(object, key);
    return json_object_is_type(value, json_type_boolean) ? json_object_get_boolean(value)
                                                         : fallback;
}

bool json_get_i64(struct json_object *object, const char *key, int64_t *out)
{
    static const double EXACT = 9007199254740992.0; /* a double holds every whole number below */
    struct json_object *value = json_get(object, key);

    if (json_object_is_type(value, json_type_int)) {
        /* json-c keeps what is over INT64_MAX as an unsigned one. */
        if (json_object_get_int64(value) >= 0 && json_object_get_uint64(value) > INT64_MAX) {
            return false;
        }
        *out = json_object_get_int64(value);
        return true;
    }
    if (json_object_is_type(value, json_type_double)) {
        double number = json_object_get_double(value);
        if (!(number >= -EXACT && number <= EXACT) || (double)(int64_t)number != number) {
            return false;
        }
        *out = (int64_t)number;
        return true;
    }
    return false;
}
