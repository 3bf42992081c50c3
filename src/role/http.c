#include "http_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "signalbox/base/check.h"
#include "signalbox/base/metrics.h"
#include "signalbox/base/thread.h"
#include "signalbox/mail/history.h"
#include "signalbox/mail/list.h"

enum { ANSWER_LIMIT_MS = 30000 };

/* ---- Mail of the handler threads ---- */

struct http_handler *http_handler_new(struct http *http, int *index)
{
    struct http_handler *handler = calloc(1, sizeof(*handler));
    if (!handler) {
        return NULL;
    }
    handler->http = http;
    if (mailbox_new(&handler->box, "http", 0)) {
        free(handler);
        return NULL;
    }
    const struct config *config = config_current_get(http->wiring.config);
    enum err err = json_parser_new(&handler->parser, (int)config->max_json_depth);
    config_put(config);
    if (err) {
        mailbox_free(handler->box);
        free(handler);
        return NULL;
    }
    *index = atomic_fetch_add(&http->handler_count, 1);
    pthread_mutex_lock(&http->lock);
    handler->next = http->handlers;
    http->handlers = handler;
    pthread_mutex_unlock(&http->lock);
    return handler;
}

static uint64_t serial_of(struct mail *mail)
{
    switch (mail->kind) {
    case HTTP_MAIL_ANSWER:
        return container_of(mail, struct answer_mail, mail)->serial;
    case HTTP_MAIL_HISTORY:
        return container_of(mail, struct history_request, mail)->cookie[0];
    default:
        CHECK(mail->kind == HTTP_MAIL_LIST);
        return container_of(mail, struct list_request, mail)->cookie[0];
    }
}

static void free_mail(struct mail *mail)
{
    switch (mail->kind) {
    case HTTP_MAIL_ANSWER: {
        struct answer_mail *answer = container_of(mail, struct answer_mail, mail);
        answer_clear(&answer->answer);
        free(answer->id);
        free(answer->session_id);
        free(answer);
        break;
    }
    case HTTP_MAIL_HISTORY:
        history_request_free(container_of(mail, struct history_request, mail));
        break;
    default:
        CHECK(mail->kind == HTTP_MAIL_LIST);
        list_request_free(container_of(mail, struct list_request, mail));
    }
}

struct mail *http_wait(struct http_handler *handler, uint64_t serial)
{
    struct instant limit = instant_after_ms(clock_now(), ANSWER_LIMIT_MS);
    for (;;) {
        for (struct mail *mail; (mail = mailbox_take(handler->box));) {
            if (serial_of(mail) == serial) {
                return mail;
            }
            free_mail(mail);
        }
        if (atomic_load(&handler->http->stopping) || instant_reached(limit, clock_now())) {
            return NULL;
        }
        mailbox_wait(handler->box, limit);
    }
}

/* ---- Requests ---- */

const char *http_header(const struct http_request *request, const char *name, size_t *count)
{
    const char *first = NULL;
    size_t found = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!strcasecmp(request->headers[i].name, name)) {
            first = first ? first : request->headers[i].value;
            found++;
        }
    }
    if (count) {
        *count = found;
    }
    return first;
}

static int hex(char digit)
{
    const char *digits = "0123456789abcdef";
    char lower = digit >= 'A' && digit <= 'F' ? (char)(digit + 'a' - 'A') : digit;
    const char *at = lower ? strchr(digits, lower) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool http_decode(const char *text, size_t length, bool segments, char *out, size_t size)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        char byte = text[i];
        if (byte == '%') {
            int high = length - i > 2 ? hex(text[i + 1]) : -1;
            int low = length - i > 2 ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
            if (!byte || (segments && byte == '/')) {
                return false;
            }
        }
        if (written + 1 >= size) {
            return false;
        }
        out[written++] = byte;
    }
    out[written] = '\0';
    return true;
}

bool http_query(const struct http_request *request, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);
    for (const char *at = request->query; at && *at;) {
        size_t span = strcspn(at, "&");
        if (span >= length && !strncmp(at, name, length) && (span == length || at[length] == '=')) {
            const char *value = at + length + (span > length);
            if (!http_decode(value, (size_t)(at + span - value), false, out, size)) {
                *out = '\0';
            }
            return true;
        }
        at += span + (at[span] == '&');
    }
    return false;
}

static void serve_health(struct http_response *response)
{
    buffer_text(&response->body, "{\"status\":\"ok\"}");
}

static void serve_ready(struct http_request *request, struct http_response *response)
{
    struct http *http = request->http;
    struct buffer reasons = {0}, *out = &response->body;
    bool ready =
        http->wiring.ready(http->wiring.context, &reasons) && !atomic_load(&http->refusing);
    buffer_byte(out, '{');
    json_field_bool(out, "ready", ready);
    if (atomic_load(&http->refusing)) {
        json_field_string(out, "server", "stopping");
    }
    if (http_auth_known(request)) { /* reasons name files, which are not for everybody */
        buffer_append(out, reasons.data, reasons.length);
        out->failed |= reasons.failed;
    }
    buffer_byte(out, '}');
    response->status = ready ? 200 : 503;
    buffer_free(&reasons);
}

static void serve_route(struct http_request *request, struct http_response *response)
{
    struct http *http = request->http;
    if (request->match.route->status == 101) {
        http_upgrade(request, response);
        return;
    }
    switch (request->match.route->id) {
    case ROUTE_HEALTH:
        serve_health(response);
        break;
    case ROUTE_READY:
        serve_ready(request, response);
        break;
    case ROUTE_METRICS:
        metrics_write(&response->body);
        http->wiring.metrics(http->wiring.context, &response->body);
        break;
    case ROUTE_OPENAPI:
        openapi_write(&response->body, http->wiring.version);
        break;
    case ROUTE_THEME:
        buffer_append(&response->body, request->config->theme, request->config->theme_length);
        buffer_text(&response->headers, "Cache-Control: no-cache\r\n");
        break;
    case ROUTE_LOGIN:
        http_login(request, response);
        break;
    case ROUTE_LOGOUT:
        http_logout(request, response);
        break;
    case ROUTE_AGENTS:
        http_agents(request, response);
        break;
    case ROUTE_SESSIONS:
        http_sessions(request, response);
        break;
    case ROUTE_FOLDERS:
        http_folders(request, response);
        break;
    case ROUTE_STORE_BLOB:
        http_store_blob(request, response);
        break;
    case ROUTE_BLOB:
        http_blob(request, response);
        break;
    case ROUTE_EVENTS:
        http_events(request, response);
        break;
    case ROUTE_RULES:
        http_rules(request, response);
        break;
    case ROUTE_AUDIT:
        http_audit(request, response);
        break;
    case ROUTE_CRAFT_SESSIONS:
    case ROUTE_CRAFT_CREATE:
    case ROUTE_CRAFT_SESSION:
    case ROUTE_CRAFT_DELETE:
    case ROUTE_CRAFT_MESSAGE:
    case ROUTE_CRAFT_ABORT:
        http_craft(request, response);
        break;
    default:
        http_rest_command(request, response);
    }
}

static void serve(struct http_request *request, struct http_response *response)
{
    char ignored[8];
    if (http_query(request, "token", ignored, sizeof(ignored)) ||
        http_query(request, "access_token", ignored, sizeof(ignored))) {
        http_problem(response, ANSWER_BAD_MESSAGE,
                     "a token does not belong into a URL, where logs keep it", "token", NULL);
        return;
    }
    switch (route_match(request->method, request->path, &request->match)) {
    case ROUTE_NO_PATH:
        if (!http_static(request, response)) {
            http_problem(response, ANSWER_NOT_FOUND, "there is nothing at this path", NULL, NULL);
        }
        return;
    case ROUTE_NO_METHOD:
        http_problem_status(response, 405, ANSWER_UNSUPPORTED,
                            "this path does not take this method");
        buffer_format(&response->headers, "Allow: %s\r\n", request->match.allow);
        return;
    case ROUTE_FOUND:
        break;
    }
    const struct route *route = request->match.route;
    response->status = route->status;
    response->type = route->media_type ? route->media_type : response->type;
    if (http_auth_check(request, response)) {
        serve_route(request, response);
    }
}

void http_serve(struct http_request *request, struct http_response *response)
{
    thread_check(THREAD_HTTP);
    metric_add(METRIC_HTTP_REQUESTS, 1);
    *response = (struct http_response){.status = 200, .type = "application/json"};
    serve(request, response);
    http_craft_problem(request, response);
    if (!buffer_ok(&response->body) || !buffer_ok(&response->headers)) {
        buffer_free(&response->body);
        buffer_free(&response->headers);
        response->next_part = NULL;
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
    }
}

/* ---- Life ---- */

void http_free(struct http *http)
{
    if (!http) {
        return;
    }
    while (http->handlers) {
        struct http_handler *handler = http->handlers;
        http->handlers = handler->next;
        for (struct mail *mail; (mail = mailbox_take(handler->box));) {
            free_mail(mail);
        }
        mailbox_free(handler->box);
        json_parser_free(handler->parser);
        free(handler);
    }
    http_auth_close(http);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

enum err http_start(struct http **out, const struct http_wiring *wiring, char *why, size_t why_size)
{
    struct http *http = calloc(1, sizeof(*http));
    if (!http) {
        return ERR_NOMEM;
    }
    http->wiring = *wiring;
    pthread_mutex_init(&http->lock, NULL);
    enum err err = http_auth_open(http);
    if (err) {
        snprintf(why, why_size, "the logins cannot be read: %s", err_text(err));
    } else {
        err = http_slow_start(http);
        if (err) {
            snprintf(why, why_size, "the thread that watches requests cannot be started: %s", err_text(err));
        }
    }
    if (!err) {
        err = http_civetweb_start(http, why, why_size);
    }
    if (err) {
        atomic_store(&http->stopping, true);
        http_slow_stop(http);
        http_free(http);
        return err;
    }
    *out = http;
    return ERR_OK;
}

int http_port(const struct http *http)
{
    return http->port;
}

void http_close(struct http *http)
{
    atomic_store(&http->refusing, true);
}

void http_stop(struct http *http)
{
    if (!http) {
        return;
    }
    http_close(http);
    atomic_store(&http->stopping, true);
    pthread_mutex_lock(&http->lock);
    for (struct http_handler *handler = http->handlers; handler; handler = handler->next) {
        mailbox_poke(handler->box);
    }
    pthread_mutex_unlock(&http->lock);
    http_civetweb_stop(http);
    http_slow_stop(http);
}
