/* OpenAPI 3.1 (its schemas are JSON Schema 2020-12) from the table of routes. */
#include <ctype.h>
#include <string.h>

#include "core/field.h"
#include "signalbox/base/json.h"
#include "signalbox/core/route.h"

static const char prefix[] = "#/components/schemas/";

static void put_text(struct buffer *out, const char *text)
{
    json_put_string(out, text, strlen(text));
}

/* `lines` (may be NULL) is the schema of each line, where JSON lines can be had as well. `array`: of such values. */
static void put_content(struct buffer *out, const char *media_type, const char *schema, bool array, const char *lines)
{
    buffer_text(out, "\"content\":{");
    if (lines) { /* there is no schema for lines: that of each (OpenAPI 3.2 calls it itemSchema) */
        buffer_format(out, "\"application/x-ndjson\":{\"schema\":{\"type\":\"string\",\"description\":"
                           "\"Each line is one %s.\"}},", lines);
    }
    if (schema && !strcmp(schema, "eventPage")) {
        buffer_text(out, "\"text/event-stream\":{\"schema\":{\"type\":\"string\",\"description\":"
                         "\"The same events, live; `data` is an event or a control message.\"}},");
    }
    buffer_format(out, "\"%s\":{\"schema\":", media_type);
    if (schema) {
        buffer_format(out, array ? "{\"type\":\"array\",\"items\":{\"$ref\":\"%s%s\"}}" : "{\"$ref\":\"%s%s\"}", prefix, schema);
    } else {
        buffer_text(out, strcmp(media_type, "application/json") ? "{\"type\":\"string\"}"
                                                                : "{\"type\":\"object\"}");
    }
    buffer_text(out, "}}");
}

static void put_parameter(struct buffer *out, const char **comma, const char *name, size_t length,
                          const char *where, const char *schema, const char *help)
{
    buffer_text(out, *comma);
    *comma = ",";
    buffer_text(out, "{\"name\":");
    json_put_string(out, name, length);
    buffer_format(out, ",\"in\":\"%s\",\"required\":%s,\"schema\":%s", where,
                  strcmp(where, "path") ? "false" : "true", schema);
    if (help) {
        buffer_text(out, ",\"description\":");
        put_text(out, help);
    }
    buffer_byte(out, '}');
}

static void put_parameters(struct buffer *out, const struct route *route)
{
    const char *comma = "";
    buffer_text(out, "\"parameters\":[");
    for (const char *at = strchr(route->path, '{'); at; at = strchr(at, '{')) {
        at++;
        put_parameter(out, &comma, at, strcspn(at, "}"), "path",
                      "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}", NULL);
    }
    for (const struct route_query *query = route->query; query && query->name; query++) {
        put_parameter(out, &comma, query->name, strlen(query->name), "query", query->schema,
                      query->help);
    }
    if (!strcmp(route->method, "POST") && (route->request || route->any_body || route->command >= 0) && !route->open) {
        put_parameter(out, &comma, "Idempotency-Key", strlen("Idempotency-Key"), "header",
                      "{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}",
                      "With the same key, it is done once, and answered as the first time.");
    }
    if (route->id == ROUTE_BLOB) {
        put_parameter(out, &comma, "Range", strlen("Range"), "header", "{\"type\":\"string\"}", "One range of bytes.");
    }
    if (route->id == ROUTE_EVENTS) {
        put_parameter(out, &comma, "Last-Event-ID", strlen("Last-Event-ID"), "header", "{\"type\":\"string\"}",
                      "Of a stream: EPOCH:SEQ, as `after`, over which it wins.");
    }
    buffer_text(out, "],");
}

static void put_operation_id(struct buffer *out, const struct route *route)
{
    static const char *const names[ROUTE_COUNT] = {
        [ROUTE_HEALTH] = "health",
        [ROUTE_READY] = "ready",
        [ROUTE_METRICS] = "metrics",
        [ROUTE_OPENAPI] = "openapi",
        [ROUTE_THEME] = "theme",
        [ROUTE_WEBSOCKET] = "websocket",
        [ROUTE_CLAUDECODEUI] = "claudecodeui",
        [ROUTE_FACTORY_FACTORY] = "factoryFactory",
        [ROUTE_LOGIN] = "login",
        [ROUTE_LOGOUT] = "logout",
        [ROUTE_AGENTS] = "listAgents",
        [ROUTE_FOLDERS] = "listFolders",
        [ROUTE_SESSIONS] = "listSessions",
        [ROUTE_CREATE_SESSION] = "createSession",
        [ROUTE_SESSION] = "getSession",
        [ROUTE_CLOSE_SESSION] = "closeSession",
        [ROUTE_EVENTS] = "listEvents",
        [ROUTE_PROMPT] = "prompt",
        [ROUTE_CANCEL] = "cancel",
        [ROUTE_STORE_BLOB] = "storeBlob",
        [ROUTE_BLOB] = "getBlob",
        [ROUTE_PERMISSIONS] = "listPermissions",
        [ROUTE_PERMISSION_RESPONSE] = "answerPermission",
        [ROUTE_DELETE_RULE] = "revokeRule",
        [ROUTE_RULES] = "listRules",
        [ROUTE_AUDIT] = "listAudit",
        [ROUTE_CRAFT_SESSIONS] = "craftListSessions",
        [ROUTE_CRAFT_CREATE] = "craftCreateSession",
        [ROUTE_CRAFT_SESSION] = "craftGetSession",
        [ROUTE_CRAFT_DELETE] = "craftCloseSession",
        [ROUTE_CRAFT_MESSAGE] = "craftPrompt",
        [ROUTE_CRAFT_ABORT] = "craftCancel",
    };
    buffer_format(out, "\"operationId\":\"%s\",", names[route->id]);
}

static void put_operation(struct buffer *out, const struct route *route)
{
    buffer_byte(out, '"');
    for (const char *at = route->method; *at; at++) {
        buffer_byte(out, (char)tolower((unsigned char)*at));
    }
    buffer_text(out, "\":{");
    put_operation_id(out, route);
    buffer_text(out, "\"summary\":");
    put_text(out, route->summary);
    buffer_byte(out, ',');
    put_parameters(out, route);
    if (route->open) {
        buffer_text(out, "\"security\":[],");
    }
    if (route->request) {
        buffer_format(out, "\"requestBody\":{\"required\":%s,",
                      route->body_optional ? "false" : "true");
        put_content(out, "application/json", route->request, false, NULL);
        buffer_text(out, "},");
    }
    if (route->any_body) {
        buffer_text(out, "\"requestBody\":{\"required\":true,");
        put_content(out, "*/*", NULL, false, NULL);
        buffer_text(out, "},");
    }
    buffer_format(out, "\"responses\":{\"%d\":{\"description\":\"%s\"", route->status,
                  route->status == 101 ? "From here on, WebSocket." : "Success.");
    if (route->status != 101) {
        buffer_byte(out, ',');
        put_content(out, route->media_type ? route->media_type : "application/json",
                    route->response, route->response_array, route->lines);
    }
    if (route->id == ROUTE_BLOB) {
        buffer_text(out, "},\"206\":{\"description\":\"The range.\",");
        put_content(out, route->media_type, NULL, false, NULL);
        buffer_text(out, "},\"304\":{\"description\":\"It is what `If-None-Match` names.\"");
    }
    buffer_format(out, "},\"default\":{\"$ref\":\"#/components/responses/%s\"}}}",
                  strncmp(route->path, "/api/", 5) ? "problem" : "craftProblem");
}

static bool first_of_path(size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (!strcmp(route_at(i)->path, route_at(index)->path)) {
            return false;
        }
    }
    return true;
}

void openapi_write(struct buffer *out, const char *version)
{
    buffer_text(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Signalbox\",\"version\":");
    put_text(out, version);
    buffer_text(
        out, ",\"description\":\"Runs coding agents and lets people watch and steer them live.\","
             "\"license\":{\"name\":\"MIT\",\"identifier\":\"MIT\"}},"
             "\"security\":[{\"token\":[]},{\"login\":[]}],\"paths\":{");
    const char *comma = "";
    for (size_t i = 0; i < route_count(); i++) {
        if (!first_of_path(i)) {
            continue;
        }
        buffer_text(out, comma);
        comma = ",";
        put_text(out, route_at(i)->path);
        buffer_text(out, ":{");
        put_operation(out, route_at(i));
        for (size_t other = i + 1; other < route_count(); other++) {
            if (!strcmp(route_at(other)->path, route_at(i)->path)) {
                buffer_byte(out, ',');
                put_operation(out, route_at(other));
            }
        }
        buffer_byte(out, '}');
    }
    buffer_text(out,
                "},\"components\":{\"securitySchemes\":{"
                "\"token\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                "\"login\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"signalbox_login\"}},"
                "\"responses\":{\"problem\":{\"description\":\"Refused (RFC 9457).\",");
    put_content(out, "application/problem+json", "problem", false, NULL);
    buffer_format(out, "},\"craftProblem\":{\"description\":\"Refused, in craft's form: a problem with `error`.\",\"content\":{"
                       "\"application/json\":{\"schema\":{\"allOf\":[{\"$ref\":\"%sproblem\"}],\"type\":\"object\",\"required\":["
                       "\"error\"],\"properties\":{\"error\":{\"type\":\"string\",\"description\":\"What went wrong.\"}}}}}", prefix);
    buffer_text(out, "}},\"schemas\":{");
    struct buffer definitions = {0};
    schema_definitions(&definitions, prefix);
    buffer_append(out, definitions.data, definitions.length);
    out->failed |= definitions.failed;
    buffer_free(&definitions);
    buffer_text(out, "}}}");
}
