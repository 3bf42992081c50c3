/* The schemas: that they hold together, and that they agree with what the parser does. */
#include <json-c/json_pointer.h>

#include "core/field.h"
#include "signalbox/base/json.h"
#include "signalbox/base/fd.h"
#include "signalbox/core/event.h"
#include "signalbox/core/route.h"
#include "support/test.h"

static struct json_object *parsed(struct buffer *out)
{
    struct json_parser *parser = NULL;
    struct json_object *object = NULL;
    CU_ASSERT_TRUE_FATAL(buffer_ok(out));
    CU_ASSERT_EQUAL_FATAL(json_parser_new(&parser, 64), ERR_OK);
    if (json_parse(parser, out->data, out->length, &object)) {
        printf("\n    %s\n", json_parser_message(parser));
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(object);
    json_parser_free(parser);
    buffer_free(out);
    return object;
}

static struct json_object *schema(void)
{
    struct buffer out = {0};
    schema_write(&out);
    return parsed(&out);
}

static void check_refs(struct json_object *value, struct json_object *definitions, const char *prefix)
{
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++) {
            check_refs(json_object_array_get_idx(value, i), definitions, prefix);
        }
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            if (!strcmp(key, "$ref") && !strncmp(json_object_get_string(member), prefix, strlen(prefix))) {
                const char *name = json_object_get_string(member) + strlen(prefix);
                if (!json_get(definitions, name)) {
                    printf("\n    no definition of %s\n", name);
                    CU_FAIL("a reference leads nowhere");
                }
            }
            check_refs(member, definitions, prefix);
        }
    }
}

static void all_references_lead_somewhere(void)
{
    struct json_object *document = schema();
    check_refs(document, json_get(document, "$defs"), "#/$defs/");
    json_object_put(document);

    struct buffer out = {0};
    openapi_write(&out, "1.2.3");
    document = parsed(&out);
    struct json_object *components = json_get(document, "components");
    check_refs(document, json_get(components, "schemas"), "#/components/schemas/");
    TEST_TEXT(json_get_string(document, "openapi"), "3.1.0");
    TEST_TEXT(json_get_string(json_get(document, "info"), "version"), "1.2.3");
    CU_ASSERT_PTR_NOT_NULL(json_get(json_get(json_get(document, "paths"), "/v1/sessions"), "post"));
    CU_ASSERT_PTR_NOT_NULL(json_get(json_get(json_get(document, "paths"), "/v1/sessions"), "get"));
    struct json_object *list = NULL; /* the one answer that is no object */
    json_pointer_get(document, "/paths/~1api~1sessions/get/responses/200/content/application~1json/schema", &list);
    TEST_TEXT(json_get_string(list, "type"), "array");
    TEST_TEXT(json_get_string(json_get(list, "items"), "$ref"), "#/components/schemas/craftSession");
    json_object_put(document);
}

static void every_event_has_its_schema(void)
{
    struct json_object *document = schema(), *definitions = json_get(document, "$defs");
    for (enum event_kind kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        char name[64];
        CU_ASSERT_PTR_NOT_NULL_FATAL(schema_events[kind].name); /* a hole between the rows */
        CU_ASSERT_PTR_NOT_NULL(schema_events[kind].fields);
        snprintf(name, sizeof(name), "event.%s", event_name(kind));
        struct json_object *properties = json_get(json_get(definitions, name), "properties");
        TEST_TEXT(json_get_string(json_get(properties, "type"), "const"), event_name(kind));
        CU_ASSERT_PTR_NOT_NULL(json_get(properties, "seq"));
    }
    json_object_put(document);
}

/* A value that a property's schema takes. */
static struct json_object *sample(struct json_object *property)
{
    struct json_object *words = json_get(property, "enum");
    const char *type = json_get_string(property, "type");
    if (words) {
        return json_object_get(json_object_array_get_idx(words, 0));
    }
    if (type && !strcmp(type, "integer")) {
        return json_object_new_int(1);
    }
    return json_object_new_string("x");
}

static enum err try(struct json_object *message, struct command_error *error)
{
    struct command *command = NULL;
    enum err err = command_parse(message, &command, error);
    if (!err) {
        command_free(command);
    }
    return err;
}

static void what_the_schema_requires_the_parser_requires(void)
{
    struct json_object *document = schema(), *definitions = json_get(document, "$defs");
    for (enum command_type type = 0; type <= COMMAND_PING; type++) {
        char name[64];
        snprintf(name, sizeof(name), "client.%s", command_name(type));
        struct json_object *definition = json_get(definitions, name);
        struct json_object *properties = json_get(definition, "properties");
        struct json_object *required = json_get(definition, "required");
        struct json_object *message = json_object_new_object();
        struct command_error error;
        for (size_t i = 0; i < json_object_array_length(required); i++) {
            const char *key = json_object_get_string(json_object_array_get_idx(required, i));
            struct json_object *property = json_get(properties, key);
            const char *constant = json_get_string(property, "const");
            json_object_object_add(message, key, constant ? json_object_new_string(constant) : sample(property));
        }
        if (type == COMMAND_PROMPT) {
            CU_ASSERT_EQUAL(try(message, &error), ERR_SYNTAX);
            json_object_object_add(message, "text", json_object_new_string("x"));
        }
        CU_ASSERT_EQUAL(try(message, &error), ERR_OK);
        for (size_t i = 0; i < json_object_array_length(required); i++) {
            const char *key = json_object_get_string(json_object_array_get_idx(required, i));
            struct json_object *kept = json_object_get(json_get(message, key));
            json_object_object_del(message, key);
            CU_ASSERT_EQUAL(try(message, &error), ERR_SYNTAX);
            TEST_TEXT(error.field, key);
            json_object_object_add(message, key, kept);
        }
        json_object_put(message);
    }
    json_object_put(document);
}

static void rows_name_shapes_that_exist(void)
{
    for (const struct schema_shape *shape = schema_controls; shape->name; shape++) {
        CU_ASSERT_PTR_NOT_NULL(shape->help);
        for (const struct field *field = shape->fields; field->name; field++) {
            CU_ASSERT_PTR_NOT_NULL(field->help);
        }
    }
    for (enum command_type type = 0; type <= COMMAND_PING; type++) {
        CU_ASSERT_PTR_NOT_NULL(command_shape(type)->answer);
    }
}

/* What users read names everything that there is. */
static void mentioned(const char *docs, const char *before, const char *name, const char *after)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "%s%s%s", before, name, after);
    if (!strstr(docs, wanted)) {
        printf("\n    docs/protocol.md does not have: %s\n", wanted);
        CU_FAIL("something is not documented");
    }
}

static void the_documentation_names_everything(void)
{
    char *docs;
    size_t length;
    CU_ASSERT_EQUAL_FATAL(file_read(TEST_SOURCE_DIR "/../docs/protocol.md", 1024 * 1024, &docs, &length), ERR_OK);
    for (enum command_type type = 0; type <= COMMAND_PING; type++) {
        mentioned(docs, "\n", command_name(type), " ");
        for (const struct field *field = command_shape(type)->fields; field->name; field++) {
            mentioned(docs, "", field->name, "");
        }
    }
    for (enum event_kind kind = 0; kind < EVENT_KIND_COUNT; kind++) {
        mentioned(docs, "\n", event_name(kind), " ");
        for (const struct field *field = schema_events[kind].fields; field->name; field++) {
            mentioned(docs, "", field->name, "");
        }
    }
    for (const struct schema_shape *shape = schema_controls; shape->name; shape++) {
        mentioned(docs, "\n", shape->name, " ");
    }
    for (enum answer_code code = ANSWER_OK + 1; code < ANSWER_CODE_COUNT; code++) {
        char row[64];
        snprintf(row, sizeof(row), "` | %d | %s", answer_code_status(code), answer_code_retryable(code) ? "yes |" : "|");
        mentioned(docs, "\n| `", answer_code_name(code), row);
    }
    for (size_t i = 0; i < route_count(); i++) {
        char call[128];
        snprintf(call, sizeof(call), "%s %s", route_at(i)->method, route_at(i)->path);
        mentioned(docs, "`", call, "`");
    }
    free(docs);
}

TEST_MAIN("schema", TEST(all_references_lead_somewhere), TEST(every_event_has_its_schema),
          TEST(what_the_schema_requires_the_parser_requires), TEST(rows_name_shapes_that_exist),
          TEST(the_documentation_names_everything))
