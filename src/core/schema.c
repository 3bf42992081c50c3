/* JSON Schema (2020-12) of all messages of both directions, printed from the tables that they are
 * made and checked with. */
#include <string.h>

#include "core/field.h"
#include "signalbox/base/json.h"
#include "signalbox/core/dialect.h"
#include "signalbox/core/event.h"
#include "signalbox/core/route.h"

static void put_text(struct buffer *out, const char *text)
{
    json_put_string(out, text, strlen(text));
}

static void put_words(struct buffer *out, const char *words)
{
    buffer_byte(out, '[');
    for (const char *at = words; *at;) {
        size_t span = strcspn(at, " ");
        json_put_string(out, at, span);
        at += span + (at[span] == ' ');
        if (*at) {
            buffer_byte(out, ',');
        }
    }
    buffer_byte(out, ']');
}

static void put_ref(struct buffer *out, const char *prefix, const char *name)
{
    buffer_format(out, "{\"$ref\":\"%s%s\"}", prefix, name);
}

static void put_string_type(struct buffer *out, const struct field *field)
{
    buffer_text(out, "\"type\":\"string\"");
    if (field->minimum) {
        buffer_format(out, ",\"minLength\":%zu", field->minimum);
    }
    if (field->maximum) { /* bytes; a character is at least one */
        buffer_format(out, ",\"maxLength\":%zu", field->maximum);
    }
    if (field->words) { /* open: named, and anything else as well */
        buffer_text(out, ",\"anyOf\":[{\"enum\":");
        put_words(out, field->words);
        buffer_text(out, "},{}]");
    }
}

static void put_items(struct buffer *out, const char *prefix, const struct field *field)
{
    buffer_text(out, "\"type\":\"array\"");
    if (field->ref) {
        buffer_text(out, ",\"items\":");
        put_ref(out, prefix, field->ref);
    } else if (field->words) {
        buffer_format(out, ",\"items\":{\"type\":\"%s\"}", field->words);
    }
}

static void put_type(struct buffer *out, const char *prefix, const struct field *field)
{
    switch (field->kind) {
    case FIELD_STRING:
        put_string_type(out, field);
        break;
    case FIELD_WORD:
    case FIELD_CHOICE:
        buffer_text(out, "\"enum\":");
        put_words(out, field->words);
        break;
    case FIELD_BOOL:
        buffer_text(out, "\"type\":\"boolean\"");
        break;
    case FIELD_COUNT:
        buffer_format(out, "\"type\":\"integer\",\"minimum\":%zu", field->minimum);
        break;
    case FIELD_NUMBER:
        buffer_text(out, "\"type\":\"number\"");
        break;
    case FIELD_OBJECT:
        if (field->members) {
            schema_object(out, prefix, NULL, NULL, field->members, false);
        } else if (field->ref) {
            buffer_format(out, "\"$ref\":\"%s%s\"", prefix, field->ref);
        } else {
            buffer_text(out, "\"type\":\"object\"");
        }
        break;
    case FIELD_ARRAY:
        put_items(out, prefix, field);
        break;
    case FIELD_CONTENT:
        buffer_text(out, "\"type\":\"array\",\"items\":");
        put_ref(out, prefix, "contentBlock");
        break;
    case FIELD_ANY:
        buffer_text(out, field->flags & FIELD_NULLABLE ? "\"$comment\":\"any value\""
                                                       : "\"not\":{\"type\":\"null\"}");
        break;
    }
}

static void put_field(struct buffer *out, const char *prefix, const struct field *field)
{
    put_text(out, field->name);
    buffer_text(out, ":{");
    bool or_null = (field->flags & FIELD_NULLABLE) && field->kind != FIELD_ANY;
    if (or_null) {
        buffer_text(out, "\"anyOf\":[{\"type\":\"null\"},{");
    }
    put_type(out, prefix, field);
    if (or_null) {
        buffer_text(out, "}]");
    }
    buffer_text(out, ",\"description\":");
    put_text(out, field->help);
    buffer_byte(out, '}');
}

static bool left_out(const struct field *field, bool without_path)
{
    return without_path && (field->flags & FIELD_PATH);
}

void schema_object(struct buffer *out, const char *prefix, const char *type,
                   const struct field *common, const struct field *fields, bool without_path)
{
    static const struct field none = {.name = NULL};
    const struct field *tables[] = {common ? common : &none, fields ? fields : &none};
    const char *comma = "";
    buffer_text(out, "\"type\":\"object\",\"properties\":{");
    if (type) {
        buffer_format(out, "\"type\":{\"const\":\"%s\"}", type);
        comma = ",";
    }
    for (size_t i = 0; i < 2; i++) {
        for (const struct field *field = tables[i]; field->name; field++) {
            if (!left_out(field, without_path)) {
                buffer_text(out, comma);
                put_field(out, prefix, field);
                comma = ",";
            }
        }
    }
    buffer_text(out, "},\"required\":[");
    buffer_text(out, type ? "\"type\"" : "");
    comma = type ? "," : "";
    for (size_t i = 0; i < 2; i++) {
        for (const struct field *field = tables[i]; field->name; field++) {
            if ((field->flags & FIELD_REQUIRED) && !left_out(field, without_path)) {
                buffer_text(out, comma);
                put_text(out, field->name);
                comma = ",";
            }
        }
    }
    buffer_byte(out, ']');
}

/* Opens a definition: `"GROUP.NAME":{"description":...,`. */
static void open_definition(struct buffer *out, const char *group, const char *name,
                            const char *help)
{
    if (out->length && out->data[out->length - 1] != '{') {
        buffer_byte(out, ',');
    }
    buffer_format(out, "\"%s%s\":{\"description\":", group, name);
    put_text(out, help);
    buffer_byte(out, ',');
}

static void put_commands(struct buffer *out, const char *prefix)
{
    for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
        const struct command_shape *shape = command_shape(type);
        if (!shape->name) {
            continue;
        }
        const struct field id[] = {command_id_field, {.name = NULL}};
        open_definition(out, "client.", shape->name, shape->help);
        schema_object(out, prefix, shape->name, id, shape->fields, false);
        if (shape->extra) {
            buffer_byte(out, ',');
            buffer_text(out, shape->extra);
        }
        buffer_byte(out, '}');
        if (shape->ack) {
            open_definition(out, "ack.", shape->name, "What its `ack` adds.");
            schema_object(out, prefix, NULL, NULL, shape->ack, false);
            buffer_byte(out, '}');
        }
    }
}

/* Commands as bodies of HTTP requests: what stands in the path is not in them. */
static void put_command_bodies(struct buffer *out, const char *prefix)
{
    for (size_t i = 0; i < route_count(); i++) {
        const struct route *route = route_at(i);
        if (!route->request || strncmp(route->request, "body.", 5)) {
            continue;
        }
        const struct command_shape *shape = command_shape((enum command_type)route->command);
        open_definition(out, "body.", shape->name, shape->help);
        schema_object(out, prefix, NULL, NULL, shape->fields, true);
        if (shape->extra) {
            buffer_byte(out, ',');
            buffer_text(out, shape->extra);
        }
        buffer_byte(out, '}');
    }
}

static void put_shapes(struct buffer *out, const char *prefix, const char *group, bool message,
                       const struct schema_shape *shapes)
{
    for (const struct schema_shape *shape = shapes; shape->name; shape++) {
        open_definition(out, group, shape->name, shape->help);
        schema_object(out, prefix, message ? shape->name : NULL, NULL, shape->fields, false);
        buffer_byte(out, '}');
    }
}

static void put_events(struct buffer *out, const char *prefix)
{
    for (enum event_kind kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        open_definition(out, "event.", event_name(kind), schema_events[kind].help);
        schema_object(out, prefix, event_name(kind), schema_event_common,
                      schema_events[kind].fields, false);
        buffer_byte(out, '}');
    }
}

static void put_unions(struct buffer *out, const char *prefix)
{
    const char *comma = "";
    open_definition(
        out, "", "clientMessage",
        "A command, from the client. One of another type is answered by `unknown_type`.");
    buffer_text(out, "\"oneOf\":[");
    for (enum command_type type = 0; type < COMMAND_TYPE_COUNT; type++) {
        if (command_shape(type)->name) {
            buffer_format(out, "%s{\"$ref\":\"%sclient.%s\"}", comma, prefix,
                          command_shape(type)->name);
            comma = ",";
        }
    }
    comma = "";
    buffer_text(out, "]}");
    open_definition(out, "", "serverEvent",
                    "A session event. A client ignores types that it does not know.");
    buffer_text(out, "\"oneOf\":[");
    for (enum event_kind kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        buffer_format(out, "%s{\"$ref\":\"%sevent.%s\"}", comma, prefix, event_name(kind));
        comma = ",";
    }
    comma = "";
    buffer_text(out, "]}");
    open_definition(out, "", "serverControl",
                    "A message without a number. A client ignores types that it does not know.");
    buffer_text(out, "\"oneOf\":[");
    for (const struct schema_shape *shape = schema_controls; shape->name; shape++) {
        buffer_format(out, "%s{\"$ref\":\"%sserver.%s\"}", comma, prefix, shape->name);
        comma = ",";
    }
    buffer_text(out, "]}");
    open_definition(out, "", "serverMessage", "Any message from the server.");
    buffer_text(out, "\"oneOf\":[");
    put_ref(out, prefix, "serverEvent");
    buffer_byte(out, ',');
    put_ref(out, prefix, "serverControl");
    buffer_text(out, "]}");
}

void schema_definitions(struct buffer *out, const char *prefix)
{
    put_unions(out, prefix);
    put_commands(out, prefix);
    put_shapes(out, prefix, "server.", true, schema_controls);
    put_events(out, prefix);
    put_shapes(out, prefix, "", false, schema_shapes);
    put_shapes(out, prefix, "", false, schema_bodies);
    put_command_bodies(out, prefix);
    open_definition(out, "", "contentBlock",
                    "An ACP content block: text, image, audio, resource_link, resource. An image, an audio or a "
                    "resource may have `blob`, a blob's id, instead of its data.");
    buffer_text(
        out, "\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"}},\"required\":["
             "\"type\"],"
             "\"if\":{\"properties\":{\"type\":{\"const\":\"text\"}}},"
             "\"then\":{\"required\":[\"text\"],\"properties\":{\"text\":{\"type\":\"string\"}}}}");
}

void schema_write(struct buffer *out)
{
    const char *prefix = "#/$defs/";
    struct buffer definitions = {0};
    buffer_text(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
                     "\"title\":\"signalbox.v1\","
                     "\"description\":\"Every message between a Signalbox server and its clients. "
                     "Unknown fields are "
                     "ignored by both sides.\",\"anyOf\":[");
    put_ref(out, prefix, "clientMessage");
    buffer_byte(out, ',');
    put_ref(out, prefix, "serverMessage");
    buffer_text(out, "],\"$defs\":{");
    schema_definitions(&definitions, prefix);
    buffer_append(out, definitions.data, definitions.length);
    out->failed |= definitions.failed;
    buffer_free(&definitions);
    buffer_text(out, "}}");
}

void dialect_schema_write(struct buffer *out, const struct dialect *dialect)
{
    struct buffer definitions = {0};
    buffer_text(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"");
    json_field_string(out, "title", dialect->subprotocol);
    json_field_string(out, "description",
                      "What clients of this dialect say. Unknown fields are ignored.");
    json_key(out, "oneOf");
    buffer_byte(out, '[');
    for (const struct dialect_message *known = dialect->messages; known->name; known++) {
        buffer_text(out, known == dialect->messages ? "" : ",");
        put_ref(out, "#/$defs/", known->name);
        open_definition(&definitions, "", known->name, known->help);
        schema_object(&definitions, "#/$defs/", known->name, NULL, known->fields, false);
        buffer_byte(&definitions, '}');
    }
    buffer_text(out, "],\"$defs\":{");
    buffer_append(out, definitions.data, definitions.length);
    out->failed |= definitions.failed;
    buffer_free(&definitions);
    buffer_text(out, "}}");
}
