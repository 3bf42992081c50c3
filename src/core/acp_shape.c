#include "core/acp_shape.h"

#include <string.h>

#include "core/acp_out.h"
#include "signalbox/base/json.h"

static bool is_number(struct json_object *value)
{
    return json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0;
}

void acp_shape_put_locations(struct buffer *out, struct json_object *locations)
{
    if (locations == NULL) {
        return;
    }
    bool first = true;
    json_key(out, "locations");
    buffer_byte(out, '[');
    for (size_t i = 0; i < json_object_array_length(locations); i++) {
        struct json_object *location = json_object_array_get_idx(locations, i);
        if (json_get_string(location, "path") == NULL) {
            continue;
        }
        if (!is_number(json_get(location, "line"))) {
            json_object_object_del(location, "line");
        }
        if (!first) {
            buffer_byte(out, ',');
        }
        first = false;
        acp_put_clean(out, location);
    }
    buffer_byte(out, ']');
}

static bool has(struct json_object *entry, const char *key, const char *otherwise)
{
    if (json_get_string(entry, key) != NULL) {
        return true;
    }
    struct json_object *value = json_object_new_string(otherwise);
    if (value == NULL || json_object_object_add(entry, key, value) != 0) {
        json_object_put(value);
        return false;
    }
    return true;
}

bool acp_shape_plan(struct json_object *entries)
{
    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        if (json_get_string(json_object_array_get_idx(entries, i), "content") == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < json_object_array_length(entries); i++) {
        struct json_object *entry = json_object_array_get_idx(entries, i);
        if (!has(entry, "priority", "medium") || !has(entry, "status", "pending")) {
            return false;
        }
    }
    return true;
}

bool acp_shape_usage(struct json_object *usage)
{
    struct json_object *used = json_get(usage, "used");
    struct json_object *size = json_get(usage, "size");
    struct json_object *cost = json_get(usage, "cost");
    return (used == NULL || is_number(used)) && (size == NULL || is_number(size)) &&
           (cost == NULL || json_object_is_type(cost, json_type_object));
}

/* The text of a block {type:"content", content:{type:"text", text}}; NULL if it is another. */
static const char *block_text(struct json_object *block, size_t *length)
{
    const char *type = json_get_string(block, "type");
    struct json_object *content = json_get(block, "content");
    const char *inner = json_get_string(content, "type");
    if (type == NULL || inner == NULL || strcmp(type, "content") != 0 ||
        strcmp(inner, "text") != 0) {
        return NULL;
    }
    return json_get_text(content, "text", length);
}

/* Annotations say whom a text is for: a text that has them is more than its text. */
bool acp_shape_only_text(struct json_object *content)
{
    size_t length;
    for (size_t i = 0; i < json_object_array_length(content); i++) {
        struct json_object *block = json_object_array_get_idx(content, i);
        if (block_text(block, &length) == NULL ||
            json_get(json_get(block, "content"), "annotations") != NULL) {
            return false;
        }
    }
    return true;
}

bool acp_shape_join_text(struct buffer *out, struct json_object *content)
{
    bool any = false;
    for (size_t i = 0; content != NULL && i < json_object_array_length(content); i++) {
        size_t length;
        const char *text = block_text(json_object_array_get_idx(content, i), &length);
        if (text != NULL) {
            if (any) {
                buffer_byte(out, '\n');
            }
            buffer_append(out, text, length);
            any = true;
        }
    }
    return any;
}
