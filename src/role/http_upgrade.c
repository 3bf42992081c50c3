/* The WebSocket handshake (RFC 6455, section 4.2), answered by us, and the hand-over to a socket
 * thread. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "http_handover.h"
#include "http_internal.h"

#include "signalbox/base/deflate.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/pause.h"
#include "signalbox/base/id.h"
#include "signalbox/base/log.h"
#include "signalbox/base/metrics.h"

enum { KEY_LENGTH = 24, ACCEPT_SIZE = 32 };

static const char native[] = "signalbox.v1";

static void accept_of(const char *key, char out[ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    struct sha1_ctx hash;
    uint8_t digest[SHA1_DIGEST_SIZE];
    sha1_init(&hash);
    sha1_update(&hash, strlen(key), (const uint8_t *)key);
    sha1_update(&hash, sizeof(guid) - 1, (const uint8_t *)guid);
    sha1_digest(&hash, sizeof(digest), digest);
    base64_encode_raw(out, sizeof(digest), digest);
    out[BASE64_ENCODE_RAW_LENGTH(sizeof(digest))] = '\0';
}

/* 16 bytes in base64. */
static bool key_valid(const char *key)
{
    return key && strlen(key) == KEY_LENGTH && key[KEY_LENGTH - 1] == '=' &&
           key[KEY_LENGTH - 2] == '=' &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") ==
               KEY_LENGTH - 2;
}

/* What is spoken on the connection. */
struct speaks {
    const char *subprotocol; /* as it is answered; NULL: the client offered none */
    const struct dialect *dialect; /* NULL: the native protocol, as signalbox.v1 has it */
    bool refused;
};

/* The first one that the client offers and that is known, over all its headers of that name; else, if it offers none, what
 * the path is for. */
static struct speaks spoken(const struct http_request *request)
{
    struct speaks speaks = {.dialect = dialect_by_path(request->match.route->path)};
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "Sec-WebSocket-Protocol")) {
            continue;
        }
        for (const char *at = request->headers[i].value; *at;) {
            at += strspn(at, ", \t");
            size_t length = strcspn(at, ", \t");
            const struct dialect *dialect = dialect_by_subprotocol(at, length);
            if (dialect || (length == sizeof(native) - 1 && !memcmp(at, native, length))) {
                return (struct speaks){.subprotocol = dialect ? dialect->subprotocol : native, .dialect = dialect};
            }
            speaks.refused |= length > 0;
            at += length;
        }
    }
    return speaks;
}

/* Its own, which it keeps over reconnects, or one that lives as long as the connection. */
static bool client_id(const struct http_request *request, struct identity *identity, bool *keeps_id)
{
    *keeps_id = http_query(request, "client", identity->client_id, sizeof(identity->client_id));
    if (!*keeps_id) {
        id_random(identity->client_id);
        return true;
    }
    size_t length = strlen(identity->client_id);
    return length &&
           strspn(identity->client_id,
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == length;
}

static bool handshake_valid(struct http_request *request, struct http_response *response,
                            struct speaks *speaks, bool *keeps_id)
{
    size_t keys;
    const char *key = http_header(request, "Sec-WebSocket-Key", &keys);
    const char *version = http_header(request, "Sec-WebSocket-Version", NULL);
    *speaks = spoken(request);
    if (strcmp(request->method, "GET") || !request->upgrade) {
        http_problem(response, ANSWER_BAD_MESSAGE, "this path serves WebSockets only", "Upgrade",
                     NULL);
        return false;
    }
    if (!version || strcmp(version, "13")) {
        http_problem(response, ANSWER_UNSUPPORTED, "the WebSocket version must be 13",
                     "Sec-WebSocket-Version", NULL);
        buffer_text(&response->headers, "Sec-WebSocket-Version: 13\r\n");
        return false;
    }
    if (keys != 1 || !key_valid(key)) {
        http_problem(response, ANSWER_BAD_MESSAGE, "the WebSocket key must be 16 bytes in base64",
                     "Sec-WebSocket-Key", NULL);
        return false;
    }
    if (speaks->refused) {
        http_problem(response, ANSWER_UNSUPPORTED, "the subprotocol is signalbox.v1, or one of a dialect",
                     "Sec-WebSocket-Protocol", NULL);
        return false;
    }
    if (!client_id(request, &request->identity, keeps_id)) {
        http_problem(response, ANSWER_BAD_MESSAGE,
                     "`client` must be 1 to 64 letters, digits, - and _", "client", NULL);
        return false;
    }
    return http_may_connect(request, response);
}

bool http_may_connect(struct http_request *request, struct http_response *response)
{
    if (atomic_load(&request->http->refusing)) {
        http_problem(response, ANSWER_SHUTTING_DOWN, "the server is stopping", NULL, NULL);
        return false;
    }
    if (metric_read(METRIC_CONNECTIONS) >= request->config->max_clients) {
        http_problem(response, ANSWER_LIMIT_REACHED, "`max-clients` are connected", NULL, NULL);
        return false;
    }
    return true;
}

/* What is agreed to of all its offers, over all headers of that name; NULL for nothing. */
static const char *extension(const struct http_request *request)
{
    const char *accepted = NULL;
    for (size_t i = 0; request->config->compression && !accepted && i < request->header_count; i++) {
        if (!strcasecmp(request->headers[i].name, "Sec-WebSocket-Extensions")) {
            accepted = deflate_accept(request->headers[i].value);
        }
    }
    return accepted;
}

static bool send_101(int fd, const char *key, const char *subprotocol, const char *extension)
{
    char accept[ACCEPT_SIZE], text[384];
    accept_of(key, accept);
    int length =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n%s%s%s%s%s%s\r\n",
                 accept, subprotocol ? "Sec-WebSocket-Protocol: " : "",
                 subprotocol ? subprotocol : "", subprotocol ? "\r\n" : "",
                 extension ? "Sec-WebSocket-Extensions: " : "", extension ? extension : "",
                 extension ? "\r\n" : "");
    return send(fd, text, (size_t)length, MSG_NOSIGNAL) == length;
}

bool http_take_socket(struct http_request *request, struct http_response *response, int *fd)
{
    int theirs;
    enum err err = handover_find(request->peer, request->peer_port, atomic_load(&request->http->port), &theirs);
    if (!err) {
        err = handover_take(theirs, fd);
    }
    if (err) {
        log_error("a connection cannot be taken over", "peer", "%s", request->peer, "error", "%s",
                  err_text(err), NULL);
        http_problem_status(response, 503, ANSWER_INTERNAL,
                            "the connection cannot be taken over: try again");
        response->close = true;
    }
    return !err;
}

/* `?sessionId=` of a dialect that needs it. Whether there is such a session is told on the connection. */
static bool names_session(struct http_request *request, struct http_response *response, const struct dialect *dialect,
                          struct client_take *take)
{
    if (!dialect || !dialect->needs_session) {
        return true;
    }
    http_query(request, "sessionId", take->session_id, sizeof(take->session_id));
    if (!take->session_id[0]) {
        http_problem(response, ANSWER_BAD_MESSAGE, "the URL must name a session: `sessionId`", "sessionId", NULL);
    }
    return take->session_id[0];
}

void http_upgrade(struct http_request *request, struct http_response *response)
{
    struct speaks speaks;
    int fd;
    bool keeps_id;
    uint64_t arrived = atomic_fetch_add(&request->http->upgrades, 1) + 1;
    if (!handshake_valid(request, response, &speaks, &keeps_id)) {
        return;
    }
    struct client_take *take = calloc(1, sizeof(*take));
    if (!take) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    if (!names_session(request, response, speaks.dialect, take)) {
        free(take);
        return;
    }
    if (!http_take_socket(request, response, &fd)) {
        free(take);
        return;
    }
    response->handed_over = true;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* else delayed, not wrong */
    /* In a dialect an event would be compressed once more for each. */
    bool native_frames = !speaks.dialect || speaks.dialect->native;
    const char *deflate = native_frames ? extension(request) : NULL;
    if (!send_101(fd, http_header(request, "Sec-WebSocket-Key", NULL), speaks.subprotocol, deflate)) {
        fd_close(fd); /* the client has gone, or would not even take this */
        free(take);
        return;
    }
    take->fd = fd;
    take->identity = request->identity;
    take->history_none = speaks.dialect && speaks.dialect->native;
    take->dialect = native_frames ? NULL : speaks.dialect;
    take->deflates = deflate != NULL;
    take->keeps_id = keeps_id;
    take->arrived = arrived;
    http_hand_over(request->http, take);
}

void http_hand_over(struct http *http, struct client_take *take)
{
    take->mail.kind = CLIENT_MAIL_TAKE;
    char login[FINGERPRINT_MAX]; /* the mail is the socket thread's once it is pushed */
    memcpy(login, take->identity.login, sizeof(login));
    pause_at(PAUSE_HANDSHAKE_TAKE);
    unsigned turn = atomic_fetch_add(&http->turn, 1);
    mailbox_push(http->wiring.socket_boxes[turn % http->wiring.socket_threads], &take->mail);
    /* A logout since the login was looked at may have passed this socket on the way. */
    if (login[0] && !http_logins_has(http->logins, login)) {
        http_end_connections(http, login);
    }
}
