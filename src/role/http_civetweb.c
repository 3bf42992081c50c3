/*
 * CivetWeb 1.15, and nothing else that knows it. It accepts, parses HTTP and keeps connections;
 * every request is served from its begin_request callback, since its request handlers are not
 * called for upgrades. It has no document root.
 */
#define _GNU_SOURCE
#include <civetweb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_handover.h"
#include "http_internal.h"

#include "signalbox/base/clock.h"
#include "signalbox/base/log.h"
#include "signalbox/base/rcu.h"
#include "signalbox/base/thread.h"

enum {
    BODY_CHUNK = 16 * 1024,
    DRAIN_MAX = 8 * 1024 * 1024, /* of a refused body, so that the client gets to read why */
    DRAIN_MS = 3000,
};

/* ---- Writing ---- */

static void put_head(struct buffer *out, struct http_response *response, const char *framing)
{
    buffer_format(out, "HTTP/1.1 %d %s\r\n", response->status, http_status_text(response->status));
    if (response->status != 304) {
        buffer_format(out, "Content-Type: %s\r\n%s", response->type, framing);
    }
    buffer_text(out, "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                     "Cross-Origin-Resource-Policy: same-origin\r\n");
    if (!response->headers.length ||
        !memmem(response->headers.data, response->headers.length, "Cache-Control:", 14)) {
        buffer_text(out, "Cache-Control: no-store\r\n");
    }
    buffer_append(out, response->headers.data, response->headers.length);
    buffer_text(out, response->close ? "Connection: close\r\n\r\n" : "\r\n");
}

/* False: the connection cannot be used again. */
static bool send_out(struct mg_connection *connection, struct buffer *out)
{
    return buffer_ok(out) && mg_write(connection, out->data, out->length) == (int)out->length;
}

static bool put_chunk(struct buffer *out, const struct buffer *part)
{
    buffer_format(out, "%zx\r\n", part->length);
    buffer_append(out, part->data, part->length);
    buffer_text(out, "\r\n");
    return buffer_ok(out);
}

/* A body whose length is not known when it begins: in chunks, and to HTTP/1.0, which does not know them, up to the end of
 * the connection. Where a part is missing no last chunk is sent, so that nobody takes it for whole. */
static void send_parts(struct mg_connection *connection, struct http_request *request, struct http_response *response)
{
    const char *version = mg_get_request_info(connection)->http_version;
    bool chunked = version && strcmp(version, "1.0");
    response->close |= !chunked;
    struct buffer out = {0}, *part = &response->body;
    put_head(&out, response, chunked ? "Transfer-Encoding: chunked\r\n" : "");
    bool whole = send_out(connection, &out);
    bool head = !strcmp(request->method, "HEAD");
    while (whole && !head) {
        buffer_reset(&out);
        if (part->length && chunked) {
            whole = put_chunk(&out, part) && send_out(connection, &out);
        } else if (part->length) {
            whole = send_out(connection, part);
        } else {
            buffer_text(&out, chunked ? "0\r\n\r\n" : "");
            whole = send_out(connection, &out);
            break;
        }
        buffer_reset(part);
        whole = whole && response->next_part(request, response);
    }
    response->close |= !whole;
    buffer_free(&out);
}


/* A body that breaks off is told by the end of the connection, before the length that was promised. */
static void send_source(struct mg_connection *connection, struct http_request *request,
                        struct http_response *response)
{
    struct buffer piece = {0};
    for (uint64_t sent = 0; sent < response->source_length && !response->close; sent += piece.length) {
        buffer_reset(&piece);
        if (!response->source(request, response->source_context, &piece) || piece.length == 0 ||
            piece.length > response->source_length - sent ||
            mg_write(connection, piece.data, piece.length) != (int)piece.length) {
            response->close = true;
        }
    }
    buffer_free(&piece);
}

/* Everything but 101, 304 and what comes in parts says how long it is. */
static void send_response(struct mg_connection *connection, struct http_request *request,
                          struct http_response *response)
{
    bool head = !strcmp(request->method, "HEAD");
    const void *body = response->fixed ? response->fixed : response->body.data;
    size_t length = response->fixed ? response->fixed_length : response->body.length;
    bool made = response->source != NULL && response->status < 300;
    char framing[48];
    struct buffer out = {0};
    if (response->next_part) {
        send_parts(connection, request, response);
        return;
    }
    if (response->status == 304) {
        length = 0;
    }
    snprintf(framing, sizeof(framing), "Content-Length: %llu\r\n",
             made ? (unsigned long long)response->source_length : (unsigned long long)length);
    put_head(&out, response, framing);
    if (!head && !made) {
        buffer_append(&out, body, length);
    }
    if (!buffer_ok(&out)) {
        static const char empty[] =
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        mg_write(connection, empty, sizeof(empty) - 1);
        response->close = true;
    } else if (!send_out(connection, &out)) {
        response->close = true;
    } else if (made && !head) {
        send_source(connection, request, response);
    }
    buffer_free(&out);
}

/* Reads what is left of a body that is not wanted, within reason: closing with it unread would
 * reset the connection before the client has read the answer. False: there may be more. */
static bool drain(struct http_request *request)
{
    struct instant limit = instant_after_ms(clock_now(), DRAIN_MS);
    char unwanted[BODY_CHUNK];
    int got = 1;
    http_read_begin(request, limit);
    for (size_t total = 0; got > 0 && total < DRAIN_MAX && !instant_reached(limit, clock_now());) {
        got = mg_read(request->connection, unwanted, sizeof(unwanted));
        total += got > 0 ? (size_t)got : 0;
    }
    return !http_read_end(request) && got == 0;
}

/* ---- Reading ---- */

static enum err read_pieces(struct http_request *request, size_t limit, struct buffer *body,
                            struct instant begun)
{
    int64_t timeout_ms = request->config->http_request_timeout_ms;
    for (;;) {
        char *room = buffer_reserve(body, BODY_CHUNK);
        if (!room) {
            return ERR_NOMEM;
        }
        struct instant asked = clock_now();
        int got = mg_read(request->connection, room, BODY_CHUNK);
        if (got < 0) {
            /* CivetWeb has waited as long for one byte as we do for all, and does not say so. */
            bool silent = instant_diff_ms(clock_now(), asked) >= timeout_ms - timeout_ms / 8;
            return silent ? ERR_TIMEDOUT : ERR_PIPE;
        }
        if (!got) {
            break;
        }
        body->length += (size_t)got;
        if (body->length > limit) {
            return ERR_TOOBIG;
        }
        int64_t more_ms = (int64_t)body->length * 1000 / HTTP_BODY_RATE;
        http_read_extend(request, instant_after_ms(begun, timeout_ms + more_ms));
    }
    bool whole = request->content_length < 0 || (long long)body->length == request->content_length;
    return whole ? ERR_OK : ERR_PIPE;
}

enum err http_read_body(struct http_request *request, size_t limit, struct buffer *body)
{
    struct mg_connection *connection = request->connection;
    if (request->content_length > 0 && (unsigned long long)request->content_length > limit) {
        return ERR_TOOBIG;
    }
    const char *expect = http_header(request, "Expect", NULL);
    if (expect && !strcasecmp(expect, "100-continue")) {
        mg_write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    struct instant begun = clock_now();
    http_read_begin(request, instant_after_ms(begun, request->config->http_request_timeout_ms));
    enum err err = read_pieces(request, limit, body, begun);
    bool cut = http_read_end(request);
    bool whole = request->content_length >= 0 && (long long)body->length == request->content_length;
    return cut && !whole ? ERR_TIMEDOUT : err;
}

static bool is_chunked(const struct http_request *request)
{
    const char *encoding = http_header(request, "Transfer-Encoding", NULL);
    return encoding && strcasecmp(encoding, "identity");
}

/* Two lengths of one body are an attack on a proxy in front of us (RFC 9112, section 6.3). */
static bool framing_is_clear(const struct http_request *request)
{
    size_t lengths;
    http_header(request, "Content-Length", &lengths);
    return lengths + is_chunked(request) <= 1;
}

static bool asks_for_websocket(const struct http_request *request)
{
    const char *connection = http_header(request, "Connection", NULL);
    const char *upgrade = http_header(request, "Upgrade", NULL);
    return connection && upgrade && strcasestr(connection, "upgrade") &&
           strcasestr(upgrade, "websocket");
}

static void fill_request(struct http_request *request, struct http *http,
                         struct mg_connection *connection, const struct mg_request_info *info,
                         struct http_header *headers)
{
    size_t count = 0;
    for (int i = 0; i < info->num_headers; i++) {
        headers[count++] =
            (struct http_header){info->http_headers[i].name, info->http_headers[i].value};
    }
    *request = (struct http_request){
        .http = http,
        .handler = mg_get_thread_pointer(connection),
        .method = info->request_method,
        .query = info->query_string,
        .headers = headers,
        .header_count = count,
        .peer_port = info->remote_port,
        .connection = connection,
    };
    snprintf(request->peer, sizeof(request->peer), "%s", info->remote_addr);
    const char *path = info->local_uri_raw ? info->local_uri_raw : "";
    if (!http_decode(path, strcspn(path, "?"), true, request->path, sizeof(request->path))) {
        request->path[0] = '\0';
    }
    request->content_length = is_chunked(request)        ? -1
                              : info->content_length < 0 ? 0
                                                         : info->content_length;
    request->upgrade = asks_for_websocket(request);
}

/* ---- Callbacks ---- */

static int begin_request(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct http *http = info->user_data;
    struct http_header headers[MG_MAX_HEADERS];
    struct http_request request;
    struct http_response response = {.type = "application/problem+json"};
    fill_request(&request, http, connection, info, headers);
    if (!request.handler) {
        http_problem(&response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        response.close = true;
    } else if (!framing_is_clear(&request)) {
        http_problem(&response, ANSWER_BAD_MESSAGE, "the length of the body is not clear",
                     "Content-Length", NULL);
        response.close = true;
    } else {
        request.config = config_current_get(http->wiring.config);
        http_serve(&request, &response);
        config_put(request.config);
    }
    response.close |= atomic_load(&http->refusing);
    if (!response.handed_over) {
        send_response(connection, &request, &response);
        if (request.content_length && request.handler) {
            response.close |= !drain(&request);
        }
    }
    if (response.close || response.handed_over) {
        mg_disable_connection_keep_alive(connection);
    }
    if (response.parts_free) {
        response.parts_free(response.parts);
    }
    buffer_free(&response.headers);
    buffer_free(&response.body);
    free(response.source_context);
    return response.status;
}

/* What CivetWeb refuses by itself: requests that are none, or whose head is too long. */
static int http_error(struct mg_connection *connection, int status, const char *message)
{
    struct http_request request = {.method = "GET"};
    struct http_response response = {.close = true};
    http_problem_status(&response, status, status == 413 ? ANSWER_TOO_LARGE : ANSWER_BAD_MESSAGE,
                        message);
    send_response(connection, &request, &response);
    mg_disable_connection_keep_alive(connection);
    buffer_free(&response.headers);
    buffer_free(&response.body);
    return 0;
}

/* While it starts, CivetWeb says in the caller's thread why it cannot. */
static _Thread_local char *start_complaint;
static _Thread_local size_t start_complaint_size;

static int log_message(const struct mg_connection *connection, const char *message)
{
    (void)connection;
    if (start_complaint) {
        if (!*start_complaint) {
            snprintf(start_complaint, start_complaint_size, "%s", message);
        }
        return 1;
    }
    static struct log_limit limit;
    uint32_t left_out;
    if (log_limit_pass(&limit, 30, &left_out)) {
        log_warn("civetweb", "said", "%s", message, "left_out", "%u", left_out, NULL);
    }
    return 1;
}

static void *init_thread(const struct mg_context *context, int type)
{
    enum { MASTER, WORKER };
    int index = 0;
    if (type != WORKER) {
        return NULL;
    }
    struct http *http = mg_get_user_data(context);
    struct http_handler *handler = rcu_thread_enter() ? NULL : http_handler_new(http, &index);
    thread_adopt(THREAD_HTTP, index);
    if (!handler) {
        log_error("a handler thread has no memory: it refuses every request", NULL);
    }
    return handler;
}

/* ---- Life ---- */

static struct mg_context *start(struct http *http, const struct config *config)
{
    char address[300], threads[16], timeout[24], queue[16];
    bool v6 = strchr(config->listen_host, ':');
    snprintf(address, sizeof(address), v6 ? "[%s]:%d" : "%s:%d", config->listen_host,
             config->listen_port);
    snprintf(threads, sizeof(threads), "%lld", (long long)config->http_threads);
    snprintf(timeout, sizeof(timeout), "%lld", (long long)config->http_request_timeout_ms);
    snprintf(queue, sizeof(queue), "%d",
             128); /* accepted ones that wait for a thread; others wait in the kernel */
    atomic_store(&http->port, config->listen_port); /* known before a handler serves, unless the system chooses it */
    const char *options[] = {
        "listening_ports",
        address,
        "num_threads",
        threads,
        "connection_queue",
        queue,
        "listen_backlog",
        "4096",
        "request_timeout_ms",
        timeout,
        "enable_keep_alive",
        "yes",
        "keep_alive_timeout_ms",
        "1000",
        "max_request_size",
        "32768",
        "tcp_nodelay",
        "1",
        "decode_url",
        "no",
        "enable_auth_domain_check",
        "no",
        "enable_directory_listing",
        "no",
        NULL,
    };
    const struct mg_callbacks callbacks = {
        .begin_request = begin_request,
        .http_error = http_error,
        .log_message = log_message,
        .init_thread = init_thread,
    };
    /* Its threads take no signals, and it changes the handling of two for the whole process. */
    struct sigaction pipe_action, child_action;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    sigaction(SIGPIPE, NULL, &pipe_action);
    sigaction(SIGCHLD, NULL, &child_action);
    struct mg_context *context = mg_start(&callbacks, http, options);
    sigaction(SIGPIPE, &pipe_action, NULL);
    sigaction(SIGCHLD, &child_action, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return context;
}

enum err http_civetweb_start(struct http *http, char *why, size_t why_size)
{
    struct mg_server_port port;
    const struct config *config = config_current_get(http->wiring.config);
    if (strchr(config->listen_host, ':') && !mg_check_feature(MG_FEATURES_IPV6)) {
        snprintf(why, why_size,
                 "%s cannot be served: this CivetWeb was built without IPv6 (Debian's is); listen "
                 "on an IPv4 address, and let "
                 "a reverse proxy serve IPv6",
                 config->listen);
        config_put(config);
        return ERR_UNSUPPORTED;
    }
    mg_init_library(0);
    start_complaint = why;
    start_complaint_size = why_size;
    http->civetweb = start(http, config);
    start_complaint = NULL;
    config_put(config);
    if (!http->civetweb) {
        mg_exit_library();
        return ERR_IO;
    }
    if (mg_get_server_ports(http->civetweb, 1, &port) < 1) {
        snprintf(why, why_size, "the port that is served is not known");
        http_civetweb_stop(http);
        return ERR_IO;
    }
    atomic_store(&http->port, port.port);
    return ERR_OK;
}

void http_civetweb_stop(struct http *http)
{
    if (!http->civetweb) {
        return;
    }
    if (http->port) {
        handover_hush(http->port); /* else it looks every two seconds only whether it is to stop */
    }
    mg_stop(http->civetweb);
    http->civetweb = NULL;
    mg_exit_library();
}
