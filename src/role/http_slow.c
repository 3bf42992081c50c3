/*
 * Bodies that do not come to an end. CivetWeb's reading waits for each byte anew, so a client that sends one now and then
 * would have a handler thread for hours. A handler says here until when it reads; one thread more watches all of them, and
 * shuts the socket of one that is late for reading: its reading ends there, and the handler can still answer.
 */
#include <sys/socket.h>

#include "http_handover.h"
#include "http_internal.h"

#include "signalbox/base/log.h"

/* Where there are requests it looks so often anyway, so that hardly one of them has to wake it. */
enum { LOOK_MS = 1000 };

void http_read_begin(struct http_request *request, struct instant until)
{
    struct http *http = request->http;
    pthread_mutex_lock(&http->lock);
    request->handler->reading = request;
    request->handler->read_until = until;
    request->handler->read_cut = false;
    http->slow_used = true;
    bool sooner = !instant_reached(http->slow_look, until);
    if (sooner) {
        http->slow_look = until;
    }
    pthread_mutex_unlock(&http->lock);
    if (sooner) {
        mailbox_poke(http->slow_box);
    }
}

void http_read_extend(struct http_request *request, struct instant until)
{
    pthread_mutex_lock(&request->http->lock);
    request->handler->read_until = until;
    pthread_mutex_unlock(&request->http->lock);
}

bool http_read_end(struct http_request *request)
{
    pthread_mutex_lock(&request->http->lock);
    request->handler->reading = NULL;
    bool cut = request->handler->read_cut;
    pthread_mutex_unlock(&request->http->lock);
    return cut;
}

/* The handler reads as long as the lock is held, so the number found is its connection's. */
static void cut(struct http *http, struct http_handler *handler, struct instant now)
{
    static struct log_limit limit;
    uint32_t left_out;
    const struct http_request *request = handler->reading;
    int fd = -1;
    enum err err = handover_find(request->peer, request->peer_port, http->port, &fd);
    if (log_limit_pass(&limit, 6, &left_out)) {
        log_warn("the body of a request comes too slowly", "peer", "%s", request->peer, "path", "%s", request->path,
                 "cut", "%s", err ? err_text(err) : "yes", "left_out", "%u", left_out, NULL);
    }
    if (err) {
        handler->read_until = instant_after_ms(now, LOOK_MS);
        return;
    }
    shutdown(fd, SHUT_RD);
    handler->read_cut = true;
    handler->read_until = INSTANT_NEVER;
}

static struct instant look(struct http *http)
{
    struct instant now = clock_now();
    struct instant next = INSTANT_NEVER;
    pthread_mutex_lock(&http->lock);
    for (struct http_handler *handler = http->handlers; handler; handler = handler->next) {
        if (handler->reading && instant_reached(handler->read_until, now)) {
            cut(http, handler, now);
        }
        if (handler->reading) {
            next = instant_earlier(next, handler->read_until);
        }
    }
    if (http->slow_used) {
        next = instant_earlier(next, instant_after_ms(now, LOOK_MS));
        http->slow_used = false;
    }
    http->slow_look = next;
    pthread_mutex_unlock(&http->lock);
    return next;
}

static void slow_run(void *context)
{
    struct http *http = context;
    while (!atomic_load(&http->stopping)) {
        mailbox_wait(http->slow_box, look(http));
    }
}

enum err http_slow_start(struct http *http)
{
    http->slow_look = INSTANT_NEVER;
    enum err err = mailbox_new(&http->slow_box, "http-slow", 0);
    return err ? err : thread_start(&http->slow_thread, THREAD_HTTP, -1, false, slow_run, http);
}

void http_slow_stop(struct http *http)
{
    if (http->slow_box) {
        mailbox_poke(http->slow_box);
        thread_join(&http->slow_thread);
        mailbox_free(http->slow_box);
        http->slow_box = NULL;
    }
}
