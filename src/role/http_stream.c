/*
 * Server-sent events (WHATWG HTML, section 9.2): the same events as over WebSocket, for programs that only read. The
 * handler thread answers the head and hands the socket over; a socket thread does the rest.
 */
#define _GNU_SOURCE /* strcasestr */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "http_internal.h"
#include "signalbox/base/fd.h"
#include "signalbox/base/id.h"

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                           "X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
                           "retry: 3000\n\n";

bool http_wants_stream(const struct http_request *request)
{
    const char *accept = http_header(request, "Accept", NULL);
    return accept && strcasestr(accept, "text/event-stream");
}

void http_stream(struct http_request *request, struct http_response *response, const char *epoch, uint64_t after)
{
    int fd;
    if (!http_may_connect(request, response)) {
        return;
    }
    struct client_take *take = calloc(1, sizeof(*take));
    if (!take) {
        http_problem(response, ANSWER_INTERNAL, "out of memory", NULL, NULL);
        return;
    }
    take->stream = true;
    snprintf(take->session_id, sizeof(take->session_id), "%.*s", SESSION_ID_MAX, request->match.values[0]);
    snprintf(take->after_epoch, sizeof(take->after_epoch), "%s", epoch);
    take->has_after = *epoch;
    take->after_seq = after;
    take->identity = request->identity;
    id_random(take->identity.client_id);
    if (!http_take_socket(request, response, &fd)) {
        free(take);
        return;
    }
    response->handed_over = true;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* else delayed, not wrong */
    if (send(fd, head, sizeof(head) - 1, MSG_NOSIGNAL) != sizeof(head) - 1) {
        fd_close(fd); /* the client has gone, or would not even take this */
        free(take);
        return;
    }
    take->fd = fd;
    http_hand_over(request->http, take);
}
