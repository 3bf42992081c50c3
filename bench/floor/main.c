// signalbox-floor: what the same deliveries cost when nothing is done but to send them. It speaks
// as much of the protocol as signalbox-bench needs to open sessions, watch them and prompt once;
// then every frame, made before, goes out by one non-blocking send when it is due, from as many
// threads as the server has socket threads. Nothing is parsed, numbered, recorded or shared
// meanwhile.
#define _GNU_SOURCE
#include "sender.h"

#include "generator/handshake.h"
#include "generator/loop.h"
#include "generator/scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EXIT_USAGE = 64, BACKLOG = 4096, FRAME_MAX = 64 * 1024, REQUEST_MAX = 16 * 1024 };

struct client {
    struct source source;
    struct watcher watcher;
    int fd;
    bool open;
    size_t length;
    char *in; // of FRAME_MAX bytes, NULL when nothing waits
};

static struct loop loop;
static struct source listener;
static int listening;
static struct plan *plans;
static size_t plan_count;
static size_t plan_room;
static size_t prompted;

// ---- Out: only while nothing is measured ----

static void send_all(const struct client *c, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t sent = send(c->fd, (const char *)bytes + done, length - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return; // its end is read
        }
        done += sent > 0 ? (size_t)sent : 0;
    }
}

static void say(const struct client *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct client *c, const char *format, ...)
{
    char text[512];
    uint8_t header[10];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    send_all(c, header, frame_header(header, (size_t)length));
    send_all(c, text, (size_t)length);
}

// ---- Commands ----

static struct plan *find(const struct scan *s)
{
    for (size_t i = 0; i < plan_count; i++) {
        if (value_is(&s->fields[SCAN_SESSION], plans[i].id)) {
            return &plans[i];
        }
    }
    return NULL;
}

static void create(const struct client *c, const char *id)
{
    if (plan_count == plan_room) {
        plan_room = 2 * plan_room + 64;
        plans = take(plans, plan_room * sizeof *plans);
    }
    struct plan *p = &plans[plan_count];
    *p = (struct plan){0};
    snprintf(p->id, sizeof p->id, "floor-%016zu", plan_count++);
    say(c, "{\"type\":\"ack\",\"id\":\"%s\",\"sessionId\":\"%s\"}", id, p->id);
}

// Every session has one event, so that a watcher knows that it is idle.
static void subscribe(struct client *c, const struct plan *p, const char *id)
{
    say(c,
        "{\"type\":\"subscribed\",\"id\":\"%s\",\"sessionId\":\"%s\",\"epoch\":\"floor\",\"head\":"
        "1,"
        "\"mode\":\"replay\"}",
        id, p->id);
    say(c, "{\"seq\":1,\"ts\":0,\"type\":\"status\",\"sessionId\":\"%s\",\"phase\":\"idle\"}",
        p->id);
    say(c, "{\"type\":\"replay_complete\",\"sessionId\":\"%s\",\"seq\":1}", p->id);
    c->watcher.fd = c->fd;
    senders_add((size_t)(p - plans), &c->watcher);
}

// A string's escapes, of which the generator needs none but `\"`.
static void unescape(char *text)
{
    char *to = text;
    for (const char *at = text; *at != '\0'; at++) {
        at += *at == '\\';
        *to++ = *at;
    }
    *to = '\0';
}

static void prompt(const struct client *c, const struct scan *s, struct plan *p, const char *id)
{
    char script[1024];
    value_copy(&s->fields[SCAN_TEXT], script, sizeof script);
    unescape(script);
    const char *problem =
        p->frames > 0 ? "the floor plays one prompt of a session" : plan_make(p, script, 2);
    if (problem != NULL) {
        say(c, "{\"type\":\"nack\",\"id\":\"%s\",\"code\":\"bad_request\",\"message\":\"%s\"}", id,
            problem);
        return;
    }
    say(c, "{\"type\":\"ack\",\"id\":\"%s\"}", id);
    if (++prompted == plan_count) {
        senders_begin(plans, plan_count);
    }
}

static void command(struct client *c, const char *text, size_t length)
{
    struct scan s;
    char id[64];
    if (!scan_object(&s, text, length)) {
        return;
    }
    value_copy(&s.fields[SCAN_ID], id, sizeof id);
    struct plan *p = find(&s);
    if (value_is(&s.fields[SCAN_TYPE], "create_session") && prompted == 0) {
        create(c, id);
    } else if (value_is(&s.fields[SCAN_TYPE], "subscribe") && p != NULL && prompted == 0) {
        subscribe(c, p, id);
    } else if (value_is(&s.fields[SCAN_TYPE], "prompt") && p != NULL) {
        prompt(c, &s, p, id);
    } else {
        say(c, "{\"type\":\"nack\",\"id\":\"%s\",\"code\":\"bad_request\"}", id);
    }
}

// ---- In ----

// Its descriptor stays, since a sender may be about to write to it.
static void leave(struct client *c)
{
    c->watcher.gone = true;
    shutdown(c->fd, SHUT_RDWR);
    epoll_ctl(loop.epoll, EPOLL_CTL_DEL, c->fd, NULL);
    free(c->in);
    c->in = NULL;
}

// Returns the length of what was taken, 0 when it is not whole; -1 when it is no use.
static ssize_t take_upgrade(struct client *c)
{
    c->in[c->length] = '\0';
    const char *end = strstr(c->in, "\r\n\r\n");
    if (end == NULL) {
        return c->length > REQUEST_MAX ? -1 : 0;
    }
    if (strstr(c->in, HANDSHAKE_KEY) == NULL) {
        static const char refused[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        send_all(c, refused, sizeof refused - 1);
        return -1;
    }
    static const char accepted[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Protocol: signalbox.v1\r\nSec-WebSocket-Accept: " HANDSHAKE_ACCEPT
        "\r\n\r\n";
    send_all(c, accepted, sizeof accepted - 1);
    c->open = true;
    say(c,
        "{\"type\":\"connected\",\"protocol\":\"signalbox.v1\",\"server\":{\"name\":\"floor\"}}");
    return end + 4 - c->in;
}

static ssize_t take_frame(struct client *c, char *data, size_t length)
{
    enum { TEXT = 0x81, CLOSE = 0x88 };
    if (length < 2) {
        return 0;
    }
    size_t size = (uint8_t)data[1] & 0x7f;
    size_t header = size == 126 ? 8 : 6;
    if (length < header) {
        return 0;
    }
    if (size == 126) {
        size = (size_t)(uint8_t)data[2] << 8 | (uint8_t)data[3];
    }
    if (((uint8_t)data[0] != TEXT && (uint8_t)data[0] != CLOSE) || !(data[1] & 0x80) ||
        size == 127) {
        return -1;
    }
    if (length < header + size) {
        return 0;
    }
    for (size_t i = 0; i < size; i++) {
        data[header + i] ^= data[header - 4 + i % 4];
    }
    if ((uint8_t)data[0] == CLOSE) {
        return -1;
    }
    command(c, data + header, size);
    return (ssize_t)(header + size);
}

static void ready(struct source *source, uint32_t events)
{
    struct client *c = (struct client *)source; // its first member
    (void)events;
    if (c->watcher.gone) {
        return;
    }
    c->in = c->in != NULL ? c->in : take(NULL, FRAME_MAX + 1);
    ssize_t got = recv(c->fd, c->in + c->length, FRAME_MAX - c->length, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN) {
            leave(c);
        }
        return;
    }
    c->length += (size_t)got;
    size_t done = 0;
    ssize_t used = 1;
    while (used > 0 && done < c->length) {
        used = c->open ? take_frame(c, c->in + done, c->length - done) : take_upgrade(c);
        done += used > 0 ? (size_t)used : 0;
    }
    if (used < 0 || (done == 0 && c->length == FRAME_MAX)) {
        leave(c);
        return;
    }
    memmove(c->in, c->in + done, c->length - done);
    c->length -= done;
    if (c->length == 0) {
        free(c->in);
        c->in = NULL;
    }
}

static void accept_some(struct source *source, uint32_t events)
{
    (void)source;
    (void)events;
    int on = 1;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    struct client *c = take(NULL, sizeof *c);
    *c = (struct client){.source.ready = ready, .fd = fd};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &c->source};
    if (epoll_ctl(loop.epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}

// ---- Start ----

static void end(int number)
{
    (void)number;
    _exit(0);
}

static void open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listening, BACKLOG) < 0 ||
        getsockname(listening, (struct sockaddr *)&address, &length) < 0) {
        die("listen: %s", strerror(errno));
    }
    loop_open(&loop);
    listener.ready = accept_some;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener};
    if (epoll_ctl(loop.epoll, EPOLL_CTL_ADD, listening, &event) < 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
    fprintf(stderr, "msg=\"ready to serve\" address=http://127.0.0.1:%u\n",
            ntohs(address.sin_port));
}

int main(int argc, char **argv)
{
    static const char threads_is[] = "threads=";
    long threads = sysconf(_SC_NPROCESSORS_ONLN);
    struct rlimit limit;
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], threads_is, sizeof threads_is - 1) == 0) {
            threads = strtol(argv[i] + sizeof threads_is - 1, NULL, 10);
        } else {
            argc = 0;
        }
    }
    if (argc < 2 || threads < 1) {
        fputs("usage: signalbox-floor FOLDER [threads=N]\n"
              "  What signalbox-bench --peer starts to measure what sending alone costs. It puts "
              "nothing\n"
              "  into the folder. As many threads as processors send, or N.\n",
              stderr);
        return EXIT_USAGE;
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGTERM, end);
    senders_open((size_t)threads);
    open_listener();
    loop_run(&loop, NULL, NULL, INT64_MAX);
    return 0;
}
