/* The paths of craft's clients, under /api: what they ask for is done by native commands and lists, and answered in their
 * words (core/craft.h). */
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

#include "signalbox/core/craft.h"
#include "signalbox/mail/list.h"

enum { PAGE_SESSIONS = 100, PAGE_BYTES = 256 * 1024, EVENT_DEPTH_MAX = 4096 };

/* An answer that is made piece by piece: a list of sessions, or a session's messages. */
struct parts {
    struct list_request *list; /* of the page before */
    struct craft_reader *reader;
    struct json_parser *parser; /* of our own events */
    int64_t key;
    uint64_t next, head; /* the number that is read next; up to this one */
    bool any, ended;
};

static void parts_free(void *context)
{
    struct parts *parts = context;
    list_request_free(parts->list);
    craft_reader_free(parts->reader);
    json_parser_free(parts->parser);
    free(parts);
}

static struct parts *parts_new(struct http_response *response)
{
    struct parts *parts = calloc(1, sizeof(*parts));
    if (!parts || json_parser_new(&parts->parser, EVENT_DEPTH_MAX)) {
        free(parts);
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return NULL;
    }
    response->parts = parts;
    response->parts_free = parts_free;
    return parts;
}

static bool no_memory(struct http_response *response)
{
    http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    return false;
}

/* `text` as JSON. False: the response is a problem. */
static bool parse_own(struct parts *parts, struct http_response *response, const struct buffer *text,
                      struct json_object **out)
{
    if (!buffer_ok(text) || json_parse(parts->parser, text->data, text->length, out)) {
        return no_memory(response);
    }
    return true;
}

/* ---- The list of sessions ---- */

static bool put_sessions(struct parts *parts, struct http_response *response)
{
    struct buffer text = {0};
    struct json_object *items = NULL;
    buffer_byte(&text, '[');
    buffer_append(&text, parts->list->items.data, parts->list->items.length);
    buffer_byte(&text, ']');
    bool fine = parse_own(parts, response, &text, &items);
    for (size_t i = 0; fine && i < json_object_array_length(items); i++) {
        buffer_text(&response->body, parts->any ? "," : "");
        parts->any = true;
        craft_session_open(&response->body, json_object_array_get_idx(items, i));
        buffer_text(&response->body, "]}");
    }
    json_object_put(items);
    buffer_free(&text);
    if (!parts->list->next[0]) {
        buffer_byte(&response->body, ']');
        parts->ended = true;
    }
    return fine && buffer_ok(&response->body);
}

static bool next_sessions(struct http_request *request, struct http_response *response)
{
    struct parts *parts = response->parts;
    if (parts->ended) {
        return true;
    }
    struct list_request *list = parts->list;
    memcpy(list->after, list->next, sizeof(list->after));
    parts->list = http_ask_list(request, list);
    return parts->list && !parts->list->result && put_sessions(parts, response);
}

static void sessions(struct http_request *request, struct http_response *response)
{
    struct parts *parts = parts_new(response);
    struct list_request *list;
    if (!parts) {
        return;
    }
    if (list_request_new(&list)) {
        no_memory(response);
        return;
    }
    list->limit = PAGE_SESSIONS;
    parts->list = http_ask_list(request, list);
    if (!parts->list) {
        http_no_answer(request, response);
    } else if (parts->list->result) {
        http_store_problem(response, parts->list->result);
    } else {
        buffer_byte(&response->body, '[');
        if (put_sessions(parts, response)) {
            response->next_part = next_sessions;
        }
    }
}

/* ---- One session, with its messages ---- */

static bool ask_session(struct http_request *request, struct http_response *response, struct parts *parts,
                        const char *session_id, struct json_object **session)
{
    struct command *command;
    struct command_error error;
    char *fields = NULL;
    if (command_parse_body(COMMAND_GET_SESSION, NULL, &command, &error)) {
        return no_memory(response);
    }
    command->session_id = strdup(session_id);
    if (!command->session_id) {
        command_free(command);
        return no_memory(response);
    }
    if (!http_ask_dispatcher(request, response, command, &fields)) {
        return false;
    }
    struct buffer text = {0};
    buffer_format(&text, "{%s}", fields ? fields : "");
    bool fine = parse_own(parts, response, &text, session);
    buffer_free(&text);
    free(fields);
    return fine;
}

static bool put_events(struct parts *parts, struct http_response *response, const struct history_request *piece)
{
    struct buffer text = {0};
    struct json_object *events = NULL;
    buffer_byte(&text, '[');
    buffer_append(&text, piece->bytes.data, piece->bytes.length);
    buffer_byte(&text, ']');
    bool fine = parse_own(parts, response, &text, &events);
    for (size_t i = 0; fine && i < json_object_array_length(events); i++) {
        fine = !craft_read(parts->reader, &response->body, json_object_array_get_idx(events, i));
    }
    json_object_put(events);
    buffer_free(&text);
    return fine;
}

static bool next_messages(struct http_request *request, struct http_response *response)
{
    struct parts *parts = response->parts;
    /* Some pages have no message at all, and an empty part would be the end. */
    while (!parts->ended && !response->body.length) {
        if (parts->next > parts->head) {
            craft_read_end(parts->reader, &response->body);
            buffer_text(&response->body, "]}");
            parts->ended = true;
            break;
        }
        struct history_request *question;
        if (history_request_new(&question)) {
            return false;
        }
        question->kind = HISTORY_JSON;
        question->session_key = parts->key;
        question->from = parts->next;
        question->to = parts->head;
        question->whole = true;
        question->max_bytes = PAGE_BYTES;
        struct history_request *piece = http_ask_history(request, response, question);
        bool fine = piece && piece->last >= parts->next && put_events(parts, response, piece);
        parts->next = piece ? piece->last + 1 : 0;
        history_request_free(piece);
        if (!fine) {
            return false;
        }
    }
    return buffer_ok(&response->body);
}

static void session(struct http_request *request, struct http_response *response)
{
    struct parts *parts = parts_new(response);
    struct json_object *session = NULL;
    int64_t head = 0;
    if (!parts || !ask_session(request, response, parts, request->match.values[0], &session)) {
        return;
    }
    if (craft_reader_new(&parts->reader)) {
        no_memory(response);
    } else if (!json_get_i64(session, "head", &head) || head < 0) {
        http_problem(response, ANSWER_INTERNAL, "the session's state cannot be read", NULL, NULL);
    } else if (http_find_key(request, response, &parts->key)) {
        parts->next = 1;
        parts->head = (uint64_t)head;
        craft_session_open(&response->body, session);
        response->next_part = next_messages;
    }
    json_object_put(session);
}

/* ---- Commands ---- */

/* The native command with these members. NULL: the response is a problem. */
static struct command *make(struct http_request *request, struct http_response *response, enum command_type type,
                            struct json_object *body)
{
    struct command *command = NULL;
    struct command_error error = {0};
    const char *key = http_header(request, "Idempotency-Key", NULL);
    if (!http_key_allowed(request, response)) {
        return NULL;
    }
    enum err err = command_parse_body(type, body, &command, &error);
    if (err == ERR_SYNTAX) {
        http_problem(response, error.code, error.message, error.field, NULL);
        free(error.id);
        return NULL;
    }
    bool fine = !err && (!key || (command->id = strdup(key))) &&
                (!request->match.value_count || (command->session_id = strdup(request->match.values[0])));
    if (!fine) {
        command_free(command);
        no_memory(response);
        return NULL;
    }
    return command;
}

static bool run(struct http_request *request, struct http_response *response, enum command_type type,
                struct json_object *body, char **fields)
{
    struct command *command = make(request, response, type, body);
    return command && http_ask_dispatcher(request, response, command, fields);
}

/* Sets `to` of the native body to the first of these strings of the client's. */
static bool take(struct json_object *native, const char *to, struct json_object *body, const char *const *names,
                 const char *fallback)
{
    struct json_object *value = NULL;
    for (; !value && *names; names++) {
        value = json_get(body, *names);
    }
    if (!value && !fallback) {
        return true;
    }
    value = value ? json_object_get(value) : json_object_new_string(fallback);
    return value && !json_object_object_add(native, to, value);
}

static void create(struct http_request *request, struct http_response *response)
{
    static const char *const agents[] = {"agent", NULL}, *const titles[] = {"name", "title", NULL},
                             *const folders[] = {"workingDirectory", "workspace", NULL};
    const struct config *config = request->config;
    const char *agent = config->agent_count ? config->agents[0].name : NULL;
    const char *folder = config->workspace_roots.count ? config->workspace_roots.items[0] : NULL;
    struct json_object *body = NULL, *session = NULL, *native = json_object_new_object();
    char *fields = NULL;
    if (!http_json_body(request, response, false, &body)) {
        json_object_put(native);
        return;
    }
    if (body && !json_object_is_type(body, json_type_object)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "the body must be a JSON object", NULL, NULL);
        json_object_put(body);
        json_object_put(native);
        return;
    }
    bool fine = native && take(native, "agent", body, agents, agent) && take(native, "title", body, titles, NULL) &&
                take(native, "workspace", body, folders, folder);
    fine = fine ? run(request, response, COMMAND_CREATE_SESSION, native, &fields) : no_memory(response);
    json_object_put(body);
    json_object_put(native);
    struct parts *parts = fine ? parts_new(response) : NULL;
    struct buffer text = {0};
    buffer_format(&text, "{%s}", fields ? fields : "");
    if (parts && parse_own(parts, response, &text, &session)) {
        struct json_object *whole = NULL;
        if (ask_session(request, response, parts, json_get_string(session, "sessionId"), &whole)) {
            craft_session_open(&response->body, whole);
            buffer_text(&response->body, "]}");
        }
        json_object_put(whole);
    }
    json_object_put(session);
    buffer_free(&text);
    free(fields);
}

static void message(struct http_request *request, struct http_response *response)
{
    struct json_object *body = NULL, *native = json_object_new_object();
    struct json_object *text = NULL;
    char *fields = NULL;
    if (!http_json_body(request, response, false, &body)) {
        json_object_put(native);
        return;
    }
    text = json_get(body, "message");
    if (!json_object_is_type(text, json_type_string)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "`message` must be a string", "message", NULL);
    } else if (!native || json_object_object_add(native, "text", json_object_get(text))) {
        no_memory(response);
    } else if (run(request, response, COMMAND_PROMPT, native, &fields)) {
        buffer_text(&response->body, "{\"accepted\":true");
        if (fields && *fields) {
            buffer_byte(&response->body, ',');
            buffer_text(&response->body, fields);
        }
        buffer_byte(&response->body, '}');
    }
    json_object_put(body);
    json_object_put(native);
    free(fields);
}

static void done(struct http_request *request, struct http_response *response, enum command_type type,
                 const char *answer)
{
    char *fields = NULL;
    if (run(request, response, type, NULL, &fields)) {
        buffer_text(&response->body, answer);
    }
    free(fields);
}

/* Problems in craft's form, beside our own: `error` is what went wrong. */
static void say_error(struct http_request *request, struct http_response *response)
{
    struct json_object *problem = NULL;
    if (json_parse(request->handler->parser, response->body.data, response->body.length, &problem)) {
        return;
    }
    const char *detail = json_get_string(problem, "detail");
    struct buffer *out = &response->body;
    out->length -= out->length > 0; /* its brace */
    json_field_string(out, "error", detail ? detail : http_status_text(response->status));
    buffer_byte(out, '}');
    response->type = "application/json";
    json_object_put(problem);
}

void http_craft(struct http_request *request, struct http_response *response)
{
    if (!http_key_allowed(request, response)) {
        return;
    }
    switch (request->match.route->id) {
    case ROUTE_CRAFT_SESSIONS:
        sessions(request, response);
        break;
    case ROUTE_CRAFT_CREATE:
        create(request, response);
        break;
    case ROUTE_CRAFT_SESSION:
        session(request, response);
        break;
    case ROUTE_CRAFT_DELETE:
        done(request, response, COMMAND_CLOSE_SESSION, "{\"success\":true}");
        break;
    case ROUTE_CRAFT_MESSAGE:
        message(request, response);
        break;
    default:
        done(request, response, COMMAND_CANCEL, "{\"success\":true}");
    }
}

void http_craft_problem(struct http_request *request, struct http_response *response)
{
    if (!strncmp(request->path, "/api/", 5) && response->status >= 400 && response->body.length) {
        response->next_part = NULL;
        say_error(request, response);
    }
}
