/* Commands over REST: the body becomes the same command that a WebSocket message makes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/utf8.h"
#include "signalbox/mail/dispatch.h"

enum { KEY_MAX = 256, MEDIA_TYPE_LENGTH = 16 };

static bool is_json(const struct http_request *request)
{
    const char *type = http_header(request, "Content-Type", NULL);
    return type && !strncasecmp(type, "application/json", MEDIA_TYPE_LENGTH) &&
           strchr("; \t", type[MEDIA_TYPE_LENGTH]);
}

static bool parse_body(struct http_request *request, struct http_response *response,
                       const struct buffer *text, struct json_object **body)
{
    if (!utf8_valid(text->data, text->length)) {
        http_problem(response, ANSWER_BAD_JSON, "the body is not UTF-8", NULL, NULL);
        return false;
    }
    enum err err = json_parse(request->handler->parser, text->data, text->length, body);
    if (err == ERR_NOMEM) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    } else if (err) {
        http_problem(response, ANSWER_BAD_JSON, json_parser_message(request->handler->parser), NULL,
                     NULL);
    }
    return !err;
}

bool http_json_body(struct http_request *request, struct http_response *response, bool optional,
                    struct json_object **body)
{
    *body = NULL;
    if (!request->content_length && optional) {
        return true;
    }
    /* A page of another origin can send other types without being asked for permission. */
    if (!is_json(request)) {
        http_problem_status(response, 415, ANSWER_BAD_MESSAGE,
                            "a body must be of the type application/json");
        return false;
    }
    struct buffer text = {0};
    bool fine = false;
    switch (http_read_body(request, (size_t)request->config->max_message_bytes, &text)) {
    case ERR_OK:
        fine = parse_body(request, response, &text, body);
        break;
    case ERR_TOOBIG:
        http_problem(response, ANSWER_TOO_LARGE, "the body is longer than `max-message-bytes`",
                     NULL, NULL);
        response->close = true;
        break;
    case ERR_NOMEM:
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        response->close = true;
        break;
    case ERR_TIMEDOUT:
        http_problem_status(response, 408, ANSWER_BAD_MESSAGE, "the body came too slowly");
        response->close = true;
        break;
    default:
        http_problem(response, ANSWER_BAD_JSON, "the body did not come whole", NULL, NULL);
        response->close = true;
    }
    buffer_free(&text);
    return fine;
}

static void give_back(struct credit *credit, uint32_t bytes)
{
    if (credit) {
        credit_give(credit, bytes);
        credit_put(credit);
    }
}

static enum answer_code submit(struct http_request *request, struct command *command,
                               struct credit *credit, uint32_t credit_bytes, const char **why)
{
    struct http *http = request->http;
    struct dispatch_command *mail;
    if (atomic_load(&http->refusing)) {
        give_back(credit, credit_bytes);
        command_free(command);
        *why = "the server is stopping";
        return ANSWER_SHUTTING_DOWN;
    }
    if (dispatch_command_new(&mail)) {
        give_back(credit, credit_bytes);
        command_free(command);
        *why = "out of memory";
        return ANSWER_INTERNAL;
    }
    mail->command = command;
    mail->credit = credit;
    mail->credit_bytes = credit_bytes;
    mail->identity = request->identity;
    mail->over_rest = true;
    mail->reply = (struct reply_address){.to = request->handler->box,
                                         .kind = HTTP_MAIL_ANSWER,
                                         .serial = ++request->handler->serial};
    if (!mailbox_reserve(http->wiring.dispatch, 1)) {
        dispatch_command_free(mail);
        *why = "too many requests are being worked on";
        return ANSWER_BUSY;
    }
    metric_add(METRIC_COMMANDS, 1);
    if (!strcmp(request->method, "POST")) {
        dispatch_command_remember(mail, REMEMBER_KEY);
    }
    mailbox_push(http->wiring.dispatch, &mail->mail);
    return ANSWER_OK;
}

static bool refused(struct http_response *response, const struct answer_mail *mail)
{
    const struct answer *answer = &mail->answer;
    metric_add(METRIC_COMMANDS_REFUSED, 1);
    if (mail->id_reused) {
        http_problem_status(response, 422, answer->code, "the Idempotency-Key was used for another request");
    } else {
        http_problem(response, answer->code, answer->message, NULL, answer->fields);
    }
    return false;
}

bool http_ask_dispatcher(struct http_request *request, struct http_response *response,
                         struct command *command, char **fields)
{
    return http_ask_dispatcher_with(request, response, command, NULL, 0, fields);
}

bool http_ask_dispatcher_with(struct http_request *request, struct http_response *response, struct command *command,
                              struct credit *credit, uint32_t credit_bytes, char **fields)
{
    const char *why = NULL;
    enum answer_code code = submit(request, command, credit, credit_bytes, &why);
    if (code == ANSWER_BUSY) {
        http_problem_status(response, 503, code,
                            why); /* it is the server that is busy, not a session */
        return false;
    }
    if (code != ANSWER_OK) {
        http_problem(response, code, why, NULL, NULL);
        return false;
    }
    struct mail *mail = http_wait(request->handler, request->handler->serial);
    if (!mail) {
        bool stopping = atomic_load(&request->http->stopping);
        http_problem(response, stopping ? ANSWER_SHUTTING_DOWN : ANSWER_STORAGE_UNAVAILABLE,
                     stopping ? "the server is stopping"
                              : "no answer in time; it may still be done",
                     NULL, NULL);
        return false;
    }
    struct answer_mail *got = container_of(mail, struct answer_mail, mail);
    bool fine = got->answer.code == ANSWER_OK || refused(response, got);
    if (fine) {
        *fields = got->answer.fields;
        got->answer.fields = NULL;
        if (*fields && **fields == ',') {
            memmove(*fields, *fields + 1, strlen(*fields));
        }
    }
    answer_clear(&got->answer);
    free(got->id);
    free(got->session_id);
    free(got);
    return fine;
}

/* The ids that stand in the path, and the key that makes a repetition harmless. */
static enum err complete(const struct http_request *request, struct command *command)
{
    const char *key = http_header(request, "Idempotency-Key", NULL);
    const struct route_match *match = &request->match;
    if (key && !(command->id = strdup(key))) {
        return ERR_NOMEM;
    }
    if (match->route->command == COMMAND_DELETE_RULE) {
        command->rule_id = strdup(match->values[0]);
        return command->rule_id ? ERR_OK : ERR_NOMEM;
    }
    if (match->value_count > 0 && !(command->session_id = strdup(match->values[0]))) {
        return ERR_NOMEM;
    }
    if (match->value_count > 1 && !(command->request_id = strdup(match->values[1]))) {
        return ERR_NOMEM;
    }
    return ERR_OK;
}

bool http_key_allowed(const struct http_request *request, struct http_response *response)
{
    const char *key = http_header(request, "Idempotency-Key", NULL);
    if (key && (!*key || strlen(key) > KEY_MAX || !utf8_valid(key, strlen(key)))) {
        http_problem(response, ANSWER_BAD_MESSAGE, "the Idempotency-Key must have 1 to 256 bytes",
                     "Idempotency-Key", NULL);
        return false;
    }
    return true;
}

static bool make_command(struct http_request *request, struct http_response *response,
                         struct command **out)
{
    const struct route *route = request->match.route;
    struct command_error error;
    struct json_object *body = NULL;
    if (!http_key_allowed(request, response) ||
        (route->request && !http_json_body(request, response, route->body_optional, &body))) {
        return false;
    }
    enum err err = command_parse_body((enum command_type)route->command, body, out, &error);
    json_object_put(body);
    if (err == ERR_SYNTAX) {
        http_problem(response, error.code, error.message, error.field, NULL);
        free(error.id);
        return false;
    }
    if (!err) {
        err = complete(request, *out);
        if (err) {
            command_free(*out);
        }
    }
    if (err) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    }
    return !err;
}

/* `purge` of DELETE /v1/sessions/{id}. */
static bool wants_erase(struct http_request *request, struct http_response *response, bool *erase)
{
    char text[4];
    if (request->match.route->id != ROUTE_CLOSE_SESSION || !http_query(request, "purge", text, sizeof(text))) {
        return true;
    }
    *erase = !strcmp(text, "1");
    if (!*erase && strcmp(text, "0") != 0) {
        http_problem(response, ANSWER_BAD_MESSAGE, "`purge` must be 0 or 1", "purge", NULL);
        return false;
    }
    return true;
}

/* It is closed by now, and that is recorded: if this is not done, it can be asked for again. */
static bool erase_session(struct http_request *request, struct http_response *response, char **fields)
{
    struct command *command;
    struct command_error error;
    free(*fields);
    *fields = NULL;
    enum err err = command_parse_body(COMMAND_ERASE_SESSION, NULL, &command, &error);
    if (!err) {
        err = complete(request, command);
        if (err) {
            command_free(command);
        }
    }
    if (err) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return false;
    }
    return http_ask_dispatcher(request, response, command, fields);
}

void http_rest_command(struct http_request *request, struct http_response *response)
{
    struct command *command;
    char *fields = NULL;
    bool erase = false;
    if (!wants_erase(request, response, &erase) || !make_command(request, response, &command) ||
        !http_ask_dispatcher(request, response, command, &fields) ||
        (erase && !erase_session(request, response, &fields))) {
        return;
    }
    struct buffer *out = &response->body;
    buffer_byte(out, '{');
    if (request->match.route->id == ROUTE_PROMPT) {
        json_field_bool(out, "accepted", true);
    }
    if (fields && *fields) {
        buffer_text(out, out->length > 1 ? "," : "");
        buffer_text(out, fields);
    }
    buffer_byte(out, '}');
    if (request->match.route->id == ROUTE_CREATE_SESSION && fields) {
        /* The answer names the new session, whose id needs no escaping. */
        struct json_object *answer = NULL;
        if (!json_parse(request->handler->parser, out->data, out->length, &answer) &&
            json_get_string(answer, "sessionId")) {
            buffer_format(&response->headers, "Location: /v1/sessions/%s\r\n",
                          json_get_string(answer, "sessionId"));
        }
        json_object_put(answer);
    }
    free(fields);
}
